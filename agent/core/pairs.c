/* Ring pairs by number: see pairs.h. */
#include "core/pairs.h"

#include <string.h>

#include "base/mem.h"

static uint32_t number_new(struct pairs *a)
{
    struct pair_end **more;
    uint32_t n, room;

    for (n = 1; n < a->room; n++)
        if (!a->ends[n])
            return n;
    if (n >= a->max)
        return 0;
    room = 2 * n > a->max ? a->max : 2 * n;
    more = mem_realloc(a->ends, room * sizeof(struct pair_end *));
    if (!more)
        return 0;
    memset(more + a->room, 0, (room - a->room) * sizeof(struct pair_end *));
    a->ends = more;
    a->room = room;
    return n;
}

uint32_t pairs_add(struct pairs *a, struct pairs *b, uint32_t serial, uint32_t *ret_b)
{
    uint32_t na = number_new(a), nb = number_new(b);
    struct pair_end *x, *y;

    if (!na || !nb)
        return 0;
    x = mem_new(struct pair_end);
    y = mem_new(struct pair_end);
    if (!x || !y) {
        mem_free(x);
        mem_free(y);
        return 0;
    }
    *x = (struct pair_end){.other = b, .there = nb, .serial = serial};
    *y = (struct pair_end){.other = a, .there = na, .serial = serial};
    a->ends[na] = x;
    b->ends[nb] = y;
    a->count++;
    b->count++;
    *ret_b = nb;
    return na;
}

uint32_t pairs_find(const struct pairs *a, const struct pairs *b)
{
    for (uint32_t n = 1; n < a->room; n++) {
        const struct pair_end *x = a->ends[n];

        if (x && x->other == b && !x->given && !b->ends[x->there]->given)
            return n;
    }
    return 0;
}

const struct pair_end *pairs_end(const struct pairs *a, uint32_t number)
{
    return number < a->room ? a->ends[number] : NULL;
}

bool pairs_give(struct pairs *a, uint32_t number, uint32_t serial)
{
    struct pair_end *x = number < a->room ? a->ends[number] : NULL;

    if (!x || x->serial != serial)
        return false;
    x->given = true;
    if (!x->other->ends[x->there]->given)
        return false;
    pairs_drop(a, number);
    return true;
}

void pairs_drop(struct pairs *a, uint32_t number)
{
    struct pair_end *x = a->ends[number];
    struct pairs *b = x->other;

    a->ends[number] = NULL;
    a->count--;
    mem_free(b->ends[x->there]);
    b->ends[x->there] = NULL;
    b->count--;
    mem_free(x);
}

void pairs_fini(struct pairs *a)
{
    mem_free(a->ends);
    *a = (struct pairs){.max = a->max};
}
