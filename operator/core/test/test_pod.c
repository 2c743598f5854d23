/*
 * Tests of core/pod.h, start.h and service.h: what is made of manifests, checked against what
 * KubeRay's users know.
 */
#include "core/pod.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "core/inject.h"
#include "core/secret.h"
#include "core/service.h"
#include "core/start.h"
#include "yaml/yaml_load.h"

static const struct operator_config config = {.raia_image = "raia.io/raia:dev",
                                              .raia_pull_policy = "IfNotPresent",
                                              .cluster_domain = "cluster.local",
                                              .version = "1.2.3",
                                              .probes = true,
                                              .tls = true,
                                              .tokens = true};

struct world {
    struct json *tree;
    struct ray_cluster *c;
    char service[SERVICE_NAME_SIZE];
    struct pod_site site;
};

static void world_done(struct world *w)
{
    ray_cluster_free(w->c);
    json_free(w->tree);
}

/* yaml: what is below metadata.name, namespace and uid. */
static void world_init(struct world *w, const char *yaml)
{
    struct raia_error e = {0};
    struct api_report bad = {0};

    cr_assert_eq(yaml_load_one(yaml, strlen(yaml), "test", NULL, &w->tree, &e), 0, "%s", e.text);
    struct json *meta = inject_object(w->tree, "metadata");
    json_set_str(meta, "name", "demo");
    json_set_str(meta, "namespace", "team");
    json_set_str(meta, "uid", "11111111-2222");
    cr_assert_eq(ray_cluster_read(w->tree, &w->c, &e), 0, "%s", e.text);
    ray_cluster_check(w->c, &bad);
    cr_assert_eq(bad.n, 0, "%s", bad.text);
    service_head_name(w->c, w->service);
    bool made;
    w->site = (struct pod_site){.cluster = w->c,
                                .config = &config,
                                .service = w->service,
                                .token_secret = secret_token_name(w->c, &config, &made),
                                .hash = "abc"};
}

static struct json *build(struct world *w, const struct ray_group *g)
{
    struct pod_place at = {.name = "the-pod", .replica = -1};
    struct raia_error e = {0};
    struct json *pod = NULL;

    cr_assert_eq(pod_build(&w->site, g, &at, &pod, &e), 0, "%s", e.text);
    return pod;
}

/* What lies at a path must be this JSON; "-": nothing. */
static void at(const struct json *root, const char *path, const char *want)
{
    const struct json *have = json_at(root, path);
    _cleanup_(json_freep) struct json *tree = NULL;
    _cleanup_(mem_freep) char *text = have ? json_print(have, JSON_COMPACT, NULL) : NULL;

    if (strcmp(want, "-") == 0) {
        cr_assert_not(have, "%s: got %s", path, text);
        return;
    }
    cr_assert_eq(json_parse(want, strlen(want), NULL, &tree, NULL), 0, "%s", want);
    cr_assert(json_equal(have, tree), "%s: got %s, expected %s", path, text ? text : "nothing",
              want);
}

/* The same for a variable of the Ray container: its value, or valueFrom. */
static void env(const struct json *pod, const char *name, const char *want)
{
    const struct json *v = inject_find(json_at(pod, "spec.containers[0].env"), "name", name);

    if (strcmp(want, "-") == 0)
        cr_assert_not(v, "%s is there", name);
    else
        at(v, json_get(v, "value") ? "value" : "valueFrom", want);
}

#define HEAD                                                                                       \
    "spec:\n  headGroupSpec:\n    rayStartParams: {num-cpus: '0'}\n    template:\n      spec:\n  " \
    "      containers:\n"
