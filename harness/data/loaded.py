"""A dataset as read: its splits, and all that is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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
    """One split: what is left of it, and where each row came from.

    Attributes:
        labels: as read, the bad ones included.
        source: the file or folder of the labels.
        folder: what file names are relative to.
        image_rows: [I], row of `labels` of each image in `annotations`.
        box_rows: [N], row of `labels` of each box.
        paths: [I], each image's file; None where it was not looked for.
        pictures: [I], what was seen of it, likewise.
    """

    labels: RawAnnotations
    source: Path
    folder: Path
    annotations: Annotations
    image_rows: NDArray[np.intp]
    box_rows: NDArray[np.intp]
    paths: tuple[str | None, ...]
    pictures: tuple[ImageInfo | None, ...]

    def take(self, rows: NDArray[np.intp]) -> LoadedSplit:
        """Only these images, ascending."""
        annotations, box_rows = self.annotations.take(rows)
        return replace(
            self,
            annotations=annotations,
            image_rows=self.image_rows[rows],
            box_rows=self.box_rows[box_rows],
            paths=tuple(self.paths[row] for row in rows),
            pictures=tuple(self.pictures[row] for row in rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A dataset as read: its splits, and all that was found wrong with it."""

    format: str
    parts: Mapping[str, LoadedSplit]
    findings: Findings

    def fatal(self, on_bad_data: str | None) -> tuple[Problem, ...]:
        """What forbids to train on it: every error, or with `skip` only that a split is empty."""
        errors = self.findings.problems("error")
        if on_bad_data == "skip" and self.parts:
            return tuple(problem for problem in errors if problem.code == "empty_split")
        return errors

    def skipped(self) -> dict[str, int]:
        """How many entries were left out, by code."""
        return {problem.code: problem.count for problem in self.findings.problems("error")}

    def fingerprint(self) -> str:
        """sha256 over every label, and every image's name and size in bytes; not over where they lie."""
        digest = hashlib.sha256()
        for name, part in self.parts.items():
            digest.update(f"{name} {part.annotations.fingerprint()}".encode())
            digest.update(" ".join(str(picture.length) for picture in part.pictures if picture).encode())
        return digest.hexdigest()
