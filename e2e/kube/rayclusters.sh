#!/bin/bash
# RayClusters over their lives: suspended and resumed, scaled by hand, made anew when their spec changes; a head
# that is lost, with a volume and without; workers that cannot live; images with nothing, and with too little;
# certificates that have ended.
#
#   rayclusters.sh [STEP...]    all of it, or these functions
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=ray.sh
. "$(dirname "$0")/ray.sh"
need_packages jq=jq curl=curl openssl=openssl

t=$(pod_template "$debian")
w1="workerGroupSpecs: [$(workers w 1 "$t")]"
drop() {
    k delete raycluster "$1" --timeout=90s >/dev/null || fail "the RayCluster $1 does not go"
    leaves_nothing "the deleted RayCluster $1"
}
# counts_words CLUSTER: a job that brings its program along, in an image that has nothing of it
counts_words() {
    [ -d "$work/job" ] || {
        mkdir -p "$work/job/text"
        cp "$build/bin/wordcount" "$build/test/e2e_detached" "$work/job/"
        for i in {1..10}; do cat "$tree"/docs/*.md "$tree"/docs/design/*.md "$tree"/common/*/*.c >"$work/job/text/$i"; done
        (cd "$work/job" && "$tree/e2e/test/coreutils-wordcount.sh" text >"$work/expected")
        expected=$work/expected
    }
    reach "$1"
    submit --working-dir "$work/job" -- ./wordcount text || { cat "$work/out" "$work/err" >&2; fail "the word count in $1"; }
    right_words "$work/out"
}

# ---- suspended and resumed

suspends() {
    local before since
    apply RayCluster rests "$(head 1 "$t"), $w1"
    is_whole rests 1
    before=$(uids rests)
    since=$SECONDS
    change raycluster/rests '{"spec": {"suspend": true}}'
    await 90 raycluster/rests jsonpath='{.status.state}'=suspended
    say "suspended after $((SECONDS - since)) s"
    equal "pods" 0 "$(count pods ray.io/cluster=rests)"
    equal "suspended" True "$(condition raycluster/rests RayClusterSuspended)"
    [ "$(condition raycluster/rests RayClusterSuspending)" != True ] || fail "it is still being suspended"
    [ "$(condition raycluster/rests RayClusterProvisioned)" != True ] || fail "it is still provisioned"
    k get service rests-head-svc >/dev/null || fail "the service has gone"
    since=$SECONDS
    change raycluster/rests '{"spec": {"suspend": false}}'
    await 120 raycluster/rests jsonpath='{.status.state}'=ready
    say "ready again after $((SECONDS - since)) s"
    is_whole rests 1
    equal "pods from before" "" "$(comm -12 <(echo "$before") <(uids rests))"
    drop rests
}

# ---- scaled by hand

