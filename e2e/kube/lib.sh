# Shared by the end-to-end tests on a real cluster. Source it: . "$(dirname "$0")/lib.sh"
#
# It gives the test a cluster (the one of KUBECONFIG, else this machine's, which is started if need be and
# then taken down again), a namespace of its own, words for waiting that have deadlines, and an end that
# leaves nothing; after a failure, with what the cluster says (events, objects, logs) in a folder.
#
# RAIA_CLUSTER=K    another cluster of this machine (e2e/cluster/settings.sh)
# KUBECONFIG=FILE   another cluster: images must be there, and it is not taken down
# RAIA_E2E_LOGS=DIR where a failure's logs go (/tmp/raia-e2e-logs)
# RAIA_E2E_KEEP=1   leaves namespace and cluster as they are at the end
# shellcheck shell=bash
# shellcheck disable=SC2034 # most of these are used by the scripts that source this
set -euo pipefail
export LC_ALL=C
# The folder of this machine's cluster (e2e/cluster/settings.sh).
case ${RAIA_CLUSTER:-0} in 0) state=/tmp/raia-cluster ;; *) state=/tmp/raia-cluster-$RAIA_CLUSTER ;; esac
state=${RAIA_CLUSTER_STATE:-$state}

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
test_name=$(basename "$0" .sh)
begin=$SECONDS
work=$(mktemp -d "/tmp/raia-e2e-$test_name-XXXXXX")
logs=${RAIA_E2E_LOGS:-/tmp/raia-e2e-logs}/$test_name
ns=raia-e2e-$test_name-$(od -An -N2 -tx1 /dev/urandom | tr -d ' ')
releases=()      # helm releases of the namespace, to be uninstalled
background=()    # processes to be ended
own_cluster=     # this test started it
has_namespace=

# say WORDS: progress, with the seconds since the start.
say() { printf '%4d s  %s\n' $((SECONDS - begin)) "$*" >&2; }
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# COMMAND | has GREP-ARGUMENTS: is it in what the command prints. All of that is read first: `grep -q` stops
# reading, and what still writes to it then dies of that, which is a failure here (pipefail).
has() {
    local text
    text=$(cat)
    [ -n "$text" ] && grep -q "$@" <<<"$text"
}

# skip WORDS: ends the test, which counts as passed: why it cannot be run. Before anything is made in a cluster.
skip() {
    echo "SKIPPED: $test_name ($*)" >&2
    trap - EXIT
    rm -rf "$work"
    exit 0
}

# need_packages COMMAND-OR-FILE=PACKAGE...: Debian packages that a test takes beyond those of make deps.
need_packages() {
    local missing=() pair
    for pair; do
        command -v "${pair%%=*}" >/dev/null || [ -e "${pair%%=*}" ] || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing with apt: ${missing[*]}"
    { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"; } \
        >"$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; fail "apt could not install them (its words are above)"; }
}

# python SCRIPT-OR-FILE...: Debian's, which sees Debian's modules.
python() { /usr/bin/python3 "$@"; }

# need_tools: kubectl and helm, built if need be, without a cluster.
need_tools() {
    local name path
    mkdir -p "$work/bin"
    while read -r name path; do ln -sfn "$path" "$work/bin/$name"; done < <("$tree/e2e/cluster/build" kube helm)
    ln -sfn kube "$work/bin/kubectl"
    PATH=$work/bin:$PATH
}

# need_cluster: a cluster that answers.
need_cluster() {
    if [ -z "${KUBECONFIG-}" ]; then
        if [ ! -d "$state" ]; then
            own_cluster=1
            say "starting the cluster (make cluster-up; on a new machine its programs are built first, which takes minutes)"
        fi
        eval "$(NODES=${NODES:-2} "$tree/e2e/cluster/up")"
    fi
    need_tools
    kubectl --request-timeout=20s get --raw /readyz >/dev/null || fail "no cluster answers at KUBECONFIG=$KUBECONFIG"
}

