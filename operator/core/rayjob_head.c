/*
 * The head pod that has the Ray job: what is seen of it ends an attempt at once, without a request
 * that a dead head leaves without an answer.
 *
 * It is known by its UID, from the first answer that says that the job is there; what has another UID
 * is another head, whose tables are empty unless they are on a volume. It is noted in the status by
 * the same write that says that the job is there, so an operator that has just begun knows it, too,
 * and sees at once what became of it meanwhile. Nothing is concluded without that note: a status may
 * be from an operator that wrote none.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "core/inject.h"
#include "core/pod.h"
#include "core/rayjob_impl.h"
#include "core/rayjob_plants.h"

enum fate { ALIVE, GOING, GONE };

static enum fate fate_of(const struct rayjob_pass *x)
{
    const struct kube_object *o = x->s->head.meta;

    if (!o || !o->uid || strcmp(o->uid, x->m->head) != 0 || pod_has_ended(x->s->head.tree))
        return GONE;
    return o->deleting ? GOING : ALIVE;
}

/* The note of the operator before, if there was one in this attempt. */
static void recall(struct rayjob_pass *x)
{
    const char *uid = json_str(json_at(x->status, RAYJOB_NOTES ".head"));

    if (uid && strlen(uid) < sizeof x->m->head)
        (void)snprintf(x->m->head, sizeof x->m->head, "%s", uid);
}

/* In each look: the write that was to keep it may have failed. */
static void keep(struct rayjob_pass *x)
{
    if (*x->m->head && x->r == 0 &&
        json_set_str(inject_object(x->status, RAYJOB_NOTES), "head", x->m->head) < 0)
        x->r = err_set(x->e, RAIA_ERR_NOMEM, "RayJob '%s': its status", x->job->name);
}

/* The head that is there is the one that answered. */
static void note(struct rayjob_pass *x)
{
    const struct kube_object *o = x->s->head.meta;

    if (!o || !o->uid || o->deleting || strlen(o->uid) >= sizeof x->m->head)
        return;
    (void)snprintf(x->m->head, sizeof x->m->head, "%s", o->uid);
    x->m->head_lost_at = 0;
}

static void look(struct rayjob_pass *x)
{
    struct rayjob_memory *m = x->m;
    bool kept = x->view && x->view->spec.ft.on;

    if (!*m->head)
        recall(x);
    if (!*m->head) {
        if (m->found == RAYJOB_FOUND && !rayjob_status_ended(m->status))
            note(x);
        return;
    }
    m->head_gone = false;
    switch (fate_of(x)) {
    case ALIVE:
        m->head_lost_at = 0;
        return;
    case GONE:
        m->head_gone = !kept;
        break;
    case GOING:
        break;
    }
    if (!m->head_lost_at)
        m->head_lost_at = x->s->now;
    if (!kept || !x->s->head.meta || x->s->head.meta->deleting)
        return;
    /* Another one with the same tables: the request that waits for the last one is not waited for. */
    if (m->found_at > m->head_lost_at && m->found == RAYJOB_FOUND)
        note(x);
    else
        rayjob_probe(x);
}

void rayjob_head_look(struct rayjob_pass *x)
{
    look(x);
    keep(x);
}

bool rayjob_head_lost(struct rayjob_pass *x, const struct rayjob_submitter *sub)
{
    struct rayjob_memory *m = x->m;
    bool may_tell = (sub->there && !sub->finished) || !m->head_gone;
    int64_t due = m->head_lost_at + RAYJOB_HEAD_NS;

    if (!m->head_lost_at || !x->view || x->view->spec.ft.on)
        return false;
    if (m->found == RAYJOB_FOUND && rayjob_status_ended(m->status))
        return false; /* it has told before */
    if (!may_tell || x->s->now >= due || RAYJOB_PLANTED(RAYJOB_PLANT_HASTY))
        return true;
    plan_again(x->p, due);
    return false;
}
