/*
 * What a cluster does by itself: pods run and end, orphans go, time passes.
 */
#include <stdio.h>
#include <string.h>

#include "core/sim/opsim_impl.h"

#define PODS      "/api/v1/pods"
#define FINALIZER "sim/kubelet"
#define MOST      256 /* pods looked at in one round */

struct pod_step {
    char *target; /* of the pod */
    enum { BEGIN, RUN, END } what;
    char *containers; /* RUN: containerStatuses, JSON */
};

struct round {
    struct opsim *w;
    struct pod_step *steps; /* collected first: writes move the model's tables */
    unsigned n;             /* of them */
    bool more;              /* a pod is to come or to go in another round */
};

static bool has_finalizer(const struct json *pod)
{
    JSON_FOREACH(f, json_at(pod, "metadata.finalizers"))
    if (json_str(f) && strcmp(json_str(f), FINALIZER) == 0)
        return true;
    return false;
}

static char *container_statuses(const struct json *pod)
{
    struct json *list = json_new_array();
    JSON_FOREACH(c, json_at(pod, "spec.containers"))
    {
        struct json *s = json_new_object(), *state = json_new_object();
        json_set_str(s, "name", json_str(json_get(c, "name")));
        json_set_bool(s, "ready", true);
        json_set_int(s, "restartCount", 0);
        json_set(state, "running", json_new_object());
        json_set(s, "state", state);
        json_append(list, s);
    }
    char *text = json_print(list, JSON_COMPACT, NULL);
    json_free(list);
    return text;
}

static void look(void *arg, const char *ns, const char *name, const struct json *pod)
{
    struct round *r = arg;
    struct prng *p = sim_prng(r->w->s);
    bool ours = has_finalizer(pod), going = json_at(pod, "metadata.deletionTimestamp") != NULL;
    const char *phase = json_str(json_at(pod, "status.phase"));
    struct pod_step *s = &r->steps[r->n];
    if (r->n == MOST)
        return;
    if (!ours && !going)
        s->what = BEGIN;
    else if (ours && (going || !phase || strcmp(phase, "Pending") == 0)) {
        r->more = true;
        if (!prng_chance(p, going ? 0.25 : 0.4))
            return;
        s->what = going ? END : RUN;
        s->containers = going ? NULL : container_statuses(pod);
    } else
        return;
    s->target = mem_printf("/api/v1/namespaces/%s/pods/%s", ns ? ns : "default", name);
    r->n++;
}

static void act(struct opsim *w, struct pod_step *s)
{
    unsigned node = 1 + (unsigned)prng_below(sim_prng(w->s), 3);
    char *status;
    switch (s->what) {
    case BEGIN:
        opsim_ask(w, "PATCH", s->target,
                  "{\"metadata\":{\"finalizers\":[\"" FINALIZER "\"]},"
                  "\"spec\":{\"nodeName\":\"n%u\"}}",
                  node);
        break;
    case RUN:
        status = mem_printf("%s/status", s->target);
        opsim_ask(w, "PATCH", status,
                  "{\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.%u\","
                  "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
                  "\"containerStatuses\":%s}}",
                  1 + (unsigned)prng_below(sim_prng(w->s), 250), s->containers);
        mem_free(status);
        break;
    case END:
        opsim_ask(w, "PATCH", s->target, "{\"metadata\":{\"finalizers\":[]}}");
        break;
    }
    mem_free(s->target);
    mem_free(s->containers);
}

static void on_round(void *arg)
{
    struct opsim *w = arg;
    struct prng *p = sim_prng(w->s);
    struct pod_step steps[MOST] = {0};
    struct round r = {.w = w, .steps = steps};
    uint64_t writes = kube_model_writes(w->m);
    if (w->looked != writes) {
        kube_model_each(w->m, PODS, look, &r);
        for (unsigned i = 0; i < r.n; i++)
            act(w, &r.steps[i]);
        w->looked = r.more || r.n ? 0 : writes;
    }
    if (w->collected != kube_model_writes(w->m) && prng_chance(p, 0.3)) {
        kube_model_collect(w->m);
        w->collected = kube_model_writes(w->m);
    }
    if (!w->ending)
        sim_after(w->s, NULL, prng_range(p, 100, 900) * CLOCK_NS_PER_MS, on_round, w, NULL);
}

static void on_tick(void *arg)
{
    struct opsim *w = arg;
    w->o->tick(w);
    if (!w->ending)
        sim_after(w->s, NULL, 500 * CLOCK_NS_PER_MS, on_tick, w, NULL);
}

void kubelet_start__(struct opsim *w)
{
    for (int i = 1; i <= 3; i++) {
        opsim_ask(w, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"n%d\"}}", i);
        char *status = mem_printf("/api/v1/nodes/n%d/status", i);
        opsim_ask(w, "PATCH", status,
                  "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}");
        mem_free(status);
    }
    on_round(w);
    if (w->o->tick)
        on_tick(w);
}
