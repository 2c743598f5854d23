/*
 * The RayJob's world: clusters, heads and their job API, submitters, what goes wrong, and what must
 * hold all the same (rayjob_model.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/inject.h"
#include "core/rayjob.h"
#include "test/rayjob_model.h"

#define PENDING_MS 200
#define AWAY_NS    (60 * CLOCK_NS_PER_S) /* a submitter gives up */

static int64_t unix_ms(const struct model *w)
{
    return INT64_C(1790000000000) + w->now / MODEL_MS;
}

static bool is_mode(const struct model *w, const char *mode)
{
    const char *is = json_str(json_at(w->job, "spec.submissionMode"));

    return strcmp(is ? is : "K8sJobMode", mode) == 0;
}

static bool ended(const struct model *w, const struct model_run *r)
{
    return r->stopped || w->now >= r->end_at;
}

static const char *status_of(const struct model *w, const struct model_run *r)
{
    return r->stopped                              ? "STOPPED"
           : w->now >= r->end_at                   ? (r->fails ? "FAILED" : "SUCCEEDED")
           : unix_ms(w) < r->start_ms + PENDING_MS ? "PENDING"
                                                   : "RUNNING";
}

static struct model_run *find_run(struct model_object *c, const char *id)
{
    for (size_t i = 0; i < c->n_runs; i++) {
        if (c->runs[i].epoch == c->epoch && strcmp(c->runs[i].id, id) == 0)
            return &c->runs[i];
    }
    return NULL;
}

static void submit(struct model *w, struct model_object *c, const char *id)
{
    struct model_run *r = &c->runs[c->n_runs];

    if (c->n_runs == MODEL_RUNS) {
        model_broken(w, "submitted %d times to one cluster", MODEL_RUNS);
        return;
    }
    for (size_t i = 0; i < c->n_runs; i++) {
        if (strcmp(c->runs[i].id, id) != 0)
            model_broken(w, "submitted as %s and as %s", c->runs[i].id, id);
    }
    (void)snprintf(r->id, sizeof r->id, "%s", id);
    r->epoch = c->epoch;
    r->start_ms = unix_ms(w);
    r->end_at = w->now + prng_range(&w->prng, 300, w->run_ms) * MODEL_MS;
    r->fails = prng_chance(&w->prng, w->fail_rate);
    c->n_runs++;
}

/* -- clusters ------------------------------------------------------------------------------------- */

static const char *name_of(const struct model_object *o)
{
    return json_str(json_at(o->tree, "metadata.name"));
}

static struct model_object *cluster_named(struct model *w, const char *name, size_t len)
{
    for (size_t i = 0; i < MODEL_OBJECTS; i++) {
        struct model_object *o = &w->o[i];

        if (o->used && o->kind == SEEN_CLUSTERS && strlen(name_of(o)) == len &&
            strncmp(name_of(o), name, len) == 0)
            return o;
    }
    return NULL;
}

/* Of "http://NAME-head-svc.ns..." or without http. */
static struct model_object *cluster_at(struct model *w, const char *address)
{
    const char *begin = strncmp(address, "http://", 7) ? address : address + 7;
    const char *end = strstr(begin, "-head-svc.");

    return end ? cluster_named(w, begin, (size_t)(end - begin)) : NULL;
}

static struct model_object *head_pod(struct model *w, const struct model_object *cluster)
{
    for (size_t i = 0; i < MODEL_OBJECTS; i++) {
        struct model_object *o = &w->o[i];
        const char *of;

        if (!o->used || o->kind != SEEN_PODS)
            continue;
        of = json_str(json_at(o->tree, "metadata.labels[\"ray.io/cluster\"]"));
        if (of && strcmp(of, name_of(cluster)) == 0)
            return o;
    }
    return NULL;
}

static void say_head(struct model_object *c, const char *state, bool ready)
{
    char text[300];

    (void)snprintf(text, sizeof text,
                   "{\"state\":\"%s\",\"conditions\":[{\"type\":\"HeadPodReady\",\"status\":\"%s\","
                   "\"reason\":\"%s\"}]}",
                   state, ready ? "True" : "False",
                   ready ? "HeadPodRunningAndReady" : "HeadPodNotFound");
    model_set(c->tree, "status", text);
}

