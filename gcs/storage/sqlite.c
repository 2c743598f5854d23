/*
 * The SQLite driver: the rows in one file, WAL, synchronous=FULL. The only includer of sqlite3.
 *
 * A thread of its own takes whatever requests are queued and applies them in one SQLite
 * transaction, so that requests that come while the disk writes share the next write. Compares are
 * looked at before anything of their transaction is changed, so that a failed one leaves no trace;
 * any other failure undoes the whole batch and fails all of it, and everything after it.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/mem.h"
#include "storage/driver.h"
#include "storage/sqlite_memory.h"

/* Requests that go into one SQLite transaction. */
#define BATCH_MAX 4096

enum statement { S_BEGIN, S_COMMIT, S_ROLLBACK, S_PUT, S_DELETE, S_REVISION, S_GET, S_SCAN, S_N };

static const char *const statements[S_N] = {
    [S_BEGIN] = "BEGIN IMMEDIATE",
    [S_COMMIT] = "COMMIT",
    [S_ROLLBACK] = "ROLLBACK",
    [S_PUT] = ("INSERT INTO rows(key,value,revision) VALUES(?1,?2,?3) ON CONFLICT(key) DO UPDATE "
               "SET value=excluded.value, revision=excluded.revision"),
    [S_DELETE] = "DELETE FROM rows WHERE key=?1",
    [S_REVISION] = "UPDATE state SET revision=?1",
    [S_GET] = "SELECT revision FROM rows WHERE key=?1",
    [S_SCAN] = "SELECT key,value,revision FROM rows WHERE key>=?1 ORDER BY key",
};

struct sqlite {
    struct storage base;        /* first */
    sqlite3 *db;                /* the thread's, after opening */
    sqlite3_stmt *stmt[S_N];    /* prepared statements */
    char *path;                 /* for texts */
    pthread_t thread;           /* applies requests */
    bool started;               /* the thread is to be joined */
    pthread_mutex_t queue_lock; /* guards what follows */
    pthread_cond_t queue_more;  /* the queue is not empty, or stop was set */
    struct storage_op *head;    /* requests not yet taken */
    struct storage_op **tail;   /* its end */
    bool stop;                  /* finish the batch under way and leave */
    uint64_t revision;          /* the thread's: of the last transaction applied */
    int failed;                 /* the thread's: negative after a failure; all else fails with it */
    struct raia_error failure;  /* its text */
};

static int db_fail(struct sqlite *q, struct raia_error *e, const char *what)
{
    int code = sqlite3_extended_errcode(q->db);

    switch (code & 0xff) {
    case SQLITE_FULL:
        return err_set(e, RAIA_ERR_DISK_FULL, "%s '%s': the disk is full; free some space", what,
                       q->path);
    case SQLITE_NOMEM:
        return err_set(e, RAIA_ERR_NOMEM, "%s '%s'", what, q->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, RAIA_ERR_EXISTS, "%s '%s': another process uses it; stop that one first",
                       what, q->path);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return err_set(
            e, RAIA_ERR_IO,
            "%s '%s': not a sound database (%s); move it away to start with an empty one", what,
            q->path, sqlite3_errmsg(q->db));
    default:
        return err_set(e, RAIA_ERR_IO, "%s '%s': %s (%d)", what, q->path, sqlite3_errmsg(q->db),
                       code);
    }
}

/* Runs a statement that gives no rows. */
static int run(struct sqlite *q, enum statement which, struct raia_error *e)
{
    int r = sqlite3_step(q->stmt[which]);

    if (r != SQLITE_DONE && r != SQLITE_ROW) {
        r = db_fail(q, e, "write");
        (void)sqlite3_reset(q->stmt[which]);
        return r;
    }
    (void)sqlite3_reset(q->stmt[which]);
    return 0;
}

static void bind(sqlite3_stmt *stmt, int at, struct storage_bytes bytes)
{
    /* An empty blob is not NULL. */
    (void)sqlite3_bind_blob64(stmt, at, bytes.size ? bytes.data : "", bytes.size, SQLITE_STATIC);
}

/* 1: it holds; 0: it does not. */
static int holds(struct sqlite *q, const struct storage_compare *c, struct raia_error *e)
{
    sqlite3_stmt *stmt = q->stmt[S_GET];
    int r, held;

    if (c->kind == STORAGE_EPOCH)
        return 1;
    bind(stmt, 1, c->key);
    r = sqlite3_step(stmt);
    if (r == SQLITE_ROW)
        held = c->kind == STORAGE_AT_REVISION &&
               (uint64_t)sqlite3_column_int64(stmt, 0) == c->revision;
    else if (r == SQLITE_DONE)
        held = c->kind == STORAGE_ABSENT;
    else
        held = db_fail(q, e, "read");
    (void)sqlite3_reset(stmt);
    return held;
}

