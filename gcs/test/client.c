/* A raia-gcs process and a client, for tests. */
#include "test/client.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"

#define PATIENCE_MS 60000

static bool read_ports(struct gcs_process *p)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/gcs.json", p->dir);
    _cleanup_(mem_freep) char *text = NULL;
    int port, dashboard, pid;

    if (io_read_file(path, 4096, &text, NULL, NULL) < 0 ||
        sscanf(text, "{\"port\":%d,\"dashboard_port\":%d,\"pid\":%d}", &port, &dashboard, &pid) !=
            3 ||
        pid != p->child.pid)
        return false;
    p->port = port;
    p->dashboard_port = dashboard;
    return true;
}

void gcs_process_start(struct gcs_process *p, const char *const *more)
{
    int64_t deadline = clock_deadline_ms(PATIENCE_MS);
    struct raia_error e = {0};
    const char *argv[32] = {RAIA_GCS_PROGRAM};
    int n = 1;

    if (!p->dir[0]) {
        strcpy(p->dir, "/tmp/raia-gcs-XXXXXX");
        cr_assert(mkdtemp(p->dir));
    }
    _cleanup_(mem_freep) char *dir = mem_printf("--session-dir=%s", p->dir);
    _cleanup_(mem_freep) char *port = mem_printf("--port=%d", p->port);
    _cleanup_(mem_freep) char *dashboard = mem_printf("--dashboard-port=%d", p->dashboard_port);

    argv[n++] = dir;
    argv[n++] = port;
    argv[n++] = dashboard;
    for (; more && *more; more++)
        argv[n++] = *more;
    struct proc_spec spec = {.argv = argv};

    cr_assert_eq(proc_spawn(&spec, &p->child, &e), 0, "%s", e.text);
    while (!read_ports(p)) {
        int status;

        cr_assert(clock_now_ns() < deadline, "gcs.json comes");
        cr_assert_eq(proc_wait(&p->child, clock_deadline_ms(10), &status), -RAIA_ERR_TIMEOUT,
                     "raia-gcs runs");
    }
}

void gcs_process_kill(struct gcs_process *p)
{
    proc_kill(&p->child);
}

int gcs_process_wait(struct gcs_process *p)
{
    int status = -1;

    cr_assert_eq(proc_wait(&p->child, clock_deadline_ms(PATIENCE_MS), &status), 0, "it ends");
    return status;
}

int gcs_process_term(struct gcs_process *p)
{
    cr_assert_eq(kill(p->child.pid, SIGTERM), 0);
    return gcs_process_wait(p);
}

void gcs_process_done(struct gcs_process *p)
{
    proc_kill(&p->child);
    cr_assert_eq(io_remove_tree(p->dir, NULL), 0);
}

const uint8_t *gcs_id(uint8_t byte)
{
    static uint8_t ids[256][16];

    memset(ids[byte], byte, 16);
    return ids[byte];
}

