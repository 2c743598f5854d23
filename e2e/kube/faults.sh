#!/bin/bash
# Faults, with measured times: pods, operator, kubelet and node killed, etcd and the API server restarted, etcd
# compacted under watches, a fault proxy before the API server; while RayJobs run and RayClusters are scaled.
# Every RayJob ends, and rightly (its counts are those of coreutils); clusters come back; no pod is made twice;
# what is deleted is gone. Ends with a table. Needs a cluster of this machine, of two nodes, for itself.
#
#   faults.sh            all
#   faults.sh STEP...    these (see the end of this file)
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_packages jq=jq curl=curl
bin=${RAIA_BIN:-$tree/build/bin}
cluster=$tree/e2e/cluster
folder=$work/proxy
table=$work/table
operator_pid=

# ---- time, and what it is told in

now() { echo $(($(date +%s%N) / 1000000)); }
# row WHAT MEASURED T0: T0 in ms; the time is until now.
row() {
    local ms=$(($(now) - $3))
    printf '| %s | %s | %d.%d s |\n' "$1" "$2" $((ms / 1000)) $((ms % 1000 / 100)) >>"$table"
    say "$1: $2: $ms ms"
}

# ---- what is applied

# pod_of NUM-CPUS [POD-SPEC-LINE]: headGroupSpec's or a worker group's inside.
pod_of() {
    cat <<T
      rayStartParams: {num-cpus: "$1"}
      template:
        spec:
          terminationGracePeriodSeconds: 5${2:+
          $2}
          containers:
          - name: ray
            image: raia/raia:latest
            resources: {requests: {cpu: 20m, memory: 64Mi}, limits: {memory: 512Mi}}
T
}
# cluster_spec WORKERS [HEAD-POD-LINE [WORKER-POD-LINE [SPEC-LINE]]]
cluster_spec() {
    cat <<T
    ${4-}
    headGroupSpec:
$(pod_of $(($1 > 0 ? 0 : 1)) "${2-}")
T
    [ "$1" -gt 0 ] || return 0
    cat <<T
    workerGroupSpecs:
    - groupName: w
      replicas: $1
      maxReplicas: 9
$(pod_of 1 "${3-}")
T
}
raycluster() { # NAME WORKERS ...
    local name=$1
    shift
    {
        printf '%s\n' 'apiVersion: ray.io/v1' 'kind: RayCluster' "metadata: {name: $name}" spec:
        cluster_spec "$@"
    } | k apply -f - >/dev/null || fail "RayCluster $name"
}
# rayjob NAME BACKOFF ROUNDS WORKERS ...: counts a little ROUNDS times, or until it is told to end, then all of the
# image's text; it fails if those counts are not the right ones.
rayjob() {
    local name=$1 backoff=$2 loop="for i in \$(seq $3)"
    [ "$3" != until-told ] || loop='until [ -e /tmp/told ]'
    shift 3
    {
        cat <<T
apiVersion: ray.io/v1
kind: RayJob
metadata:
  name: $name
spec:
  backoffLimit: $backoff
  submissionMode: ${mode:-K8sJobMode}
  entrypoint: $loop; do wordcount /usr/share/common-licenses >/dev/null || exit 3; sleep 0.5; done; wordcount --output /tmp/counts >/dev/null && echo "$sum  /tmp/counts" | md5sum -c
${submitter:+  submitterPodTemplate: $submitter
}  rayClusterSpec:
T
        cluster_spec "$@"
    } | k apply -f - >/dev/null || fail "RayJob $name"
}
told() { k exec "$(pod "$(cluster_of "$1")" head)" -c ray -- touch /tmp/told; }
replicas() { k patch raycluster "$1" --type=json -p "[{\"op\": \"replace\", \"path\": \"/spec/workerGroupSpecs/0/replicas\", \"value\": $2}]" >/dev/null; }

# ---- what is seen

# Every pod that ever was, by uid: kept by a watch of its own, past the API server's restarts.
see_pods() {
    : >"$work/pods"
    while [ -d "$work" ]; do
        kubectl -n "$ns" get pods -w --no-headers -o 'custom-columns=U:.metadata.uid,N:.metadata.name,C:.metadata.labels.ray\.io/cluster,T:.metadata.labels.ray\.io/node-type' 2>/dev/null >>"$work/pods" || true
        sleep 0.2
    done
}
# made CLUSTER: how many pods were ever made for it; so no two of this test have the same name.
made() { awk -v c="$1" '$3 == c && !seen[$1]++ { n++ } END { print n + 0 }' "$work/pods"; }
is_made() { [ "$(made "$1")" = "$2" ]; }

