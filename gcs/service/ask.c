/* Asking raylets: see ask.h. */
#include "service/ask.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"

struct asker {
    struct loop *loop;         /* the caller's */
    const struct rpc_tls *tls; /* the caller's; NULL: plaintext */
    struct list asks;          /* struct ask */
    unsigned n_asks;           /* of these */
    size_t bytes;              /* of replies held */
};

/* One node's call. */
struct ask_call {
    struct rpc_call call;   /* first */
    struct ask *ask;        /* whose */
    struct rpc_channel *ch; /* NULL: not asked yet, or closed */
    size_t i;               /* in ask.nodes */
};

struct ask {
    struct list link;       /* asker.asks */
    struct asker *asker;    /* whose */
    char *method;           /* owned */
    uint8_t *data;          /* the packed request; owned */
    size_t size;            /* bytes of it */
    uint64_t deadline_ms;   /* loop_now_ms */
    ask_done_fn done;       /* the caller's; NULL once it was called */
    void *arg;              /* handed to it */
    struct ask_node *nodes; /* owned */
    struct ask_call *calls; /* one for each; owned */
    size_t n;               /* nodes */
    size_t next;            /* the first one not asked yet */
    size_t ended;           /* calls that have an outcome */
    size_t open;            /* channels */
    size_t held;            /* bytes of replies */
    struct loop_task task;  /* goes on, not from inside the caller */
};

static void ask_free(struct ask *k)
{
    struct asker *a = k->asker;

    for (size_t i = 0; k->nodes && i < k->n; i++) {
        mem_free(k->nodes[i].name);
        mem_free(k->nodes[i].address);
        mem_free(k->nodes[i].data);
    }
    a->bytes -= k->held;
    if (list_linked(&k->link)) {
        list_del(&k->link);
        a->n_asks--;
    }
    mem_free(k->nodes);
    mem_free(k->calls);
    mem_free(k->method);
    mem_free(k->data);
    mem_free(k);
}

static void outcome(struct ask *k, size_t i, int status, const char *why)
{
    k->nodes[i].status = status;
    (void)snprintf(k->nodes[i].error, sizeof k->nodes[i].error, "%s", why);
    k->ended++;
}

static void on_closed(void *arg)
{
    struct ask *k = arg;

    k->open--;
    (void)loop_post(k->asker->loop, &k->task);
}

static void keep(struct ask *k, struct ask_node *node, const void *data, size_t size)
{
    if (k->asker->bytes + size > ASK_BYTES_MAX || !(node->data = mem_alloc(size + 1))) {
        node->status = -RAIA_ERR_LIMIT;
        (void)snprintf(node->error, sizeof node->error, "too much was answered by all nodes");
        return;
    }
    if (size)
        memcpy(node->data, data, size);
    node->size = size;
    k->held += size;
    k->asker->bytes += size;
}

static void on_reply(struct rpc_call *call, int r, const void *data, size_t size,
                     const struct raia_error *e)
{
    struct ask_call *c = (struct ask_call *)(void *)call;
    struct ask *k = c->ask;

    outcome(k, c->i, r,
            r == -RAIA_ERR_TIMEOUT ? "no answer in time"
            : r < 0                ? (e ? e->text : "failed")
                                   : "");
    if (r == 0)
        keep(k, &k->nodes[c->i], data, size);
    rpc_channel_close(STEAL(c->ch), on_closed, k);
    (void)loop_post(k->asker->loop, &k->task);
}

/* Asks the next node. */
static void ask_one(struct ask *k)
{
    const struct rpc_channel_opts opts = {.tls = k->asker->tls,
                                          .tls_name = k->asker->tls ? "raia-node" : NULL};
    uint64_t now = loop_now_ms(k->asker->loop);
    size_t i = k->next++;
    struct ask_call *c = &k->calls[i];
    struct raia_error e = {0};

    c->ask = k;
    c->i = i;
    if (now >= k->deadline_ms) {
        outcome(k, i, -RAIA_ERR_TIMEOUT, "no time was left to ask it");
        return;
    }
    if (rpc_channel_new(k->asker->loop, k->nodes[i].address, &opts, &c->ch, &e) < 0) {
        outcome(k, i, -e.code, e.text);
        return;
    }
    k->open++;
    rpc_call(c->ch, &c->call, k->method, k->data, k->size, k->deadline_ms - now, on_reply);
}

static void go_on(struct ask *k)
{
    while (k->next < k->n && k->next - k->ended < ASK_CALLS_MAX)
        ask_one(k);
    if (k->ended == k->n && k->done) {
        ask_done_fn done = STEAL(k->done);

        done(k->arg, k->nodes, k->n);
    }
    if (k->ended == k->n && k->open == 0)
        ask_free(k);
}

static void on_task(struct loop_task *t)
{
    go_on(LOOP_OF(t, struct ask, task));
}

int asker_new(struct loop *loop, const struct rpc_tls *tls, struct asker **ret_a,
              struct raia_error *e)
{
    struct asker *a = mem_new(struct asker);

    if (!a)
        return err_set(e, RAIA_ERR_NOMEM, "asking raylets");
    a->loop = loop;
    a->tls = tls;
    list_init(&a->asks);
    *ret_a = a;
    return 0;
}

int asker_ask(struct asker *a, const struct ask_question *q, const Raia__Gcs__Node *const *nodes,
              size_t n, struct raia_error *e)
{
    struct ask *k;
    bool ok;

    if (a->n_asks >= ASKS_MAX)
        return err_set(e, RAIA_ERR_LIMIT,
                       "%d such requests are being answered already: try again soon", ASKS_MAX);
    k = mem_new(struct ask);
    if (!k)
        return err_set(e, RAIA_ERR_NOMEM, "asking raylets");
    k->asker = a;
    k->n = n;
    k->size = q->size;
    k->done = q->done;
    k->arg = q->arg;
    k->task.fn = on_task;
    k->deadline_ms = loop_now_ms(a->loop) + q->timeout_ms;
    k->nodes = mem_calloc(n + 1, sizeof *k->nodes);
    k->calls = mem_calloc(n + 1, sizeof *k->calls);
    k->method = mem_strdup(q->method);
    k->data = mem_alloc(q->size + 1);
    ok = k->nodes && k->calls && k->method && k->data;
    for (size_t i = 0; ok && i < n; i++) {
        ok =
            node_id_from_bytes(nodes[i]->node_id.data, nodes[i]->node_id.len, &k->nodes[i].id) == 0;
        k->nodes[i].name = mem_strdup(nodes[i]->name);
        k->nodes[i].address = mem_strdup(nodes[i]->address);
        ok = ok && k->nodes[i].name && k->nodes[i].address;
    }
    if (!ok) {
        ask_free(k);
        return err_set(e, RAIA_ERR_NOMEM, "asking raylets");
    }
    if (q->size)
        memcpy(k->data, q->data, q->size);
    list_add_tail(&a->asks, &k->link);
    a->n_asks++;
    (void)loop_post(a->loop, &k->task);
    return 0;
}

void asker_free(struct asker *a)
{
    struct ask *k;

    if (!a)
        return;
    LIST_FOREACH (k, &a->asks, link) {
        k->deadline_ms = 0; /* those not asked yet are not asked */
        for (size_t i = 0; i < k->next; i++)
            if (k->calls[i].ch)
                rpc_call_cancel(&k->calls[i].call);
        (void)loop_post(a->loop, &k->task);
    }
    while (!list_empty(&a->asks))
        (void)loop_run_once(a->loop, 100);
    mem_free(a);
}
