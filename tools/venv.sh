#!/usr/bin/env bash
# Makes a Python virtual environment and leaves it alone when it is already right.
#
#   venv.sh DIRECTORY REQUIREMENTS [PROJECT]
#
# REQUIREMENTS is installed once per content of that file. PROJECT, a directory
# with a pyproject.toml, is installed editable and without dependencies, and
# again only after its pyproject.toml changed or from another checkout.
# PYTHON names the interpreter; python3 is the default.
set -euo pipefail

dir=$1 requirements=$2 project=${3:-}
python=${PYTHON:-python3}

mkdir -p "$dir"
if command -v flock >/dev/null 2>&1; then
  # Two makes at a time would install into each other's half-made directory.
  exec 9>"$dir/.lock"
  flock 9
fi

want=$(cksum <"$requirements")
if [ "$(cat "$dir/.requirements" 2>/dev/null || true)" != "$want" ]; then
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "venv: $("$python" --version 2>&1) is too old for the tests; set PYTHON to 3.11 or newer" >&2
    exit 1
  fi
  echo "venv: installing $requirements into $dir"
  [ -x "$dir/bin/python" ] || "$python" -m venv "$dir" || {
    echo "venv: $python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
  }
  "$dir/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
  printf '%s\n' "$want" >"$dir/.requirements"
fi

if [ -n "$project" ] && [ -f "$project/pyproject.toml" ]; then
  want="$(cd "$project" && pwd) $(cksum <"$project/pyproject.toml")"
  if [ "$(cat "$dir/.project" 2>/dev/null || true)" != "$want" ]; then
    echo "venv: installing $project into $dir"
    "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e "$project"
    printf '%s\n' "$want" >"$dir/.project"
  fi
fi
