/*
 * A request as a libcurl transfer, and its result as ours.
 */
#include "http/http_transfer.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

static int end_with(struct http_transfer *t, int code)
{
    t->failure = code;
    return 0; /* fewer bytes than given: libcurl ends the transfer */
}

static int keep(struct http_transfer *t, const char *data, size_t n)
{
    if (n > t->max_reply - t->reply.body_len)
        return -RAIA_ERR_LIMIT;
    size_t need = t->reply.body_len + n + 1;
    if (need > t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 4096;
        while (cap < need)
            cap *= 2;
        char *p = mem_realloc(t->reply.body, cap);
        if (!p)
            return -RAIA_ERR_NOMEM;
        t->reply.body = p;
        t->cap = cap;
    }
    memcpy(t->reply.body + t->reply.body_len, data, n);
    t->reply.body_len += n;
    t->reply.body[t->reply.body_len] = '\0';
    return 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
    struct http_transfer *t = arg;
    long status = 0;
    n *= size;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    int r =
        t->on_body && status / 100 == 2 ? t->on_body(t->on_body_arg, data, n) : keep(t, data, n);
    return r < 0 ? (size_t)end_with(t, r) : n;
}

static size_t on_upload(char *buf, size_t size, size_t n, void *arg)
{
    struct http_transfer *t = arg;
    n *= size;
    if (n > t->body_left)
        n = t->body_left;
    if (n == 0)
        return 0;
    ssize_t got;
    do
        got = read(t->body_fd, buf, n);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        t->failure = -RAIA_ERR_IO;
        return CURL_READFUNC_ABORT;
    }
    t->body_left -= (size_t)got;
    return (size_t)got;
}

static bool add_header(struct http_transfer *t, const char *name, const char *value)
{
    /* A line break would let a value add headers of its own. */
    if (strpbrk(name, "\r\n:") || strpbrk(value, "\r\n")) {
        t->failure = -RAIA_ERR_INVALID;
        return false;
    }
    _cleanup_(mem_freep) char *line = mem_printf("%s: %s", name, value);
    struct curl_slist *more = line ? curl_slist_append(t->headers, line) : NULL;
    if (more)
        t->headers = more;
    else
        t->failure = -RAIA_ERR_NOMEM;
    return more != NULL;
}

static bool set_headers(struct http_transfer *t, const struct http_request *rq)
{
    bool body = rq->body || rq->body_from_fd;
    for (size_t i = 0; i < rq->n_headers; i++)
        if (!add_header(t, rq->headers[i].name, rq->headers[i].value))
            return false;
    if (body &&
        !add_header(t, "Content-Type", rq->content_type ? rq->content_type : "application/json"))
        return false;
    if (rq->bearer) {
        _cleanup_(mem_freep) char *value = mem_printf("Bearer %s", rq->bearer);
        if (!value || !add_header(t, "Authorization", value)) {
            t->failure = t->failure ? t->failure : -RAIA_ERR_NOMEM;
            return false;
        }
    }
    return true;
}

static bool taken(struct http_transfer *t, CURLcode code)
{
    if (code == CURLE_OUT_OF_MEMORY)
        t->failure = -RAIA_ERR_NOMEM;
    return code == CURLE_OK;
}

#define SET(option, value) taken(t, curl_easy_setopt(t->easy, option, value))

/* libcurl keeps a copy: the texts may go. */
static bool set_pem(struct http_transfer *t, CURLoption option, const char *pem)
{
    struct curl_blob blob = {(void *)(uintptr_t)pem, pem ? strlen(pem) : 0, CURL_BLOB_COPY};
    return !pem || taken(t, curl_easy_setopt(t->easy, option, &blob));
}

/*
 * The CAs that everybody trusts: libcurl's own file, or, in an image that has none, the one that lies
 * beside our libraries (*ret_path NULL: libcurl's).
 */
