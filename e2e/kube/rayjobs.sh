#!/bin/bash
# RayJobs in every mode, from apply to a result that is right; how they fail, end in time, are suspended and
# resumed; what they leave, and when.
#
#   rayjobs.sh [STEP...]    all of it, or these functions
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=ray.sh
. "$(dirname "$0")/ray.sh"
need_packages jq=jq curl=curl

small=$(head 1 "$(pod_template "$debian")") # one node
# with_workers IMAGE: a head that computes nothing, and two workers
with_workers() { printf '%s' "$(head 0 "$(pod_template "$1")"), workerGroupSpecs: [$(workers w 2 "$(pod_template "$1")")]"; }
# job NAME ENTRYPOINT MEMBERS: a RayJob; its entrypoint is quoted here
job() { apply RayJob "$1" "entrypoint: $(jq -Rn --arg e "$2" '$e'), $3"; }

seconds_of() { # OBJECT PATH: a time of its status, as seconds
    local t
    t=$(field "$1" "$2")
    [ -n "$t" ] || fail "$1 has no $2"
    date -d "$t" +%s
}
# ends NAME DEPLOYMENT-STATUS JOB-STATUS
ends() {
    await 300 "rayjob/$1" "jsonpath={.status.jobDeploymentStatus}=$2"
    equal "jobStatus of $1" "$3" "$(field "rayjob/$1" .status.jobStatus)"
    say "$1: $2 $(($(seconds_of "rayjob/$1" .status.endTime) - $(seconds_of "rayjob/$1" .metadata.creationTimestamp))) s after it was applied"
}
cluster_of() { field "rayjob/$1" .status.rayClusterName; }
# drop NAME: deletes a RayJob, which leaves nothing
drop() {
    k delete rayjob "$1" --timeout=90s >/dev/null || fail "the RayJob $1 does not go"
    leaves_nothing "the deleted RayJob $1"
}

# ---- modes: the word count of real text

k8s_mode() {
    job k8s wordcount "rayClusterSpec: {$(with_workers "$wordcount")}"
    ends k8s Complete SUCCEEDED
    equal "succeeded and failed" "1 0" "$(field rayjob/k8s '.status.succeeded} {.status.failed')"
    k logs job/k8s >"$work/words" || fail "no log of the submitter"
    right_words "$work/words"
    k get "raycluster/$(cluster_of k8s)" >/dev/null || fail "its cluster does not stay"
    drop k8s
}

http_mode() {
    job http wordcount "submissionMode: HTTPMode, rayClusterSpec: {$(with_workers "$wordcount")}"
    ends http Complete SUCCEEDED
    equal "submitters" 0 "$(count jobs)"
    reach "$(cluster_of http)"
    get "/api/jobs/$(field rayjob/http .status.jobId)/logs" | jq -r .logs >"$work/words"
    right_words "$work/words"
    drop http
}

sidecar_mode() {
    job sidecar wordcount "submissionMode: SidecarMode, rayClusterSpec: {$(with_workers "$wordcount")}"
    ends sidecar Complete SUCCEEDED
    equal "submitters" 0 "$(count jobs)"
    local pod
    pod=$(pods "$(cluster_of sidecar)" head)
    equal "exit status of the container" 0 "$(k get pod "$pod" -o 'jsonpath={.status.containerStatuses[?(@.name=="ray-job-submitter")].state.terminated.exitCode}')"
    k logs "$pod" -c ray-job-submitter >"$work/words"
    right_words "$work/words"
    drop sidecar
}

# The user submits, and then says which job it is.
interactive_mode() {
    apply RayJob interactive "submissionMode: InteractiveMode, rayClusterSpec: {$(with_workers "$wordcount")}"
    await 240 rayjob/interactive jsonpath='{.status.jobDeploymentStatus}'=Waiting
    reach "$(cluster_of interactive)"
    submit --submission-id by-hand -- wordcount || { cat "$work/err" >&2; fail "raia job submit"; }
    right_words "$work/out"
    equal "before it knows" Waiting "$(field rayjob/interactive .status.jobDeploymentStatus)"
    change rayjob/interactive '{"spec": {"jobId": "by-hand"}}'
    ends interactive Complete SUCCEEDED
    equal "jobId" by-hand "$(field rayjob/interactive .status.jobId)"
    drop interactive
}

