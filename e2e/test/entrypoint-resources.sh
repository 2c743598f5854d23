#!/bin/bash
# What is asked for an entrypoint is held on the head while it runs: the next one waits for it, `raia status` shows
# it, and it comes back at the entrypoint's end, at `job stop`, and when its process, or the raylet meanwhile, is killed.
. "$(dirname "$0")/lib.sh"
cluster res 0 2
ctl=$(dirname "$0")/ctl.py
socket=$RAIA_STATE_DIR/res/nodes/head/raylet.ctl

free_cpus() { [ "$("$ctl" "$socket" status resources.CPU.available)" = "$1" ]; }
consistent() { [ "$("$ctl" "$socket" status consistent)" = True ]; }
is() { raia job status "$1" --format json 2>/dev/null | has "\"$2\""; }
submit() { raia job submit --no-wait --submission-id "$@" >/dev/null 2>"$work/err" || { cat "$work/err"; fail "submit $1"; }; }
pid_of() { pgrep -f "sleep 100$1\$" | head -1; }

submit one --entrypoint-num-cpus 1.5 -- sleep 1001
until_ok 20 is one RUNNING || fail "the first does not run"
free_cpus 0.5 || fail "1.5 CPUs are not held"
submit two --entrypoint-num-cpus 1 -- sleep 1002
submit three --entrypoint-num-cpus 64 -- true
submit four -- true
until_ok 20 is four SUCCEEDED || fail "one that needs nothing waits"
is two PENDING || fail "the second does not wait"
raia job status two --format json | has 'until the resources' || fail "its message does not say why"
raia status | has '1.5 of 2 CPU' || { raia status; fail "status does not show what is held"; }
raia job stop one 2>/dev/null
until_ok 20 is two RUNNING || fail "the second does not start"
until_ok 20 free_cpus 1 || fail "what was stopped still holds CPUs"
kill -9 "$(cat "$RAIA_STATE_DIR"/res/nodes/head/raylet.pid 2>/dev/null || pgrep -f "raia-raylet.*$RAIA_STATE_DIR")"
until_ok 30 free_cpus 1 || fail "the next raylet does not know what the entrypoint holds"
is two RUNNING || fail "the entrypoint did not live on"
consistent || fail "the accounts do not agree"
kill -9 "$(pid_of 2)"
until_ok 20 free_cpus 2 || fail "what was killed still holds CPUs"
is three PENDING || fail "one that fits nowhere runs"
raia job stop three 2>/dev/null
until_ok 20 is three STOPPED || fail "one that waits cannot be stopped"
raia job submit --entrypoint-num-cpus 2 --entrypoint-resources '{"CPU": 1}' -- true 2>"$work/err" && fail "CPU as a custom resource"
grep -q entrypoint_num_cpus "$work/err" || { cat "$work/err"; fail "the error does not say what to do"; }
raia job submit --entrypoint-num-cpus two -- true 2>/dev/null && fail "'two' is no number"
raia job submit --entrypoint-num-cpus 2 --entrypoint-memory 1000000 -- sh -c 'echo here' 2>/dev/null | grep -qx here || fail "the last job"
until_ok 20 all_free 1 || fail "not every resource is free"
raia down --all 2>/dev/null
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
