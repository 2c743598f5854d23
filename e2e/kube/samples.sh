#!/bin/bash
# Every RayCluster and RayJob of KubeRay's samples, unmodified, on a real cluster: what is made of them is what KubeRay
# makes, but for the differences that docs/kuberay-differences.md has; their pods run (in stand-in images), or the
# cluster says why they cannot; deleted, they leave nothing.
#
# SAMPLES=DIR       the folder; without it, this is skipped
# SAMPLES_ONLY=RE   only files whose names have that in them
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
[ -n "${SAMPLES-}" ] || skip "make e2e SAMPLES=DIR, with KubeRay's ray-operator/config/samples"
need_packages /usr/lib/python3/dist-packages/yaml=python3-yaml
operator=${RAIA_OPERATOR:-${RAIA_BUILD:-$tree/build}/bin/raia-operator}
image=${RAIA_IMAGE:-raia.io/raia:dev}
lanes=${LANES:-3}

need_cluster
[ -n "${RAIA_IMAGE-}" ] || "$tree/e2e/kube/image.sh"
"$tree/e2e/kube/standin.sh" --for "$SAMPLES"/*.yaml
need_crds
need_namespace
spaces=("$ns")
for ((i = 2; i <= lanes; i++)); do
    kubectl create namespace "$ns-$i" >/dev/null
    spaces+=("$ns-$i")
done
at_end() { kubectl delete namespace "${spaces[@]:1}" --wait=false >/dev/null 2>&1; }

"$operator" --kubeconfig="$KUBECONFIG" --watch-namespace="$(IFS=,; echo "${spaces[*]}")" --leader-election-namespace="$ns" \
    --metrics-addr=127.0.0.1:0 --health-probe-bind-address=0 --use-kubernetes-proxy=true --raia-image="$image" >"$work/operator.log" 2>&1 &
pid=$!
until_ok 30 grep -q 'msg=' "$work/operator.log" || { cat "$work/operator.log" >&2; fail "the operator does not start"; }
status=0
PYTHONDONTWRITEBYTECODE=1 python "$tree/e2e/kube/samples/samples.py" --kubeconfig "$KUBECONFIG" --samples "$SAMPLES" --docs "$tree/docs" --log "$work/operator.log" \
    --logs "$logs" ${SAMPLES_ONLY:+--only "$SAMPLES_ONLY"} "${spaces[@]}" || status=$?
mkdir -p "$logs"
cp "$work/operator.log" "$logs/operator.log"
kill -TERM $pid
until_ok 20 bash -c "! kill -0 $pid" || fail "the operator does not end on SIGTERM"
wait $pid || fail "the operator ended with status $?"
[ $status = 0 ] || fail "samples (above; objects and the operator's log are in $logs)"
