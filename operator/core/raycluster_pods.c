/* Pods that are missing, too many, or of no use: made and deleted. */
#include "core/raycluster_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/conditions.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#define STAGE_PODS 1
#define STAGE_LAST 2 /* of a group whose pods are refused: it shall not keep others waiting */

/* -- back-off ---------------------------------------------------------------------------------- */

void rc_count_failures__(struct rc_pass *x, const struct ray_group *g, int64_t n)
{
    struct rc_backoff *b = HASH_GET_STR(x->memory->groups, g->name);
    int64_t most = x->self->base.config->backoff_max_ns, wait = 0;

    if (n == 0 || x->r < 0)
        return;
    if (!b) {
        b = mem_new(struct rc_backoff);
        if (!b || !(b->group = mem_strdup(g->name)) ||
            HASH_PUT_STR(x->memory->groups, group, b) < 0) {
            if (b)
                mem_free(b->group);
            mem_free(b);
            rc_ok__(x, -RAIA_ERR_NOMEM);
            return;
        }
    }
    if (b->failures > 0 && x->s->now - b->last > 2 * most)
        b->failures = 0;
    if (b->failures > 0) {
        unsigned doublings = b->failures - 1 < 30 ? b->failures - 1 : 30;
        wait = RAYCLUSTER_BACKOFF_NS << doublings;
        wait = wait > most ? most : wait;
    }
    b->held = (x->s->now < b->due ? b->held : 0) + n;
    b->failures++;
    b->last = x->s->now;
    b->due = x->s->now + wait;
}

int64_t rc_allowed__(struct rc_pass *x, const struct ray_group *g, int64_t missing)
{
    struct rc_backoff *b = HASH_GET_STR(x->memory->groups, g->name);

    if (!b || x->s->now >= b->due)
        return missing;
    plan_again(x->p, b->due);
    return missing > b->held ? missing - b->held : 0;
}

/* -- one pod ----------------------------------------------------------------------------------- */

void rc_delete_pod__(struct rc_pass *x, struct rc_pod *pod)
{
    bool lost = pod->fate == RC_LOST;

    if (pod->dropped || (pod->going && !lost))
        return;
    pod->dropped = true;
    rc_ok__(x, plan_delete(x->p, STAGE_PODS, &kube_pods, pod->seen->meta->ns, pod->name,
                           pod->seen->meta->uid, lost ? 0 : -1));
}

static bool taken(struct rc_pass *x, const struct ray_group *g, const char *name)
{
    return rc_find__(&x->s->of[SEEN_PODS], name) || rc_find__(&x->s->foreign, name) ||
           HASH_GET_STR(x->made, name) || ray_group_to_delete(g, name);
}

static int choose_name(struct rc_pass *x, const struct ray_group *g, const char *slot,
                       char ret[POD_NAME_SIZE])
{
    unsigned most = (unsigned)(x->s->of[SEEN_PODS].n + x->s->foreign.n + HASH_SIZE(x->made) +
                               json_size(g->to_delete) + 1000);
    char number[32];

    for (unsigned i = 0; i < most; i++) {
        unsigned salt = x->memory->salt + (slot ? i : 0);
        snprintf(number, sizeof number, "%u", i);
        if (RAYCLUSTER_PLANTED(RAYCLUSTER_PLANT_RANDOM_NAMES))
            snprintf(number, sizeof number, "%u-%lld", i, (long long)x->s->now);
        pod_name(x->c, g, slot ? slot : number, salt, ret);
        if (!taken(x, g, ret))
            return 0;
    }
    return err_set(x->e, RAIA_ERR_LIMIT, "group '%s': no free name for a pod", g->name);
}

void rc_create_pod__(struct rc_pass *x, const struct ray_group *g, const char *slot,
                     struct pod_place *at)
{
    struct rc_name *made = mem_new(struct rc_name);
    struct json *pod = NULL;
    struct raia_error why = {0};

