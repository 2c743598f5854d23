/*
 * What a reconciler wants done: a list of actions, in stages. A plan is only data; the controller
 * (controller.h) carries it out.
 *
 *     struct plan *p = plan_new();
 *     r = plan_create(p, 0, &kube_services, service);     // takes the tree over
 *     r = plan_create(p, 1, &kube_pods, head);            // head and workers side by side ...
 *     r = plan_create(p, 1, &kube_pods, worker);
 *     r = plan_status(p, status);                         // ... and the status, last
 *     r = plan_event(p, KUBE_NORMAL, "CreatedHeadPod", "created pod %s", name);
 *     r = plan_again(p, now + 30 * CLOCK_S);
 *
 * The actions of a stage are under way side by side; the next stage begins when all of them have
 * succeeded, so what must exist first (the job id in a status, a secret) goes into an earlier stage.
 * After a failure the rest of the plan is dropped, the status and the events excepted, and the key
 * comes again after its back-off with that failure in `seen.failure`; and once more at once when that
 * is over, so that the status says so. A plan is made anew from what is seen each time: it may be cut
 * off after any action, by the operator's own death too.
 *
 * Ownership: trees that are handed over belong to the plan, on failure too; texts are copied. Threads:
 * the caller's. Failure: -NOMEM, and then the plan must be dropped: plan_free.
 */
#ifndef OPERATOR_PLAN_H
#define OPERATOR_PLAN_H

#include "base/list.h"
#include "json/json.h"
#include "kube/recorder.h"
#include "kube/resource.h"

enum plan_kind {
    PLAN_CREATE, /* object; that it exists already is no failure: it will be seen */
    PLAN_APPLY,  /* object: server-side apply, by force, as field manager "raia-operator" */
    PLAN_PATCH,  /* object: merge patch of ns/name */
    PLAN_DELETE, /* ns/name of this uid; that it is gone already is no failure */
    PLAN_CALL    /* an HTTP request to a head's REST API; the answer goes to reconciler.answered */
};

/* Stages below this one are the reconciler's; its status is written when they are through. */
#define PLAN_STAGES 8

struct plan_action {
    struct list link;                     /* in plan.actions, in order of stages */
    enum plan_kind kind;                  /* what */
    unsigned stage;                       /* 0 first */
    const struct kube_resource *resource; /* all but PLAN_CALL */
    char *ns;                             /* of the object */
    char *name;                           /* NULL: the server makes it (generateName) */
    char *uid;                            /* PLAN_DELETE: only this one; never NULL */
    int64_t grace_s;                      /* PLAN_DELETE: seconds; -1: as the object says */
    struct json *object;                  /* what is created, applied, patched; or NULL */
    char *method;                         /* PLAN_CALL: "GET", "POST", "DELETE" */
    char *url;                            /* PLAN_CALL: http://NAME.NS.svc.DOMAIN:PORT/path */
    char *body;                           /* PLAN_CALL: JSON; NULL: none */
    char *token_secret; /* PLAN_CALL: secret of ns whose auth_token is sent; NULL */
    int timeout_ms;     /* PLAN_CALL: of the answer */
    uint64_t tag;       /* PLAN_CALL: comes back with the answer */
};

struct plan_event {
    struct list link;            /* in plan.events */
    enum kube_severity severity; /* of the event */
    char *reason;                /* "CreatedHeadPod" */
    char *text;                  /* for people */
};

/* How long a status may wait while the API server is busy; when it is not, none waits. */
enum plan_haste {
    PLAN_NOW,  /* not at all: it is what people and programs act upon */
    PLAN_SOON, /* progress: controller.h says how long */
    PLAN_LATER /* numbers that grow */
};

struct plan {
    struct list actions;   /* struct plan_action */
    struct list events;    /* struct plan_event, about the reconciled object */
    struct json *status;   /* the whole new status; NULL: as it is */
    enum plan_haste haste; /* of the status */
    struct json *hope;     /* the status when all stages have succeeded; NULL: that one */
    struct json *metadata; /* merge patch of the object's metadata, before stage 0; NULL: none */
    int64_t again; /* ns, monotonic: look again then; CLOCK_NEVER: only when something changes */
};

struct plan *plan_new(void);
void plan_free(struct plan *p); /* accepts NULL */

int plan_create(struct plan *p, unsigned stage, const struct kube_resource *r, struct json *object);
int plan_apply(struct plan *p, unsigned stage, const struct kube_resource *r, struct json *object);
int plan_patch(struct plan *p, unsigned stage, const struct kube_resource *r, const char *ns,
               const char *name, struct json *patch);
int plan_delete(struct plan *p, unsigned stage, const struct kube_resource *r, const char *ns,
                const char *name, const char *uid, int64_t grace_s);
/* See the members. At most one with the same tag is under way for a key: a second one is dropped. */
int plan_call(struct plan *p, unsigned stage, uint64_t tag, const char *ns, const char *method,
              const char *url, const char *body, const char *token_secret, int timeout_ms);
/* Replaces what was set before. Written as a JSON merge patch that makes the status equal to this
 * one, and not at all if it is equal (json_equal, lastUpdateTime apart). */
int plan_status(struct plan *p, struct json *status);
/* It may be written later, together with what has changed by then; the default is PLAN_NOW. */
void plan_status_waits(struct plan *p, enum plan_haste haste);
/* The whole status that is written instead when all actions have succeeded: what they have made
 * needs no second write when it is seen. */
int plan_hope(struct plan *p, struct json *status);
/* {"finalizers": [...]}, {"annotations": {...}}: a merge patch. */
int plan_metadata(struct plan *p, struct json *metadata);
int plan_event(struct plan *p, enum kube_severity severity, const char *reason, const char *fmt,
               ...) __attribute__((format(printf, 4, 5)));
/* The earliest of those asked for counts. */
void plan_again(struct plan *p, int64_t due);

#endif
