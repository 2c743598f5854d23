/*
 * A transport that answers from a list of recorded replies, and keeps what was asked: for unit
 * tests. (Library raia_kube_sim.)
 *
 *     struct kube_recorded *t = kube_recorded_new();
 *     kube_recorded_reply(t, "GET", "/api/v1/pods", 200, body);    // in this order
 *     ... something asks ...
 *     kube_recorded_step(t);                                       // answers all that is in flight
 *     kube_recorded_asked(t, 0)->target ...
 *
 * A request that is not the next one of the list is answered 599. A body for a watch is given in
 * pieces of `piece` bytes, and then its end.
 * Threads: one. Failure: out of memory ends the test program.
 */
#ifndef KUBE_SIM_RECORDED_H
#define KUBE_SIM_RECORDED_H

#include <stdbool.h>

#include "kube/transport.h"

struct kube_recorded;

struct kube_asked {
    char *method, *target, *type, *body; /* as they were; type and body NULL: none */
};

struct kube_recorded *kube_recorded_new(void);
struct kube_transport *kube_recorded_transport(struct kube_recorded *t);
/* target_part: must be in the target. status < 0: the transport fails with that code. */
void kube_recorded_reply(struct kube_recorded *t, const char *method, const char *target_part,
                         int status, const char *body);
/* Of the reply added last. */
void kube_recorded_retry_after(struct kube_recorded *t, int seconds);
void kube_recorded_piece(struct kube_recorded *t, size_t bytes); /* default: all at once */
/* Answers what is in flight (also what is started meanwhile); how many. */
unsigned kube_recorded_step(struct kube_recorded *t);
void kube_recorded_pass(struct kube_recorded *t, int64_t ns); /* time goes on */
size_t kube_recorded_count(const struct kube_recorded *t);    /* requests so far */
const struct kube_asked *kube_recorded_asked(const struct kube_recorded *t, size_t i);
bool kube_recorded_used_up(const struct kube_recorded *t); /* all replies were given */
unsigned kube_recorded_in_flight(const struct kube_recorded *t);

#endif
