/* The contract of storage.h, over every driver. A new driver is added to `drivers`. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/storage.h"

struct driver {
    char name[16]; /* which one */
    bool durable;  /* rows survive closing */
};

static struct driver drivers[] = {{"memory", false}, {"sqlite", true}};

static char folder[64];

static struct storage *open_driver(const struct driver *d)
{
    struct raia_error e = {0};
    struct storage *s = NULL;
    char path[128];

    if (!folder[0]) {
        strcpy(folder, "/tmp/raia-storage-XXXXXX");
        cr_assert(mkdtemp(folder));
    }
    snprintf(path, sizeof path, "%s/db", folder);
    cr_assert_eq(d->durable ? storage_open_sqlite(path, &s, &e) : storage_open_memory(&s, &e), 0,
                 "%s", e.text);
    return s;
}

static void remove_folder(void)
{
    static const char *const names[] = {"db", "db-wal", "db-shm", ""};
    char path[128];

    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (remove(path) < 0)
            continue;
    }
    folder[0] = 0;
}

struct result {
    struct storage_txn txn; /* first */
    bool done;              /* the callback came */
    int r;                  /* its result */
    uint64_t revision;      /* its revision */
    int order;              /* the how manieth callback it was */
};

static int calls;

static void on_done(struct storage_txn *txn, int r, uint64_t revision, const struct raia_error *e)
{
    struct result *result = (struct result *)(void *)txn;

    cr_assert(!result->done, "the callback fires once");
    cr_assert_eq(r < 0, e != NULL);
    result->done = true;
    result->r = r;
    result->revision = revision;
    result->order = calls++;
}

static void step(struct storage *s, const bool *until)
{
    while (!*until) {
        struct pollfd p = {.fd = storage_fd(s), .events = POLLIN};

        cr_assert_eq(poll(&p, 1, 60000), 1, "the storage answers");
        storage_step(s);
    }
}

static struct storage_bytes text(const char *t)
{
    return (struct storage_bytes){t, strlen(t)};
}

/* put key=value (value NULL: delete) if compares hold; returns r. */
static int change(struct storage *s, const char *key, const char *value,
                  const struct storage_compare *compare, uint64_t *ret_revision)
{
    struct storage_bytes del = text(key);
    struct storage_put put = {.key = text(key), .value = text(value ? value : "")};
    struct result result = {.txn = {.done = on_done}};

    if (value) {
        result.txn.puts = &put;
        result.txn.n_puts = 1;
    } else {
        result.txn.deletes = &del;
        result.txn.n_deletes = 1;
    }
    result.txn.compares = compare;
    result.txn.n_compares = compare ? 1 : 0;
    storage_commit(s, &result.txn);
    cr_assert(!result.done, "no callback from inside storage_commit");
    step(s, &result.done);
    if (ret_revision)
        *ret_revision = result.revision;
    return result.r;
}

struct reading {
    struct storage_snapshot snap; /* first */
    char got[4096];               /* "key=value@revision " */
    bool done;                    /* the callback came */
    uint64_t revision;            /* of the snapshot */
};

static void on_row(struct storage_snapshot *snap, struct storage_bytes key,
                   struct storage_bytes value, uint64_t revision)
{
    struct reading *x = (struct reading *)(void *)snap;

    sprintf(x->got + strlen(x->got), "%.*s=%.*s@%d ", (int)key.size, (const char *)key.data,
            (int)value.size, (const char *)value.data, (int)revision);
}

static void on_read(struct storage_snapshot *snap, int r, uint64_t revision,
                    const struct raia_error *e)
{
    struct reading *x = (struct reading *)(void *)snap;

    cr_assert_eq(r, 0, "%s", e ? e->text : "");
    x->done = true;
    x->revision = revision;
}

static void expect(struct storage *s, const char *prefix, const char *want, uint64_t revision)
{
    struct reading x = {.snap = {.prefix = text(prefix), .row = on_row, .done = on_read}};

    storage_read(s, &x.snap);
    step(s, &x.done);
    cr_assert_str_eq(x.got, want);
    cr_assert_eq(x.revision, revision);
}

