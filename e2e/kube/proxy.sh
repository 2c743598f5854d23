#!/bin/bash
# The fault proxy does what its head says: what passes, passes whole; each fault is what it is called.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_packages curl=curl jq=jq
need_cluster
need_namespace
folder=$work/proxy
"$tree/e2e/kube/proxy" run "$folder" >"$work/proxy.log" 2>&1 &
background+=($!)
until_ok 30 test -s "$folder/address" || { cat "$work/proxy.log" >&2; fail "the proxy does not start"; }
base=https://$(cat "$folder/address")
maps=/api/v1/namespaces/$ns/configmaps

rules() { "$tree/e2e/kube/proxy" rules "$folder" "$1" >/dev/null || fail "rules $1"; }
did() { "$tree/e2e/kube/proxy" stats "$folder" | jq -r ".\"$1\" // 0"; }
# ask METHOD PATH CURL-ARGUMENT...: prints the status code (000: no answer); the answer is in $work/answer.
ask() {
    local method=$1 path=$2
    shift 2
    : >"$work/answer"
    curl -s --http1.1 --max-time 20 --cacert "$state/pki/ca.crt" -H "Authorization: Bearer $(cat "$state/pki/token")" \
        -H 'Content-Type: application/json' -X "$method" -D "$work/head" -o "$work/answer" -w '%{http_code}' "$@" "$base$path" || true
}
map() { jq -cn --arg name "$1" '{metadata: {name: $name}, data: {k: "v"}}'; }
exists() { k get configmap "$1" >/dev/null 2>&1; }
milliseconds() { echo $(($(date +%s%N) / 1000000)); }

passes() {
    local p=(kubectl --kubeconfig "$folder/kubeconfig" -n "$ns")
    head -c 700000 /dev/zero | tr '\0' x >"$work/big"
    "${p[@]}" create configmap big --from-file="$work/big" >/dev/null
    equal "700,000 bytes there and back" "$(k get configmap big -o json | jq -S .data | sha256sum)" \
        "$("${p[@]}" get configmap big -o json | jq -S .data | sha256sum)"
    ("${p[@]}" wait configmap/later --for=create --timeout=30s >/dev/null && touch "$work/came") &
    sleep 1
    k create configmap later >/dev/null
    until_ok 20 test -e "$work/came" || fail "a watch through the proxy saw no event"
    "${p[@]}" delete configmap big later >/dev/null
    ! exists big || fail "a delete did not pass"
    [ "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$state/pki/ca.crt" "$base$maps")" = 403 ] || fail "the proxy lends its own rights"
}

answers_itself() {
    rules '[{"fault": "status", "code": 429, "retry_after": 3, "method": "POST"}]'
    equal "a POST" 429 "$(ask POST "$maps" -d "$(map refused)")"
    grep -qi '^retry-after: 3' "$work/head" || fail "no Retry-After"
    equal "its reason" TooManyRequests "$(jq -r .reason "$work/answer")"
    ! exists refused || fail "the refused POST was passed on"
    equal "a GET" 200 "$(ask GET "$maps")"
    rules '[{"fault": "status", "code": 503, "count": 2}, {"fault": "status", "code": 500, "path": "secrets"}]'
    equal "the first two, then the next rule" "503 503 200 500" \
        "$(for path in "$maps" "$maps" "$maps" "/api/v1/namespaces/$ns/secrets"; do ask GET "$path"; echo -n ' '; done | sed 's/ $//')"
}

happens_or_not() {
    rules '[{"fault": "drop", "method": "POST"}]'
    equal "dropped" 000 "$(ask POST "$maps" -d "$(map dropped)")"
    ! exists dropped || fail "a dropped POST happened"
    rules '[{"fault": "lose", "method": "POST"}]'
    equal "lost" 000 "$(ask POST "$maps" -d "$(map lost)")"
    exists lost || fail "a POST whose answer was lost did not happen"
}

delays() {
    local begin
    rules '[{"fault": "latency", "delay": [0.8, 1.2]}]'
    begin=$(milliseconds)
    equal "a late GET" 200 "$(ask GET "$maps")"
    [ $(($(milliseconds) - begin)) -ge 800 ] || fail "a latency of 0.8 s took less"
}

shares() {
    local n=0 i
    rules '[{"fault": "status", "code": 503, "share": 0.5, "seed": 7}]'
    for ((i = 0; i < 40; i++)); do [ "$(ask GET /version)" = 200 ] || n=$((n + 1)); done
    equal "what it counts" "$n" "$(did status)"
    if [ $n -lt 8 ] || [ $n -gt 32 ]; then fail "half of 40 was $n"; fi
}

# watch SECONDS RULES: what a watch of the config maps gives in that time, in $work/answer.
watch() {
    rules "$2"
    ask GET "$maps?watch=1&resourceVersion=0" --max-time "$1" >/dev/null
}

watches_end() {
    local begin whole
    k create configmap seen >/dev/null
    watch 3 '[]'
    whole=$(stat -c %s "$work/answer")
    [ "$whole" -gt 400 ] || fail "a watch without faults gave $whole bytes"

    begin=$(milliseconds)
    watch 20 '[{"fault": "cut", "bytes": 400, "watch": true}]'
    [ $(($(milliseconds) - begin)) -lt 10000 ] || fail "a watch that was cut did not end"
    [ "$(stat -c %s "$work/answer")" -le 400 ] || fail "more than 400 bytes of a watch that was cut there"
    ! tail -n 1 "$work/answer" | jq -e . >/dev/null 2>&1 || fail "it was not cut in the midst of an event"

    begin=$(milliseconds)
    watch 20 '[{"fault": "cut", "seconds": 2, "watch": true}]'
    if [ $(($(milliseconds) - begin)) -lt 1900 ] || [ $(($(milliseconds) - begin)) -gt 10000 ]; then fail "cut after 2 s"; fi

    (watch 8 '[{"fault": "half-open", "seconds": 1, "watch": true}]'; milliseconds >"$work/ended") &
    begin=$(milliseconds)
    sleep 3
    k create configmap unseen >/dev/null
    equal "another request meanwhile" 200 "$(curl -s --http1.1 -o /dev/null -w '%{http_code}' --cacert "$state/pki/ca.crt" \
        -H "Authorization: Bearer $(cat "$state/pki/token")" "$base$maps")"
    until_ok 20 test -s "$work/ended"
    [ $(($(cat "$work/ended") - begin)) -ge 7500 ] || fail "a half-open watch ended by itself"
    grep -q '"name":"seen"' "$work/answer" || fail "a half-open watch gave nothing at first"
    ! grep -q '"name":"unseen"' "$work/answer" || fail "a half-open watch went on"

    watch 20 '[{"fault": "gone", "seconds": 1, "watch": true}]'
    equal "the last event" "ERROR 410 Expired" "$(tail -n 1 "$work/answer" | jq -r '"\(.type) \(.object.code) \(.object.reason)"')"
}

is_open() { [ "$(did open)" -ge 1 ]; }
cuts_all() {
    rules '[]'
    (ask GET "$maps?watch=1&resourceVersion=0" --max-time 20 >/dev/null; touch "$work/over") &
    until_ok 10 is_open
    "$tree/e2e/kube/proxy" cut "$folder" >/dev/null
    until_ok 5 test -e "$work/over" || fail "cut left a connection"
    ! "$tree/e2e/kube/proxy" rules "$folder" '[{"fault": "explode"}]' >/dev/null || fail "an unknown fault was taken"
}

for t in passes answers_itself happens_or_not delays shares watches_end cuts_all; do
    rules '[]'
    $t
    say "ok: $t"
done
