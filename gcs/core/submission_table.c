/* The submission table. */
#include "core/submission_table.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/pb.h"

#define TABLE "sub/"

#define PENDING   RAIA__STORAGE__SUBMISSION_STATUS__SUBMISSION_PENDING
#define RUNNING   RAIA__STORAGE__SUBMISSION_STATUS__SUBMISSION_RUNNING
#define STOPPED   RAIA__STORAGE__SUBMISSION_STATUS__SUBMISSION_STOPPED
#define SUCCEEDED RAIA__STORAGE__SUBMISSION_STATUS__SUBMISSION_SUCCEEDED
#define FAILED    RAIA__STORAGE__SUBMISSION_STATUS__SUBMISSION_FAILED

void submission_table_init(struct submission_table *t)
{
    list_init(&t->live);
    list_init(&t->ended);
}

static void submission_free(struct submission_table *t, struct submission *s)
{
    t->changes++;
    HASH_DEL(t->table, s);
    list_del(&s->link);
    pb_free(&s->row->base);
    mem_free(s);
}

void submission_table_fini(struct submission_table *t)
{
    struct submission *s, *next;

    HASH_FOREACH (t->table, s, next)
        submission_free(t, s);
}

struct submission *submission_table_find(struct submission_table *t, const char *id)
{
    return HASH_GET_STR(t->table, id);
}

static bool status_ended(Raia__Storage__SubmissionStatus status)
{
    return status != PENDING && status != RUNNING;
}

bool submission_ended(const struct submission *s)
{
    return status_ended(s->row->status);
}

const char *submission_status_name(Raia__Storage__SubmissionStatus status)
{
    switch (status) {
    case PENDING:
        return "PENDING";
    case RUNNING:
        return "RUNNING";
    case STOPPED:
        return "STOPPED";
    case SUCCEEDED:
        return "SUCCEEDED";
    default:
        return "FAILED";
    }
}

/* Takes the row over, on failure too. */
static struct submission *add(struct submission_table *t, Raia__Storage__Submission *row)
{
    struct submission *s = mem_new(struct submission);

    if (s)
        s->id = row->submission_id;
    if (!s || HASH_PUT_STR(t->table, id, s) < 0) {
        pb_free(&row->base);
        mem_free(s);
        return NULL;
    }
    s->row = row;
    list_add_tail(submission_ended(s) ? &t->ended : &t->live, &s->link);
    *(submission_ended(s) ? &t->n_ended : &t->n_live) += 1;
    return s;
}

int submission_table_load(struct submission_table *t, Raia__Storage__Submission *row)
{
    if (!row->submission_id[0] || submission_table_find(t, row->submission_id)) {
        pb_free(&row->base);
        return -RAIA_ERR_PROTOCOL;
    }
    return add(t, row) ? 0 : -RAIA_ERR_NOMEM;
}

static void store(struct submission_table *t, struct submission *s, struct commit *c)
{
    t->changes++;
    commit_put_message(c, TABLE, s->id, strlen(s->id), &s->row->base);
}

/* ---- commands to the head ---- */

static void send_start(struct submission *s, const struct node_id *head, struct commit *c)
{
    Raia__Gcs__SessionDown down = RAIA__GCS__SESSION_DOWN__INIT;
    Raia__Gcs__StartEntrypoint start = RAIA__GCS__START_ENTRYPOINT__INIT;

    start.submission_id = s->id;
    start.attempt = s->row->attempt;
    start.entrypoint = s->row->entrypoint;
    start.runtime_env = s->row->runtime_env;
    start.metadata_json = s->row->metadata_json;
    start.resources = s->row->resources;
    start.n_resources = s->row->n_resources;
    down.body_case = RAIA__GCS__SESSION_DOWN__BODY_START_ENTRYPOINT;
    down.start_entrypoint = &start;
    commit_send(c, head, &down);
    s->sent = true;
}

static void send_stop(const char *id, uint32_t attempt, const struct node_id *head,
                      struct commit *c)
{
    Raia__Gcs__SessionDown down = RAIA__GCS__SESSION_DOWN__INIT;
    Raia__Gcs__StopEntrypoint stop = RAIA__GCS__STOP_ENTRYPOINT__INIT;

    stop.submission_id = (char *)(uintptr_t)id;
    stop.attempt = attempt;
    down.body_case = RAIA__GCS__SESSION_DOWN__BODY_STOP_ENTRYPOINT;
    down.stop_entrypoint = &stop;
    commit_send(c, head, &down);
}

static void send_ack(const Raia__Gcs__EntrypointEvent *event, const struct node_id *head,
                     struct commit *c)
{
    Raia__Gcs__SessionDown down = RAIA__GCS__SESSION_DOWN__INIT;
    Raia__Gcs__EntrypointAck ack = RAIA__GCS__ENTRYPOINT_ACK__INIT;

    ack.submission_id = event->submission_id;
    ack.attempt = event->attempt;
    down.body_case = RAIA__GCS__SESSION_DOWN__BODY_ENTRYPOINT_ACK;
    down.entrypoint_ack = &ack;
    commit_send(c, head, &down);
}

