/*
 * Tasks and calls of this process: spec.c lays out their arguments, submit.c makes and sends them,
 * reply.c takes what comes of them.
 *
 * Ownership: said at each member. Threads: who holds the token (lib/runtime.h).
 */
#ifndef LIB_TASK_H
#define LIB_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/caller.h"
#include "core/chain.h"
#include "core/submitter.h"
#include "lib/link.h"
#include "raia/raia.h"

struct runtime;

int submit_task(struct runtime *rt, struct function *f, raia_actor *actor,
                const struct raia_options *options, const struct raia_value *args, size_t count,
                raia_ref **ret);
/* Encodes arguments; used for constructors too. */
int task_encode(struct runtime *rt, struct task *t, const struct raia_value *args, size_t count);
/* Writes the entries as they go to `to`; NULL payload: only their size. */
int task_write_spec(struct runtime *rt, struct task *t, struct process *to, uint8_t *at,
                    size_t *ret_size);
void task_free(struct runtime *rt, struct task *t);
void task_failed(struct runtime *rt, struct task *t, const struct raia_error *e);
int task_fill_head(struct runtime *rt, struct link *l, struct task *t, struct wire_task *h);
int task_send(struct runtime *rt, struct link *l, struct task *t, uint16_t type, uint64_t tag,
              uint32_t slot, uint64_t acked);
void task_replied(struct runtime *rt, struct link *l, struct task *t, const struct wire_reply *h,
                  const uint8_t *data, size_t size);
/* Counts what is still missing of the arguments, to be told of it. */
int task_watch(struct runtime *rt, struct task *t);
void task_creation_ready(struct runtime *rt, struct task *t);
void task_complete_error(struct runtime *rt, struct task *t, const struct chain *c);
/* One of the objects that it waits for is there. */
void task_argument_ready(struct runtime *rt, struct task *t);
/* Options to resources in order of name; cpus as in struct raia_options. */
int sched_resources(double num_cpus, double default_cpus, const struct raia_resource *more,
                    size_t nmore, struct sched_resource *to, unsigned *ret_n);
/* QUERY, and its answer VALUE. */
void query_received(struct runtime *rt, struct process *from, const struct wire_object *m);
void value_received(struct runtime *rt, struct process *from, const uint8_t *data, size_t size);
extern const struct submitter_ops rt_submitter_ops;
extern const struct objects_ops rt_objects_ops;
extern const struct caller_ops rt_caller_ops;
/* Fails what has passed its deadline; when to look again. */
int64_t tasks_check_deadlines(struct runtime *rt, int64_t now);

#endif
