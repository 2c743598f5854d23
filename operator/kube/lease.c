/*
 * The election by a Lease: get it, and patch it if it is ours or given up.
 */
#include "kube/lease.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/prng.h"
#include "kube/wall_time.h"

enum lease_step { LEASE_NONE, LEASE_GET, LEASE_CREATE, LEASE_PATCH, LEASE_RELEASE };

struct kube_lease {
    struct kube_client *client;  /* asks, and gives the time */
    struct kube_lease_options o; /* with the defaults in */
    struct prng prng;            /* jitter */
    struct kube_timer retry;     /* the next attempt or renewal */
    struct kube_timer deadline;  /* steps down */
    struct kube_call call;       /* one at a time */
    enum lease_step step;        /* what the call is; NONE: it is free */
    bool running;                /* between start and stop */
    bool told;                   /* what on_change was told last */
    bool release_due;            /* stop came while a call was under way */
    int64_t asked;               /* when the call under way began: a renewal counts from then */
    int64_t until;               /* we hold it until then */
    char *version;               /* the Lease's resourceVersion, as seen last */
    char *holder;                /* its holder, as seen last; NULL: not known */
    int64_t observed;            /* when version changed last, by our clock */
    int64_t transitions;         /* its leaseTransitions */
    int64_t theirs_s;            /* its duration */
};

static void on_retry(struct kube_timer *t);
static void on_deadline(struct kube_timer *t);
static void on_answer(struct kube_call *call, struct json *object, const struct kube_error *error,
                      void *arg);

int kube_lease_new(struct kube_client *c, const struct kube_lease_options *options,
                   struct kube_lease **ret_l, struct raia_error *e)
{
    struct kube_lease *l = mem_new(struct kube_lease);
    if (!l || kube_timer_attach(c, &l->retry, on_retry) < 0) {
        mem_free(l);
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a lease");
    }
    l->client = c;
    l->o = *options;
    l->o.duration_s = l->o.duration_s ? l->o.duration_s : 15;
    l->o.renew_s = l->o.renew_s ? l->o.renew_s : 10;
    l->o.retry_ms = l->o.retry_ms ? l->o.retry_ms : 2000;
    prng_seed(&l->prng, l->o.seed);
    if (l->o.renew_s >= l->o.duration_s || kube_timer_attach(c, &l->deadline, on_deadline) < 0) {
        int code = l->o.renew_s >= l->o.duration_s ? RAIA_ERR_INVALID : RAIA_ERR_NOMEM;
        kube_lease_free(l);
        return err_set(e, code, "a lease must be renewed sooner than it ends");
    }
    *ret_l = l;
    return 0;
}

void kube_lease_free(struct kube_lease *l)
{
    if (!l)
        return;
    kube_timer_detach(l->client, &l->retry);
    kube_timer_detach(l->client, &l->deadline);
    mem_free(l->version);
    mem_free(l->holder);
    mem_free(l);
}

bool kube_lease_held(const struct kube_lease *l)
{
    return l->running && kube_client_now(l->client) < l->until;
}

const char *kube_lease_holder(const struct kube_lease *l)
{
    return l->holder;
}

static void tell(struct kube_lease *l)
{
    bool held = kube_lease_held(l);
    if (held == l->told)
        return;
    l->told = held;
    if (l->o.on_change)
        l->o.on_change(l->o.arg, held);
}

static void on_deadline(struct kube_timer *t)
{
    tell(container_of(t, struct kube_lease, deadline));
}

static void retry_in(struct kube_lease *l, int64_t ms)
{
    int64_t jitter = prng_range(&l->prng, 0, ms / 5);
    kube_timer_set(l->client, &l->retry,
                   kube_client_now(l->client) + (ms + jitter) * CLOCK_NS_PER_MS);
}

static bool ours(const struct kube_lease *l)
{
    return l->holder && strcmp(l->holder, l->o.identity) == 0;
}

/* Takes what the server says that the Lease is. */
static void observe(struct kube_lease *l, const struct json *object)
{
    const char *version = json_str(json_at(object, "metadata.resourceVersion"));
    const char *holder = json_str(json_at(object, "spec.holderIdentity"));
    version = version ? version : "";
    if (!l->version || strcmp(l->version, version) != 0)
        l->observed = kube_client_now(l->client);
    mem_free(l->version);
    mem_free(l->holder);
    l->version = mem_strdup(version);
    l->holder = mem_strdup(holder ? holder : "");
    l->transitions = 0;
    l->theirs_s = l->o.duration_s;
    (void)json_int(json_at(object, "spec.leaseTransitions"), &l->transitions);
    (void)json_int(json_at(object, "spec.leaseDurationSeconds"), &l->theirs_s);
    if (l->theirs_s < 1 || l->theirs_s > 3600)
        l->theirs_s = l->o.duration_s;
}

