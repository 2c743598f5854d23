/*
 * Services of a RayCluster, and the volume claim of its GCS' tables.
 *
 *     char name[SERVICE_NAME_SIZE];
 *     service_head_name(c, name);                    // "demo-head-svc", or the user's own name
 *     r = service_head(c, &object);
 *
 * Ownership: results are the caller's. Threads: any. Failure: -NOMEM.
 */
#ifndef OPERATOR_SERVICE_H
#define OPERATOR_SERVICE_H

#include "api/raycluster.h"
#include "json/json.h"

#define SERVICE_NAME_SIZE 256

void service_head_name(const struct ray_cluster *c, char ret[SERVICE_NAME_SIZE]);
void service_serve_name(const struct ray_cluster *c, char ret[SERVICE_NAME_SIZE]);
void service_hosts_name(const struct ray_cluster *c, char ret[SERVICE_NAME_SIZE]);

/* The head's: headless unless serviceType or headService say otherwise. */
int service_head(const struct ray_cluster *c, struct json **ret_service);
/* Asked for by the annotation ray.io/enable-serve-service. */
bool service_has_serve(const struct ray_cluster *c);
int service_serve(const struct ray_cluster *c, struct json **ret_service);
/* By which the hosts of a replica find each other: where a group has several. */
bool service_has_hosts(const struct ray_cluster *c);
int service_hosts(const struct ray_cluster *c, struct json **ret_service);

/* Of a service that is there: is it as it was wanted last, and if not, a merge patch that makes it so.
 * The address (clusterIP) cannot be changed. */
#define SERVICE_ANNOTATION "ray.io/raia-applied"
bool service_is_current(const struct json *have, const struct json *wanted);
int service_patch(const struct json *have, const struct json *wanted, struct json **ret_patch);
/* Notes in the service what is asked for: the builders do it. */
int service_remember(struct json *service);

/* The claim that the operator makes; not if the user names his own (pod_has_storage, ft.claim). */
int service_storage(const struct ray_cluster *c, struct json **ret_claim);

#endif
