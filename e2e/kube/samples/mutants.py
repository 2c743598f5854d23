"""A hundred samples with one thing wrong in each, on a real cluster: see ../mutants.sh.

    mutants.py --kubeconfig FILE --samples DIR... --operator PROGRAM --image IMAGE --work DIR [--seed N] NAMESPACE

Seed N decides the sample, what is done to it, and where. The server refuses it, or a condition (of a RayJob: its
message) does, and names the field. The operator, which is built with AddressSanitizer, lives, tries what is refused
less and less often, ends on SIGTERM with status 0 and without a leak, and tells no token or key."""
import argparse
import base64
import copy
import glob
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import yaml

from api import Api, Refused, until

SEEDS = range(1, 101)
REST = 60  # seconds


# -- where something can be wrong: [(path, container or pod spec)]

def clusters(o):
    """[(path, RayCluster spec)]"""
    if o["kind"] == "RayCluster":
        return [("spec", o["spec"])]
    return [("spec.rayClusterSpec", o["spec"]["rayClusterSpec"])] if "rayClusterSpec" in o["spec"] else []


def templates(o):
    out = []
    for at, spec in clusters(o):
        out.append((f"{at}.headGroupSpec.template", spec["headGroupSpec"]["template"]))
        for i, w in enumerate(spec.get("workerGroupSpecs") or []):
            out.append((f"{at}.workerGroupSpecs[{i}].template", w["template"]))
    return out


def groups(o):
    return [(f"{at}.workerGroupSpecs[{i}]", w) for at, spec in clusters(o) for i, w in enumerate(spec.get("workerGroupSpecs") or [])]


# -- what can be wrong. Each yields the words of which one must be in the answer; None: not possible in this sample.

def pod(change):
    def on(o, r):
        at, t = r.choice(templates(o))
        words = change(t, r)
        return words and [f"{at}.{w}" if w.startswith("spec") or w.startswith("metadata") else w for w in words]
    on.__name__ = change.__name__
    return on


def container(change):
    def on(o, r):
        at, t = r.choice(templates(o))
        words = change(t["spec"]["containers"][0], t["spec"], r)
        return words and [f"{at}.spec.containers[0].{w}" for w in words]
    on.__name__ = change.__name__
    return on


def group(change):
    def on(o, r):
        if not groups(o):
            return None
        at, g = r.choice(groups(o))
        words = change(g, r)
        return words and [w if w.startswith("=") else f"{at}.{w}" for w in words]
    on.__name__ = change.__name__
    return on


def spec(change):
    def on(o, r):
        if not clusters(o):
            return None
        at, s = clusters(o)[0]
        return [f"{at}.{w}" for w in change(s, r)]
    on.__name__ = change.__name__
    return on


def job(change):
    def on(o, r):
        return [f"spec.{w}" for w in change(o["spec"], r)] if o["kind"] == "RayJob" else None
    on.__name__ = change.__name__
    return on


@container
def misspelt_image(c, _, r):
    c["imagee"] = c.pop("image")
    return ["imagee", "image"]


@container
def no_name(c, _, r):
    del c["name"]
    return ["name"]


@container
def bad_name(c, _, r):
    c["name"] = r.choice(["Head", "a_b", "x" * 64, "-a", "a.b", "ray\u00e9"])
    return ["name"]


@container
def number_as_image(c, _, r):
    c["image"] = r.choice([3, True, ["i"], {"name": "i"}])
    return ["image"]


@container
def bad_quantity(c, _, r):
    what = r.choice(["cpu", "memory"])
    c.setdefault("resources", {}).setdefault("limits", {})[what] = r.choice(["lots", "1Gib", "--1", "1e", "1 Gi"])
    return [f"resources.limits.{what}", f"resources.limits[{what}]", f"resources.limits: ", "resources"]


@container
def request_above_limit(c, _, r):
    c["resources"] = {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}
    return ["resources.requests"]


@container
def negative_resource(c, _, r):
    c["resources"] = {"limits": {"memory": "-1Gi"}}
    return ["resources.limits[memory]", "resources.limits.memory", "resources"]