# need_namespace: one of the test's own, $ns; k is kubectl in it.
need_namespace() {
    kubectl create namespace "$ns" >/dev/null
    has_namespace=1
    kubectl label namespace "$ns" raia.io/e2e="$test_name" >/dev/null
    until_ok 60 k get serviceaccount default
}
k() { kubectl -n "$ns" "$@"; }

# need_crds: those of this tree, whatever was there.
need_crds() {
    kubectl apply --server-side --force-conflicts -f "$tree/crds/" >/dev/null || fail "kubectl apply -f crds/"
    # Again and again: it fails at once on a definition that is so new that it has no conditions.
    until_ok 60 kubectl wait --for=condition=Established crd/rayclusters.ray.io crd/rayjobs.ray.io --timeout=30s ||
        fail "the resource definitions are not established after 60 s"
}

# until_ok SECONDS COMMAND...: every 0.3 s, until it succeeds. For what kubectl wait cannot say.
until_ok() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt "$end" ] || return 1
        sleep 0.3
    done
}

# await SECONDS OBJECT CONDITION: until the object exists and, by kubectl wait (a watch), is so; e.g.
# await 60 pod/a condition=Ready, await 60 rayjob/b jsonpath={.status.jobStatus}=SUCCEEDED, await 60 pod/a delete
await() {
    local end=$((SECONDS + $1)) left
    if [ "$3" != delete ]; then
        k wait "$2" --for=create --timeout="$1s" >/dev/null 2>"$work/await" ||
            fail "$2 is not there after $1 s: $(tail -n 1 "$work/await")"
    fi
    left=$((end - SECONDS))
    [ $left -gt 0 ] || left=1
    k wait "$2" --for="$3" --timeout="${left}s" >/dev/null 2>"$work/await" ||
        fail "$2: no $3 after $1 s: $(tail -n 1 "$work/await")"
}

# field OBJECT JSONPATH: its value.
field() { k get "$1" -o "jsonpath={$2}"; }
# equal WHAT EXPECTED ACTUAL
equal() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }
# count RESOURCE [SELECTOR]: how many objects of the namespace.
count() { k get "$1" ${2+-l "$2"} -o name | wc -l; }
# counts RESOURCE SELECTOR N: for until_ok.
counts() { [ "$(count "$1" "$2")" = "$3" ]; }

# everything: all objects of the namespace, but events, what comes and goes by itself, and what $apart says. What a
# test shall leave, it keeps with: everything >"$work/before"
apart='^$'
everything() {
    [ -n "${kinds-}" ] || kinds=$(kubectl api-resources --namespaced --verbs=list -o name |
        grep -vE '^events|^replicasets|^leases|^endpoints|metrics.k8s.io' | paste -sd,)
    k get "$kinds" -o name 2>/dev/null | { grep -v "$apart" || true; } | sort
}
as_before() { everything >"$work/after" && cmp -s "$work/before" "$work/after"; }
# leaves_nothing WHAT: fails if 90 s later there is more than that, or less.
leaves_nothing() {
    until_ok 90 as_before || { diff "$work/before" "$work/after" >&2; fail "$1 leaves something (above)"; }
}

# right_words LOG: its ten lines and its summary, against the counts of coreutils in the file $expected.
right_words() {
    local sum
    grep -E '^ +[0-9]+  [a-z]+$' "$1" | awk '{ print $1, $2 }' >"$work/top" || true
    equal "lines of words" 10 "$(wc -l <"$work/top")"
    ! grep -qvxFf "$expected" "$work/top" || { cat "$work/top" >&2; fail "counts that coreutils do not have"; }
    equal "the greatest counts" "$(sort -rn "$expected" | awk 'NR <= 10 { print $1 }')" "$(cut -d' ' -f1 "$work/top")"
    sum=$(grep -oE '[0-9]+ different words' "$1" | cut -d' ' -f1)
    equal "different words" "$(wc -l <"$expected")" "$sum"
}

