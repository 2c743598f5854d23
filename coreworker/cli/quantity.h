/*
 * Kubernetes quantities: "500m", "2", "1.5Gi", "3e2", 4 (a number is as good as a string).
 * Grammar: k8s.io/apimachinery/pkg/api/resource (decimal, binary and exponent suffixes).
 *
 * Threads: any. Failure: -INVALID.
 */
#ifndef CLI_QUANTITY_H
#define CLI_QUANTITY_H

#include "json/json.h"

/* In units (cores, bytes). */
int quantity_parse(const char *text, double *ret_v);
int quantity_of(const struct json *n, double *ret_v);

#endif
