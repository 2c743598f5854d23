/*
 * Expectations: by controlled object, the ids that have not been seen.
 */
#include "kube/expectations.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "kube/plants.h"

struct wish {
    struct list link; /* of its key, oldest first */
    int64_t set;      /* when */
    int64_t acked;    /* when the server said that it is done; CLOCK_NEVER: not yet */
    bool deletion;    /* the id is a uid to go, else a name to come */
    char id[];        /* name or uid */
};

struct entry {
    HASH_HANDLE hh;     /* by key */
    struct list wishes; /* never empty */
    char key[];         /* the controlled object's */
};

struct kube_expect {
    struct entry *entries; /* by key */
    int64_t timeout_ns;    /* of each wish */
};

int kube_expect_new(int64_t timeout_ns, struct kube_expect **ret_x)
{
    struct kube_expect *x = mem_new(struct kube_expect);
    if (!x)
        return -RAIA_ERR_NOMEM;
    x->timeout_ns = timeout_ns ? timeout_ns : 300 * CLOCK_NS_PER_S;
    *ret_x = x;
    return 0;
}

static struct entry *find(const struct kube_expect *x, const char *key)
{
    struct entry *entries = x->entries;
    return HASH_GET_STR(entries, key);
}

static void remove_wish(struct kube_expect *x, struct entry *y, struct wish *w)
{
    list_del(&w->link);
    mem_free(w);
    if (list_empty(&y->wishes)) {
        HASH_DEL(x->entries, y);
        mem_free(y);
    }
}

static void drop(struct kube_expect *x, struct entry *y)
{
    struct wish *w;
    do {
        w = LIST_FIRST(&y->wishes, struct wish, link);
        bool last = w->link.next == &y->wishes;
        remove_wish(x, y, w);
        if (last)
            return;
    } while (true);
}

void kube_expect_free(struct kube_expect *x)
{
    if (!x)
        return;
    struct entry *y, *next;
    HASH_FOREACH (x->entries, y, next)
        drop(x, y);
    mem_free(x);
}

static struct wish *find_wish(struct entry *y, bool deletion, const char *id)
{
    struct wish *w;
    LIST_FOREACH (w, &y->wishes, link)
        if (w->deletion == deletion && strcmp(w->id, id) == 0)
            return w;
    return NULL;
}

static int add(struct kube_expect *x, const char *key, bool deletion, const char *id, int64_t now)
{
    struct entry *y = find(x, key), *made = NULL;
    struct wish *w = y ? find_wish(y, deletion, id) : NULL;
    if (w) {
        w->set = now;
        w->acked = CLOCK_NEVER;
        list_del(&w->link);
        list_add_tail(&y->wishes, &w->link);
        return 0;
    }
    size_t n = strlen(id) + 1, m = strlen(key) + 1;
    w = mem_zalloc(sizeof *w + n);
    if (!w)
        return -RAIA_ERR_NOMEM;
    memcpy(w->id, id, n);
    w->deletion = deletion;
    w->set = now;
    w->acked = CLOCK_NEVER;
    if (!y) {
        y = made = mem_zalloc(sizeof *y + m);
        if (y)
            memcpy(y->key, key, m);
        if (!y || HASH_PUT_STR(x->entries, key, y) < 0) {
            mem_free(made);
            mem_free(w);
            return -RAIA_ERR_NOMEM;
        }
        list_init(&y->wishes);
    }
    list_add_tail(&y->wishes, &w->link);
    return 0;
}

static void seen(struct kube_expect *x, const char *key, bool deletion, const char *id)
{
    struct entry *y = find(x, key);
    struct wish *w = y ? find_wish(y, deletion, id) : NULL;
    if (w)
        remove_wish(x, y, w);
}

int kube_expect_create(struct kube_expect *x, const char *key, const char *name, int64_t now)
{
    return add(x, key, false, name, now);
}

int kube_expect_delete(struct kube_expect *x, const char *key, const char *uid, int64_t now)
{
    return add(x, key, true, uid, now);
}

void kube_expect_created(struct kube_expect *x, const char *key, const char *name)
{
    seen(x, key, false, name);
}

void kube_expect_deleted(struct kube_expect *x, const char *key, const char *uid)
{
    seen(x, key, true, uid);
}

void kube_expect_acked(struct kube_expect *x, const char *key, const char *id, int64_t now)
{
    struct entry *y = find(x, key);
    struct wish *w;
    if (!y)
        return;
    LIST_FOREACH (w, &y->wishes, link)
        if (strcmp(w->id, id) == 0)
            w->acked = now;
}

/* Those go that were set or acknowledged before. */
static void give_up(struct kube_expect *x, struct entry *y, int64_t set, int64_t acked)
{
    struct wish *w, *next;
    size_t left = list_count(&y->wishes);
    LIST_FOREACH_SAFE (w, next, &y->wishes, link) {
        bool last = --left == 0;
        if (w->set < set || w->acked < acked)
            remove_wish(x, y, w);
        if (last)
            return; /* y may be gone */
    }
}

bool kube_expect_met(struct kube_expect *x, const char *key, int64_t now)
{
    struct entry *y = find(x, key);
    if (y && !KUBE_PLANTED(KUBE_PLANT_LEAK))
        give_up(x, y, now - x->timeout_ns + 1, INT64_MIN);
    return !find(x, key);
}

int64_t kube_expect_deadline(const struct kube_expect *x, const char *key)
{
    struct entry *y = find(x, key);
    if (!y)
        return CLOCK_NEVER;
    const struct wish *last = container_of(y->wishes.prev, struct wish, link);
    return last->set + x->timeout_ns;
}

void kube_expect_drop(struct kube_expect *x, const char *key)
{
    struct entry *y = find(x, key);
    if (y)
        drop(x, y);
}

void kube_expect_settle(struct kube_expect *x, int64_t began)
{
    struct entry *y, *next;
    HASH_FOREACH (x->entries, y, next)
        give_up(x, y, INT64_MIN, began);
}

size_t kube_expect_count(const struct kube_expect *x)
{
    return HASH_SIZE(x->entries);
}
