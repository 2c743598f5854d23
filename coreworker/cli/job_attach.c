/*
 * Submitting at most once (job_attach.h).
 */
#include "cli/job_attach.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "cli/cluster.h"
#include "cli/job_run.h"

#define RETRY_MS 1000  /* between tries */
#define SAY_MS   30000 /* between words about them */

/* An answer of the head's that will not change; anything else is worth another try. */
static bool is_final(int code)
{
    return code == RAIA_ERR_INVALID || code == RAIA_ERR_PERMISSION || code == RAIA_ERR_STATE ||
           code == RAIA_ERR_NOMEM;
}

/* 0: the job is at the head. */
static int try_once(const struct state_cluster *c, struct json *body, const char *id,
                    struct raia_error *e)
{
    struct job_result res = {0};
    char made[JOB_ID_MAX];
    bool ended;
    int r = job_status(c, id, &res, &ended, e);
    if (r == 0) {
        fprintf(stderr, "job %s is there already\n", id);
        return 0;
    }
    if (e->code != RAIA_ERR_NOT_FOUND)
        return r;
    r = job_submit(c, body, made, e);
    if (r == 0)
        fprintf(stderr, "submitted as %s\n", made);
    else if (strstr(e->text, "use a different submission_id"))
        r = 0;                              /* another one of us was faster */
    else if (e->code == RAIA_ERR_NOT_FOUND) /* a working_dir that is not here */
        e->code = RAIA_ERR_INVALID;
    return r;
}

static int get_there(const struct state_cluster *c, struct json *body, const char *id,
                     struct raia_error *e)
{
    int64_t say = 0;
    for (;;) {
        struct raia_error last = {0};
        int r = try_once(c, body, id, &last);
        if (r == 0)
            return 0;
        if (cluster_interrupted)
            return err_set(e, RAIA_ERR_CANCELED, "interrupted");
        if (is_final(last.code)) {
            if (e)
                *e = last;
            return r;
        }
        if (clock_now_ns() >= say) {
            fprintf(stderr, "waiting for the head at %s: %s\n", c->api_url, last.text);
            say = clock_deadline_ms(SAY_MS);
        }
        poll(NULL, 0, RETRY_MS);
    }
}

/* Who reads it must not take the job's own end for that of the submitter's container. */
static int told(int status)
{
    static const int lost[] = {JOB_EXIT_LOST};

    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        if (lost[i] == status) {
            fprintf(stderr, "the job ended with exit status %d; this exits with 1\n", status);
            return 1;
        }
    }
    return status;
}

int job_attach(const struct state_cluster *c, struct json *body, const char *id,
               struct job_result *ret_result, struct raia_error *e)
{
    cluster_catch_signals();
    int r = get_there(c, body, id, e);
    if (r == 0)
        r = job_follow(c, id, 0, stdout, ret_result, e);
    if (r == 0)
        return told(ret_result->exit_status);
    return r == -RAIA_ERR_CANCELED                                ? JOB_EXIT_INTERRUPTED
           : r == -RAIA_ERR_UNAVAILABLE || r == -RAIA_ERR_TIMEOUT ? JOB_EXIT_UNKNOWN
                                                                  : 1;
}
