/*
 * The daemon: what lives on its loop, in which order it begins and ends.
 */
#define LOG_MODULE "operator"
#include "daemon/operator.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "core/config.h"
#include "core/controller.h"
#include "crypto/crypto.h"
#include "daemon/calls.h"
#include "daemon/reconcilers.h"
#include "daemon/report.h"
#include "daemon/schema.h"
#include "daemon/web.h"
#include "kube/http_transport.h"
#include "kube/lease.h"
#include "kube/recorder.h"

#define LEASE_NAME      "raia-operator-leader"
#define REQUESTS        64   /* in flight to the API server, watches apart */
#define WATCHES         8    /* of a namespace */
#define PROXIED         1000 /* calls to heads, where they go through the API server */
#define DRAIN_MS        20
#define DRAIN_NS        (8 * CLOCK_NS_PER_S)
#define NAMESPACES_MOST 64

enum ending {
    ENDING_NONE,       /* at work */
    ENDING_CONTROLLER, /* nothing is written any more */
    ENDING_LEASE,      /* it is given up */
    ENDING_CLIENTS     /* the last requests end */
};

struct operator
{
    const struct operator_settings *s;       /* not ours */
    struct operator_config config;           /* for the cores */
    struct loop *loop;                       /* all of it runs here */
    struct kube_config kube;                 /* where and who */
    struct kube_transport *transport;        /* to the API server */
    struct kube_client *client;              /* of the controller */
    struct kube_client *lease_client;        /* so that renewals wait for nothing */
    struct kube_driver driver;               /* steps client */
    struct kube_driver lease_driver;         /* steps lease_client */
    struct schema schema;                    /* the look at definitions */
    struct kube_lease *lease;                /* NULL: no election */
    struct kube_recorder *recorder;          /* events */
    struct calls *calls;                     /* to heads */
    struct reconcilers reconcilers;          /* all there are */
    struct controller *ctl;                  /* NULL: we do not act */
    struct web *web;                         /* probes and metrics */
    struct loop_signal *term, *intr;         /* SIGTERM, SIGINT */
    struct loop_timer drain;                 /* while it ends */
    char *namespaces_text;                   /* of --watch-namespace, cut at ',' */
    const char *namespaces[NAMESPACES_MOST]; /* in it */
    size_t n_namespaces;                     /* 0: all */
    char *identity;                          /* of the lease and events */
    char *lease_ns;                          /* of the lease */
    int64_t deadline;                        /* of the end */
    enum ending ending;                      /* how far it is */
    bool lost;                               /* the lease was lost: that is a failure */
    int64_t troubled;                        /* when trouble was told last */
};

/* ---- acting ---- */

static bool leading(void *arg)
{
    struct operator* op = arg;
    return op->ending == ENDING_NONE && (!op->lease || kube_lease_held(op->lease));
}

static void on_trouble(void *arg, const struct kube_resource *resource, const char *ns,
                       const char *name, const char *text)
{
    (void)arg;
    if (resource)
        log_warn_rl("failed, and will come again", "kind=%s namespace=%s name=%s error=%s",
                    resource->kind, ns ? ns : "", name, LOG_Q(text));
    else
        log_warn_rl("the API server cannot be watched", "error=%s", LOG_Q(text));
}

static void act(struct operator* op)
{
    struct raia_error e = {0};
    uint64_t seed = 0;
    (void)crypto_random(&seed, sizeof seed); /* names then differ by time at least */
    seed ^= (uint64_t)clock_now_ns();
    struct controller_options o = {.client = op->client,
                                   .reconcilers = op->reconcilers.all,
                                   .n_reconcilers = op->reconcilers.n,
                                   .namespaces = op->namespaces,
                                   .n_namespaces = op->n_namespaces,
                                   .recorder = op->recorder,
                                   .calls = calls_of(op->calls),
                                   .parallel = (unsigned)op->s->concurrency,
                                   .backoff_max_ns = op->s->backoff_max,
                                   .seed = seed,
                                   .leading = leading,
                                   .on_trouble = on_trouble,
                                   .arg = op};
    if (controller_new(&o, &op->ctl, &e) < 0) {
        log_error("cannot begin", "error=%s", LOG_Q(e.text));
        op->lost = true;
        loop_stop(op->loop);
        return;
    }
    controller_start(op->ctl);
    log_info("acting", "reconcilers=%zu namespaces=%zu", op->reconcilers.n, op->n_namespaces);
}

static void begin_to_end(struct operator* op);

static void on_leader(void *arg, bool leads)
{
    struct operator* op = arg;
    if (op->ending != ENDING_NONE)
        return;
    if (leads && !op->ctl) {
        log_info("holds the lease", "namespace=%s identity=%s", op->lease_ns, op->identity);
        act(op);
    } else if (!leads && op->ctl) {
        log_error("the lease is lost", "namespace=%s", op->lease_ns);
        controller_wake(op->ctl);
        op->lost = true;
        begin_to_end(op);
    }
}

