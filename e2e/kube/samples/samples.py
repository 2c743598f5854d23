"""Every sample of a folder, as it is, on a real cluster: see ../samples.sh.

    samples.py --kubeconfig FILE --samples DIR --docs DIR --image IMAGE --log OPERATOR-LOG [--only NAME] NAMESPACE...

One sample at a time in each namespace. What is made of it is compared with what KubeRay makes (kuberay.py), but for
fields that are not supported, which its condition must name (unsupported.py); a difference must be in the list that
the documents have (differences.py), and each line of that list must be needed. Then pods run, or the cluster says why
they cannot; RayJobs end. Then the sample is deleted, and nothing may stay."""
import argparse
import base64
import copy
import glob
import os
import queue
import re
import shlex
import subprocess
import sys
import threading
import time

import yaml

import differences
import kuberay
import unsupported
from api import CLUSTER_WIDE, PATHS, Api, Refused, until
from nodes import Nodes, broken_program, crowded, ready, waits_for_head

OURS = {"RayCluster", "RayJob"}
LATER = ("Pod", "Job", "Service", "Secret", "PersistentVolumeClaim", "RayCluster", "RayJob", "Deployment", "StatefulSet", "ConfigMap")
begin = time.monotonic()
out_lock = threading.Lock()


def say(words):
    with out_lock:
        print(f"{time.monotonic() - begin:4.0f} s  {words}", file=sys.stderr, flush=True)


def condition(o, kind):
    return next((c for c in (o.get("status") or {}).get("conditions") or [] if c["type"] == kind), {})


class Wrong(Exception):
    pass


def must(true, words):
    if not true:
        raise Wrong(words)


# -- what differs by a rule rather than by a line of the list (docs/kuberay-differences.md, "Commands")

def our_command(pod):
    """KubeRay's Ray container, with our commands in it."""
    c = pod["spec"]["containers"][0]
    env = next(e for e in c["env"] if e["name"] == "KUBERAY_GEN_RAY_START_CMD")
    start = env["value"]
    env["value"] = "/opt/raia/bin/" + start
    if c.get("command") != ["/bin/bash", "-c", "--"] or not c.get("args") or start not in c["args"][0]:
        return
    before = c["args"][0].partition("ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; ")
    if before[0]:
        c["args"] = [f"export PATH=/opt/raia/bin:$PATH; {before[0]}{before[1]}{env['value']}"]
        return
    c["command"] = ["/opt/raia/bin/raia-pod"]
    c["args"] = [re.sub(r"\$(\w+)", r"$(\1)", w) for w in shlex.split(start)[2:] if w != "--block"]


def without_our_mounts(pod):
    """SidecarMode: the submitter in the RayCluster has them already, and their volume is only in the pod."""
    volumes = {v["name"] for v in pod["spec"].get("volumes") or []}
    for c in pod["spec"]["containers"]:
        if "volumeMounts" in c:
            c["volumeMounts"] = [m for m in c["volumeMounts"] if m["mountPath"] != "/opt/raia" or m["name"] in volumes]


def plain(o):
    """What of an object is compared."""
    o = copy.deepcopy(o)
    meta = o["metadata"]
    o["metadata"] = {k: meta[k] for k in ("labels", "annotations") if k in meta}
    o.pop("status", None)
    o.pop("apiVersion", None)
    o.pop("kind", None)
    spec = o.get("spec") or {}
    for key in ("nodeName",):
        spec.pop(key, None)
    if o["metadata"].get("annotations"):
        o["metadata"]["annotations"].pop("kubectl.kubernetes.io/last-applied-configuration", None)
    # The token of the service account has a volume with a random name.
    for v in spec.get("volumes") or []:
        if v["name"].startswith("kube-api-access-"):
            v["name"] = "kube-api-access"
    for c in (spec.get("containers") or []) + (spec.get("initContainers") or []):
        for m in c.get("volumeMounts") or []:
            if m["name"].startswith("kube-api-access-"):
                m["name"] = "kube-api-access"
    return o


