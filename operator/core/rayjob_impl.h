/*
 * The RayJob reconciler's insides, shared by its files.
 *
 * One pass looks at one RayJob: rayjob.c makes it, the functions of the other files read it and add
 * to its plan and its status. An error (out of memory) stays in pass.r and makes all that follows do
 * nothing.
 */
#ifndef OPERATOR_RAYJOB_IMPL_H
#define OPERATOR_RAYJOB_IMPL_H

#include "api/rayjob.h"
#include "core/config.h"
#include "core/rayjob.h"

/* status.jobDeploymentStatus. */
enum rayjob_state {
    RAYJOB_NEW,
    RAYJOB_INITIALIZING,
    RAYJOB_WAITING,
    RAYJOB_RUNNING,
    RAYJOB_COMPLETE,
    RAYJOB_FAILED,
    RAYJOB_INVALID,
    RAYJOB_SUSPENDING,
    RAYJOB_SUSPENDED,
    RAYJOB_RETRYING,
    RAYJOB_STATES
};

#define RAYJOB_ID_MAX 256
#define RAYJOB_NOTES  "raia" /* of the status: what the operator notes for itself, of one attempt */

/* What the head said of the Ray job last. */
enum rayjob_found {
    RAYJOB_UNASKED,    /* nothing yet */
    RAYJOB_FOUND,      /* it is there: see the members below */
    RAYJOB_ABSENT,     /* 404 */
    RAYJOB_UNREACHABLE /* no answer, or one that says nothing */
};

/* What may be lost: all of it is about one attempt, forgotten when another begins. */
struct rayjob_memory {
    uint64_t attempt; /* a hash of its names; tags of its calls contain it */

    enum rayjob_found found; /* the last answer */
    int64_t found_at;        /* ns: when it came */
    int64_t absent_since;    /* ns: the first ABSENT in a row; 0: not absent */
    int64_t silent_since;    /* ns: the first UNREACHABLE in a row; 0: it answers */
    char status[16];         /* FOUND: PENDING, RUNNING, ... */
    char message[1024];      /* FOUND: the job's; UNREACHABLE, refused: why */
    int64_t start_ms;        /* FOUND: unix time; 0: not yet */
    int64_t end_ms;          /* FOUND: unix time; 0: not yet */

    int64_t polled_at;     /* ns: when the last request for it began; 0: none yet */
    bool polling;          /* ... and it is under way */
    bool waiting;          /* ... and counted in rayjobs.waiting */
    bool counted;          /* in rayjobs.polled */
    char polled[16];       /* the status that it said was known */
    int64_t probed_at;     /* ns: when the last request without a wait began */
    int64_t submitted_at;  /* ns: when the last submission began; 0: none */
    bool submitting;       /* ... and it is under way */
    bool refused;          /* the head refused the submission for good: message */
    int64_t submitter_end; /* ns: the submitter was first seen to have ended; 0 */
    char head[64];         /* UID of the head pod that has the job; "": not known */
    int64_t head_lost_at;  /* ns: when it was first seen to go, or gone; 0: it is there */
    bool head_gone;        /* it is gone, and what it knew with it */
    char node[254];        /* of the submitter's pod */
    char node_since[40];   /* when it stopped being ready, as the server tells it */
    int64_t node_down_at;  /* ns: when that was first seen; 0: it is ready */
    int64_t stopped_at;    /* ns: when the last request to stop began; 0: none */
    bool stopped;          /* one of them was answered */
    unsigned stops;        /* how many there were */

    bool made_cluster;   /* created, and the event about it is owed */
    bool made_submitter; /* likewise */
    bool said_no_rule;   /* that no deletion rule fits */
};

/* The batch Job or the container that submits. */
struct rayjob_submitter {
    bool there;            /* it exists */
    bool finished;         /* it will not run again */
    bool failed;           /* finished, and not with success */
    bool own;              /* it runs our program, whose exit status is the job's */
    bool told;             /* own, failed, and by the job's exit status (not by being lost) */
    int64_t finished_ms;   /* unix time */
    const char *reason;    /* of the failure; never NULL */
    const char *message;   /* of the failure; never NULL */
    int64_t exit_code;     /* of the container; -1: not known */
    const char *container; /* its name */
};

/* The reconciler: what all RayJobs share. */
struct rayjobs {
    struct reconciler base; /* first */
    unsigned waiting;       /* requests that heads may hold back, under way */
    unsigned polled;        /* RayJobs whose state is asked for */
};

struct rayjob_pass {
    struct rayjobs *all;                  /* what they share */
    const struct operator_config *config; /* the operator's */
    const struct seen *s;                 /* what is there */
    const struct ray_job *job;            /* the object */
    struct rayjob_memory *m;              /* of this attempt */
    struct plan *p;                       /* what will be done */
    struct json *status;                  /* the new status, being made; owned */
    enum rayjob_state state;              /* as the status says */
    const struct seen_object *cluster;    /* the one that the status names; NULL: not there */
    struct ray_cluster *view;             /* of it; NULL likewise, or it cannot be read; owned */
    int r;                                /* sticky */
    struct raia_error *e;                 /* of r */
};

/* ---- rayjob_status.c: the status, and the moves between states ---- */

