# The emulated board: qemu-user and the C and C++ libraries of one userland (config/userlands.py), nothing else of a board.
# Programs of a bundle run as `qemu-aarch64 -L /board PROGRAM` (x86_64: with /board's own loader), so a symbol that is
# newer than the userland's libraries fails here as it would there.
# Classic-builder syntax only (no RUN --mount, no heredoc). Its context is made for it: board/ is the folder beside this file,
# userland.json the row of the userland.
ARG BASE
FROM ${BASE}
LABEL coralforge=1

# MIRROR is the Debian archive that /board comes from; empty means "the one the base itself is configured for".
ARG MIRROR=
ARG BOARD_SUITE
# Debian's name of the board's architecture.
ARG DEBIAN_ARCH
# qemu-user's program for it; empty where this machine runs its programs itself.
ARG EMULATOR

ENV DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

# One emulator out of the package: qemu-user is a static build of forty of them (470 MB unpacked).
# A static one is required: /board has only the board's libraries, and the base need not have qemu's.
RUN mkdir -p /opt/coralforge && : > /opt/coralforge/emulator \
 && if [ -n "$EMULATOR" ]; then \
      apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false update; \
      cd /tmp && apt-get -o APT::Sandbox::User=root download qemu-user; \
      dpkg-deb --fsys-tarfile qemu-user_*.deb | tar -x -C / "./usr/bin/$EMULATOR"; \
      "$EMULATOR" --version | head -n 1 > /opt/coralforge/emulator; \
      rm -f qemu-user_*.deb; apt-get clean; rm -rf /var/lib/apt/lists/*; \
    fi

# A private apt with its own state and an empty status file resolves the closure of another suite and architecture, and nothing of
# it leaks into this image. "update --print-uris" says where apt would fetch from, whatever format (one-line or deb822) the
# sources are written in. dpkg-deb -x runs no maintainer script, so nothing is emulated here. Links are made relative, else qemu -L would
# follow them out of /board. From trixie on all is below /usr, and it is not
# these packages that bring the link /lib.
RUN configured="$(apt-get update --print-uris | sed -n "/security/d; s|^'\(.*\)/dists/.*|\1|p" | sort -u)" \
 && mirror="${MIRROR:-${configured%%$'\n'*}}" \
 && echo "board suite $BOARD_SUITE from $mirror" && test -n "$mirror" \
 && keyring="$(ls /usr/share/keyrings/debian-archive-keyring.* | head -n 1)" \
 && apt=/tmp/apt-board root=/board \
 && mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$root" && : > "$apt/status" \
 && echo "deb [signed-by=$keyring] $mirror $BOARD_SUITE main" > "$apt/sources.list" \
 && options=(-o APT::Architecture="$DEBIAN_ARCH" -o APT::Architectures::="$DEBIAN_ARCH" -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" \
      -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" \
      -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- \
      -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false -o APT::Sandbox::User=root) \
 && apt-get "${options[@]}" update \
 && apt-get "${options[@]}" install -y --download-only --no-install-recommends libc6 libstdc++6 libgcc-s1 \
 && for deb in "$apt"/archives/*.deb; do \
      dpkg-deb -x "$deb" "$root"; dpkg-deb -W --showformat '${Package}=${Version}\n' "$deb"; \
    done | sort > /opt/coralforge/packages \
 && rm -rf "$apt" "$root/usr/share" "$root/var" \
 && for name in lib lib64; do \
      if [ -e "$root/usr/$name" ] && [ ! -e "$root/$name" ]; then ln -s "usr/$name" "$root/$name"; fi; \
    done \
 && find "$root" -type l -lname '/*' -print | while read -r link; do \
      ln -sfnr "$root$(readlink "$link")" "$link"; \
    done

# qemu -L looks below /board for what a program opens, but not for what it asks statx() about. The loader of a 32-bit glibc with 64-bit
# time does that with folders it did not find a library in, and never looks into one again that is not there: so they are.
RUN cd /board && for folder in lib/*-linux-* usr/lib/*-linux-*; do if [ -d "$folder" ]; then mkdir -p "/$folder"; fi; done

# Its userland: masked where that is an older one than any suite has, and in any case measured. Python is here for that only.
COPY userland.json board/userland.py /opt/coralforge/
RUN cd /opt/coralforge \
 && apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false update \
 && apt-get install -y --no-install-recommends python3 \
 && python3 -I userland.py userland.json /board packages "$(cat emulator)" > board.json && cat board.json \
 && apt-get purge -y --auto-remove python3 && apt-get clean && rm -rf /var/lib/apt/lists/* packages emulator userland.*

# The same board with a PCI Edge TPU as far as libedgetpu's search goes: an entry in /sys/class/apex and a character device of that
# name. It can be listed, not opened. Hard links, so it takes no room.
RUN cp -al /board /board-apex \
 && mkdir -p /board-apex/sys/class/apex/apex_0 /board-apex/dev && ln -s /dev/null /board-apex/dev/apex_0

WORKDIR /tmp
