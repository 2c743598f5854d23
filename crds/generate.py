#!/usr/bin/env python3
"""Writes ray.io_rayclusters.yaml and ray.io_rayjobs.yaml; --check: tells whether they are current.

The schemas take what KubeRay's take. Pod templates and services are open objects
(x-kubernetes-preserve-unknown-fields): only what this file names is checked in them by the server.
Rules here are those that an expression can tell; the operator checks the same and more.
"""
import os
import re
import sys

SCHEMA_VERSION = "1"  # RAY_SCHEMA_VERSION in operator/api/names.h: raise both with a new field

# -- building blocks ---------------------------------------------------------------------------------

STRING = {"type": "string"}
BOOL = {"type": "boolean"}
INT = {"type": "integer", "format": "int32", "maximum": 2147483647}
INT64 = {"type": "integer", "format": "int64"}
NUMBER = {"type": "number"}
TIME = {"type": "string", "format": "date-time"}
ANY = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
QUANTITY = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]"
               r"|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
    "x-kubernetes-int-or-string": True,
}


def obj(properties, required=(), rules=(), **more):
    out = {"type": "object", "properties": properties}
    if required:
        out["required"] = list(required)
    if rules:
        out["x-kubernetes-validations"] = list(rules)
    out.update(more)
    return out


def open_obj(properties, required=()):
    return obj(properties, required, **{"x-kubernetes-preserve-unknown-fields": True})


def array(items, key=None, **more):
    out = {"type": "array", "items": items}
    if key:
        out["x-kubernetes-list-type"] = "map"
        out["x-kubernetes-list-map-keys"] = [key]
    out.update(more)
    return out


def texts(**more):
    return {"type": "object", "additionalProperties": STRING, **more}


def enum(*values, **more):
    return {"type": "string", "enum": list(values), **more}


def rule(expression, message, path=None):
    out = {"rule": expression, "message": message}
    if path:
        out["fieldPath"] = path
    return out


def default(schema, value):
    return {**schema, "default": value}


# -- pods and services -------------------------------------------------------------------------------

ENV = array(open_obj({"name": STRING, "value": STRING}, ["name"]), key="name")
RESOURCES = open_obj({
    "limits": {"type": "object", "additionalProperties": QUANTITY},
    "requests": {"type": "object", "additionalProperties": QUANTITY},
})
CONTAINER = open_obj({
    "name": STRING,
    "image": STRING,
    "imagePullPolicy": STRING,
    "command": array(STRING),
    "args": array(STRING),
    "workingDir": STRING,
    "env": ENV,
    "resources": RESOURCES,
    "ports": array(open_obj({
        "containerPort": INT,
        "hostPort": INT,
        "name": STRING,
        "protocol": STRING,
    }, ["containerPort"])),
    "volumeMounts": array(open_obj({"mountPath": STRING, "name": STRING}, ["mountPath", "name"]),
                          key="mountPath"),
}, ["name"])
EMBEDDED_META = open_obj({"annotations": texts(), "labels": texts()})


def pod_template():
    return open_obj({
        "metadata": EMBEDDED_META,
        "spec": open_obj({
            "containers": array(CONTAINER, key="name"),
            "initContainers": array(CONTAINER, key="name"),
            "volumes": array(open_obj({"name": STRING}, ["name"]), key="name"),
            "nodeSelector": texts(),
            "restartPolicy": STRING,
            "serviceAccountName": STRING,
        }, ["containers"]),
    })


SERVICE = open_obj({"metadata": EMBEDDED_META, "spec": open_obj({"type": STRING})})

# -- RayCluster --------------------------------------------------------------------------------------

MANAGED_BY = {
    "type": "string",
    "x-kubernetes-validations": [
        rule("self == oldSelf", "the managedBy field is immutable"),
        rule("self in ['ray.io/kuberay-operator', 'kueue.x-k8s.io/multikueue']",
             "the managedBy field value must be either 'ray.io/kuberay-operator' or "
             "'kueue.x-k8s.io/multikueue'"),
    ],
}

