/* The real raia-raylet, with the real supervisor and GCS around it, as processes see it. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "base/clock.h"
#include "cluster.h"
#include "json/json.h"
#include "raia/error.h"

#define WAIT 30000

static struct cluster_t cluster;

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    cluster_start(&cluster);
}

static void teardown(void)
{
    cluster_stop(&cluster);
}

TestSuite(raylet, .init = setup, .fini = teardown, .timeout = 110);

static void cpu_class(struct client *c, uint32_t number, int64_t quantity)
{
    static const char *const names[] = {"CPU"};

    cr_assert_eq(client_class(c, number, names, &quantity, 1, 0), 0);
}

static struct rec_lease next_lease(struct client *c)
{
    struct rec_lease l;

    cr_assert_eq(client_wait(c, REC_LEASE, WAIT, NULL, &l, sizeof l, NULL), 0, "no lease came");
    return l;
}

static void assert_consistent(int node)
{
    struct json *s = cluster_status(&cluster, node);
    bool ok = false;

    cr_assert_eq(json_get_bool(s, "consistent", &ok, NULL), 0);
    cr_assert(ok, "the accounts of node %d do not agree", node);
    json_free(s);
}

/* A driver gets workers, talks to one over a ring pair, gives them back, and all CPUs are free. */
Test(raylet, leases_and_pairs)
{
    struct rec_lease a, b;
    struct client *c;
    struct record_head h;
    char text[64];
    size_t size;
    uint32_t peer;

    cluster_add(&cluster, "--num-cpus=2");
    c = cluster_driver(&cluster, 0);
    cpu_class(c, 1, 10000);
    client_demand(c, 1, 2, 0);
    a = next_lease(c);
    b = next_lease(c);
    cr_assert_neq(a.lease, b.lease);
    cr_assert(memcmp(a.worker.worker, b.worker.worker, 16));
    peer = client_peer_open(c, &a.worker, WAIT);
    cr_assert_neq(peer, 0);
    for (int i = 0; i < 100; i++) {
        int n = snprintf(text, sizeof text, "call %d", i);
        client_peer_send(c, peer, 1, (uint64_t)i, text, (size_t)n);
        cr_assert_eq(client_peer_wait(c, peer, WAIT, &h, text, sizeof text, &size), 0);
        cr_assert_eq(h.tag, (uint64_t)i);
        cr_assert_eq(size, (size_t)n);
    }
    assert_consistent(0);
    client_return(c, &a, false);
    client_return(c, &b, false);
    cr_assert(cluster_until(&cluster, 0, "resources.CPU.available", 2));
    assert_consistent(0);
    client_free(c);
    cr_assert(cluster_until(&cluster, 0, "processes", 0), "workers outlived their job");
}

/* A worker that is killed: its owner is told with how it died, its peer is closed, its CPU comes
 * back, and demand is met by another one. */
Test(raylet, worker_killed)
{
    struct rec_lease a, b;
    struct rec_lease_lost lost;
    struct rec_peer_closed closed;
    struct client *c;
    uint32_t peer;
    char text[512] = "";

    cluster_add(&cluster, "--num-cpus=1");
    c = cluster_driver(&cluster, 0);
    cpu_class(c, 1, 10000);
    client_demand(c, 1, 1, 0);
    a = next_lease(c);
    peer = client_peer_open(c, &a.worker, WAIT);
    client_peer_send(c, peer, 3, 0, "", 0);
    cr_assert_eq(client_wait(c, REC_PEER_CLOSED, WAIT, NULL, &closed, sizeof closed, NULL), 0);
    cr_assert_eq(closed.status, -RAIA_ERR_WORKER_CRASHED);
    cr_assert_eq(closed.number, peer);
    cr_assert_eq(client_wait(c, REC_LEASE_LOST, WAIT, NULL, text, sizeof text, NULL), 0);
    memcpy(&lost, text, sizeof lost);
    cr_assert_eq(lost.lease, a.lease);
    cr_assert_eq(lost.exit_status, 128 + SIGKILL);
    cr_assert(strstr(text + sizeof lost, "signal 9"));
    client_demand(c, 1, 1, 1);
    b = next_lease(c);
    cr_assert_neq(b.lease, a.lease);
    assert_consistent(0);
    client_free(c);
    cr_assert(cluster_until(&cluster, 0, "resources.CPU.available", 1));
}

