/* Where am I, the nodes, the key-value store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"

const char *raia_id_text(const struct raia_id *id, char buf[RAIA_ID_TEXT])
{
    static const struct raia_id none;

    id_hex(id ? id->b : none.b, 16, buf);
    return buf;
}

struct raia_id raia_node_id(void)
{
    struct raia_id id;

    memcpy(id.b, the_runtime->self.node, 16);
    return id;
}

struct raia_id raia_worker_id(void)
{
    struct raia_id id;

    memcpy(id.b, the_runtime->self.worker, 16);
    return id;
}

uint32_t raia_job_id(void)
{
    const uint8_t *j = the_runtime->job;

    return (uint32_t)j[0] << 24 | (uint32_t)j[1] << 16 | (uint32_t)j[2] << 8 | j[3];
}

/* A request of its own, from the token's taking to its giving back. */
static int ask(uint16_t method, const void *packed, size_t size, struct question *q)
{
    struct runtime *rt = rt_enter();
    int r;

    if (!rt)
        return -raia_last_error()->code;
    r = gcs_call(rt, q, method, packed, size);
    if (r < 0)
        question_fini(q);
    rt_leave(rt);
    return r;
}

/* ---- nodes */

static size_t node_bytes(const Raia__Gcs__Node *n)
{
    size_t size = sizeof(struct raia_node) + n->n_total * sizeof(struct raia_resource);

    for (size_t i = 0; i < n->n_total; i++)
        size += strlen(n->total[i]->name) + 1;
    return size;
}

static double quantity_of(Raia__Resource *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i]->name, name) == 0)
            return (double)list[i]->quantity / 10000;
    return 0;
}

static void fill_node(const Raia__Gcs__Node *m, struct raia_node *to,
                      struct raia_resource **resources, char **names)
{
    if (m->node_id.len == 16)
        memcpy(to->id.b, m->node_id.data, 16);
    snprintf(to->name, sizeof(to->name), "%s", m->name ? m->name : "");
    snprintf(to->address, sizeof(to->address), "%s", m->address ? m->address : "");
    to->alive = m->state != RAIA__GCS__NODE_STATE__NODE_DEAD;
    to->is_head = m->is_head;
    to->cpus = quantity_of(m->total, m->n_total, "CPU");
    to->cpus_free = quantity_of(m->available, m->n_available, "CPU");
    to->store_bytes = m->store_capacity;
    to->store_used = m->store_used;
    to->resources = *resources;
    to->resource_count = m->n_total;
    for (size_t i = 0; i < m->n_total; i++) {
        size_t n = strlen(m->total[i]->name) + 1;

        memcpy(*names, m->total[i]->name, n);
        (*resources)->name = *names;
        (*resources)->quantity = (double)m->total[i]->quantity / 10000;
        (*resources)++;
        *names += n;
    }
}

int raia_nodes(struct raia_node **ret, size_t *ret_count)
{
    Raia__Gcs__ListNodesRequest m = RAIA__GCS__LIST_NODES_REQUEST__INIT;
    Raia__Gcs__ListNodesReply *reply;
    struct raia_resource *resources;
    struct raia_node *all;
    size_t size = 1, total = 0;
    struct question q;
    uint8_t packed[16];
    char *names;
    int r;

    if (!ret || !ret_count)
        return last_set(RAIA_ERR_INVALID, "nodes: no place for the answer");
    r = ask(GCS_LIST_NODES, packed, raia__gcs__list_nodes_request__pack(&m, packed), &q);
    if (r < 0)
        return r;
    r = question_reply(&q, &raia__gcs__list_nodes_reply__descriptor, &reply);
    if (r < 0)
        return r;
    for (size_t i = 0; i < reply->n_nodes; i++) {
        size += node_bytes(reply->nodes[i]);
        total += reply->nodes[i]->n_total;
    }
    all = mem_zalloc(size);
    if (all) {
        resources = (struct raia_resource *)(void *)(all + reply->n_nodes);
        names = (char *)(resources + total);
        for (size_t i = 0; i < reply->n_nodes; i++)
            fill_node(reply->nodes[i], &all[i], &resources, &names);
        *ret = all;
        *ret_count = reply->n_nodes;
    }
    proto_free(reply);
    return all ? 0 : last_set(RAIA_ERR_NOMEM, "out of memory");
}

