/*
 * The node of the submitter's pod.
 *
 * Kubernetes takes five minutes to evict from a node that is lost, and a Job with a failure policy
 * (ours has one) makes no other pod before the old one has failed, which nobody is there to tell. So
 * the Job goes, and the next pass makes it anew: its pod finds the job at the head, by its id.
 */
#include <stdio.h>
#include <string.h>

#include "core/fields.h"
#include "core/node.h"
#include "core/pod.h"
#include "core/rayjob_impl.h"

/* The node of a pod that has not ended; NULL: none. */
static const char *node_of(const struct seen_object *pod)
{
    const char *node = json_str(json_at(pod->tree, "spec.nodeName"));

    return node && *node && !pod_has_ended(pod->tree) ? node : NULL;
}

/* As for the pods of a cluster: for how long is counted here, from when it was first seen. */
static bool is_lost(struct rayjob_pass *x, const char *node)
{
    struct rayjob_memory *m = x->m;
    char since[NODE_SINCE_SIZE];
    bool down = false;

    if (x->r == 0)
        x->r = node_down(x->s->nodes, node, &down, since, x->e);
    if (x->r < 0 || !down) {
        m->node_down_at = 0;
        return false;
    }
    if (!m->node_down_at || strcmp(m->node, node) != 0 || strcmp(m->node_since, since) != 0)
        m->node_down_at = x->s->now;
    (void)snprintf(m->node, sizeof m->node, "%s", node);
    (void)snprintf(m->node_since, sizeof m->node_since, "%s", since);
    if (x->s->now >= m->node_down_at + x->config->node_lost_ns)
        return true;
    plan_again(x->p, m->node_down_at + x->config->node_lost_ns);
    return false;
}

bool rayjob_submitter_lost(struct rayjob_pass *x)
{
    const struct seen_list *pods = &x->s->of[SEEN_SUBMITTERS];
    const char *node = NULL;

    /* One pod at a time; an older one that has not gone is of a Job that is not seen any more. */
    for (size_t i = 0; i < pods->n && !node; i++)
        node = node_of(&pods->at[i]);
    return node && x->s->nodes && is_lost(x, node);
}
