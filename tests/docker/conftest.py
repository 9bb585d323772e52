"""The images as `make docker-test` built them; without them these tests skip."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from docker.image import Image, read
from tests.docker.engine import unpacked

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "build" / "images"
#: Set by `make docker-test`: what is missing is then a failure.
NEEDED = "PROOFWARD_DOCKER"

Opened = Callable[[str], tuple[Image, Path]]


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """An image and its unpacked files, by its short name."""
    if not os.environ.get(NEEDED):
        pytest.skip("the images' own tests are those of `make docker-test`")
    found: dict[str, tuple[Image, Path]] = {}

    def get(name: str) -> tuple[Image, Path]:
        if name not in found:
            image = read(IMAGES / f"{name}.tar")
            found[name] = image, unpacked(image, tmp_path_factory.mktemp(name) / "root")
        return found[name]

    return get
