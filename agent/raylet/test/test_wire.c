/* What processes send, as bytes: the socket's messages and the ring's records. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "raia/error.h"
#include "raylet/frame.h"
#include "raylet/records.h"

static size_t put(uint8_t *to, uint16_t type, const char *payload)
{
    struct record_head h = {.size = (uint32_t)(sizeof h + strlen(payload)), .type = type};

    memcpy(to, &h, sizeof h);
    memcpy(to + sizeof h, payload, strlen(payload));
    return h.size;
}

/* Messages come out whole and in order however the bytes are cut. */
Test(frame, any_cut)
{
    uint8_t bytes[256];
    size_t n = put(bytes, 5, "first");

    n += put(bytes + n, 6, "");
    n += put(bytes + n, 7, "the third one");
    for (size_t step = 1; step <= n; step++) {
        struct frame_reader *f = frame_reader_new();
        struct record_head h;
        const void *payload;
        uint16_t want = 5;
        for (size_t at = 0; at < n; at += step) {
            cr_assert_eq(frame_reader_add(f, bytes + at, n - at < step ? n - at : step, NULL, 0),
                         0);
            while (frame_reader_next(f, &h, &payload) > 0) {
                cr_assert_eq(h.type, want);
                if (want == 7)
                    cr_assert_arr_eq(payload, "the third one", 13);
                want++;
            }
        }
        cr_assert_eq(want, 8);
        frame_reader_free(f);
    }
}

/* Sizes that cannot be, and messages beyond the limit, are refused before they are kept. */
Test(frame, refuses)
{
    struct record_head h = {.size = 15, .type = 1};
    const void *payload;
    struct frame_reader *f = frame_reader_new();

    frame_reader_add(f, &h, sizeof h, NULL, 0);
    cr_assert_eq(frame_reader_next(f, &h, &payload), -RAIA_ERR_PROTOCOL);
    frame_reader_free(f);
    f = frame_reader_new();
    h = (struct record_head){.size = sizeof h + FRAME_HELLO_MAX + 1, .type = 1};
    frame_reader_add(f, &h, sizeof h, NULL, 0);
    cr_assert_eq(frame_reader_next(f, &h, &payload), -RAIA_ERR_LIMIT);
    frame_reader_limit(f, RECORD_SOCKET_MAX);
    cr_assert_eq(frame_reader_next(f, &h, &payload), 0);
    frame_reader_free(f);
}

/* Descriptors are handed over once; those that nobody took, and too many, are closed. */
Test(frame, descriptors)
{
    struct frame_reader *f = frame_reader_new();
    int fds[FRAME_FDS_MAX], many[FRAME_FDS_MAX + 1], pipes[2];

    cr_assert_eq(pipe(pipes), 0);
    cr_assert_eq(frame_reader_add(f, "x", 1, pipes, 1), 0);
    cr_assert_eq(frame_reader_fds(f, fds), 1);
    cr_assert_eq(fds[0], pipes[0]);
    cr_assert_eq(frame_reader_fds(f, fds), 0);
    for (int i = 0; i <= FRAME_FDS_MAX; i++)
        many[i] = dup(pipes[0]);
    cr_assert_eq(frame_reader_add(f, "x", 1, many, FRAME_FDS_MAX + 1), -RAIA_ERR_PROTOCOL);
    frame_reader_free(f);
    for (int i = 0; i <= FRAME_FDS_MAX; i++)
        cr_assert_eq(fcntl(many[i], F_GETFD), -1);
    close(pipes[0]);
    close(pipes[1]);
}

static size_t class_bytes(uint8_t *to, uint32_t number, uint16_t n, int64_t quantity,
                          const char *name)
{
    struct rec_class head = {.number = number, .nresources = n};
    uint16_t len = (uint16_t)strlen(name);

    memset(to, 0, 256);
    memcpy(to, &head, sizeof head);
    memcpy(to + 8, &quantity, 8);
    memcpy(to + 16, &len, 2);
    memcpy(to + 18, name, len);
    return 8 + (10u + len + 7) / 8 * 8;
}

/* A class is read as it was written; what does not fit is a protocol error, at every length. */
Test(records, class)
{
    struct res_names *names = res_names_new();
    struct records_class c;
    uint8_t bytes[256];
    size_t n = class_bytes(bytes, 3, 1, 5000, "CPU");

    cr_assert_eq(records_class(bytes, n, names, &c), 0);
    cr_assert_eq(c.number, 3);
    cr_assert_eq(res_set_get(&c.need, RES_CPU), 5000);
    for (size_t cut = 0; cut < n; cut++)
        cr_assert_eq(records_class(bytes, cut, names, &c), -RAIA_ERR_PROTOCOL);
    cr_assert_eq(records_class(bytes, n + 8, names, &c), -RAIA_ERR_PROTOCOL);
    n = class_bytes(bytes, 0, 1, 5000, "CPU");
    cr_assert_eq(records_class(bytes, n, names, &c), -RAIA_ERR_PROTOCOL);
    n = class_bytes(bytes, 1, 1, -1, "CPU");
    cr_assert_eq(records_class(bytes, n, names, &c), -RAIA_ERR_PROTOCOL);
    n = class_bytes(bytes, 1, RES_SET_MAX + 1, 1, "CPU");
    cr_assert_eq(records_class(bytes, n, names, &c), -RAIA_ERR_PROTOCOL);
    n = class_bytes(bytes, 1, 1, 1, "");
    cr_assert_eq(records_class(bytes, n, names, &c), -RAIA_ERR_PROTOCOL);
    res_names_free(names);
}

/* A demand with and without a preferred node, and nothing else. */
Test(records, demand)
{
    struct records_demand d;
    uint8_t bytes[64] = {1, 0, 0, 0, 7};

    cr_assert_eq(records_demand(bytes, 16, &d), 0);
    cr_assert(d.d.number == 1 && d.d.want == 7 && !d.has_prefer);
    cr_assert_eq(records_demand(bytes, 32, &d), 0);
    cr_assert(d.has_prefer);
    for (size_t n = 0; n < sizeof bytes; n++)
        if (n != 16 && n != 32)
            cr_assert_eq(records_demand(bytes, n, &d), -RAIA_ERR_PROTOCOL);
}

/* A name that is too long is cut, not refused. */
Test(records, running)
{
    struct rec_running rec;
    char name[8];
    uint8_t bytes[64];

    memset(bytes, 'x', sizeof bytes);
    cr_assert_eq(records_running(bytes, sizeof bytes, &rec, name, sizeof name), 0);
    cr_assert_str_eq(name, "xxxxxxx");
    cr_assert_eq(records_running(bytes, sizeof rec - 1, &rec, name, sizeof name),
                 -RAIA_ERR_PROTOCOL);
}
