/* Variables of Ray containers: see pod.h. */
#include "core/pod_impl.h"

#include <stdio.h>
#include <string.h>

#include "core/inject.h"
#include "core/start.h"

#define FIELD_LABEL(name) "metadata.labels['" name "']"

struct variable {
    const char *name;
    const char *value; /* or */
    const char *field; /* of the pod; both NULL: not this one */
    enum inject_mode mode;
};

static int set_all(struct json *container, const struct variable *all, size_t n)
{
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        if (all[i].value)
            r = inject_env(container, all[i].name, all[i].value, all[i].mode);
        else if (all[i].field)
            r = inject_env_field(container, all[i].name, all[i].field, all[i].mode);
    }
    return r;
}

/* The token, or that there is none to be asked for. What the user has set himself stays. */
static int set_auth(struct pod_work *w)
{
    const struct pod_site *s = w->site;
    struct json *c = w->container;

    if (inject_has_env(c, "RAY_AUTH_MODE") && !s->token_secret)
        return 0;
    if (!s->token_secret)
        return inject_env(c, "RAY_AUTH_MODE", "disabled", INJECT_DEFAULT);
    int r = inject_env(c, "RAY_AUTH_MODE", "token", INJECT_DEFAULT);
    return r == 0 ? inject_env_secret(c, "RAY_AUTH_TOKEN", s->token_secret, "auth_token",
                                      INJECT_DEFAULT)
                  : r;
}

/* Init containers know the head, as KubeRay's do. */
static int help_init_containers(struct pod_work *w)
{
    const struct variable all[] = {{"FQ_RAY_IP", w->host, NULL, INJECT_DEFAULT},
                                   {"RAY_IP", w->site->service, NULL, INJECT_DEFAULT}};
    int r = 0;

    JSON_FOREACH(c, json_get(w->spec, "initContainers"))
    {
        const char *name = json_str(json_get(c, "name"));
        if (r == 0 && !(name && strcmp(name, INJECT_INIT) == 0))
            r = set_all(c, all, sizeof all / sizeof *all);
    }
    return r;
}

int pod_set_env__(struct pod_work *w)
{
    bool head = w->group->is_head, storage = pod_has_storage(w->site->cluster);
    char address[512], gcs[512], port[16];

    snprintf(port, sizeof port, "%d", START_GCS_PORT);
    snprintf(gcs, sizeof gcs, "%s:%s", w->host, port);
    snprintf(address, sizeof address, "%s:%s", head ? "127.0.0.1" : w->host, port);
    const struct variable all[] = {
        {"RAY_CLUSTER_NAME", NULL, FIELD_LABEL(RAY_LABEL_CLUSTER), INJECT_FORCE},
        {"RAY_CLUSTER_NAMESPACE", NULL, "metadata.namespace", INJECT_FORCE},
        {"RAY_CLOUD_INSTANCE_ID", NULL, "metadata.name", INJECT_FORCE},
        {"RAY_NODE_TYPE_NAME", NULL, FIELD_LABEL(RAY_LABEL_GROUP), INJECT_FORCE},
        {"KUBERAY_GEN_RAY_START_CMD", w->line, NULL, INJECT_FORCE},
        {"FQ_RAY_IP", head ? NULL : w->host, NULL, INJECT_DEFAULT},
        {"RAY_IP", head ? NULL : w->site->service, NULL, INJECT_DEFAULT},
        {"RAY_PORT", port, NULL, INJECT_DEFAULT},
        {"RAY_ADDRESS", address, NULL, INJECT_DEFAULT},
        {"RAY_USAGE_STATS_KUBERAY_IN_USE", "1", NULL, INJECT_DEFAULT},
        {"RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE", "1", NULL, INJECT_DEFAULT},
        {"RAY_gcs_rpc_server_reconnect_timeout_s", storage && !head ? "600" : NULL, NULL,
         INJECT_DEFAULT},
        {"RAIA_NODE_NAME", NULL, "metadata.name", INJECT_FORCE},
        {"RAIA_NODE_IP", NULL, "status.podIP", INJECT_FORCE},
        {"RAIA_SESSION_DIR", "/tmp/ray/session_latest", NULL, INJECT_DEFAULT},
        {"RAIA_GCS_ADDRESS", head ? NULL : gcs, NULL, INJECT_DEFAULT},
        {"RAIA_STORAGE_PATH", storage && head ? POD_STORAGE_PATH : NULL, NULL, INJECT_FORCE},
        /* Nodes, and the actors on them, outlive the time that another head pod takes to come. */
        {"RAIA_LEASE", storage && head ? POD_STORAGE_LEASE : NULL, NULL, INJECT_DEFAULT},
    };
    int r = set_all(w->container, all, sizeof all / sizeof *all);

    if (r == 0)
        r = set_auth(w);
    return r == 0 ? help_init_containers(w) : r;
}