#define SIMPLE                                                                                     \
    HEAD "        - name: ray-head\n"                                                              \
         "          image: rayproject/ray:2.52.0\n"                                                \
         "          resources: {limits: {cpu: 1500m, memory: 2G}, requests: {cpu: 500m, memory: "  \
         "1Gi}}\n"                                                                                 \
         "          ports: [{containerPort: 6379, name: gcs-server}, {containerPort: 8265, name: " \
         "dashboard}]\n"                                                                           \
         "  workerGroupSpecs:\n"                                                                   \
         "  - groupName: small\n"                                                                  \
         "    replicas: 2\n    minReplicas: 1\n    maxReplicas: 5\n"                               \
         "    rayStartParams: {}\n"                                                                \
         "    template:\n      spec:\n        containers:\n"                                       \
         "        - name: ray-worker\n          image: rayproject/ray:2.52.0\n"                    \
         "          resources: {limits: {cpu: '2', memory: 1Gi, nvidia.com/gpu: 1}}\n"

/* The head of a plain cluster has KubeRay's labels, variables, ports and probes, and is started
 * without a shell. */
Test(pod, head)
{
    struct world w = {0};
    world_init(&w, SIMPLE);
    _cleanup_(json_freep) struct json *pod = build(&w, &w.c->spec.head);

    at(pod, "metadata.name", "\"the-pod\"");
    at(pod, "metadata.labels",
       "{\"ray.io/cluster\":\"demo\",\"ray.io/node-type\":\"head\",\"ray.io/group\":\"headgroup\","
       "\"ray.io/is-ray-node\":\"yes\",\"ray.io/identifier\":\"demo-head\","
       "\"app.kubernetes.io/name\":\"kuberay\",\"app.kubernetes.io/"
       "created-by\":\"raia-operator\"}");
    at(pod, "metadata.annotations",
       "{\"ray.io/raia-version\":\"1.2.3\",\"ray.io/upgrade-strategy-recreate-hash\":\"abc\"}");
    at(pod, "metadata.ownerReferences",
       "[{\"apiVersion\":\"ray.io/v1\",\"kind\":\"RayCluster\",\"name\":\"demo\","
       "\"uid\":\"11111111-2222\",\"controller\":true,\"blockOwnerDeletion\":true}]");
    at(pod, "spec.containers[0].command", "[\"/opt/raia/bin/raia-pod\"]");
    at(pod, "spec.containers[0].args",
       "[\"--head\",\"--dashboard-agent-listen-port=52365\",\"--dashboard-host=0.0.0.0\","
       "\"--memory=2000000000\",\"--metrics-export-port=8080\",\"--num-cpus=0\"]");
    at(pod, "spec.containers[0].ports",
       "[{\"containerPort\":6379,\"name\":\"gcs-server\"},{\"containerPort\":8265,"
       "\"name\":\"dashboard\"},{\"containerPort\":8080,\"name\":\"metrics\"}]");
    at(pod, "spec.containers[0].readinessProbe",
       "{\"httpGet\":{\"path\":\"/healthz\",\"port\":8265},\"periodSeconds\":5,"
       "\"timeoutSeconds\":5,\"failureThreshold\":10}");
    at(pod, "spec.containers[0].livenessProbe.failureThreshold", "120");
    at(pod, "spec.volumes",
       "[{\"name\":\"raia\",\"emptyDir\":{}},{\"name\":\"raia-tls\",\"secret\":"
       "{\"secretName\":\"demo-raia-tls-head\",\"defaultMode\":292}},"
       "{\"name\":\"shared-mem\",\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"2G\"}}]");
    at(pod, "spec.initContainers[0].name", "\"raia-init\"");
    at(pod, "spec.initContainers[1]", "-");
    env(pod, "RAY_CLUSTER_NAME",
        "{\"fieldRef\":{\"fieldPath\":\"metadata.labels['ray.io/cluster']\"}}");
    env(pod, "RAY_CLOUD_INSTANCE_ID", "{\"fieldRef\":{\"fieldPath\":\"metadata.name\"}}");
    env(pod, "RAY_NODE_TYPE_NAME",
        "{\"fieldRef\":{\"fieldPath\":\"metadata.labels['ray.io/group']\"}}");
    env(pod, "RAY_ADDRESS", "\"127.0.0.1:6379\"");
    env(pod, "RAY_PORT", "\"6379\"");
    env(pod, "FQ_RAY_IP", "-");
    env(pod, "RAIA_GCS_ADDRESS", "-");
    env(pod, "RAIA_STORAGE_PATH", "-");
    env(pod, "RAIA_LEASE", "-");
    env(pod, "RAIA_NODE_IP", "{\"fieldRef\":{\"fieldPath\":\"status.podIP\"}}");
    env(pod, "RAIA_TLS_DIR", "\"/etc/raia/tls\"");
    env(pod, "RAIA_SESSION_DIR", "\"/tmp/ray/session_latest\"");
    env(pod, "RAY_AUTH_MODE", "\"token\"");
    env(pod, "RAY_AUTH_TOKEN", "{\"secretKeyRef\":{\"name\":\"demo\",\"key\":\"auth_token\"}}");
    env(pod, "KUBERAY_GEN_RAY_START_CMD",
        "\"/opt/raia/bin/ray start --head --block --dashboard-agent-listen-port=52365 "
        "--dashboard-host=0.0.0.0 --memory=2000000000 --metrics-export-port=8080 --num-cpus=0\"");
    world_done(&w);
}

