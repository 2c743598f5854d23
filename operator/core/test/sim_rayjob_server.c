/*
 * RayJobs and RayClusters together, over a model API server and all that goes wrong between it and the
 * operator (core/sim/opsim.h): each job ends, with one cluster and one Job at a time, and what is
 * deleted leaves nothing. The operator dies after each of its writes.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash64.h"
#include "core/inject.h"
#include "core/raycluster.h"
#include "core/rayjob.h"
#include "core/sim/opsim.h"
#include "fake_maker.h"

#define JOBS     "/apis/ray.io/v1/rayjobs"
#define CLUSTERS "/apis/ray.io/v1/rayclusters"
#define BATCH    "/apis/batch/v1/jobs"
#define ROOT     "/apis/ray.io/v1/namespaces/d/"
#define NAMES    3
#define HEADS    512
#define RUN_NS   (4 * CLOCK_NS_PER_S)

static const struct operator_config config = {.raia_image = "raia.io/raia:dev",
                                              .raia_pull_policy = "IfNotPresent",
                                              .cluster_domain = "x",
                                              .version = "1",
                                              .node_lost_ns = 30 * CLOCK_NS_PER_S,
                                              .backoff_max_ns = 300 * CLOCK_NS_PER_S,
                                              .restarts_max = 5};

/* What the heads know: jobs by host and id, of the world that is simulated now. */
static struct {
    struct {
        char key[200];    /* HOST/ID */
        int64_t begun_at; /* ns */
    } at[HEADS];
    size_t n;     /* how many */
    int64_t seen; /* ns: the latest time; an earlier one is of another world */
} heads;

static int64_t *begun(struct opsim *w, const char *host, size_t host_len, const char *id, bool make)
{
    char key[200];

    if (sim_now(opsim_sim(w)) < heads.seen)
        heads.n = 0;
    heads.seen = sim_now(opsim_sim(w));
    (void)snprintf(key, sizeof key, "%.*s/%s", (int)host_len, host, id);
    for (size_t i = 0; i < heads.n; i++) {
        if (strcmp(heads.at[i].key, key) == 0)
            return &heads.at[i].begun_at;
    }
    if (!make || heads.n == HEADS)
        return NULL;
    (void)snprintf(heads.at[heads.n].key, sizeof key, "%s", key);
    heads.at[heads.n].begun_at = heads.seen;
    return &heads.at[heads.n++].begun_at;
}

static const char *status_of(struct opsim *w, const int64_t *at, const char *id)
{
    bool fails = hash_bytes(id, strlen(id)) % 3 == 0;

    return sim_now(opsim_sim(w)) < *at + RUN_NS ? "RUNNING" : fails ? "FAILED" : "SUCCEEDED";
}

static int call(struct opsim *w, const struct controller_call *x, char **ret_body)
{
    const char *host = x->url + strlen("http://"), *path = strstr(host, "/api/jobs/");
    char id[100];
    int64_t *at;

    (void)snprintf(id, sizeof id, "%.*s", (int)strcspn(path + 10, "/?"), path + 10);
    if (strcmp(x->method, "POST") == 0 && !*id) {
        struct json *body = NULL;
        cr_assert_eq(json_parse(x->body, strlen(x->body), NULL, &body, NULL), 0);
        (void)snprintf(id, sizeof id, "%s", json_str(json_get(body, "submission_id")));
        json_free(body);
        at = begun(w, host, (size_t)(path - host), id, false);
        *ret_body = mem_strdup(at ? "Please use a different submission_id." : "{}");
        (void)begun(w, host, (size_t)(path - host), id, true);
        return at ? 500 : 200;
    }
    at = begun(w, host, (size_t)(path - host), id, false);
    if (strcmp(x->method, "POST") == 0) {
        *ret_body = mem_strdup("{\"stopped\":true}");
        return at ? 200 : 404;
    }
    *ret_body = at ? mem_printf("{\"status\":\"%s\",\"start_time\":%lld}", status_of(w, at, id),
                                1790000000000LL + *at / 1000000)
                   : mem_strdup("there is none");
    return at ? 200 : 404;
}

/* ---- others ---- */

