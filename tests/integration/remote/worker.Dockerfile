# A worker for remote execution: the builder image as its root, buildbox-worker beside it; and the scheduler's PostgreSQL.
ARG BASE
FROM ${BASE}
LABEL coralforge=1

RUN apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends buildbox postgresql \
 && apt-get clean && rm -rf /var/lib/apt/lists/*
