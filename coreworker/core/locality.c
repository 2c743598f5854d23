/* Where the next task of a class would find most of its arguments. */
#include <string.h>

#include "core/submitter.h"

#define LOOK_MAX  64u /* arguments that are looked at */
#define NODES_MAX 8u  /* nodes that are told apart */

bool submitter_prefers(const struct sched_class *c, uint64_t least, uint8_t ret_node[16])
{
    const struct task *t = LIST_FIRST(&c->queue, struct task, link);
    struct {
        const uint8_t *node;
        uint64_t bytes;
    } at[NODES_MAX];
    unsigned n = 0, k, best = 0;

    for (uint32_t i = 0; t && i < t->nheld && i < LOOK_MAX; i++) {
        const struct raia_ref *o = t->held[i];

        if (!o || o->state != OBJECT_STORED || !o->more)
            continue;
        for (k = 0; k < n && memcmp(at[k].node, o->more->node, 16) != 0; k++)
            ;
        if (k == NODES_MAX)
            continue;
        if (k == n) {
            at[n].node = o->more->node;
            at[n++].bytes = 0;
        }
        at[k].bytes += o->more->size;
        if (at[k].bytes > at[best].bytes)
            best = k;
    }
    if (n == 0 || at[best].bytes < least)
        return false;
    memcpy(ret_node, at[best].node, 16);
    return true;
}