static void on_lease_trouble(void *arg, const struct kube_error *error)
{
    (void)arg;
    log_warn_rl("the lease cannot be had", "error=%s", LOG_Q(error->base.text));
}

static void on_schema(void *arg)
{
    struct operator* op = arg;
    if (op->lease)
        kube_lease_start(op->lease);
    else
        act(op);
}

/* ---- the end ---- */

static bool lease_idle(const struct operator* op)
{
    return !op->lease || kube_lease_idle(op->lease);
}

static bool all_idle(const struct operator* op)
{
    return kube_recorder_idle(op->recorder) && schema_idle(&op->schema) &&
           kube_client_idle(op->client) && kube_client_idle(op->lease_client);
}

static void on_drain(struct loop_timer *t)
{
    struct operator* op = LOOP_OF(t, struct operator, drain);
    bool late = clock_now_ns() >= op->deadline;
    if (op->ending == ENDING_CONTROLLER && (late || !op->ctl || controller_idle(op->ctl))) {
        op->ending = ENDING_LEASE;
        if (op->lease)
            kube_lease_stop(op->lease);
    }
    if (op->ending == ENDING_LEASE && (late || lease_idle(op))) {
        op->ending = ENDING_CLIENTS;
        kube_client_close(op->client);
        kube_client_close(op->lease_client);
    }
    if (op->ending == ENDING_CLIENTS && (late || all_idle(op)))
        loop_stop(op->loop);
}

static void begin_to_end(struct operator* op)
{
    if (op->ending != ENDING_NONE)
        return;
    op->ending = ENDING_CONTROLLER;
    op->deadline = clock_now_ns() + DRAIN_NS;
    schema_stop(&op->schema);
    kube_recorder_stop(op->recorder);
    if (op->ctl)
        controller_stop(op->ctl);
    loop_timer_start(op->loop, &op->drain, 0, DRAIN_MS, on_drain);
}

static void on_signal(void *arg, int signum)
{
    struct operator* op = arg;
    log_info("ending", "signal=%d", signum);
    begin_to_end(op);
}

/* ---- looking ---- */

static void put_metrics(void *arg, struct buf *b)
{
    struct operator* op = arg;
    struct report r = {.ctl = op->ctl,
                       .client = op->client,
                       .rec = op->recorder,
                       .leading = op->ctl && leading(op)};
    report_put(&r, b);
}

static const char *not_ready(void *arg)
{
    struct operator* op = arg;
    if (op->ending != ENDING_NONE)
        return "it is ending";
    if (!op->schema.ready)
        return "it waits for resource definitions: see its log";
    if (op->ctl && !controller_synced(op->ctl))
        return "it reads what there is";
    return NULL; /* at work, or another one is */
}

/* ---- the beginning ---- */

static int read_namespaces(struct operator* op, struct raia_error *e)
{
    char *at = op->namespaces_text = mem_strdup(op->s->watch_namespace), *word;
    if (!at)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for namespaces");
    while ((word = strsep(&at, ","))) {
        if (!word[0])
            continue;
        if (op->n_namespaces == NAMESPACES_MOST)
            return err_set(e, RAIA_ERR_LIMIT, "--watch-namespace: at most %d; or none, for all",
                           NAMESPACES_MOST);
        op->namespaces[op->n_namespaces++] = word;
    }
    return 0;
}

/*
 * Who we are in the election. In a pod: the pod, by its name and UID (names come again), so that a
 * container that is started again takes the Lease over at once, as its own. That is safe, for the
 * process before it is dead: it was PID 1 of the only container of the pod that runs us, and the
 * kubelet starts a container again only when its runtime has told that the last one has exited, with
 * all of its PID namespace. Anywhere else nothing of that kind is known, and a name is never used by
 * two processes.
 */
static int name_us(struct operator* op, struct raia_error *e)
{
    char host[256] = "operator", random[9] = "";
    uint8_t bytes[4];
    const char *pod = getenv("POD_NAME"), *uid = getenv("POD_UID"), *ns = getenv("POD_NAMESPACE");
    bool in_pod = pod && pod[0];
    (void)gethostname(host, sizeof host - 1); /* any word will do */
    if (crypto_random(bytes, sizeof bytes) < 0)
        return err_set(e, RAIA_ERR_INTERNAL, "no random numbers");
    crypto_hex(bytes, sizeof bytes, random);
    op->identity = mem_printf("%s_%s", in_pod ? pod : host, in_pod && uid && uid[0] ? uid : random);
    if (op->s->leader_namespace[0])
        ns = op->s->leader_namespace;
    op->lease_ns = mem_strdup(ns && ns[0] ? ns : op->kube.ns);
    return op->identity && op->lease_ns ? 0 : err_set(e, RAIA_ERR_NOMEM, "out of memory");
}

