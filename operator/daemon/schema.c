/*
 * Looking at the installed resource definitions.
 */
#define LOG_MODULE "operator.schema"
#include "daemon/schema.h"

#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#define AGAIN_NS (5 * CLOCK_NS_PER_S)
#define TELL_NS  (60 * CLOCK_NS_PER_S)
#define APPLY    "kubectl apply --server-side --force-conflicts -f crds/ (of this release), or helm"

static const char *const names[] = {"rayclusters.ray.io", "rayjobs.ray.io"};
#define N_NAMES (sizeof names / sizeof *names)

static void ask(struct schema *s);

const char *schema_check(const struct json *definition)
{
    const char *version =
        json_str(json_get(json_at(definition, "metadata.annotations"), RAY_SCHEMA_ANNOTATION));
    bool established = false;
    JSON_FOREACH(c, json_at(definition, "status.conditions"))
    {
        const char *type = json_str(json_get(c, "type")), *status = json_str(json_get(c, "status"));
        established |=
            type && status && strcmp(type, "Established") == 0 && strcmp(status, "True") == 0;
    }
    if (!version)
        return "it is another project's (KubeRay's?): Raia's adds to it what the operator needs";
    if (strtol(version, NULL, 10) < RAY_SCHEMA_VERSION)
        return "it is older than this operator";
    return established ? NULL : "the API server has not established it yet";
}

static void tell(struct schema *s, const char *what)
{
    int64_t now = kube_client_now(s->client);
    if (s->told && now - s->told < TELL_NS)
        return;
    s->told = now;
    log_warn("waiting for a resource definition", "name=%s why=%s apply=%s", names[s->at],
             LOG_Q(what), LOG_Q(APPLY));
}

static void next(struct schema *s)
{
    if (++s->at < N_NAMES) {
        ask(s);
        return;
    }
    s->ready = true;
    log_info("resource definitions are there", "schema=%d", RAY_SCHEMA_VERSION);
    s->on_ready(s->arg);
}

static void on_answer(struct kube_call *call, struct json *object, const struct kube_error *error,
                      void *arg)
{
    struct schema *s = arg;
    const char *wrong = NULL;
    (void)call;
    if (s->stopped)
        return;
    if (error->reason == KUBE_FORBIDDEN) {
        log_warn("not allowed to read a resource definition: taken for right", "name=%s",
                 names[s->at]);
        next(s);
        return;
    }
    if (error->reason == KUBE_NOT_FOUND)
        wrong = "it is not installed";
    else if (error->base.code)
        wrong = error->base.text;
    else
        wrong = schema_check(object);
    if (!wrong) {
        next(s);
        return;
    }
    tell(s, wrong);
    kube_timer_set(s->client, &s->timer, kube_client_now(s->client) + AGAIN_NS);
}

static void ask(struct schema *s)
{
    struct kube_ask q = {.verb = KUBE_GET,
                         .target = {.resource = &kube_crds, .name = names[s->at]}};
    struct raia_error e = {0};
    if (kube_ask(s->client, &s->call, &q, on_answer, s, &e) == 0)
        return;
    tell(s, e.text);
    kube_timer_set(s->client, &s->timer, kube_client_now(s->client) + AGAIN_NS);
}

static void on_timer(struct kube_timer *t)
{
    struct schema *s = container_of(t, struct schema, timer);
    if (!s->stopped)
        ask(s);
}

int schema_start(struct schema *s, struct kube_client *c, void (*on_ready)(void *arg), void *arg,
                 struct raia_error *e)
{
    s->client = c;
    s->on_ready = on_ready;
    s->arg = arg;
    if (kube_timer_attach(c, &s->timer, on_timer) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for the look at resource definitions");
    ask(s);
    return 0;
}

void schema_stop(struct schema *s)
{
    s->stopped = true;
    if (!s->client)
        return;
    kube_timer_detach(s->client, &s->timer);
    kube_cancel(&s->call);
}

bool schema_idle(const struct schema *s)
{
    return !kube_call_active(&s->call);
}
