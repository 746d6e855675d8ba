#!/usr/bin/env bash
# Prints the path of a Chromium for the tests of the web UI. Root on Debian gets it from apt when there is none.
# MIDA_CHROMIUM names another one.
set -euo pipefail

for candidate in "${MIDA_CHROMIUM:-}" chromium chromium-browser google-chrome; do
  if [ -n "$candidate" ] && command -v "$candidate" >/dev/null; then
    command -v "$candidate"
    exit 0
  fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "chromium: installing Debian's package" >&2
  { apt-get install -qq -y --no-install-recommends chromium fonts-liberation ||
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-liberation; }; } >&2
  command -v chromium
  exit 0
fi
echo "chromium: none found; install it (Debian: apt-get install chromium), or set MIDA_CHROMIUM" >&2
exit 1
