#!/bin/bash
# A task whose argument is large runs on the node that holds it, while there is room; so its bytes stay there.
. "$(dirname "$0")/lib.sh"
cluster near 1 2 "" '{"far": 1}'
RAIA_ADDRESS=$RAIA_STATE_DIR/near/nodes/head timeout 100 "$bin/../test/e2e_locality" >"$work/out" 2>"$work/err" || { cat "$work/err"; fail "the driver failed"; }
[ "$(wc -l <"$work/out")" -eq 8 ] || fail "eight answers expected"
[ "$(grep -vc head "$work/out")" -eq 8 ] || { cat "$work/out"; fail "tasks ran where their argument was not"; }
raia down --all 2>/dev/null
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
