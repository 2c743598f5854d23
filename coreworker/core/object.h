/*
 * The objects that this process owns or refers to, and who holds them: a pure core.
 *
 * A struct raia_ref is one object as this process knows it; users' handles point to it and are
 * counted. It lives while anything counts it:
 *     handles   the user's
 *     holds     tasks that produce or need it, values that contain it, forwards under way
 *     borrowers (owned objects) other processes, by count of grants: see core/wire.h
 * When an owned object has none of these left its value is freed everywhere; when a borrowed one
 * has no handles and holds, the grants go back to its owner.
 *
 * Values come with object_set_value (small ones: a struct blob) or object_set_stored (in a store).
 * Whoever waits adds a struct dep, or sets OBJECT_WAITED.
 *
 * Ownership: the table owns objects, blobs, deps; processes are interned and live as long as the
 * table. Threads: one at a time (the runtime token). Failure: NULL or -NOMEM.
 */
#ifndef CORE_OBJECT_H
#define CORE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "core/pool.h"
#include "core/wire.h"
#include "raia/raia.h"

#define OBJECT_MAGIC 0x5241464fu

struct task;

/* Bytes with a count: a small value, here. */
struct blob {
    uint32_t count;          /* objects and views that hold it */
    uint32_t size;           /* bytes of data, the end mark not counted */
    uint32_t nrefs;          /* references inside */
    uint8_t format;          /* enum raia_format */
    uint8_t pad[3];          /* zero */
    struct raia_ref **inner; /* nrefs objects, held; owned array */
    uint64_t pad2;           /* keeps data aligned to 16 */
    uint8_t data[];          /* then a zero byte */
};

/* Another process of the job. */
struct process {
    struct record_address address;
    bool dead;            /* for sure */
    struct list owned;    /* its objects that this process knows: raia_ref.by_owner */
    struct list borrowed; /* struct borrow: what it borrows from us */
    struct list forwards; /* struct forward: what it has been given and not yet registered */
    struct list notes;    /* struct third: objects of ours that it is forwarding; other: to whom */
    struct list claims; /* struct third: it has not said yet if it has them; other: the forwarder */
    struct list asked;  /* struct third: to be answered when it is dead; other: the owner */
    bool mend;          /* the runtime's: a link is to be made again, later */
    uint32_t epoch;     /* rises when the link to it breaks */
    uint32_t stated;    /* epoch + 1 when we last stated our counts; 0: never */
    void *link;         /* the runtime's: how to reach it; NULL: not connected */
    HASH_HANDLE hh;     /* objects.processes, by address.worker */
};

struct borrow {
    struct list in_object;  /* object_more.borrowers */
    struct list in_process; /* process.borrowed */
    struct process *by;
    struct raia_ref *object;
    uint64_t count; /* grants */
    uint64_t fresh; /* of these, granted in that epoch */
    uint32_t epoch; /* of `by`, of the last grant */
    uint32_t seen;  /* epoch + 1 of `by` when it last stated its count; 0: never */
};

/* Somebody else's forward, or what is to be settled of it: see core/forward.c. */
struct third {
    struct list in_process;
    struct raia_ref *object; /* held; NULL in process.asked */
    struct process *other;
    uint64_t counter; /* asked: of the object */
    uint32_t index;   /* asked: of the object */
    uint32_t epoch;   /* notes: of the process, when it was last told */
};

struct forward {
    struct list in_process;
    struct raia_ref *object; /* held */
    struct process *to;      /* after object: the key */
    uint32_t count;
    HASH_HANDLE hh; /* objects.forwards, by object and to */
};

enum object_state {
    OBJECT_PENDING, /* no value yet */
    OBJECT_HERE,    /* value: a blob, maybe an error */
    OBJECT_STORED,  /* more: in a store */
};

/* flags of an object */
#define OBJECT_WAITED     1u  /* a thread waits for it: tell it */
#define OBJECT_EXPORTED   2u  /* in the table by id: others may know it */
#define OBJECT_QUERIED    4u  /* borrowed: the owner has been asked for the value */
#define OBJECT_REGISTERED 8u  /* borrowed: the owner counts us, or has been asked to */
#define OBJECT_BORROWING  16u /* borrowed: asked, not yet granted */
#define OBJECT_ACTOR      32u /* owned: stands for the handles to more->actor */

