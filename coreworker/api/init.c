/* Joining and leaving: raia_init, raia_shutdown. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "lib/arena.h"

#define CONNECT_MS 30000

const char *raia_version(void)
{
    return "0.1.0";
}

/* Everything but the handles that users still hold. The token is held. */
static void tear_down(struct runtime *rt)
{
    struct link *l, *next;
    struct list *i;

    actors_fini(rt);
    host_fini(rt);
    while ((i = list_pop(&rt->ready)))
        call_free(rt, container_of(i, struct raia_call, link));
    submitter_fini(&rt->submitter);
    objects_fini(&rt->objects);
    HASH_FOREACH (rt->channels, l, next) {
        HASH_DEL(rt->channels, l);
        link_free(rt, l);
    }
    for (unsigned n = 1; n < DOORBELL_BITS; n++) {
        link_free(rt, rt->pairs[n]);
        rt->pairs[n] = NULL;
    }
    while ((i = list_pop(&rt->opening)))
        link_free(rt, container_of(i, struct link, in_dirty));
    while ((i = list_pop(&rt->closed)))
        link_free(rt, container_of(i, struct link, in_dirty));
    link_free(rt, rt->raylet);
    rt->raylet = NULL;
    rt->pairs[0] = NULL;
    arena_fini(rt);
    store_fini(rt);
    session_close(rt);
    rt->default_class = NULL;
    rt_pools_fini(rt);
}

/* A fresh runtime in the same place; the pool stays, for handles of the session before. */
static void reset(struct runtime *rt)
{
    struct pool pool = rt->pool, refs = rt->refs;
    struct objects objects = {.epoch = rt->objects.epoch,
                              .pool = &rt->pool,
                              .refs = &rt->refs,
                              .count = rt->objects.count,
                              .blob_bytes = rt->objects.blob_bytes};
    size_t from = offsetof(struct runtime, waiters);

    memset((char *)rt + from, 0, sizeof(*rt) - from);
    rt->poller = false;
    rt->pool = pool;
    rt->refs = refs;
    rt->objects = objects;
    rt_init_once(rt);
    pthread_cond_init(&rt->work, NULL);
}

static void take_config(struct runtime *rt, const struct raia_config *c)
{
    const char *quiet = getenv("RAIA_LOG_TO_DRIVER");

    rt->quiet = quiet && strcmp(quiet, "0") == 0;
    if (!c)
        return;
    if (c->ns)
        snprintf(rt->ns, sizeof(rt->ns), "%s", c->ns);
    if (c->quiet)
        rt->quiet = true;
    if (c->max_pending_tasks > 0)
        rt->max_pending_tasks = c->max_pending_tasks;
    rt->block_when_full = c->block_when_full;
}

/* Where the raylet's socket is; starts a cluster if none is named. */
static int find_raylet(struct runtime *rt, const struct raia_config *c, char *path, size_t size,
                       struct raia_error *e)
{
    const char *worker_socket = getenv("RAIA_RAYLET_SOCKET");
    const char *address = c && c->address ? c->address : getenv("RAIA_ADDRESS");

    if (rt->worker) {
        snprintf(path, size, "%s", worker_socket);
        return 0;
    }
    if (address && *address)
        return session_address(address, path, size, e);
    return cluster_start(c, path, size, &rt->cluster_pid, rt->cluster_name,
                         sizeof(rt->cluster_name), e);
}

static int start(struct runtime *rt, const struct raia_config *c, struct raia_error *e)
{
    int64_t wait = c && c->connect_timeout_ms > 0 ? c->connect_timeout_ms : CONNECT_MS;
    char path[256];
    int r;

    reset(rt);
    rt->worker = getenv("RAIA_SPAWN_TOKEN") && getenv("RAIA_RAYLET_SOCKET");
    take_config(rt, c);
    r = find_raylet(rt, c, path, sizeof(path), e);
    if (r < 0)
        return r;
    r = session_open(rt, c, path, clock_deadline_ms(wait), e);
    if (r < 0)
        return r;
    objects_init(&rt->objects, &rt->pool, &rt->self, &rt_objects_ops, rt);
    rt->objects.refs = &rt->refs;
    r = submitter_init(&rt->submitter, &rt_submitter_ops, rt);
    if (r < 0)
        return err_set(e, -r, "out of memory");
    rt->now = clock_now_ns();
    rt->submitter.now = rt->now;
    r = thread_start(rt);
    return r < 0 ? err_set(e, -r, "the library's thread cannot be started") : 0;
}

int raia_init(const struct raia_config *config)
{
    struct runtime *rt = the_runtime;
    struct raia_config full = {0};
    struct raia_error e;
    bool worker;
    int r;

    if (rt_forked())
        return last_set(RAIA_ERR_FORKED, "this process is a forked child of one that uses Raia");
    /* Programs built before block_when_full have a shorter one. */
    if (config && config->struct_size != sizeof(*config) &&
        config->struct_size != offsetof(struct raia_config, block_when_full))
        return last_set(RAIA_ERR_INVALID, "raia_config.struct_size is %zu, not sizeof",
                        config->struct_size);
    if (config) {
        memcpy(&full, config, config->struct_size);
        config = &full;
    }
    pthread_mutex_lock(&rt->token);
    if (rt->raylet) {
        pthread_mutex_unlock(&rt->token);
        return last_set(RAIA_ERR_STATE, "raia_init was called already");
    }
    r = start(rt, config, &e);
    if (r < 0) {
        tear_down(rt);
        cluster_stop(rt);
    }
    worker = rt->worker;
    pthread_mutex_unlock(&rt->token);
    if (r < 0) {
        err_wrap(&e, "raia_init");
        return last_set_error(&e);
    }
    if (worker) {
        /* What this program starts is no worker. */
        unsetenv("RAIA_SPAWN_TOKEN");
        worker_serve(rt);
    }
    return 0;
}

bool raia_initialized(void)
{
    struct runtime *rt = the_runtime;
    bool yes;

    if (rt_forked())
        return false;
    pthread_mutex_lock(&rt->token);
    yes = rt->raylet && !rt->closing;
    pthread_mutex_unlock(&rt->token);
    return yes;
}

void raia_shutdown(void)
{
    struct runtime *rt = the_runtime;
    struct raia_error e;

    if (rt_forked() || current_call)
        return;
    pthread_mutex_lock(&rt->token);
    if (!rt->raylet || rt->closing) {
        pthread_mutex_unlock(&rt->token);
        return;
    }
    rt->closing = true;
    err_set(&e, RAIA_ERR_SHUTDOWN, "Raia was shut down");
    if (!rt->dead)
        rt_flush(rt);
    rt_die(rt, &e);
    /* Those who wait see it and go. */
    while (rt->inside) {
        rt_wake(rt, NULL);
        pthread_mutex_unlock(&rt->token);
        sched_yield();
        pthread_mutex_lock(&rt->token);
    }
    pthread_mutex_unlock(&rt->token);
    thread_stop(rt);
    pthread_mutex_lock(&rt->token);
    tear_down(rt);
    rt->epoch_ended = true;
    rt->closing = false;
    rt->dead = false;
    cluster_stop(rt);
    pthread_mutex_unlock(&rt->token);
}
