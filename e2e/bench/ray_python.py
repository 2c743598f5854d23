"""Ray's side of `make bench`: the cases of `ray microbenchmark`, from Ray's own file, timed as Ray
does but without its pause of ten seconds before each. Prints a line of JSON for each case.

usage: python ray_python.py SECONDS ROUNDS CASE...
"""

import json
import sys
import time

import numpy
import ray
from ray._private import ray_perf


class Done(Exception):
    """All that was asked for has run."""


seconds, rounds, cases = float(sys.argv[1]), int(sys.argv[2]), set(sys.argv[3:])


def timeit(name, fn, multiplier=1, warmup_time_sec=0):
    if name in cases:
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < seconds / 2:
            fn()
            count += 1
        step = count // 10 + 1
        rates = []
        for _ in range(rounds):
            start, count = time.perf_counter(), 0
            while time.perf_counter() - start < seconds:
                for _ in range(step):
                    fn()
                count += step
            rates.append(multiplier * count / (time.perf_counter() - start))
        print(json.dumps({"case": name, "per_second": float(numpy.mean(rates)), "sd": float(numpy.std(rates))}), flush=True)
        cases.discard(name)
    if not cases:
        raise Done
    return [None]


ray_perf.timeit = timeit
try:
    ray_perf.main()
except Done:
    pass
ray.shutdown()
