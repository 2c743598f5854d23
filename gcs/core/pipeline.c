/* The commit pipeline. */
#include "core/pipeline.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/mem.h"
#include "core/pb.h"

/* How far back commit_put looks for a row of the same key. */
#define SAME_KEY_WINDOW 256

enum action_kind { ACTION_REPLY, ACTION_SEND, ACTION_PUBLISH };

/* What is to be done once the commit is durable. */
struct action {
    enum action_kind kind;     /* which of the members hold */
    struct gcs_waiter *waiter; /* REPLY */
    struct raia_error *error;  /* REPLY: instead of data; owned */
    uint8_t *data;             /* REPLY, SEND: packed message; owned */
    size_t size;               /* bytes of data */
    struct node_id node;       /* SEND: nil: to all */
    struct pub_item *item;     /* PUBLISH; a reference */
};

/* A row to put or (value NULL) to delete; key and value are one block. */
struct change {
    uint8_t *key;      /* owned */
    size_t key_size;   /* bytes */
    size_t value_size; /* bytes, behind the key */
    bool is_delete;    /* no value */
};

/* One storage transaction of a commit. */
struct part {
    struct storage_txn txn;        /* first */
    struct commit *commit;         /* that it belongs to */
    struct storage_put *puts;      /* owned */
    struct storage_bytes *deletes; /* owned */
};

struct commit {
    struct pipeline *pipeline; /* whose */
    struct list link;          /* in the line */
    struct change *changes;    /* rows */
    size_t n_changes;          /* how many */
    size_t cap_changes;        /* room */
    struct action *actions;    /* what follows */
    size_t n_actions;          /* how many */
    size_t cap_actions;        /* room */
    struct pub_item **state;   /* the state for one subscriber */
    size_t n_state;            /* how many items */
    size_t cap_state;          /* room */
    struct node_id state_node; /* for whom; nil: no state */
    bool state_resync;         /* it is a resync */
    struct part *parts;        /* transactions under way */
    size_t n_parts;            /* how many */
    size_t parts_left;         /* not yet durable */
    int err;                   /* sticky, negative */
};

static void pipeline_break(struct pipeline *p, int code, const char *text);
static void advance(struct pipeline *p);

void pipeline_init(struct pipeline *p, struct storage *storage, const struct gcs_effects *fx,
                   struct pubsub *pubsub, size_t max_length)
{
    *p =
        (struct pipeline){.storage = storage, .fx = fx, .pubsub = pubsub, .max_length = max_length};
    list_init(&p->line);
}

bool pipeline_full(const struct pipeline *p)
{
    return p->broken || p->length >= p->max_length;
}

/* ---- building a commit ---- */

/* Room for one more in an array; NULL on failure. */
static void *grow(void *array, size_t n, size_t *cap, size_t item_size)
{
    size_t more = *cap ? *cap * 2 : 4;
    void *p;

    if (n < *cap)
        return array;
    p = mem_realloc(array, more * item_size);
    if (p)
        *cap = more;
    return p;
}

struct commit *pipeline_begin(struct pipeline *p)
{
    struct commit *c = mem_new(struct commit);

    if (!c) {
        pipeline_break(p, RAIA_ERR_NOMEM, "out of memory");
        return NULL;
    }
    c->pipeline = p;
    return c;
}

void commit_fail(struct commit *c, int code)
{
    if (c && c->err == 0)
        c->err = code < 0 ? code : -code;
}

static struct change *change_find(struct commit *c, const uint8_t *key, size_t size)
{
    size_t from = c->n_changes > SAME_KEY_WINDOW ? c->n_changes - SAME_KEY_WINDOW : 0;

    for (size_t i = c->n_changes; i > from; i--) {
        struct change *change = &c->changes[i - 1];

        if (change->key_size == size && memcmp(change->key, key, size) == 0)
            return change;
    }
    return NULL;
}

