#!/bin/bash
# The command line as its users call it: clusters, jobs, lists, logs, errors; and nothing is left.
. "$(dirname "$0")/lib.sh"

# expect STATUS command ...: the exit status; output is in $work/out and $work/err.
expect() {
    local want=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" || status=$?
    [ $status -eq "$want" ] || { cat "$work/out" "$work/err" >&2; fail "exit status $status, not $want: $*"; }
}
says() { grep -q -- "$1" "$work/out" "$work/err" || { cat "$work/out" "$work/err" >&2; fail "'$1' expected"; }; }
json() { python3 -c "import json,sys; d=json.load(open('$work/out')); sys.exit(0 if ($1) else 1)" || { cat "$work/out" >&2; fail "JSON: $1"; }; }
no_controller() { ! pgrep -f "^[^ ]*raia job-controller $RAIA_STATE_DIR" >/dev/null; }
nothing_left() {
    [ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
    # Shared memory is memfds alone, which go with their processes.
    [ -z "$(find /dev/shm -maxdepth 1 -name '*raia*' -user "$(id -un)" 2>/dev/null)" ] || fail "something of ours is in /dev/shm"
}
cluster() { # name workers [more of the spec]
    cat <<EOF2
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: $1}
spec:
  headGroupSpec: {rayStartParams: {num-cpus: "2"}, template: {spec: {containers: [{name: h}]}}}
  workerGroupSpecs:
    - {groupName: w, replicas: $2, rayStartParams: {num-cpus: "1", resources: '{"gold": 2}'}, template: {spec: {containers: [{name: w}]}}}
EOF2
}
echo "-- wrong command lines"
expect 2 raia
expect 2 raia nonsense
for v in "up" "up -f" "up -f a -f b" "up --nonsense -f a" "down a b" "status a b" "list" "list nonsense" "get nodes" "list nodes --limit 0" "list nodes --filter x" "summary" "summary nodes" \
    "list nodes --format xml" "job" "job nonsense" "job status" "job submit" "job submit --format xml x" "logs a b" "start" "start --head --address x" \
    "start --head --port 70000" "start --head --num-cpus x" "start --head --resources x" "stop x" "help nonsense"; do
    # shellcheck disable=SC2086
    expect 2 raia $v
    [ -s "$work/err" ] || fail "raia $v: says nothing"
done
expect 0 raia help
for v in up down start stop status job list get summary logs bench; do expect 0 raia help $v; says "usage: raia $v"; expect 0 raia $v --help; done
expect 0 raia --version
says '^raia [0-9]'

"$(dirname "$0")/../../docs/cli.sh" "$bin" | cmp - "$(dirname "$0")/../../docs/cli.md" || fail "docs/cli.md is old: docs/cli.sh BIN >docs/cli.md"

echo "-- no cluster"
expect 1 raia status
says 'raia up -f'
expect 1 raia status nonsense
expect 1 raia job list
expect 1 raia down nonsense
expect 1 raia up -f /nonexistent.yaml
says /nonexistent.yaml
expect 1 raia start --address /nonexistent.json
echo 'apiVersion: ray.io/v1
kind: RayJob
metadata: {name: j}
spec: {entrypoint: x, clusterSelector: {ray.io/cluster: nobody}}' >"$work/sel.yaml"
expect 1 raia up -f "$work/sel.yaml"
says "no cluster 'nobody'"
[ -z "$(ls "$RAIA_STATE_DIR")" ] || fail "something was made: $(ls "$RAIA_STATE_DIR")"

echo "-- up, from standard input; twice; with other nodes"
expect 0 raia up -f - --detach < <(cluster one 2)
says "cluster 'one' is up: 3 nodes"
cluster one 2 >"$work/one.yaml"
expect 0 raia up -f "$work/one.yaml" --detach
says 'runs already'
cluster one 3 >"$work/other.yaml"
expect 1 raia up -f "$work/other.yaml" --detach
says 'with other nodes'

echo "-- status and lists"
expect 0 raia status
says 'CPU 1, .*gold 2'
expect 0 raia status --format json
json 'd["cluster"] == "one" and len(d["nodes"]) == 3 and d["jobs"] == []'
expect 0 raia list nodes --format json
json 'sorted(n["node_name"] for n in d) == ["head", "w-0", "w-1"] and all(n["state"] == "ALIVE" for n in d)'
id=$(python3 -c "import json; print(json.load(open('$work/out'))[0]['node_id'])")
expect 0 raia get nodes "${id:0:8}" --format json
json "d['node_id'] == '$id'"
expect 1 raia get nodes ffffffffffffffff
for k in actors jobs workers; do
    expect 0 raia list $k --format json
    json 'isinstance(d, list)'
