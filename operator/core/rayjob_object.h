/*
 * Private to the RayJob reconciler: the beginning of each object that a RayJob owns.
 */
#ifndef OPERATOR_RAYJOB_OBJECT_H
#define OPERATOR_RAYJOB_OBJECT_H

#include "core/rayjob_impl.h"

/* With name, namespace, owner, and the labels that say whose it is. *ret_object: the caller's;
 * *ret_labels: in it. -NOMEM. */
int rayjob_object(const struct rayjob_pass *x, const char *api_version, const char *kind,
                  const char *name, struct json **ret_object, struct json **ret_labels);

#endif
