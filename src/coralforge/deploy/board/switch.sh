#!/bin/sh
# switch.sh TO RELEASE: makes a release the current one, and the one before the previous one; removes all others.
set -u
LC_ALL=C
export LC_ALL
release=$2

say() { printf 'coralforge: %s %s\n' "$1" "$2"; }

cd "$1" || exit 1
for link in current previous; do
    if [ -e "$link" ] && [ ! -L "$link" ]; then
        echo "$1/$link is no symbolic link"
        exit 1
    fi
done

if [ ! -d "releases/$release" ]; then
    echo "$1/releases/$release is not there"
    exit 1
fi

# put LINK TARGET: a link that leads to the old target or the new one at any moment.
put() {
    rm -f "$1.new"
    ln -s "$2" "$1.new" || return 1
    if mv -f -T "$1.new" "$1" 2>/dev/null; then return 0; fi
    # An old busybox has no -T: there is no link for a moment.
    rm -f "$1.new"
    ln -sfn "$2" "$1" || return 1
    say gap "$1"
}

old=$(readlink current)
if [ "$old" != "releases/$release" ]; then
    sync
    if [ -n "$old" ] && [ -d "$old" ]; then put previous "$old" || exit 1; fi
    put current "releases/$release" || exit 1
    say switched yes
    sync
fi
current=$(readlink current) previous=$(readlink previous)
if [ "$current" != "releases/$release" ]; then exit 1; fi
say previous "$previous"
for folder in releases/coralforge-*; do
    if [ -d "$folder" ] && [ "$folder" != "$current" ] && [ "$folder" != "$previous" ]; then
        rm -rf "$folder"
        say removed "$folder"
    fi
done
exit 0
