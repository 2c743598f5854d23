/* The scheduler of one node, step by step; many nodes: test_sched_sim.c. */
#include "core/sched.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "raia/error.h"

#define MS INT64_C(1000000)

struct seen {
    uint64_t spawned[64];
    int nspawned;
    uint64_t grant_client[64], lease[64];
    int ngrants;
    uint64_t reclaimed[64];
    int nreclaims;
    int nlost, lost_status, lost_exit;
    int nfailed, failed_status;
    char text[256];
    uint64_t taken_worker, taken_lease;
    int ntaken;
    uint32_t asked, request;
    uint32_t rejected;
    uint64_t answered[64];
    int nanswered;
    int nrooms;
    int nstopped;
};

static void on_grant(void *arg, uint64_t client, uint32_t number, uint64_t lease,
                     const uint8_t node[16], const uint8_t worker[16])
{
    struct seen *s = arg;

    (void)number;
    (void)node;
    (void)worker;
    s->grant_client[s->ngrants] = client;
    s->lease[s->ngrants++] = lease;
}

static void on_reclaim(void *arg, uint64_t client, uint64_t lease, const uint8_t node[16])
{
    struct seen *s = arg;

    (void)client;
    (void)node;
    s->reclaimed[s->nreclaims++] = lease;
}

static void on_lost(void *arg, uint64_t client, uint64_t lease, const uint8_t node[16],
                    const uint8_t worker[16], int status, int exit_status, const char *text)
{
    struct seen *s = arg;

    (void)client;
    (void)lease;
    (void)node;
    (void)worker;
    s->nlost++;
    s->lost_status = status;
    s->lost_exit = exit_status;
    snprintf(s->text, sizeof s->text, "%s", text);
}

static void on_failed(void *arg, uint64_t client, uint32_t number, int status, const char *text)
{
    struct seen *s = arg;

    (void)client;
    (void)number;
    s->nfailed++;
    s->failed_status = status;
    snprintf(s->text, sizeof s->text, "%s", text);
}

static uint64_t reserved_tag;
static int nreserved;

static void on_reserved(void *arg, uint64_t tag)
{
    (void)arg;
    reserved_tag = tag;
    nreserved++;
}

static void on_taken(void *arg, uint64_t tag, uint64_t lease, uint64_t worker, int status,
                     const char *text)
{
    struct seen *s = arg;

    (void)tag;
    (void)status;
    (void)text;
    s->ntaken++;
    s->taken_lease = lease;
    s->taken_worker = worker;
}

static void on_ask(void *arg, int node, uint32_t request, uint32_t count,
                   const struct sched_shape *shape)
{
    struct seen *s = arg;

    (void)node;
    (void)shape;
    s->asked += count;
    s->request = request;
}

static void on_answer_grant(void *arg, int node, uint32_t request, uint64_t lease,
                            const uint8_t worker[16])
{
    struct seen *s = arg;

    (void)node;
    (void)request;
    (void)worker;
    s->answered[s->nanswered++] = lease;
}

static void on_answer_reject(void *arg, int node, uint32_t request, uint32_t count, int status,
                             const char *text)
{
    struct seen *s = arg;

    (void)node;
    (void)request;
    (void)status;
    (void)text;
    s->rejected += count;
}

static void on_return_to(void *arg, int node, uint64_t lease, bool broken)
{
    (void)arg;
    (void)node;
    (void)lease;
    (void)broken;
}

static void on_reclaim_from(void *arg, int node, uint64_t lease)
{
    struct seen *s = arg;

    (void)node;
    s->reclaimed[s->nreclaims++] = lease;
}

static void on_lost_at(void *arg, int node, uint64_t lease, int status, int exit_status,
                       const char *text)
{
    (void)arg;
    (void)node;
    (void)lease;
    (void)status;
    (void)exit_status;
    (void)text;
}

static void on_room(void *arg, int node)
{
    struct seen *s = arg;

    (void)node;
    s->nrooms++;
}

static void on_spawn(void *arg, uint64_t worker, const uint8_t job[4])
{
    struct seen *s = arg;

    (void)job;
    s->spawned[s->nspawned++] = worker;
}

static void on_stop(void *arg, uint64_t worker, bool force, const char *why)
{
    struct seen *s = arg;

    (void)worker;
    (void)force;
    (void)why;
    s->nstopped++;
}

