#!/bin/sh
# Functions of the scripts here, which run as root on a system of their own.

# older DEB NEW: the same package in an older version, with the relations to its set.
older() {
    dpkg-deb -R "$1" /tmp/older
    sed -i 's/-0coralforge[0-9.]*[0-9]/-0coralforge0.0.1/g' /tmp/older/DEBIAN/control
    dpkg-deb -Zgzip -z1 -b /tmp/older "$2" >/dev/null
    rm -r /tmp/older
}

# installed NAME: its version, if it is.
installed() { dpkg-query -W -f "\${db:Status-Status} \${Version}\n" "$1"; }

apt() { apt-get -q -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root "$@"; }

# verified NAME...: whether the files are those of the packages.
verified() {
    dpkg -V "$@"
    echo "dpkg -V: $?"
}

# packed: a package of the folder /tmp/double, with the fields on stdin, as /tmp/NAME_VERSION.deb. A double: nothing of it works.
packed() {
    mkdir -p /tmp/double/DEBIAN
    { cat; printf 'Maintainer: nobody <nobody@b.invalid>\nDescription: a double\n'; } >/tmp/double/DEBIAN/control
    name=$(sed -n 's/^Package: //p' /tmp/double/DEBIAN/control)_$(sed -n 's/^Version: //p' /tmp/double/DEBIAN/control)
    dpkg-deb -Zgzip -z1 -b /tmp/double "/tmp/$name.deb" >/dev/null
    rm -r /tmp/double
}

# google NAME VERSION: a package with the names, version and relations of Google's, as in debian/ of libedgetpu's source.
google() {
    mkdir -p /tmp/double/usr/lib/x86_64-linux-gnu /tmp/double/lib/udev/rules.d
    echo google >/tmp/double/usr/lib/x86_64-linux-gnu/libedgetpu.so.1.0
    ln -s libedgetpu.so.1.0 /tmp/double/usr/lib/x86_64-linux-gnu/libedgetpu.so.1
    echo '# google' >"/tmp/double/lib/udev/rules.d/60-$1.rules"
    packed <<END
Package: $1
Version: $2
Architecture: amd64
Multi-Arch: same
Provides: libedgetpu1 (= $2)
Conflicts: libedgetpu1, libedgetpu1-legacy
END
}

# needs NAME DEPENDENCY: a package NAME_1.0.deb that depends on it.
needs() {
    packed <<END
Package: $1
Version: 1.0
Architecture: all
Depends: $2
END
}
