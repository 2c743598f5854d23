/* The actor table: registration, life and death. */
#include "core/actor_table.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/pb.h"

#define TABLE "actor/"

#define PENDING    RAIA__GCS__ACTOR_STATE__ACTOR_PENDING
#define ALIVE      RAIA__GCS__ACTOR_STATE__ACTOR_ALIVE
#define RESTARTING RAIA__GCS__ACTOR_STATE__ACTOR_RESTARTING
#define DEAD       RAIA__GCS__ACTOR_STATE__ACTOR_DEAD

/* How long one waits to be placed again after its raylet refused it. */
#define REJECTED_MS 200

void actor_table_init(struct actor_table *t, struct node_table *nodes, struct view_table *views,
                      struct pubsub *pubsub)
{
    list_init(&t->waiting);
    list_init(&t->placed);
    list_init(&t->dead);
    t->nodes = nodes;
    t->views = views;
    t->pubsub = pubsub;
}

static void free_name(struct actor_table *t, struct actor_entry *entry)
{
    if (!entry->name)
        return;
    HASH_DEL_HH(by_name, t->by_name, entry);
    mem_free(STEAL(entry->name));
}

static void entry_free(struct actor_table *t, struct actor_entry *entry)
{
    free_name(t, entry);
    HASH_DEL(t->table, entry);
    list_del(&entry->link);
    t->counts[entry->row->state]--;
    pb_free(&entry->row->base);
    mem_free(entry);
}

void actor_table_fini(struct actor_table *t)
{
    struct actor_entry *entry, *next;

    HASH_FOREACH (t->table, entry, next)
        entry_free(t, entry);
}

struct actor_entry *actor_table_find(struct actor_table *t, const struct actor_id *id)
{
    return HASH_GET(t->table, id, id);
}

/* NAMESPACE / NAME, with the namespace's length before, so that it is unique. */
static char *name_key(const char *ns, const char *name)
{
    return mem_printf("%zu:%s/%s", strlen(ns), ns, name);
}

struct actor_entry *actor_table_find_name(struct actor_table *t, const char *ns, const char *name)
{
    _cleanup_(mem_freep) char *key = name_key(ns, name);

    if (!key)
        return NULL;
    return HASH_GET_STR_HH(by_name, t->by_name, key);
}

void actor_view(const struct actor_entry *entry, Raia__Gcs__Actor *ret_actor,
                Raia__Gcs__ActorSpec *ret_spec)
{
    *ret_actor = *entry->row;
    *ret_spec = *entry->row->spec;
    ret_spec->creation = (ProtobufCBinaryData){0};
    ret_actor->spec = ret_spec;
}

void actor_store__(struct actor_entry *entry, struct commit *c)
{
    commit_put_message(c, TABLE, entry->id.bytes, ACTOR_ID_SIZE, &entry->row->base);
}

void actor_publish__(struct actor_entry *entry, struct commit *c)
{
    Raia__Gcs__Actor view;
    Raia__Gcs__ActorSpec spec;

    actor_view(entry, &view, &spec);
    commit_publish(c, RAIA__GCS__CHANNEL__CHANNEL_ACTOR, entry->id.bytes, ACTOR_ID_SIZE,
                   pb_copy(&view.base));
}

void actor_table_state(struct actor_table *t, const void *key, size_t key_size, struct commit *c)
{
    struct actor_entry *entry, *next;
    struct actor_id id;
    Raia__Gcs__Actor view;
    Raia__Gcs__ActorSpec spec;

    if (key_size) {
        entry = actor_id_from_bytes(key, key_size, &id) < 0 ? NULL : actor_table_find(t, &id);
        if (!entry)
            return;
        actor_view(entry, &view, &spec);
        commit_state(c, pub_item_new(RAIA__GCS__CHANNEL__CHANNEL_ACTOR, entry->id.bytes,
                                     ACTOR_ID_SIZE, pb_copy(&view.base)));
        return;
    }
    HASH_FOREACH (t->table, entry, next) {
        if (entry->row->state != DEAD)
            actor_table_state(t, entry->id.bytes, ACTOR_ID_SIZE, c);
    }
}

static void set_state(struct actor_table *t, struct actor_entry *entry, Raia__Gcs__ActorState state)
{
    t->counts[entry->row->state]--;
    entry->row->state = state;
    t->counts[state]++;
}

