"""A dstack guest's app-compose.json for a worker, with both images pinned.

Usage: app_compose.py ENCLAVE@sha256:… WORKER@sha256:… > app-compose.json

dstack extends RTMR3 by the SHA-256 of this file, so whoever allows the measurement allows these images, these
commands and no others. The hash goes to standard error. Fields as dstack's SDK 0.5 names them
(`dstack_sdk.AppCompose`). Raises SystemExit for an image without its digest.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

PINNED = re.compile(r"[a-z0-9./:_-]+@sha256:[0-9a-f]{64}")
COMPOSE = Path(__file__).with_name("dstack.yaml")


def document(enclave: str, worker: str) -> str:
    """The file's text: JSON without spaces, keys sorted, so that one set of images has one hash."""
    for image in (enclave, worker):
        if not PINNED.fullmatch(image):
            sys.exit(f"{image} is not name@sha256:digest: a tag names another image tomorrow")
    compose = COMPOSE.read_text().replace("${ENCLAVE}", enclave).replace("${WORKER}", worker)
    fields = {
        "manifest_version": 2,
        "name": "proofward-worker",
        "runner": "docker-compose",
        "docker_compose_file": compose,
        # keys are born in the enclave's process and die with it: nothing is derived from dstack's KMS
        "kms_enabled": False,
        "gateway_enabled": False,
        "local_key_provider_enabled": False,
        "key_provider": "none",
        "public_logs": False,
        "public_sysinfo": False,
        "public_tcbinfo": True,
        "allowed_envs": [],
        # an instance id would be in RTMR3, and each worker a measurement of its own
        "no_instance_id": True,
        "secure_time": True,
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def main(enclave: str, worker: str) -> int:
    """The command."""
    text = document(enclave, worker)
    print(text, end="")
    print(f"compose hash: {hashlib.sha256(text.encode()).hexdigest()}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