static int bundled_cas(char **ret_path)
{
    char self[4096];
    ssize_t n = access("/etc/ssl/certs/ca-certificates.crt", R_OK) == 0
                    ? -1
                    : readlink("/proc/self/exe", self, sizeof self - 1);
    *ret_path = NULL;
    if (n <= 0)
        return 0;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    char *path =
        mem_printf("%.*s/../lib/ca-certificates.crt", slash ? (int)(slash - self) : 0, self);
    if (!path)
        return -RAIA_ERR_NOMEM;
    if (access(path, R_OK) == 0)
        *ret_path = STEAL(path);
    mem_free(path);
    return 0;
}

static bool set_tls(struct http_transfer *t, const struct http_request *rq)
{
    bool ok = set_pem(t, CURLOPT_CAINFO_BLOB, rq->ca_pem) &&
              set_pem(t, CURLOPT_SSLCERT_BLOB, rq->cert_pem) &&
              set_pem(t, CURLOPT_SSLKEY_BLOB, rq->key_pem);
    _cleanup_(mem_freep) char *cas = NULL;
    if (ok && !rq->ca_file && !rq->ca_pem && bundled_cas(&cas) < 0) {
        t->failure = -RAIA_ERR_NOMEM;
        return false;
    }
    if (cas)
        ok = ok && SET(CURLOPT_CAINFO, cas);
    if (rq->ca_file)
        ok = ok && SET(CURLOPT_CAINFO, rq->ca_file);
    if (rq->cert_file)
        ok = ok && SET(CURLOPT_SSLCERT, rq->cert_file);
    if (rq->key_file)
        ok = ok && SET(CURLOPT_SSLKEY, rq->key_file);
    /* Sessions are kept with the handle, which serves one request: none is used again. And without
     * memory libcurl 7.88 keeps a freed text with one, and frees it again. */
    ok = ok && SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    if (rq->insecure)
        ok = ok && SET(CURLOPT_SSL_VERIFYPEER, 0L) && SET(CURLOPT_SSL_VERIFYHOST, 0L);
    return ok;
}

static bool set_limits(struct http_transfer *t, const struct http_request *rq)
{
    long total = rq->timeout_ms < 0 ? 0 : rq->timeout_ms ? rq->timeout_ms : 30000;
    bool ok = SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_PROXY, "") &&
              SET(CURLOPT_PROTOCOLS_STR, "http,https") &&
              SET(CURLOPT_CONNECTTIMEOUT_MS,
                  rq->connect_timeout_ms ? (long)rq->connect_timeout_ms : 5000L) &&
              SET(CURLOPT_TIMEOUT_MS, total);
    if (rq->idle_timeout_ms > 0)
        ok = ok && SET(CURLOPT_LOW_SPEED_LIMIT, 1L) &&
             SET(CURLOPT_LOW_SPEED_TIME, (rq->idle_timeout_ms + 999L) / 1000);
    if (rq->http1)
        ok = ok && SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (rq->fresh) /* else libcurl knows an address for a minute */
        ok = ok && SET(CURLOPT_DNS_CACHE_TIMEOUT, 0L) && SET(CURLOPT_FRESH_CONNECT, 1L) &&
             SET(CURLOPT_FORBID_REUSE, 1L);
    /* A peer that vanished is noticed on idle connections too, before they are used again. */
    return ok && SET(CURLOPT_TCP_KEEPALIVE, 1L) && SET(CURLOPT_TCP_KEEPIDLE, 20L) &&
           SET(CURLOPT_TCP_KEEPINTVL, 5L) && set_tls(t, rq);
}

static bool set_body(struct http_transfer *t, const struct http_request *rq)
{
    curl_off_t size = (curl_off_t)rq->body_len;
    /* Headers and bodies are copied for TLS in pieces of the least size there is, not of 64 KiB. */
    if (!rq->body_from_fd && !SET(CURLOPT_UPLOAD_BUFFERSIZE, 16384L))
        return false;
    if (rq->body_from_fd)
        return SET(CURLOPT_UPLOAD, 1L) && SET(CURLOPT_READFUNCTION, on_upload) &&
               SET(CURLOPT_READDATA, t) && SET(CURLOPT_INFILESIZE_LARGE, size);
    if (rq->body)
        return SET(CURLOPT_POST, 1L) && SET(CURLOPT_POSTFIELDSIZE_LARGE, size) &&
               SET(CURLOPT_POSTFIELDS, rq->body);
    if (rq->method && strcmp(rq->method, "HEAD") == 0)
        return SET(CURLOPT_NOBODY, 1L);
    return true;
}

