"""The checks of arguments that several functions of the API share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.executors.registry import load_executor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.executors.base import Executor

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_GPU = re.compile(r"cuda:\d+")


def check_device(device: object) -> None:
    """Check the name of a device; whether it is there is seen where it is used.

    Raises:
        UsageError: it is none of auto, cpu, cuda, cuda:N.
    """
    if not isinstance(device, str) or not _DEVICE.fullmatch(device):
        raise UsageError(f"--device {device}: is none of auto, cpu, cuda, cuda:N")


def check_slots(device: str, devices: object, trials_per_device: object, cpu_slots: object) -> None:
    """Check how many trials are to run at once, and where.

    Raises:
        UsageError: it contradicts itself, or is no such thing.
    """
    check_number("trials_per_device", trials_per_device, whole=True, minimum=1)
    check_number("cpu_slots", cpu_slots, whole=True, minimum=1)
    if devices is None:
        return
    if isinstance(devices, str) or not isinstance(devices, Iterable):
        raise UsageError(f"devices: expected several names of devices, got {devices!r}")
    names = list(devices)
    for name in names:
        if not isinstance(name, str) or not _GPU.fullmatch(name):
            raise UsageError(f"--devices {name}: is no GPU; give numbers, such as 0,2")
    if not names or len(set(names)) < len(names):
        raise UsageError(f"--devices {','.join(names) or 'without a number'}: give each GPU once")
    if device != "auto":
        raise UsageError("--device and --devices: give one of them")


def check_deadline(until: object) -> None:
    """Check an optional moment.

    Raises:
        UsageError: it is none.
    """
    if until is not None and not isinstance(until, datetime):
        raise UsageError(f"until: expected a datetime, got {until!r}")


def check_observers(observers: object) -> None:
    """Check that these are several observers.

    Raises:
        UsageError: they are not.
    """
    if not isinstance(observers, list | tuple):
        raise UsageError(f"observers: expected a list or a tuple of observers, got {type(observers).__name__}")


def executor_of(executor: Executor | str) -> Executor:
    """Return an executor, or the one of this name.

    Raises:
        UsageError: it is none.
    """
    runner = load_executor(executor) if isinstance(executor, str) else executor
    if not hasattr(runner, "submit"):
        raise UsageError(f"executor: expected a name or an executor, got {executor!r}")
    return runner


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Check an argument that is one of a few words.

    Raises:
        UsageError: it is none of them.
    """
    if value not in allowed:
        raise UsageError(f"{name}: {value!r} is not one of {', '.join(allowed)}")


def texts(name: str, value: object) -> tuple[str, ...]:
    """Return one text or several as a tuple.

    Raises:
        UsageError: one of them is no text.
    """
    several = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    for text in several:
        if not isinstance(text, str):
            raise UsageError(f"{name}: expected a text or several, got {text!r}")
    return tuple(str(text) for text in several)


def check_number(
    name: str, value: object, *, whole: bool = False, minimum: float = 0, maximum: float | None = None
) -> None:
    """Check an optional number.

    Raises:
        UsageError: it is no number, not a whole one where that is asked for, too small, or too large.
    """
    kinds = int if whole else (int, float)
    number = value if isinstance(value, kinds) and not isinstance(value, bool) else None
    if value is None or (number is not None and minimum <= number <= (number if maximum is None else maximum)):
        return
    allowed = f"from {minimum} on" if maximum is None else f"from {minimum} to {maximum}"
    raise UsageError(f"{name}: expected a {'whole ' if whole else ''}number {allowed}, got {value!r}")


def no_progress(_done: int, _all: int) -> None:
    """Show nothing: the default of every `progress`."""