static void configure(struct operator* op)
{
    const struct operator_settings *s = op->s;
    op->config = (struct operator_config){.raia_image = s->raia_image,
                                          .raia_pull_policy = s->raia_pull_policy,
                                          .cluster_domain = s->cluster_domain,
                                          .version = RAIA_VERSION,
                                          .probes = s->probes,
                                          .tls = s->tls,
                                          .tokens = s->tokens,
                                          .node_lost_ns = s->node_lost,
                                          .backoff_max_ns = s->backoff_max,
                                          .restarts_max = (unsigned)s->restarts_max,
                                          .kube_proxy = s->kube_proxy};
}

static int connect_to(struct operator* op, struct raia_error *e)
{
    const char *path = op->s->kubeconfig[0] ? op->s->kubeconfig : NULL;
    const char *context = op->s->context[0] ? op->s->context : NULL;
    struct kube_client_options o = {.qps = (double)op->s->qps, .burst = (double)op->s->burst};
    unsigned spaces = op->n_namespaces ? (unsigned)op->n_namespaces : 1;
    unsigned most = REQUESTS + WATCHES * spaces + (op->s->kube_proxy ? PROXIED : 0);
    int r = kube_config_find(path, context, &op->kube, e);
    if (r == 0)
        r = name_us(op, e);
    if (r == 0)
        r = kube_http_new(op->loop, &op->kube, most, &op->transport, e);
    if (r == 0)
        r = kube_client_new(op->transport, &o, &op->client, e);
    if (r == 0)
        r = kube_client_new(op->transport, NULL, &op->lease_client, e);
    if (r < 0)
        return r;
    kube_driver_start(&op->driver, op->loop, op->client);
    kube_driver_start(&op->lease_driver, op->loop, op->lease_client);
    r = kube_recorder_new(op->client, "raia-operator", op->identity, &op->recorder, e);
    if (r == 0)
        r = calls_new(op->loop, op->s->kube_proxy ? op->transport : NULL, &op->calls, e);
    if (r < 0 || !op->s->leader_election)
        return r;
    struct kube_lease_options lease = {.ns = op->lease_ns,
                                       .name = LEASE_NAME,
                                       .identity = op->identity,
                                       .seed = (uint64_t)clock_now_ns(),
                                       .on_change = on_leader,
                                       .on_trouble = on_lease_trouble,
                                       .arg = op};
    return kube_lease_new(op->lease_client, &lease, &op->lease, e);
}

static int begin(struct operator* op, struct raia_error *e)
{
    struct web_options web = {.metrics_addr = op->s->metrics_addr,
                              .health_addr = op->s->health_addr,
                              .metrics = put_metrics,
                              .not_ready = not_ready,
                              .arg = op};
    unsigned metrics = 0, health = 0;
    configure(op);
    int r = loop_new(&op->loop, e);
    if (r == 0)
        r = read_namespaces(op, e);
    if (r == 0)
        r = reconcilers_new(&op->config, &op->reconcilers, e);
    if (r == 0)
        r = connect_to(op, e);
    if (r == 0)
        r = web_new(op->loop, &web, &op->web, e);
    if (r == 0)
        r = loop_signal_new(op->loop, SIGTERM, on_signal, op, &op->term, e);
    if (r == 0)
        r = loop_signal_new(op->loop, SIGINT, on_signal, op, &op->intr, e);
    if (r < 0)
        return r;
    web_ports(op->web, &metrics, &health);
    log_info("started", "version=%s server=%s metrics_port=%u health_port=%u", RAIA_VERSION,
             op->kube.server, metrics, health);
    return schema_start(&op->schema, op->client, on_schema, op, e);
}

/* What was not idle in time stays as it is: the process ends. */
static bool clean(const struct operator* op)
{
    return (!op->ctl || controller_idle(op->ctl)) && lease_idle(op) &&
           (!op->recorder || all_idle(op));
}

static void end(struct operator* op)
{
    if (op->loop)
        loop_timer_stop(&op->drain);
    loop_signal_free(op->term);
    loop_signal_free(op->intr);
    web_free(op->web);
    if (!clean(op))
        return;
    controller_free(op->ctl);
    kube_lease_free(op->lease);
    calls_free(op->calls);
    kube_recorder_free(op->recorder);
    if (op->driver.client)
        kube_driver_stop(&op->driver);
    if (op->lease_driver.client)
        kube_driver_stop(&op->lease_driver);
    schema_stop(&op->schema);
    kube_client_free(op->client);
    kube_client_free(op->lease_client);
    kube_transport_free(op->transport);
    reconcilers_done(&op->reconcilers);
    kube_config_done(&op->kube);
    (void)loop_free(op->loop);
    mem_free(op->namespaces_text);
    mem_free(op->identity);
    mem_free(op->lease_ns);
}

int operator_run(const struct operator_settings *s, struct raia_error *e)
{
    struct operator op = {.s = s};
    int r = begin(&op, e);
    if (r == 0)
        r = loop_run(op.loop);
    bool lost = op.lost;
    end(&op);
    if (r == 0 && lost)
        r = err_set(e, RAIA_ERR_STATE, "it does not lead any more: another one may");
    return r;
}
