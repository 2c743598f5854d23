/* The REST API: its routes, its life, and how it answers. */
#include "rest/rest.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "rest/rest_impl.h"

#define JOB_BODY_MAX (4u << 20)
#define UPLOAD_MAX   ((size_t)512 << 20) /* Ray's clients refuse about as much */

static void on_version(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;
    char session[96];
    struct json *root = json_new_object();

    (void)snprintf(session, sizeof session, "session_%s", gcs_core_cluster_id(rest->options.core));
    if (json_set_str(root, "version", "4") < 0 || json_set_str(root, "ray_version", "2.60.0") < 0 ||
        json_set_str(root, "ray_commit", "raia") < 0 ||
        json_set_str(root, "session_name", session) < 0) {
        json_free(root);
        root = NULL;
    }
    http_answer_json(x, 200, root);
}

static void on_healthz(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_answer_text(x, 200, "success");
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/healthz", .handle = on_healthz, .open = true},
    {.method = "GET", .pattern = "/api/gcs_healthz", .handle = on_healthz},
    {.method = "GET", .pattern = "/api/version", .handle = on_version},
    {.method = "GET", .pattern = "/metrics", .handle = rest_metrics},
    {.method = "POST",
     .pattern = "/api/jobs/",
     .handle = rest_jobs_submit,
     .max_body = JOB_BODY_MAX},
    {.method = "GET", .pattern = "/api/jobs/", .handle = rest_jobs_list},
    {.method = "GET", .pattern = "/api/jobs/{id}", .handle = rest_jobs_get},
    {.method = "DELETE", .pattern = "/api/jobs/{id}", .handle = rest_jobs_delete},
    {.method = "POST", .pattern = "/api/jobs/{id}/stop", .handle = rest_jobs_stop},
    {.method = "GET", .pattern = "/api/jobs/{id}/logs", .handle = rest_jobs_logs},
    {.method = "GET", .pattern = "/api/jobs/{id}/logs/tail", .handle = rest_jobs_tail},
    {.method = "GET", .pattern = "/api/packages/{protocol}/{name}", .handle = rest_package_get},
    {.method = "PUT",
     .pattern = "/api/packages/{protocol}/{name}",
     .handle = rest_package_put,
     .on_body = rest_package_body,
     .max_body = UPLOAD_MAX},
    {.method = "GET", .pattern = "/api/v0/{what}", .handle = rest_state_list},
    {.method = "GET", .pattern = "/api/v0/{what}/summarize", .handle = rest_state_summary},
};

static void on_ready(void *arg, int fd, unsigned events)
{
    struct rest *rest = arg;

    (void)fd;
    (void)events;
    http_server_step(rest->server);
}

int rest_new(const struct rest_options *options, struct rest **ret_rest, struct raia_error *e)
{
    struct rest *rest = mem_new(struct rest);
    struct http_server_options o = {0};
    int r;

    if (!rest)
        return err_set(e, RAIA_ERR_NOMEM, "REST API");
    list_init(&rest->tails);
    list_init(&rest->uploads);
    list_init(&rest->job_waits);
    rest->options = *options;
    if (rest->options.max_log == 0)
        rest->options.max_log = 16u << 20;
    rest->host = mem_strdup(options->host);
    rest->token = mem_strdup(options->token);
    rest->session_dir = mem_strdup(options->session_dir);
    o.bind = rest->host;
    o.port = options->port;
    o.token = rest->token;
    if (!rest->host || !rest->session_dir || (options->token && !rest->token))
        r = err_set(e, RAIA_ERR_NOMEM, "REST API");
    else
        r = rest_metrics_new(rest, e);
    if (r == 0)
        r = http_server_new(&o, routes, sizeof routes / sizeof routes[0], rest, &rest->server, e);
    if (r == 0)
        r = loop_fd_new(options->loop, http_server_fd(rest->server), LOOP_READ, on_ready, rest,
                        &rest->server_fd, e);
    if (r < 0) {
        rest_free(rest);
        return r;
    }
    *ret_rest = rest;
    return 0;
}

uint16_t rest_port(const struct rest *rest)
{
    return http_server_port(rest->server);
}

void rest_free(struct rest *rest)
{
    if (!rest)
        return;
    loop_fd_free(rest->server_fd);
    http_server_free(rest->server); /* ends the tails */
    rest_tails_end(rest);
    rest_uploads_forget(rest);
    rest_job_waits_end(rest);
    rest_metrics_free(rest);
    mem_free(rest->host);
    mem_free(rest->token);
    mem_free(rest->session_dir);
    mem_free(rest);
}

/* ---- answers ---- */

void rest_answer_failure(struct http_exchange *x, const struct raia_error *e)
{
    int status;

    switch (e->code) {
    case RAIA_ERR_INVALID:
    case RAIA_ERR_STATE:
    case RAIA_ERR_PROTOCOL:
        status = 400;
        break;
    case RAIA_ERR_NOT_FOUND:
        status = 404;
        break;
    case RAIA_ERR_LIMIT:
        status = 429;
        break;
    case RAIA_ERR_UNAVAILABLE:
    case RAIA_ERR_SHUTDOWN:
        status = 503;
        break;
    default:
        status = 500; /* also for a submission_id that exists, as Ray does */
    }
    http_answer_text(x, status, e->text);
}

static void on_done(struct gcs_waiter *w, const struct raia_error *e, const void *data, size_t size)
{
    struct rest_wait *wait = (struct rest_wait *)(void *)w;

    if (e)
        rest_answer_failure(wait->x, e);
    else
        wait->answer(wait->x, data, size);
    mem_free(wait);
}

struct rest_wait *rest_wait_new(struct http_exchange *x,
                                void (*answer)(struct http_exchange *x, const void *data,
                                               size_t size))
{
    struct rest_wait *wait = mem_new(struct rest_wait);

    if (!wait) {
        http_answer_error(x, 503, "out of memory");
        return NULL;
    }
    wait->waiter.done = on_done;
    wait->x = x;
    wait->answer = answer;
    return wait;
}

static void answer_bytes(struct http_exchange *x, const void *data, size_t size)
{
    http_answer(x, 200, "application/json", data, size);
}

void rest_answer_state(struct rest *rest, struct http_exchange *x, struct json *root)
{
    size_t size = 0;
    _cleanup_(mem_freep) char *text = root ? json_print(root, JSON_COMPACT, &size) : NULL;
    struct rest_wait *wait;

    json_free(root);
    if (!text) {
        http_answer_error(x, 503, "out of memory");
        return;
    }
    wait = rest_wait_new(x, answer_bytes);
    if (wait)
        gcs_core_answer(rest->options.core, &wait->waiter, text, size);
}

const char *rest_hex(ProtobufCBinaryData bytes, char *buf)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = bytes.len > 16 ? 16 : bytes.len;

    for (size_t i = 0; i < n; i++) {
        buf[2 * i] = digits[bytes.data[i] >> 4];
        buf[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    buf[2 * n] = 0;
    return buf;
}
