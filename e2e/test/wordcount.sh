#!/bin/bash
# The word count over a head and two workers gives what coreutils give, and leaves nothing behind.
. "$(dirname "$0")/lib.sh"
# A copy, as packages may be installed meanwhile.
cp -a /usr/share/doc /usr/share/common-licenses "$work/"
folders=("$work/doc" "$work/common-licenses")

cat >"$work/job.yaml" <<EOF
apiVersion: ray.io/v1
kind: RayJob
metadata: {name: words}
spec:
  entrypoint: wordcount --output $work/counts ${folders[*]}
  shutdownAfterJobFinishes: true
  rayClusterSpec:
    headGroupSpec:
      rayStartParams: {num-cpus: "1"}
      template: {spec: {containers: [{name: head, image: x}]}}
    workerGroupSpecs:
      - groupName: w
        replicas: 2
        rayStartParams: {num-cpus: "1"}
        template: {spec: {containers: [{name: worker, image: x}]}}
EOF
"$(dirname "$0")/coreutils-wordcount.sh" "${folders[@]}" >"$work/expected" &
raia up -f "$work/job.yaml" | tee "$work/out" || fail "raia up"
wait $!
cmp "$work/counts" "$work/expected" || fail "the counts differ from those of coreutils"
grep -Eq '^[0-9]+ files, [0-9]+ bytes, ' "$work/out" || fail "no summary in the job's output"
[ -z "$(leftovers)" ] || fail "processes are left: $(leftovers)"
echo "$(wc -l <"$work/expected") words counted alike"
