#!/bin/bash
# samples.sh BIN FOLDER: every manifest of the folder (KubeRay's own samples) starts as it is, with all its nodes, and goes again.
. "$(dirname "$0")/lib.sh"
n=0
for f in "$2"/*.yaml; do
    grep -Eq '^kind: (RayCluster|RayJob)$' "$f" || continue
    raia up -f "$f" --detach >"$work/out" 2>"$work/err" || {
        # A job that selects a cluster of another file has nothing to run on.
        grep -q 'selects a cluster' "$work/err" && continue
        cat "$work/err" >&2
        fail "$f"
    }
    n=$((n + 1))
    raia down --all --purge 2>/dev/null || fail "down after $f"
    [ -z "$(leftovers)" ] || fail "processes are left after $f: $(leftovers)"
done
[ "$n" -gt 0 ] || fail "no sample in $2"
echo "$n samples started"