done

echo "-- jobs"
expect 3 raia job submit --submission-id hello -- sh -c 'echo hello; exit 3'
says '^hello$'
expect 0 raia job status hello --format json
json 'd["status"] == "FAILED" and d["driver_exit_code"] == 3'
expect 0 raia job logs hello
says '^hello$'
expect 0 raia job submit --runtime-env-json '{"env_vars": {"WHO": "me and you"}}' --metadata-json '{"a": "b"}' -- sh -c 'echo "i am $WHO"'
says '^i am me and you$'
expect 1 raia job submit --submission-id hello -- true
says hello
expect 1 raia job submit --runtime-env-json '{' -- true
expect 1 raia job submit --working-dir /nonexistent -- true
expect 127 raia job submit -- /nonexistent/program
expect 0 raia job submit --no-wait --submission-id long -- sh -c 'echo begun; sleep 1000'
until_ok 30 sh -c 'raia job logs long | grep -q begun' || fail "no log of a running job"
expect 0 raia job list --format json
json '{j["submission_id"]: j["status"] for j in d}["long"] == "RUNNING"'
expect 0 raia job stop long
until_ok 30 sh -c 'raia job status long --format json | grep -q STOPPED' || fail "the job does not stop"
expect 0 raia job delete long
expect 1 raia job status long
printf 'import ray\n' >"$work/x.py"
expect 1 raia job submit -- python3 "$work/x.py"
says 'hint: Raia runs programs'

echo "-- logs"
expect 0 raia logs
says 'raylet.log'
expect 0 raia logs --node w-1
! grep -q '^head' "$work/out" || fail "logs of other nodes"
expect 0 raia logs job-driver-hello.log
says '^hello$'
expect 1 raia logs nonsense.log

echo "-- a second cluster beside it"
cluster two 0 >"$work/two.yaml"
expect 0 raia up -f "$work/two.yaml" -d
expect 0 raia status two
expect 0 raia status --all
says 'one .*running'
says 'two .*running'
expect 0 raia job submit --cluster one -- true
expect 0 raia down -f "$work/two.yaml"
expect 0 raia status one

echo "-- kill -9 of the keeper, and what a job left in a session of its own"
expect 0 raia job submit --no-wait -- sh -c "setsid sleep 1000 & echo \$! >$work/stray; sleep 1000"
until_ok 30 test -s "$work/stray" || fail "the job does not begin"
kill -9 "$(cat "$RAIA_STATE_DIR/one/keeper.pid")"
until_ok 30 sh -c '! raia status one 2>/dev/null' || fail "a cluster without a keeper runs"
expect 0 raia down one
! grep -q sleep "/proc/$(cat "$work/stray")/cmdline" 2>/dev/null || fail "a process of the job is left" # a zombie has none
nothing_left
[ -s "$RAIA_STATE_DIR/one/nodes/head/logs/gcs.log" ] || fail "the logs are gone"
[ ! -e "$RAIA_STATE_DIR/one/token" ] || fail "the token is left"
expect 0 raia down one --purge
[ ! -e "$RAIA_STATE_DIR/one" ] || fail "--purge left something"

echo "-- jobs of manifests: exit status, retries, shutdown"
job_manifest fails "sh -c 'echo try; exit 7'" 'backoffLimit: 2' 'shutdownAfterJobFinishes: true' >"$work/job.yaml"
expect 7 raia up -f "$work/job.yaml"
[ "$(grep -c '^try$' "$work/out")" -eq 3 ] || fail "3 attempts expected"
says "attempt 3 of 3"
says 'is down (shutdownAfterJobFinishes)'
nothing_left
job_manifest late 'sleep 1000' 'activeDeadlineSeconds: 1' 'backoffLimit: 5' 'shutdownAfterJobFinishes: true' >"$work/job.yaml"
expect 1 raia up -f "$work/job.yaml"
says DeadlineExceeded
nothing_left

echo "-- detached: retries and the shutdown go on while nobody watches"
job_manifest alone "sh -c 'echo once >>$work/alone; exit 1'" 'backoffLimit: 1' 'shutdownAfterJobFinishes: true' 'ttlSecondsAfterFinished: 1' >"$work/job.yaml"
expect 0 raia up -f "$work/job.yaml" --detach
until_ok 60 sh -c '! raia status alone 2>/dev/null >&2' || fail "the cluster stays"
[ "$(wc -l <"$work/alone")" -eq 2 ] || fail "2 attempts expected"
until_ok 30 no_controller || fail "the controller stays"
nothing_left

