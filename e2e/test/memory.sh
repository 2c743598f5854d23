#!/bin/bash
# Memory is bounded by what is going on, not by what has been: every process of the cluster and the driver take
# no more after N tasks than after 10,000 (+ 4 MiB each, for what an allocator keeps); N tasks that wait take
# less than 1,000 bytes each, and 1 GiB in all.
#
#   memory.sh BIN [N]
. "$(dirname "$0")/lib.sh"
n=${2:-100000}
cluster memory 0 1
export RAIA_ADDRESS=memory

resident() { # "PID KIB NAME" of each process
    local p
    for p in $(pids) $driver; do
        echo "$p $(awk '/^Rss(Anon|Shmem)/ { k += $2 } END { print k + 0 }' "/proc/$p/status") $(cat "/proc/$p/comm")"
    done 2>/dev/null | sort -u
}

mkfifo "$work/in"
"$bin/../test/e2e_memory" batches "$n" <"$work/in" >"$work/out" 2>"$work/err" &
driver=$!
exec 3>"$work/in"
until_ok 60 grep -qx 10000 "$work/out" || { cat "$work/err"; fail "the first 10,000 tasks"; }
resident >"$work/before"
echo >&3
until_ok 500 grep -qx "$n" "$work/out" || { cat "$work/err"; fail "$n tasks"; }
resident >"$work/after"
exec 3>&-
wait $driver || { cat "$work/err"; fail "the driver failed"; }
awk -v n="$n" '
    NR == FNR { before[$1] = $2; next }
    $1 in before { printf "  %-16s %6d KiB after 10000 tasks, %6d KiB after %d\n", $3, before[$1], $2, n
                   seen++; if ($2 > before[$1] + 4096) bad = 1 }
    END { exit bad || seen < 5 }' "$work/before" "$work/after" || fail "memory grows with the tasks that were"

timeout 500 "$bin/../test/e2e_memory" queued "$n" "$work/gate" 2>"$work/err" || { cat "$work/err"; fail "queued tasks"; }
until_ok 30 all_free 1 || fail "not every resource is free"
raia down --all 2>/dev/null
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
