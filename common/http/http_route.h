/*
 * Paths, queries and patterns: what a request's target means. Pure; used by the server.
 *
 * Ownership: http_target owns its texts. Threads: any. Failure: http_target_parse gives -PROTOCOL
 * for a target that is not absolute, has bad escapes, NUL or dot segments, and -LIMIT for one
 * beyond HTTP_TARGET_MAX bytes, 32 segments or 64 query values.
 */
#ifndef HTTP_HTTP_ROUTE_H
#define HTTP_HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "http/http_server.h"

#define HTTP_TARGET_MAX   8192
#define HTTP_SEGMENTS_MAX 32
#define HTTP_QUERY_MAX    64
#define HTTP_PARAMS_MAX   8

/* A parsed target ("/a/b%2Fc?x=1"). */
struct http_target {
    char *text;                              /* backing store of all below */
    const char *path;                        /* as sent, without query */
    const char *segments[HTTP_SEGMENTS_MAX]; /* decoded; "/a/" has one */
    size_t n_segments;                       /* how many */
    const char *rest[HTTP_SEGMENTS_MAX];     /* the raw path from segment i on */
    const char *names[HTTP_QUERY_MAX];       /* decoded query names */
    const char *values[HTTP_QUERY_MAX];      /* decoded query values ("" without '=') */
    size_t n_query;                          /* how many */
};

/* The {names} of a pattern and what they stand for. */
struct http_params {
    const char *names[HTTP_PARAMS_MAX];  /* into the pattern: ends at '}' or '.' */
    size_t name_lens[HTTP_PARAMS_MAX];   /* bytes of each name */
    const char *values[HTTP_PARAMS_MAX]; /* into the target */
    size_t n;                            /* how many */
};

int http_target_parse(const char *target, struct http_target *ret_target);
void http_target_done(void *target); /* usable with _cleanup_ */
/* The i-th value of that name, from 0; NULL: there are not so many. */
const char *http_target_query(const struct http_target *t, const char *name, size_t i);

/* Does the path match; fills ret_params (untouched if not). */
bool http_pattern_match(const char *pattern, const struct http_target *t,
                        struct http_params *ret_params);
const char *http_params_get(const struct http_params *p, const char *name);
/* The best route. NULL: none; *ret_other_method is set if another method would have matched. */
const struct http_route *http_route_find(const struct http_route *routes, size_t n,
                                         const char *method, const struct http_target *t,
                                         struct http_params *ret_params, bool *ret_other_method);
/* -INVALID for a pattern that can never match or has too many names. */
int http_pattern_check(const char *pattern);

#endif
