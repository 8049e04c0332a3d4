#!/bin/sh
# hold.sh TO ME BROKEN SECONDS: makes the folder TO, and holds its lock until stdin ends.
#
# The lock is a symbolic link: it is made with all that it says in one step. It says the boot, the process that holds it
# and when that began, so that one that nobody holds any more is known; and ME, for people. Says "busy LOCK" when another
# one holds it, and waits for SECONDS; "held" when it has it. BROKEN is a lock to take away whoever holds it.
# The connection ends, and so stdin, when the other side is gone in whatever way.
set -u
LC_ALL=C
export LC_ALL
to=$1 me=$2 broken=$3 seconds=$4

say() { printf 'coralforge: %s %s\n' "$1" "$2"; }
began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

mkdir -p "$to/releases" "$to/incoming" || exit 1
lock=$to/lock
# A link would be made within a folder of that name.
if [ -e "$lock" ] && [ ! -L "$lock" ]; then
    echo "$lock is no symbolic link"
    exit 1
fi
boot=$(cat /proc/sys/kernel/random/boot_id)
mine="$boot $$ $(began $$) $me"

# held BOOT PROCESS BEGAN ...: whether the one who made a lock is still there.
held() { [ "$1" = "$boot" ] && [ "$(began "$2")" = "$3" ]; }

# take_away LOCK: removes that lock and no newer one, whoever else does the same: only who made the mark may remove it.
take_away() {
    mark=$lock.$(printf '%s' "$1" | cksum | tr ' ' -)
    if ln -s "$mine" "$mark" 2>/dev/null; then
        if [ "$(readlink "$lock")" = "$1" ]; then rm -f "$lock"; fi
        rm -f "$mark"
    fi
}

# A process of its own waits for the end of stdin, and ends this one then, whether it has the lock or waits for it.
exec 3<&0
(
    cat <&3 >/dev/null 2>&1
    kill $$
) &
reader=$!
release() {
    if [ "$(readlink "$lock" 2>/dev/null)" = "$mine" ]; then rm -f "$lock"; fi
    kill "$reader" 2>/dev/null
}
trap release EXIT
trap 'exit 1' HUP INT TERM

left=$seconds told=
until ln -s "$mine" "$lock" 2>/dev/null; do
    other=$(readlink "$lock" 2>/dev/null)
    if [ -z "$other" ]; then
        # It is gone by now, or the file system takes no links.
        if [ "$left" -le 0 ]; then
            ln -s "$mine" "$lock"
            exit 1
        fi
    elif [ "$other" = "$broken" ]; then
        # shellcheck disable=SC2086 # its words
        set -- $other
        if held "$@"; then kill "$2" 2>/dev/null; fi
        take_away "$other"
        broken=
    else
        # shellcheck disable=SC2086
        set -- $other "" "" ""
        if ! held "$@"; then
            say stale "$other"
            take_away "$other"
        elif [ "$left" -le 0 ]; then
            exit 3
        elif [ "$told" != "$other" ]; then
            say busy "$other"
            told=$other
        fi
    fi
    left=$((left - 1))
    sleep 1
done
say held "$mine"
wait
