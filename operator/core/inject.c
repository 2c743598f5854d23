/* Raia's files, volumes and variables in a pod: see inject.h. */
#include "core/inject.h"

#include <string.h>

#include "base/err.h"

#define INIT_MOUNT "/raia"
#define INIT_USER  65532 /* where the pod's user is root, the copying needs not be */

static int nomem(struct raia_error *e)
{
    return err_set(e, RAIA_ERR_NOMEM, "a pod");
}

/* -- trees ------------------------------------------------------------------------------------- */

static struct json *member(struct json *parent, const char *key, enum json_type type)
{
    struct json *have = json_get(parent, key);

    if (have && !json_is(have, JSON_NULL))
        return json_is(have, type) ? have : NULL;
    struct json *made = type == JSON_OBJECT ? json_new_object() : json_new_array();
    return made && json_set(parent, key, made) == 0 ? json_get(parent, key) : NULL;
}

struct json *inject_object(struct json *parent, const char *key)
{
    return member(parent, key, JSON_OBJECT);
}

struct json *inject_array(struct json *parent, const char *key)
{
    return member(parent, key, JSON_ARRAY);
}

struct json *inject_find(const struct json *array, const char *key, const char *value)
{
    JSON_FOREACH(item, array)
    {
        const char *v = json_str(json_get(item, key));
        if (v && strcmp(v, value) == 0)
            return item;
    }
    return NULL;
}

/* Puts an item at the front of an array. */
static int prepend(struct json *parent, const char *key, struct json *item)
{
    _cleanup_(json_freep) struct json *first = item;
    _cleanup_(json_freep) struct json *all = json_new_array();
    _cleanup_(json_freep) struct json *old = NULL;

    if (!first || !all)
        return -RAIA_ERR_NOMEM;
    int r = json_append(all, STEAL(first));
    old = json_detach(parent, key);
    JSON_FOREACH(it, old)
    r = r == 0 ? json_append(all, json_copy(it)) : r;
    return r == 0 ? json_set(parent, key, STEAL(all)) : r;
}

/* -- variables --------------------------------------------------------------------------------- */

bool inject_has_env(const struct json *container, const char *name)
{
    return inject_find(json_get(container, "env"), "name", name) != NULL;
}

/* Takes `value` over: the member "value" or "valueFrom". */
static int put_env(struct json *container, const char *name, const char *member_name,
                   struct json *value, enum inject_mode mode)
{
    _cleanup_(json_freep) struct json *owned = value;
    struct json *env = inject_array(container, "env");
    struct json *have = env ? inject_find(env, "name", name) : NULL;

    if (!owned || !env)
        return -RAIA_ERR_NOMEM;
    if (have) {
        if (mode == INJECT_DEFAULT)
            return 0;
        json_free(json_detach(have, "value"));
        json_free(json_detach(have, "valueFrom"));
        return json_set(have, member_name, STEAL(owned));
    }
    _cleanup_(json_freep) struct json *entry = json_new_object();
    int r = json_set_str(entry, "name", name);
    if (r == 0)
        r = json_set(entry, member_name, STEAL(owned));
    return r == 0 ? json_append(env, STEAL(entry)) : r;
}

int inject_env(struct json *container, const char *name, const char *value, enum inject_mode mode)
{
    return put_env(container, name, "value", json_new_str(value), mode);
}

int inject_env_field(struct json *container, const char *name, const char *field,
                     enum inject_mode mode)
{
    _cleanup_(json_freep) struct json *from = json_new_object();
    struct json *ref = inject_object(from, "fieldRef");

    if (!ref || json_set_str(ref, "fieldPath", field) < 0)
        return -RAIA_ERR_NOMEM;
    return put_env(container, name, "valueFrom", STEAL(from), mode);
}

int inject_env_secret(struct json *container, const char *name, const char *secret, const char *key,
                      enum inject_mode mode)
{
    _cleanup_(json_freep) struct json *from = json_new_object();
    struct json *ref = inject_object(from, "secretKeyRef");

    if (!ref || json_set_str(ref, "name", secret) < 0 || json_set_str(ref, "key", key) < 0)
        return -RAIA_ERR_NOMEM;
    return put_env(container, name, "valueFrom", STEAL(from), mode);
}

/* -- volumes ----------------------------------------------------------------------------------- */

int inject_volume(struct json *spec, const char *name, struct json *source, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *volume = source;
    struct json *volumes = inject_array(spec, "volumes");

    if (!volume || !volumes || json_set_str(volume, "name", name) < 0)
        return nomem(e);
    struct json *have = inject_find(volumes, "name", name);
    if (have)
        return json_equal(have, volume)
                   ? 0
                   : err_set(e, RAIA_ERR_INVALID,
                             "spec.volumes: the name '%s' is taken by a volume of the template; "
                             "give that another name",
                             name);
    return json_append(volumes, STEAL(volume)) < 0 ? nomem(e) : 0;
}

int inject_mount(struct json *container, const char *volume, const char *path, bool read_only,
                 struct raia_error *e)
{
    struct json *mounts = inject_array(container, "volumeMounts");
    struct json *have = mounts ? inject_find(mounts, "mountPath", path) : NULL;