# In a cluster that is there: it stays as it is.
cluster_selector() {
    local before
    apply RayCluster mine "$(with_workers "$wordcount")"
    is_whole mine 2
    before=$(uids mine)
    job selects wordcount "clusterSelector: {ray.io/cluster: mine}, $(submitter "$wordcount")"
    ends selects Complete SUCCEEDED
    equal "its cluster" mine "$(cluster_of selects)"
    k logs job/selects >"$work/words"
    right_words "$work/words"
    job selects-too 'echo over HTTP' "submissionMode: HTTPMode, clusterSelector: {ray.io/cluster: mine}"
    ends selects-too Complete SUCCEEDED
    k delete rayjob selects selects-too --timeout=60s >/dev/null
    equal "RayClusters" 1 "$(count rayclusters)"
    equal "pods of the cluster" "$before" "$(uids mine)"
    reach mine
    equal "jobs that the head knows" 2 "$(get /api/jobs/ | jq length)"
    k delete raycluster mine --timeout=60s >/dev/null
    leaves_nothing "a deleted RayCluster"
}

# ---- failures

# Three attempts, each with a cluster and a submission of its own.
retries() {
    k get rayjobs -w -o 'jsonpath={.metadata.name} {.status.rayClusterName} {.status.jobId}{"\n"}' >"$work/attempts" 2>/dev/null &
    background+=($!)
    # shellcheck disable=SC2016 # the entrypoint's own
    job fails 'echo "$0 has tried"; exit 7' "backoffLimit: 2, $(submitter "$debian"), rayClusterSpec: {$small}"
    ends fails Failed FAILED
    equal "reason" AppFailed "$(field rayjob/fails .status.reason)"
    equal "succeeded and failed" "0 3" "$(field rayjob/fails '.status.succeeded} {.status.failed')"
    equal "clusters, one for each attempt" 3 "$(awk '$1 == "fails" && $2 { print $2 }' "$work/attempts" | sort -u | wc -l)"
    equal "submissions, one for each attempt" 3 "$(awk '$1 == "fails" && $3 { print $3 }' "$work/attempts" | sort -u | wc -l)"
    equal "clusters that are left" "raycluster.ray.io/$(cluster_of fails)" "$(k get rayclusters -o name)"
    equal "exit status of the submitter" 7 "$(k get pods -l job-name=fails -o 'jsonpath={.items[*].status.containerStatuses[0].state.terminated.exitCode}')"
    k logs job/fails | has 'has tried' || fail "the submitter's log is not that of the job"
    field rayjob/fails .status.message >"$work/message"
    grep -q 'exit.* 7' "$work/message" || fail "the message does not say the exit status: $(cat "$work/message")"
    drop fails
}

# The deadline ends it for good, and its Ray job with it.
deadline() {
    local t
    job late 'sleep 3600' "activeDeadlineSeconds: 30, backoffLimit: 3, submissionMode: HTTPMode, rayClusterSpec: {$small}"
    await 120 rayjob/late jsonpath='{.status.jobStatus}'=RUNNING
    reach "$(cluster_of late)"
    await 120 rayjob/late jsonpath='{.status.jobDeploymentStatus}'=Failed
    equal "reason" DeadlineExceeded "$(field rayjob/late .status.reason)"
    equal "attempts" 1 "$(field rayjob/late .status.failed)"
    t=$(($(seconds_of rayjob/late .status.endTime) - $(seconds_of rayjob/late .status.startTime)))
    { [ $t -ge 30 ] && [ $t -le 40 ]; } || fail "a deadline of 30 s came after $t s"
    say "a deadline of 30 s came after $t s"
    stopped() { [ "$(get "/api/jobs/$(field rayjob/late .status.jobId)" | jq -r .status)" = STOPPED ]; }
    until_ok 30 stopped || fail "the Ray job runs on"
    drop late
}

# An invalid one says why, and runs once it is mended.
mended() {
    job invalid 'echo well' "submissionMode: HTTPMode, runtimeEnvYAML: 'env_vars: [', rayClusterSpec: {$small}"
    await 60 rayjob/invalid jsonpath='{.status.jobDeploymentStatus}'=ValidationFailed
    field rayjob/invalid .status.message | has runtimeEnvYAML || fail "the message names no field: $(field rayjob/invalid .status.message)"
    equal "pods" 0 "$(count pods ray.io/cluster)"
    change rayjob/invalid '{"spec": {"runtimeEnvYAML": "env_vars: {}"}}'
    ends invalid Complete SUCCEEDED
    drop invalid
}

