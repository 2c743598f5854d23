/*
 * Raia for C programs: tasks, actors and objects on a cluster.
 *
 *     #include <raia/raia.h>
 *
 *     static int square(raia_call *c)                          // a task
 *     {
 *         int64_t x;
 *
 *         if (raia_arg_int(c, 0, &x) < 0)
 *             return raia_fail(c, "square wants an integer");
 *         return raia_return_int(c, x * x);
 *     }
 *     RAIA_TASK(square)                                        // known by name from program start
 *
 *     int main(void)
 *     {
 *         int64_t y;
 *         raia_ref *r;
 *
 *         if (raia_init(NULL) < 0)                             // a worker never returns from here
 *             return raia_perror("init");
 *         r = raia_submit(square, raia_int(7));                // runs somewhere, now or later
 *         if (raia_get_int(r, &y, RAIA_FOREVER) < 0)           // waits for it
 *             return raia_perror("square");
 *         printf("%ld\n", (long)y);
 *         raia_release(r);
 *         raia_shutdown();
 *         return 0;
 *     }
 *
 * The concepts are five. A VALUE is bytes with a format. A TASK is a function that gets values and
 * returns values, in a worker process anywhere in the cluster. An OBJECT is a value that the
 * cluster holds; a REFERENCE (raia_ref) stands for an object, perhaps one that is still being
 * computed. An ACTOR is a process's state with methods. A CALL (raia_call) is what a function is
 * given while it runs. One executable is driver and worker: workers are started from the driver's
 * own file, register the same functions, and serve inside raia_init.
 *
 * Errors. Functions return 0 (or a count) or a negative -RAIA_ERR_* (raia/error.h); those that
 * return a pointer give NULL. In both cases raia_last_error() tells this thread what failed, where
 * and what to do, and raia_error_cause() why. Misuse (NULL, a wrong type, before raia_init, after
 * raia_shutdown, in a forked child, over a limit) is an error, never a crash. Where an argument
 * comes from a function that failed (NULL reference), the call fails with INVALID, so that checks
 * can be left to the end of a chain.
 * Threads. Every function may be called by any thread at any time, unless it says otherwise.
 * A raia_call belongs to the thread that runs the function; a raia_view to one thread at a time.
 * Ownership. What a function returns as a pointer (raia_ref, raia_actor, raia_buffer) is the
 * caller's, to be given back by the function named there. Arguments stay the caller's.
 * Time. Timeouts are milliseconds; 0: do not wait; RAIA_FOREVER: no limit. A wait ends with an
 * error when what it waits for can never come.
 * Numbers in option structs: 0 is the default, RAIA_NONE means zero, RAIA_FOREVER no limit.
 */
#ifndef RAIA_RAIA_H
#define RAIA_RAIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raia/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAIA_FOREVER (-1) /* timeouts, counts: without limit */
#define RAIA_NONE    (-2) /* options: zero, where 0 stands for the default */

typedef struct raia_call raia_call;       /* a running task or method */
typedef struct raia_ref raia_ref;         /* an object, here or elsewhere, now or later */
typedef struct raia_actor raia_actor;     /* a handle to an actor */
typedef struct raia_buffer raia_buffer;   /* an object that is being written in place */
typedef struct raia_pending raia_pending; /* a call that will be answered later */

/* The type of tasks, constructors and methods: 0 for success, else see raia_fail. */
typedef int raia_fn(raia_call *c);

/* ------------------------------------------------------------------ start and end */

struct raia_env_var {
    const char *name;
    const char *value;
};

