/* The runtime's own life: the token, entering and leaving, timers, death. */
#include "lib/runtime.h"

#include <string.h>
#include <unistd.h>

/* What rt_leave looks at is in order before the first raia_init too. */
static struct runtime the_one = {.token = PTHREAD_MUTEX_INITIALIZER,
                                 .waiters = {&the_one.waiters, &the_one.waiters},
                                 .dirty = {&the_one.dirty, &the_one.dirty}};
struct runtime *the_runtime = &the_one;
static atomic_bool forked;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void in_child(void)
{
    /* Only if there was something to be torn from its process, or another thread was at it. */
    if (pthread_mutex_trylock(&the_one.token) != 0 || the_one.socket > 0)
        atomic_store(&forked, true);
    else
        pthread_mutex_unlock(&the_one.token);
}

static void watch_fork(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

bool rt_forked(void)
{
    return atomic_load_explicit(&forked, memory_order_relaxed);
}

static struct runtime *refuse(int code, const char *text)
{
    last_set(code, "%s", text);
    return NULL;
}

struct runtime *rt_enter(void)
{
    struct runtime *rt = &the_one;

    if (rt_forked())
        return refuse(RAIA_ERR_FORKED, "this process is a forked child of one that uses Raia: "
                                       "only exec or _exit from here");
    pthread_mutex_lock(&rt->token);
    if (rt->raylet && !rt->closing && !rt->dead)
        return rt;
    if (rt->dead && !rt->closing)
        last_set_error(&rt->death);
    else if (rt->epoch_ended || rt->closing)
        last_set(RAIA_ERR_SHUTDOWN, "Raia was shut down");
    else
        last_set(RAIA_ERR_STATE, "raia_init was not called, or failed");
    pthread_mutex_unlock(&rt->token);
    return NULL;
}

struct runtime *rt_enter_release(void)
{
    if (rt_forked())
        return NULL;
    pthread_mutex_lock(&the_one.token);
    /* Before the first raia_init its lists are not lists yet. */
    if (!the_one.waiters.next)
        rt_init_once(&the_one);
    return &the_one;
}

void rt_leave(struct runtime *rt)
{
    if (!list_empty(&rt->unused_actors))
        actors_sweep(rt);
    /* Somebody must look at the doorbell as long as anybody waits. */
    if (!rt->poller && !list_empty(&rt->waiters)) {
        struct waiter *w = LIST_FIRST(&rt->waiters, struct waiter, link);

        if (!w->woken) {
            w->woken = true;
            pthread_cond_signal(&w->cond);
        }
    }
    if (!list_empty(&rt->dirty))
        rt_flush(rt);
    pthread_mutex_unlock(&rt->token);
}

void rt_init_once(struct runtime *rt)
{
    pthread_once(&fork_once, watch_fork);
    list_init(&rt->waiters);
    list_init(&rt->dirty);
    list_init(&rt->opening);
    list_init(&rt->closed);
    list_init(&rt->questions);
    list_init(&rt->buffers);
    list_init(&rt->loose_segments);
    list_init(&rt->ready);
    list_init(&rt->running);
    list_init(&rt->unused_actors);
    rt->pid = getpid();
    rt->socket = rt->bell_fd = rt->kick_fd = -1;
    rt->next_tag = 1;
    rt->next_tick = rt->next_mend = rt->next_deadline = rt->next_reconnect = CLOCK_NEVER;
    rt->next_rest = rt->next_arena = CLOCK_NEVER;
    rt->max_pending_tasks = RT_PENDING_MAX;
    rt->owner_bytes_max = RT_OWNER_BYTES;
}

void rt_pools_fini(struct runtime *rt)
{
    if (rt->pool.in_use == 0)
        pool_fini(&rt->pool);
    if (rt->refs.in_use == 0)
        pool_fini(&rt->refs);
}

void rt_tick(struct runtime *rt, int64_t now)
{
    int64_t next, t;

    rt->now = now;
    if (rt->dead)
        return;
    next = submitter_tick(&rt->submitter, now);
    /* These look at every task, and every actor: only when something is due. */
    if (now >= rt->next_deadline) {
        rt->next_deadline = CLOCK_NEVER;
        t = tasks_check_deadlines(rt, now);
        if (t < rt->next_deadline)
            rt->next_deadline = t;
    }
    if (now >= rt->next_reconnect) {
        rt->next_reconnect = CLOCK_NEVER;
        t = actors_tick(rt, now);
        if (t < rt->next_reconnect)
            rt->next_reconnect = t;
    }
    if (now >= rt->next_mend) {
        rt->next_mend = CLOCK_NEVER;
        links_tick(rt);
    }
    if (rt->next_mend < next)
        next = rt->next_mend;
    if (rt->next_deadline < next)
        next = rt->next_deadline;
    if (rt->next_reconnect < next)
        next = rt->next_reconnect;
    rt->next_tick = next;
    rt_flush(rt);
}

void rt_die(struct runtime *rt, const struct raia_error *e)
{
    raia_actor *a, *next;

    if (rt->dead)
        return;
    rt->dead = true;
    rt->death = *e;
    submitter_fail_all(&rt->submitter, e);
    HASH_FOREACH (rt->actors, a, next)
        caller_fail_all(&a->caller, e);
    questions_fail(rt);
    rt_wake(rt, NULL);
}