/* Takes the row over, on failure too. Which list it goes to follows from the row. */
static struct actor_entry *entry_add(struct actor_table *t, Raia__Gcs__Actor *row)
{
    struct actor_entry *entry = mem_new(struct actor_entry);

    if (!entry)
        goto fail;
    memcpy(entry->id.bytes, row->spec->actor_id.data, ACTOR_ID_SIZE);
    if (HASH_PUT(t->table, id, entry) < 0)
        goto fail;
    if (row->spec->name[0] && row->state != DEAD) {
        entry->name = name_key(row->spec->ns, row->spec->name);
        if (!entry->name || HASH_PUT_STR_HH(by_name, t->by_name, name, entry) < 0) {
            HASH_DEL(t->table, entry);
            mem_free(entry->name);
            goto fail;
        }
    }
    entry->row = row;
    list_add_tail(row->state == DEAD               ? &t->dead
                  : row->address->node_id.len == 0 ? &t->waiting
                                                   : &t->placed,
                  &entry->link);
    t->counts[row->state]++;
    return entry;
fail:
    pb_free(&row->base);
    mem_free(entry);
    return NULL;
}

int actor_table_load(struct actor_table *t, Raia__Gcs__Actor *row)
{
    struct actor_id id;

    if (!row->spec || !row->address || (unsigned)row->state > DEAD ||
        actor_id_from_bytes(row->spec->actor_id.data, row->spec->actor_id.len, &id) < 0 ||
        actor_table_find(t, &id)) {
        pb_free(&row->base);
        return -RAIA_ERR_PROTOCOL;
    }
    return entry_add(t, row) ? 0 : -RAIA_ERR_NOMEM;
}

/* ---- life and death ---- */

static void set_death(struct actor_entry *entry, int code, const char *why, struct commit *c)
{
    Raia__Error error = RAIA__ERROR__INIT;
    Raia__Error *copy;

    error.code = code;
    error.text = (char *)(uintptr_t)why;
    copy = pb_copy(&error.base);
    if (!copy) {
        commit_fail(c, RAIA_ERR_NOMEM);
        return;
    }
    if (entry->row->death)
        pb_free(&entry->row->death->base);
    entry->row->death = copy;
}

void actor_count__(struct actor_table *t, const struct actor_entry *entry, int change)
{
    ProtobufCBinaryData bytes = entry->row->address->node_id;
    struct node_entry *node = NULL;
    struct node_id id;

    if (node_id_from_bytes(bytes.data, bytes.len, &id) == 0)
        node = node_table_find(t->nodes, &id);
    if (node)
        node->actors += (size_t)change;
}

static void clear_address(struct actor_entry *entry)
{
    (void)pb_set_bytes(&entry->row->address->node_id, NULL, 0);
    (void)pb_set_bytes(&entry->row->address->worker_id, NULL, 0);
    entry->row->pid = 0;
}

static void die(struct actor_table *t, struct gcs_now now, struct actor_entry *entry, int code,
                const char *why, struct commit *c)
{
    actor_count__(t, entry, -1);
    set_state(t, entry, DEAD);
    set_death(entry, code, why, c);
    entry->row->end_unix_ms = now.unix_ms;
    (void)pb_set_bytes(&entry->row->spec->creation, NULL, 0);
    free_name(t, entry);
    list_del(&entry->link);
    list_add_tail(&t->dead, &entry->link);
    actor_store__(entry, c);
    actor_publish__(entry, c);
    t->dirty = true;
}

/* Forgets the oldest dead ones beyond the limit. */
void actor_trim__(struct actor_table *t, struct commit *c)
{
    while (t->counts[DEAD] > t->max_dead) {
        struct actor_entry *oldest = container_of(t->dead.next, struct actor_entry, link);

        commit_delete(c, TABLE, oldest->id.bytes, ACTOR_ID_SIZE);
        entry_free(t, oldest);
    }
}

static void wait_again(struct actor_table *t, struct actor_entry *entry, int64_t retry_ms)
{
    actor_count__(t, entry, -1);
    clear_address(entry);
    entry->kill_incarnation = 0;
    entry->retry_ms = retry_ms;
    list_del(&entry->link);
    list_add_tail(&t->waiting, &entry->link);
}

