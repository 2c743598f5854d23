/*
 * Whatever a process sends: the bytes of its socket, cut anywhere, and the payloads of its ring.
 * The first byte chooses.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "raylet/frame.h"
#include "raylet/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches every byte, so that a sanitizer sees a bad one. */
static void touch(const void *data, size_t size)
{
    volatile uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
}

static void frames(const uint8_t *data, size_t size)
{
    struct frame_reader *f = frame_reader_new();
    size_t step = size ? 1 + data[0] % 61 : 1;

    for (size_t at = 0; f && at < size; at += step) {
        struct record_head h;
        const void *payload;
        int r;
        if (frame_reader_add(f, data + at, size - at < step ? size - at : step, NULL, 0) < 0)
            break;
        while ((r = frame_reader_next(f, &h, &payload)) > 0) {
            touch(payload, h.size - sizeof h);
            if (h.type == REC_HELLO) {
                Raia__Agent__Hello *m =
                    raia__agent__hello__unpack(NULL, h.size - sizeof h, payload);
                if (m)
                    raia__agent__hello__free_unpacked(m, NULL);
            }
        }
        if (r < 0)
            break;
    }
    frame_reader_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct records_class c;
    struct records_demand d;
    struct rec_running running;
    struct res_names *names;
    char name[96];

    if (size == 0)
        return 0;
    names = res_names_new();
    switch (data[0] % 4) {
    case 0:
        frames(data + 1, size - 1);
        break;
    case 1:
        if (names && records_class(data + 1, size - 1, names, &c) == 0)
            for (uint32_t i = 0; i < c.need.n; i++)
                if (c.need.item[i].quantity <= 0 || c.need.item[i].quantity > RES_MAX)
                    abort();
        break;
    case 2:
        (void)records_demand(data + 1, size - 1, &d);
        break;
    default:
        if (records_running(data + 1, size - 1, &running, name, sizeof name) == 0)
            touch(name, strlen(name));
    }
    res_names_free(names);
    return 0;
}