/* Puts, deletes and snapshots agree; revisions count changes; rows come in order of key. */
static void check_rows(const struct driver *d)
{
    struct storage *s = open_driver(d);
    uint64_t revision;

    expect(s, "", "", 0);
    cr_assert_eq(change(s, "b", "1", NULL, &revision), 0);
    cr_assert_eq(revision, 1);
    cr_assert_eq(change(s, "a/2", "2", NULL, NULL), 0);
    cr_assert_eq(change(s, "a/1", "", NULL, NULL), 0);
    cr_assert_eq(change(s, "b", "9", NULL, NULL), 0);
    expect(s, "", "a/1=@3 a/2=2@2 b=9@4 ", 4);
    expect(s, "a/", "a/1=@3 a/2=2@2 ", 4);
    cr_assert_eq(change(s, "a/2", NULL, NULL, NULL), 0);
    cr_assert_eq(change(s, "never", NULL, NULL, NULL), 0);
    expect(s, "", "a/1=@3 b=9@4 ", 6);
    storage_free(s);
    if (d->durable) {
        s = open_driver(d);
        expect(s, "", "a/1=@3 b=9@4 ", 6);
        cr_assert_eq(change(s, "c", "x", NULL, &revision), 0);
        cr_assert_eq(revision, 7, "revisions go on after a restart");
        storage_free(s);
    }
}

/* A failed compare changes nothing and harms no other transaction. */
static void check_compares(const struct driver *d)
{
    struct storage *s = open_driver(d);
    struct storage_compare absent = {.key = text("k"), .kind = STORAGE_ABSENT};
    struct storage_compare at = {.key = text("k"), .kind = STORAGE_AT_REVISION, .revision = 1};
    uint64_t revision;

    cr_assert_eq(change(s, "k", "1", &at, NULL), -RAIA_ERR_STATE);
    cr_assert_eq(change(s, "k", "1", &absent, NULL), 0);
    cr_assert_eq(change(s, "k", "2", &absent, NULL), -RAIA_ERR_STATE);
    expect(s, "", "k=1@1 ", 1);
    cr_assert_eq(change(s, "k", "2", &at, &revision), 0);
    cr_assert_eq(revision, 2);
    cr_assert_eq(change(s, "k", NULL, &at, NULL), -RAIA_ERR_STATE);
    expect(s, "", "k=2@2 ", 2);
    storage_free(s);
}

/* Many at once: applied in order, called back in order, later ones see earlier ones. */
static void check_order(const struct driver *d)
{
    enum { N = 500 };
    struct storage *s = open_driver(d);
    struct result *t = mem_calloc(N, sizeof *t);
    struct storage_put *puts = mem_calloc(N, sizeof *puts);
    struct storage_compare *compares = mem_calloc(N, sizeof *compares);
    char(*values)[8] = mem_calloc(N, 8);

    calls = 0;
    for (int i = 0; i < N; i++) {
        snprintf(values[i], 8, "%d", i);
        puts[i] = (struct storage_put){.key = text("k"), .value = text(values[i])};
        compares[i] = (struct storage_compare){.key = text("k"),
                                               .kind = i ? STORAGE_AT_REVISION : STORAGE_ABSENT,
                                               .revision = (uint64_t)i};
        t[i].txn = (struct storage_txn){.compares = &compares[i],
                                        .n_compares = 1,
                                        .puts = &puts[i],
                                        .n_puts = 1,
                                        .done = on_done};
        storage_commit(s, &t[i].txn);
    }
    step(s, &t[N - 1].done);
    for (int i = 0; i < N; i++) {
        cr_assert_eq(t[i].r, 0);
        cr_assert_eq(t[i].order, i);
        cr_assert_eq(t[i].revision, (uint64_t)i + 1);
    }
    expect(s, "", "k=499@500 ", 500);
    storage_free(s);
    mem_free(t);
    mem_free(puts);
    mem_free(compares);
    mem_free(values);
}

/* Beyond the stated limit: refused whole; at the limit: taken. */
static void check_limits(const struct driver *d)
{
    struct storage *s = open_driver(d);
    size_t max = storage_limits(s).max_ops;
    struct storage_put *puts = mem_calloc(max + 1, sizeof *puts);
    char(*keys)[24] = mem_calloc(max + 1, 24);
    struct result t = {.txn = {.puts = puts, .n_puts = max + 1, .done = on_done}};

    for (size_t i = 0; i <= max; i++) {
        snprintf(keys[i], 24, "%zu", i);
        puts[i].key = text(keys[i]);
    }
    storage_commit(s, &t.txn);
    step(s, &t.done);
    cr_assert_eq(t.r, -RAIA_ERR_LIMIT);
    expect(s, "", "", 0);
    t = (struct result){.txn = {.puts = puts, .n_puts = max, .done = on_done}};
    storage_commit(s, &t.txn);
    step(s, &t.done);
    cr_assert_eq(t.r, 0);
    storage_free(s);
    mem_free(puts);
    mem_free(keys);
}

