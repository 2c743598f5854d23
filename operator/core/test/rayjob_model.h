/*
 * A world for the RayJob reconciler, without an API server: the RayJob and what it owns as trees; the
 * RayCluster and Job controllers, submitters and Ray heads as simple models; time and chance.
 *
 *     struct model *w = model_new(seed, "{\"entrypoint\":\"x\",...}");
 *     model_run(w, 60000);                       // or: model_plan(w), model_apply(w), by hand
 *     cr_assert_str_eq(model_status(w, "jobDeploymentStatus"), "Complete");
 *     model_free(w);
 *
 * A breach of what must always hold is kept in w->broken (its first one). Memory that runs out aborts.
 */
#ifndef CORE_TEST_RAYJOB_MODEL_H
#define CORE_TEST_RAYJOB_MODEL_H

#include "base/prng.h"
#include "core/config.h"
#include "core/reconciler.h"

#define MODEL_OBJECTS 24
#define MODEL_CALLS   32
#define MODEL_RUNS    8
#define MODEL_MS      INT64_C(1000000)

/* One execution of an entrypoint on one head. */
struct model_run {
    char id[64];      /* submission id */
    unsigned epoch;   /* of the head that ran it */
    int64_t start_ms; /* unix time */
    int64_t end_at;   /* ns: when it ends */
    bool stopped;     /* before its end */
    int64_t stop_at;  /* ns */
    bool fails;       /* its exit status is 1 */
};

/* The pod of a Job, or the sidecar. */
struct model_submitter {
    int64_t begins_at; /* ns: when it runs; 0: not before the head does */
    bool knows;        /* it saw the job at the head */
    int64_t away;      /* ns: since when the head is away; 0 */
    unsigned failures; /* exits with 75 so far */
    int64_t told_at;   /* ns: its exit is seen by the API server then; 0: it runs */
    int exit;          /* its exit status, then */
};

struct model_object {
    enum seen_kind kind;               /* what */
    bool used;                         /* this place is taken */
    struct json *tree;                 /* all of it */
    struct kube_object meta;           /* its texts are in the tree */
    int64_t gone_at;                   /* ns: deleted, and gone then; 0: not deleted */
    int64_t ready_at;                  /* ns: clusters: `ready` then */
    bool head_up;                      /* clusters: the head answers */
    int64_t head_back_at;              /* ns: a lost head is there again */
    unsigned epoch;                    /* clusters: of the head; its job table is empty at first */
    bool head_was_lost;                /* clusters: ever, since a job ran there */
    int64_t cut_until;                 /* ns: clusters: the operator cannot reach it */
    struct model_run runs[MODEL_RUNS]; /* clusters: executions ever */
    size_t n_runs;                     /* how many */
    struct model_submitter sub;        /* Jobs */
};

struct model_call {
    bool used;        /* this place is taken */
    uint64_t tag;     /* of the action */
    char method[8];   /* GET, POST */
    char url[400];    /* whole */
    char *body;       /* owned; NULL */
    int64_t begins;   /* ns: it reaches the head */
    int64_t deadline; /* ns: the operator gives up */
    int64_t waits;    /* ns: a long poll is answered then */
    char known[16];   /* of a long poll */
    bool arrived;     /* at the head */
    bool no_answer;   /* which is lost */
    bool dead;        /* whose operator is gone */
};

struct model {
    struct prng prng;                     /* chance */
    int64_t now;                          /* ns, monotonic */
    struct operator_config config;        /* of the reconciler */
    struct reconciler *r;                 /* tested */
    void *memory;                         /* the reconciler's */
    struct json *job;                     /* the RayJob; NULL: gone */
    struct kube_object job_meta;          /* its texts are in the tree */
    struct model_object o[MODEL_OBJECTS]; /* what it owns */
    struct model_call calls[MODEL_CALLS]; /* under way */
    struct plan *p;                       /* made, not carried out */
    struct kube_error failure;            /* for the next look */
    const char *failed;                   /* likewise; NULL: none */
    bool dirty;                           /* something changed */
    int64_t again;                        /* ns: look again */
    unsigned serial;                      /* of uids */
    unsigned looks, writes, restarts;     /* how many */
    double crash;                         /* chance that the operator dies in a plan */
    double lose;                          /* chance that an answer is lost */
    bool chaos;                           /* heads and submitters are lost, networks cut */
    bool by_hand;                         /* no model acts: tests say what happens */
    bool no_long_poll;                    /* the heads are Ray's own */
    double fail_rate;                     /* chance that an entrypoint fails */
    int64_t run_ms;                       /* how long entrypoints run, at most */
    uint64_t fail_nth;                    /* allocation of the next look that fails; 0: none */
    uint64_t allocations;                 /* of the last look */
    unsigned suspends;                    /* how often it was suspended */
    char events[2048];                    /* reasons, each with a space behind it */
    char broken[512];                     /* what does not hold; "" */
};

struct model *model_new(uint64_t seed, const char *spec);
void model_free(struct model *w);

/* One look: w->p is the plan. */
void model_plan(struct model *w);
/* Carries w->p out: its first `actions` actions, and its status if there were no more. */
void model_apply(struct model *w, unsigned actions);
void model_step(struct model *w); /* both */
/* Lets time pass, everything act, and the operator look when it would. */
void model_run(struct model *w, int64_t ms);
/* The operator dies: what it remembers and asked is gone. */
void model_restart(struct model *w);

/* The only object of a kind that is not deleted; NULL: none. */
struct model_object *model_object(struct model *w, enum seen_kind kind);
const char *model_status(const struct model *w, const char *path); /* "" if there is none */
int64_t model_count(const struct model *w, const char *path);      /* -1 if there is none */
void model_set(struct json *root, const char *path, const char *json_text);
void model_spec(struct model *w, const char *key, const char *json_text); /* a user's change */
void model_broken(struct model *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- by hand ---- */

void model_cluster_ready(struct model *w);
/* A call of that method whose URL contains `part` is under way; NULL: none. */
struct model_call *model_find_call(struct model *w, const char *method, const char *part);
/* Answers it, which must be there. */
void model_answer(struct model *w, const char *method, const char *part, int http,
                  const char *body);
void model_job_condition(struct model *w, const char *type, const char *reason);

/* ---- rayjob_model_env.c ---- */

void model_environment(struct model *w); /* everything but the operator acts */
void model_check(struct model *w);       /* what must always hold */
/* The status changes to `now`. */
void model_check_status(struct model *w, const struct json *was, const struct json *now);

#endif
