/*
 * Jobs: what their workers run, and their end.
 */
#define LOG_MODULE "raylet.jobs"
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "raylet/raylet.h"

#define ENDED_MAX 256 /* ended jobs that are remembered */

struct job *job_find(struct raylet *r, const uint8_t id[4])
{
    uint8_t key[4];

    memcpy(key, id, 4);
    return HASH_GET(r->jobs, id, &key);
}

struct job *job_get(struct raylet *r, const uint8_t id[4])
{
    struct job *j = job_find(r, id);

    if (j)
        return j;
    j = mem_new(struct job);
    if (!j)
        return NULL;
    memcpy(j->id, id, 4);
    if (HASH_PUT(r->jobs, id, j) < 0) {
        mem_free(j);
        return NULL;
    }
    return j;
}

static void strings_free(char **list)
{
    for (char **p = list; p && *p; p++)
        mem_free(*p);
    mem_free(list);
}

static void job_free(struct raylet *r, struct job *j)
{
    HASH_DEL(r->jobs, j);
    mem_free(j->program);
    mem_free(j->working_dir);
    strings_free(j->argv);
    strings_free(j->env);
    mem_free(j);
}

void jobs_free(struct raylet *r)
{
    struct job *j, *next;

    HASH_FOREACH (r->jobs, j, next)
        job_free(r, j);
}

static char **argv_copy(char **list, size_t n)
{
    char **copy = mem_calloc(n + 1, sizeof *copy);

    for (size_t i = 0; copy && i < n; i++) {
        copy[i] = mem_strdup(list[i]);
        if (!copy[i]) {
            strings_free(copy);
            return NULL;
        }
    }
    return copy;
}

static char **env_copy(const Raia__RuntimeEnv *env)
{
    size_t n = env ? env->n_env_vars : 0;
    char **copy = mem_calloc(2 * n + 1, sizeof *copy);

    for (size_t i = 0; copy && i < n; i++) {
        copy[2 * i] = mem_strdup(env->env_vars[i]->name);
        if (copy[2 * i])
            copy[2 * i + 1] = mem_strdup(env->env_vars[i]->value);
        if (!copy[2 * i] || !copy[2 * i + 1]) {
            strings_free(copy);
            return NULL;
        }
    }
    return copy;
}

int job_set(struct raylet *r, struct job *j, const Raia__Gcs__Job *m)
{
    const Raia__RuntimeEnv *env = m->runtime_env;

    (void)r;
    if (!m->code || strlen(m->code->sha256) != 64)
        return -RAIA_ERR_PROTOCOL;
    strings_free(j->argv);
    strings_free(j->env);
    mem_free(j->program);
    mem_free(j->working_dir);
    memcpy(j->sha256, m->code->sha256, 65);
    j->program = mem_strdup(m->code->name);
    j->argv = argv_copy(m->code->argv, m->code->n_argv);
    j->env = env_copy(env);
    j->working_dir = env && *env->working_dir ? mem_strdup(env->working_dir) : NULL;
    j->table_hash = m->code->table_hash;
    if (m->driver && m->driver->node_id.len == 16 && m->driver->worker_id.len == 16) {
        memcpy(j->driver_node, m->driver->node_id.data, 16);
        memcpy(j->driver_worker, m->driver->worker_id.data, 16);
    }
    if (!j->program || !j->argv || !j->env || (env && *env->working_dir && !j->working_dir))
        return -RAIA_ERR_NOMEM;
    j->known = true;
    return 0;
}

/* What a callback needs to find its job again. */
struct asked {
    struct raylet *r;
    uint8_t id[4];
};

static void job_failed(struct raylet *r, struct job *j, const struct raia_error *e)
{
    j->code = CODE_FAILED;
    j->error = *e;
    raylet_touch(r);
}

/* The working_dir is a folder of this node now: that was all that was missing. */
static void on_dir(void *arg, int status, const char *dir, const struct raia_error *e)
{
    struct asked *a = arg;
    struct job *j = job_find(a->r, a->id);
    char *copy = status == 0 ? mem_strdup(dir) : NULL;

    if (j && copy) {
        mem_free(j->working_dir);
        j->working_dir = STEAL(copy);
        j->code = CODE_READY;
    } else if (j) {
        struct raia_error none = {0};
        err_set(&none, RAIA_ERR_NOMEM, "get the working_dir");
        job_failed(a->r, j, status < 0 ? e : &none);
    }
    mem_free(copy);
    raylet_touch(a->r);
    mem_free(a);
}

static void on_code(void *arg, int status, const char *sha256, const struct raia_error *e)
{
    struct asked *a = arg;
    struct job *j = job_find(a->r, a->id);

    (void)sha256;
    if (j && status == 0 && package_is(j->working_dir)) {
        package_get(a->r, j->working_dir, on_dir, a);
        return;
    }
    if (j && status < 0)
        job_failed(a->r, j, e);
    else if (j)
        j->code = CODE_READY;
    raylet_touch(a->r);
    mem_free(a);
}

