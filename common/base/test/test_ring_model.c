/*
 * The interleaving test of rings and doorbells: the same source, on the machine of ring_model.h.
 * The correct code survives every order tried; each planted bug is found by at least one scenario.
 */
#define RING_MODEL 1
#include "../ring.c"
#include "../doorbell.c"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/clock.h"

#define DATA     RING_DATA_MIN /* four records of 48 bytes fill it */
#define BUDGET   3
#define RANDOMS  20000
#define MAX_TREE 60000
#define EVENTFD  1
#define PAIRS    2

/* Bugs that a user of rings could make, planted in the threads below. */
enum user_bug { BUG_NONE, BUG_PUBLISH_FIRST, BUG_DRAIN_FIRST, BUG_STOP_EARLY };

static _Alignas(4096) uint8_t pages[MODEL_THREADS][DOORBELL_PAGE_BYTES];
static _Alignas(4096) uint8_t regions[PAIRS][RING_PAIR_SIZE(DATA)];
static struct doorbell bells[MODEL_THREADS]; /* of each thread */
static struct ring_pair tx[PAIRS];           /* the producers' handles */
static struct ring_pair rx[PAIRS];           /* the consumer's handles */
static const unsigned *bits;                 /* the consumer's bits for the pairs */
static uint64_t got[PAIRS];                  /* records that the consumer has read */
static uint64_t expected[PAIRS];             /* records that it waits for */
static bool ended[PAIRS];                    /* the pair is closed, and that is as it should be */
static bool killed;                          /* pair 0 may stop at any record */
static bool until_closed;                    /* pair 0 is read until its end */
static enum user_bug bug;

/* Threads 0 and (if there) 2 produce for thread 1. */
static void setup(const unsigned *b, uint64_t n0, uint64_t n1, unsigned flags)
{
    bits = b;
    memset(pages, 0, sizeof pages);
    for (int i = 0; i < MODEL_THREADS; i++) {
        doorbell_page_init(pages[i], i == 1 ? flags : 0);
        doorbell_open(&bells[i], pages[i], flags ? EVENTFD : -1);
        bells[i].spin_max_ns = 0;
    }
    for (int i = 0; i < PAIRS; i++) {
        struct doorbell_peer to_consumer = {(void *)pages[1], flags ? EVENTFD : -1, bits[i]};
        struct doorbell_peer to_producer = {(void *)pages[2 * i], -1, 7};
        ring_pair_init(regions[i], sizeof regions[i], DATA);
        ring_pair_attach(&tx[i], regions[i], sizeof regions[i], 0, &to_consumer);
        ring_pair_attach(&rx[i], regions[i], sizeof regions[i], 1, &to_producer);
        got[i] = 0;
        ended[i] = false;
    }
    expected[0] = n0;
    expected[1] = n1;
    killed = false;
    until_closed = false;
}

static uint64_t content(uint64_t tag, size_t i)
{
    return (tag + 1) * 1000 + i;
}

/* Adds the record `tag`; false: the ring is full. */
static bool put(int pair, uint64_t tag, size_t words)
{
    void *p;

    if (ring_reserve(&tx[pair].tx, 1, 0, tag, words * 8, &p) < 0)
        return false;
    if (bug == BUG_PUBLISH_FIRST)
        ring_commit(&tx[pair].tx, false);
    for (size_t i = 0; i < words; i++)
        RA_STORE((uint64_t *)p + i, content(tag, i), RELAXED);
    ring_commit(&tx[pair].tx, false);
    return true;
}

static void drain(int pair)
{
    struct ring_header h;
    const void *p;
    int r;

    while ((r = ring_peek(&rx[pair].rx, &h, &p)) > 0) {
        if (h.tag != got[pair])
            model_fail("a record is lost, doubled or out of order");
        for (size_t i = 0; i < ring_payload_size(&h) / 8; i++)
            if (RA_LOAD((const uint64_t *)p + i, RELAXED) != content(h.tag, i))
                model_fail("a payload is not what was written");
        got[pair]++;
        ring_consume(&rx[pair].rx);
        if (bug == BUG_STOP_EARLY)
            return;
    }
    if (r == -RAIA_ERR_SHUTDOWN)
        ended[pair] = true;
    else if (r < 0)
        model_fail("the pair broke");
}