static void make_head_pod(struct model *w, const struct model_object *cluster)
{
    char text[300];

    for (size_t i = 0; i < MODEL_OBJECTS; i++) {
        struct model_object *o = &w->o[i];
        struct raia_error e;

        if (o->used)
            continue;
        (void)snprintf(text, sizeof text,
                       "{\"metadata\":{\"name\":\"%s-head\",\"namespace\":\"ns\",\"uid\":\"p-%u\","
                       "\"labels\":{\"ray.io/cluster\":\"%s\"}},\"status\":{}}",
                       name_of(cluster), ++w->serial, name_of(cluster));
        if (json_parse(text, strlen(text), NULL, &o->tree, &e) < 0)
            abort();
        o->used = true;
        o->kind = SEEN_PODS;
        return;
    }
}

static void drop(struct model *w, struct model_object *o)
{
    struct model_object *pod = o->kind == SEEN_CLUSTERS ? head_pod(w, o) : NULL;

    json_free(o->tree);
    *o = (struct model_object){0};
    w->dirty = true;
    if (pod)
        drop(w, pod);
}

static void lose_head(struct model *w, struct model_object *c)
{
    struct model_object *pod = head_pod(w, c);
    bool sidecar = is_mode(w, "SidecarMode");

    c->head_up = false;
    c->head_was_lost = true;
    c->head_back_at = sidecar ? CLOCK_NEVER : w->now + prng_range(&w->prng, 2000, 40000) * MODEL_MS;
    for (size_t i = 0; i < c->n_runs; i++) {
        if (c->runs[i].epoch == c->epoch && !ended(w, &c->runs[i]))
            c->runs[i].end_at = CLOCK_NEVER;
    }
    c->epoch++;
    say_head(c, "ready", false);
    if (pod && prng_chance(&w->prng, 0.3))
        pod->gone_at = w->now + prng_range(&w->prng, 1, 8000) * MODEL_MS; /* it ends in order */
    else if (pod && prng_chance(&w->prng, 0.3))
        model_set(pod->tree, "status.phase", "\"Failed\"");
    else if (pod)
        drop(w, pod);
    w->dirty = true;
}

static void step_cluster(struct model *w, struct model_object *c)
{
    if (c->ready_at && w->now >= c->ready_at) {
        c->ready_at = 0;
        c->head_up = true;
        say_head(c, "ready", true);
        make_head_pod(w, c);
        w->dirty = true;
    }
    if (!c->head_up && c->head_back_at && w->now >= c->head_back_at) {
        struct model_object *old = head_pod(w, c);

        c->head_back_at = 0;
        c->head_up = true;
        say_head(c, "ready", true);
        if (old)
            drop(w, old);
        make_head_pod(w, c);
        w->dirty = true;
    }
    if (!w->chaos || !c->head_up)
        return;
    if (prng_chance(&w->prng, 0.0007))
        lose_head(w, c);
    if (prng_chance(&w->prng, 0.003) && w->now >= c->cut_until) {
        bool long_one = prng_chance(&w->prng, 0.05);

        c->cut_until = w->now + (long_one ? 400 : prng_range(&w->prng, 1, 60)) * CLOCK_NS_PER_S;
        c->head_was_lost |= long_one; /* as bad */
    }
}

/* -- calls ----------------------------------------------------------------------------------------- */

static void answer(struct model *w, struct model_call *c, int http, const char *body)
{
    struct plan_answer a = {.tag = c->tag, .http_status = http, .now = w->now};

    a.body = http ? body : NULL;
    a.body_len = http ? strlen(body) : 0;
    a.error = http ? NULL : body;
    c->used = false;
    mem_free(STEAL(c->body));
    if (c->dead)
        return;
    w->r->answered(w->r, &w->memory, &a);
    w->dirty = true;
}

static void id_of(const struct model_call *c, char *buf, size_t size)
{
    const char *p = strstr(c->url, "/api/jobs/");

    (void)snprintf(buf, size, "%.*s", (int)strcspn(p + 10, "/?"), p + 10);
}

