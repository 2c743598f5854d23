/*
 * One request and its answer, as handlers see them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "http/http_server_impl.h"

struct http_exchange *http_exchange_new__(struct http_server *s, const char *uri)
{
    struct http_exchange *x = mem_new(struct http_exchange);
    if (!x)
        return NULL;
    x->s = s;
    x->refs = 1;
    x->target_error = http_target_parse(uri, &x->target);
    s->stats.open_now++;
    return x;
}

void http_exchange_unref__(struct http_exchange *x)
{
    if (--x->refs > 0)
        return;
    if (x->response)
        MHD_destroy_response(x->response);
    if (x->free_user)
        x->free_user(x->user);
    for (size_t i = 0; i < x->n_headers; i++) {
        mem_free(x->headers[i][0]);
        mem_free(x->headers[i][1]);
    }
    http_target_done(&x->target);
    mem_free(x->body);
    mem_free(x);
}

void http_exchange_list__(struct http_exchange *x)
{
    struct http_server *s = x->s;
    x->prev = s->last;
    x->next = NULL;
    *(s->last ? &s->last->next : &s->waiting) = x;
    s->last = x;
    x->listed = true;
    http_server_wake__(s, (uint64_t)s->opt.answer_timeout_ms);
}

/* Out of the list; what is unlisted by the end of its connection may outlive the server. */
void http_exchange_unlist__(struct http_exchange *x)
{
    struct http_server *s = x->s;
    if (!x->listed)
        return;
    *(x->prev ? &x->prev->next : &s->waiting) = x->next;
    *(x->next ? &x->next->prev : &s->last) = x->prev;
    x->listed = false;
}

const char *http_method(const struct http_exchange *x)
{
    return x->route ? x->route->method : "";
}

const char *http_path(const struct http_exchange *x)
{
    return x->target.path ? x->target.path : "";
}

const char *http_param(const struct http_exchange *x, const char *name)
{
    return http_params_get(&x->params, name);
}

const char *http_query(const struct http_exchange *x, const char *name)
{
    return http_target_query(&x->target, name, 0);
}

const char *http_query_at(const struct http_exchange *x, const char *name, size_t i)
{
    return http_target_query(&x->target, name, i);
}

const char *http_header_of(const struct http_exchange *x, const char *name)
{
    return x->conn ? MHD_lookup_connection_value(x->conn, MHD_HEADER_KIND, name) : NULL;
}

const char *http_body(const struct http_exchange *x, size_t *ret_len)
{
    if (ret_len)
        *ret_len = x->body ? x->body_len : 0;
    return x->body ? x->body : "";
}

int http_body_json(struct http_exchange *x, struct json **ret_root)
{
    struct raia_error e = {0};
    size_t len;
    const char *text = http_body(x, &len);
    int r = json_parse(text, len, NULL, ret_root, &e);
    if (r == -RAIA_ERR_NOMEM)
        http_answer_failure(x, &e);
    else if (r < 0)
        http_answer_error(x, 400, "the body is not valid JSON: %s", e.text);
    return r;
}

bool http_closed(const struct http_exchange *x)
{
    return !x->conn || x->late;
}

void http_set_user(struct http_exchange *x, void *user, void (*free_user)(void *user))
{
    if (x->free_user && x->user != user)
        x->free_user(x->user);
    x->user = user;
    x->free_user = free_user;
}

void *http_user(const struct http_exchange *x)
{
    return x->user;
}

/* -- answers ---------------------------------------------------------------------------------- */

int http_answer_header(struct http_exchange *x, const char *name, const char *value)
{
    if (x->n_headers == HTTP_HEADERS_MAX)
        return -RAIA_ERR_LIMIT;
    if (strpbrk(name, "\r\n:") || strpbrk(value, "\r\n"))
        return -RAIA_ERR_INVALID;
    _cleanup_(mem_freep) char *n = mem_strdup(name), *v = mem_strdup(value);
    if (!n || !v)
        return -RAIA_ERR_NOMEM;
    x->headers[x->n_headers][0] = STEAL(n);
    x->headers[x->n_headers++][1] = STEAL(v);
    return 0;
}