/* Its process is gone, for certain. */
static void restart_or_die(struct actor_table *t, struct gcs_now now, struct actor_entry *entry,
                           int code, const char *why, struct commit *c)
{
    Raia__Gcs__Actor *row = entry->row;

    if (row->spec->max_restarts >= 0 && row->restarts >= (uint64_t)row->spec->max_restarts) {
        die(t, now, entry, code, why, c);
        return;
    }
    row->restarts++;
    set_state(t, entry, RESTARTING);
    set_death(entry, code, why, c);
    wait_again(t, entry, 0);
    actor_store__(entry, c);
    actor_publish__(entry, c);
    actor_place__(t, now, entry, c);
}

static void send_kill(const struct actor_id *id, uint64_t incarnation, const struct node_id *node,
                      const char *why, struct commit *c)
{
    Raia__Gcs__SessionDown down = RAIA__GCS__SESSION_DOWN__INIT;
    Raia__Gcs__KillActor kill = RAIA__GCS__KILL_ACTOR__INIT;
    Raia__Error error = RAIA__ERROR__INIT;

    error.code = RAIA_ERR_ACTOR_DIED;
    error.text = (char *)(uintptr_t)why;
    kill.actor_id = PB_BYTES(id->bytes);
    kill.incarnation = incarnation;
    kill.reason = &error;
    down.body_case = RAIA__GCS__SESSION_DOWN__BODY_KILL_ACTOR;
    down.kill_actor = &kill;
    commit_send(c, node, &down);
}

static void kill_for(struct actor_table *t, struct gcs_now now, struct actor_entry *entry, int code,
                     const char *why, struct commit *c)
{
    struct node_id node;

    if (node_id_from_bytes(entry->row->address->node_id.data, entry->row->address->node_id.len,
                           &node) == 0)
        send_kill(&entry->id, entry->row->incarnation, &node, why, c);
    die(t, now, entry, code, why, c);
}

void actor_table_kill(struct actor_table *t, struct gcs_now now, struct actor_entry *entry,
                      bool no_restart, const char *why, struct commit *c)
{
    struct node_id node;

    if (entry->row->state == DEAD)
        return;
    if (no_restart) {
        kill_for(t, now, entry, RAIA_ERR_ACTOR_DIED, why, c);
        return;
    }
    if (node_id_from_bytes(entry->row->address->node_id.data, entry->row->address->node_id.len,
                           &node) < 0)
        return; /* it is about to be started anyway */
    entry->kill_incarnation = entry->row->incarnation;
    send_kill(&entry->id, entry->row->incarnation, &node, why, c);
}

static int check_spec(const Raia__Gcs__ActorSpec *spec, struct raia_error *e)
{
    struct actor_id id;

    if (actor_id_from_bytes(spec->actor_id.data, spec->actor_id.len, &id) < 0 ||
        actor_id_is_nil(&id))
        return err_set(e, RAIA_ERR_INVALID, "register actor: actor_id must have %d bytes",
                       ACTOR_ID_SIZE);
    if (spec->creation.len > ACTOR_CREATION_MAX)
        return err_set(e, RAIA_ERR_LIMIT,
                       "register actor: its constructor's arguments have %zu bytes, the most is "
                       "%u; put large values into the object store",
                       spec->creation.len, ACTOR_CREATION_MAX);
    if (strlen(spec->name) > ACTOR_NAME_MAX || strlen(spec->ns) > ACTOR_NAME_MAX)
        return err_set(e, RAIA_ERR_LIMIT, "register actor: a name has up to %u bytes",
                       ACTOR_NAME_MAX);
    for (size_t i = 0; i < spec->n_resources; i++) {
        if (spec->resources[i]->quantity < 0)
            return err_set(e, RAIA_ERR_INVALID, "register actor: a negative resource");
    }
    return 0;
}

static Raia__Gcs__Actor *row_new(const Raia__Gcs__ActorSpec *spec)
{
    Raia__Gcs__Actor plain = RAIA__GCS__ACTOR__INIT;
    Raia__Address nowhere = RAIA__ADDRESS__INIT;

    plain.spec = (Raia__Gcs__ActorSpec *)(uintptr_t)spec;
    plain.address = &nowhere;
    plain.state = PENDING;
    return pb_copy(&plain.base);
}

int actor_table_register(struct actor_table *t, struct gcs_now now,
                         const Raia__Gcs__ActorSpec *spec, bool get_if_exists, bool job_dead,
                         struct commit *c, struct actor_entry **ret_entry, bool *ret_existed,
                         struct raia_error *e)
{
    struct actor_entry *entry;
    struct actor_id id;
    Raia__Gcs__Actor *row;
    int r = check_spec(spec, e);