GROUP_RULES = [
    rule("!has(self.rayStartParams) || !('labels' in self.rayStartParams)",
         "use the group's labels field in place of rayStartParams['labels']", ".rayStartParams"),
    rule("!has(self.resources) || size(self.resources) == 0 || !has(self.rayStartParams) || "
         "!['num-cpus', 'num-gpus', 'memory', 'resources'].exists(k, k in self.rayStartParams && "
         "self.rayStartParams[k] != '')",
         "resources and rayStartParams num-cpus, num-gpus, memory, resources exclude each other",
         ".resources"),
]


def group(properties, required, rules=()):
    return obj({
        "template": pod_template(),
        "rayStartParams": texts(),
        "labels": texts(),
        "resources": texts(),
        **properties,
    }, required, [*GROUP_RULES, *rules])


def head_group():
    return group({
        "serviceType": STRING,
        "headService": SERVICE,
        "enableIngress": BOOL,
        "ingressOptions": obj({
            "host": STRING,
            "path": STRING,
            "pathType": enum("Exact", "Prefix", "ImplementationSpecific"),
            "tls": array(obj({"hosts": array(STRING, **{"x-kubernetes-list-type": "atomic"}),
                              "secretName": STRING}),
                         **{"x-kubernetes-list-type": "atomic"}),
        }),
    }, ["template"])


def worker_group():
    return group({
        "groupName": {"type": "string", "minLength": 1},
        "replicas": default(INT, 0),
        "minReplicas": default({**INT, "minimum": 0}, 0),
        "maxReplicas": default({**INT, "minimum": 0}, 2147483647),
        "numOfHosts": default({**INT, "minimum": 0}, 1),
        "suspend": BOOL,
        "idleTimeoutSeconds": {**INT, "minimum": 0},
        "priority": INT,
        "scaleStrategy": obj({
            "workersToDelete": array(STRING),
            "multihostReplicasToDelete": array(STRING),
        }),
    }, ["groupName", "template"], [
        rule("!has(self.minReplicas) || !has(self.maxReplicas) || "
             "self.minReplicas <= self.maxReplicas",
             "minReplicas must be at most maxReplicas", ".minReplicas"),
        rule("self.groupName != 'headgroup'", "groupName must not be 'headgroup'", ".groupName"),
    ])


def credential():
    return obj({"value": STRING, "valueFrom": ANY})


def fault_tolerance():
    return obj({
        "backend": enum("redis", "rocksdb", **{"x-kubernetes-validations": [
            rule("self == oldSelf", "gcsFaultToleranceOptions.backend is immutable")]}),
        "redisAddress": STRING,
        "redisUsername": credential(),
        "redisPassword": credential(),
        "externalStorageNamespace": STRING,
        "storage": obj({
            "claimName": STRING,
            "size": QUANTITY,
            "storageClassName": STRING,
            "accessModes": array(STRING),
            "subPath": STRING,
            "deletionPolicy": enum("DeleteWithCluster", "Retain"),
        }, rules=[
            rule("!has(self.claimName) || self.claimName == '' || (!has(self.size) && "
                 "!has(self.storageClassName) && (!has(self.accessModes) || "
                 "size(self.accessModes) == 0))",
                 "claimName excludes size, storageClassName and accessModes", ".claimName"),
        ]),
    }, rules=[
        rule("!has(self.backend) || self.backend != 'rocksdb' || ((!has(self.redisAddress) || "
             "self.redisAddress == '') && !has(self.redisUsername) && !has(self.redisPassword) && "
             "(!has(self.externalStorageNamespace) || self.externalStorageNamespace == ''))",
             "backend rocksdb excludes redisAddress, redisUsername, redisPassword and "
             "externalStorageNamespace", ".backend"),
    ])


def network_rules():
    return {"ingressRules": array(ANY), "egressRules": array(ANY)}