/* A blocked worker lends its CPU to another one. */
Test(raylet, blocked_worker)
{
    struct rec_lease a;
    struct record_head h;
    struct client *c;
    size_t size;
    uint32_t peer;
    char text[16];

    cluster_add(&cluster, "--num-cpus=1");
    c = cluster_driver(&cluster, 0);
    cpu_class(c, 1, 10000);
    client_demand(c, 1, 2, 0);
    a = next_lease(c);
    peer = client_peer_open(c, &a.worker, WAIT);
    client_peer_send(c, peer, 4, 0, "", 0);
    cr_assert_eq(client_peer_wait(c, peer, WAIT, &h, text, sizeof text, &size), 0);
    next_lease(c);
    cr_assert(cluster_until(&cluster, 0, "workers.blocked", 1));
    client_peer_send(c, peer, 5, 0, "", 0);
    cr_assert(cluster_until(&cluster, 0, "resources.CPU.available", -1));
    assert_consistent(0);
    client_free(c);
    cr_assert(cluster_until(&cluster, 0, "resources.CPU.available", 1));
}

/* What a worker prints reaches its driver as lines that name it. */
Test(raylet, log_lines)
{
    struct rec_lease a;
    struct rec_log log;
    struct client *c;
    char data[512] = "";
    size_t size;
    uint32_t peer;

    cluster_add(&cluster, "--num-cpus=1");
    c = cluster_driver(&cluster, 0);
    cpu_class(c, 1, 10000);
    client_demand(c, 1, 1, 0);
    a = next_lease(c);
    peer = client_peer_open(c, &a.worker, WAIT);
    client_peer_send(c, peer, 2, 0, "hello from a worker", 19);
    cr_assert_eq(client_wait(c, REC_LOG, WAIT, NULL, data, sizeof data - 1, &size), 0);
    memcpy(&log, data, sizeof log);
    cr_assert_arr_eq(log.from.worker, a.worker.worker, 16);
    cr_assert_eq(log.is_stderr, 0);
    cr_assert_eq(size, sizeof log + 2 + 4 + 19);
    cr_assert_arr_eq(data + size - 19, "hello from a worker", 19);
    client_free(c);
}

/* What no node can ever meet is told; and a malformed record ends the session, not the raylet. */
Test(raylet, infeasible_and_malformed)
{
    struct rec_demand_failed failed;
    struct client *c, *d;
    char text[512] = "";

    cluster_add(&cluster, "--num-cpus=1 --resources={\"gpu\":1}");
    c = cluster_driver(&cluster, 0);
    cpu_class(c, 1, 80000);
    client_demand(c, 1, 1, 0);
    cr_assert_eq(client_wait(c, REC_DEMAND_FAILED, WAIT, NULL, text, sizeof text - 1, NULL), 0);
    memcpy(&failed, text, sizeof failed);
    cr_assert_eq(failed.status, -RAIA_ERR_UNSCHEDULABLE);
    cr_assert(strstr(text + sizeof failed, "8 CPU"));
    client_send(c, REC_DEMAND, 0, "x", 1);
    cr_assert_eq(client_wait(c, REC_LEASE, WAIT, NULL, NULL, 0, NULL), -RAIA_ERR_UNAVAILABLE);
    client_free(c);
    d = cluster_driver(&cluster, 0);
    cpu_class(d, 1, 10000);
    client_demand(d, 1, 1, 0);
    next_lease(d);
    client_free(d);
}