static void make(struct opsim *w, unsigned n, unsigned mode, unsigned retries, bool shutdown)
{
    static const char *const modes[] = {"K8sJobMode", "HTTPMode", "SidecarMode"};

    opsim_ask(w, "POST", ROOT "rayjobs",
              "{\"metadata\":{\"name\":\"j%u\"},\"spec\":{\"entrypoint\":\"x\",\"submissionMode\":"
              "\"%s\",\"backoffLimit\":%u,\"shutdownAfterJobFinishes\":%s,\"rayClusterSpec\":{"
              "\"headGroupSpec\":{\"rayStartParams\":{},\"template\":{\"spec\":{\"containers\":[{"
              "\"name\":\"head\",\"image\":\"any\"}]}}}}}}",
              n, modes[mode], retries, shutdown ? "true" : "false");
}

/* One that its own rule deletes, however it ends. */
static void make_fleeting(struct opsim *w)
{
    opsim_ask(
        w, "POST", ROOT "rayjobs",
        "{\"metadata\":{\"name\":\"j3\"},\"spec\":{\"entrypoint\":\"x\",\"submissionMode\":"
        "\"HTTPMode\",\"deletionStrategy\":{\"deletionRules\":["
        "{\"policy\":\"DeleteSelf\",\"condition\":{\"jobStatus\":\"SUCCEEDED\"}},"
        "{\"policy\":\"DeleteSelf\",\"condition\":{\"jobStatus\":\"FAILED\"}}]},"
        "\"rayClusterSpec\":{\"headGroupSpec\":{\"rayStartParams\":{},\"template\":{\"spec\":{"
        "\"containers\":[{\"name\":\"head\",\"image\":\"any\"}]}}}}}}");
}

static void outside(struct opsim *w)
{
    struct prng *p = sim_prng(opsim_sim(w));
    unsigned n = (unsigned)prng_below(p, NAMES);
    char target[100];

    (void)snprintf(target, sizeof target, ROOT "rayjobs/j%u", n);
    switch (prng_below(p, 12)) {
    case 0:
    case 1:
    case 2:
        make(w, n, (unsigned)prng_below(p, 3), (unsigned)prng_below(p, 3), prng_chance(p, 0.7));
        break;
    case 3:
        if (json_true(
                json_at(kube_model_get(opsim_model(w), JOBS, "d", target + strlen(target) - 2),
                        "spec.shutdownAfterJobFinishes")))
            opsim_ask(w, "PATCH", target, "{\"spec\":{\"suspend\":%s}}",
                      prng_chance(p, 0.5) ? "true" : "false");
        break;
    case 4:
        if (prng_chance(p, 0.5))
            opsim_ask(w, "DELETE", target, NULL);
        break;
    default:
        break;
    }
}

struct submitters {
    struct opsim *w;       /* the world */
    char target[8][160];   /* of Jobs that end */
    const char *status[8]; /* how */
    size_t n;              /* how many */
};

/* A Job's pod: submits, and ends as the job does. */
static void submitter(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct submitters *k = arg;
    const struct json *env = json_at(o, "spec.template.spec.containers[0].env");
    const char *address =
        json_str(json_get(inject_find(env, "name", "RAY_DASHBOARD_ADDRESS"), "value"));
    const char *id = json_str(json_get(inject_find(env, "name", "RAY_JOB_SUBMISSION_ID"), "value"));
    const int64_t *at = begun(k->w, address, strlen(address), id, true);

    if (!at || k->n == 8 || json_first(json_at(o, "status.conditions")) ||
        strcmp(status_of(k->w, at, id), "RUNNING") == 0)
        return;
    (void)snprintf(k->target[k->n], sizeof k->target[0],
                   "/apis/batch/v1/namespaces/%s/jobs/%s/status", ns, name);
    k->status[k->n++] = strcmp(status_of(k->w, at, id), "FAILED") == 0 ? "Failed" : "Complete";
}

