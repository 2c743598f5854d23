/*
 * Filling and extending a struct raia_error (codes: raia/error.h).
 *
 * Usage:
 *     if (fd < 0)
 *         return err_errno(e, errno, "open '%s'", path);
 *     r = manifest_read(path, &m, e);
 *     if (r < 0)
 *         return err_wrap(e, "cluster '%s'", name);      // "cluster 'a': <what it said>"
 *
 * All of them accept e == NULL and return the negative code, so that they end a function.
 * Threads: any. Failure: none; text that does not fit is cut.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "raia/error.h"

/* Sets code, its default retryable bit and the text; clears maybe_executed. Returns -code. */
int err_set(struct raia_error *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set with the code that stands for errno `sys`; ": <strerror>" is added to the text. */
int err_errno(struct raia_error *e, int sys, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<text>: " before the text that is there. Returns -e->code (-INTERNAL if e is NULL or
 * empty). */
int err_wrap(struct raia_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The enum raia_err (positive) that stands for an errno. */
int err_from_errno(int sys);

/* Empties it. */
void err_clear(struct raia_error *e);

#endif
