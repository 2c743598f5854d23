#!/bin/bash
# The image of Raia, without a registry and without a container engine: the bundle in an empty root, as
# e2e/Dockerfile makes it, laid on every node of the cluster (make cluster-up).
#
#   image.sh [NAME:TAG...]       raia.io/raia:dev; RAIA_BUILD: another build folder than build/
#   image.sh -o FILE NAME:TAG... only the archive, without a cluster
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${RAIA_BUILD:-build}
out=
while getopts o: opt; do
    case $opt in
    o) out=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- "${RAIA_IMAGE:-raia.io/raia:dev}"
tags=()
for tag; do tags+=(-t "$tag"); done

work=$(mktemp -d "$build/.image.XXXXXX")
trap 'rm -rf "$work"' EXIT
e2e/bundle.sh "$build" "$work/root" >&2
mkdir -p "$work/root/etc" "$work/root/tmp"
chmod 1777 "$work/root/tmp"
echo 'raia:x:65532:65532:raia:/tmp:/opt/raia/bin/raia' >"$work/root/etc/passwd"
echo 'raia:x:65532:' >"$work/root/etc/group"
archive=${out:-$work/image.tar}
e2e/cluster/image make "${tags[@]}" -e /opt/raia/bin/raia-operator -E PATH=/opt/raia/bin -u 65532:65532 "$work/root" "$archive"
[ -n "$out" ] || e2e/cluster/image import "$archive"
echo "image: ${*}, $(gzip -c "$archive" | wc -c | awk '{ printf "%.1f", $1 / 1e6 }') MB compressed" >&2