/* A worker finds the head by its service; its probes are on the metrics port. */
Test(pod, worker)
{
    struct world w = {0};
    world_init(&w, SIMPLE);
    _cleanup_(json_freep) struct json *pod = build(&w, &w.c->spec.workers[0]);

    at(pod, "metadata.labels",
       "{\"ray.io/cluster\":\"demo\",\"ray.io/node-type\":\"worker\",\"ray.io/group\":\"small\","
       "\"ray.io/is-ray-node\":\"yes\",\"ray.io/identifier\":\"demo-worker\","
       "\"app.kubernetes.io/name\":\"kuberay\",\"app.kubernetes.io/"
       "created-by\":\"raia-operator\"}");
    at(pod, "spec.containers[0].args",
       "[\"--address=demo-head-svc.team.svc.cluster.local:6379\","
       "\"--dashboard-agent-listen-port=52365\",\"--memory=1073741824\","
       "\"--metrics-export-port=8080\",\"--num-cpus=2\",\"--num-gpus=1\"]");
    at(pod, "spec.containers[0].readinessProbe.httpGet", "{\"path\":\"/healthz\",\"port\":8080}");
    at(pod, "spec.containers[0].readinessProbe.timeoutSeconds", "2");
    at(pod, "spec.containers[0].livenessProbe.httpGet", "{\"path\":\"/livez\",\"port\":8080}");
    at(pod, "spec.containers[0].ports", "[{\"name\":\"metrics\",\"containerPort\":8080}]");
    env(pod, "FQ_RAY_IP", "\"demo-head-svc.team.svc.cluster.local\"");
    env(pod, "RAY_IP", "\"demo-head-svc\"");
    env(pod, "RAY_ADDRESS", "\"demo-head-svc.team.svc.cluster.local:6379\"");
    env(pod, "RAIA_GCS_ADDRESS", "\"demo-head-svc.team.svc.cluster.local:6379\"");
    world_done(&w);
}

/* The template is opaque: its labels, volumes, init containers, side cars and settings stay, in
 * their order, but for the three labels that tell what the pod is. */
