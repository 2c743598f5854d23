/*
 * GET /api/jobs/ID?wait_ms=N&known_status=S: answered when the job's status is no longer S, or after
 * N ms. S is empty for a job that is not known yet. What Ray's own API does not have, and ignores.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rest/rest_impl.h"

#define WAIT_MAX_MS 50000 /* the server itself answers for handlers that take a minute */
#define WAITS_MAX   10000 /* beyond them, requests are answered at once */

struct job_wait {
    struct list link;        /* in rest->job_waits */
    struct rest *rest;       /* whose */
    struct http_exchange *x; /* to be answered */
    struct loop_timer timer; /* the end of the wait */
    char known[16];          /* the status that is no news */
};

static bool is_news(const struct job_wait *w)
{
    return strcmp(rest_job_status(w->rest->options.core, http_param(w->x, "id")), w->known) != 0;
}

/* Out of the list; the exchange is the caller's. */
static struct http_exchange *end(struct job_wait *w)
{
    struct http_exchange *x = w->x;

    loop_timer_stop(&w->timer);
    list_del(&w->link);
    w->rest->njob_waits--;
    if (list_empty(&w->rest->job_waits))
        loop_hook_remove(&w->rest->job_hook);
    mem_free(w);
    return x;
}

static void on_time(struct loop_timer *timer)
{
    struct job_wait *w = LOOP_OF(timer, struct job_wait, timer);
    struct rest *rest = w->rest;

    rest_jobs_answer(rest, end(w));
}

/* Before the loop sleeps: has any job changed? */
static void on_hook(struct loop_hook *h)
{
    struct rest *rest = LOOP_OF(h, struct rest, job_hook);
    uint64_t changes = gcs_core_submission_changes(rest->options.core);
    struct job_wait *w, *next;

    if (changes == rest->job_changes)
        return;
    rest->job_changes = changes;
    LIST_FOREACH_SAFE (w, next, &rest->job_waits, link) {
        if (is_news(w)) /* by a timer: answers go out from the loop's next round */
            loop_timer_start(rest->options.loop, &w->timer, 0, 0, on_time);
    }
}

void rest_jobs_get(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;
    const char *ms_text = http_query(x, "wait_ms"), *known = http_query(x, "known_status");
    long ms = ms_text ? strtol(ms_text, NULL, 10) : 0;
    struct job_wait *w =
        ms > 0 && known && strlen(known) < sizeof w->known ? mem_new(struct job_wait) : NULL;

    if (w) {
        w->rest = rest;
        w->x = x;
        memcpy(w->known, known, strlen(known)); /* the rest is zero */
    }
    if (!w || is_news(w) || rest->njob_waits >= WAITS_MAX) {
        mem_free(w);
        rest_jobs_answer(rest, x);
        return;
    }
    if (list_empty(&rest->job_waits)) {
        rest->job_changes = gcs_core_submission_changes(rest->options.core);
        loop_hook_add(rest->options.loop, &rest->job_hook, on_hook);
    }
    list_add_tail(&rest->job_waits, &w->link);
    rest->njob_waits++;
    loop_timer_start(rest->options.loop, &w->timer, (uint64_t)(ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS),
                     0, on_time);
}

void rest_job_waits_end(struct rest *rest)
{
    struct job_wait *w, *next;

    LIST_FOREACH_SAFE (w, next, &rest->job_waits, link)
        http_answer_error(end(w), 503, "the server ends");
}
