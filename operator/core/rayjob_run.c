/*
 * Running: what is known of the Ray job, its submitter and its cluster, and what follows from it.
 *
 * Who is believed, in this order: the head's job API; the exit status of our own submitter, which saw
 * the end there; the lack of both for long enough. A job that the head knew and knows no more was lost
 * with an earlier head: it is not submitted again, but the attempt has ended.
 */
#include <stdio.h>
#include <string.h>

#include "core/rayjob_impl.h"
#include "core/rayjob_plants.h"
#include "kube/wall_time.h"

#define LOST_MS 1500 /* times in a status have no fractions */

/* The Ray job has ended: the RayJob has, once its log was read. */
static void job_ended(struct rayjob_pass *x, const struct rayjob_submitter *sub)
{
    bool failed = strcmp(rayjob_get(x, "jobStatus"), "FAILED") == 0;
    int64_t due = rayjob_time(x, "rayJobInfo.endTime") + RAYJOB_GRACE_NS / 1000000;

    if (sub->there && !sub->finished && !rayjob_submitter_lost(x)) {
        if (rayjob_wall_ms(x) < due) {
            rayjob_again_ms(x, due);
            return;
        }
        rayjob_put(x, "reason", "JobDeploymentStatusTransitionGracePeriodExceeded");
        rayjob_put(x, "message",
                   "JobDeploymentStatus does not transition to Complete or Failed within the grace "
                   "period after JobStatus reaches a terminal state.");
    } else if (failed) {
        rayjob_put(x, "reason", "AppFailed");
    }
    rayjob_move(x, failed ? RAYJOB_FAILED : RAYJOB_COMPLETE);
}

static void submission_failed(struct rayjob_pass *x, const struct rayjob_submitter *sub)
{
    if (x->job->mode == RAY_JOB_SIDECAR)
        rayjob_fail(x, "SubmissionFailed",
                    "Ray head pod container %s terminated with exit code %lld: %s", sub->container,
                    (long long)sub->exit_code, sub->reason);
    else
        rayjob_fail(x, "SubmissionFailed", "Job submission has failed. Reason: %s. Message: %s",
                    sub->reason, sub->message);
}

static void lost(struct rayjob_pass *x)
{
    rayjob_fail(x, "AppFailed",
                "Ray job %s not found in RayCluster %s any more: its head was lost, and the job "
                "with it.",
                rayjob_get(x, "jobId"), rayjob_get(x, "rayClusterName"));
}

/* What our submitter saw, when there is nobody else to ask. */
static void take_its_word(struct rayjob_pass *x, const struct rayjob_submitter *sub)
{
    rayjob_put(x, "reason", sub->failed ? "AppFailed" : "");
    if (sub->failed && x->job->mode == RAY_JOB_SIDECAR) {
        char text[128];

        (void)snprintf(text, sizeof text,
                       "Ray head pod container %s terminated with exit code %lld", sub->container,
                       (long long)sub->exit_code);
        rayjob_put(x, "message", text);
    } else {
        rayjob_put(x, "message", sub->failed ? sub->message : "Job finished successfully.");
    }
    rayjob_put(x, "jobStatus", sub->failed ? "FAILED" : "SUCCEEDED");
    rayjob_move(x, sub->failed ? RAYJOB_FAILED : RAYJOB_COMPLETE);
}

/* Thirty seconds after the submitter ended, as far as we know; or what it said is all there is, for
 * the head is gone. */
static void waited_for_end(struct rayjob_pass *x, const struct rayjob_submitter *sub, bool running)
{
    char text[KUBE_WALL_TIME_SIZE] = "";
    bool told = sub->own && (!sub->failed || (sub->told && *rayjob_get(x, "jobStatus")));

    if (!running && told && !RAYJOB_PLANTED(RAYJOB_PLANT_LOST_END)) {
        take_its_word(x, sub);
        return;
    }
    if (sub->failed) {
        submission_failed(x, sub);
        return;
    }
    if (sub->finished_ms)
        (void)kube_wall_time(sub->finished_ms, text);
    rayjob_put(x, "jobStatus", "FAILED");
    rayjob_fail(
        x, "JobDeploymentStatusTransitionGracePeriodExceeded",
        "The RayJob submitter finished at %.10s %.8s but the ray job did not reach terminal "
        "state within 30s",
        text, *text ? text + 11 : text);
}

/* The submitter has ended, the Ray job, as far as is known, has not. */
static void submitter_ended(struct rayjob_pass *x, const struct rayjob_submitter *sub)
{
    struct rayjob_memory *m = x->m;
    bool known = *rayjob_get(x, "jobStatus"), fresh, running, absent;

    if (!m->submitter_end)
        m->submitter_end = x->s->now;
    fresh = m->found_at > m->submitter_end;
    running = fresh && m->found == RAYJOB_FOUND;
    absent = fresh && m->found == RAYJOB_ABSENT;
    if (running && sub->failed) {
        submission_failed(x, sub);
    } else if (absent && sub->own && !sub->failed) {
        waited_for_end(x, sub, false);
    } else if ((absent || m->head_gone) && sub->failed && known) {
        lost(x);
    } else if (absent && sub->failed) {
        submission_failed(x, sub);
    } else if (absent) {
        rayjob_fail(x, "AppFailed", "Submitter completed but Ray job not found in RayCluster.");
    } else if (x->s->now >= m->submitter_end + RAYJOB_DONE_NS || m->head_gone) {
        waited_for_end(x, sub, running);
    } else {
        rayjob_probe(x);
        plan_again(x->p, m->submitter_end + RAYJOB_DONE_NS);
    }
}

