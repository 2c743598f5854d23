/* A storage driver for tests: requests wait until lazy_flush passes them on. */
#include "base/err.h"
#include "base/mem.h"
#include "storage/driver.h"
#include "test/lazy.h"

struct lazy {
    struct storage base;      /* first */
    struct storage *inner;    /* where rows really are */
    struct storage_op *head;  /* waiting */
    struct storage_op **tail; /* its end */
    int fail;                 /* positive: everything fails with it */
};

static void lazy_submit(struct storage *s, struct storage_op *op)
{
    struct lazy *l = (struct lazy *)(void *)s;

    op->next = NULL;
    *l->tail = op;
    l->tail = &op->next;
}

static void lazy_close(struct storage *s, struct storage_op **ret_queued)
{
    *ret_queued = ((struct lazy *)(void *)s)->head;
}

static const struct storage_driver lazy_driver = {
    .name = "lazy",
    .limits = {.max_ops = 16, .max_bytes = 2u << 20},
    .submit = lazy_submit,
    .close = lazy_close,
};

int lazy_open(struct storage *inner, struct storage **ret_s)
{
    struct lazy *l = mem_new(struct lazy);

    if (!l)
        return -RAIA_ERR_NOMEM;
    l->inner = inner;
    l->tail = &l->head;
    if (storage_init__(&l->base, &lazy_driver, 0, NULL) < 0) {
        mem_free(l);
        return -RAIA_ERR_IO;
    }
    *ret_s = &l->base;
    return 0;
}

struct passing {
    struct storage_txn txn; /* first */
    int r;                  /* the result */
    uint64_t revision;      /* the result */
};

static void on_passed(struct storage_txn *txn, int r, uint64_t revision, const struct raia_error *e)
{
    struct passing *x = (struct passing *)(void *)txn;

    (void)e;
    x->r = r;
    x->revision = revision;
}

void lazy_flush(struct storage *s, size_t n)
{
    struct lazy *l = (struct lazy *)(void *)s;

    for (; n > 0 && l->head; n--) {
        struct storage_op *op = l->head;
        struct passing x = {.txn = *STORAGE_TXN(op)};

        l->head = op->next;
        if (!l->head)
            l->tail = &l->head;
        x.txn.done = on_passed;
        if (op->result == 0 && l->fail) {
            op->result = err_set(&op->error, l->fail, "made to fail");
        } else if (op->result == 0) {
            storage_commit(l->inner, &x.txn);
            storage_step(l->inner);
            op->result = x.r;
            op->revision = x.revision;
        }
        storage_complete__(s, op);
        storage_step(s);
    }
}

size_t lazy_waiting(const struct storage *s)
{
    const struct lazy *l = (const struct lazy *)(const void *)s;
    size_t n = 0;

    for (const struct storage_op *op = l->head; op; op = op->next)
        n++;
    return n;
}

void lazy_fail(struct storage *s, int code)
{
    ((struct lazy *)(void *)s)->fail = code;
}
