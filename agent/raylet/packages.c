/*
 * Packages: a working_dir of "gcs://NAME" becomes a folder of this node. The GCS's table says which
 * content the name stands for, its packages have it, and it is unpacked once, beside the
 * executables.
 */
#define LOG_MODULE "raylet.packages"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "raylet/raylet.h"

#define SCHEME               "gcs://"
#define UNPACKED_BYTES_MAX   (UINT64_C(4) << 30)
#define UNPACKED_ENTRIES_MAX 200000

struct package_op {
    struct raylet *r;
    struct loop_work work;
    char *uri;
    package_fn fn;
    void *arg;
    char sha256[65];
    char *zip, *tmp, *dir;
    int status;
    struct raia_error error;
};

bool package_is(const char *working_dir)
{
    return working_dir && !strncmp(working_dir, SCHEME, strlen(SCHEME));
}

static void op_end(struct package_op *o, int status)
{
    struct raia_error *e = &o->error;

    if (status < 0 && e->code != RAIA_ERR_CANCELED) {
        bool retryable = e->retryable;

        (void)err_wrap(e, "working_dir '%.200s'", o->uri);
        e->code = RAIA_ERR_RUNTIME_ENV;
        e->retryable = retryable;
        status = -e->code;
        log_warn("a working folder could not be set up", "error=%s", LOG_Q(e->text));
    }
    if (status == 0) {
        code_touch(o->r, strrchr(o->dir, '/') + 1);
        code_trim_later(o->r);
    }
    o->fn(o->arg, status, o->dir ? o->dir : "", &o->error);
    mem_free(o->uri);
    mem_free(o->zip);
    mem_free(o->tmp);
    mem_free(o->dir);
    mem_free(o);
}

/* On a thread of the pool. */
static void unpack(struct loop_work *work)
{
    struct package_op *o = LOOP_OF(work, struct package_op, work);
    struct archive_limits limits = {.bytes = UNPACKED_BYTES_MAX, .entries = UNPACKED_ENTRIES_MAX};
    struct stat st;

    if (stat(o->dir, &st) == 0)
        return; /* by another one meanwhile */
    o->status = io_remove_tree(o->tmp, &o->error);
    if (o->status == 0)
        o->status = io_mkdir_p(o->tmp, 0700, &o->error);
    if (o->status == 0)
        o->status = archive_unpack(o->zip, o->tmp, &limits, &o->error);
    if (o->status == 0 && rename(o->tmp, o->dir) < 0 && errno != EEXIST && errno != ENOTEMPTY)
        o->status = err_errno(&o->error, errno, "rename %s", o->tmp);
    if (o->status < 0)
        (void)io_remove_tree(o->tmp, NULL);
}

static void unpacked(struct loop_work *work, int r)
{
    struct package_op *o = LOOP_OF(work, struct package_op, work);

    if (r < 0)
        o->status = err_set(&o->error, -r, "the raylet ends");
    op_end(o, o->status);
}

static void on_zip(void *arg, int status, const char *sha256, const struct raia_error *e)
{
    struct package_op *o = arg;
    static unsigned counter;

    if (status == 0) {
        o->zip = code_path(o->r, sha256);
        o->dir = mem_printf("%s/code/%s.dir", o->r->config.session_dir, sha256);
        o->tmp =
            mem_printf("%s/code/.dir-%d-%u", o->r->config.session_dir, (int)getpid(), counter++);
        if (o->zip && o->dir && o->tmp) {
            loop_work(o->r->loop, &o->work, unpack, unpacked);
            return;
        }
        status = err_set(&o->error, RAIA_ERR_NOMEM, "unpack it");
    } else {
        o->error = *e;
    }
    op_end(o, status);
}

static void on_name(void *arg, int status, const void *data, size_t size,
                    const struct raia_error *e)
{
    struct package_op *o = arg;
    Raia__Gcs__KvGetReply *m = NULL;
    int got = 0;

    if (status == 0)
        got = proto_unpack(&raia__gcs__kv_get_reply__descriptor, data, size, &m);
    if (status == 0 && m && m->found && m->value.len == 64)
        memcpy(o->sha256, m->value.data, 64);
    if (strspn(o->sha256, "0123456789abcdef") == 64) {
        code_get(o->r, o->sha256, on_zip, o);
    } else {
        if (status < 0)
            o->error = *e;
        else if (got == -RAIA_ERR_NOMEM)
            err_set(&o->error, RAIA_ERR_NOMEM, "find it");
        else
            err_set(&o->error, RAIA_ERR_RUNTIME_ENV,
                    "there is no such package: upload it with PUT /api/packages/gcs/%.100s",
                    o->uri + strlen(SCHEME));
        op_end(o, -o->error.code);
    }
    proto_free(m);
}

void package_get(struct raylet *r, const char *uri, package_fn fn, void *arg)
{
    Raia__Gcs__KvGetRequest m = RAIA__GCS__KV_GET_REQUEST__INIT;
    struct package_op *o = mem_new(struct package_op);
    struct raia_error e = {0};

    if (o) {
        o->r = r;
        o->fn = fn;
        o->arg = arg;
        m.ns = "packages";
        m.key = (ProtobufCBinaryData){strlen(uri), (uint8_t *)uri};
        o->uri = mem_strdup(uri);
        if (o->uri && gcs_call(r, "KvGet", &m.base, 30000, on_name, o) == 0)
            return;
        mem_free(o->uri);
        mem_free(o);
    }
    fn(arg, err_set(&e, RAIA_ERR_NOMEM, "get a package"), "", &e);
}
