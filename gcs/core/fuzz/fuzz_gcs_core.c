/*
 * Fuzzes what raylets send: a sequence of records, each a byte that says what (an rpc's index, or
 * 200: a session message), two bytes of size, and the packed message.
 */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "core/core.h"
#include "core/pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_send(void *arg, const struct node_id *node, const void *data, size_t size)
{
    (void)arg;
    (void)node;
    (void)data;
    (void)size;
    return 0;
}

static void on_disconnect(void *arg, const struct node_id *node)
{
    (void)arg;
    (void)node;
}

static void on_broken(void *arg, const struct raia_error *e)
{
    (void)arg;
    (void)e;
}

static void on_answer(struct gcs_waiter *w, const struct raia_error *e, const void *data,
                      size_t size)
{
    (void)e;
    (void)data;
    (void)size;
    mem_free(w);
}

static void on_session(struct gcs_core *core, struct gcs_now now, const uint8_t *data, size_t size)
{
    _cleanup_(pb_freep) Raia__Gcs__SessionUp *up =
        pb_unpack(&raia__gcs__session_up__descriptor, data, size);
    struct node_id node;

    memset(node.bytes, 'n', sizeof node.bytes);
    if (up && up->body_case == RAIA__GCS__SESSION_UP__BODY_HELLO)
        (void)gcs_core_session_hello(core, now, up->hello, NULL);
    else if (up)
        (void)gcs_core_session_message(core, now, &node, up, NULL);
}

static void run(struct gcs_core *core, struct storage *storage, const uint8_t *data, size_t size)
{
    struct gcs_now now = {.mono_ms = 1000, .unix_ms = 1700000000000};

    while (size >= 3) {
        size_t n = (size_t)data[1] | (size_t)data[2] << 8;
        uint8_t what = data[0];
        struct gcs_waiter *w;

        data += 3;
        size -= 3;
        n = n > size ? size : n;
        if (what == 200) {
            on_session(core, now, data, n);
        } else if ((w = mem_new(struct gcs_waiter))) {
            w->done = on_answer;
            gcs_core_call(core, now, what, data, n, w);
        }
        storage_step(storage);
        now.mono_ms += 1000;
        gcs_core_tick(core, now);
        data += n;
        size -= n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gcs_effects fx = {
        .send = on_send, .disconnect = on_disconnect, .broken = on_broken};
    struct gcs_core *core = NULL;
    struct storage *storage = NULL;

    if (storage_open_memory(&storage, NULL) < 0)
        return 0;
    if (gcs_core_new(NULL, storage, &fx, &core, NULL) == 0) {
        (void)gcs_core_start(core, (struct gcs_now){.mono_ms = 1}, "c", NULL);
        storage_step(storage);
        run(core, storage, data, size);
    }
    storage_free(storage);
    gcs_core_free(core);
    return 0;
}
