/*
 * A transport to a model API server in a simulation, with everything that goes wrong: latency, lost
 * requests and replies, 429, 5xx, watches that are cut, half-open, ended, garbled or told twice.
 * (Library raia_kube_sim: for tests.)
 *
 *     struct kube_faults f = {.lost = 0.02, .busy = 0.02, .cut = 0.05};
 *     struct kube_transport *t = kube_faulty_new(sim, model, &f);      // f is read as it is then
 *     kube_client_new(t, NULL, &client, e);
 *     kube_faulty_drive(t, client);              // steps the client when it is due
 *
 * Threads: one. Failure: out of memory ends the test program.
 */
#ifndef KUBE_SIM_FAULTY_H
#define KUBE_SIM_FAULTY_H

#include "base/sim.h"
#include "kube/client.h"
#include "kube/sim/model_server.h"

/* Probabilities, of a request or of a piece of a watch. */
struct kube_faults {
    double lost;       /* the request never arrives: no connection */
    double unknown;    /* it is done, but the reply never arrives */
    double busy;       /* 429, Retry-After 1 */
    double error;      /* 500 or 503 */
    double slow;       /* latency of seconds */
    double cut;        /* a watch breaks off, in the middle of a line perhaps */
    double half_open;  /* a watch gets nothing more, and no end */
    double garbled;    /* a watch gets a line that is no JSON, or a cut one that goes on */
    double large;      /* a watch gets a line that does not end */
    double twice;      /* an event is sent twice */
    double ended;      /* the server ends a watch */
    double gone;       /* a watch gets an ERROR 410, though nothing is compacted */
    bool no_streaming; /* sendInitialEvents is refused */
};

/* Faults may change while it runs. Both must outlive the transport. */
struct kube_transport *kube_faulty_new(struct sim *s, struct kube_model *m,
                                       const struct kube_faults *faults);
/* Steps the client as its timers fall due, until the transport is freed. */
void kube_faulty_drive(struct kube_transport *t, struct kube_client *c);
/* The operator is dead: nothing in flight is answered any more (what is on its way is done). */
void kube_faulty_kill(struct kube_transport *t);

#endif
