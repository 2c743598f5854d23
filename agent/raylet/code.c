/*
 * Executables by content: code/SHA256 in the session folder, and the GCS's packages.
 *
 * A driver's executable is hashed and copied by a thread of the loop's pool, from the descriptor
 * that the driver gave (its path may be gone, or another file by now). It goes to the GCS in the
 * background, once. A node that lacks it gets it from there, tries again while it is not there yet,
 * and takes it only if its hash is right.
 */
#define LOG_MODULE "raylet.code"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "raylet/raylet.h"

#define CODE_SIZE_MAX (UINT64_C(4) << 30)
#define CHUNK         (256u << 10)
#define GET_TRIES     40
#define GET_RETRY_MS  250

struct code_op {
    struct raylet *r;
    struct loop_work work;
    struct loop_timer retry;
    struct rpc_stream *stream;
    code_fn fn; /* NULL once told */
    void *arg;
    int fd; /* put: the source, then the copy; get: the temporary file */
    char sha256[CRYPTO_SHA256_HEX_SIZE];
    char *tmp;
    uint64_t size, done; /* bytes */
    unsigned tries;
    bool ended; /* all was sent, or has come */
    bool exists;
    struct crypto_sha256 *hash;
    int status;
    struct raia_error error;
};

char *code_path(const struct raylet *r, const char *sha256)
{
    return mem_printf("%s/code/%s", r->config.session_dir, sha256);
}

static void op_free(struct code_op *o)
{
    if (o->tmp) {
        unlink(o->tmp);
        mem_free(o->tmp);
    }
    if (o->fd >= 0)
        close(o->fd);
    crypto_sha256_free(o->hash);
    loop_timer_stop(&o->retry);
    mem_free(o);
}

static void op_tell(struct code_op *o)
{
    code_fn fn = o->fn;

    o->fn = NULL;
    if (fn)
        fn(o->arg, o->status, o->sha256, &o->error);
}

static void op_end(struct code_op *o, int status)
{
    o->status = status;
    op_tell(o);
    op_free(o);
}

static struct code_op *op_new(struct raylet *r, int fd, code_fn fn, void *arg)
{
    struct code_op *o = mem_new(struct code_op);
    static unsigned counter;

    if (!o)
        return NULL;
    o->r = r;
    o->fd = fd;
    o->fn = fn;
    o->arg = arg;
    o->tmp = mem_printf("%s/code/.tmp-%d-%u", r->config.session_dir, (int)getpid(), counter++);
    if (!o->tmp) {
        mem_free(o);
        return NULL;
    }
    return o;
}

/* ---- a driver's executable: on a thread of the pool */

/* Reads the source, hashes it, and writes it to `to` unless that is negative. */
static int read_through(struct code_op *o, int to)
{
    _cleanup_(mem_freep) uint8_t *data = mem_alloc(CHUNK);
    _cleanup_(crypto_sha256_freep) struct crypto_sha256 *hash = crypto_sha256_new();
    uint8_t digest[CRYPTO_SHA256_SIZE];
    off_t at = 0;
    ssize_t n;

    if (!data || !hash)
        return err_set(&o->error, RAIA_ERR_NOMEM, "read the executable");
    while ((n = pread(o->fd, data, CHUNK, at)) != 0) {
        int got;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(&o->error, errno, "read the driver's executable");
        got = crypto_sha256_add(hash, data, (size_t)n);
        if (got == 0 && to >= 0)
            got = io_write_full(to, data, (size_t)n);
        if (got < 0)
            return err_set(&o->error, -got, "copy the driver's executable to %s: %s", o->tmp,
                           raia_strerror(got));
        at += n;
    }
    if (crypto_sha256_end(hash, digest) < 0)
        return err_set(&o->error, RAIA_ERR_INTERNAL, "hash the executable");
    crypto_hex(digest, sizeof digest, o->sha256);
    o->size = (uint64_t)at;
    return 0;
}

