/*
 * The control socket: a unix socket in every daemon on which its operator asks and turns knobs.
 *
 * One JSON object a line in, one a line out, any number per connection, in order:
 *
 *     {"cmd":"log-level","module":"gcs","level":"debug"}
 *     {"ok":true}
 *     {"cmd":"nope"}
 *     {"ok":false,"error":{"code":12,"text":"no command 'nope'; known: fault, help, ..."}}
 *
 * Daemon:
 *     r = control_server_new(path, NULL, &ctl, e);
 *     r = control_add_builtins(ctl, "raia-gcs", metrics, on_status, gcs);
 *     r = control_add(ctl, "drain", "drain {node}: ...", on_drain, gcs);
 *     -- in the loop: when control_server_fd(ctl) is readable, control_server_step(ctl)
 * Client:
 *     r = control_call(path, request, 5000, &reply, e);
 *
 * The socket has mode 0600, and a peer of another uid (root excepted) is turned away. Limits: 16
 * clients (further ones wait in the backlog), 64 KiB a line (then the client is dropped), 4 MiB of
 * unread replies (no further request of that client is read until it drains).
 * Ownership: the server owns its socket and removes it when freed; command names are copied.
 * Threads: owner thread only; control_call any. Failure: -EXISTS if a live daemon has the socket.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "json/json.h"

struct control_server;
struct metrics;

/* Handles a command on the owner thread: adds members to `reply`, or fails with a text. */
typedef int (*control_fn)(void *arg, const struct json *request, struct json *reply,
                          struct raia_error *e);

/* A zero member means the default. */
struct control_options {
    unsigned max_clients; /* served at once; default 16 */
    size_t max_line;      /* bytes of a request; default 64 KiB */
    size_t max_unread;    /* bytes of replies kept for a slow client; default 4 MiB */
};

/* A stale socket (nobody listens) is replaced. The path must fit a sockaddr_un (107 bytes). */
int control_server_new(const char *path, const struct control_options *options,
                       struct control_server **ret_server, struct raia_error *e);
void control_server_free(struct control_server *s); /* accepts NULL */
/* -EXISTS if the name is taken. */
int control_add(struct control_server *s, const char *name, const char *help, control_fn fn,
                void *arg);
/*
 * The commands that every daemon has:
 *     help                          {"commands":[{"name","help"},...]}
 *     status                        program, pid, uptime_s, and what `add_status` (may be NULL) adds
 *     log-level                     {"level":"debug","module":"gcs"} sets one; {"spec":"info,rpc=warn"}
 *                                   sets all; gives the level for all
 *     metrics                       {"text": Prometheus' format}; `metrics` NULL: -UNSUPPORTED
 *     fault                         {"spec":"gcs.commit=crash"} arms, {"clear":true} disarms; lists
 *                                   the points
 * `program` and `metrics` must outlive the server.
 */
int control_add_builtins(struct control_server *s, const char *program, struct metrics *metrics,
                         control_fn add_status, void *arg);

/* Readable when there is work; for the loop. */
int control_server_fd(const struct control_server *s);
/* Does what is due, never blocks. */
void control_server_step(struct control_server *s);

/* Answers one request line (without its newline): what the socket does, for tests and other
 * transports. The text is mem_free'd; NULL when memory runs out. */
char *control_answer(struct control_server *s, const char *line, size_t len, size_t *ret_len);

/* Sends one request and waits for its reply. An {"ok":false} reply is returned as its error. */
int control_call(const char *path, const struct json *request, int timeout_ms,
                 struct json **ret_reply, struct raia_error *e);

#endif