/* Nobody answers: for how long is in the status. */
static void note_silence(struct rayjob_pass *x)
{
    static const char key[] = "jobStatusCheckFailureStartTime";
    struct rayjob_memory *m = x->m;
    int64_t since = rayjob_time(x, key), due;
    char text[32];

    if (m->found == RAYJOB_FOUND || m->found == RAYJOB_ABSENT)
        rayjob_put(x, key, "");
    if (m->found != RAYJOB_UNREACHABLE)
        return;
    if (!since) {
        /* One lost answer is nothing to write down. */
        if (x->s->now < m->silent_since + RAYJOB_POLL_NS) {
            plan_again(x->p, m->silent_since + RAYJOB_POLL_NS);
            return;
        }
        since = rayjob_wall_ms(x) - (x->s->now - m->silent_since) / 1000000;
        rayjob_put_time(x, key, since);
    }
    due = since + RAYJOB_SILENT_NS / 1000000;
    if (rayjob_wall_ms(x) < due) {
        rayjob_again_ms(x, due);
        return;
    }
    (void)snprintf(text, sizeof text, "%.10s %.8s", rayjob_get(x, key), rayjob_get(x, key) + 11);
    rayjob_fail(x, "JobStatusCheckTimeoutExceeded",
                "Job status checks have been failing since %s; exceeded timeout of %ds", text,
                (int)(RAYJOB_SILENT_NS / RAYJOB_S));
}

/* The head forgot the job, or has another one under its name. True: it moved, or waits. */
static bool is_lost(struct rayjob_pass *x, const struct rayjob_submitter *sub)
{
    struct rayjob_memory *m = x->m;
    int64_t start = rayjob_time(x, "rayJobInfo.startTime");

    if (RAYJOB_PLANTED(RAYJOB_PLANT_RESUBMIT) || rayjob_status_ended(rayjob_get(x, "jobStatus")))
        return false;
    if (sub->finished && sub->own && !sub->failed)
        return false; /* it saw a good end before */
    if (!sub->finished && rayjob_head_lost(x, sub)) {
        lost(x);
        return true;
    }
    if (m->found == RAYJOB_FOUND && start && m->start_ms > start + LOST_MS) {
        lost(x);
        return true;
    }
    if (m->found != RAYJOB_ABSENT || !*rayjob_get(x, "jobStatus"))
        return false;
    if (sub->there && !sub->finished && x->s->now < m->absent_since + RAYJOB_DONE_NS) {
        /* It may have seen the end, and is about to tell. */
        rayjob_probe(x);
        plan_again(x->p, m->absent_since + RAYJOB_DONE_NS);
        return true;
    }
    lost(x);
    return true;
}

/* The cluster is not there. True: nothing else can be done in this pass. */
static bool without_cluster(struct rayjob_pass *x)
{
    if (x->cluster && !x->cluster->meta->deleting) {
        if (x->job->mode != RAY_JOB_SIDECAR || !rayjob_head_gone(x))
            return false;
        rayjob_fail(x, "AppFailed", "Ray head pod not found.");
        return true;
    }
    if (x->job->selected) { /* it may come back: as long as a head may be silent */
        if (x->m->found != RAYJOB_UNREACHABLE) {
            x->m->found = RAYJOB_UNREACHABLE;
            x->m->silent_since = x->s->now;
        }
        return false;
    }
    if (*rayjob_get(x, "jobStatus"))
        rayjob_fail(x, "AppFailed", "RayCluster %s not found, and the Ray job was lost with it.",
                    rayjob_get(x, "rayClusterName"));
    else if (!x->cluster)
        rayjob_create_cluster(x);
    return true;
}

/* What is to be done as long as nothing has ended. */
static void go_on(struct rayjob_pass *x, const struct rayjob_submitter *sub)
{
    struct rayjob_memory *m = x->m;
    bool http = x->job->mode == RAY_JOB_HTTP;

    rayjob_service(x);
    if (x->job->mode == RAY_JOB_K8S && !sub->there)
        (void)rayjob_submitter_ensure(x);
    else if (x->job->mode == RAY_JOB_K8S && rayjob_submitter_lost(x))
        rayjob_submitter_drop(x);
    if (http && m->refused) {
        rayjob_fail(x, "SubmissionFailed", "Job submission has failed. Message: %s", m->message);
        return;
    }
    note_silence(x);
    if (x->state != RAYJOB_RUNNING)
        return;
    if (http && m->found == RAYJOB_ABSENT &&
        (!*rayjob_get(x, "jobStatus") || RAYJOB_PLANTED(RAYJOB_PLANT_RESUBMIT)))
        rayjob_submit(x);
    else
        rayjob_poll(x);
}

void rayjob_running(struct rayjob_pass *x)
{
    struct rayjob_submitter sub;

    rayjob_submitter_state(x, &sub);
    rayjob_head_look(x);
    if (is_lost(x, &sub) && x->state != RAYJOB_RUNNING)
        return;
    rayjob_copy_job_status(x);
    rayjob_copy_cluster_status(x);
    if (rayjob_status_ended(rayjob_get(x, "jobStatus"))) {
        rayjob_service(x); /* it may have ended before the first look, and its head is there */
        job_ended(x, &sub);
        if (x->state != RAYJOB_RUNNING)
            return;
    }
    if (x->job->suspend) {
        rayjob_move(x, RAYJOB_SUSPENDING);
        return;
    }
    if (rayjob_late_to_end(x) || rayjob_status_ended(rayjob_get(x, "jobStatus")))
        return;
    if (sub.finished)
        submitter_ended(x, &sub);
    else if (!without_cluster(x))
        go_on(x, &sub);
}
