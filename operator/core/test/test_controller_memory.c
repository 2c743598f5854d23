/*
 * Out of memory in the whole controller, over a model API server: whichever allocation fails, the
 * cluster comes to what its spec says, a little later, and everything can be ended and freed.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/controller.h"
#include "core/fields.h"
#include "core/raycluster.h"
#include "core/rayjob.h"
#include "fake_maker.h"
#include "kube/sim/model_server.h"

#define IN_FLIGHT 32
#define HOUR_NS   (3600 * CLOCK_NS_PER_S)
#define ALL       400 /* allocations each of which fails once; of the later ones each STRIDE-th */
#define STRIDE    61  /* RAIA_ALLOC_ALL=1: each */

static const struct operator_config config = {.raia_image = "raia.io/raia:dev",
                                              .cluster_domain = "x",
                                              .version = "1",
                                              .tls = true,
                                              .tokens = true,
                                              .node_lost_ns = 30 * CLOCK_NS_PER_S,
                                              .backoff_max_ns = 300 * CLOCK_NS_PER_S,
                                              .restarts_max = 5};

/* ---- the allocation that fails: among the operator's own, not among the model's ---- */

static uint64_t nth, counted;

static void fail_on(void)
{
    mem_fail_nth(nth > counted ? nth - counted : 0);
}

static void fail_off(void)
{
    counted += mem_fail_count();
    mem_fail_nth(0);
}

/* ---- a transport to the model ---- */

struct direct {
    struct kube_transport base; /* first */
    int64_t now;                /* ns */
    struct kube_model *model;   /* answers */
    struct {
        struct kube_exchange *x;        /* NULL: free */
        struct kube_model_answer a;     /* to it */
        struct kube_model_watch *watch; /* its lines go to x */
        bool canceled;                  /* by its owner */
    } at[IN_FLIGHT];
};

static int start(struct kube_transport *t, struct kube_exchange *x, const struct kube_request *rq,
                 struct raia_error *e)
{
    struct direct *d = (struct direct *)t;
    (void)e;
    for (int i = 0; i < IN_FLIGHT; i++) {
        if (d->at[i].x)
            continue;
        fail_off();
        kube_model_handle(d->model, rq, d->now / CLOCK_NS_PER_MS, &d->at[i].a);
        fail_on();
        d->at[i].x = x;
        d->at[i].watch = d->at[i].a.watch;
        d->at[i].a.watch = NULL;
        d->at[i].canceled = false;
        x->impl = d;
        return 0;
    }
    return -RAIA_ERR_LIMIT;
}

static void cancel(struct kube_transport *t, struct kube_exchange *x)
{
    struct direct *d = (struct direct *)t;
    for (int i = 0; i < IN_FLIGHT; i++)
        d->at[i].canceled |= x->impl && d->at[i].x == x;
}

static int64_t now(struct kube_transport *t)
{
    return ((struct direct *)t)->now;
}

static int64_t unix_ms(struct kube_transport *t)
{
    return INT64_C(1790000000000) + ((struct direct *)t)->now / CLOCK_NS_PER_MS;
}

static const struct kube_transport_ops ops = {start, cancel, now, unix_ms, NULL};

/* Ends an exchange. */
static void answer(struct direct *d, int i, int code)
{
    struct kube_exchange *x = d->at[i].x;
    struct kube_model_answer a = d->at[i].a;
    struct kube_reply reply = {.status = a.status, .body = a.body};
    struct raia_error e = {.code = (enum raia_err)code};
    reply.body_len = a.body ? strlen(a.body) : 0;
    fail_off();
    kube_model_watch_free(d->at[i].watch);
    d->at[i].x = NULL;
    d->at[i].watch = NULL;
    x->impl = NULL;
    fail_on();
    if (code == 0 && x->data && a.status < 300 && a.body) {
        e.code = (enum raia_err) - x->data(x, a.body, reply.body_len);
        reply.body = NULL, reply.body_len = 0;
    }
    x->done(x, &reply, &e);
    fail_off();
    kube_model_answer_done(&a);
    fail_on();
}

/* A watch's new lines; false: there are none. */
static bool lines(struct direct *d, int i)
{
    bool any = false, expired = false;
    int r = 0;
    while (r == 0 && !expired) {
        fail_off();
        char *line = kube_model_watch_next(d->at[i].watch, &expired);
        fail_on();
        if (!line)
            break;
        any = true;
        r = d->at[i].x->data(d->at[i].x, line, strlen(line));
        mem_free(line);
    }
    if (r < 0 || expired)
        answer(d, i, -r);
    return any;
}

static void step(struct direct *d, struct kube_client *c)
{
    bool any = false;
    for (int i = 0; i < IN_FLIGHT; i++) {
        if (!d->at[i].x)
            continue;
        if (d->at[i].canceled)
            answer(d, i, RAIA_ERR_CANCELED), any = true;
        else if (d->at[i].watch)
            any |= lines(d, i);
        else
            answer(d, i, 0), any = true;
    }
    int64_t next = kube_client_next(c);
    if (!any && next != CLOCK_NEVER && next > d->now)
        d->now = next;
    kube_client_step(c);
}

/* ---- the world ---- */

static void tell(struct direct *d, const char *method, const char *target, const char *body)
{
    struct kube_request rq = {.method = method,
                              .target = target,
                              .content_type = "application/merge-patch+json",
                              .body = body,
                              .body_len = strlen(body)};
    struct kube_model_answer a;
    fail_off();
    kube_model_handle(d->model, &rq, d->now / CLOCK_NS_PER_MS, &a);
    cr_assert_lt(a.status, 300, "%s %s: %s", method, target, a.body);
    kube_model_answer_done(&a);
    fail_on();
}

