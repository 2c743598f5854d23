"""What KubeRay 1.7 makes of a RayCluster or RayJob, from its documentation and its behaviour as its users see it;
not from the operator under test. Fields that Raia does not support yet are taken out before (unsupported.py), so
that what is made of them is not expected."""
import copy
import json
import math
import re

HOST = re.compile(r"(gpu$|^nvidia\.com/mig-)")
ACCELERATORS = {"aws.amazon.com/neuroncore": "neuron_cores", "google.com/tpu": "TPU"}
UNITS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def number(q):
    m = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(q))
    return float(m[1]) * UNITS[m[2]]


def whole(q):
    return str(math.ceil(number(q)))


def is_true(value):
    return str(value).lower() == "true"


class Group:
    """The head (name None), or a group of workers."""

    def __init__(self, cluster, spec, head):
        self.cluster, self.spec, self.head = cluster, spec, head
        self.name = "headgroup" if head else spec["groupName"]
        self.type = "head" if head else "worker"
        self.hosts = 1 if head else max(1, spec.get("numOfHosts") or 1)
        if head:
            self.replicas = 1
        else:
            low, high = spec.get("minReplicas") or 0, spec.get("maxReplicas", 2147483647)
            self.replicas = 0 if spec.get("suspend") else min(max(spec.get("replicas") or 0, low), high)
        name = cluster["metadata"]["name"]
        self.prefix = (name if head else f"{name}-{self.name}")[:50].lower() + f"-{self.type}-"

    def params(self):
        """Of ray start."""
        p = dict(self.spec.get("rayStartParams") or {})
        custom = {}
        for key, value in (self.spec.get("resources") or {}).items():
            low = key.lower()
            if low == "cpu":
                p["num-cpus"] = whole(value)
            elif low == "memory":
                p["memory"] = whole(value)
            elif HOST.search(low):
                p["num-gpus"] = whole(value)
            else:
                custom[key] = number(value)
        if custom:
            p["resources"] = "'" + json.dumps({k: int(v) if v == int(v) else v for k, v in sorted(custom.items())}, separators=(",", ":")) + "'"
        if self.spec.get("labels"):
            p["labels"] = ",".join(f"{k}={v}" for k, v in sorted(self.spec["labels"].items()))
        if self.head:
            p.setdefault("dashboard-host", "0.0.0.0")
        else:
            p.setdefault("address", f"{self.address()}:6379")
        p.setdefault("metrics-export-port", "8080")
        p["block"] = "true"
        p.setdefault("dashboard-agent-listen-port", "52365")
        resources = self.spec["template"]["spec"]["containers"][0].get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        cpu = limits.get("cpu") or requests.get("cpu")
        if cpu:
            p.setdefault("num-cpus", whole(cpu))
        if limits.get("memory"):
            p.setdefault("memory", whole(limits["memory"]))
        have = json.loads(p["resources"].strip("'\"` ").replace('\\"', '"')) if "resources" in p else {}
        for key in sorted(limits):
            if HOST.search(key) and number(limits[key]):
                p.setdefault("num-gpus", whole(limits[key]))
            if key in ACCELERATORS and number(limits[key]) and not set(have) & set(ACCELERATORS.values()):
                have[ACCELERATORS[key]] = int(number(limits[key]))
                p["resources"] = "'" + json.dumps(have, separators=(",", ":")) + "'"
        return p

    def address(self):
        m = self.cluster["metadata"]
        return f"{head_service_name(self.cluster)}.{m['namespace']}.svc.cluster.local"

    def start(self):
        words = ["ray start" + (" --head" if self.head else "")]
        for key, value in sorted(self.params().items()):
            if str(value).lower() in ("true", "false") and key not in ("log-color", "include-dashboard", "include-log-monitor"):
                words += [f"--{key}"] if is_true(value) else []
            else:
                words.append(f"--{key}={value}")
        return " ".join(words)

    def labels(self, replica=None, host=0):
        name = self.cluster["metadata"]["name"]
        out = {
            "ray.io/is-ray-node": "yes",
            "ray.io/identifier": f"{name}-{self.type}",
            "app.kubernetes.io/name": "kuberay",
            "app.kubernetes.io/created-by": "kuberay-operator",
        }
        out.update((self.spec["template"].get("metadata") or {}).get("labels") or {})
        out.update(self.spec.get("labels") or {})
        out.update({"ray.io/cluster": name, "ray.io/node-type": self.type, "ray.io/group": self.name})
        if not self.head:
            out["ray.io/worker-group-replica-index"] = str(replica or 0)
            if self.hosts > 1:
                out["ray.io/worker-group-replica-name"] = f"{self.name}-xxxxx"
                out["ray.io/replica-host-index"] = str(host)
        return out

    def pod(self):
        cluster, spec = self.cluster, self.cluster["spec"]
        pod = copy.deepcopy(self.spec["template"])
        pod.update(apiVersion="v1", kind="Pod")
        meta = pod["metadata"] = pod.get("metadata") or {}
        meta.pop("name", None)
        meta.pop("creationTimestamp", None)
        meta.update(generateName=self.prefix, namespace=cluster["metadata"]["namespace"], labels=self.labels())
        notes = meta["annotations"] = dict(meta.get("annotations") or {})
        own = cluster["metadata"].get("annotations") or {}
        if is_true(own.get("ray.io/overwrite-container-cmd")):
            notes["ray.io/overwrite-container-cmd"] = "true"
        ft = "gcsFaultToleranceOptions" in spec or is_true(own.get("ray.io/ft-enabled"))
        if self.head:
            notes["ray.io/ft-enabled"] = str(ft).lower()
        c = pod["spec"]["containers"][0]
        env = c["env"] = list(c.get("env") or [])
        if ft and not self.head:
            self._default(env, "RAY_gcs_rpc_server_reconnect_timeout_s", "600")
        if ft and self.head and spec.get("gcsFaultToleranceOptions", {}).get("backend") == "rocksdb":
            self._embedded(pod, c, env)
        ports = c["ports"] = list(c.get("ports") or [])
        if not any(p.get("name") == "metrics" for p in ports):
            ports.append({"name": "metrics", "containerPort": 8080})
        if (spec.get("authOptions") or {}).get("mode") == "token":
            self._default(env, "RAY_AUTH_MODE", "token")
            secret = spec["authOptions"].get("secretName") or cluster["metadata"]["name"]
            self._default(env, "RAY_AUTH_TOKEN", source={"secretKeyRef": {"name": secret, "key": "auth_token"}})
        if not self.head:
            self._wait(pod, c)
        if "plasma-directory" not in (self.spec.get("rayStartParams") or {}):
            self._shared_memory(pod, c)
        self._command(c, notes)
        for i in pod["spec"].get("initContainers") or []:
            self._set(i.setdefault("env", []), "FQ_RAY_IP", self.address())
            self._set(i["env"], "RAY_IP", head_service_name(cluster))
        self._env(env)
        self._probes(c)
        return pod

    @staticmethod
    def _set(env, name, value=None, source=None):
        env[:] = [e for e in env if e["name"] != name]
        env.append({"name": name, "valueFrom": source} if source else {"name": name, "value": value})

    def _default(self, env, name, value=None, source=None):
        if not any(e["name"] == name for e in env):
            self._set(env, name, value, source)

    def _embedded(self, pod, c, env):
        storage = self.cluster["spec"]["gcsFaultToleranceOptions"].get("storage") or {}
        self._default(env, "RAY_gcs_storage", "rocksdb")
        self._default(env, "RAY_gcs_storage_path", "/data/gcs")
        mount = {"name": "gcs-storage", "mountPath": "/data/gcs"}
        if storage.get("subPath"):
            mount["subPath"] = storage["subPath"]
        c.setdefault("volumeMounts", []).append(mount)
        claim = storage.get("claimName") or self.cluster["metadata"]["name"] + "-gcs-pvc"
        pod["spec"].setdefault("volumes", []).append({"name": "gcs-storage", "persistentVolumeClaim": {"claimName": claim}})

    def _wait(self, pod, c):
        """The init container that waits for the GCS. Its script is not compared: none is expected of Raia."""
        small = {"cpu": "200m", "memory": "256Mi"}
        pod["spec"].setdefault("initContainers", []).append({
            "name": "wait-gcs-ready", "image": c["image"], "command": ["/bin/bash", "-c", "--"], "args": ["(a loop)"],
            "resources": {"limits": small, "requests": small}})

    def _shared_memory(self, pod, c):
        if any(m["mountPath"] == "/dev/shm" for m in c.get("volumeMounts") or []):
            return
        if not any(v["name"] == "shared-mem" for v in pod["spec"].get("volumes") or []):
            resources = c.get("resources") or {}
            size = (resources.get("limits") or {}).get("memory") or (resources.get("requests") or {}).get("memory")
            source = {"medium": "Memory"}
            if size:
                source["sizeLimit"] = size
            pod["spec"].setdefault("volumes", []).append({"name": "shared-mem", "emptyDir": source})
        c.setdefault("volumeMounts", []).append({"name": "shared-mem", "mountPath": "/dev/shm"})

    def _command(self, c, notes):
        own = " ".join([*(c.get("command") or []), *(c.get("args") or [])])
        if is_true(notes.get("ray.io/overwrite-container-cmd")) or "ray start" in own:
            return
        line = f"ulimit -n ${{RAY_START_ULIMIT_OPEN_FILES:-65536}}; {self.start()}"
        c["command"] = ["/bin/bash", "-c", "--"]
        c["args"] = [f"{own} && {line}" if own else line]

    def _env(self, env):
        field = lambda path: {"fieldRef": {"fieldPath": path}}
        if not self.head:
            self._set(env, "FQ_RAY_IP", self.address())
            self._set(env, "RAY_IP", head_service_name(self.cluster))
        self._set(env, "RAY_CLUSTER_NAME", source=field("metadata.labels['ray.io/cluster']"))
        self._set(env, "RAY_CLUSTER_NAMESPACE", source=field("metadata.namespace"))
        self._set(env, "RAY_CLOUD_INSTANCE_ID", source=field("metadata.name"))
        self._set(env, "RAY_NODE_TYPE_NAME", source=field("metadata.labels['ray.io/group']"))
        self._set(env, "KUBERAY_GEN_RAY_START_CMD", self.start())
        self._default(env, "RAY_PORT", "6379")
        self._default(env, "RAY_ADDRESS", ("127.0.0.1" if self.head else self.address()) + ":6379")
        self._default(env, "RAY_USAGE_STATS_KUBERAY_IN_USE", "1")
        if self.head:
            self._set(env, "RAY_USAGE_STATS_EXTRA_TAGS", "kuberay_version=v1.7.0;kuberay_crd=" + originated(self.cluster))
        self._default(env, "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE", "1")

    def _probes(self, c):
        version = tuple(int(n) for n in re.findall(r"\d+", self.cluster["spec"].get("rayVersion") or "0")[:2])
        if version >= (2, 53):
            action = {"httpGet": {"path": "/api/healthz", "port": 52365}}
        else:
            action = {"exec": {"command": ["bash", "-c", "(wget)"]}}
        wait = 5 if self.head else 2
        for name, delay, failures in (("livenessProbe", 30, 120), ("readinessProbe", 10, 10)):
            if name not in c:
                c[name] = {"initialDelaySeconds": delay, "periodSeconds": 5, "timeoutSeconds": wait, "failureThreshold": failures, **action}


