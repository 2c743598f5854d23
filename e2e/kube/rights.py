#!/usr/bin/python3
"""Whether the operators of a whole run needed exactly the rights that the chart gives them: each of them was used,
and none was missing.

    rights.py AUDIT-LOG RENDERED-CHART     an API server's log by audit.yaml; helm template of charts/raia-operator

A right counts as used with one request of an operator's service account (*:raia-operator) that was allowed. Watches
begin with a list where the API server can do so; others are asked for lists first, so the right to watch stands for
both; and what is created is looked at (get) where an answer was lost, by chance, of whichever kind. A request that was forbidden is a right that is missing, but where that operator's binding or namespace was
deleted before, and where an API server that had just begun knew no roles yet."""
import glob
import json
import sys

import yaml

ACCOUNT = ":raia-operator"
# Asked about by an admission plugin of some clusters (OwnerReferencesPermissionEnforcement), not by a request.
UNASKED = {("ray.io", "rayclusters/finalizers", "update"), ("ray.io", "rayjobs/finalizers", "update")}


def given(chart):
    """{(group, resource, verb)}"""
    out = set()
    for o in chart:
        for rule in (o or {}).get("rules") or []:
            out |= {(g, r, v) for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}
    return out


def namespace_of(user):
    return user.split(":")[2]


class Log:
    def __init__(self, file):
        self.used, self.denied, self.ends = {}, [], {}
        for name in sorted(glob.glob(file.removesuffix(".log") + "*.log")):  # it may have been rotated
            with open(name, encoding="utf-8") as f:
                for line in f:
                    self.read(json.loads(line))

    def read(self, e):
        ref, user, when = e.get("objectRef") or {}, e["user"]["username"], e["requestReceivedTimestamp"]
        verb, resource = e["verb"], ref.get("resource", "")
        if verb.startswith("delete") and resource in ("rolebindings", "namespaces", "clusterrolebindings"):
            # Its whole name for a namespace; for a ClusterRoleBinding, the end of it.
            name = ref.get("namespace") or ref.get("name", "")
            self.ends[name] = min(when, self.ends.get(name, when))
        if not user.startswith("system:serviceaccount:") or not user.endswith(ACCOUNT):
            return
        if ref.get("subresource"):
            resource += "/" + ref["subresource"]
        right = (ref.get("apiGroup", ""), resource, verb)
        if e["annotations"].get("authorization.k8s.io/decision") == "allow":
            self.used[right] = self.used.get(right, 0) + 1
        elif "not found" not in e["annotations"].get("authorization.k8s.io/reason", ""):
            self.denied.append((when, user, right, e["requestURI"]))

    def missing(self):
        ends = lambda user: [t for name, t in self.ends.items() if name and (name + "-").endswith(namespace_of(user) + "-")]
        return [d for d in self.denied if not any(t <= d[0] for t in ends(d[1]))]


def main():
    log = Log(sys.argv[1])
    with open(sys.argv[2], encoding="utf-8") as f:
        rights = given(yaml.safe_load_all(f))
    assert rights and log.used, "no rights, or no requests"
    lists = {(group, resource, "list") for group, resource, verb in log.used if verb == "watch"}
    made = {(group, resource, "get") for group, resource, verb in log.used if verb == "create" and resource != "secrets"}
    looks = made if made & set(log.used) else set()
    unused = sorted(rights - UNASKED - lists - looks - set(log.used))
    for right in unused:
        print("never used:", " ".join(right), file=sys.stderr)
    missing = log.missing()
    for when, user, right, uri in missing[:20]:
        print("missing:", when, user, " ".join(right), uri, file=sys.stderr)
    print(f"{len(rights)} rights, {len(rights) - len(unused) - len(UNASKED & rights)} of them used in {sum(log.used.values())} requests; "
          f"{len(missing)} requests without a right", file=sys.stderr)
    sys.exit(1 if unused or missing else 0)


if __name__ == "__main__":
    main()
