# Google's Edge TPU compiler, from Google's own package, for `invoke compile` where no edgetpu_compiler is on PATH.
# The compiler is proprietary and exists for x86-64 Linux only (linux/amd64); on another machine it needs binfmt. It brings its own
# loader and libraries along, so no image of that architecture is needed: this one is of the machine's own.
# Classic-builder syntax only (no RUN --mount, no heredoc), and no COPY, so it builds with any context.
ARG BASE
FROM ${BASE}
LABEL coralforge=1

ENV DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

RUN apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false update \
 && apt-get install -y --no-install-recommends ca-certificates curl gpg gpg-agent \
 && apt-get clean && rm -rf /var/lib/apt/lists/*

# The archive (or a mirror of it, CORALFORGE_COMPILER_ARCHIVE), its suite, and the one key that may sign it: that of Google's Artifact
# Registry, which is said by its fingerprint, so that it does not matter who hands it out.
ARG ARCHIVE=https://packages.cloud.google.com/apt
ARG SUITE=coral-edgetpu-stable
ARG FINGERPRINT=35BAA0B33E9EB396F59CA838C0BA5CE6DC6315A3
# 16.0 is the last one. Its program says 16.0.384591198.
ARG VERSION=16.0

# The key file holds several keys: only the pinned one goes into the keyring, so that no other can vouch for the package.
RUN curl -fsSL --connect-timeout 10 --retry 2 --max-time 60 --max-filesize 1000000 -o /tmp/keys "$ARCHIVE/doc/apt-key.gpg" \
 && export GNUPGHOME=/tmp/gnupg && mkdir -m 700 "$GNUPGHOME" \
 && gpg --batch --quiet --import /tmp/keys \
 && gpg --batch --export "$FINGERPRINT" > /usr/share/keyrings/edgetpu-compiler.gpg \
 && { test -s /usr/share/keyrings/edgetpu-compiler.gpg || { echo "the key $FINGERPRINT is not at $ARCHIVE/doc" >&2; exit 1; }; } \
 && rm -rf /tmp/keys "$GNUPGHOME"

# A private apt with its own state, as in builder.Dockerfile: it knows this archive only, takes nothing that is not signed by that
# key, and resolves no dependencies (the package has none that matter). dpkg-deb -x runs no maintainer script.
RUN apt=/tmp/apt-compiler && mkdir -p "$apt/lists/partial" "$apt/archives/partial" /opt/coralforge && : > "$apt/status" \
 && echo "deb [arch=amd64 signed-by=/usr/share/keyrings/edgetpu-compiler.gpg] $ARCHIVE $SUITE main" > "$apt/sources.list" \
 && options=(-o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" \
      -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" \
      -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- \
      -o Acquire::AllowInsecureRepositories=false -o APT::Get::AllowUnauthenticated=false -o Acquire::Retries=3 \
      -o Acquire::http::Timeout=60 -o Acquire::https::Timeout=60 -o APT::Update::Error-Mode=any -o APT::Sandbox::User=root) \
 && apt-get "${options[@]}" update \
 && cd "$apt" && apt-get "${options[@]}" download "edgetpu-compiler=$VERSION" \
 && deb="$(echo edgetpu-compiler_*.deb)" && test "$(dpkg-deb -f "$deb" Package)" = edgetpu-compiler \
 && dpkg-deb -x "$deb" / && sha256sum "$deb" > /opt/coralforge/edgetpu-compiler.sha256 && rm -rf "$apt" \
 && test -x /usr/bin/edgetpu_compiler

WORKDIR /work
