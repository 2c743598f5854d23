/* The state API's listings that only raylets can fill: tasks, objects, workers. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/pb.h"
#include "rest/merge.h"
#include "rest/rest_impl.h"
#include "rest/state_impl.h"

#define RAYLETS_MS   3000 /* for all raylets together */
#define PROCESSES_MS 1000 /* for the processes of each */

/* One request on its way. */
struct inquiry {
    struct rest *rest;           /* whose */
    struct http_exchange *x;     /* to be answered */
    const struct source *source; /* what is asked for */
    struct listing l;            /* filters, and what came */
    struct merge *merge;         /* of tasks and objects; NULL: workers */
};

struct source {
    const char *what;   /* of the path */
    const char *method; /* of the raylets */
    int (*take)(struct merge *m, const struct node_id *node, const void *data, size_t size,
                struct merge_told *ret_told); /* NULL: workers */
    void (*each)(struct merge *m, merge_row_fn fn, void *arg);
};

static const struct source sources[] = {
    {"tasks", "/raia.raylet.Raylet/ListTasks", merge_tasks, merge_each_task},
    {"objects", "/raia.raylet.Raylet/ListObjects", merge_objects, merge_each_object},
    {"workers", "/raia.raylet.Raylet/ListWorkers", NULL, NULL},
};

static void inquiry_free(struct inquiry *q)
{
    merge_free(q->merge);
    listing_fini(&q->l);
    mem_free(q);
}

static void add_row(void *arg, struct json *row)
{
    listing_row(arg, row);
}

static int take_workers(struct inquiry *q, const struct ask_node *node)
{
    _cleanup_(proto_freep) Raia__Raylet__ListWorkersReply *reply = NULL;
    char ip[256];
    int r =
        proto_unpack(&raia__raylet__list_workers_reply__descriptor, node->data, node->size, &reply);

    if (r < 0)
        return r;
    rest_host_of(node->address, ip, sizeof ip);
    for (size_t i = 0; i < reply->n_workers; i++)
        listing_row(&q->l, merge_worker_row(reply->workers[i], &node->id, ip));
    return 0;
}

static void warn_silent(struct inquiry *q, const struct ask_node *node,
                        const struct merge_told *told)
{
    for (size_t i = 0; i < told->n_silent; i++)
        listing_warn(&q->l, "%s pid %d on node %s: %s.",
                     told->silent[i]->driver ? "Driver" : "Worker", (int)told->silent[i]->pid,
                     node->name, told->silent[i]->why);
}

static void take(struct inquiry *q, const struct ask_node *node)
{
    struct merge_told told = {0};
    int r = node->status;

    if (r == 0)
        r = q->source->take ? q->source->take(q->merge, &node->id, node->data, node->size, &told)
                            : take_workers(q, node);
    if (node->status < 0)
        listing_warn(&q->l, "Node %s (%s): %s.", node->name, node->address, node->error);
    else if (r < 0)
        listing_warn(&q->l, "Node %s (%s): not all of its answer was taken: %s.", node->name,
                     node->address, raia_strerror(r));
    warn_silent(q, node, &told);
    listing_cut(&q->l, told.cut);
}

static void on_done(void *arg, struct ask_node *nodes, size_t n)
{
    struct inquiry *q = arg;

    for (size_t i = 0; i < n; i++)
        take(q, &nodes[i]);
    if (q->merge)
        q->source->each(q->merge, add_row, &q->l);
    else
        state_dead_drivers(q->rest, &q->l);
    rest_answer_state(q->rest, q->x, listing_done(&q->l));
    inquiry_free(q);
}

/* The nodes to be asked. */
struct alive {
    const Raia__Gcs__Node **nodes; /* owned array */
    size_t n;                      /* in it */
    size_t room;                   /* for so many */
    bool failed;                   /* out of memory */
};

static void add_alive(void *arg, const Raia__Gcs__Node *node)
{
    struct alive *a = arg;

    if (node->state == RAIA__GCS__NODE_STATE__NODE_DEAD || a->failed)
        return;
    if (a->n == a->room) {
        size_t room = a->room ? 2 * a->room : 16;
        const Raia__Gcs__Node **more = mem_realloc(a->nodes, room * sizeof *more);

        a->failed = !more;
        if (!more)
            return;
        a->nodes = more;
        a->room = room;
    }
    a->nodes[a->n++] = node;
}

static int ask(struct inquiry *q, struct raia_error *e)
{
    Raia__Raylet__ListRequest m = RAIA__RAYLET__LIST_REQUEST__INIT;
    uint8_t packed[32];
    struct ask_question question = {.method = q->source->method,
                                    .data = packed,
                                    .timeout_ms = RAYLETS_MS,
                                    .done = on_done,
                                    .arg = q};
    struct alive alive = {0};
    int r;

    m.timeout_ms = PROCESSES_MS;
    question.size = raia__raylet__list_request__pack(&m, packed);
    gcs_core_each_node(q->rest->options.core, add_alive, &alive);
    r = alive.failed ? err_set(e, RAIA_ERR_NOMEM, "asking raylets")
                     : asker_ask(q->rest->options.asker, &question, alive.nodes, alive.n, e);
    mem_free(alive.nodes);
    return r;
}

int state_ask(struct rest *rest, struct http_exchange *x, const char *what, struct listing *l)
{
    const struct source *source = NULL;
    struct inquiry *q;
    struct raia_error e = {0};
    int r;

    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (strcmp(what, sources[i].what) == 0)
            source = &sources[i];
    if (!source)
        return -RAIA_ERR_NOT_FOUND;
    q = mem_new(struct inquiry);
    if (!q) {
        (void)err_set(&e, RAIA_ERR_NOMEM, "out of memory");
        state_refuse(x, &e);
        return 0;
    }
    *q = (struct inquiry){.rest = rest, .x = x, .source = source, .l = *l};
    *l = (struct listing){0};
    if (source->take)
        q->merge = merge_new();
    r = source->take && !q->merge ? err_set(&e, RAIA_ERR_NOMEM, "out of memory") : ask(q, &e);
    if (r < 0) {
        state_refuse(x, &e);
        inquiry_free(q);
    }
    return 0;
}