struct pods {
    char name[8][64]; /* of those that do not run yet */
    unsigned n;
};

static void see_pod(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct pods *p = arg;
    (void)ns;
    if (p->n < 8 && !json_at(o, "status.phase"))
        snprintf(p->name[p->n++], sizeof p->name[0], "%s", name);
}

/* Pods run at once. */
static void kubelet(struct direct *d)
{
    struct pods p = {.n = 0};
    char target[160];
    fail_off();
    kube_model_each(d->model, "/api/v1/pods", see_pod, &p);
    fail_on();
    for (unsigned i = 0; i < p.n; i++) {
        snprintf(target, sizeof target, "/api/v1/namespaces/d/pods/%s", p.name[i]);
        tell(d, "PATCH", target, "{\"spec\":{\"nodeName\":\"n\"}}");
        snprintf(target, sizeof target, "/api/v1/namespaces/d/pods/%s/status", p.name[i]);
        tell(d, "PATCH", target,
             "{\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.1\",\"conditions\":[{\"type\":"
             "\"Ready\",\"status\":\"True\"}]}}");
    }
}

static bool is(struct direct *d, const char *collection, const char *name, const char *path,
               const char *value)
{
    const char *v = json_str(json_at(kube_model_get(d->model, collection, "d", name), path));
    return v && strcmp(v, value) == 0;
}

static bool reached(struct direct *d)
{
    fail_off();
    bool yes = is(d, "/apis/ray.io/v1/rayclusters", "demo", "status.state", "ready") &&
               is(d, "/apis/ray.io/v1/rayjobs", "job", "status.jobDeploymentStatus", "Running");
    fail_on();
    return yes;
}

static void make_objects(struct direct *d)
{
    tell(d, "POST", "/api/v1/nodes",
         "{\"metadata\":{\"name\":\"n\"},\"status\":{\"conditions\":[{\"type\":\"Ready\","
         "\"status\":\"True\"}]}}");
    tell(d, "POST", "/apis/ray.io/v1/namespaces/d/rayclusters",
         "{\"metadata\":{\"name\":\"demo\"},\"spec\":{\"headGroupSpec\":{\"rayStartParams\":{},"
         "\"template\":{\"spec\":{\"containers\":[{\"name\":\"head\",\"image\":\"any\"}]}}}}}");
    tell(d, "POST", "/apis/ray.io/v1/namespaces/d/rayjobs",
         "{\"metadata\":{\"name\":\"job\"},\"spec\":{\"entrypoint\":\"x\",\"clusterSelector\":{"
         "\"ray.io/cluster\":\"demo\"}}}");
}

static void end(struct direct *d, struct controller *ctl, struct kube_client *c)
{
    controller_stop(ctl);
    if (c)
        kube_client_close(c);
    for (int i = 0; i < 1000 && (!controller_idle(ctl) || !kube_client_idle(c)); i++)
        step(d, c);
    cr_assert(controller_idle(ctl) && kube_client_idle(c), "it does not end");
    controller_free(ctl);
}

/* One operator from its beginning until all is as it should be; the n-th allocation fails. How many
 * there were. */
static uint64_t play(uint64_t n)
{
    struct fake_maker maker = fake_maker_init();
    struct reconciler *all[] = {raycluster_reconciler(&config, &maker.base),
                                rayjob_reconciler(&config)};
    static struct direct d;
    struct controller *ctl = NULL;
    struct kube_client *c = NULL;
    struct raia_error e = {0};
    d = (struct direct){.base.ops = &ops, .now = CLOCK_NS_PER_S};
    nth = counted = 0;
    mem_fail_nth(0);
    kube_model_new(&d.model);
    make_objects(&d);
    nth = n, counted = 0;
    fail_on();
    for (int trial = 0; trial < 2 && !ctl; trial++) { /* the program would be started again */
        struct controller_options o = {
            .reconcilers = all, .n_reconcilers = 2, .expect_ns = 100 * CLOCK_NS_PER_S, .seed = 1};
        int r = kube_client_new(&d.base, NULL, &c, &e);
        o.client = c;
        if (r == 0 && (r = controller_new(&o, &ctl, &e)) < 0)
            kube_client_free(STEAL(c));
        cr_assert(r == 0 || r == -RAIA_ERR_NOMEM, "%d", r);
    }
    cr_assert(ctl, "allocation %lu: no controller", (unsigned long)n);
    controller_start(ctl);
    while (!reached(&d) && d.now < HOUR_NS) {
        step(&d, c);
        kubelet(&d);
    }
    fail_off();
    uint64_t made = counted;
    cr_assert(reached(&d), "allocation %lu: after an hour it is not there", (unsigned long)n);
    cr_assert_eq(kube_model_count(d.model, "/api/v1/pods"), 1);
    cr_assert_eq(kube_model_count(d.model, "/api/v1/secrets"), 4);
    cr_assert_eq(kube_model_count(d.model, "/api/v1/services"), 1);
    cr_assert_eq(kube_model_count(d.model, "/apis/batch/v1/jobs"), 1);
    nth = counted = 0;
    end(&d, ctl, c);
    kube_client_free(c);
    kube_model_free(d.model);
    raycluster_free(all[0]);
    mem_free(all[1]);
    cr_assert_eq(maker.alive, 0, "an authority is left");
    return made;
}

/* Whichever allocation fails, once. */
Test(controller_memory, each_allocation, .timeout = 200)
{
    uint64_t made = play(0), stride = getenv("RAIA_ALLOC_ALL") ? 1 : STRIDE;
    cr_assert_geq(made, 1000);
    for (uint64_t n = 1; n <= made; n += n < ALL ? 1 : stride)
        play(n);
}
