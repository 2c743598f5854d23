/*
 * Remote procedure calls between the daemons: unary calls and bidirectional streams of byte
 * messages, over gRPC (mutual TLS, or plaintext on loopback) or inside the process ("mem:NAME").
 * The only code that includes gRPC. Packing and unpacking messages is the caller's business.
 *
 * Server:
 *     r = rpc_server_new(loop, &opts, &s, e);
 *     r = rpc_server_unary(s, "/raia.gcs.v1.NodeInfo/RegisterNode", on_register, gcs, NULL, e);
 *     r = rpc_server_stream(s, "/raia.gcs.v1.PubSub/Subscribe", on_subscribe, gcs, NULL, e);
 *     r = rpc_server_listen(s, "127.0.0.1", 0, &port, e);
 *     r = rpc_server_start(s, e);
 *     ...
 *     rpc_server_shutdown(s, 2000, on_gone, gcs);       // s is freed once on_gone was called
 *
 *     static void on_register(void *arg, struct rpc_request *q, const void *data, size_t size)
 *     {
 *         ... rpc_reply(q, out, out_size);              // now or later, exactly once
 *     }
 *
 * Client:
 *     r = rpc_channel_new(loop, "127.0.0.1:6379", &opts, &ch, e);
 *     rpc_call(ch, &me->call, "/raia.gcs.v1.NodeInfo/RegisterNode", buf, size, 5000, on_reply);
 *     r = rpc_stream_open(ch, "/raia.gcs.v1.PubSub/Subscribe", 0, &cbs, me, &me->stream, e);
 *     ...
 *     rpc_channel_close(ch, on_closed, me);             // ch is freed once on_closed was called
 *
 * Ownership: a struct rpc_call belongs to the caller and stays put until its callback. Streams and
 * requests are allocated here: a stream is gone when its on_close returns, a request when it was
 * replied to. Bytes given in are copied unless the function says otherwise; bytes handed to a
 * callback live until it returns (a request's: until the reply).
 * Threads: everything happens on the loop's owner thread: calls in and callbacks out. Only
 * rpc_chaos_* may be called anywhere. No callback is ever called from inside a function of this
 * header.
 * Failure: every wait ends: a call by its reply, its deadline, cancel, or the loss of the peer (10
 * s of silence on a dead connection with the default keep-alive); shutdown and close by cancelling
 * what is left. Errors carry the same code at both ends; `maybe_executed` is set when the request
 * may have been carried out although no reply came.
 */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "raia/error.h"

struct rpc_server;
struct rpc_channel;
struct rpc_request;
struct rpc_stream;

/* ---- who talks ---- */

/* PEM texts, NUL-terminated; copied. Both sides present cert_pem and verify the other's against
 * ca_pem. */
struct rpc_tls {
    const char *ca_pem;   /* certificates that sign the peers */
    const char *cert_pem; /* own certificate chain */
    const char *key_pem;  /* own private key */
    const char *dir; /* folder of ca.pem, node.pem and node.key; if set, these are used in place
                             of the texts, and read again when they change: later handshakes use what
                             is there then. Copied */
};

/* The other end. Valid as long as its request or stream. */
struct rpc_peer {
    const char *address;     /* "ipv4:10.0.0.7:41234", "mem:NAME", ...: for messages */
    const char *common_name; /* of the verified certificate; NULL without TLS */
    const char *const *sans; /* its subject alternative names, NULL-terminated; empty without TLS */
    size_t n_sans;           /* how many */
};

/* Whether its verified certificate names it so, as an alternative name or as the common name. */
bool rpc_peer_is(const struct rpc_peer *p, const char *name);

/* ---- server ---- */

struct rpc_server_opts {
    const struct rpc_tls
        *tls;              /* NULL: plaintext, and only loopback, unix: and mem: are listened on */
    const char *token;     /* if set, every call must carry "authorization: Bearer TOKEN" */
    uint32_t max_message;  /* bytes in one message received; 0: 16 MiB */
    uint32_t max_active;   /* unary requests being served, all methods; 0: 4096. Beyond: -LIMIT */
    uint32_t max_streams;  /* open streams, all methods; 0: 4096. Beyond: -LIMIT */
    uint32_t outbox;       /* bytes queued in one stream; 0: 4 MiB */
    uint32_t keepalive_ms; /* a ping after that much silence; 0: 5000; the answer has as long */
};

