/*
 * raia-worker: serves the functions of a shared library.
 *
 *     raia-worker --library ./libfunctions.so [--library ...]
 *
 * The library registers its functions when it is loaded (RAIA_TASK, RAIA_ACTOR); then the program
 * is a worker like any other. As a job's worker command it lets a driver that is not itself such a
 * program (a script, another language) have its tasks run.
 */
#include <dlfcn.h>
#include <stdio.h>
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
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--library") != 0 || i + 1 == argc) {
            fprintf(stderr, "usage: raia-worker --library FILE.so [--library FILE.so]...\n");
            return 2;
        }
        if (load(argv[++i]) != 0)
            return 1;
    }
    if (raia_init(NULL) < 0)
        return raia_perror("raia-worker");
    fprintf(stderr, "raia-worker: it is started by a node, for a job; by hand it does nothing\n");
    raia_shutdown();
    return 2;
}
