/*
 * The condition Ready of a node.
 */
#include "core/node.h"

#include <stdio.h>
#include <string.h>

#include "core/inject.h"

int node_down(const struct kube_store *nodes, const char *name, bool *ret_down,
              char ret_since[NODE_SINCE_SIZE], struct raia_error *e)
{
    const struct kube_object *o = kube_store_get(nodes, NULL, name);
    _cleanup_(json_freep) struct json *tree = NULL;
    int r = o ? kube_object_tree(o, &tree, e) : 0;

    if (r < 0)
        return r;
    const struct json *ready =
        inject_find(json_get(json_get(tree, "status"), "conditions"), "type", "Ready");
    const char *status = json_str(json_get(ready, "status"));
    const char *since = json_str(json_get(ready, "lastTransitionTime"));
    *ret_down = !o || (status && strcmp(status, "True") != 0);
    (void)snprintf(ret_since, NODE_SINCE_SIZE, "%s", !o ? "none" : since ? since : "");
    return 0;
}
