/*
 * Reading plan.json (plan.h).
 */
#include "keeper/plan.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"
#include "keeper/keeper.h"

#define ARGS_MAX 64

void plan_done(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        for (size_t j = 0; j < p->nodes[i].argc; j++)
            mem_free(p->nodes[i].argv[j]);
        mem_free(p->nodes[i].argv);
        mem_free(p->nodes[i].name);
    }
    mem_free(p->nodes);
    *p = (struct plan){0};
}

static int read_node(const struct json *from, bool may_lead, struct plan_node *to,
                     struct raia_error *e)
{
    const char *name;
    struct json *argv;
    int r = json_get_str(from, "name", &name, e);
    if (r == 0)
        r = json_opt_bool(from, "head", false, &to->head, e);
    if (r == 0)
        r = json_get_node(from, "argv", JSON_ARRAY, &argv, e);
    if (r < 0)
        return r;
    if (to->head && !may_lead)
        return err_set(e, RAIA_ERR_INVALID, "only the first node can be the head");
    if (json_size(argv) > ARGS_MAX)
        return err_set(e, RAIA_ERR_INVALID, "more than %d options", ARGS_MAX);
    to->name = mem_strdup(name);
    to->argv = mem_calloc(json_size(argv) + 1, sizeof *to->argv);
    if (!to->name || !to->argv)
        return err_set(e, RAIA_ERR_NOMEM, "reading");
    JSON_FOREACH(item, argv)
    {
        if (!json_str(item))
            return err_set(e, RAIA_ERR_INVALID, "argv: an option is not a string");
        if (!(to->argv[to->argc++] = mem_strdup(json_str(item))))
            return err_set(e, RAIA_ERR_NOMEM, "reading");
    }
    return 0;
}

int plan_load(const char *path, struct plan *ret_plan, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *root = NULL;
    _cleanup_(plan_done) struct plan p = {0};
    struct json *nodes;
    int r = json_load(path, NULL, &root, e);
    if (r == 0)
        r = json_get_node(root, "nodes", JSON_ARRAY, &nodes, e);
    if (r < 0)
        return err_wrap(e, "%s", path);
    size_t n = json_size(nodes);
    if (n == 0 || n > KEEPER_NODES_MAX)
        return err_set(e, RAIA_ERR_INVALID, "%s: %zu nodes; 1 to %d are possible", path, n,
                       KEEPER_NODES_MAX);
    p.nodes = mem_calloc(n, sizeof *p.nodes);
    if (!p.nodes)
        return err_set(e, RAIA_ERR_NOMEM, "%s", path);
    JSON_FOREACH(item, nodes)
    {
        p.n++;
        r = read_node(item, p.n == 1, &p.nodes[p.n - 1], e);
        if (r < 0)
            return err_wrap(e, "%s: nodes[%zu]", path, p.n - 1);
    }
    *ret_plan = p;
    p = (struct plan){0};
    return 0;
}
