/* Tests of base/doorbell.h. */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/doorbell.h"
#include "raia/error.h"

/* Far more than any wake-up takes, even on a busy machine. */
#define LONG_S 30

static _Alignas(4096) uint8_t page[DOORBELL_PAGE_BYTES];

static struct doorbell_peer peer_of(unsigned bit, int eventfd)
{
    return (struct doorbell_peer){.page = (void *)page, .eventfd = eventfd, .bit = bit};
}

static void ring(unsigned bit)
{
    struct doorbell_peer p = peer_of(bit, -1);

    doorbell_ring(&p, false);
}

static void start(struct doorbell *d, unsigned flags, int eventfd)
{
    memset(page, 0, sizeof page);
    doorbell_page_init(page, flags);
    doorbell_open(d, page, eventfd);
}

static int64_t soon(void)
{
    return clock_add_ns(clock_now_ns(), LONG_S * CLOCK_NS_PER_S);
}

/* Each of the 4096 bits is found, once, however often it was rung. */
Test(doorbell, every_bit)
{
    struct doorbell d;
    unsigned bit;
    static uint8_t seen[DOORBELL_BITS];

    start(&d, 0, -1);
    cr_assert(!doorbell_take(&d, &bit));
    cr_assert(!doorbell_pending(&d));
    for (unsigned i = 0; i < 2 * DOORBELL_BITS; i++)
        ring(i % DOORBELL_BITS);
    ring(DOORBELL_BITS); /* not a bit: ignored */
    cr_assert(doorbell_pending(&d));
    for (unsigned i = 0; i < DOORBELL_BITS; i++) {
        cr_assert(doorbell_take(&d, &bit));
        cr_assert_lt(bit, DOORBELL_BITS);
        cr_assert_eq(seen[bit]++, 0);
    }
    cr_assert(!doorbell_take(&d, &bit));
    cr_assert(!doorbell_pending(&d));
}

/* Pairs that ring all the time do not starve others: each is seen at least every other round. */
Test(doorbell, fair)
{
    static const unsigned bits[] = {0, 1, 63, 64, 100, 2000, 4095};
    const unsigned n = sizeof bits / sizeof bits[0];
    unsigned bit, seen[sizeof bits / sizeof bits[0]] = {0};
    struct doorbell d;

    start(&d, 0, -1);
    for (unsigned turn = 0; turn < 100 * n; turn++) {
        for (unsigned i = 0; i < n; i++)
            ring(bits[i]);
        cr_assert(doorbell_take(&d, &bit));
        for (unsigned i = 0; i < n; i++)
            seen[i] += bits[i] == bit;
    }
    for (unsigned i = 0; i < n; i++)
        cr_assert_geq(seen[i], 50, "bit %u was taken %u times", bits[i], seen[i]);
}

/* A bit that the owner puts back is found again; its own kick shows as DOORBELL_KICK. */
Test(doorbell, mark_and_kick)
{
    struct doorbell d;
    unsigned bit;

    start(&d, 0, -1);
    doorbell_mark(&d, 5);
    doorbell_mark(&d, DOORBELL_BITS);
    cr_assert(doorbell_take(&d, &bit) && bit == 5);
    doorbell_kick(&d);
    cr_assert(doorbell_take(&d, &bit) && bit == DOORBELL_KICK);
    cr_assert(!doorbell_take(&d, &bit));
}

/* The owner does not go to sleep on something pending, and is told when the deadline comes. */
Test(doorbell, prepare_and_timeout)
{
    struct doorbell d;
    unsigned bit;

    start(&d, 0, -1);
    ring(9);
    cr_assert(!doorbell_prepare_wait(&d));
    cr_assert_eq(doorbell_state(&d), DOORBELL_BUSY);
    cr_assert_eq(doorbell_await(&d, 0), 0);
    ring(10);
    cr_assert(doorbell_take(&d, &bit) && bit == 9);
    cr_assert(!doorbell_prepare_wait(&d), "10 is in the hands of the owner already");
    cr_assert_eq(doorbell_await(&d, 0), 0);
    cr_assert(doorbell_take(&d, &bit) && bit == 10);

    cr_assert(doorbell_prepare_wait(&d));
    cr_assert_eq(doorbell_state(&d), DOORBELL_WAITING);
    int64_t deadline = clock_deadline_ms(5);
    cr_assert_eq(doorbell_wait(&d, deadline), -RAIA_ERR_TIMEOUT);
    cr_assert_geq(clock_now_ns(), deadline);
    cr_assert_eq(doorbell_state(&d), DOORBELL_BUSY);
    cr_assert_eq(doorbell_await(&d, 0), -RAIA_ERR_TIMEOUT);
}

