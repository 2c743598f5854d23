#!/bin/bash
# `raia start --head` and `raia start --address JOIN_FILE` on two hosts: network namespaces with a
# cable between them, each with a state folder of its own. A job that uses both; a cable that is
# cut for longer than the lease, in two ways; strangers. Needs root: skipped, aloud, without.
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" -ne 0 ] || ! ip netns add "raia-probe-$$" 2>/dev/null; then
    echo "SKIPPED: network namespaces need root (and ip)"
    exit 77
fi
ip netns del "raia-probe-$$"
export RAIA_HEARTBEAT=300ms RAIA_LEASE=3s RAIA_LEASE_GRACE=1s
head=raia-h-$$ node=raia-n-$$
a=10.77.0.1 b=10.77.0.2
state_a=$work/state/a state_b=$work/state/b
on_head() { ip netns exec "$head" env RAIA_STATE_DIR="$state_a" "$@"; }
on_node() { ip netns exec "$node" env RAIA_STATE_DIR="$state_b" "$@"; }
cleanup() {
    local status=$?
    [ $status -eq 0 ] || show_logs || true
    on_node raia stop >/dev/null 2>&1 || true
    on_head raia stop >/dev/null 2>&1 || true
    RAIA_STATE_DIR=$state_b raia down --all >/dev/null 2>&1 || true
    RAIA_STATE_DIR=$state_a raia down --all >/dev/null 2>&1 || true
    ip netns del "$head" || true
    ip netns del "$node" || true
    rm -rf "$work"
    exit $status
}
trap cleanup EXIT
mkdir -p -m 700 "$work/state"
ip netns add "$head"
ip netns add "$node"
ip link add "rh$$" netns "$head" type veth peer name "rn$$" netns "$node"
ip -n "$head" addr add $a/24 dev "rh$$"
ip -n "$node" addr add $b/24 dev "rn$$"
for n in "$head rh$$" "$node rn$$"; do
    ip -n "${n% *}" link set lo up
    ip -n "${n% *}" link set "${n#* }" up
done

# nodes EXPRESSION: over `far`, the nodes of that name, and `n`, all
nodes() {
    on_head raia list nodes --format json 2>/dev/null | python3 -c '
import json, sys
n = json.load(sys.stdin)
far = [x for x in n if x["node_name"] == "far-node"]
alive = [x for x in far if x["state"] == "ALIVE"]
sys.exit(not eval(sys.argv[1]))' "$1"
}
alive_id() {
    on_head raia list nodes --format json |
        python3 -c 'import json, sys; print(*[x["node_id"] for x in json.load(sys.stdin) if x["node_name"] == "far-node" and x["state"] == "ALIVE"])'
}
# A task of the driver on the head makes 16 MiB on the node; those that read them run there.
job() {
    on_head raia job submit -- "$bin/../test/e2e_locality" >"$work/job" 2>&1 || { cat "$work/job"; fail "the job"; }
    grep -qx far-node "$work/job" || { cat "$work/job"; fail "the job did not use the node"; }
    on_head raia job submit -- "$bin/examples/large_object" >"$work/job" 2>&1 || { cat "$work/job"; fail "the second job"; }
}

echo "-- a head and a node"
on_head raia start --head --node-ip-address $a --num-cpus 2 >"$work/out" || fail "the head"
join=$state_a/local/join.json
on_node raia start --address "$join" --node-ip-address $b --name far-node --num-cpus 1 --resources '{"far": 1}' >"$work/out" || fail "the node"
nodes 'len(alive) == 1 and len(n) == 2' || fail "two nodes expected"
job

echo "-- strangers"
sed 's/"token": *"[^"]*"/"token": "0123456789abcdef0123456789abcdef"/' "$join" >"$work/token.json"
! on_node raia start --address "$work/token.json" --node-ip-address $b --name stranger >"$work/out" 2>&1 || fail "a wrong token is taken"
grep -qi token "$work/out" || { cat "$work/out"; fail "a wrong token is not named"; }
on_node raia start --head --name other --node-ip-address $b >"$work/out" || fail "another head"
python3 - "$join" "$state_b/other/join.json" >"$work/ca.json" <<'EOF2'
import json, sys
ours, other = (json.load(open(p)) for p in sys.argv[1:])
print(json.dumps({**other, **{k: ours[k] for k in ("gcs_address", "api_url", "token")}}))
EOF2
chmod 600 "$work/ca.json"
on_node raia start --address "$work/ca.json" --node-ip-address $b --name impostor >"$work/impostor" 2>&1 &
impostor=$!
until_ok 60 grep -qsE "level=(warn|error)" "$state_b/impostor/nodes/impostor/logs/raylet.log" || fail "another CA is not noticed"
sleep 2
nodes 'len(n) == 2' || fail "a node with certificates of another CA has joined: $(on_head raia list nodes)"
pkill -INT -P $impostor 2>/dev/null || kill -INT $impostor
! wait $impostor || fail "a node with certificates of another CA has started"
RAIA_STATE_DIR=$state_b raia down other >/dev/null 2>&1 || fail "the other head does not end"

fenced() { [ "$(grep -c 'has not answered for longer than the lease' "$state_b/far-node/nodes/far-node/logs/agent.log")" -ge "$1" ]; }
cuts=0
# cut HOW BACK: longer than the lease; the node is dead to the head, fences itself, and joins again.
cut() {
    local old
    old=$(alive_id)
    cuts=$((cuts + 1))
    eval "$1"
    until_ok 30 nodes 'not alive' || fail "$1: the node is not declared dead"
    until_ok 30 fenced $cuts || fail "$1: the node does not fence itself"
    eval "$2"
    until_ok 60 nodes 'len(alive) == 1' || fail "$2: the node does not join again"
    [ "$(alive_id)" != "$old" ] || fail "it is the old node"
    job
}
echo "-- the cable is cut"
cut "ip -n $node link set rn$$ down" "ip -n $node link set rn$$ up"
if ip netns exec "$head" iptables -L >/dev/null 2>&1; then
    echo "-- packets are dropped"
    cut "ip netns exec $head iptables -I INPUT -i rh$$ -j DROP" "ip netns exec $head iptables -F INPUT"
fi

echo "-- the end"
on_node raia stop 2>"$work/out" || fail "stop"
on_head raia stop 2>"$work/out" || fail "stop"
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
echo "ok"
