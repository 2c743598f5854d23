/*
 * Hello: who a process is, and what it gets.
 */
#define LOG_MODULE "raylet.session"
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "raylet/frame.h"
#include "raylet/raylet.h"

/* A hello that waits for the code to be stored and for a job id. */
struct hello {
    struct session *s; /* NULL: the session ended meanwhile */
    Raia__Agent__Hello *m;
    char sha256[65];
    uint8_t token[16]; /* of AddJob */
    struct list link;  /* in `parked` */
};

/* Drivers that came before this node has joined its cluster. */
static struct list parked = {&parked, &parked};

static void hello_free(struct hello *h)
{
    if (h->s)
        h->s->hello = NULL;
    list_del(&h->link);
    if (h->m)
        proto_free(h->m);
    mem_free(h);
}

void session_hello_drop(struct session *s)
{
    if (s->hello)
        s->hello->s = NULL; /* freed by the call that is under way */
    s->hello = NULL;
}

static void refuse(struct session *s, const struct raia_error *e)
{
    Raia__Agent__HelloReply m = RAIA__AGENT__HELLO_REPLY__INIT;
    Raia__Error error = RAIA__ERROR__INIT;

    log_warn("a process was refused", "pid=%d error=%s", s->pid, LOG_Q(e->text));
    error.code = e->code;
    error.text = (char *)e->text;
    error.retryable = e->retryable;
    m.error = &error;
    session_send_pb(s, REC_HELLO_REPLY, 0, &m.base, NULL, 0);
    session_end(s, "it was refused");
}

/* Rings, a name in the scheduler and the store, and the reply. */
static int accept_hello(struct session *s, const char *ns, struct raia_error *e)
{
    struct raylet *r = s->r;
    Raia__Agent__HelloReply m = RAIA__AGENT__HELLO_REPLY__INIT;
    int fds[5], got;
    int pair = session_make_rings(s, e);

    if (pair < 0)
        return pair;
    got = HASH_PUT(r->by_worker, id, s);
    if (got == 0)
        got = sched_client(r->sched, s->client, s->job);
    if (got == 0) {
        s->state = SESSION_LIVE;
        got = objects_session(s);
    }
    if (got < 0) {
        close(pair);
        return err_set(e, -got, "take in a process");
    }
    m.node_id = (ProtobufCBinaryData){16, r->node.bytes};
    m.worker_id = (ProtobufCBinaryData){16, s->id.bytes};
    m.job_id = (ProtobufCBinaryData){4, s->job};
    m.node_name = r->config.node_name;
    m.session_dir = r->config.session_dir;
    m.inline_max = r->config.inline_max;
    m.owner_bytes_max = r->config.owner_bytes_max;
    m.idle_pair_ms = (uint32_t)(r->config.idle_pair_ns / 1000000);
    m.namespace_ = (char *)ns;
    m.raylet_bit = s->bit;
    m.num_cpus = res_set_get(&sched_ledger(r->sched)->total, RES_CPU);
    fds[0] = s->page_fd;
    fds[1] = pair;
    fds[2] = r->page_fd;
    fds[3] = r->bell_fd;
    fds[4] = s->bell_fd;
    session_send_pb(s, REC_HELLO_REPLY, 0, &m.base, fds, 5);
    close(pair);
    frame_reader_limit(s->in, RECORD_SOCKET_MAX);
    log_info("process joined", "kind=%s pid=%d job=%02x%02x%02x%02x",
             s->worker ? "worker" : "driver", s->pid, s->job[0], s->job[1], s->job[2], s->job[3]);
    return 0;
}

/* ---- workers */

static int hello_worker(struct session *s, const Raia__Agent__Hello *m, struct raia_error *e)
{
    struct raylet *r = s->r;
    struct worker *w = worker_by_token(r, m->spawn_token);
    struct job *j;
    int got;

    if (!w || w->session || w->exited || w->stopping)
        return err_set(e, RAIA_ERR_PERMISSION,
                       "no worker of this node has this token: it was started by someone else, or "
                       "was given up meanwhile");
    j = job_find(r, w->job);
    if (j && j->table_hash && m->table_hash != j->table_hash)
        return err_set(
            e, RAIA_ERR_VERSION,
            "the worker registers other functions than its driver did: register the same "
            "names in the same way in both");
    s->kind = RAIA__AGENT__PROCESS_KIND__PROCESS_WORKER;
    s->id = w->id;
    s->worker = w;
    memcpy(s->job, w->job, 4);
    snprintf(s->name, sizeof s->name, "%s", m->program);
    got = accept_hello(s, m->ns, e);
    if (got < 0) {
        s->worker = NULL;
        return got;
    }
    w->session = s;
    w->registered = true;
    if (!w->pid)
        w->pid = s->pid;
    got = sched_worker_ready(r->sched, raylet_now(r), w->number, w->id.bytes);
    raylet_touch(r);
    return got < 0 ? err_set(e, -got, "the worker is not waited for any more") : 0;
}

