/*
 * Small values stay in the memory of their owner up to a limit: what is beyond it goes into the
 * store, values put and results alike, and reads the same. Run by with_cluster.sh with
 * RAIA_OWNER_MEMORY=1MiB; the program is also its own workers' program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raia/raia.h"

#define VALUES 600u
#define BYTES  (50u << 10) /* of one: 30 MB in all */
#define LIMIT  (8u << 20)  /* by which this process may grow */

static uint8_t bytes[BYTES];

static int fill(raia_call *c)
{
    int64_t x;

    if (raia_arg_int(c, 0, &x) < 0)
        return raia_fail(c, "an integer");
    memset(bytes, (int)x, sizeof(bytes));
    return raia_return(c, raia_bytes(bytes, sizeof(bytes)));
}
RAIA_TASK(fill)

static long anonymous(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    long kb = -1;

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "RssAnon: %ld kB", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb * 1024;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, raia_last_error()->text);
    exit(1);
}

static void check(raia_ref **refs, const char *what)
{
    long before = anonymous(), after;

    must(raia_wait(refs, VALUES, VALUES, 120000, NULL) == VALUES, what);
    after = anonymous();
    printf("%s: %u values of %u bytes: %ld KiB of memory here\n", what, VALUES, BYTES,
           (after - before) / 1024);
    for (unsigned i = 0; i < VALUES; i++) {
        struct raia_view v;

        must(raia_get(refs[i], &v, 60000) == 0, what);
        must(v.size == BYTES && ((const uint8_t *)v.data)[BYTES - 1] == (uint8_t)i, "the value");
        raia_view_release(&v);
    }
}

int main(void)
{
    static raia_ref *put[VALUES], *made[VALUES];
    long before;

    must(raia_init(NULL) == 0, "init");
    before = anonymous();
    for (unsigned i = 0; i < VALUES; i++) {
        memset(bytes, (int)i, sizeof(bytes));
        must((put[i] = raia_put(raia_bytes(bytes, sizeof(bytes)))), "put");
    }
    check(put, "put");
    for (unsigned i = 0; i < VALUES; i++)
        must((made[i] = raia_submit(fill, raia_int(i))), "submit");
    check(made, "results");
    if (anonymous() - before > (long)LIMIT) {
        printf("this process grew by %ld KiB\n", (anonymous() - before) / 1024);
        return 1;
    }
    raia_release_all(put, VALUES);
    raia_release_all(made, VALUES);
    raia_shutdown();
    return 0;
}