Test(pod, complete)
{
    struct world w = {0};
    world_init(
        &w,
        "spec:\n  headGroupSpec:\n    rayStartParams: {dashboard-host: '127.0.0.1'}\n"
        "    template:\n      metadata:\n"
        "        labels: {a: b, ray.io/cluster: x, ray.io/node-type: x, ray.io/group: x,\n"
        "                 ray.io/identifier: mine, app.kubernetes.io/name: mine}\n"
        "        annotations: {note: kept}\n"
        "      spec:\n        nodeSelector: {zone: a}\n        future: {field: [1, {x: z}]}\n"
        "        initContainers: [{name: first, image: busybox}]\n"
        "        volumes: [{name: logs, emptyDir: {}}]\n"
        "        containers:\n"
        "        - name: ray-head\n          image: any\n"
        "          env: [{name: RAY_ADDRESS, value: mine}, {name: RAY_CLUSTER_NAME, value: no}]\n"
        "          volumeMounts: [{name: logs, mountPath: /tmp/ray}, {name: logs, mountPath: "
        "/dev/shm}]\n"
        "          livenessProbe: {tcpSocket: {port: 1}}\n"
        "          terminationMessagePolicy: File\n"
        "        - name: side\n          image: fluentbit\n");
    _cleanup_(json_freep) struct json *pod = build(&w, &w.c->spec.head);

    at(pod, "metadata.labels",
       "{\"a\":\"b\",\"ray.io/cluster\":\"demo\",\"ray.io/node-type\":\"head\","
       "\"ray.io/group\":\"headgroup\",\"ray.io/is-ray-node\":\"yes\",\"ray.io/"
       "identifier\":\"mine\","
       "\"app.kubernetes.io/name\":\"mine\",\"app.kubernetes.io/created-by\":\"raia-operator\"}");
    at(pod, "metadata.annotations.note", "\"kept\"");
    at(pod, "spec.nodeSelector", "{\"zone\":\"a\"}");
    at(pod, "spec.future", "{\"field\":[1,{\"x\":\"z\"}]}");
    at(pod, "spec.initContainers[1]",
       "{\"name\":\"first\",\"image\":\"busybox\",\"env\":[{\"name\":\"FQ_RAY_IP\","
       "\"value\":\"demo-head-svc.team.svc.cluster.local\"},"
       "{\"name\":\"RAY_IP\",\"value\":\"demo-head-svc\"}]}");
    at(pod, "spec.containers[1]", "{\"name\":\"side\",\"image\":\"fluentbit\"}");
    at(pod, "spec.volumes[0]", "{\"name\":\"logs\",\"emptyDir\":{}}");
    at(pod, "spec.volumes[3]", "-");
    at(pod, "spec.containers[0].volumeMounts[1]", "{\"name\":\"logs\",\"mountPath\":\"/dev/shm\"}");
    at(pod, "spec.containers[0].livenessProbe", "{\"tcpSocket\":{\"port\":1}}");
    at(pod, "spec.containers[0].startupProbe", "-");
    at(pod, "spec.containers[0].readinessProbe.httpGet.path", "\"/healthz\"");
    at(pod, "spec.containers[0].terminationMessagePolicy", "\"File\"");
    at(pod, "spec.containers[0].args",
       "[\"--head\",\"--dashboard-agent-listen-port=52365\",\"--dashboard-host=127.0.0.1\","
       "\"--metrics-export-port=8080\"]");
    env(pod, "RAY_ADDRESS", "\"mine\"");
    env(pod, "RAY_CLUSTER_NAME",
        "{\"fieldRef\":{\"fieldPath\":\"metadata.labels['ray.io/cluster']\"}}");
    world_done(&w);
}

static const struct {
    const char *yaml;    /* of the container: command, args */
    const char *command; /* made of it */
    const char *args;
} commands[] = {
    {"command: ['echo 123']\n          args: ['456']", "[\"/bin/bash\",\"-c\",\"--\"]",
     "[\"export PATH=/opt/raia/bin:$PATH; echo 123 456 && "
     "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; /opt/raia/bin/ray start --head --block "
     "--dashboard-agent-listen-port=52365 --dashboard-host=0.0.0.0 --metrics-export-port=8080 "
     "--num-cpus=0\"]"},
    {"command: [ray, start, --head]", "[\"/opt/raia/bin/ray\",\"start\",\"--head\"]", "-"},
    {"args: [ray, start, --head]", "-", "[\"/opt/raia/bin/ray\",\"start\",\"--head\"]"},
    {"command: [/bin/bash, -lc, --]\n          args: ['sleep 1; ray start --head --block']",
     "[\"/bin/bash\",\"-lc\",\"--\"]",
     "[\"export PATH=/opt/raia/bin:$PATH; sleep 1; ray start --head --block\"]"},
};

