/* Nested tasks: tasks that submit tasks and wait for them. A worker that waits lends its CPU, so that
 * this does not stand still however deep it goes. */
#include <stdio.h>

#include <raia/raia.h>

static int fib(raia_call *c)
{
    int64_t n, a, b;
    if (raia_arg_int(c, 0, &n) < 0)
        return raia_fail(c, "fib wants an integer");
    if (n < 2)
        return raia_return_int(c, n);
    raia_ref *left = raia_submit(fib, raia_int(n - 1));
    raia_ref *right = raia_submit(fib, raia_int(n - 2));
    int r = raia_get_int(left, &a, RAIA_FOREVER);
    if (r == 0)
        r = raia_get_int(right, &b, RAIA_FOREVER);
    raia_release(left);
    raia_release(right);
    return r < 0 ? r : raia_return_int(c, a + b);
}
RAIA_TASK(fib)

int main(void)
{
    int64_t v;
    if (raia_init(NULL) < 0)
        return raia_perror("init");
    raia_ref *r = raia_submit(fib, raia_int(7));
    if (raia_get_int(r, &v, RAIA_FOREVER) < 0)
        return raia_perror("fib");
    printf("fib(7) is %ld\n", (long)v);
    raia_release(r);
    raia_shutdown();
    return 0;
}
