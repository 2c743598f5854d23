#!/bin/bash
# What takes too long for every change: tests labelled long, simulations with more seeds, each fuzz target for
# a while. Ends with one line, "N passed, N failed", and status 1 if any failed.
#
#   e2e/run-check.sh [long] [sim] [fuzz]     only those; TIMES=N (10) times the seeds of make test, FUZZ=S (30) seconds a target
set -uo pipefail
cd "$(dirname "$0")/.."
times=${TIMES:-10}
seconds=${FUZZ:-30}
passed=0 failed=0
names=()

count() { # STATUS NAME
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
        echo "passed: $2"
    else
        failed=$((failed + 1))
        names+=("$2")
        echo "FAILED: $2"
    fi
}

# The names and programs of the tests with a label, one a line.
tests() {
    ctest --test-dir build -L "^$1\$" --show-only=json-v1 | python3 -c '
import json, sys
for t in json.load(sys.stdin)["tests"]:
    if "command" in t:
        print(t["name"], *t["command"])'
}

# Runs the tests of a label, each by itself, with what it prints shown if it fails.
run() { # LABEL
    local name command log
    log=$(mktemp)
    while read -r name command; do
        echo "running: $name"
        timeout 3600 $command >"$log" 2>&1 </dev/null
        local status=$?
        [ $status -eq 0 ] || tail -n 60 "$log"
        count $status "$name"
    done < <(tests "$1")
    rm -f "$log"
}

fuzz() {
    local target name dir log
    if ! command -v clang >/dev/null; then
        echo "skipped: fuzzing (clang is not installed)"
        return
    fi
    log=build-fuzz.log
    echo "building the fuzz targets (in build-fuzz)"
    if ! { cmake -G Ninja -S . -B build-fuzz -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRAIA_FUZZ=ON \
        -DRAIA_TESTS=OFF -DRAIA_SANITIZE=address,undefined &&
        ninja -C build-fuzz $(ninja -C build-fuzz -t targets all | grep -o '^test/fuzz_[a-z_]*'); } >"$log" 2>&1; then
        tail -n 40 "$log"
        count 1 "build of build-fuzz"
        return
    fi
    rm -f "$log"
    for target in build-fuzz/test/fuzz_*; do
        name=$(basename "$target")
        dir=$(find common proto gcs agent coreworker operator -type d -name "$name.corpus" | head -n 1)
        mkdir -p "build-fuzz/corpus/$name"
        "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
            -artifact_prefix="build-fuzz/$name-" "build-fuzz/corpus/$name" ${dir:+"$dir"} >"$log" 2>&1
        local status=$?
        [ $status -eq 0 ] || tail -n 60 "$log"
        count $status "$name for $seconds s"
        rm -f "$log"
    done
}

for w in ${*:-long sim fuzz}; do
    case $w in
    long) run long ;;
    sim) RAIA_SIM_TIMES=$times run sim ;;
    fuzz) fuzz ;;
    *) echo "usage: $0 [long] [sim] [fuzz]" >&2; exit 2 ;;
    esac
done

for n in ${names[@]+"${names[@]}"}; do
    echo "failed: $n"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
