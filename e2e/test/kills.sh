#!/bin/bash
# kill -9 of a worker, a raylet, the GCS or a supervisor while the word count runs: the job ends with the
# right counts, every resource is free afterwards, and nothing is left.
#
#   kills.sh BIN [ROUNDS [KIND ...]]      kinds: worker raylet gcs supervisor
. "$(dirname "$0")/lib.sh"
rounds=${2:-4}
shift $(($# < 2 ? $# : 2))
kinds=(${@:-worker raylet gcs supervisor})
# A copy, as packages may be installed meanwhile; counted several times over, so that the job runs long
# enough to be hit.
times=6
cp -a /usr/share/doc "$work/"
folders=()
for ((i = 0; i < times; i++)); do folders+=("$work/doc"); done
"$(dirname "$0")/coreutils-wordcount.sh" "$work/doc" | awk -v n=$times '{ print $1 * n, $2 }' >"$work/expected"

pids_of() { # kind
    case $1 in
    worker) pgrep -f "^$RAIA_STATE_DIR/[^ ]*/code/" ;;
    raylet) pgrep -f "^[^ ]*raia-raylet .*$RAIA_STATE_DIR/" ;;
    gcs) pgrep -f "^[^ ]*raia-gcs .*$RAIA_STATE_DIR/" ;;
    supervisor) pgrep -f "^[^ ]*raia-agent .*$RAIA_STATE_DIR/" ;;
    esac | shuf -n 1
}

all_free() {
    raia status --format json 2>/dev/null | python3 -c '
import json, sys
nodes = [n for n in json.load(sys.stdin)["nodes"] if n["state"] == "ALIVE"]
sys.exit(not (len(nodes) == 3 and all(n["resources_available"] == n["resources_total"] for n in nodes)))'
}

for ((round = 1; round <= rounds; round++)); do
    kind=${kinds[$(((round - 1) % ${#kinds[@]}))]}
    delay=$(awk -v s=$((RANDOM)) 'BEGIN { printf "%.2f", 0.2 + (s % 200) / 100 }')
    rm -f "$work/counts"
    cat >"$work/job.yaml" <<EOF
apiVersion: ray.io/v1
kind: RayJob
metadata: {name: kills}
spec:
  entrypoint: wordcount --output $work/counts ${folders[*]}
  backoffLimit: 3
  rayClusterSpec:
    headGroupSpec:
      rayStartParams: {num-cpus: "1"}
      template: {spec: {containers: [{name: head, image: x}]}}
    workerGroupSpecs:
      - groupName: w
        replicas: 2
        rayStartParams: {num-cpus: "1"}
        template: {spec: {containers: [{name: worker, image: x}]}}
EOF
    raia up -f "$work/job.yaml" >"$work/out" 2>"$work/err" &
    up=$!
    until_ok 60 grep -q submitted "$work/err" || fail "round $round: the job was not submitted: $(cat "$work/err")"
    sleep "$delay"
    victim=$(pids_of "$kind") || true
    [ -n "$victim" ] || fail "round $round: there is no $kind to kill"
    kill -0 $up || fail "round $round: the job ended within $delay s: nothing would be shown"
    kill -9 "$victim"
    wait $up || { tail -5 "$work/err"; fail "round $round: killed a $kind after $delay s: raia up ended with $?"; }
    cmp "$work/counts" "$work/expected" || fail "round $round: killed a $kind after $delay s: wrong counts"
    until_ok 30 all_free || { raia status; fail "round $round: killed a $kind after $delay s: not every resource is free"; }
    raia down >/dev/null 2>&1
    [ -z "$(leftovers)" ] || fail "round $round: left: $(leftovers)"
    echo "round $round: killed $kind $victim after $delay s: ok"
done