static void put_work(struct loop_work *work)
{
    struct code_op *o = LOOP_OF(work, struct code_op, work);
    _cleanup_(mem_freep) char *path = NULL;
    struct stat st;
    int to;

    o->status = -RAIA_ERR_INVALID;
    if (fstat(o->fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > CODE_SIZE_MAX) {
        o->status = err_set(&o->error, RAIA_ERR_INVALID,
                            "the driver's descriptor is not an executable file");
        return;
    }
    o->status = read_through(o, -1);
    if (o->status < 0)
        return;
    path = code_path(o->r, o->sha256);
    if (!path) {
        o->status = err_set(&o->error, RAIA_ERR_NOMEM, "store the executable");
        return;
    }
    if (access(path, X_OK) == 0)
        return;
    to = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (to < 0) {
        o->status = err_errno(&o->error, errno, "make %s", o->tmp);
        return;
    }
    o->status = read_through(o, to);
    if (o->status == 0 && fchmod(to, 0500) < 0)
        o->status = err_errno(&o->error, errno, "set the mode of %s", o->tmp);
    close(to);
    /* The file may have changed between the two readings: it is named by what was copied. */
    mem_free(path);
    path = code_path(o->r, o->sha256);
    if (o->status == 0 && (!path || rename(o->tmp, path) < 0))
        o->status = err_errno(&o->error, errno, "rename %s", o->tmp);
}

/* ---- to the GCS */

static void put_more(struct code_op *o)
{
    _cleanup_(mem_freep) uint8_t *data = mem_alloc(CHUNK);
    _cleanup_(mem_freep) uint8_t *packed = mem_alloc(CHUNK + 1024);

    while (!o->ended && data && packed) {
        Raia__Gcs__PackageUp m = RAIA__GCS__PACKAGE_UP__INIT;
        ssize_t n = pread(o->fd, data, CHUNK, (off_t)o->done);
        if (n > 0) {
            m.body_case = RAIA__GCS__PACKAGE_UP__BODY_CHUNK;
            m.chunk = (ProtobufCBinaryData){(size_t)n, data};
        } else {
            m.body_case = RAIA__GCS__PACKAGE_UP__BODY_END;
            m.end = 1;
        }
        if (rpc_stream_send(o->stream, packed, raia__gcs__package_up__pack(&m, packed)) < 0)
            return; /* full: again when writable; broken: on_close */
        if (n > 0) {
            o->done += (uint64_t)n;
        } else {
            o->ended = true;
            rpc_stream_half_close(o->stream);
        }
    }
}

static void put_writable(void *arg, struct rpc_stream *st)
{
    (void)st;
    put_more(arg);
}

static void put_status(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    struct code_op *o = arg;

    (void)data;
    (void)size;
    if (o->ended)
        return;
    o->ended = true; /* it is there already */
    rpc_stream_half_close(st);
}

static void put_closed(void *arg, struct rpc_stream *st, const struct raia_error *err)
{
    struct code_op *o = arg;

    (void)st;
    if (err && !(o->ended && err->code == RAIA_ERR_EXISTS))
        log_warn("an executable could not be stored in the control store", "sha256=%s error=%s",
                 o->sha256, LOG_Q(err->text));
    op_free(o);
}

static const struct rpc_stream_cbs put_cbs = {
    .on_message = put_status, .on_writable = put_writable, .on_close = put_closed};

static void put_package(struct code_op *o)
{
    Raia__Gcs__PackageUp m = RAIA__GCS__PACKAGE_UP__INIT;
    Raia__Gcs__PackageHeader h = RAIA__GCS__PACKAGE_HEADER__INIT;
    uint8_t packed[256];

    h.sha256 = o->sha256;
    h.size = o->size;
    h.mode = 0500;
    m.body_case = RAIA__GCS__PACKAGE_UP__BODY_HEADER;
    m.header = &h;
    if (!gcs_channel(o->r) || rpc_stream_open(gcs_channel(o->r), "/raia.gcs.Gcs/PutPackage", 600000,
                                              &put_cbs, o, &o->stream, &o->error) < 0) {
        log_warn("an executable could not be offered", "error=%s", LOG_Q(o->error.text));
        op_free(o);
        return;
    }
    (void)rpc_stream_send(o->stream, packed, raia__gcs__package_up__pack(&m, packed));
    put_more(o);
}

static void put_done(struct loop_work *work, int r)
{
    struct code_op *o = LOOP_OF(work, struct code_op, work);

    if (r < 0 || o->status < 0) {
        if (r < 0)
            err_set(&o->error, -r, "the raylet ends");
        op_end(o, r < 0 ? r : o->status);
        return;
    }
    code_touch(o->r, o->sha256);
    code_trim_later(o->r);
    op_tell(o);
    put_package(o);
}

void code_put(struct raylet *r, int fd, code_fn fn, void *arg)
{
    struct code_op *o = op_new(r, fd, fn, arg);
    struct raia_error e;

    if (!o) {
        close(fd);
        fn(arg, err_set(&e, RAIA_ERR_NOMEM, "store the executable"), "", &e);
        return;
    }
    loop_work(r->loop, &o->work, put_work, put_done);
}

/* ---- from the GCS */

static void get_start(struct code_op *o);

static void get_retry(struct loop_timer *t)
{
    get_start(LOOP_OF(t, struct code_op, retry));
}

static void get_message(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    struct code_op *o = arg;
    Raia__Gcs__PackageDown *m = NULL;
    int got = proto_unpack(&raia__gcs__package_down__descriptor, data, size, &m);

    if (m && m->body_case == RAIA__GCS__PACKAGE_DOWN__BODY_STATUS) {
        o->exists = m->status->exists;
        o->size = m->status->size;
        if (o->size > CODE_SIZE_MAX)
            got = -RAIA_ERR_LIMIT;
    } else if (m && m->body_case == RAIA__GCS__PACKAGE_DOWN__BODY_CHUNK) {
        o->done += m->chunk.len;
        got = crypto_sha256_add(o->hash, m->chunk.data, m->chunk.len);
        if (got == 0)
            got = io_write_full(o->fd, m->chunk.data, m->chunk.len);
    } else if (m) {
        o->ended = true;
    }
    proto_free(m);
    if (got < 0 && o->status == 0) {
        o->status = err_set(&o->error, -got, "take an executable: %s", raia_strerror(got));
        rpc_stream_cancel(st);
    }
}

/* All of it came: is it what was asked for? */
static int get_finish(struct code_op *o)
{
    uint8_t digest[CRYPTO_SHA256_SIZE];
    char hex[CRYPTO_SHA256_HEX_SIZE];
    _cleanup_(mem_freep) char *path = code_path(o->r, o->sha256);

    if (!path || crypto_sha256_end(o->hash, digest) < 0)
        return err_set(&o->error, RAIA_ERR_NOMEM, "take an executable");
    crypto_hex(digest, sizeof digest, hex);
    if (strcmp(hex, o->sha256))
        return err_set(&o->error, RAIA_ERR_PROTOCOL,
                       "the package that the control store sent has another hash");
    if (fchmod(o->fd, 0500) < 0)
        return err_errno(&o->error, errno, "set the mode of %s", o->tmp);
    close(STEAL_FD(o->fd)); /* it cannot be run while it is open for writing */
    if (rename(o->tmp, path) < 0)
        return err_errno(&o->error, errno, "rename %s", o->tmp);
    return 0;
}

static void get_closed(void *arg, struct rpc_stream *st, const struct raia_error *err)
{
    struct code_op *o = arg;

    (void)st;
    o->stream = NULL;
    if (o->status < 0) {
        op_end(o, o->status);
        return;
    }
    if (!err && o->exists && o->ended) {
        op_end(o, get_finish(o));
        return;
    }
    if (++o->tries < GET_TRIES && !o->r->stopping) {
        loop_timer_start(o->r->loop, &o->retry, GET_RETRY_MS, 0, get_retry);
        return;
    }
    if (err) {
        o->error = *err;
        err_wrap(&o->error, "get a package");
    } else {
        err_set(&o->error, RAIA_ERR_NOT_FOUND, "the control store does not have the package %s",
                o->sha256);
    }
    op_end(o, -o->error.code);
}

static const struct rpc_stream_cbs get_cbs = {.on_message = get_message, .on_close = get_closed};

static void get_start(struct code_op *o)
{
    Raia__Gcs__PackageUp m = RAIA__GCS__PACKAGE_UP__INIT;
    Raia__Gcs__PackageHeader h = RAIA__GCS__PACKAGE_HEADER__INIT;
    uint8_t packed[256];

    crypto_sha256_free(o->hash);
    o->hash = crypto_sha256_new();
    if (o->fd >= 0)
        close(o->fd);
    unlink(o->tmp);
    o->fd = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    o->exists = o->ended = false;
    o->done = 0;
    if (o->fd < 0 || !o->hash) {
        op_end(o, err_errno(&o->error, errno, "make %s", o->tmp));
        return;
    }
    if (rpc_stream_open(gcs_channel(o->r), "/raia.gcs.Gcs/GetPackage", 600000, &get_cbs, o,
                        &o->stream, &o->error) < 0) {
        op_end(o, -o->error.code);
        return;
    }
    h.sha256 = o->sha256;
    m.body_case = RAIA__GCS__PACKAGE_UP__BODY_HEADER;
    m.header = &h;
    (void)rpc_stream_send(o->stream, packed, raia__gcs__package_up__pack(&m, packed));
    rpc_stream_half_close(o->stream);
}

void code_get(struct raylet *r, const char *sha256, code_fn fn, void *arg)
{
    _cleanup_(mem_freep) char *path = code_path(r, sha256);
    struct raia_error e = {0};
    struct code_op *o;

    if (path && access(path, X_OK) == 0) {
        code_touch(r, sha256);
        fn(arg, 0, sha256, &e);
        return;
    }
    o = path ? op_new(r, -1, fn, arg) : NULL;
    if (!o) {
        fn(arg, err_set(&e, RAIA_ERR_NOMEM, "get an executable"), sha256, &e);
        return;
    }
    snprintf(o->sha256, sizeof o->sha256, "%s", sha256);
    get_start(o);
}
