/*
 * The store as the raylet has it: the core, with real memory and the raylet's callbacks.
 */
#include "store/store.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/core/alloc.h"
#include "store/core/store_core.h"
#include "store/memory.h"

struct store {
    struct store_core *core;    /* decides */
    struct store_memory memory; /* the segments */
    struct store_host host;     /* the raylet */
};

static int on_segment_create(void *arg, uint32_t segment, uint64_t size)
{
    struct store *s = arg;

    return store_memory_create(&s->memory, segment, size);
}

static void on_segment_destroy(void *arg, uint32_t segment)
{
    struct store *s = arg;

    store_memory_destroy(&s->memory, segment);
}

static void on_segment_punch(void *arg, uint32_t segment, uint64_t offset, uint64_t size)
{
    struct store *s = arg;

    store_memory_punch(&s->memory, segment, offset, size);
}

static int on_segment_write(void *arg, uint32_t segment, uint64_t offset, const void *data,
                            size_t size)
{
    struct store *s = arg;

    return store_memory_write(&s->memory, segment, offset, data, size);
}

static int on_segment_share(void *arg, uint32_t client, uint32_t segment, uint64_t size,
                            bool writable)
{
    struct store *s = arg;
    int fd = -1, r;

    if (writable) {
        fd = store_memory_fd(&s->memory, segment);
        if (fd < 0)
            return fd;
        s->host.send_segment(s->host.arg, client, segment, size, true, fd);
        return 0;
    }
    r = store_memory_read_only(&s->memory, segment, &fd);
    if (r < 0)
        return r;
    s->host.send_segment(s->host.arg, client, segment, size, false, fd);
    fd_closep(&fd);
    return 0;
}

static void on_send(void *arg, uint32_t client, uint16_t type, uint64_t tag, const void *payload,
                    size_t size)
{
    struct store *s = arg;

    s->host.send(s->host.arg, client, type, tag, payload, size);
}

static int on_link_send(void *arg, const uint8_t node[16], uint16_t type, const void *head,
                        size_t head_size, const void *data, size_t data_size)
{
    struct store *s = arg;

    return s->host.link_send(s->host.arg, node, type, head, head_size, data, data_size, NULL, NULL);
}

static void on_sent(void *send)
{
    store_core_sent(send);
}

static int on_link_send_chunk(void *arg, const uint8_t node[16],
                              const struct store_link_chunk *head, uint32_t segment,
                              uint64_t offset, struct store_send *send)
{
    struct store *s = arg;
    const void *data = store_memory_read(&s->memory, segment, offset, head->size);

    if (!data)
        return -RAIA_ERR_NOMEM;
    return s->host.link_send(s->host.arg, node, STORE_LINK_CHUNK, head, sizeof *head, data,
                             head->size, on_sent, send);
}

static const struct store_core_ops core_ops = {
    .segment_create = on_segment_create,
    .segment_destroy = on_segment_destroy,
    .segment_punch = on_segment_punch,
    .segment_write = on_segment_write,
    .segment_share = on_segment_share,
    .send = on_send,
    .link_send = on_link_send,
    .link_send_chunk = on_link_send_chunk,
};

void store_config_default(struct store_config *c, const uint8_t node[16], uint64_t capacity)
{
    *c = (struct store_config){
        .capacity = capacity,
        .segment_bytes = 64u << 20,
        .reserve_bytes = capacity / 8,
        .max_segments = 1024,
        .max_objects = 1u << 20,
        .max_tombstones = 1u << 16,
        .max_waiting = 1u << 16,
        .max_serving = 1024,
        .pull_window = 8u << 20,
        .pull_timeout_ms = 10000,
        .pull_tries = 3,
        .memory_wait_ms = 30000,
        .settle_ms = 1000,
        .giveback_ms = 2000,
        .reserve_ms = 60000,
    };
    memcpy(c->node, node, sizeof c->node);
}

static int check_config(const struct store_config *c, struct raia_error *e)
{
    if (c->capacity < 1u << 20)
        return err_set(e, RAIA_ERR_INVALID,
                       "object store of %" PRIu64 " bytes: at least 1 MiB is needed; set "
                       "--object-store-memory",
                       c->capacity);
    if (!c->segment_bytes || !c->max_segments || !c->max_objects || !c->max_tombstones ||
        !c->max_waiting || !c->max_serving || !c->pull_tries || !c->pull_timeout_ms ||
        c->pull_window < STORE_CHUNK_MAX)
        return err_set(e, RAIA_ERR_INVALID,
                       "object store: a limit is 0, or pull_window is under %u bytes; start from "
                       "store_config_default",
                       STORE_CHUNK_MAX);
    return 0;
}

int store_new(const struct store_config *c, const struct store_host *host, struct store **ret_store,
              struct raia_error *e)
{
    struct store *s;
    int r = check_config(c, e);

    if (r < 0)
        return r;
    s = mem_new(struct store);
    if (!s)
        return err_set(e, RAIA_ERR_NOMEM, "object store: out of memory");
    s->host = *host;
    r = store_core_new(c, &core_ops, s, &s->core);
    if (r < 0) {
        mem_free(s);
        return err_set(e, -r, "object store: out of memory");
    }
    *ret_store = s;
    return 0;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    store_core_free(s->core);
    store_memory_fini(&s->memory);
    mem_free(s);
}

int store_client_add(struct store *s, uint32_t client, const struct record_address *address,
                     const uint8_t job[4])
{
    return store_core_client_add(s->core, client, address, job);
}

void store_client_closed(struct store *s, int64_t now, uint32_t client)
{
    store_core_client_closed(s->core, now, client);
}

void store_client_gone(struct store *s, int64_t now, uint32_t client)
{
    store_core_client_gone(s->core, now, client);
}

int store_handle_record(struct store *s, int64_t now, uint32_t client,
                        const struct record_head *head, const void *payload)
{
    return store_core_record(s->core, now, client, head, payload);
}

int store_handle_link_record(struct store *s, int64_t now, const uint8_t node[16], uint16_t type,
                             const void *head, size_t head_size, const void *data, size_t data_size)
{
    return store_core_link_record(s->core, now, node, type, head, head_size, data, data_size);
}

void store_link_writable(struct store *s, int64_t now, const uint8_t node[16])
{
    store_core_link_writable(s->core, now, node);
}

void store_link_broken(struct store *s, int64_t now, const uint8_t node[16])
{
    store_core_link_broken(s->core, now, node);
}

void store_node_gone(struct store *s, int64_t now, const uint8_t node[16])
{
    store_core_node_gone(s->core, now, node);
}

void store_owner_gone(struct store *s, int64_t now, const struct record_address *owner)
{
    store_core_owner_gone(s->core, now, owner);
}

void store_job_gone(struct store *s, int64_t now, const uint8_t job[4])
{
    store_core_job_gone(s->core, now, job);
}

int64_t store_next_deadline(const struct store *s)
{
    return store_core_next_deadline(s->core);
}

void store_tick(struct store *s, int64_t now)
{
    store_core_tick(s->core, now);
}

void store_stats(const struct store *s, struct store_stats *ret_stats)
{
    store_core_stats(s->core, ret_stats);
}

void store_list(const struct store *s, void (*f)(void *arg, const struct store_object_info *o),
                void *arg)
{
    store_core_list(s->core, f, arg);
}