void gcs_client_open(struct gcs_client *c, int port)
{
    struct rpc_channel_opts opts = {.wait_for_ready = true};
    struct raia_error e = {0};
    char target[32];

    *c = (struct gcs_client){0};
    snprintf(target, sizeof target, "127.0.0.1:%d", port);
    cr_assert_eq(loop_new(&c->loop, &e), 0, "%s", e.text);
    cr_assert_eq(rpc_channel_new(c->loop, target, &opts, &c->ch, &e), 0, "%s", e.text);
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

void gcs_client_close(struct gcs_client *c)
{
    rpc_channel_close(c->ch, on_closed, &c->closed);
    while (!c->closed)
        (void)loop_run_once(c->loop, 100);
    for (size_t i = 0; i < c->n_down; i++)
        pb_free(&c->down[i]->base);
    cr_assert_eq(loop_free(c->loop), 0);
}

struct call {
    struct rpc_call call; /* first */
    bool done;            /* the callback came */
    int r;                /* its result */
    void *data;           /* the reply's bytes */
    size_t size;          /* how many */
    struct raia_error e;  /* when it failed */
};

static void on_reply(struct rpc_call *call, int r, const void *data, size_t size,
                     const struct raia_error *e)
{
    struct call *x = (struct call *)(void *)call;

    x->done = true;
    x->r = r;
    if (r < 0) {
        x->e = *e;
    } else {
        x->data = mem_alloc(size + 1);
        memcpy(x->data, data, size);
        x->size = size;
    }
}

void *gcs_client_call(struct gcs_client *c, const char *method, const ProtobufCMessage *request)
{
    const ProtobufCMethodDescriptor *m =
        protobuf_c_service_descriptor_get_method_by_name(&raia__gcs__gcs__descriptor, method);
    _cleanup_(mem_freep) char *name = mem_printf("/raia.gcs.Gcs/%s", method);
    _cleanup_(mem_freep) uint8_t *data = NULL;
    struct call x = {0};
    size_t size = 0;
    void *reply;

    cr_assert(m, "there is a method %s", method);
    data = pb_pack(request, &size);
    rpc_call(c->ch, &x.call, name, data, size, PATIENCE_MS, on_reply);
    while (!x.done)
        (void)loop_run_once(c->loop, 100);
    if (x.r < 0) {
        c->error = x.e;
        return NULL;
    }
    reply = pb_unpack(m->output, x.data, x.size);
    mem_free(x.data);
    cr_assert(reply, "the reply of %s is well formed", method);
    return reply;
}

static void on_down(void *arg, struct rpc_stream *st, const void *data, size_t size)
{
    struct gcs_client *c = arg;

    (void)st;
    cr_assert_lt(c->n_down, GCS_DOWN_MAX);
    c->down[c->n_down] = pb_unpack(&raia__gcs__session_down__descriptor, data, size);
    cr_assert(c->down[c->n_down]);
    c->n_down++;
}

static void on_end(void *arg, struct rpc_stream *st, const struct raia_error *e)
{
    struct gcs_client *c = arg;

    (void)st;
    c->session = NULL;
    c->session_ended = true;
    if (e)
        c->error = *e;
}

static const struct rpc_stream_cbs callbacks = {.on_message = on_down, .on_close = on_end};

void gcs_client_up(struct gcs_client *c, const Raia__Gcs__SessionUp *up)
{
    size_t size = 0;
    _cleanup_(mem_freep) uint8_t *data = pb_pack(&up->base, &size);

    cr_assert_eq(rpc_stream_send(c->session, data, size), 0);
}

void gcs_client_hello(struct gcs_client *c, const Raia__Gcs__SessionHello *hello)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;
    struct raia_error e = {0};

    cr_assert_eq(rpc_stream_open(c->ch, "/raia.gcs.Gcs/Session", 0, &callbacks, c, &c->session, &e),
                 0, "%s", e.text);
    up.body_case = RAIA__GCS__SESSION_UP__BODY_HELLO;
    up.hello = (Raia__Gcs__SessionHello *)(uintptr_t)hello;
    gcs_client_up(c, &up);
}

Raia__Gcs__SessionDown *gcs_client_down(struct gcs_client *c, Raia__Gcs__SessionDown__BodyCase kind,
                                        size_t n)
{
    int64_t deadline = clock_deadline_ms(PATIENCE_MS);

    for (;;) {
        size_t seen = 0;

        for (size_t i = 0; i < c->n_down; i++) {
            if (c->down[i]->body_case == kind && seen++ == n)
                return c->down[i];
        }
        cr_assert(!c->session_ended, "the session goes on: %s", c->error.text);
        cr_assert(clock_now_ns() < deadline, "a message of kind %d comes", (int)kind);
        (void)loop_run_once(c->loop, 100);
    }
}

void gcs_client_register(struct gcs_client *c, uint8_t byte, bool head, const char *replaces)
{
    Raia__Gcs__RegisterNodeRequest m = RAIA__GCS__REGISTER_NODE_REQUEST__INIT;
    Raia__Gcs__Node node = RAIA__GCS__NODE__INIT;
    Raia__Gcs__RegisterNodeReply *reply;
    char name[16];

    snprintf(name, sizeof name, "node-%u", byte);
    node.node_id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)gcs_id(byte)};
    node.name = name;
    node.address = (char *)(uintptr_t) "127.0.0.1:1";
    node.hostname = (char *)(uintptr_t) "here";
    node.is_head = head;
    m.node = &node;
    if (replaces)
        m.replaces = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)replaces};
    reply = gcs_client_call(c, "RegisterNode", &m.base);
    cr_assert(reply, "%s", c->error.text);
    cr_assert_gt(reply->lease_ms, 0);
    pb_free(&reply->base);
}
