/* The part of storage that all drivers share: checks, completions, history and watches. */
#include "storage/storage.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "storage/driver.h"

int storage_rows_add__(struct storage_rows *rows, struct storage_bytes key,
                       struct storage_bytes value, uint64_t revision, bool deleted)
{
    uint8_t *bytes;

    if (rows->n == rows->cap) {
        size_t cap = rows->cap ? rows->cap * 2 : 64;
        struct storage_row *more = mem_realloc(rows->rows, cap * sizeof *more);

        if (!more)
            return -RAIA_ERR_NOMEM;
        rows->rows = more;
        rows->cap = cap;
    }
    bytes = mem_alloc(key.size + value.size + 1);
    if (!bytes)
        return -RAIA_ERR_NOMEM;
    memcpy(bytes, key.data, key.size);
    if (value.size)
        memcpy(bytes + key.size, value.data, value.size);
    rows->rows[rows->n++] = (struct storage_row){.key = bytes,
                                                 .key_size = key.size,
                                                 .value_size = value.size,
                                                 .revision = revision,
                                                 .deleted = deleted};
    rows->bytes += key.size + value.size;
    return 0;
}

void storage_rows_fini__(struct storage_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        mem_free(rows->rows[i].key);
    mem_free(rows->rows);
    *rows = (struct storage_rows){0};
}

int storage_init__(struct storage *s, const struct storage_driver *driver, uint64_t revision,
                   struct raia_error *e)
{
    s->driver = driver;
    s->done_tail = &s->done_head;
    s->revision = revision;
    s->history_from = revision + 1;
    s->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->event < 0)
        return err_errno(e, errno, "eventfd for the %s storage", driver->name);
    pthread_mutex_init(&s->lock, NULL);
    return 0;
}

void storage_complete__(struct storage *s, struct storage_op *op)
{
    uint64_t one = 1;
    bool first;

    op->next = NULL;
    pthread_mutex_lock(&s->lock);
    first = !s->done_head;
    *s->done_tail = op;
    s->done_tail = &op->next;
    pthread_mutex_unlock(&s->lock);
    if (first)
        (void)!write(s->event, &one, sizeof one); /* cannot fail but by being set already */
}

struct storage_limits storage_limits(const struct storage *s)
{
    return s->driver->limits;
}

int storage_fd(const struct storage *s)
{
    return s->event;
}

/* ---- history and watches ---- */

static bool has_prefix(struct storage_bytes key, struct storage_bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

/* Forgets the oldest changes, whole revisions at a time, until the rest is small enough. */
static void history_trim(struct storage *s)
{
    struct storage_rows *h = &s->history;

    while (s->history_at < h->n && h->bytes > STORAGE_HISTORY_BYTES) {
        uint64_t revision = h->rows[s->history_at].revision;

        while (s->history_at < h->n && h->rows[s->history_at].revision == revision) {
            struct storage_row *row = &h->rows[s->history_at++];

            h->bytes -= row->key_size + row->value_size;
            mem_free(STEAL(row->key));
        }
        s->history_from = revision + 1;
    }
    if (s->history_at > 64 && s->history_at * 2 > h->n) {
        h->n -= s->history_at;
        memmove(h->rows, h->rows + s->history_at, h->n * sizeof *h->rows);
        s->history_at = 0;
    }
}

static void history_forget(struct storage *s)
{
    storage_rows_fini__(&s->history);
    s->history_at = 0;
    s->history_from = s->revision + 1;
}

static void history_add(struct storage *s, const struct storage_txn *txn)
{
    int r = 0;

    for (size_t i = 0; i < txn->n_puts && r == 0; i++)
        r = storage_rows_add__(&s->history, txn->puts[i].key, txn->puts[i].value, s->revision,
                               false);
    for (size_t i = 0; i < txn->n_deletes && r == 0; i++)
        r = storage_rows_add__(&s->history, txn->deletes[i], (struct storage_bytes){0}, s->revision,
                               true);
    if (r < 0)
        history_forget(s); /* late watches read a snapshot instead */
    history_trim(s);
}

static void watch_call(struct storage_watch *w, uint64_t revision, struct storage_bytes key,
                       const struct storage_bytes *value)
{
    if (revision >= w->from && has_prefix(key, w->prefix))
        w->event(w, revision, key, value);
}

static void watches_tell(struct storage *s, const struct storage_txn *txn)
{
    struct storage_watch *next;

    for (struct storage_watch *w = s->watches; w; w = next) {
        next = w->next; /* a watch may stop itself in its callback, no other */
        for (size_t i = 0; i < txn->n_puts; i++)
            watch_call(w, s->revision, txn->puts[i].key, &txn->puts[i].value);
        for (size_t i = 0; i < txn->n_deletes; i++)
            watch_call(w, s->revision, txn->deletes[i], NULL);
    }
}

int storage_watch_start(struct storage *s, struct storage_watch *w, uint64_t from)
{
    if (from < s->history_from)
        return -RAIA_ERR_NOT_FOUND;
    w->from = from;
    for (size_t i = s->history_at; i < s->history.n; i++) {
        struct storage_row *row = &s->history.rows[i];
        struct storage_bytes value = storage_row_value(row);

        watch_call(w, row->revision, storage_row_key(row), row->deleted ? NULL : &value);
    }
    w->next = s->watches;
    s->watches = w;
    return 0;
}

void storage_watch_stop(struct storage *s, struct storage_watch *w)
{
    for (struct storage_watch **at = &s->watches; *at; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            return;
        }
    }
}

