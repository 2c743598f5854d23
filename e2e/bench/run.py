#!/usr/bin/env python3
"""Raia beside Ray: `make bench`.

Runs Raia, Ray's Python and Ray's C++ in turn, several rounds of that, so that what the machine does
to one it does to all; prints the table, and writes it to docs/performance.md and build/bench.json.

usage: e2e/bench/run.py [--quick] [--rounds N] [--seconds S] [--inner N] [--cases TEXT[,TEXT]] [--no-ray]
                        [--build DIR] [--no-write]
  --quick    seconds, Raia alone, everything small: shows that it works
  --rounds   how often all systems are run in turn (3)
  --seconds  of one round within a case (2)
  --inner    rounds within a case (4)
  --cases    only cases whose name contains one of these texts
  --no-write do not touch docs/performance.md (nor does --quick, --cases or --no-ray)
Exit status: 0, 1 if something failed, 3 if a target was not met.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import environment
import report

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BEGIN, END = "<!-- make bench writes from here -->", "<!-- to here -->"
PATIENCE = 180  # seconds for a case; Ray Python's longest takes a hundred, Ray's C++ has been seen to wait for ever


def arguments():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1], add_help=True)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--inner", type=int, default=4)
    p.add_argument("--cases", type=lambda s: s.split(","), default=[])
    p.add_argument("--no-ray", action="store_true")
    p.add_argument("--no-write", action="store_true")
    p.add_argument("--build", default=os.path.join(ROOT, "build"))
    return p.parse_args()


def lines(system, command, env, results, patience=PATIENCE):
    """Runs one system's turn, a line of JSON for each case; what else it prints is shown if it fails. One
    that stands still is ended: its turn lacks the case and those after it."""
    last, stuck = None, False

    def end(*_):
        nonlocal stuck
        stuck = True
        os.killpg(p.pid, signal.SIGKILL)

    with tempfile.TemporaryFile("w+") as err:
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=err, text=True, start_new_session=True) as p:
            killer = signal.signal(signal.SIGALRM, end)
            signal.alarm(patience)
            try:
                for line in p.stdout:
                    signal.alarm(patience)
                    if line.startswith("{"):
                        case = json.loads(line)
                        last = case["case"]
                        yield case
            finally:
                signal.alarm(0)
                signal.signal(signal.SIGALRM, killer)
                if p.poll() is None:
                    p.terminate()
            status = p.wait()
        if stuck:
            results.add_stop(system, last, patience)
        elif status:
            err.seek(0)
            results.errors.append(f"{system}: status {status}\n" + "".join(err.readlines()[-15:]))


class RayHead:
    """A Ray head for the C++ driver: its own would end every Ray of the machine when it leaves."""

    def __init__(self, env, folder):
        self.env, self.folder = env, folder

    def __enter__(self):
        ray = shutil.which("ray", path=self.env["PATH"])
        self.process = subprocess.Popen([ray, "start", "--head", "--port=0", "--block", "--disable-usage-stats"], env=self.env,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        current = os.path.join(self.folder, "ray", "ray_current_cluster")
        end = time.monotonic() + 120
        while not os.path.exists(current) and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(2)  # its workers start now
        with open(current) as f:
            return f.read().strip()

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def end_of(variable):
    """Ray leaves helpers behind for a while: the next turn should not share the machine with them."""
    end = time.monotonic() + 10
    while (pids := list(processes(variable))):
        time.sleep(0.5)
        if time.monotonic() > end:
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass


def processes(variable):
    """Processes that were started with NAME=VALUE in their environment."""
    want = variable.encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if want in f.read().split(b"\0"):
                    yield pid
        except OSError:
            pass


def ticks(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class Cluster:
    """A cluster of one node with the machine's CPUs; gives the address of its node."""

    def __init__(self, bin_dir, folder):
        self.raia = os.path.join(bin_dir, "raia")
        self.state = os.path.join(folder, "raia")
        self.env = {k: v for k, v in os.environ.items() if k != "RAIA_ADDRESS"}
        self.env["RAIA_STATE_DIR"] = self.state
        self.manifest = os.path.join(folder, "bench.yaml")
        with open(self.manifest, "w") as f:
            f.write("apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: bench}\nspec:\n  headGroupSpec:\n"
                    f"    rayStartParams: {{num-cpus: \"{len(os.sched_getaffinity(0))}\"}}\n"
                    "    template: {spec: {containers: [{name: head, image: x}]}}\n")

    def __enter__(self):
        done = subprocess.run([self.raia, "up", "-f", self.manifest, "--detach"], env=self.env, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit("raia up: " + done.stderr)
        return self

    def __exit__(self, *_):
        subprocess.run([self.raia, "down", "--all"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def bench_env(self):
        return {**self.env, "RAIA_ADDRESS": os.path.join(self.state, "bench", "nodes", "head")}

    def idle(self, seconds):
        """What it costs while it does nothing."""
        time.sleep(3)
        pids = list(processes(f"RAIA_STATE_DIR={self.state}"))
        before, start = ticks(pids), time.monotonic()
        time.sleep(seconds)
        cpu = (ticks(pids) - before) / (time.monotonic() - start)
        pss = 0
        for pid in pids:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                pss += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        return {"processes": len(pids), "pss_mib": pss / 1024, "cpu": cpu}


def write_document(text):
    path = os.path.join(ROOT, "docs", "performance.md")
    with open(path) as f:
        old = f.read()
    head, rest = old.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    with open(path, "w") as f:
        f.write(f"{head}{BEGIN}\n{text}{END}{tail}")


def turns(args, wanted, env, folder, results):
    """One round: Raia, Ray Python, Ray C++."""
    timing = ["--seconds", str(args.seconds), "--rounds", str(args.inner)]
    with Cluster(os.path.join(args.build, "bin"), folder) as cluster:
        yield "raia", [os.path.join(args.build, "bin", "raia-bench"), "--format", "json", "--exact", *timing,
                       *(["--quick"] if args.quick else []), *wanted(report.RAIA)], cluster.bench_env()
    if args.no_ray:
        return
    inner = [str(args.seconds), str(args.inner)]
    if wanted(report.PYTHON):
        ray_env = env.variables(os.path.join(folder, "p"))
        yield "ray_python", [env.python, os.path.join(HERE, "ray_python.py"), *inner, *wanted(report.PYTHON)], ray_env
        end_of("RAY_TMPDIR=" + ray_env["RAY_TMPDIR"])
    if wanted(report.CPP):
        shutil.rmtree(os.path.join(folder, "c"), ignore_errors=True)
        ray_env = env.variables(os.path.join(folder, "c"))
        with RayHead(ray_env, os.path.join(folder, "c")) as address:
            yield "ray_cpp", [env.cpp, env.cpp_library, *inner, *wanted(report.CPP)], {**ray_env, "RAY_ADDRESS": address}
        end_of("RAY_TMPDIR=" + ray_env["RAY_TMPDIR"])


def main():
    args = arguments()
    args.no_ray |= args.quick
    if args.quick:
        args.rounds, args.inner, args.seconds = 1, 2, 0.02
    results, queued, idle = report.Results(), None, None
    load = os.getloadavg()[0]
    env = environment.Environment(os.path.join(args.build, "bench-env"))
    folder = tempfile.mkdtemp(prefix="raia-bench-", dir="/tmp")

    def wanted(cases):
        return [c for c in cases if not args.cases or any(t in c for t in args.cases)]

    try:
        if not args.no_ray:
            env.install(os.path.join(HERE, "ray_cpp.cc"))
        for n in range(args.rounds):
            for system, command, variables in turns(args, wanted, env, folder, results):
                for line in lines(system, command, variables, results):
                    results.add(system, n, line)
                    print(f"round {n + 1}: {system:10}  {line['case']:46} {report.number(line.get('per_second')):>10}/s",
                          file=sys.stderr, flush=True)
        with Cluster(os.path.join(args.build, "bin"), folder) as cluster:
            if wanted(["idle"]):
                idle = cluster.idle(2 if args.quick else 20)
            if wanted([report.QUEUED]):
                command = [os.path.join(args.build, "bin", "raia-bench"), "--format", "json", "--exact",
                           *(["--quick"] if args.quick else []), report.QUEUED]
                queued = next((x for x in lines("raia", command, cluster.bench_env(), results) if "error" not in x), None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    machine = environment.machine()
    versions = {"raia": subprocess.run([os.path.join(args.build, "bin", "raia"), "--version"], capture_output=True, text=True).stdout.strip()}
    if not args.no_ray:
        versions["ray"] = environment.RAY_VERSION
    about = (f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, Linux {machine['kernel']}; "
             f"{versions['raia']}" + (f", Ray {versions['ray']} (Python {machine['python']})" if "ray" in versions else "")
             + f"; {time.strftime('%Y-%m-%d')}. Medians of {args.rounds} interleaved rounds, each the mean of {args.inner} x {args.seconds:g} s; load average of the machine before: {load:.1f}.")
    print(about + "\n\n" + report.table(results, queued, idle))
    with open(os.path.join(args.build, "bench.json"), "w") as f:
        json.dump({"machine": machine, "versions": versions, "rates": results.rates, "queued": queued, "idle": idle,
                   "errors": results.errors}, f, indent=1)
        f.write("\n")
    for e in results.stops:
        print(e, file=sys.stderr)
    for e in results.errors:
        print("FAILED " + e, file=sys.stderr)
    ours = [e for e in results.errors if e.startswith("raia:")]
    if not (args.no_write or args.no_ray or args.cases or ours):
        write_document(report.markdown(results, queued, idle, about))
    if results.errors:
        return 1
    n = 0 if args.quick or args.no_ray else report.unmet(results, queued, idle)
    if n:
        print(f"{n} target(s) not met", file=sys.stderr)
    return 3 if n else 0


if __name__ == "__main__":
    sys.exit(main())