def originated(cluster):
    return (cluster["metadata"].get("labels") or {}).get("ray.io/originated-from-crd", "RayCluster")


def head_service_name(cluster):
    own = (((cluster["spec"]["headGroupSpec"].get("headService") or {}).get("metadata")) or {}).get("name")
    return own or cluster["metadata"]["name"] + "-head-svc"


def groups(cluster):
    spec = cluster["spec"]
    return [Group(cluster, spec["headGroupSpec"], True)] + [Group(cluster, w, False) for w in spec.get("workerGroupSpecs") or []]


def head_service(cluster):
    meta, head = cluster["metadata"], cluster["spec"]["headGroupSpec"]
    own = copy.deepcopy(head.get("headService") or {})
    labels = {"ray.io/cluster": meta["name"], "ray.io/node-type": "head", "ray.io/identifier": meta["name"] + "-head",
              "app.kubernetes.io/name": "kuberay", "app.kubernetes.io/created-by": "kuberay-operator"}
    ports = [{"name": p.get("name") or f"{p['containerPort']}-port", "port": p["containerPort"]}
             for p in head["template"]["spec"]["containers"][0].get("ports") or []]
    if not ports:
        ports = [{"name": n, "port": p} for n, p in (("client", 10001), ("gcs-server", 6379), ("dashboard", 8265), ("metrics", 8080), ("serve", 8000))]
    if not any(p["name"] == "metrics" for p in ports):
        ports.append({"name": "metrics", "port": 8080})
    for p in ports:
        p["appProtocol"] = "tcp"
    kind = head.get("serviceType")
    spec = own.get("spec") or {}
    spec["selector"] = dict(labels)
    spec["ports"] = (spec.get("ports") or []) + ports
    spec["type"] = spec.get("type") or kind or "ClusterIP"
    if not own and kind in (None, "", "ClusterIP"):
        spec.update(clusterIP="None", publishNotReadyAddresses=True)
    own_meta = own.get("metadata") or {}
    return {"apiVersion": "v1", "kind": "Service", "spec": spec, "metadata": {
        "name": head_service_name(cluster), "namespace": meta["namespace"],
        "labels": {**(own_meta.get("labels") or {}), **labels},
        "annotations": {**(own_meta.get("annotations") or {}), **(cluster["spec"].get("headServiceAnnotations") or {})}}}


