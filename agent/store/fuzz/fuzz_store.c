/*
 * Fuzzes both record handlers of the store core: the input is a script of records of processes and
 * of another node. After each the books must agree.
 *
 * A step is a byte: its high bit says link or process; then type, tag, flags, object, and the rest.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/core/store_core.h"

#define SENDS 64

static struct store_send *sends[SENDS];
static int nsends;

static int on_create(void *arg, uint32_t segment, uint64_t size)
{
    (void)arg;
    (void)segment;
    (void)size;
    return 0;
}

static void on_destroy(void *arg, uint32_t segment)
{
    (void)arg;
    (void)segment;
}

static void on_punch(void *arg, uint32_t segment, uint64_t offset, uint64_t size)
{
    (void)arg;
    (void)segment;
    (void)offset;
    (void)size;
}

static int on_write(void *arg, uint32_t segment, uint64_t offset, const void *data, size_t size)
{
    volatile uint8_t sum __attribute__((unused)) = 0;

    (void)arg;
    (void)segment;
    (void)offset;
    for (size_t i = 0; i < size; i++)
        sum ^= ((const uint8_t *)data)[i];
    return 0;
}

static int on_share(void *arg, uint32_t client, uint32_t segment, uint64_t size, bool writable)
{
    (void)arg;
    (void)client;
    (void)segment;
    (void)size;
    (void)writable;
    return 0;
}

static void on_send(void *arg, uint32_t client, uint16_t type, uint64_t tag, const void *payload,
                    size_t size)
{
    (void)arg;
    (void)client;
    (void)type;
    (void)tag;
    (void)payload;
    (void)size;
}

static int on_link_send(void *arg, const uint8_t node[16], uint16_t type, const void *head,
                        size_t head_size, const void *data, size_t data_size)
{
    (void)arg;
    (void)type;
    (void)head;
    (void)head_size;
    (void)data;
    (void)data_size;
    return node[0] == 3 ? -RAIA_ERR_UNAVAILABLE : node[0] == 4 ? -RAIA_ERR_LIMIT : 0;
}

static int on_chunk(void *arg, const uint8_t node[16], const struct store_link_chunk *head,
                    uint32_t segment, uint64_t offset, struct store_send *send)
{
    (void)arg;
    (void)node;
    (void)head;
    (void)segment;
    (void)offset;
    if (nsends == SENDS)
        return -RAIA_ERR_LIMIT;
    sends[nsends++] = send;
    return 0;
}

static const struct store_core_ops ops = {on_create, on_destroy, on_punch,     on_write,
                                          on_share,  on_send,    on_link_send, on_chunk};

/* One step out of the script; returns how many bytes it took, 0 at the end. */
static size_t step(struct store_core *core, const uint8_t *p, size_t n, int64_t *now)
{
    uint8_t node[16] = {0}, payload[300] = {0};
    struct record_head h = {.size = sizeof h};
    uint8_t size;

    if (n < 6)
        return 0;
    size = p[5];
    if (size > n - 6)
        size = (uint8_t)(n - 6);
    memcpy(payload + 28, p + 6, size); /* behind an id of one byte */
    payload[0] = p[4] & 7;
    node[0] = 2 + p[3] % 3;
    *now += (int64_t)p[2] << 22;
    switch (p[0] >> 6) {
    case 0:
        h.type = (uint16_t)(REC_STORE_CREATE + p[1] % 15);
        h.tag = p[3];
        h.size += 28 + size;
        (void)store_core_record(core, *now, 1 + p[2] % 2, &h, payload);
        break;
    case 1:
        (void)store_core_link_record(core, *now, node, (uint16_t)(STORE_LINK_FIRST + p[1] % 12),
                                     payload, 28u + size, NULL, 0);
        break;
    case 2: /* the same, with a head of free form */
        (void)store_core_link_record(core, *now, node, (uint16_t)(STORE_LINK_FIRST + p[1] % 12),
                                     payload + 28, size, NULL, 0);
        break;
    default:
        if (p[1] % 4 == 0 && nsends)
            store_core_sent(sends[--nsends]);
        else if (p[1] % 4 == 1)
            store_core_link_broken(core, *now, node);
        else if (p[1] % 4 == 2)
            store_core_link_writable(core, *now, node);
        else
            store_core_tick(core, *now);
    }
    return 6u + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t self[16] = {1};
    struct record_address address = {{1}, {1}};
    struct store_config c;
    struct store_core *core;
    int64_t now = 0;

    nsends = 0;
    store_config_default(&c, self, 4 << 20);
    c.segment_bytes = 1 << 20;
    if (store_core_new(&c, &ops, NULL, &core) < 0)
        return 0;
    for (uint32_t i = 1; i <= 2; i++) {
        address.worker[0] = (uint8_t)i;
        if (store_core_client_add(core, i, &address, (const uint8_t[4]){0, 0, 0, 1}) < 0)
            abort();
    }
    for (size_t taken; (taken = step(core, data, size, &now)); data += taken, size -= taken)
        if (store_core_check(core))
            abort();
    while (nsends)
        store_core_sent(sends[--nsends]);
    store_core_free(core);
    return 0;
}
