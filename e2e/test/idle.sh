#!/bin/bash
# An idle one-node cluster costs less than 1 % of a core and 60 MiB (PSS of all its processes); so it does
# with an idle driver and its idle workers on it, but for their own memory.
. "$(dirname "$0")/lib.sh"
tick=$(getconf CLK_TCK)

usage() { # "PID TICKS PSS_KIB NAME" of each process
    local p
    for p in $(pids); do
        echo "$p $(sed 's/.*) //' "/proc/$p/stat" | awk '{ print $12 + $13 }') $(awk '/^Pss:/ { print $2 }' "/proc/$p/smaps_rollup") $(cat "/proc/$p/comm")"
    done 2>/dev/null
}

measure() { # what settle seconds
    local after
    sleep $2
    usage >"$work/before"
    sleep $3
    usage >"$work/after"
    awk -v what="$1" -v seconds=$3 -v tick="$tick" '
        NR == FNR { before[$1] = $2; next }
        $1 in before { cpu = 100 * ($2 - before[$1]) / tick / seconds; all += cpu; kib += $3
                       printf "  %-16s %6d KiB PSS  %5.2f %% of a core\n", $4, $3, cpu; n++ }
        END { printf "%s: %d processes, %.1f MiB PSS, %.2f %% of a core\n", what, n, kib / 1024, all
              exit !(n >= 3 && kib < 60 * 1024 && all < 1) }' "$work/before" "$work/after"
}

cluster idle 0 2
# A busy machine may make one measurement bad, not two.
measure "idle" 5 10 || measure "idle" 5 10 || fail "an idle cluster costs too much"

mkfifo "$work/in"
RAIA_ADDRESS=idle "$bin/../test/e2e_idle" <"$work/in" >"$work/out" 2>&1 &
driver=$!
exec 3>"$work/in"
until_ok 30 grep -q ready "$work/out" || { cat "$work/out"; fail "the driver did not start"; }
measure "with an idle driver" 1 5 || measure "with an idle driver" 5 10 || fail "an idle driver costs too much"
exec 3>&-
wait $driver || fail "the driver ended with $?"
raia down --all
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