static void add_change(struct commit *c, const char *table, const void *id, size_t id_size,
                       const void *value, size_t size, bool is_delete)
{
    size_t table_size = strlen(table), key_size = table_size + id_size;
    struct change *change, *more;
    uint8_t *block;

    if (!c || c->err < 0)
        return;
    block = mem_alloc(key_size + size + 1);
    more = grow(c->changes, c->n_changes, &c->cap_changes, sizeof *more);
    if (more)
        c->changes = more;
    if (!block || !more) {
        mem_free(block);
        commit_fail(c, RAIA_ERR_NOMEM);
        return;
    }
    memcpy(block, table, table_size);
    if (id_size)
        memcpy(block + table_size, id, id_size);
    if (size)
        memcpy(block + key_size, value, size);
    change = change_find(c, block, key_size);
    if (change)
        mem_free(change->key);
    else
        change = &c->changes[c->n_changes++];
    *change = (struct change){
        .key = block, .key_size = key_size, .value_size = size, .is_delete = is_delete};
}

void commit_put(struct commit *c, const char *table, const void *id, size_t id_size,
                const void *value, size_t size)
{
    add_change(c, table, id, id_size, value, size, false);
}

void commit_put_message(struct commit *c, const char *table, const void *id, size_t id_size,
                        const ProtobufCMessage *row)
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *data = pb_pack(row, &size);

    if (data)
        commit_put(c, table, id, id_size, data, size);
    else
        commit_fail(c, RAIA_ERR_NOMEM);
}

void commit_delete(struct commit *c, const char *table, const void *id, size_t id_size)
{
    add_change(c, table, id, id_size, NULL, 0, true);
}

static struct action *add_action(struct commit *c, enum action_kind kind)
{
    struct action *more = c ? grow(c->actions, c->n_actions, &c->cap_actions, sizeof *more) : NULL;

    if (!more) {
        commit_fail(c, RAIA_ERR_NOMEM);
        return NULL;
    }
    c->actions = more;
    more = &more[c->n_actions++];
    *more = (struct action){.kind = kind};
    return more;
}

static const struct raia_error no_memory = {
    .code = RAIA_ERR_NOMEM, .retryable = true, .maybe_executed = true, .text = "out of memory"};

/* The place for a reply; a waiter that finds none is answered now, and the pipeline breaks. */
static struct action *add_reply(struct commit *c, struct gcs_waiter *w)
{
    struct action *a = w ? add_action(c, ACTION_REPLY) : NULL;

    if (a)
        a->waiter = w;
    else if (w)
        w->done(w, &no_memory, NULL, 0);
    return a;
}

void commit_reply_bytes(struct commit *c, struct gcs_waiter *w, const void *data, size_t size)
{
    struct action *a = add_reply(c, w);

    if (!a)
        return;
    a->data = mem_alloc(size + 1);
    if (!a->data) {
        commit_fail(c, RAIA_ERR_NOMEM);
        return;
    }
    if (size)
        memcpy(a->data, data, size);
    a->size = size;
}

void commit_reply(struct commit *c, struct gcs_waiter *w, const ProtobufCMessage *reply)
{
    struct action *a = add_reply(c, w);

    if (!a)
        return;
    a->data = pb_pack(reply, &a->size);
    if (!a->data)
        commit_fail(c, RAIA_ERR_NOMEM);
}

void commit_reply_error(struct commit *c, struct gcs_waiter *w, int code, const char *fmt, ...)
{
    struct action *a = add_reply(c, w);
    char text[RAIA_ERROR_TEXT_MAX];
    va_list ap;

    if (!a)
        return;
    a->error = mem_new(struct raia_error);
    if (!a->error) {
        commit_fail(c, RAIA_ERR_NOMEM);
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)err_set(a->error, code < 0 ? -code : code, "%s", text);
}

void commit_send(struct commit *c, const struct node_id *node, Raia__Gcs__SessionDown *down)
{
    struct action *a = add_action(c, ACTION_SEND);

    if (!a)
        return;
    if (node)
        a->node = *node;
    a->data = pb_pack(&down->base, &a->size);
    if (!a->data)
        commit_fail(c, RAIA_ERR_NOMEM);
}

