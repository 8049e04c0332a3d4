# The image in which all C++ is built: Bazel, one clang with lld, and one sysroot per target.
# Classic-builder syntax only (no RUN --mount, no heredoc). Its context is made for it (containers/toolchain.py): packages/ has
# Debian packages whose digests were checked, platforms.json says what each target is, builder/ is the folder beside this file.
# What is big stands above what changes often: a sysroot or a floor that changes reinstalls neither Bazel nor the compiler.
ARG BASE
FROM ${BASE}
LABEL coralforge=1

ENV DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

# Of the base's suite, whichever versions that has today: none of them may reach what is built (see describe.py).
# OpenJDK's maintainer scripts need man1 to exist, and a minimal base may have left it out.
# xxd is for libedgetpu's firmware rule. Bazel brings a host gcc along: nothing uses it (cc toolchain detection is off).
ENV TOOLS="bazel-bootstrap cmake make ninja-build python3 xxd"
RUN mkdir -p /usr/share/man/man1 \
 && apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false update \
 && apt-get install -y --no-install-recommends libblake3-0 ca-certificates $TOOLS \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/*

# The compiler: pinned packages with the libraries that they need of their suite, apart from those of the base.
COPY packages/compiler /opt/coralforge/packages
RUN for deb in /opt/coralforge/packages/*.deb; do \
      dpkg-deb -x "$deb" /opt/llvm; dpkg-deb -W --showformat '${Package}=${Version}\n' "$deb"; \
    done > /opt/coralforge/compiler.packages \
 && rm -rf /opt/llvm/usr/share /opt/llvm/usr/bin /opt/llvm/etc \
 && (cd /opt/llvm && ln -s usr/lib/llvm-*/bin bin) \
 && echo /opt/llvm/usr/lib/x86_64-linux-gnu > /etc/ld.so.conf.d/coralforge-llvm.conf && ldconfig \
 && /opt/llvm/bin/clang --version
ENV PATH=/opt/llvm/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# The sysroots, as their packages have them.
COPY packages/sysroots /opt/coralforge/packages/sysroots
COPY builder/sysroots.py /opt/coralforge/builder/
RUN python3 -I /opt/coralforge/builder/sysroots.py /opt/coralforge/packages/sysroots /opt/sysroots

# The floor: the oldest C and C++ libraries that the binaries run with. It is a choice, not an accident.
COPY builder /opt/coralforge/builder
COPY platforms.json /opt/coralforge/platforms.json
RUN cd /opt/coralforge \
 && PYTHONDONTWRITEBYTECODE=1 python3 builder/floor.py platforms.json builder/floor /opt/sysroots \
 && python3 -I builder/describe.py /opt/llvm /opt/sysroots compiler.packages $TOOLS > toolchain.json
