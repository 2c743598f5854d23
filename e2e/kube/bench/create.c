/*
 * bench-create: makes many RayClusters at once, or some one after the other, and tells by watches how
 * long it took until their pods were there and they were ready. One line of JSON.
 *
 *     bench-create many N CLUSTER.json              an operator makes the rest
 *     bench-create many N CLUSTER.json REST.json    it makes the rest itself: the floor
 *     bench-create one COUNT CLUSTER.json           one after the other: medians
 *
 * CLUSTER.json is a RayCluster rc-0000 of 5 pods, with its namespace; REST.json {"PLURAL": [objects]},
 * all that an operator made for it. In their texts rc-0000 becomes rc-NNNN, and UID_0 the cluster's uid. The API
 * server is that of $KUBECONFIG.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/http_transport.h"
#include "kube/informer.h"

#define NAME_0       "rc-0000"
#define UID_0        "00000000-0000-0000-0000-000000000000"
#define PODS         5 /* of a cluster */
#define PARALLEL     24
#define LIMIT_S      1500
#define ONE_LIMIT_S  120
#define ONE_PAUSE_MS 300
#define CLUSTERS_MAX 9999
#define TICK_MS      10000

static const struct kube_resource clusters = {"ray.io", "v1", "rayclusters", "RayCluster", false};
static const struct kube_resource *const kinds[] = {&kube_services, &kube_secrets, &kube_pods};
static const char *const pod_fields[] = {"status.conditions.type", "status.conditions.status"};
static const char *const cluster_fields[] = {"status.state"};

struct bench;

/* A cluster being made. */
struct slot {
    struct bench *b;       /* whose */
    struct kube_call call; /* of the RayCluster */
    unsigned number;       /* of it */
    unsigned pending;      /* requests for the rest under way */
};

/* One request for one of the rest. */
struct rest {
    struct slot *slot;     /* of this cluster */
    struct kube_call call; /* the request */
};

struct bench {
    struct loop *loop;                   /* all of it runs here */
    struct kube_config cfg;              /* where and who */
    struct kube_transport *transport;    /* to the API server */
    struct kube_client *client;          /* creates */
    struct kube_client *watcher;         /* watches */
    struct kube_driver drivers[2];       /* of the two */
    struct kube_informer *pods, *owners; /* what is there */
    struct loop_timer tick, pause;       /* looks at the deadline; next one */
    char *cluster, *rest;                /* texts; rest NULL: an operator makes it */
    char *ns;                            /* of all */
    struct slot slots[PARALLEL];         /* clusters being made */
    unsigned n, next, made;              /* clusters: wanted, begun, made with all of their rest */
    unsigned n_pods, n_pods_ready;       /* seen */
    unsigned n_ready;                    /* clusters seen ready */
    int64_t began, limit;                /* ns */
    int64_t t_made, t_pods, t_pods_ready, t_ready; /* ns since began; 0: not yet */
    bool one;                                      /* one after the other */
    double *pods_ms, *ready_ms;                    /* of each, when one after the other */
    int failed;                                    /* exit status */
};

static void next_cluster(struct slot *s);

static void die(struct bench *b, const char *what, const char *why)
{
    fprintf(stderr, "bench-create: %s: %s\n", what, why);
    b->failed = 1;
    loop_stop(b->loop);
}

/* ---- making ---- */

/* The text with number and uid in, as a tree. */
static struct json *fill(struct bench *b, const char *text, unsigned number, const char *uid)
{
    _cleanup_(mem_freep) char *copy = mem_strdup(text);
    struct raia_error e = {0};
    struct json *tree = NULL;
    char name[sizeof NAME_0];
    snprintf(name, sizeof name, "rc-%04u", number);
    for (char *at = copy; at && (at = strstr(at, NAME_0)); at += sizeof NAME_0 - 1)
        memcpy(at, name, sizeof NAME_0 - 1);
    for (char *at = copy; at && uid && (at = strstr(at, UID_0)); at += sizeof UID_0 - 1)
        memcpy(at, uid, sizeof UID_0 - 1);
    if (!copy || json_parse(copy, strlen(copy), NULL, &tree, &e) < 0)
        die(b, "the object", e.text);
    return tree;
}

