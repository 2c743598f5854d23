/* Waiting: takes results as they come, and gives up on the slow ones. */
#include <stdio.h>
#include <time.h>

#include <raia/raia.h>

#define TASKS 4

static int nap(raia_call *c)
{
    int64_t ms;
    if (raia_arg_int(c, 0, &ms) < 0)
        return raia_fail(c, "nap wants milliseconds");
    for (; ms > 0 && !raia_canceled(c); ms -= 10)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    return raia_return_int(c, ms);
}
RAIA_TASK(nap)

int main(void)
{
    raia_ref *refs[TASKS];
    bool ready[TASKS];
    if (raia_init(NULL) < 0)
        return raia_perror("init");
    for (int i = 0; i < TASKS; i++) /* the last would sleep for an hour */
        refs[i] = raia_submit_opt(RAIA_OPTIONS(.num_cpus = RAIA_NONE), nap,
                                  raia_int(i < TASKS - 1 ? 10 : 3600 * 1000));

    int n = raia_wait(refs, TASKS, TASKS - 1, RAIA_FOREVER, ready);
    printf("%d of %d are ready\n", n, TASKS);

    if (raia_get_done(refs[TASKS - 1], 50) == -RAIA_ERR_TIMEOUT)
        printf("the last one is too slow\n");
    raia_cancel(refs[TASKS - 1], false, false);
    if (raia_get_done(refs[TASKS - 1], RAIA_FOREVER) == -RAIA_ERR_CANCELED)
        printf("and is canceled now\n");

    raia_release_all(refs, TASKS);
    raia_shutdown();
    return 0;
}
