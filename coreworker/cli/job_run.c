/*
 * Jobs, followed (job_run.h).
 */
#include "cli/job_run.h"

#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/cluster.h"
#include "cli/working_dir.h"
#include "http/http_client.h"
#include "http/http_ws.h"

#define CONNECT_MS 5000
#define SLICE_MS   500 /* between looks at signals and deadlines */
#define RETRY_MS   100 /* between tries while the GCS is away */
#define GCS_AWAY_MS                                                                                \
    60000 /* then the job is given up as unknown (Ray's gcs_rpc_server_reconnect_timeout) */

int job_submit(const struct state_cluster *c, struct json *body, char ret_id[JOB_ID_MAX],
               struct raia_error *e)
{
    _cleanup_(json_freep) struct json *reply = NULL;
    const char *id;
    int r = working_dir_upload(c, json_get(body, "runtime_env"), e);
    if (r < 0)
        return r;
    r = api_call(c, "POST", "/api/jobs/", body, &reply, e);
    if (r == 0)
        r = json_get_str(reply, "submission_id", &id, e);
    if (r < 0)
        return err_wrap(e, "submit the job");
    snprintf(ret_id, JOB_ID_MAX, "%s", id);
    return 0;
}

static bool is_python(const char *entrypoint)
{
    for (const char *p = strstr(entrypoint, "python"); p; p = strstr(p + 1, "python")) {
        bool begins = p == entrypoint || strchr(" \t/;&|(", p[-1]);
        if (begins && strspn(p + 6, "0123456789.") == strcspn(p + 6, " \t"))
            return true;
    }
    return false;
}

int job_status(const struct state_cluster *c, const char *id, struct job_result *ret_result,
               bool *ret_ended, struct raia_error *e)
{
    _cleanup_(mem_freep) char *name = http_escape(id);
    _cleanup_(mem_freep) char *path = name ? mem_printf("/api/jobs/%s", name) : NULL;
    _cleanup_(json_freep) struct json *reply = NULL;
    const char *status, *message, *entrypoint;
    int64_t code;
    if (!path)
        return err_set(e, RAIA_ERR_NOMEM, "job '%s'", id);
    int r = api_call(c, "GET", path, NULL, &reply, e);
    if (r == 0)
        r = json_get_str(reply, "status", &status, e);
    if (r == 0)
        r = json_opt_str(reply, "message", "", &message, e);
    if (r == 0)
        r = json_opt_int(reply, "driver_exit_code", -1, &code, e);
    if (r == 0)
        r = json_opt_str(reply, "entrypoint", "", &entrypoint, e);
    if (r < 0)
        return err_wrap(e, "job '%s'", id);
    struct job_result *j = ret_result;
    snprintf(j->submission_id, sizeof j->submission_id, "%s", id);
    snprintf(j->status, sizeof j->status, "%s", status);
    snprintf(j->message, sizeof j->message, "%s", message ? message : "");
    for (size_t n = strlen(j->message); n && strchr(" \n", j->message[n - 1]); n--)
        j->message[n - 1] = 0;
    j->python = entrypoint && is_python(entrypoint);
    bool good = !strcmp(status, "SUCCEEDED");
    *ret_ended = good || !strcmp(status, "FAILED") || !strcmp(status, "STOPPED");
    j->exit_status = good ? 0 : code > 0 ? (int)code : 1;
    return 0;
}

void job_hint(FILE *out, const char *entrypoint)
{
    if (entrypoint && is_python(entrypoint))
        fprintf(out, "hint: Raia runs programs that are linked with libraia; a Python script that "
                     "imports ray does not run on it (yet)\n");
}

/* What a follower knows between connections. */
struct follower {
    const struct state_cluster *c;
    char *url;           /* of the log's tail */
    uint64_t written;    /* bytes of the log that were written out */
    int64_t deadline_ms; /* unix time; 0: none */
    int64_t away_since;  /* unix ms since when nobody answers; 0: they do */
    FILE *out;
};

static int check(const struct follower *f, struct raia_error *e)
{
    if (cluster_interrupted)
        return err_set(e, RAIA_ERR_CANCELED, "interrupted");
    if (f->deadline_ms && clock_unix_ms() >= f->deadline_ms)
        return err_set(e, RAIA_ERR_TIMEOUT, "the job's deadline passed");
    return 0;
}

/* One connection: 0 when the log ended in order, -UNAVAILABLE when the connection broke. The tail
 * begins with the log's first byte each time: what was written before is skipped. */
static int follow_once(struct follower *f, struct raia_error *e)
{
    _cleanup_(ws_freep) struct ws_client *ws = NULL;
    int r = ws_connect(f->url, f->c->token, CONNECT_MS, &ws, NULL);
    uint64_t seen = 0;
    while (r == 0) {
        const char *data;
        size_t len;
        if ((r = check(f, e)) < 0)
            return r;
        r = ws_receive(ws, SLICE_MS, &data, &len, NULL);
        if (r == -RAIA_ERR_TIMEOUT) {
            r = 0;
            continue;
        }
        if (r == -RAIA_ERR_SHUTDOWN)
            return 0;
        if (r < 0)
            break;
        f->away_since = 0;
        size_t skip = seen < f->written ? (size_t)(f->written - seen) : 0;
        if (skip < len) {
            fwrite(data + skip, 1, len - skip, f->out);
            fflush(f->out);
            f->written += len - skip;
        }
        seen += len;
    }
    return -RAIA_ERR_UNAVAILABLE;
}

int job_follow(const struct state_cluster *c, const char *id, int64_t deadline_ms, FILE *out,
               struct job_result *ret_result, struct raia_error *e)
{
    _cleanup_(mem_freep) char *name = http_escape(id);
    _cleanup_(mem_freep) char *url =
        name ? mem_printf("%s/api/jobs/%s/logs/tail", c->api_url, name) : NULL;
    if (!url)
        return err_set(e, RAIA_ERR_NOMEM, "job '%s'", id);
    struct follower f = {.c = c, .url = url, .deadline_ms = deadline_ms, .out = out};
    for (;;) {
        bool ended = false;
        struct raia_error last = {0};
        int r = check(&f, e);
        if (r == 0) {
            r = follow_once(&f, e);
            if (r < 0 && r != -RAIA_ERR_UNAVAILABLE)
                return r;
            r = job_status(c, id, ret_result, &ended, &last);
            if (r == 0 && ended)
                return 0;
            if (r == 0)
                f.away_since = 0;
            else if (last.code == RAIA_ERR_NOT_FOUND)
                return err_set(e, RAIA_ERR_NOT_FOUND, "%s", last.text);
        }
        if (r < 0 && (r = check(&f, e)) < 0)
            return r;
        int64_t now = clock_unix_ms();
        if (!ended && last.code && !f.away_since)
            f.away_since = now;
        if (f.away_since && now - f.away_since > GCS_AWAY_MS)
            return err_set(e, RAIA_ERR_UNAVAILABLE, "job '%s': nobody answers: %s", id, last.text);
        poll(NULL, 0, RETRY_MS);
    }
}
