#!/bin/bash
# with_cluster.sh BIN PROGRAM [ARG...]: runs a program against a cluster of its own, of one node.
set -u
bin=$1
shift
export PATH=$bin:$PATH
work=$(mktemp -d /tmp/raia-api-XXXXXX)
export RAIA_STATE_DIR=$work/state
name=api-$$
finish() {
    raia down --all >/dev/null 2>&1
    rm -rf "$work"
}
trap finish EXIT
cat >"$work/cluster.yaml" <<YAML
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: $name}
spec:
  headGroupSpec:
    rayStartParams: {num-cpus: "4", object-store-memory: "200000000"}
    template: {spec: {containers: [{name: ray-head, image: raia}]}}
YAML
raia up --detach -f "$work/cluster.yaml" >"$work/up.out" 2>&1 || {
    cat "$work/up.out"
    exit 1
}
export RAIA_ADDRESS=$work/state/$name/nodes/head
[ -S "$RAIA_ADDRESS/raylet.sock" ] || RAIA_ADDRESS=$(dirname "$(find "$work/state" -name raylet.sock | head -n 1)")
"$@"
status=$?
if [ $status -ne 0 ]; then
    tail -n 30 "$work"/state/*/nodes/*/logs/raylet.log
    find "$work/state" -name 'worker-*.err' -size +0 -exec tail -n 5 {} +
fi
exit $status
