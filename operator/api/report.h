/*
 * What is wrong with an object: a bounded list of fields, each with what was expected there, as one
 * line for people (a condition's message, an event).
 *
 *     struct api_report bad = {0};
 *     ray_cluster_check(cluster, &bad);
 *     if (bad.n > 0)
 *         ... bad.text: "spec.headGroupSpec.template.spec.containers: expected at least one"
 *
 * Ownership: a plain value; all zeroes is an empty one. Threads: any. Failure: none; what does not
 * fit is counted, and the text ends with "; and N more".
 */
#ifndef API_REPORT_H
#define API_REPORT_H

#include <stddef.h>

#include "json/json.h"

#define API_PATH_MAX   256
#define API_REPORT_MAX 960 /* an event's note holds 1 kB */

struct api_report {
    unsigned n;                /* findings, those that are not in the text too */
    unsigned shown;            /* of them in the text */
    size_t len;                /* bytes of text, without "and N more" */
    char path[API_PATH_MAX];   /* of the first one */
    char text[API_REPORT_MAX]; /* "PATH: WHAT; PATH: WHAT"; "" if n is 0 */
};

/* Adds one. `what` may be "": then the path stands alone. */
void api_report_add(struct api_report *r, const char *path, const char *what_fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* As api_report_add for the member `key` of what lies at `base`; key "" or NULL: base itself. */
void api_report_at(struct api_report *r, const char *base, const char *key, const char *what_fmt,
                   ...) __attribute__((format(printf, 4, 5)));

#endif