/* The same beside a head: Kubernetes tells of its end in the pod's status. */
static void sidecar(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct submitters *k = arg;
    const struct json *c = inject_find(json_at(o, "spec.containers"), "name", RAYJOB_SUBMITTER);
    const char *id = json_str(
        json_get(inject_find(json_get(c, "env"), "name", "RAY_JOB_SUBMISSION_ID"), "value"));
    const char *phase = json_str(json_at(o, "status.phase"));
    const char *of = json_str(json_at(o, "metadata.labels[\"ray.io/cluster\"]"));
    char host[200];
    const int64_t *at;

    if (!id || !phase || strcmp(phase, "Running") != 0 || k->n == 8 ||
        json_at(inject_find(json_at(o, "status.containerStatuses"), "name", RAYJOB_SUBMITTER),
                "state.terminated"))
        return;
    (void)snprintf(host, sizeof host, "%s-head-svc.%s.svc.x:8265", of, ns);
    at = begun(k->w, host, strlen(host), id, true);
    if (!at || strcmp(status_of(k->w, at, id), "RUNNING") == 0)
        return;
    (void)snprintf(k->target[k->n], sizeof k->target[0], "/api/v1/namespaces/%s/pods/%s/status", ns,
                   name);
    k->status[k->n++] = strcmp(status_of(k->w, at, id), "FAILED") == 0 ? "1" : "0";
}

static void tick(struct opsim *w)
{
    struct submitters k = {.w = w}, s = {.w = w};

    kube_model_each(opsim_model(w), "/api/v1/pods", sidecar, &s);
    for (size_t i = 0; i < s.n; i++)
        opsim_ask(w, "PATCH", s.target[i],
                  "{\"status\":{\"containerStatuses\":[{\"name\":\"head\",\"ready\":true,"
                  "\"restartCount\":0,\"state\":{\"running\":{}}},{\"name\":\"%s\",\"ready\":false,"
                  "\"restartCount\":0,\"state\":{\"terminated\":{\"exitCode\":%s}}}]}}",
                  RAYJOB_SUBMITTER, s.status[i]);

    kube_model_each(opsim_model(w), BATCH, submitter, &k);
    for (size_t i = 0; i < k.n; i++)
        opsim_ask(w, "PATCH", k.target[i],
                  "{\"status\":{\"conditions\":[{\"type\":\"%s\",\"status\":\"True\",\"reason\":"
                  "\"PodFailurePolicy\"}]}}",
                  k.status[i]);
    for (unsigned i = 0; opsim_quiet(w) && i < NAMES; i++) {
        char target[100];
        (void)snprintf(target, sizeof target, ROOT "rayjobs/j%u", i);
        if (json_true(
                json_at(kube_model_get(opsim_model(w), JOBS, "d", target + strlen(target) - 2),
                        "spec.suspend")))
            opsim_ask(w, "PATCH", target, "{\"spec\":{\"suspend\":false}}");
    }
}

static bool story(struct opsim *w, unsigned step)
{
    switch (step) {
    case 0:
        make(w, 0, 0, 1, true);
        make(w, 1, 1, 2, false);
        return true;
    case 1:
        opsim_ask(w, "PATCH", ROOT "rayjobs/j0", "{\"spec\":{\"suspend\":true}}");
        return true;
    case 2:
        opsim_ask(w, "PATCH", ROOT "rayjobs/j0", "{\"spec\":{\"suspend\":false}}");
        return true;
    case 3:
        opsim_ask(w, "DELETE", ROOT "rayjobs/j1", NULL);
        make(w, 2, 2, 0, true);
        make_fleeting(w);
        return true;
    case 4:
        return true;
    case 5: /* 80 s later: nobody waits for the deletion of an object that is its own owner */
        if (kube_model_get(opsim_model(w), JOBS, "d", "j3"))
            sim_fail(opsim_sim(w), "j3 was to delete itself, and is there");
        return true;
    }
    return false;
}

/* ---- what must hold ---- */

struct owned {
    const char *uid; /* of the owner */
    unsigned n;      /* of its objects that are not deleted */
};

static void count(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct owned *k = arg;
    const char *uid = json_str(json_at(o, "metadata.ownerReferences[0].uid"));

    (void)ns, (void)name;
    k->n += uid && !strcmp(uid, k->uid) && !json_at(o, "metadata.deletionTimestamp");
}

static unsigned owned(struct opsim *w, const char *collection, const char *uid)
{
    struct owned k = {.uid = uid};

    kube_model_each(opsim_model(w), collection, count, &k);
    return k.n;
}

struct check {
    struct opsim *w; /* the world */
    bool rest;       /* all must have ended */
};

