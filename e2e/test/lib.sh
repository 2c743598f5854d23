# Shared by the end-to-end tests: a state folder of the test's own, and an end that leaves nothing.
# Source it with $1 = the folder of the programs.
set -euo pipefail
export LC_ALL=C
bin=$1
export PATH=$bin:$PATH
work=$(mktemp -d /tmp/raia-e2e-XXXXXX)
export RAIA_STATE_DIR=$work/state

finish() {
    local status=$?
    [ $status -eq 0 ] || show_logs || true # whatever it says, the cluster goes down
    raia down --all >/dev/null 2>&1 || true
    rm -rf "$work"
    exit $status
}
trap finish EXIT

show_logs() {
    local f
    for f in $(find "$RAIA_STATE_DIR" -name '*.log' -o -name '*.out' -o -name '*.err' 2>/dev/null | sort); do
        [ -s "$f" ] && { echo "---- ${f#"$work"/}"; tail -n 25 "$f"; }
    done >&2
}

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

# Processes whose environment or command line names this test's state folder.
leftovers() {
    local p
    for p in /proc/[0-9]*; do
        if tr '\0' '\n' 2>/dev/null <"$p/environ" | grep -q "$RAIA_STATE_DIR/" || tr '\0' ' ' 2>/dev/null <"$p/cmdline" | grep -q "$RAIA_STATE_DIR/"; then
            echo "${p#/proc/} $(tr '\0' ' ' <"$p/cmdline" 2>/dev/null)"
        fi
    done
}

# Waits until a command succeeds: until SECONDS command ...
until_ok() {
    local end=$((SECONDS + $1))
    shift
    while ! "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

# The manifest of a RayJob with a head alone: job_manifest NAME ENTRYPOINT [FIELD_OF_THE_SPEC ...]
job_manifest() {
    cat <<EOF2
apiVersion: ray.io/v1
kind: RayJob
metadata: {name: $1}
spec:
  entrypoint: $2
$(printf '%s\n' "${@:3}" | sed 's/^/  /')
  rayClusterSpec:
    headGroupSpec: {rayStartParams: {num-cpus: "1"}, template: {spec: {containers: [{name: h}]}}}
EOF2
}

# Starts a cluster of a head and some workers: cluster NAME WORKERS CPUS [STORE_BYTES [RESOURCES_OF_WORKERS]]
cluster() {
    local params="num-cpus: \"$3\"${4:+, object-store-memory: \"$4\"}"
    cat >"$work/$1.yaml" <<EOF2
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: $1}
spec:
  headGroupSpec:
    rayStartParams: {$params}
    template: {spec: {containers: [{name: head, image: x}]}}
  workerGroupSpecs:
    - groupName: w
      replicas: $2
      rayStartParams: {$params${5:+, resources: '$5'}}
      template: {spec: {containers: [{name: worker, image: x}]}}
EOF2
    raia up -f "$work/$1.yaml" --detach 2>"$work/up.err" || { cat "$work/up.err"; fail "raia up"; }
}

# The processes of this test's clusters: their pids.
pids() { leftovers | cut -d ' ' -f 1; }

# Every resource of the N nodes is free: all_free N
all_free() {
    raia status --format json 2>/dev/null | python3 -c '
import json, sys
nodes = [n for n in json.load(sys.stdin)["nodes"] if n["state"] == "ALIVE"]
sys.exit(not (len(nodes) == int(sys.argv[1]) and all(n["resources_available"] == n["resources_total"] for n in nodes)))' "$1"
}

# The object stores of all nodes hold nothing.
store_empty() {
    raia status --format json 2>/dev/null | python3 -c '
import json, sys
nodes = [n for n in json.load(sys.stdin)["nodes"] if n["state"] == "ALIVE"]
sys.exit(not nodes or any(n["object_store_used"] for n in nodes))'
}

# Fails if a sanitizer reported anything in the files of these folders.
sanitized() {
    local found
    found=$(grep -rlE 'ERROR: [A-Za-z]+Sanitizer|runtime error: ' "$@" 2>/dev/null) || return 0
    cat $found >&2
    fail "a sanitizer's report in $found"
}
