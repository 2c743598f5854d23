#!/bin/bash
# The resource definitions on a real API server: client-side apply takes them, every RayCluster and RayJob
# of a folder is accepted as it is, and bad ones are rejected by the name of the field.
#
# SAMPLES=DIR  the folder (KubeRay's samples); without it, only those of this tree
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_cluster

# Definitions: applied twice (the second time over themselves), established, small enough.
installs() {
    local file
    for file in "$tree"/crds/*.yaml; do
        [ "$(wc -c <"$file")" -lt $((256 * 1024)) ] || fail "$file has more than 256 KiB"
    done
    for _ in 1 2; do
        kubectl apply -f "$tree/crds/" >"$work/applied" 2>&1 || { cat "$work/applied" >&2; fail "kubectl apply -f crds/"; }
    done
    kubectl wait crd/rayclusters.ray.io crd/rayjobs.ray.io --for=condition=Established --timeout=60s >/dev/null ||
        fail "the definitions are not established"
    for crd in rayclusters rayjobs; do
        equal "non-structural complaints about $crd" "" \
            "$(kubectl get "crd/$crd.ray.io" -o 'jsonpath={.status.conditions[?(@.type=="NonStructuralSchema")].message}')"
        [ -n "$(kubectl get "crd/$crd.ray.io" -o 'jsonpath={.metadata.annotations.ray\.io/raia-schema-version}')" ] ||
            fail "$crd has no schema version"
    done
    until_ok 30 kubectl get rayc,rayj -A
    say "definitions applied and established"
}

# split FILE DIR: every RayCluster and RayJob of a file into a file of its own.
split() {
    awk -v dir="$2" -v name="$(basename "$1" .yaml)" '
        function flush() {
            if (doc ~ /(^|\n)kind: *"?(RayCluster|RayJob)"? *(\n|$)/)
                printf "%s", doc > (dir "/" name "." ++n ".yaml")
            doc = ""
        }
        /^---/ { flush(); next }
        { doc = doc $0 "\n" }
        END { flush() }' "$1"
}

# try FILE: what the server would say.
try() {
    local verb=apply
    ! grep -q '^  generateName:' "$1" || verb=create
    k "$verb" --dry-run=server -f "$1" 2>&1
}

takes_samples() {
    local folder file n=0 refused=0
    mkdir "$work/samples"
    for folder in "$tree/e2e/samples" ${SAMPLES:+"$SAMPLES"}; do
        for file in "$folder"/*.yaml; do split "$file" "$work/samples"; done
    done
    for file in "$work"/samples/*.yaml; do
        n=$((n + 1))
        try "$file" >"$work/out" || { refused=$((refused + 1)); echo "${file##*/}: $(cat "$work/out")" >&2; }
    done
    [ $n -gt 0 ] || fail "no samples"
    equal "samples that are refused, of $n" 0 $refused
    say "$n RayClusters and RayJobs accepted"
}

pod='{spec: {containers: [{name: c, image: i}]}}'
head="headGroupSpec: {template: $pod}"

# rejects KIND NAME FIELD SPEC: a spec in YAML's flow style, and what the server's words must name.
rejects() {
    local out
    printf 'apiVersion: ray.io/v1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n' "$1" "$2" "$4" >"$work/bad.yaml"
    if out=$(try "$work/bad.yaml"); then fail "accepted: $1 $4"; fi
    [[ $out == *"$3"* ]] || fail "$1 {$4} was rejected without a word of $3: $out"
    rejected=$((rejected + 1))
}

