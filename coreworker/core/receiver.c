/* Once each, in order: see receiver.h. */
#include "core/receiver.h"

#include <string.h>

#include "base/mem.h"
#include "raia/error.h"

void receiver_init(struct receiver *r, bool keep)
{
    *r = (struct receiver){.next = 1, .keep = keep};
    list_init(&r->kept);
}

static void forget(struct receiver *r, struct kept_reply *k)
{
    list_del(&k->link);
    r->kept_bytes -= k->size;
    mem_free(k);
}

void receiver_fini(struct receiver *r)
{
    struct list *l;

    while (r->kept.next && (l = list_first(&r->kept)))
        forget(r, container_of(l, struct kept_reply, link));
}

static void acknowledge(struct receiver *r, uint64_t acked)
{
    struct kept_reply *k, *next;

    LIST_FOREACH_SAFE (k, next, &r->kept, link)
        if (k->sequence < acked)
            forget(r, k);
}

uint64_t receiver_hello(struct receiver *r, uint64_t first)
{
    acknowledge(r, first);
    /* A process that never heard of this caller begins where the caller says. */
    if (r->next < first)
        r->next = first;
    return r->next;
}

enum receiver_verdict receiver_call(struct receiver *r, uint64_t sequence, uint64_t acked)
{
    if (!list_empty(&r->kept))
        acknowledge(r, acked);
    if (sequence < r->next)
        return RECEIVER_DROP;
    if (sequence > r->next)
        return RECEIVER_GAP;
    r->next++;
    return RECEIVER_RUN;
}

int receiver_answered(struct receiver *r, uint64_t sequence, const void *data, size_t size)
{
    struct kept_reply *k;

    if (!r->keep)
        return 0;
    k = mem_alloc(sizeof(*k) + size);
    if (!k)
        return -RAIA_ERR_NOMEM;
    k->sequence = sequence;
    k->size = size;
    memcpy(k->data, data, size);
    list_add_tail(&r->kept, &k->link);
    r->kept_bytes += size;
    while (r->kept_bytes > RECEIVER_KEEP_BYTES &&
           (k = LIST_FIRST(&r->kept, struct kept_reply, link)))
        forget(r, k);
    return 0;
}

const struct kept_reply *receiver_next_kept(const struct receiver *r, const struct kept_reply *k)
{
    const struct list *l = k ? k->link.next : r->kept.next;

    return l == &r->kept ? NULL : container_of(l, struct kept_reply, link);
}