/* A ring between the announcement and the sleep is not slept through. */
Test(doorbell, ring_before_sleep)
{
    struct doorbell d;
    unsigned bit;

    start(&d, 0, -1);
    cr_assert(doorbell_prepare_wait(&d));
    ring(3);
    cr_assert_eq(doorbell_state(&d), DOORBELL_NOTIFIED);
    ring(4);
    cr_assert_eq(doorbell_wait(&d, CLOCK_NEVER), 0);
    cr_assert(doorbell_take(&d, &bit) && bit == 3);
    cr_assert(doorbell_take(&d, &bit) && bit == 4);
}

static void *ring_from_thread(void *arg)
{
    ring(*(unsigned *)arg);
    return NULL;
}

static void *kick_from_thread(void *arg)
{
    doorbell_kick(arg);
    return NULL;
}

/* A sleeper is woken by a ring and by a kick, whenever they come. */
Test(doorbell, wakes_the_sleeper)
{
    struct doorbell d;
    unsigned bit, rung = 77;

    start(&d, 0, -1);
    d.spin_max_ns = 0;
    for (int i = 0; i < 200; i++) {
        pthread_t t;
        pthread_create(&t, NULL, i % 2 ? ring_from_thread : kick_from_thread,
                       i % 2 ? (void *)&rung : (void *)&d);
        while (!doorbell_take(&d, &bit))
            cr_assert_eq(doorbell_await(&d, soon()), 0);
        cr_assert_eq(bit, i % 2 ? rung : DOORBELL_KICK);
        pthread_join(t, NULL);
    }
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

/* An event loop is woken through its eventfd, only if it sleeps, and end_wait empties it. */
Test(doorbell, eventfd_loop)
{
    struct doorbell d;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct doorbell_peer p = peer_of(1, fd);
    unsigned bit;

    start(&d, DOORBELL_EVENTFD, fd);
    doorbell_ring(&p, false);
    cr_assert(!readable(fd), "the owner is busy");
    cr_assert(doorbell_take(&d, &bit));
    cr_assert(doorbell_prepare_wait(&d));
    doorbell_ring(&p, false);
    cr_assert(readable(fd));
    doorbell_end_wait(&d);
    cr_assert(!readable(fd));
    cr_assert_eq(doorbell_state(&d), DOORBELL_BUSY);
    cr_assert(doorbell_take(&d, &bit) && bit == 1);
    cr_assert(doorbell_prepare_wait(&d));
    doorbell_kick(&d);
    cr_assert(readable(fd));
    doorbell_end_wait(&d);
    doorbell_end_wait(&d);
    close(fd);
}

/* Urgent records reach a busy owner through its eventfd, even if its bit is set; others do not. */
Test(doorbell, urgent)
{
    struct doorbell d;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct doorbell_peer p = peer_of(1, fd);

    start(&d, 0, fd);
    doorbell_ring(&p, false);
    cr_assert(!readable(fd));
    doorbell_ring(&p, true);
    cr_assert(readable(fd));
    doorbell_end_wait(&d);
    doorbell_ring(&p, false);
    cr_assert(!readable(fd));
    p.eventfd = -1;
    doorbell_ring(&p, true); /* none was given: it stays a hint */
    cr_assert(doorbell_pending(&d));
    close(fd);
}

/* When nothing ever comes in time, spinning stops, but for a trial now and then. */
Test(doorbell, spin_gives_up)
{
    struct doorbell d;

    start(&d, 0, -1);
    d.spin_max_ns = 1000;
    for (int i = 0; i < 5000; i++)
        cr_assert(!doorbell_poll(&d, CLOCK_NEVER));
    cr_assert_gt(d.spins, 1, "it goes on trying");
    cr_assert_lt(d.spins, 40, "%lu spins for 5000 waits", (unsigned long)d.spins);
    d.spin_max_ns = 0;
    uint64_t before = d.spins;
    for (int i = 0; i < 5000; i++)
        cr_assert(!doorbell_poll(&d, CLOCK_NEVER));
    cr_assert_eq(d.spins, before);
}

static void *ring_until_told(void *arg)
{
    bool *stop = arg;

    while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
        ring(1);
        sched_yield();
    }
    return NULL;
}

/* Once things come in time again, a trial finds out, and spinning is back. */
Test(doorbell, spin_comes_back)
{
    struct doorbell d;
    unsigned bit;
    bool stop = false;
    pthread_t t;

    start(&d, 0, -1);
    d.spin_max_ns = 1000;
    for (int i = 0; i < 2000; i++)
        cr_assert(!doorbell_poll(&d, CLOCK_NEVER));
    cr_assert_eq(d.credit, 0);
    d.spin_max_ns = 1000 * 1000 * 1000; /* any spin pays: this is not about speed */
    pthread_create(&t, NULL, ring_until_told, &stop);
    int64_t end = soon();
    while (d.credit < 2 && clock_now_ns() < end) {
        if (doorbell_poll(&d, end))
            while (doorbell_take(&d, &bit))
                continue;
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(t, NULL);
    cr_assert_geq(d.credit, 2);
}
