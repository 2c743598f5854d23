/*
 * ring_bench: what the rings can do here, between two processes, in records of 100 bytes. One line
 * of JSON for each case:
 *
 *     oneway_spin        records a second one way, a commit each, the consumer never sleeps
 *     oneway_batch       the same, 16 records a commit
 *     oneway_block       a commit each, the consumer sleeps when there is nothing
 *     pingpong_futex     round trip of a bare futex hand-off, no ring: the kernel's own limit
 *     pingpong_block     round trip, both sides sleep at once: the "raw ring round trip"
 *     pingpong_spin      round trip, both sides spin as long as that pays
 *
 * usage: ring_bench [--seconds S] [--pin same|split] [CASE...]
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ring.h"

#define PAYLOAD (100 - RING_HEADER_BYTES)
#define BIT     1
#define LINGER  4 /* looks at an empty ring */

enum { TYPE_DATA = 1, TYPE_STOP };

/* One process's end. */
struct side {
    struct doorbell bell;  /* its own */
    struct ring_pair pair; /* its handle */
};

/* One case. */
struct bench {
    const char *name; /* as printed */
    bool round_trip;  /* counts round trips, not records */
    bool spin;        /* else both sides sleep at once */
    unsigned batch;   /* records a commit */
    uint64_t (*run)(const struct bench *b, int64_t ns, uint8_t *mem); /* in the first process */
    void (*peer)(const struct bench *b, uint8_t *mem);                /* in the other one */
};

static int pin = -1;   /* -1: as the kernel likes; 0: both on one CPU; 1: on two */
static cpu_set_t have; /* the CPUs that we started with */

static void pin_to(unsigned role)
{
    cpu_set_t want;
    int cpus[2] = {-1, -1};

    if (pin < 0)
        return;
    for (int i = 0, n = 0; i < CPU_SETSIZE && n < 2; i++)
        if (CPU_ISSET(i, &have))
            cpus[n++] = i;
    int cpu = cpus[pin ? role : 0];
    CPU_ZERO(&want);
    CPU_SET(cpu < 0 ? cpus[0] : cpu, &want);
    sched_setaffinity(0, sizeof want, &want);
}

static void side_open(struct side *s, const struct bench *b, unsigned role, uint8_t *mem)
{
    struct doorbell_peer peer = {
        .page = (void *)(mem + (size_t)!role * DOORBELL_PAGE_BYTES), .eventfd = -1, .bit = BIT};

    doorbell_open(&s->bell, mem + (size_t)role * DOORBELL_PAGE_BYTES, -1);
    if (!b->spin)
        s->bell.spin_max_ns = 0;
    if (ring_pair_attach(&s->pair, mem + 2 * DOORBELL_PAGE_BYTES, RING_PAIR_BYTES, role, &peer))
        exit(1);
}

/* Waits for something; with `hot` it never sleeps, to see what the ring itself can do. */
static void wait_ring(struct side *s, bool hot)
{
    unsigned bit;

    while (!doorbell_take(&s->bell, &bit))
        if (!hot)
            doorbell_await(&s->bell, CLOCK_NEVER);
}

static void send_one(struct side *s, uint16_t type, uint64_t tag, bool hot)
{
    static const char payload[PAYLOAD] = "payload";
    void *p;

    while (ring_reserve(&s->pair.tx, type, 0, tag, PAYLOAD, &p) < 0) {
        ring_commit(&s->pair.tx, false);
        wait_ring(s, hot);
    }
    memcpy(p, payload, PAYLOAD);
}

/* Reads one record; 0 if there is none. */
static int receive_one(struct side *s, struct ring_header *h)
{
    char copy[PAYLOAD];
    const void *p;
    int r = ring_peek(&s->pair.rx, h, &p);

    if (r > 0) {
        memcpy(copy, p, PAYLOAD);
        __asm__ volatile("" ::"r"(copy) : "memory");
        ring_consume(&s->pair.rx);
    }
    if (r < 0)
        exit(1);
    return r;
}

/* A microsecond or so. */
static void relax(void)
{
    for (int i = 0; i < 24; i++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#else
        __asm__ volatile("" ::: "memory");
#endif
    }
}

static uint64_t oneway_run(const struct bench *b, int64_t ns, uint8_t *mem)
{
    struct side s;
    uint64_t n = 0;
    struct ring_header h;
    bool hot = b->spin && pin != 0; /* on one CPU nobody can spin */

    side_open(&s, b, 0, mem);
    int64_t end = clock_now_ns() + ns;
    while (n % 4096 || clock_now_ns() < end) {
        send_one(&s, TYPE_DATA, n, hot);
        if (++n % b->batch == 0)
            ring_commit(&s.pair.tx, false);
    }
    send_one(&s, TYPE_STOP, n, hot);
    ring_commit(&s.pair.tx, false);
    while (!receive_one(&s, &h)) /* until all was read */
        wait_ring(&s, false);
    return n;
}

