/*
 * What the machine itself can do, with the pinning of this very run: a record there and back over
 * a ring between two processes, and copying memory. Calls and puts can come near, never past.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ring.h"
#include "bench/bench.h"

#define PAYLOAD      (100 - RING_HEADER_BYTES)
#define BIT          1
#define COPY_BYTES   100000000u
#define FRESH_BYTES  (10u * 1024 * 1024 * 8)
#define FRESH_COPIES 5u
#define BENCH_CPUS   256u
#define MEM_BYTES    (2 * DOORBELL_PAGE_BYTES + RING_PAIR_BYTES)

enum { TYPE_PING = 1 };

/* Two processes and the ring between them; this one has role 0. */
struct echo {
    uint8_t *mem;          /* shared: two doorbell pages, then the pair */
    bool block;            /* each side sleeps, and is sent to only when it does */
    struct doorbell bell;  /* ours */
    struct doorbell peer;  /* the other's, only to see whether it sleeps */
    struct ring_pair pair; /* ours */
    pid_t pid;             /* the peer; 0: none */
};

static int side_open(struct echo *e, unsigned role)
{
    struct doorbell_peer peer = {
        .page = (void *)(e->mem + (size_t)!role * DOORBELL_PAGE_BYTES), .eventfd = -1, .bit = BIT};

    doorbell_open(&e->bell, e->mem + (size_t)role * DOORBELL_PAGE_BYTES, -1);
    doorbell_open(&e->peer, e->mem + (size_t)!role * DOORBELL_PAGE_BYTES, -1);
    if (e->block)
        e->bell.spin_max_ns = 0;
    return ring_pair_attach(&e->pair, e->mem + 2 * DOORBELL_PAGE_BYTES, RING_PAIR_BYTES, role,
                            &peer);
}

/*
 * Two busy processes can answer each other before either has gone to sleep, for seconds on end. What
 * a wake-up costs shows only if there is one: so the sender waits until the other sleeps.
 */
static int send_record(struct echo *e, uint64_t tag)
{
    void *p;

    while (e->block && doorbell_state(&e->peer) != DOORBELL_WAITING)
        sched_yield();
    int r = ring_reserve(&e->pair.tx, TYPE_PING, 0, tag, PAYLOAD, &p);

    if (r < 0)
        return r;
    memset(p, 'r', PAYLOAD);
    ring_commit(&e->pair.tx, false);
    return 0;
}

/* Waits for a record and takes it. */
static int receive_record(struct echo *e, uint64_t *ret_tag)
{
    char copy[PAYLOAD];
    struct ring_header h;
    const void *p;
    unsigned bit;
    int r;

    while ((r = ring_peek(&e->pair.rx, &h, &p)) == 0) {
        int64_t deadline = clock_deadline_ms(10000);
        while (!doorbell_take(&e->bell, &bit))
            if ((r = doorbell_await(&e->bell, deadline)) < 0)
                return r;
    }
    if (r < 0)
        return r;
    memcpy(copy, p, PAYLOAD);
    __asm__ volatile("" ::"r"(copy) : "memory");
    *ret_tag = h.tag;
    ring_consume(&e->pair.rx);
    return 0;
}

static _Noreturn void peer_run(struct echo *e)
{
    uint64_t tag;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (side_open(e, 1) == 0)
        while (receive_record(e, &tag) == 0 && send_record(e, tag) == 0) {
        }
    _exit(0);
}

static int echo_open(struct bench *b, bool block)
{
    struct echo *e = calloc(1, sizeof *e);

    if (!e)
        return -RAIA_ERR_NOMEM;
    b->local = e;
    e->block = block;
    e->mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (e->mem == MAP_FAILED) {
        e->mem = NULL;
        return -RAIA_ERR_NOMEM;
    }
    doorbell_page_init(e->mem, 0);
    doorbell_page_init(e->mem + DOORBELL_PAGE_BYTES, 0);
    ring_pair_init(e->mem + 2 * DOORBELL_PAGE_BYTES, RING_PAIR_BYTES, RING_DATA_BYTES);
    pid_t pid = fork();
    if (pid < 0)
        return -RAIA_ERR_LIMIT;
    if (pid == 0)
        peer_run(e);
    e->pid = pid;
    return side_open(e, 0);
}

static int echo_block_open(struct bench *b)
{
    return echo_open(b, true);
}

static int echo_spin_open(struct bench *b)
{
    return echo_open(b, false);
}

