/*
 * What a controller does (controller.h): a job to its end. It logs plain lines to its standard
 * error, which is DIR/jobs/NAME.log.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/cluster.h"
#include "cli/controller.h"
#include "crypto/crypto.h"
#include "http/http_client.h"
#include "json/json.h"

#define LOOK_FIRST_MS  20    /* between looks at the job, at first */
#define LOOK_MAX_MS    250   /* and in the end */
#define RETRY_MS       200   /* between tries while the GCS is away */
#define GCS_AWAY_MS    60000 /* then the job is given up (Ray's gcs_rpc_server_reconnect_timeout) */
#define STOP_WAIT_MS   20000 /* for a stopped job to end */
#define BACKOFF_MIN_MS 100   /* before the second attempt; doubled before each further one */
#define BACKOFF_MAX_MS 10000 /* up to this */
#define STATE_MAX_TEXT 512   /* bytes of a message */

struct control {
    char *dir;              /* of the cluster */
    char *name;             /* of the job */
    char *lock;             /* NAME.pid, held */
    struct json *spec;      /* NAME.spec.json */
    struct state_cluster c; /* where it runs */
    struct controller_state s;
};

/* Puts a result into an object that is the tree's already. */
static int fill_result(struct json *o, const struct job_result *from)
{
    int r = json_set_str(o, "submission_id", from->submission_id);
    if (r == 0)
        r = json_set_str(o, "status", from->status);
    if (r == 0)
        r = json_set_str(o, "message", from->message);
    return r == 0 ? json_set_int(o, "exit_status", from->exit_status) : r;
}

static int write_state(const struct control *k)
{
    struct raia_error e = {0};
    _cleanup_(json_freep) struct json *root = json_new_object();
    _cleanup_(mem_freep) char *path = mem_printf("%s/jobs/%s.state.json", k->dir, k->name);
    struct json *last = json_new_object(), *past = json_new_array();
    int r = json_set(root, "last", last); /* takes them in any case */
    int r2 = json_set(root, "past", past);
    r = r == 0 ? r2 : r;
    if (r == 0)
        r = path ? json_set_bool(root, "ended", k->s.ended) : -RAIA_ERR_NOMEM;
    if (r == 0)
        r = json_set_bool(root, "done", k->s.done);
    if (r == 0)
        r = json_set_str(root, "id", k->s.id);
    if (r == 0)
        r = json_set_int(root, "begun", k->s.begun);
    if (r == 0)
        r = json_set_int(root, "deadline_ms", k->s.deadline_ms);
    if (r == 0)
        r = json_set_int(root, "ended_ms", k->s.ended_ms);
    if (r == 0)
        r = json_set_int(root, "attempt", k->s.attempt);
    if (r == 0)
        r = fill_result(last, &k->s.last);
    for (size_t i = 0; r == 0 && i < k->s.n_past; i++) {
        struct json *o = json_new_object();
        r = json_append(past, o);
        r = r == 0 ? fill_result(o, &k->s.past[i]) : r;
    }
    _cleanup_(mem_freep) char *text = r == 0 ? json_print(root, JSON_PRETTY, NULL) : NULL;
    r = text ? io_write_file(path, text, strlen(text), 0600, 0, &e) : -RAIA_ERR_NOMEM;
    if (r < 0)
        fprintf(stderr, "cannot write the state of job '%s': %s\n", k->name, e.text);
    return r;
}

static void end_as(struct control *k, const char *status, const char *message)
{
    snprintf(k->s.last.status, sizeof k->s.last.status, "%s", status);
    snprintf(k->s.last.message, sizeof k->s.last.message, "%s", message);
    if (!k->s.last.exit_status)
        k->s.last.exit_status = 1;
}

/* Whether to go on: not when the cluster is gone or `raia down` says to end. */
static bool gone(struct control *k)
{
    if (cluster_interrupted)
        end_as(k, "STOPPED", "the cluster was taken down");
    else if (!state_alive(k->dir, NULL))
        end_as(k, "FAILED", "the cluster is gone: its keeper died");
    else
        return false;
    return true;
}

/* One request, tried again while the GCS is away (it is restarted when it dies). again: it may be
 * there already, from a try whose answer was not seen. */
static int submit(struct control *k, struct json *body, bool again)
{
    int64_t until = clock_deadline_ms(GCS_AWAY_MS);
    for (;; again = true) {
        struct raia_error e = {0};
        char made[JOB_ID_MAX];
        int r = job_submit(&k->c, body, made, &e);
        if (r < 0 && again && strstr(e.text, "use a different submission_id"))
            return 0;
        if (r == 0 || gone(k))
            return r;
        if ((r != -RAIA_ERR_UNAVAILABLE && r != -RAIA_ERR_TIMEOUT) || clock_now_ns() > until) {
            end_as(k, "FAILED", e.text);
            return r;
        }
        poll(NULL, 0, RETRY_MS);
    }
}

