"""What the charts render: charts.py CHARTS-FOLDER, with helm in PATH. Each test is one function; its
docstring says what it proves."""
import json
import subprocess
import sys

import yaml

charts = sys.argv[1]
KUBE = ["--kube-version", "1.35.4", "--namespace", "team"]


def render(chart, tree=None, *args, release="raia"):
    p = subprocess.run(["helm", "template", release, f"{charts}/{chart}", *KUBE, *args, "--values", "-"],
                       input=json.dumps(tree or {}), capture_output=True, text=True, check=False)
    assert p.returncode == 0, p.stderr
    return [o for o in yaml.safe_load_all(p.stdout) if o]


def refused(chart, tree, words):
    p = subprocess.run(["helm", "template", "raia", f"{charts}/{chart}", *KUBE, "--values", "-"],
                       input=json.dumps(tree), capture_output=True, text=True, check=False)
    assert p.returncode != 0, f"{chart} took {tree}"
    assert words in p.stderr, f"{tree}: no '{words}' in: {p.stderr}"


def only(objects, kind, name=None):
    found = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} of {kind} {name or ''}: {[o['metadata']['name'] for o in objects]}"
    return found[0]


def container(objects):
    return only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]


def granted(role):
    """{(group, resource): set of verbs} of a role."""
    out = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                out.setdefault((group, resource), set()).update(rule["verbs"])
    return out


