#!/bin/bash
# Makes the tree that runs in pods, in any image: OUT/opt/raia/{bin,lib} from a build folder.
#
#   e2e/bundle.sh [BUILD [OUT]]        (build, BUILD/bundle)
#
# The daemons come with all their libraries and their own loader, by the fixed path /opt/raia/lib: their
# DT_RPATH goes before an image's LD_LIBRARY_PATH. What runs users' code, lib/user/libraia.so.0 and
# raia-worker, uses the image's loader and libc; zig (PyPI's ziglang, found as a Python module or in
# ~/.cache/raia-e2e/zig) links them for glibc 2.27, without it they need the glibc that they were built with.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
out=${2:-$build/bundle}
lib=/opt/raia/lib
daemons=(raia-agent raia-gcs raia-init raia-keeper raia-pod raia-raylet raia-shim raia)
[ ! -x "$build/bin/raia-operator" ] || daemons+=(raia-operator)
die() { echo "bundle: $*" >&2; exit 1; }
command -v patchelf >/dev/null || die "patchelf is missing: e2e/install-deps.sh installs it"
for p in "${daemons[@]}" raia-worker; do [ -x "$build/bin/$p" ] || die "$build/bin/$p is missing: make build"; done

work=$(mktemp -d "$build/.bundle.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/opt/raia
mkdir -p "$root/bin" "$root/lib/user"

for p in "${daemons[@]}"; do
    strip -o "$root/bin/$p" "$build/bin/$p"
    patchelf --set-interpreter $lib/ld-linux-x86-64.so.2 --force-rpath --set-rpath $lib "$root/bin/$p"
done
ln -s raia "$root/bin/ray"

# All that they need, from where this machine's loader finds it.
(for p in "${daemons[@]}"; do ldd "$build/bin/$p"; done) | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | sort -u |
    while read -r so; do
        [ -f "$so" ] || die "not found: $so"
        install -m 0755 "$(readlink -f "$so")" "$root/lib/${so##*/}"
    done
for so in "$root"/lib/*.so*; do
    case ${so##*/} in ld-linux*) continue ;; esac
    strip --strip-unneeded "$so" 2>/dev/null || true
    # A path of its own would go before ours.
    [ -z "$(patchelf --print-rpath "$so")" ] || patchelf --remove-rpath "$so"
done
[ -x "$root/lib/ld-linux-x86-64.so.2" ] || die "no loader found"
[ ! -f /etc/ssl/certs/ca-certificates.crt ] || install -m 0644 /etc/ssl/certs/ca-certificates.crt "$root/lib/"

# What users' processes load.
zig=()
for at in "" "${XDG_CACHE_HOME:-$HOME/.cache}/raia-e2e/zig"; do
    if PYTHONPATH=$at python3 -c 'import ziglang' 2>/dev/null; then
        zig=(env "PYTHONPATH=$at" python3 -m ziglang cc -target x86_64-linux-gnu.2.27)
        break
    fi
done
user=$root/lib/user
if [ ${#zig[@]} -gt 0 ]; then
    printf '{ global: raia_*; local: *; };\n' >"$work/exports"
    protobuf=$(gcc -print-file-name=libprotobuf-c.a)
    "${zig[@]}" -shared -fPIC -Wl,-soname,libraia.so.0 -Wl,--version-script="$work/exports" -o "$user/libraia.so.0" \
        -Wl,--whole-archive "$build/lib/libraia_runtime.a" -Wl,--no-whole-archive \
        "$build"/lib/libraia_{core,proto,base}.a "$build"/coreworker/api/CMakeFiles/raia.dir/version.c.o \
        "$protobuf" -lm -lpthread -ldl
    "${zig[@]}" -o "$root/bin/raia-worker" "$build"/coreworker/worker/CMakeFiles/raia-worker.dir/worker_main.c.o \
        "$user/libraia.so.0" -ldl
else
    cp "$(readlink -f "$build/lib/libraia.so.0")" "$user/libraia.so.0"
    cp "$(readlink -f "$(ldd "$user/libraia.so.0" | awk '/libprotobuf-c/ { print $3 }')")" "$user/libprotobuf-c.so.1"
    cp "$build/bin/raia-worker" "$root/bin/raia-worker"
fi
strip "$root/bin/raia-worker"
strip --strip-unneeded "$user"/*.so*
# The image's loader, and our library only.
# shellcheck disable=SC2016 # the loader's word
patchelf --set-rpath '$ORIGIN/../lib/user' "$root/bin/raia-worker"
needs=$(objdump -T "$user/libraia.so.0" "$root/bin/raia-worker" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
chmod -R go=rX,u=rwX "$root"

rm -rf "$out"
mkdir -p "$(dirname "$out")"
mv "$work" "$out"
trap - EXIT
chmod 0755 "$out" "$out/opt"
rm -f "$out/exports"
echo "bundle: $out/opt/raia: $(du -sm "$out" | cut -f1) MB; programs of users need ${needs/_/ }"