/* A user's command runs before the node is started, as in KubeRay; one that starts it itself finds
 * our `ray`. */
Test(pod, commands)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct world w = {0};
        _cleanup_(mem_freep) char *yaml = mem_printf(
            HEAD "        - name: h\n          image: i\n          %s\n", commands[i].yaml);
        world_init(&w, yaml);
        _cleanup_(json_freep) struct json *pod = build(&w, &w.c->spec.head);
        at(pod, "spec.containers[0].command", commands[i].command);
        at(pod, "spec.containers[0].args", commands[i].args);
        world_done(&w);
    }
}

/* With the annotation the user's command stays as it is, and has ours in a variable that needs no
 * search path. */
Test(pod, overwrite_command)
{
    struct world w = {0};
    world_init(&w, "metadata:\n  annotations: {ray.io/overwrite-container-cmd: 'true'}\n" HEAD
                   "        - name: h\n          image: i\n          command: [/bin/sh, -c]\n"
                   "          args: ['echo hi; $KUBERAY_GEN_RAY_START_CMD']\n");
    _cleanup_(json_freep) struct json *pod = build(&w, &w.c->spec.head);

    at(pod, "spec.containers[0].command", "[\"/bin/sh\",\"-c\"]");
    at(pod, "spec.containers[0].args", "[\"echo hi; $KUBERAY_GEN_RAY_START_CMD\"]");
    at(json_at(pod, "metadata.annotations"), "[\"ray.io/overwrite-container-cmd\"]", "\"true\"");
    const struct json *v =
        inject_find(json_at(pod, "spec.containers[0].env"), "name", "KUBERAY_GEN_RAY_START_CMD");
    cr_assert_eq(strncmp(json_str(json_get(v, "value")), "/opt/raia/bin/ray start --head ", 31), 0);
    world_done(&w);
}

static const struct {
    const char *value; /* of a parameter, as YAML */
    const char *arg;   /* made of it; NULL: a shell is needed */
} values[] = {
    {"'\"{\\\"TPU\\\": 4}\"'", "--x={\"TPU\": 4}"},
    {"\"'{\\\"a\\\":1}'\"", "--x={\"a\":1}"},
    {"$MY_POD_IP", "--x=$(MY_POD_IP)"},
    {"'\"${A}-${B}\"'", "--x=$(A)-$(B)"},
    {"\"'$HOME'\"", "--x=$$HOME"},
    {"'a\\ b'", "--x=a b"},
    {"$(hostname)", NULL},
    {"'`id`'", NULL},
    {"'a b'", NULL},
    {"'\"open'", NULL},
};

/* Parameters are written for a shell; without one they mean the same. */
Test(pod, parameters)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct world w = {0};
        _cleanup_(mem_freep) char *yaml = mem_printf(
            "spec:\n  headGroupSpec:\n    rayStartParams: {a: 'true', b: 'false', x: %s}\n"
            "    template: {spec: {containers: [{name: h, image: i}]}}\n",
            values[i].value);
        world_init(&w, yaml);
        _cleanup_(json_freep) struct json *pod = build(&w, &w.c->spec.head);
        const struct json *args = json_at(pod, "spec.containers[0].args");
        cr_assert_str_eq(json_str(json_at(pod, "spec.containers[0].command[0]")),
                         values[i].arg ? "/opt/raia/bin/raia-pod" : "/bin/bash");
        if (values[i].arg) {
            cr_assert_str_eq(json_str(json_item(args, 1)), "--a");
            cr_assert_str_eq(json_str(json_item(args, json_size(args) - 1)), values[i].arg);
        }
        world_done(&w);
    }
}

