/*
 * A RayJob's status: reading it, and moving from state to state.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash64.h"
#include "core/rayjob_impl.h"
#include "core/rayjob_plants.h"
#include "kube/wall_time.h"

static const char *const names[RAYJOB_STATES] = {
    [RAYJOB_NEW] = "",
    [RAYJOB_INITIALIZING] = "Initializing",
    [RAYJOB_WAITING] = "Waiting",
    [RAYJOB_RUNNING] = "Running",
    [RAYJOB_COMPLETE] = "Complete",
    [RAYJOB_FAILED] = "Failed",
    [RAYJOB_INVALID] = "ValidationFailed",
    [RAYJOB_SUSPENDING] = "Suspending",
    [RAYJOB_SUSPENDED] = "Suspended",
    [RAYJOB_RETRYING] = "Retrying",
};

const char *rayjob_state_name(enum rayjob_state state)
{
    return names[state];
}

enum rayjob_state rayjob_state_of(const struct json *status)
{
    const char *text = json_str(json_get(status, "jobDeploymentStatus"));

    for (unsigned i = 0; text && i < RAYJOB_STATES; i++) {
        if (strcmp(names[i], text) == 0)
            return (enum rayjob_state)i;
    }
    return RAYJOB_NEW; /* none, or a word of nobody's: what is there already is found again */
}

/* -- members ------------------------------------------------------------------------------------ */

const char *rayjob_get(const struct rayjob_pass *x, const char *key)
{
    const char *text = json_str(json_get(x->status, key));

    return text ? text : "";
}

static void failed(struct rayjob_pass *x, int r)
{
    if (r < 0 && x->r == 0)
        x->r = err_set(x->e, -r, "RayJob '%s': its status", x->job->name);
}

static void drop(struct rayjob_pass *x, const char *key)
{
    json_free(json_detach(x->status, key));
}

void rayjob_put(struct rayjob_pass *x, const char *key, const char *value)
{
    if (*value)
        failed(x, json_set_str(x->status, key, value));
    else
        drop(x, key);
}

void rayjob_put_time(struct rayjob_pass *x, const char *key, int64_t unix_ms)
{
    char text[KUBE_WALL_TIME_SIZE];

    rayjob_put(x, key, unix_ms ? kube_wall_time(unix_ms, text) : "");
}

int64_t rayjob_time(const struct rayjob_pass *x, const char *path)
{
    const char *text = json_str(json_at(x->status, path));
    int64_t ms = 0;

    return text && kube_wall_time_read(text, &ms) == 0 ? ms : 0;
}

int64_t rayjob_wall_ms(const struct rayjob_pass *x)
{
    return x->s->wall_ns / CLOCK_NS_PER_MS;
}

const char *rayjob_time_text(const struct rayjob_pass *x, const char *key, char *buf, size_t size)
{
    const char *text = rayjob_get(x, key);

    if (strlen(text) < 20)
        return text;
    (void)snprintf(buf, size, "%.10s %.8s +0000 UTC", text, text + 11);
    return buf;
}

void rayjob_again_ms(struct rayjob_pass *x, int64_t unix_ms)
{
    int64_t left = unix_ms - rayjob_wall_ms(x);

    /* Times in a status have no fractions: a moment more, so that it is over when we look. */
    plan_again(x->p, clock_add_ms(x->s->now, (left > 0 ? left : 0) + 10));
}

bool rayjob_status_ended(const char *status)
{
    return strcmp(status, "SUCCEEDED") == 0 || strcmp(status, "FAILED") == 0 ||
           strcmp(status, "STOPPED") == 0;
}

/* -- moves -------------------------------------------------------------------------------------- */

static int64_t count(struct rayjob_pass *x, const char *key, int64_t more)
{
    int64_t n = 0;

    if (json_int(json_get(x->status, key), &n) < 0 || n < 0)
        n = 0;
    n += more;
    failed(x, json_set_int(x->status, key, n));
    return n;
}

/* KubeRay's: deadlines of the whole job, and a head that is silent, are not tried again. */
static bool may_retry(const struct rayjob_pass *x, int64_t n_failed)
{
    const char *reason = rayjob_get(x, "reason");

    return n_failed <= x->job->backoff_limit && strcmp(reason, "DeadlineExceeded") != 0 &&
           strcmp(reason, "JobStatusCheckTimeoutExceeded") != 0;
}

void rayjob_move(struct rayjob_pass *x, enum rayjob_state state)
{
    if (state == RAYJOB_FAILED && may_retry(x, count(x, "failed", 1)))
        state = RAYJOB_RETRYING;
    if (state == RAYJOB_COMPLETE && strcmp(rayjob_get(x, "jobStatus"), "SUCCEEDED") == 0)
        (void)count(x, "succeeded", 1);
    if (state == RAYJOB_COMPLETE || state == RAYJOB_FAILED)
        rayjob_put_time(x, "endTime", rayjob_wall_ms(x));
    x->state = state;
    rayjob_put(x, "jobDeploymentStatus", names[state]);
}

void rayjob_fail(struct rayjob_pass *x, const char *reason, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    rayjob_put(x, "reason", reason);
    rayjob_put(x, "message", text);
    rayjob_move(x, RAYJOB_FAILED);
}

/* Five letters out of what tells this attempt from all others of all RayJobs. The same for the same
 * status, so that whoever decides on an old one makes nothing new. */
