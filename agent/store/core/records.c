/*
 * Records of processes (proto/record.h), checked and handed on. A process that sends what it may
 * not gets -PROTOCOL, and is to be broken; nothing that it sends can do more than that.
 */
#include <string.h>

#include "store/core/state.h"

#define COPY(into, payload, size)                                                                  \
    do {                                                                                           \
        if ((size) < sizeof(into))                                                                 \
            return -RAIA_ERR_PROTOCOL;                                                             \
        memcpy(&(into), (payload), sizeof(into));                                                  \
    } while (0)

/* Node ids that end a record. */
static int copy_nodes(const uint8_t *from, size_t left, uint32_t n,
                      struct node_id nodes[STORE_NODES_MAX])
{
    if (n > STORE_NODES_MAX || left != n * sizeof nodes[0])
        return -RAIA_ERR_PROTOCOL;
    if (n)
        memcpy(nodes, from, n * sizeof nodes[0]);
    return 0;
}

static int handle_get(struct store_core *core, struct store_client *client, uint64_t tag,
                      const uint8_t *payload, size_t size)
{
    struct node_id nodes[STORE_NODES_MAX];
    struct rec_store_get r;

    COPY(r, payload, size);
    if (copy_nodes(payload + sizeof r, size - sizeof r, r.nnodes, nodes) < 0)
        return -RAIA_ERR_PROTOCOL;
    return store_get__(core, client, tag, &r, nodes);
}

static int handle_free(struct store_core *core, const uint8_t *payload, size_t size)
{
    struct node_id nodes[STORE_NODES_MAX];
    struct rec_store_free r;
    struct store_object *o;
    struct object_id id;

    COPY(r, payload, size);
    if (copy_nodes(payload + sizeof r, size - sizeof r, r.nnodes, nodes) < 0)
        return -RAIA_ERR_PROTOCOL;
    memcpy(id.bytes, r.object, sizeof id.bytes);
    store_tomb_set__(core, &id);
    o = store_object_find__(core, &id);
    for (uint32_t i = 0; i < r.nnodes; i++) {
        if (o)
            store_forward_remove__(o, &nodes[i]);
        store_peer_send_free__(core, &nodes[i], &id);
    }
    if (o)
        store_object_free__(core, o, -RAIA_ERR_OBJECT_LOST, "the object was freed by its owner");
    return 0;
}

static int dispatch(struct store_core *core, struct store_client *client,
                    const struct record_head *head, const uint8_t *payload, size_t size)
{
    struct rec_store_create create;
    struct rec_object object;
    struct rec_store_stray stray;
    struct rec_store_give give;
    struct store_object *o;
    struct object_id id;

    switch (head->type) {
    case REC_STORE_CREATE:
        COPY(create, payload, size);
        return store_create__(core, client, head->tag, &create);
    case REC_STORE_SEAL:
        COPY(object, payload, size);
        return store_seal__(core, client, &object);
    case REC_STORE_ABORT:
        COPY(object, payload, size);
        return store_abort__(core, client, &object);
    case REC_STORE_GET:
        return handle_get(core, client, head->tag, payload, size);
    case REC_STORE_GET_CANCEL:
        store_get_cancel__(core, client, head->tag);
        return 0;
    case REC_STORE_RELEASE:
        COPY(object, payload, size);
        return store_release__(core, client, &object);
    case REC_STORE_FREE:
        return handle_free(core, payload, size);
    case REC_STORE_STRAY_IS:
        COPY(stray, payload, size);
        return store_stray_answer__(core, client, &stray);
    case REC_STORE_DOUBT:
        COPY(object, payload, size);
        memcpy(id.bytes, object.object, sizeof id.bytes);
        o = store_object_find__(core, &id);
        if (o && o->maker)
            store_doubt__(core, o);
        return 0;
    case REC_STORE_GIVE:
        COPY(give, payload, size);
        return store_made_over__(core, client, &give);
    default:
        return -RAIA_ERR_PROTOCOL;
    }
}

int store_core_record(struct store_core *core, int64_t now, uint32_t client,
                      const struct record_head *head, const void *payload)
{
    struct store_client *c = store_client_find__(core, client);
    struct record_head h = *head;
    int r;

    core->now = now;
    if (!c || h.size < sizeof h || h.size - sizeof h > RECORD_SOCKET_MAX)
        return -RAIA_ERR_PROTOCOL;
    if (c->closed && h.type != REC_STORE_SEAL && h.type != REC_STORE_RELEASE &&
        h.type != REC_STORE_FREE && h.type != REC_STORE_ABORT && h.type != REC_STORE_GIVE)
        return 0; /* its last words: what asks for an answer is too late */
    r = dispatch(core, c, &h, payload, h.size - sizeof h);
    store_run__(core);
    return r;
}
