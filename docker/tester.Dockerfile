# The builder with the runtimes of clang's sanitizers and libFuzzer. The C++ tests of the simulated libedgetpu are built and run in
# it; nothing that ships is. It adds to the builder, so Bazel's cache is the same, and compiles nothing again.
ARG BASE
FROM ${BASE}
LABEL coralforge=1

SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

COPY packages/sanitizers /opt/coralforge/packages/sanitizers
RUN for deb in /opt/coralforge/packages/sanitizers/*.deb; do dpkg-deb -x "$deb" /opt/llvm; done \
 && rm -rf /opt/llvm/usr/share /opt/llvm/usr/bin
