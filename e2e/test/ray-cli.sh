#!/bin/bash
# Ray's own command line, unchanged, against a Raia cluster: `ray job ...`, `ray list ...`.
#
#   ray-cli.sh BIN RAY_PYTHON       a Python that has ray[default] 2.60
. "$(dirname "$0")/lib.sh"
python=${2:?usage: ray-cli.sh BIN RAY_PYTHON}
surroundings=$(cd "$bin/../test" && pwd)/e2e_surroundings
version=$("$python" -c 'import ray; print(ray.__version__)') || fail "$python has no ray"
[[ $version == 2.60.* ]] || fail "$python has ray $version, not 2.60"

cat >"$work/cluster.yaml" <<'EOF2'
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: ray}
spec:
  headGroupSpec: {rayStartParams: {num-cpus: "2"}, template: {spec: {containers: [{name: h}]}}}
  workerGroupSpecs:
    - {groupName: w, replicas: 1, rayStartParams: {num-cpus: "1", resources: '{"here": 2}'}, template: {spec: {containers: [{name: w}]}}}
EOF2
raia up -f "$work/cluster.yaml" --detach >/dev/null 2>"$work/err" || { cat "$work/err"; fail "raia up"; }
RAY_ADDRESS=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["api_url"])' "$RAIA_STATE_DIR/ray/cluster.json")
RAY_AUTH_TOKEN=$(cat "$RAIA_STATE_DIR/ray/token")
export RAY_ADDRESS RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 NO_COLOR=1 PYTHONWARNINGS=ignore
ray() { "$python" -m ray.scripts.scripts "$@"; }

# ray_does STATUS ARGUMENT ...: the exit status; everything it prints is in $work/out.
ray_does() {
    local want=$1 status=0
    shift
    ray "$@" >"$work/out" 2>&1 || status=$?
    [ $status -eq "$want" ] || { cat "$work/out" >&2; fail "exit status $status, not $want: ray $*"; }
}
says() { grep -qF -- "$1" "$work/out" || { cat "$work/out" >&2; fail "'$1' expected"; }; }

echo "-- submit, and follow through the WebSocket"
ray_does 0 job submit -- sh -c 'echo one; sleep 1; echo two'
says "one"; says "two"; says "succeeded"
ray_does 1 job submit -- sh -c 'echo hi; exit 3'
says "hi"; says "failed with exit code 3"

echo "-- submit with everything"
mkdir -p "$work/dir/sub"
echo contents >"$work/dir/sub/data"
printf '#!/bin/sh\necho a program of the folder\n' >"$work/dir/run.sh"
ray_does 0 job submit --submission-id everything --working-dir "$work/dir" --runtime-env-json '{"env_vars": {"V": "a value"}}' \
    --metadata-json '{"who": "me"}' -- sh -c "sh run.sh; $surroundings V sub/data 2"
says "a program of the folder"; says "driver a value contents"
[ "$(grep -c 'worker a value contents' "$work/out")" = 2 ] || { cat "$work/out"; fail "the workers have other surroundings"; }
ray_does 0 job submit --working-dir "$work/dir" -- test -e sub/data
says "already exists, skipping upload"
ray_does 0 job list
says "metadata={'who': 'me'}"; says "submission_id='everything'"
ray_does 0 job submit --runtime-env-json '{"pip": ["requests"]}' -- true
says "raia: ignored: runtime_env.pip"
ray_does 0 job submit --entrypoint-num-cpus 1 --entrypoint-resources '{"CPU": 1}' -- true
says "succeeded"

echo "-- later: status, logs, stop, delete"
ray_does 0 job submit --no-wait --submission-id later -- sh -c 'echo begun; sleep 300'
ray_does 1 job submit --no-wait --submission-id later -- true
says "already exists"
ray_does 1 job delete later
says "stop it first"
ray job logs --follow later >"$work/followed" 2>&1 &
follower=$!
until_ok 30 grep -q begun "$work/followed" || fail "ray job logs --follow says nothing"
ray_does 0 job status later
says "RUNNING"
ray_does 0 job stop later
says "was stopped"
wait $follower || true
ray_does 0 job logs later
says "begun"
ray_does 0 job delete later
says "deleted successfully"
ray_does 1 job status later
says "404"; says "does not exist"

echo "-- lists"
ray_does 0 list nodes
says "Total: 2"; says "ALIVE"
ray_does 0 list nodes --filter is_head_node=True --format json
python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); sys.exit(not (len(d) == 1 and d[0]["is_head_node"]))' "$work/out" || { cat "$work/out"; fail "ray list nodes --filter"; }
ray_does 0 job submit -- "$bin/examples/named_actor"
ray_does 0 list actors --detail
says "Store"
ray_does 0 list actors
says "DEAD"
ray_does 0 list jobs
says "everything"; says "SUCCEEDED"
ray_does 0 list workers
ray_does 0 list tasks
ray_does 0 list objects
ray_does 0 summary tasks

echo "-- tokens"
RAY_AUTH_TOKEN=wrong ray_does 1 job list
says "the token is wrong"
RAY_AUTH_MODE=disabled ray_does 1 job list
says "a token is required"
RAY_AUTH_TOKEN=wrong ray_does 1 list nodes
echo "Ray's command line works unchanged"
