/*
 * The rules of RayClusters: for each, an object that breaks it alone, and what it is told.
 */
#include "objects.h"

#define HEAD  "spec.headGroupSpec"
#define W0    "spec.workerGroupSpecs[0]"
#define HENV  HEAD ".template.spec.containers[0].env"
#define FT    "spec.gcsFaultToleranceOptions"
#define HIST  "spec.historyServerOptions"
#define COLL  HIST ".collectorOptions"
#define SCALE "spec.enableInTreeAutoscaling=true"

struct rule {
    const char *changes[4]; /* "PATH=VALUE" */
    const char *want;       /* all that is told; "": nothing */
};

static const struct rule rules[] = {
    {{NULL}, ""},
    /* names */
    {{"metadata.name=Demo"},
     "metadata.name: expected lower-case letters, digits and '-', beginning with a letter (a "
     "DNS-1035 label), found 'Demo'"},
    {{"metadata.name=abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd"},
     "metadata.name: expected at most 53 characters, found 54"},
    {{"metadata.name=abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"}, ""},
    {{W0 ".groupName=big"},
     "spec.workerGroupSpecs[1].groupName: expected another name than that of "
     "spec.workerGroupSpecs[0], 'big'"},
    {{W0 ".groupName=headgroup"},
     W0 ".groupName: expected 1 to 63 letters, digits, '-', '_' and '.', and not 'headgroup', "
        "found 'headgroup'"},
    {{W0 ".groupName=a b"},
     W0 ".groupName: expected 1 to 63 letters, digits, '-', '_' and '.', and not 'headgroup', "
        "found 'a b'"},
    /* groups */
    {{HEAD ".template=null"}, HEAD ".template: expected a pod template"},
    {{W0 ".template.spec.containers=[]"},
     W0 ".template.spec.containers: expected at least one container: the first is the Ray "
        "container"},
    {{W0 ".minReplicas=-1"}, W0 ".minReplicas: expected 0 or more, found -1"},
    {{W0 ".maxReplicas=-1", W0 ".minReplicas=0"}, W0 ".maxReplicas: expected 0 or more, found -1"},
    {{W0 ".minReplicas=6"}, W0 ".minReplicas: expected at most maxReplicas, 5, found 6"},
    {{HEAD ".resources={CPU: '1'}", HEAD ".rayStartParams={num-cpus: '1'}"},
     HEAD ".resources: expected only one of resources and rayStartParams[\"num-cpus\"]"},
    {{HEAD ".resources={CPU: '1'}", HEAD ".rayStartParams={num-cpus: ''}"}, ""},
    {{W0 ".rayStartParams={labels: a=b}"},
     W0 ".rayStartParams[\"labels\"]: expected the group's own labels field in its place"},
    {{W0 ".labels={ray.io/a: b, c: ''}"}, ""},
    {{W0 ".labels={-a: b}"}, W0 ".labels: expected the keys of labels, found '-a'"},
    {{W0 ".labels={A/a: b}"}, W0 ".labels: expected the keys of labels, found 'A/a'"},
    {{W0 ".labels={a..b/a: b}"}, W0 ".labels: expected the keys of labels, found 'a..b/a'"},
    {{W0 ".labels={a: b c}"},
     W0 ".labels: expected at most 63 letters, digits, '-', '_' and '.' for 'a', found 'b c'"},
    {{W0 ".suspend=true", SCALE},
     W0 ".suspend: expected false while enableInTreeAutoscaling is true"},
    {{W0 ".maxReplicas=30000", W0 ".replicas=19992"},
     "spec.workerGroupSpecs: expected less than 20000 pods in all groups, found 20000"},
    /* fault tolerance */
    {{FT "={}"}, ""},
    {{HENV "=[{name: RAY_REDIS_ADDRESS, value: a}]"},
     HENV ": expected gcsFaultToleranceOptions in place of RAY_REDIS_ADDRESS"},
    {{HENV "=[{name: RAY_REDIS_ADDRESS, value: a}]",
      "metadata.annotations={ray.io/ft-enabled: 'true'}"},
     ""},
    {{"metadata.annotations={ray.io/ft-enabled: 'true'}", FT "={}"},
     "metadata.annotations[\"ray.io/ft-enabled\"]: expected nothing beside "
     "spec.gcsFaultToleranceOptions"},
    {{"metadata.annotations={ray.io/external-storage-namespace: x}", FT "={}"},
     "metadata.annotations[\"ray.io/external-storage-namespace\"]: expected "
     "gcsFaultToleranceOptions.externalStorageNamespace in its place"},
    {{HEAD ".rayStartParams={redis-password: x}", FT "={}"},
     HEAD ".rayStartParams[\"redis-password\"]: expected gcsFaultToleranceOptions.redisPassword in "
          "its place"},
    {{HENV "=[{name: REDIS_PASSWORD}]", FT "={}"},
     HENV ": expected gcsFaultToleranceOptions.redisPassword in place of REDIS_PASSWORD"},
    {{HENV "=[{name: RAY_REDIS_ADDRESS}]", FT "={}"},
     HENV ": expected gcsFaultToleranceOptions.redisAddress in place of RAY_REDIS_ADDRESS"},
    {{HENV "=[{name: REDIS_USERNAME}]"},
     HENV ": expected no REDIS_USERNAME (or rayStartParams[\"redis-username\"]): use "
          "gcsFaultToleranceOptions.redisUsername"},
    {{HEAD ".rayStartParams={redis-username: x}"},
     HENV ": expected no REDIS_USERNAME (or rayStartParams[\"redis-username\"]): use "
          "gcsFaultToleranceOptions.redisUsername"},
    {{FT "={backend: rocksdb, redisAddress: a}"},
     FT ".redisAddress: expected nothing with backend rocksdb"},
    {{FT "={backend: rocksdb, redisAddress: ''}"}, ""},
    {{FT "={backend: rocksdb, redisPassword: {value: a}}"},
     FT ".redisPassword: expected nothing with backend rocksdb"},
    {{FT "={backend: rocksdb}", HENV "=[{name: RAY_gcs_storage}]"},
     HENV ": expected no RAY_gcs_storage with gcsFaultToleranceOptions: the operator sets it"},
    {{FT "={storage: {claimName: c, size: 1Gi}}"},
     FT ".storage.claimName: expected alone, without size, storageClassName and accessModes"},
    {{FT "={storage: {claimName: c, subPath: a}}"}, ""},
    /* access */
    {{"spec.authOptions={mode: token}"}, ""},
    {{"spec.authOptions={mode: token}", "spec.rayVersion=2.51.9"},
     "spec.rayVersion: expected 2.52.0 or later with authOptions.mode token, found 2.51.9"},
    {{"spec.authOptions={mode: token}", "spec.rayVersion=null"},
     "spec.rayVersion: expected 2.52.0 or later with authOptions.mode token, found nothing"},
    {{"spec.authOptions={enableK8sTokenAuth: true}"},
     "spec.authOptions.mode: expected token with authOptions.enableK8sTokenAuth"},
    {{"spec.authOptions={mode: token, enableK8sTokenAuth: true}"},
     "spec.rayVersion: expected 2.55.0 or later with authOptions.enableK8sTokenAuth, found 2.52.0"},
    {{"spec.authOptions={mode: token, enableK8sTokenAuth: true, secretName: s}",
      "spec.rayVersion=2.55.0"},
     "spec.authOptions.secretName: expected nothing with authOptions.enableK8sTokenAuth"},
    {{"spec.tlsOptions={enabled: true}",
      "spec.workerGroupSpecs[1].template.spec.containers[0].env=[{name: RAY_USE_TLS, value: '1'}]"},
     "spec.workerGroupSpecs[1].template.spec.containers[0].env: expected no RAY_USE_TLS with "
     "tlsOptions.enabled: the operator sets up TLS"},
    {{"spec.upgradeStrategy={type: Recreate}",
      "metadata.labels={ray.io/originated-from-crd: RayJob}"},
     "spec.upgradeStrategy.type: expected nothing in a RayCluster that was made by a RayJob"},
    /* the autoscaler */
    {{"spec.autoscalerOptions={idleTimeoutSeconds: -1}"},
     "spec.autoscalerOptions.idleTimeoutSeconds: expected 0 or more, found -1"},
    {{"spec.autoscalerOptions={env: [{name: KUBERAY_GEN_AUTOSCALER_START_CMD}]}"},
     "spec.autoscalerOptions.env: expected no KUBERAY_GEN_AUTOSCALER_START_CMD: the operator sets "
     "it"},
    {{HENV "=[{name: RAY_enable_autoscaler_v2, value: 'true'}]"},
     HENV ": expected RAY_enable_autoscaler_v2 with enableInTreeAutoscaling only"},
    {{HENV "=[{name: RAY_enable_autoscaler_v2, value: '0'}]", SCALE,
      "spec.autoscalerOptions={version: v1}"},
     HENV ": expected only one of RAY_enable_autoscaler_v2 and autoscalerOptions.version"},
    {{SCALE, "spec.autoscalerOptions={version: v2}", W0 ".template.spec.restartPolicy=Always"},
     W0 ".template.spec.restartPolicy: expected Never, or nothing, with autoscalerOptions.version "
        "v2; found 'Always'"},
    {{SCALE, "spec.autoscalerOptions={version: v2}", W0 ".idleTimeoutSeconds=5"}, ""},
    {{SCALE, W0 ".idleTimeoutSeconds=5"},
     W0 ".idleTimeoutSeconds: expected with autoscalerOptions.version v2 only"},
    {{SCALE, W0 ".idleTimeoutSeconds=-5"}, W0 ".idleTimeoutSeconds: expected 0 or more, found -5"},
    {{W0 ".priority=0"}, ""},
    {{W0 ".priority=1"}, W0 ".priority: expected with rayVersion 2.56.0 or later only"},
    {{W0 ".priority=1", "spec.rayVersion=2.56.0"},
     W0 ".priority: expected with autoscalerOptions.version v2 only"},
    /* the history server */
    {{HIST "={}"}, COLL ": expected the collector's options"},
    {{COLL "={env: [{name: STORAGE_BACKEND, value: local}]}"}, COLL ".image: expected an image"},
    {{COLL "={image: a}"}, COLL ".env: expected STORAGE_BACKEND with a value"},
    {{COLL "={image: a, env: [{name: STORAGE_BACKEND, value: s3}]}"},
     COLL ".env: expected S3_REGION with STORAGE_BACKEND s3"},
    {{COLL "={image: a, env: [{name: STORAGE_BACKEND, value: S3}, {name: S3_REGION, value: x}]}"},
     ""},
    {{COLL "={image: a, env: [{name: STORAGE_BACKEND, value: GCS}, {name: POD_IP},"
           " {name: GCS_BUCKET, valueFrom: {}}]}"},
     COLL ".env: expected no POD_IP: the operator sets it"},
    {{COLL "={image: a, env: [{name: STORAGE_BACKEND, value: AzureBlob}]}"},
     COLL ".env: expected AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT_URL"},
    {{COLL "={image: a, env: [{name: STORAGE_BACKEND, value: AzureBlob},"
           " {name: AZURE_STORAGE_AUTH_MODE, value: connection_string}]}"},
     COLL ".env: expected AZURE_STORAGE_CONNECTION_STRING"},
    {{COLL "={image: a, env: [{name: STORAGE_BACKEND, value: AzureBlob},"
           " {name: AZURE_STORAGE_AUTH_MODE, value: default}]}"},
     COLL ".env: expected AZURE_STORAGE_ACCOUNT_URL"},
};

/* Every rule tells the field and what was expected, and nothing else is told. */
Test(check, rules)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const char *got = cluster_complaint(rules[i].changes);
        cr_expect_str_eq(got, rules[i].want, "%s\n  told: %s\n  want: %s",
                         rules[i].changes[0] ? rules[i].changes[0] : "unchanged", got,
                         rules[i].want);
    }
}

/* All rules that an object breaks are told at once. */
Test(check, all_at_once)
{
    const char *got = CLUSTER_WITH("metadata.name=A", W0 ".minReplicas=9",
                                   "spec.authOptions={mode: token}", "spec.rayVersion=1.0.0");
    cr_assert(strstr(got, "metadata.name: ") && strstr(got, W0 ".minReplicas: ") &&
                  strstr(got, "spec.rayVersion: "),
              "%s", got);
}

/* The rules of a spec alone are those of the cluster without its name. */
Test(check, spec_alone)
{
    struct json *tree = tree_of(cluster_yaml);
    struct ray_cluster *c = cluster_of(tree);
    struct api_report bad = {0};
    ray_cluster_spec_check(&c->spec, &bad);
    cr_assert_eq(bad.n, 0);
    ray_cluster_free(c);
    json_free(tree);
}
