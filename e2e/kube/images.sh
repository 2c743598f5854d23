#!/bin/bash
# Stand-in images: a pod with any name that was stood in for becomes ready, with imagePullPolicy Always too; a
# name that nobody stood in for fails at once, and not by a timeout.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_cluster
need_namespace
some=stand.example/$ns

"$tree/e2e/kube/standin.sh" "$some/*"
cat >"$work/pods.yaml" <<T
apiVersion: v1
kind: Pod
metadata: {name: silent}
spec:
  containers: [{name: a, image: "$some/team/a:1", imagePullPolicy: Always}]
---
apiVersion: v1
kind: Pod
metadata: {name: told}
spec:
  containers: [{name: b, image: "$some/b", command: [bash, -c, "echo told; trap 'exit 0' TERM; sleep 600 & wait"]}]
T
k apply -f "$work/pods.yaml" >/dev/null
await 60 pod/silent condition=Ready
await 60 pod/told condition=Ready
equal "its log" told "$(k logs told)"
say "ok: any name under $some"

"$tree/e2e/kube/standin.sh" --for "$work/pods.yaml"
grep -qF " $some/" <<<" $(cut -d' ' -f1 "$state/registry/names" | tail -n 2 | tr '\n' ' ')" || fail "--for did not name the manifest's images"
say "ok: the images that a manifest names"

begun=$SECONDS
k run unknown --image=unknown.example/none:1 >/dev/null
refused() { [ "$(field pod/unknown '.status.containerStatuses[0].state.waiting.reason')" = ErrImagePull ] || [ "$(field pod/unknown '.status.containerStatuses[0].state.waiting.reason')" = ImagePullBackOff ]; }
until_ok 30 refused || fail "an unknown image: $(field pod/unknown .status)"
[ $((SECONDS - begun)) -le 12 ] || fail "an unknown image was refused only after $((SECONDS - begun)) s"
k delete pod --all --timeout=20s >/dev/null || fail "a pod of the stand-in image does not end on SIGTERM"
say "ok: an unknown name"
