"""The checks of arguments that several functions of the API share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def check_device(device: str) -> None:
    """Check the name of a device; whether it is there is seen where it is used.

    Raises:
        UsageError: it is none of auto, cpu, cuda, cuda:N.
    """
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"--device {device}: is none of auto, cpu, cuda, cuda:N")


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Check an argument that is one of a few words.

    Raises:
        UsageError: it is none of them.
    """
    if value not in allowed:
        raise UsageError(f"{name}: {value!r} is not one of {', '.join(allowed)}")


def no_progress(_done: int, _all: int) -> None:
    """Show nothing: the default of every `progress`."""
