/* The streams PutPackage and GetPackage. */
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "core/pb.h"
#include "service/service_impl.h"

#define CHUNK (256u << 10)

/* ---- put ---- */

struct put {
    struct service *service;  /* whose */
    struct rpc_stream *st;    /* NULL once it is closed or finished */
    struct package_writer *w; /* NULL before the header */
    struct loop_work work;    /* finishes on the pool */
    bool working;             /* it is under way */
    bool closed;              /* the stream is gone: free when the work is done */
    int result;               /* of the work */
    struct raia_error error;  /* of the work */
};

static void put_free(struct put *x)
{
    package_writer_free(x->w);
    mem_free(x);
}

static void put_end(struct put *x, const struct raia_error *e)
{
    struct rpc_stream *st = STEAL(x->st);

    if (st)
        rpc_stream_finish(st, e);
}

static void send_status(struct rpc_stream *st, uint64_t size, uint32_t mode, bool exists,
                        struct raia_error *e)
{
    Raia__Gcs__PackageDown down = RAIA__GCS__PACKAGE_DOWN__INIT;
    Raia__Gcs__PackageStatus status = RAIA__GCS__PACKAGE_STATUS__INIT;
    _cleanup_(mem_freep) uint8_t *data = NULL;
    size_t packed = 0;
    int r;

    status.exists = exists;
    status.size = size;
    status.mode = mode;
    down.body_case = RAIA__GCS__PACKAGE_DOWN__BODY_STATUS;
    down.status = &status;
    data = pb_pack(&down.base, &packed);
    r = data ? rpc_stream_send(st, data, packed) : -RAIA_ERR_NOMEM;
    if (r < 0)
        (void)err_set(e, -r, "package: cannot answer");
}

static void put_header(struct put *x, const Raia__Gcs__PackageHeader *h)
{
    struct raia_error e = {0};
    uint64_t size = 0;
    mode_t mode = 0;
    int fd = packages_read(x->service->options.packages, h->sha256, &size, &mode);

    if (fd >= 0) {
        close(fd);
        send_status(x->st, size, mode, true, &e);
        put_end(x, e.code ? &e : NULL);
        return;
    }
    if (h->size > INT64_MAX)
        (void)err_set(&e, RAIA_ERR_LIMIT, "put package: too large");
    else
        (void)package_writer_new(x->service->options.packages, h->sha256, (int64_t)h->size, h->mode,
                                 &x->w, &e);
    if (e.code)
        put_end(x, &e);
}

static void finish_work(struct loop_work *work)
{
    struct put *x = LOOP_OF(work, struct put, work);

    x->result = package_writer_finish(x->w, &x->error);
}

static void finish_done(struct loop_work *work, int r)
{
    struct put *x = LOOP_OF(work, struct put, work);
    struct raia_error e = {0};

    x->working = false;
    if (x->closed) {
        put_free(x);
        return;
    }
    if (r < 0 || x->result < 0) {
        if (r < 0)
            (void)err_set(&x->error, -r, "put package: canceled");
        put_end(x, &x->error);
        return;
    }
    if (x->st)
        send_status(x->st, x->w->written, x->w->mode, true, &e);
    put_end(x, e.code ? &e : NULL);
}

static void put_message(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    struct put *x = arg;
    _cleanup_(pb_freep) Raia__Gcs__PackageUp *up = NULL;
    struct raia_error e = {0};

    (void)st;
    if (!x->st || x->working)
        return; /* the answer is on its way */
    if (proto_unpack(&raia__gcs__package_up__descriptor, data, size, &up) == -RAIA_ERR_NOMEM) {
        (void)err_set(&e, RAIA_ERR_NOMEM, "put package: out of memory");
        put_end(x, &e);
        return;
    }
    if (up && up->body_case == RAIA__GCS__PACKAGE_UP__BODY_HEADER && !x->w) {
        put_header(x, up->header);
    } else if (up && up->body_case == RAIA__GCS__PACKAGE_UP__BODY_CHUNK && x->w) {
        if (package_writer_add(x->w, up->chunk.data, up->chunk.len, &e) < 0)
            put_end(x, &e);
    } else if (up && up->body_case == RAIA__GCS__PACKAGE_UP__BODY_END && x->w) {
        x->working = true;
        loop_work(x->service->options.loop, &x->work, finish_work, finish_done);
    } else {
        (void)err_set(&e, RAIA_ERR_PROTOCOL,
                      "put package: a header, then chunks, then the end were expected");
        put_end(x, &e);
    }
}

static void put_half_close(void *arg, struct rpc_stream *st)
{
    struct put *x = arg;
    struct raia_error e = {0};

    (void)st;
    if (!x->st || x->working)
        return;
    (void)err_set(&e, RAIA_ERR_PROTOCOL, "put package: it ended in the middle");
    put_end(x, &e);
}

static void put_close(void *arg, struct rpc_stream *st, const struct raia_error *e)
{
    struct put *x = arg;

    (void)st;
    (void)e;
    x->st = NULL;
    x->closed = true;
    if (!x->working)
        put_free(x);
}

