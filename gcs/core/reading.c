/* The job API's requests, and reading for the REST API. */
#include <string.h>

#include "base/err.h"
#include "core/core_impl.h"

void gcs_core_submit(struct gcs_core *core, struct gcs_now now,
                     const Raia__Storage__Submission *asked, struct gcs_waiter *w)
{
    struct commit *c = pipeline_full(&core->pipeline) ? NULL : pipeline_begin(&core->pipeline);
    struct raia_error e = {0};
    struct submission *s;
    int r;

    if (!c) {
        (void)err_set(&e, RAIA_ERR_UNAVAILABLE, "the control store is overloaded");
        w->done(w, &e, NULL, 0);
        return;
    }
    r = submission_table_create(&core->submissions, now, asked, core->meta->next_attempt,
                                core_head_session(core), c, &s, &e);
    if (r < 0) {
        commit_reply_error(c, w, r, "%s", e.text);
    } else {
        (void)core_next(core, &core->meta->next_attempt, c);
        commit_reply(c, w, &s->row->base);
    }
    pipeline_submit(&core->pipeline, c);
}

static struct job_entry *find_job(struct gcs_core *core, const char *text)
{
    struct job_id id;

    return job_id_from_text(text, &id) < 0 ? NULL : job_table_find(&core->jobs, &id);
}

static struct submission *find_submission(struct gcs_core *core, const char *id)
{
    struct submission *s = submission_table_find(&core->submissions, id);
    struct job_entry *job = s ? NULL : find_job(core, id);

    return job ? submission_table_find(&core->submissions, job->row->job->submission_id) : s;
}

void gcs_core_stop_submission(struct gcs_core *core, struct gcs_now now, const char *id,
                              struct gcs_waiter *w)
{
    struct submission *s = find_submission(core, id);
    struct commit *c = pipeline_begin(&core->pipeline);
    uint8_t stopped;

    if (!c) {
        w->done(w, &core->pipeline.why, NULL, 0);
        return;
    }
    if (!s) {
        commit_reply_error(c, w, RAIA_ERR_NOT_FOUND, "Job %.200s does not exist", id);
    } else {
        stopped = submission_table_stop(&core->submissions, now, s, core_head_session(core), c);
        commit_reply_bytes(c, w, &stopped, 1);
    }
    pipeline_submit(&core->pipeline, c);
}

void gcs_core_delete_submission(struct gcs_core *core, const char *id, struct gcs_waiter *w)
{
    struct submission *s = find_submission(core, id);
    struct commit *c = pipeline_begin(&core->pipeline);
    struct raia_error e = {0};
    uint8_t deleted = 1;

    if (!c) {
        w->done(w, &core->pipeline.why, NULL, 0);
        return;
    }
    if (!s)
        commit_reply_error(c, w, RAIA_ERR_NOT_FOUND, "Job %.200s does not exist", id);
    else if (submission_table_delete(&core->submissions, s, c, &e) < 0)
        commit_reply_error(c, w, e.code, "%s", e.text);
    else
        commit_reply_bytes(c, w, &deleted, 1);
    pipeline_submit(&core->pipeline, c);
}

void gcs_core_answer(struct gcs_core *core, struct gcs_waiter *w, const void *data, size_t size)
{
    struct commit *c = pipeline_begin(&core->pipeline);

    if (!c) {
        w->done(w, &core->pipeline.why, NULL, 0);
        return;
    }
    commit_reply_bytes(c, w, data, size);
    pipeline_submit(&core->pipeline, c);
}

void gcs_core_each_node(struct gcs_core *core, gcs_node_fn fn, void *arg)
{
    struct node_entry *entry;

    LIST_FOREACH (entry, &core->nodes.alive, link)
        fn(arg, entry->row);
    LIST_FOREACH (entry, &core->nodes.dead, link)
        fn(arg, entry->row);
}

void gcs_core_each_job(struct gcs_core *core, gcs_job_fn fn, void *arg)
{
    struct job_entry *entry, *next;

    HASH_FOREACH (core->jobs.table, entry, next)
        fn(arg, entry->row->job);
}

void gcs_core_each_actor(struct gcs_core *core, gcs_actor_fn fn, void *arg)
{
    struct actor_entry *entry, *next;

    HASH_FOREACH (core->actors.table, entry, next)
        fn(arg, entry->row);
}