def services(cluster):
    out = [head_service(cluster)]
    if any(g.hosts > 1 for g in groups(cluster)):
        meta = cluster["metadata"]
        out.append({"apiVersion": "v1", "kind": "Service",
                    "metadata": {"name": meta["name"] + "-headless", "namespace": meta["namespace"],
                                 "labels": {"ray.io/cluster": meta["name"], "ray.io/headless-worker-svc": meta["name"] + "-headless"}},
                    "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "type": "ClusterIP",
                             "selector": {"ray.io/cluster": meta["name"], "ray.io/node-type": "worker"}}})
    return out


def secrets(cluster):
    """{name: keys}"""
    options = cluster["spec"].get("authOptions") or {}
    return {cluster["metadata"]["name"]: ["auth_token"]} if options.get("mode") == "token" and not options.get("secretName") else {}


def claims(cluster):
    """{name: (size, modes)}"""
    options = cluster["spec"].get("gcsFaultToleranceOptions") or {}
    storage = options.get("storage") or {}
    if options.get("backend") != "rocksdb" or storage.get("claimName"):
        return {}
    return {cluster["metadata"]["name"] + "-gcs-pvc": (storage.get("size", "1Gi"), storage.get("accessModes", ["ReadWriteOnce"]))}


# -- RayJobs

