#!/bin/bash
# Shows that cluster-up gives what it says, and that cluster-down leaves nothing: also after kill -9 of its
# parts and after a start that was interrupted. Needs root; takes the machine's cluster for itself, so none
# may run. `make cluster-test`; a few minutes when everything is built.
# shellcheck source=settings.sh
. "$(dirname "$0")/settings.sh"
need_root
[ ! -d "$state" ] || die "a cluster runs: make cluster-down first"
work=$(mktemp -d)
trap '"$here/down" 2>/dev/null || true; rm -rf "$work"' EXIT
passed=0 failed=0
k() { "$bin/kubectl" --kubeconfig "$kubeconfig" "$@"; }

# check WHAT COMMAND...: one test; its output is shown if it fails.
check() {
    local what=$1 begin
    shift
    begin=$(date +%s%N)
    if "$@" >"$work/out" 2>&1; then
        printf 'ok      %-62s %6d ms\n' "$what" $((($(date +%s%N) - begin) / 1000000))
        passed=$((passed + 1))
    else
        printf 'FAILED  %s\n' "$what"
        sed 's/^/        /' "$work/out" | tail -n 40
        failed=$((failed + 1))
    fi
}

# What a cluster could leave on a machine. Other programs' cgroups and mounts come and go: only those that
# this one could make are looked at.
machine_state() {
    echo "== mounts"; awk '{ print $5, $(NF - 2), $(NF - 1) }' /proc/self/mountinfo | sort
    echo "== links"; ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | grep -v '^docker\|^veth' | sort
    echo "== routes"; ip -4 route | sort
    echo "== network namespaces"; find /run/netns -mindepth 1 2>/dev/null | sort
    echo "== cgroups"; find $cgroups \( -name "*$group*" -o -name 'kubepods*' -o -name k8s.io -o -name 'node[0-9]' \) | sort
    echo "== processes"; pgrep --runstates R,S,D,T,I -af "$state/|$cache/bin/|containerd|node-init" | cut -d' ' -f2- | sort
    echo "== packet filter"; nft list ruleset; iptables-save 2>/dev/null | grep -v '^#' || true
    echo "== sysctls"
    sysctl -a 2>/dev/null | grep -E '^(vm\.(overcommit_memory|panic_on_oom)|kernel\.(panic|panic_on_oops|keys\.root_max.*)|net\.ipv4\.ip_forward|net\.(ipv4\.conf\.(all|default|eth0)|bridge|netfilter\.nf_conntrack_(max|tcp))\.?.*) ' | grep -v conntrack_count
    echo "== folders"; find /etc/cni /var/lib/kubelet /var/lib/cni /var/lib/containerd /opt/containerd /var/log/pods /var/log/containers \
        /run/containerd "$lock_file" "$state" -maxdepth 0 2>/dev/null
}
# Init reaps the dead, and the kernel takes namespaces apart, a little later: hence some patience.
same_state() { machine_state >"$work/after" || true; diff "$work/before" "$work/after"; }
nothing_left() { wait_for 15 same_state || same_state; }
removed() { "$here/down" && nothing_left; }

ran_twice() { [ "$("$here/up" 2>"$work/up.log")" = "$exports" ]; }

# What must be refused, with words that help.
refused() { # WORDS COMMAND...
    local words=$1
    shift
    ! "$@" >"$work/words" 2>&1 && cat "$work/words" && grep -qF "$words" "$work/words"
}
old_go() {
    mkdir -p "$work/old"
    printf '#!/bin/sh\necho go1.24.4\n' >"$work/old/go"
    chmod +x "$work/old/go"
    refused "needs Go 1.26 or newer to build Kubernetes; this is go1.24.4" \
        env PATH="$work/old:$PATH" XDG_CACHE_HOME="$work/cache" "$here/build" kube
}
no_go() {
    mkdir -p "$work/few" "$work/empty"
    local c
    for c in bash dirname mkdir awk cat sha256sum cut; do ln -sf "$(command -v $c)" "$work/few/"; done
    # Where build looks beside PATH, there is nothing either.
    # shellcheck disable=SC2016 # for the inner shell
    refused "there is no go in PATH" unshare --mount bash -c '
        for d in /usr/local/go/bin /usr/lib/go/bin; do [ ! -d $d ] || mount --bind "$1/empty" $d; done
        PATH=$1/few XDG_CACHE_HOME=$1/cache exec "$2/build" kube' - "$work" "$here"
}
foreign_folder() {
    mkdir -p "$work/foreign" && touch "$work/foreign/precious"
    refused "holds something that is not a cluster's" env RAIA_CLUSTER_STATE="$work/foreign" "$here/down" && [ -e "$work/foreign/precious" ]
}
not_root() { refused "needs root" setpriv --reuid=65534 --clear-groups "$here/up"; }

