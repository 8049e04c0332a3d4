#!/bin/sh
# check.sh TO RELEASE SUMS: holds the files of a release against SUMS, the lines of sha256sum. Prints what is wrong, and
# "coralforge: right NUMBER".
set -u
LC_ALL=C
export LC_ALL

cd "$1/releases/$2" || exit 1
found=$(printf '%s\n' "$3" | sha256sum -c - 2>&1)
printf '%s\n' "$found" | grep -v ': OK$'
printf 'coralforge: right %s\n' "$(printf '%s\n' "$found" | grep -c ': OK$')"
