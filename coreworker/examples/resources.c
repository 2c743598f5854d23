/* Custom resources: tasks say what they need, and run only where and when it is free. Needs a node
 * with the resource "license": 2 (see e2e/samples/raycluster-resources.yaml). */
#include <stdio.h>
#include <time.h>

#include <raia/raia.h>

#define TASKS 6

static int use_license(raia_call *c)
{
    struct timespec t = {.tv_nsec = 20 * 1000 * 1000};
    nanosleep(&t, NULL);
    return raia_return_int(c, 1);
}
RAIA_TASK(use_license)

int main(void)
{
    raia_ref *refs[TASKS];
    const struct raia_resource license = {"license", 1};
    int64_t used = 0, v;
    if (raia_init(NULL) < 0)
        return raia_perror("init");
    for (int i = 0; i < TASKS; i++) /* at most two run at one time */
        refs[i] = raia_submit_opt(
            RAIA_OPTIONS(.num_cpus = 0.1, .resources = &license, .resource_count = 1), use_license);
    for (int i = 0; i < TASKS; i++) {
        if (raia_get_int(refs[i], &v, RAIA_FOREVER) < 0)
            return raia_perror("use_license");
        used += v;
    }
    printf("%ld licenses were used\n", (long)used);
    raia_release_all(refs, TASKS);
    raia_shutdown();
    return 0;
}
