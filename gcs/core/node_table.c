/* The node table. */
#include "core/node_table.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/pb.h"

#define TABLE "node/"

void node_table_init(struct node_table *t)
{
    list_init(&t->alive);
    list_init(&t->dead);
}

static void entry_free(struct node_table *t, struct node_entry *entry)
{
    HASH_DEL(t->table, entry);
    list_del(&entry->link);
    pb_free(&entry->row->base);
    mem_free(entry);
}

void node_table_fini(struct node_table *t)
{
    struct node_entry *entry, *next;

    HASH_FOREACH (t->table, entry, next)
        entry_free(t, entry);
}

struct node_entry *node_table_find(struct node_table *t, const struct node_id *id)
{
    return HASH_GET(t->table, id, id);
}

struct node_entry *node_table_find_alive(struct node_table *t, const struct node_id *id)
{
    struct node_entry *entry = node_table_find(t, id);

    return entry && entry->row->state != RAIA__GCS__NODE_STATE__NODE_DEAD ? entry : NULL;
}

struct node_entry *node_table_head(struct node_table *t)
{
    struct node_entry *entry, *head = NULL;

    LIST_FOREACH (entry, &t->alive, link) {
        if (entry->row->is_head)
            head = entry;
    }
    return head;
}

/* Stores and publishes; what is only reported is not stored. */
static void entry_commit(struct node_entry *entry, struct commit *c)
{
    Raia__Gcs__Node row = *entry->row;

    row.n_available = 0;
    row.store_used = 0;
    commit_put_message(c, TABLE, entry->id.bytes, NODE_ID_SIZE, &row.base);
    commit_publish(c, RAIA__GCS__CHANNEL__CHANNEL_NODE, entry->id.bytes, NODE_ID_SIZE,
                   pb_copy(&entry->row->base));
}

/* Takes the row over, on failure too. */
static struct node_entry *entry_add(struct node_table *t, struct gcs_now now, Raia__Gcs__Node *row)
{
    struct node_entry *entry = mem_new(struct node_entry);
    bool dead = row->state == RAIA__GCS__NODE_STATE__NODE_DEAD;

    if (!entry || node_id_from_bytes(row->node_id.data, row->node_id.len, &entry->id) < 0 ||
        HASH_PUT(t->table, id, entry) < 0) {
        pb_free(&row->base);
        mem_free(entry);
        return NULL;
    }
    entry->row = row;
    entry->heard_ms = now.mono_ms;
    list_add_tail(dead ? &t->dead : &t->alive, &entry->link);
    *(dead ? &t->n_dead : &t->n_alive) += 1;
    return entry;
}

int node_table_load(struct node_table *t, struct gcs_now now, Raia__Gcs__Node *row)
{
    struct node_id id;

    if (node_id_from_bytes(row->node_id.data, row->node_id.len, &id) < 0 ||
        node_table_find(t, &id)) {
        pb_free(&row->base);
        return -RAIA_ERR_PROTOCOL;
    }
    return entry_add(t, now, row) ? 0 : -RAIA_ERR_NOMEM;
}

int node_table_register(struct node_table *t, struct gcs_now now, const Raia__Gcs__Node *node,
                        struct commit *c, struct node_entry **ret_entry, struct raia_error *e)
{
    struct node_entry *entry;
    struct node_id id;
    Raia__Gcs__Node *row;

    if (!node || node_id_from_bytes(node->node_id.data, node->node_id.len, &id) < 0 ||
        node_id_is_nil(&id))
        return err_set(e, RAIA_ERR_INVALID, "register node: node_id must have %d bytes",
                       NODE_ID_SIZE);
    if (!node->address[0])
        return err_set(e, RAIA_ERR_INVALID, "register node: no address");
    entry = node_table_find(t, &id);
    if (entry && entry->row->state == RAIA__GCS__NODE_STATE__NODE_DEAD)
        return err_set(e, RAIA_ERR_STATE,
                       "register node: this node id is dead (%s); start again with a new one",
                       entry->row->state_message);
    if (!entry && t->n_alive >= t->max_alive)
        return err_set(e, RAIA_ERR_LIMIT, "register node: there are %zu nodes, the most allowed",
                       t->n_alive);
    row = pb_copy(&node->base);
    if (!row)
        return err_set(e, RAIA_ERR_NOMEM, "register node");
    row->state = RAIA__GCS__NODE_STATE__NODE_ALIVE;
    row->start_unix_ms = entry ? entry->row->start_unix_ms : now.unix_ms;
    row->end_unix_ms = 0;
    if (entry) {
        pb_free(&entry->row->base);
        entry->row = row;
        entry->heard_ms = now.mono_ms;
    } else {
        entry = entry_add(t, now, row);
        if (!entry)
            return err_set(e, RAIA_ERR_NOMEM, "register node");
    }
    entry_commit(entry, c);
    *ret_entry = entry;
    return 0;
}

bool node_table_heartbeat(struct node_table *t, struct gcs_now now, const struct node_id *id)
{
    struct node_entry *entry = node_table_find_alive(t, id);

    if (entry)
        entry->heard_ms = now.mono_ms;
    return entry != NULL;
}

struct node_entry *node_table_expired(struct node_table *t, struct gcs_now now)
{
    struct node_entry *entry;

    LIST_FOREACH (entry, &t->alive, link) {
        if (now.mono_ms - entry->heard_ms >= t->lease_ms + t->grace_ms)
            return entry;
    }
    return NULL;
}

void node_table_die(struct node_table *t, struct gcs_now now, struct node_entry *entry,
                    const char *why, struct commit *c)
{
    if (entry->row->state == RAIA__GCS__NODE_STATE__NODE_DEAD)
        return;
    entry->row->state = RAIA__GCS__NODE_STATE__NODE_DEAD;
    entry->row->end_unix_ms = now.unix_ms;
    if (pb_set_str(&entry->row->state_message, why) < 0)
        commit_fail(c, RAIA_ERR_NOMEM);
    list_del(&entry->link);
    t->n_alive--;
    list_add_tail(&t->dead, &entry->link);
    t->n_dead++;
    entry_commit(entry, c);
    while (t->n_dead > t->max_dead && t->n_dead > 1) {
        struct node_entry *oldest = container_of(t->dead.next, struct node_entry, link);

        commit_delete(c, TABLE, oldest->id.bytes, NODE_ID_SIZE);
        entry_free(t, oldest);
        t->n_dead--;
    }
}
