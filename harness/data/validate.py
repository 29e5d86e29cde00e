"""Decide whether a suite's datasets can be trained on: return their fingerprints, or report all their problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.data.check import add_suspicions, empty_synthetic
from harness.data.crowded import find_crowded
from harness.data.load import load
from harness.data.masks import why_no_masks
from harness.data.open import fingerprint
from harness.data.resize import add_lost
from harness.errors import DataError, SuiteError
from harness.formatting import counted
from harness.suite.schema import FilesDataset, SyntheticDataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.data.loaded import LoadedDataset
    from harness.suite.load import Suite


def validate_datasets(
    suite: Suite, *, workers: int, progress: Callable[[int, int], None]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Load every dataset of a suite and check that it can be trained on.

    Args:
        suite: the suite.
        workers: the number of processes that scan images.
        progress: called with the number of scanned images and the number of all images of a dataset.

    Returns:
        The fingerprint of each dataset by name; and lines for the user about formats, skipped entries and warnings.

    Raises:
        SuiteError: a dataset cannot be trained on; the message lists the problems of all of them.
    """
    with_masks = dict.fromkeys(setting.row.name for setting in suite.settings if setting.row.needs_masks)
    fingerprints: dict[str, str] = {}
    lines: list[str] = []
    problems: list[str] = []
    for name, dataset in suite.datasets:
        place = f"{suite.path}: datasets.{name}"
        try:
            if not isinstance(dataset, FilesDataset):
                fingerprints[name] = fingerprint(dataset, suite.path.resolve().parent)
                empty = empty_synthetic(dataset) if isinstance(dataset, SyntheticDataset) else ()
                problems += [f"{place}: {problem}" for problem in empty]
                continue
            loaded = load(dataset, depth="headers", workers=workers, progress=progress)
        except DataError as error:
            problems.append(f"{place}: {error}")
            continue
        add_lost(loaded, suite.image_sizes)
        missing = [split for split in ("train", "val") if split not in loaded.splits]
        fatal = loaded.fatal(dataset.on_bad_data)
        if fatal:
            hint = "" if loaded.fatal("skip") else "\n(with on_bad_data: skip, bad entries are left out and counted)"
            problems.append(f"{place}: " + "\n".join(map(str, fatal)) + hint)
        elif missing:
            problems.append(
                f"{place}: no {' and no '.join(missing)} split, only {', '.join(loaded.splits)}; add "
                "split: {val: 0.2}, or name the splits"
            )
        else:
            fingerprints[name] = loaded.fingerprint()
            reason = why_no_masks(loaded) if with_masks else None
            if reason:
                trained = f"{' and '.join(with_masks)} {'train' if len(with_masks) > 1 else 'trains'} from masks"
                problems.append(f"{place}: {trained}: {reason}, or leave {' and '.join(with_masks)} out")
            add_suspicions(dataset, loaded)
            lines += _describe(name, dataset, loaded)
            lines += _crowded(name, loaded, suite.protocol.detections)
    if problems:
        raise SuiteError(tuple(problems))
    return fingerprints, tuple(lines)


def _describe(name: str, dataset: FilesDataset, loaded: LoadedDataset) -> list[str]:
    """Return lines about a dataset that can be trained on: its format, skipped entries and warnings."""
    lines = []
    if dataset.format == "auto":
        counts = ", ".join(f"{key} {counted(len(split.annotations), 'image')}" for key, split in loaded.splits.items())
        lines.append(f"data {name}: found {loaded.format}: {counts}")
    skipped = ", ".join(f"{count} {code}" for code, count in loaded.skipped().items())
    lines += [f"data {name}: skipped: {skipped}"] if skipped else []
    warnings = ", ".join(f"{problem.count} {problem.code}" for problem in loaded.findings.problems("warning"))
    lines += [f"data {name}: warnings: {warnings}; see `harness data check`"] if warnings else []
    return lines


def _crowded(name: str, loaded: LoadedDataset, detections: int) -> list[str]:
    """Return a line if the split that is evaluated has images with more objects than mAP counts."""
    split = "test" if "test" in loaded.splits else "val"
    annotations = loaded.splits[split].annotations
    plain = ~annotations.crowds
    image_of = np.repeat(np.arange(len(annotations)), np.diff(annotations.offsets))[plain]
    crowded = find_crowded(image_of, annotations.labels[plain], images=len(annotations), detections=detections)
    return [f"data {name}: {split}: {crowded}"] if crowded else []
