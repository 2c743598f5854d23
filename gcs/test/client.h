/*
 * For tests: a raia-gcs process of one's own, and a blocking rpc client to it.
 *
 *     struct gcs_process p;
 *     gcs_process_start(&p, NULL);                       // a new session folder, free ports
 *     struct gcs_client c;
 *     gcs_client_open(&c, p.port);
 *     Raia__Gcs__AddJobReply *reply = gcs_client_call(&c, "AddJob", &request.base);
 *     gcs_process_kill(&p); gcs_process_start(&p, NULL); // the same folder and ports
 *
 * Failures of the harness end the test. Threads: the test's.
 */
#ifndef TEST_CLIENT_H
#define TEST_CLIENT_H

#include "base/proc.h"
#include "core/pb.h"
#include "gcs.pb-c.h"
#include "loop/loop.h"
#include "rpc/rpc.h"

struct gcs_process {
    char dir[64];            /* session folder; empty: not yet made */
    struct proc_child child; /* pidfd -1: not running */
    int port;                /* of the rpc service; kept over restarts */
    int dashboard_port;      /* of the REST API; kept over restarts */
};

/* more: further flags, NULL-terminated, or NULL. */
void gcs_process_start(struct gcs_process *p, const char *const *more);
void gcs_process_kill(struct gcs_process *p); /* SIGKILL */
int gcs_process_term(struct gcs_process *p);  /* SIGTERM; the exit status */
/* Waits for its end; the status as waitpid gives it. */
int gcs_process_wait(struct gcs_process *p);
void gcs_process_done(struct gcs_process *p); /* kills, removes the folder */

#define GCS_DOWN_MAX 256

struct gcs_client {
    struct loop *loop;                          /* its own */
    struct rpc_channel *ch;                     /* to the process */
    struct rpc_stream *session;                 /* NULL: none */
    Raia__Gcs__SessionDown *down[GCS_DOWN_MAX]; /* what came down the session, owned */
    size_t n_down;                              /* how many */
    bool session_ended;                         /* by the other side */
    bool closed;                                /* the channel is */
    struct raia_error error;                    /* of the last call, or the session's end */
};

void gcs_client_open(struct gcs_client *c, int port);
void gcs_client_close(struct gcs_client *c);
/* The unpacked reply (pb_free), or NULL: c->error says why. */
void *gcs_client_call(struct gcs_client *c, const char *method, const ProtobufCMessage *request);
/* Opens the session and says hello. */
void gcs_client_hello(struct gcs_client *c, const Raia__Gcs__SessionHello *hello);
void gcs_client_up(struct gcs_client *c, const Raia__Gcs__SessionUp *up);
/* Waits until a message of this kind has come down (the n-th of it, from 0). */
Raia__Gcs__SessionDown *gcs_client_down(struct gcs_client *c, Raia__Gcs__SessionDown__BodyCase kind,
                                        size_t n);
/* Registers a node made of this byte; the reply is checked. */
void gcs_client_register(struct gcs_client *c, uint8_t byte, bool head, const char *replaces);
/* 16 bytes of it. */
const uint8_t *gcs_id(uint8_t byte);

#endif
