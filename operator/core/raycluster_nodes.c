/*
 * Nodes that are lost, with the pods on them.
 *
 * How long a node has not been ready is counted here, from when that was first seen: the server's time
 * of the transition is another clock's, and only tells one transition from the next. An operator that
 * has just begun gives a node the whole time again.
 */
#include "core/raycluster_impl.h"

#include <string.h>

#include "core/node.h"

static void free_node(struct rc_node **all, struct rc_node *n)
{
    HASH_DEL(*all, n);
    mem_free(n->name);
    mem_free(n->transition);
    mem_free(n);
}

void rc_forget_nodes__(struct rc_node **all)
{
    struct rc_node *n, *next;

    HASH_FOREACH (*all, n, next)
        free_node(all, n);
}

static struct rc_node *add_node(struct rc_node **all, const char *name, const char *transition)
{
    struct rc_node *n = mem_new(struct rc_node);

    if (!n)
        return NULL;
    n->name = mem_strdup(name);
    n->transition = mem_strdup(transition);
    if (n->name && n->transition && HASH_PUT_STR(*all, name, n) == 0)
        return n;
    mem_free(n->name);
    mem_free(n->transition);
    mem_free(n);
    return NULL;
}

/* Looks at a node once in a pass. One that is not there may be too new for us to know it, so it gets
 * the same time. */
static int look(struct rc_pass *x, const char *name, struct rc_node **ret_n)
{
    struct rc_node **all = &x->memory->nodes, *n = HASH_GET_STR(*all, name);
    char since[NODE_SINCE_SIZE];
    bool down = false;

    int r = node_down(x->s->nodes, name, &down, since, x->e);
    if (r < 0)
        return r;
    if (n && down && strcmp(n->transition, since) != 0) {
        free_node(all, n); /* it was ready between */
        n = NULL;
    }
    if (!n && !(n = add_node(all, name, down ? since : "")))
        return -RAIA_ERR_NOMEM;
    if (!down || !n->down)
        n->since = x->s->now;
    n->down = down;
    *ret_n = n;
    return 0;
}

bool rc_node_lost__(struct rc_pass *x, const char *name)
{
    int64_t limit = x->self->base.config->node_lost_ns;
    struct rc_node *n = x->s->nodes ? HASH_GET_STR(x->memory->nodes, name) : NULL;

    if (!x->s->nodes)
        return false;
    if ((!n || n->pass != x->memory->pass) && !rc_ok__(x, look(x, name, &n)))
        return false;
    n->pass = x->memory->pass;
    if (!n->down)
        return false;
    if (x->s->now - n->since >= limit)
        return true;
    plan_again(x->p, n->since + limit);
    return false;
}

void rc_nodes_seen__(struct rc_pass *x)
{
    struct rc_node *n, *next;

    HASH_FOREACH (x->memory->nodes, n, next)
        if (!n->down || n->pass != x->memory->pass)
            free_node(&x->memory->nodes, n);
}
