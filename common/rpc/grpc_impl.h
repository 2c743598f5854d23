/*
 * The gRPC transport, shared by the grpc_*.c files only.
 */
#ifndef RPC_GRPC_IMPL_H
#define RPC_GRPC_IMPL_H

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

#include "rpc/rpc_impl.h"

/* ---- grpc_engine.c: the library itself, one completion queue and the thread that polls it ---- */

/* What a completion calls, on the queue's thread; embedded in what waits for it. */
struct rpc_tag {
    void (*fn)(struct rpc_tag *t, bool ok);
};

/* Counted: the first starts all, the last ends all (and may wait for the thread). Not on that
 * thread. */
int rpc_engine_ref(struct raia_error *e);
void rpc_engine_unref(void);
grpc_completion_queue *rpc_engine_cq(void);

gpr_timespec rpc_timespec_after_ms(uint64_t ms);

/* ---- grpc_msg.c: messages to and from byte buffers ---- */

/* Takes m, which is freed when gRPC is done with the bytes. */
grpc_byte_buffer *rpc_buffer_from_msg(struct rpc_msg *m);
/* Takes bb; NULL: out of memory. */
struct rpc_msg *rpc_msg_from_buffer(grpc_byte_buffer *bb);

/* ---- grpc_stream.c ---- */

struct grpc_stream {
    struct rpc_stream st;         /* must be first */
    grpc_call *call;              /* NULL: none yet */
    unsigned tags;                /* locked: batches that have not come back */
    struct rpc_tag tag_send;      /* what is sent */
    struct rpc_tag tag_recv;      /* a message received */
    struct rpc_tag tag_meta;      /* client: the server's initial metadata; server: the accept */
    struct rpc_tag tag_status;    /* client: the status; server: the close */
    bool sending;                 /* locked: tag_send is out */
    bool reading;                 /* locked: tag_recv is out */
    bool meta_sent;               /* locked: initial metadata went out */
    bool end_sent;                /* locked: half-close or status went out */
    bool send_broken;             /* locked: a send failed */
    bool over;                    /* locked: tag_status came back */
    bool wait_for_ready;          /* client: as the channel says */
    grpc_byte_buffer *send_buf;   /* of tag_send */
    grpc_byte_buffer *recv_buf;   /* of tag_recv, or of the unary batch */
    grpc_metadata auth;           /* client: what is sent; its slices are owned */
    bool has_auth;                /* auth is filled */
    grpc_metadata trail;          /* server: raia-error; its slices are owned */
    bool has_trail;               /* trail is filled */
    grpc_metadata_array meta_in;  /* initial metadata received */
    grpc_metadata_array trail_in; /* client: trailing metadata received */
    grpc_call_details details;    /* server: of the accept */
    grpc_status_code status;      /* client: of the call */
    grpc_slice status_text;       /* client: of the call */
    int cancelled;                /* server: of the close */
};

/* A stream whose call is still to come; engine referenced; NULL: out of memory. */
struct grpc_stream *rpc_grpc_stream_new(struct rpc_core *core, char *method);
/* Server, queue thread: call, details and metadata have come. */
void rpc_grpc_stream_accepted(struct grpc_stream *gs);
/* Server, queue thread: they never will. */
void rpc_grpc_stream_void(struct grpc_stream *gs);

struct rpc_grpc_channel {
    grpc_channel *channel;        /* NULL: closed */
    struct rpc_channel *ch;       /* whose */
    struct rpc_tag tag_watch;     /* the state changed */
    struct loop_task task;        /* the same, on the loop */
    bool watching;                /* tag_watch is out; ch is referenced */
    grpc_connectivity_state last; /* told last */
    struct rpc_tls_dir *dir;      /* the certificates' folder; NULL: texts, or plaintext */
};

/* ---- grpc_tls.c: credentials ---- */

struct rpc_tls_dir; /* a folder of certificates that is followed */

/* Counted; the engine must be referenced from before get until after put. */
int rpc_tls_dir_get(const char *path, struct rpc_tls_dir **ret_d, struct raia_error *e);
void rpc_tls_dir_put(struct rpc_tls_dir *d); /* accepts NULL */
/* d NULL: of the texts. NULL: they cannot be used. */
grpc_channel_credentials *rpc_tls_channel(const struct rpc_tls *tls, const struct rpc_tls_dir *d);
grpc_server_credentials *rpc_tls_server(const char *ca, const char *cert, const char *key,
                                        const struct rpc_tls_dir *d);

#endif
