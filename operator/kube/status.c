/*
 * Status objects and HTTP statuses as errors: one table.
 */
#include "kube/status.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

static const struct {
    enum kube_reason reason;
    int status;       /* the HTTP status that means it when there is no reason in the body */
    const char *name; /* Status.reason; NULL: there is none */
    int code;         /* ours */
    bool retryable;   /* the same request may succeed later */
} table[] = {
    {KUBE_BAD_REQUEST, 400, "BadRequest", RAIA_ERR_INVALID, false},
    {KUBE_UNAUTHORIZED, 401, "Unauthorized", RAIA_ERR_PERMISSION, true},
    {KUBE_FORBIDDEN, 403, "Forbidden", RAIA_ERR_PERMISSION, false},
    {KUBE_NOT_FOUND, 404, "NotFound", RAIA_ERR_NOT_FOUND, false},
    {KUBE_ALREADY_EXISTS, 0, "AlreadyExists", RAIA_ERR_EXISTS, false},
    {KUBE_CONFLICT, 409, "Conflict", RAIA_ERR_STATE, true},
    {KUBE_EXPIRED, 410, "Expired", RAIA_ERR_STATE, true},
    {KUBE_EXPIRED, 410, "Gone", RAIA_ERR_STATE, true},
    {KUBE_TOO_LARGE, 413, "RequestEntityTooLarge", RAIA_ERR_LIMIT, false},
    {KUBE_UNSUPPORTED_MEDIA, 415, "UnsupportedMediaType", RAIA_ERR_UNSUPPORTED, false},
    {KUBE_INVALID, 422, "Invalid", RAIA_ERR_INVALID, false},
    {KUBE_TOO_MANY, 429, "TooManyRequests", RAIA_ERR_LIMIT, true},
    {KUBE_INTERNAL, 500, "InternalError", RAIA_ERR_INTERNAL, true},
    {KUBE_UNAVAILABLE, 503, "ServiceUnavailable", RAIA_ERR_UNAVAILABLE, true},
    {KUBE_UNAVAILABLE, 502, NULL, RAIA_ERR_UNAVAILABLE, true},
    {KUBE_TIMEOUT, 504, "Timeout", RAIA_ERR_TIMEOUT, true},
    {KUBE_TIMEOUT, 504, "ServerTimeout", RAIA_ERR_TIMEOUT, true},
};

const char *kube_reason_name(enum kube_reason reason)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].reason == reason && table[i].name)
            return table[i].name;
    return reason == KUBE_OK ? "OK" : reason == KUBE_TRANSPORT ? "NoAnswer" : "Unknown";
}

static void put(char *to, size_t room, const struct json *from)
{
    snprintf(to, room, "%s", json_str(from) ? json_str(from) : "");
}

static void take_causes(const struct json *details, struct kube_error *e)
{
    JSON_FOREACH(c, json_get(details, "causes"))
    {
        if (e->n_causes == KUBE_CAUSES_MAX)
            return;
        struct kube_cause *to = &e->causes[e->n_causes++];
        put(to->field, sizeof to->field, json_get(c, "field"));
        put(to->reason, sizeof to->reason, json_get(c, "reason"));
        put(to->message, sizeof to->message, json_get(c, "message"));
    }
}

/* The row for a status and a reason: the reason counts for more. */
static size_t row_of(int status, const char *reason)
{
    size_t n = sizeof table / sizeof *table;
    for (size_t i = 0; reason && i < n; i++)
        if (table[i].name && strcmp(table[i].name, reason) == 0)
            return i;
    for (size_t i = 0; i < n; i++)
        if (table[i].status == status)
            return i;
    return n;
}

static int fill(int http_status, const struct json *status, const char *body, size_t len,
                int retry_after_s, struct kube_error *e)
{
    const char *reason = json_str(json_get(status, "reason"));
    const char *message = json_str(json_get(status, "message"));
    const struct json *details = json_get(status, "details");
    int64_t after = 0;
    size_t i = row_of(http_status, reason);
    *e = (struct kube_error){.reason = KUBE_OTHER, .http_status = http_status};
    int code = http_status >= 500 ? RAIA_ERR_INTERNAL : RAIA_ERR_PROTOCOL;
    bool retryable = http_status >= 500;
    if (i < sizeof table / sizeof *table) {
        e->reason = table[i].reason;
        code = table[i].code;
        retryable = table[i].retryable;
    }
    if (json_int(json_get(details, "retryAfterSeconds"), &after) < 0 || after < retry_after_s)
        after = retry_after_s;
    if (after > 0)
        e->retry_after_ms = after > 3600 ? 3600 * 1000 : after * 1000;
    take_causes(details, e);
    if (message && message[0])
        err_set(&e->base, code, "%s", message);
    else if (body && len && !status)
        err_set(&e->base, code, "HTTP status %d: %.*s", http_status,
                (int)strcspn(body, "\r\n") > 200 ? 200 : (int)strcspn(body, "\r\n"), body);
    else
        err_set(&e->base, code, "HTTP status %d (%s)", http_status, kube_reason_name(e->reason));
    e->base.retryable = retryable;
    return -code;
}

int kube_error_from(int http_status, const char *body, size_t len, int retry_after_s,
                    struct kube_error *ret_e)
{
    if (http_status >= 200 && http_status < 300) {
        *ret_e = (struct kube_error){.http_status = http_status};
        return 0;
    }
    _cleanup_(json_freep) struct json *status = NULL;
    struct json_limits limits = {.max_bytes = 1 << 20};
    if (body && len && json_parse(body, len, &limits, &status, NULL) == 0 &&
        !json_is(status, JSON_OBJECT)) {
        json_free(status);
        status = NULL;
    }
    return fill(http_status, status, body, len, retry_after_s, ret_e);
}

int kube_error_from_status(const struct json *status, struct kube_error *ret_e)
{
    int64_t code = 0;
    if (json_int(json_get(status, "code"), &code) < 0 || code < 300 || code > 999)
        code = 500;
    return fill((int)code, status, NULL, 0, 0, ret_e);
}

int kube_error_from_transport(const struct raia_error *cause, struct kube_error *ret_e)
{
    *ret_e = (struct kube_error){.base = *cause, .reason = KUBE_TRANSPORT};
    if (!ret_e->base.code)
        return err_set(&ret_e->base, RAIA_ERR_INTERNAL, "no answer and no reason");
    return -cause->code;
}
