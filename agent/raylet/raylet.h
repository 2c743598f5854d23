/*
 * raia-raylet: what its parts share. docs/design/raylet.md says how they work together.
 *
 * One thread, the loop's, owns all of it. Parts call each other directly; what a core (the
 * scheduler, the store) says is queued where acting on it at once would call back into the core,
 * and done in raylet_turn, a task of the loop.
 *
 * session.c    a process at the socket: hello, both lanes, its end     frame.h   the socket's lane
 * dispatch.c   what processes say                                      records.h what is in it
 * peers.c      pairs between processes here, channels to others elsewhere
 * leases.c     the scheduler's effects        workers.c  the worker processes
 * jobs.c       what a job is: its code        code.c     executables by content
 * packages.c   working_dirs that were uploaded               runtime_env.c  what drivers inherit
 * gcs.c        the GCS: register, heartbeat   gcs_session.c  its stream   gcs_pass.c  for processes
 * supervisor.c the pair to the supervisor     entrypoints.c  jobs' own commands
 * nodes.c      other nodes: links, leases     objects.c  the store's host
 * logs.c       workers' output to drivers     status.c   the control socket
 * health.c     the HTTP port: health and metrics
 * listing.c    what runs and lies here, for who asks
 */
#ifndef RAYLET_RAYLET_H
#define RAYLET_RAYLET_H

#include "agent.pb-c.h"
#include "base/buf.h"
#include "base/doorbell.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/ring.h"
#include "core/pairs.h"
#include "core/sched.h"
#include "gcs.pb-c.h"
#include "loop/loop.h"
#include "proto/message.h"
#include "proto/record.h"
#include "raylet/settings.h"
#include "rpc/rpc.h"

#define SESSIONS_MAX  4000        /* processes at a time: bits of the raylet's page, from 1 */
#define SESSION_BATCH 256         /* records taken from one ring before the next one's turn */
#define STRANGERS_MAX 16          /* processes that are connected and have not said hello */
#define TLS_NAME      "raia-node" /* in every certificate of a cluster: addresses come and go */

struct control_server;
struct gcs;
struct health;
struct links;
struct objects;
struct logs;
struct session;
struct sup_link;

struct raylet {
    struct raylet_config config;
    struct loop *loop;
    struct node_id node;
    char node_text[NODE_ID_TEXT_MAX];
    char *socket_path;
    char *address; /* host:port of the rpc server */
    uint16_t port;
    struct res_names *names;
    struct sched *sched;
    struct rpc_server *server;
    struct rpc_tls tls; /* empty: plaintext on loopback */
    struct gcs *gcs;
    struct links *links;
    struct objects *objects;
    struct logs *logs;
    struct sup_link *sup;
    struct control_server *control;
    struct list listings;  /* struct listing: being answered */
    uint64_t next_listing; /* tag */
    struct loop_fd *control_watch;
    struct health *health; /* NULL: no HTTP port */

    /* processes */
    int listener;
    struct loop_fd *listen_watch;
    int page_fd; /* the raylet's doorbell page */
    void *page;
    int bell_fd; /* its eventfd */
    struct loop_fd *bell_watch;
    struct doorbell bell;
    bool asleep;               /* the page says WAITING */
    struct session **sessions; /* by bit */
    uint32_t next_bit;         /* where the search for a free one begins */
    uint32_t nsessions;
    uint32_t
        nstrangers;    /* sessions that have not said hello; the listener waits at STRANGERS_MAX */
    uint32_t ndrivers; /* drivers, those whose hello is under way included */
    uint32_t drivers_max;          /* by the file descriptors that this process may have */
    uint32_t workers_max;          /* the same for workers */
    struct session *by_worker;     /* those that said hello, by worker id */
    struct list dirty;             /* sessions with uncommitted records */
    struct loop_task drain_task;   /* rings have more than a turn's worth */
    struct loop_hook before_sleep; /* commits, and goes to sleep on the doorbell */

    /* jobs and workers */
    struct job *jobs;
    struct worker *workers;
    struct actor *actors;
    struct entrypoint *entrypoints;
    uint64_t next_entrypoint; /* spawn id */

