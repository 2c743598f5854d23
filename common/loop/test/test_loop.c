/*
 * The event loop, through its public header alone.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "loop/loop.h"

static struct loop *l;
static struct raia_error e;

static void setup(void)
{
    cr_assert_eq(loop_new(&l, &e), 0, "%s", e.text);
}

static void teardown(void)
{
    cr_assert_eq(loop_free(l), 0);
}

TestSuite(loop, .init = setup, .fini = teardown);

struct note {
    struct loop_task task;   /* posted by the tests */
    struct loop_timer timer; /* started by the tests */
    struct loop_hook hook;   /* added by the tests */
    struct loop_work work;   /* run by the tests */
    char name;               /* appended to trace */
    int count;               /* calls so far */
    int r;                   /* what work got */
};

static char trace[64];

static void trace_add(struct note *n)
{
    size_t len = strlen(trace);
    if (len + 1 < sizeof trace)
        trace[len] = n->name;
    n->count++;
}

static void on_timer(struct loop_timer *t)
{
    trace_add(LOOP_OF(t, struct note, timer));
}

static void on_timer_stop(struct loop_timer *t)
{
    trace_add(LOOP_OF(t, struct note, timer));
    loop_stop(l);
}

/* Timers fire in the order of their due time, and those of the same time in the order of start. */
Test(loop, timers_in_order)
{
    struct note n[5] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}, {.name = 'z'}};
    loop_timer_start(l, &n[4].timer, 60, 0, on_timer_stop);
    loop_timer_start(l, &n[2].timer, 40, 0, on_timer);
    loop_timer_start(l, &n[0].timer, 0, 0, on_timer);
    loop_timer_start(l, &n[3].timer, 50, 0, on_timer);
    loop_timer_start(l, &n[1].timer, 0, 0, on_timer);
    loop_run(l);
    cr_assert_str_eq(trace, "abcdz");
}

/* A stopped timer is silent, a restarted one fires once, and the heap survives any order of stops.
 */
Test(loop, timers_stop_and_restart)
{
    enum { N = 300 };
    struct note n[N] = {0}, end = {.name = 'z'};
    for (unsigned i = 0; i < N; i++)
        loop_timer_start(l, &n[i].timer, 1 + i * 7919 % 31, 0, on_timer);
    for (unsigned i = 0; i < N; i += 3)
        loop_timer_stop(&n[i].timer);
    for (unsigned i = 1; i < N; i += 3)
        loop_timer_start(l, &n[i].timer, 1 + i * 104729 % 29, 0, on_timer);
    loop_timer_start(l, &end.timer, 80, 0, on_timer_stop);
    loop_run(l);
    for (unsigned i = 0; i < N; i++) {
        cr_assert_eq(n[i].count, i % 3 ? 1 : 0, "timer %u fired %d times", i, n[i].count);
        cr_assert_not(loop_timer_active(&n[i].timer));
    }
}

static void on_repeat(struct loop_timer *t)
{
    struct note *n = LOOP_OF(t, struct note, timer);
    if (++n->count == 5) {
        loop_timer_stop(t);
        loop_stop(l);
    }
}

/* A repeating timer goes on until it is stopped, also from its own callback. */
Test(loop, timer_repeats)
{
    struct note n = {0};
    loop_timer_start(l, &n.timer, 1, 2, on_repeat);
    loop_run(l);
    cr_assert_eq(n.count, 5);
    cr_assert_not(loop_run_once(l, 10));
    cr_assert_eq(n.count, 5);
}

static void on_task(struct loop_task *t)
{
    trace_add(LOOP_OF(t, struct note, task));
}

/* Tasks run in the order of posting, not inside loop_post, and a pending one is not added twice. */
Test(loop, tasks_in_order)
{
    struct note a = {.name = 'a', .task.fn = on_task}, b = {.name = 'b', .task.fn = on_task};
    cr_assert(loop_post(l, &a.task));
    cr_assert(loop_post(l, &b.task));
    cr_assert_not(loop_post(l, &a.task));
    cr_assert_str_eq(trace, "");
    cr_assert(loop_run_once(l, 1000));
    cr_assert_str_eq(trace, "ab");
    cr_assert(loop_post(l, &a.task));
    cr_assert(loop_run_once(l, 1000));
    cr_assert_str_eq(trace, "aba");
}

enum { POSTERS = 4, POSTS = 20000 };
static struct note posts[POSTERS][POSTS];
static atomic_int posted_seen;

static void on_posted(struct loop_task *t)
{
    LOOP_OF(t, struct note, task)->count++;
    if (atomic_fetch_add(&posted_seen, 1) + 1 == POSTERS * POSTS)
        loop_stop(l);
}

static void *poster(void *arg)
{
    struct note *n = arg;
    for (int i = 0; i < POSTS; i++) {
        n[i].task.fn = on_posted;
        loop_post(l, &n[i].task);
    }
    return NULL;
}

/* Tasks posted by several threads at once each run exactly once, and no wake-up is lost. */
Test(loop, tasks_from_threads)
{
    pthread_t th[POSTERS];
    for (int i = 0; i < POSTERS; i++)
        cr_assert_eq(pthread_create(&th[i], NULL, poster, posts[i]), 0);
    loop_run(l);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(th[i], NULL);
    for (int i = 0; i < POSTERS; i++)
        for (int k = 0; k < POSTS; k++)
            cr_assert_eq(posts[i][k].count, 1);
}

