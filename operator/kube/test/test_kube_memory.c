/*
 * Out of memory in the client: an error, or the same as with memory, a little later.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/test/each_alloc.h"
#include "kube/credentials.h"
#include "kube/expectations.h"
#include "kube/informer.h"
#include "kube/kubeconfig.h"
#include "kube/lease.h"
#include "kube/recorder.h"
#include "kube/workqueue.h"

/* A transport that allocates nothing: an API server with two pods, a third one in the watch, and a
 * Lease that is not there. */
struct tiny {
    struct kube_transport base;
    int64_t now;                 /* ns */
    struct kube_exchange *x[16]; /* in flight */
    int what[16];                /* of each: index in answers */
    bool canceled[16];           /* of each */
};

#define ITEM(name, rv)                                                                             \
    "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"" name "\",\"resourceVersion\":\"" rv "\"}}"

static const struct answer {
    const char *method, *part;
    int status;
    const char *body;
} answers[] = {
    {"GET", "watch=1", 200, "{\"type\":\"ADDED\",\"object\":" ITEM("c", "3") "}\n"},
    {"GET", "/leases/", 404, "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"code\":404}"},
    {"GET", "/pods/", 200, ITEM("a", "1")},
    {"GET", "/pods", 200,
     "{\"metadata\":{\"resourceVersion\":\"2\"},\"items\":[" ITEM("a", "1") "," ITEM("b",
                                                                                     "2") "]}"},
    {"POST", "", 201, ITEM("x", "5")},
    {"PUT", "", 200, ITEM("x", "6")},
    {"PATCH", "", 200, ITEM("x", "7")},
    {"DELETE", "", 200, "{}"},
    {"GET", "", 200, "{}"},
};

static int tiny_start(struct kube_transport *t, struct kube_exchange *x,
                      const struct kube_request *rq, struct raia_error *e)
{
    struct tiny *n = (struct tiny *)t;

    (void)e;
    for (int i = 0; i < 16; i++) {
        if (n->x[i])
            continue;
        n->what[i] = 0;
        while (strcmp(answers[n->what[i]].method, rq->method) != 0 ||
               !strstr(rq->target, answers[n->what[i]].part))
            n->what[i]++;
        n->x[i] = x;
        n->canceled[i] = false;
        x->impl = n;
        return 0;
    }
    return -RAIA_ERR_LIMIT;
}

static void tiny_cancel(struct kube_transport *t, struct kube_exchange *x)
{
    struct tiny *n = (struct tiny *)t;

    for (int i = 0; i < 16; i++)
        n->canceled[i] = n->canceled[i] || (x->impl && n->x[i] == x);
}

static int64_t tiny_now(struct kube_transport *t)
{
    return ((struct tiny *)t)->now;
}

static int64_t tiny_unix_ms(struct kube_transport *t)
{
    return ((struct tiny *)t)->now / CLOCK_NS_PER_MS;
}

static const struct kube_transport_ops tiny_ops = {tiny_start, tiny_cancel, tiny_now, tiny_unix_ms,
                                                   NULL};

/* Answers what is in flight; else time goes on to the client's next step. */
static void tiny_step(struct tiny *n, struct kube_client *c)
{
    bool any = false;

    for (int i = 0; i < 16; i++) {
        struct kube_exchange *x = n->x[i];
        const struct answer *a = &answers[n->what[i]];
        struct kube_reply reply = {.status = a->status};
        struct raia_error e = {0};

        if (!x)
            continue;
        any = true;
        n->x[i] = NULL;
        x->impl = NULL;
        if (n->canceled[i])
            e.code = RAIA_ERR_CANCELED;
        else if (x->data && a->status < 300)
            e.code = (enum raia_err) - x->data(x, a->body, strlen(a->body));
        else
            reply.body = a->body, reply.body_len = strlen(a->body);
        x->done(x, &reply, &e);
    }
    if (!any) {
        int64_t next = kube_client_next(c);
        if (next != CLOCK_NEVER && next > n->now)
            n->now = next;
    }
    kube_client_step(c);
}

static struct tiny tiny;

