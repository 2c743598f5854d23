#!/bin/bash
# Stand-in images: a small Debian with bash under any names on the nodes, so that manifests apply whose images
# are not to be had here. Also for imagePullPolicy: Always: the nodes pull from a registry of this machine.
#
#   standin.sh PATTERN...         e.g. standin.sh 'docker.io/rayproject/*' 'us-docker.pkg.dev/*'
#   standin.sh --for FILE...      for every image that those manifests name
#
# The image is Debian 12 with bash and coreutils, has no Raia, no Ray and no Python, and sleeps if it is not
# told what to do.
# shellcheck source=../cluster/settings.sh
. "$(dirname "$0")/../cluster/settings.sh"
need_cluster

# whole NAME: as containerd asks for it, docker.io/library/redis:7 for redis:7.
whole() {
    local name=$1
    case $name in
    */*) case ${name%%/*} in *.* | *:* | localhost) ;; *) name=docker.io/$name ;; esac ;;
    *) name=docker.io/library/$name ;;
    esac
    case ${name##*/} in *:* | *@*) ;; *) name=$name:latest ;; esac
    printf '%s\n' "$name"
}

# Every "image: NAME", whatever quotes it has.
images_of() { grep -ohE '\bimage:[[:space:]]*["'\'']?[A-Za-z0-9][A-Za-z0-9._:/@-]*' "$@" | sed -E 's/^image:[[:space:]]*["'\'']?//' | sort -u; }

[ $# -gt 0 ] || die "usage: standin.sh PATTERN... | --for FILE..."
patterns=()
if [ "$1" = --for ]; then
    shift
    while read -r image; do patterns+=("$(whole "$image")"); done < <(images_of "$@")
    [ ${#patterns[@]} -gt 0 ] || die "no image is named in: $*"
else
    patterns=("$@")
fi
# (As a program of its own: what it sources here it would take for itself.)
root=$("$here/image" debian)
archive=$state/standin.tar
[ -s "$archive" ] || "$here/image" make -t localhost/standin:1 -c bash -c -c -c 'trap "exit 0" TERM; sleep infinity & wait' "$root" "$archive"
"$here/registry" add "$archive" "${patterns[@]}" >/dev/null
say "${#patterns[@]} names have the stand-in image"