# Two pods, one on each node, that answer over HTTP with their names; a service before them.
start_pods() {
    local n
    for n in 1 2; do
        cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: web$n, labels: {app: web}}
spec:
  nodeName: node$n
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: localhost/debian:12
    command: [perl, -MIO::Socket::INET, -e]
    args:
    - >-
      \$| = 1; print "serving\n"; \$s = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die;
      while (\$c = \$s->accept) { 1 while (<\$c> =~ /\S/); print \$c "HTTP/1.0 200 OK\r\n\r\nI am \$ENV{HOSTNAME}\n"; close \$c }
    readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
    resources: {limits: {memory: 64Mi}}
Y
    done >"$work/pods.yaml"
    cat >>"$work/pods.yaml" <<'Y'
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
Y
    k apply -f "$work/pods.yaml"
    k wait --for=condition=Ready pod/web1 pod/web2 --timeout=120s
}

on_its_node() { [ "$(k get pod "web$1" -o 'jsonpath={.spec.nodeName}/{.status.hostIP}')" = "node$1/$(node_ip "$1")" ]; }
logs() { k logs web1 | grep -x serving && k logs web2 | grep -x serving; }
runs_inside() { [ "$(k exec "$1" -- hostname)" = "$1" ]; }
limited() { [ "$(k exec web1 -- cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" = 67108864 ]; }

# asks POD HOST PORT: what an HTTP server says to a pod.
asks() { k exec "$1" -- bash -c "exec 3<>/dev/tcp/$2/$3 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3"; }
pod_to_pod() { asks web1 "$(k get pod web2 -o 'jsonpath={.status.podIP}')" 8080 | grep -x 'I am web2'; }
by_name() { asks web1 "$1" 80 | grep 'I am web'; }
both_answer() {
    local left=40
    while ((left-- > 0)); do asks web1 web 80 | grep '^I am'; done | sort -u | tee "$work/names"
    [ "$(wc -l <"$work/names")" = 2 ]
}
from_machine() { curl -sf --max-time 10 "http://$(k get service web -o 'jsonpath={.spec.clusterIP}')/" | grep 'I am web'; }
unknown_name() { ! k exec web1 -- getent hosts nowhere.example; }
reaches_api() {
    k exec web1 -- bash -c 'exec 3<>/dev/tcp/kubernetes.default/443' &&
        [ -n "$(k exec web2 -- cat /var/run/secrets/kubernetes.io/serviceaccount/token)" ]
}
port_forward() {
    k port-forward pod/web2 18080:8080 >"$work/pf" 2>&1 &
    local pid=$! ok=1
    if wait_for 20 curl -sf --max-time 2 http://127.0.0.1:18080/; then ok=0; fi
    kill $pid
    return $ok
}
by_token() { curl -sf --cacert "$pki/ca.crt" -H "Authorization: Bearer $(cat "$pki/token")" "https://$machine_ip:6443/api/v1/nodes" | grep -q node2; }
no_anonymous() { [ "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$pki/ca.crt" "https://$machine_ip:6443/api/v1/nodes")" = 403 ]; }

crd() {
    k apply -f - <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.e2e.raia.io}
spec:
  group: e2e.raia.io
  names: {kind: Thing, plural: things, singular: thing}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer, minimum: 1}}, x-kubernetes-validations: [{rule: 'self.size != 7', message: not seven}]}}}}
Y
    k wait --for=condition=Established crd/things.e2e.raia.io --timeout=30s
}
thing() { printf '{"apiVersion":"e2e.raia.io/v1","kind":"Thing","metadata":{"name":"a"},"spec":{"size":%s}}' "$1" | k apply -f -; }
refuses_seven() { ! thing 7 && thing 8; }