/* ---- what users ask ---- */

static int check_asked(const Raia__Storage__Submission *asked, struct raia_error *e)
{
    const char *id = asked->submission_id;
    size_t size = strlen(id);

    /* The id names files. */
    if (size == 0 || size > SUBMISSION_ID_MAX || id[0] == '.' || strchr(id, '/'))
        return err_set(e, RAIA_ERR_INVALID,
                       "submission_id must have 1 to %d characters, no '/', and not begin with '.'",
                       SUBMISSION_ID_MAX);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)id[i] < ' ' || id[i] == 127)
            return err_set(e, RAIA_ERR_INVALID, "submission_id has a control character");
    }
    if (!asked->entrypoint[0])
        return err_set(e, RAIA_ERR_INVALID, "entrypoint is empty: give a shell command");
    return 0;
}

int submission_table_create(struct submission_table *t, struct gcs_now now,
                            const Raia__Storage__Submission *asked, uint32_t attempt,
                            const struct node_id *head, struct commit *c, struct submission **ret_s,
                            struct raia_error *e)
{
    Raia__Storage__Submission *row;
    struct submission *s;
    int r = check_asked(asked, e);

    if (r < 0)
        return r;
    if (submission_table_find(t, asked->submission_id))
        return err_set(e, RAIA_ERR_EXISTS,
                       "Job with submission_id %s already exists. Please use a different "
                       "submission_id.",
                       asked->submission_id);
    if (t->n_live >= t->max_live)
        return err_set(e, RAIA_ERR_LIMIT, "%zu jobs are pending or running, the most allowed",
                       t->n_live);
    row = pb_copy(&asked->base);
    if (!row)
        return err_set(e, RAIA_ERR_NOMEM, "submit");
    row->status = PENDING;
    row->attempt = attempt;
    row->start_unix_ms = now.unix_ms;
    if (pb_set_str(&row->message,
                   row->n_resources ? "Job has not started yet. It waits until the resources that "
                                      "were asked for its entrypoint are free on the head node."
                                    : "Job has not started yet. It may be waiting for the head "
                                      "node to connect, or for its runtime environment.") < 0) {
        pb_free(&row->base);
        return err_set(e, RAIA_ERR_NOMEM, "submit");
    }
    s = add(t, row);
    if (!s)
        return err_set(e, RAIA_ERR_NOMEM, "submit");
    store(t, s, c);
    if (head)
        send_start(s, head, c);
    *ret_s = s;
    return 0;
}

/* Its message: the text, and what was asked for and not done. */
static void say(struct submission *s, const char *text, struct commit *c)
{
    const Raia__RuntimeEnv *env = s->row->runtime_env;
    _cleanup_(mem_freep) char *all = NULL;

    if (env && *env->unsupported)
        all = mem_printf("%s (Raia ignored: %s)", text, env->unsupported);
    if ((env && *env->unsupported && !all) || pb_set_str(&s->row->message, all ? all : text) < 0)
        commit_fail(c, RAIA_ERR_NOMEM);
}

/* It has ended; forgets the oldest ones beyond the limit. s stays valid (it is the newest). */
static void end(struct submission_table *t, struct gcs_now now, struct submission *s,
                Raia__Storage__SubmissionStatus status, const char *error_type, const char *message,
                struct commit *c)
{
    s->row->status = status;
    s->row->end_unix_ms = now.unix_ms;
    say(s, message, c);
    if (pb_set_str(&s->row->error_type, error_type) < 0)
        commit_fail(c, RAIA_ERR_NOMEM);
    list_del(&s->link);
    t->n_live--;
    list_add_tail(&t->ended, &s->link);
    t->n_ended++;
    store(t, s, c);
    while (t->n_ended > t->max_ended && t->n_ended > 1) {
        struct submission *oldest = container_of(t->ended.next, struct submission, link);

        commit_delete(c, TABLE, oldest->id, strlen(oldest->id));
        submission_free(t, oldest);
        t->n_ended--;
    }
}

bool submission_table_stop(struct submission_table *t, struct gcs_now now, struct submission *s,
                           const struct node_id *head, struct commit *c)
{
    if (submission_ended(s))
        return false;
    s->row->stop_requested = true;
    if (s->row->status == PENDING && !s->sent && !head) {
        /* It may have been sent by an earlier session; the next hello tells, and then it is
         * stopped as unknown. */
        end(t, now, s, STOPPED, "", "Job was stopped before it started.", c);
        return true;
    }
    store(t, s, c);
    if (head)
        send_stop(s->id, s->row->attempt, head, c);
    return true;
}

int submission_table_delete(struct submission_table *t, struct submission *s, struct commit *c,
                            struct raia_error *e)
{
    if (!submission_ended(s))
        return err_set(e, RAIA_ERR_STATE,
                       "Job %s is %s: only jobs that have ended can be deleted; stop it first",
                       s->id, submission_status_name(s->row->status));
    commit_delete(c, TABLE, s->id, strlen(s->id));
    submission_free(t, s);
    t->n_ended--;
    return 0;
}

/* ---- what the head's raylet tells ---- */

