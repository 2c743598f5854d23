#!/bin/bash
# An upgrade as docs/kubernetes.md has it: under a release that is in use lie older resource definitions (helm never
# changes those that are there), and after them another project's; the new operator says what to apply and waits,
# the old one goes on meanwhile; the commands of the page are run as they are written; the new operator becomes
# ready, what was there is as it was, and what the new definitions bring can be used.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=ray.sh
. "$(dirname "$0")/ray.sh"
need_packages jq=jq

# install_crds CHANGE: this tree's definitions, changed so (in jq) and in place of those that are there.
install_crds() {
    local file
    for file in "$tree"/crds/*.yaml; do
        kubectl create --dry-run=client --validate=false -f "$file" -o json | jq "$1" | kubectl replace -f - >/dev/null || fail "an older $file"
    done
}
upgrade_strategy='(.spec.versions[].schema.openAPIV3Schema.properties.spec.properties | (., .rayClusterSpec.properties? // empty) | .upgradeStrategy)'
# The commands of a section of the page, those of its indented lines.
commands() { sed -n "/^## $1\$/,/^## /s/^    //p" "$tree/docs/kubernetes.md"; }
takes_strategy() { # does the server know that field?
    printf 'apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: tried}\nspec: {%s, upgradeStrategy: {type: Recreate}}\n' "$(head 1 "$t")" >"$work/tried.yaml"
    k apply --dry-run=server --validate=strict -f "$work/tried.yaml" >"$work/tried" 2>&1
}
newest() { k get pods -l app.kubernetes.io/name=raia-operator --sort-by=.metadata.creationTimestamp -o 'jsonpath={.items[-1:].metadata.name}'; }
told() { k logs "$(newest)" 2>/dev/null | has "msg=\"waiting for a resource definition\" name=rayclusters.ray.io why=.*$1.* apply=\"kubectl apply --server-side"; }
is_new() { [ "$(newest)" != "$1" ]; }

t=$(pod_template "$debian")
in_use() {
    apply RayCluster stays "$(head 1 "$t"), workerGroupSpecs: [$(workers w 1 "$t")]"
    apply RayJob rests "entrypoint: \"true\", suspend: true, shutdownAfterJobFinishes: true, rayClusterSpec: {$(head 1 "$t")}"
    is_whole stays 1
    await 60 rayjob/rests jsonpath='{.status.jobDeploymentStatus}'=Suspended
    kept
    cp "$work/kept" "$work/kept.before"
}
# What must stay: objects, their specs, and pods.
kept() { { k get rayclusters,rayjobs -o json | jq -S '.items[] | [.kind, .metadata.name, .metadata.uid, .spec]'; uids stays; } >"$work/kept"; }

# upgraded CHANGE WHY: definitions changed so, of which the operator says WHY.
upgraded() {
    local old new
    install_crds "$1"
    ! takes_strategy || fail "the definitions put there know upgradeStrategy"
    old=$(newest)
    k rollout restart deployment/raia-operator >/dev/null
    until_ok 60 is_new "$old" || fail "no other operator"
    until_ok 60 told "$2" || fail "the operator does not say what to apply: $(k logs "$(newest)")"
    new=$(newest)
    k logs "$new" | grep 'waiting for a resource definition' | tail -n 1 >&2
    [ "$(field "pod/$new" '.status.conditions[?(@.type=="Ready")].status')" != True ] || fail "the new operator is ready on definitions that are too old"
    change raycluster/stays '{"metadata": {"labels": {"touched": "yes"}}}' # what is written then is of the old definitions
    equal "the old operator, meanwhile" True "$(field "pod/$old" '.status.conditions[?(@.type=="Ready")].status')"

    commands Upgrade >"$work/commands"
    equal "commands of the page" 2 "$(wc -l <"$work/commands")"
    (cd "$tree" && HELM_NAMESPACE=$ns bash -exuo pipefail "$work/commands") >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "the commands of the page (above)"; }
    k rollout status deployment/raia-operator --timeout=120s >/dev/null || fail "the new operator is not ready after 120 s: $(k logs "$new")"
    equal "the operator that is ready" "$new" "$(newest)"
    equal "its restarts" 0 "$(field "pod/$new" '.status.containerStatuses[0].restartCount')"
    await 60 "pod/$old" delete
    takes_strategy || fail "the definitions of the upgrade do not know upgradeStrategy: $(cat "$work/tried")"
    kept
    cmp -s "$work/kept.before" "$work/kept" || { diff "$work/kept.before" "$work/kept" >&2; fail "what was there has changed (above)"; }
}
older() { upgraded ".metadata.annotations[\"ray.io/raia-schema-version\"] = \"0\" | del($upgrade_strategy)" "older than this operator"; }
another_projects() { upgraded "del(.metadata.annotations) | del($upgrade_strategy)" "another project"; }

# The operator acts on what was there, by the new definitions too.
goes_on() {
    change raycluster/stays '{"spec": {"upgradeStrategy": {"type": "Recreate"}}}'
    equal "a new field of an old object" Recreate "$(field raycluster/stays .spec.upgradeStrategy.type)"
    change raycluster/stays '[{"op": "replace", "path": "/spec/workerGroupSpecs/0/replicas", "value": 2}]' json
    is_whole stays 2
    equal "pods from before" 2 "$(comm -12 <(sort "$work/kept.before") <(uids stays) | wc -l)"
    change rayjob/rests '{"spec": {"suspend": false}}'
    await 120 rayjob/rests jsonpath='{.status.jobDeploymentStatus}'=Complete
    k delete raycluster/stays rayjob/rests --timeout=90s >/dev/null
    [ "$(count pods ray.io/cluster)" = 0 ] || until_ok 60 counts pods ray.io/cluster 0 || fail "pods stay"
}

# Whatever happened, those who come after find this tree's.
at_end() { [ ! -s "${KUBECONFIG-}" ] || kubectl apply --server-side --force-conflicts -f "$tree/crds/" >/dev/null 2>&1 || true; }

need_cluster
need_raia
steps in_use older another_projects goes_on