def cluster_spec():
    return obj({
        "rayVersion": STRING,
        "headGroupSpec": head_group(),
        "workerGroupSpecs": array(worker_group(), key="groupName", maxItems=1000),
        "suspend": BOOL,
        "managedBy": MANAGED_BY,
        "upgradeStrategy": obj({"type": enum("Recreate", "None")}),
        "headServiceAnnotations": texts(),
        "enableInTreeAutoscaling": BOOL,
        "autoscalerOptions": obj({
            "resources": RESOURCES,
            "image": STRING,
            "imagePullPolicy": STRING,
            "securityContext": ANY,
            "idleTimeoutSeconds": {**INT, "minimum": 0},
            "upscalingMode": enum("Default", "Aggressive", "Conservative"),
            "version": enum("v1", "v2"),
            "env": array(open_obj({"name": STRING, "value": STRING}, ["name"])),
            "envFrom": array(ANY),
            "volumeMounts": array(open_obj({"mountPath": STRING, "name": STRING},
                                           ["mountPath", "name"])),
            "command": array(STRING),
            "args": array(STRING),
        }),
        "gcsFaultToleranceOptions": fault_tolerance(),
        "gcs": ANY,  # Raia's own: reserved; the operator refuses it
        "authOptions": obj({
            "mode": enum("disabled", "token"),
            "secretName": STRING,
            "enableK8sTokenAuth": BOOL,
        }, rules=[
            rule("!has(self.enableK8sTokenAuth) || !self.enableK8sTokenAuth || "
                 "(has(self.mode) && self.mode == 'token')",
                 "enableK8sTokenAuth needs mode token", ".mode"),
            rule("!has(self.enableK8sTokenAuth) || !self.enableK8sTokenAuth || "
                 "!has(self.secretName) || self.secretName == ''",
                 "enableK8sTokenAuth excludes secretName", ".secretName"),
        ]),
        "networkPolicy": obj({
            "mode": default(enum("DenyAll", "DenyAllIngress", "DenyAllEgress"), "DenyAll"),
            "head": obj(network_rules()),
            "worker": obj(network_rules()),
            "workerGroups": array(obj({"groupName": STRING, **network_rules()}, ["groupName"]),
                                  key="groupName"),
        }),
        "tlsOptions": obj({"enabled": BOOL}),
        "historyServerOptions": obj({
            "collectorOptions": obj({
                "image": STRING,
                "imagePullPolicy": STRING,
                "resources": RESOURCES,
                "env": array(open_obj({"name": STRING, "value": STRING}, ["name"])),
            }),
        }),
    }, ["headGroupSpec"], [
        rule("!has(self.enableInTreeAutoscaling) || !self.enableInTreeAutoscaling || "
             "!has(self.workerGroupSpecs) || "
             "!self.workerGroupSpecs.exists(g, has(g.suspend) && g.suspend)",
             "no worker group may be suspended while enableInTreeAutoscaling is true",
             ".workerGroupSpecs"),
    ])