/* Negative: the batch is lost. A failed compare is the transaction's own result. */
static int apply_txn(struct sqlite *q, struct storage_txn *txn, struct raia_error *e)
{
    int r;

    for (size_t i = 0; i < txn->n_compares; i++) {
        r = holds(q, &txn->compares[i], e);
        if (r < 0)
            return r;
        if (r == 0) {
            txn->op.result = err_set(&txn->op.error, RAIA_ERR_STATE, "a compare failed");
            return 0;
        }
    }
    for (size_t i = 0; i < txn->n_puts; i++) {
        bind(q->stmt[S_PUT], 1, txn->puts[i].key);
        bind(q->stmt[S_PUT], 2, txn->puts[i].value);
        (void)sqlite3_bind_int64(q->stmt[S_PUT], 3, (sqlite3_int64)(q->revision + 1));
        r = run(q, S_PUT, e);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < txn->n_deletes; i++) {
        bind(q->stmt[S_DELETE], 1, txn->deletes[i]);
        r = run(q, S_DELETE, e);
        if (r < 0)
            return r;
    }
    if (txn->n_puts + txn->n_deletes)
        q->revision++;
    txn->op.revision = q->revision;
    return 0;
}

static int apply_snapshot(struct sqlite *q, struct storage_snapshot *snap, struct raia_error *e)
{
    sqlite3_stmt *stmt = q->stmt[S_SCAN];
    int r, result = 0;

    bind(stmt, 1, snap->prefix);
    while ((r = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct storage_bytes key = {sqlite3_column_blob(stmt, 0),
                                    (size_t)sqlite3_column_bytes(stmt, 0)};
        struct storage_bytes value = {sqlite3_column_blob(stmt, 1),
                                      (size_t)sqlite3_column_bytes(stmt, 1)};

        if (key.size < snap->prefix.size ||
            (snap->prefix.size && memcmp(key.data, snap->prefix.data, snap->prefix.size) != 0))
            break;
        result = storage_rows_add__(snap->rows, key, value, (uint64_t)sqlite3_column_int64(stmt, 2),
                                    false);
        if (result < 0)
            break;
    }
    if (r != SQLITE_DONE && r != SQLITE_ROW)
        result = db_fail(q, e, "read");
    else if (result < 0)
        result = err_set(e, -result, "read '%s'", q->path);
    (void)sqlite3_reset(stmt);
    snap->op.revision = q->revision;
    return result;
}

static int apply_batch(struct sqlite *q, struct storage_op *batch, struct raia_error *e)
{
    uint64_t before = q->revision;
    int r = run(q, S_BEGIN, e);

    if (r < 0)
        return r;
    for (struct storage_op *op = batch; op && r == 0; op = op->next) {
        if (op->result < 0)
            continue; /* refused before it came here */
        r = op->is_snapshot ? apply_snapshot(q, STORAGE_SNAP(op), e)
                            : apply_txn(q, STORAGE_TXN(op), e);
    }
    if (r == 0 && q->revision != before) {
        (void)sqlite3_bind_int64(q->stmt[S_REVISION], 1, (sqlite3_int64)q->revision);
        r = run(q, S_REVISION, e);
    }
    if (r == 0)
        r = run(q, S_COMMIT, e);
    if (r < 0) {
        q->revision = before;
        if (!sqlite3_get_autocommit(q->db))
            (void)run(q, S_ROLLBACK, NULL);
    }
    return r;
}

/* Takes up to BATCH_MAX requests; NULL: it is time to leave. */
static struct storage_op *take_batch(struct sqlite *q)
{
    struct storage_op *batch, *last;

    pthread_mutex_lock(&q->queue_lock);
    while (!q->head && !q->stop)
        pthread_cond_wait(&q->queue_more, &q->queue_lock);
    batch = q->stop ? NULL : q->head;
    if (batch) {
        last = batch;
        for (int n = 1; n < BATCH_MAX && last->next; n++)
            last = last->next;
        q->head = last->next;
        if (!q->head)
            q->tail = &q->head;
        last->next = NULL;
    }
    pthread_mutex_unlock(&q->queue_lock);
    return batch;
}

static void *thread_main(void *arg)
{
    struct sqlite *q = arg;
    struct storage_op *batch, *next;

    while ((batch = take_batch(q))) {
        if (q->failed == 0)
            q->failed = apply_batch(q, batch, &q->failure);
        for (; batch; batch = next) {
            next = batch->next;
            if (q->failed < 0) {
                batch->result = q->failed;
                batch->error = q->failure;
            }
            storage_complete__(&q->base, batch);
        }
    }
    return NULL;
}

static void sqlite_submit(struct storage *s, struct storage_op *op)
{
    struct sqlite *q = (struct sqlite *)(void *)s;

    op->next = NULL;
    pthread_mutex_lock(&q->queue_lock);
    *q->tail = op;
    q->tail = &op->next;
    pthread_cond_signal(&q->queue_more);
    pthread_mutex_unlock(&q->queue_lock);
}

static void sqlite_close(struct storage *s, struct storage_op **ret_queued)
{
    struct sqlite *q = (struct sqlite *)(void *)s;

    if (q->started) {
        pthread_mutex_lock(&q->queue_lock);
        q->stop = true;
        pthread_cond_signal(&q->queue_more);
        pthread_mutex_unlock(&q->queue_lock);
        pthread_join(q->thread, NULL);
    }
    *ret_queued = q->head;
    for (int i = 0; i < S_N; i++)
        (void)sqlite3_finalize(q->stmt[i]);
    (void)sqlite3_close(q->db);
    pthread_mutex_destroy(&q->queue_lock);
    pthread_cond_destroy(&q->queue_more);
    mem_free(q->path);
}

static const struct storage_driver sqlite_driver = {
    .name = "sqlite",
    .limits = {.max_ops = 1024, .max_bytes = 8u << 20},
    .submit = sqlite_submit,
    .close = sqlite_close,
};

static int exec(struct sqlite *q, const char *sql, struct raia_error *e)
{
    return sqlite3_exec(q->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_fail(q, e, "open");
}

/* Asks for one number. */
static int ask(struct sqlite *q, const char *sql, int64_t *ret_v, struct raia_error *e)
{
    sqlite3_stmt *stmt = NULL;
    int r = 0;

    if (sqlite3_prepare_v2(q->db, sql, -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        r = db_fail(q, e, "open");
    else
        *ret_v = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return r;
}

static int open_db(struct sqlite *q, struct raia_error *e)
{
    int64_t version = 0, revision = 0;
    int r;

    if (sqlite3_open_v2(q->path, &q->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return db_fail(q, e, "open");
    (void)sqlite3_busy_timeout(q->db, 2000); /* a predecessor that is still dying */
    (void)chmod(q->path, 0600);
    r = exec(q, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
             e);
    if (r == 0)
        r = ask(q, "PRAGMA user_version", &version, e);
    if (r == 0 && version > 1)
        return err_set(e, RAIA_ERR_VERSION,
                       "'%s' was written by a newer version (format %lld, this one knows 1)",
                       q->path, (long long)version);
    if (r == 0)
        r = exec(q,
                 "BEGIN EXCLUSIVE;"
                 "CREATE TABLE IF NOT EXISTS rows(key BLOB PRIMARY KEY NOT NULL,"
                 " value BLOB NOT NULL, revision INTEGER NOT NULL);"
                 "CREATE TABLE IF NOT EXISTS state(id INTEGER PRIMARY KEY CHECK(id=0),"
                 " revision INTEGER NOT NULL);"
                 "INSERT OR IGNORE INTO state VALUES(0,0);"
                 "PRAGMA user_version=1;"
                 "COMMIT",
                 e);
    if (r == 0)
        r = ask(q, "SELECT revision FROM state", &revision, e);
    for (int i = 0; i < S_N && r == 0; i++) {
        if (sqlite3_prepare_v3(q->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &q->stmt[i],
                               NULL) != SQLITE_OK)
            r = db_fail(q, e, "open");
    }
    q->revision = (uint64_t)revision;
    return r;
}

int storage_open_sqlite(const char *path, struct storage **ret_s, struct raia_error *e)
{
    struct sqlite *q = mem_new(struct sqlite);
    struct storage_op *none;
    int r;

    sqlite_memory_use();
    if (!q || !(q->path = mem_strdup(path))) {
        mem_free(q);
        return err_set(e, RAIA_ERR_NOMEM, "open '%s'", path);
    }
    pthread_mutex_init(&q->queue_lock, NULL);
    pthread_cond_init(&q->queue_more, NULL);
    q->tail = &q->head;
    r = open_db(q, e);
    if (r < 0) {
        sqlite_close(&q->base, &none);
        mem_free(q);
        return r;
    }
    r = storage_init__(&q->base, &sqlite_driver, q->revision, e);
    if (r < 0) {
        sqlite_close(&q->base, &none);
        mem_free(q);
        return r;
    }
    if (pthread_create(&q->thread, NULL, thread_main, q) != 0) {
        storage_free(&q->base);
        return err_set(e, RAIA_ERR_LIMIT, "thread for '%s': too many threads", path);
    }
    q->started = true;
    *ret_s = &q->base;
    return 0;
}