static struct MHD_Response *typed(struct MHD_Response *r, const char *type)
{
    if (r && MHD_add_response_header(r, "Content-Type", type) != MHD_YES) {
        MHD_destroy_response(r);
        return NULL;
    }
    return r;
}

/* The text is taken over. */
static struct MHD_Response *from_text(char *text, size_t len, const char *type)
{
    if (!text)
        return NULL;
    struct MHD_Response *r =
        MHD_create_response_from_buffer_with_free_callback(len, text, mem_free);
    if (!r)
        mem_free(text);
    return typed(r, type);
}

struct MHD_Response *http_error_response__(const char *text)
{
    _cleanup_(json_freep) struct json *o = json_new_object();
    size_t len = 0;
    if (json_set_str(o, "error", text) < 0)
        return NULL;
    char *body = json_print(o, JSON_COMPACT, &len);
    return from_text(body, len, "application/json");
}

void http_exchange_finish__(struct http_exchange *x, int status, struct MHD_Response *r)
{
    static char no_memory[] = "{\"error\":\"out of memory\"}";
    if (!r) {
        status = 503;
        r = typed(MHD_create_response_from_buffer(sizeof no_memory - 1, no_memory,
                                                  MHD_RESPMEM_PERSISTENT),
                  "application/json");
    }
    http_exchange_unlist__(x);
    if (x->conn && !x->response && x->phase == HTTP_HANDLING && r) {
        for (size_t i = 0; i < x->n_headers; i++)
            MHD_add_response_header(r, x->headers[i][0], x->headers[i][1]);
        x->response = r;
        x->status = status;
        if (x->suspended) {
            x->suspended = false;
            MHD_resume_connection(x->conn);
            if (x->s)
                http_server_wake__(x->s, 0); /* this may not come from a step */
        }
    } else if (r) {
        MHD_destroy_response(r);
    }
    http_exchange_unref__(x);
}

void http_answer_take(struct http_exchange *x, int status, const char *type, char *body, size_t len)
{
    http_exchange_finish__(x, status, from_text(body, len, type));
}

void http_answer(struct http_exchange *x, int status, const char *type, const void *body,
                 size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (copy && len)
        memcpy(copy, body, len);
    http_answer_take(x, status, type, copy, len);
}

void http_answer_text(struct http_exchange *x, int status, const char *text)
{
    http_answer(x, status, "text/plain; charset=utf-8", text, strlen(text));
}

void http_answer_json(struct http_exchange *x, int status, struct json *root)
{
    size_t len = 0;
    char *text = root ? json_print(root, JSON_COMPACT, &len) : NULL;
    json_free(root);
    http_answer_take(x, status, "application/json", text, len);
}

void http_answer_error(struct http_exchange *x, int status, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    http_exchange_finish__(x, status, http_error_response__(text));
}

void http_answer_failure(struct http_exchange *x, const struct raia_error *error)
{
    static const struct {
        int code, status;
    } table[] = {
        {RAIA_ERR_INVALID, 400},     {RAIA_ERR_PROTOCOL, 400},    {RAIA_ERR_PERMISSION, 403},
        {RAIA_ERR_NOT_FOUND, 404},   {RAIA_ERR_EXISTS, 409},      {RAIA_ERR_STATE, 409},
        {RAIA_ERR_LIMIT, 429},       {RAIA_ERR_UNSUPPORTED, 501}, {RAIA_ERR_NOMEM, 503},
        {RAIA_ERR_UNAVAILABLE, 503}, {RAIA_ERR_SHUTDOWN, 503},    {RAIA_ERR_WRONG_LEADER, 503},
        {RAIA_ERR_TIMEOUT, 504},     {RAIA_ERR_DISK_FULL, 507}};
    int status = 500;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].code == error->code)
            status = table[i].status;
    http_exchange_finish__(
        x, status,
        http_error_response__(error->text[0] ? error->text : raia_strerror(error->code)));
}

void http_answer_file(struct http_exchange *x, int status, const char *type, int fd,
                      uint64_t offset, uint64_t size)
{
    struct MHD_Response *r = MHD_create_response_from_fd_at_offset64(size, fd, offset);
    if (!r)
        close(fd);
    http_exchange_finish__(x, status, typed(r, type));
}