    if (!rc_ok__(x, made ? 0 : -RAIA_ERR_NOMEM) ||
        !rc_ok__(x, choose_name(x, g, slot, made->name)) ||
        !rc_ok__(x, HASH_PUT_STR(x->made, name, made))) {
        mem_free(made);
        return;
    }
    at->name = made->name;
    int r = pod_build(&x->site, g, at, &pod, &why);
    if (r == -RAIA_ERR_INVALID) {
        char text[API_REPORT_MAX];
        snprintf(text, sizeof text, "%s.template.%s", g->path, why.text);
        rc_accepted__(x, false, RAIA_REASON_INVALID, text);
        x->refused = true;
        return;
    }
    if (rc_ok__(x, r))
        rc_ok__(x, plan_create(x->p, g == x->failed ? STAGE_LAST : STAGE_PODS, &kube_pods, pod));
}

static void create_pods(struct rc_pass *x, const struct ray_group *g, int64_t n)
{
    struct pod_place at = {.replica = -1};
    unsigned before = HASH_SIZE(x->made);

    for (int64_t i = 0; i < n && x->r == 0 && !x->refused; i++)
        rc_create_pod__(x, g, NULL, &at);
    unsigned made = HASH_SIZE(x->made) - before;
    if (made > 0 && x->r == 0 && !x->refused)
        rc_note_created__(x, g, made);
}

void rc_note_created__(struct rc_pass *x, const struct ray_group *g, unsigned n)
{
    size_t len = strlen(x->created);

    x->created_head |= g->is_head;
    if (len + strlen(g->name) + 64 < sizeof x->created)
        snprintf(x->created + len, sizeof x->created - len, "%sgroup %s: created %u pod%s",
                 len ? "; " : "", g->name, n, n == 1 ? "" : "s");
    else if (!str_ends_with(x->created, "..."))
        snprintf(x->created + len, sizeof x->created - len, "; ...");
}

/* One event for all of them: each is a request, and many clusters may come at a time. */
static void tell_created(struct rc_pass *x)
{
    if (x->created[0])
        rc_ok__(x, plan_event(x->p, KUBE_NORMAL,
                              x->created_head ? "CreatedHeadPod" : "CreatedWorkerPod", "%s",
                              x->created));
}

static void tell_deleted(struct rc_pass *x, bool head, const char *group, unsigned n,
                         const char *why)
{
    if (n > 0)
        rc_ok__(
            x, plan_event(x->p, KUBE_NORMAL, head ? "DeletedHeadPod" : "DeletedWorkerPod",
                          n == 1 ? "group %s: deleted %u pod: %s" : "group %s: deleted %u pods: %s",
                          group, n, why));
}

void rc_delete_all__(struct rc_pass *x)
{
    for (size_t i = 0; i < x->n_pods; i++)
        rc_delete_pod__(x, &x->pods[i]);
}

/* Those of a group that are of no use any more; what failed by itself counts for the back-off. */
static void drop_useless(struct rc_pass *x, const struct ray_group *g)
{
    static const char *const words[] = {[RC_ENDED] = "ended",
                                        [RC_CRASHING] = "restarted too often",
                                        [RC_LOST] = "their node is lost"};
    unsigned n[RC_LOST + 1] = {0};

    for (size_t i = 0; i < x->n_pods; i++) {
        struct rc_pod *pod = &x->pods[i];
        if (pod->group != g || pod->fate == RC_FINE || pod->fate == RC_GOING)
            continue;
        rc_delete_pod__(x, pod);
        n[pod->fate]++;
    }
    for (int f = RC_ENDED; f <= RC_LOST; f++)
        tell_deleted(x, g->is_head, g->name, n[f], words[f]);
    rc_count_failures__(x, g, (int64_t)n[RC_ENDED] + n[RC_CRASHING]);
}

/* -- head -------------------------------------------------------------------------------------- */

/* The one that stays if there are several: ready, then older. */
static bool better_head(const struct rc_pod *a, const struct rc_pod *b)
{
    if (a->ready != b->ready)
        return a->ready;
    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms;
    return strcmp(a->name, b->name) < 0;
}