@container
def bad_port(c, _, r):
    c["ports"] = [{"containerPort": r.choice([0, -1, 65536, 1 << 40, "http"])}]
    return ["ports[0].containerPort"]


@container
def same_port_name(c, _, r):
    c["ports"] = [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]
    return ["ports["]


@container
def unknown_volume(c, _, r):
    c["volumeMounts"] = [{"name": "nowhere", "mountPath": "/x"}]
    return ["volumeMounts[0].name"]


@container
def two_values(c, _, r):
    c["env"] = [{"name": "A", "value": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    return ["env[0].valueFrom"]


@container
def unknown_field_ref(c, _, r):
    c["env"] = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nothing"}}}]
    return ["env[0].valueFrom.fieldRef.fieldPath", "env[0].valueFrom.fieldRef"]


@container
def nameless_variable(c, _, r):
    c["env"] = [{"value": "a"}]
    return ["env[0].name"]


@container
def empty_probe(c, _, r):
    kind = r.choice(["livenessProbe", "readinessProbe"])
    c[kind] = {"periodSeconds": 5}
    return [kind]


@container
def bad_pull_policy(c, _, r):
    c["imagePullPolicy"] = "Sometimes"
    return ["imagePullPolicy"]


@container
def text_as_command(c, _, r):
    key = r.choice(["command", "args"])
    c[key] = "echo a"
    return [key]


@container
def mount_in_our_way(c, s, r):
    s.setdefault("volumes", []).append({"name": "mine", "emptyDir": {}})
    c["volumeMounts"] = [{"name": "mine", "mountPath": r.choice(["/opt/raia", "/etc/raia/tls"])}]
    return ["volumeMounts", "volumeMounts[0].mountPath"]


@pod
def same_container(t, r):
    t["spec"]["containers"].append(copy.deepcopy(t["spec"]["containers"][0]))
    return ["spec.containers["]


@pod
def no_containers(t, r):
    t["spec"]["containers"] = []
    return ["spec.containers"]


@pod
def bad_restart_policy(t, r):
    t["spec"]["restartPolicy"] = r.choice(["Sometimes", "never"])
    return ["spec.restartPolicy"]


@pod
def bad_dns_policy(t, r):
    t["spec"]["dnsPolicy"] = "Mine"
    return ["spec.dnsPolicy"]


@pod
def unknown_pod_field(t, r):
    t["spec"]["nodeSelectors"] = {"a": "b"}
    return ["spec.nodeSelectors"]


@pod
def bad_label(t, r):
    t.setdefault("metadata", {}).setdefault("labels", {})[r.choice(["a b", "/", "x" * 64, "A/B/C"])] = "c"
    return ["metadata.labels"]


@pod
def bad_label_value(t, r):
    t.setdefault("metadata", {}).setdefault("labels", {})["a"] = r.choice(["x" * 300, "a b", "\u00e4", "-"])
    return ["metadata.labels"]


@pod
def huge_annotation(t, r):
    t.setdefault("metadata", {}).setdefault("annotations", {})["big"] = "x" * 300000
    return ["metadata.annotations"]


@pod
def same_volume(t, r):
    t["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]
    return ["spec.volumes[1].name", "spec.volumes[1]"]


@pod
def volume_of_two_kinds(t, r):
    t["spec"]["volumes"] = [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]
    return ["spec.volumes[0].hostPath", "spec.volumes[0]"]


@pod
def our_volume(t, r):
    t["spec"].setdefault("volumes", []).append({"name": r.choice(["raia", "raia-tls"]), "emptyDir": {"medium": "Memory"}})
    return ["spec.volumes"]


@pod
def our_init_container(t, r):
    t["spec"]["initContainers"] = [{"name": "first", "image": "i"}, {"name": "raia-init", "image": "i"}]
    return ["spec.initContainers"]


@pod
def bad_toleration(t, r):
    t["spec"]["tolerations"] = [{"key": "a", "operator": "Like"}]
    return ["spec.tolerations[0].operator"]


@pod
def deep_nonsense(t, r):
    tree = "x"
    for _ in range(r.choice([60, 200])):
        tree = {"affinity": tree}
    t["spec"]["affinity"] = tree
    return ["spec.affinity"]


@group
def negative_replicas(g, r):
    key = r.choice(["replicas", "minReplicas", "maxReplicas", "numOfHosts"])
    g[key] = r.choice([-1, -(1 << 31), 1 << 31, 1 << 40, 1.5, "two"])
    return [key]


@group
def least_above_most(g, r):
    g.update(minReplicas=3, maxReplicas=2)
    return ["minReplicas"]


@group
def bad_group_name(g, r):
    g["groupName"] = r.choice(["", "headgroup", "x" * 64, "a b", 7])
    return ["groupName", "metadata.labels"]


@group
def parameter_twice(g, r):
    g["resources"], g["rayStartParams"] = {"CPU": "1"}, {"num-cpus": "1"}
    return ["resources", "rayStartParams"]


@group
def labels_as_parameter(g, r):
    g["rayStartParams"] = {"labels": "a=b"}
    return ["rayStartParams"]


@group
def number_as_parameter(g, r):
    g["rayStartParams"] = {"num-cpus": 2}
    return ["rayStartParams.num-cpus"]


@spec
def same_group(s, r):
    one = {"groupName": "g", "replicas": 0, "minReplicas": 0, "maxReplicas": 1, "template": s["headGroupSpec"]["template"]}
    s["workerGroupSpecs"] = [one, copy.deepcopy(one)]
    return ["workerGroupSpecs[1]"]


@spec
def bad_service_type(s, r):
    s["headGroupSpec"]["serviceType"] = r.choice(["Mine", 3])
    return ["headGroupSpec.serviceType"]


@spec
def bad_head_service(s, r):
    s["headGroupSpec"]["headService"] = {"metadata": {"name": "own"}, "spec": {"ports": [{"name": "a", "port": 70000}]}}
    return ["headGroupSpec.headService.spec.ports[0].port", "headGroupSpec.headService"]


@spec
def bad_head_service_name(s, r):
    s["headGroupSpec"]["headService"] = {"metadata": {"name": "Not_A_Name"}}
    return ["headGroupSpec.headService.metadata.name", "headGroupSpec.headService"]


@spec
def bad_auth(s, r):
    s["authOptions"] = {"mode": "open"}
    return ["authOptions.mode"]


@spec
def misspelt(s, r):
    s["workerGroupSpec"] = s.pop("workerGroupSpecs", [])
    return ["workerGroupSpec"]


@spec
def no_head(s, r):
    del s["headGroupSpec"]
    return ["headGroupSpec"]


@spec
def bad_claim(s, r):
    s["gcsFaultToleranceOptions"] = {"backend": "rocksdb", "storage": {"size": "huge"}}
    return ["gcsFaultToleranceOptions.storage.size"]


@spec
def open_network(s, r):
    s["networkPolicy"] = {"mode": "DenyAll"}
    return ["networkPolicy"]


@job
def bad_mode(s, r):
    s["submissionMode"] = "Batch"
    return ["submissionMode"]


@job
def bad_runtime_env(s, r):
    s["runtimeEnvYAML"] = r.choice(["{a: [", "- \t- b: :\n c", "a: b\na: {", "\x01"])
    return ["runtimeEnvYAML"]


@job
def bad_entrypoint_resources(s, r):
    s["entrypointResources"] = r.choice(["{", "[1]", '{"a": "b"}', "CPU=1"])
    return ["entrypointResources"]


@job
def bad_ttl(s, r):
    s.update(ttlSecondsAfterFinished=-5, shutdownAfterJobFinishes=True)
    return ["ttlSecondsAfterFinished"]


@job
def bad_deadline(s, r):
    key = r.choice(["activeDeadlineSeconds", "preRunningDeadlineSeconds"])
    s[key] = r.choice([0, -1, "soon"])
    return [key]


@job
def bad_backoff(s, r):
    s["backoffLimit"] = r.choice([-1, 1 << 33, "no"])
    return ["backoffLimit"]


@job
def bad_rules(s, r):
    s["deletionStrategy"] = {"deletionRules": [{"policy": r.choice(["DeleteAll", "DeleteSelf"]), "condition": {"jobStatus": "DONE"}}]}
    return ["deletionStrategy.deletionRules"]


@job
def suspended_selector(s, r):
    s.pop("rayClusterSpec", None)
    s.update(clusterSelector={"ray.io/cluster": "other"}, suspend=True, shutdownAfterJobFinishes=True)
    return ["suspend", "clusterSelector"]


@job
def bad_submitter_backoff(s, r):
    s["submitterConfig"] = {"backoffLimit": r.choice([-1, 1 << 33, "no"])}
    return ["submitterConfig.backoffLimit"]


CHANGES = [v for v in list(globals().values()) if callable(v) and getattr(v, "__qualname__", "").endswith(".on")]


def mutant(seed, samples):
    """(object, what was done, words of which one must be told)"""
    r = random.Random(seed)
    change = CHANGES[(seed - 1) % len(CHANGES)]
    while True:
        o = copy.deepcopy(r.choice(samples))
        if not clusters(o):
            continue
        o["metadata"] = {"name": f"m{seed}", "annotations": o["metadata"].get("annotations") or {}}
        for _, t in templates(o):  # no pod of these shall run
            t["spec"]["nodeSelector"] = {"raia.io/nowhere": "yes"}
            t["spec"].pop("serviceAccountName", None)
        for _, s in clusters(o):
            for key in ("historyServerOptions", "networkPolicy"):
                s.pop(key, None)
            for i, w in enumerate(s.get("workerGroupSpecs") or []):
                w.update(replicas=1, minReplicas=0, numOfHosts=1)
        words = change(o, r)
        if words:
            return o, change.__name__, words


class Operator:
    def __init__(self, a, ns):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log = os.path.join(a.work, "operator.log")
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:exitcode=66", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([a.operator, f"--kubeconfig={a.kubeconfig}", f"--watch-namespace={ns}", f"--leader-election-namespace={ns}",
                                             f"--metrics-addr=127.0.0.1:{self.port}", "--health-probe-bind-address=0", "--use-kubernetes-proxy=true",
                                             f"--raia-image={a.image}", "--log-level=debug"], stdout=log, stderr=log, env=env)

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            return dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line and line[0] != "#")

    def busy(self):
        m = self.metrics()
        return tuple(float(v) for k, v in sorted(m.items()) if k.startswith(("controller_runtime_reconcile_total", "raia_operator_writes_total")))

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()


