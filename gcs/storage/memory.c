/* The memory driver: rows in a sorted array of this process, applied as they come. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "storage/driver.h"

struct memory {
    struct storage base;      /* first */
    struct storage_rows rows; /* sorted by key */
    uint64_t revision;        /* of the last transaction applied */
};

static int key_compare(struct storage_bytes a, struct storage_bytes b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    int d = n ? memcmp(a.data, b.data, n) : 0;

    return d ? d : a.size < b.size ? -1 : a.size > b.size;
}

/* The place of the first row whose key is not below; *ret_equal: it is that key. */
static size_t find(const struct memory *m, struct storage_bytes key, bool *ret_equal)
{
    size_t low = 0, high = m->rows.n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (key_compare(storage_row_key(&m->rows.rows[mid]), key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret_equal = low < m->rows.n && key_compare(storage_row_key(&m->rows.rows[low]), key) == 0;
    return low;
}

static void remove_row(struct memory *m, struct storage_bytes key)
{
    bool equal;
    size_t at = find(m, key, &equal);

    if (!equal)
        return;
    mem_free(m->rows.rows[at].key);
    memmove(&m->rows.rows[at], &m->rows.rows[at + 1],
            (m->rows.n - at - 1) * sizeof m->rows.rows[0]);
    m->rows.n--;
}

static bool holds(const struct memory *m, const struct storage_compare *c)
{
    bool equal;
    size_t at = find(m, c->key, &equal);

    switch (c->kind) {
    case STORAGE_ABSENT:
        return !equal;
    case STORAGE_AT_REVISION:
        return equal && m->rows.rows[at].revision == c->revision;
    case STORAGE_EPOCH:
        return true;
    }
    return false;
}

/* Room for n more rows. */
static int reserve(struct memory *m, size_t n)
{
    size_t cap = m->rows.cap ? m->rows.cap : 64;
    struct storage_row *more;

    if (m->rows.n + n <= m->rows.cap)
        return 0;
    while (cap < m->rows.n + n)
        cap *= 2;
    more = mem_realloc(m->rows.rows, cap * sizeof *more);
    if (!more)
        return -RAIA_ERR_NOMEM;
    m->rows.rows = more;
    m->rows.cap = cap;
    return 0;
}

/* Takes the row over; there is room. */
static void put_row(struct memory *m, const struct storage_row *row)
{
    bool equal;
    size_t at = find(m, storage_row_key(row), &equal);

    if (equal) {
        mem_free(m->rows.rows[at].key);
    } else {
        memmove(&m->rows.rows[at + 1], &m->rows.rows[at],
                (m->rows.n - at) * sizeof m->rows.rows[0]);
        m->rows.n++;
    }
    m->rows.rows[at] = *row;
}

/* Copies first, so that running out of memory changes nothing. */
static int apply(struct memory *m, const struct storage_txn *txn)
{
    struct storage_rows fresh = {0};
    int r = reserve(m, txn->n_puts);

    for (size_t i = 0; i < txn->n_puts && r == 0; i++)
        r = storage_rows_add__(&fresh, txn->puts[i].key, txn->puts[i].value, m->revision + 1,
                               false);
    if (r < 0) {
        storage_rows_fini__(&fresh);
        return r;
    }
    for (size_t i = 0; i < fresh.n; i++)
        put_row(m, &fresh.rows[i]);
    mem_free(fresh.rows);
    for (size_t i = 0; i < txn->n_deletes; i++)
        remove_row(m, txn->deletes[i]);
    return 0;
}

static void run_txn(struct memory *m, struct storage_txn *txn)
{
    for (size_t i = 0; i < txn->n_compares; i++) {
        if (!holds(m, &txn->compares[i])) {
            txn->op.result = err_set(&txn->op.error, RAIA_ERR_STATE, "a compare failed");
            return;
        }
    }
    txn->op.result = apply(m, txn);
    if (txn->op.result < 0)
        (void)err_set(&txn->op.error, -txn->op.result, "transaction in memory");
    else if (txn->n_puts + txn->n_deletes)
        m->revision++;
    txn->op.revision = m->revision;
}

static void run_snapshot(struct memory *m, struct storage_snapshot *snap)
{
    bool equal;
    int r = 0;

    for (size_t i = find(m, snap->prefix, &equal); i < m->rows.n && r == 0; i++) {
        struct storage_row *row = &m->rows.rows[i];

        if (row->key_size < snap->prefix.size ||
            (snap->prefix.size && memcmp(row->key, snap->prefix.data, snap->prefix.size) != 0))
            break;
        r = storage_rows_add__(snap->rows, storage_row_key(row), storage_row_value(row),
                               row->revision, false);
    }
    if (r < 0)
        snap->op.result = err_set(&snap->op.error, -r, "snapshot of the rows in memory");
    snap->op.revision = m->revision;
}

static void memory_submit(struct storage *s, struct storage_op *op)
{
    struct memory *m = (struct memory *)(void *)s;

    if (op->result == 0) {
        if (op->is_snapshot)
            run_snapshot(m, STORAGE_SNAP(op));
        else
            run_txn(m, STORAGE_TXN(op));
    }
    storage_complete__(s, op);
}

static void memory_close(struct storage *s, struct storage_op **ret_queued)
{
    struct memory *m = (struct memory *)(void *)s;

    *ret_queued = NULL;
    storage_rows_fini__(&m->rows);
}

static const struct storage_driver memory_driver = {
    .name = "memory",
    .limits = {.max_ops = 1024, .max_bytes = 8u << 20},
    .submit = memory_submit,
    .close = memory_close,
};

int storage_open_memory(struct storage **ret_s, struct raia_error *e)
{
    struct memory *m = mem_new(struct memory);
    int r;

    if (!m)
        return err_set(e, RAIA_ERR_NOMEM, "memory storage");
    r = storage_init__(&m->base, &memory_driver, 0, e);
    if (r < 0) {
        mem_free(m);
        return r;
    }
    *ret_s = &m->base;
    return 0;
}