/* What a head does with a request as it arrives. */
static void arrive(struct model *w, struct model_call *c, struct model_object *cluster)
{
    char id[64];

    c->arrived = true;
    id_of(c, id, sizeof id);
    if (strcmp(c->method, "POST") != 0)
        return;
    if (strstr(c->url, "/stop")) {
        struct model_run *r = find_run(cluster, id);

        if (r && !ended(w, r)) {
            r->stopped = true;
            r->stop_at = w->now;
        }
        return;
    }
    struct json *body = NULL;
    if (json_parse(c->body, strlen(c->body), NULL, &body, NULL) < 0) {
        model_broken(w, "a submission is not JSON: %s", c->body);
        return;
    }
    (void)snprintf(id, sizeof id, "%s", json_str(json_get(body, "submission_id")));
    json_free(body);
    if (!c->dead && *model_status(w, "jobStatus"))
        model_broken(w, "a job that was %s is submitted again", model_status(w, "jobStatus"));
    if (find_run(cluster, id))
        (void)snprintf(c->known, sizeof c->known, "exists");
    else
        submit(w, cluster, id);
}

static void reply(struct model *w, struct model_call *c, struct model_object *cluster)
{
    char id[64], body[300];
    struct model_run *r;
    const char *status;

    id_of(c, id, sizeof id);
    r = find_run(cluster, id);
    if (!strcmp(c->method, "POST") && strstr(c->url, "/stop")) {
        answer(w, c, r ? 200 : 404, "{\"stopped\":true}");
    } else if (!strcmp(c->method, "POST")) {
        bool exists = !strcmp(c->known, "exists");

        answer(w, c, exists ? 500 : 200,
               exists ? "Job with submission_id x already exists. Please use a different "
                        "submission_id."
                      : "{}");
    } else {
        status = r ? status_of(w, r) : "";
        if (c->waits > w->now && !strcmp(status, c->known))
            return;
        if (!r) {
            answer(w, c, 404, "Job x does not exist");
            return;
        }
        (void)snprintf(body, sizeof body,
                       "{\"status\":\"%s\",\"message\":\"it is\",\"start_time\":%lld,\"end_time\":"
                       "%lld}",
                       status, (long long)r->start_ms, ended(w, r) ? (long long)unix_ms(w) : 0LL);
        answer(w, c, 200, body);
    }
}

static void step_call(struct model *w, struct model_call *c)
{
    struct model_object *cluster = cluster_at(w, c->url);
    bool reached = cluster && cluster->head_up && w->now >= cluster->cut_until;

    if (w->now >= c->deadline) {
        answer(w, c, 0, "timed out");
    } else if (!c->arrived && w->now < c->begins) {
        return;
    } else if (!reached && c->arrived) {
        if (cluster && cluster->head_up)
            return; /* cut off: nothing is heard */
        answer(w, c, 0, "connection reset");
    } else if (!reached) {
        if (!cluster || !cluster->head_up || prng_chance(&w->prng, 0.2))
            answer(w, c, 0, "connection refused");
    } else {
        if (!c->arrived)
            arrive(w, c, cluster);
        if (!c->no_answer)
            reply(w, c, cluster);
    }
}

/* -- submitters ------------------------------------------------------------------------------------ */

static void exit_sidecar(struct model *w, struct model_object *pod, int code)
{
    char text[200];

    (void)snprintf(text, sizeof text,
                   "{\"containerStatuses\":[{\"name\":\"ray-job-submitter\",\"state\":{"
                   "\"terminated\":{\"exitCode\":%d,\"reason\":\"%s\",\"finishedAt\":"
                   "\"2026-11-22T00:00:00Z\"}}}]}",
                   code, code ? "Error" : "Completed");
    model_set(pod->tree, "status", text);
    w->dirty = true;
}

/* Kubelet and Job controller see it a little later. */
static void exit_job(struct model *w, struct model_object *o, int code)
{
    o->sub.exit = code;
    o->sub.told_at = w->now + prng_range(&w->prng, 1, 3000) * MODEL_MS;
}

