/* Growth of a window. */
#include "core/window.h"

int window_grow(struct window *w)
{
    uint64_t size = w->size ? w->size * 2 : 16;
    void **slots = mem_calloc(size, sizeof(*slots));

    if (!slots)
        return -RAIA_ERR_NOMEM;
    for (uint64_t s = w->base; s < w->next; s++)
        slots[s & (size - 1)] = w->slots[s & (w->size - 1)];
    mem_free(w->slots);
    w->slots = slots;
    w->size = size;
    return 0;
}

void *window_last_before(const struct window *w, uint64_t before)
{
    uint64_t s = before < w->next ? before : w->next;

    while (s > w->base)
        if (w->slots[--s & (w->size - 1)])
            return w->slots[s & (w->size - 1)];
    return NULL;
}
