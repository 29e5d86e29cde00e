"""What each check of a GPU is held to: a measured value, its bound, and whether it holds. Nothing here needs a GPU."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check; `passed` is None where this machine cannot make it, and `detail` says why or shows the rest."""

    name: str
    value: Any
    bound: str
    passed: bool | None
    detail: str = ""


def at_most(name: str, value: float | None, limit: float, detail: str = "") -> Check:
    """A number that must be there, finite, and no larger than its limit."""
    passed = value is not None and math.isfinite(value) and value <= limit
    return Check(name=name, value=value, bound=f"≤ {limit:g}", passed=passed, detail=detail)


def within(name: str, value: float | None, truth: float, fraction: float, detail: str = "") -> Check:
    """A number that must lie within a fraction of the truth."""
    passed = value is not None and math.isfinite(value) and abs(value - truth) <= fraction * abs(truth)
    return Check(name=name, value=value, bound=f"{truth:.6g} ± {fraction * 100:g} %", passed=passed, detail=detail)


def holds(name: str, value: Any, expected: Any, detail: str = "") -> Check:
    """A value that must be exactly the expected one."""
    return Check(name=name, value=value, bound=f"= {expected}", passed=value == expected, detail=detail)


def impossible(name: str, why: str) -> Check:
    """A check that this machine cannot make."""
    return Check(name=name, value=None, bound="–", passed=None, detail=why)


def doctor(output: str) -> list[Check]:
    """From what `harness doctor` prints: its A/A spread is at most 5 %, and it says how large /dev/shm is."""
    spread = re.search(r"A/A: .*differ by ([\d.]+)%", output)
    shared = re.search(r"/dev/shm has [^;\n]+? free", output)
    return [
        at_most("doctor: A/A spread, %", float(spread.group(1)) if spread else None, 5.0, output.strip()),
        Check(
            name="doctor: size of /dev/shm",
            value=shared.group(0) if shared else None,
            bound="is said",
            passed=shared is not None,
        ),
    ]


def marked_tests(exit_code: int, output: str) -> Check:
    """From pytest: every test marked `gpu` passed, and there were some."""
    passed = re.search(r"(\d+) passed", output)
    summary = (output.strip().splitlines() or [""])[-1]
    good = exit_code == 0 and passed is not None
    return Check(
        name="tests marked gpu",
        value=int(passed.group(1)) if passed else 0,
        bound="all pass",
        passed=good,
        detail=summary,
    )


def steps(name: str, losses: Sequence[float], wanted: int) -> Check:
    """From training: as many steps as wanted, each with a finite loss. In fp16 the scaler may skip its first ones."""
    late = losses[wanted // 2 :]
    finite = len(losses) == wanted and all(math.isfinite(loss) for loss in (late if "fp16" in name else losses))
    value = f"{len(losses)} steps, {sum(math.isfinite(loss) for loss in losses)} finite"
    return Check(name=name, value=value, bound=f"{wanted} steps, finite", passed=finite)


def first_losses(name: str, without: Sequence[float], with_workers: Sequence[float]) -> Check:
    """The first loss is the same with and without loader processes, to the rounding of the device's sums."""
    if not without or not with_workers:
        return Check(name=name, value=None, bound="equal", passed=False, detail="no step was taken")
    return within(name, with_workers[0], without[0], 1e-4)


def variants(record: Mapping[str, Any], *, device: str) -> list[Check]:
    """From the record of a trial with every variant: each has a row, none is shared, memory and energy make sense."""
    rows = {"as trained": record, **{variant["name"]: variant for variant in record["variants"]}}
    shared = [
        name for name, row in rows.items() if any(w["name"] == "shared_device" for w in row.get("warnings") or ())
    ]
    checks = [holds("variants: rows called shared_device", shared, [])]
    for name, row in rows.items():
        if row.get("problem"):
            allowed = name == "onnxruntime"
            passed = None if allowed else False
            checks.append(
                Check(name=f"variant {name}", value="no row", bound="measured", passed=passed, detail=row["problem"])
            )
            continue
        measured = row["measurements"]
        value = row.get("how") or "measured"
        wrong_device = name == "onnxruntime" and device.startswith("cuda") and "CUDA" not in value
        checks.append(Check(name=f"variant {name}", value=value, bound="measured", passed=not wrong_device))
        checks.append(_driver_memory(f"variant {name}: driver bytes", measured["memory"]["inference"]))
    return checks


def _driver_memory(name: str, memory: Mapping[str, Any]) -> Check:
    driver, reserved = memory.get("peak_driver_bytes"), memory.get("peak_reserved_bytes")
    passed = driver is None or reserved is None or driver >= reserved
    return Check(name=name, value=driver, bound=f"≥ reserved ({reserved}), or unknown", passed=passed)


def resumed(exit_code: int, record: Mapping[str, Any] | None) -> Check:
    """From a run whose trial was killed: it succeeded with the next run, and its record says that it was resumed."""
    names = [warning["name"] for warning in record["warnings"]] if record else []
    passed = exit_code == 0 and record is not None and "resumed" in names
    return Check(name="kill −9 and resume", value=names, bound="a record with the warning resumed", passed=passed)


def missing_device(exit_code: int, errors: str) -> Check:
    """From a run that was given a GPU where none is visible: exit code 3, and a sentence."""
    passed = exit_code == 3 and "CUDA devices" in errors and "Traceback" not in errors
    return Check(
        name="no visible device",
        value=exit_code,
        bound="exit code 3 and a sentence",
        passed=passed,
        detail=errors[-300:],
    )


def beside(record: Mapping[str, Any]) -> Check:
    """From a measurement beside another program: it is flagged."""
    names = sorted({warning["name"] for warning in record["warnings"]})
    return Check(name="another program beside", value=names, bound="shared_device", passed="shared_device" in names)