static void tell_exit(struct model *w, struct model_object *o)
{
    int64_t limit = 2;
    int code = o->sub.exit;

    o->sub.told_at = 0;
    (void)json_int(json_at(o->tree, "spec.backoffLimit"), &limit);
    if (code == 75 && (int64_t)++o->sub.failures <= limit) {
        o->sub.begins_at = w->now + 10 * CLOCK_NS_PER_S;
        o->sub.knows = false;
        o->sub.away = 0;
        return;
    }
    model_set(o->tree, "status",
              code == 0 ? "{\"conditions\":[{\"type\":\"Complete\",\"status\":\"True\",\"reason\":"
                          "\"CompletionsReached\"}]}"
              : code == 75 ? "{\"conditions\":[{\"type\":\"Failed\",\"status\":\"True\",\"reason\":"
                             "\"BackoffLimitExceeded\"}]}"
                           : "{\"conditions\":[{\"type\":\"Failed\",\"status\":\"True\",\"reason\":"
                             "\"PodFailurePolicy\"}]}");
    w->dirty = true;
}

/* One look of a submitter at the head; its exit status, or -1. */
static int look(struct model *w, struct model_submitter *s, struct model_object *cluster,
                const char *id)
{
    struct model_run *r;

    if (!cluster || !cluster->head_up) {
        if (s->knows && !s->away)
            s->away = w->now;
        return s->away && w->now > s->away + AWAY_NS ? 75 : -1;
    }
    s->away = 0;
    r = find_run(cluster, id);
    if (!r && s->knows)
        return 1;
    if (!r)
        submit(w, cluster, id);
    s->knows = true;
    return !r || !ended(w, r) ? -1 : r->stopped || r->fails ? 1 : 0;
}

static void step_job(struct model *w, struct model_object *o)
{
    const struct json *container = json_at(o->tree, "spec.template.spec.containers[0]");
    const char *address = json_str(json_get(
        inject_find(json_get(container, "env"), "name", "RAY_DASHBOARD_ADDRESS"), "value"));
    const char *id = json_str(json_get(
        inject_find(json_get(container, "env"), "name", "RAY_JOB_SUBMISSION_ID"), "value"));
    int code;

    if (json_first(json_at(o->tree, "status.conditions")) || w->now < o->sub.begins_at)
        return;
    if (o->sub.told_at) {
        if (w->now >= o->sub.told_at)
            tell_exit(w, o);
        return;
    }
    if (w->chaos && prng_chance(&w->prng, 0.002)) { /* its pod is lost */
        o->sub.knows = false;
        o->sub.begins_at = w->now + prng_range(&w->prng, 500, 8000) * MODEL_MS;
        return;
    }
    code = look(w, &o->sub, cluster_at(w, address), id);
    if (code >= 0)
        exit_job(w, o, code);
}

static void step_sidecar(struct model *w, struct model_object *pod)
{
    const char *name = json_str(json_at(pod->tree, "metadata.labels[\"ray.io/cluster\"]"));
    struct model_object *cluster = cluster_named(w, name, strlen(name));
    const struct json *c =
        cluster ? inject_find(json_at(cluster->tree, "spec.headGroupSpec.template.spec.containers"),
                              "name", RAYJOB_SUBMITTER)
                : NULL;
    const char *id = json_str(
        json_get(inject_find(json_get(c, "env"), "name", "RAY_JOB_SUBMISSION_ID"), "value"));
    int code;

    if (!id || json_at(pod->tree, "status.containerStatuses"))
        return;
    code = look(w, &pod->sub, cluster, id);
    if (code >= 0)
        exit_sidecar(w, pod, code);
}

void model_environment(struct model *w)
{
    if (w->by_hand)
        return;
    for (size_t i = 0; i < MODEL_OBJECTS; i++) {
        struct model_object *o = &w->o[i];

        if (o->used && o->gone_at && w->now >= o->gone_at)
            drop(w, o);
        else if (o->used && o->kind == SEEN_CLUSTERS)
            step_cluster(w, o);
        else if (o->used && o->kind == SEEN_JOBS && !o->gone_at)
            step_job(w, o);
        else if (o->used && o->kind == SEEN_PODS && !o->gone_at)
            step_sidecar(w, o);
    }
    for (size_t i = 0; i < MODEL_CALLS; i++) {
        if (w->calls[i].used)
            step_call(w, &w->calls[i]);
    }
}

/* -- what must hold -------------------------------------------------------------------------------- */