    if (r < 0)
        return r;
    (void)actor_id_from_bytes(spec->actor_id.data, spec->actor_id.len, &id);
    *ret_existed = false;
    entry = actor_table_find(t, &id);
    if (!entry && spec->name[0]) {
        entry = actor_table_find_name(t, spec->ns, spec->name);
        if (entry && !get_if_exists)
            return err_set(e, RAIA_ERR_EXISTS,
                           "register actor: the name '%.100s' is taken in namespace '%.100s'",
                           spec->name, spec->ns);
        *ret_existed = entry != NULL;
    }
    if (entry) {
        *ret_entry = entry;
        return 0;
    }
    if (job_dead)
        return err_set(e, RAIA_ERR_STATE, "register actor: its job has ended");
    if (HASH_SIZE(t->table) - t->counts[DEAD] >= t->max_live)
        return err_set(e, RAIA_ERR_LIMIT, "register actor: there are %zu actors, the most allowed",
                       t->max_live);
    row = row_new(spec);
    entry = row ? entry_add(t, row) : NULL;
    if (!entry)
        return err_set(e, RAIA_ERR_NOMEM, "register actor");
    entry->row->start_unix_ms = now.unix_ms;
    actor_store__(entry, c);
    actor_publish__(entry, c);
    actor_place__(t, now, entry, c); /* in the same commit: one write */
    *ret_entry = entry;
    return 0;
}

/* ---- what raylets tell ---- */

static bool is_on(const struct actor_entry *entry, const struct node_id *node)
{
    return pb_bytes_equal(entry->row->address->node_id, node->bytes, NODE_ID_SIZE);
}

static void alive(struct actor_table *t, struct gcs_now now, struct actor_entry *entry,
                  const Raia__Gcs__ActorEvent *event, struct commit *c)
{
    if (entry->row->state == ALIVE)
        return;
    if (!event->address || event->address->worker_id.len != WORKER_ID_SIZE)
        return;
    if (pb_set_bytes(&entry->row->address->worker_id, event->address->worker_id.data,
                     WORKER_ID_SIZE) < 0)
        commit_fail(c, RAIA_ERR_NOMEM);
    entry->row->pid = event->pid;
    entry->row->start_unix_ms = now.unix_ms;
    set_state(t, entry, ALIVE);
    actor_store__(entry, c);
    actor_publish__(entry, c);
}

void actor_table_event(struct actor_table *t, struct gcs_now now, const struct node_id *node,
                       const Raia__Gcs__ActorEvent *event, struct commit *c)
{
    const char *why = event->error && event->error->text[0] ? event->error->text : NULL;
    struct actor_entry *entry = NULL;
    struct actor_id id;
    int code = event->error && event->error->code > 0 ? event->error->code : RAIA_ERR_ACTOR_DIED;

    if (actor_id_from_bytes(event->actor_id.data, event->actor_id.len, &id) < 0)
        return;
    entry = actor_table_find(t, &id);
    if (!entry || entry->row->state == DEAD || entry->row->incarnation != event->incarnation ||
        !is_on(entry, node)) {
        if (event->kind == RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE)
            send_kill(&id, event->incarnation, node, "it is not to run any more", c);
        return;
    }
    switch (event->kind) {
    case RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_ALIVE:
        alive(t, now, entry, event, c);
        if (entry->kill_incarnation == event->incarnation)
            send_kill(&id, event->incarnation, node, "it was killed on request", c);
        break;
    case RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_CREATE_FAILED:
        die(t, now, entry, code, why ? why : "its constructor failed", c);
        break;
    case RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_DIED:
        if (event->intended)
            die(t, now, entry, RAIA_ERR_ACTOR_DIED, why ? why : "it left on its own", c);
        else
            restart_or_die(t, now, entry, code, why ? why : "its process died", c);
        break;
    case RAIA__GCS__ACTOR_EVENT_KIND__ACTOR_EVENT_REJECTED:
        if (entry->row->state == ALIVE)
            break;
        if (code == RAIA_ERR_RUNTIME_ENV) { /* its program does not start: trying on is no use */
            restart_or_die(t, now, entry, code, why ? why : "its workers do not start", c);
            break;
        }
        wait_again(t, entry, now.mono_ms + REJECTED_MS);
        actor_store__(entry, c);
        break;
    default:
        break;
    }
}