rejects_bad_ones() {
    local c=RayCluster j=RayJob long=a123456789012345678901234567890123456789012345678901234 job="rayClusterSpec: {$head}"
    local w="$head, workerGroupSpecs"
    rejected=0
    rejects $c Upper metadata.name "$head"
    rejects $c $long metadata.name "$head"
    rejects $c 1a metadata.name "$head"
    rejects $c a spec.headGroupSpec 'rayVersion: x'
    rejects $c a spec.headGroupSpec.template 'headGroupSpec: {}'
    rejects $c a spec.headGroupSpec.template.spec.containers 'headGroupSpec: {template: {spec: {}}}'
    rejects $c a 'containers[0].name' 'headGroupSpec: {template: {spec: {containers: [{image: i}]}}}'
    rejects $c a 'containers[0].image' 'headGroupSpec: {template: {spec: {containers: [{name: c, image: 3}]}}}'
    rejects $c a 'limits.cpu' 'headGroupSpec: {template: {spec: {containers: [{name: c, resources: {limits: {cpu: lots}}}]}}}'
    rejects $c a 'containers[1]' 'headGroupSpec: {template: {spec: {containers: [{name: c}, {name: c}]}}}'
    rejects $c a 'ports[0].containerPort' 'headGroupSpec: {template: {spec: {containers: [{name: c, ports: [{name: p}]}]}}}'
    rejects $c a 'volumeMounts[0].name' 'headGroupSpec: {template: {spec: {containers: [{name: c, volumeMounts: [{mountPath: /a}]}]}}}'
    rejects $c a 'replica' "$w: [{groupName: g, replica: 2, template: $pod}]"
    rejects $c a 'workerGroupSpecs[0].groupName' "$w: [{template: $pod}]"
    rejects $c a 'workerGroupSpecs[0].template' "$w: [{groupName: g}]"
    rejects $c a 'workerGroupSpecs[1]' "$w: [{groupName: g, template: $pod}, {groupName: g, template: $pod}]"
    rejects $c a 'workerGroupSpecs[0].groupName' "$w: [{groupName: headgroup, template: $pod}]"
    rejects $c a 'workerGroupSpecs[0].replicas' "$w: [{groupName: g, replicas: two, template: $pod}]"
    rejects $c a 'workerGroupSpecs[0].replicas' "$w: [{groupName: g, replicas: 3000000000, template: $pod}]"
    rejects $c a 'workerGroupSpecs[0].minReplicas' "$w: [{groupName: g, minReplicas: -1, template: $pod}]"
    rejects $c a 'workerGroupSpecs[0].minReplicas' "$w: [{groupName: g, minReplicas: 3, maxReplicas: 2, template: $pod}]"
    rejects $c a 'workerGroupSpecs[0].rayStartParams.num-cpus' "$w: [{groupName: g, rayStartParams: {num-cpus: 2}, template: $pod}]"
    rejects $c a 'workerGroupSpecs[0].rayStartParams' "$w: [{groupName: g, rayStartParams: {labels: a=b}, template: $pod}]"
    rejects $c a 'workerGroupSpecs[0].resources' "$w: [{groupName: g, rayStartParams: {num-cpus: '2'}, resources: {CPU: '2'}, template: $pod}]"
    rejects $c a 'suspended while enableInTreeAutoscaling' "$w: [{groupName: g, suspend: true, template: $pod}], enableInTreeAutoscaling: true"
    rejects $c a spec.managedBy "$head, managedBy: me"
    rejects $c a spec.suspend "$head, suspend: maybe"
    rejects $c a spec.upgradeStrategy.type "$head, upgradeStrategy: {type: Rolling}"
    rejects $c a spec.authOptions.mode "$head, authOptions: {mode: open}"
    rejects $c a spec.authOptions.mode "$head, authOptions: {enableK8sTokenAuth: true}"
    rejects $c a spec.authOptions.secretName "$head, authOptions: {mode: token, enableK8sTokenAuth: true, secretName: s}"
    rejects $c a spec.gcsFaultToleranceOptions.backend "$head, gcsFaultToleranceOptions: {backend: etcd}"
    rejects $c a spec.gcsFaultToleranceOptions.backend "$head, gcsFaultToleranceOptions: {backend: rocksdb, redisAddress: 'r:6379'}"
    rejects $c a spec.gcsFaultToleranceOptions.storage.claimName "$head, gcsFaultToleranceOptions: {storage: {claimName: c, size: 1Gi}}"
    rejects $c a spec.networkPolicy.mode "$head, networkPolicy: {mode: Open}"
    rejects $c a autoscalerOption "$head, autoscalerOption: {}"
    rejects $j a$long metadata.name "$job"
    rejects $j a 'rayClusterSpec and clusterSelector' 'entrypoint: e'
    rejects $j a spec.rayClusterSpec.headGroupSpec 'rayClusterSpec: {}'
    rejects $j a spec.submissionMode "$job, submissionMode: Batch"
    rejects $j a spec.suspend "$job, suspend: true"
    rejects $j a spec.ttlSecondsAfterFinished "$job, ttlSecondsAfterFinished: 5"
    rejects $j a spec.ttlSecondsAfterFinished "$job, ttlSecondsAfterFinished: -5, shutdownAfterJobFinishes: true"
    rejects $j a spec.activeDeadlineSeconds "$job, activeDeadlineSeconds: 0"
    rejects $j a spec.preRunningDeadlineSeconds "$job, preRunningDeadlineSeconds: 0"
    rejects $j a spec.backoffLimit "$job, backoffLimit: -1"
    rejects $j a spec.backoffLimit "$job, backoffLimit: 1, submissionMode: InteractiveMode"
    rejects $j a spec.backoffLimit 'clusterSelector: {ray.io/cluster: c}, backoffLimit: 1'
    rejects $j a spec.clusterSelector 'clusterSelector: {a: b}'
    rejects $j a spec.submissionMode 'clusterSelector: {ray.io/cluster: c}, submissionMode: SidecarMode'
    rejects $j a spec.submitterPodTemplate "$job, submissionMode: SidecarMode, submitterPodTemplate: $pod"
    rejects $j a spec.submitterPodTemplate.spec.containers "$job, submitterPodTemplate: {spec: {}}"
    rejects $j a spec.deletionStrategy "$job, deletionStrategy: {onSuccess: {policy: DeleteSelf}}"
    rejects $j a spec.deletionStrategy.deletionRules "$job, deletionStrategy: {deletionRules: []}"
    rejects $j a 'deletionRules[0].policy' "$job, deletionStrategy: {deletionRules: [{policy: DeleteAll, condition: {jobStatus: FAILED}}]}"
    rejects $j a 'deletionRules[0].condition' "$job, deletionStrategy: {deletionRules: [{policy: DeleteSelf, condition: {}}]}"
    rejects $j a spec.shutdownAfterJobFinishes "$job, shutdownAfterJobFinishes: true, deletionStrategy: {deletionRules: [{policy: DeleteSelf, condition: {jobStatus: FAILED}}]}"
    say "$rejected bad ones rejected, each by the name of its field"
}