    struct loop_task turn_task; /* raylet_turn is due */
    struct loop_timer tick;     /* sched_tick is due */
    struct loop_signal *term;
    bool stopping;
    int exit_status;
    struct code_trim *code_trim; /* code_trim.c; NULL: not needed yet */
    uint64_t store_capacity;     /* bytes */
    uint64_t nrecords;           /* taken from rings, ever */
};

/* ---- main.c, raylet.c */

int raylet_new(const struct raylet_config *config, struct raylet **ret_r, struct raia_error *e);
int raylet_run(struct raylet *r); /* the exit status */
/* What is wrong with this node's own certificate: -PERMISSION and the like. 0: nothing, or no TLS. */
int raylet_check_tls(const struct raylet *r, struct raia_error *e);
void raylet_free(struct raylet *r);
/* Ends the loop: orderly, with this exit status. */
void raylet_stop(struct raylet *r, int status, const char *why);
/* No GCS for longer than the lease, or held dead by it: workers are killed, and this process ends. */
void raylet_fence(struct raylet *r, const char *why);
/* The scheduler was told something: what it wants done is done soon, once. */
void raylet_touch(struct raylet *r);
static inline int64_t raylet_now(const struct raylet *r)
{
    return (int64_t)loop_now_ns(r->loop);
}
void raylet_address(const struct raylet *r, const uint8_t worker[16], struct record_address *ret_a);

/* ---- session.c, session_io.c: a process at the socket */

enum session_state { SESSION_NEW, SESSION_HELLO, SESSION_LIVE, SESSION_CLOSED };

struct channel; /* peers.c */
struct worker;

struct session {
    struct raylet *r;
    enum session_state state;
    Raia__Agent__ProcessKind kind;
    uint32_t bit;        /* of the raylet's page */
    uint32_t client;     /* number for the scheduler and the store, never reused */
    struct worker_id id; /* hash key */
    uint8_t job[4];
    int32_t pid;
    bool stranger;                 /* counted in raylet.nstrangers */
    bool driver;                   /* counted in raylet.ndrivers */
    struct loop_timer hello_timer; /* it must say hello by then */
    int sock;
    struct loop_fd *watch;
    int pidfd;
    struct loop_fd *pid_watch;
    struct frame_reader *in; /* the socket's lane, up */
    struct list out;         /* the socket's lane, down: struct frame_out */
    size_t out_bytes;        /* in `out` */
    void *page;              /* its doorbell page */
    int page_fd;
    int bell_fd; /* its eventfd */
    void *pair_mem;
    struct ring_pair ring;
    bool ring_open;           /* `ring` is attached */
    struct list wait;         /* records that the ring had no room for: struct record_out */
    size_t wait_bytes;        /* in `wait` */
    struct list dirty_link;   /* in raylet.dirty */
    struct worker *worker;    /* of a worker: what was spawned */
    struct hello *hello;      /* under way */
    struct pairs pairs;       /* with other processes of this node */
    struct channel *channels; /* by number */
    uint32_t next_channel;
    char name[48];             /* what it runs now, or the program: for logs and listings */
    uint32_t subscribed;       /* subscriptions to the GCS: gcs_pass.c */
    bool was_live;             /* it is CLOSED, and was LIVE before */
    bool dead;                 /* its process, for sure */
    struct loop_task end_task; /* it is to be freed */
    const char *end_why;
    HASH_HANDLE hh;
};

int session_listen(struct raylet *r, struct raia_error *e);
void session_shutdown(struct raylet *r); /* closes all, and the listener */
struct session *session_find(struct raylet *r, const uint8_t worker[16]);
/* The session of a scheduler's client, or NULL. */
struct session *session_client(struct raylet *r, uint64_t client);
/* Down. In order, with each other; queued when there is no room. */
void session_send(struct session *s, uint16_t type, uint16_t flags, uint64_t tag, const void *head,
                  size_t head_size, const void *data, size_t data_size);
/* A message on the socket, and REC_SOCKET_READY in the ring. Descriptors are duplicated. */
void session_send_message(struct session *s, uint16_t type, uint64_t tag, const void *data,
                          size_t size, const int *fds, size_t n_fds);
void session_send_pb(struct session *s, uint16_t type, uint64_t tag, const ProtobufCMessage *m,
                     const int *fds, size_t n_fds);
