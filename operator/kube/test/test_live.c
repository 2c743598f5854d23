/*
 * The whole client over real sockets: against the model behind our own HTTP server, and against a
 * real API server where KUBECONFIG names one.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "kube/http_transport.h"
#include "kube/informer.h"
#include "kube/lease.h"
#include "kube/recorder.h"
#include "kube/sim/model_http.h"

#define DEADLINE_MS 60000
#define TOKEN       "secret-token"

/* ---- the model behind HTTP, on a thread of its own ---- */

struct serving {
    struct kube_model_http *http; /* of the model */
    pthread_t thread;             /* steps it */
    atomic_bool stop;             /* ends the thread */
};

static void *serve(void *arg)
{
    struct serving *s = arg;
    while (!atomic_load(&s->stop))
        kube_model_http_step(s->http);
    return NULL;
}

/* ---- the client ---- */

struct live {
    struct loop *loop;          /* on this thread */
    struct kube_config cfg;     /* where and who */
    struct kube_transport *t;   /* real */
    struct kube_client *c;      /* under test */
    struct kube_driver driver;  /* steps it */
    struct kube_informer *maps; /* of our label */
    char log[512];              /* its changes */
    struct kube_call call;      /* one at a time */
    struct kube_error error;    /* its end */
    char value[128];            /* of data.v in its answer */
    bool done;                  /* it has ended */
    bool leading;               /* of the lease */
};

static void on_change(void *arg, enum kube_change ch, const struct kube_object *old,
                      const struct kube_object *now)
{
    struct live *l = arg;
    size_t n = strlen(l->log);
    snprintf(l->log + n, sizeof l->log - n, "%c%s ", "ACR"[ch], (now ? now : old) -> name);
}

static void on_done(struct kube_call *call, struct json *object, const struct kube_error *error,
                    void *arg)
{
    struct live *l = arg;
    const char *v = json_str(json_at(object, "data.v"));
    (void)call;
    l->error = *error;
    snprintf(l->value, sizeof l->value, "%s", v ? v : "");
    l->done = true;
}

static void until(struct live *l, bool (*fn)(struct live *l), const char *what)
{
    int64_t deadline = clock_deadline_ms(DEADLINE_MS);
    while (!fn(l)) {
        cr_assert_lt(clock_now_ns(), deadline, "no %s in time; seen: %s", what, l->log);
        loop_run_once(l->loop, 100);
    }
}

static bool is_done(struct live *l)
{
    return l->done;
}

static enum kube_reason ask_kube(struct live *l, struct kube_ask a, const char *text)
{
    struct raia_error e = {0};
    struct json *o = NULL;
    if (text)
        cr_assert_eq(json_parse(text, strlen(text), NULL, &o, NULL), 0);
    a.object = o;
    a.target.resource = a.target.resource ? a.target.resource : &kube_config_maps;
    a.target.ns = "default";
    l->done = false;
    cr_assert_eq(kube_ask(l->c, &l->call, &a, on_done, l, &e), 0, "%s", e.text);
    json_free(o);
    until(l, is_done, "answer");
    return l->error.reason;
}

static bool synced(struct live *l)
{
    return kube_informer_synced(l->maps);
}

static bool seen_all(struct live *l)
{
    return strcmp(l->log, "Araia-a Araia-b Craia-a Rraia-b ") == 0;
}

static bool stopped(struct live *l)
{
    return kube_informer_idle(l->maps) && kube_client_idle(l->c);
}

static void on_leading(void *arg, bool leading)
{
    ((struct live *)arg)->leading = leading;
}

static bool leads(struct live *l)
{
    return l->leading;
}

static struct kube_lease *lease;
static bool released(struct live *l)
{
    (void)l;
    return kube_lease_idle(lease);
}

#define NAMED(v, n)                                                                                \
    {                                                                                              \
        .verb = v, .target = {.name = n }                                                          \
    }
