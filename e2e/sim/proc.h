/*
 * What the files of a simulated process share: proc.c (life, links), proc_task.c (submission and
 * answers), proc_value.c (values of owners and borrowers), proc_call.c (running), proc_actor.c (calls
 * to actors, and being one), proc_large.c (large values). The glue of coreworker/lib, done again;
 * what it does is described there.
 */
#ifndef SIM_PROC_H
#define SIM_PROC_H

#include "core/caller.h"
#include "core/object.h"
#include "core/receiver.h"
#include "core/submitter.h"
#include "sim/world.h"

enum plink_state { PLINK_OPENING, PLINK_OPEN, PLINK_CLOSED };

struct plink {
    struct list in_proc; /* proc.links */
    enum plink_state state;
    bool channel;
    uint32_t conn;
    uint64_t tag; /* of the OPEN */
    struct process *process;
    struct list outbox;  /* struct out_item, while opening */
    struct list leases;  /* struct lease.opening */
    struct list callers; /* struct pactor.on_link */
};

/* A ring pair's lane to its other end. */
struct pair_lane {
    struct list link; /* proc.pairs */
    uint32_t conn;
    struct lane *lane;
};

/* What a program tells the function that it calls: the first argument. */
struct prog {
    uint64_t number;     /* calls: rises with each call of this caller to this actor */
    uint32_t depth;      /* of tasks that submit tasks, still allowed */
    uint32_t run_us;     /* how long it computes */
    uint32_t steps;      /* things that it does */
    uint8_t fails;       /* with an error of user code */
    uint8_t reserved[3]; /* zero */
};

/* What a value says: whose it is. */
struct value {
    uint8_t worker[16];
    uint64_t counter;
    uint32_t index;
    uint32_t nrefs;
};

struct call_arg {
    struct wire_item item;
    struct raia_ref **inner; /* item.head->nrefs, held; owned array */
    struct raia_ref *stored; /* a large one: the object, held */
    bool pinned;             /* stored is here, and pinned by this */
    struct call *call;       /* while it waits */
    struct list waiting;     /* object_more.readers */
};

struct call {
    struct list link;   /* proc.ready, or unlinked while it runs */
    struct plink *from; /* NULL: nobody to answer */
    struct process *caller;
    uint64_t tag;
    struct seat *seat; /* calls to an actor */
    struct wire_task head;
    uint8_t *message; /* entries; owned */
    size_t size;      /* bytes */
    struct call_arg *args;
    struct prog prog;
    uint32_t waits;   /* grants to come before it can be answered */
    uint32_t fetches; /* arguments to come before it can begin */
    int status;
    bool canceled;
    bool began;
    struct blob *result;
    struct raia_ref *stored; /* a large result, held */
    int64_t began_at;        /* ns */
};

#define ACT_HANDLES 12
#define PROC_KEPT   6

#define PROC_SEGMENTS 2048 /* numbers of segments, of one node in one run */

/* A large value on its way into the store. */
struct making {
    struct act *act; /* whose */
    enum { MAKING_NONE, MAKING_ASKED, MAKING_GIVEN, MAKING_FAILED } state;
    struct raia_ref *o; /* what: a put value's, with a handle, or a result's, held */
    uint64_t size;      /* bytes */
    int status;         /* the store's word */
    struct raia_ref *inner[3];
    unsigned n; /* of inner, held */
};

#define ACT_VIEWS 3

/* A program that is under way: a driver's, or a function's. In the cluster's arena. */
struct act {
    struct list link; /* proc.acts */
    struct proc *p;
    struct call *call; /* NULL: a driver's */
    bool gone;         /* ended, or its process did */
    bool told;         /* the raylet knows that it waits */
    bool due;          /* a step is scheduled */
    uint32_t depth;
    uint32_t steps; /* left */
    struct raia_ref *handles[ACT_HANDLES];
    unsigned n;             /* of handles */
    struct raia_ref *wait;  /* what it gets; held; NULL: nothing */
    uint64_t waits;         /* gets so far */
    uint32_t seen;          /* refusals of `wait` when it began */
    struct raia_ref *again; /* found no room: to be got once more; held */
    unsigned tries;         /* of `again` */
    bool rested;            /* some time has passed since */
    struct making making;
    struct raia_ref *views[ACT_VIEWS]; /* large values that it reads, pinned */
    unsigned n_views;
};

/* A handle to an actor. */
struct pactor {
    struct list link;    /* proc.actors */
    struct list on_link; /* plink.callers */
    struct proc *p;
    uint8_t actor[16];
    uint32_t slot;
    struct caller caller;
    struct plink *plink;
    uint64_t calls; /* made */
    bool retrying;  /* a timer to reconnect runs */
};

/* One caller of the actor that lives here. */
struct seat {
    struct list link; /* proc.seats */
    struct process *caller;
    struct plink *from;
    uint32_t slot;
    struct receiver receiver;
};

struct proc {
    struct world *c;
    struct node *node;
    uint64_t client;
    bool alive, driver, mute;
    struct record_address self;
    struct lane *up, *down;
    struct list pairs; /* struct pair_lane */
    struct pool pool;
    struct objects objects;
    struct submitter submitter;
    struct sched_class *classes[3];
    struct list links; /* struct plink, closed ones included */
    uint64_t counter;  /* of tasks and puts */
    uint64_t next_tag;
    uint32_t tasks; /* alive */
    struct list ready;
    struct list answering; /* struct call: returned, wait for grants */
    struct act *running;
    struct list acts;
    unsigned blocked;   /* acts that wait */
    int64_t tick_at;    /* when a tick is due, ns */
    struct list actors; /* struct pactor */
    uint32_t next_slot;
    struct raia_ref *kept[PROC_KEPT]; /* handles that outlive calls */
    unsigned n_kept;
    struct list questions;        /* of the store: proc_large.c */
    bool segments[PROC_SEGMENTS]; /* mapped */
    /* being an actor */
    bool host;
    uint8_t actor[16];
    uint64_t incarnation;
    struct list seats;
};

