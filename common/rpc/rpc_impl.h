/*
 * The inside of rpc, shared by the files of this folder only.
 *
 * Everything is a stream: a unary call is one message each way. A struct rpc_stream has two faces:
 * towards the transport (struct rpc_wire: grpc_stream.c, mem_stream.c) two queues under a lock,
 * which transport threads fill and drain by themselves; towards the owner (struct rpc_user: the
 * public callbacks, call.c, request.c) events on the loop's thread. stream.c lies between. A struct
 * rpc_core is what channel and server have in common: it is gone when its last stream is.
 */
#ifndef RPC_RPC_IMPL_H
#define RPC_RPC_IMPL_H

#include <pthread.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "rpc/rpc.h"

#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define RPC_TSAN_ACQUIRE(p) __tsan_acquire(p)
#define RPC_TSAN_RELEASE(p) __tsan_release(p)
#else
#define RPC_TSAN_ACQUIRE(p) ((void)(p))
#define RPC_TSAN_RELEASE(p) ((void)(p))
#endif

#define RPC_MAX_MESSAGE_DEFAULT  (16u << 20)
#define RPC_OUTBOX_DEFAULT       (4u << 20)
#define RPC_KEEPALIVE_DEFAULT_MS 5000u
#define RPC_CALL_TIMEOUT_MS      60000u
/* Received and not yet handed to the owner, per stream; beyond that nothing more is read. */
#define RPC_WINDOW_BYTES (1u << 20)
#define RPC_WINDOW_COUNT 256u

/* ---- core.c: what channel and server have in common ---- */

struct rpc_core {
    struct loop *loop;                /* whose owner thread everything belongs to */
    unsigned refs;                    /* one for being open, one each for what must end first */
    struct rpc_stream *streams;       /* all that live */
    uint32_t max_message;             /* bytes in one message received */
    uint32_t outbox;                  /* bytes queued in one stream */
    struct loop_task gone_task;       /* calls gone from the loop */
    void (*gone)(struct rpc_core *c); /* the last reference went: tell and free */
};

void rpc_core_init(struct rpc_core *c, struct loop *loop, void (*gone)(struct rpc_core *c));
void rpc_core_ref(struct rpc_core *c);
void rpc_core_unref(struct rpc_core *c);
/* Cancels every stream: the peer sees code and text, and so does the local side. */
void rpc_core_cancel_all(struct rpc_core *c, int code, const char *text);
/* "host:port" or host alone names this machine's loopback, a unix socket or a mem: target. */
bool rpc_is_local(const char *host);

/* ---- msg.c: bytes with an owner ---- */

struct rpc_msg {
    struct rpc_msg *next;               /* the queue that it is in */
    const void *data;                   /* the bytes */
    size_t size;                        /* how many */
    void (*free_fn)(struct rpc_msg *m); /* lets go of bytes and msg; any thread */
};

struct rpc_queue {
    struct rpc_msg *first; /* oldest; NULL: empty */
    struct rpc_msg *last;  /* newest; void when empty */
    size_t bytes;          /* of data, all of them */
    unsigned count;        /* messages */
};

/* NULL: out of memory. data may be NULL: room for size bytes at ->data, to be filled. */
struct rpc_msg *rpc_msg_copy(const void *data, size_t size);
/* Bytes of the caller; release(arg) runs on core's loop, and core waits for it. */
struct rpc_msg *rpc_msg_borrow(struct rpc_core *core, const void *data, size_t size,
                               void (*release)(void *arg), void *arg);
/* Takes back a borrowed message whose release must not be called. */
void rpc_msg_unborrow(struct rpc_msg *m);
void rpc_msg_free(struct rpc_msg *m);
void rpc_queue_push(struct rpc_queue *q, struct rpc_msg *m);
struct rpc_msg *rpc_queue_pop(struct rpc_queue *q);
/* Appends all of `from`, leaving it empty. */
void rpc_queue_move(struct rpc_queue *to, struct rpc_queue *from);
void rpc_queue_clear(struct rpc_queue *q);

/* ---- error.c: codes on the wire ---- */

#define RPC_ERROR_KEY       "raia-error" /* trailing metadata: "CODE:RETRYABLE:MAYBE_EXECUTED" */
#define RPC_ERROR_TRAIL_MAX 32