echo "-- Ctrl-C while watching; then down"
job_manifest watched "sh -c 'echo on; sleep 1000'" >"$work/job.yaml"
raia up -f "$work/job.yaml" >"$work/out" 2>"$work/err" &
up=$!
until_ok 60 grep -q '^on$' "$work/out" || fail "no output"
kill -INT $up
status=0; wait $up || status=$?
[ $status -eq 130 ] || fail "exit status $status after Ctrl-C"
says 'goes on in the background'
! no_controller || fail "the controller is gone"
expect 0 raia status watched
expect 0 raia down watched
nothing_left

echo "-- Ctrl-C during up"
cluster many 12 >"$work/many.yaml"
raia up -f "$work/many.yaml" -d >"$work/out" 2>"$work/err" &
up=$!
until_ok 30 test -e "$RAIA_STATE_DIR/many/keeper.pid" || true
kill -INT $up
status=0; wait $up || status=$?
[ $status -eq 130 ] || [ $status -eq 0 ] || fail "exit status $status"
[ $status -eq 0 ] || nothing_left
expect 0 raia down many

echo "-- kill -9 during up; then down"
raia up -f "$work/many.yaml" -d >"$work/out" 2>"$work/err" &
up=$!
until_ok 30 test -e "$RAIA_STATE_DIR/many/nodes/head/gcs.json" || fail "no GCS"
kill -9 $up; wait $up 2>/dev/null || true
expect 0 raia down many
nothing_left

echo "-- start, join, stop"
expect 0 raia start --head --port 0 --dashboard-port 0 --num-cpus 1
[ "$(stat -c %a "$RAIA_STATE_DIR/local/join.json")" = 600 ] || fail "mode of the join file"
expect 1 raia start --head --port 0 --dashboard-port 0
expect 0 raia start --address "$RAIA_STATE_DIR/local/join.json" --num-cpus 1 --resources '{"x": 1}' --name second
expect 0 raia status local --format json
json 'sorted(n["node_name"] for n in d["nodes"]) == ["head", "second"]'
port=$(python3 -c "import json; print(json.load(open('$RAIA_STATE_DIR/local/cluster.json'))['gcs_address'].split(':')[1])")
expect 1 raia start --head --port "$port" --dashboard-port 0 --name third
says "choose another with --port"
expect 1 raia start --address "127.0.0.1:$port"
says join-file
expect 0 raia start --address "127.0.0.1:$port" --join-file "$RAIA_STATE_DIR/local/join.json" --name fourth
expect 0 raia down
expect 0 raia status local
expect 0 raia stop
nothing_left

echo "-- two clusters at the same moment"
raia up -f "$work/one.yaml" -d >/dev/null 2>"$work/err1" &
up=$!
expect 0 raia up -f "$work/two.yaml" -d
wait $up || { cat "$work/err1" >&2; fail "the first of two"; }
expect 0 raia down --all

echo "-- what is missing is named"
mkdir "$work/bin"
cp "$bin"/raia "$bin"/raia-{keeper,agent,shim,raylet} "$work/bin"
expect 1 "$work/bin/raia" up -f "$work/one.yaml" -d
says "raia-gcs' is not installed"
printf '#!/bin/sh\necho it is broken; exit 1\n' >"$work/bin/raia-gcs"
chmod +x "$work/bin/raia-gcs"
expect 1 "$work/bin/raia" up -f "$work/one.yaml" -d
says 'gcs.out: it is broken'
expect 1 bash -c "ulimit -n 14; raia up -f $work/one.yaml -d"
says 'the limit of open files is 14'
if [ "$(id -u)" -ne 0 ]; then
    expect 1 env RAIA_STATE_DIR=/nonexistent raia up -f "$work/one.yaml" -d
    says /nonexistent
fi
nothing_left

echo "-- no secret in a log"
cluster secret 1 >"$work/secret.yaml"
expect 0 raia up -f "$work/secret.yaml" -d
token=$(cat "$RAIA_STATE_DIR/secret/token")
expect 0 raia job submit -- true
expect 0 raia status
expect 0 raia down secret
! grep -rqF "$token" "$RAIA_STATE_DIR" || fail "the token is in $(grep -rlF "$token" "$RAIA_STATE_DIR")"
! grep -rql 'PRIVATE KEY' "$RAIA_STATE_DIR"/*/nodes "$RAIA_STATE_DIR"/*/*.log || fail "a key is in a log"
expect 0 raia down --all --purge
[ -z "$(ls "$RAIA_STATE_DIR")" ] || fail "left: $(ls "$RAIA_STATE_DIR")"
echo "the command line holds"
