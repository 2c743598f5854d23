/*
 * Actors: handles to them (actor.c, actor_create.c), and the one that lives here (host.c).
 *
 * Ownership: said at each member. Threads: who holds the token (lib/runtime.h).
 */
#ifndef LIB_ACTORS_H
#define LIB_ACTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/caller.h"
#include "lib/call.h"
#include "lib/gcs.h"
#include "lib/task.h"

struct raia_actor {
    uint32_t magic;
    uint32_t handles; /* the user's */
    uint8_t id[16];
    struct caller caller;
    raia_ref *scope;        /* counts who holds the actor; held; NULL: detached, or found */
    struct function *class; /* of a created one */
    struct link *link;      /* when connected or connecting */
    struct list on_link;    /* link.callers */
    struct list unused;     /* rt.unused_actors */
    uint32_t slot;          /* what links call it: index in rt.actors + 1 */
    int max_task_retries;   /* RAIA_FOREVER: -1 */
    int64_t max_pending;    /* 0: no limit */
    bool block_when_full;
    bool detached;
    bool mine;       /* this process created it and keeps its scope */
    bool registered; /* the GCS knows it */
    bool killed;     /* before that: it will not be registered */
    bool subscribed;
    bool reconnect;        /* broke: connect again at `retry_at` */
    int64_t retry_at;      /* ns */
    struct task *creation; /* the constructor's arguments, until registered */
    void *options;         /* packed with it: struct actor_plan; owned */
    uint64_t calls;        /* tasks of it that exist */
    bool gone;             /* its session has ended: only to be released */
    struct question ask;   /* REGISTER_ACTOR */
    char *name;            /* owned; or NULL */
    HASH_HANDLE hh;        /* rt.actors, by id */
};
#define ACTOR_MAGIC 0x4143544fu

void actor_release(struct runtime *rt, raia_actor *a);
raia_actor *actor_by_id(struct runtime *rt, const uint8_t id[16]);
/* A handle's bytes, and a handle from them. */
#define ACTOR_BYTES 32u
void actor_pack(const raia_actor *a, uint8_t to[ACTOR_BYTES]);
raia_actor *actor_unpack(struct runtime *rt, const uint8_t *data, size_t size, raia_ref *scope);
void actor_publication(struct runtime *rt, const uint8_t *data, size_t size);
void actor_link_opened(struct runtime *rt, raia_actor *a, struct link *l);
void actor_welcomed(struct runtime *rt, struct link *l, uint64_t slot,
                    const struct wire_actor_welcome *m);
void actor_scope_out(struct runtime *rt, raia_ref *scope);
/* The constructor's arguments are there, or one of them has failed. */
void actor_creation_ready(struct runtime *rt, raia_actor *a);
void actor_argument_failed(struct runtime *rt, raia_actor *a, const struct raia_error *e);
/* One user of it less: it is freed, when none is left, by actors_sweep. */
void actor_check(struct runtime *rt, raia_actor *a);
void actors_sweep(struct runtime *rt);
int64_t actors_tick(struct runtime *rt, int64_t now);
void actors_fini(struct runtime *rt);

void host_create(struct runtime *rt, const uint8_t *data, size_t size);
void host_kill(struct runtime *rt, const uint8_t *data, size_t size);
void host_hello(struct runtime *rt, struct link *l, uint64_t slot,
                const struct wire_actor_hello *m);
struct seat *host_seat(struct runtime *rt, struct link *l, uint32_t slot);
/* The next call may run: NULL if none. */
void host_constructed(struct runtime *rt, struct raia_call *c);
void host_link_closed(struct runtime *rt, struct link *l);
bool seat_accept(struct seat *s, uint64_t sequence, uint64_t acked, bool *ret_broken);
struct link *seat_link(const struct seat *s); /* where answers go; NULL: nowhere now */
void seat_answer(struct runtime *rt, struct seat *s, struct raia_call *c, const void *data,
                 size_t size);
void host_exit(struct runtime *rt, bool intended, const char *why) __attribute__((noreturn));
void *host_self(struct runtime *rt);
const uint8_t *host_id(struct runtime *rt);
/* How often the actor has been started: 1 at first; 0: there is none. */
uint64_t host_incarnation(struct runtime *rt);
/* There is a call to run: wakes threads of an actor that has some. */
void host_work(struct runtime *rt);
/* Whether the thread of raia_init runs calls itself. */
bool host_takes_calls(struct runtime *rt);
void host_fini(struct runtime *rt);

#endif
