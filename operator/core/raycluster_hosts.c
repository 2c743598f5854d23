/*
 * Groups whose replicas have several hosts: one lives or goes as a whole.
 *
 * A replica that has begun and is not complete any more is deleted, and made anew when all of it is
 * gone; one whose pods have not run yet is only being made, and is filled up.
 */
#include "core/raycluster_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* One replica, by its index. */
struct replica {
    int64_t n;       /* pods that stay */
    int64_t there;   /* pods, those that go too */
    int64_t ready;   /* of those that stay */
    int64_t created; /* ms: the latest */
    bool begun;      /* one of them has run */
    bool broken;     /* one of them has gone, or will */
};

/* Pods of a group, from the one after *i; NULL: no more. */
static struct rc_pod *next_pod(struct rc_pass *x, const struct ray_group *g, size_t *i)
{
    while (*i < x->n_pods) {
        struct rc_pod *pod = &x->pods[(*i)++];
        if (pod->group == g)
            return pod;
    }
    return NULL;
}

static void drop_replica(struct rc_pass *x, const struct ray_group *g, int64_t index)
{
    struct rc_pod *pod;

    for (size_t i = 0; (pod = next_pod(x, g, &i));)
        if (pod->replica == index)
            rc_delete_pod__(x, pod);
}

static void look(struct rc_pass *x, const struct ray_group *g, struct replica *all, int64_t n)
{
    struct rc_pod *pod;

    for (size_t i = 0; (pod = next_pod(x, g, &i));) {
        if (pod->replica < 0 || pod->replica >= n || pod->host < 0 || pod->host >= g->hosts) {
            rc_delete_pod__(x, pod); /* of a group that had one host, or fewer */
            continue;
        }
        struct replica *r = &all[pod->replica];
        bool stays = pod->fate == RC_FINE && !ray_group_to_delete(g, pod->name);
        r->there++;
        r->n += stays;
        r->ready += stays && pod->ready;
        r->begun |= pod->running;
        r->broken |= !stays;
        if (pod->created_ms > r->created)
            r->created = pod->created_ms;
    }
}

static bool has_host(struct rc_pass *x, const struct ray_group *g, int64_t replica, int64_t host)
{
    struct rc_pod *pod;

    for (size_t i = 0; (pod = next_pod(x, g, &i));)
        if (pod->replica == replica && pod->host == host)
            return true;
    return false;
}

static void fill(struct rc_pass *x, const struct ray_group *g, int64_t replica)
{
    char name[POD_NAME_SIZE], slot[64];
    struct pod_place at = {.replica = replica, .replica_name = name};

    pod_replica_name(x->c, g, replica, name);
    for (at.host = 0; at.host < g->hosts && x->r == 0 && !x->refused; at.host++) {
        if (has_host(x, g, replica, at.host))
            continue;
        snprintf(slot, sizeof slot, "%lld.%lld", (long long)replica, (long long)at.host);
        rc_create_pod__(x, g, slot, &at);
    }
}

/* The replica that is missed least; -1: none is there. */
static int64_t least(const struct replica *all, int64_t n, const bool *gone)
{
    int64_t best = -1;

    for (int64_t i = 0; i < n; i++) {
        if (all[i].n == 0 || gone[i])
            continue;
        if (best < 0 || all[i].begun < all[best].begun ||
            (all[i].begun == all[best].begun &&
             (all[i].ready < all[best].ready ||
              (all[i].ready == all[best].ready && all[i].created >= all[best].created))))
            best = i;
    }
    return best;
}

void rc_make_hosts__(struct rc_pass *x, const struct ray_group *g)
{
    int64_t n = g->desired_replicas, whole = 0;
    struct rc_pod *pod;

    for (size_t i = 0; (pod = next_pod(x, g, &i));)
        if (pod->replica >= n && pod->replica < RAY_PODS_MAX)
            n = pod->replica + 1;
    n++; /* room to number a new one while others go */
    n += g->desired_replicas;
    _cleanup_(mem_freep) struct replica *all = mem_calloc((size_t)n + 1, sizeof *all);
    _cleanup_(mem_freep) bool *gone = mem_calloc((size_t)n + 1, sizeof *gone);
    if (!rc_ok__(x, all && gone ? 0 : -RAIA_ERR_NOMEM))
        return;
    look(x, g, all, n);
    for (int64_t i = 0; i < n; i++) {
        gone[i] = all[i].there > 0 && (all[i].broken || (all[i].begun && all[i].n < g->hosts));
        if (gone[i])
            drop_replica(x, g, i);
        whole += all[i].n > 0 && !gone[i];
    }
    for (; whole > g->desired_replicas; whole--) {
        int64_t i = least(all, n, gone);
        drop_replica(x, g, i);
        gone[i] = true;
    }
    int64_t missing = g->desired_replicas - whole;
    int64_t allowed = (rc_allowed__(x, g, missing * g->hosts) + g->hosts - 1) / g->hosts;
    unsigned made = HASH_SIZE(x->made);
    for (int64_t i = 0; i < n && x->r == 0; i++) {
        bool fresh = all[i].there == 0 && allowed > 0;
        if (gone[i] || (!fresh && all[i].n == 0))
            continue;
        allowed -= fresh;
        fill(x, g, i);
    }
    made = HASH_SIZE(x->made) - made;
    if (made > 0)
        rc_note_created__(x, g, made);
}