int rpc_status_from_code(int code);
int rpc_code_from_status(int status);
void rpc_error_encode(const struct raia_error *err, char trail[RPC_ERROR_TRAIL_MAX]);
/* err from what came: trail may be NULL (the peer's transport made the status up). */
void rpc_error_decode(struct raia_error *err, int status, const char *text, size_t text_size,
                      const char *trail, size_t trail_size);

/* ---- stream.c ---- */

/* What a transport does for a stream. "locked": the stream's lock is held. */
struct rpc_wire {
    void (*pump_out)(struct rpc_stream *st); /* locked: send of `out`, end, what can be sent */
    void (*pump_in)(struct rpc_stream *st);  /* locked: there may be room in `in`: read on */
    /* locked: end it now; `closed` comes later, or is set here */
    void (*cancel)(struct rpc_stream *st, int code, const char *text);
    void (*close)(struct rpc_stream *st); /* owner thread, once, after `closed`: let the call go */
    void (*free)(struct rpc_stream *st);  /* owner thread, last: frees the struct */
};

/* What the owner's side does with what happens; owner thread, unlocked. */
struct rpc_user {
    void (*message)(struct rpc_stream *st, struct rpc_msg *m); /* takes m */
    void (*half_closed)(struct rpc_stream *st);
    void (*writable)(struct rpc_stream *st);
    void (*closed)(struct rpc_stream *st, const struct raia_error *err); /* err NULL: success */
};

struct rpc_request {
    struct rpc_msg *msg;       /* the request's bytes */
    void (*on_cancel)(void *); /* the handler's; NULL: none */
    void *on_cancel_arg;       /* for it */
    bool used;                 /* the one request message has come */
    bool open;                 /* handed to the handler, not replied to */
};

struct rpc_stream {
    const struct rpc_wire *wire; /* the transport */
    const struct rpc_user *user; /* who is told; NULL: a server's stream not yet looked at */
    struct rpc_core *core;       /* channel or server */
    struct loop *loop;           /* core's */
    pthread_mutex_t *lock;     /* guards the fields so marked: `own`, or one shared by both ends */
    pthread_mutex_t own;       /* see lock */
    struct loop_task task;     /* something happened; posted by any thread that holds the lock */
    struct rpc_stream *next;   /* core's list */
    struct rpc_stream **pprev; /* core's list */

    struct rpc_queue out;  /* locked: to be sent */
    struct rpc_queue in;   /* locked: received */
    bool end;              /* locked: no more will be queued: half-close, or finish with `err` */
    bool peer_end;         /* locked: the peer sends no more */
    bool half_closed;      /* locked: ... because it said so, not because the stream broke */
    bool want_writable;    /* locked: a send was refused */
    bool writable;         /* locked: on_writable is due */
    bool closed;           /* locked: the transport will do nothing more */
    bool cancelled;        /* locked: by this side */
    bool slot;             /* locked: a server's that awaits a call: there is nothing to cancel */
    struct raia_error err; /* locked: outcome; the server's finish until then. code 0: success */

    bool server;            /* this is the server's end */
    bool unary;             /* one message each way */
    bool authorized;        /* server: the token is right, or none is needed */
    bool deaf;              /* owner: cancelled by the owner: nothing more is handed over */
    bool refused;           /* server: could not be taken in; set before it is announced */
    bool paused;            /* owner: rpc_stream_pause */
    bool told_half;         /* owner: half_closed was told */
    bool detached;          /* owner: closed was told, the call let go, core's reference dropped */
    uint64_t deadline_ms;   /* loop_now_ms; UINT64_MAX: none */
    struct rpc_queue ready; /* owner: taken from `in`, not handed over yet */
    char *method_name;      /* "/package.Service/Method"; owned */
    struct rpc_peer peer;   /* the other end; the strings are owned */
    const struct rpc_stream_cbs *cbs; /* the public callbacks of a stream */
    void *arg;                        /* for them */
    struct rpc_call *call;            /* client, unary: whose it is */
    struct rpc_msg *reply;            /* client, unary: the reply */
    struct rpc_method *method;        /* server: what is called */
    struct rpc_server *server_of;     /* server: whose method it is, held while method is set */
    struct rpc_request q;             /* server, unary: the request */
};

