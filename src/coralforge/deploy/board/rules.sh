#!/bin/sh
# rules.sh CURRENT NAME GROUP: says what there is of the udev rules of the bundle in CURRENT: they themselves in /etc, the
# group that they give the devices to, and whether the user is a member (from the next login on, at least).
set -u
LC_ALL=C
export LC_ALL

say() { printf 'coralforge: %s yes\n' "$1"; }

wanted=$(sha256sum <"$1/share/udev/$2") || exit 1
found=$(sha256sum 2>/dev/null <"/etc/udev/rules.d/$2")
if [ "${wanted%% *}" = "${found%% *}" ]; then say installed; fi
if grep -q "^$3:" /etc/group; then say group; fi
case " $(id -Gn "$(id -un)") " in *" $3 "*) say member ;; esac
