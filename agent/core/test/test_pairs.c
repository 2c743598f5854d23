/*
 * Numbers of pairs, and the agreement to give one back, with processes that follow the rules of
 * libraia (coreworker/lib/rest.c) and a raylet that keeps the table, in random orders: every queue
 * between them is first in, first out, and nothing else is ordered.
 */
#include "core/pairs.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"

#define PROCS  3
#define QUEUE  1024
#define NUMBER 16 /* numbers of a process */
#define PAIRS  512

enum kind { DATA, REST, YES, NO, OPEN, CLOSE, PAIR, CLOSED };

struct word {
    enum kind kind;
    uint32_t number, serial; /* of the reader */
    int peer;                /* process slot */
    int life;                /* of the peer */
    int pair;                /* PAIR: which memory */
    int role;
    uint64_t value; /* DATA */
};

struct queue {
    struct word words[QUEUE];
    unsigned first, end;
};

enum state { NONE, OPENING, USED, RESTING };

/* One process's way to another. */
struct way {
    enum state state;
    uint32_t number, serial;
    int pair, role;
    uint64_t sent, got; /* values so far */
    uint64_t held[QUEUE];
    unsigned nheld;
};

struct proc {
    int life;
    struct pairs table;       /* the raylet's */
    struct queue up, down;    /* to and from the raylet */
    struct way to[PROCS];     /* by slot */
    int life_of[PROCS];       /* whom it means */
    int8_t by_number[NUMBER]; /* slot + 1; 0: free */
};

static struct proc procs[PROCS];
static struct queue rings[PAIRS][2]; /* to role 0, to role 1 */
static int next_pair;
static uint32_t next_serial;
static struct prng rng;
static const char *wrong;
static bool plant_serial, plant_half;

static void fault(const char *what)
{
    if (!wrong)
        wrong = what;
}

static void put(struct queue *q, struct word w)
{
    cr_assert_lt(q->end, QUEUE);
    q->words[q->end++] = w;
}

static bool take(struct queue *q, struct word *ret)
{
    if (q->first == q->end)
        return false;
    *ret = q->words[q->first++];
    return true;
}

static struct queue *out_of(const struct way *w)
{
    return &rings[w->pair][1 - w->role];
}

/* ---- processes */

static void ask_open(struct proc *p, int to)
{
    p->to[to].state = OPENING;
    put(&p->up, (struct word){.kind = OPEN, .peer = to, .life = p->life_of[to]});
}

static void send_one(struct proc *p, int to)
{
    struct way *w = &p->to[to];

    if (w->state == NONE)
        ask_open(p, to);
    if (w->state == USED)
        put(out_of(w), (struct word){.kind = DATA, .value = w->sent++});
    else if (w->nheld < QUEUE)
        w->held[w->nheld++] = w->sent++;
}

static void let_go(struct proc *p, int to)
{
    struct way *w = &p->to[to];

    p->by_number[w->number] = 0;
    put(&p->up, (struct word){.kind = CLOSE, .number = w->number, .serial = w->serial});
    w->state = NONE;
    if (w->nheld)
        ask_open(p, to);
}

static void flush(struct way *w)
{
    for (unsigned i = 0; i < w->nheld; i++)
        put(out_of(w), (struct word){.kind = DATA, .value = w->held[i]});
    w->nheld = 0;
}

/* One record of the ring; `busy`: it has something under way. */
static bool read_ring(struct proc *p, int from, bool busy)
{
    struct way *w = &p->to[from];
    struct word m;

    if ((w->state != USED && w->state != RESTING) || !take(&rings[w->pair][w->role], &m))
        return false;
    if (m.kind == DATA) {
        if (m.value != w->got)
            fault("out of order");
        w->got = m.value + 1;
    } else if (m.kind == REST) {
        if (w->state != USED)
            fault("asked while it asks");
        put(out_of(w), (struct word){.kind = busy ? NO : YES});
        if (!busy)
            let_go(p, from);
    } else if (m.kind == YES) {
        let_go(p, from);
    } else {
        w->state = USED;
        flush(w);
    }
    return true;
}