cluster_of() { field "rayjob/$1" .status.rayClusterName; }
is() { [ "$(field "$1" "$2" 2>/dev/null)" = "$3" ]; } # OBJECT FIELD VALUE
# ready NAME WORKERS: as told, and as is.
ready() {
    k get raycluster "$1" -o json 2>/dev/null | jq -e --argjson n "$2" '.metadata.generation as $g | .status |
        .state == "ready" and .observedGeneration == $g and (.readyWorkerReplicas // 0) == $n' && counts_ready "$1" $((1 + $2))
}
not_ready() { ! ready "$@"; }
counts_ready() {
    [ "$(k get pods -l "ray.io/cluster=$1" -o json | jq '[.items[] | select(.metadata.deletionTimestamp == null) | select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))] | length')" = "$2" ] &&
        counts pods "ray.io/cluster=$1" "$2"
}
is_ready() { until_ok "$3" ready "$1" "$2" || fail "RayCluster $1 is not ready with $2 workers after $3 s: $(k get raycluster "$1" -o json | jq -c .status) $(k get pods -o wide)"; }
# It runs, or has run, in another cluster than that.
runs_anew() { [ "$(cluster_of "$1")" != "$2" ] && { runs "$1" || ended "$1"; }; }
runs() { is "rayjob/$1" .status.jobStatus RUNNING; }
is_running() { local j; for j; do until_ok 120 runs "$j" || fail "RayJob $j does not run: $(k get rayjob "$j" -o json | jq -c .status)"; done; }

# completed SECONDS NAME [FAILED-ATTEMPTS]: Complete, with the right counts.
completed() {
    local name=$2
    until_ok "$1" ended "$name" || fail "RayJob $name has not ended after $1 s: $(k get rayjob "$name" -o json | jq -c .status)"
    equal "RayJob $name" "Complete SUCCEEDED ${3:-0}" "$(result "$name")"
    [ -z "$(k get "job/$name" -o name 2>/dev/null)" ] || until_ok 20 counted "$name" ||
        fail "RayJob $name: its log: $(k logs "job/$name" 2>&1 | tail -n 3)"
}
result() { k get rayjob "$1" -o json | jq -r '.status | "\(.jobDeploymentStatus) \(.jobStatus) \(.failed // 0)"'; }
ended() { is "rayjob/$1" .status.jobDeploymentStatus Complete || is "rayjob/$1" .status.jobDeploymentStatus Failed; }
counted() { k logs "job/$1" 2>/dev/null | has "^/tmp/counts: OK"; }

# The operator's own pod, service and release apart.
nothing() { ! k get pods,services,secrets,jobs,rayclusters,rayjobs -o name | has -v 'raia-operator\|helm.release'; }
# gone OBJECT...: deleted, and with them all that was made.
gone() {
    k delete "$@" --wait=false >/dev/null
    until_ok 90 nothing || fail "after the delete of $*: $(k get pods,services,secrets,jobs,rayclusters,rayjobs -o name)"
}

# ---- where pods are

pod() { k get pods -l "ray.io/cluster=$1,ray.io/node-type=$2" -o 'jsonpath={.items[0].metadata.name}'; }
# kill_inside POD: SIGKILL to all processes of its containers; the sandbox stays.
kill_inside() {
    local uid pid
    uid=$(field "pod/$1" .metadata.uid)
    find /sys/fs/cgroup/pids -path "*pod$uid*" -name cgroup.procs -exec cat {} + 2>/dev/null | while read -r pid; do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = pause ] || kill -KILL "$pid" 2>/dev/null || true
    done
}
force() { k delete pod "$1" --grace-period=0 --force >/dev/null 2>&1; }

# ---- operators

operator_pods() { k scale deployment/raia-operator --replicas="$1" >/dev/null; }
operator_ready() { k rollout status deployment/raia-operator --timeout=120s >/dev/null || fail "the operator is not ready after 120 s"; }
none_of_the_operator() { [ -z "$(k get pods -l app.kubernetes.io/name=raia-operator -o name; k get pods -o name | grep pod/raia-operator)" ]; }
# operator_here KUBECONFIG FLAG...: one on this machine, in place of the pod, and with no more rights.
operator_here() {
    local config=$work/operator.kubeconfig
    cp "$1" "$config"
    shift
    kubectl --kubeconfig="$config" config set-credentials operator --token="$(k create token raia-operator --duration=4h)" >/dev/null
    kubectl --kubeconfig="$config" config set-context --current --user=operator >/dev/null
    "$bin/raia-operator" --kubeconfig="$config" --watch-namespace="$ns" --enable-leader-election=false --use-kubernetes-proxy=true \
        --health-probe-bind-address=0 --metrics-addr=127.0.0.1:0 --raia-image=raia.io/raia:dev "$@" >>"$work/operator.log" 2>&1 &
    operator_pid=$!
    background+=("$operator_pid")
}
operator_dead() { ! kill -0 "$operator_pid"; }
operator_away() {
    kill -TERM "$operator_pid" 2>/dev/null || true
    wait "$operator_pid" 2>/dev/null || true
}
in_place_of_the_pod() {
    operator_pods 0
    until_ok 60 none_of_the_operator || fail "the operator's pod stays"
    "$@"
    operator_pods 1
    operator_ready
}