static void on_got(void *arg, int status, const void *data, size_t size, const struct raia_error *e)
{
    struct asked *a = arg;
    struct job *j = job_find(a->r, a->id);
    Raia__Gcs__GetJobReply *m = NULL;
    struct raia_error error = {0};
    int got = 0;

    if (status == 0)
        got = proto_unpack(&raia__gcs__get_job_reply__descriptor, data, size, &m);
    if (j) {
        j->asked = false;
        if (status < 0)
            error = *e;
        else if (got == -RAIA_ERR_NOMEM)
            err_set(&error, RAIA_ERR_NOMEM, "out of memory for the control store's account of it");
        else if (!m || !m->found || (m->job->dead && !j->keep))
            err_set(&error, RAIA_ERR_NOT_FOUND, "the job has ended, or is not known");
        else if (job_set(a->r, j, m->job) < 0)
            err_set(&error, RAIA_ERR_PROTOCOL, "the control store's account of the job is no use");
        if (error.code)
            job_failed(a->r, j, &error);
    }
    raylet_touch(a->r);
    proto_free(m);
    mem_free(a);
}

void job_prepare(struct raylet *r, struct job *j)
{
    struct asked *a;
    struct raia_error e = {0};

    if (j->asked || j->code == CODE_FETCHING || (j->known && j->code == CODE_READY))
        return;
    a = mem_new(struct asked);
    if (!a) {
        err_set(&e, RAIA_ERR_NOMEM, "prepare a job");
        job_failed(r, j, &e);
        return;
    }
    a->r = r;
    memcpy(a->id, j->id, 4);
    if (j->known) {
        j->code = CODE_FETCHING;
        code_get(r, j->sha256, on_code, a);
    } else {
        Raia__Gcs__GetJobRequest m = RAIA__GCS__GET_JOB_REQUEST__INIT;
        m.job_id = (ProtobufCBinaryData){4, j->id};
        j->asked = true;
        if (gcs_call(r, "GetJob", &m.base, 10000, on_got, a) < 0) {
            j->asked = false;
            mem_free(a);
            err_set(&e, RAIA_ERR_NOMEM, "ask for a job");
            job_failed(r, j, &e);
        }
    }
}

/* ---- the end of a driver, for the GCS */

static void tell(struct raylet *r, struct job *j);

static void on_told(void *arg, int status, const void *data, size_t size,
                    const struct raia_error *e)
{
    struct asked *a = arg;
    struct job *j = job_find(a->r, a->id);

    (void)data, (void)size, (void)e;
    if (j) {
        j->telling = false;
        j->finishing = status < 0;
        if (status == -RAIA_ERR_TIMEOUT)
            tell(a->r, j); /* else the next session does it */
    }
    mem_free(a);
}

static void tell(struct raylet *r, struct job *j)
{
    Raia__Gcs__FinishJobRequest m = RAIA__GCS__FINISH_JOB_REQUEST__INIT;
    struct asked *a;

    if (j->telling)
        return;
    a = mem_new(struct asked);
    if (!a)
        return;
    a->r = r;
    memcpy(a->id, j->id, 4);
    m.job_id = (ProtobufCBinaryData){4, j->id};
    j->telling = true;
    if (gcs_call(r, "FinishJob", &m.base, 60000, on_told, a) < 0) {
        j->telling = false;
        mem_free(a);
    }
}

void job_finish(struct raylet *r, const uint8_t id[4])
{
    struct job *j = job_get(r, id);

    if (!j)
        return; /* the hello of the next session lacks it */
    j->finishing = true;
    tell(r, j);
}

void jobs_finish(struct raylet *r)
{
    struct job *j, *next;

    HASH_FOREACH (r->jobs, j, next)
        if (j->finishing)
            tell(r, j);
}

/* Ended jobs are remembered for a while, so that what comes late is refused. */
static void trim(struct raylet *r)
{
    struct job *j, *next;
    size_t ended = 0;

    HASH_FOREACH (r->jobs, j, next)
        ended += j->ended && !j->keep && !j->finishing;
    HASH_FOREACH (r->jobs, j, next)
        if (ended > ENDED_MAX && j->ended && !j->keep && !j->finishing && !j->asked &&
            j->code != CODE_FETCHING) {
            job_free(r, j);
            ended--;
        }
}

void job_ended(struct raylet *r, const uint8_t id[4])
{
    struct job *j = job_find(r, id);
    uint8_t key[4];

    memcpy(key, id, 4);
    if (j && j->ended)
        return;
    log_info("job ended", "job=%02x%02x%02x%02x", key[0], key[1], key[2], key[3]);
    if (j)
        j->ended = true;
    sched_job_ended(r->sched, raylet_now(r), key);
    if (!j || !j->keep)
        objects_job_gone(r, key);
    trim(r);
    code_trim_later(r);
    raylet_touch(r);
}
