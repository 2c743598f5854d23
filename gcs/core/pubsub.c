/* Subscribers, their bounded queues, and what is sent to them. */
#include "core/pubsub.h"

#include <string.h>

#include "base/mem.h"
#include "core/pb.h"

/* Items that go into one Publication, but for a state, which is whole. */
#define BATCH_MAX 512

struct pub_item *pub_item_new(Raia__Gcs__Channel channel, const void *key, size_t key_size,
                              void *message)
{
    struct pub_item *item = message ? mem_new(struct pub_item) : NULL;

    if (!item) {
        pb_free(message);
        return NULL;
    }
    item->refs = 1;
    item->channel = channel;
    item->key_size = key_size > PUBSUB_KEY_MAX ? PUBSUB_KEY_MAX : key_size;
    memcpy(item->key, key, item->key_size);
    item->message = message;
    return item;
}

struct pub_item *pub_item_ref(struct pub_item *item)
{
    item->refs++;
    return item;
}

void pub_item_unref(struct pub_item *item)
{
    if (!item || --item->refs)
        return;
    pb_free(item->message);
    mem_free(item);
}

void pubsub_init(struct pubsub *p, const struct gcs_effects *fx, size_t max_items, size_t max_keys)
{
    *p = (struct pubsub){.fx = fx, .max_items = max_items, .max_keys = max_keys};
}

static void drop_items(struct subscriber *s)
{
    for (size_t i = 0; i < s->n_items; i++)
        pub_item_unref(s->items[i]);
    s->n_items = 0;
}

static void clear_keys(struct subscriber *s, unsigned channel)
{
    struct pub_key *key, *next;

    HASH_FOREACH (s->keys[channel], key, next) {
        HASH_DEL(s->keys[channel], key);
        mem_free(key);
        s->n_keys--;
    }
}

static void subscriber_free(struct subscriber *s)
{
    for (unsigned c = 0; c < PUBSUB_CHANNELS; c++)
        clear_keys(s, c);
    drop_items(s);
    mem_free(s->items);
    mem_free(s);
}

void pubsub_fini(struct pubsub *p)
{
    struct subscriber *s, *next;

    HASH_FOREACH (p->subscribers, s, next) {
        HASH_DEL(p->subscribers, s);
        subscriber_free(s);
    }
}

struct subscriber *pubsub_find(struct pubsub *p, const struct node_id *node)
{
    return HASH_GET(p->subscribers, node, node);
}

int pubsub_open(struct pubsub *p, const struct node_id *node)
{
    struct subscriber *s;

    pubsub_close(p, node);
    s = mem_new(struct subscriber);
    if (!s)
        return -RAIA_ERR_NOMEM;
    s->node = *node;
    if (HASH_PUT(p->subscribers, node, s) < 0) {
        mem_free(s);
        return -RAIA_ERR_NOMEM;
    }
    return 0;
}

void pubsub_close(struct pubsub *p, const struct node_id *node)
{
    struct subscriber *s = pubsub_find(p, node);

    if (!s)
        return;
    HASH_DEL(p->subscribers, s);
    subscriber_free(s);
}

/* Breaks a session that cannot be served; its raylet comes back with a hello. */
static void give_up(struct pubsub *p, struct subscriber *s)
{
    struct node_id node = s->node;

    pubsub_close(p, &node);
    p->fx->disconnect(p->fx->arg, &node);
}

static struct pub_key key_of(const void *bytes, size_t size)
{
    struct pub_key key = {{0}, {0}};

    memcpy(key.bytes, bytes, size > PUBSUB_KEY_MAX ? PUBSUB_KEY_MAX : size);
    return key;
}