/* What few objects have. */
struct object_more {
    uint64_t size;         /* STORED: bytes in the store */
    uint8_t node[16];      /* STORED: where the primary copy is */
    uint8_t store_id[28];  /* STORED and aliased: what the stores call it */
    bool aliased;          /* STORED: the stores know it by another id */
    const uint8_t *mapped; /* STORED: here, pinned and mapped; NULL: not */
    uint32_t pins;         /* views of it, and calls that read it */
    bool fetching;         /* STORED: the raylet has been asked for it */
    uint32_t refusals;     /* STORED: times that it could not be brought here, though it is there */
    struct blob *refusal;  /* why not, the last time; NULL: it never happened */
    struct list borrowers; /* struct borrow */
    struct list readers;   /* the runtime's: arguments of calls that wait for `mapped` */
    uint8_t actor[16];     /* OBJECT_ACTOR: whose handles it counts */
    struct raia_ref **inner; /* STORED: references inside, held; owned array */
    uint32_t ninner;
};

struct raia_ref {
    uint32_t magic;   /* OBJECT_MAGIC */
    uint32_t handles; /* see above */
    uint32_t holds;   /* see above */
    uint8_t state;    /* enum object_state */
    uint8_t flags;    /* OBJECT_* */
    uint16_t queries; /* borrowed: times the owner was asked */
    uint64_t counter; /* id: of the task; the owner's worker id comes before it */
    uint32_t index;   /* id */
    uint32_t grants;  /* borrowed: owed to the owner */
    uint32_t epoch;   /* of the table that knows it: handles may outlive a table */
    uint32_t reserved;
    struct blob *value;         /* HERE */
    struct task *task;          /* owned and pending: what makes it */
    struct process *owner;      /* NULL: this process */
    struct dep *deps;           /* whom to tell when it is ready; last added first */
    struct object_more *more;   /* or NULL */
    struct raia_ref *hash_next; /* chain of the table by id */
    struct list by_owner;       /* process.owned; unlinked: owned by this process */
};

enum dep_kind {
    DEP_TASK,       /* a task or call that needs the value */
    DEP_QUERY,      /* another process has asked for it */
    DEP_REGISTERED, /* something that waits for the grant, not for the value */
};

struct dep {
    struct dep *next;
    enum dep_kind kind;
    void *who;    /* TASK: struct task; QUERY: struct process; REGISTERED: the runtime's */
    uint64_t tag; /* QUERY: of the asker */
};

struct objects;

/* What the core asks of its surroundings. None may call back into object_release or _unhold. */
struct objects_ops {
    /* The object has a value (or, DEP_REGISTERED, was granted); `d` is freed on return. */
    void (*ready)(void *ctx, struct raia_ref *o, struct dep *d);
    /* The object has a value, and OBJECT_WAITED was set. */
    void (*wake)(void *ctx, struct raia_ref *o);
    /* Tells another process: UNBORROW, BORROW, BORROWED, REF_DONE, RESYNC ... A NOTE must be on its
     * way before anything that is sent after it to anybody. */
    void (*send)(void *ctx, struct process *to, enum wire_type type, const struct wire_object *m);
    /* Nobody refers to an owned object that is in a store any more. */
    void (*free_stored)(void *ctx, struct raia_ref *o);
    /* A copy is not read here any more. */
    void (*unpin)(void *ctx, struct raia_ref *o);
    /* The last handle to an actor that this process created is gone. */
    void (*actor_out)(void *ctx, struct raia_ref *o);
};

struct objects {
    struct pool *pool;             /* not owned */
    struct pool *refs;             /* of struct raia_ref; not owned; may be the same */
    struct record_address self;    /* this process */
    const struct objects_ops *ops; /* not owned */
    void *ctx;                     /* of ops */
    struct process *processes;     /* hash by worker id; owned */
    struct forward *forwards;      /* hash; those of all processes */
    struct raia_ref **table;       /* by id: exported and borrowed ones; owned */
    uint32_t table_size;           /* a power of two; 0: not made yet */
    uint32_t table_count;          /* objects in it */
    uint64_t count;                /* objects alive */
    uint64_t blob_bytes;           /* in all blobs */
    uint64_t ready_count;          /* rises when any object becomes ready */
    struct raia_ref *dying;        /* to be freed, through hash_next */
    bool collecting;               /* the work list is being emptied */
    uint32_t epoch;                /* rises with every objects_init over the same memory */
};

void objects_init(struct objects *t, struct pool *pool, const struct record_address *self,
                  const struct objects_ops *ops, void *ctx);
/* Frees everything, whatever still counts it, without telling anyone. */
void objects_fini(struct objects *t);