/* It broke the rules, closed, or died: everything of it ends, from the loop. `dead`: for sure. */
void session_end(struct session *s, const char *why);
/* It said hello: whoever waits outside may come in. */
void session_known(struct session *s);
/* The process is dead for sure; takes what it left in its ring first. Ends at once. */
void session_dead(struct session *s, const char *why);
/* session_hello.c: accepts or refuses what said hello. */
void session_hello(struct session *s, const Raia__Agent__Hello *m, int *fds, size_t n_fds);
void session_hello_drop(struct session *s);
/* This node has joined its cluster: drivers that wait for it go on. */
void session_hello_joined(struct raylet *r);
/* session_io.c */
void session_io_drain(struct session *s); /* takes records from its ring */
void session_io_flush(struct session *s); /* fills its ring from `wait` */
void session_io_dirty(struct session *s); /* commit before sleep */
void session_io_readable(struct session *s);
void session_io_writable(struct session *s);
void session_io_bells(struct raylet *r); /* takes the bits of the doorbell */
void session_io_done(struct session *s);
void session_before_sleep(struct loop_hook *h);
void session_live(struct session *s); /* hello was accepted: tells the parts */
/* Makes its page, its pair and its bells. */
int session_make_rings(struct session *s, struct raia_error *e);

/* dispatch.c: 0, or negative: a protocol error, the session ends. The payload was copied. */
int dispatch_record(struct session *s, const struct record_head *h, const void *payload,
                    size_t size);

/* ---- peers.c */

int peers_open(struct session *s, uint64_t tag, const struct record_address *to);
struct rec_peer_close;
int peers_close(struct session *s, const struct rec_peer_close *rec);
int peers_data(struct session *s, uint32_t channel, const void *data, size_t size);
/* All of a session's ends; the other sides are told with this status. */
void peers_gone(struct session *s, int status);
/* The ring of a session took this much of a channel's data. */
void peers_taken(struct session *s, uint32_t channel, size_t bytes);
/* The link to a node ended: its channels are closed with this status. */
void peers_node_lost(struct raylet *r, const uint8_t node[16], int status);
/* From the link; negative: a protocol error. */
int peers_link_record(struct raylet *r, const uint8_t node[16], uint16_t type, const void *data,
                      size_t size);

/* ---- jobs.c, code.c */

enum code_state { CODE_NONE, CODE_FETCHING, CODE_READY, CODE_FAILED };

struct job {
    uint8_t id[4]; /* hash key */
    char sha256[65];
    char *program; /* base name */
    char **argv;   /* after the executable; NULL at the end */
    char **env;    /* name, value, ...; NULL at the end */
    char *working_dir;
    uint64_t table_hash;
    bool known; /* what it runs is known */
    bool asked; /* the GCS was asked */
    bool ended;
    bool keep;               /* a detached actor of it is or was here: it may outlive its job */
    enum code_state code;    /* of its executable on this node */
    struct session *driver;  /* if it is connected here */
    bool finishing;          /* the driver was here and is gone: the GCS may not know it */
    bool telling;            /* it is being told */
    uint8_t driver_node[16]; /* where it is */
    uint8_t driver_worker[16];
    struct raia_error error; /* why it failed */
    HASH_HANDLE hh;
};

struct job *job_get(struct raylet *r, const uint8_t id[4]); /* NULL: out of memory */
struct job *job_find(struct raylet *r, const uint8_t id[4]);
/* Fills in what is known; the code too if `local_code`. */
int job_set(struct raylet *r, struct job *j, const Raia__Gcs__Job *m);
/* Gets what is missing to start workers, then raylet_touch. */
void job_prepare(struct raylet *r, struct job *j);
void job_ended(struct raylet *r, const uint8_t id[4]);
/* The driver, which was here, is gone: the GCS is told until it answers. */
void job_finish(struct raylet *r, const uint8_t id[4]);
/* A session with the GCS has begun: what it was not told before. */
void jobs_finish(struct raylet *r);
void jobs_free(struct raylet *r);

typedef void (*code_fn)(void *arg, int status, const char *sha256, const struct raia_error *e);
/* Puts a driver's executable (fd, taken over) into the cache and the GCS's packages. */
void code_put(struct raylet *r, int fd, code_fn fn, void *arg);
/* Sees to it that the executable is in the cache. */
void code_get(struct raylet *r, const char *sha256, code_fn fn, void *arg);
char *code_path(const struct raylet *r, const char *sha256); /* mem_free */

