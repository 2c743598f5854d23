/*
 * Large objects: over two nodes, and in a store that is full.
 *
 *     objects cross         a GiB made here and read there, and the other way round; waits for a
 *                           line on its input between "held" and "released"
 *     objects full          fills the store: the error, and what frees it
 */
#include <raia/raia.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GIB   ((size_t)1 << 30)
#define STEP  4096u
#define CHUNK ((size_t)8 << 20)
#define SLOTS 64

static void fill(uint8_t *p, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i += STEP)
        memcpy(p + i, &(uint64_t){seed + i}, 8);
}

static bool filled(const uint8_t *p, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i += STEP)
        if (memcmp(p + i, &(uint64_t){seed + i}, 8) != 0)
            return false;
    return true;
}

static int read_gib(raia_call *c)
{
    size_t size;
    const uint8_t *p = raia_arg_bytes(c, 0, &size);

    if (!p || size != GIB || !filled(p, size, 17))
        return raia_fail(c, "%zu bytes came, or other ones", size);
    return raia_return_int(c, 1);
}
RAIA_TASK(read_gib)

static int make_gib(raia_call *c)
{
    raia_buffer *b = raia_create(GIB);

    if (!b)
        return raia_fail(c, "raia_create");
    fill(raia_buffer_data(b), GIB, 23);
    return raia_return_buffer(c, 0, b, RAIA_RAW);
}
RAIA_TASK(make_gib)

static void tell(const char *what)
{
    puts(what);
    fflush(stdout);
    (void)getchar();
}

static int cross(void)
{
    static const struct raia_resource far = {"far", 1};
    raia_buffer *b = raia_create(GIB);
    raia_ref *here, *read, *there;
    struct raia_view v;
    int64_t ok;

    if (!b)
        return raia_perror("create");
    fill(raia_buffer_data(b), GIB, 17);
    here = raia_seal(b, RAIA_RAW);
    read = raia_submit_opt(RAIA_OPTIONS(.resources = &far, .resource_count = 1), read_gib,
                           raia_value_of(here));
    if (raia_get_int(read, &ok, 120000) < 0)
        return raia_perror("a GiB made here, read there");
    raia_release(read);
    tell("held");
    raia_release(here);
    there = raia_submit_opt(RAIA_OPTIONS(.resources = &far, .resource_count = 1), make_gib);
    if (raia_get(there, &v, 120000) < 0)
        return raia_perror("a GiB made there, read here");
    if (v.size != GIB || !filled(v.data, v.size, 23))
        return fprintf(stderr, "other bytes came\n");
    raia_view_release(&v);
    raia_release(there);
    tell("released");
    return 0;
}

static raia_ref *slots[SLOTS];

static raia_ref *put_chunk(void)
{
    raia_buffer *b = raia_create(CHUNK);

    if (!b)
        return NULL;
    fill(raia_buffer_data(b), CHUNK, 5);
    return raia_seal(b, RAIA_RAW);
}

static void *release_later(void *arg)
{
    usleep(1500000);
    raia_release((raia_ref *)arg);
    return NULL;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int full(void)
{
    pthread_t t;
    int n = 0, more = 0;
    double began;

    while (n < SLOTS && (slots[n] = put_chunk()))
        n++;
    if (n == SLOTS || n < 2 || raia_last_error()->code != RAIA_ERR_STORE_FULL)
        return raia_perror("a full store should say STORE_FULL") + fprintf(stderr, "after %d\n", n);
    printf("%d objects of 8 MiB, then: %s\n", n, raia_last_error()->text);
    if (!strstr(raia_last_error()->text, "object-store-memory") &&
        !strstr(raia_last_error()->text, "elease"))
        return fprintf(stderr, "that text does not say what to do\n");
    /* One that waits gets what another gives back. */
    pthread_create(&t, NULL, release_later, slots[--n]);
    began = now();
    slots[n] = put_chunk();
    pthread_join(t, NULL);
    if (!slots[n])
        return raia_perror("a put should wait for memory");
    if (now() - began < 1)
        return fprintf(stderr, "the put did not wait: there was room\n");
    n++;
    /* And all of it can be used again. */
    for (int i = 0; i < n; i++)
        raia_release(slots[i]);
    for (more = 0; more < n && (slots[more] = put_chunk()); more++)
        ;
    if (more < n)
        return raia_perror("the store is smaller than before") + fprintf(stderr, "%d\n", more);
    raia_release_all(slots, (size_t)n);
    return 0;
}

int main(int argc, char **argv)
{
    int r;

    if (raia_init(NULL) < 0)
        return raia_perror("init");
    r = argc > 1 && strcmp(argv[1], "full") == 0 ? full() : cross();
    if (r == 0)
        raia_shutdown();
    return r != 0;
}
