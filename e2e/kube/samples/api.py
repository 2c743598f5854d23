"""A small client of the API server: what these tests read and write, without a kubectl for each."""
import base64
import http.client
import json
import os
import ssl
import tempfile
import threading
import time
import urllib.parse

import yaml

PATHS = {  # kind: (prefix, resource)
    "Pod": ("/api/v1", "pods"),
    "Service": ("/api/v1", "services"),
    "Secret": ("/api/v1", "secrets"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Event": ("/api/v1", "events"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "Job": ("/apis/batch/v1", "jobs"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
    "Ingress": ("/apis/networking.k8s.io/v1", "ingresses"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "RayCluster": ("/apis/ray.io/v1", "rayclusters"),
    "RayJob": ("/apis/ray.io/v1", "rayjobs"),
}
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding"}


class Refused(Exception):
    """An answer that is no success: .code, .status (the server's Status object)."""

    def __init__(self, code, status):
        super().__init__(f"{code} {status.get('reason', '')}: {status.get('message', '')}")
        self.code, self.status = code, status


class Api:
    """Threads: any; each has a connection of its own."""

    def __init__(self, kubeconfig):
        with open(kubeconfig, encoding="utf-8") as f:
            config = yaml.safe_load(f)
        context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
        cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
        user = next(u["user"] for u in config["users"] if u["name"] == context["user"])
        self.address = urllib.parse.urlsplit(cluster["server"])
        self.tls = ssl.create_default_context(cadata=self._text(cluster, "certificate-authority"))
        self.headers = {"Accept": "application/json"}
        if "token" in user:
            self.headers["Authorization"] = "Bearer " + user["token"]
        else:
            with tempfile.TemporaryDirectory() as d:
                names = [os.path.join(d, n) for n in ("cert", "key")]
                for name, what in zip(names, ("client-certificate", "client-key")):
                    with open(name, "w", encoding="utf-8") as f:
                        f.write(self._text(user, what))
                self.tls.load_cert_chain(*names)
        self.local = threading.local()

    @staticmethod
    def _text(of, what):
        if what + "-data" in of:
            return base64.b64decode(of[what + "-data"]).decode()
        with open(of[what], encoding="utf-8") as f:
            return f.read()

    def call(self, method, path, body=None, content="application/json"):
        headers = dict(self.headers)
        if body is not None:
            body = json.dumps(body)
            headers["Content-Type"] = content
        for again in (True, False):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = http.client.HTTPSConnection(self.address.hostname, self.address.port, context=self.tls, timeout=60)
                self.local.connection = connection
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                data = answer.read()
                break
            except (http.client.HTTPException, OSError):
                connection.close()
                self.local.connection = None
                if not again or method != "GET":
                    raise
        tree = json.loads(data) if data else {}
        if answer.status >= 300:
            raise Refused(answer.status, tree)
        return tree

    @staticmethod
    def path(kind, ns, name=None):
        prefix, resource = PATHS[kind]
        where = "" if kind in CLUSTER_WIDE else f"/namespaces/{ns}"
        return f"{prefix}{where}/{resource}" + (f"/{name}" if name else "")

    def list(self, kind, ns, selector=None):
        query = "?labelSelector=" + urllib.parse.quote(selector) if selector else ""
        return self.call("GET", self.path(kind, ns) + query)["items"]

    def get(self, kind, ns, name):
        try:
            return self.call("GET", self.path(kind, ns, name))
        except Refused as e:
            if e.code == 404:
                return None
            raise

    def create(self, o, ns, query=""):
        prefix = f"/apis/{o['apiVersion']}" if "/" in o["apiVersion"] else "/api/" + o["apiVersion"]
        path = self.path(o["kind"], ns).replace(PATHS[o["kind"]][0], prefix, 1)
        return self.call("POST", path + query, o)

    def delete(self, kind, ns, name, grace=None):
        body = {"propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            self.call("DELETE", self.path(kind, ns, name), body)
        except Refused as e:
            if e.code != 404:
                raise


def until(seconds, what, every=0.4):
    """The first true value of what(), or its last one after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(every)