static int open_client(struct kube_client **ret)
{
    struct raia_error e;

    tiny = (struct tiny){.base.ops = &tiny_ops, .now = CLOCK_NS_PER_S};
    return kube_client_new(&tiny.base, NULL, ret, &e);
}

static int n_done, worst;

static void on_done(struct kube_call *call, struct json *object, const struct kube_error *error,
                    void *arg)
{
    (void)call, (void)object, (void)arg;
    worst = error->base.code ? -(int)error->base.code : worst;
    n_done++;
}

static int step_ask(void *arg)
{
    static const enum kube_verb verbs[] = {KUBE_GET, KUBE_CREATE, KUBE_APPLY, KUBE_DELETE};
    struct kube_call calls[5] = {0};
    struct kube_client *c = NULL;
    struct raia_error e;
    int started = 0, r = open_client(&c);

    if (r < 0)
        return r;
    n_done = worst = 0;
    for (int i = 0; i < 5; i++) {
        struct kube_ask a = {.target = {.resource = &kube_pods, .ns = "n", .name = "a"},
                             .object = arg,
                             .field_manager = "op",
                             .uid = "u"};
        a.verb = verbs[i % 4];
        int s = i < 4 ? kube_ask(c, &calls[i], &a, on_done, NULL, &e)
                      : kube_ask_path(c, &calls[i], "/version", on_done, NULL, &e);
        started += s == 0;
        r = s < 0 ? s : r;
    }
    for (int i = 0; i < 1000 && n_done < started; i++)
        tiny_step(&tiny, c);
    cr_assert_eq(n_done, started, "a request was never answered");
    kube_client_close(c);
    kube_client_step(c);
    cr_assert(kube_client_idle(c));
    kube_client_free(c);
    return r < 0 ? r : worst;
}

/* Each request is answered once; what could not be started says so. */
Test(kube_memory, asks)
{
    struct json *o = NULL;
    cr_assert_eq(json_parse(ITEM("a", "1"), strlen(ITEM("a", "1")), NULL, &o, NULL), 0);
    cr_assert_geq(each_alloc(step_ask, o), 10);
    json_free(o);
}

static bool has(const struct kube_informer *i, const char *name)
{
    return kube_store_get(kube_informer_store(i), NULL, name) != NULL;
}

static int step_informer(void *arg)
{
    struct kube_informer_options o = {.resource = &kube_pods, .no_streaming = true};
    struct kube_informer *inf = NULL;
    struct kube_client *c = NULL;
    struct raia_error e;
    int r = open_client(&c);

    (void)arg;
    if (r == 0)
        r = kube_informer_new(c, &o, &inf, &e);
    if (r == 0) {
        kube_informer_start(inf);
        for (int i = 0; i < 1000 && !(has(inf, "a") && has(inf, "b") && has(inf, "c")); i++)
            tiny_step(&tiny, c);
        cr_assert(has(inf, "a") && has(inf, "b") && has(inf, "c"), "something was never seen");
        kube_informer_stop(inf);
        for (int i = 0; i < 1000 && !kube_informer_idle(inf); i++)
            tiny_step(&tiny, c);
        cr_assert(kube_informer_idle(inf));
    }
    kube_informer_free(inf);
    kube_client_free(c);
    return r;
}

/* An informer's store is complete in the end, whatever failed on the way. */
Test(kube_memory, informer)
{
    cr_assert_geq(each_alloc(step_informer, NULL), 2);
}

static int step_lease(void *arg)
{
    struct kube_lease_options o = {.ns = "sys", .name = "op", .identity = "me"};
    struct kube_lease *l = NULL;
    struct kube_client *c = NULL;
    struct raia_error e;
    int r = open_client(&c);

    (void)arg;
    if (r == 0)
        r = kube_lease_new(c, &o, &l, &e);
    if (r == 0) {
        kube_lease_start(l);
        for (int i = 0; i < 1000 && !kube_lease_held(l); i++)
            tiny_step(&tiny, c);
        cr_assert(kube_lease_held(l), "it never leads");
        kube_lease_stop(l);
        for (int i = 0; i < 1000 && !kube_lease_idle(l); i++)
            tiny_step(&tiny, c);
        cr_assert(kube_lease_idle(l));
    }
    kube_lease_free(l);
    kube_client_free(c);
    return r;
}

