/*
 * Packages over HTTP, as Ray's CLI uploads working_dir: PUT /api/packages/gcs/_ray_pkg_X.zip. The
 * bytes become a package by content hash, and the pair (namespace "packages", key
 * "gcs://_ray_pkg_X.zip", value its SHA-256 in hex) says which.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/pb.h"
#include "rest/rest_impl.h"
#include "service/service.h"

#define URI_MAX 1024

struct upload {
    struct rest *rest;        /* whose; NULL: it is gone */
    struct list link;         /* in rest->uploads, while the work is under way */
    struct package_writer *w; /* what came so far */
    struct http_exchange *x;  /* to be answered, once the work is done */
    struct loop_work work;    /* puts it onto the disk */
    int result;               /* of the work */
    struct raia_error error;  /* of the work */
    char uri[URI_MAX];        /* the key */
};

static void upload_free(void *p)
{
    struct upload *u = p;

    if (!u)
        return;
    package_writer_free(u->w);
    mem_free(u);
}

static int uri_of(struct http_exchange *x, char *uri)
{
    const char *protocol = http_param(x, "protocol"), *name = http_param(x, "name");
    int n = snprintf(uri, URI_MAX, "%s://%s", protocol, name);

    return n < 0 || n >= URI_MAX || !*protocol || !*name ? -RAIA_ERR_INVALID : 0;
}

static unsigned method_of(const char *name)
{
    unsigned i = 0;

    while (i < raia__gcs__gcs__descriptor.n_methods &&
           strcmp(raia__gcs__gcs__descriptor.methods[i].name, name) != 0)
        i++;
    return i;
}

/* Sends a request to the core as an rpc would come. */
static void call(struct rest *rest, const char *method, const ProtobufCMessage *m,
                 struct http_exchange *x,
                 void (*answer)(struct http_exchange *x, const void *data, size_t size))
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *data = pb_pack(m, &size);
    struct rest_wait *wait = rest_wait_new(x, answer);

    if (!wait)
        return;
    if (!data) {
        mem_free(wait);
        http_answer_error(x, 503, "out of memory");
        return;
    }
    gcs_core_call(rest->options.core, service_now(), method_of(method), data, size, &wait->waiter);
}

static void answer_found(struct http_exchange *x, const void *data, size_t size)
{
    _cleanup_(proto_freep) Raia__Gcs__KvGetReply *reply = NULL;

    if (proto_unpack(&raia__gcs__kv_get_reply__descriptor, data, size, &reply) < 0)
        http_answer_error(x, 503, "out of memory");
    else if (reply->found)
        http_answer_text(x, 200, "it is there");
    else
        http_answer_text(x, 404, "there is no such package");
}

void rest_package_get(struct http_exchange *x, void *arg)
{
    Raia__Gcs__KvGetRequest m = RAIA__GCS__KV_GET_REQUEST__INIT;
    struct rest *rest = arg;
    char uri[URI_MAX], sha256[65];

    if (uri_of(x, uri) < 0) {
        http_answer_text(x, 400, "bad name of a package");
        return;
    }
    /* Evicted: to be uploaded once more. One that is there counts as used from now on. */
    if (gcs_core_package_of(rest->options.core, uri, sha256) &&
        !packages_touch(rest->options.packages, sha256)) {
        http_answer_text(x, 404, "there is no such package");
        return;
    }
    m.ns = (char *)(uintptr_t)GCS_PACKAGES;
    m.key = (ProtobufCBinaryData){strlen(uri), (uint8_t *)uri};
    call(arg, "KvGet", &m.base, x, answer_found);
}

/* The upload of a request, made at its first piece. */
static int upload_of(struct rest *rest, struct http_exchange *x, struct upload **ret_u,
                     struct raia_error *e)
{
    struct upload *u = http_user(x);
    int r;

    if (!u) {
        u = mem_new(struct upload);
        if (!u)
            return err_set(e, RAIA_ERR_NOMEM, "upload");
        u->rest = rest;
        r = uri_of(x, u->uri);
        if (r < 0)
            (void)err_set(e, -r, "bad name of a package");
        else
            r = package_writer_new(rest->options.packages, NULL, -1, 0644, &u->w, e);
        if (r < 0) {
            upload_free(u);
            return r;
        }
        http_set_user(x, u, upload_free);
    }
    *ret_u = u;
    return 0;
}

int rest_package_body(struct http_exchange *x, const void *data, size_t len, void *arg)
{
    struct raia_error e = {0};
    struct upload *u;
    int r = upload_of(arg, x, &u, &e);

    return r < 0 ? r : package_writer_add(u->w, data, len, &e);
}

static void answer_stored(struct http_exchange *x, const void *data, size_t size)
{
    (void)data;
    (void)size;
    http_answer_text(x, 200, "stored");
}

static void work(struct loop_work *w)
{
    struct upload *u = LOOP_OF(w, struct upload, work);

    u->result = package_writer_finish(u->w, &u->error);
}

static void work_done(struct loop_work *w, int r)
{
    struct upload *u = LOOP_OF(w, struct upload, work);
    Raia__Gcs__KvPutRequest m = RAIA__GCS__KV_PUT_REQUEST__INIT;

    if (u->rest) {
        list_del(&u->link);
        if (r < 0 || u->result < 0) {
            if (r < 0)
                (void)err_set(&u->error, -r, "upload: canceled");
            rest_answer_failure(u->x, &u->error);
        } else {
            m.ns = (char *)(uintptr_t)GCS_PACKAGES;
            m.key = (ProtobufCBinaryData){strlen(u->uri), (uint8_t *)u->uri};
            m.value = (ProtobufCBinaryData){strlen(u->w->sha256), (uint8_t *)u->w->sha256};
            m.overwrite = true;
            call(u->rest, "KvPut", &m.base, u->x, answer_stored);
        }
    } else {
        http_answer_text(u->x, 503, "the control store is shutting down");
    }
    upload_free(u);
}

void rest_package_put(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;
    struct raia_error e = {0};
    struct upload *u;

    if (upload_of(rest, x, &u, &e) < 0) { /* also makes one for an empty body */
        rest_answer_failure(x, &e);
        return;
    }
    http_set_user(x, u, NULL); /* it is the work's now */
    u->x = x;
    list_add_tail(&rest->uploads, &u->link);
    loop_work(rest->options.loop, &u->work, work, work_done);
}

void rest_uploads_forget(struct rest *rest)
{
    struct upload *u, *next;

    LIST_FOREACH_SAFE (u, next, &rest->uploads, link) {
        list_del(&u->link);
        u->rest = NULL;
    }
}