static void oneway_peer(const struct bench *b, uint8_t *mem)
{
    struct side s;
    struct ring_header h = {.type = 0};
    uint64_t n = 0;
    bool hot = b->spin && pin != 0;

    side_open(&s, b, 1, mem);
    while (h.type != TYPE_STOP) {
        wait_ring(&s, hot);
        /* Looking seldom lets records gather: each look takes the line with the head away. */
        for (unsigned idle = 0; idle < LINGER;) {
            if (!receive_one(&s, &h)) {
                relax();
                idle += hot ? 1 : LINGER;
                continue;
            }
            idle = 0;
            if (h.tag != n++)
                exit(1);
        }
    }
    send_one(&s, TYPE_STOP, n, false);
    ring_commit(&s.pair.tx, false);
}

static uint64_t ping_run(const struct bench *b, int64_t ns, uint8_t *mem)
{
    struct side s;
    struct ring_header h;
    uint64_t n = 0;

    side_open(&s, b, 0, mem);
    int64_t end = clock_now_ns() + ns;
    for (bool last = false; !last; n++) {
        last = clock_now_ns() >= end;
        send_one(&s, last ? TYPE_STOP : TYPE_DATA, n, false);
        ring_commit(&s.pair.tx, false);
        do
            wait_ring(&s, false);
        while (!receive_one(&s, &h));
        if (h.tag != n)
            exit(1);
    }
    return n;
}

static void ping_peer(const struct bench *b, uint8_t *mem)
{
    struct side s;
    struct ring_header h = {.type = 0};

    side_open(&s, b, 1, mem);
    while (h.type != TYPE_STOP) {
        wait_ring(&s, false);
        while (receive_one(&s, &h) > 0) {
            send_one(&s, h.type, h.tag, false);
            ring_commit(&s.pair.tx, false);
        }
    }
}

/* The bare hand-off: a number that each side in turn makes one larger; ends when it is huge. */
static void hand_off(uint32_t *turn, uint32_t mine)
{
    uint32_t now;

    while ((now = __atomic_load_n(turn, __ATOMIC_SEQ_CST)) % 2 != mine)
        syscall(SYS_futex, turn, FUTEX_WAIT, now, NULL, NULL, 0);
}

static uint64_t futex_run(const struct bench *b, int64_t ns, uint8_t *mem)
{
    uint32_t *turn = (uint32_t *)(void *)mem + 512;
    uint64_t n = 0;

    (void)b;
    int64_t end = clock_now_ns() + ns;
    for (bool last = false; !last; n++) {
        last = clock_now_ns() >= end;
        __atomic_store_n(turn, last ? UINT32_MAX : *turn + 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0);
        hand_off(turn, 0);
    }
    return n;
}

static void futex_peer(const struct bench *b, uint8_t *mem)
{
    uint32_t *turn = (uint32_t *)(void *)mem + 512, was;

    (void)b;
    do {
        hand_off(turn, 1);
        was = *turn;
        __atomic_store_n(turn, was + 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0);
    } while (was != UINT32_MAX);
}

static const struct bench benches[] = {
    {"oneway_spin", false, true, 1, oneway_run, oneway_peer},
    {"oneway_batch", false, true, 16, oneway_run, oneway_peer},
    {"oneway_block", false, false, 1, oneway_run, oneway_peer},
    {"pingpong_futex", true, false, 1, futex_run, futex_peer},
    {"pingpong_block", true, false, 1, ping_run, ping_peer},
    {"pingpong_spin", true, true, 1, ping_run, ping_peer},
};

static int bench_run(const struct bench *b, double seconds)
{
    size_t len = 2 * DOORBELL_PAGE_BYTES + RING_PAIR_BYTES;
    uint8_t *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;

    if (mem == MAP_FAILED)
        return 1;
    doorbell_page_init(mem, 0);
    doorbell_page_init(mem + DOORBELL_PAGE_BYTES, 0);
    ring_pair_init(mem + 2 * DOORBELL_PAGE_BYTES, RING_PAIR_BYTES, RING_DATA_BYTES);
    pid_t pid = fork();
    if (pid < 0)
        return 1;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin_to(1);
        b->peer(b, mem);
        _exit(0);
    }
    pin_to(0);
    int64_t start = clock_now_ns();
    uint64_t n = b->run(b, (int64_t)(seconds * 1e9), mem);
    double took = (double)(clock_now_ns() - start) / 1e9;
    munmap(mem, len);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 1;
    printf("{\"case\": \"%s\", \"per_second\": %.0f, \"ns\": %.1f", b->name, (double)n / took,
           took / (double)n * 1e9);
    if (b->round_trip)
        printf(", \"rtt_us\": %.2f", took / (double)n * 1e6);
    printf("}\n");
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    double seconds = 1;
    int i = 1, failed = 0;

    if (sched_getaffinity(0, sizeof have, &have) < 0)
        return 1;

    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0)
            seconds = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--pin") == 0)
            pin = strcmp(argv[i + 1], "split") == 0;
        else
            break;
    }
    if ((i < argc && argv[i][0] == '-') || seconds <= 0) {
        fprintf(stderr, "usage: ring_bench [--seconds S] [--pin same|split] [CASE...]\n");
        return 2;
    }
    for (size_t k = 0; k < sizeof benches / sizeof benches[0]; k++) {
        bool chosen = i == argc;
        for (int j = i; j < argc; j++)
            chosen |= strcmp(argv[j], benches[k].name) == 0;
        if (chosen)
            failed |= bench_run(&benches[k], seconds);
    }
    return failed;
}
