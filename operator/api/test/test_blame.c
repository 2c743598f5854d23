/*
 * From what the server refuses back to the spec.
 */
#include "objects.h"

#include <stdio.h>

#include "api/blame.h"

static const char template_yaml[] =
    "metadata: {labels: {team: a}}\n"
    "spec:\n"
    "  initContainers: [{name: fetch}]\n"
    "  containers:\n"
    "  - {name: ray, env: [{name: A}, {name: B}], volumeMounts: [{mountPath: /m, name: v}]}\n"
    "  - {name: log}\n"
    "  volumes: [{name: v}]\n"
    "  tolerations: [{key: x, operator: Bad}]\n";

/* As the operator makes it: its own things before the user's. */
static const char pod_yaml[] =
    "metadata: {name: p, labels: {team: a, ray.io/cluster: c}}\n"
    "spec:\n"
    "  initContainers: [{name: raia-init}, {name: fetch}]\n"
    "  containers:\n"
    "  - {name: log}\n"
    "  - {name: ray, image: '', env: [{name: RAIA}, {name: A}, {name: B}], command: [x],"
    " volumeMounts: [{mountPath: /opt/raia, name: raia}, {mountPath: /m, name: v}]}\n"
    "  volumes: [{name: raia}, {name: v}]\n"
    "  subdomain: s\n"
    "  tolerations: [{key: x, operator: Bad}]\n";

static const char *blamed(const char *field, bool with_pod)
{
    static char buf[API_PATH_MAX];
    struct json *t = tree_of(template_yaml), *pod = tree_of(pod_yaml);
    blame_path(t, "T", with_pod ? pod : NULL, "", field, buf, sizeof buf);
    json_free(t);
    json_free(pod);
    return buf;
}

/* Items are found again by what they are called, wherever the operator has put them. */
Test(blame, by_name)
{
    cr_assert_str_eq(blamed("spec.containers[0].image", true), "T.spec.containers[1].image");
    cr_assert_str_eq(blamed("spec.containers[1].env[1].name", true),
                     "T.spec.containers[0].env[0].name");
    cr_assert_str_eq(blamed("spec.initContainers[1].image", true),
                     "T.spec.initContainers[0].image");
    cr_assert_str_eq(blamed("spec.volumes[1].emptyDir", true), "T.spec.volumes[0].emptyDir");
    cr_assert_str_eq(blamed("spec.containers[1].volumeMounts[1].name", true),
                     "T.spec.containers[0].volumeMounts[0].name");
    cr_assert_str_eq(blamed("spec.tolerations[0].operator", true),
                     "T.spec.tolerations[0].operator");
    cr_assert_str_eq(blamed("spec.containers[1].resources.requests[cpu]", true),
                     "T.spec.containers[0].resources.requests[cpu]");
    cr_assert_str_eq(blamed("metadata.labels", true), "T.metadata.labels");
    cr_assert_str_eq(blamed("spec", true), "T.spec");
}

/* What the operator added is told as its own. */
Test(blame, of_the_operator)
{
    cr_assert_str_eq(blamed("spec.initContainers[0].image", true),
                     "T (spec.initContainers[0].image, added by the operator)");
    cr_assert_str_eq(blamed("spec.containers[1].env[0].value", true),
                     "T (spec.containers[1].env[0].value, added by the operator)");
    cr_assert_str_eq(blamed("spec.containers[1].command", true),
                     "T (spec.containers[1].command, added by the operator)");
    cr_assert_str_eq(blamed("spec.subdomain", true), "T (spec.subdomain, added by the operator)");
    cr_assert_str_eq(blamed("", true), "T");
}