void actor_table_hello(struct actor_table *t, struct gcs_now now, const struct node_id *node,
                       Raia__Gcs__ActorEvent *const *events, size_t n, struct commit *c)
{
    struct actor_entry *entry, *next;
    struct actor_id id;

    t->hellos++;
    for (size_t i = 0; i < n; i++) {
        actor_table_event(t, now, node, events[i], c);
        entry = actor_id_from_bytes(events[i]->actor_id.data, events[i]->actor_id.len, &id) < 0
                    ? NULL
                    : actor_table_find(t, &id);
        if (entry && entry->row->incarnation == events[i]->incarnation)
            entry->seen = t->hellos;
    }
    /* Those placed anew here meanwhile were sent in this commit: they have been seen, so to say. */
    LIST_FOREACH_SAFE (entry, next, &t->placed, link) {
        if (!is_on(entry, node) || entry->seen == t->hellos)
            continue;
        if (entry->row->state == ALIVE)
            restart_or_die(t, now, entry, RAIA_ERR_WORKER_CRASHED,
                           "its raylet does not host it any more", c);
        else
            actor_send_create__(entry, c); /* the same incarnation: twice is once */
    }
    t->dirty = true;
}

void actor_table_worker_died(struct actor_table *t, struct gcs_now now, const struct node_id *node,
                             const struct worker_id *worker, const Raia__Gcs__WorkerDeath *death,
                             struct commit *c)
{
    struct actor_entry *entry, *next;
    char why[256];

    (void)snprintf(why, sizeof why, "its process died: %.200s", death->reason);
    HASH_FOREACH (t->table, entry, next) {
        Raia__Gcs__Actor *row = entry->row;

        if (row->state == DEAD)
            continue;
        if (!row->spec->detached && row->spec->owner &&
            pb_bytes_equal(row->spec->owner->worker_id, worker->bytes, WORKER_ID_SIZE))
            kill_for(t, now, entry, RAIA_ERR_OWNER_DIED, "the process that created it died", c);
        else if (row->state == ALIVE && is_on(entry, node) &&
                 pb_bytes_equal(row->address->worker_id, worker->bytes, WORKER_ID_SIZE)) {
            if (death->intended)
                die(t, now, entry, RAIA_ERR_ACTOR_DIED, "it left on its own", c);
            else
                restart_or_die(t, now, entry, RAIA_ERR_WORKER_CRASHED, why, c);
        }
    }
}

void actor_table_node_died(struct actor_table *t, struct gcs_now now, const struct node_id *node,
                           const char *why, struct commit *c)
{
    struct actor_entry *entry, *next;

    HASH_FOREACH (t->table, entry, next) {
        Raia__Gcs__Actor *row = entry->row;

        if (row->state == DEAD)
            continue;
        if (!row->spec->detached && row->spec->owner &&
            pb_bytes_equal(row->spec->owner->node_id, node->bytes, NODE_ID_SIZE)) {
            kill_for(t, now, entry, RAIA_ERR_OWNER_DIED,
                     "the node of the process that created it died", c);
        } else if (is_on(entry, node) && row->state == PENDING) {
            wait_again(t, entry, 0);
            actor_store__(entry, c);
            actor_place__(t, now, entry, c);
        } else if (is_on(entry, node)) {
            restart_or_die(t, now, entry, RAIA_ERR_NODE_DIED, why, c);
        }
    }
    t->dirty = true;
}

void actor_table_job_ended(struct actor_table *t, struct gcs_now now, const struct job_id *job,
                           struct commit *c)
{
    struct actor_entry *entry, *next;

    HASH_FOREACH (t->table, entry, next) {
        if (entry->row->state != DEAD && !entry->row->spec->detached &&
            pb_bytes_equal(entry->row->spec->job_id, job->bytes, JOB_ID_SIZE))
            kill_for(t, now, entry, RAIA_ERR_ACTOR_DIED, "its job ended", c);
    }
}

void actor_table_start(struct actor_table *t, struct gcs_now now, struct commit *c)
{
    struct actor_entry *entry, *next;
    struct node_id node;

    LIST_FOREACH (entry, &t->placed, link)
        actor_count__(t, entry, 1);
    /* A large commit is stored in parts: its end may be missing. */
    LIST_FOREACH_SAFE (entry, next, &t->placed, link) {
        if (node_id_from_bytes(entry->row->address->node_id.data, entry->row->address->node_id.len,
                               &node) == 0 &&
            !node_table_find_alive(t->nodes, &node))
            restart_or_die(t, now, entry, RAIA_ERR_NODE_DIED, "its node died", c);
    }
    t->dirty = true;
}
