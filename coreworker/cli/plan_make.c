/*
 * Making plans (plan_make.h).
 */
#include "cli/plan_make.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

static int option(struct json *argv, const char *name, char *value /* owned; NULL: out of memory */)
{
    _cleanup_(mem_freep) char *v = value;
    _cleanup_(mem_freep) char *text = v ? mem_printf("--%s=%s", name, v) : NULL;
    return text ? json_append_str(argv, text) : -RAIA_ERR_NOMEM;
}

static int json_option(struct json *argv, const char *name, const struct json *object)
{
    return json_size(object) ? option(argv, name, json_print(object, JSON_COMPACT, NULL)) : 0;
}

int plan_add_node(struct json *nodes, const struct manifest_group *g, const char *name, bool head,
                  const char *dir, int port, int dashboard_port)
{
    struct json *node = json_new_object(), *argv = json_new_array();
    int r = json_append(nodes, node); /* takes it in any case, as json_set does */
    if (r < 0)
        json_free(argv);
    else
        r = json_set(node, "argv", argv);
    if (r == 0)
        r = json_set_str(node, "name", name);
    if (r == 0)
        r = json_set_bool(node, "head", head);
    if (r == 0)
        r = option(argv, "node-name", mem_strdup(name));
    if (r == 0)
        r = option(argv, "session-dir", mem_printf("%s/nodes/%s", dir, name));
    if (r == 0)
        r = option(argv, "node-ip", mem_strdup(PLAN_NODE_IP));
    if (r == 0)
        r = option(argv, "tls-dir", mem_printf("%s/tls", dir));
    if (r == 0)
        r = option(argv, "token-file", mem_printf("%s/token", dir));
    if (r == 0 && head)
        r = json_append_str(argv, "--head");
    if (r == 0 && head)
        r = option(argv, "port", mem_printf("%d", port));
    if (r == 0 && head)
        r = option(argv, "dashboard-port", mem_printf("%d", dashboard_port));
    if (r == 0 && g->num_cpus >= 0)
        r = option(argv, "num-cpus", mem_printf("%g", g->num_cpus));
    if (r == 0 && g->memory > 0)
        r = option(argv, "memory", mem_printf("%lld", (long long)g->memory));
    if (r == 0 && g->object_store_memory > 0)
        r = option(argv, "object-store-memory",
                   mem_printf("%lld", (long long)g->object_store_memory));
    if (r == 0)
        r = json_option(argv, "resources", g->resources);
    return r == 0 ? json_option(argv, "labels", g->labels) : r;
}

int plan_make(const struct manifest_cluster *c, const char *dir, int port, int dashboard_port,
              struct json **ret_plan, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *plan = json_new_object();
    struct json *nodes = json_new_array();
    int r = json_set(plan, "nodes", nodes); /* takes it in any case */
    if (r == 0)
        r = json_set_str(plan, "cluster", c->name);
    for (size_t i = 0; r == 0 && i < c->ngroups; i++) {
        for (int64_t n = 0; r == 0 && n < c->groups[i].replicas; n++) {
            _cleanup_(mem_freep) char *name =
                i == 0 ? mem_strdup("head")
                       : mem_printf("%s-%lld", c->groups[i].name, (long long)n);
            r = name ? plan_add_node(nodes, &c->groups[i], name, i == 0, dir, port, dashboard_port)
                     : -RAIA_ERR_NOMEM;
        }
    }
    if (r < 0)
        return err_set(e, -r, "the plan of cluster '%s'", c->name);
    *ret_plan = STEAL(plan);
    return 0;
}