static void forget(struct proc *p, int to)
{
    struct way *w = &p->to[to];

    if (w->state == USED || w->state == RESTING)
        p->by_number[w->number] = 0;
    *w = (struct way){0};
    p->life_of[to] = procs[to].life;
}

static bool read_down(struct proc *p)
{
    struct word m;
    struct way *w;

    if (!take(&p->down, &m))
        return false;
    w = &p->to[m.peer];
    if (m.kind == CLOSED) {
        /* Dead: what it wrote is read first. */
        if (m.number && (m.number >= NUMBER || p->by_number[m.number] != m.peer + 1))
            return true;
        while (m.number && read_ring(p, m.peer, false))
            ;
        if (p->life_of[m.peer] == m.life)
            forget(p, m.peer);
        return true;
    }
    if (m.life != p->life_of[m.peer]) {
        /* It is another one by now, of which the end will be told. */
        forget(p, m.peer);
        p->life_of[m.peer] = m.life;
    }
    if (p->by_number[m.number]) {
        if (p->to[p->by_number[m.number] - 1].pair != m.pair)
            fault("a number that is in use was given out");
        return true;
    }
    if (w->state == RESTING)
        while (read_ring(p, m.peer, false))
            ;
    if (w->state == USED || w->state == RESTING) {
        fault("a second pair");
        return true;
    }
    w->state = USED;
    w->number = m.number;
    w->serial = m.serial;
    w->pair = m.pair;
    w->role = m.role;
    p->by_number[m.number] = (int8_t)(m.peer + 1);
    flush(w);
    return true;
}

/* ---- the raylet */

static int slot_of(const struct pairs *t)
{
    for (int i = 0; i < PROCS; i++)
        if (&procs[i].table == t)
            return i;
    return -1;
}

static void on_open(int a, const struct word *m)
{
    struct proc *p = &procs[a], *q = &procs[m->peer];
    uint32_t na, nb;

    if (q->life != m->life) {
        put(&p->down, (struct word){.kind = CLOSED, .peer = m->peer, .life = m->life});
        return;
    }
    if (pairs_find(&p->table, &q->table))
        return; /* an answer without a pair: it has got it */
    p->table.max = q->table.max = NUMBER;
    na = pairs_add(&p->table, &q->table, next_serial++, &nb);
    if (!na || next_pair == PAIRS) {
        fault("no number left");
        return;
    }
    put(&q->down, (struct word){.kind = PAIR,
                                .number = nb,
                                .serial = next_serial - 1,
                                .peer = a,
                                .life = p->life,
                                .pair = next_pair,
                                .role = 1});
    put(&p->down, (struct word){.kind = PAIR,
                                .number = na,
                                .serial = next_serial - 1,
                                .peer = m->peer,
                                .life = q->life,
                                .pair = next_pair});
    next_pair++;
}

static bool raylet(int a)
{
    struct proc *p = &procs[a];
    const struct pair_end *end;
    struct word m;

    if (!take(&p->up, &m))
        return false;
    if (m.kind == OPEN) {
        on_open(a, &m);
        return true;
    }
    end = pairs_end(&p->table, m.number);
    if (end && plant_half)
        pairs_drop(&p->table, m.number);
    else
        pairs_give(&p->table, m.number, end && plant_serial ? end->serial : m.serial);
    return true;
}

static void kill_proc(int a)
{
    struct proc *p = &procs[a];

    for (uint32_t n = 1; n < p->table.room; n++) {
        const struct pair_end *end = pairs_end(&p->table, n);
        struct word m;
        int other;

        if (!end)
            continue;
        other = slot_of(end->other);
        m = (struct word){.kind = CLOSED, .number = end->there, .peer = a, .life = p->life};
        if (!pairs_end(end->other, end->there)->given)
            put(&procs[other].down, m);
        pairs_drop(&p->table, n);
    }
    cr_assert_eq(p->table.count, 0);
    p->life++;
    p->up.first = p->up.end;
    p->down.first = p->down.end;
    memset(p->to, 0, sizeof p->to);
    memset(p->by_number, 0, sizeof p->by_number);
    for (int i = 0; i < PROCS; i++)
        p->life_of[i] = procs[i].life;
}

