/* The life of raia-gcs. */
#define LOG_MODULE "gcs"
#include "daemon/daemon.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/control.h"
#include "crypto/crypto.h"
#include "rest/rest.h"
#include "service/ask.h"
#include "service/service.h"

#define PEM_MAX (1u << 20)

struct daemon {
    const struct gcs_settings *settings; /* the caller's */
    struct loop *loop;                   /* everything lives on it */
    struct loop_signal *term;            /* SIGTERM */
    struct loop_signal *interrupt;       /* SIGINT */
    struct storage *storage;             /* rows */
    struct loop_fd *storage_fd;          /* its completions */
    struct packages packages;            /* files */
    struct service *service;             /* rpc */
    struct gcs_core *core;               /* state */
    struct asker *asker;                 /* asks raylets for the state API */
    struct rest *rest;                   /* HTTP */
    struct control_server *control;      /* the control socket */
    struct loop_fd *control_fd;          /* its clients */
    struct rpc_tls tls;                  /* points into settings */
    uint16_t port;                       /* of the service */
    uint16_t dashboard_port;             /* of the REST API */
    bool stopping;                       /* the service is ending */
    struct raia_error broken;            /* why it must start again */
};

static void on_service_gone(void *arg)
{
    struct daemon *d = arg;

    loop_stop(d->loop);
}

static void stop(struct daemon *d)
{
    if (d->stopping)
        return;
    d->stopping = true;
    service_stop(d->service, on_service_gone, d);
}

static void on_signal(void *arg, int signum)
{
    log_info("stopping", "signal=%d", signum);
    stop(arg);
}

static void on_broken(void *arg, const struct raia_error *e)
{
    struct daemon *d = arg;

    d->broken = *e;
    stop(d);
}

static void on_storage(void *arg, int fd, unsigned events)
{
    struct daemon *d = arg;

    (void)fd;
    (void)events;
    storage_step(d->storage);
}

/* ---- loading ---- */

struct loading {
    struct storage_snapshot snap; /* first */
    struct daemon *daemon;        /* whose */
    bool done;                    /* it was called */
    int r;                        /* the first failure */
    size_t rows;                  /* how many */
    struct raia_error error;      /* its text */
};

static void on_row(struct storage_snapshot *snap, struct storage_bytes key,
                   struct storage_bytes value, uint64_t revision)
{
    struct loading *x = (struct loading *)(void *)snap;

    (void)revision;
    x->rows++;
    if (x->r == 0)
        x->r = gcs_core_load(x->daemon->core, service_now(), key, value, &x->error);
}

static void on_rows(struct storage_snapshot *snap, int r, uint64_t revision,
                    const struct raia_error *e)
{
    struct loading *x = (struct loading *)(void *)snap;

    (void)revision;
    x->done = true;
    if (r < 0) {
        x->r = r;
        x->error = *e;
    }
}

static int load(struct daemon *d, struct raia_error *e)
{
    struct loading x = {.snap = {.row = on_row, .done = on_rows}, .daemon = d};
    int64_t begin = clock_now_ns();

    storage_read(d->storage, &x.snap);
    while (!x.done) { /* nothing is served yet: waiting here is fine */
        struct pollfd p = {.fd = storage_fd(d->storage), .events = POLLIN};

        (void)poll(&p, 1, 1000);
        storage_step(d->storage);
    }
    if (x.r < 0) {
        *e = x.error;
        return x.r;
    }
    log_info("state loaded", "rows=%zu ms=%lld", x.rows,
             (long long)((clock_now_ns() - begin) / CLOCK_NS_PER_MS));
    return 0;
}

static int start_core(struct daemon *d, struct raia_error *e)
{
    const struct gcs_settings *s = d->settings;
    struct gcs_config config = {
        .heartbeat_ms = s->heartbeat / CLOCK_NS_PER_MS,
        .lease_ms = s->lease / CLOCK_NS_PER_MS,
        .grace_ms = s->lease_grace / CLOCK_NS_PER_MS,
        .max_nodes = (size_t)s->max_nodes,
        .max_dead_nodes = (size_t)s->max_dead_nodes,
        .max_jobs = (size_t)s->max_jobs,
        .max_dead_jobs = (size_t)s->max_dead_jobs,
        .max_submissions = (size_t)s->max_submissions,
        .max_ended_submissions = (size_t)s->max_ended_submissions,
        .max_actors = (size_t)s->max_actors,
        .max_dead_actors = (size_t)s->max_dead_actors,
        .kv_bytes = s->kv_bytes,
    };
    uint8_t random[16];
    char cluster_id[33];
    int r = gcs_core_new(&config, d->storage, service_effects(d->service), &d->core, e);

    if (r == 0)
        r = load(d, e);
    if (r == 0 && crypto_random(random, sizeof random) < 0)
        r = err_set(e, RAIA_ERR_INTERNAL, "no random numbers for the cluster's id");
    if (r < 0)
        return r;
    crypto_hex(random, sizeof random, cluster_id);
    return gcs_core_start(d->core, service_now(), cluster_id, e);
}