/* ---- key-value */

static char *ns_of(const char *ns)
{
    return (char *)(uintptr_t)(ns ? ns : the_runtime->ns);
}

int raia_kv_put(const char *ns, const char *key, const void *value, size_t size, bool overwrite)
{
    Raia__Gcs__KvPutRequest m = RAIA__GCS__KV_PUT_REQUEST__INIT;
    Raia__Gcs__KvPutReply *reply;
    _cleanup_(mem_freep) uint8_t *packed = NULL;
    struct question q;
    int r;

    if (!key || !*key || (size && !value) || size > 1u << 20)
        return last_set(RAIA_ERR_INVALID, "kv: a key, and a value of at most 1 MiB");
    m.ns = ns_of(ns);
    m.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    m.value = (ProtobufCBinaryData){size, (uint8_t *)(uintptr_t)value};
    m.overwrite = overwrite;
    packed = mem_alloc(raia__gcs__kv_put_request__get_packed_size(&m));
    if (!packed)
        return last_set(RAIA_ERR_NOMEM, "out of memory");
    r = ask(GCS_KV_PUT, packed, raia__gcs__kv_put_request__pack(&m, packed), &q);
    if (r < 0)
        return r;
    r = question_reply(&q, &raia__gcs__kv_put_reply__descriptor, &reply);
    if (r < 0)
        return r;
    if (!reply->added && !overwrite)
        r = last_set(RAIA_ERR_EXISTS, "kv: '%s' has a value already", key);
    proto_free(reply);
    return r;
}

int raia_kv_get(const char *ns, const char *key, void **ret, size_t *ret_size)
{
    Raia__Gcs__KvGetRequest m = RAIA__GCS__KV_GET_REQUEST__INIT;
    Raia__Gcs__KvGetReply *reply;
    _cleanup_(mem_freep) uint8_t *packed = NULL;
    struct question q;
    char *copy;
    int r;

    if (!key || !*key || !ret)
        return last_set(RAIA_ERR_INVALID, "kv: a key, and a place for the value");
    m.ns = ns_of(ns);
    m.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    packed = mem_alloc(raia__gcs__kv_get_request__get_packed_size(&m));
    if (!packed)
        return last_set(RAIA_ERR_NOMEM, "out of memory");
    r = ask(GCS_KV_GET, packed, raia__gcs__kv_get_request__pack(&m, packed), &q);
    if (r < 0)
        return r;
    r = question_reply(&q, &raia__gcs__kv_get_reply__descriptor, &reply);
    if (r < 0)
        return r;
    if (!reply->found) {
        r = last_set(RAIA_ERR_NOT_FOUND, "kv: '%s' has no value", key);
    } else if (!(copy = mem_alloc(reply->value.len + 1))) {
        r = last_set(RAIA_ERR_NOMEM, "out of memory");
    } else {
        if (reply->value.len)
            memcpy(copy, reply->value.data, reply->value.len);
        copy[reply->value.len] = 0;
        *ret = copy;
        if (ret_size)
            *ret_size = reply->value.len;
    }
    proto_free(reply);
    return r;
}

int raia_kv_del(const char *ns, const char *key)
{
    Raia__Gcs__KvDelRequest m = RAIA__GCS__KV_DEL_REQUEST__INIT;
    _cleanup_(mem_freep) uint8_t *packed = NULL;
    struct question q;
    int r;

    if (!key || !*key)
        return last_set(RAIA_ERR_INVALID, "kv: a key is needed");
    m.ns = ns_of(ns);
    m.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    packed = mem_alloc(raia__gcs__kv_del_request__get_packed_size(&m));
    if (!packed)
        return last_set(RAIA_ERR_NOMEM, "out of memory");
    r = ask(GCS_KV_DEL, packed, raia__gcs__kv_del_request__pack(&m, packed), &q);
    if (r == 0)
        question_fini(&q);
    return r;
}
