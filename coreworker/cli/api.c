/*
 * REST requests (api.h).
 */
#include "cli/api.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/http_client.h"

#define UPLOAD_MS      600000 /* for a package */
#define UPLOAD_IDLE_MS 60000  /* without a byte: the server writes it to its disk in the end */

/* Asks; a status that is no success is an error. */
static int ask(const struct http_request *rq, struct http_reply *rp, struct raia_error *e)
{
    int r = http_do(rq, rp, e);
    if (r == 0 && (rp->status < 200 || rp->status > 299))
        r = http_reply_error(rp, e);
    return r < 0 ? err_wrap(e, "%s %s", rq->method, rq->url) : 0;
}

int api_call(const struct state_cluster *c, const char *method, const char *path,
             const struct json *body, struct json **ret_reply, struct raia_error *e)
{
    _cleanup_(mem_freep) char *url = mem_printf("%s%s", c->api_url, path);
    _cleanup_(mem_freep) char *text = NULL;
    size_t len = 0;
    if (!url || (body && !(text = json_print(body, JSON_COMPACT, &len))))
        return err_set(e, RAIA_ERR_NOMEM, "%s %s", method, path);
    struct http_request rq = {
        .method = method, .url = url, .bearer = c->token, .body = text, .body_len = len};
    _cleanup_(http_reply_done) struct http_reply rp = {0};
    int r = ask(&rq, &rp, e);
    if (r < 0)
        return r;
    struct json *reply = NULL;
    if (rp.body_len && ret_reply && (r = json_parse(rp.body, rp.body_len, NULL, &reply, e)) < 0)
        return err_wrap(e, "%s %s: the answer is not JSON", method, url);
    if (ret_reply)
        *ret_reply = reply;
    return 0;
}

int api_upload(const struct state_cluster *c, const char *path, int fd, size_t size,
               struct raia_error *e)
{
    _cleanup_(mem_freep) char *url = mem_printf("%s%s", c->api_url, path);
    _cleanup_(http_reply_done) struct http_reply rp = {0};
    if (!url)
        return err_set(e, RAIA_ERR_NOMEM, "PUT %s", path);
    struct http_request rq = {.method = "PUT",
                              .url = url,
                              .bearer = c->token,
                              .body_from_fd = true,
                              .body_fd = fd,
                              .body_len = size,
                              .content_type = "application/zip",
                              .timeout_ms = UPLOAD_MS,
                              .idle_timeout_ms = UPLOAD_IDLE_MS};
    return ask(&rq, &rp, e);
}

int api_alive_nodes(const struct state_cluster *c, size_t *ret_n, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *reply = NULL;
    int r = api_call(c, "GET", "/api/v0/nodes?limit=10000", NULL, &reply, e);
    if (r < 0)
        return r;
    size_t n = 0;
    JSON_FOREACH(it, json_at(reply, "data.result.result"))
    {
        const char *state = json_str(json_get(it, "state"));
        n += state && !strcmp(state, "ALIVE");
    }
    *ret_n = n;
    return 0;
}
