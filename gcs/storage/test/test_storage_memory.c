/*
 * Out of memory in the storage, SQLite's own allocations and those of its thread included: an
 * operation has succeeded, or it failed with NOMEM and nothing of it is there after reopening.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test/each_alloc.h"
#include "storage/storage.h"

#define LARGE 300000  /* bytes of a value: some hundred pages */
#define WAL   6000000 /* more than a log that SQLite writes back after a commit */

static bool on_disk;
static char folder[] = "/tmp/raia-storage-memory-XXXXXX", path[64];

static int open_storage(struct storage **ret_s)
{
    struct raia_error e;

    return on_disk ? storage_open_sqlite(path, ret_s, &e) : storage_open_memory(ret_s, &e);
}

static void remove_file(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char name[96];

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

static struct storage_bytes text(const char *t)
{
    return (struct storage_bytes){t, strlen(t)};
}

/* ---- waiting for one answer */

struct waiting {
    bool done; /* it came */
    int r;     /* what came */
};

struct txn {
    struct storage_txn txn; /* first */
    struct waiting w;
};

struct reading {
    struct storage_snapshot snap; /* first */
    struct waiting w;
    char got[2000]; /* "key=value@revision ", of long values the size */
};

static void step(struct storage *s, const struct waiting *w)
{
    while (!w->done) {
        struct pollfd p = {.fd = storage_fd(s), .events = POLLIN};

        cr_assert_eq(poll(&p, 1, 60000), 1, "the storage answers");
        storage_step(s);
    }
}

static void on_txn(struct storage_txn *t, int r, uint64_t revision, const struct raia_error *e)
{
    (void)revision;
    cr_assert_eq(r < 0, e != NULL);
    ((struct txn *)(void *)t)->w = (struct waiting){true, r};
}

static void on_row(struct storage_snapshot *snap, struct storage_bytes key,
                   struct storage_bytes value, uint64_t revision)
{
    struct reading *x = (struct reading *)(void *)snap;
    size_t n = strlen(x->got);

    if (value.size < 100)
        snprintf(x->got + n, sizeof x->got - n, "%.*s=%.*s@%d ", (int)key.size,
                 (const char *)key.data, (int)value.size, (const char *)value.data, (int)revision);
    else
        snprintf(x->got + n, sizeof x->got - n, "%.*s=%zu bytes@%d ", (int)key.size,
                 (const char *)key.data, value.size, (int)revision);
}

static void on_read(struct storage_snapshot *snap, int r, uint64_t revision,
                    const struct raia_error *e)
{
    struct reading *x = (struct reading *)(void *)snap;

    cr_assert_eq(r < 0, e != NULL);
    cr_assert_leq(revision, 1000);
    x->w = (struct waiting){true, r};
}

static int read_all(struct storage *s, struct reading *x)
{
    *x = (struct reading){.snap = {.row = on_row, .done = on_read}};
    storage_read(s, &x->snap);
    step(s, &x->w);
    return x->w.r;
}

static int commit(struct storage *s, struct storage_txn txn)
{
    struct txn t = {.txn = txn};

    t.txn.done = on_txn;
    storage_commit(s, &t.txn);
    step(s, &t.w);
    return t.w.r;
}

/* ---- the operations */

static char *large;
static const char *const before = "a=1@1 b=2@2 c=300000 bytes@3 "; /* the rows that are there */

static int put_small(struct storage *s)
{
    const struct storage_put puts[] = {{text("b"), text("new")}, {text("d"), text("new")}};

    return commit(s, (struct storage_txn){.puts = puts, .n_puts = 2});
}

static int put_large(struct storage *s)
{
    const struct storage_put put = {text("b"), {large, LARGE}};

    return commit(s, (struct storage_txn){.puts = &put, .n_puts = 1});
}

/* The log is written back into the file behind it. */
static int put_larger(struct storage *s)
{
    const struct storage_put put = {text("b"), {large, WAL}};

    return commit(s, (struct storage_txn){.puts = &put, .n_puts = 1});
}

static int delete_all(struct storage *s)
{
    const struct storage_bytes keys[] = {text("a"), text("b"), text("c"), text("none")};

    return commit(s, (struct storage_txn){.deletes = keys, .n_deletes = 4});
}

static int put_compared(struct storage *s)
{
    const struct storage_compare compares[] = {{text("a"), STORAGE_AT_REVISION, 1},
                                               {text("d"), STORAGE_ABSENT, 0}};
    const struct storage_put put = {text("d"), text("new")};
    const struct storage_bytes key = text("a");

    return commit(s, (struct storage_txn){.compares = compares,
                                          .n_compares = 2,
                                          .puts = &put,
                                          .n_puts = 1,
                                          .deletes = &key,
                                          .n_deletes = 1});
}

/* Refused by a compare: nothing changes either. */
static int put_refused(struct storage *s)
{
    const struct storage_compare compare = {text("a"), STORAGE_ABSENT, 0};
    const struct storage_put put = {text("d"), text("new")};
    int r = commit(
        s, (struct storage_txn){.compares = &compare, .n_compares = 1, .puts = &put, .n_puts = 1});

    return r == -RAIA_ERR_STATE ? 0 : r;
}

static char after_three[80];

/* Three that go to the disk together, or not: each has succeeded or failed by itself; on the disk none
 * succeeds after one that failed. */
static int put_three(struct storage *s)
{
    const struct storage_put puts[] = {
        {text("x"), text("1")}, {text("x"), text("2")}, {text("x"), text("3")}};
    struct txn t[3] = {0};
    int done = 0;

    for (int i = 0; i < 3; i++) {
        t[i].txn = (struct storage_txn){.puts = &puts[i], .n_puts = 1, .done = on_txn};
        storage_commit(s, &t[i].txn);
    }
    for (int i = 0; i < 3; i++)
        step(s, &t[i].w);
    cr_assert(!on_disk || (t[0].w.r >= t[1].w.r && t[1].w.r >= t[2].w.r));
    for (int i = 0; i < 3; i++) {
        cr_assert(t[i].w.r == 0 || t[i].w.r == -RAIA_ERR_NOMEM);
        if (t[i].w.r < 0)
            continue;
        snprintf(after_three, sizeof after_three, "%sx=%d@%d ", before, i + 1, 4 + done);
        done++;
    }
    return done ? 0 : -RAIA_ERR_NOMEM;
}

static int read_rows(struct storage *s)
{
    struct reading x;
    int r = read_all(s, &x);

    if (r == 0)
        cr_assert_str_eq(x.got, before);
    return r;
}

static const struct operation {
    const char *name;              /* for texts */
    int (*run)(struct storage *s); /* 0 or NOMEM */
    const char *after;             /* the rows when it succeeded; NULL: as before */
    bool sparse;                   /* allocates often and writes much: not each of them */
} operations[] = {
    {"put", put_small, "a=1@1 b=new@4 c=300000 bytes@3 d=new@4 ", false},
    {"put, large", put_large, "a=1@1 b=300000 bytes@4 c=300000 bytes@3 ", true},
    {"put, larger", put_larger, "a=1@1 b=6000000 bytes@4 c=300000 bytes@3 ", true},
    {"delete", delete_all, "", false},
    {"compare", put_compared, "b=2@2 c=300000 bytes@3 d=new@4 ", false},
    {"refused", put_refused, NULL, false},
    {"three", put_three, after_three, false},
    {"read", read_rows, NULL, false},
};

/* A storage with the rows of `before`. */
static struct storage *begin(void)
{
    const struct storage_put puts[] = {
        {text("a"), text("1")}, {text("b"), text("2")}, {text("c"), {large, LARGE}}};
    struct storage *s = NULL;

    remove_file();
    cr_assert_eq(open_storage(&s), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(commit(s, (struct storage_txn){.puts = &puts[i], .n_puts = 1}), 0);
    return s;
}

/* Closes and opens again what keeps its rows. */
static struct storage *reopen(struct storage *s)
{
    if (!on_disk)
        return s;
    storage_free(s);
    s = NULL;
    mem_fail_nth_anywhere(0);
    cr_assert_eq(open_storage(&s), 0);
    return s;
}

/* One operation with its n-th allocation failing; false: it makes no more than that. */
static bool fails_at(const struct operation *o, uint64_t n, unsigned *failed)
{
    struct storage *s = reopen(begin());
    struct reading x;
    bool reached;
    int r, again;

    mem_fail_nth_anywhere(n);
    r = o->run(s);
    reached = mem_fail_count_anywhere() >= n;
    mem_fail_nth_anywhere(0);
    cr_assert(r == 0 || r == -RAIA_ERR_NOMEM, "%s, allocation %u: %s", o->name, (unsigned)n,
              raia_strerror(r));
    cr_assert(reached || r == 0);
    *failed += r < 0;
    if (r < 0 && on_disk) {
        again = read_all(s, &x);
        cr_assert(again == 0 || again == -RAIA_ERR_NOMEM);
    }
    if (!reached)
        mem_fail_nth_anywhere(1); /* then it is closing that has no memory */
    s = reopen(s);
    mem_fail_nth_anywhere(0);
    cr_assert_eq(read_all(s, &x), 0);
    cr_assert_str_eq(x.got, r == 0 && o->after ? o->after : before, "%s, allocation %u: %d",
                     o->name, (unsigned)n, r);
    storage_free(s);
    return reached;
}

static unsigned all_operations(void)
{
    unsigned all = 0;

    large = mem_alloc(WAL);
    memset(large, 'x', WAL);
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        const struct operation *o = &operations[i];
        unsigned failed = 0;

        for (uint64_t n = 1; fails_at(o, n, &failed); n += o->sparse ? 1 + n / 4 : 1)
            continue;
        cr_expect(failed > 0 || !on_disk, "%s", o->name);
        all += failed;
    }
    mem_free(large);
    return all;
}

/* Rows in memory. */
Test(storage_memory, memory)
{
    cr_assert_gt(all_operations(), 10);
}

static void folder_begin(void)
{
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/db", folder);
    on_disk = true;
}

static void folder_end(void)
{
    remove_file();
    cr_assert_eq(rmdir(folder), 0);
}

/* SQLite, with all that it allocates. */
Test(storage_memory, sqlite, .init = folder_begin, .fini = folder_end, .timeout = 250)
{
    cr_assert_gt(all_operations(), 50);
}

static bool fresh;

static int step_open(void *arg)
{
    struct storage *s = NULL;
    int r;

    (void)arg;
    if (fresh)
        remove_file();
    r = open_storage(&s);
    cr_assert_eq(r == 0, s != NULL);
    storage_free(s);
    return r;
}

/* Opening: a file that is not there yet, and one that is; its rows stay. */
Test(storage_memory, open, .init = folder_begin, .fini = folder_end, .timeout = 250)
{
    struct storage *s = NULL;
    struct reading x;

    fresh = true;
    cr_expect_geq(each_alloc_anywhere(step_open, NULL), 100);
    fresh = false;
    large = mem_zalloc(LARGE);
    storage_free(begin());
    mem_free(large);
    cr_expect_geq(each_alloc_anywhere(step_open, NULL), 50);
    cr_assert_eq(open_storage(&s), 0);
    cr_assert_eq(read_all(s, &x), 0);
    cr_assert_str_eq(x.got, before);
    storage_free(s);
}