static struct json *attempt_body(const struct control *k, const char *id)
{
    _cleanup_(json_freep) struct json *body = json_copy(json_get(k->spec, "body"));
    return body && json_set_str(body, "submission_id", id) == 0 ? STEAL(body) : NULL;
}

static void stop_job(struct control *k)
{
    _cleanup_(mem_freep) char *id = http_escape(k->s.last.submission_id);
    _cleanup_(mem_freep) char *path = id ? mem_printf("/api/jobs/%s/stop", id) : NULL;
    if (path)
        (void)api_call(&k->c, "POST", path, NULL, NULL, NULL);
}

static bool past_deadline(const struct control *k)
{
    return k->s.deadline_ms && clock_unix_ms() >= k->s.deadline_ms;
}

/* Waits until the attempt has ended; k->s.last tells how. False: there is nothing to wait for any
 * more. */
static bool watch(struct control *k)
{
    int64_t away_since = 0, stopped_at = 0;
    bool decided = *k->s.last.status; /* the controller before this one stopped it */
    int look_ms = LOOK_FIRST_MS;
    for (;;) {
        struct raia_error e = {0};
        struct job_result res;
        bool ended = false;
        int64_t now = clock_unix_ms();
        int r = job_status(&k->c, k->s.last.submission_id, &res, &ended, &e);
        if (r == 0 && ended && !stopped_at && !decided)
            k->s.last = res;
        if ((r == 0 && ended) || (stopped_at && now - stopped_at > STOP_WAIT_MS))
            return true;
        if (gone(k))
            return false;
        away_since = r == 0 ? 0 : away_since ? away_since : now;
        if (e.code == RAIA_ERR_NOT_FOUND || (away_since && now - away_since > GCS_AWAY_MS)) {
            end_as(k, "FAILED", e.text);
            return false;
        }
        if (past_deadline(k) && !stopped_at) {
            char text[STATE_MAX_TEXT];
            int64_t s = 0;
            (void)json_opt_int(k->spec, "active_deadline_s", 0, &s, NULL);
            snprintf(text, sizeof text, "DeadlineExceeded: it ran longer than %lld s",
                     (long long)s);
            end_as(k, "FAILED", text);
            (void)write_state(k); /* so that who comes after us knows why it is STOPPED */
            stop_job(k);
            stopped_at = now;
        }
        poll(NULL, 0, look_ms);
        look_ms = look_ms * 3 / 2 > LOOK_MAX_MS ? LOOK_MAX_MS : look_ms * 3 / 2;
    }
}

static void remember(struct controller_state *s, const struct job_result *res)
{
    if (s->n_past == CONTROLLER_PAST_MAX)
        memmove(s->past, s->past + 1, --s->n_past * sizeof *s->past);
    s->past[s->n_past++] = *res;
}

/* Submits once more. False: there is nothing to wait for. */
static bool begin_attempt(struct control *k)
{
    struct job_result before = k->s.last;
    char id[JOB_ID_MAX];
    int64_t attempt = k->s.attempt + 1;
    bool again = k->s.begun == attempt;
    if (attempt > 1)
        snprintf(id, sizeof id, "%s-%lld", k->s.id, (long long)attempt);
    else
        snprintf(id, sizeof id, "%s", k->s.id);
    _cleanup_(json_freep) struct json *body = attempt_body(k, id);
    k->s.begun = attempt;
    bool noted = write_state(k) == 0; /* with the result of the one before */
    k->s.last = (struct job_result){0};
    if (!body || !noted) {
        end_as(k, "FAILED", noted ? "out of memory" : "the controller cannot write its state");
        return false;
    }
    if (submit(k, body, again) < 0)
        return false;
    snprintf(k->s.last.submission_id, sizeof k->s.last.submission_id, "%s", id);
    if (k->s.attempt++)
        remember(&k->s, &before);
    fprintf(stderr, "attempt %lld is %s\n", (long long)k->s.attempt, id);
    (void)write_state(k);
    return true;
}

