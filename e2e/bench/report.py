"""What is compared, the targets, and the table."""

import statistics

RING, SPIN, COPY = "raw ring round trip", "raw ring round trip, spinning", "warm memcpy"
FRESH = "memcpy of fresh zeros, every CPU"
NAMES = {"ray_python": "Ray Python", "ray_cpp": "Ray C++"}
MACHINE = [RING, SPIN, COPY, FRESH]
HELD = ["1:1 actor calls async, 100k objects held", "1:1 actor calls async, 50 actors held"]
QUEUED = "queued 1M tasks"

# What limits a case: a number of round trips, or of copies. The others are bound by the work of the processes.
LIMITS = {
    "single client tasks sync": SPIN,
    "1:1 actor calls sync": SPIN,
    "single client put gigabytes": COPY,
    "single client put 100 MB": COPY,
    "multi client put gigabytes": FRESH,
}
PYTHON = [
    "single client get calls (Plasma Store)",
    "single client put calls (Plasma Store)",
    "multi client put calls (Plasma Store)",
    "single client put gigabytes",
    "multi client put gigabytes",
    "single client tasks and get batch",
    "single client get object containing 10k refs",
    "single client wait 1k refs",
    "single client tasks sync",
    "single client tasks async",
    "multi client tasks async",
    "1:1 actor calls sync",
    "1:1 actor calls async",
    "1:1 actor calls concurrent",
    "1:n actor calls async",
    "n:n actor calls async",
    "n:n actor calls with arg async",
]
CPP = [
    "single client get calls (Plasma Store)",
    "single client put calls (Plasma Store)",
    "single client put 100 MB",
    "single client tasks sync",
    "single client tasks async",
    "1:1 actor calls sync",
    "1:1 actor calls async",
]
RAIA = MACHINE + PYTHON + ["single client put 100 MB"] + HELD
FASTER = 10  # times Ray, but for large puts, which memory bounds
OF_COPY = 0.8
OF_HELD = 0.7  # rates vary by so much by themselves
AT_LEAST = {
    "1:1 actor calls async": 200e3,
    "single client tasks async": 80e3,
}
QUEUED_MIB = 1024
IDLE_MIB, IDLE_CPU = 60, 0.01


class Results:
    """The rounds of each case of each system: rates[system][case] = {round: rate}."""

    def __init__(self):
        self.rates = {}
        self.errors = []
        self.stops = []  # of Ray, which is not a failure of the bench

    def add(self, system, n, line):
        """A line of round n."""
        if "error" in line:
            self.errors.append(f"{system}: {line['case']}: {line['error']}")
            return
        self.rates.setdefault(system, {}).setdefault(line["case"], {})[n] = line["per_second"]

    def add_stop(self, system, case, seconds):
        """A system that stood still after this case (None: before the first)."""
        text = f"stood still for {seconds} s after {case or 'its start'}"
        if system == "raia":
            self.errors.append(f"raia: {text}")
        else:
            self.stops.append(f"{NAMES[system]} {text}")

    def rate(self, system, case):
        """The median of the rounds, or None."""
        r = self.rates.get(system, {}).get(case)
        return statistics.median(r.values()) if r else None

    def ratio(self, case, other, other_case=None):
        """The median of the ratios of the rounds that both have, or None."""
        a = self.rates.get("raia", {}).get(case, {})
        b = self.rates.get(other, {}).get(other_case or case, {})
        both = [a[n] / b[n] for n in a if b.get(n, 0) > 0]
        return statistics.median(both) if both else None


def targets(results, case):
    """(text, met) for each target of a case that can be judged."""
    out = []

    def judge(text, value, least):
        if value is not None:
            out.append((text, value >= least))

    large = LIMITS.get(case) in (COPY, FRESH)
    if large:
        judge(f"≥ {OF_COPY:.0%} of the copy".replace("%", " %"), results.ratio(case, "raia", LIMITS[case]), OF_COPY)
    else:
        judge(f"≥ {FASTER}x Ray Python", results.ratio(case, "ray_python"), FASTER)
        judge(f"≥ {FASTER}x Ray C++", results.ratio(case, "ray_cpp"), FASTER)
    if case == "1:1 actor calls sync":
        judge("≤ 2 round trips", results.ratio(case, "raia", RING), 0.5)
    if case in HELD:
        judge("≥ 70 % of the same without", results.ratio(case, "raia", "1:1 actor calls async"), OF_HELD)
    if case in AT_LEAST:
        judge(f"≥ {AT_LEAST[case] / 1e3:.0f}k/s", results.rate("raia", case), AT_LEAST[case])
    return out


def number(v):
    if v is None:
        return "–"
    return f"{v:,.0f}" if v >= 100 else f"{v:.3g}"


def times(v):
    return "–" if v is None else f"{v:,.0f}x" if v >= 10 else f"{v:.1f}x"


HEAD = ["case (per second)", "Raia", "Ray Python", "ratio", "Ray C++", "ratio", "limit of the machine", "target"]


def rows(results, queued, idle):
    for case in MACHINE:
        if results.rate("raia", case) is not None:
            yield [case, number(results.rate("raia", case)), "", "", "", "", "", ""]
    for case in RAIA[len(MACHINE):]:
        if results.rate("raia", case) is None:
            continue
        limit = LIMITS.get(case)
        share = results.ratio(case, "raia", limit) if limit else None
        judged = targets(results, case)
        yield [
            case, number(results.rate("raia", case)),
            number(results.rate("ray_python", case)), times(results.ratio(case, "ray_python")),
            number(results.rate("ray_cpp", case)), times(results.ratio(case, "ray_cpp")),
            f"{number(results.rate('raia', limit))}: {share:.0%}" if share is not None else "",
            "; ".join(f"{text}: {'met' if met else 'NOT MET'}" for text, met in judged),
        ]
    if queued:
        met = "met" if queued["peak_mib"] < QUEUED_MIB else "NOT MET"
        yield [f"{QUEUED}: {queued['seconds']:.1f} s, driver's peak {queued['peak_mib']:.0f} MiB", number(queued["per_second"]),
               "", "", "", "", "", f"< {QUEUED_MIB} MiB: {met}"]
    if idle:
        met = "met" if idle["cpu"] < IDLE_CPU and idle["pss_mib"] < IDLE_MIB else "NOT MET"
        yield [f"idle cluster of one node: {idle['processes']} processes, {idle['pss_mib']:.1f} MiB PSS, {idle['cpu']:.2%} of a core",
               "", "", "", "", "", "", f"< {IDLE_MIB} MiB, < {IDLE_CPU:.0%}: {met}"]


def table(results, queued, idle):
    """For people, in columns."""
    lines = [HEAD, *rows(results, queued, idle)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(w) if i in (0, 7) else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))).rstrip()
                     for line in lines)


def markdown(results, queued, idle, about):
    lines = [HEAD, ["---"] + ["---:"] * 6 + ["---"], *rows(results, queued, idle)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    stops = "".join(f"\n{stop}: its later cases are missing in that round.\n" for stop in results.stops)
    return f"{about}\n\n{text}\n{stops}"


def unmet(results, queued, idle):
    n = sum(not met for case in RAIA for _, met in targets(results, case))
    n += bool(queued) and queued["peak_mib"] >= QUEUED_MIB
    n += bool(idle) and not (idle["cpu"] < IDLE_CPU and idle["pss_mib"] < IDLE_MIB)
    return n
