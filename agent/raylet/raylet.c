/*
 * The raylet as a whole: how it starts, turns, and ends.
 */
#define LOG_MODULE "raylet"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "raylet/machine.h"
#include "raylet/raylet.h"

#define PEM_MAX (256u << 10)

void raylet_address(const struct raylet *r, const uint8_t worker[16], struct record_address *ret_a)
{
    memcpy(ret_a->node, r->node.bytes, 16);
    memcpy(ret_a->worker, worker, 16);
}

/* ---- turns */

static void on_turn(struct loop_task *t);

static void on_tick(struct loop_timer *t)
{
    raylet_touch(LOOP_OF(t, struct raylet, tick));
}

static void on_turn(struct loop_task *t)
{
    struct raylet *r = LOOP_OF(t, struct raylet, turn_task);
    int64_t next;

    if (r->stopping)
        return;
    workers_turn(r);
    entrypoints_turn(r);
    next = sched_tick(r->sched, raylet_now(r));
    if (next == INT64_MAX) {
        loop_timer_stop(&r->tick);
    } else {
        int64_t left = next - raylet_now(r);
        loop_timer_start(r->loop, &r->tick, left > 0 ? (uint64_t)(left + 999999) / 1000000 : 0, 0,
                         on_tick);
    }
    gcs_report(r);
}

void raylet_touch(struct raylet *r)
{
    loop_post(r->loop, &r->turn_task);
}

/* ---- the doorbell */

static void on_drain(struct loop_task *t)
{
    struct raylet *r = LOOP_OF(t, struct raylet, drain_task);

    session_io_bells(r);
}

static void on_bell(void *arg, int fd, unsigned events)
{
    struct raylet *r = arg;

    (void)fd;
    (void)events;
    doorbell_end_wait(&r->bell);
    r->asleep = false;
    session_io_bells(r);
}

static int bell_new(struct raylet *r, struct raia_error *e)
{
    int got = memfd_make("raia-raylet", DOORBELL_PAGE_BYTES, FD_SEAL_SIZE, &r->page_fd);

    if (got == 0)
        got = eventfd_make(&r->bell_fd);
    if (got < 0)
        return err_set(e, -got, "make the doorbell");
    r->page = mmap(NULL, DOORBELL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->page_fd, 0);
    if (r->page == MAP_FAILED) {
        r->page = NULL;
        return err_errno(e, errno, "map the doorbell");
    }
    doorbell_page_init(r->page, DOORBELL_EVENTFD);
    doorbell_open(&r->bell, r->page, r->bell_fd);
    loop_hook_add(r->loop, &r->before_sleep, session_before_sleep);
    return loop_fd_new(r->loop, r->bell_fd, LOOP_READ, on_bell, r, &r->bell_watch, e);
}

/* ---- what the node has */

static int custom_resources(struct raylet *r, struct res_set *total, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *root = NULL;
    int got;

    if (!*r->config.resources)
        return 0;
    got = json_parse(r->config.resources, strlen(r->config.resources), NULL, &root, e);
    if (got < 0)
        return err_wrap(e, "--resources");
    if (!json_is(root, JSON_OBJECT))
        return err_set(e, RAIA_ERR_INVALID, "--resources: expected an object of name: quantity");
    JSON_FOREACH(it, root)
    {
        const char *name = json_key(it);
        double v;
        uint16_t id;
        if (json_double(it, &v) < 0 || v < 0 || v > 1e12)
            return err_set(e, RAIA_ERR_INVALID, "--resources: '%s': expected a number of 0 or more",
                           name);
        got = res_name_id(r->names, name, strlen(name), &id);
        if (got == 0)
            got = res_set_add(total, id, (int64_t)(v * (double)RES_UNIT + 0.5));
        if (got < 0)
            return err_set(e, -got, "--resources: '%s': %s", name, raia_strerror(got));
    }
    return 0;
}

/* Descriptors that the raylet holds for a process, the most at any time. */
#define DRIVER_FILES   5 /* socket, pidfd, page, eventfd; its executable while that is stored */
#define WORKER_FILES   8 /* the same, both of its output's files, and rings while they are made */
#define STRANGER_FILES 2 /* socket, pidfd */

/* How many processes fit the limit of open files, as many drivers as workers: so each driver can get
 * a worker. A quarter is for the rest: links to other nodes, segments, logs. */
static void limits_new(struct raylet *r)
{
    struct rlimit l;
    rlim_t files, pairs;

    r->drivers_max = r->workers_max = SESSIONS_MAX / 2;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur == RLIM_INFINITY)
        return;
    files = l.rlim_cur / 4 * 3;
    files = files > STRANGERS_MAX * STRANGER_FILES ? files - STRANGERS_MAX * STRANGER_FILES : 0;
    pairs = files / (DRIVER_FILES + WORKER_FILES);
    if (pairs < r->drivers_max)
        r->drivers_max = r->workers_max = pairs ? (uint32_t)pairs : 1;
}

