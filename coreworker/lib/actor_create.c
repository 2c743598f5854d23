/* Creating and finding actors: the requests to the GCS. */
#include <stdio.h>
#include <string.h>

#include "base/ids.h"
#include "gcs.pb-c.h"
#include "lib/actor.h"

#define CREATION_MAX (1u << 20) /* bytes of a constructor's arguments */

/* Options, as far as the registration needs them later. */
struct actor_plan {
    char name[256];
    char ns[128];
    bool detached;
    bool get_if_exists;
    int64_t max_restarts;
    int max_task_retries;
    uint32_t max_concurrency;
    unsigned nresources;
    unsigned nplacement;
    struct sched_resource resources[SUBMITTER_RESOURCES];
    struct sched_resource placement[SUBMITTER_RESOURCES];
};

static int limit_of(int option)
{
    return option == RAIA_NONE ? 0 : option;
}

static int plan(struct runtime *rt, const struct raia_actor_options *o, struct actor_plan *p)
{
    static const struct raia_actor_options defaults = {.struct_size = sizeof(*o)};
    int r;

    if (!o)
        o = &defaults;
    if (o->struct_size != sizeof(*o))
        return last_set(RAIA_ERR_INVALID,
                        "raia_actor_options.struct_size is %zu: use RAIA_ACTOR_OPTIONS()",
                        o->struct_size);
    if ((o->name && (!*o->name || strlen(o->name) >= sizeof(p->name))) ||
        (o->ns && strlen(o->ns) >= sizeof(p->ns)) || (o->get_if_exists && !o->name) ||
        o->max_concurrency < 0 || o->max_concurrency > 1000)
        return last_set(RAIA_ERR_INVALID,
                        "actor options: a name has 1 to 255 bytes, get_if_exists needs one, "
                        "max_concurrency is 1 to 1000");
    *p = (struct actor_plan){.detached = o->detached,
                             .get_if_exists = o->get_if_exists,
                             .max_restarts = limit_of(o->max_restarts),
                             .max_task_retries = limit_of(o->max_task_retries),
                             .max_concurrency =
                                 o->max_concurrency ? (uint32_t)o->max_concurrency : 1};
    snprintf(p->name, sizeof(p->name), "%s", o->name ? o->name : "");
    snprintf(p->ns, sizeof(p->ns), "%s", o->ns ? o->ns : rt->ns);
    r = sched_resources(o->num_cpus, 0, o->resources, o->resource_count, p->resources,
                        &p->nresources);
    if (r == 0)
        r = sched_resources(o->num_cpus, 1, o->resources, o->resource_count, p->placement,
                            &p->nplacement);
    return r;
}

static void resources_out(Raia__Resource *to, Raia__Resource **list,
                          const struct sched_resource *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        to[i] = (Raia__Resource)RAIA__RESOURCE__INIT;
        to[i].name = (char *)(uintptr_t)from[i].name;
        to[i].quantity = from[i].quantity;
        list[i] = &to[i];
    }
}

/* The constructor's arguments, as they travel through the GCS. */
static int creation_bytes(struct runtime *rt, raia_actor *a, uint8_t **ret, size_t *ret_size)
{
    struct wire_task head = {.nargs = a->creation->nargs, .counter = a->creation->counter};
    struct process nobody = {.dead = true};
    size_t size;
    uint8_t *m;
    int r;

    r = task_write_spec(rt, a->creation, &nobody, NULL, &size);
    if (r < 0)
        return r;
    if (sizeof(head) + size > CREATION_MAX)
        return -RAIA_ERR_LIMIT;
    m = mem_alloc(sizeof(head) + size);
    if (!m)
        return -RAIA_ERR_NOMEM;
    memcpy(m, &head, sizeof(head));
    r = task_write_spec(rt, a->creation, &nobody, m + sizeof(head), &size);
    *ret = m;
    *ret_size = sizeof(head) + size;
    return r;
}

