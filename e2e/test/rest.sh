#!/bin/bash
# The job API and the state API as programs see them (docs/jobs.md), by curl: what every reply looks
# like, packages, the WebSocket tail, and errors.
#
#   rest.sh BIN
. "$(dirname "$0")/lib.sh"
surroundings=$(cd "$bin/../test" && pwd)/e2e_surroundings

cat >"$work/cluster.yaml" <<'EOF2'
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: rest}
spec:
  headGroupSpec: {rayStartParams: {num-cpus: "2"}, template: {spec: {containers: [{name: h}]}}}
  workerGroupSpecs:
    - {groupName: w, replicas: 1, rayStartParams: {num-cpus: "1", resources: '{"here": 2}'}, template: {spec: {containers: [{name: w}]}}}
EOF2
raia up -f "$work/cluster.yaml" --detach >/dev/null 2>"$work/err" || { cat "$work/err"; fail "raia up"; }
url=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["api_url"])' "$RAIA_STATE_DIR/rest/cluster.json")
token=$(cat "$RAIA_STATE_DIR/rest/token")

# call STATUS METHOD PATH [BODY]: the reply is in $work/reply.
call() {
    local body=() got
    [ $# -lt 4 ] || body=(-H 'Content-Type: application/json' --data-binary "$4")
    got=$(curl -sS -o "$work/reply" -w '%{http_code}' -m 60 -X "$2" -H "Authorization: Bearer $token" "${body[@]}" "$url$3")
    [ "$got" = "$1" ] || { cat "$work/reply" >&2; fail "$2 $3: status $got, not $1"; }
}
json() { python3 -c "import json, sys; d = json.load(open('$work/reply')); sys.exit(0 if ($1) else 1)" || { cat "$work/reply" >&2; fail "JSON: $1"; }; }
text() { grep -qF -- "$1" "$work/reply" || { cat "$work/reply" >&2; fail "'$1' expected"; }; }
ended() { call 200 GET "/api/jobs/$1"; python3 -c "import json, sys; sys.exit(json.load(open('$work/reply'))['status'] in ('PENDING', 'RUNNING'))"; }
running() { call 200 GET "/api/jobs/$1"; grep -q '"RUNNING"' "$work/reply"; }
job() { # id, then the rest of the body
    call 200 POST /api/jobs/ "{\"submission_id\": \"$1\", $2}"
    json "d == {'job_id': '$1', 'submission_id': '$1'}"
}
run() {
    job "$@"
    until_ok 60 ended "$1" || fail "job $1 does not end"
}

echo "-- tokens"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$url/healthz")" = 200 ] || fail "healthz needs a token"
[ "$(curl -s -o "$work/reply" -w '%{http_code}' "$url/api/version")" = 401 ] || fail "no token"
text "a token is required"
[ "$(curl -s -o "$work/reply" -w '%{http_code}' -H 'Authorization: Bearer wrong' "$url/api/version")" = 403 ] || fail "a wrong token"
text "the token is wrong"
[ "$(curl -s -o /dev/null -w '%{http_code}' -H "X-Ray-Authorization: Bearer $token" "$url/api/version")" = 200 ] || fail "X-Ray-Authorization"
call 200 GET /api/version
json "d['version'] == '4' and d['ray_version'] and d['ray_commit'] and d['session_name']"

echo "-- a job from submission to deletion"
run a '"entrypoint": "echo hi; exit 3", "metadata": {"who": "me"}'
json "set(d) == {'type', 'job_id', 'submission_id', 'driver_info', 'status', 'entrypoint', 'message', 'error_type', 'start_time', 'end_time', 'metadata', 'runtime_env', 'driver_agent_http_address', 'driver_node_id', 'driver_exit_code'}"
json "d['type'] == 'SUBMISSION' and d['status'] == 'FAILED' and d['driver_exit_code'] == 3 and d['error_type'] == 'JOB_ENTRYPOINT_COMMAND_ERROR' and d['metadata'] == {'who': 'me'} and d['end_time'] >= d['start_time'] > 10**12"
call 200 GET /api/jobs/a/logs
json "d == {'logs': 'hi\\n'}"
call 500 POST /api/jobs/ '{"entrypoint": "true", "submission_id": "a"}'
text "already exists"
call 200 GET /api/jobs/
json "[j['submission_id'] for j in d] == ['a']"
call 200 POST /api/jobs/a/stop
json "d == {'stopped': False}"
call 200 DELETE /api/jobs/a
json "d == {'deleted': True}"
call 404 GET /api/jobs/a
for p in "GET /api/jobs/none" "POST /api/jobs/none/stop" "DELETE /api/jobs/none" "GET /api/jobs/none/logs" "GET /api/jobs/none/logs/tail"; do
    # shellcheck disable=SC2086
    call 404 $p
    text "Job none does not exist"
