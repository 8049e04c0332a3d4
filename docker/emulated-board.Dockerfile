# An emulated board as a whole: QEMU's system emulator, Debian's own kernel and a root file system of the userland's suite,
# with udev, an SSH server and ordinary users. Programs meet a real kernel, usbfs, permissions and udev rules there. It adds to the
# board image, whose emulator runs the emulated device (docs/device.md) with the board's libraries.
# Classic-builder syntax only (no RUN --mount, no heredoc); COPY takes files from emulated-board/ only.
ARG BASE
FROM ${BASE}
LABEL coralforge=1

# MIRROR is the Debian archive that the board's packages come from; empty means "the one the base itself is configured for".
ARG MIRROR=
ARG BOARD_SUITE
# Debian's name of the board's architecture.
ARG DEBIAN_ARCH
# QEMU's program for a whole machine of it, the package that it is in, and that of the kernel.
ARG QEMU
ARG QEMU_PACKAGE
ARG KERNEL_PACKAGE

ENV DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

RUN apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false update \
 && apt-get install -y --no-install-recommends "$QEMU_PACKAGE" qemu-utils e2fsprogs kmod cpio debian-archive-keyring \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/*

# As in board.Dockerfile: a private apt resolves the closure of another suite and architecture, and no maintainer script runs.
# make-image does what is needed of their work. In one step, since what a step leaves behind stays in the image.
COPY emulated-board/ /opt/coralforge/recipe/
RUN configured="$(apt-get update --print-uris | sed -n "/security/d; s|^'\(.*\)/dists/.*|\1|p" | sort -u)" \
 && mirror="${MIRROR:-${configured%%$'\n'*}}" \
 && echo "emulated board: suite $BOARD_SUITE from $mirror" && test -n "$mirror" \
 && keyring="$(ls /usr/share/keyrings/debian-archive-keyring.* | head -n 1)" \
 && apt=/tmp/apt-board root=/tmp/root \
 && mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$root"/usr/{bin,sbin,lib} && : > "$apt/status" \
 && for folder in bin sbin lib; do ln -s "usr/$folder" "$root/$folder"; done \
 && echo "deb [signed-by=$keyring] $mirror $BOARD_SUITE main" > "$apt/sources.list" \
 && options=(-o APT::Architecture="$DEBIAN_ARCH" -o APT::Architectures::="$DEBIAN_ARCH" -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" \
      -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" \
      -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- \
      -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false -o APT::Sandbox::User=root) \
 && apt-get "${options[@]}" update \
 && apt-get "${options[@]}" install -y --download-only --no-install-recommends \
      base-files base-passwd bash busybox-static coreutils dash dropbear-bin findutils grep gzip hostname iproute2 kmod libc6 \
      libgcc-s1 libstdc++6 login mount openssh-sftp-server passwd procps rsync sed sudo tar udev usbutils util-linux "$KERNEL_PACKAGE" \
 && mkdir -p /opt/coralforge/emulated-board \
 && for deb in "$apt"/archives/*.deb; do \
      dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink; \
      dpkg-deb -W --showformat '${Package}=${Version}\n' "$deb"; \
    done | sort > /tmp/packages \
 && /opt/coralforge/recipe/make-image "$root" /tmp/packages /opt/coralforge/emulated-board \
 && rm -rf /tmp/*