/* Packs the request; *ret is the caller's. */
static int request(struct runtime *rt, raia_actor *a, uint8_t **ret, size_t *ret_size)
{
    const struct actor_plan *p = a->options;
    Raia__Gcs__RegisterActorRequest m = RAIA__GCS__REGISTER_ACTOR_REQUEST__INIT;
    Raia__Gcs__ActorSpec spec = RAIA__GCS__ACTOR_SPEC__INIT;
    Raia__Address owner = RAIA__ADDRESS__INIT;
    Raia__Resource res[SUBMITTER_RESOURCES], *res_list[SUBMITTER_RESOURCES];
    Raia__Resource place[SUBMITTER_RESOURCES], *place_list[SUBMITTER_RESOURCES];
    _cleanup_(mem_freep) uint8_t *creation = NULL;
    size_t n;
    int r = creation_bytes(rt, a, &creation, &n);

    if (r < 0)
        return r;
    resources_out(res, res_list, p->resources, p->nresources);
    resources_out(place, place_list, p->placement, p->nplacement);
    spec.actor_id = (ProtobufCBinaryData){16, a->id};
    spec.job_id = (ProtobufCBinaryData){4, rt->job};
    spec.class_name = a->class->name;
    spec.name = (char *)(uintptr_t)p->name;
    spec.ns = (char *)(uintptr_t)p->ns;
    spec.detached = p->detached;
    spec.max_restarts = p->max_restarts;
    spec.max_concurrency = p->max_concurrency;
    spec.n_resources = p->nresources;
    spec.resources = res_list;
    spec.n_placement = p->nplacement;
    spec.placement = place_list;
    spec.creation = (ProtobufCBinaryData){n, creation};
    owner.node_id = (ProtobufCBinaryData){16, rt->self.node};
    owner.worker_id = (ProtobufCBinaryData){16, rt->self.worker};
    spec.owner = &owner;
    spec.max_task_retries = p->max_task_retries;
    spec.job_table_hash = function_table_hash();
    m.spec = &spec;
    m.get_if_exists = p->get_if_exists;
    *ret = mem_alloc(raia__gcs__register_actor_request__get_packed_size(&m));
    if (!*ret)
        return -RAIA_ERR_NOMEM;
    *ret_size = raia__gcs__register_actor_request__pack(&m, *ret);
    return 0;
}

static void registration_failed(struct runtime *rt, raia_actor *a, int code, const char *text)
{
    struct raia_error e;

    err_set(&e, code, "actor %s could not be created: %s", a->class->name, text);
    a->handles++;
    caller_dead(&a->caller, &e);
    rt_wake(rt, NULL);
    actor_release(rt, a);
}

static void registered(struct runtime *rt, struct question *q, uint16_t type, int status,
                       const uint8_t *data, size_t size)
{
    const struct rec_status *s = (const struct rec_status *)(const void *)data;
    raia_actor *a = q->arg;
    Raia__Gcs__RegisterActorReply *m = NULL;
    struct proto_room room;
    char text[256];
    size_t n;

    (void)type;
    if (status == 0)
        status = size < sizeof(*s) ? -RAIA_ERR_PROTOCOL : s->status;
    if (status < 0) {
        n = size > sizeof(*s) ? size - sizeof(*s) : 0;
        snprintf(text, sizeof(text), "%.*s", (int)(n < 255 ? n : 255),
                 n ? (const char *)(s + 1) : "");
        registration_failed(rt, a, -status, n ? text : raia_strerror(status));
        return;
    }
    status = proto_unpack_in(&room, &raia__gcs__register_actor_reply__descriptor, s + 1,
                             size - sizeof(*s), &m);
    a->registered = true;
    rt_wake(rt, NULL); /* who kills it waits for that */
    if (m && m->actor)
        actor_adopt(rt, a, m->actor);
    else
        registration_failed(rt, a, status == -RAIA_ERR_NOMEM ? RAIA_ERR_NOMEM : RAIA_ERR_PROTOCOL,
                            "the GCS's answer cannot be read");
    proto_free_in(&room, m);
}

/* Its arguments are there: registers it. */
void actor_creation_ready(struct runtime *rt, raia_actor *a)
{
    _cleanup_(mem_freep) uint8_t *m = NULL;
    size_t size = 0;
    int r = request(rt, a, &m, &size);

    if (a->killed) {
        registration_failed(rt, a, RAIA_ERR_ACTOR_DIED, "it was killed before");
        return;
    }
    a->ask = (struct question){.answer = registered, .arg = a};
    if (r == 0)
        r = gcs_ask(rt, &a->ask, GCS_REGISTER_ACTOR, m, size);
    if (r < 0)
        registration_failed(rt, a, -r,
                            r == -RAIA_ERR_LIMIT ? "the constructor's arguments take over 1 MiB: "
                                                   "pass large ones by reference"
                                                 : raia_strerror(r));
}

