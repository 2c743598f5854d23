/*
 * Kubernetes' quantities ("500m", "1.5Gi", 2), counted in thousandths.
 *
 * Threads: any. Failure: -INVALID for what is none, -LIMIT beyond 9.2e15 (9 PB).
 */
#ifndef API_QUANTITY_H
#define API_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "json/json.h"

#define QUANTITY_SIZE 32

/* Of a string or a number; finer parts than a thousandth are rounded up. Absent (NULL): 0. */
int quantity_read(const struct json *node, int64_t *ret_milli);
int quantity_parse(const char *text, int64_t *ret_milli);

/* The canonical text: "1500m", "2", "4k"; binary: "1536Mi". Returns `to`. */
char *quantity_text(int64_t milli, bool binary, char to[QUANTITY_SIZE]);

/* What a pod of this template is counted with: the sum over its containers of the request of `name`
 * ("cpu", "memory", "nvidia.com/gpu"), or where there is none, of the limit. Bad ones count 0;
 * saturates. */
int64_t quantity_of_pod(const struct json *template_node, const char *name);
/* The same over all resources whose name ends with `suffix` ("gpu"). */
int64_t quantity_of_pod_like(const struct json *template_node, const char *suffix);

#endif
