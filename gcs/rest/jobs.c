/* Ray's job API: submit, list, get, stop, delete. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/pb.h"
#include "core/submission_table.h"
#include "crypto/crypto.h"
#include "rest/rest_impl.h"
#include "service/service.h"

/* "raysubmit_" and 16 letters or digits, as Ray makes them. */
static int fresh_id(char *buf, size_t size)
{
    static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz123456789";
    uint8_t random[16];
    char text[17] = "";

    if (crypto_random(random, sizeof random) < 0)
        return -RAIA_ERR_INTERNAL;
    for (int i = 0; i < 16; i++)
        text[i] = letters[random[i] % (sizeof letters - 1)];
    (void)snprintf(buf, size, "raysubmit_%s", text);
    return 0;
}

static void answer_submitted(struct http_exchange *x, const void *data, size_t size)
{
    _cleanup_(pb_freep) Raia__Storage__Submission *s =
        pb_unpack(&raia__storage__submission__descriptor, data, size);
    struct json *root = s ? json_new_object() : NULL;

    if (s && (json_set_str(root, "job_id", s->submission_id) < 0 ||
              json_set_str(root, "submission_id", s->submission_id) < 0)) {
        json_free(root);
        root = NULL;
    }
    http_answer_json(x, 200, root);
}

void rest_jobs_submit(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;
    _cleanup_(json_freep) struct json *root = NULL;
    _cleanup_(pb_freep) Raia__Storage__Submission *asked = NULL;
    struct raia_error e = {0};
    struct rest_wait *wait;
    const char *body;
    char id[40];
    size_t len;
    int r;

    body = http_body(x, &len);
    r = json_parse(body, len, NULL, &root, &e);
    if (r < 0) {
        (void)err_wrap(&e, "the body is not JSON");
        e.code = RAIA_ERR_INVALID;
    }
    if (r == 0 && fresh_id(id, sizeof id) < 0)
        r = err_set(&e, RAIA_ERR_INTERNAL, "no random numbers");
    if (r == 0)
        r = rest_parse_submission(root, id, &asked, &e);
    if (r < 0) {
        rest_answer_failure(x, &e);
        return;
    }
    wait = rest_wait_new(x, answer_submitted);
    if (wait)
        gcs_core_submit(rest->options.core, service_now(), asked, &wait->waiter);
}

void rest_jobs_list(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;

    rest_answer_state(rest, x, rest_all_jobs(rest->options.core));
}

const char *rest_job_status(struct gcs_core *core, const char *id)
{
    const Raia__Storage__Submission *s = gcs_core_find_submission(core, id);
    const Raia__Gcs__Job *job = s ? NULL : gcs_core_find_job(core, id);

    return s ? submission_status_name(s->status) : !job ? "" : job->dead ? "SUCCEEDED" : "RUNNING";
}

void rest_jobs_answer(struct rest *rest, struct http_exchange *x)
{
    struct gcs_core *core = rest->options.core;
    const char *id = http_param(x, "id");
    const Raia__Storage__Submission *s = gcs_core_find_submission(core, id);
    const Raia__Gcs__Job *job =
        s ? gcs_core_job_of(core, s->submission_id) : gcs_core_find_job(core, id);
    struct raia_error e = {0};

    if (!s && !job) {
        (void)err_set(&e, RAIA_ERR_NOT_FOUND, "Job %.200s does not exist", id);
        rest_answer_failure(x, &e);
        return;
    }
    rest_answer_state(rest, x, rest_job_details(core, s, job));
}

const Raia__Storage__Submission *rest_find_submission(struct rest *rest, struct http_exchange *x,
                                                      const char *verb)
{
    const char *id = http_param(x, "id");
    const Raia__Storage__Submission *s = gcs_core_find_submission(rest->options.core, id);
    struct raia_error e = {0};

    if (s)
        return s;
    if (gcs_core_find_job(rest->options.core, id))
        (void)err_set(&e, RAIA_ERR_INVALID,
                      "Can only %s submission type jobs: this driver was not submitted", verb);
    else
        (void)err_set(&e, RAIA_ERR_NOT_FOUND, "Job %.200s does not exist", id);
    rest_answer_failure(x, &e);
    return NULL;
}

static void answer_flag(struct http_exchange *x, const char *name, const void *data, size_t size)
{
    struct json *root = json_new_object();

    if (json_set_bool(root, name, size && *(const uint8_t *)data) < 0) {
        json_free(root);
        root = NULL;
    }
    http_answer_json(x, 200, root);
}

static void answer_stopped(struct http_exchange *x, const void *data, size_t size)
{
    answer_flag(x, "stopped", data, size);
}

static void answer_deleted(struct http_exchange *x, const void *data, size_t size)
{
    answer_flag(x, "deleted", data, size);
}

void rest_jobs_stop(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;
    const Raia__Storage__Submission *s = rest_find_submission(rest, x, "stop");
    struct rest_wait *wait = s ? rest_wait_new(x, answer_stopped) : NULL;

    if (wait)
        gcs_core_stop_submission(rest->options.core, service_now(), s->submission_id,
                                 &wait->waiter);
}

void rest_jobs_delete(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;
    const Raia__Storage__Submission *s = rest_find_submission(rest, x, "delete");
    struct rest_wait *wait = s ? rest_wait_new(x, answer_deleted) : NULL;

    if (wait)
        gcs_core_delete_submission(rest->options.core, s->submission_id, &wait->waiter);
}