def job_cluster(job):
    """The RayCluster of a RayJob; its name ends at random."""
    meta = job["metadata"]
    spec = copy.deepcopy(job["spec"]["rayClusterSpec"])
    mode = job["spec"].get("submissionMode") or "K8sJobMode"
    notes = dict(meta.get("annotations") or {})
    notes.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    if mode == "SidecarMode":
        head = spec["headGroupSpec"]["template"]["spec"]
        head["restartPolicy"] = "Never"
        head["containers"].append(submitter(job, "127.0.0.1:8265"))
        notes["ray.io/disable-provisioned-head-restart"] = "true"
    return {"apiVersion": "ray.io/v1", "kind": "RayCluster", "spec": spec, "metadata": {
        "generateName": meta["name"] + "-", "namespace": meta["namespace"], "annotations": notes,
        "labels": {**(meta.get("labels") or {}), "ray.io/originated-from-cr-name": meta["name"],
                   "ray.io/originated-from-crd": "RayJob", "ray.io/job-submission-mode": mode}}}


def submitter(job, address):
    return {"name": "ray-job-submitter", "image": job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["image"],
            "command": ["/bin/bash", "-ce", "--"], "args": ["(a loop)"],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "200Mi"}},
            "env": job_env(job, address)}


def job_env(job, address):
    return [{"name": "PYTHONUNBUFFERED", "value": "1"}, {"name": "RAY_DASHBOARD_ADDRESS", "value": address},
            {"name": "RAY_JOB_SUBMISSION_ID", "value": job["status"]["jobId"]}]


def submitter_job(job):
    meta = job["metadata"]
    template = copy.deepcopy(job["spec"].get("submitterPodTemplate")) or {
        "spec": {"restartPolicy": "Never", "containers": [submitter(job, job["status"]["dashboardURL"])]}}
    if "submitterPodTemplate" in job["spec"]:
        template["spec"]["containers"][0].setdefault("env", []).extend(job_env(job, job["status"]["dashboardURL"]))
    return {"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"], "labels": {
                "ray.io/originated-from-cr-name": meta["name"], "ray.io/originated-from-crd": "RayJob",
                "app.kubernetes.io/created-by": "kuberay-operator"}},
            "spec": {"backoffLimit": (job["spec"].get("submitterConfig") or {}).get("backoffLimit", 2), "template": template}}
