/* Joining what raylets told: see merge.h. */
#include "rest/merge.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "core/pb.h"

/* A task, as those who know it tell of it. */
struct task_row {
    uint8_t id[24];                   /* key */
    const Raia__Raylet__Task *owner;  /* NULL: its owner told nothing */
    const Raia__Raylet__Task *worker; /* NULL: nobody runs it, or the worker told nothing */
    struct node_id node;              /* where who told lives: the worker's, else the owner's */
    HASH_HANDLE hh;                   /* merge.tasks */
};

struct copy {
    struct copy *next;              /* of the same object */
    const Raia__Raylet__Object *at; /* what the store told */
    struct node_id node;            /* where */
};

struct object_row {
    uint8_t id[28];                    /* key: what the stores call it */
    const Raia__Raylet__Object *owner; /* NULL: its owner told nothing */
    struct copy *copies;               /* owned */
    HASH_HANDLE hh;                    /* merge.objects */
};

/* Unpacked replies, on which the rows lean. */
struct kept {
    struct kept *next;
    ProtobufCMessage *m; /* owned */
};

struct merge {
    struct task_row *tasks;     /* by id; owned */
    struct object_row *objects; /* by id; owned */
    struct kept *kept;          /* owned */
    uint32_t rows;              /* taken in, before joining */
};

struct merge *merge_new(void)
{
    return mem_new(struct merge);
}

static void object_row_free(struct object_row *o)
{
    struct copy *next;

    for (struct copy *c = o->copies; c; c = next) {
        next = c->next;
        mem_free(c);
    }
    mem_free(o);
}

void merge_free(struct merge *m)
{
    struct task_row *t, *tnext;
    struct object_row *o, *onext;
    struct kept *next;

    if (!m)
        return;
    HASH_FOREACH (m->tasks, t, tnext) {
        HASH_DEL(m->tasks, t);
        mem_free(t);
    }
    HASH_FOREACH (m->objects, o, onext) {
        HASH_DEL(m->objects, o);
        object_row_free(o);
    }
    for (struct kept *k = m->kept; k; k = next) {
        next = k->next;
        pb_free(k->m);
        mem_free(k);
    }
    mem_free(m);
}

/* Unpacks a reply that stays. NULL: *ret_r says why. */
static void *keep(struct merge *m, const ProtobufCMessageDescriptor *d, const void *data,
                  size_t size, int *ret_r)
{
    struct kept *k = mem_new(struct kept);

    *ret_r = k ? proto_unpack(d, data, size, &k->m) : -RAIA_ERR_NOMEM;
    if (*ret_r < 0) {
        mem_free(k);
        return NULL;
    }
    k->next = m->kept;
    m->kept = k;
    return k->m;
}

/* ---- tasks ---- */

static int add_task(struct merge *m, const struct node_id *node, const Raia__Raylet__Task *t)
{
    struct task_row *row;
    uint8_t id[24];

    if (t->task_id.len != 24)
        return 0;
    memcpy(id, t->task_id.data, 24);
    row = HASH_GET(m->tasks, id, &id);
    if (!row) {
        row = mem_new(struct task_row);
        if (!row)
            return -RAIA_ERR_NOMEM;
        memcpy(row->id, id, 24);
        row->node = *node;
        if (HASH_PUT(m->tasks, id, row) < 0) {
            mem_free(row);
            return -RAIA_ERR_NOMEM;
        }
    }
    if (t->by_worker) {
        /* Of two attempts, the later one. */
        if (!row->worker || t->attempt >= row->worker->attempt)
            row->worker = t;
        row->node = *node;
    } else {
        row->owner = t;
    }
    return 0;
}

int merge_tasks(struct merge *m, const struct node_id *node, const void *data, size_t size,
                struct merge_told *ret_told)
{
    int r;
    Raia__Raylet__ListTasksReply *reply =
        keep(m, &raia__raylet__list_tasks_reply__descriptor, data, size, &r);
    size_t i;

    if (!reply)
        return r;
    r = 0;
    for (i = 0; i < reply->n_tasks && r == 0; i++)
        r = m->rows++ < MERGE_ROWS_MAX ? add_task(m, node, reply->tasks[i]) : -RAIA_ERR_LIMIT;
    *ret_told = (struct merge_told){
        .cut = reply->total > reply->n_tasks ? reply->total - reply->n_tasks : 0,
        .silent = reply->silent,
        .n_silent = reply->n_silent};
    return r;
}

