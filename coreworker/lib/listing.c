/*
 * What this process tells its raylet when somebody lists tasks or objects: REC_LIST, REC_LISTED.
 * Nothing is kept for it: the cores are walked when they are asked, and only as far as the limit.
 */
#include <string.h>

#include "base/buf.h"
#include "base/ids.h"
#include "lib/runtime.h"
#include "raylet.pb-c.h"

#define LISTED_MAX (12u << 20) /* bytes of an answer; what is beyond is left out, and counted */
#define WALK_MAX   1000000u    /* places looked at for objects */

/* An answer in the making: packed replies of one row each, which together are one reply. */
struct listing {
    struct runtime *rt;
    struct buf out;
    uint32_t left;    /* rows that may still come */
    uint64_t total;   /* rows there are, as far as they were looked at */
    int64_t unix_ms;  /* now */
    uint32_t running; /* calls that are being run */
    uint32_t walked;  /* places looked at */
    bool cut;         /* there may be more */
};

static ProtobufCBinaryData bytes(const void *data, size_t size)
{
    return (ProtobufCBinaryData){size, (uint8_t *)(uintptr_t)data};
}

static void put(struct listing *l, const ProtobufCMessage *m)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *at;

    if (l->out.size + size > LISTED_MAX || buf_grow(&l->out, size, &at) < 0) {
        l->left = 0;
        return;
    }
    protobuf_c_message_pack(m, at);
    l->left--;
}

static void put_task(struct listing *l, Raia__Raylet__Task *t)
{
    Raia__Raylet__ListTasksReply one = RAIA__RAYLET__LIST_TASKS_REPLY__INIT;

    one.tasks = &t;
    one.n_tasks = 1;
    put(l, &one.base);
}

static void address_of(const struct record_address *a, Raia__Address *to)
{
    *to = (Raia__Address)RAIA__ADDRESS__INIT;
    to->node_id = bytes(a->node, 16);
    to->worker_id = bytes(a->worker, 16);
}

static struct task_id task_id(const uint8_t worker[16], uint64_t counter)
{
    struct worker_id id;

    memcpy(id.bytes, worker, 16);
    return task_id_make(&id, counter);
}

/* ---- tasks that this process owns */

static Raia__Raylet__TaskState owned_state(const struct task *t)
{
    return t->state == TASK_WAITS_DEPS ? RAIA__RAYLET__TASK_STATE__TASK_PENDING_ARGS
           : t->state == TASK_SENT     ? RAIA__RAYLET__TASK_STATE__TASK_SUBMITTED
                                       : RAIA__RAYLET__TASK_STATE__TASK_PENDING_NODE;
}

/* The id of the task in whose course it was submitted; false: none that still runs. */
static bool parent_of(const struct listing *l, const struct task *t, struct task_id *to)
{
    const struct raia_call *c;

    if (t->parent)
        LIST_FOREACH (c, &l->rt->running, link)
            if (c->number == t->parent && c->caller) {
                *to = task_id(c->caller->address.worker, c->head.counter);
                return true;
            }
    return false;
}

/* False: enough. */
static bool owned_task(struct listing *l, const struct task *t)
{
    Raia__Raylet__Task m = RAIA__RAYLET__TASK__INIT;
    const struct record_address *at = NULL;
    const char *function = t->function ? t->function->name : "?";
    Raia__Address worker;
    struct task_id id, parent;

    if (l->left == 0)
        return false;
    id = task_id(l->rt->self.worker, t->counter);
    m.task_id = bytes(id.bytes, sizeof id.bytes);
    m.name = (char *)(uintptr_t)(t->name ? t->name : function);
    m.function = (char *)(uintptr_t)function;
    m.state = owned_state(t);
    m.attempt = t->attempt;
    m.job_id = bytes(l->rt->job, 4);
    if (parent_of(l, t, &parent))
        m.parent_task_id = bytes(parent.bytes, sizeof parent.bytes);
    if (t->actor) {
        m.type = t->flags & TASK_CREATION ? RAIA__RAYLET__TASK_TYPE__TASK_ACTOR_CREATION
                                          : RAIA__RAYLET__TASK_TYPE__TASK_ACTOR;
        m.actor_id = bytes(t->actor->id, 16);
        if (t->state == TASK_SENT && t->actor->caller.incarnation)
            at = &t->actor->caller.address;
    } else if (t->state == TASK_SENT && t->lease) {
        at = &t->lease->worker;
    }
    if (at) {
        address_of(at, &worker);
        m.worker = &worker;
    }
    put_task(l, &m);
    return true;
}