static void check_job(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct check *c = arg;
    struct sim *s = opsim_sim(c->w);
    const char *uid = json_str(json_at(o, "metadata.uid"));
    const char *state = json_str(json_at(o, "status.jobDeploymentStatus"));
    const char *job = json_str(json_at(o, "status.jobStatus"));
    int64_t failed = 0, limit = 0, succeeded = 0;

    (void)ns;
    if (owned(c->w, CLUSTERS, uid) > 1 || owned(c->w, BATCH, uid) > 1)
        sim_fail(s, "%s has two clusters or two Jobs", name);
    (void)json_int(json_at(o, "status.failed"), &failed);
    (void)json_int(json_at(o, "status.succeeded"), &succeeded);
    (void)json_int(json_at(o, "spec.backoffLimit"), &limit);
    if (failed > limit + 1 || succeeded > 1)
        sim_fail(s, "%s failed %lld times, succeeded %lld", name, (long long)failed,
                 (long long)succeeded);
    if (!c->rest)
        return;
    if (!state || (strcmp(state, "Complete") != 0 && strcmp(state, "Failed") != 0))
        sim_fail(s, "%s is %s in the end", name, state ? state : "new");
    else if (!strcmp(state, "Complete") && (!job || strcmp(job, "SUCCEEDED") != 0))
        sim_fail(s, "%s is Complete, but its job %s", name, job ? job : "none");
    else if (json_true(json_at(o, "spec.shutdownAfterJobFinishes")) && owned(c->w, CLUSTERS, uid))
        sim_fail(s, "%s has ended, and its cluster is there", name);
    if (json_at(o, "metadata.deletionTimestamp"))
        sim_fail(s, "%s does not go", name);
}

static void check_cluster(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct check *c = arg;
    const char *owner = json_str(json_at(o, "metadata.ownerReferences[0].name"));

    if (c->rest && (!owner || !kube_model_get(opsim_model(c->w), JOBS, ns, owner)))
        sim_fail(opsim_sim(c->w), "cluster %s belongs to nobody", name);
}

static int always(struct opsim *w)
{
    struct check c = {.w = w};

    kube_model_each(opsim_model(w), JOBS, check_job, &c);
    return 0;
}

static int finally(struct opsim *w)
{
    struct check c = {.w = w, .rest = true};

    kube_model_each(opsim_model(w), JOBS, check_job, &c);
    kube_model_each(opsim_model(w), CLUSTERS, check_cluster, &c);
    return 0;
}

static struct fake_maker maker;

static void begin(void)
{
    fake_maker_reset(&maker);
}

static struct opsim_options options(void)
{
    return (struct opsim_options){.n_reconcilers = 2,
                                  .begin = begin,
                                  .outside = outside,
                                  .story = story,
                                  .tick = tick,
                                  .always = always,
                                  .finally = finally,
                                  .call = call};
}

/* So many seeds; 0: its story, in which the operator dies right after its k-th write, for each k. */
static int play(const char *name, struct opsim_options o, uint64_t seeds)
{
    maker = fake_maker_init();
    struct reconciler *all[] = {rayjob_reconciler(&config),
                                raycluster_reconciler(&config, &maker.base)};
    o.reconcilers = all;
    int r = seeds ? sim_seeds(name, 1, seeds, opsim_chaos, &o) : opsim_deaths(name, &o);
    mem_free(all[0]);
    raycluster_free(all[1]);
    return r;
}

TestSuite(rayjob_server, .timeout = 500);

/* Whatever is lost, late, refused, or dies: jobs end as they should. */
Test(rayjob_server, chaos)
{
    cr_assert_eq(play("rayjob", options(), opsim_seeds(100)), 0);
}

/* The operator dies at any time: no duplicate, no orphan. */
Test(rayjob_server, deaths)
{
    cr_assert_eq(play("rayjob", options(), 0), 0);
}

#define DEATH_NS (15 * CLOCK_NS_PER_S) /* at most, until another operator begins */

static int64_t ended_at; /* ns: the RayJob has; 0: not yet, as stories begin */

static int watch_end(struct opsim *w)
{
    const struct json *job = kube_model_get(opsim_model(w), JOBS, "d", "j0");
    const char *state = json_str(json_at(job, "status.jobDeploymentStatus"));

    if (!ended_at && state && (!strcmp(state, "Failed") || !strcmp(state, "Complete")))
        ended_at = sim_now(opsim_sim(w));
    return always(w);
}