static const struct rpc_stream_cbs put_callbacks = {
    .on_message = put_message, .on_half_close = put_half_close, .on_close = put_close};

int package_put_open__(void *arg, struct rpc_stream *st, struct raia_error *e)
{
    struct put *x = mem_new(struct put);

    if (!x)
        return err_set(e, RAIA_ERR_NOMEM, "put package");
    x->service = arg;
    x->st = st;
    rpc_stream_bind(st, &put_callbacks, x);
    return 0;
}

/* ---- get ---- */

struct get {
    struct service *service; /* whose */
    int fd;                  /* the package; -1: none yet */
    bool finished;           /* the stream's end was sent */
    size_t ready;            /* bytes in chunk that were refused by a full stream */
    uint8_t chunk[CHUNK];    /* what is sent next */
};

/* Sends a chunk, or the end (size 0). */
static int send_chunk(struct rpc_stream *st, uint8_t *chunk, size_t size)
{
    Raia__Gcs__PackageDown down = RAIA__GCS__PACKAGE_DOWN__INIT;
    _cleanup_(mem_freep) uint8_t *data = NULL;
    size_t packed = 0;

    if (size) {
        down.body_case = RAIA__GCS__PACKAGE_DOWN__BODY_CHUNK;
        down.chunk = (ProtobufCBinaryData){size, chunk};
    } else {
        down.body_case = RAIA__GCS__PACKAGE_DOWN__BODY_END;
        down.end = true;
    }
    data = pb_pack(&down.base, &packed);
    return data ? rpc_stream_send(st, data, packed) : -RAIA_ERR_NOMEM;
}

/* Sends until the stream is full (on_writable goes on) or the file ends. */
static void get_pump(struct get *x, struct rpc_stream *st)
{
    struct raia_error e = {0};
    bool ended = false;
    int r = 0;

    if (x->fd < 0 || x->finished)
        return;
    while (r == 0 && !ended) {
        if (x->ready == 0)
            r = io_read_full(x->fd, x->chunk, CHUNK, &x->ready);
        if (r < 0)
            break;
        ended = x->ready == 0;
        r = send_chunk(st, x->chunk, x->ready);
        if (r == 0)
            x->ready = 0;
    }
    if (r == -RAIA_ERR_LIMIT)
        return;
    if (r < 0)
        (void)err_set(&e, -r, "get package: %s", raia_strerror(r));
    x->finished = true;
    rpc_stream_finish(st, r < 0 ? &e : NULL);
}

static void get_message(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    struct get *x = arg;
    _cleanup_(pb_freep) Raia__Gcs__PackageUp *up = NULL;
    struct raia_error e = {0};
    uint64_t bytes = 0;
    mode_t mode = 0;

    if (x->finished || x->fd >= 0)
        return;
    if (proto_unpack(&raia__gcs__package_up__descriptor, data, size, &up) == -RAIA_ERR_NOMEM) {
        (void)err_set(&e, RAIA_ERR_NOMEM, "get package: out of memory");
    } else if (!up || up->body_case != RAIA__GCS__PACKAGE_UP__BODY_HEADER) {
        (void)err_set(&e, RAIA_ERR_PROTOCOL, "get package: a header was expected");
    } else {
        x->fd = packages_read(x->service->options.packages, up->header->sha256, &bytes, &mode);
        if (x->fd < 0 && x->fd != -RAIA_ERR_NOT_FOUND)
            (void)err_set(&e, -x->fd, "get package: %s", raia_strerror(x->fd));
        if (!e.code)
            send_status(st, bytes, mode, x->fd >= 0, &e);
    }
    if (e.code || x->fd < 0) {
        x->finished = true;
        rpc_stream_finish(st, e.code ? &e : NULL);
        return;
    }
    get_pump(x, st);
}

static void get_writable(void *arg, struct rpc_stream *st)
{
    get_pump(arg, st);
}

static void get_close(void *arg, struct rpc_stream *st, const struct raia_error *e)
{
    struct get *x = arg;

    (void)st;
    (void)e;
    if (x->fd >= 0)
        close(x->fd);
    mem_free(x);
}

static void get_half_close(void *arg, struct rpc_stream *st)
{
    struct get *x = arg;

    if (x->fd < 0 && !x->finished) {
        x->finished = true;
        rpc_stream_finish(st, NULL);
    }
}

static const struct rpc_stream_cbs get_callbacks = {.on_message = get_message,
                                                    .on_writable = get_writable,
                                                    .on_half_close = get_half_close,
                                                    .on_close = get_close};

int package_get_open__(void *arg, struct rpc_stream *st, struct raia_error *e)
{
    struct get *x = mem_new(struct get);

    if (!x)
        return err_set(e, RAIA_ERR_NOMEM, "get package");
    x->service = arg;
    x->fd = -1;
    rpc_stream_bind(st, &get_callbacks, x);
    return 0;
}
