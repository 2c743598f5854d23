/* What actor.c and actor_create.c share, and the API uses. Token held. */
#ifndef LIB_ACTOR_H
#define LIB_ACTOR_H

#include "gcs.pb-c.h"
#include "lib/runtime.h"

/* A handle (count 1) to that actor, not yet subscribed. */
raia_actor *actor_new(struct runtime *rt, const uint8_t id[16]);
/* What the GCS says of it, and from now on. */
void actor_adopt(struct runtime *rt, raia_actor *a, const Raia__Gcs__Actor *m);
void actor_answer_ignored(struct runtime *rt, struct question *q, uint16_t type, int status,
                          const uint8_t *data, size_t size);
void actor_watch_creation(struct runtime *rt, raia_actor *a);

int actor_create(struct runtime *rt, const struct raia_actor_options *options, struct function *f,
                 const struct raia_value *args, size_t count, raia_actor **ret);
int actor_find(struct runtime *rt, const char *name, const char *ns, raia_actor **ret);
int actor_kill(struct runtime *rt, raia_actor *a, bool no_restart);

/* Lower-case hex of n bytes, and an end mark. */
void id_hex(const uint8_t *bytes, unsigned n, char *to);

#endif
