/* Tests of base/list.h, base/hash64.h and base/hash.h. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/ids.h"
#include "base/list.h"

struct item {
    struct list link;
    uint64_t number;
    struct node_id id;
    char name[16];
    HASH_HANDLE hh;
    HASH_HANDLE hh_name;
};

/* Links keep their order through adding at both ends, removing while iterating, and splicing. */
Test(list, order)
{
    struct item items[6] = {0}, *i, *next;
    struct list a, b;
    uint64_t seen = 0;

    list_init(&a);
    list_init(&b);
    cr_assert_null(list_pop(&a));
    cr_assert(!list_linked(&items[0].link));
    for (unsigned n = 0; n < 6; n++) {
        items[n].number = n + 1;
        list_add_tail(n < 3 ? &a : &b, &items[n].link);
        cr_assert(list_linked(&items[n].link));
    }
    list_splice_tail(&a, &b);
    cr_assert(list_empty(&b));
    list_splice_tail(&a, &b);
    LIST_FOREACH (i, &a, link)
        seen = seen * 10 + i->number;
    cr_assert_eq(seen, 123456);
    LIST_FOREACH_SAFE (i, next, &a, link)
        if (i->number % 2)
            list_del(&i->link);
    list_del(&items[0].link);
    list_add_head(&a, &items[4].link);
    list_add_before(&items[3].link, &items[2].link);
    seen = 0;
    LIST_FOREACH (i, &a, link)
        seen = seen * 10 + i->number;
    cr_assert_eq(seen, 52346);
    cr_assert_eq(list_count(&a), 5);
    cr_assert_eq(LIST_FIRST(&a, struct item, link)->number, 5);
    cr_assert_eq(list_pop(&a), &items[4].link);
}

/* No byte of a key is ignored: flipping any bit changes the hash, at every length. */
Test(hash64, every_bit_counts)
{
    uint8_t key[64] = {0};

    for (size_t size = 1; size <= sizeof key; size++) {
        uint64_t h = hash_bytes(key, size);
        cr_assert_neq(h, hash_bytes(key, size - 1));
        for (size_t bit = 0; bit < size * 8; bit++) {
            key[bit / 8] ^= (uint8_t)(1 << bit % 8);
            cr_assert_neq((unsigned)hash_bytes(key, size), (unsigned)h);
            key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    cr_assert_neq(hash_u64(1), hash_u64(2));
}

/* Items are found by id, number and name, in several tables at once, and iterated in order. */
Test(hash, find)
{
    enum { N = 1000 };
    static struct item items[N];
    struct item *by_number = NULL, *by_name = NULL, *i, *next;
    uint64_t want = 0, missing = N;

    for (uint64_t n = 0; n < N; n++) {
        items[n].number = n;
        snprintf(items[n].name, sizeof items[n].name, "n%d", (int)n);
        cr_assert_eq(HASH_PUT(by_number, number, &items[n]), 0);
        cr_assert_eq(HASH_PUT_STR_HH(hh_name, by_name, name, &items[n]), 0);
    }
    for (uint64_t n = 0; n < N; n++) {
        cr_assert_eq(HASH_GET(by_number, number, &n), &items[n]);
        cr_assert_eq(HASH_GET_STR_HH(hh_name, by_name, items[n].name), &items[n]);
    }
    cr_assert_null(HASH_GET(by_number, number, &missing));
    cr_assert_null(HASH_GET_STR_HH(hh_name, by_name, "n"));
    HASH_FOREACH (by_number, i, next) {
        cr_assert_eq(i->number, want++);
        HASH_DEL(by_number, i);
    }
    cr_assert_eq(want, N);
    cr_assert_null(by_number);
    cr_assert_eq(HASH_CNT(hh_name, by_name), N);
    HASH_CLEAR(hh_name, by_name);
}

/* Ids are keys as they are. */
Test(hash, ids)
{
    struct item a = {0}, b = {0}, *table = NULL;
    struct node_id other;

    node_id_random(&a.id, NULL);
    node_id_random(&b.id, NULL);
    node_id_random(&other, NULL);
    cr_assert_eq(HASH_PUT(table, id, &a), 0);
    cr_assert_eq(HASH_PUT(table, id, &b), 0);
    cr_assert_eq(HASH_GET(table, id, &b.id), &b);
    cr_assert_null(HASH_GET(table, id, &other));
    cr_assert_eq(HASH_SIZE(table), 2);
    HASH_DEL(table, &a);
    HASH_DEL(table, &b);
}

/* Whichever allocation fails, the item is not in the table, all others are, and it goes on. */
Test(hash, nth_allocation_fails)
{
    enum { N = 2000 };
    static struct item items[N];

    for (uint64_t nth = 1;; nth++) {
        struct item *table = NULL;
        unsigned failed = 0;
        memset(items, 0, sizeof items);
        mem_fail_nth(nth);
        for (uint64_t n = 0; n < N; n++) {
            items[n].number = n;
            if (HASH_PUT(table, number, &items[n]) < 0) {
                cr_assert_null(HASH_GET(table, number, &n));
                cr_assert_eq(HASH_PUT(table, number, &items[n]), 0);
                failed++;
            }
            cr_assert_eq(HASH_SIZE(table), n + 1);
        }
        bool reached = mem_fail_count() >= nth;
        mem_fail_nth(0);
        cr_assert_eq(failed, reached ? 1 : 0);
        for (uint64_t n = 0; n < N; n++)
            cr_assert_eq(HASH_GET(table, number, &n), &items[n]);
        HASH_CLEAR(hh, table);
        if (!reached)
            break;
        cr_assert_lt(nth, 100);
    }
}
