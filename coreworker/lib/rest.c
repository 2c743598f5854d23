/*
 * Ring pairs that nobody uses are given back.
 *
 * Of two processes the one with the smaller worker id asks (WIRE_REST), once nothing has gone over
 * the pair for rt->idle_pair_ns and it has nothing under way there. From then on it holds what it
 * would send. The other one answers WIRE_REST_YES as its last word, and is done with the pair, or
 * WIRE_REST_NO if it has something under way. Each tells the raylet when it is done
 * (REC_PEER_AGREED), which frees the pair when both have. What was held back goes over a new pair.
 *
 * Under way is whatever needs the word that the other one is dead, or an answer: leases, calls,
 * references of one to objects of the other. Handles to actors are not: their callers connect again
 * with the next call.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/drain.h"

#define REFUSED_MAX                                                                                \
    5u /* after so many refusals the time between questions grows no more: 32 times */

static bool of_calls(const struct list *calls, const struct link *l)
{
    const struct raia_call *c;

    LIST_FOREACH (c, calls, link)
        if (c->from == l)
            return true;
    return false;
}

static bool in_use(struct runtime *rt, struct link *l)
{
    const struct process *p = l->process;
    raia_actor *a;

    if (!list_empty(&l->outbox) || l->partial_type || !list_empty(&l->leases))
        return true;
    if (!list_empty(&p->owned) || !list_empty(&p->borrowed) || !list_empty(&p->forwards) ||
        !list_empty(&p->notes) || !list_empty(&p->claims) || !list_empty(&p->asked))
        return true;
    LIST_FOREACH (a, &l->callers, on_link)
        if (!caller_idle(&a->caller))
            return true;
    for (uint32_t i = 0; i < rt->submitter.leases_end; i++)
        if (rt->submitter.leases[i] && rt->submitter.leases[i]->link == l)
            return true;
    return of_calls(&rt->ready, l) || of_calls(&rt->running, l);
}

/* Those who use the link now and then connect again when they need it. */
static void rest_users(struct runtime *rt, struct link *l)
{
    struct list *i;

    while ((i = list_pop(&l->callers))) {
        raia_actor *a = container_of(i, raia_actor, on_link);

        a->link = NULL;
        caller_rest(&a->caller);
    }
    host_link_closed(rt, l);
    /* They are named again, on whichever pair comes next. */
    mem_free(STEAL(l->told));
    l->ntold = 0;
}

/* Done with the memory of the pair. */
static void give_back(struct runtime *rt, struct link *l)
{
    struct rec_peer_close m = {.number = l->number, .serial = l->serial, .flags = REC_PEER_AGREED};

    arena_link_over(rt, l, true); /* it has read all that we sent */
    rt->pairs[l->number] = NULL;
    munmap(STEAL(l->memory), l->memory_size);
    munmap(STEAL(l->page), DOORBELL_PAGE_BYTES);
    if (l->bell >= 0)
        close(l->bell);
    l->bell = -1;
    mem_free(STEAL(l->theirs));
    l->ntheirs = 0;
    link_send(rt, rt->raylet, REC_PEER_CLOSE, 0, &m, sizeof(m), false);
}

static void end(struct runtime *rt, struct link *l)
{
    give_back(rt, l);
    l->kind = LINK_CLOSED;
    l->process->link = NULL;
    list_add_tail(&rt->closed, &l->in_dirty);
}

/* True if it has gone out. */
static bool say(struct runtime *rt, struct link *l, enum wire_type type)
{
    void *to;

    if (link_begin(rt, l, (uint16_t)type, 0, 0, 0, &to) < 0)
        return false;
    link_commit(rt, l, true);
    return true;
}

static void asked(struct runtime *rt, struct link *l)
{
    if (l->kind != LINK_PAIR)
        return;
    if (in_use(rt, l)) {
        link_send(rt, l, WIRE_REST_NO, 0, NULL, 0, true);
        return;
    }
    rest_users(rt, l);
    if (say(rt, l, WIRE_REST_YES))
        end(rt, l);
    else
        link_send(rt, l, WIRE_REST_NO, 0, NULL, 0, true);
}

static bool has_users(struct runtime *rt, struct link *l)
{
    return in_use(rt, l) || !list_empty(&l->callers);
}

static void agreed(struct runtime *rt, struct link *l)
{
    bool users = has_users(rt, l);

    host_link_closed(rt, l);
    if (!users) {
        end(rt, l);
        return;
    }
    /* Meanwhile it is needed again: the same link over a new pair, which what was held waits for. */
    give_back(rt, l);
    l->kind = LINK_OPENING;
    l->open_tag = rt->next_tag++;
    list_add_tail(&rt->opening, &l->in_dirty);
    link_send(rt, rt->raylet, REC_PEER_OPEN, l->open_tag, &l->process->address,
              sizeof(l->process->address), false);
}

void rest_received(struct runtime *rt, struct link *l, enum wire_type type)
{
    if (type == WIRE_REST) {
        asked(rt, l);
    } else if (l->kind == LINK_RESTING && type == WIRE_REST_YES) {
        agreed(rt, l);
    } else if (l->kind == LINK_RESTING && type == WIRE_REST_NO) {
        l->kind = LINK_PAIR;
        if (l->refused < REFUSED_MAX)
            l->refused++;
        /* What was held goes when the doorbell is looked at. */
        l->was_full = true;
        doorbell_mark(&rt->bell, l->number);
    }
}

static bool ours_to_ask(const struct runtime *rt, const struct link *l)
{
    return l && !l->raylet && l->number != LINK_SELF_BIT &&
           memcmp(rt->self.worker, l->process->address.worker, 16) < 0;
}

void rest_opened(struct runtime *rt, struct link *l)
{
    if (rt->idle_pair_ns == 0 || !ours_to_ask(rt, l))
        return;
    l->quiet_at = 0;
    l->quiet_since = rt->now;
    l->refused = 0;
    if (rt->next_rest != CLOCK_NEVER)
        return;
    rt->next_rest = rt->now + rt->idle_pair_ns;
    rt_stir(rt);
}

void rest_tick(struct runtime *rt, int64_t now)
{
    rt->next_rest = CLOCK_NEVER;
    for (unsigned i = 1; i < RECORD_PAIRS_MAX; i++) {
        struct link *l = rt->pairs[i];
        uint64_t traffic;

        if (!ours_to_ask(rt, l))
            continue;
        rt->next_rest = now + rt->idle_pair_ns;
        if (l->kind != LINK_PAIR)
            continue;
        traffic = l->pair.tx.head + l->pair.rx.tail;
        if (traffic != l->quiet_at) {
            l->quiet_at = traffic;
            l->quiet_since = now;
            continue;
        }
        if (now - l->quiet_since < rt->idle_pair_ns << l->refused || in_use(rt, l))
            continue;
        /* Words about resting are no use of the pair. */
        l->quiet_since = now;
        if (say(rt, l, WIRE_REST)) {
            rest_users(rt, l);
            l->kind = LINK_RESTING;
        }
    }
    rt_flush(rt);
}