static void done_with(struct slot *s)
{
    struct bench *b = s->b;
    if (++b->made == b->n)
        b->t_made = clock_now_ns() - b->began;
    if (!b->one)
        next_cluster(s);
}

static void on_rest(struct kube_call *call, struct json *object, const struct kube_error *error,
                    void *arg)
{
    struct rest *x = arg;
    struct slot *s = x->slot;
    (void)call, (void)object;
    if (error->base.code)
        die(s->b, "create", error->base.text);
    mem_free(x);
    if (--s->pending == 0)
        done_with(s);
}

static void make_rest(struct slot *s, const char *uid)
{
    struct bench *b = s->b;
    struct raia_error e = {0};
    _cleanup_(json_freep) struct json *all = fill(b, b->rest, s->number, uid);
    s->pending = 1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        JSON_FOREACH(o, json_get(all, kinds[i]->plural))
        {
            struct rest *x = mem_new(struct rest);
            struct kube_ask ask = {.verb = KUBE_CREATE, .target = {kinds[i], b->ns}, .object = o};
            if (!x || kube_ask(b->client, &x->call, &ask, on_rest, x, &e) < 0) {
                mem_free(x);
                die(b, "create", e.text);
                return;
            }
            x->slot = s;
            s->pending++;
        }
    if (--s->pending == 0)
        done_with(s);
}

static void on_cluster(struct kube_call *call, struct json *object, const struct kube_error *error,
                       void *arg)
{
    struct slot *s = arg;
    const char *uid = json_str(json_at(object, "metadata.uid"));
    (void)call;
    if (error->base.code || !uid)
        die(s->b, "create", error->base.text);
    else if (s->b->rest)
        make_rest(s, uid);
    else
        done_with(s);
}

static void next_cluster(struct slot *s)
{
    struct bench *b = s->b;
    struct raia_error e = {0};
    if (b->next == b->n)
        return;
    s->number = b->next++;
    _cleanup_(json_freep) struct json *o = fill(b, b->cluster, s->number, NULL);
    struct kube_ask ask = {.verb = KUBE_CREATE, .target = {&clusters, b->ns}, .object = o};
    s->call = (struct kube_call){0};
    if (kube_ask(b->client, &s->call, &ask, on_cluster, s, &e) < 0)
        die(b, "create", e.text);
}

/* ---- seeing ---- */

static bool is_ready(const struct kube_object *o, bool pod)
{
    _cleanup_(json_freep) struct json *tree = NULL;
    if (!o || kube_object_tree(o, &tree, NULL) < 0)
        return false;
    const char *state = json_str(json_at(tree, "status.state"));
    if (!pod)
        return state && strcmp(state, "ready") == 0;
    JSON_FOREACH(c, json_at(tree, "status.conditions"))
    {
        const char *type = json_str(json_get(c, "type")), *is = json_str(json_get(c, "status"));
        if (type && is && strcmp(type, "Ready") == 0)
            return strcmp(is, "True") == 0;
    }
    return false;
}

static void one_more(struct loop_timer *t)
{
    struct bench *b = LOOP_OF(t, struct bench, pause);
    b->t_pods = b->t_ready = 0;
    b->began = clock_now_ns();
    b->limit = b->began + ONE_LIMIT_S * CLOCK_NS_PER_S;
    next_cluster(&b->slots[0]);
}