/* ---- starting ---- */

static int open_storage(struct daemon *d, struct raia_error *e)
{
    const struct gcs_settings *s = d->settings;
    _cleanup_(mem_freep) char *path =
        s->storage_path[0] ? mem_strdup(s->storage_path) : mem_printf("%s/gcs.db", s->session_dir);
    int r;

    if (!path)
        return err_set(e, RAIA_ERR_NOMEM, "open the storage");
    r = strcmp(s->storage, "memory") == 0 ? storage_open_memory(&d->storage, e)
                                          : storage_open_sqlite(path, &d->storage, e);
    if (r < 0)
        return r;
    return loop_fd_new(d->loop, storage_fd(d->storage), LOOP_READ, on_storage, d, &d->storage_fd,
                       e);
}

static void on_handshake_failure(const char *why)
{
    log_warn_rl("a connection was refused", "reason=%s", LOG_Q(why));
}

static int read_pem(const char *dir, const char *name, char **ret_text, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", dir, name);

    return path ? io_read_file(path, PEM_MAX, ret_text, NULL, e)
                : err_set(e, RAIA_ERR_NOMEM, "TLS");
}

/* What is wrong is said now; afterwards the folder is followed. */
static int load_tls(struct daemon *d, struct raia_error *e)
{
    const char *dir = d->settings->tls_dir;
    _cleanup_(mem_freep) char *ca = NULL, *cert = NULL;
    int r = read_pem(dir, "ca.pem", &ca, e);

    if (r == 0)
        r = read_pem(dir, "node.pem", &cert, e);
    if (r == 0)
        r = crypto_cert_verify(ca, cert, "raia-node", clock_unix_ms() / 1000, e);
    if (r < 0)
        return err_wrap(e, "--tls-dir %s", dir);
    d->tls = (struct rpc_tls){.dir = dir};
    rpc_on_handshake_failure(on_handshake_failure);
    return 0;
}

static int open_packages(struct daemon *d, struct raia_error *e)
{
    const struct gcs_settings *s = d->settings;
    _cleanup_(mem_freep) char *path = s->storage_path[0] && strcmp(s->storage, "memory")
                                          ? mem_printf("%s.packages", s->storage_path)
                                          : mem_printf("%s/packages", s->session_dir);

    if (!path)
        return err_set(e, RAIA_ERR_NOMEM, "packages");
    return packages_open(&d->packages, path, d->settings->package_bytes,
                         d->settings->packages_bytes, e);
}

static bool package_used(void *arg, const char *sha256)
{
    struct daemon *d = arg;

    return gcs_core_uses_package(d->core, sha256);
}

static int start_service(struct daemon *d, struct raia_error *e)
{
    struct service_options o = {
        .loop = d->loop,
        .host = d->settings->host,
        .port = (uint16_t)d->settings->port,
        .tls = d->settings->tls_dir[0] ? &d->tls : NULL,
        .packages = &d->packages,
        .broken = on_broken,
        .arg = d,
    };

    return service_new(&o, &d->service, e);
}

/* Bind, then report: whoever waits for this file finds everything served. */
static int report(struct daemon *d, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/gcs.json", d->settings->session_dir);
    char text[128];
    int n = snprintf(text, sizeof text, "{\"port\":%u,\"dashboard_port\":%u,\"pid\":%d}\n",
                     (unsigned)d->port, (unsigned)d->dashboard_port, (int)getpid());

    if (!path)
        return err_set(e, RAIA_ERR_NOMEM, "gcs.json");
    return io_write_file(path, text, (size_t)n, 0600, 0, e);
}

/* The first line of the token's file. It is in no message. */
static int read_token(const char *path, char **ret_token, struct raia_error *e)
{
    char *text = NULL;
    size_t n;
    int r = io_read_file(path, 4096, &text, NULL, e);

    if (r < 0)
        return r;
    n = strcspn(text, " \t\r\n");
    text[n] = 0;
    if (n == 0) {
        mem_free(text);
        return err_set(e, RAIA_ERR_INVALID, "the token file '%s' is empty", path);
    }
    *ret_token = text;
    return 0;
}

static int start_rest(struct daemon *d, struct raia_error *e)
{
    struct rest_options o = {
        .loop = d->loop,
        .core = d->core,
        .packages = &d->packages,
        .asker = d->asker,
        .host = d->settings->dashboard_host,
        .port = (uint16_t)d->settings->dashboard_port,
        .session_dir = d->settings->session_dir,
    };
    char *token = NULL;
    int r = d->settings->token_file[0] ? read_token(d->settings->token_file, &token, e) : 0;

    if (r < 0)
        return r;
    o.token = token;
    r = rest_new(&o, &d->rest, e);
    if (token)
        crypto_wipe(token, strlen(token));
    mem_free(token);
    if (r == 0)
        d->dashboard_port = rest_port(d->rest);
    return r;
}