class Sample:
    """One file, in one namespace."""

    def __init__(self, test, file, ns):
        self.t, self.file, self.ns, self.api = test, file, ns, test.api
        self.name = os.path.basename(file).removesuffix(".yaml")
        with open(file, encoding="utf-8") as f:
            self.documents = [d for d in yaml.safe_load_all(f) if d]
        self.complaints, self.outcome, self.fits = [], [], True

    # -- comparing

    def differ(self, what, expected, actual):
        for d in differences.compare(expected, actual):
            if not self.t.meant.excuses(what, d):
                self.complaints.append(f"{what} {d[0]}: KubeRay {d[1]!r}, here {d[2]!r}")

    def owned(self, o, owner):
        refs = o["metadata"].get("ownerReferences") or []
        must(len(refs) == 1 and refs[0]["uid"] == owner["metadata"]["uid"] and refs[0].get("controller") and refs[0].get("blockOwnerDeletion"),
             f"{o['metadata']['name']} is owned by {refs}")

    def defaulted(self, o):
        """As the server would store it; None: its admission refuses it."""
        try:
            return self.api.create(o, self.ns, "?dryRun=All&fieldValidation=Strict")
        except Refused as e:
            if e.code == 403:
                return None
            raise

    def check_pods(self, cluster, shape, pods):
        for g in kuberay.groups(shape):
            mine = sorted((p for p in pods if p["metadata"]["labels"].get("ray.io/group") == g.name), key=lambda p: p["metadata"]["name"])
            must(len(mine) == g.replicas * g.hosts, f"group {g.name} has {len(mine)} pods, not {g.replicas * g.hosts}")
            if not mine:
                continue
            wanted = g.pod()
            our_command(wanted)
            without_our_mounts(wanted)
            wanted = self.defaulted(wanted)
            must(wanted, f"group {g.name}: a pod as KubeRay makes it is refused, and ours is not")
            seen = set()
            for p in mine:
                must(p["metadata"]["name"].startswith(g.prefix) and len(p["metadata"]["name"]) == len(g.prefix) + 5, f"a pod is called {p['metadata']['name']}, not {g.prefix}xxxxx")
                self.owned(p, cluster)
                labels = p["metadata"]["labels"]
                one = copy.deepcopy(wanted)
                one["metadata"]["labels"] = dict(one["metadata"]["labels"])
                if g.hosts > 1:
                    host, name = int(labels["ray.io/replica-host-index"]), labels["ray.io/worker-group-replica-name"]
                    replica = int(labels["ray.io/worker-group-replica-index"])
                    seen.add((replica, host))
                    must(re.fullmatch(re.escape(g.name[:57]) + "-.{5}", name), f"a replica is called {name}")
                    one["metadata"]["labels"].update(g.labels(replica, host))
                    one["metadata"]["labels"]["ray.io/worker-group-replica-name"] = name
                self.differ("pod of a " + ("head" if g.head else "worker"), plain(one), plain(p))
            must(g.hosts == 1 or seen == {(r, h) for r in range(g.replicas) for h in range(g.hosts)}, f"replicas and hosts are {sorted(seen)}")

    def check_things(self, cluster, shape, job):
        name = cluster["metadata"]["name"]
        mine = lambda kind: {o["metadata"]["name"]: o for o in self.api.list(kind, self.ns)
                             if any(r["uid"] == cluster["metadata"]["uid"] for r in o["metadata"].get("ownerReferences") or [])}
        services = mine("Service")
        for wanted in kuberay.services(shape):
            have = services.pop(wanted["metadata"]["name"], None)
            must(have, f"no service {wanted['metadata']['name']}: {list(services)}")
            self.owned(have, cluster)
            stored = self.defaulted({**wanted, "metadata": {**wanted["metadata"], "name": "would-be"}})
            for o in (stored, have):  # addresses are drawn; ports by number
                if o["spec"].get("clusterIP") != "None":
                    for key in ("clusterIP", "clusterIPs"):
                        o["spec"].pop(key, None)
                for p in o["spec"].get("ports") or []:
                    p.pop("nodePort", None)
                o["spec"].pop("healthCheckNodePort", None)
            self.differ("service", plain(stored), plain(have))
        must(not services, f"services that KubeRay has not: {list(services)}")
        secrets = mine("Secret")
        for s in secrets.values():
            self.t.keep_secrets(s)
        have = {n: sorted(s["data"]) for n, s in secrets.items()}
        self.differ("secrets", {k.replace(name, "CLUSTER", 1): v for k, v in kuberay.secrets(shape).items()}, {k.replace(name, "CLUSTER", 1): v for k, v in have.items()})
        claims = {n: (c["spec"]["resources"]["requests"]["storage"], c["spec"]["accessModes"]) for n, c in mine("PersistentVolumeClaim").items()}
        must(claims == kuberay.claims(shape), f"claims are {claims}, not {kuberay.claims(shape)}")

    # -- a RayCluster

    def cluster(self, get, job=None):
        accepted = until(30, lambda: condition(get() or {}, "RaiaAccepted"))
        must(accepted, "no condition RaiaAccepted after 30 s")
        o = get()
        shape, ignored, refused = unsupported.split(o["spec"], self.t.fields, "spec")
        shape = {**o, "spec": shape}
        self.named(o, ignored)
        if refused:
            must(accepted["status"] == "False" and accepted["reason"] == "UnsupportedField", f"{refused} are set, and the cluster is accepted")
            must(all(p in accepted["message"] for p in refused), f"not named: {refused} in {accepted['message']}")
            must(not self.pods(o), "a refused cluster has pods")
            return "refused for " + ", ".join(refused)
        total = sum(g.replicas * g.hosts for g in kuberay.groups(shape))
        missing = self.missing_accounts(shape)
        if missing:
            self.forbidden(get, missing)
        pods = until(40, lambda: (lambda p: p if len(p) >= total else None)(self.pods(o)))
        must(pods is not None, f"{len(self.pods(o))} pods after 40 s, not {total}: {(get() or {}).get('status')}")
        must(condition(get(), "RaiaAccepted").get("status") == "True", f"pods, and not accepted: {condition(get(), 'RaiaAccepted')}")
        self.check_pods(o, shape, pods)
        self.check_things(o, shape, job)
        return self.settle(get, o, shape, total)

    def named(self, o, ignored):
        c = condition(o, "RaiaUnsupportedFields")
        if not ignored:
            must(c.get("status") != "True", f"RaiaUnsupportedFields without a cause: {c}")
            return
        must(c.get("status") == "True" and c["reason"] == "FieldsIgnored", f"{ignored} are ignored, and the condition is {c}")
        told = re.findall(r"(?:^|; )(spec[^:; ]*)", c["message"])
        must(sorted(told) == sorted(ignored), f"RaiaUnsupportedFields names {told}, not {ignored}")

    def missing_accounts(self, shape):
        names = {g.spec["template"]["spec"].get("serviceAccountName") for g in kuberay.groups(shape) if g.replicas} - {None}
        return sorted(n for n in names if not self.api.get("ServiceAccount", self.ns, n))

    def forbidden(self, get, missing):
        """The server takes no pod of a service account that is not there: told, and over when it is."""
        told = until(30, lambda: any(f'"{n}" not found' in c.get("message", "") for n in missing for c in (get()["status"].get("conditions") or [])
                                     if c["type"] in ("RayClusterReplicaFailure", "RaiaAccepted")))
        must(told, f"service account {missing} is missing, and no condition says so: {get()['status']}")
        for n in missing:
            self.api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": n}}, self.ns)
        self.outcome.append(f"told that service account {missing[0]} is missing")

    def pods(self, cluster):
        return [p for p in self.api.list("Pod", self.ns, "ray.io/cluster=" + cluster["metadata"]["name"]) if "deletionTimestamp" not in p["metadata"]]

    def settle(self, get, o, shape, total):
        """Until every pod is as it must be here."""
        why, left = {}, None

        def settled():
            nonlocal left
            left, pods = [], self.pods(o)
            for p in pods:
                name = p["metadata"]["name"]
                if name not in why:
                    why[name] = self.t.nodes.obstacles(p, self.ns)
                if why[name] is None:
                    if self.submitting(p):
                        left.append(f"the submitter in {name} has not ended")
                    elif not ready(p) and not self.excused(p, pods, why):
                        left.append(f"{name} is not ready")
                elif not all(self.t.nodes.said(p, self.ns, *w) for w in why[name]):
                    left.append(f"{name} does not say {why[name]}")
            return len(pods) >= total and not left

        must(until(self.t.patience, settled), f"after {self.t.patience} s: {left[:3]}; {self.states(o)}")
        pods = self.pods(o)
        if all(ready(p) for p in pods):
            must(until(20, lambda: (get()["status"] or {}).get("state") == "ready"), f"all pods are ready, the state is {get()['status']}")
            s = get()["status"]
            must(condition(get(), "HeadPodReady").get("reason") == "HeadPodRunningAndReady", "HeadPodReady")
            must(condition(get(), "RayClusterProvisioned").get("reason") == "AllPodRunningAndReadyFirstTime", "RayClusterProvisioned")
            must(s["desiredWorkerReplicas"] == total - 1 and s["readyWorkerReplicas"] == total - 1 and s["availableWorkerReplicas"] == total - 1 if total > 1 else True, f"counts: {s}")
            must(s["head"]["podIP"] and s["head"]["serviceName"] == kuberay.head_service_name(shape), f"head: {s['head']}")
            must(s["observedGeneration"] == get()["metadata"]["generation"], "observedGeneration")
            return "ready"
        s = get()["status"]
        if not any(self.submitted(p) for p in pods): # which may be before or after all pods were ready
            must(s.get("state", "") != "ready" and condition(get(), "RayClusterProvisioned").get("status") == "False", f"not all pods are ready, and the status says {s}")
        head = next(p for p in self.pods(o) if p["metadata"]["labels"]["ray.io/node-type"] == "head")
        must(until(10, lambda: (condition(get(), "HeadPodReady").get("status") == "True") == ready(head)), f"the head's readiness: {condition(get(), 'HeadPodReady')}")
        return "pending: " + "; ".join(sorted({self.reason(p, why) for p in pods if not ready(p)}))

    @staticmethod
    def reason(pod, why):
        w = why.get(pod["metadata"]["name"])
        if not w:
            return broken_program(pod) or ("waits for the head" if pod["status"].get("phase") == "Running" else "no CPU left")
        return ", ".join(w[0][1]) if isinstance(w[0][1], list) else w[0][1] if w[0][0] != "unscheduled" else "scheduler " + w[0][1]

    def excused(self, pod, pods, why):
        """A pod that could run, and is not ready for a reason that is not ours."""
        heads = [p for p in pods if p["metadata"]["labels"]["ray.io/node-type"] == "head"]
        conditions = {c["type"]: c for c in pod["status"].get("conditions") or []}
        if self.own_program(pod) and broken_program(pod) or self.submitted(pod):
            return True
        if not self.fits and crowded(conditions):
            return True
        blocked = [p for p in heads if p is not pod and not ready(p) and (why.get(p["metadata"]["name"]) or self.own_program(p) and broken_program(p)
                                                        or not self.fits and crowded({c["type"]: c for c in p["status"].get("conditions") or []}))]
        return bool(blocked) and waits_for_head(pod)

    @staticmethod
    def submitted(pod):
        """A head whose submitter (SidecarMode) has ended: it is not ready after that, and all else in it is."""
        states = pod["status"].get("containerStatuses") or []
        return any(s["name"] == "ray-job-submitter" and "terminated" in (s.get("state") or {}) for s in states) and \
            all(s["ready"] for s in states if s["name"] != "ray-job-submitter")

    def submitting(self, pod):
        """One whose submitter has not ended: it will, as its program is not in the image."""
        return any(c["name"] == "ray-job-submitter" for c in pod["spec"]["containers"]) and not self.submitted(pod)

    @staticmethod
    def own_program(pod):
        """Does it run programs that the stand-in image may not have?"""
        spec = pod["spec"]
        others = [c for c in (spec.get("initContainers") or []) if c["name"] != "raia-init"] + spec["containers"][1:]
        return any(c["name"] != "ray-job-submitter" for c in others) or "lifecycle" in spec["containers"][0]

    def states(self, o):
        return [(p["metadata"]["name"], p["status"].get("phase"), [s.get("state") for s in (p["status"].get("initContainerStatuses") or []) + (p["status"].get("containerStatuses") or [])],
                 [c.get("message") for c in p["status"].get("conditions") or [] if c.get("message")]) for p in self.pods(o) if not ready(p)][:2]

    # -- a RayJob

    def job(self, name):
        get = lambda: self.api.get("RayJob", self.ns, name)
        spec = get()["spec"]
        if "rayClusterSpec" not in spec:
            must(until(30, lambda: (get().get("status") or {}).get("jobDeploymentStatus") == "Initializing"), f"{get().get('status')}")
            must(self.t.nodes and "ray-cluster-kuberay" in str(get()["status"]), f"the missing RayCluster is not named: {get()['status']}")
            return "waits for the RayCluster that it names"
        _, ignored, refused = unsupported.split(spec["rayClusterSpec"], self.t.fields, "spec.rayClusterSpec")
        must(until(30, lambda: (get().get("status") or {}).get("rayClusterName")), f"no rayClusterName: {get().get('status')}")
        self.named(get(), ignored)
        must(not refused, f"{refused}")
        job = get()
        cluster_name = job["status"]["rayClusterName"]
        cluster = lambda: self.api.get("RayCluster", self.ns, cluster_name)
        must(until(30, cluster), "no RayCluster")
        must(re.fullmatch(re.escape(name) + "-.{5}", cluster_name), f"the cluster is called {cluster_name}")
        wanted = self.defaulted(kuberay.job_cluster(job))
        self.owned(cluster(), job)
        self.differ("cluster of a job", plain(wanted), plain(cluster()))
        state = self.cluster(cluster, job)
        if state != "ready" and "ray-job-submitter" not in state:
            s = get()["status"]
            must(s["jobDeploymentStatus"] == "Initializing" and not s.get("jobStatus"), f"the cluster is {state}, and the job {s}")
            return state
        return "cluster ready; " + self.job_end(get, cluster)

    def job_end(self, get, cluster):
        job = get()
        mode = job["spec"].get("submissionMode") or "K8sJobMode"
        if mode == "InteractiveMode":
            must(until(30, lambda: get()["status"]["jobDeploymentStatus"] == "Waiting"), f"{get()['status']}")
            return "waits for the user's submission"
        if mode == "K8sJobMode":
            must(until(30, lambda: self.api.get("Job", self.ns, job["metadata"]["name"])), f"no submitter: {get()['status']}")
            self.submitter(get())
        over = lambda: get()["status"].get("jobDeploymentStatus") in ("Failed", "Complete")
        if not self.fits and until(self.t.patience, lambda: over() or self.no_room(job)) and not over():
            return "no CPU left for its submitter"
        must(until(self.t.patience, over),
             f"it has no end after {self.t.patience} s: {get()['status']}")
        s = get()["status"]
        must(s["jobDeploymentStatus"] == "Failed" and s.get("reason") in ("AppFailed", "SubmissionFailed") and s.get("message") and s.get("endTime"), f"{s}")
        must(s["reason"] == "SubmissionFailed" or s.get("jobStatus") == "FAILED", f"{s}")
        return f"{s['reason']}: {s['message'].splitlines()[0][:160]}"

    def no_room(self, job):
        """Has its submitter's pod no place?"""
        return any(crowded({c["type"]: c for c in p["status"].get("conditions") or []}) for p in self.api.list("Pod", self.ns, "job-name=" + job["metadata"]["name"]))

    def submitter(self, job):
        name = job["metadata"]["name"]
        have = self.api.get("Job", self.ns, name)
        self.owned(have, job)
        stored = self.defaulted({**kuberay.submitter_job(job), "metadata": {**kuberay.submitter_job(job)["metadata"], "name": "would-be"}})
        for o in (stored, have):
            o["spec"].pop("selector", None)
            for key in [k for k in o["spec"]["template"]["metadata"].get("labels") or {} if k.endswith(("controller-uid", "job-name"))]:
                del o["spec"]["template"]["metadata"]["labels"][key]
        self.differ("submitter", plain(stored), plain(have))
        head = self.api.get("Service", self.ns, name + "-head-svc")
        must(head and head["spec"]["selector"]["ray.io/cluster"] == job["status"]["rayClusterName"], f"no service {name}-head-svc of this cluster")

    # -- all of it

    def apply(self):
        names = []
        for d in self.documents:
            if d["kind"] not in PATHS:
                say(f"{self.name}: no {d['kind']} here")
                continue
            if d["kind"] not in OURS:
                d.get("metadata", {}).pop("namespace", None)
        # As a user does it, but for kinds that this cluster has not, and the Ray objects last.
        for ours in (False, True):
            for d in self.documents:
                if d["kind"] in PATHS and (d["kind"] in OURS) == ours and d["kind"] not in ("Deployment", "StatefulSet"):
                    verb = ["create"] if "generateName" in d["metadata"] else ["apply"]
                    p = subprocess.run(["kubectl", "--kubeconfig", self.t.kubeconfig, "-n", self.ns, *verb, "-f", "-", "-o", "name"],
                                       input=yaml.safe_dump(d), capture_output=True, text=True, check=False)
                    must(p.returncode == 0, f"kubectl {verb[0]} of {d['kind']}: {p.stderr}")
                    name = p.stdout.strip().splitlines()[-1].split("/")[1]
                    names.append((d["kind"], name))
        return names

    def wanted(self):
        """The CPUs of each pod that will run."""
        out = []
        for d in self.documents:
            if d["kind"] not in OURS or "rayClusterSpec" not in d["spec"] and d["kind"] == "RayJob":
                continue
            spec = d["spec"].get("rayClusterSpec", d["spec"])
            for g in kuberay.groups({"metadata": {"name": "x", "namespace": "x"}, "spec": spec}):
                out += [self.t.nodes.wants(g.spec["template"]["spec"])] * g.replicas * g.hosts
            if d["kind"] == "RayJob" and d["spec"].get("submissionMode", "K8sJobMode") == "K8sJobMode":
                out.append(0.5)
        return [w for w in out if w]

    def run(self):
        applied = []
        taken, self.fits = self.t.nodes.room.take(self.wanted())
        start = time.monotonic()
        try:
            applied = self.apply()
            for kind, name in [a for a in applied if a[0] in OURS]:
                self.outcome.append(self.cluster(lambda n=name: self.api.get("RayCluster", self.ns, n)) if kind == "RayCluster" else self.job(name))
        except Wrong as e:
            self.complaints.insert(0, str(e))
        except Exception as e:  # pylint: disable=broad-except
            self.complaints.insert(0, f"{type(e).__name__}: {e}")
        self.t.keep_events(self.ns)
        if self.complaints:
            self.t.dump(self)
        took = time.monotonic() - start
        try:
            self.clean(applied)
        except Wrong as e:
            self.complaints.append(str(e))
        self.t.nodes.room.give(taken)
        say(f"{self.name}: {took:.0f} s, {'; '.join(self.outcome) or 'no outcome'}")
        for c in self.complaints[:100]:
            say(f"  WRONG {c}")

    def clean(self, applied):
        for kind, name in reversed(applied):
            self.api.delete(kind, self.ns, name)
        for a in self.api.list("ServiceAccount", self.ns):
            if a["metadata"]["name"] != "default":
                self.api.delete("ServiceAccount", self.ns, a["metadata"]["name"])
        left = lambda: [f"{k}/{o['metadata']['name']}" for k in LATER for o in self.api.list(k, self.ns) if o["metadata"]["name"] != "kube-root-ca.crt"]
        gone = until(100, lambda: not left())
        what = left()
        if what:
            for o in what:
                self.api.delete(*[o.split("/")[0], self.ns, o.split("/")[1]], grace=0)
        must(gone, f"a deleted sample leaves after 100 s: {what}")