/* ---- completions ---- */

static void finish_snapshot(struct storage_snapshot *snap)
{
    struct storage_rows *rows = STEAL(snap->rows);

    for (size_t i = 0; rows && snap->op.result == 0 && i < rows->n; i++)
        snap->row(snap, storage_row_key(&rows->rows[i]), storage_row_value(&rows->rows[i]),
                  rows->rows[i].revision);
    if (rows)
        storage_rows_fini__(rows);
    mem_free(rows);
    snap->done(snap, snap->op.result, snap->op.revision,
               snap->op.result < 0 ? &snap->op.error : NULL);
}

static void finish(struct storage *s, struct storage_op *op)
{
    struct storage_txn *txn;

    if (op->is_snapshot) {
        finish_snapshot(STORAGE_SNAP(op));
        return;
    }
    txn = STORAGE_TXN(op);
    if (op->result == 0 && op->revision > s->revision) {
        s->revision = op->revision;
        history_add(s, txn);
        watches_tell(s, txn);
    }
    txn->done(txn, op->result, op->revision, op->result < 0 ? &op->error : NULL);
}

void storage_step(struct storage *s)
{
    struct storage_op *op;
    uint64_t count;

    (void)!read(s->event, &count, sizeof count);
    pthread_mutex_lock(&s->lock);
    op = s->done_head;
    s->done_head = NULL;
    s->done_tail = &s->done_head;
    pthread_mutex_unlock(&s->lock);
    while (op) {
        struct storage_op *next = op->next;

        finish(s, op);
        op = next;
    }
}

/* ---- requests ---- */

static int check_txn(struct storage *s, const struct storage_txn *txn, struct raia_error *e)
{
    struct storage_limits max = s->driver->limits;
    size_t bytes = 0;

    if (txn->n_puts + txn->n_deletes > max.max_ops)
        return err_set(e, RAIA_ERR_LIMIT, "transaction of %zu operations, the %s storage takes %zu",
                       txn->n_puts + txn->n_deletes, s->driver->name, max.max_ops);
    for (size_t i = 0; i < txn->n_puts; i++)
        bytes += txn->puts[i].key.size + txn->puts[i].value.size;
    for (size_t i = 0; i < txn->n_deletes; i++)
        bytes += txn->deletes[i].size;
    if (bytes > max.max_bytes)
        return err_set(e, RAIA_ERR_LIMIT, "transaction of %zu bytes, the %s storage takes %zu",
                       bytes, s->driver->name, max.max_bytes);
    for (size_t i = 0; i < txn->n_puts + txn->n_deletes; i++) {
        struct storage_bytes key =
            i < txn->n_puts ? txn->puts[i].key : txn->deletes[i - txn->n_puts];

        if (key.size == 0)
            return err_set(e, RAIA_ERR_INVALID, "transaction with an empty key");
    }
    return 0;
}

void storage_commit(struct storage *s, struct storage_txn *txn)
{
    txn->op = (struct storage_op){.is_snapshot = false};
    txn->op.result = check_txn(s, txn, &txn->op.error);
    s->driver->submit(s, &txn->op); /* also when it failed: completions keep the order */
}

void storage_read(struct storage *s, struct storage_snapshot *snap)
{
    snap->op = (struct storage_op){.is_snapshot = true};
    snap->rows = mem_new(struct storage_rows);
    if (!snap->rows)
        snap->op.result = err_set(&snap->op.error, RAIA_ERR_NOMEM, "snapshot of the storage");
    s->driver->submit(s, &snap->op);
}

void storage_free(struct storage *s)
{
    struct storage_op *queued = NULL, *next;

    if (!s)
        return;
    s->driver->close(s, &queued);
    storage_step(s);
    for (; queued; queued = next) {
        next = queued->next;
        queued->result = err_set(&queued->error, RAIA_ERR_CANCELED, "the storage was closed");
        finish(s, queued);
    }
    storage_rows_fini__(&s->history);
    close(s->event);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}
