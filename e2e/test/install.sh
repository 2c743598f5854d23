#!/bin/bash
# An installed Raia is enough to write a program: by pkg-config and by find_package, run on an installed cluster.
. "$(dirname "$0")/lib.sh"
src=$(cd "$(dirname "$0")/../.." && pwd)
prefix=$work/opt
cmake --install "$bin/.." --prefix "$prefix" >"$work/install.log" || { cat "$work/install.log"; fail "cmake --install"; }
export PATH=$prefix/bin:$PATH
cp "$src/coreworker/examples/hello.c" "$work/hello.c"

PKG_CONFIG_PATH=$prefix/lib/pkgconfig:$prefix/lib/x86_64-linux-gnu/pkgconfig
export PKG_CONFIG_PATH
cc -o "$work/hello1" "$work/hello.c" $(pkg-config --cflags --libs raia) || fail "cc with pkg-config"

mkdir "$work/cm"
cat >"$work/cm/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.16)
project(hello LANGUAGES C)
find_package(raia REQUIRED)
add_executable(hello2 ../hello.c)
target_link_libraries(hello2 raia::raia)
EOF
cmake -S "$work/cm" -B "$work/cm/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" && cmake --build "$work/cm/build" >>"$work/cmake.log" || { cat "$work/cmake.log"; fail "find_package"; }

raia up -f "$src/e2e/samples/raycluster-minimal.yaml" --detach
libs=$(dirname "$(find "$prefix" -name 'libraia.so*' | head -1)")
for p in "$work/hello1" "$work/cm/build/hello2"; do
    out=$(LD_LIBRARY_PATH=$libs RAIA_ADDRESS=minimal timeout 60 "$p") || fail "$p"
    [ "$out" = "7 squared is 49" ] || fail "$p printed '$out'"
done
