"""May a suite's data be trained on? The fingerprints of its datasets, or every problem of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data.check import add_suspicions
from harness.data.load import load
from harness.data.open import fingerprint
from harness.errors import DataError, SuiteError
from harness.suite.schema import FilesDataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.data.loaded import Loaded
    from harness.suite.load import Suite


def validate_datasets(
    suite: Suite, *, workers: int, progress: Callable[[int, int], None]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The fingerprint of each dataset, and what a person should know of them, in lines.

    Args:
        workers: processes that look at images.
        progress: told how many images were looked at, of how many.

    Raises:
        SuiteError: what forbids to train on any of them, together.
    """
    fingerprints: dict[str, str] = {}
    warnings: list[str] = []
    problems: list[str] = []
    for name, dataset in suite.datasets:
        place = f"{suite.path}: datasets.{name}"
        try:
            if not isinstance(dataset, FilesDataset):
                fingerprints[name] = fingerprint(dataset)
                continue
            loaded = load(dataset, depth="headers", workers=workers, progress=progress)
        except DataError as error:
            problems.append(f"{place}: {error}")
            continue
        missing = [split for split in ("train", "val") if split not in loaded.parts]
        fatal = loaded.fatal(dataset.on_bad_data)
        if fatal:
            hint = "" if dataset.on_bad_data == "skip" else "\n(on_bad_data: skip leaves out what is bad and counts it)"
            problems.append(f"{place}: " + "\n".join(map(str, fatal)) + hint)
        elif missing:
            problems.append(
                f"{place}: no {' and no '.join(missing)} split, only {', '.join(loaded.parts)}; add "
                "split: {val: 0.2}, or name the splits"
            )
        else:
            fingerprints[name] = loaded.fingerprint()
            add_suspicions(loaded)
            warnings += _said(name, dataset, loaded)
    if problems:
        raise SuiteError(tuple(problems))
    return fingerprints, tuple(warnings)


def _said(name: str, dataset: FilesDataset, loaded: Loaded) -> list[str]:
    """What a person should know of data that can be trained on."""
    lines = []
    if dataset.format == "auto":
        parts = ", ".join(f"{split} {len(part.annotations):,} images" for split, part in loaded.parts.items())
        lines.append(f"data {name}: found {loaded.format}: {parts}")
    skipped = ", ".join(f"{count} {code}" for code, count in loaded.skipped().items())
    lines += [f"data {name}: skipped: {skipped}"] if skipped else []
    warned = ", ".join(f"{problem.count} {problem.code}" for problem in loaded.findings.problems("warning"))
    lines += [f"data {name}: warnings: {warned}; see `harness data check`"] if warned else []
    return lines
