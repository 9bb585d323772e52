"""The one source of randomness: every function that needs some takes it as an argument."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

RandomSource = Callable[[int], bytes]
"""n -> n unpredictable bytes."""

SYSTEM_RANDOM: Final[RandomSource] = secrets.token_bytes
