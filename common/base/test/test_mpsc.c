/* Tests of base/mpsc.h. */
#include <criterion/criterion.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/mem.h"
#include "base/mpsc.h"

/* What is put comes out in order, over many rounds; a full queue refuses and counts. */
Test(mpsc, order_and_limit)
{
    struct mpsc q;
    int items[8];

    cr_assert_eq(mpsc_init(&q, 8, NULL, NULL), 0);
    cr_assert_null(mpsc_take(&q));
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 8; i++)
            cr_assert_eq(mpsc_put(&q, &items[i]), 0);
        cr_assert_eq(mpsc_put(&q, &items[0]), -RAIA_ERR_LIMIT);
        for (int i = 0; i < 5; i++)
            cr_assert_eq(mpsc_take(&q), &items[i]);
        cr_assert_eq(mpsc_put(&q, &items[0]), 0);
        for (int i = 5; i < 8; i++)
            cr_assert_eq(mpsc_take(&q), &items[i]);
        cr_assert_eq(mpsc_take(&q), &items[0]);
        cr_assert_null(mpsc_take(&q));
    }
    cr_assert_eq(atomic_load(&q.rejected), 10);
    mpsc_fini(&q);
    mpsc_fini(&q);
    cr_assert_eq(mpsc_init(&q, 7, NULL, NULL), -RAIA_ERR_INVALID);
    cr_assert_eq(mpsc_init(&q, 0, NULL, NULL), -RAIA_ERR_INVALID);
    mem_fail_nth(1);
    cr_assert_eq(mpsc_init(&q, 8, NULL, NULL), -RAIA_ERR_NOMEM);
    mem_fail_nth(0);
}

static void count(void *ctx)
{
    ++*(int *)ctx;
}

/* The owner is woken once for each sleep, and may not sleep on a queue that holds something. */
Test(mpsc, wake_once)
{
    struct mpsc q;
    int wakes = 0, item;

    cr_assert_eq(mpsc_init(&q, 8, count, &wakes), 0);
    mpsc_put(&q, &item);
    cr_assert_eq(wakes, 0);
    cr_assert(!mpsc_prepare_sleep(&q));
    cr_assert_eq(mpsc_take(&q), &item);
    cr_assert(mpsc_prepare_sleep(&q));
    mpsc_put(&q, &item);
    mpsc_put(&q, &item);
    cr_assert_eq(wakes, 1);
    mpsc_fini(&q);
}

enum { THREADS = 3, EACH = 20000 };
static struct mpsc shared;
static _Atomic uint32_t bell;
static unsigned char tags[THREADS][EACH];

static void ring(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&bell, 1);
    futex_wake_all(&bell);
}

static void *producer(void *arg)
{
    unsigned char *mine = arg;

    for (int i = 0; i < EACH; i++)
        while (mpsc_put(&shared, &mine[i]) < 0)
            sched_yield();
    return NULL;
}

/* With several threads putting and the owner sleeping, nothing is lost, doubled or out of order. */
Test(mpsc, threads)
{
    pthread_t threads[THREADS];
    int next[THREADS] = {0}, left = THREADS * EACH;

    cr_assert_eq(mpsc_init(&shared, 64, ring, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, producer, tags[i]), 0);
    while (left) {
        uint32_t seen = atomic_load(&bell);
        unsigned char *p = mpsc_take(&shared);
        if (!p) {
            if (mpsc_prepare_sleep(&shared))
                while (atomic_load(&bell) == seen)
                    cr_assert_eq(futex_wait(&bell, seen, clock_deadline_ms(60000)), 0);
            continue;
        }
        size_t at = (size_t)(p - &tags[0][0]);
        cr_assert_eq((int)(at % EACH), next[at / EACH]++);
        left--;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_null(mpsc_take(&shared));
    mpsc_fini(&shared);
}
