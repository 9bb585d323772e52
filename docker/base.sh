#!/usr/bin/env bash
# A base where no registry is reached: localhost/debian:12 by debootstrap, once. Root; half a minute.
set -euo pipefail
missing=()
for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ "${#missing[@]}" != 0 ]; then
    if ! [ "$(id -u)" = 0 ] || ! apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; then
        echo "first: apt-get install ${missing[*]}" >&2
        exit 1
    fi
fi
[ "$(id -u)" = 0 ] || { echo "debootstrap and the images' tests are for root" >&2; exit 1; }
if buildah inspect --type image localhost/debian:12 >/dev/null 2>&1; then exit 0; fi
echo "making the base image with debootstrap (half a minute)"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
debootstrap --variant=minbase bookworm "$scratch" "${MIRROR:-http://deb.debian.org/debian}" >/dev/null
rm -rf "$scratch"/var/cache/apt/archives/*.deb "$scratch"/var/lib/apt/lists/*
container=$(buildah from scratch)
buildah add --quiet "$container" "$scratch" / >/dev/null
buildah commit --quiet "$container" localhost/debian:12 >/dev/null
buildah rm "$container" >/dev/null
