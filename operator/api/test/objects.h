/*
 * Objects for tests: written as YAML, changed by path.
 */
#ifndef API_TEST_OBJECTS_H
#define API_TEST_OBJECTS_H

#include <criterion/criterion.h>
#include <string.h>

#include "api/rayjob.h"
#include "json/json.h"
#include "yaml/yaml_load.h"

/* A cluster with two groups, and a job with the same one. */
extern const char cluster_yaml[];
extern const char job_yaml[];

struct json *tree_of(const char *yaml);
/* Sets the member at the path (of keys and [N]; missing objects are made) to a YAML value. */
void put(struct json *root, const char *path, const char *value);

struct ray_cluster *cluster_of(const struct json *tree);
struct ray_job *job_of(const struct json *tree);

/* What a changed object is told: the rules' text, or the reader's error. "PATH=VALUE" each. */
const char *cluster_complaint(const char *const *changes);
const char *job_complaint(const char *const *changes);
#define CLUSTER_WITH(...) cluster_complaint((const char *const[]){__VA_ARGS__, NULL})
#define JOB_WITH(...)     job_complaint((const char *const[]){__VA_ARGS__, NULL})

#endif
