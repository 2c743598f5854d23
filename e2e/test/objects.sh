#!/bin/bash
# A GiB crosses nodes both ways, and its memory comes back on both; a full store says so, makes others wait,
# and is as large as before once it is empty; an object that finds no room on a node is there when there is.
. "$(dirname "$0")/lib.sh"
big=$((1250 << 20))

memfd_mib() { # real memory of the segments that these clusters' processes have open
    local p
    for p in $(pids); do
        find "/proc/$p/fd" -lname '*memfd:raia-store*' -exec stat -L -c '%i %b' {} + 2>/dev/null || true
    done | sort -u | awk '{ blocks += $2 } END { print int(blocks / 2048) }'
}
# What an empty store keeps warm is no more than this.
memory_back() { [ "$(memfd_mib)" -le 128 ]; }
used() { raia status --format json | python3 -c 'import json, sys; print(sum(n["object_store_used"] >> 20 for n in json.load(sys.stdin)["nodes"]))'; }
holds_two() { [ "$(used)" -ge 2048 ]; }

cluster cross 1 1 $big '{"far": 1}'
mkfifo "$work/in"
RAIA_ADDRESS=$RAIA_STATE_DIR/cross/nodes/head timeout 250 "$bin/../test/e2e_objects" cross <"$work/in" >"$work/out" 2>"$work/err" &
driver=$!
exec 3>"$work/in"
until_ok 120 grep -q held "$work/out" || { cat "$work/err"; fail "no GiB crossed"; }
until_ok 30 holds_two || { raia status --format json; fail "the GiB is not on both nodes"; }
[ "$(memfd_mib)" -ge 2048 ] || fail "the segments are not to be seen: $(memfd_mib) MiB"
echo >&3
until_ok 120 grep -q released "$work/out" || { cat "$work/err"; fail "no GiB came back"; }
until_ok 30 store_empty || { raia status --format json; fail "the stores are not empty"; }
until_ok 90 memory_back || fail "$(memfd_mib) MiB of segments are left while the driver lives"
exec 3>&-
wait $driver || { cat "$work/err"; fail "the driver failed"; }
echo "a GiB each way; $(memfd_mib) MiB of segments stay warm"
raia down cross 2>/dev/null

cluster full 0 1 $((128 << 20))
RAIA_ADDRESS=full timeout 120 "$bin/../test/e2e_objects" full || fail "the full store"
until_ok 30 store_empty || { raia status --format json; fail "the store is not empty"; }
raia down full 2>/dev/null

cluster room 1 2 $((128 << 20)) '{"far": 3}'
RAIA_ADDRESS=$RAIA_STATE_DIR/room/nodes/head timeout 250 "$bin/../test/e2e_room" || fail "no room for objects of another node"
until_ok 30 store_empty || { raia status --format json; fail "the stores are not empty"; }
raia down --all 2>/dev/null
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