static int scheduler_new(struct raylet *r, struct raia_error *e)
{
    struct res_set total = {0};
    struct sched_config c;
    uint64_t machine = machine_memory(), memory = r->config.memory ? r->config.memory : machine;
    int64_t cpus = r->config.num_cpus >= 0 ? (int64_t)(r->config.num_cpus * (double)RES_UNIT + 0.5)
                                           : machine_cpus();
    int got;

    r->store_capacity =
        r->config.object_store_memory ? r->config.object_store_memory : memory / 10 * 3;
    if (!r->config.memory)
        memory = machine > r->store_capacity ? machine - r->store_capacity : machine;
    r->names = res_names_new();
    if (!r->names)
        return err_set(e, RAIA_ERR_NOMEM, "the scheduler");
    res_set_add(&total, RES_CPU, cpus);
    res_set_add(&total, RES_MEMORY,
                (int64_t)(memory > (1ull << 42) ? 1ull << 42 : memory) * RES_UNIT);
    got = custom_resources(r, &total, e);
    if (got < 0)
        return got;
    sched_config_default(&c, &total);
    memcpy(c.node, r->node.bytes, 16);
    c.names = r->names;
    c.pool.start_ms = r->config.worker_start_ns / 1000000;
    c.pool.idle_ms = r->config.idle_worker_ns / 1000000;
    if (r->config.max_workers)
        c.pool.workers_max = (uint32_t)r->config.max_workers;
    if (c.pool.workers_max > r->workers_max)
        c.pool.workers_max = r->workers_max;
    r->sched = sched_new(&c, &leases_ops, r);
    return r->sched ? 0 : err_set(e, RAIA_ERR_NOMEM, "the scheduler");
}

/* ---- the way to others */

static int pem_read(const struct raylet *r, const char *name, char **ret_text, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", r->config.tls_dir, name);

    if (!path)
        return err_set(e, RAIA_ERR_NOMEM, "read certificates");
    return io_read_file(path, PEM_MAX, ret_text, NULL, e);
}

int raylet_check_tls(const struct raylet *r, struct raia_error *e)
{
    _cleanup_(mem_freep) char *ca = NULL, *cert = NULL;
    int got;

    if (!*r->config.tls_dir)
        return 0;
    got = pem_read(r, "ca.pem", &ca, e);
    if (got == 0)
        got = pem_read(r, "node.pem", &cert, e);
    if (got == 0)
        got = crypto_cert_verify(ca, cert, TLS_NAME, clock_unix_ms() / 1000, e);
    return got < 0 ? err_wrap(e, "this node's own certificate") : 0;
}

static int network_new(struct raylet *r, struct raia_error *e)
{
    struct rpc_server_opts opts = {.max_message = 32u << 20, .outbox = 64u << 20};
    int got = 0;

    if (*r->config.tls_dir) {
        got = raylet_check_tls(r, e);
        r->tls = (struct rpc_tls){.dir = r->config.tls_dir};
        opts.tls = &r->tls;
    }
    if (got == 0)
        got = rpc_server_new(r->loop, &opts, &r->server, e);
    if (got == 0)
        got = listing_serve(r, e);
    if (got == 0)
        got = nodes_new(r, opts.tls, e);
    if (got == 0)
        got = rpc_server_listen(r->server, r->config.node_ip, 0, &r->port, e);
    if (got == 0)
        got = rpc_server_start(r->server, e);
    if (got < 0)
        return err_wrap(e, "listen on %s", r->config.node_ip);
    r->address = mem_printf(strchr(r->config.node_ip, ':') ? "[%s]:%u" : "%s:%u", r->config.node_ip,
                            r->port);
    if (!r->address)
        return err_set(e, RAIA_ERR_NOMEM, "the address");
    got = gcs_new(r, opts.tls, e);
    return got;
}

static int folders_new(struct raylet *r, struct raia_error *e)
{
    _cleanup_(mem_freep) char *logs = mem_printf("%s/logs", r->config.session_dir);
    _cleanup_(mem_freep) char *code = mem_printf("%s/code", r->config.session_dir);
    int got;

    r->socket_path = mem_printf("%s/raylet.sock", r->config.session_dir);
    if (!logs || !code || !r->socket_path)
        return err_set(e, RAIA_ERR_NOMEM, "the folders");
    got = io_mkdir_p(logs, 0700, e);
    return got < 0 ? got : io_mkdir_p(code, 0700, e);
}

static void on_signal(void *arg, int signo)
{
    (void)signo;
    raylet_stop(arg, 0, "it was told to end");
}

