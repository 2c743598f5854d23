# Shared by the tests of RayClusters and RayJobs. Source it after lib.sh: . "$(dirname "$0")/ray.sh"
#
# It gives the test an operator that watches its namespace alone (others may run on the same cluster), manifests
# with small requests, an image with the word count, and words for what is seen.
#
# RAIA_E2E_IMAGE=NAME:TAG   this image of Raia, which is on the nodes already, as are those of test-images.sh
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # lib.sh and the tests share their variables
build=${RAIA_BUILD:-$tree/build}
debian=localhost/debian:12 # no Raia in it, as all images of test-images.sh

# need_raia: images, a namespace, an operator in it; what is there then is what a test shall leave.
need_raia() {
    local image=${RAIA_E2E_IMAGE:-raia.io/raia:dev}
    if [ -z "${RAIA_E2E_IMAGE-}" ]; then
        "$tree/e2e/kube/image.sh" "$image"
        "$tree/e2e/kube/test-images.sh"
    fi
    need_namespace
    need_crds
    install_chart raia raia-operator --skip-crds --set singleNamespaceInstall=true \
        --set "image.repository=${image%:*},image.tag=${image##*:}" >"$work/notes"
    k rollout status deployment/raia-operator --timeout=180s >/dev/null || fail "the operator is not ready after 180 s"
    everything >"$work/before"
    say "an operator of $image in $ns"
}

# need_wordcount: $wordcount, an image with the program and text to count, and $expected, coreutils' counts of it.
need_wordcount() {
    wordcount=wordcount.example/$ns:1
    expected=$("$tree/e2e/kube/program.sh" "$build/bin" "$wordcount")/expected
}

# ---- manifests, in YAML's flow style, so that they fit into each other

# pod_template IMAGE [CONTAINER-MEMBERS [POD-MEMBERS]]
pod_template() {
    printf '%s' "{spec: {terminationGracePeriodSeconds: 15, containers: [{name: ray, image: \"$1\", resources: " \
        "{requests: {cpu: 20m, memory: 64Mi}, limits: {cpu: \"1\", memory: 1Gi}}${2:+, $2}}]${3:+, $3}}}"
}
# head CPUS TEMPLATE [PARAMETERS]
head() { printf '%s' "headGroupSpec: {rayStartParams: {num-cpus: \"$1\"${3:+, $3}}, template: $2}"; }
# workers GROUP REPLICAS TEMPLATE [PARAMETERS]: one of workerGroupSpecs
workers() {
    printf '%s' "{groupName: $1, replicas: $2, minReplicas: 0, maxReplicas: 10, rayStartParams: {num-cpus: \"1\"${4:+, $4}}, template: $3}"
}
# submitter: a submitter's pod for the machine of a test
submitter() { printf '%s' "submitterPodTemplate: {spec: {restartPolicy: Never, containers: [{name: submit, image: \"$1\", resources: {requests: {cpu: 20m, memory: 32Mi}}}]}}"; }
# apply KIND NAME SPEC-MEMBERS
apply() {
    printf 'apiVersion: ray.io/v1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n' "$@" >"$work/$2.yaml"
    k apply -f "$work/$2.yaml" >/dev/null || fail "kubectl apply: $(cat "$work/$2.yaml")"
}
change() { k patch "$1" --type="${3:-merge}" -p "$2" >/dev/null || fail "kubectl patch $1 $2"; } # OBJECT PATCH [TYPE]

# ---- what is seen

# pods CLUSTER [head|worker]: their names
pods() { k get pods -l "ray.io/cluster=$1${2:+,ray.io/node-type=$2}" -o 'jsonpath={.items[*].metadata.name}'; }
uids() { k get pods -l "ray.io/cluster=$1" -o 'jsonpath={range .items[*]}{.metadata.uid}{"\n"}{end}' | sort; }
uid() { field "$1" .metadata.uid; }
# condition OBJECT TYPE [MEMBER]: its status, reason or message
condition() { k get "$1" -o "jsonpath={.status.conditions[?(@.type=='$2')].${3:-status}}"; }
# shows OBJECT JSONPATH VALUE: for until_ok.
shows() { [ "$(field "$1" "$2")" = "$3" ]; }
# of CLUSTER COMMAND...: in its head pod
of() {
    local pod
    pod=$(pods "$1" head)
    shift
    k exec "$pod" -c ray -- "$@"
}
nodes_alive() { of "$1" /opt/raia/bin/ray list nodes --format json | jq '[.[] | select(.state == "ALIVE")] | length'; }
has_alive() { [ "$(nodes_alive "$1")" = "$2" ]; }
# is_whole CLUSTER WORKERS: all pods are there, and are nodes; no others are either
is_whole() {
    await 240 "raycluster/$1" condition=RayClusterProvisioned
    until_ok 120 shows "raycluster/$1" .status.availableWorkerReplicas "$2" ||
        fail "$1: $(field "raycluster/$1" .status.availableWorkerReplicas) workers are available, not $2"
    until_ok 60 counts pods "ray.io/cluster=$1" $((1 + $2)) || fail "$1 has $(count pods "ray.io/cluster=$1") pods, not $((1 + $2))"
    until_ok 60 has_alive "$1" $((1 + $2)) || fail "$1: $(nodes_alive "$1") nodes are alive, not $((1 + $2))"
    equal "state of $1" ready "$(field "raycluster/$1" .status.state)"
}

# reach CLUSTER: $api is the job API of its head that runs now, $token its token.
reach() {
    forward "$work/port" "pod/$(pods "$1" head)" 8265
    api=http://127.0.0.1:$(cat "$work/port")
    token=$(k get secret "$1" -o jsonpath='{.data.auth_token}' | base64 -d)
    [ -n "$token" ] || fail "no token in the secret $1"
}
get() { curl -sf --max-time 30 -H "Authorization: Bearer $token" "$api$1"; }
# submit SUBMIT-ARGUMENT...: by raia job submit, which follows; what it says is in $work/out and $work/err
submit() { RAY_AUTH_TOKEN=$token timeout 240 "$build/bin/raia" job submit --address "$api" "$@" >"$work/out" 2>"$work/err"; }

# steps NAME...: runs these functions, or those that the command line names.
steps() {
    local s since
    for s in "$@"; do
        since=$SECONDS
        say "${s//_/ }"
        "$s"
        say "ok: ${s//_/ } ($((SECONDS - since)) s)"
    done
}
