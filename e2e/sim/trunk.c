/* Words that survive breaks: see trunk.h. */
#include "sim/trunk.h"

#include "base/mem.h"

struct trunk_item {
    struct list link;
    uint64_t sequence;
    struct gcs_word word;
};

void trunk_init(struct trunk *t, struct world *c, struct sim_node *from, struct sim_node *to)
{
    *t = (struct trunk){.c = c, .from = from, .to = to, .next_out = 1, .next_in = 1};
    list_init(&t->sent);
}

void trunk_fini(struct trunk *t)
{
    struct list *l;

    while (t->c && (l = list_pop(&t->sent)))
        mem_free(container_of(l, struct trunk_item, link));
}

static void put(struct trunk *t, const struct trunk_item *i)
{
    struct trunk_word w = {.acked = t->next_in};

    if (i) {
        w.sequence = i->sequence;
        w.word = i->word;
    }
    sim_send(t->from, t->to, &w, sizeof(w));
}

void trunk_send(struct trunk *t, const struct gcs_word *w)
{
    struct trunk_item *i = mem_new(struct trunk_item);

    if (!i) {
        sim_fail(t->c->sim, "out of memory");
        return;
    }
    i->sequence = t->next_out++;
    i->word = *w;
    list_add_tail(&t->sent, &i->link);
    put(t, i);
}

bool trunk_receive(struct trunk *t, const struct trunk_word *w)
{
    struct trunk_item *i, *next;

    LIST_FOREACH_SAFE (i, next, &t->sent, link) {
        if (i->sequence >= w->acked)
            break;
        list_del(&i->link);
        mem_free(i);
    }
    if (w->sequence == 0)
        return false;
    if (w->sequence == t->next_in) {
        t->next_in++;
        put(t, NULL);
        return true;
    }
    put(t, NULL);
    return false;
}

static void send_again(void *ctx)
{
    struct trunk *t = ctx;
    struct trunk_item *i;

    t->again = false;
    LIST_FOREACH (i, &t->sent, link)
        put(t, i);
}

void trunk_broke(struct trunk *t)
{
    if (t->again)
        return;
    t->again = true;
    sim_after(t->c->sim, t->from, prng_range(t->c->prng, 5, 50) * CLOCK_NS_PER_MS, send_again, t,
              NULL);
}
