#!/bin/bash
# Executables and packages of a node that no job uses go when all together pass the bound, those not used for longest
# first; what a job uses stays, whatever its age.
. "$(dirname "$0")/lib.sh"
export RAIA_CODE_CACHE_SIZE=20MiB
cluster cache 0 2
export RAIA_ADDRESS=cache
code=$RAIA_STATE_DIR/cache/nodes/head/code

entry() { # NAME_CHARACTER MIB DAYS_AGO [.dir]
    local path=$code/$(printf "$1%.0s" $(seq 64))${4:-}
    if [ -n "${4:-}" ]; then mkdir -p "$path/in/it"; head -c "$2M" /dev/urandom >"$path/in/it/f"; else head -c "$2M" /dev/urandom >"$path"; fi
    touch -d "$3 days ago" "$path"
}
has() { [ -n "$(find "$code" -maxdepth 1 -name "$1$1$1*")" ]; }
lacks() { ! has "$1"; }

mkfifo "$work/in"
"$bin/../test/e2e_idle" <"$work/in" >"$work/out" 2>&1 &
driver=$!
exec 3>"$work/in"
until_ok 60 grep -q ready "$work/out" || { cat "$work/out"; fail "the driver did not start"; }
touch -d "100 days ago" "$code"/* # its executable: the oldest, and in use
used=$(ls "$code" | head -1)
entry a 8 3
entry b 8 9 .dir
entry c 8 6
entry d 8 1 .dir
entry e 8 0 # young: may be on its way to a job
"$bin/examples/hello" >/dev/null || fail "hello"
until_ok 30 lacks b || fail "the one not used for longest stays: $(ls -la "$code")"
until_ok 30 lacks c || fail "the next one stays: $(ls -la "$code")"
until_ok 30 lacks a || fail "the third one stays: $(ls -la "$code")"
has e && [ -e "$code/$used" ] || fail "what is used went: $(ls -la "$code")"
until_ok 20 sh -c "! ls -A '$code' | grep -q '^.old'" || fail "what went was not removed"
exec 3>&-
wait $driver || fail "the driver ended with $?"
raia down --all 2>/dev/null
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