void commit_publish(struct commit *c, Raia__Gcs__Channel channel, const void *key, size_t key_size,
                    void *message)
{
    struct pub_item *item = pub_item_new(channel, key, key_size, message);
    struct action *a = item ? add_action(c, ACTION_PUBLISH) : NULL;

    if (a) {
        a->item = item;
        return;
    }
    pub_item_unref(item);
    commit_fail(c, RAIA_ERR_NOMEM);
}

void commit_state(struct commit *c, struct pub_item *item)
{
    struct pub_item **more =
        c && item ? grow(c->state, c->n_state, &c->cap_state, sizeof *more) : NULL;

    if (!more) {
        pub_item_unref(item);
        commit_fail(c, RAIA_ERR_NOMEM);
        return;
    }
    c->state = more;
    c->state[c->n_state++] = item;
}

void commit_state_to(struct commit *c, const struct node_id *node, bool resync)
{
    if (!c)
        return;
    c->state_node = *node;
    c->state_resync = resync;
}

static void commit_free(struct commit *c)
{
    for (size_t i = 0; i < c->n_changes; i++)
        mem_free(c->changes[i].key);
    for (size_t i = 0; i < c->n_actions; i++) {
        mem_free(c->actions[i].error);
        mem_free(c->actions[i].data);
        pub_item_unref(c->actions[i].item);
    }
    for (size_t i = 0; i < c->n_state; i++)
        pub_item_unref(c->state[i]);
    for (size_t i = 0; i < c->n_parts; i++) {
        mem_free(c->parts[i].puts);
        mem_free(c->parts[i].deletes);
    }
    mem_free(c->changes);
    mem_free(c->actions);
    mem_free(c->state);
    mem_free(c->parts);
    mem_free(c);
}

/* ---- carrying it out ---- */

static void answer(struct action *a, const struct raia_error *instead)
{
    struct gcs_waiter *w = STEAL(a->waiter);

    if (!w)
        return;
    if (instead)
        w->done(w, instead, NULL, 0);
    else if (a->error)
        w->done(w, a->error, NULL, 0);
    else if (!a->data)
        w->done(w, &no_memory, NULL, 0);
    else
        w->done(w, NULL, a->data, a->size);
}

static void carry_out(struct pipeline *p, struct commit *c)
{
    bool stored = c->n_changes > 0;

    if (stored)
        (void)FAULT("gcs.commit.before_reply");
    for (size_t i = 0; i < c->n_actions; i++) {
        if (c->actions[i].kind == ACTION_REPLY)
            answer(&c->actions[i], NULL);
    }
    if (stored)
        (void)FAULT("gcs.commit.before_publish");
    for (size_t i = 0; i < c->n_actions; i++) {
        struct action *a = &c->actions[i];

        if (a->kind == ACTION_PUBLISH)
            pubsub_publish(p->pubsub, a->item);
        else if (a->kind == ACTION_SEND)
            pubsub_send(p->pubsub, node_id_is_nil(&a->node) ? NULL : &a->node, a->data, a->size);
    }
    if (!node_id_is_nil(&c->state_node))
        pubsub_give_state(p->pubsub, &c->state_node, c->state, c->n_state, c->state_resync);
    p->committed++;
}

static void advance(struct pipeline *p)
{
    if (p->running || p->broken)
        return;
    p->running = true;
    while (!list_empty(&p->line) && !p->broken) {
        struct commit *c = container_of(p->line.next, struct commit, link);

        if (c->parts_left)
            break;
        list_del(&c->link);
        p->length--;
        carry_out(p, c);
        commit_free(c);
    }
    p->running = false;
    pubsub_flush(p->pubsub);
}

/* Answers and frees all who wait. Parts that storage still holds keep their commit. */
static void answer_all(struct pipeline *p, const struct raia_error *e)
{
    struct commit *c, *next;

    LIST_FOREACH_SAFE (c, next, &p->line, link) {
        for (size_t i = 0; i < c->n_actions; i++) {
            if (c->actions[i].kind == ACTION_REPLY)
                answer(&c->actions[i], e);
        }
        if (c->parts_left)
            continue;
        list_del(&c->link);
        p->length--;
        commit_free(c);
    }
}