/* With a name the answer is waited for: it may be taken, or be another actor's. */
static int register_named(struct runtime *rt, raia_actor **io)
{
    raia_actor *a = *io, *other;
    _cleanup_(mem_freep) uint8_t *m = NULL;
    Raia__Gcs__RegisterActorReply *reply;
    struct question q;
    size_t size = 0;
    int r = request(rt, a, &m, &size);

    if (r < 0)
        return last_set(-r, "actor %s: the constructor's arguments: %s", a->class->name,
                        raia_strerror(r));
    r = gcs_call(rt, &q, GCS_REGISTER_ACTOR, m, size);
    if (r == 0)
        r = question_reply(&q, &raia__gcs__register_actor_reply__descriptor, &reply);
    else
        question_fini(&q);
    if (r < 0)
        return r;
    if (!reply->actor || !reply->actor->spec || reply->actor->spec->actor_id.len != 16) {
        r = last_set(RAIA_ERR_PROTOCOL, "the GCS's answer cannot be read");
    } else if (reply->existed && memcmp(reply->actor->spec->actor_id.data, a->id, 16) != 0) {
        other = actor_by_id(rt, reply->actor->spec->actor_id.data);
        if (other)
            other->handles++;
        else
            other = actor_new(rt, reply->actor->spec->actor_id.data);
        if (other) {
            actor_adopt(rt, other, reply->actor);
            a->mine = false;
            if (a->scope)
                a->scope->flags &= (uint8_t)~OBJECT_ACTOR;
            actor_release(rt, a);
            *io = other;
        } else {
            r = last_set(RAIA_ERR_NOMEM, "out of memory");
        }
    } else {
        actor_adopt(rt, a, reply->actor);
    }
    proto_free(reply);
    return r;
}

static int wait_arguments(struct runtime *rt, struct task *t)
{
    for (uint32_t i = 0; i < t->nheld; i++) {
        int r = rt_wait_object(rt, t->held[i], false, CLOCK_NEVER);

        if (r < 0)
            return last_set(-r, "an argument of the constructor: %s", raia_strerror(r));
    }
    return 0;
}

int actor_create(struct runtime *rt, const struct raia_actor_options *options, struct function *f,
                 const struct raia_value *args, size_t count, raia_actor **ret)
{
    _cleanup_(mem_freep) struct actor_plan *p = mem_new(struct actor_plan);
    uint8_t id[16];
    raia_actor *a;
    int r;

    if (!p || random_fill(id, sizeof(id)) < 0)
        return last_set(RAIA_ERR_NOMEM, "out of memory");
    r = plan(rt, options, p);
    if (r < 0)
        return r;
    a = actor_new(rt, id);
    if (!a)
        return last_set(RAIA_ERR_NOMEM, "out of memory");
    a->mine = true;
    a->class = f;
    a->detached = p->detached;
    a->max_task_retries = p->max_task_retries;
    a->max_pending = options ? options->max_pending_calls : 0;
    a->block_when_full = options && options->block_when_full;
    a->creation = pool_alloc(&rt->pool, sizeof(*a->creation));
    r = a->creation ? 0 : last_set(RAIA_ERR_NOMEM, "out of memory");
    if (r == 0) {
        memset(a->creation, 0, sizeof(*a->creation));
        a->creation->function = f;
        a->creation->counter = ++rt->counter;
        a->creation->deadline = CLOCK_NEVER;
        a->creation->flags = TASK_CREATION;
        a->creation->actor = a;
        r = task_encode(rt, a->creation, args, count);
    }
    if (r == 0 && !p->detached) {
        a->scope = object_new(&rt->objects, ++rt->counter, 0);
        if (a->scope)
            object_hold(a->scope);
        r = a->scope && object_more(&rt->objects, a->scope)
                ? 0
                : last_set(RAIA_ERR_NOMEM, "out of memory");
        if (r == 0) {
            a->scope->flags |= OBJECT_ACTOR;
            memcpy(a->scope->more->actor, a->id, 16);
        }
    }
    if (r == 0) {
        bool named = p->name[0];

        a->options = STEAL(p);
        if (named) {
            r = wait_arguments(rt, a->creation);
            if (r == 0)
                r = register_named(rt, &a);
        } else {
            actor_watch_creation(rt, a);
        }
    }
    if (r < 0) {
        a->mine = false;
        if (a->scope)
            a->scope->flags &= (uint8_t)~OBJECT_ACTOR;
        actor_release(rt, a);
        return r;
    }
    *ret = a;
    return 0;
}

