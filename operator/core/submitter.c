/*
 * Who submits: the batch Job of K8sJobMode, and the container beside the head of SidecarMode. What
 * they run without a command of the user's is `raia job submit --attach`: it waits for the head,
 * submits unless that was done before, follows the log, and exits as the job does; with
 * EXIT_UNKNOWN when it cannot tell, and only then (or when it was killed) it is worth another try.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "core/fields.h"
#include "core/inject.h"
#include "core/pod.h"
#include "core/rayjob_impl.h"
#include "core/rayjob_object.h"
#include "kube/wall_time.h"

#define NOTE_SUBMISSION    "ray.io/raia-submission-id" /* of a Job: whose attempt it is */
#define NOTE_OWN           "ray.io/raia-submitter"     /* of a Job: "true": it runs our program */
#define EXIT_UNKNOWN       75
#define POD_FAILURE_POLICY "PodFailurePolicy"

bool rayjob_has_submitter(const struct rayjob_pass *x)
{
    return x->job->mode == RAY_JOB_K8S || x->job->mode == RAY_JOB_SIDECAR;
}

/* -- what became of it ---------------------------------------------------------------------------- */

static const struct seen_object *find_job(const struct rayjob_pass *x)
{
    const struct seen_list *all = &x->s->of[SEEN_JOBS];

    for (size_t i = 0; i < all->n; i++) {
        if (strcmp(all->at[i].meta->name, x->job->name) == 0)
            return &all->at[i];
    }
    return NULL;
}

/* Is it of this attempt; Jobs without a word on it are. */
static bool is_current(const struct rayjob_pass *x, const struct seen_object *job)
{
    const struct json *notes = json_at(job->tree, "metadata.annotations");
    const char *id = json_str(json_get(notes, NOTE_SUBMISSION));

    return !job->meta->deleting && (!id || strcmp(id, rayjob_get(x, "jobId")) == 0);
}

static void read_job(const struct rayjob_pass *x, struct rayjob_submitter *ret)
{
    const struct seen_object *job = find_job(x);
    const char *text;

    if (!job || !is_current(x, job))
        return;
    ret->there = true;
    ret->own = ray_is_true(json_at(job->tree, "metadata.annotations"), NOTE_OWN);
    JSON_FOREACH(c, json_at(job->tree, "status.conditions"))
    {
        const char *type = json_str(json_get(c, "type")), *on = json_str(json_get(c, "status"));
        bool failed = type && strcmp(type, "Failed") == 0;

        if (!type || !on || strcmp(on, "True") != 0 || (!failed && strcmp(type, "Complete") != 0))
            continue;
        ret->finished = true;
        ret->failed = failed;
        text = json_str(json_get(c, "lastTransitionTime"));
        if (text)
            (void)kube_wall_time_read(text, &ret->finished_ms);
        if ((text = json_str(json_get(c, "reason"))))
            ret->reason = text;
        if ((text = json_str(json_get(c, "message"))))
            ret->message = text;
        break;
    }
    ret->told = ret->own && ret->failed && strcmp(ret->reason, POD_FAILURE_POLICY) == 0;
}

static void read_sidecar(const struct rayjob_pass *x, struct rayjob_submitter *ret)
{
    const struct json *status, *end;
    const char *text;

    if (!x->s->head.meta)
        return;
    ret->there = true;
    ret->own = true;
    status =
        inject_find(json_at(x->s->head.tree, "status.containerStatuses"), "name", RAYJOB_SUBMITTER);
    end = json_at(status, "state.terminated");
    if (!end || json_int(json_get(end, "exitCode"), &ret->exit_code) < 0)
        return;
    ret->finished = true;
    ret->failed = ret->exit_code != 0;
    ret->told = ret->failed && ret->exit_code != EXIT_UNKNOWN && ret->exit_code < 128;
    text = json_str(json_get(end, "finishedAt"));
    if (text)
        (void)kube_wall_time_read(text, &ret->finished_ms);
    if ((text = json_str(json_get(end, "reason"))))
        ret->reason = text;
}