static const char *task_state(Raia__Raylet__TaskState s)
{
    switch (s) {
    case RAIA__RAYLET__TASK_STATE__TASK_PENDING_ARGS:
        return "PENDING_ARGS_AVAIL";
    case RAIA__RAYLET__TASK_STATE__TASK_PENDING_NODE:
        return "PENDING_NODE_ASSIGNMENT";
    case RAIA__RAYLET__TASK_STATE__TASK_FETCHING_ARGS:
        return "PENDING_ARGS_FETCH";
    case RAIA__RAYLET__TASK_STATE__TASK_ORDERING:
        return "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY";
    case RAIA__RAYLET__TASK_STATE__TASK_RUNNING:
        return "RUNNING";
    case RAIA__RAYLET__TASK_STATE__TASK_RUNNING_IN_GET:
        return "RUNNING_IN_RAY_GET";
    default:
        return "SUBMITTED_TO_WORKER";
    }
}

static const char *task_type(Raia__Raylet__TaskType t)
{
    return t == RAIA__RAYLET__TASK_TYPE__TASK_ACTOR            ? "ACTOR_TASK"
           : t == RAIA__RAYLET__TASK_TYPE__TASK_ACTOR_CREATION ? "ACTOR_CREATION_TASK"
                                                               : "NORMAL_TASK";
}

static void set_hex(struct json *o, const char *key, ProtobufCBinaryData bytes)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * 28 + 1];
    size_t n = bytes.len < 28 ? bytes.len : 28;

    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes.data[i] >> 4];
        hex[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    hex[2 * n] = 0;
    if (n)
        (void)json_set_str(o, key, hex);
    else
        (void)json_set_null(o, key);
}

static void set_id(struct json *o, const char *key, const struct node_id *id)
{
    set_hex(o, key, (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)id->bytes});
}

static struct json *task_json(const struct task_row *row)
{
    const Raia__Raylet__Task *owner = row->owner, *worker = row->worker, *any;
    const Raia__Address *at = worker ? worker->worker : owner->worker;
    struct json *o = json_new_object();

    /* The owner has begun it anew: what the worker says is of the attempt before. */
    if (owner && worker && owner->attempt > worker->attempt)
        worker = NULL;
    any = owner ? owner : worker;
    set_hex(o, "task_id", any->task_id);
    (void)json_set_int(o, "attempt_number", (worker ? worker : any)->attempt);
    (void)json_set_str(o, "name", any->name);
    (void)json_set_str(o, "state", task_state((worker ? worker : any)->state));
    set_hex(o, "job_id", any->job_id);
    set_hex(o, "actor_id",
            any->actor_id.len ? any->actor_id
            : worker          ? worker->actor_id
                              : any->actor_id);
    (void)json_set_str(o, "type", task_type((worker ? worker : any)->type));
    (void)json_set_str(o, "func_or_class_name", any->function);
    set_hex(o, "parent_task_id", any->parent_task_id);
    set_hex(o, "node_id", at ? at->node_id : (ProtobufCBinaryData){0});
    set_hex(o, "worker_id", at ? at->worker_id : (ProtobufCBinaryData){0});
    if (worker)
        (void)json_set_int(o, "worker_pid", worker->worker_pid);
    else
        (void)json_set_null(o, "worker_pid");
    (void)json_set_null(o, "error_type");
    if (worker && worker->start_unix_ms)
        (void)json_set_int(o, "start_time_ms", worker->start_unix_ms);
    else
        (void)json_set_null(o, "start_time_ms");
    return o;
}

void merge_each_task(struct merge *m, merge_row_fn fn, void *arg)
{
    for (const struct task_row *row = m->tasks; row; row = row->hh.next)
        fn(arg, task_json(row));
}

/* ---- objects ---- */

static struct object_row *object_row(struct merge *m, ProtobufCBinaryData bytes)
{
    struct object_row *row;
    uint8_t id[28];

    memcpy(id, bytes.data, 28);
    row = HASH_GET(m->objects, id, &id);
    if (row)
        return row;
    row = mem_new(struct object_row);
    if (!row)
        return NULL;
    memcpy(row->id, id, 28);
    if (HASH_PUT(m->objects, id, row) < 0) {
        mem_free(row);
        return NULL;
    }
    return row;
}

static int add_object(struct merge *m, const struct node_id *node, const Raia__Raylet__Object *o)
{
    ProtobufCBinaryData key = !o->in_store && o->store_id.len == 28 ? o->store_id : o->object_id;
    struct object_row *row;
    struct copy *c;

    if (key.len != 28 || o->object_id.len != 28)
        return 0;
    row = object_row(m, key);
    if (!row)
        return -RAIA_ERR_NOMEM;
    if (!o->in_store) {
        row->owner = o;
        return 0;
    }
    c = mem_new(struct copy);
    if (!c)
        return -RAIA_ERR_NOMEM;
    *c = (struct copy){.next = row->copies, .at = o, .node = *node};
    row->copies = c;
    return 0;
}

int merge_objects(struct merge *m, const struct node_id *node, const void *data, size_t size,
                  struct merge_told *ret_told)
{
    int r;
    Raia__Raylet__ListObjectsReply *reply =
        keep(m, &raia__raylet__list_objects_reply__descriptor, data, size, &r);

