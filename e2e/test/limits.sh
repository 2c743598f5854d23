#!/bin/bash
# What is missing or full is named, with what to do about it: descriptors, disk, working_dir, entrypoint, port.
# Nothing crashes, hangs or stays behind, what can go on goes on afterwards, and no log has the token.
. "$(dirname "$0")/lib.sh"

job() { # ENTRYPOINT [LINE OF THE SPEC]
    cat >"$work/job.yaml" <<EOF2
apiVersion: ray.io/v1
kind: RayJob
metadata: {name: limits}
spec:
  entrypoint: $1
  ${2:-}
  shutdownAfterJobFinishes: true
  rayClusterSpec:
    headGroupSpec:
      rayStartParams: {num-cpus: "1"}
      template: {spec: {containers: [{name: head, image: x}]}}
EOF2
}

# fails STATUS TEXT COMMAND ...: it must end with that status, soon, and say that; nothing may be left.
fails() {
    local status=0 wanted=$1 text=$2
    shift 2
    timeout 90 "$@" >"$work/said" 2>&1 </dev/null || status=$?
    [ $status -eq "$wanted" ] || { cat "$work/said"; fail "'$*' ended with $status, not $wanted"; }
    grep -Eq -- "$text" "$work/said" || { cat "$work/said"; fail "'$*' does not say '$text'"; }
    no_token "$work/said"
    echo "$(grep -E -m 1 -- "$text" "$work/said")" | cut -c 1-150
}
# No file, and no command line, has a token of these clusters.
no_token() {
    local t
    for t in $(cat "$RAIA_STATE_DIR"/*/token 2>/dev/null); do
        [ ${#t} -ge 16 ] || fail "a token of ${#t} bytes"
        ! grep -rlF --exclude=token -e "$t" "$@" || fail "a token is in a log"
        ! grep -lF -e "$t" /proc/[0-9]*/cmdline 2>/dev/null || fail "a token is in a command line"
    done
}
nothing_left() { [ -z "$(leftovers)" ]; }

# Jobs that cannot start.
job "no-such-program --x"
fails 127 "no-such-program: not found" raia up -f "$work/job.yaml"
job "/etc/passwd"
fails 126 "/etc/passwd: Permission denied" raia up -f "$work/job.yaml"
job "echo hi" "runtimeEnvYAML: 'working_dir: $work/nowhere'"
fails 1 "working_dir '$work/nowhere': it cannot be read: No such file or directory" raia up -f "$work/job.yaml"
echo text >"$work/file"
job "echo hi" "runtimeEnvYAML: 'working_dir: $work/file'"
fails 1 "neither a folder nor a zip file" raia up -f "$work/job.yaml"
if [ "$(id -u)" != 0 ]; then
    mkdir -m 0 "$work/secret"
    job "echo hi" "runtimeEnvYAML: 'working_dir: $work/secret'"
    fails 1 "Permission denied" raia up -f "$work/job.yaml"
    chmod 700 "$work/secret"
else
    echo "SKIPPED: a working_dir that may not be read (root may read all)"
fi
job "echo hi"
sed -i /entrypoint/d "$work/job.yaml"
fails 1 "job.yaml:[0-9]+:[0-9]+: spec.entrypoint: is required" raia up -f "$work/job.yaml"
until_ok 30 nothing_left || fail "left: $(leftovers)"

# No descriptors: for the cluster, for a driver, for a raylet that has too many of them.
job "echo hi"
fails 1 "limit of open files is 40, .*ulimit -n" bash -c "ulimit -n 40; exec raia up -f '$work/job.yaml'"
[ -z "$(leftovers)" ] || fail "left: $(leftovers)"
cluster few 0 1 # for its manifest
raia down few 2>/dev/null
(
    ulimit -n 256
    raia up -f "$work/few.yaml" --detach 2>/dev/null
) || fail "a cluster with 256 descriptors for each process"
export RAIA_ADDRESS=few
for n in 6 7; do
    fails 1 "ulimit -n" bash -c "ulimit -n $n; exec '$bin/../test/e2e_idle'"
done
mkfifo "$work/in"
sleep 300 <>"$work/in" >&0 & # keeps their input open
holder=$!
drivers=()
# All at once: they wait at the socket of a raylet that stands still.
raylet=$(leftovers | grep raia-raylet | cut -d ' ' -f 1)
kill -STOP "$raylet"
for i in $(seq 70); do
    timeout 120 "$bin/../test/e2e_idle" <"$work/in" >"$work/driver.$i" 2>&1 &
    drivers+=($!)
done
at_the_door() { [ "$(for p in $(pgrep -x e2e_idle); do readlink "/proc/$p/fd/"* | grep -m 1 socket; done | wc -l)" -ge 70 ]; }
until_ok 60 at_the_door || fail "70 drivers do not connect"
kill -CONT "$raylet"
settled() { [ "$(cat "$work"/driver.* | grep -c -e ready -e init:)" -eq 70 ]; }
until_ok 100 settled || { sort "$work"/driver.* | uniq -c; raia status; fail "some of 70 drivers neither run nor fail"; }
echo "70 drivers, 256 descriptors: $(cat "$work"/driver.* | grep -c ready || true) run; $(grep -h init: "$work"/driver.* | sort | uniq -c | head -n 1 | cut -c 1-150)"
kill $holder
wait "${drivers[@]}" || true
until_ok 60 all_free 1 || { raia status; fail "not every resource is free"; }
timeout 60 "$bin/../test/e2e_idle" </dev/null >/dev/null || fail "no driver can run after the many"
no_token "$RAIA_STATE_DIR"
raia down few 2>/dev/null

# A port that is taken.
python3 -c '
import socket, sys, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
open(sys.argv[1], "w").write(str(s.getsockname()[1]) + "\n")
time.sleep(100)' "$work/port" &
holder=$!
until_ok 30 test -s "$work/port" || fail "no port to take"
fails 1 "$(cat "$work/port")" raia start --head --port "$(cat "$work/port")" --dashboard-port 0
kill $holder
until_ok 30 nothing_left || fail "left: $(leftovers)"

# A full disk: what needs it says so, and works once there is room again.
mkdir -m 700 "$work/small"
if mount -t tmpfs -o size=40m,mode=700 none "$work/small" 2>/dev/null; then
    unmount() {
        raia down --all >/dev/null 2>&1 || true
        umount "$work/small" || true
    }
    trap 'unmount; finish' EXIT
    export RAIA_STATE_DIR=$work/small/state
    unset RAIA_ADDRESS
    mkdir -m 700 "$RAIA_STATE_DIR"
    dd if=/dev/zero of="$work/small/fill" bs=4k 2>/dev/null || true
    job "echo hi"
    fails 1 "disk is full|No space left" raia up -f "$work/job.yaml"
    [ -z "$(leftovers)" ] || fail "left: $(leftovers)"
    rm "$work/small/fill"
    cluster disk 0 1
    dd if=/dev/zero of="$work/small/fill" bs=4k 2>/dev/null || true
    fails 1 "the disk is full" env RAIA_ADDRESS=disk "$bin/../test/e2e_idle"
    fails 1 "the disk is full" raia job submit -- echo hi
    rm "$work/small/fill"
    submits() { timeout 60 raia job submit -- echo back again >"$work/said" 2>&1; }
    until_ok 60 submits || { cat "$work/said"; fail "no job can be submitted when there is room again"; }
    grep -q "back again" "$work/said" || { cat "$work/said"; fail "the job printed something else"; }
    RAIA_ADDRESS=disk timeout 60 "$bin/../test/e2e_idle" </dev/null >/dev/null || fail "no driver can run when there is room again"
    no_token "$RAIA_STATE_DIR"
    raia down --all 2>/dev/null
    [ -z "$(leftovers)" ] || fail "left: $(leftovers)"
else
    echo "SKIPPED: a full disk (a small file system cannot be mounted: not root)"
fi
