# A node of the chain: validator, archive or both. `make node`, then `make docker`; docs/docker.md, docs/runbook.md.
ARG BASE=docker.io/library/debian:12-slim
FROM ${BASE} AS build
COPY proofward-chain /usr/local/bin/proofward-chain
# What the program is linked against, an account and a folder of its own: no shell.
RUN mkdir -p /rootfs/usr/local/bin /rootfs/etc/proofward /rootfs/tmp /rootfs/proc /rootfs/sys /rootfs/dev && chmod 1777 /rootfs/tmp \
    && install -d -o 10001 -g 10001 -m 0700 /rootfs/var/lib/proofward-chain \
    && install -m 0755 /usr/local/bin/proofward-chain /rootfs/usr/local/bin/ \
    && ldd /usr/local/bin/proofward-chain > /linked && sed -n 's/^[^/]*\(\/[^ ]*\).*/\1/p' /linked > /libraries \
    && while read -r library; do install -D "${library}" "/rootfs${library}"; done < /libraries \
    && echo 'chain:x:10001:10001::/var/lib/proofward-chain:/nonexistent' > /rootfs/etc/passwd \
    && echo 'chain:x:10001:' > /rootfs/etc/group && echo 'hosts: files dns' > /rootfs/etc/nsswitch.conf

FROM scratch
COPY --from=build /rootfs/ /
USER 10001:10001
VOLUME /var/lib/proofward-chain
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/proofward-chain"]
CMD ["--chain", "/etc/proofward/spec.json", "--base-path", "/var/lib/proofward-chain"]
