/* Tasks prefer the node that holds their arguments. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/submitter.h"

static struct object_more more[4];
static struct raia_ref refs[4];

static void stored(unsigned i, uint8_t node, uint64_t size)
{
    more[i] = (struct object_more){.size = size};
    memset(more[i].node, node, 16);
    refs[i] = (struct raia_ref){.state = OBJECT_STORED, .more = &more[i]};
}

/* The node with most bytes is named, over all arguments; not for few bytes, values that are here, or
 * an empty queue. */
Test(locality, most_bytes)
{
    struct raia_ref *held[4] = {&refs[0], &refs[1], &refs[2], &refs[3]};
    struct task t = {.held = held, .nheld = 4};
    struct sched_class c = {.number = 1};
    uint8_t node[16];

    list_init(&c.queue);
    cr_assert_not(submitter_prefers(&c, 1, node));
    list_add_tail(&c.queue, &t.link);
    refs[0] = (struct raia_ref){.state = OBJECT_HERE};
    stored(1, 7, 600);
    stored(2, 9, 1000);
    stored(3, 7, 500);
    cr_assert(submitter_prefers(&c, 1100, node));
    cr_assert_eq(node[0], 7);
    cr_assert_eq(node[15], 7);
    cr_assert_not(submitter_prefers(&c, 1101, node));
    t.nheld = 3;
    cr_assert(submitter_prefers(&c, 1, node));
    cr_assert_eq(node[0], 9);
    t.nheld = 1;
    cr_assert_not(submitter_prefers(&c, 0, node));
}