#define MAP(name, v)                                                                               \
    "{\"metadata\":{\"name\":\"" name                                                              \
    "\",\"labels\":{\"raia-test\":\"live\"}},\"data\":{\"v\":\"" v "\"}}"

static void writes(struct live *l, bool real)
{
    struct kube_ask a = NAMED(KUBE_APPLY, "raia-a");
    a.field_manager = "raia-test";
    cr_assert_eq(ask_kube(l, a, MAP("raia-a", "1")), KUBE_OK, "%s", l->error.base.text);
    struct kube_ask b = NAMED(KUBE_CREATE, "raia-b");
    cr_assert_eq(ask_kube(l, b, MAP("raia-b", "1")), KUBE_OK, "%s", l->error.base.text);
    cr_assert_eq(ask_kube(l, b, MAP("raia-b", "1")), KUBE_ALREADY_EXISTS);
    struct kube_ask p = NAMED(KUBE_PATCH, "raia-a");
    cr_assert_eq(ask_kube(l, p, "{\"data\":{\"v\":\"2\"}}"), KUBE_OK);
    cr_assert_str_eq(l->value, "2");
    cr_assert_eq(
        ask_kube(l, p, "{\"metadata\":{\"resourceVersion\":\"1\"},\"data\":{\"v\":\"3\"}}"),
        KUBE_CONFLICT, "%s", l->error.base.text);
    if (real) {
        a.field_manager = "another";
        cr_assert_eq(ask_kube(l, a, MAP("raia-a", "4")), KUBE_CONFLICT,
                     "the field has another owner");
        cr_assert_gt(l->error.n_causes, 0);
        struct kube_ask pod = {.verb = KUBE_CREATE, .target = {.resource = &kube_pods}};
        cr_assert_eq(
            ask_kube(l, pod, "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"containers\":[{}]}}"),
            KUBE_INVALID);
        cr_assert_str_eq(l->error.causes[0].field, "spec.containers[0].name");
    }
    struct kube_ask g = NAMED(KUBE_GET, "raia-a");
    cr_assert_eq(ask_kube(l, g, NULL), KUBE_OK);
    cr_assert_str_eq(l->value, "2");
    struct kube_ask d = NAMED(KUBE_DELETE, "raia-b");
    d.uid = "not-its-uid";
    cr_assert_eq(ask_kube(l, d, NULL), KUBE_CONFLICT, "%s", l->error.base.text);
    d.uid = NULL;
    cr_assert_eq(ask_kube(l, d, NULL), KUBE_OK);
    cr_assert_eq(ask_kube(l, d, NULL), KUBE_NOT_FOUND);
}

static void lead(struct live *l)
{
    struct kube_lease_options o = {.ns = "default",
                                   .name = "raia-test",
                                   .identity = "live",
                                   .on_change = on_leading,
                                   .arg = l};
    cr_assert_eq(kube_lease_new(l->c, &o, &lease, NULL), 0);
    kube_lease_start(lease);
    until(l, leads, "leadership");
    kube_lease_stop(lease);
    until(l, released, "release");
    kube_lease_free(lease);
    struct kube_ask d = {.verb = KUBE_DELETE,
                         .target = {.resource = &kube_leases, .name = "raia-test"}};
    cr_assert_eq(ask_kube(l, d, NULL), KUBE_OK);
}

