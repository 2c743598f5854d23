/*
 * Private to api/: rules that both kinds have.
 */
#ifndef API_CHECK_H
#define API_CHECK_H

#include "api/raycluster.h"

#define CLUSTER_NAME_MAX 53 /* so that NAME-serve-svc is a name too */
#define JOB_NAME_MAX     47 /* so that NAME-xxxxx is a cluster's */

/* metadata.name: a DNS-1035 label of at most `max` characters. */
void check_name__(const char *name, size_t max, struct api_report *ret);
/* All that ray_cluster_spec_check tells, and what annotations of the object exclude. */
void check_spec__(const struct ray_cluster_spec *s, const struct json *annotations,
                  struct api_report *ret);
/* spec.restartPolicy of the template must be Never or absent; `why` ends the sentence. */
void check_never__(const struct ray_group *g, const char *why, struct api_report *ret);
/* Of what only ignored features read (autoscaler, history server): check_options.c. */
void check_options__(const struct ray_cluster_spec *s, struct api_report *ret);
/* Does a list of {name, value} have that name; with a value or valueFrom. */
const struct json *check_env__(const struct json *list, const char *name);

#endif
