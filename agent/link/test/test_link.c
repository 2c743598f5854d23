/* Links between nodes of one process, over the in-memory transport. */
#include "link/link.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>

#include "base/clock.h"
#include "raia/error.h"

struct end {
    uint8_t id[16];
    char address[32];
    struct rpc_server *server;
    struct links *links;
    uint64_t next; /* number in the record that is expected */
    uint64_t in;   /* bytes of large records */
    int ups, broken, writable;
    uint16_t last_type;
};

static struct loop *loop;

static void on_up(void *arg, const uint8_t node[16])
{
    (void)node;
    ((struct end *)arg)->ups++;
}

static int on_record(void *arg, const uint8_t node[16], uint16_t type, const void *head,
                     size_t head_size, const void *data, size_t data_size)
{
    struct end *e = arg;

    (void)node;
    e->last_type = type;
    if (type == 1) {
        uint64_t n;
        cr_assert_eq(head_size, sizeof n);
        memcpy(&n, head, sizeof n);
        cr_assert_eq(n, e->next, "out of order");
        e->next++;
    } else if (type == 2) {
        for (size_t i = 0; i < data_size; i += 4096)
            cr_assert_eq(((const uint8_t *)data)[i], 0x5a);
        e->in += data_size;
    } else if (type == 9) {
        return -RAIA_ERR_PROTOCOL;
    }
    return 0;
}

static void on_writable(void *arg, const uint8_t node[16])
{
    (void)node;
    ((struct end *)arg)->writable++;
}

static void on_broken(void *arg, const uint8_t node[16], const char *why)
{
    (void)node;
    (void)why;
    ((struct end *)arg)->broken++;
}

static const struct links_ops ops = {
    .on_up = on_up, .on_record = on_record, .on_writable = on_writable, .on_broken = on_broken};

static void end_open(struct end *e, uint8_t name)
{
    struct rpc_server_opts opts = {.max_message = 32u << 20, .outbox = 64u << 20};

    memset(e, 0, sizeof *e);
    e->id[0] = name;
    snprintf(e->address, sizeof e->address, "mem:link-%d-%d", (int)getpid(), name);
    cr_assert_eq(rpc_server_new(loop, &opts, &e->server, NULL), 0);
    cr_assert_eq(links_new(loop, e->server, NULL, e->id, &ops, e, &e->links, NULL), 0);
    cr_assert_eq(rpc_server_listen(e->server, e->address, 0, NULL, NULL), 0);
    cr_assert_eq(rpc_server_start(e->server, NULL), 0);
}

static void on_gone(void *arg)
{
    *(bool *)arg = true;
}

static void end_close(struct end *e)
{
    bool gone = false;

    links_free(e->links);
    rpc_server_shutdown(e->server, 0, on_gone, &gone);
    while (!gone)
        loop_run_once(loop, 100);
}

static struct end a, b;

static void setup(void)
{
    cr_assert_eq(loop_new(&loop, NULL), 0);
    end_open(&a, 1);
    end_open(&b, 2);
    cr_assert_eq(links_address(a.links, b.id, b.address), 0);
    cr_assert_eq(links_address(b.links, a.id, a.address), 0);
}

static void teardown(void)
{
    end_close(&a);
    end_close(&b);
    while (loop_run_once(loop, 0))
        ;
    cr_assert_eq(loop_free(loop), 0);
}

TestSuite(link, .init = setup, .fini = teardown, .timeout = 60);

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        int64_t deadline__ = clock_deadline_ms(20000);                                             \
        while (!(condition)) {                                                                     \
            cr_assert_not(clock_expired(deadline__, clock_now_ns()), "never: " #condition);        \
            loop_run_once(loop, 10);                                                               \
        }                                                                                          \
    } while (0)

static int say(struct end *from, struct end *to, uint64_t n)
{
    return links_send(from->links, to->id, 1, &n, sizeof n, NULL, 0, NULL, NULL);
}

/* The first send dials; records arrive in order, both ways, over one link. */
Test(link, order)
{
    struct links_stats s;

    for (uint64_t i = 0; i < 2000; i++)
        cr_assert_eq(say(&a, &b, i), 0);
    UNTIL(b.next == 2000);
    for (uint64_t i = 0; i < 2000; i++)
        cr_assert_eq(say(&b, &a, i), 0);
    UNTIL(a.next == 2000);
    links_stats(a.links, &s);
    cr_assert(s.up == 1 && a.ups == 1 && b.ups == 1);
    cr_assert_eq(a.broken + b.broken, 0);
}

/* Both dial at once: one link stays, nothing is lost. */
Test(link, both_dial)
{
    for (uint64_t i = 0; i < 100; i++) {
        cr_assert_eq(say(&a, &b, i), 0);
        cr_assert_eq(say(&b, &a, i), 0);
    }
    UNTIL(a.next == 100 && b.next == 100);
    cr_assert_eq(a.broken + b.broken, 0);
    for (uint64_t i = 100; i < 200; i++) {
        cr_assert_eq(say(&a, &b, i), 0);
        cr_assert_eq(say(&b, &a, i), 0);
    }
    UNTIL(a.next == 200 && b.next == 200);
}

static int released;

static void on_release(void *arg)
{
    (void)arg;
    released++;
}

/* Large records go without a copy, are released once each, and are refused when too much waits. */
Test(link, large)
{
    size_t size = 1 << 20;
    uint8_t *data = malloc(size);
    int sent = 0, refused = 0;

    memset(data, 0x5a, size);
    released = 0;
    cr_assert_eq(say(&a, &b, 0), 0);
    UNTIL(a.ups == 1);
    while (sent < 64) {
        int r = links_send(a.links, b.id, 2, "h", 1, data, size, on_release, NULL);
        if (r == -RAIA_ERR_LIMIT) {
            int before = a.writable;
            refused++;
            UNTIL(a.writable > before);
            continue;
        }
        cr_assert_eq(r, 0);
        sent++;
    }
    UNTIL(b.in == 64u * size && released == 64);
    cr_assert_gt(refused, 0);
    cr_assert_eq(say(&a, &b, 1), 0);
    UNTIL(b.next == 2);
    free(data);
}

/* A record that makes no sense breaks the link; each side is told once, and it is dialled anew. */
Test(link, breaks)
{
    cr_assert_eq(say(&a, &b, 0), 0);
    UNTIL(b.next == 1);
    cr_assert_eq(links_send(a.links, b.id, 9, "x", 1, NULL, 0, NULL, NULL), 0);
    UNTIL(a.broken == 1 && b.broken == 1);
    b.next = 0;
    cr_assert_eq(say(&a, &b, 0), 0);
    UNTIL(b.next == 1);
    cr_assert_eq(a.broken, 1);
    cr_assert_eq(b.broken, 1);
}

/* A node without an address, or one that was dropped, cannot be sent to. */
Test(link, unknown)
{
    uint8_t nobody[16] = {77};
    uint64_t n = 0;

    cr_assert_eq(links_send(a.links, nobody, 1, &n, sizeof n, NULL, 0, NULL, NULL),
                 -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(say(&a, &b, 0), 0);
    UNTIL(b.next == 1);
    links_drop(a.links, b.id);
    cr_assert_eq(say(&a, &b, 1), -RAIA_ERR_UNAVAILABLE);
    UNTIL(b.broken == 1);
    cr_assert_eq(a.broken, 0);
}