struct rpc_method_opts {
    uint32_t max_active; /* requests (or streams) of this method at a time; 0: no limit of its own.
                            Beyond it: -RAIA_ERR_LIMIT, retryable, not executed */
};

/* A request has come: reply now or later, exactly once, even when it was cancelled. */
typedef void (*rpc_unary_fn)(void *arg, struct rpc_request *q, const void *data, size_t size);
/*
 * A stream has come: bind callbacks with rpc_stream_bind before returning 0. An error (negative,
 * text in e if wanted) refuses it; it then must not be touched.
 */
typedef int (*rpc_open_fn)(void *arg, struct rpc_stream *st, struct raia_error *e);

/* opts may be NULL (all defaults, no TLS). */
int rpc_server_new(struct loop *loop, const struct rpc_server_opts *opts, struct rpc_server **ret_s,
                   struct raia_error *e);

/* Before rpc_server_start. name is "/package.Service/Method"; opts may be NULL. Unknown methods are
 * answered with -RAIA_ERR_UNSUPPORTED at once. */
int rpc_server_unary(struct rpc_server *s, const char *name, rpc_unary_fn fn, void *arg,
                     const struct rpc_method_opts *opts, struct raia_error *e);
int rpc_server_stream(struct rpc_server *s, const char *name, rpc_open_fn fn, void *arg,
                      const struct rpc_method_opts *opts, struct raia_error *e);

/*
 * Before rpc_server_start, several times if wanted. host: an address or name with a port (0: any
 * free one, told in ret_port, which may be NULL; a port in use is -RAIA_ERR_EXISTS), "unix:/path",
 * or "mem:NAME" (port ignored; unique in the process). Plaintext beyond loopback:
 * -RAIA_ERR_PERMISSION.
 */
int rpc_server_listen(struct rpc_server *s, const char *host, uint16_t port, uint16_t *ret_port,
                      struct raia_error *e);
int rpc_server_start(struct rpc_server *s, struct raia_error *e);

/*
 * Takes no more calls, waits up to grace_ms for those in flight, cancels the rest, then calls done
 * (may be NULL) and frees the server. Never waits for a handler: a request not yet replied to stays
 * valid, and replying just frees it. Also ends a server that was never started. A second call
 * shortens the grace and is otherwise ignored. The loop must run until done.
 */
void rpc_server_shutdown(struct rpc_server *s, uint32_t grace_ms, void (*done)(void *arg),
                         void *arg);

/* ---- requests ---- */