/* What raia_init may be told. Zeroed fields are defaults; strings are copied. */
struct raia_config {
    size_t struct_size;  /* sizeof(struct raia_config), in bytes */
    const char *address; /* the cluster: "unix:PATH" of a node's socket, "auto" (this user's newest
                          * cluster), a cluster's name, a node's session folder; NULL: what
                          * RAIA_ADDRESS says; if that is unset: a cluster of this program's own,
                          * which ends with it */
    const char *ns;      /* the namespace of named actors; NULL: one of this job's own */
    double num_cpus;     /* of a cluster of one's own; 0: those of the machine */
    int64_t object_store_bytes;     /* of a cluster of one's own; 0: the default */
    const char *const *argv;        /* what workers are started with, after the program's name; NULL
                                     * terminated; NULL: nothing */
    const struct raia_env_var *env; /* set in workers */
    size_t env_count;               /* entries of env */
    const char *working_dir;        /* of workers: a folder of this machine; NULL: the session's */
    bool quiet;                     /* do not print the output of workers to stderr */
    int64_t max_pending_tasks;      /* tasks submitted and not finished; 0: 10 million */
    int64_t connect_timeout_ms;     /* for the cluster to accept this program; 0: 30 s */
    bool block_when_full;           /* past max_pending_tasks a submission waits, rather than fail
                                     * with PENDING_CALLS */
};

/*
 * Joins a cluster, or starts one (see struct raia_config). In a worker process it serves tasks and
 * never returns: call it early in main, after registration, before anything that only the driver
 * should do. NULL: all defaults. Fails with STATE if already initialised, UNAVAILABLE if the
 * cluster does not answer, VERSION if it is another Raia's.
 */
RAIA_API int raia_init(const struct raia_config *config);
/*
 * Leaves: waits for nothing, gives everything back, ends this job (its tasks and its actors that
 * are not detached die). References, views and handles may still be released afterwards, in any
 * order; all other calls fail with SHUTDOWN. Waits of other threads end with SHUTDOWN first.
 * Not within a task. Calling it twice, or before raia_init, does nothing.
 */
RAIA_API void raia_shutdown(void);
/* True between raia_init and raia_shutdown. */
RAIA_API bool raia_initialized(void);
/* "0.1.0" */
RAIA_API const char *raia_version(void);

/* ------------------------------------------------------------------ errors */

/* The error of this thread's last call that failed; code 0 if none did. Valid until the next
 * failing call of this thread. Never NULL. */
RAIA_API const struct raia_error *raia_last_error(void);
/* Why: the error under `e`, which came from raia_last_error or from here; NULL: there is none. */
RAIA_API const struct raia_error *raia_error_cause(const struct raia_error *e);
/* Prints "what: error", and a line "  because: ..." for each cause, to stderr. Returns 1, so that
 * it can end main. */
RAIA_API int raia_perror(const char *what);

/* ------------------------------------------------------------------ values */

/* How the bytes of a value are to be read. */
enum raia_format {
    RAIA_RAW = 0,            /* bytes, no more is known */
    RAIA_MSGPACK = 1,        /* one MessagePack item: every language reads it */
    RAIA_PRIVATE = 2,        /* 2..15: private to the program's language */
    RAIA_ERROR_FORMAT = 255, /* an error and its causes; reading it gives the error */
};

/* What the library makes of a struct raia_value; use the functions below. */
enum raia_kind {
    RAIA_KIND_NONE__,
    RAIA_KIND_NIL__,
    RAIA_KIND_BOOL__,
    RAIA_KIND_INT__,
    RAIA_KIND_DOUBLE__,
    RAIA_KIND_STR__,
    RAIA_KIND_BYTES__,
    RAIA_KIND_REF__,
    RAIA_KIND_ACTOR__,
};

/*
 * A value on its way into a call. It owns nothing: what it points to must live until the function
 * that it is given to returns (which copies it).
 */
struct raia_value {
    enum raia_kind kind; /* private */
    uint32_t format;     /* enum raia_format, of RAIA_KIND_BYTES__ */
    size_t size;         /* bytes at data */
    union {
        int64_t integer;   /* INT, BOOL */
        double real;       /* DOUBLE */
        const void *data;  /* STR, BYTES */
        raia_ref *ref;     /* REF */
        raia_actor *actor; /* ACTOR */
    } u;
    raia_ref *const *refs; /* references that travel inside the value */
    size_t refs_count;     /* entries of refs */
};