static void make_name(const struct rayjob_pass *x, char kind, char *buf, size_t size)
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    char seed[512], tail[6] = "";
    int64_t n_failed = 0, salt = RAYJOB_PLANTED(RAYJOB_PLANT_FRESH_NAME) ? x->s->now : 0;
    uint64_t h;
    int n;

    (void)json_int(json_get(x->status, "failed"), &n_failed);
    /* The generation: who is resumed twice within a second has started at the same time. */
    n = snprintf(seed, sizeof seed, "%s/%s/%s/%lld/%lld/%c/%lld", x->job->uid, x->job->name,
                 rayjob_get(x, "startTime"), (long long)x->job->generation, (long long)n_failed,
                 kind, (long long)salt);
    h = hash_bytes(seed, n < (int)sizeof seed ? (size_t)n : sizeof seed - 1);
    for (int i = 0; i < 5; i++, h /= sizeof letters - 1)
        tail[i] = letters[h % (sizeof letters - 1)];
    (void)snprintf(buf, size, "%s-%s", x->job->name, tail);
}

void rayjob_begin(struct rayjob_pass *x)
{
    char name[RAYJOB_ID_MAX];

    if (x->job->mode != RAY_JOB_INTERACTIVE && !*rayjob_get(x, "jobId")) {
        make_name(x, 'j', name, sizeof name);
        rayjob_put(x, "jobId", x->job->job_id ? x->job->job_id : name);
    }
    if (!*rayjob_get(x, "rayClusterName")) {
        make_name(x, 'c', name, sizeof name);
        rayjob_put(x, "rayClusterName", x->job->selected ? x->job->selected : name);
    }
    rayjob_put_time(x, "startTime", rayjob_wall_ms(x));
    drop(x, "endTime");
    (void)count(x, "failed", 0);
    (void)count(x, "succeeded", 0);
    rayjob_move(x, RAYJOB_INITIALIZING);
}

void rayjob_clear(struct rayjob_pass *x)
{
    static const char *const keys[] = {"rayClusterStatus",
                                       "rayClusterName",
                                       "dashboardURL",
                                       "jobId",
                                       "message",
                                       "reason",
                                       "rayJobInfo",
                                       "jobStatus",
                                       "jobStatusCheckFailureStartTime"};

    if (x->state == RAYJOB_RETRYING && RAYJOB_PLANTED(RAYJOB_PLANT_COUNT_TWICE))
        (void)count(x, "failed", 1);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        drop(x, keys[i]);
    if (!RAYJOB_PLANTED(RAYJOB_PLANT_OLD_HEAD))
        drop(x, RAYJOB_NOTES);
}

/* -- what others say ------------------------------------------------------------------------------ */

void rayjob_copy_cluster_status(struct rayjob_pass *x)
{
    _cleanup_(json_freep) struct json *was = json_copy(json_get(x->status, "rayClusterStatus"));
    const struct json *now = x->cluster ? json_get(x->cluster->tree, "status") : NULL;
    _cleanup_(json_freep) struct json *copy = json_copy(now), *full = json_copy(now);

    if (!now)
        return;
    if (!copy || !full) {
        failed(x, -RAIA_ERR_NOMEM);
        return;
    }
    json_free(json_detach(was, "lastUpdateTime"));
    json_free(json_detach(copy, "lastUpdateTime"));
    if (!was || !json_equal(was, copy))
        failed(x, json_set(x->status, "rayClusterStatus", STEAL(full)));
}

void rayjob_copy_job_status(struct rayjob_pass *x)
{
    struct rayjob_memory *m = x->m;
    struct json *info;
    char text[KUBE_WALL_TIME_SIZE];

    if (m->found != RAYJOB_FOUND || rayjob_status_ended(rayjob_get(x, "jobStatus")))
        return;
    rayjob_put(x, "jobStatus", m->status);
    rayjob_put(x, "message", m->message);
    rayjob_put(x, "reason", "");
    if (rayjob_status_ended(m->status) && !m->end_ms)
        m->end_ms = rayjob_wall_ms(x);
    if (!m->start_ms && !m->end_ms)
        return;
    info = json_new_object();
    if (m->start_ms)
        failed(x, json_set_str(info, "startTime", kube_wall_time(m->start_ms, text)));
    if (m->end_ms)
        failed(x, json_set_str(info, "endTime", kube_wall_time(m->end_ms, text)));
    failed(x, json_set(x->status, "rayJobInfo", info));
}

bool rayjob_is_late(struct rayjob_pass *x, int64_t seconds, const char *reason, const char *field,
                    const char *name)
{
    int64_t due = rayjob_time(x, "startTime") + seconds * 1000;
    char text[64];

    if (seconds <= 0)
        return false;
    if (rayjob_wall_ms(x) < due) {
        rayjob_again_ms(x, due);
        return false;
    }
    rayjob_fail(x, reason, "The RayJob has passed the %s. StartTime: %s. %s: %lld", field,
                rayjob_time_text(x, "startTime", text, sizeof text), name, (long long)seconds);
    return true;
}

bool rayjob_late_to_end(struct rayjob_pass *x)
{
    return rayjob_is_late(x, x->job->active_deadline_s, "DeadlineExceeded", "activeDeadlineSeconds",
                          "ActiveDeadlineSeconds");
}
