#!/bin/bash
# Runs every test: as released, under AddressSanitizer + UBSan + LeakSanitizer, and (threads and cores)
# under ThreadSanitizer (programs labelled tsan: Criterion itself cannot start there). Ends with one line, "N passed, N failed", and status 1 if any failed.
#
#   e2e/run-tests.sh [release] [asan] [tsan]      only those
set -uo pipefail
cd "$(dirname "$0")/.."
jobs=$(nproc)
passed=0 failed=0
names=()

# A sanitizer build of the same tree; what it prints is shown only if it fails. With a label, only the
# programs of the tests that have it are built (tests are named after their programs).
build() { # folder sanitizers [label]
    echo "building with -fsanitize=$2 (in $1)"
    local log=$1.log targets=()
    if cmake -G Ninja -S . -B "$1" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRAIA_SANITIZE="$2" -DRAIA_DAEMONS="$PWD/build/bin" >"$log" 2>&1; then
        [ -z "${3-}" ] || mapfile -t targets < <(ctest --test-dir "$1" -N -L "$3" | awk '$1 == "Test" && $2 ~ /^#/ { print $3 }')
        if ninja -C "$1" -j "$jobs" "${targets[@]}" >>"$log" 2>&1; then
            rm -f "$log"
            return 0
        fi
    fi
    tail -n 60 "$log"
    echo "the build in $1 failed"
    failed=$((failed + 1)); names+=("build of $1")
    return 1
}

# Runs the ctest tests of a build folder, and counts: the cases of Criterion programs, else 1 each.
run() { # title folder ctest-arguments...
    local title=$1 dir=$2
    shift 2
    echo "== $title"
    ctest --test-dir "$dir" -j "$jobs" --output-on-failure --no-tests=error "$@" 2>&1 |
        grep -v -e '^Internal ctest' -e '^Test project' -e '^ *Start ' -e '^$' -e '^Label Time' -e '^Total Test time' -e 'proc.*)$'
    local counts
    counts=$(awk '
        /^[0-9]+\/[0-9]+ Testing: / { name = $3; tested = 0; bad = 0 }
        match($0, /Tested: [^0-9]*[0-9]+/) && /Passing:/ {
            line = $0; gsub(/\033\[[0-9;]*m/, "", line); gsub(/[^0-9]+/, " ", line)
            n = split(line, v, " "); tested = v[n-3]; bad = v[n-1]
        }
        /^Test Passed\./ { ok += tested ? tested : 1 }
        /^Test Failed\.|^Test timed out|Test time out/ { if (!bad) bad = 1; ko += bad; ok += tested > bad ? tested - bad : 0; print "F " name }
        END { print "C " ok + 0 " " ko + 0 }' "$dir/Testing/Temporary/LastTest.log" 2>/dev/null)
    # Criterion reports a test as passed before LeakSanitizer has looked at its process.
    if grep -qE 'SUMMARY: [A-Za-z]+Sanitizer' "$dir/Testing/Temporary/LastTest.log"; then
        grep -nE -B2 -A12 'ERROR: [A-Za-z]+Sanitizer' "$dir/Testing/Temporary/LastTest.log" | head -n 60
        counts+=$'\nC 0 1\nF a_sanitizer_report_in_a_test_that_passed'
    fi
    while read -r kind a b; do
        case $kind in
        F) names+=("$title: $a") ;;
        C) passed=$((passed + a)); failed=$((failed + b)) ;;
        esac
    done <<<"$counts"
}

which=${*:-release asan tsan}
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=detect_stack_use_after_return=1:halt_on_error=1
export LSAN_OPTIONS=suppressions=$PWD/e2e/lsan.supp:print_suppressions=0
export TSAN_OPTIONS=ignore_noninstrumented_modules=1:report_thread_leaks=0:halt_on_error=1
for w in $which; do
    case $w in
    release) run "tests, as released" build -LE long ;;
    asan) build build-asan address,undefined && run "AddressSanitizer, UBSan, LeakSanitizer" build-asan -L 'unit|sim|fuzz|asan' -LE 'long|noasan' ;;
    tsan) build build-tsan thread tsan && run "ThreadSanitizer" build-tsan -L tsan -LE long ;;
    *) echo "usage: $0 [release] [asan] [tsan]" >&2; exit 2 ;;
    esac
done

for n in ${names[@]+"${names[@]}"}; do
    echo "failed: $n"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
