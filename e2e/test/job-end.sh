#!/bin/bash
# A driver ends while the control store does not answer, and dies before it does: the next one hears of it all
# the same, and the job's workers on other nodes go.
. "$(dirname "$0")/lib.sh"

workers() { raia list workers --format json | python3 -c 'import json, sys; print(sum(w["is_alive"] for w in json.load(sys.stdin)))'; }
job_over() { raia list jobs --format json 2>/dev/null | grep -q SUCCEEDED; }
nodes_back() { [ "$(raia list nodes --format json 2>/dev/null | grep -o ALIVE | wc -l)" -ge 2 ]; }
no_workers() { [ "$(workers 2>/dev/null)" = 0 ]; }

cluster ends 1 1 $((64 << 20)) '{"far": 1}'
mkfifo "$work/in"
RAIA_ADDRESS=$RAIA_STATE_DIR/ends/nodes/head "$bin/../test/e2e_job_end" <"$work/in" >"$work/out" 2>"$work/err" &
driver=$!
exec 3>"$work/in"
until_ok 60 grep -q ready "$work/out" || { cat "$work/err"; fail "the driver has no worker on the other node"; }
store=$(pgrep -f "^[^ ]*raia-gcs .*$RAIA_STATE_DIR/")
kill -STOP "$store"
exec 3>&-
wait $driver || { cat "$work/err"; fail "the driver failed"; }
kill -9 "$store"
until_ok 60 job_over || { raia list jobs; fail "the job runs for ever"; }
until_ok 60 nodes_back || { raia status; fail "the nodes do not come back"; }
until_ok 60 no_workers || { raia list workers; fail "workers outlive their job"; }
raia down --all 2>/dev/null
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
