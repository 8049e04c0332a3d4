#!/bin/sh
# state.sh TO RELEASE DIGEST: says what is in the folder TO: what is current, what of a release and its archive is there.
set -u
LC_ALL=C
export LC_ALL
to=$1 release=$2 digest=$3

say() { printf 'coralforge: %s %s\n' "$1" "$2"; }

say current "$(readlink "$to/current" 2>/dev/null)"
say previous "$(readlink "$to/previous" 2>/dev/null)"
if [ -d "$to/previous/" ]; then say previous_there yes; fi
if [ -n "$release" ] && [ -d "$to/releases/$release" ]; then say there yes; fi
# Archives of other bundles that did not arrive, and what was not unpacked to its end, are of no use any more. A file of
# another name than a digest's is not ours.
for file in "$to"/incoming/*; do
    [ -n "$digest" ] && [ -e "$file" ] || continue
    name=${file##*/}
    name=${name%.new}
    case $name in *[!0-9a-f]*) continue ;; esac
    if [ ${#name} -eq 64 ] && [ "$file" != "$to/incoming/$digest" ]; then rm -rf "$file"; fi
done
if [ -f "$to/incoming/$digest" ]; then say arrived "$(wc -c <"$to/incoming/$digest" | tr -d ' ')"; fi
say free "$(df -Pk "$to" 2>/dev/null | sed -n '2s/.* \([0-9][0-9]*\) \{1,\}[0-9]*%.*/\1/p')"