/* ---- proc.c */
struct plink *plink_to(struct proc *p, struct process *q);
void plink_send(struct proc *p, struct plink *l, uint16_t type, uint64_t tag, const void *data,
                size_t size);
void plink_closed(struct proc *p, struct plink *l, int status);
void proc_settle(struct proc *p);
void proc_say(struct proc *p, uint16_t type, const void *data, size_t size);

/* ---- proc_check.c */
void proc_show_objects(const struct proc *p);

/* ---- proc_task.c */
extern const struct submitter_ops proc_submitter_ops;
void task_argument_ready(struct proc *p, struct task *t);
/* deps: waited for and sent by value; inner: references within an argument. */
struct raia_ref *task_submit(struct proc *p, struct pactor *actor, const struct prog *prog,
                             struct sched_class *class, int retries, struct raia_ref **deps,
                             unsigned ndeps, struct raia_ref **inner, unsigned ninner);
/* 0, or the code of an argument that has failed meanwhile. */
int task_send(struct proc *p, struct plink *l, struct task *t, uint16_t type, uint64_t tag,
              uint32_t slot, uint64_t acked);
void task_failed(struct proc *p, struct task *t, const struct raia_error *e);
void task_on_reply(struct proc *p, struct plink *l, uint64_t tag, const void *data, size_t size);
void task_replied(struct proc *p, struct plink *l, struct task *t, const void *data, size_t size);

/* ---- proc_value.c */
extern const struct objects_ops proc_objects_ops;
struct raia_ref *value_put(struct proc *p, struct raia_ref **inner, unsigned n);
struct blob *value_blob(struct proc *p, const uint8_t worker[16], uint64_t counter, uint32_t index,
                        struct raia_ref **inner, unsigned n);
void value_query(struct proc *p, struct raia_ref *o);
void value_ask_again(struct proc *p, struct process *q);
/* The value that came in an answer, into its object. */
void value_take(struct proc *p, struct process *from, const struct wire_item *item,
                struct raia_ref *o);
void task_object_message(struct proc *p, struct plink *l, uint16_t type, const void *data,
                         size_t size);

/* ---- proc_large.c */
/* An answer, or news, of the store. */
void large_record(struct proc *p, uint16_t type, uint64_t tag, const void *data, size_t size);
/* Asks for an object that is in some store; call_object_came and act_woken tell of it. */
void large_fetch(struct proc *p, struct raia_ref *o);
/* What is here is read; and not any more. */
void large_pin(struct raia_ref *o);
void large_unpin(struct proc *p, struct raia_ref *o);
void large_unread(struct proc *p, struct raia_ref *o);
void large_free(struct proc *p, struct raia_ref *o);
/* The bytes of what is here are the right ones. */
void large_look(const struct proc *p, const struct raia_ref *o);
/* A result that is not in the answer: what becomes of it? */
void large_doubt(struct proc *p, const struct raia_ref *o);
/* The value of o is made; a->making tells when there is memory, or none. Then it is sealed, or not:
 * 0, or a status. */
void large_make(struct act *a, struct raia_ref *o, uint64_t size, struct raia_ref **inner,
                unsigned n);
int large_made(struct act *a);
void large_unmade(struct act *a);
void large_fini(struct proc *p);

/* ---- proc_call.c */
void call_object_came(struct proc *p, struct raia_ref *o);
void call_received(struct proc *p, struct plink *l, uint64_t tag, struct seat *seat,
                   const void *data, size_t size);
void call_give_back(struct proc *p, struct plink *l, uint32_t count);
void call_give_back_all(struct proc *p);
void call_canceled(struct proc *p, struct plink *l, uint64_t tag, struct seat *seat);
void call_registered(struct proc *p, struct raia_ref *o, void *who);
/* The function has returned. */
void call_finish(struct proc *p, struct call *c);
void call_next(struct proc *p);
void call_free(struct proc *p, struct call *c);

/* ---- proc_actor.c */
struct pactor *pactor_new(struct proc *p, const uint8_t actor[16]);
void pactor_free(struct pactor *a);
void pactor_state(struct proc *p, const struct gcs_word *w);
void pactor_link_opened(struct pactor *a);
void pactor_link_broke(struct pactor *a, bool died);
void pactor_message(struct proc *p, struct plink *l, uint16_t type, uint64_t tag, const void *data,
                    size_t size);
void seat_answer(struct proc *p, struct seat *s, uint64_t tag, const void *data, size_t size);
void host_link_closed(struct proc *p, struct plink *l);
void host_create(struct proc *p, const struct gcs_word *w);

/* ---- load.c */
struct act *act_new(struct proc *p, struct call *c, unsigned steps, unsigned depth);
void act_later(struct act *a, int64_t us);
/* It lets go of everything. */
void act_end(struct act *a);
void act_woken(struct proc *p, const struct raia_ref *o);
/* Some of the references that came inside of a value are kept. */
void act_adopt_some(struct act *a, struct raia_ref **inner, uint32_t n);

/* ---- load_get.c */
/* Begins a get; a->wait, if it is not done at once. */
void act_get(struct act *a, struct raia_ref *o);
/* The same for what found no room before. */
void act_get_again(struct act *a);
/* True: it need not wait any more. */
bool act_get_done(struct act *a);
void act_unblock(struct act *a);
/* It waits no longer for what it gets, if that is get number `waits`; 0: whichever. */
void act_give_up(struct act *a, uint64_t waits);

#endif