static bool owned_list(struct listing *l, const struct list *tasks)
{
    const struct task *t;

    LIST_FOREACH (t, tasks, link)
        if (!owned_task(l, t))
            return false;
    return true;
}

static bool owned_window(struct listing *l, const struct window *w)
{
    for (uint64_t k = w->base; k < w->next; k++) {
        const struct task *t = window_get(w, k);

        if (t && !owned_task(l, t))
            return false;
    }
    return true;
}

static bool owned_of_actor(struct listing *l, const raia_actor *a)
{
    /* Once the GCS has it, it is an actor that is being created. */
    if (a->creation && !a->registered && !owned_task(l, a->creation))
        return false;
    return owned_window(l, &a->caller.window) && owned_list(l, &a->caller.limbo) &&
           owned_list(l, &a->caller.queue);
}

/* What runs first, then what waits. */
static void owned_tasks(struct listing *l)
{
    const struct submitter *s = &l->rt->submitter;
    const raia_actor *a;

    for (uint32_t i = 0; i < s->leases_end; i++)
        if (s->leases[i] && !owned_window(l, &s->leases[i]->window))
            return;
    for (a = l->rt->actors; a; a = a->hh.next)
        if (!owned_of_actor(l, a))
            return;
    if (!owned_list(l, &s->waiting))
        return;
    for (uint32_t i = 0; i < s->nclasses; i++)
        if (!owned_list(l, &s->classes[i]->queue))
            return;
}

/* ---- tasks that this process has been given */

static Raia__Raylet__TaskState given_state(const struct listing *l, const struct raia_call *c)
{
    if (c->started)
        return l->rt->blocked && l->running == 1 ? RAIA__RAYLET__TASK_STATE__TASK_RUNNING_IN_GET
                                                 : RAIA__RAYLET__TASK_STATE__TASK_RUNNING;
    if (c->waits)
        return RAIA__RAYLET__TASK_STATE__TASK_FETCHING_ARGS;
    return c->seat ? RAIA__RAYLET__TASK_STATE__TASK_ORDERING
                   : RAIA__RAYLET__TASK_STATE__TASK_SUBMITTED;
}

static void given_tasks(struct listing *l, const struct list *calls)
{
    struct runtime *rt = l->rt;
    const struct raia_call *c;

    LIST_FOREACH (c, calls, link) {
        Raia__Raylet__Task m = RAIA__RAYLET__TASK__INIT;
        Raia__Address worker;
        struct task_id id;

        l->total++;
        if (l->left == 0 || !c->caller)
            continue;
        id = task_id(c->caller->address.worker, c->head.counter);
        m.task_id = bytes(id.bytes, sizeof id.bytes);
        m.by_worker = true;
        m.function = (char *)(uintptr_t)(c->function ? c->function->name : "?");
        m.name = m.function;
        m.state = given_state(l, c);
        m.attempt = c->head.attempt;
        m.job_id = bytes(rt->job, 4);
        m.type = c->constructor ? RAIA__RAYLET__TASK_TYPE__TASK_ACTOR_CREATION
                 : c->seat      ? RAIA__RAYLET__TASK_TYPE__TASK_ACTOR
                                : RAIA__RAYLET__TASK_TYPE__TASK_NORMAL;
        if (rt->host && host_id(rt))
            m.actor_id = bytes(host_id(rt), 16);
        address_of(&rt->self, &worker);
        m.worker = &worker;
        m.worker_pid = (int32_t)rt->pid;
        if (c->started)
            m.start_unix_ms = l->unix_ms - (clock_now_ns() - c->began) / CLOCK_NS_PER_MS;
        put_task(l, &m);
    }
}

static void list_tasks(struct listing *l)
{
    struct runtime *rt = l->rt;
    const struct raia_call *c;

    LIST_FOREACH (c, &rt->running, link)
        l->running++;
    given_tasks(l, &rt->running);
    given_tasks(l, &rt->ready);
    l->total += rt->tasks;
    owned_tasks(l);
}

