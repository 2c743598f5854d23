#!/bin/bash
# A hundred RayClusters and RayJobs with one thing wrong in each, given to a real API server and an operator that is
# built with AddressSanitizer: each is rejected, or its status names the field; the operator neither crashes, nor turns
# in circles, nor leaks, nor tells a secret.
#
# SAMPLES=DIR       mutants of the manifests there (KubeRay's), too
# MUTANT=N          only that seed
# RAIA_OPERATOR=    an operator that is there already
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_packages /usr/lib/python3/dist-packages/yaml=python3-yaml
operator=${RAIA_OPERATOR-}
if [ -z "$operator" ]; then
    say "building the operator with AddressSanitizer"
    operator=$tree/build-asan/bin/raia-operator
    { cmake -S "$tree" -B "$tree/build-asan" -G Ninja -DRAIA_SANITIZE=address,undefined && ninja -C "$tree/build-asan" raia-operator; } >"$work/build.log" 2>&1 ||
        { tail -n 30 "$work/build.log" >&2; fail "the build"; }
fi
need_cluster
need_crds
need_namespace
PYTHONDONTWRITEBYTECODE=1 python "$tree/e2e/kube/samples/mutants.py" --kubeconfig "$KUBECONFIG" --samples "$tree/e2e/samples" ${SAMPLES:+--samples "$SAMPLES"} \
    --operator "$operator" --image "${RAIA_IMAGE:-raia.io/raia:dev}" --work "$work" ${MUTANT:+--seed "$MUTANT"} "$ns" || {
    mkdir -p "$logs"
    cp "$work/operator.log" "$logs.operator.log"
    fail "mutants (above; the operator's log is $logs.operator.log)"
}