/* The memory that a GOT or CREATED answer names, mapped; its segment has come just before. */
static uint8_t *segment_map(struct client *c, const struct rec_store_at *at)
{
    struct record_head h;
    uint8_t data[128];
    size_t size;
    Raia__Agent__Segment *m;
    void *p;

    cr_assert_eq(client_wait(c, REC_SEGMENT, WAIT, &h, data, sizeof data, &size), 0);
    m = raia__agent__segment__unpack(NULL, size, data);
    cr_assert_eq(m->segment, at->segment);
    p = mmap(NULL, m->size, PROT_READ | (m->writable ? PROT_WRITE : 0), MAP_SHARED, h.flags, 0);
    raia__agent__segment__free_unpacked(m, NULL);
    cr_assert_neq(p, MAP_FAILED);
    return (uint8_t *)p + at->offset;
}

/* An object that one driver makes is read by itself, and by a process of another node through the
 * link; when it is freed, both stores are empty. */
Test(raylet, objects)
{
    struct rec_store_create create = {.size = 5 << 20, .deadline_ms = 5000};
    struct rec_object object = {0};
    struct rec_store_at at;
    struct {
        struct rec_store_get get;
        uint8_t node[16];
    } get = {.get = {.nnodes = 1, .deadline_ms = WAIT}};
    struct rec_store_free gone = {0};
    struct client *c, *d;
    uint8_t *p;

    cluster_add(&cluster, "--num-cpus=1");
    cluster_add(&cluster, "--num-cpus=1");
    c = cluster_driver(&cluster, 0);
    d = cluster_driver(&cluster, 1);
    memcpy(create.object, c->worker, 16);
    memcpy(object.object, create.object, 28);
    memcpy(get.get.object, create.object, 28);
    memcpy(gone.object, create.object, 28);
    memcpy(create.owner.node, c->node, 16);
    memcpy(create.owner.worker, c->worker, 16);
    get.get.owner = create.owner;
    memcpy(get.node, c->node, 16);
    client_send(c, REC_STORE_CREATE, 1, &create, sizeof create);
    cr_assert_eq(client_wait(c, REC_STORE_CREATED, WAIT, NULL, &at, sizeof at, NULL), 0);
    cr_assert_eq(at.status, 0);
    p = segment_map(c, &at);
    memset(p, 0xab, create.size);
    client_send(c, REC_STORE_SEAL, 0, &object, sizeof object);
    client_send(d, REC_STORE_GET, 2, &get, sizeof get);
    cr_assert_eq(client_wait(d, REC_STORE_GOT, WAIT, NULL, &at, sizeof at, NULL), 0);
    cr_assert_eq(at.status, 0, "%s", raia_strerror(at.status));
    cr_assert_eq(at.size, create.size);
    p = segment_map(d, &at);
    for (size_t i = 0; i < at.size; i += 4096)
        cr_assert_eq(p[i], 0xab);
    client_send(d, REC_STORE_RELEASE, 0, &object, sizeof object);
    client_send(c, REC_STORE_RELEASE, 0, &object, sizeof object);
    client_send(c, REC_STORE_FREE, 0, &gone, sizeof gone);
    cr_assert(cluster_until(&cluster, 0, "store.objects", 0));
    cr_assert(cluster_until(&cluster, 1, "store.objects", 0));
    client_free(c);
    client_free(d);
}

/* The GCS is killed and started again: leases go on meanwhile, and drivers can join afterwards. */
Test(raylet, gcs_killed)
{
    struct rec_lease a;
    struct client *c, *d;
    struct json *j = NULL;
    int64_t pid = 0;

    cluster_add(&cluster, "--num-cpus=2 --storage=sqlite");
    c = cluster_driver(&cluster, 0);
    cpu_class(c, 1, 10000);
    client_demand(c, 1, 1, 0);
    a = next_lease(c);
    cr_assert_eq(json_load(cluster_path(&cluster, 0, "gcs.json"), NULL, &j, NULL), 0);
    cr_assert_eq(json_get_int(j, "pid", &pid, NULL), 0);
    json_free(j);
    kill((pid_t)pid, SIGKILL);
    client_return(c, &a, false);
    client_demand(c, 1, 1, 1);
    next_lease(c);
    d = cluster_driver(&cluster, 0);
    cr_assert(memcmp(c->job, d->job, 4), "a job id was given twice");
    cpu_class(d, 1, 10000);
    client_demand(d, 1, 1, 0);
    next_lease(d);
    client_free(c);
    client_free(d);
    cr_assert(cluster_until(&cluster, 0, "processes", 0));
}

