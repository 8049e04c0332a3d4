#!/bin/sh
# smoke.sh CURRENT REPORT SECONDS: runs the smoke test of the bundle in CURRENT, which writes REPORT.
set -u

cd "$1" || exit 1
# Where the link leads now: it may be another bundle's soon.
cd "$(pwd -P)" || exit 1
rm -f "$2"
# An old busybox has a timeout with other arguments.
limit=
if timeout 1 true 2>/dev/null; then limit="timeout $3"; fi
# shellcheck disable=SC2086 # two words or none
exec $limit ./smoke.sh --report "$2"
