/* The REST API's insides, shared by its files. */
#ifndef REST_REST_IMPL_H
#define REST_REST_IMPL_H

#include "base/buf.h"
#include "base/list.h"
#include "http/http_server.h"
#include "http/http_ws.h"
#include "rest/rest.h"

struct rest {
    struct rest_options options;  /* texts copied below */
    char *host;                   /* owned */
    char *token;                  /* owned; NULL: none */
    char *session_dir;            /* owned */
    struct http_server *server;   /* serves */
    struct loop_fd *server_fd;    /* drives it */
    struct rest_metrics *metrics; /* of metrics.c */
    struct list tails;            /* of log_tail.c */
    struct list uploads;          /* of upload.c: works under way */
    struct list job_waits;        /* of job_wait.c: who waits for a job's status to change */
    size_t njob_waits;            /* of them */
    struct loop_hook job_hook;    /* of job_wait.c: looks for changes */
    uint64_t job_changes;         /* of job_wait.c: up to which the waits have been looked at */
};

/* A request that the core answers; its kind says how. */
struct rest_wait {
    struct gcs_waiter waiter; /* first */
    struct http_exchange *x;  /* to be answered */
    /* Answers a success. */
    void (*answer)(struct http_exchange *x, const void *data, size_t size);
};

/* NULL: out of memory, 503 was answered. It frees itself when the core is done with it. */
struct rest_wait *rest_wait_new(struct http_exchange *x,
                                void (*answer)(struct http_exchange *x, const void *data,
                                               size_t size));
/* Plain text with the status that fits. */
void rest_answer_failure(struct http_exchange *x, const struct raia_error *e);
/* Takes the tree over, prints it, and answers 200 in line with the core's commits. */
void rest_answer_state(struct rest *rest, struct http_exchange *x, struct json *root);

/* Handlers. */
void rest_jobs_submit(struct http_exchange *x, void *arg);
void rest_jobs_list(struct http_exchange *x, void *arg);
void rest_jobs_get(struct http_exchange *x, void *arg);
void rest_jobs_stop(struct http_exchange *x, void *arg);
void rest_jobs_delete(struct http_exchange *x, void *arg);
void rest_jobs_logs(struct http_exchange *x, void *arg);
void rest_jobs_tail(struct http_exchange *x, void *arg);
void rest_package_get(struct http_exchange *x, void *arg);
int rest_package_body(struct http_exchange *x, const void *data, size_t len, void *arg);
void rest_package_put(struct http_exchange *x, void *arg);
void rest_state_list(struct http_exchange *x, void *arg);
void rest_state_summary(struct http_exchange *x, void *arg);
void rest_metrics(struct http_exchange *x, void *arg);

/* The submission that the path's {id} names. NULL: 404, or 400 for a driver that nobody submitted,
 * was answered. */
const Raia__Storage__Submission *rest_find_submission(struct rest *rest, struct http_exchange *x,
                                                      const char *verb);
/* Ray's JobDetails; either may be NULL. */
struct json *rest_job_details(struct gcs_core *core, const Raia__Storage__Submission *s,
                              const Raia__Gcs__Job *job);
/* Details of all jobs, as an array. */
struct json *rest_all_jobs(struct gcs_core *core);
/* Reads the body of a submission into `ret`, whose strings are owned (pb_free). -INVALID. */
int rest_parse_submission(const struct json *root, const char *fresh_id,
                          Raia__Storage__Submission **ret, struct raia_error *e);
/* The log file of a submission, opened: a descriptor, or negative. */
int rest_open_log(const struct rest *rest, const char *submission_id);
/* The longest beginning of `data` that does not end within a UTF-8 character. */
size_t rest_utf8_whole(const char *data, size_t len);
/* Replaces bytes that are not UTF-8 by '?'. */
void rest_utf8_mend(char *data, size_t len);
int rest_metrics_new(struct rest *rest, struct raia_error *e);
void rest_metrics_free(struct rest *rest);
void rest_tails_end(struct rest *rest);
/* Answers GET /api/jobs/{id} at once. */
void rest_jobs_answer(struct rest *rest, struct http_exchange *x);
/* Ray's word for the job's status; "" for none, "RUNNING" or "SUCCEEDED" of a driver. */
const char *rest_job_status(struct gcs_core *core, const char *id);
void rest_job_waits_end(struct rest *rest);
void rest_uploads_forget(struct rest *rest);
/* The host of "host:port" or "[v6]:port". */
void rest_host_of(const char *address, char *buf, size_t size);
/* Lower-case hex of bytes, or "" of none; buf has room for 2 * 16 + 1. */
const char *rest_hex(ProtobufCBinaryData bytes, char *buf);

#endif
