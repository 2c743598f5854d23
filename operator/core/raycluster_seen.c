/* What a RayCluster's pods are up to. */
#include "core/raycluster_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/inject.h"
#include "kube/wall_time.h"

const char *rc_label__(const struct json *tree, const char *key)
{
    return json_str(json_get(json_get(json_get(tree, "metadata"), "labels"), key));
}

const char *rc_annotation__(const struct json *tree, const char *key)
{
    return json_str(json_get(json_get(json_get(tree, "metadata"), "annotations"), key));
}

int64_t rc_created_ms__(const struct json *tree)
{
    const char *text = json_str(json_get(json_get(tree, "metadata"), "creationTimestamp"));
    int64_t ms = 0;

    return text && kube_wall_time_read(text, &ms) == 0 ? ms : 0;
}

static int by_name(const void *name, const void *object)
{
    return strcmp(name, ((const struct seen_object *)object)->meta->name);
}

const struct seen_object *rc_find__(const struct seen_list *l, const char *name)
{
    return l->n ? bsearch(name, l->at, l->n, sizeof *l->at, by_name) : NULL;
}

/* -- KubeRay's --------------------------------------------------------------------------------- */

static const char *kuberay_in(const struct seen_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (rc_is(rc_label__(l->at[i].tree, RAY_LABEL_CREATED_BY), POD_KUBERAY) &&
            rc_label__(l->at[i].tree, RAY_LABEL_NODE_TYPE) &&
            !rc_annotation__(l->at[i].tree, POD_ANNOTATION))
            return l->at[i].meta->name;
    return NULL;
}

const char *rc_kuberay_pod__(const struct seen *s)
{
    return kuberay_in(&s->of[SEEN_PODS]);
}

/* -- pods -------------------------------------------------------------------------------------- */

/* The state of the Ray container: the template's first. */
static const struct json *ray_container(const struct json *tree)
{
    const struct json *list = json_get(json_get(tree, "status"), "containerStatuses");
    const char *name =
        json_str(json_get(json_first(json_get(json_get(tree, "spec"), "containers")), "name"));

    return name ? inject_find(list, "name", name) : json_first(list);
}

static enum rc_fate fate_of(struct rc_pass *x, const struct json *tree)
{
    const struct json *c = ray_container(tree), *state = json_get(c, "state");
    const struct json *ended = json_get(state, "terminated");
    const char *policy = json_str(json_get(json_get(tree, "spec"), "restartPolicy"));
    int64_t restarts = 0, code = 0;

    if (pod_has_ended(tree))
        return RC_ENDED;
    if (json_is(ended, JSON_OBJECT)) {
        json_int(json_get(ended, "exitCode"), &code);
        if (rc_is(policy, "Never") || (rc_is(policy, "OnFailure") && code == 0))
            return RC_ENDED;
    }
    json_int(json_get(c, "restartCount"), &restarts);
    bool down = json_is(ended, JSON_OBJECT) ||
                rc_is(json_str(json_get(json_get(state, "waiting"), "reason")), "CrashLoopBackOff");
    return down && restarts >= (int64_t)x->self->base.config->restarts_max ? RC_CRASHING : RC_FINE;
}

static int64_t index_of(const struct json *tree, const char *label)
{
    const char *text = rc_label__(tree, label);
    int64_t v;

    return text && str_to_i64(text, &v) == 0 && v >= 0 ? v : -1;
}

static void see_pod(struct rc_pass *x, const struct seen_object *o, bool head, struct rc_pod *pod)
{
    const struct json *tree = o->tree, *status = json_get(tree, "status");
    const char *phase = json_str(json_get(status, "phase"));
    const char *group = rc_label__(tree, RAY_LABEL_GROUP);
    const char *node = json_str(json_get(json_get(tree, "spec"), "nodeName"));
    const char *hash = rc_annotation__(tree, RAY_ANNOTATION_HASH);
    const struct json *ready = inject_find(json_get(status, "conditions"), "type", "Ready");

    *pod = (struct rc_pod){.seen = o, .name = o->meta->name, .head = head};
    if (x->c)
        pod->group = head ? &x->c->spec.head : group ? ray_cluster_group(&x->c->spec, group) : NULL;
    if (!head && pod->group && pod->group->is_head)
        pod->group = NULL;
    pod->running = rc_is(phase, "Running");
    pod->ready = pod->running && rc_is(json_str(json_get(ready, "status")), "True");
    pod->going = o->meta->deleting;
    pod->stale = x->c && x->c->spec.recreate && hash && strcmp(hash, x->hash) != 0;
    pod->created_ms = rc_created_ms__(tree);
    pod->replica = index_of(tree, RAY_LABEL_REPLICA_INDEX);
    pod->host = index_of(tree, RAY_LABEL_HOST_INDEX);
    pod->fate = o->meta->deleting ? RC_GOING : fate_of(x, tree);
    if (node && node[0] && rc_node_lost__(x, node))
        pod->fate = RC_LOST;
}

void rc_see__(struct rc_pass *x)
{
    const struct seen_list *l = &x->s->of[SEEN_PODS];

    x->pods = mem_calloc(l->n + 1, sizeof *x->pods);
    if (!rc_ok__(x, x->pods ? 0 : -RAIA_ERR_NOMEM))
        return;
    x->memory->pass++;
    for (size_t i = 0; i < l->n; i++) {
        const char *type = rc_label__(l->at[i].tree, RAY_LABEL_NODE_TYPE);
        if (rc_is(type, "head") || rc_is(type, "worker"))
            see_pod(x, &l->at[i], type[0] == 'h', &x->pods[x->n_pods++]);
    }
    rc_nodes_seen__(x);
}

/* -- failures ---------------------------------------------------------------------------------- */

void rc_see_failure__(struct rc_pass *x)
{
    const struct ray_cluster_spec *spec = &x->c->spec;
    char prefix[POD_NAME_SIZE];
    size_t best = 0;

    if (!x->s->failure || !x->s->failed || !str_starts_with(x->s->failed, "Pod "))
        return;
    const char *name = x->s->failed + strlen("Pod ");
    for (size_t i = 0; i <= spec->n_workers; i++) {
        const struct ray_group *g = i < spec->n_workers ? &spec->workers[i] : &spec->head;
        pod_prefix(x->c, g, prefix);
        if (str_starts_with(name, prefix) && strlen(prefix) > best) {
            best = strlen(prefix);
            x->failed = g;
        }
    }
    x->failed_create = !rc_find__(&x->s->of[SEEN_PODS], name);
    if (x->s->failure->reason == KUBE_ALREADY_EXISTS)
        x->memory->salt++; /* somebody else has that name: the next ones differ */
}