def operator_runs_with_few_rights():
    """Non-root, read-only, no capabilities, seccomp, limits: what Pod Security's "restricted" asks for."""
    o = render("raia-operator")
    pod = only(o, "Deployment")["spec"]["template"]["spec"]
    c = container(o)
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert c["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                    "capabilities": {"drop": ["ALL"]}}
    assert c["resources"]["limits"]["memory"] and c["resources"]["requests"]["cpu"]
    assert "hostNetwork" not in pod and "volumes" not in pod


def operator_is_probed_and_measured():
    """Probes on 8082, metrics on 8080 behind a service that selects the pod, by the ports' names."""
    o = render("raia-operator")
    c = container(o)
    ports = {p["name"]: p["containerPort"] for p in c["ports"]}
    assert ports == {"health": 8082, "metrics": 8080}
    assert c["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert c["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert "--health-probe-bind-address=:8082" in c["args"] and "--metrics-addr=:8080" in c["args"]
    service = only(o, "Service")
    labels = only(o, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["ports"] == [{"name": "metrics", "port": 8080, "targetPort": "metrics"}]
    assert service["spec"]["selector"].items() <= labels.items()
    o = render("raia-operator", {"metrics": {"enabled": False}})
    assert [p["name"] for p in container(o)["ports"]] == ["health"]
    assert not [x for x in o if x["kind"] == "Service"]
    assert "--metrics-addr=0" in container(o)["args"]
    monitor = only(render("raia-operator", {"metrics": {"serviceMonitor": {"enabled": True, "namespace": "prom"}}}),
                   "ServiceMonitor")
    assert monitor["metadata"]["namespace"] == "prom" and monitor["spec"]["namespaceSelector"] == {"matchNames": ["team"]}


def values_reach_the_operator():
    """Image, tag, pull policy, flags, environment, scheduling, labels: each where it belongs."""
    o = render("raia-operator", {
        "image": {"repository": "r.example/raia", "tag": "x1", "pullPolicy": "Never"},
        "imagePullSecrets": [{"name": "pull"}], "nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}}, "priorityClassName": "high", "replicas": 2, "labels": {"l": "1"},
        "annotations": {"n": "2"}, "env": [{"name": "E", "value": "v"}], "extraArgs": ["--x=y"],
        "kubeClient": {"qps": 50, "burst": 60}, "clusterDomain": "corp.local", "useKubernetesProxy": True,
        "logLevel": "info,operator.kube=debug", "reconcileConcurrency": 7})
    d = only(o, "Deployment")
    pod, c = d["spec"]["template"]["spec"], container(o)
    assert c["image"] == "r.example/raia:x1" and c["imagePullPolicy"] == "Never"
    for arg in ("--raia-image=r.example/raia:x1", "--raia-pull-policy=Never", "--qps=50", "--burst=60",
                "--cluster-domain=corp.local", "--use-kubernetes-proxy=true", "--reconcile-concurrency=7", "--log-level=info,operator.kube=debug", "--x=y"):
        assert arg in c["args"], arg
    assert pod["imagePullSecrets"] == [{"name": "pull"}] and pod["nodeSelector"] == {"a": "b"}
    assert pod["tolerations"] == [{"operator": "Exists"}] and pod["affinity"] == {"nodeAffinity": {}}
    assert pod["priorityClassName"] == "high" and d["spec"]["replicas"] == 2
    assert d["spec"]["template"]["metadata"]["labels"]["l"] == "1"
    assert d["spec"]["template"]["metadata"]["annotations"] == {"n": "2"}
    assert {"name": "E", "value": "v"} in c["env"]
    assert ("", "services/proxy") in granted(only(o, "ClusterRole"))
    c = container(render("raia-operator", {"podImage": {"repository": "other/raia", "tag": "p", "pullPolicy": "Always"}}))
    assert "--raia-image=other/raia:p" in c["args"] and "--raia-pull-policy=Always" in c["args"]


def roles_are_narrow():
    """No wildcard, no escalation; secrets, exec and nodes only as far as the operator goes."""
    o = render("raia-operator")
    rules = granted(only(o, "ClusterRole"))
    for (group, resource), verbs in rules.items():
        assert "*" not in verbs | {group, resource}, (group, resource, verbs)
        assert not verbs & {"deletecollection", "escalate", "bind", "impersonate"}, (resource, verbs)
    assert rules[("", "nodes")] == {"list", "watch"}
    for resource in ("pods/exec", "pods/log", "services/proxy", "serviceaccounts", "configmaps", "namespaces"):
        assert ("", resource) not in rules, resource
    assert not [k for k in rules if k[0] == "rbac.authorization.k8s.io"]
    crds = [r for r in only(o, "ClusterRole")["rules"] if r["apiGroups"] == ["apiextensions.k8s.io"]]
    assert crds[0]["verbs"] == ["get"] and sorted(crds[0]["resourceNames"]) == ["rayclusters.ray.io", "rayjobs.ray.io"]
    lease = granted(only(o, "Role", "raia-operator-leader"))
    assert set(lease) == {("coordination.k8s.io", "leases")}


def one_namespace_needs_no_cluster_role():
    """singleNamespaceInstall, watchNamespace: a role in each watched namespace, and of the cluster's own things only nodes and the CRDs."""
    for tree, expected in (({"singleNamespaceInstall": True}, ["team"]), ({"watchNamespace": ["a", "b"]}, ["a", "b"])):
        o = render("raia-operator", tree)
        assert set(granted(only(o, "ClusterRole"))) == {("", "nodes"), ("apiextensions.k8s.io", "customresourcedefinitions")}
        roles = [r for r in o if r["kind"] == "Role" and r["metadata"]["name"] == "raia-operator"]
        assert [r["metadata"]["namespace"] for r in roles] == expected
        bindings = [r for r in o if r["kind"] == "RoleBinding" and r["metadata"]["name"] == "raia-operator"]
        assert [b["metadata"]["namespace"] for b in bindings] == expected
        assert all(b["subjects"][0]["namespace"] == "team" for b in bindings)
        assert f"--watch-namespace={','.join(expected)}" in container(o)["args"]
        everywhere = granted(only(render("raia-operator"), "ClusterRole"))
        assert granted(roles[0]).items() <= everywhere.items()
    o = render("raia-operator", {"watchNamespace": ["a"], "crNamespacedRbacEnable": False})
    assert not [r for r in o if r["kind"] == "Role" and r["metadata"]["name"] == "raia-operator"]
    o = render("raia-operator", {"rbacEnable": False})
    assert not [r for r in o if r["apiVersion"].startswith("rbac.")]
    o = render("raia-operator", {"leaderElectionEnabled": False})
    assert not [r for r in o if r["kind"] == "Role"]
    assert only(o, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert "--enable-leader-election=false" in container(o)["args"]


def service_account_of_ones_own():
    """serviceAccount.create=false: none is made, and pod and bindings name the given one."""
    o = render("raia-operator", {"serviceAccount": {"create": False, "name": "mine"}})
    assert not [x for x in o if x["kind"] == "ServiceAccount"]
    assert only(o, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "mine"
    assert all(b["subjects"][0]["name"] == "mine" for b in o if b["kind"].endswith("Binding"))


def two_installations_do_not_meet():
    """Everything that is in no namespace has the release's namespace in its name."""
    for o in render("raia-operator"):
        assert o["metadata"].get("namespace") == "team" or o["metadata"]["name"].endswith("-team"), o["metadata"]


def kuberay_values_are_taken():
    """KubeRay's own values, as far as they mean something; the others are named in the notes."""
    tree = {"batchScheduler": {"enabled": False, "name": ""}, "featureGates": [{"name": "RayCronJob", "enabled": False}],
            "reconcileConcurrency": 4, "logging": {"stdoutEncoder": "json"}, "operatorCommand": "/manager",
            "configuration": {"enabled": False}, "componentOverride": "x", "watchNamespace": None,
            "service": {"type": "ClusterIP", "port": 8080}, "serviceAccount": {"create": True, "name": "kuberay-operator"}}
    o = render("raia-operator", tree)
    assert only(o, "ServiceAccount")["metadata"]["name"] == "kuberay-operator"


def operator_refuses_nonsense():
    """Typos, wrong types and values outside of their ranges are refused with the value's name."""
    for tree, words in (({"replica": 1}, "replica"), ({"replicas": "1"}, "replicas"), ({"replicas": -1}, "replicas"),
                        ({"image": {"tags": "x"}}, "tags"), ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
                        ({"watchNamespace": "a"}, "watchNamespace"), ({"watchNamespace": ["A b"]}, "watchNamespace"),
                        ({"service": {"port": 0}}, "port"), ({"logLevel": "loud"}, "logLevel"),
                        ({"kubeClient": {"qps": -1}}, "qps"), ({"resources": {"limit": {}}}, "limit"),
                        ({"image": {"repository": ""}}, "repository"), ({"metrics": {"enabled": "yes"}}, "enabled")):
        refused("raia-operator", tree, words)


def cluster_by_default():
    """A head, one worker of "workergroup", named RELEASE-raia, with nothing in it that was not asked for."""
    c = only(render("ray-cluster", release="my"), "RayCluster")
    assert c["apiVersion"] == "ray.io/v1" and c["metadata"]["name"] == "my-raia"
    head = c["spec"]["headGroupSpec"]
    assert head["serviceType"] == "ClusterIP" and head["rayStartParams"] == {}
    ray = head["template"]["spec"]["containers"][0]
    assert set(ray) == {"name", "image", "imagePullPolicy", "resources"} and ray["name"] == "ray-head"
    assert [g["groupName"] for g in c["spec"]["workerGroupSpecs"]] == ["workergroup"]
    g = c["spec"]["workerGroupSpecs"][0]
    assert (g["replicas"], g["minReplicas"], g["maxReplicas"]) == (1, 1, 5)
    assert set(c["spec"]) == {"headGroupSpec", "workerGroupSpecs"}


def values_reach_the_pods():
    """Every key of head and worker arrives where Kubernetes reads it, for both alike."""
    pod = {"image": {"repository": "r/i", "tag": "t", "pullPolicy": "Never"}, "initContainers": [{"name": "i", "image": "x"}],
           "labels": {"l": "1"}, "annotations": {"a": "2"}, "serviceAccountName": "sa", "restartPolicy": "Never",
           "runtimeClassName": "rc", "priorityClassName": "pc", "containerEnv": [{"name": "B", "value": "b"}],
           "envFrom": [{"secretRef": {"name": "s"}}], "ports": [{"containerPort": 6379, "name": "gcs"}],
           "resources": {"limits": {"cpu": 2}}, "nodeSelector": {"n": "s"}, "tolerations": [{"operator": "Exists"}],
           "affinity": {"podAffinity": {}}, "podSecurityContext": {"fsGroup": 1}, "securityContext": {"runAsUser": 2},
           "volumes": [{"name": "v", "emptyDir": {}}], "volumeMounts": [{"name": "v", "mountPath": "/v"}],
           "sidecarContainers": [{"name": "side", "image": "y"}], "command": ["c"], "args": ["d"],
           "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}, "resourceClaims": [{"name": "gpu"}],
           "topologySpreadConstraints": [{"maxSkew": 1}], "rayStartParams": {"num-cpus": "2"}}
    c = only(render("ray-cluster", {"common": {"containerEnv": [{"name": "A", "value": "a"}]}, "head": pod, "worker": pod,
                                    "imagePullSecrets": [{"name": "p"}]}), "RayCluster")
    for group in (c["spec"]["headGroupSpec"], c["spec"]["workerGroupSpecs"][0]):
        assert group["rayStartParams"] == {"num-cpus": "2"}
        meta, spec = group["template"]["metadata"], group["template"]["spec"]
        ray, side = spec["containers"]
        assert meta["labels"]["l"] == "1" and meta["annotations"] == {"a": "2"}
        assert ray["image"] == "r/i:t" and ray["imagePullPolicy"] == "Never" and side["name"] == "side"
        assert [e["name"] for e in ray["env"]] == ["A", "B"] and spec["imagePullSecrets"] == [{"name": "p"}]
        assert spec["securityContext"] == {"fsGroup": 1} and ray["securityContext"] == {"runAsUser": 2}
        for key in ("initContainers", "serviceAccountName", "restartPolicy", "runtimeClassName", "priorityClassName",
                    "nodeSelector", "tolerations", "affinity", "volumes", "resourceClaims", "topologySpreadConstraints"):
            assert spec[key] == pod[key], key
        assert ray["resources"]["limits"]["cpu"] == 2
        for key in ("command", "args", "envFrom", "ports", "volumeMounts", "lifecycle"):
            assert ray[key] == pod[key], key


def cluster_options():
    """Groups, service, head service, autoscaler, tokens, upgrade strategy, fault tolerance, names."""
    c = only(render("ray-cluster", {
        "fullnameOverride": "named", "service": {"type": "NodePort"}, "labels": {"kueue.x-k8s.io/queue-name": "q"},
        "annotations": {"x": "y"}, "authOptions": {"mode": "disabled"}, "upgradeStrategy": {"type": "Recreate"},
        "gcsFaultTolerance": {"enabled": True, "options": {"storage": {"size": "2Gi"}}},
        "head": {"rayVersion": "2.52.0", "enableInTreeAutoscaling": True, "autoscalerOptions": {"idleTimeoutSeconds": 9},
                 "headService": {"metadata": {"labels": {"z": "1"}}}},
        "worker": {"groupName": "first", "replicas": 0, "minReplicas": 0, "numOfHosts": 2},
        "additionalWorkerGroups": {"smallGroup": {"disabled": False}, "big": {"replicas": 3, "maxReplicas": 3, "groupName": "huge"},
                                   "gone": None}}), "RayCluster")
    spec = c["spec"]
    assert c["metadata"]["name"] == "named" and c["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "q"
    assert c["metadata"]["annotations"] == {"x": "y"} and spec["headGroupSpec"]["serviceType"] == "NodePort"
    assert spec["rayVersion"] == "2.52.0" and spec["enableInTreeAutoscaling"] is True
    assert spec["autoscalerOptions"] == {"idleTimeoutSeconds": 9}
    assert spec["authOptions"] == {"mode": "disabled"} and spec["upgradeStrategy"] == {"type": "Recreate"}
    assert spec["gcsFaultToleranceOptions"] == {"storage": {"size": "2Gi"}}
    assert spec["headGroupSpec"]["headService"] == {"metadata": {"labels": {"z": "1"}}}
    groups = {g["groupName"]: g for g in spec["workerGroupSpecs"]}
    assert set(groups) == {"first", "smallGroup", "huge"}
    assert groups["first"]["replicas"] == 0 and groups["first"]["numOfHosts"] == 2
    assert groups["huge"]["replicas"] == 3 and groups["huge"]["maxReplicas"] == 3
    assert groups["smallGroup"]["maxReplicas"] == 5
    c = only(render("ray-cluster", {"worker": {"disabled": True}, "service": {"type": "None"}}), "RayCluster")
    assert "workerGroupSpecs" not in c["spec"] and "serviceType" not in c["spec"]["headGroupSpec"]


def cluster_refuses_nonsense():
    """Typos and values that no RayCluster may have."""
    for tree, words in (({"worker": {"replica": 1}}, "replica"), ({"worker": {"replicas": -1}}, "replicas"),
                        ({"head": {"rayStartParam": {}}}, "rayStartParam"), ({"service": {"type": "Ingress"}}, "type"),
                        ({"worker": {"groupName": "a/b"}}, "groupName"), ({"fullnameOverride": "1a"}, "fullnameOverride"),
                        ({"head": {"restartPolicy": "Sometimes"}}, "restartPolicy"), ({"heads": {}}, "heads"),
                        ({"additionalWorkerGroups": {"g": {"x": 1}}}, "additionalWorkerGroups"),
                        ({"upgradeStrategy": {"type": "Rolling"}}, "type"), ({"head": {"command": "bash"}}, "command")):
        refused("ray-cluster", tree, words)


TESTS = [operator_runs_with_few_rights, operator_is_probed_and_measured, values_reach_the_operator, roles_are_narrow,
         one_namespace_needs_no_cluster_role, service_account_of_ones_own, two_installations_do_not_meet,
         kuberay_values_are_taken, operator_refuses_nonsense, cluster_by_default, values_reach_the_pods, cluster_options,
         cluster_refuses_nonsense]

bad = 0
for test in TESTS:
    try:
        test()
        print(f"ok      {test.__name__}")
    except AssertionError as e:
        bad += 1
        at = e.__traceback__
        while at.tb_next:
            at = at.tb_next
        print(f"FAILED  {test.__name__} (line {at.tb_lineno}): {e}")
print(f"{len(TESTS) - bad} passed, {bad} failed")
sys.exit(bad != 0)