/* Registers it now, or when the last argument is there. */
void actor_watch_creation(struct runtime *rt, raia_actor *a)
{
    if (task_watch(rt, a->creation) < 0)
        registration_failed(rt, a, RAIA_ERR_NOMEM, "out of memory");
    else if (a->creation->waits == 0)
        task_creation_ready(rt, a->creation);
}

void actor_argument_failed(struct runtime *rt, raia_actor *a, const struct raia_error *e)
{
    registration_failed(rt, a, RAIA_ERR_ACTOR_DIED, e->text);
}

int actor_find(struct runtime *rt, const char *name, const char *ns, raia_actor **ret)
{
    Raia__Gcs__GetActorRequest m = RAIA__GCS__GET_ACTOR_REQUEST__INIT;
    Raia__Gcs__GetActorReply *reply;
    uint8_t packed[512];
    struct question q;
    raia_actor *a;
    int r;

    m.name = (char *)(uintptr_t)name;
    m.ns = (char *)(uintptr_t)(ns ? ns : rt->ns);
    if (raia__gcs__get_actor_request__get_packed_size(&m) > sizeof(packed))
        return last_set(RAIA_ERR_INVALID, "the actor's name is too long");
    r = gcs_call(rt, &q, GCS_GET_ACTOR, packed, raia__gcs__get_actor_request__pack(&m, packed));
    if (r == 0)
        r = question_reply(&q, &raia__gcs__get_actor_reply__descriptor, &reply);
    else
        question_fini(&q);
    if (r < 0)
        return r;
    if (!reply->found || !reply->actor || !reply->actor->spec ||
        reply->actor->spec->actor_id.len != 16) {
        r = last_set(RAIA_ERR_NOT_FOUND, "there is no actor '%s' in namespace '%s'", name, m.ns);
    } else {
        a = actor_by_id(rt, reply->actor->spec->actor_id.data);
        if (a)
            a->handles++;
        else
            a = actor_new(rt, reply->actor->spec->actor_id.data);
        if (a) {
            actor_adopt(rt, a, reply->actor);
            *ret = a;
        } else {
            r = last_set(RAIA_ERR_NOMEM, "out of memory");
        }
    }
    proto_free(reply);
    return r;
}

/* One that was made just now: the GCS knows it when it has answered. */
static void wait_registered(struct runtime *rt, raia_actor *a)
{
    struct waiter w;
    bool told = false;

    waiter_init(&w, NULL);
    while (list_linked(&a->ask.link) && !rt->dead) {
        rt_blocked(rt, &told);
        rt_wait(rt, &w, CLOCK_NEVER);
    }
    rt_unblocked(rt, &told);
    waiter_fini(&w);
}

int actor_kill(struct runtime *rt, raia_actor *a, bool no_restart)
{
    Raia__Gcs__KillActorRequest m = RAIA__GCS__KILL_ACTOR_REQUEST__INIT;
    uint8_t packed[128];
    struct raia_error e;
    struct question q;
    int r;

    wait_registered(rt, a);
    if (a->mine && !a->registered) {
        /* It could not be registered, or its constructor's arguments are still to come: it has no
         * process, and will have none. */
        a->killed |= no_restart;
        return 0;
    }
    m.actor_id = (ProtobufCBinaryData){16, a->id};
    m.no_restart = no_restart;
    m.reason = (char *)(uintptr_t) "raia_actor_kill";
    r = gcs_call(rt, &q, GCS_KILL_ACTOR, packed, raia__gcs__kill_actor_request__pack(&m, packed));
    question_fini(&q);
    if (r == 0 && no_restart) {
        /* Its process may be there for a moment yet; for this one it is dead from now on. */
        err_set(&e, RAIA_ERR_ACTOR_DIED, "actor %s was killed (raia_actor_kill)",
                a->class ? a->class->name : "");
        caller_dead(&a->caller, &e);
        rt_wake(rt, NULL);
    }
    return r;
}
