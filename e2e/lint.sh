#!/bin/bash
# Keeps the house rules: formatting, banned functions, the layering, file sizes.
set -uo pipefail
cd "$(dirname "$0")/.."
bad=0
complain() { echo "lint: $*" >&2; bad=1; }

mapfile -t files < <(git ls-files '*.c' '*.h')
[ ${#files[@]} -gt 0 ] || exit 0

# Formatting.
if ! clang-format-14 --dry-run -Werror "${files[@]}" >/tmp/lint.$$ 2>&1; then
    grep -E 'error|warning' /tmp/lint.$$ | cut -d: -f1,2 | sort -u | head -20 >&2
    complain "formatting: run clang-format-14 -i on those files"
fi
rm -f /tmp/lint.$$

# Functions that hide errors or overflow; every one has a wrapper or a better sister.
banned='\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|alloca|system|tmpnam|mktemp|usleep)[[:space:]]*\('
if grep -nE "$banned" "${files[@]}" | grep -vE '^([^:]*/test/|[^:]*/bench/)' |
    grep -vE '^[^:]+:[0-9]+:[[:space:]]*(\*|//)' >&2; then
    complain "banned functions (above)"
fi
# Allocation goes through mem_*; the exceptions are users' programs, and the wrapper itself.
if grep -nE '\b(malloc|calloc|realloc|strdup|strndup|asprintf)[[:space:]]*\(' "${files[@]}" |
    grep -vE '^(common/base/mem\.c|coreworker/examples/|coreworker/bench/|coreworker/api/|coreworker/include/|[^:]*/test/|[^:]*/fuzz/|[^:]*/bench/|e2e/|docs/)' |
    grep -vE '^[^:]+:[0-9]+:[[:space:]]*(\*|//|/\*)' >&2; then
    complain "allocation outside of mem_* (above)"
fi

# Messages are unpacked in one place, with our allocator.
if grep -nE '(unpack|free_unpacked)[[:space:]]*\(([^()]*,[[:space:]]*)?NULL\b|protobuf_c_message_(unpack|free_unpacked)' "${files[@]}" |
    grep -vE '^(proto/message\.[ch]|[^:]*/test/|[^:]*/fuzz/)' >&2; then
    complain "unpacking outside of proto_unpack (above)"
fi

# Each third-party header has one home.
home() { # header-regex folder-regex
    local hits
    hits=$(grep -nE "^#include <$1" "${files[@]}" | grep -vE "^($2)")
    [ -z "$hits" ] || { echo "$hits" >&2; complain "<$1> is included outside of $2"; }
}
home 'grpc/' 'common/rpc/'
home 'zip\.h' 'common/archive/'
home 'curl/' 'common/http/'
home 'microhttpd' 'common/http/'
home 'cjson/' 'common/json/'
home 'lz4' 'operator/kube/'
home 'yaml\.h' 'common/yaml/'
home 'openssl/' 'common/crypto/'
home 'sqlite3' 'gcs/storage/'
home 'uv\.h' 'common/loop/'
home 'uthash' 'common/base/'
home 'criterion/' '[a-z]+/([a-z/]+/)?test/'

# Layers: who may include whose headers. Paths are as in #include "...".
layer() { # folder-regex forbidden-regex
    local hits
    hits=$(grep -nE "^#include \"($2)" "${files[@]}" | grep -E "^($1)")
    [ -z "$hits" ] || { echo "$hits" >&2; complain "$1 may not include $2"; }
}
layer 'common/base/' '(loop|rpc|json|yaml|http|crypto|control|proto|gcs|agent|coreworker)/'
layer 'common/' '(gcs|kube|raylet|supervisor|store|link|coreworker)/|.*\.pb-c\.h'
layer 'coreworker/(core|lib|api|worker)/' '(loop|rpc|yaml|http|crypto)/'
layer '(gcs|agent|coreworker|operator)/core/' '(loop|rpc|http|control)/'

# Files stay small; tests may be longer.
for f in "${files[@]}"; do
    n=$(wc -l <"$f")
    most=700
    [[ $f == */test/* ]] && most=1000
    [ "$n" -le $most ] || complain "$f has $n lines ($most at most)"
done
exit $bad