static const struct sched_ops ops = {
    .grant = on_grant,
    .reclaim = on_reclaim,
    .lost = on_lost,
    .failed = on_failed,
    .taken = on_taken,
    .reserved = on_reserved,
    .ask = on_ask,
    .answer_grant = on_answer_grant,
    .answer_reject = on_answer_reject,
    .return_to = on_return_to,
    .reclaim_from = on_reclaim_from,
    .lost_at = on_lost_at,
    .room = on_room,
    .spawn = on_spawn,
    .stop = on_stop,
};
static const uint8_t job[4] = {0, 0, 0, 1}, here[16] = {1}, there[16] = {2};

static struct res_set cpus(int64_t n)
{
    struct res_set s = {0};

    res_set_add(&s, RES_CPU, n * RES_UNIT);
    return s;
}

static struct sched *node(struct seen *seen, int64_t n)
{
    struct res_set total = cpus(n);
    struct sched_config c;
    struct sched *s;

    sched_config_default(&c, &total);
    memcpy(c.node, here, 16);
    c.reclaim_ns = 100 * MS;
    s = sched_new(&c, &ops, seen);
    cr_assert_not_null(s);
    return s;
}

static void ready_all(struct sched *s, struct seen *seen)
{
    static int done;

    for (done = 0; done < seen->nspawned; done++) {
        uint8_t id[16] = {9, (uint8_t)seen->spawned[done]};
        sched_worker_ready(s, 0, seen->spawned[done], id);
    }
}

static void client(struct sched *s, uint64_t id, int64_t need)
{
    struct res_set n = cpus(need);

    cr_assert_eq(sched_client(s, id, job), 0);
    cr_assert_eq(sched_class(s, id, 1, &n, false), 0);
}

/* Demand is met up to what the node has, in turn between two that ask, and the accounts agree. */
Test(sched, grants_in_turn)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 4);

    client(s, 1, 1);
    client(s, 2, 1);
    cr_assert_eq(sched_demand(s, 0, 1, 1, 10, 0, NULL), 0);
    cr_assert_eq(sched_demand(s, 0, 2, 1, 10, 0, NULL), 0);
    cr_assert_eq(seen.nspawned, 4);
    ready_all(s, &seen);
    cr_assert_eq(seen.ngrants, 4);
    cr_assert_neq(seen.grant_client[0], seen.grant_client[1]);
    cr_assert_eq(seen.grant_client[0], seen.grant_client[2]);
    cr_assert(sched_check(s));
    sched_return(s, 0, seen.grant_client[0], here, seen.lease[0], false);
    cr_assert_eq(seen.ngrants, 5);
    cr_assert(sched_check(s));
    sched_free(s);
}

/* A level counts the grants that its owner had not seen yet. */
Test(sched, level)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 4);

    client(s, 1, 1);
    sched_demand(s, 0, 1, 1, 2, 0, NULL);
    ready_all(s, &seen);
    cr_assert_eq(seen.ngrants, 2);
    sched_demand(s, 0, 1, 1, 2, 0, NULL); /* written before the two had come */
    cr_assert_eq(seen.ngrants, 2);
    sched_demand(s, 0, 1, 1, 1, 2, NULL);
    ready_all(s, &seen);
    cr_assert_eq(seen.ngrants, 3);
    cr_assert_eq(sched_demand(s, 0, 1, 1, 1, 4, NULL), -RAIA_ERR_INVALID);
    cr_assert_eq(sched_demand(s, 0, 1, 2, 1, 0, NULL), -RAIA_ERR_INVALID);
    sched_free(s);
}

/* Demand that is taken back frees what was reserved for it while workers start. */
Test(sched, cancel_while_starting)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 4);

    client(s, 1, 4);
    sched_demand(s, 0, 1, 1, 1, 0, NULL);
    cr_assert_eq(sched_ledger(s)->available[0], 0);
    sched_demand(s, 0, 1, 1, 0, 0, NULL);
    cr_assert_eq(sched_ledger(s)->available[0], 4 * RES_UNIT);
    ready_all(s, &seen);
    cr_assert_eq(seen.ngrants, 0);
    cr_assert(sched_check(s));
    sched_free(s);
}

/* A blocked worker lends its CPU, and takes it back at once, even below zero. */
Test(sched, blocked_lends)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 1);

    client(s, 1, 1);
    sched_demand(s, 0, 1, 1, 2, 0, NULL);
    ready_all(s, &seen);
    cr_assert_eq(seen.ngrants, 1);
    sched_worker_blocked(s, 0, seen.spawned[0], true);
    ready_all(s, &seen);
    cr_assert_eq(seen.ngrants, 2);
    sched_worker_blocked(s, 0, seen.spawned[0], false);
    cr_assert_eq(sched_ledger(s)->available[0], -RES_UNIT);
    cr_assert(sched_check(s));
    sched_return(s, 0, 1, here, seen.lease[1], false);
    sched_return(s, 0, 1, here, seen.lease[0], false);
    cr_assert_eq(sched_ledger(s)->available[0], RES_UNIT);
    cr_assert(sched_check(s));
    sched_free(s);
}

