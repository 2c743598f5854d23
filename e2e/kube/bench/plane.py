"""A control plane with fake nodes for one turn, an operator on it, and what both take."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
FAKE = os.path.join(ROOT, "e2e/cluster/fake")
NODES = 60
TICK = os.sysconf("SC_CLK_TCK")
SETTLED = 10  # seconds without a write
READS = ("get", "list", "watch")


def say(text):
    print(f"bench-operator: {text}", file=sys.stderr, flush=True)


def cpu(pid):
    """CPU seconds of a process so far."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:")) / 1024


class Plane:
    """with Plane() as p: ... A new one each time: nobody inherits what the one before has left."""

    def __enter__(self):
        env = dict(os.environ, RAIA_CLUSTER_USERS="operator", RAIA_CLUSTER_AUDIT=os.path.join(HERE, "audit.yaml"))
        self.admin = subprocess.run([FAKE, "up", str(NODES)], env=env, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        self.state = os.path.dirname(self.admin)
        self.operator = os.path.join(self.state, "pki/operator.conf")
        self.audit = os.path.join(self.state, "log/audit.log")
        for ns in ("bench", "bench-one", "operator"):
            self.kubectl("create", "namespace", ns)
        return self

    def __exit__(self, *_):
        subprocess.run([FAKE, "down"], check=True)

    def kubectl(self, *args):
        command = [os.path.join(self.state, "bin/kubectl"), "--kubeconfig", self.admin, *args]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def crds(self, folder):
        # Server-side: they are too large for an annotation.
        self.kubectl("apply", "--server-side", "-f", folder)
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", folder)

    def pids(self):
        text = subprocess.run([FAKE, "pids"], check=True, stdout=subprocess.PIPE, text=True).stdout
        return {part: int(pid) for part, pid in (line.split() for line in text.splitlines())}

    def cpu(self):
        """CPU seconds of each part so far."""
        return {part: cpu(pid) for part, pid in self.pids().items()}

    def mark(self):
        """Where the audit log ends now."""
        return os.path.getsize(self.audit) if os.path.exists(self.audit) else 0

    def requests(self, begin=0):
        """What the operator asked since the mark, as events of the audit log."""
        with open(self.audit, "rb") as f:
            f.seek(begin)
            for line in f:
                if line.endswith(b"\n"):
                    event = json.loads(line)
                    # Watches are told when they begin, all else when it is done.
                    if (event["stage"] == "ResponseStarted") == (event["verb"] == "watch"):
                        yield event

    def count(self, begin=0):
        """{"create pods": 5000, ...} since the mark."""
        out = {}
        for event in self.requests(begin):
            ref = event.get("objectRef", {})
            what = "/".join(filter(None, (ref.get("resource", event["requestURI"]), ref.get("subresource"))))
            key = f"{event['verb']} {what}"
            out[key] = out.get(key, 0) + 1
        return out

    def settle(self, limit=120):
        """Until nothing but leases was written for a while."""
        end, mark, quiet = time.time() + limit, self.mark(), time.time()
        while time.time() < end and time.time() - quiet < SETTLED:
            time.sleep(1)
            if writes(self.count(mark)):
                mark, quiet = self.mark(), time.time()


def writes(count, leases=False):
    """How many of them change something; the Lease apart."""
    return sum(n for key, n in count.items() if key.split()[0] not in READS and (leases or "leases" not in key))


class Operator:
    """with Operator(plane, command, port) as o: ... It has begun when /readyz says so."""

    def __init__(self, plane, name, command, ready):
        self.plane, self.name, self.command, self.ready = plane, name, command, ready

    def __enter__(self):
        log = os.path.join(self.plane.state, f"log/{self.name}.log")
        with open(log, "w") as out:
            self.process = subprocess.Popen(self.command, env=dict(os.environ, KUBECONFIG=self.plane.operator), stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, cwd="/", start_new_session=True)
        self.pid = self.process.pid
        end = time.time() + 60
        while True:
            if self.process.poll() is not None or time.time() > end:
                self.stop()
                with open(log) as f:
                    sys.stderr.write(f.read()[-4000:])
                raise RuntimeError(f"{self.name} did not begin (its log is above)")
            try:
                urllib.request.urlopen(self.ready, timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __exit__(self, *_):
        self.stop()