const char *rayjob_state_name(enum rayjob_state state);
enum rayjob_state rayjob_state_of(const struct json *status);
/* A text of the status; "" if there is none. */
const char *rayjob_get(const struct rayjob_pass *x, const char *key);
void rayjob_put(struct rayjob_pass *x, const char *key, const char *value); /* "": removes it */
void rayjob_put_time(struct rayjob_pass *x, const char *key, int64_t unix_ms);
/* Unix ms of a time in the status (a path); 0: none. */
int64_t rayjob_time(const struct rayjob_pass *x, const char *path);
int64_t rayjob_wall_ms(const struct rayjob_pass *x);
/* PENDING or RUNNING, or nothing yet. */
bool rayjob_status_ended(const char *status);
/* To another state; times, counters, and the retry that backoffLimit grants. */
void rayjob_move(struct rayjob_pass *x, enum rayjob_state state);
void rayjob_fail(struct rayjob_pass *x, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The names of the attempt that begins. */
void rayjob_begin(struct rayjob_pass *x);
/* All that is about the attempt that ended. */
void rayjob_clear(struct rayjob_pass *x);
/* status.rayClusterStatus as the cluster's is now. */
void rayjob_copy_cluster_status(struct rayjob_pass *x);
/* What the head said last, into the status. */
void rayjob_copy_job_status(struct rayjob_pass *x);
/* Not in the state that the status says, but to be looked at again then (unix ms). */
void rayjob_again_ms(struct rayjob_pass *x, int64_t unix_ms);
/* "2026-11-22 18:00:00 +0000 UTC" of a time in the status, as KubeRay's messages have it. */
const char *rayjob_time_text(const struct rayjob_pass *x, const char *key, char *buf, size_t size);

/* A count of seconds since the attempt began: one of the two deadlines has passed, and it has
 * failed. */
bool rayjob_is_late(struct rayjob_pass *x, int64_t seconds, const char *reason, const char *field,
                    const char *name);
/* activeDeadlineSeconds. */
bool rayjob_late_to_end(struct rayjob_pass *x);

/* ---- rayjob_run.c: Running ---- */

void rayjob_running(struct rayjob_pass *x);

/* ---- rayjob_head.c: the head pod that has the job ---- */

/* Looks what has become of it, and notes in the status which it is. */
void rayjob_head_look(struct rayjob_pass *x);
/* The job was lost with it. Whoever may have seen the end just before has a little time to tell. */
bool rayjob_head_lost(struct rayjob_pass *x, const struct rayjob_submitter *sub);

/* ---- rayjob_cluster.c: the RayCluster, and the service beside it ---- */

/* The seen cluster that the status names. */
void rayjob_find_cluster(struct rayjob_pass *x);
void rayjob_create_cluster(struct rayjob_pass *x);
/* RayClusters of ours that the status does not name go. */
void rayjob_drop_strays(struct rayjob_pass *x);
bool rayjob_cluster_ready(const struct rayjob_pass *x);
/* The pod of the head is gone for good, as the cluster's status says. */
bool rayjob_head_gone(const struct rayjob_pass *x);
/* HOST:PORT of a cluster's job API. mem_free. */
char *rayjob_address(const struct rayjob_pass *x, const struct ray_cluster *c);
/* The secret with its token; NULL: it has none. */
const char *rayjob_token_secret(const struct rayjob_pass *x, const struct ray_cluster *c);
/* RAYJOB-head-svc, which follows the attempts. */
void rayjob_service(struct rayjob_pass *x);

/* ---- submitter.c: who submits ---- */

bool rayjob_has_submitter(const struct rayjob_pass *x);
void rayjob_submitter_state(const struct rayjob_pass *x, struct rayjob_submitter *ret);
/* Creates the Job of this attempt unless it is there; false: it is not (yet). */
bool rayjob_submitter_ensure(struct rayjob_pass *x);
/* Its node is lost: the Job goes, to be made again. */
void rayjob_submitter_drop(struct rayjob_pass *x);
/* Adds the container to a head's pod template. */
int rayjob_sidecar(const struct rayjob_pass *x, const char *cluster, struct json *template_node,
                   struct raia_error *e);

/* ---- rayjob_node.c ---- */

/* The node of the Job's pod is not ready for as long as a node may be. If not yet, plans to look again
 * in time. */
bool rayjob_submitter_lost(struct rayjob_pass *x);

/* ---- rayjob_rest.c: the job API ---- */

/* It is forgotten: what it counts for among all is taken back. */
void rayjob_memory_clear(struct rayjobs *all, struct rayjob_memory *m);
/* A new attempt's memory is empty. */
void rayjob_memory_of(struct rayjob_pass *x, void **memory);
/* Asks for the state of the Ray job if it is time to. */
void rayjob_poll(struct rayjob_pass *x);
/* Asks for it at once, once each RAYJOB_POLL_NS, whatever else is asked. */
void rayjob_probe(struct rayjob_pass *x);
void rayjob_submit(struct rayjob_pass *x);
/* True: it was stopped, or there is nothing left to try. */
bool rayjob_stop(struct rayjob_pass *x);
void rayjob_answered(struct reconciler *r, void **memory, const struct plan_answer *a);
/* The body of a submission. mem_free; NULL: no memory. */
char *rayjob_submission(const struct ray_job *job, const char *id);

/* ---- rayjob_delete.c: what goes when all is over ---- */

/* Deletes cluster and submitter; true: nothing of them is left. */
bool rayjob_release(struct rayjob_pass *x);
void rayjob_ended(struct rayjob_pass *x);
/* The RayJob itself is being deleted. */
void rayjob_deleting(struct rayjob_pass *x);

#endif