static bool all_there(void)
{
    if (until_closed)
        return ended[0];
    for (int i = 0; i < PAIRS; i++)
        if (got[i] < expected[i] && !(i == 0 && killed))
            return false;
    return true;
}

/* A turn of the consumer's loop; `sleep` waits when it is allowed to. */
static void consume_some(void (*sleep_now)(void))
{
    unsigned bit;

    if (bug == BUG_DRAIN_FIRST) {
        for (int i = 0; i < PAIRS; i++)
            drain(i);
        while (doorbell_take(&bells[1], &bit))
            continue;
    }
    while (doorbell_take(&bells[1], &bit))
        for (int i = 0; i < PAIRS; i++)
            if (bit == bits[i])
                drain(i);
    if (!all_there())
        sleep_now();
}

static void futex_sleep(void)
{
    doorbell_await(&bells[1], CLOCK_NEVER);
}

static void eventfd_sleep(void)
{
    if (doorbell_prepare_wait(&bells[1]))
        model_eventfd_wait(EVENTFD);
    doorbell_end_wait(&bells[1]);
}

static void consumer(void)
{
    while (!all_there())
        consume_some(futex_sleep);
}

static void consumer_eventfd(void)
{
    while (!all_there())
        consume_some(eventfd_sleep);
}

static void consumer_until_closed(void)
{
    consumer();
    if (got[0] != expected[0])
        model_fail("the end came before the last record");
}

/* One record a commit, as many as are expected; waits for room on its own doorbell. */
static void produce(int pair, size_t words, uint64_t from)
{
    struct doorbell *own = &bells[2 * pair];
    unsigned bit;

    for (uint64_t tag = from; tag < expected[pair]; tag++)
        while (!put(pair, tag, words)) {
            while (doorbell_take(own, &bit))
                continue;
            if (put(pair, tag, words))
                break;
            doorbell_await(own, CLOCK_NEVER);
        }
}

static void producer_0(void)
{
    produce(0, 1, 0);
}

static void producer_1(void)
{
    produce(1, 1, 0);
}

static void producer_full(void)
{
    produce(0, 6, 4);
}

static void producer_closes(void)
{
    produce(0, 1, 0);
    ring_pair_close(&tx[0]);
}

static const unsigned same_word[] = {3, 5}, other_words[] = {3, 500};

static void setup_two_records(void)
{
    setup(same_word, 2, 0, 0);
}

static void setup_close(void)
{
    setup(same_word, 2, 0, 0);
    until_closed = true;
}

static void setup_eventfd(void)
{
    setup(same_word, 2, 0, DOORBELL_EVENTFD);
}

/* The ring is full when it begins. */
static void setup_full(void)
{
    setup(same_word, 6, 0, 0);
    for (uint64_t tag = 0; tag < 4; tag++)
        put(0, tag, 6);
}

/*
 * The consumer gives room back once only: 56 + 64 bytes, and then the 24 that are left are too few.
 * The producer needs 120: 64, and 56 that are lost at the end of the data.
 */
static void setup_one_release(void)
{
    setup(same_word, 5, 0, 0);
    put(0, 0, 5);
    drain(0);
    ring_release(&rx[0].rx);
    put(0, 1, 5);
    put(0, 2, 6);
    put(0, 3, 1);
}

static void setup_same_word(void)
{
    setup(same_word, 1, 1, 0);
}

static void setup_other_words(void)
{
    setup(other_words, 1, 1, 0);
}

static void setup_killed(void)
{
    setup(same_word, 1, 1, 0);
    killed = true;
}