/* ---- drivers */

static void on_job(void *arg, int status, const void *data, size_t size, const struct raia_error *e)
{
    struct hello *h = arg;
    struct session *s = h->s;
    struct raylet *r;
    Raia__Gcs__AddJobReply *reply = NULL;
    Raia__Gcs__Job set = RAIA__GCS__JOB__INIT;
    Raia__Code code = RAIA__CODE__INIT;
    struct raia_error error = {0};
    struct job *j;
    int got = -RAIA_ERR_PROTOCOL;

    if (status == 0)
        got = proto_unpack(&raia__gcs__add_job_reply__descriptor, data, size, &reply);
    if (!s || s->state != SESSION_HELLO)
        goto out;
    r = s->r;
    if (!reply || reply->job_id.len != 4) {
        if (e)
            error = *e;
        err_set(&error,
                e         ? e->code
                : got < 0 ? -got
                          : RAIA_ERR_PROTOCOL,
                "the control store gave no job id: %s",
                e                        ? e->text
                : got == -RAIA_ERR_NOMEM ? "out of memory for its reply"
                                         : "its reply makes no sense");
        refuse(s, &error);
        goto out;
    }
    memcpy(s->job, reply->job_id.data, 4);
    set.job_id = reply->job_id;
    code.sha256 = h->sha256;
    code.name = h->m->program;
    code.argv = h->m->argv;
    code.n_argv = h->m->n_argv;
    code.table_hash = h->m->table_hash;
    set.code = &code;
    set.runtime_env = h->m->runtime_env;
    j = job_get(r, s->job);
    if (!j || job_set(r, j, &set) < 0) {
        err_set(&error, RAIA_ERR_NOMEM, "take in a driver");
        refuse(s, &error);
        goto out;
    }
    j->driver = s;
    if (accept_hello(s, h->m->ns, &error) < 0) {
        refuse(s, &error);
        goto out;
    }
    if (r->config.prestart) {
        int64_t cpus = res_set_get(&sched_ledger(r->sched)->total, RES_CPU) / RES_UNIT;
        sched_prestart(r->sched, raylet_now(r), s->job, cpus > 64 ? 64 : (uint32_t)cpus);
    }
    raylet_touch(r);
out:
    if (reply)
        proto_free(reply);
    hello_free(h);
}

static void add_job(struct hello *h);

static void on_code(void *arg, int status, const char *sha256, const struct raia_error *e)
{
    struct hello *h = arg;
    struct session *s = h->s;
    if (!s || s->state != SESSION_HELLO || status < 0) {
        if (s && s->state == SESSION_HELLO)
            refuse(s, e);
        hello_free(h);
        return;
    }
    snprintf(h->sha256, sizeof h->sha256, "%s", sha256);
    if (gcs_registered(s->r))
        add_job(h);
    else
        list_add_tail(&parked, &h->link);
}

void session_hello_joined(struct raylet *r)
{
    struct list *at;

    (void)r;
    while ((at = list_pop(&parked))) {
        struct hello *h = container_of(at, struct hello, link);
        if (h->s && h->s->state == SESSION_HELLO)
            add_job(h);
        else
            hello_free(h);
    }
}

static void add_job(struct hello *h)
{
    struct session *s = h->s;
    Raia__Gcs__AddJobRequest m = RAIA__GCS__ADD_JOB_REQUEST__INIT;
    Raia__Gcs__Job job = RAIA__GCS__JOB__INIT;
    Raia__Address driver = RAIA__ADDRESS__INIT;
    Raia__Code code = RAIA__CODE__INIT;
    struct raia_error error = {0};

    driver.node_id = (ProtobufCBinaryData){16, s->r->node.bytes};
    driver.worker_id = (ProtobufCBinaryData){16, s->id.bytes};
    code.sha256 = h->sha256;
    code.name = h->m->program;
    code.argv = h->m->argv;
    code.n_argv = h->m->n_argv;
    code.table_hash = h->m->table_hash;
    job.submission_id = h->m->submission_id;
    job.driver = &driver;
    job.driver_pid = s->pid;
    job.entrypoint = h->m->program;
    job.code = &code;
    job.runtime_env = h->m->runtime_env;
    m.job = &job;
    m.token = (ProtobufCBinaryData){16, h->token};
    if (gcs_call(s->r, "AddJob", &m.base, 30000, on_job, h) < 0) {
        err_set(&error, RAIA_ERR_NOMEM, "ask for a job id");
        refuse(s, &error);
        hello_free(h);
    }
}