void gcs_core_each_view(struct gcs_core *core, gcs_view_fn fn, void *arg)
{
    struct view *view, *next;

    HASH_FOREACH (core->views.views, view, next)
        fn(arg, view->last);
}

void gcs_core_each_submission(struct gcs_core *core, gcs_submission_fn fn, void *arg)
{
    struct submission *s, *next;

    HASH_FOREACH (core->submissions.table, s, next)
        fn(arg, s->row);
}

uint64_t gcs_core_submission_changes(const struct gcs_core *core)
{
    return core->submissions.changes;
}

const Raia__Storage__Submission *gcs_core_find_submission(struct gcs_core *core, const char *id)
{
    struct submission *s = find_submission(core, id);

    return s ? s->row : NULL;
}

const Raia__Gcs__Job *gcs_core_find_job(struct gcs_core *core, const char *id)
{
    struct job_entry *job = find_job(core, id);

    return job ? job->row->job : NULL;
}

const Raia__Gcs__Job *gcs_core_job_of(struct gcs_core *core, const char *submission_id)
{
    struct job_entry *job = job_table_of_submission(&core->jobs, submission_id);

    return job ? job->row->job : NULL;
}

const Raia__Gcs__Node *gcs_core_find_node(struct gcs_core *core, ProtobufCBinaryData bytes)
{
    struct node_entry *entry;
    struct node_id id;

    if (node_id_from_bytes(bytes.data, bytes.len, &id) < 0)
        return NULL;
    entry = node_table_find(&core->nodes, &id);
    return entry ? entry->row : NULL;
}

const char *gcs_core_cluster_id(const struct gcs_core *core)
{
    return core->meta ? core->meta->cluster_id : "";
}

void gcs_core_get_stats(const struct gcs_core *core, struct gcs_stats *ret)
{
    *ret = (struct gcs_stats){
        .nodes_alive = core->nodes.n_alive,
        .nodes_dead = core->nodes.n_dead,
        .jobs_alive = core->jobs.n_alive,
        .jobs_dead = core->jobs.n_dead,
        .submissions_live = core->submissions.n_live,
        .submissions_ended = core->submissions.n_ended,
        .kv_bytes = core->kv.bytes,
        .commits_waiting = core->pipeline.length,
        .commits = core->pipeline.committed,
        .published = core->pubsub.published,
        .dropped = core->pubsub.dropped,
        .sessions = HASH_SIZE(core->pubsub.subscribers),
    };
    memcpy(ret->actors, core->actors.counts, sizeof ret->actors);
}

/* ---- packages */

bool gcs_core_package_of(struct gcs_core *core, const char *uri, char ret_sha256[65])
{
    ProtobufCBinaryData key = {strlen(uri), (uint8_t *)(uintptr_t)uri}, value;

    if (!kv_table_get(&core->kv, GCS_PACKAGES, key, &value) || value.len != 64)
        return false;
    memcpy(ret_sha256, value.data, 64);
    ret_sha256[64] = 0;
    return true;
}

static bool env_uses(struct gcs_core *core, const Raia__RuntimeEnv *env, const char *sha256)
{
    char of[65];

    return env && env->working_dir && *env->working_dir &&
           gcs_core_package_of(core, env->working_dir, of) && strcmp(of, sha256) == 0;
}

static bool job_uses(struct gcs_core *core, const Raia__Gcs__Job *job, const char *sha256)
{
    return (job->code && job->code->sha256 && strcmp(job->code->sha256, sha256) == 0) ||
           env_uses(core, job->runtime_env, sha256);
}

bool gcs_core_uses_package(struct gcs_core *core, const char *sha256)
{
    struct actor_entry *a, *next;
    struct job_entry *j;
    struct submission *s;

    LIST_FOREACH (j, &core->jobs.alive, link)
        if (job_uses(core, j->row->job, sha256))
            return true;
    LIST_FOREACH (s, &core->submissions.live, link)
        if (env_uses(core, s->row->runtime_env, sha256))
            return true;
    HASH_FOREACH (core->actors.table, a, next) {
        const ProtobufCBinaryData id = a->row->spec->job_id;
        struct job_id job;

        if (a->row->state == RAIA__GCS__ACTOR_STATE__ACTOR_DEAD || id.len != sizeof job.bytes)
            continue;
        memcpy(job.bytes, id.data, id.len);
        j = job_table_find(&core->jobs, &job);
        if (j && job_uses(core, j->row->job, sha256))
            return true;
    }
    return false;
}
