#!/bin/bash
# The charts: they lint, render what their values say, refuse nonsense, and package with their CRDs; on the
# cluster, what the operator's account may do is what the operator does, and an uninstallation leaves nothing.
#
#   charts.sh            all of it
#   charts.sh --offline  what needs no cluster
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_packages /usr/lib/python3/dist-packages/yaml=python3-yaml jq=jq
need_tools

lints() {
    local chart out
    for chart in raia-operator ray-cluster; do
        out=$(helm lint --strict "$tree/charts/$chart" 2>&1) || { echo "$out" >&2; fail "helm lint charts/$chart"; }
        ! grep -E '\[(WARNING|ERROR)\]' <<<"$out" || fail "helm lint charts/$chart warns"
    done
}

packages() {
    local chart file
    for chart in raia-operator ray-cluster; do
        helm package "$tree/charts/$chart" -d "$work" >/dev/null 2>&1 || fail "helm package charts/$chart"
    done
    tar -tzf "$work"/raia-operator-*.tgz >"$work/packed"
    # The chart carries the CRDs of crds/, each and no other.
    for file in "$tree"/crds/*.yaml; do
        [ -e "$file" ] || continue
        tar -xzOf "$work"/raia-operator-*.tgz "raia-operator/crds/${file##*/}" 2>/dev/null | cmp -s - "$file" ||
            fail "the package's crds/${file##*/} is not that of crds/"
    done
    equal "CRDs in the package" "$(find -L "$tree/crds" -name '*.yaml' 2>/dev/null | wc -l)" "$(grep -c '/crds/.*yaml$' "$work/packed" || true)"
}

# may YES|NO NAMESPACE|* VERB RESOURCE[/SUBRESOURCE] [NAME]: a line for the API server's judgement.
may() {
    local group='' resource=$4 sub=''
    case $resource in *.*/*) sub=${resource##*/} resource=${resource%/*} ;; */*) sub=${resource#*/} resource=${resource%/*} ;; esac
    case $resource in *.*) group=${resource#*.} resource=${resource%%.*} ;; esac
    jq -cn --arg want "$1" --arg ns "${2#\*}" --arg verb "$3" --arg group "$group" --arg resource "$resource" --arg sub "$sub" \
        --arg name "${5-}" --arg user "system:serviceaccount:$ns:raia-operator" \
        '{apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", metadata: {},
          spec: {user: $user, groups: ["system:serviceaccounts", "system:authenticated"],
                 resourceAttributes: {namespace: $ns, verb: $verb, group: $group, resource: $resource, subresource: $sub, name: $name}}}
         | . + {want: $want}'
}