static int echo_step(struct bench *b)
{
    struct echo *e = b->local;
    uint64_t tag;
    int r = send_record(e, 7);

    if (r == 0)
        r = receive_record(e, &tag);
    return r < 0 ? r : tag == 7 ? 0 : -RAIA_ERR_PROTOCOL;
}

static void echo_close(struct bench *b)
{
    struct echo *e = b->local;

    if (!e)
        return;
    if (e->pid > 0) {
        kill(e->pid, SIGKILL);
        waitpid(e->pid, NULL, 0);
    }
    if (e->mem)
        munmap(e->mem, MEM_BYTES);
    free(e);
    b->local = NULL;
}

/* From private memory to shared memory, as a put does; both were written before. */
static int copy_open(struct bench *b)
{
    b->memory_bytes = bench_size(b, COPY_BYTES);
    void *from = mmap(NULL, b->memory_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    void *to = mmap(NULL, b->memory_bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    b->memory = from == MAP_FAILED ? NULL : from;
    b->memory2 = to == MAP_FAILED ? NULL : to;
    if (!b->memory || !b->memory2)
        return -RAIA_ERR_NOMEM;
    memset(b->memory, 'r', b->memory_bytes);
    memset(b->memory2, 's', b->memory_bytes);
    return 0;
}

static int copy_step(struct bench *b)
{
    memcpy(b->memory2, b->memory, b->memory_bytes);
    __asm__ volatile("" ::"r"(b->memory2) : "memory");
    return 0;
}

static void copy_close(struct bench *b)
{
    if (b->memory2)
        munmap(b->memory2, b->memory_bytes);
    b->memory2 = NULL; /* bench_release takes the other */
}

static double copy_weight(const struct bench *b)
{
    return (double)b->memory_bytes / 1e9;
}

/*
 * What the body of "multi client put gigabytes" costs without Raia: each CPU copies zeros that it
 * has just been given (a page fault for every 4 KiB of them) to memory that was written before.
 */
static int fresh_open(struct bench *b)
{
    b->memory_bytes = bench_size(b, FRESH_BYTES) * b->cpus;
    void *to = mmap(NULL, b->memory_bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    b->memory = to == MAP_FAILED ? NULL : to;
    return b->memory ? 0 : -RAIA_ERR_NOMEM;
}

static _Noreturn void fresh_child(uint8_t *to, size_t size)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0; i < FRESH_COPIES; i++) {
        void *zeros = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (zeros == MAP_FAILED)
            _exit(1);
        memcpy(to, zeros, size);
        __asm__ volatile("" ::"r"(to) : "memory");
        munmap(zeros, size);
    }
    _exit(0);
}

static int fresh_step(struct bench *b)
{
    size_t size = b->memory_bytes / b->cpus;
    pid_t pids[BENCH_CPUS];
    unsigned n = 0;
    int r = 0, status;

    for (; n < b->cpus && n < BENCH_CPUS && r == 0; n++) {
        pids[n] = fork();
        if (pids[n] == 0)
            fresh_child(b->memory + n * size, size);
        if (pids[n] < 0)
            r = -RAIA_ERR_LIMIT;
    }
    for (unsigned i = 0; i < n; i++)
        if (pids[i] > 0 && (waitpid(pids[i], &status, 0) < 0 || status != 0))
            r = -RAIA_ERR_NOMEM;
    return r;
}

/* As in Ray's file: 83,886,080 bytes are 0.08 GB. */
static double fresh_weight(const struct bench *b)
{
    unsigned n = b->cpus < BENCH_CPUS ? b->cpus : BENCH_CPUS;
    double size = (double)b->memory_bytes / b->cpus;

    return n * FRESH_COPIES * size / FRESH_BYTES * 0.08;
}

static const struct bench_case cases[] = {
    {.name = "raw ring round trip",
     .unit = "round trips, each side sleeps",
     .machine = true,
     .open = echo_block_open,
     .step = echo_step,
     .close = echo_close},
    {.name = "raw ring round trip, spinning",
     .unit = "round trips, spins while that pays",
     .machine = true,
     .open = echo_spin_open,
     .step = echo_step,
     .close = echo_close},
    {.name = "warm memcpy",
     .unit = "GB, 100 MB at a time",
     .machine = true,
     .open = copy_open,
     .step = copy_step,
     .close = copy_close,
     .weight = copy_weight},
    {.name = "memcpy of fresh zeros, every CPU",
     .unit = "GB",
     .machine = true,
     .open = fresh_open,
     .step = fresh_step,
     .weight = fresh_weight},
};

const struct bench_group bench_machine = {cases, sizeof cases / sizeof *cases};