/* MessagePack nil, bool, integer, double, string (NULL: nil). */
RAIA_API struct raia_value raia_nil(void);
RAIA_API struct raia_value raia_bool(bool v);
RAIA_API struct raia_value raia_int(int64_t v);
RAIA_API struct raia_value raia_double(double v);
RAIA_API struct raia_value raia_str(const char *s);
RAIA_API struct raia_value raia_strn(const char *s, size_t size);
/* Bytes as they are (RAIA_RAW). */
RAIA_API struct raia_value raia_bytes(const void *data, size_t size);
/* Bytes of any format that the caller has encoded: RAIA_RAW, RAIA_MSGPACK, RAIA_PRIVATE.. */
RAIA_API struct raia_value raia_encoded(uint32_t format, const void *data, size_t size);
/* As an argument: the value of the object; the task starts when it exists, and gets it read-only,
 * without a copy if it is large. */
RAIA_API struct raia_value raia_value_of(raia_ref *r);
/* References themselves, not what they stand for: the receiver may get, wait and pass them on. */
RAIA_API struct raia_value raia_refs(raia_ref *const *refs, size_t count);
/* `v` with references that travel along with its bytes, which can name them by index. */
RAIA_API struct raia_value raia_with_refs(struct raia_value v, raia_ref *const *refs, size_t count);
/* A handle to an actor; the receiver takes it out with raia_arg_actor or raia_view_actor. */
RAIA_API struct raia_value raia_handle(raia_actor *a);

/*
 * A value to read: bytes that stay where they are until raia_view_release. `data` is aligned to 8
 * bytes (to 64 if size is over 100 KiB) and followed by a zero byte that `size` does not count.
 */
struct raia_view {
    const void *data; /* read-only, perhaps shared memory */
    size_t size;      /* bytes */
    uint32_t format;  /* enum raia_format */
    uint32_t refs;    /* how many references the value holds: see raia_view_ref */
    void *private__;  /* the library's */
};

/* Gives it back. Accepts a zeroed one; leaves it zeroed. Afterwards data must not be touched. */
RAIA_API void raia_view_release(struct raia_view *v);
/* Reading a MessagePack scalar: -INVALID if it is of another type (integers also from doubles
 * without a fraction; doubles also from integers). */
RAIA_API int raia_view_int(const struct raia_view *v, int64_t *ret);
RAIA_API int raia_view_double(const struct raia_view *v, double *ret);
RAIA_API int raia_view_bool(const struct raia_view *v, bool *ret);
/* A string, ended by a zero byte, or NULL with an error; valid as long as the view. ret_size (may
 * be NULL): its bytes. */
RAIA_API const char *raia_view_str(const struct raia_view *v, size_t *ret_size);
/* The i-th reference inside the value: a new one, for raia_release. */
RAIA_API raia_ref *raia_view_ref(const struct raia_view *v, size_t i);
/* The actor handle that the value is: a new one, for raia_actor_release. */
RAIA_API raia_actor *raia_view_actor(const struct raia_view *v);

/* ------------------------------------------------------------------ objects */

/* Makes an object of a value. For raia_release. */
RAIA_API raia_ref *raia_put(struct raia_value v);
/* One more holder of the reference; returns r. */
RAIA_API raia_ref *raia_ref_dup(raia_ref *r);
/* Gives a reference back; when nobody in the cluster holds it any more its object is freed.
 * Accepts NULL. */
RAIA_API void raia_release(raia_ref *r);
/* All of them; the entries become NULL. */
RAIA_API void raia_release_all(raia_ref **refs, size_t count);

/*
 * Waits for the object and gives a view of it. If the task that makes it failed, so does this: with
 * TASK_FAILED (an error in user code: its text is the cause), WORKER_CRASHED, NODE_DIED,
 * ACTOR_DIED, CANCELED, OBJECT_LOST, OWNER_DIED ... TIMEOUT says nothing about the task, and
 * STORE_FULL, of an object that is on another node, nothing about the object: no room was found for
 * a copy on this node in 30 s; release something here, and get it again. *ret is for
 * raia_view_release.
 */
RAIA_API int raia_get(raia_ref *r, struct raia_view *ret, int64_t timeout_ms);
/* All of them, in one wait; on failure (the first error in order) nothing is given out. */
RAIA_API int raia_get_all(raia_ref *const *refs, size_t count, struct raia_view *ret,
                          int64_t timeout_ms);