# judged FILE WHOSE: asks about the lines of the file in one go; fails on each that is not as expected.
judged() {
    local wrong
    jq -s '{apiVersion: "v1", kind: "List", items: [.[] | del(.want)]}' <"$1" >"$work/reviews"
    kubectl create --validate=false -f "$work/reviews" -o json >"$work/answers"
    wrong=$(jq -rn --slurpfile answers "$work/answers" --slurpfile asked "$1" '
        ($answers | map(.items // [.]) | add) as $answers
        | if ($answers | length) != ($asked | length) then "\($asked | length) asked, \($answers | length) answered" else empty end,
        range($asked | length) as $i
        | $asked[$i] as $q | ($answers[$i].status.allowed // false) as $allowed | select(($q.want == "yes") != $allowed)
        | "\($q.spec.resourceAttributes | "\(.verb) \(.resource).\(.group)/\(.subresource) \(.name) in \(.namespace)"): \(if $allowed then "allowed" else "denied" end)"')
    [ -z "$wrong" ] || { head -n 20 <<<"$wrong" >&2; fail "$2: not as it should be (above)"; }
    say "$2: $(wc -l <"$1") questions answered as they should be"
}

# asked WHERE YES|NO: all that the operator does in a namespace that it watches.
asked() {
    local v r
    for r in rayclusters.ray.io rayjobs.ray.io pods services secrets persistentvolumeclaims jobs.batch; do
        for v in list watch; do may "$2" "$1" $v $r; done
    done
    for r in rayclusters.ray.io pods services secrets persistentvolumeclaims jobs.batch; do
        for v in get create; do may "$2" "$1" $v $r; done
    done
    for r in rayclusters.ray.io rayjobs.ray.io pods services jobs.batch; do may "$2" "$1" delete $r; done
    for r in rayclusters.ray.io rayjobs.ray.io rayclusters.ray.io/status rayjobs.ray.io/status services secrets events; do
        may "$2" "$1" patch $r
    done
    for r in rayclusters.ray.io/finalizers rayjobs.ray.io/finalizers; do may "$2" "$1" update $r; done
    may "$2" "$1" create events
}

# never WHERE: what it never does, anywhere.
never() {
    local v r
    for r in pods/exec pods/attach pods/portforward serviceaccounts serviceaccounts/token configmaps namespaces \
        deployments.apps daemonsets.apps nodes roles.rbac.authorization.k8s.io rolebindings.rbac.authorization.k8s.io \
        clusterroles.rbac.authorization.k8s.io clusterrolebindings.rbac.authorization.k8s.io networkpolicies.networking.k8s.io; do
        for v in create update patch delete; do may no "$1" $v $r; done
    done
    for r in configmaps serviceaccounts roles.rbac.authorization.k8s.io pods/log; do may no "$1" get $r; done
    for r in pods secrets rayclusters.ray.io; do may no "$1" deletecollection $r; done
    may no "$1" create rayjobs.ray.io
    for r in secrets persistentvolumeclaims; do may no "$1" delete $r; done
    for r in pods persistentvolumeclaims jobs.batch; do may no "$1" patch $r; done
    for r in rayclusters.ray.io rayjobs.ray.io pods services secrets persistentvolumeclaims jobs.batch rayclusters.ray.io/status; do
        may no "$1" update $r
    done
    may no "$1" impersonate users
    may no "$1" escalate clusterroles.rbac.authorization.k8s.io
    may no "$1" get services/proxy
}

shared() { # what it does in no namespace, whatever it watches
    may yes '*' list nodes
    may yes '*' watch nodes
    may yes '*' get customresourcedefinitions.apiextensions.k8s.io rayjobs.ray.io
    may no '*' get customresourcedefinitions.apiextensions.k8s.io others.example.com
    may no '*' list customresourcedefinitions.apiextensions.k8s.io
    may no '*' patch customresourcedefinitions.apiextensions.k8s.io rayjobs.ray.io
    may yes "$ns" create leases.coordination.k8s.io
    may yes "$ns" patch leases.coordination.k8s.io raia-operator-leader
    may no "$ns" patch leases.coordination.k8s.io another
    may no kube-system patch leases.coordination.k8s.io raia-operator-leader
    may no kube-node-lease list leases.coordination.k8s.io
}

# judged_install: with no operator running, for the API server to judge the objects.
judged_install() {
    install_chart raia raia-operator --skip-crds --set replicas=0 >"$work/notes"
    ! grep -i 'would violate' "$work/helm.err" || fail "the operator's pod breaks Pod Security's restricted level (above)"
}
# of_release: all that the chart made, in the namespace and outside.
of_release() {
    kubectl get clusterroles,clusterrolebindings -o name | grep "raia-operator-$ns$" || true
    k get all,serviceaccounts,roles,rolebindings -l app.kubernetes.io/instance=raia -o name
}

on_cluster() {
    need_cluster
    need_namespace
    kubectl label namespace "$ns" pod-security.kubernetes.io/warn=restricted >/dev/null
    say "an operator for all namespaces: its rights"
    judged_install
    { asked '*' yes; asked default yes; never '*'; never default; shared; } >"$work/asked"
    judged "$work/asked" "an operator for all namespaces"
    [ -n "$(of_release)" ] || fail "the chart made nothing"

    say "upgraded to one namespace"
    helm upgrade raia "$tree/charts/raia-operator" -n "$ns" --skip-crds --set replicas=0,singleNamespaceInstall=true \
        --set operatorCommand=/manager >"$work/notes" 2>/dev/null || fail "helm upgrade"
    grep -q 'ignored: operatorCommand' "$work/notes" || fail "the notes do not name the value that is ignored"
    { asked "$ns" yes; asked default no; asked '*' no; never "$ns"; shared; } >"$work/asked"
    judged "$work/asked" "an operator for one namespace"

    say "uninstalled"
    uninstall_chart raia
    equal "what helm uninstall leaves" "" "$(of_release)"
    say "charts/ray-cluster against the CRD"
    clusters
}

# accepted ARGUMENTS...: the API server takes what charts/ray-cluster renders.
accepted() {
    helm template my "$tree/charts/ray-cluster" -n "$ns" --kube-version 1.35.4 "$@" >"$work/rendered" || fail "helm template ray-cluster $*"
    k apply --server-side --dry-run=server --validate=strict -f "$work/rendered" >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "the API server refuses charts/ray-cluster $*"; }
    ! grep -i warning "$work/out" || fail "the API server warns of charts/ray-cluster $*"
}
clusters() {
    need_crds
    accepted
    accepted --set worker.disabled=true
    accepted --set additionalWorkerGroups.smallGroup.disabled=false,head.enableInTreeAutoscaling=true,head.autoscalerOptions.idleTimeoutSeconds=60
    accepted --set gcsFaultTolerance.enabled=true,authOptions.mode=token,upgradeStrategy.type=Recreate,head.rayVersion=2.52.0
}

lints
packages
python "$tree/e2e/kube/charts.py" "$tree/charts" || fail "what the charts render (above)"
[ "${1-}" = --offline ] || on_cluster