/* ---- a submitter's node is lost ---- */

#define AWAY "away" /* a node */

static struct {
    struct opsim *w;         /* the world */
    unsigned pods;           /* made by the Job controller */
    char jobs[8][64];        /* uids of the Jobs that have one */
    int64_t lost_at, new_at; /* ns: the node; the second pod */
} lost;
static bool ends_unheard; /* the Ray job, with the node */

/* The Job controller: each Job has a pod, the first one on the node that will be lost; there none
 * runs to its end. */
static void give_pod(void *arg, const char *ns, const char *name, const struct json *o)
{
    const char *uid = json_str(json_at(o, "metadata.uid"));

    (void)arg, (void)ns;
    for (unsigned i = 0; i < lost.pods; i++)
        if (strcmp(lost.jobs[i], uid) == 0)
            return;
    if (lost.pods == 8)
        return;
    (void)snprintf(lost.jobs[lost.pods++], sizeof lost.jobs[0], "%s", uid);
    if (lost.pods == 2)
        lost.new_at = sim_now(opsim_sim(lost.w));
    opsim_ask(lost.w, "POST", "/api/v1/namespaces/d/pods",
              "{\"metadata\":{\"name\":\"%s-%u\",\"finalizers\":[\"sim/kubelet\"],\"labels\":{"
              "\"ray.io/originated-from-cr-name\":\"%s\"},\"ownerReferences\":[{\"apiVersion\":"
              "\"batch/v1\",\"kind\":\"Job\",\"name\":\"%s\",\"uid\":\"%s\",\"controller\":true}]},"
              "\"spec\":{\"nodeName\":\"%s\"},\"status\":{\"phase\":\"Running\"}}",
              name, lost.pods, name, name, uid, lost.pods == 1 ? AWAY : "n1");
}

static void tick_lost(struct opsim *w)
{
    lost.w = w;
    kube_model_each(opsim_model(w), BATCH, give_pod, NULL);
    if (lost.pods > 1)
        tick(w);
}

/* The Ray job itself runs for long: only heads say when it began. */
static int call_lost(struct opsim *w, const struct controller_call *x, char **ret_body)
{
    (void)w;
    *ret_body = strcmp(x->method, "GET") == 0 && lost.pods > 0 && lost.pods < 2
                    ? mem_printf("{\"status\":\"%s\",\"start_time\":1790000000000}",
                                 ends_unheard && lost.lost_at ? "SUCCEEDED" : "RUNNING")
                    : NULL;
    return *ret_body ? 200 : call(w, x, ret_body);
}

static bool story_lost(struct opsim *w, unsigned step)
{
    switch (step) {
    case 0:
        memset(&lost, 0, sizeof lost);
        lost.w = w;
        ended_at = 0;
        opsim_ask(w, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"" AWAY "\"}}");
        make(w, 0, 0, 0, true);
        return true;
    case 1:
        if (lost.pods != 1)
            sim_fail(opsim_sim(w), "%u pods before the loss", lost.pods);
        opsim_ask(w, "PATCH", "/api/v1/nodes/" AWAY "/status",
                  "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"Unknown\","
                  "\"lastTransitionTime\":\"2026-11-22T00:00:00Z\"}]}}");
        lost.lost_at = sim_now(opsim_sim(w));
        return true;
    default:
        return step == 2;
    }
}

static int after_loss(struct opsim *w)
{
    int64_t took = lost.new_at - lost.lost_at;

    if (lost.pods != 2 || took < config.node_lost_ns)
        sim_fail(opsim_sim(w), "%u pods; the second one after %lld s", lost.pods,
                 (long long)(took / CLOCK_NS_PER_S));
    return finally(w);
}

/* A submitter whose node is not ready for 30 s gets another Job, whose pod is elsewhere, and only
 * then, whenever the operator dies; the RayJob ends as its Ray job does. */
Test(rayjob_server, submitter_lost)
{
    struct opsim_options o = options();

    o.tick = tick_lost;
    o.story = story_lost;
    o.call = call_lost;
    o.finally = after_loss;
    cr_assert_eq(play("submitter", o, 0), 0);
    cr_assert_lt(lost.new_at - lost.lost_at, 40 * CLOCK_NS_PER_S);
}

