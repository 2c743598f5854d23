#!/bin/bash
# Ray's own command line, unchanged, from outside of the cluster: ray job submit|status|logs|stop|list through
# kubectl port-forward, with the token of the RayCluster's Secret.
#
# RAY=DIR  a virtual environment with ray[default] 2.60 (python3 -m venv DIR; DIR/bin/pip install 'ray[default]==2.60.*');
#          without it the test says that it is skipped
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=ray.sh
. "$(dirname "$0")/ray.sh"
[ -n "${RAY-}" ] || skip "RAY=DIR, a virtual environment with Ray 2.60, was not given"
version=$("$RAY/bin/python" -c 'import ray; print(ray.__version__)') || fail "$RAY has no ray"
[[ $version == 2.60.* ]] || fail "$RAY has ray $version, not 2.60"
need_packages jq=jq curl=curl

# ray_does STATUS ARGUMENT...: the exit status; everything that it prints is in $work/out.
ray_does() {
    local want=$1 status=0
    shift
    timeout 120 "$RAY/bin/python" -m ray.scripts.scripts "$@" >"$work/out" 2>&1 || status=$?
    [ $status -eq "$want" ] || { cat "$work/out" >&2; fail "exit status $status, not $want: ray $*"; }
}
says() { grep -qF -- "$1" "$work/out" || { cat "$work/out" >&2; fail "'$1' expected"; }; }

begins() {
    local t
    t=$(pod_template "$debian")
    apply RayCluster cli "$(head 1 "$t"), workerGroupSpecs: [$(workers w 1 "$t")]"
    is_whole cli 1
    reach cli
    export RAY_ADDRESS=$api RAY_AUTH_TOKEN=$token RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 NO_COLOR=1 PYTHONWARNINGS=ignore
}
submits_and_follows() {
    ray_does 0 job submit -- sh -c 'echo one; sleep 1; echo two'
    says one; says two; says succeeded
    ray_does 1 job submit -- sh -c 'echo three; exit 3'
    says three; says 'failed with exit code 3'
}
brings_a_folder() {
    mkdir -p "$work/dir/text"
    cp "$build/bin/wordcount" "$work/dir/"
    for i in {1..5}; do cat "$tree"/docs/*.md "$tree"/common/base/*.c >"$work/dir/text/$i"; done
    (cd "$work/dir" && "$tree/e2e/test/coreutils-wordcount.sh" text >"$work/expected")
    expected=$work/expected
    ray_does 0 job submit --submission-id counts --working-dir "$work/dir" --metadata-json '{"who": "me"}' -- ./wordcount text
    right_words "$work/out"
    ray_does 0 job list
    says "submission_id='counts'"; says "metadata={'who': 'me'}"
}
stops() {
    ray_does 0 job submit --no-wait --submission-id later -- sh -c 'echo begun; sleep 3600'
    ray_does 1 job submit --no-wait --submission-id later -- true
    says "already exists"
    ray_does 0 job status later
    says later
    log_begun() { ray_does 0 job logs later && grep -q begun "$work/out"; }
    until_ok 60 log_begun || fail "ray job logs has nothing"
    ray_does 0 job stop later
    says "was stopped"
    ray_does 0 job status later
    says "was stopped"
    ray_does 0 job delete later
    ray_does 1 job status later
    says "does not exist"
}
lists() {
    ray_does 0 list nodes
    says "Total: 2"; says ALIVE
    ray_does 0 list jobs
    says counts
}
refuses() {
    RAY_AUTH_TOKEN=wrong ray_does 1 job list
    says "the token is wrong"
    RAY_AUTH_MODE=disabled ray_does 1 job list
    says "a token is required"
}
ends() {
    k delete raycluster cli --timeout=90s >/dev/null
    leaves_nothing "a deleted RayCluster"
}

need_cluster
need_raia
steps begins submits_and_follows brings_a_folder stops lists refuses ends