/* The process with that address; NULL: out of memory. */
struct process *objects_process(struct objects *t, const struct record_address *address);
struct process *objects_find_process(struct objects *t, const uint8_t worker[16]);
/* A process died: its objects fail, and what it borrowed is given back. */
void objects_process_died(struct objects *t, struct process *p, const struct raia_error *why);

/* The link to a process broke, and both may live. True: there is something to be settled: open a new
 * one, and call objects_resync before anything else is sent on it. */
bool objects_link_broke(struct objects *t, struct process *p);
void objects_resync(struct objects *t, struct process *p);
/* A new link to it must begin with that. */
static inline bool objects_must_resync(const struct process *p)
{
    return p->epoch && p->stated != p->epoch + 1;
}

/* A new owned object, pending, with no counts at all: count it before anything else. */
struct raia_ref *object_new(struct objects *t, uint64_t counter, uint32_t index);
/* An object that another process has told of, with one hold for the caller; see objects_receive. */
struct raia_ref *objects_receive(struct objects *t, const struct wire_ref *r, struct process *from,
                                 bool tell_from);
/* An object by its id, if it is in the table. */
struct raia_ref *objects_find(struct objects *t, const uint8_t worker[16], uint64_t counter,
                              uint32_t index);
/* The same by what a store calls it (rec_object_id), if that is its id. */
struct raia_ref *objects_find_stored(struct objects *t, const uint8_t id[28]);
/*
 * Writes how `to` will know the object. Owned: `to` is counted as a borrower. Else, with `forward`,
 * a hold is kept until `to` says REF_DONE (without: the caller keeps one).
 */
int object_export(struct objects *t, struct raia_ref *o, struct process *to, bool forward,
                  struct wire_ref *ret);
/* Writes the id alone, counting nobody. */
void object_name(const struct objects *t, const struct raia_ref *o, struct wire_ref *ret);
/* Borrowed and not registered: asks the owner. The dep (REGISTERED) fires when granted; if there is
 * nothing to wait for it returns false. */
int object_register(struct objects *t, struct raia_ref *o, void *who, bool *ret_wait);
/* What others say: BORROW, BORROWED, UNBORROW, REF_DONE, and what core/forward.c is about. */
void objects_message(struct objects *t, struct process *from, enum wire_type type,
                     const struct wire_object *m);

static inline void object_hold(struct raia_ref *o)
{
    o->holds++;
}
void object_unhold(struct objects *t, struct raia_ref *o);
void object_release(struct objects *t, struct raia_ref *o);

int object_add_dep(struct objects *t, struct raia_ref *o, enum dep_kind kind, void *who,
                   uint64_t tag);
/* Forgets the deps of that kind and owner. */
void object_remove_deps(struct objects *t, struct raia_ref *o, enum dep_kind kind, const void *who);

/* Takes over the blob. Does nothing (but free it) if there is a value already. */
void object_set_value(struct objects *t, struct raia_ref *o, struct blob *value);
/* inner is taken over. One of our own is in the table from now on. */
int object_set_stored(struct objects *t, struct raia_ref *o, uint64_t size, const uint8_t node[16],
                      struct raia_ref **inner, uint32_t ninner);
/* One of our own that nobody else knows becomes that of another process, which gets to know it. */
void object_give(struct objects *t, struct raia_ref *o, struct process *owner);
/* The value is an error from now on, even if there was another (lost, owner died). */
void object_set_error(struct objects *t, struct raia_ref *o, const struct raia_error *e);
/*
 * One in a store could not be brought to this process. An error that says that the object is gone
 * (OBJECT_LOST, NODE_DIED, OWNER_DIED) is its value from now on. Any other (no room here, too many
 * reads) is that of the attempt: the object is as it was, whoever waits for it sees that
 * more->refusals has risen and finds why in more->refusal, and who asks later makes a new attempt.
 */
void object_fetch_failed(struct objects *t, struct raia_ref *o, const struct raia_error *e);
/* The part that few have; made if need be. */
struct object_more *object_more(struct objects *t, struct raia_ref *o);

static inline bool object_ready(const struct raia_ref *o)
{
    return o->state != OBJECT_PENDING;
}
static inline bool object_is_error(const struct raia_ref *o)
{
    return o->state == OBJECT_HERE && o->value->format == RAIA_ERROR_FORMAT;
}

/* A blob with one count, its data to be filled; data[size] is 0. */
struct blob *blob_new(struct objects *t, uint8_t format, size_t size, uint32_t nrefs);
struct blob *blob_new_error(struct objects *t, const struct raia_error *e);
void blob_unref(struct objects *t, struct blob *b);

#endif
