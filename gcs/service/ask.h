/*
 * Asking all raylets that are alive, on demand: one unary call to each, a few at a time, with one
 * deadline for all. What came of each node is handed over together, once. No connection is kept.
 *
 *     r = asker_new(loop, tls, &a, e);
 *     r = asker_ask(a, &question, nodes, n, e);      // -LIMIT: too many are under way
 *     static void on_done(void *arg, struct ask_node *nodes, size_t n) { ... nodes[i].data ... }
 *     asker_free(a);
 *
 * Ownership: the question's texts and bytes are copied; what on_done gets lives until it returns.
 * Threads: the loop's owner. Failure: of a node: in its ask_node. All in all an asker holds
 * ASK_BYTES_MAX of replies: what comes beyond is dropped, with -LIMIT for its node.
 */
#ifndef SERVICE_ASK_H
#define SERVICE_ASK_H

#include "base/ids.h"
#include "gcs.pb-c.h"
#include "loop/loop.h"
#include "rpc/rpc.h"

#define ASKS_MAX      4            /* questions under way */
#define ASK_CALLS_MAX 32           /* calls of one question under way */
#define ASK_BYTES_MAX (128u << 20) /* of replies to all questions under way */

struct asker;

/* What came of one node. */
struct ask_node {
    struct node_id id; /* which */
    char *name;        /* for people; may be empty */
    char *address;     /* host:port */
    int status;        /* 0, or -RAIA_ERR_*: no answer */
    char error[160];   /* why not */
    uint8_t *data;     /* the packed reply; NULL if status is not 0 */
    size_t size;       /* bytes of data */
};

/* Called once, when every node has answered, failed, or run out of time. */
typedef void (*ask_done_fn)(void *arg, struct ask_node *nodes, size_t n);

struct ask_question {
    const char *method;  /* "/raia.raylet.Raylet/ListTasks" */
    const void *data;    /* the packed request */
    size_t size;         /* bytes */
    uint32_t timeout_ms; /* for all nodes together */
    ask_done_fn done;    /* never called from inside asker_ask */
    void *arg;           /* handed to it */
};

int asker_new(struct loop *loop, const struct rpc_tls *tls, struct asker **ret_a,
              struct raia_error *e);
/* nodes: those to be asked; empty is fine. -LIMIT, -NOMEM: done is not called. */
int asker_ask(struct asker *a, const struct ask_question *q, const Raia__Gcs__Node *const *nodes,
              size_t n, struct raia_error *e);
/* Ends what is under way (done is called), running the loop until it has; accepts NULL. */
void asker_free(struct asker *a);

#endif