# ---- faults

worker_killed() {
    local c t0
    rayjob worker 0 25 2
    is_running worker
    c=$(cluster_of worker)
    is_ready "$c" 2 60
    t0=$(now)
    force "$(pod "$c" worker)"
    until_ok 60 is_made "$c" 4 && row "worker pod killed (deleted by force)" "another one is made" "$t0"
    is_ready "$c" 2 90
    row "worker pod killed (deleted by force)" "the cluster is \`ready\` again with all workers" "$t0"
    t0=$(now)
    kill_inside "$(pod "$c" worker)"
    until_ok 20 not_ready "$c" 2 || true
    is_ready "$c" 2 90
    row "worker's processes killed (SIGKILL)" "its container restarts, \`ready\`" "$t0"
    completed 180 worker
    equal "pods ever made" 4 "$(made "$c")"
    gone rayjob/worker
}

head_killed() {
    local t0 a b
    rayjob once 0 90 0
    rayjob again 1 20 0
    is_running once again
    a=$(cluster_of once) b=$(cluster_of again)
    t0=$(now)
    force "$(pod "$a" head)"
    force "$(pod "$b" head)"
    until_ok 120 ended once || fail "a RayJob whose head was lost does not end"
    equal "a RayJob whose head was lost" "Failed AppFailed" "$(field rayjob/once '.status.jobDeploymentStatus') $(field rayjob/once .status.reason)"
    row "head pod killed, no volume" "the RayJob without retries is \`Failed\` (AppFailed)" "$t0"
    until_ok 120 runs_anew again "$b" || fail "no second attempt: $(k get rayjob again -o json | jq -c .status)"
    row "head pod killed, no volume" "a RayJob with a retry runs again, in a new cluster" "$t0"
    completed 180 again 1
    gone rayjob/once rayjob/again
}

# A volume of this machine, which outlives pods and is reached from every node.
volume() {
    mkdir -p "$work/volume"
    chmod 711 "$work"
    chmod 777 "$work/volume"
    volume=$ns
    kubectl apply -f - >/dev/null <<T
apiVersion: v1
kind: PersistentVolume
metadata: {name: $ns}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: $ns
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: $work/volume}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: tables, namespace: $ns}
spec: {accessModes: [ReadWriteOnce], storageClassName: $ns, resources: {requests: {storage: 1Gi}}}
T
}
api() { curl -s -m 20 -H "Authorization: Bearer $token" -H 'Content-Type: application/json' "http://$(field "pod/$(pod kept head)" .status.podIP):8265$1" "${@:2}"; }
job_is() { [ "$(api "/api/jobs/$1" | jq -r .status)" = "$2" ]; }
alive() { [ "$(api '/api/v0/nodes?detail=1' | jq '[.data.result.result[]? | select(.state == "ALIVE")] | length')" = "$1" ]; }
submit() { RAY_AUTH_TOKEN=$token timeout 90 "$bin/raia" job submit --address "http://$(field "pod/$(pod kept head)" .status.podIP):8265" "$@" >"$work/out" 2>"$work/err"; }
# count_on: the next count of a detached actor, which holds it in its memory, by a job.
count_on() {
    submit --working-dir "$work/detached" -- ./e2e_detached keeper || { cat "$work/out" "$work/err" >&2; fail "the job that lets the actor count"; }
    grep "^keeper " "$work/out"
}
volume_kept() {
    local t0 before
    volume
    mkdir -p "$work/detached"
    cp "$bin/../test/e2e_detached" "$work/detached/"
    raycluster kept 2 "" "" 'gcsFaultToleranceOptions: {backend: rocksdb, storage: {claimName: tables}}'
    is_ready kept 2 120
    token=$(k get secret kept -o jsonpath='{.data.auth_token}' | base64 -d)
    api /api/jobs/ -d '{"submission_id": "before", "entrypoint": "wordcount --output /tmp/counts >/dev/null"}' >/dev/null
    until_ok 90 job_is before SUCCEEDED || fail "a job before the head's end: $(api /api/jobs/before)"
    api /api/jobs/ -d '{"submission_id": "during", "entrypoint": "sleep 600"}' >/dev/null
    until_ok 60 job_is during RUNNING || fail "a job that runs at the head's end"
    equal "a detached actor" "keeper 1 0" "$(count_on)"
    before=$(pod kept worker)
    t0=$(now)
    force "$(pod kept head)"
    until_ok 60 is_made kept 4 || fail "no other head"
    until_ok 90 job_is before SUCCEEDED || fail "the tables are lost: $(api /api/jobs/before)"
    row "head pod killed, with a volume" "a new head answers with the old tables" "$t0"
    until_ok 90 alive 3 || fail "the workers do not come back"
    is_ready kept 2 90
    row "head pod killed, with a volume" "its workers are back, \`ready\`" "$t0"
    equal "the detached actor goes on" "keeper 2 0" "$(count_on)"
    row "head pod killed, with a volume" "a detached actor goes on counting for a new job" "$t0"
    until_ok 60 job_is during FAILED || fail "the job that ran on the head: $(api /api/jobs/during)"
    equal "the worker's pod" "$before 0" "$(pod kept worker) $(field "pod/$(pod kept worker)" '.status.containerStatuses[0].restartCount')"
    api /api/jobs/ -d '{"submission_id": "after", "entrypoint": "wordcount --output /tmp/counts >/dev/null"}' >/dev/null
    until_ok 90 job_is after SUCCEEDED || fail "a job after: $(api /api/jobs/after)"
    gone raycluster/kept
    [ "$(count pvc)" = 1 ] || fail "the user's own claim is gone"
    k delete pvc tables >/dev/null
}