is_ready() { [ "$(k get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = "$2" ]; }
node_lost() { "$here/node" kill 2 && [ -z "$(part_all_pids node2)" ] && wait_for 90 is_ready node2 Unknown; }
node_back() {
    "$here/node" start 2 && wait_for 90 is_ready node2 True && k wait --for=condition=Ready pod/web2 --timeout=120s && runs_inside web2
}
partition() { "$here/network" cut 2 && wait_for 90 is_ready node2 Unknown && "$here/network" heal 2 && wait_for 90 is_ready node2 True; }
kubelet_back() {
    "$here/node" kill 1 kubelet && ! runs_inside web1 && wait_for 60 runs_inside web1
}
control_plane_back() {
    "$here/control-plane" kill kube-apiserver && "$here/control-plane" kill etcd && ! "$here/status" &&
        "$here/up" && "$here/status" && k get pod web1 web2 && wait_for 60 runs_inside web1
}
third_node() { NODES=3 "$here/up" && is_ready node3 True && "$here/image" list 3 | grep localhost/pause:1; }

# A start that is killed after $1 seconds, then removed.
interrupted() {
    setsid "$here/up" >"$work/up.log" 2>&1 &
    local pid=$!
    sleep "$1"
    kill -KILL -- -$pid
    wait $pid 2>/dev/null || true
    "$here/down" && nothing_left
}
# A start that is killed, then done again.
resumed() {
    setsid "$here/up" >"$work/up.log" 2>&1 &
    local pid=$!
    sleep 1.5
    kill -KILL -- -$pid
    wait $pid 2>/dev/null || true
    "$here/up" && "$here/status"
}
# kill -9 of the parts that hold others, in an order that nobody would choose.
killed_parts() {
    local first
    first=$(part_pids node1 | head -n 1)
    kill -KILL "$first"
    "$here/control-plane" kill etcd
    "$here/node" kill 2 containerd
    "$here/down" && nothing_left
}

"$here/build" >/dev/null
machine_state >"$work/before" || true # its last command may find nothing
check "Go that is too old is refused" old_go
check "no Go at all is said" no_go
check "only root may start it" not_root
check "down spares a folder that is not a cluster's" foreign_folder
check "the cluster starts" "$here/up"
exports=$("$here/up" 2>/dev/null)
check "a second start changes nothing" ran_twice
check "status says that all runs" "$here/status"
root=$("$here/image" debian)
check "an image is made from a Debian root" "$here/image" make -t localhost/debian:12 "$root" "$work/debian.tar"
check "and imported on both nodes" "$here/image" import "$work/debian.tar"
check "a pod on each node becomes ready" start_pods
check "web1 is on node1" on_its_node 1
check "web2 is on node2" on_its_node 2
check "logs of both" logs
check "exec in web1" runs_inside web1
check "exec in web2" runs_inside web2
check "the memory limit is the cgroup's" limited
check "a pod reaches a pod of the other node" pod_to_pod
check "a service by its short name" by_name web
check "a service by its full name" by_name web.default.svc.cluster.local
check "both pods answer for the service" both_answer
check "the machine reaches a service" from_machine
check "a name outside of the cluster does not exist" unknown_name
check "a pod reaches the API server and has a token" reaches_api
check "port-forward" port_forward
check "the static token is the administrator's" by_token
check "nobody may do nothing" no_anonymous
check "a CRD is established" crd
check "its CEL rule refuses" refuses_seven
check "node2 loses power: NotReady" node_lost
check "node2 boots again with its pod" node_back
check "node2's link is cut: NotReady; healed: Ready" partition
check "a killed kubelet comes back" kubelet_back
check "etcd and the API server are killed; up repairs" control_plane_back
check "a third node joins" third_node
check "kill -9 of several parts, down: nothing is left" killed_parts
check "down without a cluster" "$here/down"
for s in 0.3 0.8 1.5 3 5; do
    check "a start killed after $s s, down: nothing is left" interrupted $s
done
check "a start killed after 1.5 s, up again" resumed
check "down: nothing is left" removed

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