# ---- suspended, resumed, deleted while it runs

runs_anew() { # NAME OLD-CLUSTER: it runs, in another cluster
    await 240 "rayjob/$1" jsonpath='{.status.jobStatus}'=RUNNING
    equal "deployment status" Running "$(field "rayjob/$1" .status.jobDeploymentStatus)"
    [ "$(cluster_of "$1")" != "$2" ] || fail "the cluster $2 is used again"
}
suspends() {
    local first since
    job pauses 'echo begun; sleep 3600' "suspend: true, shutdownAfterJobFinishes: true, $(submitter "$debian"), rayClusterSpec: {$small}"
    await 60 rayjob/pauses jsonpath='{.status.jobDeploymentStatus}'=Suspended
    equal "clusters of a job that was not to run" 0 "$(count rayclusters)"
    change rayjob/pauses '{"spec": {"suspend": false}}'
    runs_anew pauses ''
    first=$(cluster_of pauses)
    since=$SECONDS
    change rayjob/pauses '{"spec": {"suspend": true}}'
    await 90 rayjob/pauses jsonpath='{.status.jobDeploymentStatus}'=Suspended
    say "suspended after $((SECONDS - since)) s"
    equal "clusters and submitters" "0 0" "$(count rayclusters) $(count jobs)"
    until_ok 60 counts pods "ray.io/cluster=$first" 0 || fail "pods of a suspended job do not go"
    since=$SECONDS
    change rayjob/pauses '{"spec": {"suspend": false}}'
    runs_anew pauses "$first"
    say "runs again after $((SECONDS - since)) s"
    since=$SECONDS
    drop pauses # while it runs
    say "deleted while it ran: all is gone after $((SECONDS - since)) s"
}

# ---- what is left after the end, and when

# gone_after SECONDS RAYJOB COMMAND...: until the command succeeds, which must not be before that time after its end
gone_after() {
    local ttl=$1 end=$2 t
    shift 2
    until_ok 90 "$@" || fail "$*: not after 90 s"
    t=$(($(date +%s) - end))
    [ $t -ge "$ttl" ] || fail "$*: after $t s, not $ttl"
    say "$*: $t s after the end ($ttl were asked)"
}
no_cluster() { [ "$(count rayclusters)" = 0 ]; }
ttl() {
    local end
    job short 'echo short' "shutdownAfterJobFinishes: true, ttlSecondsAfterFinished: 10, $(submitter "$debian"), rayClusterSpec: {$small}"
    ends short Complete SUCCEEDED
    end=$(seconds_of rayjob/short .status.endTime)
    gone_after 10 "$end" no_cluster
    k logs job/short | has '^short$' || fail "the log of the submitter is gone too"
    equal "status afterwards" Complete "$(field rayjob/short .status.jobDeploymentStatus)"
    drop short
}

no_workers() { [ "$(count pods ray.io/node-type=worker)" = 0 ]; }
no_job() { [ "$(count rayjobs)" = 0 ]; }
rule() { printf '%s' "{policy: $1, condition: {jobStatus: SUCCEEDED, ttlSeconds: $2}}"; }
deletion_rules() {
    local end
    job rules 'echo ruled' "submissionMode: HTTPMode, deletionStrategy: {deletionRules: [$(rule DeleteWorkers 5), $(rule DeleteCluster 20), $(rule DeleteSelf 30)]}, \
rayClusterSpec: {$(head 1 "$(pod_template "$debian")"), workerGroupSpecs: [$(workers w 1 "$(pod_template "$debian")")]}"
    ends rules Complete SUCCEEDED
    end=$(seconds_of rayjob/rules .status.endTime)
    gone_after 5 "$end" no_workers
    equal "heads" 1 "$(count pods ray.io/node-type=head)"
    gone_after 20 "$end" no_cluster
    equal "RayJobs" 1 "$(count rayjobs)"
    gone_after 30 "$end" no_job
    leaves_nothing "a RayJob with rules"
}

all=(k8s_mode http_mode sidecar_mode interactive_mode cluster_selector retries deadline mended suspends ttl deletion_rules)
[ $# -eq 0 ] || all=("$@")
need_cluster
need_raia
need_wordcount
steps "${all[@]}"