class Test:
    def __init__(self, a):
        self.kubeconfig, self.api, self.patience = a.kubeconfig, Api(a.kubeconfig), a.patience
        self.meant = differences.Meant(os.path.join(a.docs, "kuberay-differences.md"))
        self.fields = unsupported.table(os.path.join(a.docs, "kuberay.md"))
        self.nodes = Nodes(self.api)
        self.secrets, self.events, self.lock, self.logs = set(), [], threading.Lock(), a.logs

    def keep_secrets(self, secret):
        with self.lock:
            for key, value in secret["data"].items():
                text = base64.b64decode(value).decode()
                if key == "auth_token":
                    self.secrets.add(text)
                elif key.endswith(".key"):
                    self.secrets.update(line for line in text.splitlines() if line and not line.startswith("-----"))

    def keep_events(self, ns):
        with self.lock:
            self.events += [e.get("message", "") for e in self.api.list("Event", ns)]

    def dump(self, sample):
        os.makedirs(self.logs, exist_ok=True)
        with open(os.path.join(self.logs, sample.name + ".yaml"), "w", encoding="utf-8") as f:
            for kind in ("RayJob", "RayCluster", "Job", "Pod", "Service", "Event"):
                yaml.safe_dump_all(self.api.list(kind, sample.ns), f)

    def no_secrets_in(self, name, text):
        for s in self.secrets:
            must(s not in text, f"{name} has a token or key")