static void pipeline_break(struct pipeline *p, int code, const char *text)
{
    struct raia_error e = {0};

    if (p->broken)
        return;
    p->broken = true;
    (void)err_set(&p->why, code, "%s", text);
    (void)err_set(&e, RAIA_ERR_UNAVAILABLE, "the control store starts again: %.400s", text);
    e.maybe_executed = true;
    answer_all(p, &e);
    p->fx->broken(p->fx->arg, &p->why);
}

static void on_part(struct storage_txn *txn, int r, uint64_t revision, const struct raia_error *e)
{
    struct part *part = (struct part *)(void *)txn;
    struct commit *c = part->commit;
    struct pipeline *p = c->pipeline;

    (void)revision;
    c->parts_left--;
    if (r < 0 && r != -RAIA_ERR_CANCELED && !p->broken) {
        pipeline_break(p, -r, e->text); /* frees c if this was its last part */
        return;
    }
    if (!p->broken && r == 0) {
        advance(p);
    } else if (c->parts_left == 0 && p->broken) {
        list_del(&c->link);
        p->length--;
        commit_free(c);
    }
}

/* Which changes go into one transaction: [from, the returned index). */
static size_t part_end(const struct commit *c, size_t from, struct storage_limits max)
{
    size_t bytes = 0, i;

    for (i = from; i < c->n_changes && i - from < max.max_ops; i++) {
        bytes += c->changes[i].key_size + c->changes[i].value_size;
        if (bytes > max.max_bytes && i > from)
            break;
    }
    return i;
}

static int part_fill(struct part *part, struct commit *c, size_t from, size_t to)
{
    part->commit = c;
    part->puts = mem_calloc(to - from, sizeof *part->puts);
    part->deletes = mem_calloc(to - from, sizeof *part->deletes);
    if (!part->puts || !part->deletes)
        return -RAIA_ERR_NOMEM;
    for (size_t i = from; i < to; i++) {
        struct change *change = &c->changes[i];
        struct storage_bytes key = {change->key, change->key_size};

        if (change->is_delete)
            part->deletes[part->txn.n_deletes++] = key;
        else
            part->puts[part->txn.n_puts++] = (struct storage_put){
                .key = key, .value = {change->key + change->key_size, change->value_size}};
    }
    part->txn.puts = part->puts;
    part->txn.deletes = part->deletes;
    part->txn.done = on_part;
    return 0;
}

static int make_parts(struct commit *c)
{
    struct storage_limits max = storage_limits(c->pipeline->storage);
    size_t from, to, n = 0;
    int r = 0;

    for (from = 0; from < c->n_changes; from = part_end(c, from, max))
        n++;
    if (n == 0)
        return 0;
    c->parts = mem_calloc(n, sizeof *c->parts);
    if (!c->parts)
        return -RAIA_ERR_NOMEM;
    c->n_parts = n;
    for (size_t i = from = 0; i < n && r == 0; i++, from = to) {
        to = part_end(c, from, max);
        r = part_fill(&c->parts[i], c, from, to);
    }
    c->parts_left = r == 0 ? n : 0;
    return r;
}

void pipeline_submit(struct pipeline *p, struct commit *c)
{
    if (!c)
        return;
    list_add_tail(&p->line, &c->link);
    p->length++;
    if (c->err == 0)
        c->err = make_parts(c);
    if (c->err < 0 || p->broken)
        c->parts_left = 0; /* nothing of it goes to the storage */
    if (c->err < 0)
        pipeline_break(p, -c->err, "out of memory while changing the state"); /* frees c */
    if (p->broken) {
        struct raia_error e = {0};

        (void)err_set(&e, RAIA_ERR_UNAVAILABLE, "the control store starts again");
        answer_all(p, &e);
        return;
    }
    for (size_t i = 0; i < c->n_parts; i++)
        storage_commit(p->storage, &c->parts[i].txn);
    if (c->n_parts == 0)
        advance(p);
}

void pipeline_fini(struct pipeline *p)
{
    struct raia_error e = {0};

    p->broken = true;
    (void)err_set(&e, RAIA_ERR_SHUTDOWN, "the control store is shutting down");
    e.retryable = true;
    answer_all(p, &e);
}