static void on_hook(struct loop_hook *h)
{
    struct note *n = LOOP_OF(h, struct note, hook);
    trace_add(n);
    if (n->name == 'b')
        loop_hook_remove(h);
}

/* Hooks run in order before the loop sleeps, and may remove themselves. */
Test(loop, hooks_before_sleep)
{
    struct note a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    loop_hook_add(l, &a.hook, on_hook);
    loop_hook_add(l, &b.hook, on_hook);
    loop_hook_add(l, &c.hook, on_hook);
    loop_run_once(l, 0);
    cr_assert_str_eq(trace, "abc");
    loop_run_once(l, 0);
    cr_assert_str_eq(trace, "abcac");
    cr_assert_eq(loop_free(l), -RAIA_ERR_STATE);
    loop_hook_remove(&a.hook);
    loop_hook_remove(&c.hook);
}

static unsigned fd_events;
static void on_fd(void *arg, int fd, unsigned events)
{
    (void)arg;
    (void)fd;
    fd_events |= events;
}

/* A descriptor is reported when ready, only for what was asked, and not after it is paused. */
Test(loop, descriptors)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct loop_fd *w;
    cr_assert_eq(loop_fd_new(l, fd, LOOP_READ, on_fd, NULL, &w, &e), 0, "%s", e.text);
    cr_assert_not(loop_run_once(l, 5));
    cr_assert_eq(eventfd_write(fd, 1), 0);
    cr_assert(loop_run_once(l, 1000));
    cr_assert_eq(fd_events, LOOP_READ);
    fd_events = 0;
    cr_assert_eq(loop_fd_set(w, LOOP_READ | LOOP_WRITE), 0);
    cr_assert(loop_run_once(l, 1000));
    cr_assert_eq(fd_events, LOOP_READ | LOOP_WRITE);
    fd_events = 0;
    cr_assert_eq(loop_fd_set(w, 0), 0);
    cr_assert_not(loop_run_once(l, 5));
    cr_assert_eq(fd_events, 0);
    cr_assert_eq(loop_free(l), -RAIA_ERR_STATE);
    loop_fd_free(w);
    close(fd);
    cr_assert_lt(loop_fd_new(l, -1, LOOP_READ, on_fd, NULL, &w, &e), 0);
    cr_assert(strstr(e.text, "descriptor -1"));
}

static int signal_seen;
static void on_signal(void *arg, int signum)
{
    (void)arg;
    signal_seen = signum;
}

/* A signal arrives as a callback on the owner thread. */
Test(loop, signals)
{
    struct loop_signal *w;
    cr_assert_eq(loop_signal_new(l, SIGUSR1, on_signal, NULL, &w, &e), 0, "%s", e.text);
    raise(SIGUSR1);
    for (int i = 0; i < 100 && !signal_seen; i++)
        loop_run_once(l, 100);
    cr_assert_eq(signal_seen, SIGUSR1);
    loop_signal_free(w);
}

static void work_fn(struct loop_work *w)
{
    struct note *n = LOOP_OF(w, struct note, work);
    n->name = loop_is_owner(l) ? 'o' : 'p';
}

static void work_done(struct loop_work *w, int r)
{
    struct note *n = LOOP_OF(w, struct note, work);
    cr_assert(loop_is_owner(l));
    n->r = r;
    n->count++;
    loop_stop(l);
}

/* Work runs on a pool thread and is done on the owner's; the loop cannot be freed meanwhile. */
Test(loop, work_in_the_pool)
{
    struct note n = {0};
    loop_work(l, &n.work, work_fn, work_done);
    cr_assert_eq(loop_free(l), -RAIA_ERR_STATE);
    loop_run(l);
    cr_assert_eq(n.count, 1);
    cr_assert_eq(n.r, 0);
    cr_assert_eq(n.name, 'p');
}

/* A stop that comes before the run ends it; a hold keeps the loop from being freed. */
Test(loop, stop_and_hold)
{
    loop_stop(l);
    loop_run(l);
    loop_hold(l);
    cr_assert_eq(loop_free(l), -RAIA_ERR_STATE);
    loop_release(l);
}

/* A task that is still queued when the loop ends is run by loop_free. */
Test(loop, free_runs_posted)
{
    struct loop *other;
    cr_assert_eq(loop_new(&other, &e), 0);
    struct note a = {.name = 'a', .task.fn = on_task};
    loop_post(other, &a.task);
    cr_assert_eq(loop_free(other), 0);
    cr_assert_eq(a.count, 1);
}

/* Out of memory in any allocation of ours is reported and leaks nothing. */
Test(loop, out_of_memory)
{
    struct loop *other = NULL;
    mem_fail_nth(1);
    cr_assert_eq(loop_new(&other, &e), -RAIA_ERR_NOMEM);
    struct loop_fd *w = NULL;
    mem_fail_nth(1);
    cr_assert_eq(loop_fd_new(l, 0, LOOP_READ, on_fd, NULL, &w, &e), -RAIA_ERR_NOMEM);
    struct loop_signal *s = NULL;
    mem_fail_nth(1);
    cr_assert_eq(loop_signal_new(l, SIGUSR1, on_signal, NULL, &s, &e), -RAIA_ERR_NOMEM);
    mem_fail_nth(0);
}