def main():
    p = argparse.ArgumentParser()
    for flag in ("--kubeconfig", "--samples", "--docs", "--log", "--logs"):
        p.add_argument(flag, required=True)
    p.add_argument("--only")
    p.add_argument("--patience", type=int, default=150, help="seconds")
    p.add_argument("namespace", nargs="+")
    a = p.parse_args()
    t = Test(a)
    files = [f for f in sorted(glob.glob(os.path.join(a.samples, "*.yaml"))) if not a.only or re.search(a.only, os.path.basename(f))]
    todo, done = queue.Queue(), []
    for f in files:
        with open(f, encoding="utf-8") as text:
            if any(d and d["kind"] in OURS for d in yaml.safe_load_all(text)):
                todo.put(f)
    total = todo.qsize()
    must(total, f"no RayCluster or RayJob in {a.samples}")

    def work(ns):
        while True:
            try:
                f = todo.get_nowait()
            except queue.Empty:
                return
            s = Sample(t, f, ns)
            s.run()
            done.append(s)

    threads = [threading.Thread(target=work, args=(ns,)) for ns in a.namespace]
    for th in threads:
        th.start()
    for th in threads:
        th.join()
    bad = [s for s in done if s.complaints]
    kinds = {}
    for s in done:
        for o in s.outcome:
            kinds[o.split(":")[0]] = kinds.get(o.split(":")[0], 0) + 1
    say(f"{total} samples, {len(bad)} wrong; " + ", ".join(f"{v} {k}" for k, v in sorted(kinds.items(), key=lambda i: -i[1])))
    with open(a.log, encoding="utf-8", errors="replace") as f:
        t.no_secrets_in("the operator's log", f.read())
    t.no_secrets_in("an event", "\n".join(t.events))
    say(f"{len(t.secrets)} tokens and lines of keys: none in {len(t.events)} events or in the log")
    if not a.only and not bad:
        for row in t.meant.unused():
            bad.append(row)
            say(f"  WRONG a difference that no sample has: {row}")
    if len(done) != total:
        say("  WRONG not all samples were tried")
        bad.append("x")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
