/*
 * Private to yaml/: what a scalar's text means.
 */
#ifndef YAML_YAML_SCALAR_H
#define YAML_YAML_SCALAR_H

#include "json/json.h"

/* What a plain scalar is, by the rules of YAML 1.1 as Kubernetes' tools apply them. */
enum yaml_kind { YAML_STRING, YAML_NULL, YAML_TRUE, YAML_FALSE, YAML_NUMBER, YAML_NOT_FINITE };

enum yaml_kind yaml_scalar_kind(const char *text);
/* The node for a plain scalar that is no YAML_NOT_FINITE; NULL when memory runs out. */
struct json *yaml_scalar_node(const char *text);

#endif
