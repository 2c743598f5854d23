/*
 * Where in an object's spec it comes from that the API server refuses what was made of it.
 *
 *     struct api_report bad = {0};
 *     blame_group(group, pod, seen->failure, &bad);
 *         // "spec.workerGroupSpecs[1].template.spec.containers[0].image: Required value"
 *
 * List items are found again by their names, so that what the operator puts in front of the user's
 * does not matter. What has no place in the template is told as
 * "spec.headGroupSpec.template (spec.volumes[3], added by the operator): ...".
 *
 * Threads: any. Failure: none; texts are cut.
 */
#ifndef API_BLAME_H
#define API_BLAME_H

#include "api/raycluster.h"
#include "api/rayjob.h"
#include "api/report.h"
#include "kube/status.h"

/* The path in the object for `field`, a path in `made`. made_prefix: where the pod lies in it ("" in
 * a pod, "spec.template" in a Job). `made` NULL: items are taken to be where they are. */
void blame_path(const struct json *template_node, const char *template_path,
                const struct json *made, const char *made_prefix, const char *field, char *buf,
                size_t size);

/* All causes of a refusal; one without causes yields the group's path and the server's text. */
void blame_group(const struct ray_group *g, const struct json *pod, const struct kube_error *why,
                 struct api_report *ret);
/* The same for the Job that was made of spec.submitterPodTemplate. */
void blame_submitter(const struct ray_job *j, const struct json *job, const struct kube_error *why,
                     struct api_report *ret);

#endif