# Jobs in several states when it dies; one is applied while there is none, one cluster is scaled.
operator_killed() {
    local t0 old j
    raycluster scaled 1
    rayjob early 0 25 1
    is_running early
    is_ready scaled 1 60
    rayjob middle 0 15 0
    old=$(k get pods -o name | grep pod/raia-operator)
    t0=$(now)
    force "${old#pod/}"
    replicas scaled 2
    rayjob late 0 2 0
    is_ready scaled 2 120
    row "operator pod killed (deleted by force)" "a change made meanwhile is carried out (its Lease ran out first)" "$t0"
    t0=$(now)
    kill_inside "$(k get pods -o name | grep pod/raia-operator | cut -d/ -f2)"
    replicas scaled 1
    is_ready scaled 1 120
    row "operator's process killed (SIGKILL)" "a change made meanwhile is carried out" "$t0"
    for j in early middle late; do completed 180 $j; done
    equal "pods ever made" "3 2 1 1" "$(made scaled) $(made "$(cluster_of early)") $(made "$(cluster_of middle)") $(made "$(cluster_of late)")"
    gone rayjob/early rayjob/middle rayjob/late raycluster/scaled
}

# Dead after its K-th write, for five K along the way of a RayJob: its own cluster, submitter, end.
operator_dies_between_writes() {
    local w name status t0
    for w in 2 5 9 13 25; do
        name=after-$w
        operator_here "$KUBECONFIG" "--fault=operator.write.answered=crash,after=$((w - 1))"
        rayjob "$name" 0 1 1
        status=0
        until_ok 90 operator_dead || fail "the operator makes fewer than $w writes: $(k get rayjob "$name" -o json | jq -c .status)"
        wait "$operator_pid" || status=$?
        equal "exit status at the write number $w" 86 "$status"
        t0=$(now)
        say "$(k get rayjob "$name" -o json | jq -r '"it is \(.status.jobDeploymentStatus // "new"), and there is:"') $(k get pods,services,secrets,jobs,rayclusters -o name |
            sed 's/\..*\//\//; /raia-operator/d; /helm/d' | tr '\n' ' ')"
        operator_here "$KUBECONFIG"
        completed 180 "$name"
        row "operator dies after its write number $w" "started again: the RayJob is \`Complete\`" "$t0"
        equal "pods ever made" 2 "$(made "$(cluster_of "$name")")"
        equal "RayClusters" 1 "$(count rayclusters)"
        equal "submitters" 1 "$(count jobs)"
        equal "Secrets of it" "$(k get secrets -o name | grep -c "$(cluster_of "$name")")" "$(k get secrets -o name | grep -vc helm)"
        gone "rayjob/$name"
        operator_away
    done
}

