/*
 * raia-worker: serves the functions of shared libraries.
 *
 *     raia-worker --library ./libfunctions.so [--library ...] [--run SYMBOL]
 *
 * A library registers its functions when it is loaded (RAIA_TASK, RAIA_ACTOR); then the program is a
 * worker like any other. With --run it is the driver, too: started by hand, it joins the cluster of
 * RAIA_ADDRESS (or starts one), calls `int SYMBOL(void)` of the libraries, and ends with what that
 * returns; the job's workers are this program with the same arguments. So tasks and driver may be
 * written in anything that makes shared libraries.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raia/raia.h"

static int load(const char *path)
{
    if (dlopen(path, RTLD_NOW | RTLD_GLOBAL))
        return 0;
    fprintf(stderr, "raia-worker: cannot load '%s': %s\n", path, dlerror());
    return 1;
}

int main(int argc, char **argv)
{
    struct raia_config config = {.struct_size = sizeof(config),
                                 .argv = (const char *const *)(argv + 1)};
    const char *symbol = NULL;
    int (*run)(void) = NULL;
    int status;

    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("raia-worker %s\n", raia_version());
        return 0;
    }
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || (strcmp(argv[i], "--library") && strcmp(argv[i], "--run"))) {
            fprintf(stderr, "usage: raia-worker --library FILE.so [--library FILE.so]... "
                            "[--run SYMBOL]\n");
            return 2;
        }
        if (strcmp(argv[i], "--run") == 0)
            symbol = argv[i + 1];
        else if (load(argv[i + 1]) != 0)
            return 1;
    }
    if (symbol) {
        *(void **)&run = dlsym(RTLD_DEFAULT, symbol);
        if (!run) {
            fprintf(stderr, "raia-worker: no library has a function '%s'\n", symbol);
            return 1;
        }
    }
    /* Nothing to join for: a worker is told where its node is. */
    if (!run && !getenv("RAIA_SPAWN_TOKEN")) {
        fprintf(stderr,
                "raia-worker: it is started by a node, for a job; by hand it needs --run\n");
        return 2;
    }
    if (raia_init(&config) < 0)
        return raia_perror("raia-worker");
    status = run ? run() : 2;
    raia_shutdown();
    return status;
}
