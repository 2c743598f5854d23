/*
 * What many tasks leave behind, and what they take while they wait.
 *
 *     memory batches N      10,000 tasks, says "10000" and waits for a line; N in all, says so too
 *     memory queued N       N tasks that wait behind one; prints the bytes that each takes here
 */
#include <raia/raia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 10000

static int add_one(raia_call *c)
{
    int64_t x;

    if (raia_arg_int(c, 0, &x) < 0)
        return raia_fail(c, "add_one to what?");
    return raia_return_int(c, x + 1);
}
RAIA_TASK(add_one)

/* Holds its CPU until the file is there. */
static int gate(raia_call *c)
{
    const char *path = raia_arg_str(c, 0);

    while (access(path, F_OK) != 0 && !raia_canceled(c))
        usleep(20000);
    return 0;
}
RAIA_TASK(gate)

static long resident(void)
{
    long pages = 0, size;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f && fscanf(f, "%ld %ld", &size, &pages) != 2)
        pages = 0;
    if (f)
        fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static int finish(raia_ref **refs, long n)
{
    int64_t y;

    for (long i = 0; i < n; i++)
        if (raia_get_int(refs[i], &y, 300000) < 0 || y != i + 1)
            return raia_perror("add_one");
    raia_release_all(refs, (size_t)n);
    return 0;
}

static int batches(long n)
{
    static raia_ref *refs[BATCH];

    for (long done = 0; done < n; done += BATCH) {
        for (long i = 0; i < BATCH; i++)
            refs[i] = raia_submit(add_one, raia_int(i));
        if (finish(refs, BATCH))
            return 1;
        if (done == 0 || done + BATCH >= n) {
            printf("%ld\n", done + BATCH);
            fflush(stdout);
            (void)getchar();
        }
    }
    return 0;
}

static int queued(long n, const char *path)
{
    raia_ref **refs = calloc((size_t)n, sizeof(*refs)), *first = raia_submit(gate, raia_str(path));
    long before = resident(), bytes;
    FILE *f;
    int r;

    for (long i = 0; i < n; i++)
        if (!(refs[i] = raia_submit(add_one, raia_int(i))))
            return raia_perror("submit");
    bytes = resident();
    printf("%ld tasks wait: %ld MiB, %ld bytes each\n", n, bytes >> 20, (bytes - before) / n);
    if (bytes >= 1L << 30 || (bytes - before) / n > 1000)
        return fprintf(stderr, "that is too much\n");
    f = fopen(path, "w");
    if (!f || fclose(f) != 0)
        return fprintf(stderr, "%s cannot be made\n", path);
    r = raia_get_done(first, 60000);
    raia_release(first);
    if (r == 0)
        r = finish(refs, n);
    free(refs);
    return r;
}

int main(int argc, char **argv)
{
    int r;

    if (raia_init(NULL) < 0)
        return raia_perror("init");
    if (argc == 3 && strcmp(argv[1], "batches") == 0)
        r = batches(atol(argv[2]));
    else if (argc == 4 && strcmp(argv[1], "queued") == 0)
        r = queued(atol(argv[2]), argv[3]);
    else
        r = fprintf(stderr, "usage: memory batches N | queued N FILE\n");
    raia_shutdown();
    return r != 0;
}