void rayjob_submitter_state(const struct rayjob_pass *x, struct rayjob_submitter *ret)
{
    *ret = (struct rayjob_submitter){
        .reason = "", .message = "", .exit_code = -1, .container = RAYJOB_SUBMITTER};
    if (x->job->mode == RAY_JOB_SIDECAR)
        read_sidecar(x, ret);
    else if (x->job->mode == RAY_JOB_K8S)
        read_job(x, ret);
}

/* -- what it runs --------------------------------------------------------------------------------- */

static int add_pair(struct json *args, const char *flag, const char *value)
{
    int r = json_append_str(args, flag);

    return r < 0 ? r : json_append_str(args, value);
}

static int add_number(struct json *args, const char *flag, double value)
{
    char text[32];

    if (value <= 0)
        return 0;
    (void)snprintf(text, sizeof text, "%g", value);
    return add_pair(args, flag, text);
}

static int add_tree(struct json *args, const char *flag, const struct json *tree)
{
    _cleanup_(mem_freep) char *text = NULL;

    if (!tree || !json_first(tree))
        return 0;
    text = json_print(tree, JSON_COMPACT, NULL);
    return text ? add_pair(args, flag, text) : -RAIA_ERR_NOMEM;
}

static int set_command(const struct rayjob_pass *x, struct json *container, const char *address)
{
    static const char *const command[] = {INJECT_PATH "/raia", "job", "submit"};
    const struct ray_job *job = x->job;
    _cleanup_(mem_freep) char *url = mem_printf("http://%s", address);
    struct json *words, *args;
    int r = url ? 0 : -RAIA_ERR_NOMEM;

    json_free(json_detach(container, "command"));
    json_free(json_detach(container, "args"));
    words = inject_array(container, "command");
    args = inject_array(container, "args");
    for (size_t i = 0; r == 0 && i < sizeof command / sizeof command[0]; i++)
        r = json_append_str(words, command[i]);
    if (r < 0 || (r = json_append_str(args, "--attach")) < 0 ||
        (r = add_pair(args, "--address", url)) < 0 ||
        (r = add_pair(args, "--submission-id", rayjob_get(x, "jobId"))) < 0 ||
        (r = add_tree(args, "--runtime-env-json", job->runtime_env)) < 0 ||
        (r = add_tree(args, "--metadata-json", job->metadata)) < 0 ||
        (r = add_number(args, "--entrypoint-num-cpus", job->num_cpus)) < 0 ||
        (r = add_number(args, "--entrypoint-num-gpus", job->num_gpus)) < 0 ||
        (r = add_tree(args, "--entrypoint-resources", job->resources)) < 0)
        return r;
    return add_pair(args, "--", job->entrypoint);
}

/* Address, id and token in its environment, and Raia's files. */
static int equip(const struct rayjob_pass *x, struct json *container, const char *address,
                 const char *secret, struct raia_error *e)
{
    int r = inject_mount(container, INJECT_VOLUME, INJECT_DIR, true, e);

    if (r < 0 || (r = inject_env(container, "PYTHONUNBUFFERED", "1", INJECT_FORCE)) < 0 ||
        (r = inject_env(container, "RAY_DASHBOARD_ADDRESS", address, INJECT_FORCE)) < 0 ||
        (r = inject_env(container, "RAY_JOB_SUBMISSION_ID", rayjob_get(x, "jobId"), INJECT_FORCE)) <
            0)
        return r;
    if (secret && ((r = inject_env(container, "RAY_AUTH_MODE", "token", INJECT_FORCE)) < 0 ||
                   (r = inject_env_secret(container, "RAY_AUTH_TOKEN", secret, "auth_token",
                                          INJECT_FORCE)) < 0))
        return r;
    if (!json_get(container, "terminationMessagePolicy"))
        r = json_set_str(container, "terminationMessagePolicy", "FallbackToLogsOnError");
    return r;
}

