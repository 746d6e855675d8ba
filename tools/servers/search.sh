#!/usr/bin/env bash
# One real OpenSearch or Elasticsearch node on the loopback interface, for tests
# and trials. Its jars come from Maven Central once and stay in MIDA_CACHE. The
# KIND is opensearch, elasticsearch, or esql, which is Elasticsearch with ES|QL.
#
#   search.sh get   KIND                              downloads and compiles
#   search.sh start KIND DIR [PORT [key=value...]]   prints the address; the pid is in DIR/pid
#   search.sh stop  DIR
#   search.sh run   KIND DIR [key=value...]   in the foreground, until its standard
#                   input ends; says "STARTED http://…" once it answers; the port is free unless http.port says
#
# The nodes of a cluster are started together, each with discovery.type=zen (Elasticsearch: multi-node), node.name,
# transport.port, discovery.seed_hosts and cluster.initial_cluster_manager_nodes (cluster.initial_master_nodes).
#
# Needs Java 17 (JAVA17_HOME, or java on the PATH) and mvn. MIDA_SERVER_HEAP is
# the heap, 512m by default; MIDA_SERVER_JVM are the other flags of the virtual machine, those of a small and
# short-lived server by default; "-XX:+UseG1GC" makes it one as it is in production, with the optimising compiler.
# No authentication, no TLS: never for real data.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${MIDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/otelcol-mida}/servers

die() { echo "search.sh: $*" >&2; exit 1; }

java_tool() {
  if [ -n "${JAVA17_HOME:-}" ]; then echo "$JAVA17_HOME/bin/$1"; else command -v "$1" || die "no $1; install a JDK 17, or set JAVA17_HOME"; fi
}

check_kind() {
  [ -f "$here/$1/pom.xml" ] || die "kind \"$1\"; want opensearch, elasticsearch or esql"
}

# The directory of a kind is named after what it is made from, this script's part in it among that, so a change makes
# a new one. It appears whole or not at all.
home_of() { echo "$cache/$1-$( (cat "$here/$1/"* "$here/Until.java" && sed -n '/^module() /,/^}/p;/^get() /,/^}/p' "$here/search.sh") | cksum | tr ' ' -)"; }

# module NAME CLASS EXTENDED JAR... makes a module of Elasticsearch of the jars that begin like that.
module() {
  local dir=$part/modules/$1 version jar
  version=$(sed -n 's/.*<version>\(8\..*\)<.*/\1/p' "$here/$kind/pom.xml" | head -1)
  mkdir -p "$dir"
  printf '%s\n' "name=$1" "description=$1" "version=$version" "elasticsearch.version=$version" "java.version=17" "classname=$2" \
    ${3:+"extended.plugins=$3"} >"$dir/plugin-descriptor.properties"
  for jar in "${@:4}"; do mv "$part/lib/$jar-"* "$dir/"; done
}

get() {
  local kind=$1 home part
  home=$(home_of "$kind")
  [ -d "$home" ] && return
  command -v mvn >/dev/null || die "no mvn; install Maven, which downloads the servers"
  local javac; javac=$(java_tool javac)
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  if command -v flock >/dev/null; then flock 9; fi
  [ -d "$home" ] && return
  part=$home.part
  rm -rf "$part"
  mkdir -p "$part/lib" "$part/classes" "$part/modules"
  echo "search.sh: getting $kind from Maven Central" >&2
  mvn -q -B -f "$here/$kind/pom.xml" -Dmaven.repo.local="$cache/maven" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$part/lib" >&2
  if [ "$kind" != opensearch ]; then
    module transport-netty4 org.elasticsearch.transport.netty4.Netty4Plugin "" netty transport-netty4
  fi
  if [ "$kind" = esql ]; then
    module x-pack-esql-core org.elasticsearch.xpack.esql.core.plugin.EsqlCorePlugin x-pack-core x-pack-esql-core
    module x-pack-esql org.elasticsearch.xpack.esql.plugin.EsqlPlugin x-pack-esql-core,x-pack-core x-pack-esql x-pack-kql arrow
    module x-pack-core org.elasticsearch.xpack.core.XPackPlugin "" x-pack
  fi
  "$javac" -nowarn -cp "$part/lib/*" -d "$part/classes" "$here/Until.java" "$here/$kind/Launch.java" >&2
  mv "$part" "$home"
}

# node KIND DIR STDIN key=value... becomes the server.
node() {
  local kind=$1 dir=$2 stdin=$3 home heap=${MIDA_SERVER_HEAP:-512m} jvm
  shift 3
  home=$(home_of "$kind")
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  cd "$dir"
  # C1 and the serial collector start fast and need little; the data is small.
  read -ra jvm <<<"${MIDA_SERVER_JVM:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC}"
  exec "$(java_tool java)" "-Xms$heap" "-Xmx$heap" "${jvm[@]}" -Xshare:auto \
    --add-opens=java.base/java.nio=ALL-UNNAMED -Djava.security.manager=allow -Dlog4j2.disable.jmx=true -Dlog4j2.configurationFile="$here/log4j2.properties" \
    -Des.path.home="$dir/home" -Dmida.modules="$home/modules" -Dmida.stdin="$stdin" -cp "$home/classes:$home/lib/*" Launch "$dir/home" \
    cluster.name=mida node.name=mida network.host=127.0.0.1 http.port=0 transport.port=0 discovery.type=single-node \
    cluster.routing.allocation.disk.threshold_enabled=false "$@"
}

start() {
  local kind=$1 dir=$2 port=${3:-0}
  mkdir -p "$dir"
  node "$kind" "$dir" false "http.port=$port" "${@:4}" >"$dir/out" 2>"$dir/log" </dev/null &
  local pid=$!
  echo "$pid" >"$dir/pid"
  for _ in $(seq 600); do
    if grep -q '^STARTED ' "$dir/out"; then
      sed -n 's/^STARTED //p' "$dir/out"
      disown "$pid"
      return
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  tail -20 "$dir/log" >&2
  die "$kind did not start; its log is $dir/log"
}

stop() {
  local pid; pid=$(cat "$1/pid")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 300); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  die "pid $pid does not end"
}

case "${1:-} $#" in
  "get 2") check_kind "$2"; get "$2" ;;
  start\ *) [ $# -ge 3 ] || die "start KIND DIR"; check_kind "$2"; get "$2"; shift; start "$@" ;;
  "stop 2") stop "$2" ;;
  run\ *) [ $# -ge 3 ] || die "run KIND DIR"; check_kind "$2"; get "$2"; kind=$2 dir=$3; shift 3; node "$kind" "$dir" true "$@" ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
