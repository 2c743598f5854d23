/*
 * Errors on the wire. A gRPC status says roughly what happened, for foreign clients; the exact code
 * and bits travel beside it in trailing metadata, so that our clients get back what was replied.
 */
#include <stdio.h>
#include <stdlib.h>

#include <grpc/status.h>

#include "rpc/rpc_impl.h"

/* Code to status; the first line with a status is also its way back. */
static const struct {
    int code;   /* enum raia_err */
    int status; /* grpc_status_code */
} table[] = {
    {RAIA_ERR_CANCELED, GRPC_STATUS_CANCELLED},
    {RAIA_ERR_INVALID, GRPC_STATUS_INVALID_ARGUMENT},
    {RAIA_ERR_TIMEOUT, GRPC_STATUS_DEADLINE_EXCEEDED},
    {RAIA_ERR_NOT_FOUND, GRPC_STATUS_NOT_FOUND},
    {RAIA_ERR_EXISTS, GRPC_STATUS_ALREADY_EXISTS},
    {RAIA_ERR_PERMISSION, GRPC_STATUS_PERMISSION_DENIED},
    {RAIA_ERR_PERMISSION, GRPC_STATUS_UNAUTHENTICATED},
    {RAIA_ERR_LIMIT, GRPC_STATUS_RESOURCE_EXHAUSTED},
    {RAIA_ERR_STATE, GRPC_STATUS_FAILED_PRECONDITION},
    {RAIA_ERR_STATE, GRPC_STATUS_ABORTED},
    {RAIA_ERR_INVALID, GRPC_STATUS_OUT_OF_RANGE},
    {RAIA_ERR_UNSUPPORTED, GRPC_STATUS_UNIMPLEMENTED},
    {RAIA_ERR_INTERNAL, GRPC_STATUS_INTERNAL},
    {RAIA_ERR_UNAVAILABLE, GRPC_STATUS_UNAVAILABLE},
    {RAIA_ERR_PROTOCOL, GRPC_STATUS_DATA_LOSS},
    {RAIA_ERR_INTERNAL, GRPC_STATUS_UNKNOWN},
    /* These have no way back of their own. */
    {RAIA_ERR_NOMEM, GRPC_STATUS_RESOURCE_EXHAUSTED},
    {RAIA_ERR_IO, GRPC_STATUS_INTERNAL},
    {RAIA_ERR_VERSION, GRPC_STATUS_FAILED_PRECONDITION},
    {RAIA_ERR_NODE_DIED, GRPC_STATUS_UNAVAILABLE},
    {RAIA_ERR_ACTOR_UNAVAILABLE, GRPC_STATUS_UNAVAILABLE},
    {RAIA_ERR_OBJECT_LOST, GRPC_STATUS_NOT_FOUND},
    {RAIA_ERR_STORE_FULL, GRPC_STATUS_RESOURCE_EXHAUSTED},
    {RAIA_ERR_DISK_FULL, GRPC_STATUS_RESOURCE_EXHAUSTED},
    {RAIA_ERR_PENDING_CALLS, GRPC_STATUS_RESOURCE_EXHAUSTED},
    {RAIA_ERR_SHUTDOWN, GRPC_STATUS_UNAVAILABLE},
    {RAIA_ERR_NO_FILES, GRPC_STATUS_RESOURCE_EXHAUSTED},
    {RAIA_ERR_WRONG_LEADER, GRPC_STATUS_UNAVAILABLE},
};

int rpc_status_from_code(int code)
{
    if (code < 0)
        code = -code;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].code == code)
            return table[i].status;
    return code ? GRPC_STATUS_UNKNOWN : GRPC_STATUS_OK;
}

int rpc_code_from_status(int status)
{
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status)
            return table[i].code;
    return status == GRPC_STATUS_OK ? 0 : RAIA_ERR_INTERNAL;
}

void rpc_error_encode(const struct raia_error *err, char trail[RPC_ERROR_TRAIL_MAX])
{
    snprintf(trail, RPC_ERROR_TRAIL_MAX, "%d:%d:%d", err->code, err->retryable,
             err->maybe_executed);
}

/* May a call that the transport ended so have been carried out? */
static bool maybe_executed(int status, const char *text)
{
    switch (status) {
    case GRPC_STATUS_UNIMPLEMENTED:
    case GRPC_STATUS_UNAUTHENTICATED:
    case GRPC_STATUS_PERMISSION_DENIED:
        return false;
    case GRPC_STATUS_UNAVAILABLE:
        /* The texts with which gRPC fails a call that never left. */
        return !strstr(text, "failed to connect to") &&
               !strstr(text, "connections to all backends") &&
               !strstr(text, "DNS resolution failed") && !strstr(text, "empty address list");
    default:
        return true;
    }
}

void rpc_error_decode(struct raia_error *err, int status, const char *text, size_t text_size,
                      const char *trail, size_t trail_size)
{
    char t[RPC_ERROR_TRAIL_MAX];
    int code = 0, retryable = 0, maybe = 0;
    int len = (int)(text_size < RAIA_ERROR_TEXT_MAX ? text_size : RAIA_ERROR_TEXT_MAX);

    *err = (struct raia_error){0};
    if (status == GRPC_STATUS_OK)
        return;
    if (trail && trail_size < sizeof t) {
        memcpy(t, trail, trail_size);
        t[trail_size] = 0;
        /* Codes of a newer peer that are unknown here become what their status says. */
        if (sscanf(t, "%d:%d:%d", &code, &retryable, &maybe) == 3 && code > 0 &&
            code <= RAIA_ERR_MAX) {
            err_set(err, code, "%.*s", len, text);
            err->retryable = retryable != 0;
            err->maybe_executed = maybe != 0;
            return;
        }
    }
    /* Nobody here cancelled it (that is not decoded): a server did that goes down, or a middlebox.
     */
    if (status == GRPC_STATUS_CANCELLED)
        status = GRPC_STATUS_UNAVAILABLE;
    err_set(err, rpc_code_from_status(status), "%.*s", len, text_size ? text : "the call failed");
    err->maybe_executed = maybe_executed(status, err->text);
}