    if (!mounts)
        return nomem(e);
    if (have) {
        const char *name = json_str(json_get(have, "name"));
        return name && strcmp(name, volume) == 0
                   ? 0
                   : err_set(e, RAIA_ERR_INVALID,
                             "spec.containers[0].volumeMounts: the template mounts '%s' at %s, "
                             "where the operator mounts '%s'",
                             name ? name : "", path, volume);
    }
    _cleanup_(json_freep) struct json *mount = json_new_object();
    if (json_set_str(mount, "name", volume) < 0 || json_set_str(mount, "mountPath", path) < 0 ||
        (read_only && json_set_bool(mount, "readOnly", true) < 0) ||
        json_append(mounts, STEAL(mount)) < 0)
        return nomem(e);
    return 0;
}

int inject_tls(struct json *spec, struct json *container, const char *secret, struct raia_error *e)
{
    const struct json *context = json_get(spec, "securityContext");
    int64_t group, user;
    int mode = 0444; /* root's files, and the user is not known */

    if (json_int(json_get(context, "fsGroup"), &group) == 0)
        mode = 0440;
    else if (json_int(json_at(container, "securityContext.runAsUser"), &user) == 0 ||
             json_int(json_get(context, "runAsUser"), &user) == 0)
        mode = user == 0 ? 0400 : mode;

    _cleanup_(json_freep) struct json *source = json_new_object();
    struct json *ref = inject_object(source, "secret");
    if (!ref || json_set_str(ref, "secretName", secret) < 0 ||
        json_set_int(ref, "defaultMode", mode) < 0)
        return nomem(e);
    int r = inject_volume(spec, INJECT_TLS, STEAL(source), e);
    if (r == 0)
        r = inject_mount(container, INJECT_TLS, INJECT_TLS_DIR, true, e);
    if (r == 0 && inject_env(container, "RAIA_TLS_DIR", INJECT_TLS_DIR, INJECT_FORCE) < 0)
        r = nomem(e);
    return r;
}

/* -- the init container ------------------------------------------------------------------------ */

/* The CPU and memory of one container, for another. */
static int copy_resources(struct json *to, const struct json *from)
{
    static const char *const kinds[] = {"requests", "limits"}, *const names[] = {"cpu", "memory"};
    int r = 0;

    for (size_t k = 0; k < 2; k++)
        for (size_t n = 0; n < 2; n++) {
            const struct json *v =
                json_get(json_get(json_get(from, "resources"), kinds[k]), names[n]);
            if (!v || r < 0)
                continue;
            struct json *into = inject_object(inject_object(to, "resources"), kinds[k]);
            r = json_set(into, names[n], json_copy(v));
        }
    return r;
}

/* Not root, no privileges, nothing writable but the volume: fit for a restricted namespace. */
static int restrict_container(struct json *c, const struct json *pod_context)
{
    struct json *context = inject_object(c, "securityContext");
    struct json *drop = inject_array(inject_object(context, "capabilities"), "drop");
    struct json *seccomp = inject_object(context, "seccompProfile");
    int64_t user = -1;
    int r = json_set_bool(context, "allowPrivilegeEscalation", false);

    if (r == 0)
        r = json_set_bool(context, "readOnlyRootFilesystem", true);
    if (r == 0)
        r = json_set_bool(context, "runAsNonRoot", true);
    if (r == 0 && json_int(json_get(pod_context, "runAsUser"), &user) == 0 && user == 0)
        r = json_set_int(context, "runAsUser", INIT_USER);
    if (r == 0)
        r = json_append_str(drop, "ALL");
    return r == 0 ? json_set_str(seccomp, "type", "RuntimeDefault") : r;
}

static int init_container(const struct json *spec, const struct operator_config *config,
                          struct json **ret_c)
{
    _cleanup_(json_freep) struct json *c = json_new_object();
    int r = json_set_str(c, "name", INJECT_INIT);

    if (r == 0)
        r = json_set_str(c, "image", config->raia_image);
    if (r == 0 && config->raia_pull_policy)
        r = json_set_str(c, "imagePullPolicy", config->raia_pull_policy);
    struct json *command = inject_array(c, "command");
    if (r == 0)
        r = json_append_str(command, INJECT_DIR "/bin/raia-init");
    if (r == 0)
        r = json_append_str(command, INIT_MOUNT);
    if (r == 0)
        r = copy_resources(c, json_item(json_get(spec, "containers"), 0));
    if (r == 0)
        r = restrict_container(c, json_get(spec, "securityContext"));
    if (r == 0)
        r = json_set_str(c, "terminationMessagePolicy", "FallbackToLogsOnError");
    if (r == 0)
        r = inject_mount(c, INJECT_VOLUME, INIT_MOUNT, false, NULL);
    if (r == 0)
        *ret_c = STEAL(c);
    return r;
}

int inject_raia(struct json *spec, const struct operator_config *config, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *source = json_new_object();
    struct json *init = inject_array(spec, "initContainers"), *c = NULL;

    if (!init || !inject_object(source, "emptyDir"))
        return nomem(e);
    const struct json *have = inject_find(init, "name", INJECT_INIT);
    if (have && have == json_first(init))
        return 0;
    if (have)
        return err_set(e, RAIA_ERR_INVALID,
                       "spec.initContainers: the name '%s' is taken by a container of the "
                       "template; give that another name",
                       INJECT_INIT);
    int r = inject_volume(spec, INJECT_VOLUME, STEAL(source), e);
    if (r < 0)
        return r;
    if (init_container(spec, config, &c) < 0 || prepend(spec, "initContainers", c) < 0)
        return nomem(e);
    return 0;
}
