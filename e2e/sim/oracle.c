/* What must hold, whatever happens. */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "sim/world.h"

struct known_task {
    struct task_name name;
    int retries;
    unsigned begun;
    unsigned attempt;         /* of the last begin */
    bool last_chance;         /* it was begun as one that must not run twice */
    const struct proc *where; /* the last begin */
    HASH_HANDLE hh;
};

struct two {
    uint8_t a[16], b[16];
};

struct known_calls {
    struct two who; /* actor, caller */
    uint64_t incarnation, number;
    const struct proc *where; /* the last one began there */
    HASH_HANDLE hh;
};

struct known_pair {
    struct two who;
    HASH_HANDLE hh;
};

struct one {
    uint8_t id[16];
};

struct known_worker {
    struct one worker;
    const struct proc *holder;
    HASH_HANDLE hh;
};

struct known_actor {
    struct one actor;
    const struct proc *where;
    HASH_HANDLE hh;
};

struct oracle {
    struct known_task *tasks;
    struct known_calls *calls;
    struct known_pair *broke;
    struct known_worker *workers;
    struct known_actor *actors;
};

struct oracle *oracle_new(struct world *c)
{
    (void)c;
    return mem_new(struct oracle);
}

#define FREE_ALL(type, table)                                                                      \
    do {                                                                                           \
        type *at, *next;                                                                           \
        HASH_FOREACH (table, at, next) {                                                           \
            HASH_DEL(table, at);                                                                   \
            mem_free(at);                                                                          \
        }                                                                                          \
    } while (0)

void oracle_free(struct oracle *o)
{
    if (!o)
        return;
    FREE_ALL(struct known_task, o->tasks);
    FREE_ALL(struct known_calls, o->calls);
    FREE_ALL(struct known_pair, o->broke);
    FREE_ALL(struct known_worker, o->workers);
    FREE_ALL(struct known_actor, o->actors);
    mem_free(o);
}

static const struct one *as_one(const uint8_t id[16])
{
    return (const struct one *)(const void *)id;
}

static void *checked(struct world *c, void *m)
{
    if (!m)
        sim_fail(c->sim, "out of memory");
    return m;
}

void oracle_task(struct world *c, const struct task_name *t, int retries)
{
    struct known_task *k = checked(c, mem_new(struct known_task));

    if (!k)
        return;
    k->name = *t;
    k->retries = retries;
    HASH_PUT(c->oracle->tasks, name, k);
}

void oracle_begins(struct world *c, const struct task_name *t, unsigned attempt, bool no_retry,
                   const struct proc *where)
{
    struct known_task *k = HASH_GET(c->oracle->tasks, name, t);
    unsigned long long counter = t->counter;

    if (!k) {
        sim_fail(c->sim, "a task begins that nobody submitted: %llu", counter);
        return;
    }
    if ((int)attempt > k->retries)
        sim_fail(c->sim, "task %02x%02x/%llu begins attempt %u of %d", t->worker[0], t->worker[1],
                 counter, attempt + 1, k->retries + 1);
    if (no_retry && k->last_chance)
        sim_fail(c->sim, "task %02x%02x/%llu, which must not run twice, begins again", t->worker[0],
                 t->worker[1], counter);
    /* A begin whose answer was lost with its worker costs nothing; but then it was lost. */
    if (k->begun && attempt <= k->attempt && proc_alive(k->where) &&
        !oracle_pair_broke(c, t->worker, proc_address(k->where)->worker) &&
        !oracle_pair_broke(c, t->worker, proc_address(where)->worker))
        sim_fail(c->sim, "task %02x%02x/%llu begins attempt %u again while %02x%02x has it",
                 t->worker[0], t->worker[1], counter, attempt, proc_address(k->where)->worker[0],
                 proc_address(k->where)->worker[1]);
    k->begun++;
    k->attempt = attempt;
    k->last_chance = k->last_chance || no_retry;
    k->where = where;
}

