/*
 * Objects of another node while this node's store has no room for a copy. In each of two nodes of
 * 128 MiB lie an object and pieces, so that the other node's object does not fit. The driver (the
 * owner), an actor (a borrower) and a task (whose argument it is) want what does not fit: each is
 * told that the store is full. Once the pieces are gone, each has it.
 */
#include <raia/raia.h>
#include <stdio.h>
#include <string.h>

#define BIG    ((size_t)48 << 20)
#define PIECE  ((size_t)8 << 20)
#define PIECES 6
#define STEP   4096u
#define WAIT   120000

static raia_ref *make(size_t size)
{
    raia_buffer *b = raia_create(size);
    uint8_t *p = b ? raia_buffer_data(b) : NULL;

    if (!b)
        return NULL;
    for (size_t i = 0; i < size; i += STEP)
        memcpy(p + i, &(uint64_t){size + i}, 8);
    return raia_seal(b, RAIA_RAW);
}

static bool made(const uint8_t *p, size_t size)
{
    for (size_t i = 0; i < size; i += STEP)
        if (memcmp(p + i, &(uint64_t){size + i}, 8) != 0)
            return false;
    return size == BIG;
}

/* 0 and the bytes are right, or the code of what went wrong. */
static int read_big(raia_ref *r, int64_t timeout_ms)
{
    struct raia_view v;
    bool good;

    if (raia_get(r, &v, timeout_ms) < 0)
        return raia_last_error()->code;
    good = made(v.data, v.size);
    raia_view_release(&v);
    return good ? 0 : RAIA_ERR_INTERNAL;
}

static raia_ref *pieces[PIECES];

static int fill(void)
{
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = make(PIECE);
        if (!pieces[i])
            return -1;
    }
    return 0;
}

/* ---- on the far node */

static int big_far(raia_call *c)
{
    raia_buffer *b = raia_create(BIG);
    uint8_t *p = b ? raia_buffer_data(b) : NULL;

    if (!b)
        return raia_fail(c, "raia_create");
    for (size_t i = 0; i < BIG; i += STEP)
        memcpy(p + i, &(uint64_t){BIG + i}, 8);
    return raia_return_buffer(c, 0, b, RAIA_RAW);
}
RAIA_TASK(big_far)

static int reads_argument(raia_call *c)
{
    size_t size;
    const uint8_t *p = raia_arg_bytes(c, 0, &size);

    return raia_return_int(c, p && made(p, size));
}
RAIA_TASK(reads_argument)

static int far_new(raia_call *c)
{
    return fill() < 0 ? raia_fail(c, "the far store is too small") : 0;
}
RAIA_ACTOR(Far, far_new, NULL)

/* The reference is passed on as such: this process borrows the object, and fetches it itself. */
static int far_reads(raia_call *c)
{
    raia_ref *r = raia_arg_ref(c, 0, 0);
    int code;

    if (!r)
        return raia_fail(c, "no reference came");
    code = read_big(r, WAIT);
    if (code == RAIA_ERR_STORE_FULL && read_big(r, 100) != RAIA_ERR_TIMEOUT)
        code = RAIA_ERR_INTERNAL; /* the same again at once: it was not tried */
    raia_release(r);
    return raia_return_int(c, code);
}
RAIA_METHOD(far_reads)

static int far_empties(raia_call *c)
{
    (void)c;
    raia_release_all(pieces, PIECES);
    return 0;
}
RAIA_METHOD(far_empties)

/* ---- the driver */

static int says(raia_ref *r, int64_t want, const char *what)
{
    int64_t got = -1;
    int n = raia_get_int(r, &got, WAIT);

    if (n < 0)
        return raia_perror(what);
    raia_release(r);
    return got == want ? 0 : fprintf(stderr, "%s: %d, not %d\n", what, (int)got, (int)want);
}

static int run(void)
{
    static const struct raia_resource one = {"far", 1};
    const struct raia_options *there = RAIA_OPTIONS(.resources = &one, .resource_count = 1);
    raia_ref *big = make(BIG), *theirs = raia_submit_opt(there, big_far), *read, *task;
    raia_actor *far;
    int64_t yes;
    int code;

    if (!big || raia_get_done(theirs, WAIT) < 0)
        return raia_perror("the large objects");
    far =
        raia_actor_create_opt(RAIA_ACTOR_OPTIONS(.resources = &one, .resource_count = 1), far_new);
    if (!far || raia_actor_wait(far, WAIT) < 0 || fill() < 0)
        return raia_perror("the stores are too small");

    /* All three wait for room at the same time, until the stores give up. */
    read = raia_actor_call(far, far_reads, raia_refs(&big, 1));
    task = raia_submit_opt(there, reads_argument, raia_value_of(big));
    code = read_big(theirs, 500);
    if (code != RAIA_ERR_TIMEOUT)
        return fprintf(stderr, "it should wait for room: %d\n", code);
    code = read_big(theirs, WAIT);
    if (code != RAIA_ERR_STORE_FULL)
        return fprintf(stderr, "there should be no room here: %d\n", code);
    printf("%s\n", raia_last_error()->text);
    if (says(read, RAIA_ERR_STORE_FULL, "a borrower, without room"))
        return 1;
    if (raia_get_int(task, &yes, WAIT) != -RAIA_ERR_STORE_FULL)
        return raia_perror("a task whose argument finds no room");
    raia_release(task);

    /* There is room again, and nothing is lost. */
    raia_release_all(pieces, PIECES);
    read = raia_actor_call(far, far_empties);
    if (raia_get_done(read, WAIT) < 0)
        return raia_perror("empty");
    raia_release(read);
    code = read_big(theirs, WAIT);
    if (code)
        return raia_perror("the owner, with room");
    if (says(raia_actor_call(far, far_reads, raia_refs(&big, 1)), 0, "a borrower, with room") ||
        says(raia_submit_opt(there, reads_argument, raia_value_of(big)), 1, "a task, with room"))
        return 1;
    raia_release(big);
    raia_release(theirs);
    raia_actor_release(far);
    return 0;
}

int main(void)
{
    int r;

    if (raia_init(NULL) < 0)
        return raia_perror("init");
    r = run();
    if (r == 0)
        raia_shutdown();
    return r != 0;
}
