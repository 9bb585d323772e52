# The explorer: the index and the built site. No shell.
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
COPY explorer.txt rootfs.py /build/
RUN --mount=type=bind,source=wheels,target=/wheels \
    python3.11 -m pip install --quiet --no-cache-dir --no-index --find-links /wheels --no-deps --require-hashes --no-compile \
        --root-user-action ignore --target /build/packages --requirement /build/explorer.txt \
    && python3.11 /build/rootfs.py /rootfs /build/packages

FROM scratch
COPY --from=build /rootfs/ /
ENV PROOFWARD_STATE=/var/lib/proofward SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 10001:10001
WORKDIR /var/lib/proofward
VOLUME /var/lib/proofward
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/python3.11", "-IB", "-m", "proofward.cli"]
CMD ["explorer", "--host", "0.0.0.0", "--index", "/var/lib/proofward/explorer.sqlite"]