static bool set_options(struct http_transfer *t, const struct http_request *rq)
{
    return SET(CURLOPT_ERRORBUFFER, t->text) && SET(CURLOPT_WRITEFUNCTION, on_data) &&
           SET(CURLOPT_WRITEDATA, t) && SET(CURLOPT_PRIVATE, t) && SET(CURLOPT_URL, rq->url) &&
           set_limits(t, rq) && set_body(t, rq) &&
           (!rq->method || SET(CURLOPT_CUSTOMREQUEST, rq->method)) && set_headers(t, rq) &&
           SET(CURLOPT_HTTPHEADER, t->headers);
}

int http_transfer_new__(const struct http_request *rq, struct http_transfer **ret_t,
                        struct raia_error *e)
{
    if (!rq->url || (strncmp(rq->url, "http://", 7) != 0 && strncmp(rq->url, "https://", 8) != 0))
        return err_set(e, RAIA_ERR_INVALID, "'%.200s' is no http:// or https:// URL",
                       rq->url ? rq->url : "");
    _cleanup_(http_transfer_freep__) struct http_transfer *t = mem_new(struct http_transfer);
    if (!t || http_curl_ready__() < 0 || !(t->easy = curl_easy_init()))
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for an HTTP request");
    bool body = rq->body || rq->body_from_fd;
    snprintf(t->where, sizeof t->where, "%s %.*s",
             rq->method ? rq->method
             : body     ? "POST"
                        : "GET",
             (int)strcspn(rq->url, "?"), rq->url);
    t->max_reply = rq->max_reply ? rq->max_reply : (size_t)16 << 20;
    t->on_body = rq->on_body;
    t->on_body_arg = rq->on_body_arg;
    t->body_fd = rq->body_fd;
    t->body_left = rq->body_len;
    if (!set_options(t, rq))
        return err_set(e, t->failure ? -t->failure : RAIA_ERR_INVALID,
                       "%s: the request cannot be made: %s", t->where,
                       t->failure == -RAIA_ERR_NOMEM ? "out of memory" : "bad option or header");
    *ret_t = STEAL(t);
    return 0;
}

void http_transfer_free__(struct http_transfer *t)
{
    if (!t)
        return;
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    http_reply_done(&t->reply);
    mem_free(t);
}

void http_transfer_freep__(struct http_transfer **t)
{
    http_transfer_free__(*t);
}

static int code_of(CURLcode c)
{
    switch (c) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return RAIA_ERR_INVALID;
    case CURLE_OPERATION_TIMEDOUT:
        return RAIA_ERR_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return RAIA_ERR_NOMEM;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return RAIA_ERR_PERMISSION;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return RAIA_ERR_PROTOCOL;
    default:
        return RAIA_ERR_UNAVAILABLE;
    }
}

int http_transfer_end__(struct http_transfer *t, CURLcode code, struct raia_error *e)
{
    long status = 0;
    char *type = NULL;
    if (t->failure)
        return err_set(e, -t->failure, "%s: %s", t->where,
                       t->failure == -RAIA_ERR_LIMIT ? "the reply is too large"
                                                     : raia_strerror(t->failure));
    if (code != CURLE_OK && http_curl_ran_out__())
        return err_set(e, RAIA_ERR_NOMEM, "%s: out of memory", t->where);
    if (code != CURLE_OK)
        return err_set(e, code_of(code), "%s: %s", t->where,
                       t->text[0] ? t->text : curl_easy_strerror(code));
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
    curl_off_t retry_after = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);
    t->reply.retry_after_s = retry_after > INT_MAX ? INT_MAX : (int)retry_after;
    t->reply.status = (int)status;
    if (type && !(t->reply.content_type = mem_strdup(type)))
        return err_set(e, RAIA_ERR_NOMEM, "%s: out of memory", t->where);
    return 0;
}