/* Answers and frees the request. Out of memory is answered as an error. */
void rpc_reply(struct rpc_request *q, const void *data, size_t size);
/* Answers with an error: code positive or negative; the text is cut at RAIA_ERROR_TEXT_MAX. */
void rpc_reply_error(struct rpc_request *q, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with a filled raia_error: code, retryable, maybe_executed and text arrive as they are.
 */
void rpc_reply_failure(struct rpc_request *q, const struct raia_error *err);

const struct rpc_peer *rpc_request_peer(const struct rpc_request *q);
/* "/package.Service/Method" */
const char *rpc_request_method(const struct rpc_request *q);
/* Milliseconds until the caller gives up; 0: it has; UINT64_MAX: no deadline. */
uint64_t rpc_request_time_left_ms(const struct rpc_request *q);
/* True once the caller cancelled, ran out of time or was lost. */
bool rpc_request_cancelled(const struct rpc_request *q);
/* fn is called once when that happens before the reply; NULL takes it back. */
void rpc_request_on_cancel(struct rpc_request *q, void (*fn)(void *arg), void *arg);

/* ---- channel ---- */

struct rpc_channel_opts {
    const struct rpc_tls *tls; /* NULL: plaintext, and only to loopback, unix: and mem: */
    const char *tls_name;   /* name to find in the server's certificate; NULL: the target's host */
    const char *token;      /* sent as "authorization: Bearer TOKEN" */
    uint32_t max_message;   /* bytes in one message received; 0: 16 MiB */
    uint32_t max_in_flight; /* unary calls on the wire; 0: 64; more wait their turn */
    uint32_t max_queued;    /* unary calls that wait; 0: 10000. Beyond: -RAIA_ERR_LIMIT */
    uint64_t max_queued_bytes; /* bytes that wait; 0: 64 MiB. Beyond: -RAIA_ERR_LIMIT */
    uint32_t outbox;           /* bytes queued in one stream; 0: 4 MiB */
    uint32_t keepalive_ms;     /* as the server's */
    bool wait_for_ready;       /* calls wait for the connection until their deadline; otherwise they
                                  fail with -RAIA_ERR_UNAVAILABLE when connecting fails */
};

enum rpc_state {
    RPC_IDLE,       /* not connected, not trying */
    RPC_CONNECTING, /* trying */
    RPC_READY,      /* connected */
    RPC_FAILED,     /* an attempt failed; the next comes after 100 ms .. 2 s of back-off */
};

/* target: "host:port", "unix:/path" or "mem:NAME". Nothing is connected yet. opts may be NULL. */
int rpc_channel_new(struct loop *loop, const char *target, const struct rpc_channel_opts *opts,
                    struct rpc_channel **ret_ch, struct raia_error *e);

/* Cancels all calls and streams; when their callbacks were called, calls done (may be NULL) and
 * frees the channel. A second call is ignored. The loop must run until done. */
void rpc_channel_close(struct rpc_channel *ch, void (*done)(void *arg), void *arg);

/* Starts to connect if idle; resets the back-off, so that a failed channel tries again at once. */
void rpc_channel_connect(struct rpc_channel *ch);
enum rpc_state rpc_channel_state(const struct rpc_channel *ch);
/* fn is called with each new state from now on; one watcher per channel, NULL takes it away. */
void rpc_channel_on_state(struct rpc_channel *ch, void (*fn)(void *arg, enum rpc_state st),
                          void *arg);

/* ---- unary calls ---- */

struct rpc_call;
/* r is 0 (data, size are the reply) or a negative code (e says more; data is NULL). */
typedef void (*rpc_call_fn)(struct rpc_call *c, int r, const void *data, size_t size,
                            const struct raia_error *e);

struct rpc_call {
    rpc_call_fn fn;          /* private: the callback */
    struct rpc_channel *ch;  /* private: set from the start until fn */
    struct rpc_stream *st;   /* private: what is on the wire; NULL while waiting */
    struct rpc_msg *msg;     /* private: the request while waiting */
    const char *method;      /* private: while waiting; a copy */
    uint64_t deadline_ms;    /* private: loop_now_ms */
    struct rpc_call *next;   /* private: the channel's list */
    struct rpc_call **pprev; /* private: the same */
    struct loop_timer timer; /* private: deadline while waiting, chaos delay */
    struct loop_task task;   /* private: delivers a failure that has no wire */
    int fail;                /* private: its code, 0: none */
    const char *fail_text;   /* private: its text, static */
    unsigned phase;          /* private: waiting, on the wire, ... */
    bool drop_reply;         /* private: chaos */
};

/*
 * Calls a method. fn is called exactly once, later, on the loop. timeout_ms counts from now,
 * waiting included (0: 60000; every call has a deadline). Failures: -TIMEOUT, -CANCELED,
 * -UNAVAILABLE (no connection, or lost), -LIMIT (queue full, message too large, server busy),
 * -UNSUPPORTED (no such method), -PERMISSION, -SHUTDOWN (channel closed), -NOMEM, or what the
 * handler replied.
 */
void rpc_call(struct rpc_channel *ch, struct rpc_call *c, const char *method, const void *data,
              size_t size, uint64_t timeout_ms, rpc_call_fn fn);
/* fn will get -RAIA_ERR_CANCELED (or the outcome, if that came first). Ignored when not under way.
 */
void rpc_call_cancel(struct rpc_call *c);
/* True from rpc_call until its callback is called. */
bool rpc_call_active(const struct rpc_call *c);

/* ---- streams: the same at both ends ---- */

struct rpc_stream_cbs {
    /* A message; may be NULL if none is expected (they are dropped). */
    void (*on_message)(void *arg, struct rpc_stream *st, const void *data, size_t size);
    /* After a send was refused with -LIMIT: at least half of the outbox is free. May be NULL. */
    void (*on_writable)(void *arg, struct rpc_stream *st);
    /* Server: the client sends no more; finish when done. NULL: finishes with success by itself. */
    void (*on_half_close)(void *arg, struct rpc_stream *st);
    /*
     * Exactly once, last; st is gone when it returns. err NULL: the server finished with success
     * (for the server: all it sent is on its way). What was received before is delivered first,
     * except to a paused or cancelled stream that ends with an error. May be NULL.
     */
    void (*on_close)(void *arg, struct rpc_stream *st, const struct raia_error *err);
};

/* Opens a stream; messages may be sent at once. timeout_ms 0: it may live for ever. cbs is used in
 * place until on_close (make it static). On failure on_close is not called. */
int rpc_stream_open(struct rpc_channel *ch, const char *method, uint64_t timeout_ms,
                    const struct rpc_stream_cbs *cbs, void *arg, struct rpc_stream **ret_st,
                    struct raia_error *e);
/* Server, inside rpc_open_fn: sets the callbacks. Later: replaces them. */
void rpc_stream_bind(struct rpc_stream *st, const struct rpc_stream_cbs *cbs, void *arg);

/*
 * Queues a copy; messages arrive in order, many to a packet. -RAIA_ERR_LIMIT: the outbox is full
 * (one message is always taken when it is empty), nothing was queued, on_writable will tell;
 * -RAIA_ERR_STATE: after half_close or finish; -RAIA_ERR_UNAVAILABLE: the stream is broken and
 * on_close is to come; -RAIA_ERR_NOMEM.
 */
int rpc_stream_send(struct rpc_stream *st, const void *data, size_t size);
/*
 * The same without a copy: data must stay until release(arg) is called: once, on the loop's owner
 * thread, possibly after on_close, but always before the channel's or server's done. When this
 * fails, release is not called.
 */
int rpc_stream_send_ref(struct rpc_stream *st, const void *data, size_t size,
                        void (*release)(void *arg), void *arg);
/* Client: no more messages will be sent; the server's go on. */
void rpc_stream_half_close(struct rpc_stream *st);
/* Server: ends the stream after what is queued was sent; err NULL: success. */
void rpc_stream_finish(struct rpc_stream *st, const struct raia_error *err);
/* Ends it now, from either side; queued messages are dropped; on_close gets -CANCELED here, at the
 * other end -CANCELED (a server's) or -UNAVAILABLE (a client's). */
void rpc_stream_cancel(struct rpc_stream *st);

/* Stops and restarts on_message (a callback under way ends). A paused stream fills its window
 * (1 MiB or 256 messages, then the transport's), and then the peer's outbox. */
void rpc_stream_pause(struct rpc_stream *st);
void rpc_stream_resume(struct rpc_stream *st);

/* Bytes queued here and not yet given to the transport. */
size_t rpc_stream_outbox(const struct rpc_stream *st);
/* Server side only; the client's is empty but for the address. */
const struct rpc_peer *rpc_stream_peer(const struct rpc_stream *st);
const char *rpc_stream_method(const struct rpc_stream *st);

/* ---- refusals ---- */

/* fn is told why a handshake failed, on a thread of gRPC's: the end that is refused may only see a
 * closed connection. For the whole process, before anything of it is used; NULL: nobody. */
void rpc_on_handshake_failure(void (*fn)(const char *why));

/* ---- chaos: calls fail on purpose, in this process's clients ---- */

/*
 * Arms it from a text, replacing what was armed: "METHOD=COUNT:REQUEST:RESPONSE[:DELAY_MS]",
 * several separated by commas. METHOD is "RegisterNode", "/raia.gcs.v1.NodeInfo/RegisterNode" or
 * "*"; COUNT is how many failures at most (-1: no limit); REQUEST and RESPONSE are percentages: of
 * calls that fail with -UNAVAILABLE before they are sent, and of those whose reply is thrown away
 * after the server has acted (maybe_executed); DELAY_MS holds every request of the method back. A
 * stream fails when it is opened (REQUEST) or at a message received (RESPONSE). seed 0: a fixed
 * one. NULL or "" disarms.
 */
int rpc_chaos_set(const char *text, uint64_t seed, struct raia_error *e);
/* Adds or replaces the rule of one method. */
int rpc_chaos_add(const char *method, int64_t count, unsigned request_percent,
                  unsigned response_percent, uint32_t delay_ms, struct raia_error *e);
void rpc_chaos_clear(void);
/* Failures injected since the process began. */
uint64_t rpc_chaos_count(void);
/* Arms from RAIA_TESTING_RPC_FAILURE if it is set. */
int rpc_chaos_from_env(struct raia_error *e);

#endif