/* A candidate leads in the end. */
Test(kube_memory, lease)
{
    cr_assert_geq(each_alloc(step_lease, NULL), 2);
}

static int step_recorder(void *arg)
{
    struct kube_about about = {.resource = &kube_pods, .ns = "n", .name = "a", .uid = "u"};
    struct kube_recorder_stats st;
    struct kube_recorder *rec = NULL;
    struct kube_client *c = NULL;
    int r = open_client(&c);

    (void)arg;
    if (r == 0)
        r = kube_recorder_new(c, "op", "host", &rec, NULL);
    if (r == 0) {
        kube_recorder_event(rec, &about, KUBE_WARNING, "Failed", "for %s", "a reason");
        kube_recorder_event(rec, &about, KUBE_WARNING, "Failed", "for %s", "a reason");
        for (int i = 0; i < 100; i++)
            tiny_step(&tiny, c);
        kube_recorder_get_stats(rec, &st);
        r = st.sent > 0 ? 0 : -RAIA_ERR_NOMEM;
        kube_recorder_stop(rec);
        for (int i = 0; i < 1000 && !kube_recorder_idle(rec); i++)
            tiny_step(&tiny, c);
    }
    kube_recorder_free(rec);
    kube_client_free(c);
    return r;
}

/* Events are sent or dropped. */
Test(kube_memory, recorder)
{
    cr_assert_geq(each_alloc(step_recorder, NULL), 4);
}

static int step_queue(void *arg)
{
    struct kube_expect *x = NULL;
    struct kube_queue *q = NULL;
    int r = kube_queue_new(NULL, &q);

    (void)arg;
    if (r == 0)
        r = kube_expect_new(0, &x);
    if (r == 0)
        r = kube_queue_add(q, "n/a", 1);
    if (r == 0)
        r = kube_queue_add_at(q, "n/b", 10, 1);
    if (r == 0) {
        const char *key = kube_queue_get(q, 1);
        cr_assert_str_eq(key, "n/a");
        r = kube_queue_retry(q, key, 1);
        kube_queue_done(q, key, 1);
    }
    if (r == 0)
        r = kube_expect_create(x, "n/a", "pod", 1);
    if (r == 0)
        r = kube_expect_delete(x, "n/a", "uid", 1);
    kube_expect_free(x);
    kube_queue_free(q);
    return r;
}

/* Queue and expectations. */
Test(kube_memory, queue)
{
    cr_assert_geq(each_alloc(step_queue, NULL), 6);
}

#define CONFIG                                                                                     \
    "apiVersion: v1\nkind: Config\ncurrent-context: one\n"                                         \
    "contexts:\n- {name: one, context: {cluster: c, user: u, namespace: team}}\n"                  \
    "clusters: [{name: c, cluster: {server: 'https://h:6443', certificate-authority-data: "        \
    "Y2E=}}]\nusers:\n- {name: u, user: {tokenFile: tok}}\n"

static int step_config(void *arg)
{
    struct kube_credential_texts texts;
    struct kube_credentials k;
    struct kube_config cfg = {0};
    struct raia_error e;
    int r = kube_config_load(arg, NULL, &cfg, &e);

    if (r == 0) {
        kube_credentials_init(&k, &cfg);
        r = kube_credentials_get(&k, CLOCK_NS_PER_S, &texts, &e);
        cr_assert(r < 0 || strcmp(texts.token, "secret") == 0);
        kube_credentials_done(&k);
    }
    kube_config_done(&cfg);
    return r;
}

/* Configuration and credentials. */
Test(kube_memory, config)
{
    char dir[] = "/tmp/raia-test-kube-XXXXXX", path[64], token[64];
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/config", dir);
    snprintf(token, sizeof token, "%s/tok", dir);
    cr_assert_eq(io_write_file(path, CONFIG, strlen(CONFIG), 0600, 0, NULL), 0);
    cr_assert_eq(io_write_file(token, "secret\n", 7, 0600, 0, NULL), 0);
    cr_assert_geq(each_alloc(step_config, path), 10);
    (void)io_remove_tree(dir, NULL);
}
