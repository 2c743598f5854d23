#!/bin/bash
# kill -9 of a RayJob's controller: the keeper starts it again, and the job ends as its manifest says.
. "$(dirname "$0")/lib.sh"

controller() { pgrep -f "^[^ ]*raia job-controller $RAIA_STATE_DIR/$1 $1\$"; }
no_controller() { ! pgrep -f "^[^ ]*raia job-controller $RAIA_STATE_DIR" >/dev/null; }
# kill -9, and wait for another one: kill_controller NAME
kill_controller() {
    local old
    old=$(controller "$1") || fail "no controller of $1"
    kill -9 "$old"
    until_ok 60 another "$1" "$old" || fail "the controller of $1 is not replaced"
}
another() { local new; new=$(controller "$1") && [ "$new" != "$2" ]; }
lines() { [ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]; }
state() { # name: a Python expression over its state
    python3 -c "import json,sys; s=json.load(open('$RAIA_STATE_DIR/$1/jobs/$1.state.json')); sys.exit(0 if ($2) else 1)"
}
nothing_left() {
    until_ok 30 no_controller || fail "the controller stays"
    [ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
}

echo "-- killed in each attempt, and between them: backoffLimit and the exit status are the manifest's"
job_manifest fails "sh -c 'echo try >>$work/tries; while [ ! -e $work/go ]; do sleep 0.05; done; exit 7'" \
    'backoffLimit: 2' 'shutdownAfterJobFinishes: true' >"$work/job.yaml"
raia up -f "$work/job.yaml" >"$work/out" 2>"$work/err" &
up=$!
until_ok 60 lines "$work/tries" 1 || fail "no first attempt"
kill_controller fails
kill_controller fails
touch "$work/go"
# Wherever it is: submitting, waiting, looking.
for _ in 1 2 3; do
    sleep 0.2
    ! lines "$work/tries" 3 && old=$(controller fails) && kill -9 "$old"
done
status=0
wait $up || status=$?
[ $status -eq 7 ] || { cat "$work/out" "$work/err"; fail "exit status $status, not 7"; }
[ "$(wc -l <"$work/tries")" -eq 3 ] || fail "$(wc -l <"$work/tries") attempts, not 3"
grep -q 'attempt 3 of 3' "$work/err" || fail "the last attempt is not told"
until_ok 60 state fails 's["done"] and s["ended"] and s["attempt"] == 3' || fail "its state: $(cat "$RAIA_STATE_DIR/fails/jobs/fails.state.json")"
nothing_left

echo "-- killed, nobody watches: the deadline passes, the cluster goes down"
job_manifest late "sh -c 'echo on >>$work/late; sleep 1000'" 'activeDeadlineSeconds: 5' 'backoffLimit: 5' 'shutdownAfterJobFinishes: true' >"$work/job.yaml"
raia up -f "$work/job.yaml" --detach 2>"$work/err" || fail "up: $(cat "$work/err")"
begin=$SECONDS
until_ok 60 lines "$work/late" 1 || fail "the job does not begin"
kill_controller late
until_ok 60 state late 's["done"]' || fail "it does not end: $(cat "$RAIA_STATE_DIR/late/jobs/late.state.json")"
state late 's["last"]["status"] == "FAILED" and "DeadlineExceeded" in s["last"]["message"] and s["attempt"] == 1' ||
    fail "its state: $(cat "$RAIA_STATE_DIR/late/jobs/late.state.json")"
[ $((SECONDS - begin)) -ge 4 ] || fail "it ended before its deadline"
[ "$(wc -l <"$work/late")" -eq 1 ] || fail "it was submitted twice"
nothing_left

echo "-- killed, then raia down: nothing is started again"
job_manifest stays "sh -c 'echo on >>$work/stays; sleep 1000'" >"$work/job.yaml"
raia up -f "$work/job.yaml" --detach 2>"$work/err" || fail "up: $(cat "$work/err")"
until_ok 60 lines "$work/stays" 1 || fail "the job does not begin"
kill_controller stays
raia down stays >/dev/null || fail "down"
nothing_left
state stays 's["done"] and s["last"]["status"] == "STOPPED"' || fail "its state: $(cat "$RAIA_STATE_DIR/stays/jobs/stays.state.json")"
echo "ok"
