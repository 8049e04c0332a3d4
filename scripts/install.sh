#!/bin/sh
# Installs a release of coralforge on the board where it runs: picks the bundle that fits, checks its digest (and the
# signature, where a file of allowed signers is given), and unpacks it. POSIX sh; busybox has all that it needs.
set -eu

usage() {
    cat <<'TEXT'
usage: install.sh --from PLACE [--to FOLDER] [--signers FILE] [--smoke]

  --from PLACE     folder or http(s) address with the files of a release (latest.json, SHA256SUMS, bundles)
  --to FOLDER      where the bundle's folder goes (default: .)
  --signers FILE   OpenSSH's file of allowed signers: refuse a release that nobody in it signed (needs ssh-keygen)
  --smoke          run the bundle's own test at the end, and end with its exit code

Exit codes: 0 installed; 2 wrong arguments; 3 something is missing here; 4 not downloaded, or a wrong digest or signature;
5 no bundle of the release fits this machine.
TEXT
}

say() {
    printf 'install.sh: %s\n' "$*" >&2
}

# fail CODE SENTENCE [REMEDY]
fail() {
    printf 'error: %s\n' "$2" >&2
    [ $# -lt 3 ] || printf '  what to do: %s\n' "$3" >&2
    exit "$1"
}

from=
to=.
signers=
smoke=no
while [ $# -gt 0 ]; do
    case $1 in
        --from | --to | --signers)
            [ $# -ge 2 ] || fail 2 "$1 needs a value"
            case $1 in --from) from=$2 ;; --to) to=$2 ;; --signers) signers=$2 ;; esac
            shift 2
            ;;
        --smoke)
            smoke=yes
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail 2 "unknown argument $1" "install.sh --help" ;;
    esac
done
[ -n "$from" ] || fail 2 "--from is missing" "install.sh --help"
case $to in -*) to=./$to ;; esac # or it would be an option of mktemp and others
[ -d "$to" ] || fail 2 "$to is not a folder" "mkdir -p it, or give another --to"
[ -z "$signers" ] || [ -r "$signers" ] || fail 2 "$signers cannot be read"
for program in tar gzip sha256sum sed mktemp dd od; do
    command -v "$program" >/dev/null || fail 3 "$program is missing on this machine"
done
[ -z "$signers" ] || command -v ssh-keygen >/dev/null ||
    fail 3 "ssh-keygen is missing, which checks signatures" "install OpenSSH's client, or leave --signers out"

work=$(mktemp -d "$to/.coralforge.XXXXXX") || fail 3 "$to cannot be written"
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT TERM HUP

# get NAME: the release's file of that name, into $work
get() {
    case $from in
        http://* | https://*)
            if command -v curl >/dev/null; then
                curl -fsSL --proto '=https,http' --retry 3 --connect-timeout 60 --speed-limit 1 --speed-time 60 \
                    -o "$work/$1" -- "$from/$1"
            elif command -v wget >/dev/null; then
                wget -q -T 60 -O "$work/$1" "$from/$1"
            else
                fail 3 "neither curl nor wget is here" "copy the release's files here and give --from FOLDER"
            fi
            ;;
        *) cp -- "$from/$1" "$work/$1" ;;
    esac || fail 4 "$1 could not be had from $from"
}

# The triple of this machine's *programs*: a 32-bit system may run on a 64-bit kernel. Byte 5 of an ELF file is its class.
triple() {
    bits=$(dd if=/bin/sh bs=1 skip=4 count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
    case $(uname -m):$bits in
        aarch64:2 | arm64:2) echo aarch64-linux-gnu ;;
        aarch64:1 | arm64:1 | armv7*:1 | armv8*:1) echo arm-linux-gnueabihf ;;
        x86_64:2) echo x86_64-linux-gnu ;;
        *) return 1 ;;
    esac
}

wanted=$(triple) ||
    fail 5 "there is no bundle for this machine ($(uname -m))" "aarch64, armv7 and x86-64 systems with glibc are supported"

get SHA256SUMS
if [ -n "$signers" ]; then
    get SHA256SUMS.sig
    who=$(ssh-keygen -Y find-principals -s "$work/SHA256SUMS.sig" -f "$signers" 2>/dev/null | sed -n 1p)
    if [ -z "$who" ] || ! ssh-keygen -Y verify -f "$signers" -I "$who" -n coralforge-release \
        -s "$work/SHA256SUMS.sig" <"$work/SHA256SUMS" >/dev/null 2>&1; then
        fail 4 "nobody in $signers signed this release" "do not use it"
    fi
    say "signed by $who"
else
    say "the signature is not checked: no --signers FILE was given"
fi

# Names in SHA256SUMS are plain file names; anything else is not looked at.
archive=$(sed -n "s/^[0-9a-f]\{64\}  \(coralforge-[A-Za-z0-9._-]*-$wanted\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS" | sed -n 1p)
if [ -z "$archive" ]; then
    archive=$(sed -n "s/^[0-9a-f]\{64\}  \(coralforge-[A-Za-z0-9._-]*-$wanted-simulated\.tar\.gz\)\$/\1/p" \
        "$work/SHA256SUMS" | sed -n 1p)
    [ -n "$archive" ] || fail 5 "this release has no bundle for $wanted"
    say "this release has only a SIMULATED bundle for $wanted: it drives no hardware"
fi
get "$archive"
(cd "$work" && sed -n "/^[0-9a-f]\{64\}  $archive\$/p" SHA256SUMS | sha256sum -c - >/dev/null 2>&1) ||
    fail 4 "$archive has another digest than SHA256SUMS says" "download it again; if that does not help, do not use it"
say "$archive: digest right"

mkdir "$work/unpacked" || fail 3 "$to cannot be written" "is the disk full?"
gzip -dc "$work/$archive" | tar -xf - -C "$work/unpacked" || fail 4 "$archive cannot be unpacked" "is the disk full?"
folder=
for folder in "$work"/unpacked/*; do :; done
[ -x "$folder/check-board.sh" ] || fail 4 "$archive is not a bundle of coralforge"
"$folder/check-board.sh" || fail 5 "the bundle does not fit this machine; see the line above"
name=${folder##*/}
if [ -e "$to/$name" ] || [ -L "$to/$name" ]; then
    fail 2 "$to/$name is there already" "remove it or give another --to"
fi
mv -- "$folder" "$to/$name" || fail 3 "$to/$name cannot be made"
say "installed in $to/$name; its test: $to/$name/smoke.sh"
[ "$smoke" = no ] || "$to/$name/smoke.sh"
