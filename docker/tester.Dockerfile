# The builder with the runtimes of clang's sanitizers and libFuzzer. The C++ tests of the simulated libedgetpu are built and run in
# it; nothing that ships is. It adds to the builder, so Bazel's cache is the same, and compiles nothing again.
ARG BASE
FROM ${BASE}
LABEL coralforge=1

ENV DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

RUN version="$(clang -dumpversion)" \
 && apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false update \
 && apt-get install -y --no-install-recommends "libclang-rt-${version%%.*}-dev" \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/*