/* A worker's death is told to who held it, with how it died; its CPU comes back. */
Test(sched, death)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 1);

    client(s, 1, 1);
    sched_demand(s, 0, 1, 1, 1, 0, NULL);
    ready_all(s, &seen);
    sched_worker_exited(s, 0, seen.spawned[0], 139, "killed by signal 11");
    cr_assert_eq(seen.nlost, 1);
    cr_assert_eq(seen.lost_status, -RAIA_ERR_WORKER_CRASHED);
    cr_assert_eq(seen.lost_exit, 139);
    cr_assert_str_eq(seen.text, "killed by signal 11");
    cr_assert_eq(sched_ledger(s)->available[0], RES_UNIT);
    cr_assert(sched_check(s));
    sched_free(s);
}

/* What no node could ever meet is told once, naming it, and met when a node comes that can. */
Test(sched, infeasible)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 1);
    struct res_set eight = cpus(8);

    client(s, 1, 8);
    sched_demand(s, 0, 1, 1, 1, 0, NULL);
    cr_assert_eq(sched_tick(s, 0), 1000 * MS);
    cr_assert_eq(seen.nfailed, 0);
    sched_tick(s, 1000 * MS);
    sched_tick(s, 5000 * MS);
    cr_assert_eq(seen.nfailed, 1);
    cr_assert_eq(seen.failed_status, -RAIA_ERR_UNSCHEDULABLE);
    cr_assert(strstr(seen.text, "8"));
    sched_node_view(s, 6000 * MS, there, 1, &eight, &eight);
    cr_assert_eq(seen.asked, 1);
    sched_free(s);
}

/* Someone who has nothing gets a lease that another holds for long; it is asked back once. */
Test(sched, reclaim)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 2);

    client(s, 1, 1);
    client(s, 2, 1);
    sched_demand(s, 0, 1, 1, 10, 0, NULL);
    ready_all(s, &seen);
    sched_demand(s, 0, 2, 1, 1, 0, NULL);
    sched_tick(s, 50 * MS);
    cr_assert_eq(seen.nreclaims, 0);
    sched_tick(s, 150 * MS);
    sched_tick(s, 250 * MS);
    cr_assert_eq(seen.nreclaims, 1);
    sched_demand(s, 260 * MS, 1, 1, 0, 2, NULL);
    sched_return(s, 260 * MS, 1, here, seen.reclaimed[0], false);
    cr_assert_eq(seen.ngrants, 3);
    cr_assert_eq(seen.grant_client[2], 2);
    sched_free(s);
}

/* A full node asks the other one; rejected, it waits until that one says that it has room. */
Test(sched, spillback)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 1);
    struct res_set one = cpus(1), none = {0};
    uint8_t worker[16] = {7};
    struct sched_stats stats;

    sched_node_view(s, 0, there, 1, &one, &one);
    client(s, 1, 1);
    sched_demand(s, 0, 1, 1, 2, 0, NULL);
    ready_all(s, &seen);
    cr_assert_eq(seen.ngrants, 1);
    cr_assert_eq(seen.asked, 1);
    sched_node_view(s, 0, there, 2, NULL, &none);
    sched_rejected(s, 0, 0, seen.request, 1, 0, "");
    cr_assert_eq(seen.asked, 1);
    sched_node_view(s, 0, there, 3, NULL, &one);
    cr_assert_eq(seen.asked, 2);
    sched_granted(s, 0, 0, seen.request + 5, 77, worker); /* no such request */
    cr_assert_eq(seen.ngrants, 1);
    sched_granted(s, 0, 0, seen.request, 77, worker);
    cr_assert_eq(seen.ngrants, 2);
    sched_node_lost(s, 0, there, true);
    cr_assert_eq(seen.nlost, 1);
    cr_assert_eq(seen.lost_status, -RAIA_ERR_NODE_DIED);
    sched_stats(s, &stats);
    cr_assert_eq(stats.remote_leases, 0);
    cr_assert(sched_check(s));
    sched_free(s);
}