static const struct scenario scenarios[] = {
    {"two records", setup_two_records, {producer_0, consumer}, false},
    {"an event loop", setup_eventfd, {producer_0, consumer_eventfd}, false},
    {"a full ring", setup_full, {producer_full, consumer}, false},
    {"one release", setup_one_release, {producer_full, consumer}, false},
    {"close", setup_close, {producer_closes, consumer_until_closed}, false},
    {"two producers, one word", setup_same_word, {producer_0, consumer, producer_1}, false},
    {"two producers, two words", setup_other_words, {producer_0, consumer, producer_1}, false},
    {"a producer is killed", setup_killed, {producer_0, consumer, producer_1}, true},
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

static const struct mutant mutants[] = {
    {"sleep announced too late", "doorbell_prepare_wait", "&d->page->state", MUTANT_RELEASE},
    {"no second look before sleep", "doorbell_prepare_wait", "&d->page->summary", MUTANT_SKIP},
    {"head before records", "ring_commit", "&t->ctl->head", MUTANT_RELAXED},
    {"bit looked at before head", "ring_commit", "&t->ctl->head", MUTANT_RELEASE},
    {"tail looked at before want", "tx_make_room", "&t->ctl->want", MUTANT_RELEASE},
    {"want looked at before tail", "ring_release", "&r->ctl->tail", MUTANT_RELEASE},
    {"want not left", "tx_make_room", "&t->ctl->want", MUTANT_SKIP},
    {"bits set one over the other", "page_set", "&page->words[bit / 64]", MUTANT_SPLIT},
    {"summary bits set one over the other", "page_set", "&page->summary", MUTANT_SPLIT},
    {"summary not set", "page_set", "&page->summary", MUTANT_SKIP},
    {"summary bits cleared of others", "doorbell_take", "&page->summary", MUTANT_SPLIT},
    {"word taken in two steps", "doorbell_take", "&page->words[d->word]", MUTANT_SPLIT},
    {"futex word not changed", "page_wake", "&page->state", MUTANT_SKIP},
    {"no wake-up", "page_wake", NULL, MUTANT_SKIP},
    {"the killed wakes for others", "page_wake", "&page->state", MUTANT_NOTIFIED_BUSY},
};

/* No order of steps within the bound, and none of the random ones, loses or spoils anything. */
Test(ring_model, correct, .timeout = 300)
{
    for (size_t i = 0; i < SCENARIOS; i++) {
        unsigned budget = scenarios[i].kill ? BUDGET - 1 : BUDGET;
        bug = BUG_NONE;
        struct model_result r = model_explore(&scenarios[i], NULL, budget, MAX_TREE, RANDOMS);
        printf("%s: %lu orders within %u deviations, %lu random ones\n", scenarios[i].name,
               (unsigned long)r.bounded, budget, (unsigned long)r.randoms);
        cr_expect_null(r.error, "%s: %s", scenarios[i].name, r.error);
        cr_expect_gt(r.bounded, 10000);
    }
}

static void expect_found(const struct mutant *m, const char *name)
{
    struct model_result r = {.error = NULL};
    size_t i = 0;

    for (; i < SCENARIOS && !r.error; i++)
        r = model_explore(&scenarios[i], m, 1, MAX_TREE, RANDOMS);
    cr_expect_not_null(r.error, "not found: %s", name);
    if (r.error)
        printf("%s: found by '%s' after %lu + %lu orders: %s\n", name, scenarios[i - 1].name,
               (unsigned long)r.bounded, (unsigned long)r.randoms, r.error);
}

/* Every planted bug of the rings and doorbells themselves is found. */
Test(ring_model, planted_bugs, .timeout = 300)
{
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++) {
        bug = BUG_NONE;
        expect_found(&mutants[i], mutants[i].name);
    }
}

/* So is every planted bug of their user: what the manual asks for is needed. */
Test(ring_model, planted_user_bugs, .timeout = 300)
{
    bug = BUG_PUBLISH_FIRST;
    expect_found(NULL, "commit before the payload is written");
    bug = BUG_DRAIN_FIRST;
    expect_found(NULL, "bits taken after the rings were read");
    bug = BUG_STOP_EARLY;
    expect_found(NULL, "stopping before the ring is empty, without doorbell_mark");
}