static void make_head(struct rc_pass *x)
{
    const struct ray_group *g = &x->c->spec.head;
    struct rc_pod *best = NULL;
    size_t there = 0;

    drop_useless(x, g);
    for (size_t i = 0; i < x->n_pods; i++) {
        struct rc_pod *pod = &x->pods[i];
        if (!pod->head)
            continue;
        there += !(RAYCLUSTER_PLANTED(RAYCLUSTER_PLANT_TWO_HEADS) && pod->going);
        if (pod->fate == RC_FINE && (!best || better_head(pod, best)))
            best = pod;
    }
    for (size_t i = 0; i < x->n_pods; i++)
        if (x->pods[i].head && x->pods[i].fate == RC_FINE && &x->pods[i] != best)
            rc_delete_pod__(x, &x->pods[i]);
    if (there > 0 || rc_allowed__(x, g, 1) == 0)
        return;
    if (ray_is_true(x->c->annotations, RAY_ANNOTATION_NO_HEAD_AGAIN) &&
        conditions_true(json_get(x->c->status, "conditions"), RAY_COND_PROVISIONED))
        return;
    create_pods(x, g, 1);
}

/* -- workers ----------------------------------------------------------------------------------- */

/* Which is missed least: not running, not ready, then the newest. */
static int least_first(const void *pa, const void *pb)
{
    const struct rc_pod *a = *(struct rc_pod *const *)pa, *b = *(struct rc_pod *const *)pb;

    if (a->running != b->running)
        return a->running ? 1 : -1;
    if (a->ready != b->ready)
        return a->ready ? 1 : -1;
    if (a->created_ms != b->created_ms)
        return a->created_ms > b->created_ms ? -1 : 1;
    return strcmp(b->name, a->name);
}

static void make_workers(struct rc_pass *x, const struct ray_group *g)
{
    _cleanup_(mem_freep) struct rc_pod **fine = mem_calloc(x->n_pods + 1, sizeof(struct rc_pod *));
    int64_t n = 0;
    unsigned named = 0;

    drop_useless(x, g);
    if (!rc_ok__(x, fine ? 0 : -RAIA_ERR_NOMEM))
        return;
    for (size_t i = 0; i < x->n_pods; i++) {
        struct rc_pod *pod = &x->pods[i];
        if (pod->group != g || pod->fate != RC_FINE)
            continue;
        if (ray_group_to_delete(g, pod->name)) {
            rc_delete_pod__(x, pod);
            named++;
        } else {
            fine[n++] = pod;
        }
    }
    tell_deleted(x, false, g->name, named, "named in workersToDelete");
    if (n < g->desired) {
        create_pods(x, g, rc_allowed__(x, g, g->desired - n));
        return;
    }
    qsort(fine, (size_t)n, sizeof *fine, least_first);
    for (int64_t i = 0; i < n - g->desired; i++)
        rc_delete_pod__(x, fine[i]);
    tell_deleted(x, false, g->name, (unsigned)(n - g->desired), "fewer are wanted");
}

static void drop_removed_groups(struct rc_pass *x)
{
    if (RAYCLUSTER_PLANTED(RAYCLUSTER_PLANT_ORPHANS))
        return;
    for (size_t i = 0; i < x->n_pods; i++) {
        struct rc_pod *pod = &x->pods[i];
        if (pod->group)
            continue;
        const char *group = rc_label__(pod->seen->tree, RAY_LABEL_GROUP);
        bool first = !pod->dropped && !pod->going;
        rc_delete_pod__(x, pod);
        if (first)
            tell_deleted(x, false, group ? group : "", 1, "its group was removed");
    }
}

/* upgradeStrategy Recreate: pods of another spec go, all of them, before the first new one comes. */
static bool drop_stale(struct rc_pass *x)
{
    bool stale = false;

    for (size_t i = 0; i < x->n_pods; i++)
        if (x->pods[i].stale) {
            stale = true;
            rc_delete_pod__(x, &x->pods[i]);
        }
    if (stale)
        rc_ok__(x, plan_event(x->p, KUBE_NORMAL, "DeletedPods",
                              "the spec changed: all pods are made anew"));
    return stale;
}

void rc_make_pods__(struct rc_pass *x)
{
    if (x->r < 0 || drop_stale(x))
        return;
    make_head(x);
    for (size_t i = 0; i < x->c->spec.n_workers && x->r == 0 && !x->refused; i++) {
        const struct ray_group *g = &x->c->spec.workers[i];
        if (g->hosts > 1) {
            drop_useless(x, g);
            rc_make_hosts__(x, g);
        } else {
            make_workers(x, g);
        }
    }
    drop_removed_groups(x);
    tell_created(x);
}
