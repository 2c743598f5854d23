/*
 * Raia's error codes and its error object: part of the public API, and used by every part.
 *
 * A function that can fail returns `int`: 0, or the negative of one of the codes below. Where a
 * person will want to know more, it also takes a `struct raia_error *`, which may be NULL; it is
 * filled on failure and left alone on success.
 *
 * Ownership: a raia_error is a plain value: no part of it needs freeing.
 * Threads: any; an object belongs to one thread at a time.
 */
#ifndef RAIA_ERROR_H
#define RAIA_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, retryable, text). Numbers are wire format: add at the end, never renumber. */
#define RAIA_ERRORS(X)                                                                             \
    X(INVALID, 1, false, "invalid argument")                                                       \
    X(NOMEM, 2, true, "out of memory")                                                             \
    X(NOT_FOUND, 3, false, "not found")                                                            \
    X(EXISTS, 4, false, "already exists")                                                          \
    X(STATE, 5, false, "not possible in this state")                                               \
    X(LIMIT, 6, true, "a limit was reached")                                                       \
    X(TIMEOUT, 7, true, "timed out")                                                               \
    X(CANCELED, 8, false, "canceled")                                                              \
    X(UNAVAILABLE, 9, true, "unavailable")                                                         \
    X(IO, 10, false, "input/output error")                                                         \
    X(PERMISSION, 11, false, "permission denied")                                                  \
    X(PROTOCOL, 12, false, "malformed or unexpected message")                                      \
    X(VERSION, 13, false, "versions do not match")                                                 \
    X(UNSUPPORTED, 14, false, "not supported")                                                     \
    X(INTERNAL, 15, false, "internal error")                                                       \
    X(TASK_FAILED, 16, false, "the task failed")                                                   \
    X(WORKER_CRASHED, 17, true, "the worker died")                                                 \
    X(NODE_DIED, 18, true, "the node died")                                                        \
    X(ACTOR_DIED, 19, false, "the actor is dead")                                                  \
    X(ACTOR_UNAVAILABLE, 20, true, "the actor is unavailable")                                     \
    X(OBJECT_LOST, 21, false, "the object is lost")                                                \
    X(OWNER_DIED, 22, false, "the owner of the object died")                                       \
    X(STORE_FULL, 23, true, "the object store is full")                                            \
    X(DISK_FULL, 24, false, "the disk is full")                                                    \
    X(RUNTIME_ENV, 25, false, "the runtime environment could not be set up")                       \
    X(PENDING_CALLS, 26, true, "too many pending calls")                                           \
    X(UNSCHEDULABLE, 27, false, "no node can ever run this")                                       \
    X(FORKED, 28, false, "used in a forked child")                                                 \
    X(SHUTDOWN, 29, false, "shut down")                                                            \
    X(NO_FILES, 30, true, "out of file descriptors")                                               \
    X(WRONG_LEADER, 31, true, "not the leader")

#define RAIA_ERROR_ENUM__(name, number, retryable, text) RAIA_ERR_##name = number,
enum raia_err { RAIA_OK = 0, RAIA_ERRORS(RAIA_ERROR_ENUM__) RAIA_ERR_MAX = 31 };
#undef RAIA_ERROR_ENUM__

/* Longest text of an error, with its end mark; longer ones are cut at the end. */
#define RAIA_ERROR_TEXT_MAX 512

struct raia_error {
    int code;                       /* an enum raia_err, positive; 0: no error */
    bool retryable;                 /* the same call may succeed later */
    bool maybe_executed;            /* a call that may have run, or be running still */
    char text[RAIA_ERROR_TEXT_MAX]; /* what failed, where, and what to do: one line of UTF-8 */
};

#ifndef RAIA_API
#define RAIA_API __attribute__((visibility("default")))
#endif

/* The fixed text of a code; takes it positive or negative; never NULL. */
RAIA_API const char *raia_strerror(int code);

#ifdef __cplusplus
}
#endif
#endif
