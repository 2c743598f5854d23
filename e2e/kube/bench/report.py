"""The table of make bench-operator, and its targets."""

import datetime
import os
import platform
import statistics

from plane import writes

BEGIN, END = "<!-- make bench-operator writes from here -->", "<!-- to here, of make bench-operator -->"
FLOOR, MEMORY, CPU = 1.25, 1 / 10, 1 / 5
IDLE_CPU, ONE_MS = 0.2, 60
# What is measured against KubeRay's memory and CPU is so with as many clusters: its own grow faster than they do.
CLUSTERS = 1000
# KubeRay 1.7 on this control plane with so many, for where it has no turn: MiB, CPU seconds.
KNOWN = {"MiB": 281, "CPU": 113}


def of(path):
    """A number inside a line, by its path."""
    def get(line):
        for key in path.split("."):
            line = line.get(key) if line else None
        return line
    return get


def per_cluster(line):
    """Writes for each cluster; the floor's without the RayClusters themselves."""
    count = {k: n for k, n in line["requests"].items() if k != "create rayclusters"}
    return writes(count) / line["clusters"]


def made(*kinds):
    return lambda line: sum(line["requests"].get(k, 0) for k in kinds) / line["clusters"]


def statuses(line):
    return sum(n for k, n in line["requests"].items() if k.endswith(" rayclusters/status")) / line["clusters"]


def requests(line):
    return sum(line["requests"].values()) / line["clusters"]


def plane_cpu(line):
    return sum(v for k, v in line["plane_cpu_s"].items() if k != "all_s")


def ready(line):
    return line["ready_s"] or line["pods_ready_s"]


# What, how it is read, its format, and the target: (text, whose value is the other, the most, what is known of KubeRay).
ROWS = [
    ("all pods created, s", of("pods_s"), "{:.1f}", ("≤ 1.25x the floor", "floor", FLOOR, None)),
    ("all pods ready, s", of("pods_ready_s"), "{:.1f}", None),
    ("all clusters ready, s (the floor: pods)", ready, "{:.1f}", ("≤ 1.25x the floor", "floor", FLOOR, None)),
    ("CPU of the operator until then, s", of("operator_cpu_s"), "{:.2f}", ("≤ 1/5 of KubeRay's", "kuberay", CPU, "CPU")),
    ("CPU of the operator until nothing is written, s", of("operator_settled_cpu_s"), "{:.2f}", ("≤ 1/5 of KubeRay's", "kuberay", CPU, "CPU")),
    ("peak resident memory, MiB", of("peak_mib"), "{:.1f}", ("≤ 1/10 of KubeRay's", "kuberay", MEMORY, "MiB")),
    ("CPU of the API server until all is ready, s", of("plane_cpu_s.kube-apiserver"), "{:.1f}", None),
    ("CPU of all of the control plane and the fake nodes, s", plane_cpu, "{:.1f}", None),
    ("requests a cluster", requests, "{:.1f}", None),
    ("writes a cluster", per_cluster, "{:.1f}", None),
    ("– pods", made("create pods"), "{:.1f}", None),
    ("– services", made("create services"), "{:.1f}", None),
    ("– secrets (token, CA, certificates)", made("create secrets"), "{:.1f}", None),
    ("– statuses", statuses, "{:.1f}", None),
    ("– events", made("create events", "patch events", "update events"), "{:.1f}", None),
    ("idle for a minute: CPU, s", of("idle.cpu_s"), "{:.2f}", ("< 0.2", None, IDLE_CPU, None)),
    ("idle for a minute: writes but the Lease", of("idle.writes"), "{:.0f}", ("none", None, 0, None)),
    ("one cluster: its 5 pods after apply, ms (median of 20)", of("one.pods_ms.median"), "{:.0f}", ("< 60", None, ONE_MS, None)),
    ("one cluster: ready after apply, ms (median of 20)", of("one.ready_ms.median"), "{:.0f}", None),
]


def values(lines, name, get):
    return [v for v in (get(line) for line in lines if line["name"] == name) if v is not None]


def median(lines, name, get):
    v = values(lines, name, get)
    return statistics.median(v) if v else None


def ratio(lines, get, other):
    """The median of the ratios of the rounds."""
    both = [a / b for a, b in zip(values(lines, "raia", get), values(lines, other, get)) if b]
    return statistics.median(both) if both else None


def judged(lines, row):
    """(text, met) of the row's target, or None where it cannot be judged."""
    _, get, form, target = row
    if not target:
        return None
    text, other, most, what = target
    if what and any(line["clusters"] != CLUSTERS for line in lines):
        return None
    value = ratio(lines, get, other) if other else median(lines, "raia", get)
    if value is None and what:
        most, value = KNOWN[what] * most, median(lines, "raia", get)
        text += f" ({form.format(most)}, from an earlier turn)"
    if value is None:
        return None
    return text, value <= most if text == "none" or other else value < most


def unmet(lines):
    return sum(not met for met in (j[1] for j in (judged(lines, row) for row in ROWS) if j))


def about(clusters, rounds, seconds):
    model = "unknown"
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), model)
    with open("/proc/meminfo") as f:
        gib = round(int(f.readline().split()[1]) / 1048576)
    return (f"{clusters:,} RayClusters of 1 head and 4 workers; {rounds} round{'s' if rounds > 1 else ''}, {seconds / 60:.0f} minutes; {model}, "
            f"{len(os.sched_getaffinity(0))} cores, {gib} GiB, Linux {platform.release()}; {datetime.date.today()}.")


def markdown(text, lines):
    names = [n for n in ("floor", "raia", "kuberay") if any(line["name"] == n for line in lines)]
    titles = {"floor": "floor", "raia": "Raia", "kuberay": "KubeRay"}
    others = [n for n in names if n != "raia" and "raia" in names]
    out = [["", *(titles[n] for n in names), *(f"Raia : {titles[n]}" for n in others), "target"],
           ["---"] + ["---:"] * (len(names) + len(others)) + ["---"]]
    for row in ROWS:
        title, get, form, _ = row
        j = judged(lines, row)
        cells = [median(lines, n, get) for n in names]
        ratios = [ratio(lines, get, n) for n in others]
        out.append([title, *("–" if v is None else form.format(v) for v in cells), *("" if v is None else f"{v:.2f}" for v in ratios),
                    f"{j[0]}: {'met' if j[1] else 'NOT MET'}" if j else f"{row[3][0]}{f' with {CLUSTERS:,} clusters' if row[3][3] else ''}: not judged" if row[3] else ""])
    loads = ", ".join(f"{line['name']} {line['load_before']:.1f}" for line in lines)
    return f"{text} Load average before each turn: {loads}.\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in out) + "\n"


def write(path, text):
    with open(path) as f:
        whole = f.read()
    before, _, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise RuntimeError(f"{path} has no place for the table ({BEGIN})")
    with open(path, "w") as f:
        f.write(f"{before}{BEGIN}\n{text}{END}{after}")
