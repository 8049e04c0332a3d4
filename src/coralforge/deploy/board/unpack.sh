#!/bin/sh
# unpack.sh TO RELEASE DIGEST: makes a release of the archive that arrived, beside the others, and removes the archive.
# Nothing of it is in releases/ before all of it is. An archive with another digest is removed: "coralforge: digest OTHER".
set -u
LC_ALL=C
export LC_ALL
to=$1 release=$2 digest=$3
archive=$to/incoming/$digest new=$to/incoming/$digest.new

say() { printf 'coralforge: %s %s\n' "$1" "$2"; }

found=$(sha256sum <"$archive" | cut -d ' ' -f 1)
if [ "$found" != "$digest" ]; then
    rm -f "$archive"
    say digest "$found"
    exit 1
fi
rm -rf "$new"
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$new" || exit 1
gzip -dc "$archive" | (cd "$new" && tar xf -) || exit 1
# One that was there is damaged.
if [ -e "$to/releases/$release" ]; then mv "$to/releases/$release" "$new/damaged" || exit 1; fi
mv "$new"/coralforge-* "$to/releases/$release" || exit 1
rm -f "$archive"
