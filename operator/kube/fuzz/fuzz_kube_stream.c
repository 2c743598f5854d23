/*
 * Any bytes as a watch, in pieces of any size, into a store: events or an error, and the same
 * whether they come whole or cut.
 */
#include <stdlib.h>
#include <string.h>

#include "kube/status.h"
#include "kube/store.h"
#include "kube/watch_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct count {
    struct kube_store *store; /* where they go */
    unsigned events;          /* that came */
};

static int on_event(void *arg, enum kube_event type, const struct json *object,
                    struct raia_error *e)
{
    struct count *c = arg;
    struct kube_error status;
    c->events++;
    if (type == KUBE_EVENT_ERROR && kube_error_from_status(object, &status) == 0)
        abort();
    if (type == KUBE_EVENT_DELETED)
        return kube_store_remove(c->store, object, e);
    return type < KUBE_EVENT_DELETED ? kube_store_put(c->store, object, e) : 0;
}

static int run(const uint8_t *data, size_t size, size_t piece, struct count *c)
{
    static const char *const keep[] = {"metadata.labels", "status.conditions.type"};
    static const struct kube_index indexes[] = {{.kind = KUBE_BY_OWNER},
                                                {.kind = KUBE_BY_LABEL, .label = "a"}};
    struct kube_store_options o = {keep, 2, indexes, 2};
    struct kube_stream s;
    int r = 0;
    if (kube_store_new(&o, NULL, NULL, &c->store, NULL) < 0)
        abort();
    kube_stream_init(&s, 4096, NULL);
    while (size && r == 0) {
        size_t n = piece < size ? piece : size;
        r = kube_stream_feed(&s, (const char *)data, n, on_event, c, NULL);
        data += n;
        size -= n;
    }
    kube_stream_done(&s);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct count a = {0}, b = {0};
    if (size < 1)
        return 0;
    int r = run(data + 1, size - 1, size, &a), r2 = run(data + 1, size - 1, 1 + data[0], &b);
    if (a.events != b.events || kube_store_size(a.store) != kube_store_size(b.store) ||
        (r < 0) != (r2 < 0))
        abort();
    kube_store_free(a.store);
    kube_store_free(b.store);
    return 0;
}
