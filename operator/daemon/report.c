/*
 * Numbers for Prometheus.
 */
#include "daemon/report.h"

#include <string.h>
#include <sys/resource.h>

#include "api/names.h"
#include "base/clock.h"
#include "base/io.h"
#include "core/fields.h"
#include "kube/wall_time.h"

/* Names are DNS labels and states words: nothing in them needs an escape. */
#define WHO       "name=\"%s\",namespace=\"%s\",uid=\"%s\""
#define WHO_OF(o) (o)->name, (o)->ns ? (o)->ns : "", (o)->uid

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(struct buf *b, const char *name, const char *type, const char *help, double v)
{
    head(b, name, type, help);
    buf_printf(b, "%s %.15g\n", name, v);
}

static bool time_at(const struct json *tree, const char *path, int64_t *ret_ms)
{
    const char *text = json_str(json_at(tree, path));
    return text && kube_wall_time_read(text, ret_ms) == 0;
}

static const char *text_at(const struct json *tree, const char *path, const char *otherwise)
{
    const char *text = json_str(json_at(tree, path));
    return text && text[0] && !strpbrk(text, "\"\\\n") ? text : otherwise;
}

static const struct json *condition(const struct json *tree, const char *type)
{
    JSON_FOREACH(c, json_at(tree, "status.conditions"))
    {
        const char *t = json_str(json_get(c, "type"));
        if (t && strcmp(t, type) == 0)
            return c;
    }
    return NULL;
}

void report_put_cluster(struct buf *b, const struct kube_object *o, const struct json *tree)
{
    const struct json *c = condition(tree, RAY_COND_PROVISIONED);
    const char *status = json_str(json_get(c, "status"));
    const char *owner = json_str(json_get(json_at(tree, "metadata.labels"), RAY_LABEL_FROM_CRD));
    bool provisioned = status && strcmp(status, "True") == 0;
    int64_t made, done;
    if (owner && strpbrk(owner, "\"\\\n"))
        owner = NULL;
    buf_printf(b, "kuberay_cluster_info{" WHO ",owner_kind=\"%s\"} 1\n", WHO_OF(o),
               owner ? owner : "None");
    buf_printf(b, "kuberay_cluster_condition_provisioned{" WHO ",condition=\"%s\"} 1\n", WHO_OF(o),
               provisioned ? "true" : "false");
    if (provisioned && time_at(tree, "metadata.creationTimestamp", &made) &&
        time_at(c, "lastTransitionTime", &done))
        buf_printf(b, "kuberay_cluster_provisioned_duration_seconds{" WHO "} %.15g\n", WHO_OF(o),
                   (double)(done - made) / 1e3);
}

void report_put_job(struct buf *b, const struct kube_object *o, const struct json *tree)
{
    const char *status = text_at(tree, "status.jobDeploymentStatus", "New");
    bool complete = strcmp(status, "Complete") == 0, failed = strcmp(status, "Failed") == 0;
    int64_t begin, end, failures = 0;
    buf_printf(b, "kuberay_job_info{" WHO "} 1\n", WHO_OF(o));
    buf_printf(b, "kuberay_job_deployment_status{" WHO ",deployment_status=\"%s\"} 1\n", WHO_OF(o),
               status);
    if ((!complete && !failed) || !time_at(tree, "status.startTime", &begin) ||
        !time_at(tree, "status.endTime", &end))
        return;
    (void)json_int(json_at(tree, "status.failed"), &failures); /* absent: none */
    if (failed && failures > 0)
        failures--; /* the last one is no retry */
    buf_printf(b,
               "kuberay_job_execution_duration_seconds{" WHO
               ",job_deployment_status=\"%s\",retry_count=\"%lld\"} %.15g\n",
               WHO_OF(o), status, (long long)failures, (double)(end - begin) / 1e3);
}

/* Families must be in one piece, and an object is read once: each has a buffer. */
struct families {
    void (*put)(struct buf *b, const struct kube_object *o, const struct json *tree); /* lines */
    struct buf lines; /* of all objects, mixed */
};

static void put_object(void *arg, const struct kube_object *o)
{
    struct families *f = arg;
    struct json *tree = NULL;
    if (kube_object_tree(o, &tree, NULL) < 0)
        return;
    f->put(&f->lines, o, tree);
    json_free(tree);
}

/* The lines of one family, out of the mixed ones. */
static void put_family(struct buf *b, struct families *f, const char *name, const char *help)
{
    const char *at = buf_cstr(&f->lines);
    size_t n = strlen(name);
    head(b, name, "gauge", help);
    while (at && *at) {
        size_t len = strcspn(at, "\n") + 1;
        if (strncmp(at, name, n) == 0 && at[n] == '{')
            buf_put_bytes(b, at, len);
        at += len;
    }
}