replicas() { change raycluster/scales "[{\"op\": \"replace\", \"path\": \"/spec/workerGroupSpecs/$1/replicas\", \"value\": $2}]" json; }
scales() {
    local head since named kept
    apply RayCluster scales "$(head 1 "$t"), workerGroupSpecs: [$(workers w 1 "$t"), $(workers more 1 "$t")]"
    is_whole scales 2
    head=$(uid "pod/$(pods scales head)")
    since=$SECONDS
    replicas 0 3
    is_whole scales 4
    say "from two workers to four: $((SECONDS - since)) s"
    # That one, and no other, and none in its place.
    named=$(k get pods -l ray.io/group=w -o 'jsonpath={.items[1].metadata.name}')
    kept=$(k get pods -l ray.io/group=w -o name | grep -v "$named")
    change raycluster/scales "[{\"op\": \"replace\", \"path\": \"/spec/workerGroupSpecs/0/replicas\", \"value\": 2},
        {\"op\": \"add\", \"path\": \"/spec/workerGroupSpecs/0/scaleStrategy\", \"value\": {\"workersToDelete\": [\"$named\"]}}]" json
    is_whole scales 3
    equal "the workers that stay" "$kept" "$(k get pods -l ray.io/group=w -o name)"
    # Named without fewer replicas: another one comes.
    named=${kept##*/}
    change raycluster/scales "[{\"op\": \"replace\", \"path\": \"/spec/workerGroupSpecs/0/scaleStrategy\", \"value\": {\"workersToDelete\": [\"$named\"]}}]" json
    await 60 "pod/$named" delete
    is_whole scales 3
    since=$SECONDS
    change raycluster/scales '[{"op": "remove", "path": "/spec/workerGroupSpecs/1"}]' json
    is_whole scales 2
    equal "pods of a group that was removed" 0 "$(count pods ray.io/group=more)"
    say "a group removed: $((SECONDS - since)) s"
    replicas 0 0
    is_whole scales 0
    equal "the head" "$head" "$(uid "pod/$(pods scales head)")"
    drop scales
}

# ---- the spec changes

upgrades() {
    local before since
    spec() { printf '%s' "upgradeStrategy: {type: $1}, $(head 1 "$(pod_template "$debian" "env: [{name: SAYS, value: $2}]")"), $w1"; }
    apply RayCluster changes "$(spec Recreate one)"
    is_whole changes 1
    before=$(uids changes)
    since=$SECONDS
    apply RayCluster changes "$(spec Recreate two)"
    changed() { [ -z "$(comm -12 <(echo "$before") <(uids changes))" ] && [ "$(count pods ray.io/cluster=changes)" = 2 ]; }
    until_ok 120 changed || fail "Recreate: pods from before are still there"
    is_whole changes 1
    say "all pods made anew: $((SECONDS - since)) s"
    equal "what the new head says" two "$(of changes printenv SAYS)"
    # More replicas are no reason to make pods anew; without Recreate nothing is.
    before=$(uids changes)
    change raycluster/changes '[{"op": "replace", "path": "/spec/workerGroupSpecs/0/replicas", "value": 2}]' json
    is_whole changes 2
    equal "pods that stay" "$before" "$(comm -12 <(echo "$before") <(uids changes))"
    apply RayCluster changes "$(spec None three)"
    is_whole changes 1
    equal "what the head says" two "$(of changes printenv SAYS)"
    drop changes
}

# What cannot be changed in a service, and what was deleted of the cluster's certificates, is made anew.
mends() {
    local old leaf
    apply RayCluster mends "$(head 1 "$t"), $w1"
    is_whole mends 1
    old=$(uid service/mends-head-svc)
    change raycluster/mends '{"spec": {"headGroupSpec": {"serviceType": "NodePort"}}}'
    has_address() { [ "$(uid service/mends-head-svc)" != "$old" ] && shows service/mends-head-svc .spec.type NodePort; }
    until_ok 60 has_address || fail "the head's service stays without an address: $(k get service mends-head-svc -o wide)"
    is_whole mends 1
    old=$(uid secret/mends-raia-ca)
    leaf=$(field secret/mends-raia-tls-worker '.data.node\.pem')
    k delete secret mends-raia-ca >/dev/null
    signs_anew() { [ "$(uid secret/mends-raia-ca)" != "$old" ] && [ "$(field secret/mends-raia-tls-worker '.data.node\.pem')" != "$leaf" ]; }
    until_ok 60 signs_anew || fail "no other authority, or no certificates of it: $(k get secrets)"
    drop mends
}

# ---- a head that is lost

head_uid() { k get pods -l "ray.io/cluster=$1,ray.io/node-type=head" -o 'jsonpath={.items[*].metadata.uid}'; }
# lose_head CLUSTER WORKERS [DELETE-ARGUMENT...]: until another one has all its workers
lose_head() {
    local cluster=$1 n=$2 old since
    shift 2
    old=$(head_uid "$cluster")
    since=$SECONDS
    k delete pod "$(pods "$cluster" head)" "$@" >/dev/null 2>&1
    another() { [ -n "$(head_uid "$cluster")" ] && [ "$(head_uid "$cluster")" != "$old" ]; }
    until_ok 60 another || fail "$cluster: no other head"
    await 120 "pod/$(pods "$cluster" head)" condition=Ready
    say "another head is ready after $((SECONDS - since)) s"
    until_ok 120 has_alive "$cluster" $((1 + n)) || fail "$cluster: $(nodes_alive "$cluster") nodes are alive, not $((1 + n))"
    say "with all its workers after $((SECONDS - since)) s"
    reach "$cluster"
}
worker_stays() { equal "the worker and its restarts" "$2 0" "$(k get pods -l "ray.io/cluster=$1,ray.io/node-type=worker" -o 'jsonpath={.items[*].metadata.uid} {.items[*].status.containerStatuses[0].restartCount}')"; }

head_without_volume() {
    local worker
    apply RayCluster forgets "$(head 0 "$t"), $w1"
    is_whole forgets 1
    worker=$(uid "pod/$(pods forgets worker)")
    counts_words forgets
    lose_head forgets 1 --grace-period=0 --force
    worker_stays forgets "$worker"
    equal "jobs that it knows" 0 "$(get /api/jobs/ | jq length)"
    counts_words forgets
    drop forgets
}

# count_on NAME RESOURCE: the next count of an actor where there is that resource, by a job
count_on() {
    submit --working-dir "$work/job" -- ./e2e_detached "$@" || { cat "$work/out" "$work/err" >&2; fail "the job that lets $1 count"; }
    grep "^$1 " "$work/out"
}
job_status() { get "/api/jobs/$1" | jq -r .status; }
head_with_volume() {
    local worker id
    mkdir -p "$work/volume"
    chmod 0777 "$work" "$work/volume"
    kubectl create -f - >/dev/null <<T
apiVersion: v1
kind: PersistentVolume
metadata: {name: "$ns"}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: "$ns"
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: "$work/volume", type: Directory}
T
    has_volume=1
    apply RayCluster stays "gcsFaultToleranceOptions: {backend: rocksdb, storage: {storageClassName: \"$ns\", deletionPolicy: DeleteWithCluster}}, \
$(head 0 "$t" "resources: '\"{\\\"at_head\\\": 1}\"'"), workerGroupSpecs: [$(workers w 1 "$t" "resources: '\"{\\\"at_worker\\\": 1}\"'")]"
    is_whole stays 1
    equal "the claim" Bound "$(field pvc/stays-gcs-pvc .status.phase)"
    worker=$(uid "pod/$(pods stays worker)")
    counts_words stays
    id=$(get /api/jobs/ | jq -r '.[0].submission_id')
    equal "an actor at the worker" "far 1 0" "$(count_on far at_worker)"
    equal "an actor at the head" "near 1 0" "$(count_on near at_head)"
    equal "again" "far 2 0" "$(count_on far at_worker)"
    submit --no-wait --submission-id runs -- 'sleep 3600' || fail "a job that runs"
    await_job() { [ "$(job_status "$1")" = "$2" ]; }
    until_ok 60 await_job runs RUNNING || fail "it does not run"

    lose_head stays 1
    worker_stays stays "$worker"
    equal "the job from before" SUCCEEDED "$(job_status "$id")"
    until_ok 60 await_job runs FAILED || fail "the job that ran with the head is $(job_status runs)"
    say "$(get /api/jobs/runs | jq -r .message)"
    equal "the actor at the worker goes on" "far 3 0" "$(count_on far at_worker)"
    equal "the actor at the head began anew" "near 1 1" "$(count_on near at_head)"

    lose_head stays 1 # a second time: what was restored is stored too
    worker_stays stays "$worker"
    equal "the actor at the worker goes on" "far 4 0" "$(count_on far at_worker)"
    equal "jobs that it knows" 8 "$(get /api/jobs/ | jq length)"
    counts_words stays
    drop stays
}

# ---- workers that cannot live

# Replaced at once, then later and later; the head does not mind.
fails_at_once() {
    local bad head gaps
    bad=$(pod_template "$debian" 'command: ["/bin/bash", "-c", "exit 3"]' 'restartPolicy: Never' | sed 's|^{|{metadata: {annotations: {ray.io/overwrite-container-cmd: "true"}}, |')
    k get pods -w -l ray.io/cluster=fails,ray.io/node-type=worker -o 'jsonpath={.metadata.uid} {.metadata.creationTimestamp}{"\n"}' >"$work/made" 2>/dev/null &
    background+=($!)
    apply RayCluster fails "$(head 1 "$t"), workerGroupSpecs: [$(workers w 1 "$bad")]"
    await 120 raycluster/fails condition=HeadPodReady
    head=$(uid "pod/$(pods fails head)")
    made() { sort -u "$work/made" | wc -l; }
    six() { [ "$(made)" -ge 6 ]; }
    until_ok 180 six || fail "only $(made) pods in 180 s"
    gaps=$(sort -u "$work/made" | awk '{ print $2 }' | sort | while read -r x; do date -d "$x" +%s; done | awk 'NR > 1 { printf "%d ", $1 - last } { last = $1 }')
    say "seconds between replacements: $gaps"
    # A pod's own life, and then 0, 1, 2, 4, 8 s.
    awk '{ for (i = 2; i <= NF; i++) if ($i < 2 ^ (i - 2)) exit 1 }' <<<"$gaps" || fail "the waits do not double: $gaps"
    [ "$(count pods ray.io/cluster=fails)" -le 2 ] || fail "pods that ended are not deleted"
    equal "the head" "$head" "$(uid "pod/$(pods fails head)")"
    equal "provisioned" False "$(condition raycluster/fails RayClusterProvisioned)"
    drop fails
}

# The kubelet restarts it, later and later; after five restarts another pod comes. That takes some minutes: it begins
# first and is looked at last.
crashes_begins() {
    local bad
    bad=$(pod_template "$debian" 'command: ["/bin/bash", "-c", "exit 3"]' | sed 's|^{|{metadata: {annotations: {ray.io/overwrite-container-cmd: "true"}}, |')
    apply RayCluster crashes "$(head 1 "$t"), workerGroupSpecs: [$(workers w 1 "$bad")]"
    await 120 raycluster/crashes condition=HeadPodReady
    crashing=$(pods crashes worker)
    crashed=$SECONDS
    apart=/crashes
}
crashes() {
    local left=$((480 - (SECONDS - crashed))) gone
    await $((left > 1 ? left : 1)) "pod/$crashing" delete
    k get events --field-selector "involvedObject.name=$crashing,reason=BackOff" -o name | has . || fail "the kubelet did not restart it"
    gone=$(k get events --field-selector involvedObject.name=crashes,reason=DeletedWorkerPod -o json | jq '[.items[] | .firstTimestamp // .eventTime | sub("[.][0-9]*"; "") | fromdate] | min')
    say "replaced $((gone - $(date -d "$(field raycluster/crashes .metadata.creationTimestamp)" +%s))) s after the cluster was made"
    until_ok 60 counts pods ray.io/cluster=crashes,ray.io/node-type=worker 1 || fail "no other pod"
    k get events -o 'jsonpath={range .items[*]}{.message}{"\n"}{end}' | has 'restarted too often' || fail "no event says why"
    apart='^$'
    drop crashes
}

# ---- images

# glibc and nothing else: no shell, no coreutils, and yet a node that runs what is brought along.
no_shell() {
    local bare
    bare=$(pod_template localhost/glibc-only:1)
    apply RayCluster bare "$(head 0 "$bare"), workerGroupSpecs: [$(workers w 1 "$bare")]"
    is_whole bare 1
    # The word count reads zip files with libz; this one needs glibc alone.
    mkdir -p "$work/example"
    cp "$build/bin/examples/mapreduce" "$work/example/"
    reach bare
    submit --working-dir "$work/example" -- ./mapreduce || { cat "$work/out" "$work/err" >&2; fail "a job without a shell"; }
    cmp -s "$work/out" "$tree/coreworker/examples/expected/mapreduce.txt" || { cat "$work/out" >&2; fail "it says something else"; }
    drop bare
}
no_glibc() {
    apply RayCluster musl "$(head 1 "$(pod_template localhost/no-glibc:1)")"
    says() { condition raycluster/musl HeadPodReady message | has 'no glibc'; }
    until_ok 120 says || fail "the condition does not say why: $(condition raycluster/musl HeadPodReady reason): $(condition raycluster/musl HeadPodReady message)"
    say "$(condition raycluster/musl HeadPodReady message)"
    equal "exit status" 126 "$(k get pods -l ray.io/cluster=musl -o json | jq '[.items[0].status.containerStatuses[0] | .state, .lastState | .terminated.exitCode | numbers][0]')"
    drop musl
}

# ---- a certificate that has ended

# expired SECRET: its leaf is replaced by one of the same authority, for the same names, that ended yesterday
expired() {
    local f=$work/expired
    mkdir -p "$f/new"
    k get secret strict-raia-ca -o jsonpath='{.data.ca\.key}' | base64 -d >"$f/ca.key"
    k get secret strict-raia-ca -o jsonpath='{.data.ca\.pem}' | base64 -d >"$f/ca.pem"
    : >"$f/index"
    echo 01 >"$f/serial"
    printf '[ca]\ndefault_ca = a\n[a]\ndatabase = %s/index\nserial = %s/serial\nnew_certs_dir = %s/new\ndefault_md = sha256\npolicy = p\nx509_extensions = x\nunique_subject = no\n[p]\ncommonName = supplied\norganizationName = optional\n[x]\nsubjectAltName = DNS:raia-node,DNS:raia-worker\nextendedKeyUsage = serverAuth,clientAuth\n' "$f" "$f" "$f" >"$f/cnf"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=by-hand/CN=worker" -keyout "$f/node.key" -out "$f/csr" 2>/dev/null
    openssl ca -batch -config "$f/cnf" -cert "$f/ca.pem" -keyfile "$f/ca.key" -in "$f/csr" -out "$f/node.pem" -notext \
        -startdate "$(date -u -d '2 days ago' +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d yesterday +%Y%m%d%H%M%SZ)" 2>"$f/said" || { cat "$f/said" >&2; fail "openssl ca"; }
    change "secret/$1" "{\"data\": {\"node.pem\": \"$(base64 -w0 "$f/node.pem")\", \"node.key\": \"$(base64 -w0 "$f/node.key")\"}}"
}
logs_say() { k logs "$1" -c ray 2>/dev/null | grep -E "$2" >"$work/said"; }
certificate_ends() {
    local good worker
    apply RayCluster strict "$(head 1 "$t"), $w1"
    is_whole strict 1
    good=$(k get secret strict-raia-tls-worker -o json | jq -c '{data: .data}')
    expired strict-raia-tls-worker
    k delete pod "$(pods strict worker)" >/dev/null
    until_ok 60 counts pods ray.io/cluster=strict,ray.io/node-type=worker 1 || fail "no other worker"
    worker=$(pods strict worker)
    until_ok 90 logs_say "$worker" 'certificate.*(expired|has ended|is not valid)|expired' || fail "the worker does not say what is wrong: $(k logs "$worker" -c ray --tail=5)"
    say "the worker: $(tail -n 1 "$work/said")"
    equal "nodes" 1 "$(nodes_alive strict)"
    equal "ready workers" 0 "$(field raycluster/strict .status.readyWorkerReplicas)"
    # It ends with those words, and is started again: once the volume has a good one, which takes a minute or two,
    # it joins.
    change secret/strict-raia-tls-worker "$good"
    until_ok 240 has_alive strict 2 || fail "with a good certificate it does not join"
    drop strict
}

at_end() { [ -z "${has_volume-}" ] || kubectl delete pv "$ns" --wait=false >/dev/null; }

all=(crashes_begins suspends scales upgrades mends head_without_volume head_with_volume fails_at_once no_shell no_glibc certificate_ends crashes)
[ $# -eq 0 ] || all=("$@")
need_cluster
need_raia
steps "${all[@]}"
