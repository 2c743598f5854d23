#!/bin/bash
# Every case of the benchmark runs, small, and gives a line of JSON; nothing is left behind.
. "$(dirname "$0")/lib.sh"
cat >"$work/bench.yaml" <<EOF
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: bench}
spec:
  headGroupSpec:
    rayStartParams: {num-cpus: "2"}
    template: {spec: {containers: [{name: head, image: x}]}}
EOF
raia up -f "$work/bench.yaml" --detach 2>"$work/err" || { cat "$work/err"; fail "raia up"; }
export RAIA_ADDRESS=$RAIA_STATE_DIR/bench/nodes/head
raia bench --list | sort >"$work/names"
timeout 240 raia bench --quick --format json >"$work/out" || { cat "$work/out"; fail "raia bench failed"; }
python3 - "$work/out" <<'EOF' | sort >"$work/ran" || fail "not a line of JSON for each case"
import json, sys
for line in open(sys.argv[1]):
    case = json.loads(line)
    if case["per_second"] > 0 and case["sd"] >= 0:
        print(case["case"])
EOF
cmp "$work/names" "$work/ran" || { cat "$work/out"; fail "cases are missing"; }
raia bench no-such-case 2>/dev/null && fail "a case that is not there was run"
raia down --all
# Without an address the program has a cluster of its own, which ends with it.
env -u RAIA_ADDRESS raia bench --quick "tasks sync" || fail "with a cluster of its own"
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
echo "$(wc -l <"$work/names") cases run"