/* Without the pod, items are where they are; nonsense yields some path, never a crash. */
Test(blame, without_pod)
{
    cr_assert_str_eq(blamed("spec.containers[1].image", false), "T.spec.containers[1].image");
    cr_assert_str_eq(blamed("spec.containers[7].image", false),
                     "T (spec.containers[7].image, added by the operator)");
    for (const char *const *p =
             (const char *const[]){"[", "[]", ".", "..", "[0]", "spec.[", "spec.containers[",
                                   "spec.containers[99999999999999999999]", "a]b", NULL};
         *p; p++) {
        cr_assert(strncmp(blamed(*p, false), "T", 1) == 0);
        cr_assert(strncmp(blamed(*p, true), "T", 1) == 0);
    }
}

/* All causes of a refusal are told with the paths of the object, those of a Job too. */
Test(blame, refusals)
{
    struct json *tree = tree_of(job_yaml);
    put(tree, "spec.submitterPodTemplate", "{spec: {containers: [{name: s}]}}");
    struct ray_job *j = job_of(tree);
    struct kube_error why = {.n_causes = 2};
    strcpy(why.causes[0].field, "spec.containers[0].image");
    strcpy(why.causes[0].message, "Required value");
    strcpy(why.causes[1].field, "spec.restartPolicy");
    strcpy(why.causes[1].message, "Unsupported value: \"x\"");
    struct api_report bad = {0};
    blame_group(&j->cluster.workers[0], NULL, &why, &bad);
    cr_assert_str_eq(bad.text,
                     "spec.rayClusterSpec.workerGroupSpecs[0].template.spec.containers[0].image: "
                     "Required value; spec.rayClusterSpec.workerGroupSpecs[0].template.spec."
                     "restartPolicy: Unsupported value: \"x\"");
    struct json *made = tree_of("spec: {template: {spec: {containers: [{name: x}, {name: s}]}}}");
    memset(&bad, 0, sizeof bad);
    strcpy(why.causes[0].field, "spec.template.spec.containers[1].image");
    strcpy(why.causes[1].field, "spec.backoffLimit");
    blame_submitter(j, made, &why, &bad);
    cr_assert_str_eq(bad.text,
                     "spec.submitterPodTemplate.spec.containers[0].image: Required value; "
                     "spec.submitterPodTemplate (spec.backoffLimit, added by the operator): "
                     "Unsupported value: \"x\"");
    memset(&bad, 0, sizeof bad);
    why.n_causes = 0;
    strcpy(why.base.text, "pods \"x\" is forbidden: exceeded quota");
    blame_group(&j->cluster.head, NULL, &why, &bad);
    cr_assert_str_eq(bad.text, "spec.rayClusterSpec.headGroupSpec.template: pods \"x\" is "
                               "forbidden: exceeded quota");
    json_free(made);
    ray_job_free(j);
    json_free(tree);
}

/* What the server could not even read is in its text only: it is found there. */
Test(blame, decoding)
{
    struct json *tree = tree_of(cluster_yaml);
    struct ray_cluster *c = cluster_of(tree);
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field "
         "\"spec.containers[0].bogus\", unknown field \"spec.x\"",
         "spec.headGroupSpec.template.spec.containers[0].bogus: unknown field; "
         "spec.headGroupSpec.template.spec.x: unknown field"},
        {"Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal string into Go "
         "struct field ContainerPort.spec.containers.ports.containerPort of type int32",
         "spec.headGroupSpec.template.spec.containers.ports.containerPort: expected int32, found "
         "string"},
        {"json: cannot unmarshal string into Go struct field X of type int32",
         "spec.headGroupSpec.template: json: cannot unmarshal string into Go struct field X of "
         "type "
         "int32"},
        {"quantities must match the regular expression",
         "spec.headGroupSpec.template: quantities must match the regular expression"},
        {"unknown field \"", "spec.headGroupSpec.template: unknown field \""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kube_error why = {0};
        struct api_report bad = {0};
        snprintf(why.base.text, sizeof why.base.text, "%s", cases[i].text);
        blame_group(&c->spec.head, NULL, &why, &bad);
        cr_assert_str_eq(bad.text, cases[i].want, "%s", bad.text);
    }
    ray_cluster_free(c);
    json_free(tree);
}