/* One after the other: the times of this one, and then the next. */
static void note_one(struct bench *b)
{
    int64_t now = clock_now_ns() - b->began;
    if (!b->t_pods && b->n_pods >= b->next * PODS)
        b->t_pods = now;
    if (b->t_ready || b->n_ready < b->next)
        return;
    b->t_ready = now;
    b->pods_ms[b->next - 1] = (double)b->t_pods / 1e6;
    b->ready_ms[b->next - 1] = (double)b->t_ready / 1e6;
    if (b->next == b->n)
        loop_stop(b->loop);
    else
        loop_timer_start(b->loop, &b->pause, ONE_PAUSE_MS, 0, one_more);
}

static void note(struct bench *b)
{
    int64_t now = clock_now_ns() - b->began;
    if (b->one) {
        note_one(b);
        return;
    }
    if (!b->t_pods && b->n_pods >= b->n * PODS)
        b->t_pods = now;
    if (!b->t_pods_ready && b->n_pods_ready >= b->n * PODS)
        b->t_pods_ready = now;
    if (!b->t_ready && b->n_ready >= b->n)
        b->t_ready = now;
    if (b->t_pods && b->t_pods_ready && (b->rest || b->t_ready))
        loop_stop(b->loop);
}

static void on_pod(void *arg, enum kube_change change, const struct kube_object *old,
                   const struct kube_object *now)
{
    struct bench *b = arg;
    bool was = is_ready(old, true), is = is_ready(now, true);
    b->n_pods += change == KUBE_ADDED;
    b->n_pods -= change == KUBE_REMOVED;
    b->n_pods_ready += is && !was;
    b->n_pods_ready -= was && !is;
    note(b);
}

static void on_owner(void *arg, enum kube_change change, const struct kube_object *old,
                     const struct kube_object *now)
{
    struct bench *b = arg;
    bool was = is_ready(old, false), is = is_ready(now, false);
    (void)change;
    b->n_ready += is && !was;
    b->n_ready -= was && !is;
    note(b);
}

static void on_trouble(void *arg, const struct kube_error *error)
{
    (void)arg;
    fprintf(stderr, "bench-create: %s\n", error->base.text);
}

/* ---- life ---- */

static void on_tick(struct loop_timer *t)
{
    struct bench *b = LOOP_OF(t, struct bench, tick);
    fprintf(stderr, "  %.0f s: clusters made %u, pods %u, ready %u, clusters ready %u\n",
            (double)(clock_now_ns() - b->began) / 1e9, b->made, b->n_pods, b->n_pods_ready,
            b->n_ready);
    if (clock_now_ns() > b->limit)
        die(b, "the limit", "not all is ready yet");
}

/* Both informers have seen what there is: begin. */
static void on_sync(void *arg, int64_t began)
{
    struct bench *b = arg;
    (void)began;
    if (b->began || !kube_informer_synced(b->pods) || !kube_informer_synced(b->owners))
        return;
    loop_timer_start(b->loop, &b->tick, TICK_MS, TICK_MS, on_tick);
    if (b->one) {
        one_more(&b->pause);
        return;
    }
    b->began = clock_now_ns();
    b->limit = b->began + LIMIT_S * CLOCK_NS_PER_S;
    for (size_t i = 0; i < (b->rest ? PARALLEL : 8); i++)
        next_cluster(&b->slots[i]);
}

static int watch(struct bench *b, const struct kube_resource *r, const char *const *keep, size_t n,
                 kube_change_fn fn, struct kube_informer **ret_i, struct raia_error *e)
{
    struct kube_informer_options o = {.resource = r,
                                      .ns = b->ns,
                                      .store = {.keep = keep, .n_keep = n},
                                      .on_change = fn,
                                      .on_sync = on_sync,
                                      .on_trouble = on_trouble,
                                      .arg = b};
    return kube_informer_new(b->watcher, &o, ret_i, e);
}

