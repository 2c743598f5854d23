#!/bin/bash
# An image with a user's program and without Raia: Debian, wordcount, and text of this machine to count. The
# nodes pull it under the names given (patterns of e2e/cluster/registry).
#
#   program.sh BIN PATTERN...     BIN: the folder of the built programs; prints a folder with "expected", the
#                                 counts of that text as coreutils give them
#
# shellcheck source=../cluster/settings.sh
. "$(dirname "$0")/../cluster/settings.sh"
need_cluster
[ $# -ge 2 ] || die "usage: program.sh BIN PATTERN..."
program=$1/wordcount
shift
[ -x "$program" ] || die "no $program: make build"
tree=$(cd "$here/../.." && pwd)
bytes_most=$((24 << 20)) # of text

# Some of this machine's documentation, and its licenses.
texts() { # FOLDER
    local left=$bytes_most size d
    mkdir -p "$1/usr/share/doc"
    cp -a /usr/share/common-licenses "$1/usr/share/"
    for d in /usr/share/doc/*/; do
        size=$(du -sbx "$d" | cut -f 1)
        [ "$size" -le $((left / 4)) ] || continue
        left=$((left - size))
        cp -a "$d" "$1/usr/share/doc/"
    done
}

out=$state/program-$(sha256sum <"$program" | cut -c1-12)
if [ ! -s "$out/expected" ]; then
    say "making the image of the word count"
    rm -rf "$out"
    mkdir -p "$out/root/usr/local/bin"
    base=$("$here/image" debian)
    install -m 755 "$program" "$out/root/usr/local/bin/wordcount"
    texts "$out/root"
    cp "$base" "$out/layer.tar"
    tar -C "$out/root" --numeric-owner --owner=0 --group=0 -rf "$out/layer.tar" ./usr
    "$here/image" make -t localhost/wordcount:1 -c bash "$out/layer.tar" "$out/image.tar"
    # What the image holds, its base's own files among them.
    rm -rf "$out/root"
    mkdir "$out/text"
    tar -C "$out/text" -xf "$out/layer.tar" ./usr/share/doc ./usr/share/common-licenses
    rm "$out/layer.tar"
    "$tree/e2e/test/coreutils-wordcount.sh" "$out/text/usr/share/doc" "$out/text/usr/share/common-licenses" >"$out/expected.part"
    rm -rf "$out/text"
    mv "$out/expected.part" "$out/expected"
fi
"$here/registry" add "$out/image.tar" "$@" >/dev/null
echo "$out"
