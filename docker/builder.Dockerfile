# The image in which all C++ is built: Bazel, one clang with lld, and one sysroot per target.
# Classic-builder syntax only (no RUN --mount, no heredoc), and no COPY, so it builds with any context.
ARG BASE
FROM ${BASE}
LABEL coralforge=1

# MIRROR is the Debian archive that the sysroots come from; empty means "the one the base itself is configured for".
ARG MIRROR=
# The suite of the boards. It sets the glibc and libstdc++ that the binaries may need: the floor is a choice, not an accident.
ARG PLATFORM_SUITE=bookworm
ARG LIBSTDCXX=libstdc++-12-dev

ENV DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

# OpenJDK's maintainer scripts need man1 to exist, and a minimal base may have left it out.
# xxd is for libedgetpu's firmware rule. Bazel brings a host gcc along: nothing uses it (cc toolchain detection is off).
RUN mkdir -p /usr/share/man/man1 \
 && apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false update \
 && apt-get install -y --no-install-recommends \
      bazel-bootstrap libblake3-0 ca-certificates clang lld llvm cmake ninja-build make python3 xxd debian-archive-keyring \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/*

# Sysroots: a private apt with its own state, so that another suite and another architecture cannot leak into this image.
# An empty status file makes apt resolve the whole closure; dpkg-deb -x runs no maintainer script, so no emulation is needed.
# "update --print-uris" says where apt would fetch from, whatever format (one-line or deb822) the sources are written in.
# Links are made relative: an absolute libm.so -> /lib/... points out of the sysroot, and lld then links libm.a silently.
RUN configured="$(apt-get update --print-uris | sed -n "/security/d; s|^'\(.*\)/dists/.*|\1|p" | sort -u)" \
 && mirror="${MIRROR:-${configured%%$'\n'*}}" \
 && echo "platform suite $PLATFORM_SUITE from $mirror" && test -n "$mirror" \
 && keyring="$(ls /usr/share/keyrings/debian-archive-keyring.* | head -n 1)" \
 && mkdir -p /opt/coralforge \
 && for pair in arm64:aarch64-linux-gnu amd64:x86_64-linux-gnu; do \
      deb_arch="${pair%%:*}" triple="${pair#*:}" apt="/tmp/apt-$triple" root="/opt/sysroots/$triple"; \
      mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$root"; \
      : > "$apt/status"; \
      echo "deb [signed-by=$keyring] $mirror $PLATFORM_SUITE main" > "$apt/sources.list"; \
      options=(-o APT::Architecture="$deb_arch" -o APT::Architectures::="$deb_arch" -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" \
        -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" \
        -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- \
        -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false -o APT::Sandbox::User=root); \
      apt-get "${options[@]}" update; \
      apt-get "${options[@]}" install -y --download-only --no-install-recommends libc6-dev "$LIBSTDCXX" linux-libc-dev; \
      for deb in "$apt"/archives/*.deb; do \
        dpkg-deb -x "$deb" "$root"; dpkg-deb -W --showformat '${Package}=${Version}\n' "$deb"; \
      done | sort > "/opt/coralforge/$triple.packages"; \
      find "$root" -mindepth 1 -maxdepth 1 ! -name lib ! -name lib64 ! -name usr -exec rm -rf {} +; \
      find "$root/usr" -mindepth 1 -maxdepth 1 ! -name lib ! -name lib64 ! -name include -exec rm -rf {} +; \
      find "$root" -name 'lib[alt]*san*' -delete; \
      find "$root" -type l -lname '/*' -print | while read -r link; do \
        ln -sfnr "$root$(readlink "$link")" "$link"; \
      done; \
      rm -rf "$apt"; \
    done

# What the engine and Bazel need to know. The compiler and the sysroots are no inputs of Bazel's actions:
# this digest goes into a compiler flag, so that a new image really rebuilds.
RUN cd /opt/coralforge \
 && dpkg-query -W -f '${Package}=${Version}\n' \
    | grep -E '^(clang|lld|llvm|libllvm|libclang)[-0-9.a-z+]*=' | sort > compiler.packages \
 && digest="$(cat compiler.packages ./*-linux-gnu.packages | sha256sum | cut -d' ' -f1)" \
 && version() { dpkg-query -W -f '${Version}' "$1"; } \
 && list() { sed -E 's/^([^=]*)=(.*)$/"\1": "\2"/' "$1" | paste -sd, ; } \
 && sysroot() { printf '"%s": {"suite": "%s", "glibc": "%s", "packages": {%s}}' "$1" "$PLATFORM_SUITE" \
      "$(sed -n 's/^libc6=\([0-9]*\.[0-9]*\).*/\1/p' "$1.packages")" "$(list "$1.packages")"; } \
 && printf '{"digest": "%s", "clang": "%s", "lld": "%s", "bazel": "%s", "compiler": {%s}, "sysroots": {%s, %s}}\n' "$digest" \
      "$(clang -dumpversion)" "$(version lld)" "$(version bazel-bootstrap)" "$(list compiler.packages)" \
      "$(sysroot aarch64-linux-gnu)" "$(sysroot x86_64-linux-gnu)" | python3 -m json.tool > toolchain.json \
 && rm ./*.packages
