/* A raylet's jobs: each driver comes with one, and it ends with the driver; as agent/raylet's jobs.c
 * does it. */
#include <string.h>

#include "sim/node_impl.h"

#define AGAIN_NS (300 * CLOCK_NS_PER_MS) /* what was asked and not answered is asked again */

static struct node_job *find(struct node *n, const uint8_t id[4])
{
    for (unsigned i = 0; i < n->n_jobs; i++)
        if (!memcmp(n->jobs[i].id, id, 4))
            return &n->jobs[i];
    return NULL;
}

struct node_job *node_job_get(struct node *n, const uint8_t id[4])
{
    struct node_job *j = find(n, id);

    if (j)
        return j;
    if (n->n_jobs == JOBS_MAX) {
        sim_fail(n->c->sim, "no room for more jobs");
        return NULL;
    }
    j = &n->jobs[n->n_jobs++];
    *j = (struct node_job){0};
    memcpy(j->id, id, 4);
    return j;
}

bool node_job_over(struct node *n, const uint8_t id[4])
{
    const struct node_job *j = find(n, id);
    struct gcs_word w = {.type = WORD_JOB_ASK};

    if (j || !memcmp(id, node_actors_job, 4))
        return j && j->ended;
    /* One that it never heard of may have ended before this node was there. */
    memcpy(w.job, id, 4);
    node_say(n, &w);
    return !node_job_get(n, id);
}

void node_job_ended(struct node *n, const uint8_t id[4])
{
    struct node_job *j = node_job_get(n, id);

    if (!j || j->ended)
        return;
    j->ended = true;
    if (n->c->plant == PLANT_JOB_STAYS && !j->driver)
        return;
    sched_job_ended(n->sched, world_now(n->c), id);
    node_store_job_gone(n, id);
}

/* ---- drivers */

static void ask(void *ctx)
{
    struct node *n = ctx;
    struct gcs_word w = {.type = WORD_JOB_ADD};

    for (unsigned i = 0; i < n->n_coming; i++) {
        memcpy(w.token, n->coming[i], 16);
        node_say(n, &w);
    }
    if (n->n_coming)
        sim_after(n->c->sim, n->sn, AGAIN_NS, ask, n, NULL);
}

void node_add_driver(struct node *n)
{
    prng_fill(n->c->prng, n->coming[n->n_coming++], 16);
    if (n->n_coming == 1)
        sim_after(n->c->sim, n->sn, CLOCK_NS_PER_MS, ask, n, NULL);
}

void node_job_added(struct node *n, const struct gcs_word *w)
{
    struct node_job *j;
    struct session *s;
    unsigned i = 0;

    while (i < n->n_coming && memcmp(n->coming[i], w->token, 16))
        i++;
    if (i == n->n_coming)
        return; /* the answer to a question that was asked twice */
    memmove(n->coming[i], n->coming[i + 1], (--n->n_coming - i) * sizeof(n->coming[0]));
    j = node_job_get(n, w->job);
    s = j ? session_new(n, 0, w->job) : NULL;
    if (!s)
        return;
    j->driver = s->p;
    world_job(n->c, w->job, s->p);
    load_start(s->p);
}

bool node_awaits_driver(const struct node *n)
{
    return n->n_coming > 0;
}

void node_driver_left(struct node *n, const uint8_t id[4])
{
    struct node_job *j = find(n, id);

    j->finishing = true;
    node_jobs_finish(n);
    node_job_ended(n, id);
    j->driver = NULL;
}

void node_jobs_finish(struct node *n)
{
    struct gcs_word w = {.type = WORD_JOB_FINISH};

    for (unsigned i = 0; i < n->n_jobs; i++) {
        if (!n->jobs[i].finishing)
            continue;
        memcpy(w.job, n->jobs[i].id, 4);
        node_say(n, &w);
    }
}

void node_job_finished(struct node *n, const uint8_t id[4])
{
    find(n, id)->finishing = false;
}

/* ---- the control store */

void node_jobs_hello(struct node *n)
{
    struct gcs_word w = {.type = WORD_JOB_HERE};

    for (unsigned i = 0; i < n->n_jobs; i++) {
        if (n->jobs[i].ended)
            continue;
        memcpy(w.job, n->jobs[i].id, 4);
        w.state = n->jobs[i].driver != NULL;
        node_say(n, &w);
    }
}

bool node_jobs_idle(const struct node *n)
{
    const struct session *s;

    LIST_FOREACH (s, &n->sessions, link)
        if (s->worker && proc_alive(s->p) && world_job_over(n->c, s->job))
            return false;
    return true;
}
