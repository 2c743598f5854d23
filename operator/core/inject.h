/*
 * Lays Raia into a pod, whatever its image: an init container copies it into an emptyDir, which the
 * containers that need it have, read-only, at /opt/raia. For Ray pods (pod.h) and submitters alike.
 *
 *     struct json *spec = json_get(template, "spec");
 *     r = inject_raia(spec, config, e);                       // once for the pod, then ...
 *     struct json *c = json_item(json_get(spec, "containers"), 0);
 *     r = inject_mount(c, INJECT_VOLUME, INJECT_DIR, true, e); // ... for each container that needs it
 *     r = inject_env(c, "RAY_PORT", "6379", INJECT_DEFAULT);
 *     r = inject_env_field(c, "RAIA_NODE_IP", "status.podIP", INJECT_FORCE);
 *
 * The pod's own volumes, mounts, init containers and variables stay as they are and in their order;
 * what is added twice is there once. Ownership: trees are the caller's, edited in place. Threads: any.
 * Failure: -NOMEM; -INVALID with a text that names the path in the pod, when something of the user's is
 * in the way (a volume of our name, a mount at our path).
 */
#ifndef OPERATOR_INJECT_H
#define OPERATOR_INJECT_H

#include <stdbool.h>

#include "core/config.h"
#include "json/json.h"
#include "raia/error.h"

#define INJECT_VOLUME  "raia"                     /* the emptyDir */
#define INJECT_INIT    "raia-init"                /* the init container */
#define INJECT_DIR     "/opt/raia"                /* where containers see it */
#define INJECT_PATH    INJECT_DIR "/bin"          /* programs: raia, ray, raia-pod, ... */
#define INJECT_POD     INJECT_DIR "/bin/raia-pod" /* what a Ray container runs */
#define INJECT_RAY     INJECT_DIR "/bin/ray"      /* the shim */
#define INJECT_TLS     "raia-tls"                 /* the volume of a TLS secret */
#define INJECT_TLS_DIR "/etc/raia/tls"            /* where it is mounted */

enum inject_mode {
    INJECT_DEFAULT, /* what the user has set stays */
    INJECT_FORCE    /* ours replaces it, in its place */
};

/* The volume and the init container, the first one so that the user's own may use Raia. The init
 * container asks for the CPU and memory of containers[0]: the pod's class and cost stay the same. */
int inject_raia(struct json *spec, const struct operator_config *config, struct raia_error *e);

/* A volume; takes `source` over ({"emptyDir": {}}: without the name). */
int inject_volume(struct json *spec, const char *name, struct json *source, struct raia_error *e);
/* Mounts a volume into one container. */
int inject_mount(struct json *container, const char *volume, const char *path, bool read_only,
                 struct raia_error *e);
/* A secret's TLS files at INJECT_TLS_DIR of one container, and RAIA_TLS_DIR. As readable as the pod's
 * user needs it: the files belong to root unless the pod has an fsGroup. */
int inject_tls(struct json *spec, struct json *container, const char *secret, struct raia_error *e);

/* Does the container have that variable? */
bool inject_has_env(const struct json *container, const char *name);
int inject_env(struct json *container, const char *name, const char *value, enum inject_mode mode);
/* From a field of the pod: "metadata.name". */
int inject_env_field(struct json *container, const char *name, const char *field,
                     enum inject_mode mode);
int inject_env_secret(struct json *container, const char *name, const char *secret, const char *key,
                      enum inject_mode mode);

/* The member `key` of an object, made if it is not there (or null). NULL when memory runs out or it
 * is of another type. */
struct json *inject_object(struct json *parent, const char *key);
struct json *inject_array(struct json *parent, const char *key);
/* The item of an array of objects whose member `key` is this text; NULL: none. */
struct json *inject_find(const struct json *array, const char *key, const char *value);

#endif
