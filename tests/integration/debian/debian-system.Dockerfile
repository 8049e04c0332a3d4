# A Debian system of a suite, on which packages are installed, used and removed: what they depend on, and what looks at them.
# Classic-builder syntax only.
ARG BASE
FROM ${BASE}
LABEL coralforge=1
ENV DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
ARG PACKAGES
RUN apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false update \
 && apt-get install -y --no-install-recommends $PACKAGES \
 && apt-get clean && rm -rf /var/lib/apt/lists/*