/* Asked by another node: granted what fits, the rest rejected at once, told when there is room. */
Test(sched, asked)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 2);
    struct res_set one = cpus(1);
    struct sched_shape shape = {.need = one, .job = {0, 0, 0, 1}};

    sched_node_view(s, 0, there, 1, &one, &one);
    sched_asked(s, 0, 0, 5, 3, &shape);
    cr_assert_eq(seen.rejected, 1);
    ready_all(s, &seen);
    cr_assert_eq(seen.nanswered, 2);
    sched_returned(s, 0, 0, seen.answered[0], false);
    cr_assert_eq(seen.nrooms, 1);
    sched_returned(s, 0, 0, seen.answered[0], false); /* again: ignored */
    sched_node_lost(s, 0, there, false);
    cr_assert_eq(sched_ledger(s)->available[0], 2 * RES_UNIT);
    cr_assert_eq(seen.nstopped, 1); /* who held it may still be using it */
    cr_assert(sched_check(s));
    sched_free(s);
}

/* An actor is placed with a CPU and then holds none, until its worker ends. */
Test(sched, actor)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 1);
    struct res_set one = cpus(1), none = {0};

    cr_assert_eq(sched_take(s, 0, job, &one, &none, 42), 0);
    cr_assert_eq(sched_take(s, 0, job, &one, &none, 43), -RAIA_ERR_LIMIT);
    ready_all(s, &seen);
    cr_assert_eq(seen.ntaken, 1);
    cr_assert_eq(seen.taken_worker, seen.spawned[0]);
    cr_assert_eq(sched_ledger(s)->available[0], RES_UNIT);
    cr_assert_eq(sched_worker_lease(s, seen.spawned[0]), seen.taken_lease);
    sched_worker_exited(s, 0, seen.spawned[0], 0, "left");
    cr_assert(sched_check(s));
    sched_free(s);
}

/* A client that goes takes its demand and its leases along. */
Test(sched, client_gone)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 2);
    struct sched_stats stats;

    client(s, 1, 1);
    sched_demand(s, 0, 1, 1, 5, 0, NULL);
    ready_all(s, &seen);
    sched_client_gone(s, 0, 1);
    sched_stats(s, &stats);
    cr_assert(stats.leases == 0 && stats.want == 0 && stats.clients == 0);
    cr_assert_eq(sched_ledger(s)->available[0], 2 * RES_UNIT);
    cr_assert_eq(seen.nstopped, 2);
    cr_assert(sched_check(s));
    sched_free(s);
}

/* Resources of an entrypoint: held when they are free, before leases that wait longer; a lease is
 * asked back for them; free again at the end; what has to be held is held whatever is free. */
Test(sched, reservations)
{
    struct seen seen = {0};
    struct sched *s = node(&seen, 2);
    struct res_set two = {0}, nine = {0};
    int64_t later = 0;

    nreserved = 0;
    res_set_add(&two, RES_CPU, 2 * RES_UNIT);
    res_set_add(&nine, RES_CPU, 9 * RES_UNIT);
    client(s, 1, 1);
    sched_demand(s, 0, 1, 1, 5, 0, NULL);
    ready_all(s, &seen);
    cr_assert_eq(seen.ngrants, 2);
    cr_assert_eq(sched_reserve(s, 0, 71, &nine, false), 0);
    cr_assert_eq(sched_reserve(s, 0, 72, &two, false), 0);
    cr_assert_eq(sched_reserve(s, 0, 72, &two, false), -RAIA_ERR_EXISTS);
    cr_assert_eq(nreserved, 0);
    for (int i = 0; i < 400; i++)
        sched_tick(s, later += 10000000);
    cr_assert_eq(seen.nreclaims, 2);
    sched_demand(s, later, 1, 1, 0, 2, NULL);
    sched_return(s, later, 1, here, seen.lease[0], false);
    sched_return(s, later, 1, here, seen.lease[1], false);
    cr_assert_eq(nreserved, 1);
    cr_assert_eq(reserved_tag, 72);
    cr_assert(sched_check(s));
    sched_demand(s, later, 1, 1, 1, 2, NULL);
    cr_assert_eq(sched_ledger(s)->available[0], 0);
    cr_assert_eq(sched_reserve(s, later, 73, &two, true), 0);
    cr_assert_eq(sched_ledger(s)->available[0], -2 * RES_UNIT);
    sched_unreserve(s, later, 72);
    sched_unreserve(s, later, 71);
    sched_unreserve(s, later, 71);
    cr_assert_eq(seen.ngrants, 2);
    sched_unreserve(s, later, 73);
    ready_all(s, &seen);
    cr_assert_eq(seen.ngrants, 3);
    cr_assert(sched_check(s));
    sched_free(s);
}
