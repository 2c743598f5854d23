"""Whether a pod can run on the nodes of the test cluster, and if it cannot, what must be said of it."""
import threading

from kuberay import number

DEFAULT = "default-scheduler"


def requests(spec):
    """{resource: amount} of a pod."""
    out = {}
    for c in spec["containers"]:
        r = c.get("resources") or {}
        for name in {*(r.get("limits") or {}), *(r.get("requests") or {})}:
            amount = (r.get("requests") or {}).get(name, (r.get("limits") or {}).get(name))
            out[name] = out.get(name, 0) + number(amount)
    return out


class Room:
    """The nodes' CPUs, so that samples do not take them from each other half by half."""

    def __init__(self, nodes, pods):
        self.free = []
        for n in nodes:
            mine = [p for p in pods if p["spec"].get("nodeName") == n["metadata"]["name"] and p["status"].get("phase") in ("Pending", "Running")]
            self.free.append(number(n["status"]["allocatable"]["cpu"]) - sum(requests(p["spec"]).get("cpu", 0) for p in mine))
        self.total, self.changed = list(self.free), threading.Condition()

    @staticmethod
    def _place(wanted, free):
        """Free afterwards; None: not all of them fit."""
        free = list(free)
        for w in sorted(wanted, reverse=True):
            n = next((i for i in sorted(range(len(free)), key=lambda i: free[i]) if free[i] >= w), None)
            if n is None:
                return None
            free[n] -= w
        return free

    def take(self, wanted):
        """Waits for room for pods of so many CPUs; yields what to give back. More than there ever is: all of it."""
        fits = self._place(wanted, self.total)
        with self.changed:
            while True:
                left = self._place(wanted, self.free) if fits else [0.0] * len(self.free) if self.free == self.total else None
                if left is not None:
                    taken = [a - b for a, b in zip(self.free, left)]
                    self.free = left
                    return taken, bool(fits)
                self.changed.wait(300)

    def give(self, taken):
        with self.changed:
            self.free = [a + b for a, b in zip(self.free, taken)]
            if all(abs(a - b) < 1e-6 for a, b in zip(self.free, self.total)):
                self.free = list(self.total)
            self.changed.notify_all()


class Nodes:
    def __init__(self, api):
        self.api = api
        self.nodes = api.call("GET", "/api/v1/nodes")["items"]
        self.room = Room(self.nodes, api.call("GET", "/api/v1/pods")["items"])

    def wants(self, spec):
        """The CPUs of a pod that can run here; None: it cannot, or needs none."""
        cpu = requests(spec).get("cpu", 0)
        known = set(self.nodes[0]["status"]["allocatable"])
        if spec.get("nodeSelector") or not set(requests(spec)) <= known or spec.get("schedulerName", DEFAULT) != DEFAULT:
            return None
        return cpu if 0 < cpu <= max(number(n["status"]["allocatable"]["cpu"]) for n in self.nodes) else None

    def obstacles(self, pod, ns):
        """[(where, words)]: where it must be told (see said()), and what must be named. None: it can run."""
        spec, out = pod["spec"], []
        if spec.get("schedulerName", DEFAULT) != DEFAULT:
            return [("unscheduled", spec["schedulerName"])]
        for name, amount in sorted(requests(spec).items()):
            if all(amount > number(n["status"]["allocatable"].get(name, 0)) for n in self.nodes):
                out.append(("schedule", "Insufficient " + name))
        selector = spec.get("nodeSelector") or {}
        if selector and not any(selector.items() <= n["metadata"]["labels"].items() for n in self.nodes):
            out.append(("schedule", "didn't match Pod's node affinity/selector"))
        for v in spec.get("volumes") or []:
            claim = (v.get("persistentVolumeClaim") or {}).get("claimName")
            if claim:
                there = self.api.get("PersistentVolumeClaim", ns, claim)
                out.append(("schedule", "unbound immediate PersistentVolumeClaims" if there else f'persistentvolumeclaim "{claim}" not found'))
        if out:
            return [("schedule", [w for _, w in out])]
        for v in spec.get("volumes") or []:
            for kind, key, source in (("Secret", "secretName", "secret"), ("ConfigMap", "name", "configMap")):
                ref = v.get(source)
                if ref and not ref.get("optional") and not self.api.get(kind, ns, ref[key]):
                    return [("mount", f'{source.lower()} "{ref[key]}" not found')]
            if "csi" in v:
                return [("mount", v["csi"]["driver"])]
        if "postStart" in (spec["containers"][0].get("lifecycle") or {}):
            return [("hook", "ContainerCreating")] # a script for Ray's own image: it waits for a ray in PATH
        for c in spec["containers"]:
            for e in c.get("env") or []:
                ref = (e.get("valueFrom") or {}).get("secretKeyRef")
                if ref and not ref.get("optional") and not self.api.get("Secret", ns, ref["name"]):
                    return [("config", f'secret "{ref["name"]}" not found')]
        return None

    def said(self, pod, ns, where, words):
        """Is that what the cluster says of this pod?"""
        status = pod["status"]
        if status.get("phase") != "Pending":
            return False
        conditions = {c["type"]: c for c in status.get("conditions") or []}
        if where == "unscheduled":
            return not pod["spec"].get("nodeName") and "PodScheduled" not in conditions
        if where == "schedule":
            c = conditions.get("PodScheduled") or {}
            return c.get("reason") == "Unschedulable" and any(w in c.get("message", "") for w in words)
        if where == "hook":
            return any(((s.get("state") or {}).get("waiting") or {}).get("reason") in (words, "PodInitializing") for s in status.get("containerStatuses") or [])
        if where == "config":
            return any(words in ((s.get("state") or {}).get("waiting") or {}).get("message", "")
                       for s in (status.get("containerStatuses") or []) + (status.get("initContainerStatuses") or []))
        events = self.api.call("GET", self.api.path("Event", ns) + "?fieldSelector=involvedObject.name%3D" + pod["metadata"]["name"])["items"]
        return any(e["reason"] == "FailedMount" and words in e["message"] for e in events)


def ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])


def waits_for_head(pod):
    """It would be ready if it had a head: its Ray container runs. Or there is no room for it."""
    conditions = {c["type"]: c for c in pod["status"].get("conditions") or []}
    return pod["status"].get("phase") == "Running" or crowded(conditions)


def crowded(conditions):
    return "Insufficient cpu" in (conditions.get("PodScheduled") or {}).get("message", "")


def broken_program(pod):
    """A container of the user's whose program is not in the stand-in image: its name."""
    for s in (pod["status"].get("initContainerStatuses") or []) + (pod["status"].get("containerStatuses") or []):
        end = (s.get("state") or {}).get("terminated") or (s.get("lastState") or {}).get("terminated")
        if end and end.get("exitCode"):
            return f"{s['name']}: exit status {end['exitCode']}"
        waiting = (s.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in ("CrashLoopBackOff", "RunContainerError", "PostStartHookError"):
            return f"{s['name']}: {waiting['reason']}"
    return None