/* ---- runs */

static void step(bool quiet)
{
    int a = (int)prng_below(&rng, PROCS), b = (a + 1 + (int)prng_below(&rng, PROCS - 1)) % PROCS;
    struct proc *p = &procs[a];

    switch (prng_below(&rng, 6)) {
    case 0:
        if (!quiet && prng_below(&rng, 4) == 0)
            send_one(p, b);
        break;
    case 1:
        if (p->to[b].state == USED && a < b && p->to[b].nheld == 0) {
            put(out_of(&p->to[b]), (struct word){.kind = REST});
            p->to[b].state = RESTING;
        }
        break;
    case 2:
    case 3:
        read_ring(p, b, !quiet && prng_below(&rng, 4) == 0);
        break;
    case 4:
        read_down(p);
        break;
    default:
        raylet(a);
    }
    if (!quiet && prng_below(&rng, 400) == 0)
        kill_proc(a);
}

static const char *run(uint64_t seed)
{
    static const struct proc none;

    for (int i = 0; i < PROCS; i++) {
        pairs_fini(&procs[i].table);
        procs[i] = none;
    }
    memset(rings, 0, sizeof rings[0] * (size_t)next_pair);
    next_pair = 0;
    next_serial = 1;
    wrong = NULL;
    prng_seed(&rng, seed);
    for (int i = 0; i < 1500 && !wrong; i++)
        step(false);
    for (int i = 0; i < 6000 && !wrong; i++)
        step(true);
    for (int a = 0; a < PROCS && !wrong; a++) {
        for (int b = 0; b < PROCS; b++) {
            struct way *w = &procs[a].to[b];

            if (procs[a].life_of[b] != procs[b].life)
                continue;
            if (w->state != NONE || w->nheld)
                fault("not at rest");
            if (procs[b].life_of[a] == procs[a].life && procs[b].to[a].got != w->sent)
                fault("lost");
        }
        if (procs[a].table.count)
            fault("a pair is left");
    }
    return wrong;
}

/* Whatever the order of asking, sending, answering and dying: all arrives in order, no number is
 * given out while it is in use, and at rest every pair has been given back. */
Test(pairs, agreement)
{
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        const char *what = run(seed);

        cr_assert_null(what, "seed %llu: %s", (unsigned long long)seed, what);
    }
}

static bool found(bool *plant)
{
    bool any = false;

    *plant = true;
    for (uint64_t seed = 1; seed <= 1000 && !any; seed++)
        any = run(seed) != NULL;
    *plant = false;
    return any;
}

/* A raylet that does not look at serials, or frees a pair at the first word, is found out. */
Test(pairs, planted)
{
    cr_assert(found(&plant_serial));
    cr_assert(found(&plant_half));
}

/* Numbers are small, are used again, and end at the limit. */
Test(pairs, numbers)
{
    struct pairs a = {.max = 4}, b = {.max = 100};
    uint32_t there = 0;

    cr_assert_eq(pairs_add(&a, &b, 1, &there), 1);
    cr_assert_eq(pairs_add(&a, &b, 2, &there), 2);
    cr_assert_eq(pairs_add(&a, &b, 3, &there), 3);
    cr_assert_eq(there, 3);
    cr_assert_eq(pairs_add(&a, &b, 4, &there), 0);
    pairs_drop(&a, 2);
    cr_assert_null(pairs_end(&b, 2));
    cr_assert_eq(pairs_add(&a, &b, 5, &there), 2);
    cr_assert_not(pairs_give(&a, 2, 2));
    cr_assert_not(pairs_give(&a, 2, 5));
    cr_assert_eq(pairs_find(&a, &b), 1);
    cr_assert(pairs_give(&b, there, 5));
    cr_assert_eq(a.count, 2);
    pairs_drop(&a, 1);
    pairs_drop(&b, 3);
    cr_assert_eq(a.count + b.count, 0);
    pairs_fini(&a);
    pairs_fini(&b);
}