struct watching {
    struct storage_watch w; /* first */
    char got[1024];         /* "revision:key=value " */
};

static void on_event(struct storage_watch *w, uint64_t revision, struct storage_bytes key,
                     const struct storage_bytes *value)
{
    struct watching *x = (struct watching *)(void *)w;

    sprintf(x->got + strlen(x->got), "%d:%.*s", (int)revision, (int)key.size,
            (const char *)key.data);
    sprintf(x->got + strlen(x->got), value ? "=%.*s " : "- ", value ? (int)value->size : 0,
            value ? (const char *)value->data : "");
}

/* A watch gives every change from the revision asked for, once, in order, of its prefix. */
static void check_watch(const struct driver *d)
{
    struct storage *s = open_driver(d);
    struct watching x = {.w = {.prefix = text("a/"), .event = on_event}};

    cr_assert_eq(change(s, "a/1", "x", NULL, NULL), 0);
    cr_assert_eq(change(s, "b", "x", NULL, NULL), 0);
    cr_assert_eq(change(s, "a/2", "y", NULL, NULL), 0);
    cr_assert_eq(storage_watch_start(s, &x.w, 2), 0);
    cr_assert_str_eq(x.got, "3:a/2=y ");
    cr_assert_eq(change(s, "a/1", NULL, NULL, NULL), 0);
    cr_assert_eq(change(s, "a/3", "", NULL, NULL), 0);
    cr_assert_str_eq(x.got, "3:a/2=y 4:a/1- 5:a/3= ");
    storage_watch_stop(s, &x.w);
    cr_assert_eq(change(s, "a/4", "", NULL, NULL), 0);
    cr_assert_str_eq(x.got, "3:a/2=y 4:a/1- 5:a/3= ");
    storage_free(s);
}

/* What is too old for a watch is refused, so that the reader takes a snapshot. */
static void check_watch_too_old(const struct driver *d)
{
    struct storage *s = open_driver(d);
    struct watching x = {.w = {.event = on_event}};
    char *large = mem_zalloc(600001);

    memset(large, 'x', 600000);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(change(s, "k", large, NULL, NULL), 0);
    cr_assert_eq(storage_watch_start(s, &x.w, 1), -RAIA_ERR_NOT_FOUND);
    cr_assert_eq(storage_watch_start(s, &x.w, 4), 0);
    storage_free(s);
    mem_free(large);
}

#define CONTRACT(name)                                                                             \
    ParameterizedTestParameters(storage, name)                                                     \
    {                                                                                              \
        return cr_make_param_array(struct driver, drivers, 2);                                     \
    }                                                                                              \
    ParameterizedTest(struct driver *d, storage, name)                                             \
    {                                                                                              \
        check_##name(d);                                                                           \
        remove_folder();                                                                           \
    }

CONTRACT(rows)
CONTRACT(compares)
CONTRACT(order)
CONTRACT(limits)
CONTRACT(watch)
CONTRACT(watch_too_old)

/* A file that is in use is refused with a text that says so. */
Test(storage, one_process_at_a_time)
{
    struct raia_error e = {0};
    struct storage *a = open_driver(&drivers[1]), *b = NULL;
    char path[128];

    snprintf(path, sizeof path, "%s/db", folder);
    cr_assert_eq(storage_open_sqlite(path, &b, &e), -RAIA_ERR_EXISTS);
    cr_assert(strstr(e.text, "another process"));
    storage_free(a);
    remove_folder();
}

/* A file that is no database is refused, and not touched. */
Test(storage, not_a_database)
{
    struct raia_error e = {0};
    struct storage *s = NULL;
    char path[] = "/tmp/raia-notadb-XXXXXX";
    int fd = mkstemp(path);

    cr_assert_eq(dprintf(fd, "%0800d", 7), 800);
    close(fd);
    cr_assert_eq(storage_open_sqlite(path, &s, &e), -RAIA_ERR_IO);
    unlink(path);
}
