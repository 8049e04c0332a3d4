#!/bin/sh
# ask.sh TO: says what a board is and has, and what of the folder TO, in lines "coralforge: KEY VALUE".
#
# Like all scripts here it is sent to the board: a POSIX shell and busybox have to do, and nothing is on its stdin.
# shellcheck disable=SC2317 # deploy/scripts.py puts more behind it
set -u
LC_ALL=C
export LC_ALL
to=$1

say() { printf 'coralforge: %s %s\n' "$1" "$2"; }

# The C library and its version.
c_library() {
    for file in /lib/ld-musl-*; do
        if [ -e "$file" ] && ! ls /lib/ld-linux* /lib64/ld-linux* >/dev/null 2>&1; then
            echo musl
            return
        fi
    done
    version=$(getconf GNU_LIBC_VERSION 2>/dev/null)
    [ -n "$version" ] || version=$(ldd --version 2>/dev/null | sed -n '1s/^ldd .* \([0-9.]*\)$/glibc \1/p')
    [ -n "$version" ] || version=$(for file in /lib/ld-linux* /lib64/ld-linux*; do
        if [ -e "$file" ]; then "$file" --version 2>/dev/null; fi
    done | sed -n 's/.*version \([0-9.]*[0-9]\).*/glibc \1/p' | head -n 1)
    echo "$version"
}

# The board's own name for itself.
model() {
    if [ -r /proc/device-tree/model ]; then
        tr -d '\000' </proc/device-tree/model
    else
        cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name 2>/dev/null | tr '\n' ' '
    fi
}

# How the file system of a folder is mounted: ro, noexec or neither.
mounted() {
    mount=$(df -Pk "$1" 2>/dev/null | sed -n '2s/.* [0-9]*% \(.*\)$/\1/p')
    while read -r _ folder _ options _; do
        [ "$folder" = "$mount" ] || continue
        how=
        case ",$options," in *,ro,*) how=ro ;; *,noexec,*) how=noexec ;; esac
    done </proc/mounts
    echo "${how:-}"
}

say machine "$(uname -m)"
say kernel "$(uname -sr)"
say model "$(model)"
say c_library "$(c_library)"
# The class in the ELF header of the shell: 1 is 32 bits, 2 is 64.
say class "$(od -An -tx1 -j4 -N1 /bin/sh 2>/dev/null | tr -d ' ')"
say user "$(id -un)"
say uid "$(id -u)"
for tool in tar gzip sha256sum rsync sudo udevadm; do
    if command -v "$tool" >/dev/null 2>&1; then say tool "$tool"; fi
done
case $to in
/*) ;;
*) to=${HOME:-$(pwd)}/$to ;;
esac
say to "$to"
# The nearest folder of it that is there.
at=$to
while [ ! -e "$at" ] && [ "$at" != / ]; do at=$(dirname "$at"); done
say at "$at"
say mounted "$(mounted "$at")"
if [ -d "$at" ] && [ -w "$at" ] && [ -x "$at" ]; then say writable yes; fi