/* Fills the fields that all transports share and enters st into core. Takes name. */
void rpc_stream_init(struct rpc_stream *st, const struct rpc_wire *wire, struct rpc_core *core,
                     char *name);
/* Undoes init where the stream never got as far as being closed, and frees it. */
void rpc_stream_abandon(struct rpc_stream *st);
/* Frees what init and life gave it, but for the struct: for wire->free. */
void rpc_stream_fini(struct rpc_stream *st);
/* Locked: tells the owner to look. */
void rpc_stream_notify(struct rpc_stream *st);
/* Locked: puts a received message into `in`; false: too large (the caller breaks the stream). */
bool rpc_stream_receive(struct rpc_stream *st, struct rpc_msg *m);
bool rpc_stream_wants_input(const struct rpc_stream *st); /* locked: there is room in `in` */
/* Locked: a message has left `out`: on_writable may be due. */
void rpc_stream_sent(struct rpc_stream *st);
/* Owner: queues m and/or ends this side, without the limits of rpc_stream_send. Takes m. */
void rpc_stream_put(struct rpc_stream *st, struct rpc_msg *m, bool end,
                    const struct raia_error *err);
/* Owner: cancels with a code and text of one's own. */
void rpc_stream_abort(struct rpc_stream *st, int code, const char *text);

extern const struct rpc_user rpc_user_public; /* the callbacks of rpc.h */
extern const struct rpc_user rpc_user_drop;   /* nobody cares: a refused stream */
extern const struct rpc_user rpc_user_call;   /* call.c */

/* A stream that is closed with an error from the start; NULL: out of memory. */
struct rpc_stream *rpc_stream_dead(struct rpc_core *core, int code, const char *text);

/* ---- request.c ---- */

extern const struct rpc_user rpc_user_request;

/* ---- channel.c, call.c ---- */

struct rpc_channel {
    struct rpc_core core;           /* must be first */
    char *target;                   /* as given */
    char *mem_name;                 /* "NAME" of "mem:NAME"; NULL: gRPC */
    char *authorization;            /* "Bearer TOKEN"; NULL: none */
    struct loop_task mem_task;      /* mem: its server came or went */
    struct rpc_channel *mem_next;   /* mem: the register's list of watchers */
    enum rpc_state mem_last;        /* mem: told last */
    bool mem_wanted;                /* mem: connected, or would be if there were a server */
    bool mem_watching;              /* mem: in the list; core is referenced */
    struct rpc_grpc_channel *g;     /* grpc_channel.c; NULL for mem: */
    bool wait_for_ready;            /* as in the options */
    bool closing;                   /* rpc_channel_close was called */
    uint32_t max_in_flight;         /* as in the options */
    uint32_t max_queued;            /* as in the options */
    uint64_t max_queued_bytes;      /* as in the options */
    uint32_t in_flight;             /* unary calls on the wire */
    uint32_t queued;                /* calls in `waiting` */
    uint64_t queued_bytes;          /* their bytes */
    struct rpc_call *waiting;       /* oldest first */
    struct rpc_call **waiting_last; /* where the next is put */
    struct rpc_call *delayed;       /* held back by chaos */
    void (*on_state)(void *, enum rpc_state); /* NULL: nobody watches */
    void *on_state_arg;                       /* for it */
    void (*done)(void *);                     /* of rpc_channel_close */
    void *done_arg;                           /* for it */
};

/* Ends all calls that are not on the wire. */
void rpc_calls_fail_all(struct rpc_channel *ch);
/* Opens a stream of either transport; m and end are sent with the opening. Takes m, always.
 * NULL: out of memory. */
struct rpc_stream *rpc_channel_open(struct rpc_channel *ch, const char *method,
                                    uint64_t deadline_ms, bool unary, struct rpc_msg *m);

/* ---- server.c ---- */

struct rpc_method {
    char *name;          /* "/package.Service/Method" */
    rpc_unary_fn unary;  /* either this */
    rpc_open_fn open;    /* or this */
    void *arg;           /* for it */
    uint32_t max_active; /* 0: no limit */
    uint32_t active;     /* now */
};

