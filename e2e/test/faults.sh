#!/bin/bash
# What dies takes with it what it should, and nothing else: actors' workers and nodes, the GCS, drivers, owners.
. "$(dirname "$0")/lib.sh"
cluster faults 1 2 "" '{"far": 1}'
export RAIA_ADDRESS=$RAIA_STATE_DIR/faults/nodes/head

driver() { # a fresh driver, behind descriptors 3 (its steps) and 4 (its answers)
    rm -f "$work/in" "$work/out"
    mkfifo "$work/in" "$work/out"
    "$bin/../test/e2e_faults" <"$work/in" >"$work/out" 2>>"$work/err" &
    driver=$!
    exec 3>"$work/in" 4<"$work/out"
}
step() { # STEP ...: its answer
    local answer
    echo "$*" >&3
    read -r -t 90 -u 4 answer || { cat "$work/err"; fail "step '$*': no answer in 90 s"; }
    echo "$answer"
}
# An actor's process by itself: 0 is an error, negative a restarted one.
process() {
    local p
    p=$(step "$@")
    p=${p#pid }
    [ "$p" != 0 ] || { cat "$work/err"; fail "step '$*' failed"; }
    echo "$p"
}
gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status"; }
raylet_of() { e2e_json "$1" raylet_pid; }
e2e_json() { # NODE MEMBER
    raia status --format json | python3 -c '
import json, sys
print([n[sys.argv[2]] for n in json.load(sys.stdin)["nodes"] if n["node_name"].startswith(sys.argv[1]) and n["state"] == "ALIVE"][0])' "$1" "$2"
}
two_nodes() { [ "$(raia status --format json | python3 -c 'import json, sys; print(sum(n["state"] == "ALIVE" for n in json.load(sys.stdin)["nodes"]))')" = 2 ]; }
worker_node() { raia status --format json | python3 -c 'import json, sys; print([n["node_name"] for n in json.load(sys.stdin)["nodes"] if not n["is_head_node"]][0])'; }
far=$(worker_node)

driver
# The worker of an actor that may be restarted: the call under way is made again, later ones are answered.
p=$(process restartable)
step calls >/dev/null
kill -9 "$p"
case $(step more) in more\ [1-9][0-9]*\ failed\ 0) ;; *) cat "$work/err"; fail "calls to a restarted actor failed" ;; esac
step stop >/dev/null
q=$(process pid)
[ "$q" -lt 0 ] && [ "${q#-}" != "$p" ] || fail "the actor was not restarted: $p, then $q"
echo "an actor's worker killed: restarted, no call failed"

# Its node: the same, on another process of the node that comes in its place.
p=$(process restartable far)
step calls >/dev/null
kill -9 "$(raylet_of "$far")"
case $(step more) in more\ [1-9][0-9]*\ failed\ 0) ;; *) cat "$work/err"; fail "calls to an actor whose node was killed failed" ;; esac
step stop >/dev/null
q=$(process pid)
[ "$q" -lt 0 ] && [ "${q#-}" != "$p" ] || fail "the actor was not restarted: $p, then $q"
gone "$p" || fail "the actor's first process lives on"
until_ok 60 two_nodes || fail "the node did not come back"
echo "an actor's node killed: restarted, no call failed"

# One that may not be restarted: the call fails, soon, and says why.
p=$(process mortal)
step under-way >/dev/null
sleep 0.3
kill -9 "$p"
answer=$(step result)
case $answer in "result 19 "* | "result 17 "*) ;; *) fail "a dead actor's call: $answer" ;; esac
grep -q "result: .*$p\|result: .*dead\|result: .*died" "$work/err" || { cat "$work/err"; fail "a dead actor's call does not say that it died"; }
echo "an actor's worker killed, no restarts: $answer"

# The GCS, while calls run: they go on.
p=$(process mortal)
step calls >/dev/null
kill -9 "$(pgrep -f "^[^ ]*raia-gcs .*$RAIA_STATE_DIR/")"
case $(step more) in more\ [1-9][0-9]*\ failed\ 0) ;; *) cat "$work/err"; fail "calls failed when the GCS was killed" ;; esac
until_ok 60 two_nodes || fail "the GCS did not come back"
case $(step more) in more\ [1-9][0-9]*\ failed\ 0) ;; *) cat "$work/err"; fail "calls failed when the GCS came back" ;; esac
step stop >/dev/null
[ "$(process pid)" = "$p" ] || fail "the actor moved when the GCS was killed"
echo "the GCS killed: calls went on"

# An owner: who waits for what it owned learns that, soon.
for where in "" far; do
    p=$(process borrow $where)
    kill -9 "$p"
    answer=$(step borrowed)
    case $answer in "borrowed the owner of the object died, the owner of the object died after "*) ;; *) cat "$work/err"; fail "a dead owner's objects: $answer" ;; esac
    ms=${answer##*after }
    [ "${ms% ms}" -lt 10000 ] || fail "not promptly: $answer"
done
echo "an owner killed: $answer"

# The driver: its tasks and actors end with it; a detached one stays.
p=$(process mortal far)
stays=$(process detached)
step tasks >/dev/null
busy() { ! all_free 2; }
until_ok 30 busy || fail "the tasks do not run"
kill -9 $driver
wait $driver 2>/dev/null || true
until_ok 30 gone "$p" || fail "the actor of a dead driver lives on"
until_ok 60 all_free 2 || { raia status; fail "the tasks of a dead driver live on"; }
driver
[ "$(process find)" = "$stays" ] || fail "the detached actor is not found, or another"
[ "$(step end-detached)" = "kill 0" ] || fail "the detached actor cannot be killed"
until_ok 30 gone "$stays" || fail "a detached actor survives its kill"
exec 3>&-
wait $driver || { cat "$work/err"; fail "the last driver failed"; }
echo "a driver killed: its actor and tasks ended, the detached actor stayed"

until_ok 30 store_empty || fail "the stores are not empty"
raia down --all 2>/dev/null
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