static void put_objects(const struct report *r, struct buf *b)
{
    struct families clusters = {.put = report_put_cluster}, jobs = {.put = report_put_job};
    buf_init(&clusters.lines, b->max);
    buf_init(&jobs.lines, b->max);
    controller_each(r->ctl, &ray_clusters, put_object, &clusters);
    controller_each(r->ctl, &ray_jobs, put_object, &jobs);
    put_family(b, &clusters, "kuberay_cluster_info", "RayClusters.");
    put_family(b, &clusters, "kuberay_cluster_condition_provisioned",
               "Whether all pods of a RayCluster were ready once.");
    put_family(b, &clusters, "kuberay_cluster_provisioned_duration_seconds",
               "From a RayCluster's creation until all of its pods were ready.");
    put_family(b, &jobs, "kuberay_job_info", "RayJobs.");
    put_family(b, &jobs, "kuberay_job_deployment_status", "The state of a RayJob.");
    put_family(b, &jobs, "kuberay_job_execution_duration_seconds",
               "From a RayJob's start until its end.");
    buf_fini(&clusters.lines);
    buf_fini(&jobs.lines);
}

static void put_controller(const struct report *r, struct buf *b)
{
    struct controller_stats s;
    controller_get_stats(r->ctl, &s);
    head(b, "controller_runtime_reconcile_total", "counter", "Reconciles, by how they ended.");
    buf_printf(b, "controller_runtime_reconcile_total{controller=\"raia\",result=\"error\"} %llu\n",
               (unsigned long long)s.failures);
    buf_printf(b,
               "controller_runtime_reconcile_total{controller=\"raia\",result=\"success\"} %llu\n",
               (unsigned long long)(s.reconciles > s.failures ? s.reconciles - s.failures : 0));
    head(b, "workqueue_depth", "gauge", "Objects that wait for their turn.");
    buf_printf(b, "workqueue_depth{name=\"raia\"} %zu\n", s.ready);
    head(b, "controller_runtime_active_workers", "gauge", "Objects that are being handled.");
    buf_printf(b, "controller_runtime_active_workers{controller=\"raia\"} %zu\n", s.running);
    number(b, "raia_operator_reconcile_seconds_total", "counter", "Time in reconcilers.",
           (double)s.plan_ns / 1e9);
    number(b, "raia_operator_conflicts_total", "counter", "Plans on an object that had changed.",
           (double)s.conflicts);
    number(b, "raia_operator_writes_total", "counter", "Writes to the API server, events apart.",
           (double)s.writes);
    number(b, "raia_operator_head_calls_total", "counter", "Calls to heads.", (double)s.calls);
    number(b, "raia_operator_watch_failures_total", "counter", "Lists and watches that failed.",
           (double)s.informer_failures);
    number(b, "raia_operator_objects", "gauge", "RayClusters and RayJobs.", (double)s.objects);
    number(b, "raia_operator_waiting", "gauge", "Objects that wait for a time.", (double)s.later);
    number(b, "raia_operator_stored_objects", "gauge", "Objects in memory.", (double)s.stored);
    number(b, "raia_operator_stored_bytes", "gauge", "Bytes of them.", (double)s.stored_bytes);
}

static void put_process(struct buf *b)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) < 0)
        return;
    number(b, "process_cpu_seconds_total", "counter", "CPU time, user and system.",
           (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    number(b, "raia_operator_peak_resident_bytes", "gauge", "Most memory that was resident.",
           (double)u.ru_maxrss * 1024);
}

void report_put(const struct report *r, struct buf *b)
{
    struct kube_client_stats c;
    kube_client_get_stats(r->client, &c);
    head(b, "leader_election_master_status", "gauge", "Does this operator act.");
    buf_printf(b, "leader_election_master_status{name=\"raia-operator-leader\"} %d\n", r->leading);
    head(b, "rest_client_requests_total", "counter", "Requests to the API server, watches apart.");
    buf_printf(b, "rest_client_requests_total{code=\"all\"} %llu\n", (unsigned long long)c.started);
    buf_printf(b, "rest_client_requests_total{code=\"failed\"} %llu\n",
               (unsigned long long)c.failed);
    buf_printf(b, "rest_client_requests_total{code=\"throttled\"} %llu\n",
               (unsigned long long)c.throttled);
    number(b, "raia_operator_requests_in_flight", "gauge", "Requests under way.", c.in_flight);
    number(b, "raia_operator_requests_waiting", "gauge", "Requests that wait.", c.waiting);
    if (r->rec) {
        struct kube_recorder_stats v;
        kube_recorder_get_stats(r->rec, &v);
        number(b, "raia_operator_events_total", "counter", "Events sent.", (double)v.sent);
        number(b, "raia_operator_events_dropped_total", "counter", "Events not sent.",
               (double)v.dropped);
    }
    put_process(b);
    if (r->ctl) {
        put_controller(r, b);
        put_objects(r, b);
    }
}
