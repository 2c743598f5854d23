/* Worker or tests: see session.h. */
#include "session.h"

#include <stdlib.h>

void session_begin(void)
{
    cr_assert(raia_init(NULL) == 0, "%s", raia_last_error()->text);
}

void session_end(void)
{
    raia_shutdown();
}

/* The test framework has a main of its own. This file is linked last, so that its constructor runs
 * after those that register functions. */
__attribute__((constructor)) static void serve_if_worker(void)
{
    if (getenv("RAIA_SPAWN_TOKEN") && raia_init(NULL) < 0)
        exit(raia_perror("worker"));
}