/* The image of the head, so that versions and working folders are the same. */
static struct json *default_container(const struct ray_cluster_spec *spec)
{
    static const char resources[] = "{\"limits\":{\"cpu\":\"1\",\"memory\":\"1Gi\"},"
                                    "\"requests\":{\"cpu\":\"500m\",\"memory\":\"200Mi\"}}";
    _cleanup_(json_freep) struct json *c = json_new_object();
    const char *image = json_str(json_get(spec->head.container, "image"));
    const char *pull = json_str(json_get(spec->head.container, "imagePullPolicy"));
    struct json *tree = NULL;

    if (json_set_str(c, "name", RAYJOB_SUBMITTER) < 0 ||
        json_set_str(c, "image", image ? image : "") < 0 ||
        (pull && json_set_str(c, "imagePullPolicy", pull) < 0) ||
        json_parse(resources, sizeof resources - 1, NULL, &tree, NULL) < 0 ||
        json_set(c, "resources", tree) < 0)
        return NULL;
    return STEAL(c);
}

int rayjob_sidecar(const struct rayjob_pass *x, const char *cluster, struct json *template_node,
                   struct raia_error *e)
{
    struct ray_cluster future = {.ns = x->job->ns,
                                 .name = cluster,
                                 .uid = "",
                                 .labels = x->job->labels,
                                 .annotations = x->job->annotations,
                                 .of_job = true,
                                 .spec = x->job->cluster};
    struct json *c = default_container(&future.spec), *list;
    _cleanup_(mem_freep) char *full = rayjob_address(x, &future);
    const char *port = full ? strrchr(full, ':') : NULL;
    char local[64];
    int r;

    (void)snprintf(local, sizeof local, "127.0.0.1%s", port ? port : "");
    list = inject_array(json_get(template_node, "spec"), "containers");
    if (!c || !port || !list) {
        json_free(c);
        return -RAIA_ERR_NOMEM;
    }
    if ((r = set_command(x, c, local)) < 0 ||
        (r = equip(x, c, local, rayjob_token_secret(x, &future), e)) < 0) {
        json_free(c);
        return r;
    }
    return json_append(list, c);
}

/* -- the Job --------------------------------------------------------------------------------------- */

/* A failure that is the job's own ends it at once; one by eviction counts for nothing. The others (by
 * a signal; 255: its node was booted again, and nobody knows) are another try; our program does not
 * exit with them for a job's sake (coreworker/cli/job_attach.h). */
static int set_failure_policy(struct json *spec, const char *container)
{
    static const char text[] =
        "{\"rules\":[{\"action\":\"Ignore\",\"onPodConditions\":[{\"type\":\"DisruptionTarget\","
        "\"status\":\"True\"}]},{\"action\":\"FailJob\",\"onExitCodes\":{\"operator\":\"NotIn\","
        "\"values\":[75,128,130,134,137,139,143,255]}}]}";
    struct json *tree = NULL;
    int r = json_parse(text, sizeof text - 1, NULL, &tree, NULL);

    if (r == 0)
        r = json_set_str(json_at(tree, "rules[1].onExitCodes"), "containerName", container);
    if (r < 0) {
        json_free(tree);
        return r;
    }
    return json_set(spec, "podFailurePolicy", tree);
}

static struct json *make_template(const struct rayjob_pass *x)
{
    _cleanup_(json_freep) struct json *t =
        x->job->submitter ? json_copy(x->job->submitter) : json_new_object();
    struct json *spec = inject_object(t, "spec"), *list = inject_array(spec, "containers");
    struct json *labels = inject_object(inject_object(t, "metadata"), "labels");

