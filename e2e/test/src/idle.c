/* A driver that runs a task, says so, and then does nothing until its input ends. */
#include <raia/raia.h>
#include <stdio.h>

static int nothing(raia_call *c)
{
    return raia_return_int(c, 1);
}
RAIA_TASK(nothing)

int main(void)
{
    raia_ref *r;
    int64_t one;

    if (raia_init(NULL) < 0)
        return raia_perror("init");
    r = raia_submit(nothing);
    if (raia_get_int(r, &one, RAIA_FOREVER) < 0)
        return raia_perror("nothing");
    raia_release(r);
    puts("ready");
    fflush(stdout);
    (void)getchar();
    raia_shutdown();
    return 0;
}
