/* Resource sets and the ledger. */
#include "core/resources.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/prng.h"
#include "raia/error.h"

static struct res_set set(int64_t cpu, int64_t memory)
{
    struct res_set s = {0};

    cr_assert_eq(res_set_add(&s, RES_MEMORY, memory), 0);
    cr_assert_eq(res_set_add(&s, RES_CPU, cpu), 0);
    return s;
}

/* Names are interned once, and bad ones are refused. */
Test(resources, names)
{
    struct res_names *n = res_names_new();
    uint16_t a, b;

    cr_assert_eq(res_name_id(n, "CPU", 3, &a), 0);
    cr_assert_eq(a, RES_CPU);
    cr_assert_eq(res_name_id(n, "GPU", 3, &a), 0);
    cr_assert_eq(res_name_id(n, "GPUX", 3, &b), 0);
    cr_assert_eq(a, b);
    cr_assert_str_eq(res_name(n, a), "GPU");
    cr_assert_eq(res_name_id(n, "", 0, &a), -RAIA_ERR_INVALID);
    cr_assert_eq(res_name_id(n, "a\0b", 3, &a), -RAIA_ERR_INVALID);
    for (int i = 0; i < RES_NAMES_MAX - 3; i++) {
        char name[16];
        int len = snprintf(name, sizeof name, "r%d", i);
        cr_assert_eq(res_name_id(n, name, (size_t)len, &a), 0);
    }
    cr_assert_eq(res_name_id(n, "one more", 8, &a), -RAIA_ERR_LIMIT);
    res_names_free(n);
}

/* Three shares of 0.3, 0.3 and 0.4 fill one CPU exactly, and a fourth does not fit. */
Test(resources, fractions_add_up)
{
    struct res_set total = set(RES_UNIT, 0), a = set(3000, 0), b = set(4000, 0), tiny = set(1, 0);
    struct ledger l;

    ledger_init(&l, &total);
    cr_assert(ledger_take(&l, &a));
    cr_assert(ledger_take(&l, &a));
    cr_assert(ledger_take(&l, &b));
    cr_assert_not(ledger_take(&l, &tiny));
    ledger_give(&l, &a);
    cr_assert(ledger_take(&l, &a));
}

/* What a node has not got never fits, and quantities out of range are refused. */
Test(resources, refuses)
{
    struct res_set total = set(RES_UNIT, 0), s = {0};
    struct ledger l;

    ledger_init(&l, &total);
    cr_assert_eq(res_set_add(&s, 7, -1), -RAIA_ERR_INVALID);
    cr_assert_eq(res_set_add(&s, 7, RES_MAX + 1), -RAIA_ERR_INVALID);
    cr_assert_eq(res_set_add(&s, 7, RES_MAX), 0);
    cr_assert_eq(res_set_add(&s, 7, 1), -RAIA_ERR_INVALID);
    cr_assert_not(ledger_fits(&l, &s));
    cr_assert_not(ledger_feasible(&l, &s));
    s = (struct res_set){0};
    for (uint16_t i = 0; i < RES_SET_MAX; i++)
        cr_assert_eq(res_set_add(&s, i, 1), 0);
    cr_assert_eq(res_set_add(&s, RES_SET_MAX, 1), -RAIA_ERR_LIMIT);
}

/* Any mix of takes, forced takes and gives keeps available + in use = total, and a leak is seen. */
Test(resources, conserved)
{
    struct res_set total = set(8 * RES_UNIT, 1 << 20), held[64], sum = {0}, left;
    struct ledger l;
    struct prng p;
    int n = 0;

    prng_seed(&p, 3);
    ledger_init(&l, &total);
    for (int i = 0; i < 5000; i++) {
        struct res_set s = set(prng_range(&p, 0, 30000), prng_range(&p, 0, 1 << 18));
        if (n < 64 && (prng_chance(&p, 0.1) ? (ledger_force(&l, &s), true) : ledger_take(&l, &s))) {
            held[n++] = s;
            cr_assert_eq(res_set_plus(&sum, &s), 0);
        } else if (n) {
            int k = (int)prng_below(&p, (uint64_t)n);
            ledger_give(&l, &held[k]);
            res_set_minus(&sum, &held[k]);
            held[k] = held[--n];
        }
        cr_assert(ledger_check(&l, &sum));
    }
    ledger_available(&l, &left);
    l.available[0]--;
    cr_assert_not(ledger_check(&l, &sum));
}

/* The most used resource decides how full a node is. */
Test(resources, utilisation)
{
    struct res_set total = set(4 * RES_UNIT, 1000), left = set(RES_UNIT, 900), none = {0};

    cr_assert_eq(res_utilisation(&total, &left), 7500);
    cr_assert_eq(res_utilisation(&total, &none), RES_UNIT);
    cr_assert_eq(res_utilisation(&total, &total), 0);
}