/* ---- the control socket ---- */

static int on_status(void *arg, const struct json *request, struct json *reply,
                     struct raia_error *e)
{
    struct daemon *d = arg;
    struct gcs_stats st;

    (void)request;
    (void)e;
    gcs_core_get_stats(d->core, &st);
    (void)json_set_str(reply, "cluster_id", gcs_core_cluster_id(d->core));
    (void)json_set_int(reply, "port", d->port);
    (void)json_set_int(reply, "dashboard_port", d->dashboard_port);
    (void)json_set_str(reply, "storage", d->settings->storage);
    (void)json_set_int(reply, "nodes_alive", (int64_t)st.nodes_alive);
    (void)json_set_int(reply, "sessions", (int64_t)st.sessions);
    (void)json_set_int(reply, "jobs_alive", (int64_t)st.jobs_alive);
    (void)json_set_int(reply, "submissions_live", (int64_t)st.submissions_live);
    (void)json_set_int(reply, "actors_alive",
                       (int64_t)st.actors[RAIA__GCS__ACTOR_STATE__ACTOR_ALIVE]);
    return json_set_int(reply, "commits_waiting", (int64_t)st.commits_waiting);
}

static void on_control(void *arg, int fd, unsigned events)
{
    struct daemon *d = arg;

    (void)fd;
    (void)events;
    control_server_step(d->control);
}

static int start_control(struct daemon *d, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/gcs.ctl", d->settings->session_dir);
    int r = path ? control_server_new(path, NULL, &d->control, e)
                 : err_set(e, RAIA_ERR_NOMEM, "control socket");

    if (r < 0)
        return r;
    r = control_add_builtins(d->control, "raia-gcs", rest_registry(d->rest), on_status, d);
    if (r < 0)
        return err_set(e, -r, "control socket");
    return loop_fd_new(d->loop, control_server_fd(d->control), LOOP_READ, on_control, d,
                       &d->control_fd, e);
}

static int start(struct daemon *d, struct raia_error *e)
{
    int r = loop_new(&d->loop, e);

    if (r == 0)
        r = loop_signal_new(d->loop, SIGTERM, on_signal, d, &d->term, e);
    if (r == 0)
        r = loop_signal_new(d->loop, SIGINT, on_signal, d, &d->interrupt, e);
    if (r == 0 && d->settings->tls_dir[0])
        r = load_tls(d, e);
    if (r == 0)
        r = open_packages(d, e);
    if (r == 0)
        r = open_storage(d, e);
    if (r == 0)
        r = start_service(d, e);
    if (r == 0)
        r = start_core(d, e);
    if (r == 0)
        packages_guard(&d->packages, package_used, d,
                       d->settings->packages_fresh / CLOCK_NS_PER_MS);
    if (r == 0)
        r = service_start(d->service, d->core, &d->port, e);
    if (r == 0)
        r = asker_new(d->loop, d->settings->tls_dir[0] ? &d->tls : NULL, &d->asker, e);
    if (r == 0)
        r = start_rest(d, e);
    if (r == 0)
        r = start_control(d, e);
    if (r == 0)
        r = report(d, e);
    return r;
}

static void finish(struct daemon *d)
{
    if (d->service && !d->stopping) { /* it failed to start */
        stop(d);
        (void)loop_run(d->loop);
    }
    loop_fd_free(d->control_fd);
    control_server_free(d->control);
    asker_free(d->asker);
    rest_free(d->rest);
    loop_fd_free(d->storage_fd);
    storage_free(d->storage);
    gcs_core_free(d->core);
    service_free(d->service);
    packages_close(&d->packages);
    loop_signal_free(d->term);
    loop_signal_free(d->interrupt);
    while (d->loop && loop_free(d->loop) == -RAIA_ERR_STATE)
        (void)loop_run_once(d->loop, 100); /* a package is being written */
}

int daemon_run(const struct gcs_settings *settings, struct raia_error *e)
{
    struct daemon d = {.settings = settings};
    int r = start(&d, e);

    if (r == 0) {
        log_info("serving", "host=%s port=%u dashboard_port=%u cluster=%s", settings->host,
                 (unsigned)d.port, (unsigned)d.dashboard_port, gcs_core_cluster_id(d.core));
        r = loop_run(d.loop);
    }
    if (r == 0 && d.broken.code) {
        *e = d.broken;
        r = -d.broken.code;
    }
    finish(&d);
    return r;
}
