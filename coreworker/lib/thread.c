/*
 * The library's own thread: urgent records, the end of the raylet, and the work of a process whose
 * threads are all elsewhere.
 */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/fd.h"
#include "lib/arena.h"

#define TICK_BUSY_MS 2                    /* while tasks are under way, or leases linger */
#define TICK_IDLE_MS 50                   /* soon after */
#define LINGER_NS    (2 * CLOCK_NS_PER_S) /* without work, before it sleeps for good */

static bool under_way(const struct runtime *rt)
{
    return rt->tasks > 0 || rt->submitter.leases_end > 0 || !list_empty(&rt->questions) ||
           rt->next_tick != CLOCK_NEVER;
}

/* Looks after the rings if nobody else does. Returns how soon to look again, ms; 0: no need before
 * *ret_rest (ns), which is untouched if it could not look. quiet: nothing was under way for long. */
static int look(struct runtime *rt, bool urgent, bool quiet, int64_t *ret_rest)
{
    int again;

    if (urgent)
        pthread_mutex_lock(&rt->token);
    else if (pthread_mutex_trylock(&rt->token) != 0)
        return TICK_BUSY_MS;
    rt->now = rt->submitter.now = clock_now_ns();
    if (rt->raylet && !rt->dead && !rt->closing) {
        if (!rt->poller)
            rt_drain(rt);
        /* Leases: slow workers are stolen from, idle ones go back. */
        if (rt->now >= rt->next_tick || rt->submitter.leases_end > 0)
            rt_tick(rt, rt->now);
        if (rt->now >= rt->next_rest)
            rest_tick(rt, rt->now);
        if (rt->now >= rt->next_arena)
            arena_tick(rt, rt->now);
        if (rt->worker)
            call_report(rt, rt->now);
    }
    *ret_rest = rt->next_rest < rt->next_arena ? rt->next_rest : rt->next_arena;
    again = under_way(rt) ? TICK_BUSY_MS : list_empty(&rt->running) ? 0 : TICK_IDLE_MS;
    if (quiet && !again)
        pool_trim(&rt->pool);
    rt_leave(rt);
    return again;
}

/* For poll, of a time that may be far away. */
static int until(int64_t at)
{
    int64_t ms = at == CLOCK_NEVER ? -1 : (at - clock_now_ns()) / CLOCK_NS_PER_MS + 1;

    return ms < -1 ? 1 : ms > INT_MAX ? INT_MAX : (int)ms;
}

static void raylet_gone(struct runtime *rt)
{
    struct raia_error e;

    pthread_mutex_lock(&rt->token);
    if (!rt->closing) {
        /* What it had said before may still be answers. */
        if (!rt->poller && !rt->dead)
            rt_drain(rt);
        err_set(&e, RAIA_ERR_UNAVAILABLE,
                "node %s: its raylet died: this program cannot go on "
                "with this cluster",
                rt->node_name);
        rt_die(rt, &e);
        if (rt->worker)
            _exit(1);
    }
    rt_leave(rt);
}

static void *run(void *arg)
{
    struct runtime *rt = arg;
    struct pollfd p[3] = {{.fd = rt->socket, .events = POLLRDHUP},
                          {.fd = rt->bell_fd, .events = POLLIN},
                          {.fd = rt->kick_fd, .events = POLLIN}};
    int64_t quiet_since = clock_now_ns(), rest = CLOCK_NEVER;
    int timeout = TICK_BUSY_MS;

    while (!atomic_load(&rt->thread_stop)) {
        bool urgent, quiet;
        int again;

        atomic_store(&rt->thread_sleeps, timeout < 0 || timeout > TICK_IDLE_MS);
        poll(p, 3, timeout);
        atomic_store(&rt->thread_sleeps, false);
        urgent = p[1].revents & POLLIN;
        if (urgent)
            eventfd_drain(rt->bell_fd);
        if (p[2].revents & POLLIN)
            eventfd_drain(rt->kick_fd);
        if (atomic_load(&rt->thread_stop))
            break;
        if (p[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) {
            raylet_gone(rt);
            p[0].fd = -1;
        }
        quiet = clock_now_ns() - quiet_since >= LINGER_NS;
        again = look(rt, urgent, quiet, &rest);
        if (again || p[2].revents)
            quiet_since = clock_now_ns();
        timeout = again ? again : quiet ? until(rest) : TICK_IDLE_MS;
    }
    return NULL;
}

void rt_stir(struct runtime *rt)
{
    if (atomic_load_explicit(&rt->thread_sleeps, memory_order_relaxed))
        eventfd_ring(rt->kick_fd);
}

int thread_start(struct runtime *rt)
{
    sigset_t all, old;
    int r;

    r = eventfd_make(&rt->kick_fd);
    if (r < 0)
        return r;
    atomic_store(&rt->thread_stop, false);
    /* Signals are the program's own business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&rt->thread, NULL, run, rt);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0)
        return -RAIA_ERR_LIMIT;
    rt->thread_runs = true;
    return 0;
}

void thread_stop(struct runtime *rt)
{
    if (rt->thread_runs) {
        atomic_store(&rt->thread_stop, true);
        eventfd_ring(rt->kick_fd);
        pthread_join(rt->thread, NULL);
        rt->thread_runs = false;
    }
    if (rt->kick_fd >= 0)
        close(rt->kick_fd);
    rt->kick_fd = -1;
}
