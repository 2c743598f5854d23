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

/* What a process has of ours. */
struct borrow *borrow_find__(struct raia_ref *o, const struct process *by);
void borrow_drop__(struct objects *t, struct borrow *b);

/* forward.c. Tells the owner that `to` is being given it, or has it. */
void forward_note__(struct objects *t, struct raia_ref *o, struct process *to, bool begins);
/* The process is dead. */
void forward_died__(struct objects *t, struct process *p);
/* All that this process had sent has come: answers the owners who asked. */
void forward_answer__(struct objects *t, struct process *forwarder);
void forward_message__(struct objects *t, struct process *from, enum wire_type type,
                       const struct wire_object *m);
/* Frees the entries, and lets go of their objects. */
void forward_drop_all__(struct objects *t, struct list *thirds);

#endif
