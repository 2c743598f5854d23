/*
 * What a request's failure means: Kubernetes' Status objects as an error with a reason.
 *
 *     struct kube_error e = {0};
 *     if (kube_error_from(status, body, len, retry_after_s, &e) < 0)
 *         switch (e.reason) { case KUBE_CONFLICT: ... }
 *
 * Ownership: a kube_error is a plain value. Threads: any. Failure: a body that is no Status is an
 * error all the same, with what its HTTP status tells; texts that do not fit are cut.
 */
#ifndef KUBE_STATUS_H
#define KUBE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/json.h"
#include "raia/error.h"

enum kube_reason {
    KUBE_OK,                /* no error */
    KUBE_TRANSPORT,         /* no answer came: the outcome of a write is not known */
    KUBE_BAD_REQUEST,       /* 400 */
    KUBE_UNAUTHORIZED,      /* 401: who are you */
    KUBE_FORBIDDEN,         /* 403: RBAC, quota, admission */
    KUBE_NOT_FOUND,         /* 404 */
    KUBE_ALREADY_EXISTS,    /* 409 */
    KUBE_CONFLICT,          /* 409: a precondition, resourceVersion or field owner */
    KUBE_EXPIRED,           /* 410: list or watch from the beginning */
    KUBE_TOO_LARGE,         /* 413 */
    KUBE_UNSUPPORTED_MEDIA, /* 415 */
    KUBE_INVALID,           /* 422: see causes */
    KUBE_TOO_MANY,          /* 429: see retry_after_ms */
    KUBE_INTERNAL,          /* 500 */
    KUBE_UNAVAILABLE,       /* 502, 503 */
    KUBE_TIMEOUT,           /* 504 */
    KUBE_OTHER              /* any other status */
};
const char *kube_reason_name(enum kube_reason reason); /* "Conflict"; never NULL */

#define KUBE_CAUSES_MAX 8

/* One field that was refused. */
struct kube_cause {
    char field[192];   /* "spec.containers[0].name"; may be empty */
    char reason[48];   /* "FieldValueInvalid", "FieldManagerConflict" */
    char message[256]; /* for people */
};

struct kube_error {
    struct raia_error base;                    /* code, retryable, text that names the request */
    enum kube_reason reason;                   /* KUBE_OK if base.code is 0 */
    int http_status;                           /* 0: no answer came */
    int64_t retry_after_ms;                    /* the server's wish; 0: none */
    unsigned n_causes;                         /* of those below */
    struct kube_cause causes[KUBE_CAUSES_MAX]; /* the first ones */
};

/* Fills *ret_e from an HTTP answer. 0 for 2xx (and *ret_e is cleared), else the negative code. */
int kube_error_from(int http_status, const char *body, size_t len, int retry_after_s,
                    struct kube_error *ret_e);
/* From a Status object that came in a 200 answer (a watch's ERROR event). */
int kube_error_from_status(const struct json *status, struct kube_error *ret_e);
/* From a failure to get an answer. */
int kube_error_from_transport(const struct raia_error *cause, struct kube_error *ret_e);

#endif
