/*
 * Private to kube/: a call whose members are filled, into the client's queue.
 */
#ifndef KUBE_CLIENT_IMPL_H
#define KUBE_CLIENT_IMPL_H

#include "kube/client.h"

/* Takes over the path (NULL: out of memory) and the body, on failure too. */
int kube_call_start__(struct kube_client *c, struct kube_call *call, kube_call_fn done, void *arg,
                      struct raia_error *e);

#endif
