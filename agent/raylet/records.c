/*
 * Checking what processes send.
 */
#include "raylet/records.h"

#include <string.h>

#include "base/buf.h"
#include "raia/error.h"

int records_fixed(const void *data, size_t size, void *ret_struct, size_t want)
{
    if (size != want)
        return -RAIA_ERR_PROTOCOL;
    memcpy(ret_struct, data, want);
    return 0;
}

int records_class(const void *data, size_t size, struct res_names *names,
                  struct records_class *ret_class)
{
    struct records_class c = {0};
    struct rec_class head;
    struct reader in;

    reader_init(&in, data, size);
    if (reader_copy(&in, &head, sizeof head) < 0 || head.number == 0 || head.strategy > 1 ||
        head.nresources > RES_SET_MAX)
        return -RAIA_ERR_PROTOCOL;
    c.number = head.number;
    c.spread = head.strategy == 1;
    for (unsigned i = 0; i < head.nresources; i++) {
        uint64_t quantity;
        uint16_t len, id;
        const uint8_t *name, *pad;
        int r;
        reader_u64(&in, &quantity);
        reader_u16(&in, &len);
        if (in.err || reader_bytes(&in, len, &name) < 0 ||
            reader_bytes(&in, (8 - (10u + len) % 8) % 8, &pad) < 0 || quantity > (uint64_t)RES_MAX)
            return -RAIA_ERR_PROTOCOL;
        r = res_name_id(names, (const char *)name, len, &id);
        if (r < 0)
            return r == -RAIA_ERR_LIMIT ? r : -RAIA_ERR_PROTOCOL;
        if (res_set_add(&c.need, id, (int64_t)quantity) < 0)
            return -RAIA_ERR_PROTOCOL;
    }
    if (reader_left(&in))
        return -RAIA_ERR_PROTOCOL;
    *ret_class = c;
    return 0;
}

int records_demand(const void *data, size_t size, struct records_demand *ret_demand)
{
    struct records_demand d = {0};

    if (size != sizeof d.d && size != sizeof d.d + 16)
        return -RAIA_ERR_PROTOCOL;
    memcpy(&d.d, data, sizeof d.d);
    if (size > sizeof d.d) {
        d.has_prefer = true;
        memcpy(d.prefer, (const uint8_t *)data + sizeof d.d, 16);
    }
    *ret_demand = d;
    return 0;
}

int records_running(const void *data, size_t size, struct rec_running *ret_running, char *ret_name,
                    size_t room)
{
    size_t n;

    if (size < sizeof *ret_running || room == 0)
        return -RAIA_ERR_PROTOCOL;
    memcpy(ret_running, data, sizeof *ret_running);
    n = size - sizeof *ret_running;
    if (n >= room)
        n = room - 1;
    memcpy(ret_name, (const uint8_t *)data + sizeof *ret_running, n);
    ret_name[n] = '\0';
    return 0;
}