/* Resources and labels of a group become parameters, and its labels the pod's. */
Test(pod, group_resources)
{
    struct world w = {0};
    world_init(&w, "spec:\n  headGroupSpec:\n    resources: {cpu: '3', memory: 2Gi, gold: '5'}\n"
                   "    labels: {zone: a, tier: b}\n"
                   "    template: {spec: {containers: [{name: h, image: i}]}}\n");
    _cleanup_(json_freep) struct json *pod = build(&w, &w.c->spec.head);

    at(pod, "spec.containers[0].args",
       "[\"--head\",\"--dashboard-agent-listen-port=52365\",\"--dashboard-host=0.0.0.0\","
       "\"--labels=tier=b,zone=a\",\"--memory=2147483648\",\"--metrics-export-port=8080\","
       "\"--num-cpus=3\",\"--resources={\\\"gold\\\":5}\"]");
    at(pod, "metadata.labels.zone", "\"a\"");
    world_done(&w);
}

static const struct {
    const char *options; /* below spec, and the variables of the container */
    const char *env;
    const char *mode, *secret; /* of the pod's token */
    bool made;
} auths[] = {
    {"", "", "\"token\"", "demo", true},
    {"  authOptions: {mode: token}\n", "", "\"token\"", "demo", true},
    {"  authOptions: {mode: token, secretName: own}\n", "", "\"token\"", "own", false},
    {"  authOptions: {mode: disabled}\n", "", "\"disabled\"", NULL, false},
    {"",
     "{name: RAY_AUTH_MODE, value: token}, {name: RAY_AUTH_TOKEN, valueFrom: {secretKeyRef: "
     "{name: theirs, key: auth_token}}}",
     "\"token\"", "theirs", false},
};

/* Tokens: by default, of the user's Secret, none, or by the user's own variables. */
Test(pod, auth)
{
    for (size_t i = 0; i < sizeof auths / sizeof *auths; i++) {
        struct world w = {0};
        _cleanup_(mem_freep) char *yaml = mem_printf(
            "spec:\n  rayVersion: '2.53.0'\n%s  headGroupSpec:\n    template: {spec: {containers: "
            "[{name: h, image: i, env: [%s]}]}}\n",
            auths[i].options, auths[i].env);
        world_init(&w, yaml);
        _cleanup_(json_freep) struct json *pod = build(&w, &w.c->spec.head);
        const struct json *token =
            inject_find(json_at(pod, "spec.containers[0].env"), "name", "RAY_AUTH_TOKEN");
        const char *name = json_str(json_at(token, "valueFrom.secretKeyRef.name"));
        bool made;
        secret_token_name(w.c, &config, &made);
        env(pod, "RAY_AUTH_MODE", auths[i].mode);
        cr_assert_eq(made, auths[i].made, "case %zu", i);
        cr_assert_eq(name != NULL, auths[i].secret != NULL);
        if (name)
            cr_assert_str_eq(name, auths[i].secret);
        world_done(&w);
    }
}

