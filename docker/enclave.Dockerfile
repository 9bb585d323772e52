# The enclave's process and nothing else: no shell, no package manager, no network client's configuration.
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
# tsm: a TDX guest's configfs; dstack: the guest agent's socket. The second needs more packages.
ARG PROVIDER=tsm
COPY enclave.txt enclave-dstack.txt rootfs.py /build/
RUN --mount=type=bind,source=wheels,target=/wheels \
    if [ "${PROVIDER}" = dstack ]; then list=enclave-dstack.txt; else list=enclave.txt; fi \
    && python3.11 -m pip install --quiet --no-cache-dir --no-index --find-links /wheels --no-deps --require-hashes --no-compile \
        --root-user-action ignore --target /build/packages --requirement "/build/${list}" \
    && python3.11 /build/rootfs.py /rootfs /build/packages --enclave

FROM scratch
COPY --from=build /rootfs/ /
USER 10001:10001
WORKDIR /var/lib/proofward
VOLUME /run/proofward
STOPSIGNAL SIGTERM
# -I: no variable and no folder of the host's choosing is on the path; -B: nothing is written.
ENTRYPOINT ["/usr/bin/python3.11", "-IB", "-m", "proofward_enclave", "--socket", "/run/proofward/enclave.sock"]
CMD ["--provider", "tsm", "--models", "/models"]
