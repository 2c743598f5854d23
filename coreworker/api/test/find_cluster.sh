#!/bin/bash
# find_cluster.sh BIN: which cluster a program gets. Without RAIA_ADDRESS it starts its own, with the
# `raia` that lies beside libraia and not in PATH; "auto" and names pass over sockets where nobody
# listens, and prefer the head.
set -u
bin=$1
hello=$bin/examples/hello
work=$(mktemp -d /tmp/raia-find-XXXXXX)
export RAIA_STATE_DIR=$work/state
unset RAIA_ADDRESS
finish() {
    "$bin/raia" down --all --purge >/dev/null 2>&1
    rm -rf "$work"
}
trap finish EXIT
fail() {
    echo "FAILED: $*"
    exit 1
}
export PATH=/usr/bin:/bin
command -v raia >/dev/null && echo "raia is installed on this machine: its place beside the library is not tested"
out=$("$hello" 2>&1) || fail "a cluster of its own: $out"
[ -z "$(ls "$RAIA_STATE_DIR" 2>/dev/null)" ] || [ -z "$(find "$RAIA_STATE_DIR" -name raylet.sock)" ] ||
    fail "its own cluster was left over"

# A socket of a node that is dead, newer than all others.
stale() {
    mkdir -p "$RAIA_STATE_DIR/$1/nodes/$2"
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])' "$RAIA_STATE_DIR/$1/nodes/$2/raylet.sock"
}
export RAIA_LOG_TO_DRIVER=0
RAIA_ADDRESS=auto "$hello" >"$work/out" 2>&1 && fail "auto found a cluster where there is none"
"$bin/raia" start --head --name living --port 0 --dashboard-port 0 >"$work/out" 2>&1 || fail "start: $(cat "$work/out")"
stale living aged
stale dead head
RAIA_ADDRESS=auto "$hello" >"$work/out" 2>&1 || fail "auto: $(cat "$work/out")"
RAIA_ADDRESS=living "$hello" >"$work/out" 2>&1 || fail "by name: $(cat "$work/out")"
RAIA_ADDRESS=dead "$hello" >"$work/out" 2>&1 && fail "a dead cluster was joined"
grep -q "dead" "$work/out" || fail "the message does not name the cluster: $(cat "$work/out")"
exit 0
