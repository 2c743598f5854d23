#!/bin/bash
# Every program of the guide is what the guide shows, and prints what it should, on one node and on three.
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/../.."

for f in coreworker/examples/*.c; do
    [ "$(basename "$f")" = wordcount.c ] && continue
    python3 - "$f" <<'EOF' || fail "docs/guide.md does not show $f as it is"
import sys
sys.exit(open(sys.argv[1]).read() not in open("docs/guide.md").read())
EOF
done

cluster() { # name workers
    cat >"$work/$1.yaml" <<EOF
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: $1}
spec:
  headGroupSpec:
    rayStartParams: {num-cpus: "1", resources: '{"license": 2}'}
    template: {spec: {containers: [{name: head, image: x}]}}
  workerGroupSpecs:
    - groupName: w
      replicas: $2
      rayStartParams: {num-cpus: "1"}
      template: {spec: {containers: [{name: worker, image: x}]}}
EOF
    raia up -f "$work/$1.yaml" --detach
}

for workers in 0 2; do
    cluster "c$workers" $workers
    for f in coreworker/examples/expected/*.txt; do
        name=$(basename "$f" .txt)
        RAIA_ADDRESS=c$workers timeout 60 "$bin/examples/$name" >"$work/out" 2>"$work/err" || { cat "$work/err"; fail "$name on $((workers + 1)) node(s): status $?"; }
        cmp "$work/out" "$f" || { cat "$work/out" "$work/err"; fail "$name on $((workers + 1)) node(s) printed something else"; }
        echo "$name on $((workers + 1)) node(s): ok"
    done
    raia down "c$workers"
done
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
