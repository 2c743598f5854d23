/*
 * Two sides that send each other records of random sizes as fast as they can, through small and
 * large rings, as two processes and as two threads (the latter for ThreadSanitizer, which does not
 * get on with Criterion: so this is a program of its own).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ring.h"
#include "raia/error.h"

#define STRESS_DEADLINE_MS 60000 /* only a lost wake-up takes that long */

/* What both sides share. */
struct stress {
    uint8_t *mem;   /* two doorbell pages, then the pair */
    size_t len;     /* of all of it */
    size_t pair;    /* of the pair */
    uint32_t data;  /* bytes each way */
    uint64_t count; /* records each way */
    bool spin;      /* as opened, or never */
};

/* One side. */
struct side {
    const struct stress *s; /* what it shares */
    unsigned role;          /* 0 or 1 */
    const char *error;      /* NULL: all is well */
    struct doorbell bell;   /* its own */
    struct ring_pair pair;  /* its handle */
    uint64_t sent, got;     /* records */
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* The size and the content of record i follow from i and the role that sends it. */
static size_t size_of(const struct stress *s, unsigned role, uint64_t i)
{
    uint64_t m = mix(i * 2 + role);
    uint32_t max = ring_payload_max(s->data);

    return m % 16 == 0 ? (m >> 8) % (max + 1) : (m >> 8) % (max / 16 + 1);
}

static void fill(uint8_t *p, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = mix(seed + i);
        memcpy(p + i, &word, n - i < 8 ? n - i : 8);
    }
}

static int send_some(struct side *d)
{
    unsigned batch = 1 + mix(d->sent) % 8;
    int r = 0;

    while (r == 0 && batch-- && d->sent < d->s->count) {
        void *p;
        size_t n = size_of(d->s, d->role, d->sent);
        r = ring_reserve(&d->pair.tx, 1, (uint16_t)n, d->sent, n, &p);
        if (r == 0)
            fill(p, n, d->sent++ * 2 + d->role);
    }
    ring_commit(&d->pair.tx, false);
    return r;
}

static const char *receive_all(struct side *d)
{
    static _Thread_local uint8_t want[RING_PAYLOAD_MAX], copy[RING_PAYLOAD_MAX];
    struct ring_header h;
    const void *p;
    int r;

    while ((r = ring_peek(&d->pair.rx, &h, &p)) > 0) {
        size_t n = size_of(d->s, !d->role, d->got);
        if (h.tag != d->got || h.type != 1 || h.flags != (uint16_t)n || ring_payload_size(&h) != n)
            return "a wrong header";
        memcpy(copy, p, n);
        fill(want, n, d->got++ * 2 + !d->role);
        if (memcmp(copy, want, n) != 0)
            return "a wrong payload";
        ring_consume(&d->pair.rx);
    }
    return r == 0 ? NULL : "the pair ended";
}

/* Sends and receives all, and tells what went wrong in d->error. */
static void *side_run(void *arg)
{
    struct side *d = arg;
    const struct stress *s = d->s;
    uint8_t *pages = s->mem;
    struct doorbell_peer peer = {
        .page = (void *)(pages + (size_t)!d->role * DOORBELL_PAGE_BYTES), .eventfd = -1, .bit = 99};
    int64_t deadline = clock_deadline_ms(STRESS_DEADLINE_MS);

    doorbell_open(&d->bell, pages + (size_t)d->role * DOORBELL_PAGE_BYTES, -1);
    if (!s->spin)
        d->bell.spin_max_ns = 0;
    if (ring_pair_attach(&d->pair, pages + 2 * DOORBELL_PAGE_BYTES, s->pair, d->role, &peer) < 0)
        d->error = "attach";
    while (!d->error && (d->sent < s->count || d->got < s->count)) {
        unsigned bit;
        bool full = d->sent == s->count || send_some(d) < 0;
        bool rung = doorbell_take(&d->bell, &bit);
        if (rung)
            d->error = bit == 99 ? receive_all(d) : "a wrong bit";
        else if (full && doorbell_await(&d->bell, deadline) < 0)
            d->error = "a lost wake-up";
    }
    return NULL;
}

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "test_base_ring_stress: %s\n", what);
    exit(1);
}

static void stress_open(struct stress *s)
{
    s->pair = RING_PAIR_SIZE((size_t)s->data);
    s->len = 2 * DOORBELL_PAGE_BYTES + s->pair;
    s->mem = mmap(NULL, s->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(s->mem != MAP_FAILED, "mmap");
    doorbell_page_init(s->mem, 0);
    doorbell_page_init(s->mem + DOORBELL_PAGE_BYTES, 0);
    check(ring_pair_init(s->mem + 2 * DOORBELL_PAGE_BYTES, s->pair, s->data) == 0, "init");
}

static void run_processes(uint32_t data, uint64_t count, bool spin)
{
    struct stress s = {.data = data, .count = count, .spin = spin};
    struct side parent = {.s = &s, .role = 0}, child = {.s = &s, .role = 1};
    int status;

    stress_open(&s);
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) {
        side_run(&child);
        _exit(child.error ? 1 : 0);
    }
    side_run(&parent);
    check(waitpid(pid, &status, 0) == pid, "waitpid");
    check(!parent.error, parent.error);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child saw something wrong");
    munmap(s.mem, s.len);
}

static void run_threads(uint32_t data, uint64_t count, bool spin)
{
    struct stress s = {.data = data, .count = count, .spin = spin};
    struct side a = {.s = &s, .role = 0}, b = {.s = &s, .role = 1};
    pthread_t t;

    stress_open(&s);
    check(pthread_create(&t, NULL, side_run, &b) == 0, "pthread_create");
    side_run(&a);
    pthread_join(t, NULL);
    check(!a.error, a.error);
    check(!b.error, b.error);
    munmap(s.mem, s.len);
}

int main(void)
{
    /* Between processes every record arrives whole and in order, both ways, spinning or not. */
    run_processes(RING_DATA_BYTES, 100000, true);
    run_processes(RING_DATA_BYTES, 100000, false);
    run_processes(1024, 100000, true);
    run_processes(1024, 100000, false);
    /* The same between threads. */
    run_threads(RING_DATA_BYTES, 20000, true);
    run_threads(1024, 20000, true);
    run_threads(1024, 20000, false);
    return 0;
}