def conditions():
    return array(obj({
        "type": {"type": "string", "maxLength": 316},
        "status": enum("True", "False", "Unknown"),
        "reason": {"type": "string", "minLength": 1, "maxLength": 1024,
                   "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
        "message": {"type": "string", "maxLength": 32768},
        "lastTransitionTime": TIME,
        "observedGeneration": {**INT64, "minimum": 0},
    }, ["type", "status", "reason", "message", "lastTransitionTime"]), key="type")


def cluster_status():
    properties = {
        "state": STRING,
        "reason": STRING,
        "stateTransitionTimes": {"type": "object", "additionalProperties": TIME},
        "lastUpdateTime": {**TIME, "nullable": True},
        "observedGeneration": INT64,
        "desiredCPU": QUANTITY,
        "desiredMemory": QUANTITY,
        "desiredGPU": QUANTITY,
        "desiredTPU": QUANTITY,
        "readyWorkerReplicas": INT,
        "availableWorkerReplicas": INT,
        "desiredWorkerReplicas": INT,
        "minWorkerReplicas": INT,
        "maxWorkerReplicas": INT,
        "endpoints": texts(),
        "head": obj({"podIP": STRING, "podName": STRING, "serviceIP": STRING,
                     "serviceName": STRING}),
        "conditions": conditions(),
        "raia": ANY,  # the operator's own notes: nobody else's business
    }
    return obj(properties)


# -- RayJob ------------------------------------------------------------------------------------------

POLICY = enum("DeleteCluster", "DeleteWorkers", "DeleteSelf", "DeleteNone")


def deletion_strategy():
    condition = obj({
        "jobStatus": enum("SUCCEEDED", "FAILED"),
        "jobDeploymentStatus": enum("Failed"),
        "ttlSeconds": default({**INT, "minimum": 0}, 0),
    }, rules=[
        rule("!(has(self.jobStatus) && has(self.jobDeploymentStatus))",
             "jobStatus and jobDeploymentStatus cannot be used together within the same deletion "
             "condition"),
        rule("has(self.jobStatus) || has(self.jobDeploymentStatus)",
             "the deletion condition requires either the jobStatus or the jobDeploymentStatus "
             "field"),
    ])
    return obj({
        "onSuccess": obj({"policy": POLICY}, ["policy"]),
        "onFailure": obj({"policy": POLICY}, ["policy"]),
        "deletionRules": array(obj({"policy": POLICY, "condition": condition},
                                   ["policy", "condition"]),
                               minItems=1, maxItems=100, **{"x-kubernetes-list-type": "atomic"}),
    }, rules=[
        rule("!((has(self.onSuccess) || has(self.onFailure)) && has(self.deletionRules))",
             "legacy policies (onSuccess/onFailure) and deletionRules cannot be used together "
             "within the same deletionStrategy"),
        rule("(has(self.onSuccess) && has(self.onFailure)) || has(self.deletionRules)",
             "deletionStrategy requires either BOTH onSuccess and onFailure, OR the deletionRules "
             "field (cannot be empty)"),
    ])


HAS_SELECTOR = "(has(self.clusterSelector) && size(self.clusterSelector) > 0)"
SHUTS_DOWN = "(has(self.shutdownAfterJobFinishes) && self.shutdownAfterJobFinishes)"
RETRIES = "(has(self.backoffLimit) && self.backoffLimit > 0)"
SIDECAR = "(has(self.submissionMode) && self.submissionMode == 'SidecarMode')"
SUSPENDS = "(has(self.suspend) && self.suspend)"


def job_spec():
    return obj({
        "entrypoint": STRING,
        "runtimeEnvYAML": STRING,
        "jobId": STRING,
        "metadata": texts(),
        "entrypointNumCpus": NUMBER,
        "entrypointNumGpus": NUMBER,
        "entrypointResources": STRING,
        "submissionMode": default(
            enum("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode", ""), "K8sJobMode"),
        "submitterPodTemplate": pod_template(),
        "submitterConfig": obj({"backoffLimit": {**INT, "minimum": 0}}),
        "rayClusterSpec": cluster_spec(),
        "clusterSelector": texts(),
        "suspend": BOOL,
        "managedBy": MANAGED_BY,
        "backoffLimit": default({**INT, "minimum": 0}, 0),
        "activeDeadlineSeconds": {**INT, "minimum": 1},
        "preRunningDeadlineSeconds": {**INT, "minimum": 1},
        "shutdownAfterJobFinishes": BOOL,
        "ttlSecondsAfterFinished": default({**INT, "minimum": 0}, 0),
        "deletionStrategy": deletion_strategy(),
        "schedule": STRING,
    }, rules=[
        rule(f"has(self.rayClusterSpec) || {HAS_SELECTOR}",
             "one of rayClusterSpec and clusterSelector must be set"),
        rule(f"!{SUSPENDS} || {SHUTS_DOWN}", "suspend needs shutdownAfterJobFinishes", ".suspend"),
        rule("!has(self.ttlSecondsAfterFinished) || self.ttlSecondsAfterFinished == 0 || "
             f"{SHUTS_DOWN}", "ttlSecondsAfterFinished needs shutdownAfterJobFinishes",
             ".ttlSecondsAfterFinished"),
        rule(f"!{HAS_SELECTOR} || ('ray.io/cluster' in self.clusterSelector && "
             "self.clusterSelector['ray.io/cluster'] != '')",
             "clusterSelector must name a RayCluster under ray.io/cluster", ".clusterSelector"),
        rule(f"!{HAS_SELECTOR} || !{SUSPENDS}", "clusterSelector excludes suspend", ".suspend"),
        rule(f"!{HAS_SELECTOR} || !{SIDECAR}", "clusterSelector excludes SidecarMode",
             ".submissionMode"),
        rule(f"!{HAS_SELECTOR} || !{RETRIES}", "clusterSelector excludes backoffLimit",
             ".backoffLimit"),
        rule("!(has(self.submissionMode) && self.submissionMode == 'InteractiveMode') || "
             f"!{RETRIES}", "InteractiveMode excludes backoffLimit", ".backoffLimit"),
        rule(f"!{SIDECAR} || !has(self.submitterPodTemplate)",
             "SidecarMode excludes submitterPodTemplate", ".submitterPodTemplate"),
        rule(f"!{SIDECAR} || !has(self.submitterConfig)", "SidecarMode excludes submitterConfig",
             ".submitterConfig"),
        rule("!has(self.deletionStrategy) || !has(self.deletionStrategy.deletionRules) || "
             f"!{SHUTS_DOWN}", "deletionRules exclude shutdownAfterJobFinishes",
             ".shutdownAfterJobFinishes"),
        rule(f"!{HAS_SELECTOR} || !has(self.deletionStrategy) || "
             "!has(self.deletionStrategy.deletionRules) || "
             "self.deletionStrategy.deletionRules.all(r, "
             "!(r.policy in ['DeleteCluster', 'DeleteWorkers']))",
             "clusterSelector excludes DeleteCluster and DeleteWorkers", ".deletionStrategy"),
        rule("!has(self.rayClusterSpec) || !has(self.rayClusterSpec.authOptions) || "
             "!has(self.rayClusterSpec.authOptions.enableK8sTokenAuth) || "
             "!self.rayClusterSpec.authOptions.enableK8sTokenAuth",
             "enableK8sTokenAuth is not possible in a RayJob", ".rayClusterSpec.authOptions"),
    ])


def job_status():
    return obj({
        "jobId": STRING,
        "rayClusterName": STRING,
        "dashboardURL": STRING,
        "jobStatus": STRING,
        "jobDeploymentStatus": STRING,
        "reason": STRING,
        "message": STRING,
        "startTime": TIME,
        "endTime": TIME,
        "rayJobInfo": obj({"startTime": TIME, "endTime": TIME}),
        "succeeded": default(INT, 0),
        "failed": default(INT, 0),
        "rayClusterStatus": cluster_status(),
        "jobStatusCheckFailureStartTime": TIME,
        "lastScheduleTime": TIME,
        "observedGeneration": INT64,
        "conditions": conditions(),
        "raia": ANY,
    })


# -- definitions ----------------------------------------------------------------------------------------

def column(name, path, kind="string", priority=0):
    out = {"name": name, "type": kind, "jsonPath": path}
    if priority:
        out["priority"] = priority
    return out


CLUSTER_COLUMNS = [
    column("desired workers", ".status.desiredWorkerReplicas", "integer"),
    column("available workers", ".status.availableWorkerReplicas", "integer"),
    column("cpus", ".status.desiredCPU"),
    column("memory", ".status.desiredMemory"),
    column("gpus", ".status.desiredGPU"),
    column("tpus", ".status.desiredTPU", priority=1),
    column("status", ".status.state"),
    column("age", ".metadata.creationTimestamp", "date"),
    column("reason", ".status.reason"),
    column("head pod IP", ".status.head.podIP", priority=1),
    column("head service IP", ".status.head.serviceIP", priority=1),
    column("accepted", ".status.conditions[?(@.type==\"RaiaAccepted\")].reason", priority=1),
]
JOB_COLUMNS = [
    column("job status", ".status.jobStatus"),
    column("deployment status", ".status.jobDeploymentStatus"),
    column("ray cluster name", ".status.rayClusterName"),
    column("start time", ".status.startTime"),
    column("end time", ".status.endTime"),
    column("age", ".metadata.creationTimestamp", "date"),
    column("reason", ".status.reason", priority=1),
]


def name_rules(kind, most):
    return [
        rule(f"size(self.metadata.name) <= {most}",
             f"metadata.name of a {kind} has at most {most} characters", ".metadata"),
        rule("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
             "metadata.name must be lower-case letters, digits and '-', beginning with a letter",
             ".metadata"),
    ]


def definition(kind, short, spec, status, columns, most):
    plural = kind.lower() + "s"
    schema = obj({
        "apiVersion": STRING,
        "kind": STRING,
        "metadata": {"type": "object"},
        "spec": spec,
        "status": status,
    }, rules=name_rules(kind, most))

    def version(name, stored):
        out = {"name": name, "served": True, "storage": stored}
        if not stored:
            out["deprecated"] = True
            out["deprecationWarning"] = f"ray.io/{name} {kind} is deprecated; use ray.io/v1 {kind}"
        out["subresources"] = {"status": {}}
        out["additionalPrinterColumns"] = columns
        out["schema"] = {"openAPIV3Schema": schema}
        return out

    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.ray.io",
            "annotations": {"ray.io/raia-schema-version": SCHEMA_VERSION},
            "labels": {"app.kubernetes.io/part-of": "raia"},
        },
        "spec": {
            "group": "ray.io",
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": kind + "List", "plural": plural,
                      "singular": kind.lower(), "shortNames": [short], "categories": ["all"]},
            "conversion": {"strategy": "None"},
            "versions": [version("v1", True), version("v1alpha1", False)],
        },
    }


