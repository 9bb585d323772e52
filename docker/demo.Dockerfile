# The demo, and what brings the town of compose.yaml up: for trying, not for running anything that matters.
# `make docker` builds it from build/docker; docs/docker.md.
ARG BASE=docker.io/library/debian:12-slim
FROM ${BASE} AS build
# A day of snapshot.debian.org (20261126T000000Z) pins Debian's packages; empty: those of the base's mirror.
ARG SNAPSHOT=
RUN if [ -n "${SNAPSHOT}" ]; then rm -f /etc/apt/sources.list.d/* && printf \
        'deb [check-valid-until=no] http://snapshot.debian.org/archive/debian%s/%s bookworm%s main\n' \
        '' "${SNAPSHOT}" '' -security "${SNAPSHOT}" -security > /etc/apt/sources.list; fi \
    && apt-get update -qq && apt-get install -qq -y --no-install-recommends ca-certificates python3-pip python3.11 \
    && rm -rf /var/lib/apt/lists/*
COPY demo.txt /build/
RUN --mount=type=bind,source=wheels,target=/wheels \
    python3.11 -m pip install --quiet --no-cache-dir --no-index --find-links /wheels --no-deps --require-hashes --no-compile \
        --root-user-action ignore --break-system-packages --requirement /build/demo.txt \
    && useradd --uid 10001 --user-group --create-home proofward \
    && install -d -o 10001 -g 10001 /out /models
COPY example/ /usr/local/share/proofward/
COPY --chmod=0755 town.sh /usr/local/bin/town
ENV PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /out
ENTRYPOINT ["/usr/local/bin/proofward"]
CMD ["demo"]