kubelet_killed() {
    local t0 p
    rayjob through 0 12 1
    is_running through
    p=$(pod "$(cluster_of through)" worker)
    t0=$(now)
    "$cluster/node" kill "$(field "pod/$p" .spec.nodeName | tr -dc 0-9)" kubelet
    until_ok 60 k exec "$p" -- true || fail "no exec after 60 s"
    row "kubelet killed" "it is back: exec works; no pod restarts" "$t0"
    completed 180 through
    equal "restarts" "0 0" "$(k get pods -l "ray.io/cluster=$(cluster_of through)" -o 'jsonpath={.items[*].status.containerStatuses[0].restartCount}')"
    equal "pods ever made" 2 "$(made "$(cluster_of through)")"
    gone rayjob/through
}

on() { echo "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, preference: {matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node$1]}]}}]}}"; }
node_is() { [ "$(kubectl get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = "$2" ]; }
on_node1() { ! k get pods -l "ray.io/cluster=$1" -o 'jsonpath={.items[*].spec.nodeName}' | has node2; }
# The machine reaches services through node 1, so it is node 2 that loses power.
node_killed() {
    local t0 t1
    raycluster spread 2 "$(on 1)" "$(on 2)"
    rayjob headless 1 40 0 "$(on 2)"
    mode=HTTPMode rayjob workless 0 80 1 "$(on 1)" "$(on 2)"
    is_running headless workless
    is_ready spread 2 90
    equal "nodes of the worker, the head" "node2 node2" "$(field "pod/$(pod spread worker)" .spec.nodeName) $(field "pod/$(pod "$(cluster_of headless)" head)" .spec.nodeName)"
    t0=$(now)
    "$cluster/node" kill 2
    until_ok 90 node_is node2 Unknown || fail "node 2 is not NotReady"
    t1=$(now)
    row "node killed (power cut)" "it is NotReady" "$t0"
    until_ok 90 is_made spread 5 || fail "no replacements: $(k get pods -o wide)"
    row "node killed (power cut)" "its pods are replaced, after NotReady" "$t1"
    is_ready spread 2 90
    on_node1 spread || fail "pods on a dead node"
    row "node killed (power cut)" "the cluster is \`ready\` on the other node" "$t0"
    completed 300 headless 1
    row "node killed (power cut)" "a RayJob whose head was there is \`Complete\`, by its retry" "$t0"
    completed 300 workless
    row "node killed (power cut)" "a RayJob whose worker was there is \`Complete\`, without a retry" "$t0"
    t0=$(now)
    "$cluster/node" start 2
    "$cluster/node" ready 2
    row "the node boots again" "Ready" "$t0"
    is_ready spread 2 60
    equal "pods ever made" 5 "$(made spread)"
    gone raycluster/spread rayjob/headless rayjob/workless
}

# rayjob_apart NAME WORKERS: runs until it is told to end; its cluster is on node 1, its submitter on node 2.
rayjob_apart() {
    local submitter
    submitter="{spec: {restartPolicy: Never, $(on 2), containers: [{name: submit, image: raia/raia:latest, resources: {requests: {cpu: 20m, memory: 32Mi}}}]}}"
    rayjob "$1" 0 until-told "$2" "$(on 1)" "$(on 1)"
}
nodes_of() { k get pods -l "$1" -o 'jsonpath={.items[*].spec.nodeName}'; }
is_apart() { # NAME
    equal "nodes of the submitter of $1" node2 "$(nodes_of "job-name=$1")"
    on_node1 "$(cluster_of "$1")" || fail "the cluster of $1 is not on node 1 alone"
}
another() { # OBJECT UID
    local uid
    uid=$(field "$1" .metadata.uid) && [ -n "$uid" ] && [ "$uid" != "$2" ]
}
# submits_on NAME NODES: a submitter of it runs on one of these (a pattern).
submits_on() { k get pods -l "job-name=$1" -o 'jsonpath={range .items[*]}{.spec.nodeName} {.status.phase}{"\n"}{end}' | has -x "$2 Running"; }
# submitters NAME: how many of its pods were ever made.
submitters() { awk -v n="^$1-[a-z0-9]+\$" '$2 ~ n && $3 == "<none>" && !seen[$1]++ { n_made++ } END { print n_made + 0 }' "$work/pods"; }
has_submitters() { [ "$(submitters "$1")" = "$2" ]; }
# about SECONDS T0: so long ago, and not much longer.
about() {
    local ms=$(($(now) - $2))
    { [ $ms -ge $(($1 * 1000 - 2000)) ] && [ $ms -lt $(($1 * 1000 + 15000)) ]; } || fail "after $ms ms, not $1 s"
}
# Only submitters are on the node that is lost; the Ray jobs go on. The one that ends right then is known to have
# ended by its head alone, and its log to nobody; the other one is followed by another submitter.
submitter_node_killed() {
    local t0 t1 c id job watch
    rayjob_apart followed 1
    rayjob_apart unheard 0
    is_running followed unheard
    c=$(cluster_of followed) id=$(field rayjob/followed .status.jobId) job=$(field job/followed .metadata.uid)
    is_ready "$c" 1 60
    is_apart followed
    is_apart unheard
    t0=$(now)
    "$cluster/node" kill 2
    { until_ok 90 node_is node2 Unknown && now >"$work/not-ready"; } &
    watch=$!
    told unheard
    until_ok 40 is rayjob/unheard .status.jobStatus SUCCEEDED || fail "a Ray job's end without its submitter: $(k get rayjob unheard -o json | jq -c .status)"
    row "node of submitters killed (power cut)" "\`jobStatus\` of a Ray job that ends right then (its work included)" "$t0"
    wait "$watch" || fail "node 2 is not NotReady"
    t1=$(<"$work/not-ready")
    equal "after NotReady" "Running SUCCEEDED 0, Running RUNNING 0" "$(result unheard), $(result followed)"
    until_ok 60 ended unheard || fail "a RayJob waits for a submitter that is lost: $(k get rayjob unheard -o json | jq -c .status)"
    about 30 "$t1"
    row "node of submitters killed (power cut)" "that RayJob is \`Complete\`, after NotReady" "$t1"
    equal "RayJob unheard" "Complete SUCCEEDED 0" "$(result unheard)"
    until_ok 15 another job/followed "$job" || fail "the Job of a submitter that is lost stays"
    until_ok 60 submits_on followed node1 || fail "no other submitter: $(k get pods -o wide)"
    row "node of submitters killed (power cut)" "another submitter follows the Ray job that goes on, after NotReady" "$t1"
    equal "RayJob followed" "Running RUNNING 0" "$(result followed)"
    told followed
    completed 120 followed
    k logs job/followed >"$work/submitter" 2>&1 || fail "no log of the second submitter"
    grep -q 'is there already' "$work/submitter" || fail "the second submitter did not find the Ray job: $(tail -n 3 "$work/submitter")"
    equal "cluster and submission" "$c $id" "$(field rayjob/followed '.status.rayClusterName} {.status.jobId')"
    k exec "$(pod "$(cluster_of unheard)" head)" -c ray -- sh -c "echo '$sum  /tmp/counts' | md5sum -c" >/dev/null || fail "the counts of unheard"
    equal "submitters ever made" "2 1" "$(submitters followed) $(submitters unheard)"
    t0=$(now)
    "$cluster/node" start 2
    "$cluster/node" ready 2
    until_ok 60 counts pods job-name=followed 1 || fail "the submitter that was lost stays: $(k get pods -o wide)"
    # How the other one's container ended nobody knows: its Job's next pod asks the head.
    until_ok 90 is job/unheard '.status.conditions[?(@.type=="Complete")].status' True || fail "the Job of unheard: $(k get job unheard -o json | jq -c .status)"
    row "the node boots again" "a submitter that was there has another pod, and ends as its Ray job did" "$t0"
    equal "RayJobs" "Complete SUCCEEDED 0, Complete SUCCEEDED 0" "$(result unheard), $(result followed)"
    equal "pods ever made" "2 1" "$(made "$c") $(made "$(cluster_of unheard)")"
    gone rayjob/followed rayjob/unheard
}
# It boots again before anybody has missed it; nobody knows how the submitter's container ended.
submitter_node_rebooted() {
    local t0 job
    rayjob_apart rebooted 0
    is_running rebooted
    is_apart rebooted
    job=$(field job/rebooted .metadata.uid)
    t0=$(now)
    "$cluster/node" kill 2
    "$cluster/node" start 2
    "$cluster/node" ready 2
    until_ok 90 has_submitters rebooted 2 || fail "no other submitter: $(k get pods -o wide) $(k get rayjob rebooted -o json | jq -c .status)"
    until_ok 60 submits_on rebooted 'node[12]' || fail "no other submitter runs: $(k get pods -o wide)"
    row "node of a submitter boots again within seconds" "another submitter follows the Ray job" "$t0"
    equal "RayJob rebooted" "Running RUNNING 0" "$(result rebooted)"
    told rebooted
    until_ok 120 ended rebooted || fail "RayJob rebooted has not ended: $(k get rayjob rebooted -o json | jq -c .status)"
    equal "RayJob rebooted" "Complete SUCCEEDED 0" "$(result rebooted)"
    equal "Job of rebooted" "$job True" "$(field job/rebooted '.metadata.uid} {.status.conditions[?(@.type=="Complete")].status')"
    k logs "$(k get pods -l job-name=rebooted --field-selector=status.phase=Succeeded -o name)" >"$work/submitter" || fail "no log of the second submitter"
    grep -q '^/tmp/counts: OK' "$work/submitter" || fail "its log: $(tail -n 3 "$work/submitter")"
    equal "pods ever made, submitters" "1 2" "$(made "$(cluster_of rebooted)") $(submitters rebooted)"
    gone rayjob/rebooted
}

answers() { kubectl --request-timeout=3s get --raw /readyz; }
revision() { curl -s http://"$(control_ip)":2379/v3/kv/range -d '{"key": "AA=="}' | jq -r .header.revision; }
control_ip() { tr '\0' ' ' <"/proc/$(head -n 1 "/sys/fs/cgroup/pids/$(basename "$state")/etcd/cgroup.procs")/cmdline" | sed 's|.*--listen-client-urls http://\([0-9.]*\):.*|\1|'; }
control_plane_restarted() {
    local t0 program
    raycluster regrown 1
    rayjob through 0 35 1
    is_running through
    is_ready regrown 1 60
    t0=$(now)
    for program in etcd kube-apiserver; do "$cluster/control-plane" kill $program; done
    sleep 3
    NODES=2 "$cluster/up" >/dev/null 2>&1
    until_ok 60 answers || fail "the API server does not come back"
    row "etcd and API server killed, started after 3 s" "the API server answers" "$t0"
    replicas regrown 2
    is_ready regrown 2 120
    row "etcd and API server killed, started after 3 s" "a change made right then is carried out" "$t0"
    rayjob after 0 2 0
    completed 240 through
    completed 180 after
    equal "pods ever made" "3 2 1" "$(made regrown) $(made "$(cluster_of through)") $(made "$(cluster_of after)")"
    gone raycluster/regrown rayjob/through rayjob/after
}
# What the operator's watches had seen last is compacted away while it cannot reach the API server, and things
# have changed meanwhile: they are answered 410, and what was missed is found by a list.
compacted() {
    local t0 now_at
    operator_here "$folder/kubeconfig"
    raycluster resized 1
    raycluster doomed 1
    rayjob through 0 60 0
    is_running through
    is_ready resized 1 90
    is_ready doomed 1 90
    rules '[{"fault": "drop"}]'
    "$tree/e2e/kube/proxy" cut "$folder" >/dev/null
    replicas resized 2
    k delete raycluster doomed --wait=false >/dev/null
    force "$(pod resized worker)"
    rayjob unseen 0 2 0
    now_at=$(revision)
    curl -sf "http://$(control_ip):2379/v3/kv/compaction" -d "{\"revision\": \"$now_at\", \"physical\": true}" >/dev/null || fail "etcd does not compact"
    "$cluster/control-plane" stop kube-apiserver
    NODES=2 "$cluster/up" >/dev/null 2>&1
    until_ok 60 answers || fail "the API server does not come back"
    t0=$(now)
    rules '[]'
    is_ready resized 2 120
    row "etcd compacted while the operator was cut off (410)" "all that was missed is carried out" "$t0"
    completed 180 through
    completed 180 unseen
    equal "pods ever made" "4 1" "$(made resized) $(made "$(cluster_of unseen)")"
    [ "$(did 410)" -ge 1 ] || fail "no watch was answered 410"
    gone raycluster/resized rayjob/through rayjob/unseen
    operator_away
}

rules() { "$tree/e2e/kube/proxy" rules "$folder" "$1" >/dev/null || fail "rules $1"; }
did() { "$tree/e2e/kube/proxy" stats "$folder" | jq -r ".\"$1\" // 0"; }
proxied() {
    local t0 i w
    rules '[{"fault": "cut", "watch": true, "share": 0.4, "seconds": 3, "seed": 11}, {"fault": "gone", "watch": true, "share": 0.2, "seconds": 5},
            {"fault": "cut", "watch": true, "share": 0.3, "bytes": 3000}, {"fault": "latency", "watch": true, "delay": [0.5, 2]},
            {"fault": "status", "code": 429, "retry_after": 1, "share": 0.08}, {"fault": "status", "code": 503, "share": 0.06},
            {"fault": "status", "code": 500, "share": 0.06}, {"fault": "status", "code": 504, "share": 0.04}, {"fault": "lose", "share": 0.06},
            {"fault": "drop", "share": 0.06}, {"fault": "latency", "share": 0.4, "delay": [0.05, 1]}]'
    operator_here "$folder/kubeconfig"
    t0=$(now)
    for i in 1 2 3; do
        raycluster "c$i" 1
        rayjob "j$i" 0 3 $((i % 2))
    done
    for i in 1 2 3; do is_ready "c$i" 1 240; done
    row "fault proxy: 429, 5xx, lost requests and answers, latency, cut watches, 410" "three RayClusters, made beside three RayJobs, are \`ready\`" "$t0"
    for w in 3 0 2; do
        t0=$(now)
        "$tree/e2e/kube/proxy" cut "$folder" >/dev/null
        for i in 1 2 3; do replicas "c$i" $w; done
        for i in 1 2 3; do is_ready "c$i" $w 240; done
        row "the same" "three RayClusters scaled to $w workers" "$t0"
    done
    for i in 1 2 3; do
        completed 240 "j$i"
        equal "pods ever made for j$i" $((1 + i % 2)) "$(made "$(cluster_of "j$i")")"
        equal "pods ever made for c$i" 6 "$(made "c$i")"
    done
    k delete rayjobs,rayclusters --all --wait=false >/dev/null
    until_ok 240 nothing || fail "left behind the fault proxy: $(k get pods,services,secrets,jobs,rayclusters,rayjobs -o name)"
    say "what the proxy did: $("$tree/e2e/kube/proxy" stats "$folder")"
    for w in cut gone status lose drop latency; do [ "$(did $w)" -ge 3 ] || fail "the proxy did not $w three times"; done
    rules '[]'
    operator_away
}
struck_twice() { [ "$(did half-open)" = 2 ]; }
# A watch that says nothing any more and stays open: bookmarks come each minute, so 150 s of silence are its end.
half_open() {
    local t0
    rules '[{"fault": "half-open", "watch": true, "path": "/(rayclusters|pods)[?]", "seconds": 8, "count": 2}]'
    operator_here "$folder/kubeconfig"
    raycluster silent 1
    is_ready silent 1 60
    until_ok 30 struck_twice || fail "no watch was struck"
    sleep 9
    t0=$(now)
    replicas silent 2
    is_ready silent 2 400
    row "half-open watches of RayClusters and pods" "a change made meanwhile is carried out" "$t0"
    equal "pods ever made" 3 "$(made silent)"
    gone raycluster/silent
    rules '[]'
    operator_away
}
behind_the_proxy() {
    "$tree/e2e/kube/proxy" run "$folder" >"$work/proxy.log" 2>&1 &
    background+=($!)
    until_ok 30 test -s "$folder/address" || { cat "$work/proxy.log" >&2; fail "the proxy does not start"; }
    compacted
    proxied
    half_open
}

at_end() {
    [ -z "${volume-}" ] || kubectl delete pv "$volume" --wait=false >/dev/null 2>&1
    [ ! -s "$table" ] || { echo; echo "| fault | until | after |"; echo "|---|---|---|"; cat "$table"; }
}

# step WORDS COMMAND
step() { say "$1"; shift; "$@"; }
need_cluster
[ "$KUBECONFIG" = "$state/kubeconfig" ] || fail "needs a cluster of this machine (make cluster-up), without KUBECONFIG"
[ -d "$state/node2" ] || fail "needs two nodes (NODES=2 make cluster-up)"
step "the image of Raia" "$tree/e2e/kube/image.sh"
sum=$(md5sum <"$("$tree/e2e/kube/program.sh" "$bin" docker.io/raia/raia:latest)/expected" | cut -d' ' -f1)
need_namespace
need_crds
install_chart raia raia-operator --set image.tag=dev --set singleNamespaceInstall=true,useKubernetesProxy=true --set nodeSelector.kubernetes\\.io/hostname=node1 >/dev/null
operator_ready
see_pods &
background+=($!)
steps=(worker_killed head_killed volume_kept operator_killed kubelet_killed node_killed submitter_node_killed
    submitter_node_rebooted control_plane_restarted
    "in_place_of_the_pod operator_dies_between_writes" "in_place_of_the_pod behind_the_proxy")
[ $# -eq 0 ] || steps=("$@")
for s in "${steps[@]}"; do
    # shellcheck disable=SC2086 # words
    step "${s//_/ }" $s
done