/* ---- objects that this process owns */

static uint32_t borrowers_of(const raia_ref *o)
{
    const struct borrow *b;
    uint32_t n = 0;

    if (o->more && o->more->borrowers.next)
        LIST_FOREACH (b, &o->more->borrowers, in_object)
            n++;
    return n;
}

static bool owned_object(void *arg, void *item)
{
    struct listing *l = arg;
    const raia_ref *o = item;
    Raia__Raylet__ListObjectsReply one = RAIA__RAYLET__LIST_OBJECTS_REPLY__INIT;
    Raia__Raylet__Object m = RAIA__RAYLET__OBJECT__INIT, *rows = &m;
    Raia__Address owner;
    struct task_id task;
    struct object_id id;

    if (++l->walked == WALK_MAX || l->left == 0) {
        l->cut = true;
        return false;
    }
    if (o->magic != OBJECT_MAGIC || o->owner || o->epoch != l->rt->objects.epoch)
        return true; /* free, somebody else's, or of a session before */
    l->total++;
    task = task_id(l->rt->self.worker, o->counter);
    id = object_id_make(&task, o->index);
    m.object_id = bytes(id.bytes, sizeof id.bytes);
    m.job_id = bytes(l->rt->job, 4);
    address_of(&l->rt->self, &owner);
    m.owner = &owner;
    m.owner_pid = (int32_t)l->rt->pid;
    m.owner_is_driver = !l->rt->worker;
    m.state = o->state == OBJECT_PENDING && !(o->flags & OBJECT_ACTOR)
                  ? RAIA__RAYLET__OBJECT_STATE__OBJECT_PENDING
              : o->state == OBJECT_HERE && object_is_error(o)
                  ? RAIA__RAYLET__OBJECT_STATE__OBJECT_FAILED
                  : RAIA__RAYLET__OBJECT_STATE__OBJECT_READY;
    if (o->state == OBJECT_HERE)
        m.size = o->value->size;
    if (o->state == OBJECT_STORED) {
        m.size = o->more->size;
        m.stored = true;
        if (o->more->aliased)
            m.store_id = bytes(o->more->store_id, 28);
    }
    m.handles = o->handles;
    m.holds = o->holds;
    m.borrowers = borrowers_of(o);
    m.is_actor = o->flags & OBJECT_ACTOR;
    one.objects = &rows;
    one.n_objects = 1;
    put(l, &one.base);
    return true;
}

/* ---- */

void listing_asked(struct runtime *rt, uint64_t tag, const struct rec_list *m)
{
    Raia__Raylet__ListTasksReply tasks = RAIA__RAYLET__LIST_TASKS_REPLY__INIT;
    Raia__Raylet__ListObjectsReply objects = RAIA__RAYLET__LIST_OBJECTS_REPLY__INIT;
    const ProtobufCMessage *end = m->what == LIST_TASKS ? &tasks.base : &objects.base;
    struct listing l = {.rt = rt, .unix_ms = clock_unix_ms()};
    uint8_t *at;
    size_t size;

    if (m->what != LIST_TASKS && m->what != LIST_OBJECTS)
        return;
    l.left = m->limit && m->limit < LIST_ROWS_MAX ? m->limit : LIST_ROWS_MAX;
    buf_init(&l.out, RECORD_SOCKET_MAX);
    if (m->what == LIST_TASKS)
        list_tasks(&l);
    else
        pool_each(&rt->refs, sizeof(raia_ref), owned_object, &l);
    if (l.cut) /* not counted to the end: borrowed ones are in it */
        l.total = rt->objects.count;
    tasks.total = objects.total = l.total;
    size = protobuf_c_message_get_packed_size(end);
    if (buf_grow(&l.out, size, &at) == 0) {
        protobuf_c_message_pack(end, at);
        if (l.out.size <= RECORD_PAYLOAD_MAX)
            link_send(rt, rt->raylet, REC_LISTED, tag, l.out.data, l.out.size, false);
        else
            session_send(rt, REC_LISTED, 0, tag, l.out.data, l.out.size);
    }
    buf_fini(&l.out);
}
