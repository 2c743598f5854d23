/* Chains and diamonds: tasks that take the values of other tasks. Nothing waits in the driver until
 * the end; each task starts when what it needs exists. */
#include <stdio.h>

#include <raia/raia.h>

static int add(raia_call *c)
{
    int64_t a, b;
    if (raia_arg_int(c, 0, &a) < 0 || raia_arg_int(c, 1, &b) < 0)
        return raia_fail(c, "add wants two integers");
    return raia_return_int(c, a + b);
}
RAIA_TASK(add)

int main(void)
{
    int64_t v;
    if (raia_init(NULL) < 0)
        return raia_perror("init");

    /* A chain: ((1 + 1) + 1) ... a hundred times. */
    raia_ref *chain = raia_put(raia_int(0));
    for (int i = 0; i < 100; i++) {
        raia_ref *next = raia_submit(add, raia_value_of(chain), raia_int(1));
        raia_release(chain);
        chain = next;
    }
    if (raia_get_int(chain, &v, RAIA_FOREVER) < 0)
        return raia_perror("chain");
    printf("a chain of 100 gives %ld\n", (long)v);

    /* A diamond: one value feeds two tasks, a fourth takes both. */
    raia_ref *top = raia_submit(add, raia_int(1), raia_int(2));
    raia_ref *left = raia_submit(add, raia_value_of(top), raia_int(10));
    raia_ref *right = raia_submit(add, raia_value_of(top), raia_int(100));
    raia_ref *bottom = raia_submit(add, raia_value_of(left), raia_value_of(right));
    if (raia_get_int(bottom, &v, RAIA_FOREVER) < 0)
        return raia_perror("diamond");
    printf("the diamond gives %ld\n", (long)v);

    raia_ref *all[] = {chain, top, left, right, bottom};
    raia_release_all(all, 5);
    raia_shutdown();
    return 0;
}
