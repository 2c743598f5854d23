/* Hello, task: a function that runs in another process, and its value. */
#include <stdio.h>

#include <raia/raia.h>

static int square(raia_call *c)
{
    int64_t x;
    if (raia_arg_int(c, 0, &x) < 0)
        return raia_fail(c, "square wants an integer");
    return raia_return_int(c, x * x);
}
RAIA_TASK(square)

int main(void)
{
    int64_t y;
    if (raia_init(NULL) < 0)
        return raia_perror("init");
    raia_ref *r = raia_submit(square, raia_int(7));
    if (raia_get_int(r, &y, RAIA_FOREVER) < 0)
        return raia_perror("square");
    printf("7 squared is %ld\n", (long)y);
    raia_release(r);
    raia_shutdown();
    return 0;
}