static void end_exited(struct submission_table *t, struct gcs_now now, struct submission *s,
                       const Raia__Gcs__EntrypointEvent *event, struct commit *c)
{
    char text[512];

    s->row->has_exit = true;
    s->row->exit_status = event->exit_status;
    if (s->row->stop_requested) {
        end(t, now, s, STOPPED, "", "Job was intentionally stopped.", c);
    } else if (event->exit_status == 0) {
        end(t, now, s, SUCCEEDED, "", "Job finished successfully.", c);
    } else {
        if (event->exit_status > 128)
            (void)snprintf(text, sizeof text,
                           "Job entrypoint command was killed by signal %d (exit code %d); see its "
                           "log.%s%.300s",
                           event->exit_status - 128, event->exit_status, *event->message ? " " : "",
                           event->message);
        else
            (void)snprintf(text, sizeof text,
                           "Job entrypoint command failed with exit code %d; see its log.%s%.300s",
                           event->exit_status, *event->message ? " " : "", event->message);
        end(t, now, s, FAILED, "JOB_ENTRYPOINT_COMMAND_ERROR", text, c);
    }
}

static void end_not_started(struct submission_table *t, struct gcs_now now, struct submission *s,
                            const Raia__Gcs__EntrypointEvent *event, struct commit *c)
{
    const char *why = event->error && event->error->text[0] ? event->error->text : event->message;
    bool env = event->error && event->error->code == RAIA_ERR_RUNTIME_ENV;
    char text[RAIA_ERROR_TEXT_MAX + 64];

    (void)snprintf(text, sizeof text, "%s: %.500s",
                   env ? "The runtime environment could not be set up"
                       : "Job entrypoint command could not be started",
                   why);
    end(t, now, s, s->row->stop_requested ? STOPPED : FAILED,
        env ? "RUNTIME_ENV_SETUP_FAILURE" : "JOB_ENTRYPOINT_COMMAND_START_ERROR", text, c);
}

static void started(struct submission_table *t, struct submission *s, const struct node_id *head,
                    const Raia__Gcs__EntrypointEvent *event, struct commit *c)
{
    if (s->row->status == RUNNING && s->row->pid == event->pid &&
        pb_bytes_equal(s->row->node_id, head->bytes, NODE_ID_SIZE))
        return;
    s->row->status = RUNNING;
    s->row->pid = event->pid;
    if (pb_set_bytes(&s->row->node_id, head->bytes, NODE_ID_SIZE) < 0)
        commit_fail(c, RAIA_ERR_NOMEM);
    say(s, "Job is currently running.", c);
    store(t, s, c);
}

void submission_table_event(struct submission_table *t, struct gcs_now now,
                            const struct node_id *head, const Raia__Gcs__EntrypointEvent *event,
                            struct commit *c)
{
    struct submission *s = submission_table_find(t, event->submission_id);
    bool current = s && s->row->attempt == event->attempt && !submission_ended(s);

    switch (event->state) {
    case RAIA__GCS__ENTRYPOINT_STATE__ENTRYPOINT_STARTED:
        if (current)
            started(t, s, head, event, c);
        if (!current || s->row->stop_requested)
            send_stop(event->submission_id, event->attempt, head, c);
        return;
    case RAIA__GCS__ENTRYPOINT_STATE__ENTRYPOINT_EXITED:
        if (current)
            end_exited(t, now, s, event, c);
        break;
    case RAIA__GCS__ENTRYPOINT_STATE__ENTRYPOINT_START_FAILED:
        if (current)
            end_not_started(t, now, s, event, c);
        break;
    default:
        return;
    }
    send_ack(event, head, c);
}

static bool knows(Raia__Gcs__EntrypointEvent *const *events, size_t n, const struct submission *s)
{
    for (size_t i = 0; i < n; i++) {
        if (events[i]->attempt == s->row->attempt && strcmp(events[i]->submission_id, s->id) == 0)
            return true;
    }
    return false;
}

void submission_table_hello(struct submission_table *t, struct gcs_now now,
                            const struct node_id *head, Raia__Gcs__EntrypointEvent *const *events,
                            size_t n, struct commit *c)
{
    struct submission *s, *next;

    LIST_FOREACH_SAFE (s, next, &t->live, link) {
        s->sent = false;
        if (knows(events, n, s)) {
            s->sent = true;
            /* It may be a new raylet, which knows the process, and not what it holds. */
            if (s->row->n_resources)
                send_start(s, head, c);
        } else if (s->row->status == RUNNING)
            end(t, now, s, s->row->stop_requested ? STOPPED : FAILED, "JOB_SUPERVISOR_ACTOR_DIED",
                "The supervisor of the head node died, and the job's entrypoint with it.", c);
        else if (s->row->stop_requested)
            end(t, now, s, STOPPED, "", "Job was stopped before it started.", c);
        else
            send_start(s, head, c);
    }
    for (size_t i = 0; i < n; i++)
        submission_table_event(t, now, head, events[i], c);
}

void submission_table_head_lost(struct submission_table *t)
{
    struct submission *s;

    LIST_FOREACH (s, &t->live, link)
        s->sent = false;
}