static int begin(struct bench *b, struct raia_error *e)
{
    struct kube_client_options o = {.max_in_flight = PARALLEL};
    int r = loop_new(&b->loop, e);
    if (r == 0)
        r = kube_config_find(NULL, NULL, &b->cfg, e);
    if (r == 0)
        r = kube_http_new(b->loop, &b->cfg, 0, &b->transport, e);
    if (r == 0)
        r = kube_client_new(b->transport, &o, &b->client, e);
    if (r == 0)
        r = kube_client_new(b->transport, NULL, &b->watcher, e);
    if (r == 0)
        r = watch(b, &kube_pods, pod_fields, 2, on_pod, &b->pods, e);
    if (r == 0)
        r = watch(b, &clusters, cluster_fields, 1, on_owner, &b->owners, e);
    if (r < 0)
        return r;
    kube_driver_start(&b->drivers[0], b->loop, b->client);
    kube_driver_start(&b->drivers[1], b->loop, b->watcher);
    for (size_t i = 0; i < PARALLEL; i++)
        b->slots[i].b = b;
    kube_informer_start(b->pods);
    kube_informer_start(b->owners);
    return 0;
}

static int read_namespace(struct bench *b, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *o = NULL;
    const char *ns = NULL;
    int r = json_parse(b->cluster, strlen(b->cluster), NULL, &o, e);
    if (r == 0)
        r = json_get_str(o, "metadata.namespace", &ns, e);
    if (r == 0 && !(b->ns = mem_strdup(ns)))
        r = err_set(e, RAIA_ERR_NOMEM, "out of memory");
    return r;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void put_list(const char *name, double *ms, unsigned n)
{
    qsort(ms, n, sizeof *ms, by_value);
    printf("\"%s\": {\"median\": %.1f, \"min\": %.1f, \"max\": %.1f}", name,
           (ms[(n - 1) / 2] + ms[n / 2]) / 2, ms[0], ms[n - 1]);
}

static void tell(const struct bench *b)
{
    struct rusage u = {0};
    (void)getrusage(RUSAGE_SELF, &u);
    printf("{\"clusters\": %u, ", b->n);
    if (b->one) {
        put_list("pods_ms", b->pods_ms, b->n);
        printf(", ");
        put_list("ready_ms", b->ready_ms, b->n);
        printf("}\n");
        return;
    }
    printf("\"made_s\": %.2f, \"pods_s\": %.2f, \"pods_ready_s\": %.2f, \"ready_s\": %.2f, "
           "\"cpu_s\": %.2f, \"peak_kib\": %ld}\n",
           (double)b->t_made / 1e9, (double)b->t_pods / 1e9, (double)b->t_pods_ready / 1e9,
           (double)b->t_ready / 1e9,
           (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6,
           u.ru_maxrss);
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct raia_error e = {0};
    uint64_t n = 0;
    if (argc < 4 || argc > 5 || str_to_u64(argv[2], &n) < 0 || !n || n > CLUSTERS_MAX) {
        fprintf(stderr, "usage: bench-create many|one N CLUSTER.json [REST.json]\n");
        return 2;
    }
    b.n = (unsigned)n;
    b.one = strcmp(argv[1], "one") == 0;
    b.pods_ms = mem_calloc(n, sizeof *b.pods_ms);
    b.ready_ms = mem_calloc(n, sizeof *b.ready_ms);
    int r = b.pods_ms && b.ready_ms ? 0 : -RAIA_ERR_NOMEM;
    if (r == 0)
        r = io_read_file(argv[3], 1 << 20, &b.cluster, NULL, &e);
    if (r == 0)
        r = read_namespace(&b, &e);
    if (r == 0 && argc > 4)
        r = io_read_file(argv[4], 1 << 20, &b.rest, NULL, &e);
    if (r == 0)
        r = begin(&b, &e);
    if (r == 0)
        r = loop_run(b.loop);
    if (r < 0 || b.failed) {
        fprintf(stderr, "bench-create: %s\n", e.text[0] ? e.text : "failed");
        return 1;
    }
    tell(&b);
    return 0; /* what is open ends with the process */
}