    if (!reply)
        return r;
    r = 0;
    for (size_t i = 0; i < reply->n_objects && r == 0; i++)
        r = m->rows++ < MERGE_ROWS_MAX ? add_object(m, node, reply->objects[i]) : -RAIA_ERR_LIMIT;
    *ret_told = (struct merge_told){
        .cut = reply->total > reply->n_objects ? reply->total - reply->n_objects : 0,
        .silent = reply->silent,
        .n_silent = reply->n_silent};
    return r;
}

/* Why it lives. */
static const char *reference(const struct object_row *row)
{
    const Raia__Raylet__Object *o = row->owner;

    for (const struct copy *c = row->copies; c; c = c->next)
        if (c->at->pins && (!o || (!o->handles && !o->holds)))
            return "PINNED_IN_MEMORY";
    return !o             ? "UNKNOWN_STATUS"
           : o->is_actor  ? "ACTOR_HANDLE"
           : o->handles   ? "LOCAL_REFERENCE"
           : o->holds     ? "USED_BY_PENDING_TASK"
           : o->borrowers ? "BORROWED"
                          : "UNKNOWN_STATUS";
}

static void set_copies(struct json *o, const struct object_row *row, uint64_t *size)
{
    struct json *nodes = json_new_array();
    const struct copy *primary = NULL;
    uint64_t pins = 0;

    for (const struct copy *c = row->copies; c; c = c->next) {
        struct json *one = json_new_object();

        set_id(one, "node_id", &c->node);
        (void)json_set_bool(one, "primary", c->at->primary);
        (void)json_set_bool(one, "sealed", c->at->sealed);
        (void)json_set_int(one, "pins", c->at->pins);
        (void)json_append(nodes, one);
        pins += c->at->pins;
        if (c->at->primary)
            primary = c;
        if (c->at->size > *size)
            *size = c->at->size;
    }
    (void)json_set(o, "pins", json_new_uint(pins));
    if (primary)
        set_id(o, "node_id", &primary->node);
    else if (row->owner && row->owner->owner)
        set_hex(o, "node_id", row->owner->owner->node_id);
    else
        (void)json_set_null(o, "node_id");
    (void)json_set(o, "copies", nodes);
}

static struct json *object_json(const struct object_row *row)
{
    static const char *const states[] = {"PENDING", "FINISHED", "FAILED"};
    const Raia__Raylet__Object *owner = row->owner, *any = owner ? owner : row->copies->at;
    struct json *o = json_new_object();
    uint64_t size = owner ? owner->size : 0;

    set_hex(o, "object_id", any->object_id);
    (void)json_set_null(o, "object_size"); /* keeps its place */
    (void)json_set_str(o, "task_status", owner ? states[owner->state % 3] : "FINISHED");
    (void)json_set_null(o, "attempt_number");
    (void)json_set_str(o, "reference_type", reference(row));
    (void)json_set_str(o, "call_site", "disabled");
    (void)json_set_str(o, "type",
                       !owner                   ? "UNKNOWN"
                       : owner->owner_is_driver ? "DRIVER"
                                                : "WORKER");
    if (owner)
        (void)json_set_int(o, "pid", owner->owner_pid);
    else
        (void)json_set_null(o, "pid");
    (void)json_set_null(o, "ip");
    set_hex(o, "job_id", any->job_id);
    set_hex(o, "owner_worker_id", any->owner ? any->owner->worker_id : (ProtobufCBinaryData){0});
    set_hex(o, "owner_node_id", any->owner ? any->owner->node_id : (ProtobufCBinaryData){0});
    set_copies(o, row, &size);
    if (!owner || owner->state != RAIA__RAYLET__OBJECT_STATE__OBJECT_PENDING || size)
        (void)json_set(o, "object_size", json_new_uint(size));
    if (owner) {
        (void)json_set_int(o, "handles", owner->handles);
        (void)json_set_int(o, "holds", owner->holds);
        (void)json_set_int(o, "borrowers", owner->borrowers);
    }
    return o;
}

void merge_each_object(struct merge *m, merge_row_fn fn, void *arg)
{
    for (const struct object_row *row = m->objects; row; row = row->hh.next)
        fn(arg, object_json(row));
}

/* ---- workers ---- */

struct json *merge_worker_row(const Raia__Raylet__Worker *w, const struct node_id *node,
                              const char *ip)
{
    struct json *o = json_new_object();

    set_hex(o, "worker_id", w->worker_id);
    (void)json_set_bool(o, "is_alive", true);
    (void)json_set_str(o, "worker_type", w->driver ? "DRIVER" : "WORKER");
    (void)json_set_null(o, "exit_type");
    set_id(o, "node_id", node);
    (void)json_set_str(o, "ip", ip);
    (void)json_set_int(o, "pid", w->pid);
    set_hex(o, "job_id", w->job_id);
    set_hex(o, "actor_id", w->actor_id);
    (void)json_set_str(o, "state", w->state);
    return o;
}