/* The Lease as we want it: ours from now on, or nobody's. */
static struct json *wanted(const struct kube_lease *l, enum lease_step step)
{
    char time[KUBE_WALL_TIME_SIZE];
    struct json *root = json_new_object(), *meta = json_new_object(), *spec = json_new_object();
    struct kube_transport *t = kube_client_transport(l->client);
    bool release = step == LEASE_RELEASE, fresh = step == LEASE_CREATE || !ours(l);
    kube_wall_time_micro(t->ops->unix_ms(t), time);
    int r = json_set_str(meta, step == LEASE_CREATE ? "name" : "resourceVersion",
                         step == LEASE_CREATE ? l->o.name : l->version);
    if (r == 0)
        r = json_set_str(spec, "holderIdentity", release ? "" : l->o.identity);
    if (r == 0)
        r = json_set_int(spec, "leaseDurationSeconds", release ? 1 : l->o.duration_s);
    if (r == 0)
        r = json_set_str(spec, "renewTime", time);
    if (r == 0 && fresh && !release)
        r = json_set_str(spec, "acquireTime", time);
    if (r == 0 && fresh && !release)
        r = json_set_int(spec, "leaseTransitions", step == LEASE_CREATE ? 0 : l->transitions + 1);
    int r1 = json_set(root, "metadata", meta), r2 = json_set(root, "spec", spec);
    if (r < 0 || r1 < 0 || r2 < 0) {
        json_free(root);
        return NULL;
    }
    return root;
}

static void ask(struct kube_lease *l, enum lease_step step)
{
    static const enum kube_verb verbs[] = {[LEASE_GET] = KUBE_GET,
                                           [LEASE_CREATE] = KUBE_CREATE,
                                           [LEASE_PATCH] = KUBE_PATCH,
                                           [LEASE_RELEASE] = KUBE_PATCH};
    _cleanup_(json_freep) struct json *object = step == LEASE_GET ? NULL : wanted(l, step);
    struct kube_ask q = {.verb = verbs[step],
                         .target = {.resource = &kube_leases, .ns = l->o.ns, .name = l->o.name},
                         .object = object,
                         .timeout_ms = l->o.renew_s * 500};
    l->asked = kube_client_now(l->client);
    if ((step == LEASE_GET || object) && kube_ask(l->client, &l->call, &q, on_answer, l, NULL) == 0)
        l->step = step;
    else
        retry_in(l, l->o.retry_ms);
}

static void next(struct kube_lease *l)
{
    int64_t now = kube_client_now(l->client);
    bool given_up = l->version && (!l->holder || !l->holder[0] ||
                                   now - l->observed >= l->theirs_s * CLOCK_NS_PER_S);
    if (l->version && l->version[0] && (ours(l) || given_up))
        ask(l, LEASE_PATCH);
    else
        ask(l, LEASE_GET);
}

static void on_retry(struct kube_timer *t)
{
    struct kube_lease *l = container_of(t, struct kube_lease, retry);
    tell(l);
    if (l->running && l->step == LEASE_NONE)
        next(l);
}

/* A write of ours went through: held from the time when it was sent. */
static void renewed(struct kube_lease *l)
{
    l->until = l->asked + l->o.renew_s * CLOCK_NS_PER_S;
    kube_timer_set(l->client, &l->deadline, l->until);
    tell(l);
}

static void on_answer(struct kube_call *call, struct json *object, const struct kube_error *error,
                      void *arg)
{
    struct kube_lease *l = arg;
    enum lease_step step = l->step;
    (void)call;
    l->step = LEASE_NONE;
    if (!error->base.code)
        observe(l, object);
    if (!l->running) {
        if (l->release_due && step != LEASE_RELEASE && !error->base.code && ours(l))
            ask(l, LEASE_RELEASE);
        l->release_due = false;
        return;
    }
    if (!error->base.code && step != LEASE_GET) {
        renewed(l);
        retry_in(l, l->o.retry_ms);
        return;
    }
    if (!error->base.code) {
        bool free_now = ours(l) || !l->holder || !l->holder[0];
        if (free_now)
            ask(l, LEASE_PATCH);
        else
            retry_in(l, l->o.retry_ms);
        return;
    }
    if (step == LEASE_GET && error->reason == KUBE_NOT_FOUND) {
        ask(l, LEASE_CREATE);
        return;
    }
    /* Whatever failed, what we saw may be old, or the write may have been done: look again. */
    if (step != LEASE_GET) {
        mem_free(STEAL(l->holder));
        if (l->version)
            l->version[0] = '\0';
    }
    if (l->o.on_trouble && error->reason != KUBE_CONFLICT)
        l->o.on_trouble(l->o.arg, error);
    retry_in(l, kube_lease_held(l) ? l->o.retry_ms / 4 : l->o.retry_ms);
}

void kube_lease_start(struct kube_lease *l)
{
    if (l->running)
        return;
    l->running = true;
    if (l->step == LEASE_NONE)
        next(l);
}

void kube_lease_stop(struct kube_lease *l)
{
    if (!l->running)
        return;
    bool held = kube_lease_held(l);
    l->running = false;
    l->until = INT64_MIN;
    kube_timer_stop(l->client, &l->retry);
    kube_timer_stop(l->client, &l->deadline);
    tell(l);
    l->release_due = l->step != LEASE_NONE; /* a renewal under way must not outlive us */
    if (l->step == LEASE_NONE && held && ours(l))
        ask(l, LEASE_RELEASE);
}

bool kube_lease_idle(const struct kube_lease *l)
{
    return !l->running && l->step == LEASE_NONE;
}