void model_check(struct model *w)
{
    unsigned clusters = 0, jobs = 0;

    for (size_t i = 0; i < MODEL_OBJECTS; i++) {
        clusters += w->o[i].used && w->o[i].kind == SEEN_CLUSTERS && !w->o[i].gone_at;
        jobs += w->o[i].used && w->o[i].kind == SEEN_JOBS && !w->o[i].gone_at;
    }
    if (clusters > 1 || jobs > 1)
        model_broken(w, "%u clusters and %u Jobs at one time", clusters, jobs);
}

static const char *text_of(const struct json *status, const char *key)
{
    const char *text = json_str(json_get(status, key));

    return text ? text : "";
}

static int64_t number_of(const struct json *status, const char *key)
{
    int64_t n = 0;

    (void)json_int(json_get(status, key), &n);
    return n;
}

static bool some_run(const struct model *w, const struct model_object *c, const char *status)
{
    for (size_t i = 0; c && i < c->n_runs; i++) {
        if (strcmp(status_of(w, &c->runs[i]), status) == 0)
            return true;
    }
    return false;
}

void model_check_status(struct model *w, const struct json *was, const struct json *now)
{
    const char *from = text_of(was, "jobDeploymentStatus");
    const char *to = text_of(now, "jobDeploymentStatus"), *reason = text_of(now, "reason");
    const char *name = text_of(was, "rayClusterName"), *status = text_of(now, "jobStatus");
    int64_t more = number_of(now, "failed") - number_of(was, "failed");
    struct model_object *c = cluster_named(w, name, strlen(name));
    bool active =
        !strcmp(from, "Initializing") || !strcmp(from, "Running") || !strcmp(from, "Waiting");

    if (w->by_hand)
        return;
    if (getenv("RAYJOB_SIM_TRACE"))
        (void)fprintf(stderr, "%8.1f %s/%s -> %s/%s %s %s\n", (double)w->now / 1e9, from,
                      text_of(was, "jobStatus"), to, status, reason, text_of(now, "message"));
    if ((!strcmp(from, "Complete") || !strcmp(from, "Failed")) && strcmp(from, to) != 0)
        model_broken(w, "%s became %s", from, to);
    if (more && (more != 1 || !active || (strcmp(to, "Failed") && strcmp(to, "Retrying"))))
        model_broken(w, "failed grew by %lld from %s to %s", (long long)more, from, to);
    if (more == 1 && !strcmp(reason, "AppFailed") && (!c || !c->head_was_lost) &&
        !some_run(w, c, "FAILED"))
        model_broken(w, "AppFailed, but no job failed: %s", text_of(now, "message"));
    if (more == 1 && c && !c->head_was_lost && some_run(w, c, "SUCCEEDED") &&
        !strstr(reason, "Deadline"))
        model_broken(w, "the job succeeded, and failed by %s: %s", reason, text_of(now, "message"));
    if (more == 1 && !strcmp(reason, "JobDeploymentStatusTransitionGracePeriodExceeded"))
        model_broken(w, "failed by %s: %s", reason, text_of(now, "message"));
    /* What its submitter told, a lost head does not take back. */
    if (more == 1 && !strstr(reason, "Deadline")) {
        for (size_t i = 0; i < MODEL_OBJECTS; i++) {
            const char *type = w->o[i].used && w->o[i].kind == SEEN_JOBS && !w->o[i].gone_at
                                   ? json_str(json_at(w->o[i].tree, "status.conditions[0].type"))
                                   : NULL;

            bool saw = w->o[i].used && w->o[i].kind == SEEN_JOBS && !w->o[i].gone_at &&
                       w->o[i].sub.told_at && w->o[i].sub.exit == 0;
            if (saw || (type && strcmp(type, "Complete") == 0))
                model_broken(w, "the submitter saw success, and the job failed by %s", reason);
        }
    }
    if (!strcmp(to, "Complete") && strcmp(from, to) != 0) {
        if (!some_run(w, c, status))
            model_broken(w, "Complete as %s, but no run was", status);
        if (!strcmp(status, "SUCCEEDED") && number_of(now, "succeeded") != 1)
            model_broken(w, "succeeded is %lld", (long long)number_of(now, "succeeded"));
    }
}
