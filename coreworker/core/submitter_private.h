/* What submitter.c and leases.c share. */
#ifndef CORE_SUBMITTER_PRIVATE_H
#define CORE_SUBMITTER_PRIVATE_H

#include "core/submitter.h"

void lease_free__(struct submitter *s, struct lease *l);
/* After an answer: refills the lease, gives it back if it is draining, marks it idle. */
void lease_settle__(struct submitter *s, struct lease *l);
/* Back into its queue, at the front. */
void submitter_again__(struct task *t);
void submitter_fail__(struct submitter *s, struct task *t, int code, const char *text);
void submitter_fail_with__(struct submitter *s, struct task *t, const struct raia_error *e);

#endif
