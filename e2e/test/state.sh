#!/bin/bash
# What `raia list|get|summary` say of a cluster of two nodes at work is true: tasks that run and wait,
# actors, objects, workers; and a process or a raylet that does not answer costs a warning, not a hang.
. "$(dirname "$0")/lib.sh"
driver=$bin/../test/e2e_state
cluster state 1 2
mkfifo "$work/in"
exec 7<>"$work/in"
raia job submit --no-wait --submission-id s -- sh -c "exec '$driver' 5 <'$work/in'" >/dev/null
until_ok 60 sh -c 'raia job logs s | grep -q ready' || { raia job logs s; fail "the driver does not begin"; }

# rows KIND EXPRESSION [FLAG ...]: whether the expression over the listed rows `d` holds
rows() {
    local kind=$1 expression=$2
    shift 2
    raia list "$kind" --format json "$@" >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; return 1; }
    python3 -c "
import json, sys
from collections import Counter
d = json.load(open('$work/out'))
sys.exit(not ($expression))"
}
# must KIND EXPRESSION [FLAG ...]: it holds within 20 s
must() {
    until_ok 20 rows "$@" || { cat "$work/out" "$work/err" >&2; fail "raia list $1: $2"; }
}
field() { python3 -c "import json; d = json.load(open('$work/out')); print($1)"; }
# seconds COMMAND ...: how long it took, in tenths; its output is in out and err
tenths() {
    local begin=$EPOCHREALTIME
    "$@" >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; fail "$*"; }
    awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%d", (b - a) * 10 }'
}

echo "-- tasks"
# 2 + 2 CPUs, of which inner has one; five naps: two wait
must tasks 'Counter(t["state"] for t in d if t["name"] == "nap")["RUNNING"] == 3 and sum(t["name"] == "nap" for t in d) == 5'
must tasks '[t["state"] for t in d if t["name"] == "outer"] == ["RUNNING_IN_RAY_GET"]'
must tasks '[t["parent_task_id"] for t in d if t["name"] == "inner"] == [t["task_id"] for t in d if t["name"] == "outer"]'
must tasks 'all(t["worker_pid"] and t["node_id"] and t["start_time_ms"] for t in d if t["state"] == "RUNNING")'
must tasks 'len({t["node_id"] for t in d if t["state"] == "RUNNING"}) == 2'
must tasks '[(t["state"], t["type"]) for t in d if t["name"] == "after"] == [("PENDING_ARGS_AVAIL", "NORMAL_TASK")]'
must tasks 'sorted(t["state"] for t in d if t["type"] == "ACTOR_TASK") == ["PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY", "RUNNING"]'
must tasks 'len(d) == 1 and all(t["name"] == "nap" and t["state"] == "RUNNING" for t in d)' --filter state=RUNNING --filter name=nap --limit 1
grep -q '1 of [23] rows' "$work/err" || fail "the limit is not told: $(cat "$work/err")"
id=$(field 'd[0]["task_id"]')
raia get tasks "$id" --format json | has "$id" || fail "get by the whole id"
raia get tasks "${id:0:1}" >/dev/null 2>&1 && fail "get by an ambiguous beginning"
raia list tasks | has 'nap .*RUNNING .*NORMAL_TASK .*w-0 ' || fail "no node names in the table"
raia summary tasks --format json >"$work/out"
[ "$(field 'd["summary"]["nap"]["state_counts"]["RUNNING"]')" -ge 2 ] || fail "summary of tasks"
raia summary tasks | has '^nap .*RUNNING [23]' || fail "summary of tasks as a table"

echo "-- workers, actors"
must workers 'Counter(w["worker_type"] for w in d if w["is_alive"])["DRIVER"] == 1 and len({w["node_id"] for w in d}) == 2'
must workers 'sum(w["actor_id"] is not None for w in d) == 1'
must actors '[(a["class_name"], a["state"]) for a in d] == [("Keeper", "ALIVE")]'
raia summary actors | has '^Keeper .*ALIVE 1' || fail "summary of actors"

echo "-- objects"
must objects '[o["reference_type"] for o in d if (o["object_size"] or 0) > 4 << 20] == ["LOCAL_REFERENCE"]'
must objects 'all(len(o["copies"]) == 1 and o["copies"][0]["primary"] for o in d if (o["object_size"] or 0) > 4 << 20)'
must objects 'Counter(o["task_status"] for o in d)["PENDING"] == 10 and Counter(o["task_status"] for o in d)["FAILED"] == 1'
must objects 'Counter(o["reference_type"] for o in d)["ACTOR_HANDLE"] == 1'
raia summary objects | has 'LOCAL_REFERENCE' || fail "summary of objects"
raia list nonsense >/dev/null 2>&1 && fail "a kind that there is not"

echo "-- the accounts of each node agree"
must nodes 'len(d) == 2 and all(n["state"] == "ALIVE" for n in d)'
for n in head w-0; do
    python3 - "$RAIA_STATE_DIR/state/nodes/$n/raylet.ctl" <<'EOF2' || fail "the accounts of $n"
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'{"cmd": "status"}\n')
d = json.loads(s.makefile().readline())
d = d.get("result", d)
assert d["consistent"], d
for name, r in d["resources"].items():
    assert abs(r["available"] + r["in_use"] - r["total"]) < 1e-9, (name, r)
EOF2
done

echo "-- a worker that does not answer"
must tasks 'len(d) > 0' --filter name=nap --filter state=RUNNING --filter 'type!=ACTOR_TASK'
pid=$(field 'd[0]["worker_pid"]')
kill -STOP "$pid"
t=$(tenths raia list tasks)
kill -CONT "$pid"
[ "$t" -lt 60 ] || fail "it took $t tenths of a second"
grep -q "not all of it: .*pid $pid on node .*did not answer in time" "$work/err" || fail "no warning: $(cat "$work/err")"
grep -q ' nap .*SUBMITTED_TO_WORKER' "$work/out" || fail "its task is not listed"
must tasks 'Counter(t["state"] for t in d if t["name"] == "nap")["RUNNING"] == 3'
[ ! -s "$work/err" ] || fail "a warning although all answer: $(cat "$work/err")"

echo "-- a raylet that does not answer"
raia list nodes --format json >"$work/out"
pid=$(field '[n["raylet_pid"] for n in d if n["node_name"] == "w-0"][0]')
kill -STOP "$pid"
t=$(tenths raia list objects)
kill -CONT "$pid"
[ "$t" -lt 80 ] || fail "it took $t tenths of a second"
grep -q 'not all of it: Node w-0 (' "$work/err" || fail "no warning: $(cat "$work/err")"
grep -q LOCAL_REFERENCE "$work/out" || fail "what the other node told is not listed"

echo "-- the end"
echo >&7
until_ok 30 sh -c 'raia job status s --format json | grep -q SUCCEEDED' || { raia job logs s; fail "the driver does not end"; }
must tasks 'd == []'
must objects 'd == []'
must workers 'not any(w["is_alive"] and w["worker_type"] == "DRIVER" for w in d)'
must actors 'all(a["state"] == "DEAD" for a in d)'
echo "what is listed is true"
