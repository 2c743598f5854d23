/* Values that lie in an arena on their way (lib/arena.h): every byte arrives, whatever ends first.
 * See session.h. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arena.h"
#include "session.h"

#define SIZES 6u
#define BATCH 40u

static const size_t sizes[SIZES] = {ARENA_MIN - 200, ARENA_MIN, ARENA_MIN + 1,
                                    50000,           65536,     102400};

static void fill(uint8_t *to, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(seed * 31u + i * 7u + (i >> 8));
}

static int echo_new(raia_call *c)
{
    (void)c;
    return 0;
}

/* Returns its argument, each byte one more. */
static int echo(raia_call *c)
{
    struct raia_view v;
    uint8_t *bytes;
    int r;

    if (raia_arg(c, 0, &v) < 0)
        return raia_fail(c, "bytes");
    bytes = malloc(v.size);
    for (size_t i = 0; i < v.size; i++)
        bytes[i] = (uint8_t)(((const uint8_t *)v.data)[i] + 1);
    r = raia_return(c, raia_bytes(bytes, v.size));
    free(bytes);
    return r;
}

/* Ends its process at once, with whatever it was about to be sent. */
static int end_now(raia_call *c)
{
    (void)c;
    kill(getpid(), SIGKILL);
    return 0;
}

RAIA_ACTOR(Echo, echo_new, NULL)
RAIA_METHOD(echo)
RAIA_METHOD(end_now)

static raia_ref *send_bytes(raia_actor *a, size_t size, unsigned seed)
{
    static uint8_t bytes[102400];

    fill(bytes, size, seed);
    return raia_actor_call(a, echo, raia_bytes(bytes, size));
}

static void check(raia_ref *r, size_t size, unsigned seed)
{
    static uint8_t bytes[102400];
    struct raia_view v;

    cr_assert_eq(raia_get(r, &v, 120000), 0, "%s", raia_last_error()->text);
    fill(bytes, size, seed);
    for (size_t i = 0; i < size; i++)
        bytes[i]++;
    cr_assert(v.size == size && memcmp(v.data, bytes, size) == 0, "%zu bytes, seed %u", size, seed);
    raia_view_release(&v);
    raia_release(r);
}

/* How many links have a peer that reads our arena, and how many peers' arenas we read. */
static void count(unsigned *ret_ours, unsigned *ret_theirs)
{
    *ret_ours = *ret_theirs = 0;
    pthread_mutex_lock(&the_runtime->token);
    for (unsigned i = 1; i < DOORBELL_BITS; i++) {
        const struct link *l = the_runtime->pairs[i];

        *ret_ours += l && l->arena_told == 2;
        *ret_theirs += l && l->arena_view;
    }
    pthread_mutex_unlock(&the_runtime->token);
}

/* Calls until both ways are in use. */
static void warm_up(raia_actor *a)
{
    unsigned ours = 0, theirs = 0;

    for (unsigned i = 0; i < 2000 && (!ours || !theirs); i++) {
        check(send_bytes(a, 60000, i), 60000, i);
        count(&ours, &theirs);
    }
    cr_assert(ours && theirs, "no arena came into use");
}

/* Sizes around every limit, one after the other and many at a time, to several processes: each
 * answer is right, and arenas were used both ways. */
Test(arena, bytes, .init = session_begin, .fini = session_end)
{
    raia_actor *a[3];
    raia_ref *r[BATCH];

    for (unsigned i = 0; i < 3; i++)
        a[i] = raia_actor_create(echo_new);
    for (unsigned i = 0; i < 3; i++)
        warm_up(a[i]);
    for (unsigned k = 0; k < SIZES; k++)
        for (unsigned i = 0; i < 30; i++)
            check(send_bytes(a[i % 3], sizes[k], i), sizes[k], i);
    for (unsigned k = 0; k < SIZES; k++) {
        for (unsigned i = 0; i < BATCH; i++)
            r[i] = send_bytes(a[i % 3], sizes[(k + i) % SIZES], i);
        for (unsigned i = 0; i < BATCH; i++)
            check(r[i], sizes[(k + i) % SIZES], i);
    }
    for (unsigned i = 0; i < 3; i++)
        raia_actor_release(a[i]);
}

/* An arena that is idle is given back, and made again when it is needed. */
Test(arena, idle, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create(echo_new);
    unsigned ours, theirs;

    warm_up(a);
    pthread_mutex_lock(&the_runtime->token);
    /* Once for what is not known yet to be read, once for the idle time after it. */
    arena_tick(the_runtime, clock_now_ns());
    arena_tick(the_runtime, clock_now_ns() + ARENA_IDLE_NS + CLOCK_NS_PER_S);
    pthread_mutex_unlock(&the_runtime->token);
    count(&ours, &theirs);
    cr_assert_eq(ours, 0);
    warm_up(a);
    raia_actor_release(a);
}

/* The process that is being sent to dies, again and again, with slots taken: calls to others go
 * on, and their bytes are right. */
Test(arena, death, .init = session_begin, .fini = session_end)
{
    raia_actor *stays = raia_actor_create(echo_new);
    raia_ref *lost[BATCH];

    warm_up(stays);
    for (unsigned round = 0; round < 6; round++) {
        raia_actor *dies = raia_actor_create(echo_new);
        raia_ref *end;

        warm_up(dies);
        end = raia_actor_call(dies, end_now);
        for (unsigned i = 0; i < BATCH; i++)
            lost[i] = send_bytes(dies, 65536, i);
        for (unsigned i = 0; i < 20; i++)
            check(send_bytes(stays, 65536, i), 65536, i);
        for (unsigned i = 0; i < BATCH; i++) {
            struct raia_view v;

            cr_assert_lt(raia_get(lost[i], &v, 120000), 0);
            raia_release(lost[i]);
        }
        raia_release(end);
        raia_actor_release(dies);
        warm_up(stays);
    }
    raia_actor_release(stays);
}
