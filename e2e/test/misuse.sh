#!/bin/bash
# Every public function, misused: refused with a text; no crash, no hang, and nothing left in the cluster.
. "$(dirname "$0")/lib.sh"
cluster misuse 0 2 268435456
RAIA_ADDRESS=misuse timeout 120 "$bin/../test/e2e_misuse" 2>"$work/err" || { s=$?; tail -n 80 "$work/err"; fail "misuse ended with $s"; }
until_ok 30 all_free 1 || { raia status; fail "not every resource is free"; }
until_ok 30 store_empty || { raia status --format json; fail "the store is not empty"; }
raia down --all
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
sanitized "$RAIA_STATE_DIR" "$work/err"