void oracle_call_begins(struct world *c, const uint8_t actor[16], uint64_t incarnation,
                        const struct task_name *t, uint64_t number, const struct proc *where)
{
    struct known_calls *k;
    struct two who;

    memcpy(who.a, actor, 16);
    memcpy(who.b, t->worker, 16);
    k = HASH_GET(c->oracle->calls, who, &who);
    if (!k) {
        k = checked(c, mem_new(struct known_calls));
        if (!k)
            return;
        k->who = who;
        HASH_PUT(c->oracle->calls, who, k);
    }
    if (incarnation < k->incarnation)
        sim_fail(c->sim, "a call begins at incarnation %llu after one at %llu",
                 (unsigned long long)incarnation, (unsigned long long)k->incarnation);
    if (incarnation == k->incarnation && number <= k->number)
        sim_fail(c->sim, "call %llu of a caller begins after call %llu", (unsigned long long)number,
                 (unsigned long long)k->number);
    if (k->where && k->where != where && incarnation == k->incarnation)
        sim_fail(c->sim, "calls begin in two processes of incarnation %llu",
                 (unsigned long long)incarnation);
    k->where = where;
    k->incarnation = incarnation;
    k->number = number;
}

void oracle_actor_begins(struct world *c, const uint8_t actor[16], uint64_t incarnation,
                         const struct proc *where)
{
    struct known_actor *k = HASH_GET(c->oracle->actors, actor, as_one(actor));

    if (!k) {
        k = checked(c, mem_new(struct known_actor));
        if (!k)
            return;
        k->actor = *as_one(actor);
        HASH_PUT(c->oracle->actors, actor, k);
    }
    if (k->where && proc_alive(k->where))
        sim_fail(c->sim, "incarnation %llu of an actor begins while another one lives",
                 (unsigned long long)incarnation);
    k->where = where;
}

void oracle_granted(struct world *c, const uint8_t worker[16], const struct proc *holder)
{
    struct known_worker *k = HASH_GET(c->oracle->workers, worker, as_one(worker));

    if (!k) {
        k = checked(c, mem_new(struct known_worker));
        if (!k)
            return;
        k->worker = *as_one(worker);
        HASH_PUT(c->oracle->workers, worker, k);
    }
    if (k->holder)
        sim_fail(c->sim, "worker %02x%02x is granted to two", worker[0], worker[1]);
    k->holder = holder;
}

void oracle_returned(struct world *c, const uint8_t worker[16], const struct proc *holder)
{
    struct known_worker *k = HASH_GET(c->oracle->workers, worker, as_one(worker));

    if (k && k->holder == holder)
        k->holder = NULL;
}

static struct two ordered(const uint8_t a[16], const uint8_t b[16])
{
    struct two t;
    bool swap = memcmp(a, b, 16) > 0;

    memcpy(t.a, swap ? b : a, 16);
    memcpy(t.b, swap ? a : b, 16);
    return t;
}

void oracle_broke(struct world *c, const uint8_t a[16], const uint8_t b[16])
{
    struct known_pair *k;
    struct two who = ordered(a, b);

    c->breaks++;
    if (HASH_GET(c->oracle->broke, who, &who))
        return;
    k = checked(c, mem_new(struct known_pair));
    if (!k)
        return;
    k->who = who;
    HASH_PUT(c->oracle->broke, who, k);
}

bool oracle_pair_broke(const struct world *c, const uint8_t a[16], const uint8_t b[16])
{
    struct two who = ordered(a, b);

    return HASH_GET(c->oracle->broke, who, &who) != NULL;
}

void oracle_error(struct world *c, const struct raia_error *e, const uint8_t owner[16],
                  const char *what)
{
    bool fits;

    switch (e->code) {
    case RAIA_ERR_TASK_FAILED:
    case RAIA_ERR_CANCELED:
        fits = true;
        break;
    case RAIA_ERR_STORE_FULL: /* the node looks whether it was */
        fits = c->large;
        break;
    case RAIA_ERR_WORKER_CRASHED:
    case RAIA_ERR_ACTOR_DIED:
    case RAIA_ERR_ACTOR_UNAVAILABLE:
    case RAIA_ERR_NODE_DIED:
    case RAIA_ERR_OWNER_DIED: /* a worker whose lease was cut off is killed, a moment later */
        fits = c->deaths > 0 || c->breaks > 0 || c->closing;
        break;
    case RAIA_ERR_OBJECT_LOST: /* who passed it on died before the owner knew of the next one */
        fits = c->kills || c->breaks > 0;
        break;
    default:
        fits = false;
        break;
    }
    if (!fits)
        sim_fail(c->sim, "%s of %02x%02x is error %d, which is not true: %s", what, owner[0],
                 owner[1], e->code, e->text);
}