int raylet_new(const struct raylet_config *config, struct raylet **ret_r, struct raia_error *e)
{
    struct raylet *r = mem_new(struct raylet);
    int got;

    if (!r)
        return err_set(e, RAIA_ERR_NOMEM, "the raylet");
    r->config = *config;
    r->listener = r->page_fd = r->bell_fd = -1;
    r->next_entrypoint = ENTRYPOINT_ID_FIRST;
    r->turn_task.fn = on_turn;
    r->drain_task.fn = on_drain;
    list_init(&r->dirty);
    list_init(&r->listings);
    r->sessions = mem_calloc(SESSIONS_MAX + 1, sizeof *r->sessions);
    limits_new(r);
    got = r->sessions ? node_id_random(&r->node, NULL) : -RAIA_ERR_NOMEM;
    if (got < 0)
        err_set(e, -got, "make a node id");
    node_id_to_text(&r->node, r->node_text);
    if (got == 0)
        got = loop_new(&r->loop, e);
    if (got == 0)
        got = folders_new(r, e);
    if (got == 0)
        got = scheduler_new(r, e);
    if (got == 0)
        got = bell_new(r, e);
    if (got == 0)
        got = network_new(r, e);
    if (got == 0)
        got = objects_new(r, e);
    if (got == 0 && r->config.forward_logs)
        got = logs_new(r, e);
    if (got == 0)
        got = loop_signal_new(r->loop, SIGTERM, on_signal, r, &r->term, e);
    if (got == 0)
        got = status_new(r, e);
    if (got == 0 && config->metrics_port)
        got = health_new(r, e);
    if (got == 0)
        got = session_listen(r, e);
    if (got == 0)
        got = sup_new(r, (int)config->supervisor_fd, e);
    if (got < 0) {
        raylet_free(r);
        return got;
    }
    *ret_r = r;
    return 0;
}

void raylet_stop(struct raylet *r, int status, const char *why)
{
    if (r->stopping)
        return;
    log_info("ending", "status=%d why=%s", status, LOG_Q(why));
    r->stopping = true;
    r->exit_status = status;
    loop_stop(r->loop);
}

void raylet_fence(struct raylet *r, const char *why)
{
    if (r->stopping)
        return;
    sup_fence(r, why);
    raylet_stop(r, 1, why);
}

static void on_unregistered(void *arg, int status, const void *data, size_t size,
                            const struct raia_error *e)
{
    bool *done = arg;

    (void)status;
    (void)data;
    (void)size;
    (void)e;
    *done = true;
}

/* Leaving in order: others need not wait for the lease to run out. */
static void unregister(struct raylet *r)
{
    Raia__Gcs__UnregisterNodeRequest m = RAIA__GCS__UNREGISTER_NODE_REQUEST__INIT;
    static bool done; /* outlives a call that is cut off */

    if (!gcs_registered(r))
        return;
    m.node_id = (ProtobufCBinaryData){16, r->node.bytes};
    m.reason = "the node was stopped";
    if (gcs_call(r, "UnregisterNode", &m.base, 1000, on_unregistered, &done) < 0)
        return;
    while (!done)
        loop_run_once(r->loop, 100);
}

int raylet_run(struct raylet *r)
{
    (void)loop_run(r->loop);
    if (r->exit_status == 0)
        unregister(r);
    return r->exit_status;
}

static void on_server_gone(void *arg)
{
    *(bool *)arg = true;
}

void raylet_free(struct raylet *r)
{
    bool gone = false;

    if (!r)
        return;
    r->stopping = true;
    if (r->sched && r->gcs && r->objects)
        session_shutdown(r);
    listings_free(r);
    health_free(r);
    status_free(r);
    sup_free(r);
    logs_free(r);
    gcs_free(r);
    nodes_free(r);
    objects_free(r);
    if (r->server) {
        rpc_server_shutdown(r->server, 100, on_server_gone, &gone);
        while (!gone)
            loop_run_once(r->loop, 100);
    }
    actors_free(r);
    workers_free(r);
    jobs_free(r);
    entrypoints_free(r);
    sched_free(r->sched);
    res_names_free(r->names);
    loop_timer_stop(&r->tick);
    loop_hook_remove(&r->before_sleep);
    loop_fd_free(r->bell_watch);
    loop_signal_free(r->term);
    if (r->page)
        munmap(r->page, DOORBELL_PAGE_BYTES);
    if (r->page_fd >= 0)
        close(r->page_fd);
    if (r->bell_fd >= 0)
        close(r->bell_fd);
    code_trim_free(r);
    if (r->loop) {
        while (loop_run_once(r->loop, 0))
            ;
        (void)loop_free(r->loop);
    }
    mem_free(r->sessions);
    mem_free(r->socket_path);
    mem_free(r->address);
    mem_free(r);
}
