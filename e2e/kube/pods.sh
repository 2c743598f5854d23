#!/bin/bash
# What runs in a pod, without an operator: pods written by hand, as the operator makes them (docs/design/pod.md).
# A head and two workers on two nodes, in a Debian image that has no Raia: mutual TLS, a job with working_dir,
# tokens and certificates that are wrong, rotation, a head that is lost and comes back, images that will not do.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_packages jq=jq curl=curl openssl=openssl
build=${RAIA_BUILD:-$tree/build}
image=raia.io/raia:pods
token=$(openssl rand -base64 32)

# ---- certificates and secrets

# leaf NAME CA ROLE [DAYS]: $work/NAME.{pem,key}
leaf() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=by-hand/CN=$3" -keyout "$work/$1.key" -out "$work/$1.csr" 2>/dev/null
    printf 'subjectAltName=DNS:raia-node,DNS:raia-%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3" >"$work/ext"
    openssl x509 -req -in "$work/$1.csr" -CA "$work/$2.pem" -CAkey "$work/$2.key" -CAcreateserial -days "${4:-30}" -extfile "$work/ext" -out "$work/$1.pem" 2>/dev/null
}
authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.pem" 2>/dev/null; }
# tls_secret NAME CA LEAF
tls_secret() {
    k create secret generic "$1" --dry-run=client -o yaml --from-file=ca.pem="$work/$2.pem" --from-file=node.pem="$work/$3.pem" --from-file=node.key="$work/$3.key" | k apply -f - >/dev/null
}
secrets() {
    authority ca
    authority other
    leaf head ca head
    leaf worker ca worker
    leaf stranger other worker
    leaf expired ca worker -1 2>/dev/null || true
    tls_secret c-raia-tls-head ca head
    tls_secret c-raia-tls-worker ca worker
    cat "$work/ca.pem" >"$work/ca2.pem"
    tls_secret c-raia-tls-stranger ca stranger # knows the cluster's CA, is not of it
    tls_secret c-raia-tls-elsewhere other stranger
    k create secret generic c --from-literal=auth_token="$token" >/dev/null
}

# ---- pods