/* code_trim.c: code/ has grown, or something there is of no use any more: it is held to its bound. */
void code_trim_later(struct raylet *r);
/* An entry of code/ is in use now: it goes last. */
void code_touch(const struct raylet *r, const char *name);
void code_trim_free(struct raylet *r);

/* packages.c: a working_dir of "gcs://NAME" as a folder here; fn exactly once. */
typedef void (*package_fn)(void *arg, int status, const char *dir, const struct raia_error *e);
bool package_is(const char *working_dir);
void package_get(struct raylet *r, const char *uri, package_fn fn, void *arg);

/* ---- runtime_env.c */

/* A driver's runtime environment, and what it inherits; points into what it was made of. */
struct runtime_env_sum {
    Raia__RuntimeEnv env;
    Raia__EnvVar *vars;  /* inherited */
    Raia__EnvVar **list; /* all */
    struct json *root;   /* the configuration */
};

/* What RAIA_JOB_CONFIG_JSON says to an entrypoint: {"runtime_env", "metadata"}. mem_free. */
char *runtime_env_print(const Raia__RuntimeEnv *given, const char *metadata_json);
/* The other way round: own (may be NULL) wins. -INVALID: no JSON; -NOMEM. */
int runtime_env_inherit(const Raia__RuntimeEnv *own, const char *config_json,
                        struct runtime_env_sum *ret_sum, struct raia_error *e);
void runtime_env_sum_done(struct runtime_env_sum *sum);

/* ---- workers.c, leases.c */

struct worker {
    uint64_t number; /* the pool's; hash key */
    struct worker_id id;
    char token[33];
    uint8_t job[4];
    int32_t pid;     /* 0: not started yet */
    bool spawned;    /* the supervisor was asked */
    bool registered; /* it has said hello */
    bool wanted;     /* to be spawned when its job is ready */
    bool stopping;
    bool exited;
    const char *stop_why;
    struct session *session;
    struct actor *actor;
    char running[96]; /* function that it says it runs; empty: idle */
    uint8_t task[24];
    int64_t started_ns;
    HASH_HANDLE hh;
};

extern const struct sched_ops leases_ops;
struct worker *worker_find(struct raylet *r, uint64_t number);
struct worker *worker_by_token(struct raylet *r, const char *token);
void workers_spawn(void *arg, uint64_t number, const uint8_t job[4]); /* sched_ops */
void workers_stop(void *arg, uint64_t number, bool force, const char *why);
void workers_turn(
    struct raylet *r); /* spawns those whose job is ready, reports those that cannot */
void workers_spawned(struct raylet *r, uint64_t number, int32_t pid);
void workers_exited(struct raylet *r, uint64_t number, int status, const char *why);
void workers_free(struct raylet *r);
/* leases.c: what clients say. Negative: a protocol error. */
int leases_class(struct session *s, const void *data, size_t size);
int leases_demand(struct session *s, const void *data, size_t size);
int leases_return(struct session *s, const void *data, size_t size);
int leases_link_record(struct raylet *r, const uint8_t node[16], uint16_t type, const void *data,
                       size_t size);
int leases_resources(struct raylet *r, Raia__Resource **list, size_t n, struct res_set *ret_set);

/* ---- supervisor.c, entrypoints.c */

int sup_new(struct raylet *r, int fd, struct raia_error *e);
void sup_free(struct raylet *r);
int sup_spawn(struct raylet *r, Raia__Agent__Spawn *m);
void sup_signal(struct raylet *r, uint64_t id, int signo, bool group, uint32_t kill_after_ms);
void sup_ready(struct raylet *r);
void sup_fence(struct raylet *r, const char *why);
void sup_forget(struct raylet *r, const char *submission, uint32_t attempt);

struct entrypoint {
    uint64_t id; /* spawn id; hash key */
    char *submission;
    uint32_t attempt;
    int32_t pid;
    bool exited;
    bool failed;                   /* could not be started */
    bool waiting;                  /* for its resources, or its working_dir */
    bool reserved;                 /* the scheduler holds resources for it, or will */
    bool due;                      /* they are free: entrypoints_turn starts it */
    char *dir;                     /* its unpacked working_dir; owned; or NULL */
    Raia__Gcs__StartEntrypoint *m; /* what is to be started, while it waits; owned */
    int32_t status;
    struct raia_error error;
    HASH_HANDLE hh;
};
#define ENTRYPOINT_ID_FIRST (UINT64_C(1) << 62)