int pubsub_subscribe(struct pubsub *p, struct subscriber *s, Raia__Gcs__Channel channel,
                     const void *bytes, size_t size, bool off)
{
    struct pub_key key, *found;

    if ((unsigned)channel >= PUBSUB_CHANNELS || size > PUBSUB_KEY_MAX)
        return -RAIA_ERR_INVALID;
    if (size == 0) {
        s->all[channel] = !off;
        if (off)
            clear_keys(s, channel);
        return 0;
    }
    key = key_of(bytes, size);
    found = HASH_GET(s->keys[channel], bytes, &key.bytes);
    if (off && found) {
        HASH_DEL(s->keys[channel], found);
        mem_free(found);
        s->n_keys--;
    }
    if (off || found)
        return 0;
    if (s->n_keys >= p->max_keys)
        return -RAIA_ERR_LIMIT;
    found = mem_dup(&key, sizeof key);
    if (!found || HASH_PUT(s->keys[channel], bytes, found) < 0) {
        mem_free(found);
        return -RAIA_ERR_NOMEM;
    }
    s->n_keys++;
    return 0;
}

static bool wants(const struct subscriber *s, const struct pub_item *item)
{
    struct pub_key *keys = s->keys[item->channel], key;

    if (s->all[item->channel])
        return true;
    if (!keys)
        return false;
    key = key_of(item->key, item->key_size);
    return HASH_GET(keys, bytes, &key.bytes) != NULL;
}

static int append(struct subscriber *s, struct pub_item *item)
{
    if (s->n_items == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        struct pub_item **more = mem_realloc(s->items, cap * sizeof *more);

        if (!more)
            return -RAIA_ERR_NOMEM;
        s->items = more;
        s->cap = cap;
    }
    s->items[s->n_items++] = pub_item_ref(item);
    return 0;
}

static void lose(struct pubsub *p, struct subscriber *s)
{
    p->dropped += s->n_items + 1;
    drop_items(s);
    s->lost = true;
    s->resync = false;
}

void pubsub_publish(struct pubsub *p, struct pub_item *item)
{
    struct subscriber *s, *next;

    HASH_FOREACH (p->subscribers, s, next) {
        if (s->lost || !wants(s, item))
            continue;
        if (s->n_items >= p->max_items || append(s, item) < 0) {
            lose(p, s);
        } else {
            p->published++;
            p->dirty = true;
        }
    }
}

void pubsub_give_state(struct pubsub *p, const struct node_id *node, struct pub_item *const *items,
                       size_t n, bool resync)
{
    struct subscriber *s = pubsub_find(p, node);

    if (!s || (resync && !s->resyncing))
        return; /* another session by now */
    if (s->lost && !resync)
        return; /* it will come with the resync */
    if (resync) {
        s->lost = s->resyncing = false;
        s->resync = true;
    }
    for (size_t i = 0; i < n; i++) {
        if (append(s, items[i]) < 0) {
            lose(p, s);
            return;
        }
    }
    p->dirty = true;
}

struct subscriber *pubsub_next_lost(struct pubsub *p)
{
    struct subscriber *s, *next;

    HASH_FOREACH (p->subscribers, s, next) {
        if (s->lost && !s->blocked && !s->resyncing) {
            s->resyncing = true;
            return s;
        }
    }
    return NULL;
}

/* The Publication's arrays, by channel; each points into one block. */
struct arrays {
    void **of[PUBSUB_CHANNELS]; /* where each channel's messages begin */
    size_t n[PUBSUB_CHANNELS];  /* how many */
};

static void sort_items(struct subscriber *s, size_t n, void **block, struct arrays *a)
{
    void **at = block;

    for (unsigned c = 0; c < PUBSUB_CHANNELS; c++) {
        a->of[c] = at;
        for (size_t i = 0; i < n; i++) {
            if ((unsigned)s->items[i]->channel == c)
                *at++ = s->items[i]->message;
        }
        a->n[c] = (size_t)(at - a->of[c]);
    }
}

