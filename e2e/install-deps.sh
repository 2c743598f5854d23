#!/bin/bash
# Installs the Debian packages that Raia is built and tested with, if any is missing. Needs root only then.
set -euo pipefail
packages=(
    gcc g++ libc6-dev make cmake ninja-build pkg-config ccache python3
    libgrpc-dev protobuf-c-compiler libprotobuf-c-dev protobuf-compiler
    libcurl4-openssl-dev libcjson-dev libyaml-dev libssl-dev libmicrohttpd-dev libuv1-dev
    libsqlite3-dev uthash-dev liblz4-dev libxxhash-dev zlib1g-dev libzip-dev libcriterion-dev
    clang-format-14 openssl procps curl patchelf binutils
)
missing=()
for p in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${Status}' "$p" 2>/dev/null || true)" = "install ok installed" ] || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing with apt: ${missing[*]}"
sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "not root, and there is no sudo: install these yourself, then call make again" >&2; exit 1; }
    sudo=sudo
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { $sudo apt-get -q update && $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "apt could not install them (its words are above)" >&2
    exit 1
fi