# -- YAML ---------------------------------------------------------------------------------------------

def scalar(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v)
    if v and re.fullmatch(r"[A-Za-z.][A-Za-z0-9_./-]*", v) and v.lower() not in (
            "true", "false", "null", "yes", "no", "on", "off", "y", "n"):
        return v
    return "'" + v.replace("'", "''") + "'"


def dump(v, indent, out):
    pad = "  " * indent
    if isinstance(v, dict):
        for key, value in v.items():
            if isinstance(value, (dict, list)) and value:
                out.append(f"{pad}{scalar(key)}:")
                dump(value, indent + 1 if isinstance(value, dict) else indent, out)
            else:
                out.append(f"{pad}{scalar(key)}: {'{}' if value == {} else scalar(value)}")
        return
    for item in v:
        if isinstance(item, dict):
            lines = []
            dump(item, indent + 1, lines)
            lines[0] = f"{pad}- {lines[0].lstrip()}"
            out.extend(lines)
        else:
            out.append(f"{pad}- {scalar(item)}")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    files = {
        "ray.io_rayclusters.yaml": definition("RayCluster", "rayc", cluster_spec(),
                                              cluster_status(), CLUSTER_COLUMNS, 53),
        "ray.io_rayjobs.yaml": definition("RayJob", "rayj", job_spec(), job_status(), JOB_COLUMNS,
                                          47),
    }
    stale = 0
    for name, tree in files.items():
        # helm show crds puts the files behind each other, as they are.
        lines = ["---", "# Written by generate.py."]
        dump(tree, 0, lines)
        text = "\n".join(lines) + "\n"
        assert len(text) < 256 * 1024, f"{name}: {len(text)} bytes: kubectl apply takes 256 KiB"
        path = os.path.join(here, name)
        if sys.argv[1:] == ["--check"]:
            with open(path, encoding="utf-8") as f:
                if f.read() != text:
                    print(f"{name} is not what generate.py writes: run it", file=sys.stderr)
                    stale = 1
        else:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
    sys.exit(stale)


if __name__ == "__main__":
    main()