void entrypoints_start(struct raylet *r, const Raia__Gcs__StartEntrypoint *m);
void entrypoints_stop(struct raylet *r, const char *submission, uint32_t attempt);
void entrypoints_ack(struct raylet *r, const char *submission, uint32_t attempt);
void entrypoints_survivors(struct raylet *r, const Raia__Agent__Survivors *m);
void entrypoints_spawned(struct raylet *r, uint64_t id, int32_t pid);
void entrypoints_failed(struct raylet *r, uint64_t id, const Raia__Error *e);
void entrypoints_exited(struct raylet *r, const Raia__Agent__Exited *m);
void entrypoints_free(struct raylet *r);
/* sched_ops: what it waited for is its own. */
void entrypoints_reserved(void *arg, uint64_t id);
/* Starts those whose resources are there. */
void entrypoints_turn(struct raylet *r);
/* Fills an event; its strings live as long as `p`. */
void entrypoint_event(const struct raylet *r, const struct entrypoint *p,
                      Raia__Gcs__EntrypointEvent *ret_event, Raia__Error *ret_error);

/* ---- gcs.c, gcs_session.c, gcs_pass.c */

typedef void (*gcs_fn)(void *arg, int status, const void *data, size_t size,
                       const struct raia_error *e);
int gcs_new(struct raylet *r, const struct rpc_tls *tls, struct raia_error *e);
void gcs_free(struct raylet *r);
/* Registers; needs the address and the dead node id that the supervisor told. */
void gcs_register(struct raylet *r, const void *replaces, size_t replaces_size);
bool gcs_registered(const struct raylet *r);
/* Calls a verb ("KvPut"); fn exactly once (or never after gcs_free). -NOMEM. */
int gcs_call(struct raylet *r, const char *verb, const ProtobufCMessage *m, uint32_t timeout_ms,
             gcs_fn fn, void *arg);
int gcs_call_packed(struct raylet *r, const char *verb, const void *data, size_t size,
                    uint32_t timeout_ms, gcs_fn fn, void *arg);
struct rpc_channel *gcs_channel(struct raylet *r);
/* Says something on the session stream; lost if it is down: hello tells all. */
void gcs_session_send(struct raylet *r, const Raia__Gcs__SessionUp *m);
void gcs_session_start(struct raylet *r);
void gcs_session_free(struct raylet *r);
void gcs_entrypoint(struct raylet *r, const struct entrypoint *p);
void gcs_worker_death(struct raylet *r, const struct worker *w, int status, const char *why,
                      bool intended);
/* Resources or demand changed: reported within 100 ms. */
void gcs_report(struct raylet *r);
/* For processes. Negative: a protocol error. */
int gcs_pass_request(struct session *s, uint64_t tag, uint16_t flags, const void *data,
                     size_t size);
int gcs_pass_subscribe(struct session *s, const void *data, size_t size);
void gcs_pass_publication(struct raylet *r, const Raia__Gcs__Publication *p);
void gcs_pass_gone(struct session *s);
/* Subscribes again, after the session stream was opened anew. */
void gcs_pass_resubscribe(struct raylet *r);

/* ---- actors.c */

struct actor {
    uint8_t id[16]; /* hash key */
    uint64_t incarnation;
    uint64_t tag;   /* of sched_take */
    uint64_t lease; /* 0 until it has a worker */
    struct worker *worker;
    Raia__Gcs__Actor *spec; /* what was asked for */
    bool alive;             /* the worker said so */
    bool killed;
    struct raia_error reason;
    HASH_HANDLE hh;
};
void actors_create(struct raylet *r, const Raia__Gcs__Actor *m);
void actors_kill(struct raylet *r, const Raia__Gcs__KillActor *m);
void actors_taken(struct raylet *r, uint64_t tag, uint64_t lease, uint64_t worker, int status,
                  const char *text);
