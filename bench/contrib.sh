#!/usr/bin/env bash
# Builds a collector with contrib's Elasticsearch exporter (bench/contrib) into
# MIDA_CACHE, once, and prints its path. Needs Go and a module proxy.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/contrib
cache=${MIDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/otelcol-mida}/bench
go=${GO:-go}

# The directory is named after what it is made from; the program appears whole or not at all.
home=$cache/contrib-$(cat "$here/builder-config.yaml" $(find "$here" -name '*.go' | sort) | cksum | tr ' ' -)
if [ ! -x "$home/otelcol-contrib" ]; then
  echo "contrib.sh: building contrib's Elasticsearch exporter; this takes minutes" >&2
  version=$(sed -n 's/^ *version: *\([0-9.]*\)$/v\1/p' "$here/builder-config.yaml")
  mkdir -p "$home"
  cp -r "$here/ebpf-profiler" "$home/"
  sed "s|\${PROFILER}|$home/ebpf-profiler|" "$here/builder-config.yaml" >"$home/builder.yaml"
  cd "$home"
  export CGO_ENABLED=0
  GOBIN=$home "$go" install -trimpath "go.opentelemetry.io/collector/cmd/builder@$version" >&2
  ./builder --config builder.yaml --skip-compilation >&2
  cd build
  "$go" build -mod=mod -trimpath -ldflags "-s -w" -o ../otelcol-contrib.part . >&2
  cd ..
  mv otelcol-contrib.part otelcol-contrib
  rm -rf build builder
fi
echo "$home/otelcol-contrib"