static void run_attempts(struct control *k)
{
    int64_t limit = 0, wait_ms = BACKOFF_MIN_MS;
    /* Taken over from a controller that was killed: its attempt goes on, unless it was over. */
    bool under_way = k->s.attempt && k->s.begun == k->s.attempt;
    (void)json_opt_int(k->spec, "backoff_limit", 0, &limit, NULL);
    for (int64_t i = 1; i < k->s.attempt && wait_ms < BACKOFF_MAX_MS; i++)
        wait_ms *= 2;
    for (; (under_way || begin_attempt(k)) && watch(k); under_way = false) {
        fprintf(stderr, "attempt %lld: %s: %s\n", (long long)k->s.attempt, k->s.last.status,
                k->s.last.message);
        if (strcmp(k->s.last.status, "FAILED") || k->s.attempt > limit)
            return;
        for (int64_t until = clock_unix_ms() + wait_ms; clock_unix_ms() < until;)
            if (past_deadline(k) || gone(k))
                return;
            else
                poll(NULL, 0, LOOK_FIRST_MS);
        wait_ms = wait_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait_ms * 2;
    }
}

/* shutdownAfterJobFinishes, ttlSecondsAfterFinished later. */
static void shut_down(struct control *k)
{
    int64_t ttl = 0;
    struct raia_error e = {0};
    (void)json_opt_int(k->spec, "ttl_s", 0, &ttl, NULL);
    int64_t until = k->s.ended_ms + ttl * 1000;
    while (clock_unix_ms() < until && !cluster_interrupted && state_alive(k->dir, NULL))
        poll(NULL, 0, LOOK_MAX_MS);
    if (cluster_interrupted)
        return;
    if (cluster_down_from(k->c.name, k->lock, &e) < 0)
        fprintf(stderr, "cannot take the cluster down: %s\n", e.text);
    else
        fprintf(stderr, "the cluster is down (shutdownAfterJobFinishes)\n");
}

/* What the controller before this one has written; a first one begins with its choices. */
static int begin_state(struct control *k, int64_t deadline_s, struct raia_error *e)
{
    static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz123456789";
    const char *id = json_str(json_get(k->spec, "submission_id"));
    uint8_t random[16];
    struct raia_error none = {0};
    int r = controller_look(k->dir, k->name, &k->s, &none);
    if (r == 0) {
        fprintf(stderr, "taken over: attempt %lld%s\n", (long long)k->s.attempt,
                k->s.ended ? ", ended" : "");
        return 0;
    }
    if (r != -RAIA_ERR_NOT_FOUND) {
        *e = none;
        return r;
    }
    k->s.deadline_ms = deadline_s ? clock_unix_ms() + deadline_s * 1000 : 0;
    if (id) {
        snprintf(k->s.id, sizeof k->s.id, "%s", id);
        return 0;
    }
    if (crypto_random(random, sizeof random) < 0)
        return err_set(e, RAIA_ERR_IO, "no random bytes to be had");
    size_t n = (size_t)snprintf(k->s.id, sizeof k->s.id, "raysubmit_"); /* as Ray makes them */
    for (size_t i = 0; i < sizeof random; i++)
        k->s.id[n++] = letters[random[i] % (sizeof letters - 1)];
    k->s.id[n] = 0;
    return 0;
}

static int load(struct control *k, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/jobs/%s.spec.json", k->dir, k->name);
    const char *cluster;
    int64_t seconds = 0;
    int r = path ? json_load(path, NULL, &k->spec, e) : err_set(e, RAIA_ERR_NOMEM, "the job");
    if (r == 0)
        r = json_get_str(k->spec, "cluster", &cluster, e);
    if (r == 0)
        r = json_opt_int(k->spec, "active_deadline_s", 0, &seconds, e);
    if (r == 0)
        r = state_open(cluster, &k->c, e);
    return r == 0 ? begin_state(k, seconds, e) : r;
}

int controller_run(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: raia job-controller DIR NAME (`raia up` calls it)\n");
        return 2;
    }
    struct raia_error e = {0};
    struct control k = {.dir = argv[1], .name = argv[2]};
    _cleanup_(fd_closep) int fd = -1;
    k.lock = mem_printf("%s/jobs/%s.pid", k.dir, k.name);
    cluster_catch_signals();
    int r = k.lock ? fd_lock(k.lock, &fd, &e) : err_set(&e, RAIA_ERR_NOMEM, "the controller");
    if (r == 0)
        r = load(&k, &e);
    if (r == 0)
        r = write_state(&k);
    if (r < 0) {
        fprintf(stderr, "job '%s': %s\n", k.name, e.text);
    } else {
        bool shutdown = json_true(json_get(k.spec, "shutdown"));
        if (!k.s.ended) {
            run_attempts(&k);
            k.s.ended = true;
            k.s.ended_ms = clock_unix_ms();
            fprintf(stderr, "%s\n", k.s.last.status);
            k.s.done = !shutdown;
            r = write_state(&k);
        }
        if (shutdown && state_alive(k.dir, NULL))
            shut_down(&k);
        if (!k.s.done) {
            k.s.done = true;
            (void)write_state(&k);
        }
    }
    state_cluster_done(&k.c);
    json_free(k.spec);
    mem_free(k.lock);
    return r < 0;
}
