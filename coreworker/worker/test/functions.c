/* A library for raia-worker: a task, and a driver that runs it. See worker_main.c. */
#include <stdio.h>
#include <unistd.h>

#include "raia/raia.h"

static int who(raia_call *c)
{
    int64_t x;

    if (raia_arg_int(c, 0, &x) < 0)
        return raia_fail(c, "an integer");
    return raia_return_int(c, x + getpid() * INT64_C(1000));
}
RAIA_TASK(who)

RAIA_API int ask_them(void);

/* Each answer is right, and came from another process. */
int ask_them(void)
{
    for (int i = 0; i < 10; i++) {
        raia_ref *r = raia_submit(who, raia_int(i));
        int64_t x;

        if (!r || raia_get_int(r, &x, 60000) < 0)
            return raia_perror("who");
        if (x % 1000 != i || x / 1000 == getpid())
            return 1;
        raia_release(r);
    }
    printf("asked\n");
    return 0;
}