static int send_batch(struct pubsub *p, struct subscriber *s, size_t n)
{
    Raia__Gcs__Publication pub = RAIA__GCS__PUBLICATION__INIT;
    Raia__Gcs__SessionDown down = RAIA__GCS__SESSION_DOWN__INIT;
    _cleanup_(mem_freep) void **block = mem_calloc(n + 1, sizeof *block);
    _cleanup_(mem_freep) uint8_t *data = NULL;
    struct arrays a;
    size_t size = 0;

    if (!block)
        return -RAIA_ERR_NOMEM;
    sort_items(s, n, block, &a);
    pub.sequence = s->sequence + 1;
    pub.resync = s->resync;
    pub.nodes = (Raia__Gcs__Node **)a.of[RAIA__GCS__CHANNEL__CHANNEL_NODE];
    pub.n_nodes = a.n[RAIA__GCS__CHANNEL__CHANNEL_NODE];
    pub.resources = (Raia__Gcs__ResourceReport **)a.of[RAIA__GCS__CHANNEL__CHANNEL_RESOURCES];
    pub.n_resources = a.n[RAIA__GCS__CHANNEL__CHANNEL_RESOURCES];
    pub.jobs = (Raia__Gcs__Job **)a.of[RAIA__GCS__CHANNEL__CHANNEL_JOB];
    pub.n_jobs = a.n[RAIA__GCS__CHANNEL__CHANNEL_JOB];
    pub.actors = (Raia__Gcs__Actor **)a.of[RAIA__GCS__CHANNEL__CHANNEL_ACTOR];
    pub.n_actors = a.n[RAIA__GCS__CHANNEL__CHANNEL_ACTOR];
    pub.workers = (Raia__Gcs__WorkerDeath **)a.of[RAIA__GCS__CHANNEL__CHANNEL_WORKER];
    pub.n_workers = a.n[RAIA__GCS__CHANNEL__CHANNEL_WORKER];
    pub.errors = (Raia__Gcs__JobError **)a.of[RAIA__GCS__CHANNEL__CHANNEL_ERROR];
    pub.n_errors = a.n[RAIA__GCS__CHANNEL__CHANNEL_ERROR];
    down.body_case = RAIA__GCS__SESSION_DOWN__BODY_PUBLICATION;
    down.publication = &pub;
    data = pb_pack(&down.base, &size);
    return data ? p->fx->send(p->fx->arg, &s->node, data, size) : -RAIA_ERR_NOMEM;
}

static void flush_one(struct pubsub *p, struct subscriber *s)
{
    while (s->n_items || s->resync) {
        size_t n = s->n_items > BATCH_MAX && !s->resync ? BATCH_MAX : s->n_items;
        int r = send_batch(p, s, n);

        if (r == -RAIA_ERR_LIMIT) {
            s->blocked = true;
            return;
        }
        if (r < 0) {
            give_up(p, s);
            return;
        }
        s->sequence++;
        s->resync = false;
        for (size_t i = 0; i < n; i++)
            pub_item_unref(s->items[i]);
        s->n_items -= n;
        memmove(s->items, s->items + n, s->n_items * sizeof *s->items);
    }
}

void pubsub_flush(struct pubsub *p)
{
    struct subscriber *s, *next;

    if (!p->dirty)
        return;
    p->dirty = false;
    HASH_FOREACH (p->subscribers, s, next) {
        if (!s->blocked)
            flush_one(p, s);
    }
}

void pubsub_room(struct pubsub *p, const struct node_id *node)
{
    struct subscriber *s = pubsub_find(p, node);

    if (!s)
        return;
    s->blocked = false;
    flush_one(p, s);
}

void pubsub_send(struct pubsub *p, const struct node_id *node, const void *data, size_t size)
{
    struct subscriber *s, *next;

    HASH_FOREACH (p->subscribers, s, next) {
        if (node && !node_id_equal(&s->node, node))
            continue;
        if (p->fx->send(p->fx->arg, &s->node, data, size) < 0)
            give_up(p, s);
    }
}
