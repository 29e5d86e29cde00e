"""A loaded dataset: its splits, and the problems that were found in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.data.problem_codes import CODES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from harness.data.annotations import Annotations
    from harness.data.images import ImageInfo
    from harness.data.problems import Findings, Problem
    from harness.data.raw import RawAnnotations


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSplit:
    """One split: its usable images and boxes, and where each of them came from.

    Attributes:
        raw: the annotations as read, including the bad ones.
        source: the file or folder of the annotations.
        folder: the folder that file names are relative to.
        annotations: the usable images and boxes.
        image_rows: [I], the row of `raw` that describes each image of `annotations`.
        box_rows: [N], the row of `raw` that describes each box of `annotations`.
        paths: [I], each image's file; None if it was not looked for.
        infos: [I], each image's properties; None if it was not scanned.
    """

    raw: RawAnnotations
    source: Path
    folder: Path
    annotations: Annotations
    image_rows: NDArray[np.intp]
    box_rows: NDArray[np.intp]
    paths: tuple[str | None, ...]
    infos: tuple[ImageInfo | None, ...]

    def select(self, rows: NDArray[np.intp]) -> LoadedSplit:
        """Return a split of only the images in `rows`, which must be ascending."""
        annotations, box_rows = self.annotations.select(rows)
        return replace(
            self,
            annotations=annotations,
            image_rows=self.image_rows[rows],
            box_rows=self.box_rows[box_rows],
            paths=tuple(self.paths[row] for row in rows),
            infos=tuple(self.infos[row] for row in rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedDataset:
    """A dataset that was read: its splits by name, and the problems found in it."""

    format: str
    splits: Mapping[str, LoadedSplit]
    findings: Findings

    def fatal(self, on_bad_data: str | None) -> tuple[Problem, ...]:
        """Return the problems that forbid training: every error or, with `skip`, those that skipping does not mend."""
        errors = self.findings.problems("error")
        if on_bad_data == "skip" and self.splits:
            return tuple(problem for problem in errors if CODES[problem.code].always)
        return errors

    def skipped(self) -> dict[str, int]:
        """Return the number of entries that were left out, by error code."""
        return {
            problem.code: problem.count for problem in self.findings.problems("error") if not CODES[problem.code].always
        }

    def fingerprint(self) -> str:
        """Return the sha256 of all annotations and every image's name and file size; folders do not matter."""
        digest = hashlib.sha256()
        for name, split in self.splits.items():
            digest.update(f"{name} {split.annotations.fingerprint()}".encode())
            digest.update(" ".join(str(info.length) for info in split.infos if info).encode())
        return digest.hexdigest()
