/*
 * Objects: get and put of small and of large ones, by one client and by several, references inside
 * an object, and waiting for many. What is put is zeros that nobody has touched, as in Ray's own
 * benchmark; "single client put 100 MB" puts bytes that were written, as Ray's C++ side does.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/bench.h"

#define PUT_BYTES       (100u * 1024 * 1024 * 8) /* of int64[100 Mi] */
#define MULTI_PUT_BYTES (10u * 1024 * 1024 * 8)
#define CXX_PUT_BYTES   100000000u
#define PUTS            10u /* of one task; also the number of tasks */
#define SMALL_PUTS      100u
#define WAITS           1000u

/* ------------------------------------------------------------------ tasks */

static int do_put_small(raia_call *c)
{
    int64_t n = 0;

    if (raia_arg_int(c, 0, &n) < 0)
        return raia_fail(c, "how often?");
    for (int64_t i = 0; i < n; i++) {
        raia_ref *r = raia_put(raia_int(0));
        if (!r)
            return raia_fail(c, "put");
        raia_release(r);
    }
    return 0;
}
RAIA_TASK(do_put_small)

static int do_put(raia_call *c)
{
    int64_t size = 0;

    if (raia_arg_int(c, 0, &size) < 0 || size <= 0)
        return raia_fail(c, "how many bytes?");
    for (unsigned i = 0; i < PUTS; i++) {
        void *zeros = calloc(1, (size_t)size);
        raia_ref *r = zeros ? raia_put(raia_bytes(zeros, (size_t)size)) : NULL;
        free(zeros);
        if (!r)
            return raia_fail(c, "put");
        raia_release(r);
    }
    return 0;
}
RAIA_TASK(do_put)

static int create_object_containing_ref(raia_call *c)
{
    static raia_ref *refs[BENCH_REFS];
    int64_t n = 0;
    int r = 0;

    if (raia_arg_int(c, 0, &n) < 0 || n < 0 || n > (int64_t)BENCH_REFS)
        return raia_fail(c, "how many references?");
    for (int64_t i = 0; i < n && r == 0; i++)
        if (!(refs[i] = raia_put(raia_int(1))))
            r = raia_fail(c, "put");
    if (r == 0)
        r = raia_return(c, raia_refs(refs, (size_t)n));
    raia_release_all(refs, (size_t)n);
    return r;
}
RAIA_TASK(create_object_containing_ref)

/* ------------------------------------------------------------------ small objects */

static int get_small_open(struct bench *b)
{
    b->object = raia_put(raia_int(0));
    return b->object ? 0 : -raia_last_error()->code;
}

static int get_small(struct bench *b)
{
    struct raia_view v;
    int r = raia_get(b->object, &v, RAIA_FOREVER);

    if (r == 0)
        raia_view_release(&v);
    return r;
}

static int put_small(struct bench *b)
{
    raia_ref *r = raia_put(raia_int(0));

    (void)b;
    raia_release(r);
    return r ? 0 : -raia_last_error()->code;
}

static int put_multi_small(struct bench *b)
{
    for (unsigned i = 0; i < PUTS; i++)
        b->refs[i] = raia_submit(do_put_small, raia_int((int64_t)SMALL_PUTS));
    return bench_get_all(b, PUTS);
}

static double put_multi_small_weight(const struct bench *b)
{
    (void)b;
    return PUTS * SMALL_PUTS;
}

/* ------------------------------------------------------------------ large objects */

static int memory_open(struct bench *b, size_t size)
{
    void *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    if (m == MAP_FAILED)
        return -RAIA_ERR_NOMEM;
    b->memory = m;
    b->memory_bytes = size;
    return 0;
}

static int put_large_open(struct bench *b)
{
    return memory_open(b, bench_size(b, PUT_BYTES));
}

static int put_100mb_open(struct bench *b)
{
    int r = memory_open(b, bench_size(b, CXX_PUT_BYTES));

    if (r == 0)
        memset(b->memory, 'r', b->memory_bytes);
    return r;
}