/* Two nodes: what does not fit on one is granted on the other; a channel carries records both ways
 * and in order; the death of the other raylet closes it and loses the lease. */
Test(raylet, two_nodes)
{
    static const char *const names[] = {"far"};
    int64_t one = 10000;
    struct rec_lease a;
    struct rec_channel ch;
    struct rec_lease_lost lost;
    struct rec_peer_closed closed;
    struct record_head h, inner;
    struct client *c;
    uint8_t data[RECORD_PAYLOAD_MAX];
    size_t size, sent = 0, got = 0;
    int64_t credit;
    uint32_t n = 0, seen = 0;
    int64_t deadline = clock_deadline_ms(WAIT);

    cluster_add(&cluster, "--num-cpus=1");
    cluster_add(&cluster, "--num-cpus=1 --resources={\"far\":1}");
    c = cluster_driver(&cluster, 0);
    cr_assert_eq(client_class(c, 1, names, &one, 1, 0), 0);
    client_demand(c, 1, 1, 0);
    a = next_lease(c);
    cr_assert(memcmp(a.worker.node, c->node, 16));
    client_send(c, REC_PEER_OPEN, 5, &a.worker, sizeof a.worker);
    cr_assert_eq(client_wait(c, REC_CHANNEL_OPENED, WAIT, &h, &ch, sizeof ch, NULL), 0);
    cr_assert_eq(h.tag, 5);
    credit = (int64_t)ch.credit;
    /* Several times the credit, echoed: 4 MiB each way. */
    while (got < (4u << 20)) {
        struct rec_credit more;
        size = 4096;
        while (credit >= (int64_t)size && sent < (4u << 20)) {
            memset(data, 0, size);
            inner = (struct record_head){.size = (uint32_t)size, .type = 1, .tag = n++};
            memcpy(data, &inner, sizeof inner);
            client_send(c, REC_CHANNEL_DATA, ch.channel, data, size);
            credit -= (int64_t)size;
            sent += size;
        }
        while (client_wait(c, REC_CHANNEL_CREDIT, 0, NULL, &more, sizeof more, NULL) == 0)
            credit += (int64_t)more.bytes;
        if (client_wait(c, REC_CHANNEL_DATA, credit < 4096 ? 50 : 1, &h, data, sizeof data,
                        &size) == 0) {
            memcpy(&inner, data, sizeof inner);
            cr_assert_eq(inner.tag, seen, "records are out of order");
            seen++;
            got += size;
        }
        cr_assert_not(c->broken);
        cr_assert_not(clock_expired(deadline, clock_now_ns()), "stuck after %zu bytes", got);
    }
    assert_consistent(0);
    assert_consistent(1);
    kill(cluster_raylet(&cluster, 1), SIGKILL);
    cr_assert_eq(client_wait(c, REC_PEER_CLOSED, WAIT, NULL, &closed, sizeof closed, NULL), 0);
    cr_assert(closed.status == -RAIA_ERR_UNAVAILABLE || closed.status == -RAIA_ERR_NODE_DIED);
    cr_assert_eq(client_wait(c, REC_LEASE_LOST, WAIT, NULL, &lost, sizeof lost, NULL), 0);
    cr_assert_eq(lost.lease, a.lease);
    /* The supervisor restarts it, as another node, which can be asked again. */
    client_demand(c, 1, 1, 1);
    a = next_lease(c);
    client_return(c, &a, false);
    client_free(c);
}
