#!/usr/bin/env python3
"""raia-operator beside KubeRay, and both beside what the API server takes: `make bench-operator`.

Each has its turn on a real control plane of its own with fake nodes (e2e/cluster/fake), several rounds of that. In a
turn: 20 RayClusters one after the other, then N at once (each 1 head and 4 workers, e2e/kube/bench/cluster.json), then
a minute with nothing to do. The floor is a bare client that creates the same RayClusters and, for each, the objects
that raia-operator made for one, by the same library and as many at a time. As root.

usage: e2e/kube/bench/run.py [--clusters N] [--rounds N] [--kuberay BINARY [--kuberay-crds DIR]] [--only NAME[,NAME]] [--build DIR]
                             [--write]
  --clusters      how many at once (1000)
  --rounds        how often all have their turn (1)
  --kuberay       KubeRay's operator; its CRDs are in DIR, by default crds or config/crd/bases beside it
  --only          turns of raia, floor, kuberay alone
  --write         put the table into docs/performance.md (only with all three)
Lines of JSON go to build/bench-operator.json. Exit status: 0, 1 if something failed, 3 if a target was not met.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time

import plane
import report
from plane import HERE, ROOT, say

ONE, IDLE = 20, 60


def arguments():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    p.add_argument("--clusters", type=int, default=1000)
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--kuberay", default="")
    p.add_argument("--kuberay-crds", default="")
    p.add_argument("--only", type=lambda s: s.split(","), default=None)
    p.add_argument("--build", default=os.path.join(ROOT, "build"))
    p.add_argument("--write", action="store_true")
    a = p.parse_args()
    if a.kuberay and not a.kuberay_crds:
        beside = os.path.dirname(os.path.abspath(a.kuberay))
        found = [d for d in (os.path.join(beside, "crds"), os.path.join(beside, "config/crd/bases")) if os.path.isdir(d)]
        if not found:
            p.error(f"KubeRay's CRDs are not beside {a.kuberay}: name their folder (--kuberay-crds; of make: KUBERAY_CRDS=DIR)")
        a.kuberay_crds = found[0]
    return a


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def command(name, a):
    """How the operator is started, and where it says that it is ready. Flags are the defaults, addresses apart."""
    metrics, health = free_port(), free_port()
    flags = [f"--metrics-addr=127.0.0.1:{metrics}", f"--health-probe-bind-address=127.0.0.1:{health}", "--leader-election-namespace=operator"]
    program = os.path.join(a.build, "bin/raia-operator") if name == "raia" else os.path.abspath(a.kuberay)
    return [program, *flags], f"http://127.0.0.1:{health}/readyz"


def manifest(folder, ns):
    path = os.path.join(folder, f"{ns}.json")
    with open(os.path.join(HERE, "cluster.json")) as f, open(path, "w") as out:
        out.write(f.read().replace('"namespace": "bench"', f'"namespace": "{ns}"'))
    return path


def create(a, kubeconfig, *args):
    out = subprocess.run([os.path.join(a.build, "test/bench-create"), *map(str, args)], env=dict(os.environ, KUBECONFIG=kubeconfig),
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out)


def keep_rest(p, path):
    """What the operator made for rc-0000 of bench-one, as bench-create's REST.json."""
    rest, uid = {}, None
    for event in p.requests():
        ref, o = event.get("objectRef", {}), event.get("requestObject")
        if not o or ref["resource"] not in ("pods", "services", "secrets") or not o["metadata"]["name"].startswith("rc-0000"):
            continue
        uid = o["metadata"]["ownerReferences"][0]["uid"]
        for key in ("status", "creationTimestamp"):
            o.pop(key, None)
            o["metadata"].pop(key, None)
        rest.setdefault(ref["resource"], []).append(o)
    if len(rest.get("pods", [])) != 5:
        raise RuntimeError(f"the audit log has not the objects of one cluster: { {k: len(v) for k, v in rest.items()} }")
    with open(path, "w") as f:
        f.write(json.dumps(rest).replace(uid, "00000000-0000-0000-0000-000000000000").replace("bench-one", "bench"))