    if (!list || (!json_first(list) && json_append(list, default_container(&x->view->spec)) < 0) ||
        (!json_get(spec, "restartPolicy") && json_set_str(spec, "restartPolicy", "Never") < 0) ||
        json_set_str(labels, RAY_LABEL_FROM_NAME, x->job->name) < 0 ||
        json_set_str(labels, RAY_LABEL_FROM_CRD, "RayJob") < 0 ||
        json_set_str(labels, RAY_LABEL_CREATED_BY, POD_CREATED_BY) < 0)
        return NULL;
    return STEAL(t);
}

static int make_job(const struct rayjob_pass *x, struct json **ret_object, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *o = NULL;
    const char *address = rayjob_get(x, "dashboardURL"), *name, *restart;
    struct json *t = make_template(x), *labels, *spec, *pod, *container, *notes;
    bool own;
    int r = rayjob_object(x, "batch/v1", "Job", x->job->name, &o, &labels);

    if (r < 0 || !t) {
        json_free(t);
        return -RAIA_ERR_NOMEM;
    }
    spec = inject_object(o, "spec");
    if ((r = json_set(spec, "template", t)) < 0)
        return r;
    pod = json_get(t, "spec");
    container = json_first(json_get(pod, "containers"));
    notes = inject_object(json_get(o, "metadata"), "annotations");
    own = !json_first(json_get(container, "command"));
    name = json_str(json_get(container, "name"));
    restart = json_str(json_get(pod, "restartPolicy"));
    if ((r = json_set_str(labels, RAY_LABEL_CREATED_BY, POD_CREATED_BY)) < 0 ||
        (r = json_set_str(notes, NOTE_SUBMISSION, rayjob_get(x, "jobId"))) < 0 ||
        (r = json_set_str(notes, NOTE_OWN, own ? "true" : "false")) < 0 ||
        (r = json_set_int(spec, "backoffLimit", x->job->submitter_backoff_limit)) < 0 ||
        (r = inject_raia(pod, x->config, e)) < 0 ||
        (r = equip(x, container, address, rayjob_token_secret(x, x->view), e)) < 0)
        return r;
    if (own && (r = set_command(x, container, address)) < 0)
        return r;
    if (own && name && restart && strcmp(restart, "Never") == 0 &&
        (r = set_failure_policy(spec, name)) < 0)
        return r;
    *ret_object = STEAL(o);
    return 0;
}

bool rayjob_submitter_ensure(struct rayjob_pass *x)
{
    const struct seen_object *have = find_job(x);
    struct json *o = NULL;

    if (x->r < 0)
        return false;
    if (have && is_current(x, have))
        return true;
    if (have) { /* of an attempt before: it must go first */
        if (!have->meta->deleting)
            x->r =
                plan_delete(x->p, 0, &kube_jobs, x->job->ns, have->meta->name, have->meta->uid, -1);
        return false;
    }
    if (!x->view)
        return false;
    x->r = make_job(x, &o, x->e);
    if (x->r == 0)
        x->r = plan_create(x->p, 0, &kube_jobs, o);
    if (x->r < 0 && !x->e->code)
        (void)err_set(x->e, -x->r, "RayJob '%s': its submitter", x->job->name);
    x->m->made_submitter = true;
    return false;
}

void rayjob_submitter_drop(struct rayjob_pass *x)
{
    const struct seen_object *have = find_job(x);

    if (x->r < 0 || !have || have->meta->deleting)
        return;
    x->r = plan_delete(x->p, 0, &kube_jobs, x->job->ns, have->meta->name, have->meta->uid, -1);
    if (x->r == 0)
        x->r = plan_event(x->p, KUBE_NORMAL, "DeletedRayJobSubmitter",
                          "Deleted Kubernetes Job %s/%s: node %s is lost, and its pod with it",
                          x->job->ns, have->meta->name, x->m->node);
    if (x->r < 0 && !x->e->code)
        (void)err_set(x->e, -x->r, "RayJob '%s': its submitter", x->job->name);
}
