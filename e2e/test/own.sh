#!/bin/bash
# A program without RAIA_ADDRESS has a cluster of its own, which ends with it, also when it is killed (-9), and with
# what it started in sessions of their own: no process and no file is left.
. "$(dirname "$0")/lib.sh"
unset RAIA_ADDRESS RAIA_CLUSTER
empty() { [ -z "$(leftovers)" ] && [ -z "$(ls "$RAIA_STATE_DIR" 2>/dev/null)" ]; }

begin() {
    rm -f "$work/in"
    mkfifo "$work/in"
    "$bin/../test/e2e_idle" <"$work/in" >"$work/out" 2>&1 &
    driver=$!
    exec 3>"$work/in"
    until_ok 60 grep -q ready "$work/out" || { cat "$work/out"; fail "the program did not start"; }
    keeper=$(cat "$RAIA_STATE_DIR"/own-*/keeper.pid)
}

begin
exec 3>&-
wait $driver || fail "the program ended with $?"
until_ok 30 empty || fail "left after an orderly end: $(leftovers) $(ls "$RAIA_STATE_DIR")"

begin
kill -9 $driver
wait $driver 2>/dev/null || true
exec 3>&-
until_ok 30 empty || fail "left after kill -9: $(leftovers) $(ls "$RAIA_STATE_DIR")"

begin
kill -STOP "$keeper" # it notices late
kill -9 $driver
wait $driver 2>/dev/null || true
exec 3>&-
kill -CONT "$keeper"
until_ok 30 empty || fail "left by a keeper that noticed late: $(leftovers) $(ls "$RAIA_STATE_DIR")"
raia start --head --name other --port 0 --dashboard-port 0 --owner 1234567 >"$work/out" 2>&1 && fail "another process's cluster"
grep -q -- '--owner' "$work/out" || { cat "$work/out"; fail "the error does not say what is wrong"; }