done
for b in '' '[]' '{}' '{"entrypoint": 1}' '{"entrypoint": "x", "nonsense": 1}' '{"entrypoint": "x", "metadata": {"a": 1}}' '{"entrypoint": "x", "submission_id": "../x"}'; do
    call 400 POST /api/jobs/ "$b"
done

echo "-- stopping, and following"
job b '"entrypoint": "echo begun; sleep 300"'
until_ok 30 running b || fail "b does not run"
call 400 DELETE /api/jobs/b
text "stop it first"
curl -sSN -m 60 -i --http1.1 -H "Authorization: Bearer $token" -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
    -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "$url/api/jobs/b/logs/tail" >"$work/tail" 2>/dev/null &
tail=$!
until_ok 30 grep -aq begun "$work/tail" || fail "the tail says nothing"
head -n 1 "$work/tail" | has '101' || fail "no upgrade to WebSocket: $(head -n 1 "$work/tail")"
grep -aq 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' "$work/tail" || fail "the WebSocket's key is not answered"
call 200 POST /api/jobs/b/stop
json "d == {'stopped': True}"
until_ok 30 ended b || fail "b does not stop"
json "d['status'] == 'STOPPED'"
wait $tail || true
grep -aq 'the job has ended' "$work/tail" || fail "the tail was not closed in order"

echo "-- runtime_env: variables, a package on every node, what is ignored"
mkdir -p "$work/dir/sub"
echo contents >"$work/dir/sub/data"
python3 - "$work/dir" "$work/p.zip" <<'EOF2'
import sys, zipfile
with zipfile.ZipFile(sys.argv[2], "w") as z:
    z.write(sys.argv[1] + "/sub/data", "sub/data")
EOF2
call 404 GET /api/packages/gcs/_ray_pkg_1.zip
curl -sSf -o /dev/null -T "$work/p.zip" -H "Authorization: Bearer $token" "$url/api/packages/gcs/_ray_pkg_1.zip" || fail "the package was not taken"
call 200 GET /api/packages/gcs/_ray_pkg_1.zip
run c "\"entrypoint\": \"cat sub/data; $surroundings V sub/data 2\", \"runtime_env\": {\"env_vars\": {\"V\": \"x\"}, \"working_dir\": \"gcs://_ray_pkg_1.zip\", \"pip\": [\"requests\"], \"excludes\": [\"*.o\"]}"
json "d['status'] == 'SUCCEEDED' and 'pip' in d['message'] and 'excludes' not in d['message'] and d['runtime_env']['working_dir'] == 'gcs://_ray_pkg_1.zip'"
json "d['job_id'] and d['driver_info']['pid']"
call 200 GET /api/jobs/c/logs
json "d['logs'].splitlines()[0].startswith('raia: ignored: ') and d['logs'].count('worker x contents') == 2 and 'driver x contents' in d['logs']"
run n '"entrypoint": "true", "entrypoint_num_cpus": 1, "entrypoint_num_gpus": 0, "entrypoint_resources": {}'
json "d['status'] == 'SUCCEEDED' and 'ignored' not in d['message']"
run d '"entrypoint": "true", "runtime_env": {"working_dir": "gcs://none.zip"}'
json "d['status'] == 'FAILED' and d['error_type'] == 'RUNTIME_ENV_SETUP_FAILURE' and 'gcs://none.zip' in d['message']"
run e '"entrypoint": "true", "runtime_env": {"working_dir": "/nonexistent/x"}'
json "d['error_type'] == 'RUNTIME_ENV_SETUP_FAILURE' and '/nonexistent/x' in d['message']"
run f '"entrypoint": "true", "runtime_env": {"working_dir": "https://example.com/x.zip"}'
json "d['error_type'] == 'RUNTIME_ENV_SETUP_FAILURE'"
echo "no zip file" >"$work/bad.zip"
curl -sSf -o /dev/null -T "$work/bad.zip" -H "Authorization: Bearer $token" "$url/api/packages/gcs/bad.zip"
run g '"entrypoint": "true", "runtime_env": {"working_dir": "gcs://bad.zip"}'
json "d['error_type'] == 'RUNTIME_ENV_SETUP_FAILURE' and 'zip' in d['message']"
got=$(curl -s -o "$work/reply" -w '%{http_code}' -m 20 -X PUT -H "Authorization: Bearer $token" -H "Content-Length: $((513 << 20))" -H 'Expect: 100-continue' --data-binary x "$url/api/packages/gcs/big.zip") || true
[ "$got" = 413 ] || fail "a package of 513 MiB: status $got, not 413"

