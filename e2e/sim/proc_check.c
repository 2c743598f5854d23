/* A process looked into: what must hold inside, and what is shown when a seed fails. */
#include <stdio.h>

#include "sim/proc.h"

void proc_show_objects(const struct proc *p)
{
    for (uint32_t i = 0; i < p->objects.table_size; i++)
        for (const struct raia_ref *o = p->objects.table[i]; o; o = o->hash_next)
            fprintf(stderr,
                    "  object %02x%02x/%llu.%u handles %u holds %u state %u flags %u grants %u "
                    "borrowers %zu\n",
                    o->owner ? o->owner->address.worker[0] : p->self.worker[0],
                    o->owner ? o->owner->address.worker[1] : p->self.worker[1],
                    (unsigned long long)o->counter, o->index, o->handles, o->holds, o->state,
                    o->flags, o->grants, o->more ? list_count(&o->more->borrowers) : 0);
}

/* A reference that somebody uses is known to its owner, while that lives. */
static void check_borrowed(const struct proc *p, struct process *q)
{
    struct proc *owner = proc_by_id(p->c, q->address.worker);
    struct raia_ref *o;

    if (q->dead || !owner || !owner->alive ||
        oracle_pair_broke(p->c, p->self.worker, owner->self.worker))
        return;
    LIST_FOREACH (o, &q->owned, by_owner) {
        const struct raia_ref *there;

        if (!o->grants)
            continue;
        there = objects_find(&owner->objects, owner->self.worker, o->counter, o->index);
        if (!there)
            sim_fail(p->c->sim,
                     "object %02x%02x/%llu was freed by its owner while %02x%02x holds it",
                     owner->self.worker[0], owner->self.worker[1], (unsigned long long)o->counter,
                     p->self.worker[0], p->self.worker[1]);
    }
}

void proc_check(const struct proc *p, bool end)
{
    struct process *q, *next;

    if (!p->alive)
        return;
    HASH_FOREACH (p->objects.processes, q, next)
        check_borrowed(p, q);
    if (end && !proc_idle(p)) {
        sim_fail(
            p->c->sim, "process %02x%02x still has %llu objects and %u tasks when all is quiet",
            p->self.worker[0], p->self.worker[1], (unsigned long long)p->objects.count, p->tasks);
    }
}

void proc_show(const struct proc *p)
{
    struct process *q, *next;
    const struct act *a;

    if (!p->alive || proc_idle(p))
        return;
    fprintf(stderr,
            "process %02x%02x %s%s objects %llu tasks %u pending %llu ready %zu running %d blocked "
            "%u classes queued",
            p->self.worker[0], p->self.worker[1], p->driver ? "driver" : "worker",
            p->host ? " actor" : "", (unsigned long long)p->objects.count, p->tasks,
            (unsigned long long)p->submitter.pending, list_count(&p->ready), p->running != NULL,
            p->blocked);
    for (uint32_t i = 0; i < p->submitter.nclasses; i++)
        fprintf(stderr, " %llu (stated %u, %u leases)",
                (unsigned long long)p->submitter.classes[i]->queued,
                p->submitter.classes[i]->stated, p->submitter.classes[i]->nleases);
    fprintf(stderr, "\n");
    proc_show_objects(p);
    LIST_FOREACH (a, &p->acts, link)
        fprintf(stderr, "  act: call %d steps %u handles %u waits %s%02x%02x/%llu due %d\n",
                a->call != NULL, a->steps, a->n, a->wait ? "for " : "-",
                a->wait && a->wait->owner ? a->wait->owner->address.worker[0] : p->self.worker[0],
                a->wait && a->wait->owner ? a->wait->owner->address.worker[1] : p->self.worker[1],
                a->wait ? (unsigned long long)a->wait->counter : 0ULL, a->due);
    HASH_FOREACH (p->objects.processes, q, next)
        fprintf(stderr, "  knows %02x%02x dead %d: owned %zu borrowed %zu forwards %zu\n",
                q->address.worker[0], q->address.worker[1], q->dead, list_count(&q->owned),
                list_count(&q->borrowed), list_count(&q->forwards));
}