/* The hello, with what its runtime environment inherits from the submission that it belongs to. */
static int pack_whole(const Raia__Agent__Hello *m, uint8_t **ret_data, size_t *ret_size,
                      struct raia_error *e)
{
    Raia__Agent__Hello whole = *m;
    struct runtime_env_sum sum = {0};
    uint8_t *data;

    if (*m->job_config_json) {
        if (runtime_env_inherit(m->runtime_env, m->job_config_json, &sum, e) < 0)
            return -e->code;
        whole.runtime_env = &sum.env;
        whole.job_config_json = (char *)(uintptr_t) "";
    }
    *ret_size = raia__agent__hello__get_packed_size(&whole);
    data = mem_alloc(*ret_size + 1);
    if (data)
        raia__agent__hello__pack(&whole, data);
    runtime_env_sum_done(&sum);
    *ret_data = data;
    return data ? 0 : err_set(e, RAIA_ERR_NOMEM, "take in a driver");
}

/* Each process takes some descriptors, and each driver will want a worker: a driver that could get
 * none is refused rather than left waiting. */
static int check_descriptors(const struct raylet *r, struct raia_error *e)
{
    struct rlimit l;

    if (r->ndrivers < r->drivers_max || getrlimit(RLIMIT_NOFILE, &l) < 0)
        return 0;
    return err_set(e, RAIA_ERR_NO_FILES,
                   "node %s has too few file descriptors for another driver (its limit is %llu): "
                   "end some, or start the cluster with a larger `ulimit -n`",
                   r->config.node_name, (unsigned long long)l.rlim_cur);
}

static int hello_driver(struct session *s, const Raia__Agent__Hello *m, int fd,
                        struct raia_error *e)
{
    struct hello *h;
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *copy = NULL;

    if (check_descriptors(s->r, e) < 0) {
        close(fd);
        return -e->code;
    }
    if (pack_whole(m, &copy, &size, e) < 0) {
        close(fd);
        return -e->code;
    }
    h = mem_new(struct hello);
    if (!h || worker_id_random(&s->id, NULL) < 0 || random_fill(h->token, sizeof h->token) < 0) {
        mem_free(h);
        close(fd);
        return err_set(e, RAIA_ERR_NOMEM, "take in a driver");
    }
    if (proto_unpack(&raia__agent__hello__descriptor, copy, size, &h->m) < 0) {
        mem_free(h);
        close(fd);
        return err_set(e, RAIA_ERR_NOMEM, "take in a driver");
    }
    h->s = s;
    s->hello = h;
    s->driver = true;
    s->r->ndrivers++;
    s->kind = RAIA__AGENT__PROCESS_KIND__PROCESS_DRIVER;
    snprintf(s->name, sizeof s->name, "%s", m->program);
    code_put(s->r, fd, on_code, h);
    return 0;
}

void session_hello(struct session *s, const Raia__Agent__Hello *m, int *fds, size_t n_fds)
{
    struct raia_error e = {0};
    bool driver = m->kind == RAIA__AGENT__PROCESS_KIND__PROCESS_DRIVER;
    int got;

    session_known(s);
    if (m->protocol != RECORD_PROTOCOL)
        got = err_set(&e, RAIA_ERR_VERSION,
                      "the process speaks protocol %u, this node %u: use one version of Raia",
                      m->protocol, RECORD_PROTOCOL);
    else if (driver ? n_fds != 1 : n_fds != 0)
        got = err_set(&e, RAIA_ERR_PROTOCOL, "a hello with %zu descriptors", n_fds);
    else if (driver && m->runtime_env && *m->runtime_env->unsupported)
        got = err_set(&e, RAIA_ERR_RUNTIME_ENV,
                      "the runtime environment has keys that are not supported: %s",
                      m->runtime_env->unsupported);
    else if (driver) {
        got = hello_driver(s, m, fds[0], &e);
        n_fds = 0;
    } else {
        got = hello_worker(s, m, &e);
    }
    for (size_t i = 0; i < n_fds; i++)
        close(fds[i]);
    if (got < 0)
        refuse(s, &e);
}