static int after_end(struct opsim *w)
{
    const struct json *job = kube_model_get(opsim_model(w), JOBS, "d", "j0");
    const char *status = json_str(json_at(job, "status.jobStatus"));
    int64_t took = ended_at - lost.lost_at, least = config.node_lost_ns; /* from when it is seen */

    if (lost.pods != 1 || !status || strcmp(status, "SUCCEEDED") != 0)
        sim_fail(opsim_sim(w), "%u pods, and the job is %s", lost.pods, status ? status : "none");
    if (!ended_at || took < least || took > 2 * least + DEATH_NS + 5 * CLOCK_NS_PER_S)
        sim_fail(opsim_sim(w), "it has ended after %lld s", (long long)(took / CLOCK_NS_PER_S));
    return finally(w);
}

/* A Ray job that ends when the node of its submitter is lost: the RayJob waits for the submitter's
 * end as long as the node may come back, and then is Complete, without another one. */
Test(rayjob_server, submitter_lost_at_the_end)
{
    struct opsim_options o = options();

    ends_unheard = true;
    o.tick = tick_lost;
    o.story = story_lost;
    o.call = call_lost;
    o.always = watch_end;
    o.finally = after_end;
    cr_assert_eq(play("end", o, 0), 0);
    cr_assert_lt(ended_at - lost.lost_at, 35 * CLOCK_NS_PER_S);
}

/* ---- a head is lost ---- */

static char lost_head[64];   /* the head that had the job */
static int64_t head_lost_at; /* ns: its end; 0: not yet */

static void first_head(void *arg, const char *ns, const char *name, const struct json *o)
{
    const char *type = json_str(json_at(o, "metadata.labels[\"ray.io/node-type\"]"));

    (void)arg, (void)ns;
    if (type && strcmp(type, "head") == 0)
        (void)snprintf(lost_head, sizeof lost_head, "%s", name);
}

/* The first head has the job, for ever; the next one has none. */
static int call_head(struct opsim *w, const struct controller_call *x, char **ret_body)
{
    (void)w, (void)x;
    *ret_body = mem_strdup(head_lost_at ? "there is none"
                                        : "{\"status\":\"RUNNING\",\"start_time\":1790000000000}");
    return head_lost_at ? 404 : 200;
}

static bool story_head(struct opsim *w, unsigned step)
{
    char target[200];

    switch (step) {
    case 0:
        head_lost_at = ended_at = 0;
        make(w, 0, 0, 0, false);
        return true;
    case 1:
        kube_model_each(opsim_model(w), "/api/v1/pods", first_head, NULL);
        (void)snprintf(target, sizeof target, "/api/v1/namespaces/d/pods/%s/status", lost_head);
        if (opsim_ask(w, "PATCH", target, "{\"status\":{\"phase\":\"Failed\"}}") != 200)
            sim_fail(opsim_sim(w), "no head to lose");
        head_lost_at = sim_now(opsim_sim(w));
        return true;
    default:
        return step == 2;
    }
}

static int after_head(struct opsim *w)
{
    const struct json *job = kube_model_get(opsim_model(w), JOBS, "d", "j0");
    const char *reason = json_str(json_at(job, "status.reason"));
    int64_t took = ended_at - head_lost_at;

    if (!ended_at || !reason || strcmp(reason, "AppFailed") != 0)
        sim_fail(opsim_sim(w), "the end of a lost head's job is %s", reason ? reason : "none");
    else if (took > DEATH_NS + RAYJOB_HEAD_NS + 5 * CLOCK_NS_PER_S)
        sim_fail(opsim_sim(w), "the end was told %lld s after the head was lost",
                 (long long)(took / CLOCK_NS_PER_S));
    return finally(w);
}

/* A head that is lost while there is no operator, or whose successor is there when the next one
 * begins, ends the RayJob a few seconds after that one has begun: what its submitter is given. */
Test(rayjob_server, head_lost_while_away)
{
    struct opsim_options o = options();

    o.tick = NULL; /* the submitter never ends */
    o.story = story_head;
    o.call = call_head;
    o.always = watch_end;
    o.finally = after_head;
    cr_assert_eq(play("head", o, 0), 0);
}