struct rpc_server {
    struct rpc_core core;       /* must be first */
    struct rpc_method *methods; /* sorted by name once started */
    unsigned n_methods;         /* how many */
    char *token;                /* what a bearer must show; NULL: nothing */
    uint32_t max_active;        /* as in the options */
    uint32_t max_streams;       /* as in the options */
    uint32_t active;            /* unary requests not replied to */
    uint32_t streams;           /* streams open */
    uint32_t mem_refs;          /* who needs this struct: itself and open requests */
    bool started;               /* rpc_server_start succeeded */
    bool closing;               /* rpc_server_shutdown was called */
    bool cancelled;             /* the grace is over */
    struct loop_timer grace;    /* of the shutdown */
    struct rpc_grpc_server *g;  /* grpc_server.c; NULL: no such listener */
    struct mem_listener *mem;   /* mem_server.c: a list; NULL: none */
    void (*done)(void *);       /* of rpc_server_shutdown */
    void *done_arg;             /* for it */
};

/* Owner: a stream has come (st->user is NULL): finds its method and hands it over. */
void rpc_server_accept(struct rpc_stream *st);
/* Owner: a request was replied to, or a stream closed. */
void rpc_server_left(struct rpc_stream *st);
void rpc_server_mem_unref(struct rpc_server *s);
/* Any thread: does "Bearer TOKEN" (not terminated; NULL: none) let it in? */
bool rpc_server_authorize(const struct rpc_server *s, const char *auth, size_t size);

/* ---- the gRPC transport: grpc_*.c ---- */

int rpc_grpc_channel_new(struct rpc_channel *ch, const struct rpc_channel_opts *o,
                         struct raia_error *e);
void rpc_grpc_channel_close(
    struct rpc_channel *ch); /* no more events; the last stream may be alive */
void rpc_grpc_channel_free(struct rpc_channel *ch); /* after the last stream */
void rpc_grpc_channel_connect(struct rpc_channel *ch);
enum rpc_state rpc_grpc_channel_state(const struct rpc_channel *ch);
void rpc_grpc_channel_watch(struct rpc_channel *ch); /* on_state was set */
struct rpc_stream *rpc_grpc_open(struct rpc_channel *ch, char *method, uint64_t deadline_ms,
                                 bool unary, struct rpc_msg *m);

int rpc_grpc_server_new(struct rpc_server *s, const struct rpc_server_opts *o,
                        struct raia_error *e);
int rpc_grpc_listen(struct rpc_server *s, const char *addr, uint16_t *ret_port,
                    struct raia_error *e);
int rpc_grpc_start(struct rpc_server *s, struct raia_error *e);
void rpc_grpc_shutdown(struct rpc_server *s);
void rpc_grpc_cancel_all(struct rpc_server *s);
void rpc_grpc_server_free(struct rpc_server *s);
bool rpc_stream_is_grpc(const struct rpc_stream *st);
/* Owner: a call has taken a slot; another is made. */
void rpc_grpc_slot_used(struct rpc_server *s);

/* ---- the in-memory transport: mem_*.c ---- */

int rpc_mem_listen(struct rpc_server *s, const char *name, struct raia_error *e);
void rpc_mem_start(struct rpc_server *s);
void rpc_mem_shutdown(struct rpc_server *s);
enum rpc_state rpc_mem_state(const struct rpc_channel *ch);
void rpc_mem_want(struct rpc_channel *ch);  /* connect: a call, or rpc_channel_connect */
void rpc_mem_watch(struct rpc_channel *ch); /* on_state was set */
void rpc_mem_unwatch(struct rpc_channel *ch);
struct rpc_stream *rpc_mem_open(struct rpc_channel *ch, char *method, uint64_t deadline_ms,
                                bool unary, struct rpc_msg *m);

/* ---- chaos.c ---- */

struct rpc_chaos_fate {
    bool drop_request; /* fail before sending */
    bool drop_reply;   /* throw the reply away */
    uint32_t delay_ms; /* hold it back */
};

struct rpc_chaos_fate rpc_chaos_draw(const char *method);
/* A stream is opened, or (reply) received a message: break it? */
bool rpc_chaos_draw_stream(const char *method, bool reply);

#endif