# What a stored object is like: defaults, versions, what may change. Nobody acts on it: it is managed by others.
stores() {
    printf '%s\n' 'apiVersion: ray.io/v1alpha1' 'kind: RayCluster' 'metadata: {name: kept}' \
        "spec: {managedBy: kueue.x-k8s.io/multikueue, suspend: true, $head, workerGroupSpecs: [{groupName: g, template: $pod}]}" >"$work/kept.yaml"
    k apply -f "$work/kept.yaml" >/dev/null 2>&1 || fail "v1alpha1 is not served"
    equal "version" ray.io/v1 "$(field raycluster/kept .apiVersion)"
    equal "defaults of a group" '0 0 2147483647 1' \
        "$(field raycluster/kept '.spec.workerGroupSpecs[0].replicas} {.spec.workerGroupSpecs[0].minReplicas} {.spec.workerGroupSpecs[0].maxReplicas} {.spec.workerGroupSpecs[0].numOfHosts')"
    ! k patch raycluster kept --type=merge -p '{"spec":{"managedBy":"ray.io/kuberay-operator"}}' >"$work/out" 2>&1 ||
        fail "managedBy could be changed"
    grep -q 'spec.managedBy.*immutable' "$work/out" || fail "a changed managedBy: $(cat "$work/out")"
    # A group is found by its name, wherever it stands: two appliers of different groups do not disturb each other.
    printf '%s\n' 'apiVersion: ray.io/v1' 'kind: RayCluster' 'metadata: {name: kept}' \
        "spec: {workerGroupSpecs: [{groupName: h, replicas: 7, template: $pod}]}" >"$work/other.yaml"
    k apply --server-side --field-manager=other -f "$work/other.yaml" >/dev/null || fail "server-side apply of a second group"
    equal "groups" 'g h' "$(field raycluster/kept '.spec.workerGroupSpecs[*].groupName')"
    # The status is apart, and keeps what the operator notes in it.
    k patch raycluster kept --subresource=status --type=merge \
        -p '{"status":{"state":"suspended","raia":{"any":{"thing":1}},"conditions":[{"type":"RaiaAccepted","status":"True","reason":"Accepted","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}' >/dev/null ||
        fail "the status cannot be written"
    equal "status" 'suspended 1' "$(field raycluster/kept '.status.state} {.status.raia.any.thing')"
    k get rayc -o wide >"$work/out"
    grep -q 'DESIRED WORKERS.*AVAILABLE WORKERS.*STATUS.*AGE.*ACCEPTED' "$work/out" || fail "columns: $(cat "$work/out")"
    k delete raycluster kept --timeout=60s >/dev/null
    say "defaults, versions, lists by name, status and columns are right"
}

installs
need_namespace
takes_samples
rejects_bad_ones
stores