/* GCS fault tolerance: the head has a volume that outlives it, and its tables lie there. */
Test(pod, storage)
{
    struct world w = {0};
    world_init(&w, "spec:\n  gcsFaultToleranceOptions:\n    backend: rocksdb\n"
                   "    storage: {size: 2Gi, storageClassName: fast, subPath: a/b}\n"
                   "  headGroupSpec:\n    template: {spec: {containers: [{name: h, image: i}]}}\n");
    _cleanup_(json_freep) struct json *pod = build(&w, &w.c->spec.head), *claim = NULL;

    env(pod, "RAIA_STORAGE_PATH", "\"/data/gcs/raia.db\"");
    env(pod, "RAIA_LEASE", "\"60s\"");
    at(inject_find(json_at(pod, "spec.volumes"), "name", "raia-gcs"), "persistentVolumeClaim",
       "{\"claimName\":\"demo-gcs-pvc\"}");
    at(inject_find(json_at(pod, "spec.containers[0].volumeMounts"), "name", "raia-gcs"), "subPath",
       "\"a/b\"");
    at(pod, "spec.securityContext.fsGroup", "65532");
    cr_assert_eq(service_storage(w.c, &claim), 0);
    at(claim, "spec",
       "{\"resources\":{\"requests\":{\"storage\":\"2Gi\"}},\"accessModes\":[\"ReadWriteOnce\"],"
       "\"storageClassName\":\"fast\"}");
    at(claim, "metadata.ownerReferences[0].name", "\"demo\"");
    world_done(&w);
}

/* Redis is nothing that Raia uses: no volume is made in its place. */
Test(pod, redis)
{
    struct world w = {0};
    world_init(&w, "spec:\n  gcsFaultToleranceOptions: {redisAddress: 'redis:6379'}\n"
                   "  headGroupSpec:\n    template: {spec: {containers: [{name: h, image: i}]}}\n");
    _cleanup_(json_freep) struct json *pod = build(&w, &w.c->spec.head);

    cr_assert_not(pod_has_storage(w.c));
    env(pod, "RAIA_STORAGE_PATH", "-");
    env(pod, "RAIA_LEASE", "-");
    world_done(&w);
}

/* The head service is headless, with the head's ports by name, and the metrics. */
Test(service, head)
{
    struct world w = {0};
    struct json *s = NULL;
    world_init(&w, SIMPLE);
    cr_assert_eq(service_head(w.c, &s), 0);

    at(s, "metadata.name", "\"demo-head-svc\"");
    at(s, "metadata.labels",
       "{\"ray.io/cluster\":\"demo\",\"ray.io/node-type\":\"head\",\"ray.io/"
       "identifier\":\"demo-head\","
       "\"app.kubernetes.io/name\":\"kuberay\",\"app.kubernetes.io/"
       "created-by\":\"raia-operator\"}");
    at(s, "spec.selector", "{\"ray.io/cluster\":\"demo\",\"ray.io/node-type\":\"head\"}");
    at(s, "spec.clusterIP", "\"None\"");
    at(s, "spec.publishNotReadyAddresses", "true");
    at(s, "spec.ports[0]",
       "{\"name\":\"gcs-server\",\"port\":6379,\"targetPort\":6379,\"protocol\":\"TCP\","
       "\"appProtocol\":\"tcp\"}");
    at(s, "spec.ports[2].name", "\"metrics\"");
    at(s, "spec.ports[3]", "-");
    json_free(s);
    world_done(&w);
}

/* The user's own service keeps its name, type, labels and ports, and serves the head too. */
Test(service, custom)
{
    struct world w = {0};
    struct json *s = NULL;
    world_init(
        &w,
        "spec:\n  headServiceAnnotations: {x: z}\n  headGroupSpec:\n"
        "    headService:\n      metadata: {name: mine, labels: {a: b}, annotations: {c: d}}\n"
        "      spec: {type: LoadBalancer, ports: [{port: 12345, name: own}]}\n"
        "    template: {spec: {containers: [{name: h, image: i, ports: [{containerPort: 7}]}]}}\n");
    cr_assert_eq(service_head(w.c, &s), 0);

    at(s, "metadata.name", "\"mine\"");
    at(s, "metadata.labels.a", "\"b\"");
    at(s, "metadata.annotations.c", "\"d\"");
    at(s, "metadata.annotations.x", "\"z\"");
    at(s, "spec.type", "\"LoadBalancer\"");
    at(s, "spec.clusterIP", "-");
    at(s, "spec.ports[0]", "{\"port\":12345,\"name\":\"own\"}");
    at(s, "spec.ports[1].name", "\"7-port\"");
    at(s, "spec.ports[2].name", "\"metrics\"");
    _cleanup_(json_freep) struct json *pod = build(&w, &w.c->spec.head);
    cr_assert_str_eq(w.service, "mine");
    json_free(s);
    world_done(&w);
}

