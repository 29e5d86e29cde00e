"""Check an architecture in a process of its own, which may crash or hang; each check has its result nevertheless."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError

from harness.api.arguments import check_device, one_of
from harness.errors import UsageError
from harness.executors.environment import available_cores, child_environment
from harness.processes.child import Child
from harness.store.checks import REQUEST, RESULT, CheckRequest, CheckResult
from harness.suite.catalog import registry
from harness.suite.schema import ImageSize
from harness.suite.validators import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OnResult = Callable[[CheckResult], None]

_POLL_S = 0.05
_START_S = 300.0  # until the process has imported torch
_LOG_END = 400  # characters of what a process printed last


def check_architecture(  # noqa: PLR0913 - what a caller may want otherwise
    architecture: str,
    *,
    classes: int = 3,
    image_size: tuple[int, int] | int | None = None,
    weights: str = "none",
    model: Mapping[str, Any] | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    compiled: bool = False,
    timeout_s: float = 300.0,
    folder: str | Path = ".",
    on_result: OnResult = lambda _result: None,
) -> tuple[CheckResult, ...]:
    """Build an architecture, train it a few steps on noise, and check what it does; takes seconds to minutes.

    Args:
        architecture: the name of a built-in or installed row, or an import path `module:NAME` or `file.py:NAME` of a
            row or of a function that builds a network.
        classes: the number of classes.
        image_size: the resize in pixels, one number or (min, max); None: 128, or the native one where no other goes.
        weights: none, default, backbone, or a file.
        model: the architecture's options.
        precision: fp32, bf16 or fp16.
        compiled: check `torch.compile` too, which takes a minute.
        timeout_s: seconds for each check; one that takes longer counts as hung, and those after it are not run.
        folder: where files and modules are searched for.
        on_result: called when a check begins (`running`) and when it ends.

    Returns:
        A result for each check, in order.

    Raises:
        UsageError: an argument is wrong.
        MachineError: no process can be started.
    """
    check_device(device)
    one_of("precision", precision, ("fp32", "bf16", "fp16"))
    if classes < 1:
        raise UsageError(f"classes must be 1 or more, got {classes}")
    known = registry.names()
    if architecture.endswith(".py"):
        raise UsageError(f"name what {architecture} builds it with: {architecture}:NAME, a function or a row")
    if ":" not in architecture and architecture not in known:
        raise UsageError(
            f"there is no architecture {architecture}{nearest(architecture, known)}; known: {', '.join(known)}; one of "
            "your own is named by module:NAME or file.py:NAME"
        )
    place = Path(folder).resolve()
    request = CheckRequest(
        architecture=architecture,
        folder=str(place),
        classes=classes,
        image_size=_size(image_size),
        weights=str((place / weights).resolve()) if (place / weights).is_file() else weights,
        model=dict(model or {}),
        device=device,
        precision=precision,  # type: ignore[arg-type]
        compiled=compiled,
    )
    try:
        asked = REQUEST.dump_json(request)
    except PydanticSerializationError as error:
        raise UsageError(f"an argument cannot be stored: {error}") from None
    results: dict[str, CheckResult] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for result in _run(asked, Path(scratch), timeout_s):
            results[result.name] = result
            if result.outcome != "not run":
                on_result(result)
    return tuple(results.values())


def _run(request: bytes, scratch: Path, timeout_s: float) -> Iterator[CheckResult]:
    """Yield what the process says while it runs; last, how the check ended in which it was ended."""
    asked, answered, log = scratch / "request.json", scratch / "results.jsonl", scratch / "log.txt"
    asked.write_bytes(request)
    answered.touch()
    child = Child(
        ("-m", "harness.workers", "harness.trial.battery", str(asked), str(answered)),
        environment=child_environment(available_cores()),
        log=log,
    )
    read, running, since, code = 0, None, time.monotonic(), None
    try:
        while True:
            code = child.exit_code()  # before reading: what was written until then is read
            lines = answered.read_bytes()[read:].splitlines(keepends=True)
            for line in lines:
                if line.endswith(b"\n"):
                    read += len(line)
                    result = RESULT.validate_json(line)
                    running, since = result if result.outcome == "running" else None, time.monotonic()
                    yield result
            if code is not None or time.monotonic() - since > (timeout_s if running else max(timeout_s, _START_S)):
                break
            time.sleep(_POLL_S)
    finally:
        child.end()
    why = _ending(code, timeout_s, log)
    if running is not None:
        yield replace(running, outcome="failed", detail=why, wall_s=time.monotonic() - since)
    elif code != 0:
        yield CheckResult(name="process", outcome="failed", detail=why)


def _ending(code: int | None, timeout_s: float, log: Path) -> str:
    """How the process ended, in words, with the end of what it printed."""
    if code is None:
        return f"no result within {timeout_s:g} seconds: it hangs, or needs a longer --timeout"
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    printed = log.read_text(encoding="utf-8", errors="replace").strip() if log.is_file() else ""
    said = f"; the last that it printed: {printed[-_LOG_END:]}" if printed else ""
    return f"the process ended with {how} in this check{said}"


def _size(image_size: tuple[int, int] | int | None) -> ImageSize | None:
    if image_size is None:
        return None
    low, high = (image_size, image_size) if isinstance(image_size, int) else image_size
    if not 0 < low <= high:
        raise UsageError(f"image_size must be one number of pixels or (min, max), got {image_size}")
    return ImageSize(min=low, max=high)