/* raia_get, raia_view_*, raia_view_release in one. */
RAIA_API int raia_get_int(raia_ref *r, int64_t *ret, int64_t timeout_ms);
RAIA_API int raia_get_double(raia_ref *r, double *ret, int64_t timeout_ms);
RAIA_API int raia_get_bool(raia_ref *r, bool *ret, int64_t timeout_ms);
/* A copy, ended by a zero byte, for free(); NULL on failure. */
RAIA_API char *raia_get_str(raia_ref *r, int64_t timeout_ms);
/* Waits until it is there, and drops the value: for calls made for their effect. */
RAIA_API int raia_get_done(raia_ref *r, int64_t timeout_ms);

/*
 * Waits until num_ready of the references are ready (a failed object is ready) or the time is up.
 * Returns how many are marked: at most num_ready, the first ones in order of the list.
 * ret_ready (may be NULL): count entries, true for those. Negative only on misuse.
 */
RAIA_API int raia_wait(raia_ref *const *refs, size_t count, size_t num_ready, int64_t timeout_ms,
                       bool *ret_ready);

/*
 * Writing a large object where it will stay, without a copy: raia_create gives memory, raia_seal
 * makes it an object. Fails with STORE_FULL after waiting up to 10 s for memory.
 */
RAIA_API raia_buffer *raia_create(size_t size);
/* Its memory: `size` bytes, aligned to 64, not zeroed. */
RAIA_API void *raia_buffer_data(raia_buffer *b);
RAIA_API size_t raia_buffer_size(const raia_buffer *b);
/* Makes it an object of that format (RAIA_RAW), immutable from now on. `b` is gone in any case. */
RAIA_API raia_ref *raia_seal(raia_buffer *b, uint32_t format);
/* Gives the memory back. Accepts NULL. */
RAIA_API void raia_buffer_abort(raia_buffer *b);

/* ------------------------------------------------------------------ tasks */

enum raia_strategy {
    RAIA_SCHEDULE_DEFAULT = 0, /* near the data and on few nodes until these are half full */
    RAIA_SCHEDULE_SPREAD = 1,  /* over all nodes */
};

struct raia_resource {
    const char *name; /* such as "gpu"; CPUs have their own field */
    double quantity;  /* to 1/10000 */
};

