#!/usr/bin/env bash
# Build the images from build/docker into build/images/NAME.tar (OCI archives), each with its SBOM and file list.
# Usage: docker/build.sh [NAME…]; environment: ENGINE (docker or buildah), BASE, SNAPSHOT, PROVIDER, SOURCE_DATE_EPOCH, FRESH.
set -euo pipefail
cd "$(dirname "$0")/.."
context=build/docker out=build/images python=${PYTHON:-.venv/bin/python}
engine=${ENGINE:-$(command -v docker >/dev/null && docker info >/dev/null 2>&1 && echo docker || echo buildah)}
base=${BASE:-localhost/debian:12}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
case $base in
    *@sha256:* | localhost/*) ;;
    *) echo "BASE=$base is a tag, which names another image tomorrow: give NAME@sha256:DIGEST" >&2; exit 2 ;;
esac
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(chain enclave worker explorer demo)
mkdir -p "$out"
# Kept layers save Debian's packages from being fetched for each image; FRESH=1 builds all anew.
layers=$([ -n "${FRESH:-}" ] && echo false || echo true)
cp docker/rootfs.py docker/town.sh "$context/"
for name in "${names[@]}"; do
    if [ "$name" = chain ] && [ ! -f "$context/proofward-chain" ]; then
        echo "chain: not built, there is no proofward-chain: \`make node\`, then \`make docker\`" >&2
        exit 1
    fi
    arguments=(--build-arg "BASE=$base" --build-arg "SNAPSHOT=${SNAPSHOT:-}" --file "docker/$name.Dockerfile")
    [ "$name" != enclave ] || arguments+=(--build-arg "PROVIDER=${PROVIDER:-tsm}")
    rm -f "$out/$name.tar"
    if [ "$engine" = buildah ]; then
        # Of the enclave no layer is kept: layers have a history of their own, and its digest is to be compared.
        keep=$([ "$name" = enclave ] && echo false || echo "$layers")
        buildah bud --quiet --format oci --layers="$keep" --timestamp "$SOURCE_DATE_EPOCH" \
            --tag "localhost/proofward-$name:local" "${arguments[@]}" "$context" >/dev/null
        buildah push --quiet "localhost/proofward-$name:local" "oci-archive:$out/$name.tar"
    else
        docker buildx build --quiet --tag "proofward-$name:local" --load "${arguments[@]}" "$context"
        docker buildx build --quiet --output "type=oci,dest=$out/$name.tar,rewrite-timestamp=true" \
            "${arguments[@]}" "$context"
    fi
    "$python" docker/image.py sbom "$out/$name.tar" > "$out/$name.cdx.json"
    "$python" docker/image.py files "$out/$name.tar" > "$out/$name.files"
    echo "$name: $("$python" docker/image.py measure "$out/$name.tar" --json)"
done
