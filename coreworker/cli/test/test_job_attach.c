/* A submitter against a head that is late, forgets, refuses, or has the job already. */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/job_attach.h"
#include "cli/job_run.h"
#include "http/http_server.h"

TestSuite(job_attach, .timeout = 100);

/* A head with one job, served by a thread. */
static struct {
    struct http_server *server; /* serves */
    pthread_t thread;           /* steps it */
    atomic_bool end;            /* asks the thread to end */
    uint16_t port;              /* of the server; 0: any */
    bool there;                 /* the job is known */
    bool refuses;               /* submissions, with 400 */
    bool forgets;               /* the job, once it was asked for */
    int looks_left;             /* until the job has ended */
    int exit_status;            /* of the job; 0: 3 */
    int submissions;            /* accepted */
    int refused;                /* not accepted */
} head;

static void on_get(struct http_exchange *x, void *arg)
{
    struct json *o = json_new_object();

    (void)arg;
    if (!head.there) {
        json_free(o);
        http_answer_text(x, 404, "Job j does not exist");
        return;
    }
    bool ended = head.looks_left-- <= 0;
    (void)json_set_str(o, "status", ended ? "FAILED" : "RUNNING");
    (void)json_set_str(o, "message", "it says 3");
    if (ended)
        (void)json_set_int(o, "driver_exit_code", head.exit_status ? head.exit_status : 3);
    if (head.forgets)
        head.there = false;
    http_answer_json(x, 200, o);
}

static void on_post(struct http_exchange *x, void *arg)
{
    struct json *o = NULL;

    (void)arg;
    if (head.there || head.refuses) {
        head.refused++;
        http_answer_text(x, head.there ? 500 : 400,
                         head.there ? "Job with submission_id j already exists. Please use a "
                                      "different submission_id."
                                    : "no such thing");
        return;
    }
    head.there = true;
    head.submissions++;
    o = json_new_object();
    (void)json_set_str(o, "submission_id", "j");
    http_answer_json(x, 200, o);
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/api/jobs/{id}", .handle = on_get},
    {.method = "POST", .pattern = "/api/jobs/", .handle = on_post},
};

static void *serve(void *arg)
{
    (void)arg;
    while (!atomic_load(&head.end)) {
        struct pollfd p = {.fd = http_server_fd(head.server), .events = POLLIN};

        (void)poll(&p, 1, 50);
        http_server_step(head.server);
    }
    return NULL;
}

static void head_begin(void)
{
    struct http_server_options o = {.port = head.port};
    struct raia_error e = {0};

    cr_assert_eq(http_server_new(&o, routes, 2, NULL, &head.server, &e), 0, "%s", e.text);
    head.port = http_server_port(head.server);
    cr_assert_eq(pthread_create(&head.thread, NULL, serve, NULL), 0);
}

static void head_end(void)
{
    atomic_store(&head.end, true);
    cr_assert_eq(pthread_join(head.thread, NULL), 0);
    http_server_free(head.server);
    atomic_store(&head.end, false);
}

/* One submitter's run. */
static int attach(struct job_result *res)
{
    _cleanup_(mem_freep) char *url = mem_printf("http://127.0.0.1:%u", head.port);
    _cleanup_(json_freep) struct json *body = json_new_object();
    struct state_cluster c = {.api_url = url};
    struct raia_error e = {0};

    (void)json_set_str(body, "entrypoint", "x");
    (void)json_set_str(body, "submission_id", "j");
    return job_attach(&c, body, "j", res, &e);
}

/* The first submitter submits; the next ones find the job; all exit as it did. */
Test(job_attach, once)
{
    head.looks_left = 3;
    head_begin();
    for (int i = 0; i < 3; i++) {
        struct job_result res = {0};

        cr_assert_eq(attach(&res), 3);
        cr_assert_str_eq(res.status, "FAILED");
    }
    cr_assert_eq(head.submissions, 1);
    head_end();
}

/* A job that ends as only a submitter's container does that was lost is told as a job that failed: by
 * its status nobody tries again. */
Test(job_attach, lost_or_failed)
{
    static const int lost[] = {JOB_EXIT_LOST};

    head_begin();
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        struct job_result res = {0};

        head.exit_status = lost[i];
        cr_assert_eq(attach(&res), 1);
        cr_assert_eq(res.exit_status, lost[i]);
    }
    head.exit_status = 254;
    struct job_result res = {0};
    cr_assert_eq(attach(&res), 254);
    head_end();
}

/* A head that refuses the submission ends the submitter; one that forgot the job is not given it
 * again. */
Test(job_attach, refused_and_forgotten)
{
    struct job_result res = {0};

    head.refuses = true;
    head_begin();
    cr_assert_eq(attach(&res), 1);
    cr_assert_eq(head.refused, 1);
    head_end();
    head.refuses = false;
    head.forgets = true;
    head.looks_left = 100;
    head_begin();
    cr_assert_eq(attach(&res), 1);
    cr_assert_eq(head.submissions, 1);
    head_end();
}

static void *late(void *arg)
{
    usleep(300000); /* most likely the submitter has found nobody by now */
    head_begin();
    return arg;
}

/* A submitter that is there before its head waits for it. */
Test(job_attach, waits)
{
    struct job_result res = {0};
    pthread_t t;

    head_begin(); /* for a port that is free */
    head_end();
    cr_assert_eq(pthread_create(&t, NULL, late, NULL), 0);
    cr_assert_eq(attach(&res), 3);
    cr_assert_eq(pthread_join(t, NULL), 0);
    cr_assert_eq(head.submissions, 1);
    head_end();
}
