/* What object.c and borrow.c share. */
#ifndef CORE_OBJECT_PRIVATE_H
#define CORE_OBJECT_PRIVATE_H

#include "core/object.h"

/* Puts it into the table by id. */
int object_publish__(struct objects *t, struct raia_ref *o);
/* Frees it if nothing counts it any more. */
void object_check__(struct objects *t, struct raia_ref *o);
/* Fires deps: those that wait for the grant, or those that wait for the value. */
void object_fire__(struct objects *t, struct raia_ref *o, bool registered);

#endif
