#!/bin/bash
# Ring pairs that nobody uses are given back: after many peers have been called, the pairs and the memory of all
# are back to what they were, their handles go on, and calls that cross the giving back lose nothing.
#
#   pairs.sh BIN [ACTORS]
. "$(dirname "$0")/lib.sh"
n=${2:-200}
ctl=$(dirname "$0")/ctl.py
export RAIA_IDLE_PAIR_TIME=300ms RAIA_MAX_WORKERS=$((n + 20))
cluster pairs 0 4
socket=$(echo "$RAIA_STATE_DIR"/pairs/nodes/*/raylet.ctl)

pairs() { "$ctl" "$socket" status pairs; }
no_pairs() { [ "$(pairs)" -eq 0 ]; }
mapped() { grep -c raia-pair "/proc/$driver/maps" || true; } # the raylet's own is one
memory() { awk '/^RssShmem/ { print $2 }' "/proc/$driver/status"; }

mkfifo "$work/in"
RAIA_ADDRESS=pairs RAIA_IDLE_PAIR_TIME= "$bin/../test/e2e_pairs" "$n" 300 <"$work/in" >"$work/out" 2>"$work/err" &
driver=$!
exec 3>"$work/in"
until_ok 120 grep -q used "$work/out" || { cat "$work/err"; fail "$n actors"; }
until_ok 30 no_pairs || fail "$(pairs) pairs are left"
[ "$(mapped)" -le 1 ] || fail "the driver maps $(mapped) pairs"
first=$(memory)
echo >&3
until_ok 60 grep -q again "$work/out" || { cat "$work/err"; fail "handles whose pair was given back"; }
most=$(pairs)
until_ok 30 no_pairs || fail "$(pairs) pairs are left the second time"
echo "$n actors: $most pairs just after the second round, 0 when idle; shared memory in the driver $first KiB after the first round, $(memory) KiB after the second"
[ "$(memory)" -le $((first + 256)) ] || fail "memory of pairs is left"
echo >&3
until_ok 90 grep -q stirred "$work/out" || { cat "$work/err"; fail "calls that cross the giving back"; }
until_ok 30 no_pairs || fail "$(pairs) pairs are left at last"
exec 3>&-
wait $driver || { cat "$work/err"; fail "the driver failed"; }
until_ok 30 all_free 1 || fail "not every resource is free"
raia down --all 2>/dev/null
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