/* Without ports there are KubeRay's five; serviceType makes it other than headless. */
Test(service, defaults)
{
    struct world w = {0};
    struct json *s = NULL;
    world_init(&w, "spec:\n  headGroupSpec:\n    serviceType: NodePort\n"
                   "    template: {spec: {containers: [{name: h, image: i}]}}\n");
    cr_assert_eq(service_head(w.c, &s), 0);

    at(s, "spec.type", "\"NodePort\"");
    at(s, "spec.clusterIP", "-");
    cr_assert_eq(json_size(json_at(s, "spec.ports")), 5);
    cr_assert_not(service_has_serve(w.c));
    cr_assert_not(service_has_hosts(w.c));
    json_free(s);
    world_done(&w);
}

/* Names are the same each time, differ by slot, salt, group and incarnation, and fit. */
Test(pod, names)
{
    struct world w = {0};
    char a[POD_NAME_SIZE], b[POD_NAME_SIZE];
    world_init(&w, SIMPLE);
    struct ray_cluster other = *w.c;
    const struct ray_group *g = &w.c->spec.workers[0];

    pod_name(w.c, g, "0", 0, a);
    pod_name(w.c, g, "0", 0, b);
    cr_assert_str_eq(a, b);
    cr_assert_eq(strncmp(a, "demo-small-worker-", 18), 0);
    cr_assert_eq(strlen(a), 23);
    pod_name(w.c, g, "1", 0, b);
    cr_assert_str_neq(a, b);
    pod_name(w.c, g, "0", 1, b);
    cr_assert_str_neq(a, b);
    other.uid = "another";
    pod_name(&other, g, "0", 0, b);
    cr_assert_str_neq(a, b);
    other.name = "a-name-of-fifty-three-characters-which-is-the-most-xx";
    pod_name(&other, g, "0", 0, b);
    cr_assert_eq(strlen(b), 50 + strlen("-worker-") + 5);
    world_done(&w);
}

/* A pod has ended in two of its phases, and has not before it has any. */
Test(pod, has_ended)
{
    static const struct {
        const char *phase;
        bool ended;
    } cases[] = {{NULL, false}, {"Pending", false}, {"Running", false}, {"Unknown", false},
                 {"", false},   {"Failed", true},   {"Succeeded", true}};

    cr_assert_not(pod_has_ended(NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_(json_freep) struct json *pod = json_new_object();
        struct json *status = inject_object(pod, "status");
        if (cases[i].phase)
            json_set_str(status, "phase", cases[i].phase);
        cr_assert_eq(pod_has_ended(pod), cases[i].ended, "case %zu", i);
    }
}

/* Memory that runs out anywhere is told, and nothing is lost. */
Test(pod, no_memory)
{
    struct world w = {0};
    world_init(&w, SIMPLE);
    for (int worker = 0; worker < 2; worker++)
        for (uint64_t n = 1;; n++) {
            struct pod_place place = {.name = "p", .replica = worker ? 0 : -1, .replica_name = "r"};
            struct json *pod = NULL, *service = NULL;
            mem_fail_nth(n);
            int r = pod_build(&w.site, worker ? &w.c->spec.workers[0] : &w.c->spec.head, &place,
                              &pod, NULL);
            if (r == 0)
                r = service_head(w.c, &service);
            mem_fail_nth(0);
            json_free(pod);
            json_free(service);
            if (r == 0)
                break;
            cr_assert_eq(r, -RAIA_ERR_NOMEM, "allocation %lu: %d", (unsigned long)n, r);
            cr_assert_lt(n, 10000);
        }
    world_done(&w);
}
