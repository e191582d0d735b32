#!/bin/sh
# Copies the libraries that Querent needs from this machine, where packages are installed, into a folder, for a machine
# that has no package manager:   sh cmake/collect_deps.sh deps   and there   cmake -DQUERENT_DEPS_DIR=$PWD/deps ...
set -eu
[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
arch=$(gcc -dumpmachine)
from=/usr/lib/$arch
to=$1/lib/$arch
mkdir -p "$1/include" "$to/cmake"
for header in hwy CLI nlohmann doctest stb benchmark openssl zlib.h zconf.h; do
  for folder in /usr/include "/usr/include/$arch"; do  # Debian keeps what depends on the processor apart
    [ ! -e "$folder/$header" ] || cp -rL "$folder/$header" "$1/include/"
  done
done
for library in hwy z crypto; do
  real=$(readlink -f "$from/lib$library.so")
  soname=$(objdump -p "$real" | sed -n 's/ *SONAME *//p')
  cp "$real" "$to/$soname"
  ln -sf "$soname" "$to/lib$library.so"
done
cp -P "$from"/libbenchmark* "$to/"
cp -r "$from/cmake/benchmark" "$to/cmake/"
du -sh "$1"