int actors_event(struct session *s, const void *data, size_t size);
/* Its worker ended. */
void actors_worker_exited(struct raylet *r, struct worker *w, int status, const char *why);
/* Messages of SessionHello; *ret_n of them, freed by the caller with actors_events_free. */
int actors_events(struct raylet *r, Raia__Gcs__ActorEvent ***ret_list, size_t *ret_n);
void actors_events_free(Raia__Gcs__ActorEvent **list, size_t n);
void actors_free(struct raylet *r);

/* ---- nodes.c: other nodes */

int nodes_new(struct raylet *r, const struct rpc_tls *tls, struct raia_error *e);
void nodes_free(struct raylet *r);
/* From the GCS. */
void nodes_changed(struct raylet *r, const Raia__Gcs__Node *m);
/* The same of a list that has dead ones: those that are known here. */
void nodes_gone(struct raylet *r, const Raia__Gcs__Node *m);
void nodes_resources(struct raylet *r, const Raia__Gcs__ResourceReport *m);
void nodes_only(struct raylet *r, Raia__Gcs__Node **list, size_t n); /* all others are dead */
bool nodes_dead(struct raylet *r, const uint8_t node[16]);
/* Sends a record to a node, opening a link if need be. 0, -LIMIT (outbox full), -UNAVAILABLE. */
int nodes_send(struct raylet *r, const uint8_t node[16], uint16_t type, const void *head,
               size_t head_size, const void *data, size_t data_size, void (*release)(void *),
               void *release_arg);
/* Ends the link to it, and all that goes over it, from the loop. */
void nodes_break(struct raylet *r, const uint8_t node[16], const char *why);
/* A process of this node died: nodes with a link to this one are told. */
void nodes_owner_gone(struct raylet *r, const struct record_address *owner);
struct links_stats;
void nodes_stats(const struct raylet *r, struct links_stats *ret_stats);

/* ---- objects.c: the store's host */

int objects_new(struct raylet *r, struct raia_error *e);
void objects_free(struct raylet *r);
int objects_session(struct session *s);
void objects_session_closed(struct session *s, bool dead);
/* A process whose session had ended before it was known to be dead. */
void objects_client_gone(struct raylet *r, uint32_t client);
int objects_record(struct session *s, const struct record_head *h, const void *payload);
int objects_link_record(struct raylet *r, const uint8_t node[16], uint16_t type, const void *head,
                        size_t head_size, const void *data, size_t data_size);
void objects_link_writable(struct raylet *r, const uint8_t node[16]);
void objects_link_broken(struct raylet *r, const uint8_t node[16]);
void objects_node_gone(struct raylet *r, const uint8_t node[16]);
void objects_owner_gone(struct raylet *r, const struct record_address *owner);
void objects_job_gone(struct raylet *r, const uint8_t job[4]);

struct store_stats;
void objects_stats(const struct raylet *r, struct store_stats *ret_stats);
struct store_object_info;
void objects_list(const struct raylet *r, void (*f)(void *arg, const struct store_object_info *o),
                  void *arg);

/* ---- listing.c */

/* Registers raia.raylet.Raylet with the rpc server, before it starts. */
int listing_serve(struct raylet *r, struct raia_error *e);
void listings_free(struct raylet *r); /* answers them: the raylet ends */
/* REC_LISTED. Negative: a protocol error. */
int listing_answered(struct session *s, uint64_t tag, const void *data, size_t size);
/* It will not answer any more. */
void listing_gone(struct session *s);

/* ---- status.c */

/* "starting", "idle", "leased", "stopping". */
const char *status_worker_state(const struct raylet *r, const struct worker *w);

/* ---- health.c: the HTTP port */

int health_new(struct raylet *r, struct raia_error *e);
void health_free(struct raylet *r);

/* ---- logs.c */

int logs_new(struct raylet *r, struct raia_error *e);
void logs_free(struct raylet *r);
void logs_worker_started(struct raylet *r, const struct worker *w, const char *out,
                         const char *err);
/* Its pid is known: its files get their names. */
void logs_worker_renamed(struct raylet *r, const struct worker *w);
void logs_worker_ended(struct raylet *r, const struct worker *w);
/* From the link: a REC_LOG for a driver here. */
int logs_link_record(struct raylet *r, const void *data, size_t size);

/* ---- status.c */

int status_new(struct raylet *r, struct raia_error *e);
void status_free(struct raylet *r);

#endif
