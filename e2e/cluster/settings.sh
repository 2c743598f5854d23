# What the scripts of this folder share: where things lie, the addresses, and the few verbs that all
# of them need. Sourced, never run.
#
# NODES=N         how many nodes (2; at most 9)
# RAIA_CLUSTER=K  which cluster of this machine, 0 to 9 (0); each has addresses, groups and a folder of its own
# RAIA_CLUSTER_STATE  the folder of the running cluster (/tmp/raia-cluster, -K for others); cluster-down removes it
# RAIA_CLUSTER_FAKE=1 a control plane beside them, on loopback addresses, without real nodes: see fake
# shellcheck shell=bash
# shellcheck disable=SC2034 # most of these are used by the scripts that source this
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=${0##*/}
number=${RAIA_CLUSTER:-0}
[[ $number =~ ^[0-9]$ ]] || { echo "$self: RAIA_CLUSTER=$number: 0 to 9" >&2; exit 2; }
suffix=
[ "$number" = 0 ] || suffix=-$number
[ -z "${RAIA_CLUSTER_FAKE-}" ] || suffix=$suffix-fake
state=${RAIA_CLUSTER_STATE:-/tmp/raia-cluster$suffix}
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/raia-e2e
nodes=${NODES:-2}
[[ $nodes =~ ^[1-9]$ ]] || { echo "$self: NODES=$nodes: 1 to 9" >&2; exit 2; }

bin=$state/bin   # links to the built programs
pki=$state/pki   # keys, certificates, kubeconfigs
log=$state/log   # one file for each program of the host
kubeconfig=$state/kubeconfig

# The machine is .1 of the network that it shares with the nodes; node N is .10+N, and its pods have a
# range of their own. Nothing of it is reachable from outside, and nothing in it reaches outside.
network=10.$((200 + number)).0
machine_ip=$network.1
machine_if=raia$number
network_range=$network.0/24
pods_prefix=10.$((244 + number))
pod_ranges=$pods_prefix.0.0/16
service_range=10.$((96 + number)).0.0/16
dns_ip=10.$((96 + number)).0.10
# etcd, the controller manager and the scheduler keep their usual ports on a loopback address of their own.
control_ip=127.$((200 + number)).0.1
if [ -n "${RAIA_CLUSTER_FAKE-}" ]; then machine_ip=127.$((220 + number)).0.1 control_ip=127.$((230 + number)).0.1 nodes=0; fi
node_ip() { echo "$network.1$1"; }
pod_range() { echo "$pods_prefix.$1.0/24"; }

say() { echo "$self: $*" >&2; }
die() { say "$*"; exit 1; }

# wait_for SECONDS COMMAND...: runs the command every 0.1 s until it succeeds; 1 when the time is over.
wait_for() {
    local end=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# Every process of the cluster lives below one cgroup of the pids hierarchy, a group for each part
# (etcd, node1, ...). That is how they are found again, whatever has happened to who started them.
cgroups=/sys/fs/cgroup
group=raia-cluster$suffix
part_dir() { echo "$cgroups/pids/$group/$1"; }

# part_pids PART: the processes of the part itself. part_all_pids [PART]: and those below (pods).
part_pids() { cat "$(part_dir "$1")/cgroup.procs" 2>/dev/null || true; }
part_all_pids() {
    local d
    d=$(part_dir "${1-}")
    [ ! -d "$d" ] || find "$d" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}
part_running() { [ -n "$(part_pids "$1")" ]; }

# part_start PART LOG COMMAND...: starts it as a daemon in its group.
part_start() {
    local part=$1 out=$2
    shift 2
    mkdir -p "$(part_dir "$part")"
    (
        echo "$BASHPID" >"$(part_dir "$part")/cgroup.procs"
        cd /
        exec setsid nohup "$@" >>"$out" 2>&1 </dev/null 9>&-
    ) &
}

# kept_start PART LOG COMMAND...: the same, and again a second after it has ended, as a kubelet keeps a control
# plane's pods: some programs end on purpose where they do not know how to go on. Its keeper is a part, too.
kept_start() {
    local part=$1 out=$2
    shift 2
    mkdir -p "$(part_dir "$part")"
    # shellcheck disable=SC2016 # for the keeper
    part_start "$part.keeper" "$out" "$BASH" -c 'while :; do
        (echo "$BASHPID" >"$0/cgroup.procs" && exec "$@")
        echo "it has ended with $?, and is started again"
        sleep 1
    done' "$(part_dir "$part")" "$@"
}

# part_kill [PART]: SIGKILL to all of it (without a name: to all of the cluster), until none is left. The
# last processes of a container take its file system apart, which may have to wait for a busy disk.
part_kill() {
    local part=${1-} begin=$SECONDS told=0 pids
    while pids=$(part_all_pids "$part") && [ -n "$pids" ]; do
        # shellcheck disable=SC2086 # a list
        kill -KILL $pids 2>/dev/null || true
        [ $((SECONDS - begin)) -lt 300 ] || die "still there 300 s after SIGKILL: processes ${pids//$'\n'/ }"
        if [ $((SECONDS - begin - told)) -ge 10 ]; then
            told=$((SECONDS - begin))
            # shellcheck disable=SC2086 # a list
            say "killed $told s ago, not yet gone (pid, state, waits in, name):" "$(ps -o pid=,s=,wchan:24=,comm= $pids | tr '\n' ';')"
        fi
        sleep 0.05
    done
}

# part_stop PART: SIGTERM, and SIGKILL after 10 s.
part_stop() {
    local pids
    pids=$(part_pids "$1")
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086 # a list
    kill -TERM $pids 2>/dev/null || true
    wait_for 10 eval "! part_running $1" || part_kill "$1"
}

# remove_cgroups NAME: the group NAME with all below it, in every hierarchy. The kernel empties a group a
# little after its last process, so it is tried again for a while.
remove_cgroups() {
    local end=$(($(date +%s) + 30)) d
    while :; do
        for d in "$cgroups"/*/"$1"; do
            [ ! -d "$d" ] || find "$d" -depth -type d -exec rmdir {} + 2>/dev/null || true
        done
        [ -n "$(compgen -G "$cgroups/*/$1")" ] || return 0
        [ "$(date +%s)" -lt "$end" ] || die "cannot remove:" "$cgroups"/*/"$1"
        sleep 0.1
    done
}

# take_lock: one up or down at a time. The file goes with the cluster, hence the second look.
lock_file=/run/raia-cluster$suffix.lock
take_lock() {
    while :; do
        exec 9>"$lock_file"
        flock -n 9 || { say "another start or stop is running: waiting for it"; flock 9; }
        [ ! /proc/self/fd/9 -ef "$lock_file" ] || return 0
    done
}

# own_state: the state folder is ours, or does not exist.
own_state() {
    [ ! -d "$state" ] || [ -z "$(ls -A "$state")" ] || [ -e "$state/.raia-cluster" ] ||
        die "$state holds something that is not a cluster's: choose another folder (RAIA_CLUSTER_STATE)"
}

need_root() { [ "$(id -u)" -eq 0 ] || die "needs root: it makes namespaces, mounts and cgroups"; }
need_cluster() { [ -s "$kubeconfig" ] || die "no cluster here: make cluster-up"; }
