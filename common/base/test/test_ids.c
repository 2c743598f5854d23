/* Tests of base/ids.h and base/prng.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/ids.h"

/* Text and bytes are the same thing, upper case is read, and anything else is refused. */
Test(ids, text)
{
    struct node_id id, back, old = {{1}};
    char text[NODE_ID_TEXT_MAX];

    cr_assert_eq(node_id_random(&id, NULL), 0);
    cr_assert_eq(node_id_from_text(node_id_to_text(&id, text), &back), 0);
    cr_assert(node_id_equal(&id, &back));
    cr_assert_eq(node_id_from_text("00112233445566778899AABBCCDDEEFF", &back), 0);
    cr_assert_str_eq(node_id_to_text(&back, text), "00112233445566778899aabbccddeeff");
    back = old;
    const char *bad[] = {"",
                         "0",
                         "00112233445566778899aabbccddeef",
                         "00112233445566778899aabbccddeefg",
                         "00112233445566778899aabbccddeeff0",
                         "0x112233445566778899aabbccddeeff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(node_id_from_text(bad[i], &back), -RAIA_ERR_INVALID, "%s", bad[i]);
    cr_assert(node_id_equal(&back, &old));
    cr_assert_eq(node_id_from_bytes("12", 2, &back), -RAIA_ERR_INVALID);
}

/* An object id can be taken apart into what it was made of. */
Test(ids, composition)
{
    struct worker_id worker, w;
    char text[OBJECT_ID_TEXT_MAX];

    worker_id_random(&worker, NULL);
    struct task_id task = task_id_make(&worker, UINT64_C(0x0102030405060708));
    struct object_id object = object_id_make(&task, 0x0a0b0c0d);
    struct task_id t = object_id_task(&object);
    cr_assert(task_id_equal(&t, &task));
    cr_assert_eq(object_id_index(&object), 0x0a0b0c0d);
    cr_assert_eq(task_id_counter(&t), UINT64_C(0x0102030405060708));
    w = task_id_worker(&t);
    cr_assert(worker_id_equal(&w, &worker));
    w = object_id_worker(&object);
    cr_assert(worker_id_equal(&w, &worker));
    cr_assert_str_eq(object_id_to_text(&object, text) + 32, "01020304050607080a0b0c0d");
    struct task_id later = task_id_make(&worker, UINT64_C(0x0102030405060709));
    cr_assert_lt(task_id_compare(&task, &later), 0);
    cr_assert_neq(task_id_hash(&task), task_id_hash(&later));
    struct job_id job = job_id_make(258);
    cr_assert_str_eq(job_id_to_text(&job, text), "00000102");
    cr_assert_eq(job_id_number(&job), 258);
}

/* Nil is all zero; random ids are not nil; a seed gives the same ids again. */
Test(ids, nil_and_seeded)
{
    struct actor_id nil = {{0}}, a, b;
    struct prng p, q;

    cr_assert(actor_id_is_nil(&nil));
    prng_seed(&p, 7);
    prng_seed(&q, 7);
    actor_id_random(&a, &p);
    actor_id_random(&b, &q);
    cr_assert(actor_id_equal(&a, &b));
    cr_assert(!actor_id_is_nil(&a));
    actor_id_random(&b, &q);
    cr_assert(!actor_id_equal(&a, &b));
}

/* The generator is xoshiro256** over splitmix64: the published first values of seed 0. */
Test(prng, reference_values)
{
    struct prng p;

    prng_seed(&p, 0);
    cr_assert_eq(p.s[0], UINT64_C(0xe220a8397b1dcdaf));
    cr_assert_eq(p.s[1], UINT64_C(0x6e789e6aa1b965f4));
    cr_assert_eq(prng_next(&p), UINT64_C(0x99ec5f36cb75f2b4));
    cr_assert_eq(prng_next(&p), UINT64_C(0xbf6e1f784956452a));
}

/* Draws stay in their ranges, also at the ends of the integers, and reach both ends. */
Test(prng, ranges)
{
    struct prng p;
    unsigned seen = 0, heads = 0;

    prng_seed(&p, 1);
    cr_assert_eq(prng_below(&p, 0), 0);
    cr_assert_eq(prng_range(&p, 5, 4), 5);
    for (int i = 0; i < 1000; i++) {
        int64_t v = prng_range(&p, -2, 2);
        cr_assert(v >= -2 && v <= 2);
        seen |= 1u << (v + 2);
        cr_assert_lt(prng_below(&p, 3), 3);
        double d = prng_double(&p);
        cr_assert(d >= 0 && d < 1);
        heads += prng_chance(&p, 0.25);
    }
    cr_assert_eq(seen, 31);
    cr_assert(heads > 150 && heads < 350);
    cr_assert(!prng_chance(&p, 0) && prng_chance(&p, 1));
    (void)prng_range(&p, INT64_MIN, INT64_MAX);
}

/* Back-off doubles up to its maximum and never waits less than half. */
Test(prng, backoff)
{
    struct prng p;

    prng_seed(&p, 1);
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        int64_t full = attempt < 5 ? 100 << attempt : 2000, w;
        if (full > 2000)
            full = 2000;
        w = prng_backoff_ms(&p, attempt, 100, 2000);
        cr_assert(w >= full / 2 && w <= full, "%u: %d", attempt, (int)w);
    }
    cr_assert_gt(prng_backoff_ms(&p, 4000000000u, 1, INT64_MAX), 0);
}
