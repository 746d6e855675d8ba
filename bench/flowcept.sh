#!/usr/bin/env bash
# Gets FlowCept with its dependencies into a virtual environment of its own, and
# a Redis server, both in MIDA_CACHE, once; prints the interpreter, the Redis
# server, and the directories of its libraries. Needs a package index, and
# Debian's packages where no redis-server is installed; no root.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${MIDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/otelcol-mida}/bench

die() { echo "flowcept.sh: $*" >&2; exit 1; }

# A directory appears whole or not at all, and is named after what it is made from.
venv=$cache/flowcept-$(cksum <"$here/flowcept-requirements.txt" | tr ' ' -)
if [ ! -f "$venv/complete" ]; then
  echo "flowcept.sh: installing FlowCept" >&2
  rm -rf "$venv"
  mkdir -p "$cache"
  "${PYTHON:-python3}" -m venv "$venv" >&2
  "$venv/bin/pip" install -q -r "$here/flowcept-requirements.txt" >&2 || die "FlowCept cannot be installed"
  touch "$venv/complete"
fi

redis=$(command -v redis-server || true)
libraries=
if [ -z "$redis" ]; then
  home=$cache/redis
  if [ ! -d "$home" ]; then
    command -v apt-get >/dev/null || die "no redis-server and no apt-get; install Redis"
    echo "flowcept.sh: getting Redis from Debian" >&2
    rm -rf "$home.part"
    mkdir -p "$home.part"
    (cd "$home.part" && apt-get download -q redis-server redis-tools libjemalloc2 liblzf1 >&2) || die "no package of Redis; run apt-get update"
    for deb in "$home.part"/*.deb; do dpkg -x "$deb" "$home.part"; rm "$deb"; done
    mv "$home.part" "$home"
  fi
  redis=$home/usr/bin/redis-server
  libraries=$(echo "$home"/usr/lib/*-linux-gnu)
fi
printf '%s\n' "$venv/bin/python" "$redis" "$libraries"