# pod NAME ROLE NODE TLS-SECRET IMAGE [VOLUME-SOURCE]: a manifest
pod() {
    local args='["--address=c-head-svc.'$ns'.svc.cluster.local:6379", "--num-cpus=2", "--metrics-export-port=8080", "--block", "--dashboard-agent-listen-port=52365"]'
    local ready='{path: /healthz, port: 8080}' live='{path: /livez, port: 8080}' more=""
    if [ "$2" = head ]; then
        args='["--head", "--num-cpus=0", "--dashboard-host=0.0.0.0", "--metrics-export-port=8080", "--block", "--resources=\"{\\\"head_only\\\": 1}\""]'
        ready='{path: /healthz, port: 8265}' live=$ready
        [ -z "${6-}" ] || more=', {name: RAIA_STORAGE_PATH, value: /data/gcs.db}'
    fi
    cat <<T
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: c, role: $2}}
spec:
  nodeName: $3
  terminationGracePeriodSeconds: 20
  securityContext: {runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, seccompProfile: {type: RuntimeDefault}}
  initContainers:
  - name: raia-init
    image: $image
    command: ["/opt/raia/bin/raia-init", "/raia"]
    securityContext: &strict {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: raia, mountPath: /raia}]
  containers:
  - name: ray
    image: $5
    imagePullPolicy: IfNotPresent
    command: ["/opt/raia/bin/raia-pod"]
    args: $args
    terminationMessagePolicy: FallbackToLogsOnError
    securityContext: *strict
    env:
    - {name: RAIA_NODE_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: RAIA_NODE_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: RAIA_TLS_DIR, value: /etc/raia/tls}
    - {name: RAIA_SESSION_DIR, value: /tmp/ray/session_latest}
    - {name: RAY_AUTH_MODE, value: token}
    - {name: RAY_AUTH_TOKEN, valueFrom: {secretKeyRef: {name: c, key: auth_token}}}
    - {name: RAY_ADDRESS, value: "$([ "$2" = head ] && echo 127.0.0.1 || echo "c-head-svc.$ns.svc.cluster.local"):6379"}$([ -z "$more" ] || echo "
    - {name: RAIA_STORAGE_PATH, value: /data/gcs.db}")
    resources: {limits: {cpu: "2", memory: 512Mi}, requests: {cpu: 50m, memory: 64Mi}}
    readinessProbe: {httpGet: $ready, periodSeconds: 1}
    livenessProbe: {httpGet: $live, periodSeconds: 2, failureThreshold: 15}
    volumeMounts:
    - {name: raia, mountPath: /opt/raia, readOnly: true}
    - {name: tls, mountPath: /etc/raia/tls, readOnly: true}
    - {name: tmp, mountPath: /tmp}
    - {name: ray, mountPath: /tmp/ray}$([ -z "${6-}" ] || echo "
    - {name: data, mountPath: /data}")
  volumes:
  - {name: raia, emptyDir: {}}
  - {name: tls, secret: {secretName: $4, defaultMode: 0440}}
  - {name: tmp, emptyDir: {}}
  - {name: ray, emptyDir: {}}$([ -z "${6-}" ] || echo "
  - {name: data, hostPath: {path: $6, type: Directory}}")
T
}
head_pod() { pod c-head head node1 c-raia-tls-head "${1:-localhost/debian:12}" "${2-}" | k apply -f - >/dev/null; }
worker_pod() { pod "c-worker-$1" worker "node$1" "${3:-c-raia-tls-worker}" "${2:-localhost/debian:12}" | k apply -f - >/dev/null; }
service() {
    k apply -f - >/dev/null <<T
apiVersion: v1
kind: Service
metadata: {name: c-head-svc}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {app: c, role: head}
  ports: [{name: gcs-server, port: 6379}, {name: dashboard, port: 8265}, {name: metrics, port: 8080}]
T
}

# ---- what it must show

api() { curl -s -m 20 -H "Authorization: Bearer ${2:-$token}" "http://127.0.0.1:$port$1"; }
alive() { api '/api/v0/nodes?detail=1' | jq '[.data.result.result[]? | select(.state == "ALIVE")] | length'; }
has_alive() { [ "$(alive)" = "$1" ]; }
log_has() { k logs "$1" -c ray >"$work/log.$1" 2>/dev/null && grep -q -- "$2" "$work/log.$1"; }
# forward_api: $port reaches the API of the head that runs now.
forward_api() {
    local p
    for p in "${background[@]}"; do kill "$p" 2>/dev/null || true; done
    background=()
    forward "$work/port" pod/c-head 8265
    port=$(cat "$work/port")
}

forms() {
    # The workers come first: they wait for a head whose name means nothing yet.
    worker_pod 1
    worker_pod 2
    await 60 pod/c-worker-1 'jsonpath={.status.containerStatuses[0].started}'=true
    service
    head_pod
    await 90 pod/c-head condition=Ready
    await 60 pod/c-worker-1 condition=Ready
    await 60 pod/c-worker-2 condition=Ready
    forward_api
    until_ok 30 has_alive 3 || fail "$(alive) nodes are alive, not 3"
    equal "restarts of a worker that waited" 0 "$(field pod/c-worker-1 '.status.containerStatuses[0].restartCount')"
    equal "CPUs" 4 "$(api /api/v0/nodes?detail=1 | jq '[.data.result.result[].resources_total.CPU // 0] | add')"
    log_has c-worker-1 'flags of Ray that mean nothing here: --dashboard-agent-listen-port' || fail "an ignored flag is not named"
    log_has c-head 'msg="GCS ready"' || fail "kubectl logs does not show the head's log"
    k exec c-head -c ray -- /bin/bash -c 'tr "\0" " " </proc/1/cmdline' >"$work/one"
    grep -q '^/opt/raia/bin/raia-agent ' "$work/one" || fail "pid 1 of the head is $(cat "$work/one")"
    ! grep -qF "$token" "$work/one" || fail "the token is in a command line"
    ! { k logs c-head -c ray; k logs c-worker-1 -c ray; } | has -F "$token" || fail "the token is in a log"
    k exec c-worker-2 -c ray -- /opt/raia/bin/ray status >"$work/status" || fail "ray status in a pod"
    equal "pods by ray list" 3 "$(k exec c-head -c ray -- /opt/raia/bin/ray list nodes --format json | jq length)"
}

# counts_words SUBMIT...: submits the word count of the programs' own sources, with a folder of its own.
counted() { # JOB-OUTPUT
    grep -E '^ +[0-9]+  [a-z]+$' "$1" | awk '{ print $1, $2 }' >"$work/top"
    equal "lines of words" 10 "$(wc -l <"$work/top")"
    ! grep -qvxFf "$work/expected" "$work/top" || { cat "$work/top" >&2; fail "counts that coreutils do not have"; }
}
make_job() {
    local i
    [ ! -d "$work/job" ] || return 0
    mkdir -p "$work/job/text"
    cp "$build/bin/wordcount" "$work/job/"
    for i in {1..40}; do # as much as keeps two workers busy
        cat "$tree"/docs/*.md "$tree"/docs/design/*.md "$tree"/common/*/*.c "$tree"/agent/*/*.c >"$work/job/text/$i"
    done
    (cd "$work/job" && "$tree/e2e/test/coreutils-wordcount.sh" text >"$work/expected")
}
runs_job() {
    make_job
    RAY_AUTH_TOKEN=$token timeout 90 "$build/bin/raia" job submit --address "http://127.0.0.1:$port" --working-dir "$work/job" -- ./wordcount text \
        >"$work/out" 2>"$work/err" || { cat "$work/out" "$work/err" >&2; fail "raia job submit"; }
    counted "$work/out"
    say "$(wc -l <"$work/expected") words counted as by coreutils"
    # The head has no CPU: what ran, ran on a worker, over a link.
    local n started=0
    for n in 1 2; do
        forward "$work/metrics-port" "pod/c-worker-$n" 8080
        curl -s -m 20 "http://127.0.0.1:$(cat "$work/metrics-port")/metrics" >"$work/metrics.$n"
        started=$((started + $(awk '/^raia_raylet_workers_started_total/ { print $2 }' "$work/metrics.$n")))
    done
    [ $started -gt 0 ] || { cat "$work"/metrics.* >&2; fail "no node has started a worker"; }
}

# A program that needs glibc and libraia alone (the word count reads zip files with libz).
runs_example() {
    mkdir -p "$work/example"
    cp "$build/bin/examples/mapreduce" "$work/example/"
    RAY_AUTH_TOKEN=$token timeout 90 "$build/bin/raia" job submit --address "http://127.0.0.1:$port" --working-dir "$work/example" -- ./mapreduce \
        >"$work/out" 2>"$work/err" || { cat "$work/out" "$work/err" >&2; fail "raia job submit"; }
    cmp -s "$work/out" "$tree/coreworker/examples/expected/mapreduce.txt" || { cat "$work/out" >&2; fail "the example says something else"; }
}

# A submitter as RayJobs have it: a pod whose log is the job's.
submits_from_pod() {
    local dir
    k create configmap job --from-literal=x=y --dry-run=client -o yaml | k apply -f - >/dev/null
    pod submitter worker node2 c-raia-tls-worker localhost/debian:12 |
        sed -e 's|command: \["/opt/raia/bin/raia-pod"\]|command: ["/opt/raia/bin/ray"]|' \
            -e "s|^    args: .*|    args: [job, submit, --address, \"http://c-head-svc.$ns.svc.cluster.local:8265\", --submission-id, by-pod, --, \"echo from-a-pod; /opt/raia/bin/ray --version; exit 3\"]|" \
            -e '/Probe:/d' -e 's|^  nodeName|  restartPolicy: Never\n  nodeName|' | k apply -f - >/dev/null
    await 60 pod/submitter jsonpath='{.status.phase}'=Failed
    equal "exit status of a submitter" 3 "$(field pod/submitter '.status.containerStatuses[0].state.terminated.exitCode')"
    log_has submitter '^from-a-pod$' || fail "kubectl logs does not show the job's output"
    log_has submitter '^ray, version ' || fail "the job has no ray"
    k delete pod submitter --grace-period=0 --force >/dev/null 2>&1
}

refuses() {
    equal "status with a wrong token" 403 "$(curl -s -m 20 -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer wrong' "http://127.0.0.1:$port/api/jobs/")"
    equal "status without a token" 401 "$(curl -s -m 20 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/api/jobs/")"
    equal "status with Ray's header" 200 "$(curl -s -m 20 -o /dev/null -w '%{http_code}' -H "X-Ray-Authorization: Bearer $token" "http://127.0.0.1:$port/api/jobs/")"
    RAY_AUTH_TOKEN=wrong "$build/bin/raia" status --address "127.0.0.1:$port" >/dev/null 2>"$work/err" && fail "a wrong token is taken"
    grep -q 'the token is wrong' "$work/err" || fail "a wrong token: $(cat "$work/err")"
    # A certificate that another CA signed: refused by the head, who says so.
    pod c-stranger worker node2 c-raia-tls-stranger localhost/debian:12 | k apply -f - >/dev/null
    until_ok 60 log_has c-stranger 'node.pem\|certificate' || fail "a stranger does not say what is wrong"
    k logs c-stranger -c ray | tail -2 >&2
    pod c-elsewhere worker node2 c-raia-tls-elsewhere localhost/debian:12 | k apply -f - >/dev/null
    until_ok 60 log_has c-elsewhere 'certificate verify failed\|cannot register' || fail "a node of another CA does not say what is wrong"
    # One that knows the CA and is not of it: the head refuses it, and says so.
    openssl s_client -alpn h2 -connect "$(field pod/c-head .status.podIP):6379" -CAfile "$work/ca.pem" -cert "$work/stranger.pem" \
        -key "$work/stranger.key" </dev/null >"$work/s_client" 2>&1 || true
    until_ok 30 log_has c-head 'msg="a connection was refused".*certificate' || fail "the head does not say that it refused a connection"
    grep 'a connection was refused' "$work/log.c-head" | tail -1 >&2
    grep 'a connection was refused' "$work/log.c-elsewhere" | tail -1 >&2
    equal "nodes with strangers about" 3 "$(alive)"
    k delete pod c-stranger c-elsewhere --grace-period=0 --force >/dev/null 2>&1
}

notices() {
    local since=$SECONDS
    k delete pod c-worker-2 >/dev/null
    until_ok 30 has_alive 2 || fail "a deleted worker is alive for the others"
    say "a deleted worker is dead for the others after $((SECONDS - since)) s (its end included)"
    worker_pod 2
    await 60 pod/c-worker-2 condition=Ready
    until_ok 30 has_alive 3 || fail "a new worker does not join"
}

rotates() {
    # Another authority, beside the one before, and a leaf of it for the workers, in the running pods' volumes; and
    # who joins now meets them.
    authority next
    cat "$work/ca.pem" "$work/next.pem" >"$work/both.pem"
    leaf worker next worker
    tls_secret c-raia-tls-head both head
    tls_secret c-raia-tls-worker both worker
    holds() { [ "$(k exec "$1" -c ray -- md5sum "/etc/raia/tls/$2" | cut -d' ' -f1)" = "$(md5sum <"$work/$3" | cut -d' ' -f1)" ]; }
    until_ok 120 holds c-worker-1 node.pem worker.pem || fail "a worker's volume has the old certificate"
    until_ok 120 holds c-head ca.pem both.pem || fail "the head's volume has the old authority alone"
    sleep 6 # the daemons look at the files every five seconds
    k delete pod c-worker-2 >/dev/null
    worker_pod 2
    await 60 pod/c-worker-2 condition=Ready
    until_ok 30 has_alive 3 || fail "after a rotation nodes do not join"
    equal "restarts" "0 0" "$(field pod/c-head '.status.containerStatuses[0].restartCount') $(field pod/c-worker-1 '.status.containerStatuses[0].restartCount')"
    runs_job
}

loses_head() {
    local since
    k delete pod c-head --grace-period=0 --force >/dev/null 2>&1
    await 30 pod/c-head delete
    since=$SECONDS
    head_pod
    await 60 pod/c-head condition=Ready
    forward_api
    until_ok 90 has_alive 3 || fail "the workers do not join the new head: $(alive) alive"
    say "the workers have joined a new head, $((SECONDS - since)) s after it was made"
    equal "restarts of a worker" 0 "$(field pod/c-worker-1 '.status.containerStatuses[0].restartCount')"
    equal "jobs that a head without a volume knows" 0 "$(api /api/jobs/ | jq length)"
    runs_job
}

keeps_state() {
    local id
    mkdir -p "$work/data"
    chmod 0777 "$work" "$work/data"
    k delete pod c-head >/dev/null
    head_pod localhost/debian:12 "$work/data"
    await 60 pod/c-head condition=Ready
    forward_api
    until_ok 90 has_alive 3 || fail "the workers do not join"
    runs_job
    id=$(api /api/jobs/ | jq -r '.[0].submission_id')
    k delete pod c-head --grace-period=0 --force >/dev/null 2>&1
    await 30 pod/c-head delete
    head_pod localhost/debian:12 "$work/data"
    await 60 pod/c-head condition=Ready
    forward_api
    equal "status of a job from before" SUCCEEDED "$(api "/api/jobs/$id" | jq -r .status)"
    until_ok 90 has_alive 3 || fail "the workers do not come back: $(alive) alive"
    runs_job
}

# An image with glibc only, and without a shell, is a node as good as any; one without glibc says so.
other_images() {
    k delete pod c-worker-2 >/dev/null
    worker_pod 2 localhost/glibc-only:1
    await 60 pod/c-worker-2 condition=Ready
    until_ok 30 has_alive 3 || fail "a node in an image with glibc only does not join"
    runs_example
    pod c-musl worker node1 c-raia-tls-worker localhost/no-glibc:1 | sed 's|^  nodeName|  restartPolicy: Never\n  nodeName|' | k apply -f - >/dev/null
    await 60 pod/c-musl jsonpath='{.status.phase}'=Failed
    equal "exit status without glibc" 126 "$(field pod/c-musl '.status.containerStatuses[0].state.terminated.exitCode')"
    field pod/c-musl '.status.containerStatuses[0].state.terminated.message' >"$work/why"
    grep -q 'no glibc' "$work/why" || fail "without glibc: $(cat "$work/why")"
    cat "$work/why" >&2
    k delete pod c-musl --grace-period=0 --force >/dev/null 2>&1
    # All of it without a shell.
    k delete pod c-head >/dev/null
    head_pod localhost/glibc-only:1
    await 60 pod/c-head condition=Ready
    forward_api
    until_ok 90 has_alive 3 || fail "the workers do not join a head in an image with glibc only"
    runs_example
}

ends() {
    local since=$SECONDS
    k delete pod -l app=c --wait=true >/dev/null
    [ $((SECONDS - since)) -lt 15 ] || fail "pods took $((SECONDS - since)) s to end"
    say "three pods ended in $((SECONDS - since)) s"
}

step() { say "$1"; shift; "$@"; }
need_cluster
if [ -n "${RAIA_E2E_IMAGE-}" ]; then # it is on the nodes, and so are the others
    image=$RAIA_E2E_IMAGE
else
    step "images" "$tree/e2e/kube/image.sh" $image
    "$tree/e2e/kube/test-images.sh"
fi
need_namespace
step "certificates" secrets
steps=(forms runs_job submits_from_pod refuses notices rotates loses_head keeps_state other_images ends)
[ $# -eq 0 ] || steps=("$@")
for s in "${steps[@]}"; do step "${s//_/ }" "$s"; done
