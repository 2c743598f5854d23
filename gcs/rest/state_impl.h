/* What state.c and state_remote.c share. */
#ifndef REST_STATE_IMPL_H
#define REST_STATE_IMPL_H

#include "rest/listing.h"
#include "rest/rest_impl.h"

/* Asks the raylets for tasks, objects or workers, and answers x when they have answered, or their
 * time is up. Takes the listing's insides over. -NOT_FOUND: no such listing; x is untouched. */
int state_ask(struct rest *rest, struct http_exchange *x, const char *what, struct listing *l);
/* Ray's envelope around a reason, which its command line prints, with the status that fits. */
void state_refuse(struct http_exchange *x, const struct raia_error *e);
/* Rows for the drivers that have ended. */
void state_dead_drivers(struct rest *rest, struct listing *l);

#endif
