#!/usr/bin/env bash
# One real PostgreSQL server on the loopback interface, for tests and trials.
# An installed one is used; else Debian's packages are downloaded and unpacked
# once into MIDA_CACHE, which needs no root.
#
#   postgresql.sh get                     downloads, if there is need; prints the directory of the programs
#   postgresql.sh start DIR [PORT]        prints the address; stopped by
#   postgresql.sh stop  DIR
#   postgresql.sh run   DIR [key=value...]   until its standard input ends; says "STARTED postgresql://…" once it
#                   answers; the port is free unless port= says
#
# The user is postgres, without a password; nothing is synced to disk: never for
# real data. PostgreSQL refuses to run as root; started by root, the server runs
# as the user postgres or nobody, who must be able to enter DIR. POSTGRES_BIN
# names the directory of other programs; "download" takes Debian's.
set -euo pipefail

cache=${MIDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/otelcol-mida}/servers
# The server, initdb, pg_ctl, and what they link to that a small system lacks.
packages="libpq5 libicu?? libldap-2.* libxml2 libxslt1.1 libreadline8 libgssapi-krb5-2 libkrb5-3 libkrb5support0 libk5crypto3 libsasl2-2"

die() { echo "postgresql.sh: $*" >&2; exit 1; }

installed() {
  if [ -n "${POSTGRES_BIN:-}" ]; then
    [ "$POSTGRES_BIN" != download ] || return 1
    [ -x "$POSTGRES_BIN/initdb" ] || die "POSTGRES_BIN: no initdb in $POSTGRES_BIN"
    echo "$POSTGRES_BIN"
    return
  fi
  local bin
  for bin in $(pg_config --bindir 2>/dev/null) $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
    if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then echo "$bin"; return; fi
  done
  return 1
}

# The directory of a download is named after what is asked for; it appears whole
# or not at all.
get() {
  installed && return
  local home part server
  home=$cache/postgresql-$(cksum <"${BASH_SOURCE[0]}" | tr ' ' -)
  if [ ! -d "$home" ]; then
    command -v apt-get >/dev/null || die "no PostgreSQL and no apt-get; install PostgreSQL 13 or newer, or set POSTGRES_BIN"
    mkdir -p "$cache"
    exec 9>"$cache/.lock"
    if command -v flock >/dev/null; then flock 9; fi
    if [ ! -d "$home" ]; then
      part=$home.part
      rm -rf "$part"
      mkdir -p "$part"
      echo "postgresql.sh: getting PostgreSQL from Debian" >&2
      server=$(server_package)
      if [ -z "$server" ] && [ "$(id -u)" = 0 ]; then
        apt-get update -qq >&2
        server=$(server_package)
      fi
      [ -n "$server" ] || die "apt-get knows no package postgresql-NN; run apt-get update, or install PostgreSQL"
      (cd "$part" && apt-get download -q "$server" "${server/postgresql-/postgresql-client-}" $(available) >&2)
      for deb in "$part"/*.deb; do dpkg -x "$deb" "$part"; rm "$deb"; done
      chmod -R go+rX "$part"
      mv "$part" "$home"
    fi
    exec 9>&-
  fi
  printf '%s\n' "$home"/usr/lib/postgresql/*/bin
}

server_package() { apt-cache pkgnames postgresql- | grep -xE 'postgresql-[0-9]+' | sort -V | tail -1; }

available() {
  local all want
  all=$(apt-cache pkgnames lib)
  for want in $packages; do
    # shellcheck disable=SC2254
    while read -r name; do case $name in $want) echo "$name" ;; esac; done <<<"$all"
  done | grep -vE -- '-(dev|doc|dbg|common|data)$' || true
}

# as COMMAND... runs it as one who may run PostgreSQL, with the libraries beside it.
as() {
  local libraries='' root=${bin%/usr/lib/postgresql/*}
  case $bin in "$cache"/* | "$dir"/*) libraries=$(printf '%s:' "$root"/usr/lib/*-linux-gnu "$root"/lib/*-linux-gnu) ;; esac
  set -- env LC_ALL=C TZ=GMT ${libraries:+LD_LIBRARY_PATH="$libraries"} "$@"
  if [ "$(id -u)" != 0 ]; then "$@"; else setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"; fi
}

begin() {
  dir=$1
  bin=$(get)
  user=$(id -un)
  if [ "$user" = root ]; then user=postgres; id -u postgres >/dev/null 2>&1 || user=nobody; fi
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  [ "$(id -u)" != 0 ] || chown "$user" "$dir"
  cd "$dir"
  if ! as test -x "$bin/postgres"; then # it may not enter the cache of root
    local root=${bin%/usr/lib/postgresql/*}
    [ -d "$dir/programs" ] || cp -r "$root" "$dir/programs"
    bin=$dir/programs${bin#"$root"}
  fi
  [ -d "$dir/data" ] || as "$bin/initdb" -D "$dir/data" -A trust -N -E UTF8 --locale=C -U postgres >"$dir/initdb.log" 2>&1 || {
    tail -20 "$dir/initdb.log" >&2
    die "initdb failed; can $user enter $dir?"
  }
}

free_port() {
  local port
  for port in $(shuf -i 20000-29999 -n 50); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  die "no free port"
}

# launch key=value... starts the server and prints its address; another may take
# a free port first, so it is tried again.
launch() {
  local options="-c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c log_timezone=GMT -c jit=off" port= try option
  for option in "$@"; do
    case $option in port=*) port=${option#port=} ;; *) options="$options -c $option" ;; esac
  done
  for try in 1 2 3 4 5; do
    local p=${port:-$(free_port)}
    if as "$bin/pg_ctl" -D "$dir/data" -w -t 120 -l "$dir/data/log" -o "$options -c port=$p" start >"$dir/pg_ctl.log" 2>&1 </dev/null; then
      echo "postgresql://postgres@127.0.0.1:$p/postgres"
      return
    fi
    [ -z "$port" ] || break
  done
  tail -20 "$dir/data/log" "$dir/pg_ctl.log" >&2
  die "the server did not start; its log is $dir/data/log"
}

halt() { [ ! -f "$dir/data/postmaster.pid" ] || as "$bin/pg_ctl" -D "$dir/data" -m "${1:-fast}" -w -t 120 stop >/dev/null 2>&1 || true; }

case "${1:-} $#" in
  "get 1") get ;;
  "start 2" | "start 3") begin "$2"; launch ${3:+"port=$3"} ;;
  "stop 2") begin "$2"; halt ;;
  run\ *)
    [ $# -ge 2 ] || die "run DIR"
    begin "$2"
    shift 2
    trap halt EXIT
    echo "STARTED $(launch "$@")"
    cat >/dev/null
    ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
