#!/bin/bash
# with_cluster.sh BIN NODES PROGRAM [ARG...]: runs a program against a cluster of its own, with 4 CPUs:
# one node, or a head without CPUs and two workers. Afterwards all CPUs must be free again.
set -u
bin=$1
nodes=$2
shift 2
export PATH=$bin:$PATH
work=$(mktemp -d /tmp/raia-api-XXXXXX)
export RAIA_STATE_DIR=$work/state
name=api-$$
finish() {
    raia down --all >/dev/null 2>&1
    rm -rf "$work"
}
trap finish EXIT
image="template: {spec: {containers: [{name: raia, image: raia}]}}"
head_cpus=4
[ "$nodes" = 1 ] || head_cpus=0
{
    echo "apiVersion: ray.io/v1"
    echo "kind: RayCluster"
    echo "metadata: {name: $name}"
    echo "spec:"
    echo "  headGroupSpec:"
    echo "    rayStartParams: {num-cpus: \"$head_cpus\", object-store-memory: \"200000000\"}"
    echo "    $image"
    if [ "$nodes" != 1 ]; then
        echo "  workerGroupSpecs:"
        echo "  - groupName: w"
        echo "    replicas: 2"
        echo "    rayStartParams: {num-cpus: \"2\", object-store-memory: \"200000000\"}"
        echo "    $image"
    fi
} >"$work/cluster.yaml"
raia up --detach -f "$work/cluster.yaml" >"$work/up.out" 2>&1 || {
    cat "$work/up.out"
    exit 1
}
export RAIA_ADDRESS=$work/state/$name/nodes/head
[ -S "$RAIA_ADDRESS/raylet.sock" ] || RAIA_ADDRESS=$(dirname "$(find "$work/state" -name raylet.sock | head -n 1)")
"$@"
status=$?
free=1
for _ in $(seq 300); do
    raia status 2>/dev/null | grep -q "^ *0 of 4 CPU" && free=0 && break
    sleep 0.1
done
if [ $free -ne 0 ]; then
    echo "CPUs are still in use:"
    raia status
    status=1
fi
if [ $status -ne 0 ]; then
    tail -n 30 "$work"/state/*/nodes/*/logs/raylet.log
    find "$work/state" -name 'worker-*.err' -size +0 -exec tail -n 5 {} +
fi
exit $status