/* What a task or a method call may be told; see RAIA_OPTIONS. */
struct raia_options {
    size_t struct_size;                    /* sizeof(struct raia_options), in bytes */
    const char *name;                      /* shown in listings and errors; NULL: the function's */
    double num_cpus;                       /* tasks: 0: 1 CPU; RAIA_NONE: none */
    const struct raia_resource *resources; /* tasks: what else it needs while it runs */
    size_t resource_count;                 /* entries of resources */
    enum raia_strategy strategy;           /* tasks: which node */
    int num_returns;                       /* 0: 1; at most 10000 */
    raia_ref **returns;  /* with num_returns > 1: filled with them all, for raia_release */
    int max_retries;     /* after the death of its worker or node. Tasks: 0: 3. Methods: 0: the
                          * actor's max_task_retries. RAIA_NONE, RAIA_FOREVER */
    bool retry_errors;   /* also after an error of the user's code */
    int64_t deadline_ms; /* from now: then it fails with TIMEOUT, started or not; 0: none */
};
/* raia_submit_opt(RAIA_OPTIONS(.num_cpus = 2, .max_retries = RAIA_NONE), f, ...) */
#define RAIA_OPTIONS(...)                                                                          \
    (&(struct raia_options){.struct_size = sizeof(struct raia_options), ##__VA_ARGS__})

/* Registers a function as a task under its own name. At file level, in every program that may run
 * it. Names are one table for tasks, constructors and methods. */
#define RAIA_TASK(fn)                                                                              \
    __attribute__((constructor)) static void raia_register_##fn##__(void)                          \
    {                                                                                              \
        raia_register(#fn, fn);                                                                    \
    }
/* The same at run time, before raia_init. Fails with EXISTS if the name stands for another
 * function. The name is copied. */
RAIA_API int raia_register(const char *name, raia_fn *fn);

/*
 * Submits a task: raia_submit(fn, value, ...). Returns at once with the reference of its (first)
 * return value, for raia_release; NULL: an error (NOT_FOUND: not registered; PENDING_CALLS: over
 * max_pending_tasks; ...). Arguments are copied.
 */
#define raia_submit(fn, ...)              raia_submit_opt(NULL, fn, ##__VA_ARGS__)
#define raia_submit_opt(options, fn, ...) raia_submit_array(options, fn, RAIA_VALUES__(__VA_ARGS__))
RAIA_API raia_ref *raia_submit_array(const struct raia_options *options, raia_fn *fn,
                                     const struct raia_value *args, size_t count);
/* By the name that it is registered under. */
RAIA_API raia_ref *raia_submit_named(const struct raia_options *options, const char *name,
                                     const struct raia_value *args, size_t count);

/* A list of values as two arguments: array, count. The first entry only lets the list be empty. */
#define RAIA_VALUES__(...)                                                                         \
    (struct raia_value[]){{.kind = RAIA_KIND_NONE__}, ##__VA_ARGS__} + 1,                          \
        sizeof((struct raia_value[]){{.kind = RAIA_KIND_NONE__}, ##__VA_ARGS__}) /                 \
                sizeof(struct raia_value) -                                                        \
            1

/*
 * Cancels the task that makes r: dropped if it has not begun, asked to stop (raia_canceled) if it
 * runs, killed with its worker if `force` (tasks only). `recursive`: also the tasks that it
 * submitted. Getters see CANCELED; it is not retried. 0 also if it has ended already.
 */
RAIA_API int raia_cancel(raia_ref *r, bool force, bool recursive);

/* ------------------------------------------------------------------ inside a task or method */

RAIA_API size_t raia_arg_count(const raia_call *c);
/* The i-th argument (from 0). *ret is valid until the function returns, and needs no release. */
RAIA_API int raia_arg(raia_call *c, size_t i, struct raia_view *ret);
/* raia_arg and raia_view_* in one. */
RAIA_API int raia_arg_int(raia_call *c, size_t i, int64_t *ret);
RAIA_API int raia_arg_double(raia_call *c, size_t i, double *ret);
RAIA_API int raia_arg_bool(raia_call *c, size_t i, bool *ret);
RAIA_API const char *raia_arg_str(raia_call *c, size_t i);
RAIA_API const void *raia_arg_bytes(raia_call *c, size_t i, size_t *ret_size);
/* The k-th reference inside the i-th argument: a new one, for raia_release. */
RAIA_API raia_ref *raia_arg_ref(raia_call *c, size_t i, size_t k);
/* The actor handle that the i-th argument is: a new one, for raia_actor_release. */
RAIA_API raia_actor *raia_arg_actor(raia_call *c, size_t i);

/* Sets the (first) return value and returns 0: `return raia_return(c, raia_str("ok"));`. Without
 * any of these a function returns nil. */
RAIA_API int raia_return(raia_call *c, struct raia_value v);
RAIA_API int raia_return_int(raia_call *c, int64_t v);
/* The i-th of several. */
RAIA_API int raia_return_at(raia_call *c, size_t i, struct raia_value v);
/* A buffer of raia_create becomes the i-th return value, without a copy; it is gone in any case. */
RAIA_API int raia_return_buffer(raia_call *c, size_t i, raia_buffer *b, uint32_t format);
/*
 * Fails the call: getters see TASK_FAILED, with this text as the cause; if this thread's last error
 * is what made it fail, that is kept as the cause of the cause. Returns -TASK_FAILED. A function
 * that returns another negative -RAIA_ERR_* fails too, with raia_last_error() if that is its code.
 */
RAIA_API int raia_fail(raia_call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* True once the call was canceled or its deadline passed: return soon. Cheap. */
RAIA_API bool raia_canceled(const raia_call *c);

/* A method or task may answer later, from any thread: `p = raia_defer(c); ... return 0;`. What
 * raia_arg gave is valid until then. Exactly one of the two must follow, once; either frees p. */
RAIA_API raia_pending *raia_defer(raia_call *c);
RAIA_API int raia_complete(raia_pending *p, struct raia_value v);
RAIA_API int raia_complete_error(raia_pending *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------ actors */

/*
 *     static int counter_new(raia_call *c)
 *     {
 *         int64_t *n = calloc(1, sizeof(*n));
 *
 *         return n ? raia_set_self(c, n) : raia_fail(c, "out of memory");
 *     }
 *     static int counter_add(raia_call *c)
 *     {
 *         int64_t *n = raia_self(c), by = 0;
 *
 *         if (raia_arg_int(c, 0, &by) < 0)
 *             return raia_fail(c, "by how much?");
 *         return raia_return_int(c, *n += by);
 *     }
 *     RAIA_ACTOR(Counter, counter_new, free)
 *     RAIA_METHOD(counter_add)
 *     ...
 *     raia_actor *a = raia_actor_create(counter_new);
 *     raia_ref *r = raia_actor_call(a, counter_add, raia_int(5));
 */

/* Registers a class: its name, its constructor, and what frees its state (may be NULL). */
#define RAIA_ACTOR(class_name, constructor_fn, destructor_fn)                                      \
    __attribute__((constructor)) static void raia_register_##class_name##__(void)                  \
    {                                                                                              \
        raia_register_class(#class_name, constructor_fn, destructor_fn);                           \
    }
/* Registers a method, under its own name. */
#define RAIA_METHOD(fn) RAIA_TASK(fn)
/* As raia_register, for a class. */
RAIA_API int raia_register_class(const char *name, raia_fn *constructor,
                                 void (*destructor)(void *self));

/* In a constructor: the actor's state; returns 0. */
RAIA_API int raia_set_self(raia_call *c, void *self);
/* In a method: what the constructor set; NULL in a task. */
RAIA_API void *raia_self(const raia_call *c);

/* What an actor may be told; see RAIA_ACTOR_OPTIONS. */
struct raia_actor_options {
    size_t struct_size; /* sizeof(struct raia_actor_options), in bytes */
    const char *name;   /* unique in its namespace while the actor lives; NULL: none */
    const char *ns;     /* NULL: that of raia_init */
    bool get_if_exists; /* with a name: the actor of that name, if there is one */
    bool detached;      /* outlives this job, until raia_actor_kill */
    double num_cpus;    /* while it lives; 0: none (but 1 to be placed); RAIA_NONE: none */
    const struct raia_resource *resources; /* what else it needs while it lives */
    size_t resource_count;                 /* entries of resources */
    int max_restarts;     /* after the death of its process or node; 0: none; RAIA_FOREVER */
    int max_task_retries; /* of calls that were under way then; 0: none; RAIA_FOREVER */
    int max_concurrency;  /* methods that may run at one time, in threads; 0: 1; at most 1000 */
    int64_t max_pending_calls; /* by this process, unanswered; 0: no limit but memory */
    bool block_when_full;      /* then wait, rather than fail with PENDING_CALLS */
};
#define RAIA_ACTOR_OPTIONS(...)                                                                    \
    (&(struct raia_actor_options){.struct_size = sizeof(struct raia_actor_options), ##__VA_ARGS__})

/*
 * Creates an actor: raia_actor_create(constructor, value, ...). Returns a handle at once, for
 * raia_actor_release; calls may be made at once too. NULL: an error (EXISTS: the name is taken).
 * Without a name this does not wait; with one it waits for the cluster to have reserved it.
 * An actor that is not detached ends when its last handle is given back, or its creator ends.
 */
#define raia_actor_create(constructor, ...) raia_actor_create_opt(NULL, constructor, ##__VA_ARGS__)
#define raia_actor_create_opt(options, constructor, ...)                                           \
    raia_actor_create_array(options, constructor, RAIA_VALUES__(__VA_ARGS__))
RAIA_API raia_actor *raia_actor_create_array(const struct raia_actor_options *options,
                                             raia_fn *constructor, const struct raia_value *args,
                                             size_t count);
/* Calls a method: raia_actor_call(actor, method, value, ...). Calls of one process to one actor
 * start in the order in which they were made (max_concurrency 1). As raia_submit otherwise. */
#define raia_actor_call(actor, method, ...) raia_actor_call_opt(actor, NULL, method, ##__VA_ARGS__)
#define raia_actor_call_opt(actor, options, method, ...)                                           \
    raia_actor_call_array(actor, options, method, RAIA_VALUES__(__VA_ARGS__))
RAIA_API raia_ref *raia_actor_call_array(raia_actor *a, const struct raia_options *options,
                                         raia_fn *method, const struct raia_value *args,
                                         size_t count);
RAIA_API raia_ref *raia_actor_call_named(raia_actor *a, const struct raia_options *options,
                                         const char *method, const struct raia_value *args,
                                         size_t count);
/* Gives a handle back. Accepts NULL. */
RAIA_API void raia_actor_release(raia_actor *a);
/* One more holder; returns a. */
RAIA_API raia_actor *raia_actor_dup(raia_actor *a);
/* The actor of that name (ns NULL: that of raia_init). NOT_FOUND. For raia_actor_release. */
RAIA_API raia_actor *raia_actor_find(const char *name, const char *ns);
/* Kills its process now; with no_restart for good. What was called and not answered fails. One whose
 * constructor still waits for its arguments (and no_restart) will not be made. */
RAIA_API int raia_actor_kill(raia_actor *a, bool no_restart);
/* Waits until it runs, or tells why it does not. */
RAIA_API int raia_actor_wait(raia_actor *a, int64_t timeout_ms);
/* In a method: the actor ends, for good, after this call has been answered. Returns 0. */
RAIA_API int raia_actor_exit(raia_call *c);

/* ------------------------------------------------------------------ where am I */

struct raia_id {
    uint8_t b[16];
};
#define RAIA_ID_TEXT 33 /* bytes of the text of an id, with its end mark */
/* Hexadecimal, into buf; returns buf. */
RAIA_API const char *raia_id_text(const struct raia_id *id, char buf[RAIA_ID_TEXT]);

/* Zeroed ids before raia_init. */
RAIA_API struct raia_id raia_node_id(void);
RAIA_API struct raia_id raia_worker_id(void);
/* Job ids have 4 bytes: a number, given by the cluster. */
RAIA_API uint32_t raia_job_id(void);
/* Of the actor whose method runs, or of a handle. */
RAIA_API struct raia_id raia_current_actor_id(const raia_call *c);
RAIA_API struct raia_id raia_actor_id(const raia_actor *a);
/* True if the actor was started again after a death. */
RAIA_API bool raia_was_restarted(const raia_call *c);
/* How often this task was started before: 0 at its first attempt. */
RAIA_API unsigned raia_attempt(const raia_call *c);

struct raia_node {
    struct raia_id id;
    char name[64];    /* as in `raia status` */
    char address[64]; /* host:port */
    bool alive;
    bool is_head;
    double cpus;                           /* in all */
    double cpus_free;                      /* as last reported */
    uint64_t store_bytes;                  /* capacity of its object store */
    uint64_t store_used;                   /* bytes, as last reported */
    const struct raia_resource *resources; /* all that it has, CPUs too; part of the same block */
    size_t resource_count;                 /* entries of resources */
};
/* The nodes of the cluster; *ret for free(). Waits for the GCS, at most 30 s. */
RAIA_API int raia_nodes(struct raia_node **ret, size_t *ret_count);
/* ------------------------------------------------------------------ key-value store of the cluster
 */

/* Small durable values, up to 1 MiB. ns NULL: that of raia_init. overwrite false: EXISTS if there.
 */
RAIA_API int raia_kv_put(const char *ns, const char *key, const void *value, size_t size,
                         bool overwrite);
/* *ret for free(), followed by a zero byte. NOT_FOUND. */
RAIA_API int raia_kv_get(const char *ns, const char *key, void **ret, size_t *ret_size);
RAIA_API int raia_kv_del(const char *ns, const char *key);

#ifdef __cplusplus
}
#endif
#endif