def parts(before, after, seconds):
    return {part: round(after[part] - before[part], 2) for part in after} | {"all_s": seconds}


def turn_of_floor(a, folder):
    with plane.Plane() as p:
        p.crds(os.path.join(ROOT, "crds"))
        say(f"floor: {a.clusters} clusters and all that belongs to them")
        before, mark = p.cpu(), p.mark()
        line = create(a, p.operator, "many", a.clusters, manifest(folder, "bench"), os.path.join(folder, "rest.json"))
        line["plane_cpu_s"] = parts(before, p.cpu(), line["pods_ready_s"])
        line["requests"] = p.count(mark)
    return line | {"operator_cpu_s": line.pop("cpu_s"), "peak_mib": line.pop("peak_kib") / 1024}


def turn_of_operator(name, a, folder):
    with plane.Plane() as p:
        p.crds(os.path.join(ROOT, "crds") if name == "raia" else a.kuberay_crds)
        with plane.Operator(p, name, *command(name, a)) as o:
            say(f"{name}: {ONE} clusters, one after the other")
            one = create(a, p.admin, "one", ONE, manifest(folder, "bench-one"))
            if name == "raia":
                keep_rest(p, os.path.join(folder, "rest.json"))
            p.settle()
            say(f"{name}: {a.clusters} clusters at once")
            before, own, mark = p.cpu(), plane.cpu(o.pid), p.mark()
            line = create(a, p.admin, "many", a.clusters, manifest(folder, "bench"))
            line["plane_cpu_s"] = parts(before, p.cpu(), line["ready_s"])
            line["operator_cpu_s"] = round(plane.cpu(o.pid) - own, 2)
            p.settle()
            line["operator_settled_cpu_s"] = round(plane.cpu(o.pid) - own, 2)
            line["requests"] = p.count(mark)
            say(f"{name}: {IDLE} s with nothing to do")
            own, mark = plane.cpu(o.pid), p.mark()
            time.sleep(IDLE)
            line["idle"] = {"seconds": IDLE, "cpu_s": round(plane.cpu(o.pid) - own, 2), "writes": plane.writes(p.count(mark)),
                            "requests": p.count(mark)}
            line["peak_mib"] = round(plane.peak_mib(o.pid), 1)
    for key in ("cpu_s", "peak_kib"):
        line.pop(key)
    return line | {"one": one}


def main():
    a = arguments()
    names = [n for n in ("raia", "floor", "kuberay") if (n != "kuberay" or a.kuberay) and (not a.only or n in a.only)]
    folder = os.path.join(a.build, "bench-operator")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if "floor" in names and "raia" not in names and not os.path.exists(os.path.join(folder, "rest.json")):
        sys.exit("bench-operator: the floor needs a turn of raia before it")
    begin, lines = time.time(), []
    with open(os.path.join(a.build, "bench-operator.json"), "w") as out:
        for number in range(a.rounds):
            for name in names:
                say(f"round {number + 1} of {a.rounds}: {name}: a new control plane, after {time.time() - begin:.0f} s")
                line = turn_of_floor(a, folder) if name == "floor" else turn_of_operator(name, a, folder)
                line = {"name": name, "round": number, "load_before": os.getloadavg()[0]} | line
                lines.append(line)
                print(json.dumps(line), file=out, flush=True)
                say(f"{name}: pods created after {line['pods_s']:.1f} s, ready after {line['pods_ready_s']:.1f} s, operator's CPU {line['operator_cpu_s']:.1f} s")
    about = report.about(a.clusters, a.rounds, time.time() - begin)
    print(report.markdown(about, lines))
    bad = report.unmet(lines)
    say(f"{bad} target{'s' if bad != 1 else ''} NOT MET" if bad else "no target was missed")
    if a.write:
        if names == ["raia", "floor", "kuberay"]:
            report.write(os.path.join(ROOT, "docs/performance.md"), report.markdown(about, lines))
        else:
            say("not written: a turn of each is needed")
    return 3 if bad else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through the ends of all that was begun
    try:
        sys.exit(main())
    except (subprocess.CalledProcessError, RuntimeError) as e:
        sys.exit(f"bench-operator: {e}")