echo "-- raia's own working_dir"
raia job submit --working-dir "$work/dir" --runtime-env-json '{"env_vars": {"V": "y z"}}' -- "$surroundings" V sub/data 1 >"$work/out" 2>"$work/err" || { cat "$work/out" "$work/err"; fail "raia job submit --working-dir"; }
grep -q '^worker y z contents$' "$work/out" || { cat "$work/out"; fail "raia job submit --working-dir: a worker has other surroundings"; }
raia job submit --working-dir "$work/dir" --runtime-env-json '{"excludes": ["data"]}' -- test ! -e sub/data 2>/dev/null || fail "excludes"
cat >"$work/dir/job.yaml" <<EOF2
apiVersion: ray.io/v1
kind: RayJob
metadata: {name: here}
spec:
  entrypoint: $surroundings V data 1
  runtimeEnvYAML: "{working_dir: sub, env_vars: {V: from-yaml}, pip: [requests]}"
  clusterSelector: {ray.io/cluster: rest}
EOF2
raia up -f "$work/dir/job.yaml" >"$work/out" 2>"$work/err" || { cat "$work/out" "$work/err"; fail "a RayJob with a working_dir"; }
grep -q 'worker from-yaml contents$' "$work/out" || { cat "$work/out"; fail "a RayJob: a worker has other surroundings"; }

echo "-- lists"
call 200 GET /api/v0/nodes
json "set(d) == {'result', 'msg', 'data'} and d['result'] is True"
json "set(d['data']['result']) == {'total', 'num_after_truncation', 'num_filtered', 'result', 'partial_failure_warning', 'warnings'} and d['data']['result']['total'] == 2"
json "all(isinstance(n[k], t) for n in d['data']['result']['result'] for k, t in {'node_id': str, 'node_ip': str, 'is_head_node': bool, 'state': str, 'node_name': str, 'resources_total': dict, 'labels': dict}.items())"
call 200 GET '/api/v0/nodes?filter_keys=state&filter_predicates=%3D&filter_values=ALIVE&filter_keys=is_head_node&filter_predicates=%21%3D&filter_values=true'
json "[n['is_head_node'] for n in d['data']['result']['result']] == [False] and d['data']['result']['num_filtered'] == 1"
call 200 GET '/api/v0/jobs?limit=1&detail=True'
json "len(d['data']['result']['result']) == 1 and d['data']['result']['total'] > 1"
call 200 GET /api/v0/workers
json "all(isinstance(w['ip'], str) for w in d['data']['result']['result'])"
call 400 GET '/api/v0/nodes?limit=x'
json "d['result'] is False and 'limit' in d['msg']"
call 404 GET /api/v0/nonsense
json "d['result'] is False and 'nonsense' in d['msg']"
call 405 PUT /api/jobs/
call 404 GET /nothing

raia down >/dev/null 2>&1
[ -z "$(leftovers)" ] || fail "left: $(leftovers)"
! grep -rqF "$token" "$RAIA_STATE_DIR" --include='*.log' || fail "the token is in a log"
echo "the REST API does what it says"