def told(api, ns, o):
    """What the status says is wrong; "" so far nothing."""
    have = api.get(o["kind"], ns, o["metadata"]["name"])
    status = (have or {}).get("status") or {}
    words = [c.get("message", "") for c in status.get("conditions") or []
             if (c["type"] == "RaiaAccepted" and c["status"] == "False") or (c["type"] == "RayClusterReplicaFailure" and c["status"] == "True")]
    if status.get("jobDeploymentStatus") in ("ValidationFailed", "Failed"):
        words.append(status.get("message", ""))
    return " | ".join(words)


def names_it(answer, words):
    return any(w in answer for w in words)


def fields_of(words):
    """The server's own checks stop at a name of a field that it knows no path of; the field itself must be named."""
    return words + [re.split(r"[.\[]", w)[-1] for w in words if not w.endswith("[") and not w.endswith("]")]


def main():
    p = argparse.ArgumentParser()
    for flag in ("--kubeconfig", "--operator", "--image", "--work"):
        p.add_argument(flag, required=True)
    p.add_argument("--samples", action="append", required=True)
    p.add_argument("--seed", type=int)
    p.add_argument("namespace")
    a = p.parse_args()
    api, ns = Api(a.kubeconfig), a.namespace
    samples = []
    for folder in a.samples:
        for f in sorted(glob.glob(os.path.join(folder, "*.yaml"))):
            with open(f, encoding="utf-8") as text:
                samples += [d for d in yaml.safe_load_all(text) if d and d["kind"] in ("RayCluster", "RayJob")]
    assert samples, a.samples
    bad = []

    def wrong(words):
        bad.append(words)
        print("  WRONG " + words[:600], file=sys.stderr, flush=True)

    operator = Operator(a, ns)
    until(60, lambda: "leading" in operator.text() or operator.process.poll() is not None)
    refused, accepted = 0, []
    for seed in [a.seed] if a.seed else SEEDS:
        o, what, words = mutant(seed, samples)
        try:
            api.create(o, ns, "?fieldValidation=Strict")
            accepted.append((seed, o, what, words))
        except Refused as e:
            refused += 1
            if not names_it(str(e), fields_of(words)):
                wrong(f"seed {seed}, {what}: rejected without a word of {words}: {e}")
    made, shown = time.monotonic(), 0
    for seed, o, what, words in accepted:
        answer = until(40, lambda o=o: told(api, ns, o))
        if not answer:
            # What is made of a RayJob's cluster may be told by the cluster first.
            wrong(f"seed {seed}, {what}: taken, and nothing is told of {words}: {(api.get(o['kind'], ns, o['metadata']['name']) or {}).get('status')}")
        elif not names_it(answer, words):
            wrong(f"seed {seed}, {what}: told without {words}: {answer}")
        else:
            shown += 1
    print(f"{refused} rejected by the server, {shown} by a status that names the field, {len(bad)} neither", file=sys.stderr, flush=True)

    # What is refused is tried each time after twice the time: once between REST and twice REST, some at the edges.
    time.sleep(max(0, made + REST - time.monotonic()))
    before = operator.busy()
    time.sleep(REST)
    tries = [int(y - x) for x, y in zip(before, operator.busy())]
    print(f"{len(accepted)} mutants: {tries} reconciles and writes from {REST} s to {2 * REST} s", file=sys.stderr, flush=True)
    if sum(tries[:-1]) > 1.2 * len(accepted) + 1 or tries[-1] > 2.4 * len(accepted) + 2:
        wrong(f"the operator has no rest: {tries} reconciles and writes in {REST} s")
    versions = lambda: {(k, o["metadata"]["name"]): o["metadata"]["resourceVersion"] for k in ("RayCluster", "RayJob", "Service", "Secret") for o in api.list(k, ns)}
    first = versions()
    time.sleep(2)
    if first != versions():
        wrong("objects change without a cause")

    secrets = set()
    for s in api.list("Secret", ns):
        for key, value in s["data"].items():
            text = base64.b64decode(value).decode()
            secrets.update([text] if key == "auth_token" else [x for x in text.splitlines() if len(x) > 20 and not x.startswith("-----")] if key.endswith(".key") else [])
    events = [e.get("message", "") for e in api.list("Event", ns)]
    for kind in ("RayJob", "RayCluster"):
        for o in api.list(kind, ns):
            api.delete(kind, ns, o["metadata"]["name"])
    left = lambda: [o["metadata"]["name"] for k in ("RayCluster", "RayJob", "Pod", "Service", "Secret") for o in api.list(k, ns)]
    if not until(90, lambda: not left()):
        wrong(f"deleted mutants leave {left()[:5]}")
    if operator.process.poll() is not None:
        wrong(f"the operator has ended with status {operator.process.returncode}")
    operator.process.send_signal(signal.SIGTERM)
    try:
        status = operator.process.wait(60)
    except subprocess.TimeoutExpired:
        operator.process.kill()
        status = "none: it does not end on SIGTERM"
    log = operator.text()
    if status != 0 or re.search(r"Sanitizer|runtime error:", log):
        wrong(f"the operator's end: status {status}: " + "\n".join(log.splitlines()[-40:]))
    for s in secrets:
        if s in log or any(s in e for e in events):
            wrong("a token or key is in the log or in an event")
    print(f"{len(secrets)} tokens and lines of keys: none in {len(events)} events or in the log; operator: status {status}", file=sys.stderr)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
