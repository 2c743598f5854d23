#!/bin/bash
# Images without Raia for tests, of Debian's own files, laid on every node:
#
#   localhost/debian:12       Debian, as small as it gets: bash, coreutils
#   localhost/glibc-only:1    glibc and nothing else: no shell, as distroless images
#   localhost/no-glibc:1      a static busybox
# shellcheck source=../cluster/settings.sh
. "$(dirname "$0")/../cluster/settings.sh"
need_cluster
base=$("$here/image" debian)
key=$(sha256sum <"$base" | cut -c1-12)
mkdir -p "$cache"

if [ ! -s "$cache/glibc-only-$key.image" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/root"
    tar -C "$work" -xf "$base" --wildcards './var/lib/dpkg/info/libc6*.list'
    # Its libraries, and the links through which they are found; the list has the folders, too.
    { echo ./lib; echo ./lib64; grep -hE '\.so(\.[0-9]+)*$' "$work"/var/lib/dpkg/info/libc6*.list | grep -v gconv | sed 's|^|.|'; } >"$work/files"
    tar -C "$work/root" -xf "$base" --no-recursion ./lib ./lib64
    sed 's|^\./lib|./usr/lib|' "$work/files" | grep -vxE './usr/lib(64)?' >"$work/members"
    tar -C "$work/root" -xf "$base" -T "$work/members"
    mkdir -p "$work/root/etc" "$work/root/tmp"
    chmod 1777 "$work/root/tmp"
    "$here/image" make -t localhost/glibc-only:1 "$work/root" "$cache/glibc-only-$key.image"
fi
if [ ! -s "$cache/no-glibc.image" ]; then
    [ -x /bin/busybox ] || die "busybox is missing: apt-get install busybox-static"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/root/bin" "$work/root/tmp"
    cp /bin/busybox "$work/root/bin/"
    for p in sh sleep cat ls; do ln -s busybox "$work/root/bin/$p"; done
    "$here/image" make -t localhost/no-glibc:1 "$work/root" "$cache/no-glibc.image"
fi
[ -s "$cache/debian-$key.image" ] || "$here/image" make -t localhost/debian:12 -c bash "$base" "$cache/debian-$key.image"
"$here/image" import "$cache/debian-$key.image" "$cache/glibc-only-$key.image" "$cache/no-glibc.image"