static int put_large(struct bench *b)
{
    raia_ref *r = raia_put(raia_bytes(b->memory, b->memory_bytes));

    raia_release(r);
    return r ? 0 : -raia_last_error()->code;
}

/* Ray calls 838,860,800 bytes 0.8 GB; so do we, where we stand beside it. */
static double put_large_weight(const struct bench *b)
{
    return (double)b->memory_bytes / PUT_BYTES * 0.8;
}

static double gigabytes(const struct bench *b)
{
    return (double)b->memory_bytes / 1e9;
}

static int put_multi(struct bench *b)
{
    for (unsigned i = 0; i < PUTS; i++)
        b->refs[i] = raia_submit(do_put, raia_int((int64_t)bench_size(b, MULTI_PUT_BYTES)));
    return bench_get_all(b, PUTS);
}

static double put_multi_weight(const struct bench *b)
{
    return PUTS * PUTS * 0.08 * (double)bench_size(b, MULTI_PUT_BYTES) / MULTI_PUT_BYTES;
}

/* ------------------------------------------------------------------ many references */

static int containing_open(struct bench *b)
{
    b->object = raia_submit(create_object_containing_ref, raia_int((int64_t)BENCH_REFS));
    return b->object ? raia_get_done(b->object, RAIA_FOREVER) : -raia_last_error()->code;
}

/* Gets the object and makes every reference in it one of ours, as reading a Ray list does. */
static int containing_get(struct bench *b)
{
    struct raia_view v;
    int r = raia_get(b->object, &v, RAIA_FOREVER);

    if (r < 0)
        return r;
    if (v.refs != BENCH_REFS)
        r = -RAIA_ERR_PROTOCOL;
    for (uint32_t i = 0; i < v.refs && r == 0; i++)
        if (!(b->refs[i] = raia_view_ref(&v, i)))
            r = -raia_last_error()->code;
    raia_view_release(&v);
    raia_release_all(b->refs, BENCH_REFS);
    return r;
}

static int wait_refs(struct bench *b)
{
    static bool ready[WAITS];
    size_t left = bench_size(b, WAITS);

    for (size_t i = 0; i < left; i++)
        if (!(b->refs[i] = raia_submit(small_value)))
            return -raia_last_error()->code;
    while (left > 0) {
        int r = raia_wait(b->refs, left, 1, RAIA_FOREVER, ready);
        if (r < 0)
            return r;
        size_t kept = 0;
        for (size_t i = 0; i < left; i++) {
            if (ready[i])
                raia_release(b->refs[i]);
            else
                b->refs[kept++] = b->refs[i];
        }
        memset(b->refs + kept, 0, (left - kept) * sizeof *b->refs);
        left = kept;
    }
    return 0;
}

static const struct bench_case cases[] = {
    {.name = "single client get calls (Plasma Store)",
     .unit = "calls",
     .open = get_small_open,
     .step = get_small},
    {.name = "single client put calls (Plasma Store)", .unit = "calls", .step = put_small},
    {.name = "multi client put calls (Plasma Store)",
     .unit = "calls",
     .step = put_multi_small,
     .weight = put_multi_small_weight},
    {.name = "single client put gigabytes",
     .unit = "GB",
     .open = put_large_open,
     .step = put_large,
     .weight = put_large_weight},
    {.name = "single client put 100 MB",
     .unit = "GB",
     .open = put_100mb_open,
     .step = put_large,
     .weight = gigabytes},
    {.name = "multi client put gigabytes",
     .unit = "GB",
     .step = put_multi,
     .weight = put_multi_weight},
    {.name = "single client get object containing 10k refs",
     .unit = "objects",
     .open = containing_open,
     .step = containing_get},
    {.name = "single client wait 1k refs", .unit = "rounds of 1,000", .step = wait_refs},
};

const struct bench_group bench_objects = {cases, sizeof cases / sizeof *cases};
