/* What the public functions share: checks of what users pass. */
#ifndef API_API_H
#define API_API_H

#include "lib/actor.h"
#include "lib/runtime.h"

/* The reference is one, and of this session; else INVALID or SHUTDOWN, as the last error. */
int api_check_ref(struct runtime *rt, const raia_ref *r);
int api_check_actor(const raia_actor *a);
/* Says so, as the last error; returns -FORKED. */
int api_forked(void);
/* ms from now, as a deadline. */
int64_t api_deadline(int64_t timeout_ms);
/* A view of an object that is ready and here; fails with the object's own error. */
int api_view(struct runtime *rt, raia_ref *r, struct raia_view *ret);

#endif