/* Writes are seen by an informer that lists page by page, or as a stream; everything is removed. */
static void scenario(struct live *l, bool real, bool no_streaming)
{
    struct raia_error e = {0};
    struct kube_informer_options o = {.resource = &kube_config_maps,
                                      .ns = "default",
                                      .label_selector = "raia-test=live",
                                      .on_change = on_change,
                                      .no_streaming = no_streaming,
                                      .page = 1,
                                      .arg = l};
    cr_assert_eq(loop_new(&l->loop, &e), 0, "%s", e.text);
    cr_assert_eq(kube_http_new(l->loop, &l->cfg, 0, &l->t, &e), 0, "%s", e.text);
    cr_assert_eq(kube_client_new(l->t, NULL, &l->c, &e), 0, "%s", e.text);
    kube_driver_start(&l->driver, l->loop, l->c);
    ask_kube(l, (struct kube_ask)NAMED(KUBE_DELETE, "raia-a"),
             NULL); /* of a run that was broken off */
    ask_kube(l, (struct kube_ask)NAMED(KUBE_DELETE, "raia-b"), NULL);
    l->log[0] = '\0';
    cr_assert_eq(kube_informer_new(l->c, &o, &l->maps, &e), 0, "%s", e.text);
    kube_informer_start(l->maps);
    until(l, synced, "sync");
    writes(l, real);
    until(l, seen_all, "events");
    struct kube_informer_stats st;
    kube_informer_get_stats(l->maps, &st);
    cr_assert_eq(st.failures, 0, "streaming lists are %s",
                 no_streaming ? "not asked for" : "known");
    lead(l);
    ask_kube(l, (struct kube_ask)NAMED(KUBE_DELETE, "raia-a"), NULL);
    kube_informer_stop(l->maps);
    kube_client_close(l->c);
    until(l, stopped, "end");
    kube_informer_free(l->maps);
    kube_driver_stop(&l->driver);
    kube_client_free(l->c);
    kube_transport_free(l->t);
    cr_assert_eq(loop_free(l->loop), 0);
}

/* Over our own HTTP server; the token comes from a file, and is replaced by a valid one after the
 * first refusal. */
Test(live, model, .timeout = 300)
{
    static struct serving s;
    static struct live l;
    struct kube_model *model;
    char path[] = "/tmp/kube-tokenXXXXXX", url[64];
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    kube_model_new(&model);
    kube_model_http_new(model, TOKEN, &s.http);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", kube_model_http_port(s.http));
    cr_assert_eq(pthread_create(&s.thread, NULL, serve, &s), 0);
    cr_assert_eq(io_write_file(path, "old", 3, 0600, 0, NULL), 0);
    for (int i = 0; i < 2; i++) {
        l = (struct live){.cfg = {.server = url, .token_file = path}};
        if (i == 0) {
            cr_assert_eq(loop_new(&l.loop, NULL), 0);
            cr_assert_eq(kube_http_new(l.loop, &l.cfg, 0, &l.t, NULL), 0);
            cr_assert_eq(kube_client_new(l.t, NULL, &l.c, NULL), 0);
            kube_driver_start(&l.driver, l.loop, l.c);
            cr_assert_eq(ask_kube(&l, (struct kube_ask)NAMED(KUBE_GET, "a"), NULL),
                         KUBE_UNAUTHORIZED, "%d %d %s", (int)l.error.reason, l.error.http_status,
                         l.error.base.text);
            cr_assert_null(strstr(l.error.base.text, "old"));
            cr_assert_eq(io_write_file(path, TOKEN, strlen(TOKEN), 0600, 0, NULL), 0);
            cr_assert_eq(ask_kube(&l, (struct kube_ask)NAMED(KUBE_GET, "a"), NULL), KUBE_NOT_FOUND);
            kube_driver_stop(&l.driver);
            kube_client_free(l.c);
            kube_transport_free(l.t);
            cr_assert_eq(loop_free(l.loop), 0);
        }
        scenario(&l, false, i == 0);
    }
    atomic_store(&s.stop, true);
    cr_assert_eq(pthread_join(s.thread, NULL), 0);
    kube_model_http_free(s.http);
    kube_model_free(model);
    unlink(path);
}

/* Against a real API server, with what its kubeconfig says. */
Test(live, cluster, .timeout = 300)
{
    static struct live l;
    struct raia_error e = {0};
    if (!getenv("KUBECONFIG"))
        cr_skip_test("KUBECONFIG is not set");
    for (int i = 0; i < 2; i++) {
        l = (struct live){0};
        cr_assert_eq(kube_config_find(NULL, NULL, &l.cfg, &e), 0, "%s", e.text);
        scenario(&l, true, i == 0);
        kube_config_done(&l.cfg);
    }
}
