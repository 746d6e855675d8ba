#!/usr/bin/env bash
# One real Kafka broker on the loopback interface, for tests and trials. Its jars
# come from Maven Central once and stay in MIDA_CACHE.
#
#   kafka.sh get                                     downloads
#   kafka.sh run DIR [PORT [HOST [key=value...]]]    in the foreground, until it is killed; its data stays in DIR
#
# Needs Java 17 or newer (JAVA17_HOME, or java on the PATH) and mvn. No
# authentication, no TLS: never for real data.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${MIDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/otelcol-mida}/servers

die() { echo "kafka.sh: $*" >&2; exit 1; }

if [ -n "${JAVA17_HOME:-}" ]; then java=$JAVA17_HOME/bin/java; else java=$(command -v java) || die "no java; install a JDK 17, or set JAVA17_HOME"; fi

# The directory is named after what it is made from, so a change makes a new one.
# It appears whole or not at all.
home=$cache/kafka-$(cksum <"$here/kafka/pom.xml" | tr ' ' -)

get() {
  [ -d "$home" ] && return
  command -v mvn >/dev/null || die "no mvn; install Maven, which downloads the broker"
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  if command -v flock >/dev/null; then flock 9; fi
  [ -d "$home" ] && return
  rm -rf "$home.part"
  mkdir -p "$home.part/lib"
  echo "kafka.sh: getting Kafka from Maven Central" >&2
  mvn -q -B -f "$here/kafka/pom.xml" -Dmaven.repo.local="$cache/maven" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$home.part/lib" >&2
  mv "$home.part" "$home"
}

# C1 and the serial collector start fast and need little.
vm=("$java" -Xms128m -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$home/lib/*")

run() {
  local dir=$1 port=${2:-9092} host=${3:-127.0.0.1}
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  # The controller listens one port above.
  cat >"$dir/server.properties" <<X
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$host:$((port + 1))
listeners=PLAINTEXT://$host:$port,CONTROLLER://$host:$((port + 1))
advertised.listeners=PLAINTEXT://$host:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$dir/logs
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
X
  for setting in "${@:4}"; do echo "$setting"; done >>"$dir/server.properties"
  [ -f "$dir/logs/meta.properties" ] ||
    "${vm[@]}" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qk -c "$dir/server.properties" >"$dir/format.log" 2>&1 ||
    { cat "$dir/format.log" >&2; die "the storage could not be formatted"; }
  exec "${vm[@]}" kafka.Kafka "$dir/server.properties"
}

case "${1:-} $#" in
  "get 1") get ;;
  run\ *) [ $# -ge 2 ] || die "run DIR"; get; shift; run "$@" ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