# install_chart RELEASE CHART HELM-ARGUMENTS...: waits until its deployments are ready.
install_chart() {
    local release=$1 chart=$2
    shift 2
    releases+=("$release")
    helm install "$release" "$tree/charts/$chart" -n "$ns" "$@" 2>"$work/helm.err" ||
        { cat "$work/helm.err" >&2; fail "helm install $release charts/$chart"; }
}
uninstall_chart() {
    local release=$1 rest=() r
    helm uninstall "$release" -n "$ns" --wait --timeout 60s >/dev/null || fail "helm uninstall $release"
    for r in "${releases[@]}"; do [ "$r" = "$release" ] || rest+=("$r"); done
    releases=("${rest[@]}")
}

# forward LOCAL-PORT-FILE OBJECT PORT: kubectl port-forward to a free port, whose number it writes.
forward() {
    local out=$work/forward.$RANDOM
    kubectl -n "$ns" port-forward "$2" ":$3" >"$out" 2>&1 &
    background+=($!)
    until_ok 30 grep -q '^Forwarding from 127' "$out" || fail "kubectl port-forward $2 $3: $(cat "$out")"
    sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\) .*/\1/p' "$out" >"$1"
}

# dump: all that the cluster says about the test, into $logs.
dump() {
    local pod container
    rm -rf "$logs"
    mkdir -p "$logs"
    {
        k get all,secrets,configmaps,pvc -o wide
        k get rayclusters,rayjobs
    } >"$logs/objects.txt" 2>&1
    k get rayclusters,rayjobs -o yaml >"$logs/ray.yaml" 2>&1
    k get events --sort-by=.metadata.creationTimestamp >"$logs/events.txt" 2>&1
    k describe rayclusters,rayjobs,jobs,pods >"$logs/describe.txt" 2>&1
    kubectl get nodes -o wide >"$logs/nodes.txt" 2>&1
    for pod in $(k get pods -o name); do
        for container in $(k get "$pod" -o 'jsonpath={.spec.initContainers[*].name} {.spec.containers[*].name}'); do
            k logs "$pod" -c "$container" --tail=2000 >"$logs/${pod#*/}.$container.log" 2>&1
            k logs "$pod" -c "$container" --tail=2000 --previous >"$logs/${pod#*/}.$container.before.log" 2>/dev/null || rm -f "$logs/${pod#*/}.$container.before.log"
        done
    done
    {
        echo "---- objects"; cat "$logs/objects.txt"
        echo "---- last events"; tail -n 25 "$logs/events.txt"
        for pod in "$logs"/*.log; do
            [ -s "$pod" ] && { echo "---- ${pod##*/}"; tail -n 15 "$pod"; }
        done
    } >&2
    echo "all of it: $logs" >&2
}

# release_objects: takes the finalizers off that nobody serves any more.
release_objects() {
    local o
    for o in $(k get rayjobs,rayclusters -o name 2>/dev/null); do
        k patch "$o" --type=merge -p '{"metadata":{"finalizers":null}}' >/dev/null 2>&1
    done
}

finish() {
    local status=$? r
    trap - EXIT
    set +e
    if [ $status -ne 0 ] && [ -n "$has_namespace" ]; then dump; fi
    for r in "${background[@]}"; do kill "$r" 2>/dev/null; done
    if [ -n "${RAIA_E2E_KEEP-}" ]; then
        echo "kept: namespace $ns${own_cluster:+, and the cluster (make cluster-down)}" >&2
    else
        # What only an operator can finish goes first, then the operators.
        if [ -n "$has_namespace" ]; then
            k delete rayjobs,rayclusters --all --timeout=60s >/dev/null 2>&1 || release_objects
            for r in "${releases[@]}"; do helm uninstall "$r" -n "$ns" >/dev/null 2>&1; done
            kubectl delete namespace "$ns" --timeout=120s >/dev/null 2>&1 ||
                { echo "namespace $ns does not go: kubectl get namespace $ns -o yaml" >&2; [ $status -ne 0 ] || status=1; }
        fi
        if [ -n "$own_cluster" ]; then "$tree/e2e/cluster/down" || status=1; fi
    fi
    if declare -F at_end >/dev/null; then at_end; fi
    rm -rf "$work"
    [ $status -ne 0 ] || say "$test_name passed"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM
