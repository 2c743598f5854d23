#!/bin/bash
# The whole path as its user goes it: a cluster, the image, the charts, the manifests of e2e/samples as on one
# machine, results that are right, scaling, and nothing left. On a new machine everything is built first.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_packages jq=jq curl=curl
samples=$tree/e2e/samples
bin=${RAIA_BIN:-$tree/build/bin}

install_operator() {
    local more=()
    # Other operators may run on a cluster that is shared: this one keeps to its namespace then.
    [ -n "$own_cluster" ] || more=(--set singleNamespaceInstall=true)
    # helm installs CRDs that are not there, and does not touch older ones.
    [ -n "$own_cluster" ] || need_crds
    install_chart raia raia-operator --set image.tag=dev "${more[@]}" >"$work/notes"
    k rollout status deployment/raia-operator --timeout=120s >/dev/null || fail "the operator is not ready after 120 s"
    equal "restarts of the operator" 0 "$(field pods '.items[0].status.containerStatuses[0].restartCount')"
    everything >"$work/before"
}

# told_ready NAME WORKERS: what kubectl get says of a RayCluster, and what is.
told_ready() {
    await 180 "raycluster/$1" condition=RayClusterProvisioned
    await 60 "raycluster/$1" jsonpath='{.status.state}'=ready
    until_ok 60 counts_workers "$1" "$2" || fail "$1: $(field "raycluster/$1" .status.availableWorkerReplicas) workers available, not $2"
    equal "pods of $1" $((1 + $2)) "$(count pods "ray.io/cluster=$1")"
    k get rayclusters "$1" >&2
}
counts_workers() {
    [ "$(field "raycluster/$1" .status.availableWorkerReplicas)" = "$2" ] && counts pods "ray.io/cluster=$1,ray.io/node-type=worker" "$2"
}

minimal_cluster() {
    k apply -f "$samples/raycluster-minimal.yaml" >/dev/null
    told_ready minimal 0
    k get service minimal-head-svc >/dev/null || fail "no head service"
    k delete -f "$samples/raycluster-minimal.yaml" --timeout=60s >/dev/null
    leaves_nothing "a deleted RayCluster"
}

word_count() {
    k apply -f "$samples/rayjob-wordcount.yaml" >/dev/null
    await 300 rayjob/wordcount jsonpath='{.status.jobDeploymentStatus}'=Complete
    equal "the job's status" SUCCEEDED "$(field rayjob/wordcount .status.jobStatus)"
    k get rayjobs,rayclusters >&2
    k logs job/wordcount >"$work/words" || fail "no log of the submitter"
    right_words "$work/words"
    tail -n 11 "$work/words" >&2
}

# api METHOD PATH CURL-ARGUMENT...: the job API through port-forward.
api() {
    local method=$1 path=$2
    shift 2
    curl -sS --max-time 30 -X "$method" -w '\n%{http_code}' "$@" "http://127.0.0.1:$port$path"
}
job_api() {
    local cluster token id=smoke-$RANDOM state=
    cluster=$(field rayjob/wordcount .status.rayClusterName)
    forward "$work/port" "service/$cluster-head-svc" 8265
    port=$(cat "$work/port")
    token=$(k get secret "$cluster" -o jsonpath='{.data.auth_token}' | base64 -d)
    [ -n "$token" ] || fail "no token in the secret $cluster"
    auth=(-H "Authorization: Bearer $token" -H 'Content-Type: application/json')
    equal "without a token" 401 "$(api GET /api/jobs/ | tail -n 1)"
    equal "with a wrong one" 403 "$(api GET /api/jobs/ -H 'Authorization: Bearer wrong' | tail -n 1)"
    api GET /api/jobs/ "${auth[@]}" >"$work/jobs"
    equal "with the token" 200 "$(tail -n 1 "$work/jobs")"
    grep -q "$(field rayjob/wordcount .status.jobId)" "$work/jobs" || fail "the RayJob's job is not in the list"
    api POST /api/jobs/ "${auth[@]}" -d "{\"submission_id\": \"$id\", \"entrypoint\": \"wordcount --output /tmp/counts > /dev/null && cat /tmp/counts\"}" >"$work/answer"
    equal "submit" 200 "$(tail -n 1 "$work/answer")"
    local end=$((SECONDS + 180))
    until [ "$state" = SUCCEEDED ] || [ "$state" = FAILED ] || [ $SECONDS -ge $end ]; do
        state=$(api GET "/api/jobs/$id" "${auth[@]}" | head -n -1 | jq -r .status)
        sleep 0.5
    done
    equal "the submitted job" SUCCEEDED "$state"
    api GET "/api/jobs/$id/logs" "${auth[@]}" | head -n -1 | jq -r .logs | grep -E '^[0-9]+ [a-z]+$' >"$work/counts" || true
    cmp "$work/counts" "$expected" || fail "the counts differ from those of coreutils"
    say "$(wc -l <"$expected") words counted as by coreutils"
}

deleted_job() {
    k delete -f "$samples/rayjob-wordcount.yaml" --timeout=60s >/dev/null
    leaves_nothing "a deleted RayJob"
}

scaled() {
    local small=(--set image.repository=raia/raia --set image.tag=latest --set head.resources.requests.cpu=100m
        --set worker.resources.requests.cpu=100m)
    install_chart my ray-cluster "${small[@]}" >"$work/notes"
    told_ready my-raia 1
    helm upgrade my "$tree/charts/ray-cluster" -n "$ns" "${small[@]}" --set worker.replicas=3 \
        --set additionalWorkerGroups.more.replicas=1 >/dev/null 2>&1 || fail "helm upgrade"
    told_ready my-raia 4
    k patch raycluster my-raia --type=merge -p "$(k get raycluster my-raia -o json |
        jq -c '{spec: {workerGroupSpecs: [.spec.workerGroupSpecs[] | select(.groupName == "workergroup") | .replicas = 2]}}')" >/dev/null
    told_ready my-raia 2
    uninstall_chart my
    leaves_nothing "an uninstalled ray-cluster"
}

gone() { [ -z "$(k get all -o name)" ]; }
uninstalled() {
    uninstall_chart raia
    until_ok 60 gone || fail "helm uninstall leaves: $(k get all -o name)"
}

# step WORDS COMMAND
step() { say "$1"; shift; "$@"; }

need_cluster
say "the cluster runs"
step "the image of Raia" "$tree/e2e/kube/image.sh"
expected=$("$tree/e2e/kube/program.sh" "$bin" docker.io/raia/raia:latest)/expected
need_namespace
step "helm install raia charts/raia-operator" install_operator
step "kubectl apply -f e2e/samples/raycluster-minimal.yaml" minimal_cluster
step "kubectl apply -f e2e/samples/rayjob-wordcount.yaml" word_count
step "port-forward and token: the job API" job_api
step "kubectl delete: the RayJob" deleted_job
step "helm install my charts/ray-cluster; scale up, scale down, remove a group" scaled
step "helm uninstall" uninstalled

at_end() {
    cat >&2 <<T

To do the same by hand: docs/kubernetes.md, with a cluster of this machine:
    eval "\$(make -s cluster-up)"; e2e/kube/image.sh; helm install raia charts/raia-operator --set image.tag=dev
T
}
