"""Everything that can be wrong with labelled images, found at once: what `load` tells, and what suspicion finds.

Owns the suspicions: odd boxes, classes that are rare or missing, images of two splits that look the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.data import boxes
from harness.data.load import load
from harness.data.open import draw, split_names
from harness.data.problems import Place
from harness.suite.schema import SyntheticDataset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from harness.data.annotations import Annotations
    from harness.data.images import PerceptualHash
    from harness.data.loaded import Loaded, LoadedSplit
    from harness.data.problems import Findings, Problem
    from harness.suite.schema import FilesDataset

_RARE, _RARE_SHARE = 10, 0.2  # boxes to train on, and of what the classes have on average
# Copies scaled by 0.6, saved with JPEG quality 30, blurred or a fifth brighter stay within both; other scenes do not.
_SIMILAR_BITS = 8  # of 63
_SIMILAR_CELLS = 0.6  # standard deviations, in the cell of the thumbnail that differs most
_CANDIDATES = 8
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One dataset, checked. `splits` has the images and boxes of each that are left without what is bad."""

    format: str
    class_names: tuple[str, ...]
    splits: Mapping[str, tuple[int, int]]
    problems: tuple[Problem, ...]

    def summary(self) -> dict[str, Any]:
        """Counts, for the last line and for `--json`."""
        errors = sum(problem.count for problem in self.problems if problem.severity == "error")
        return {
            "format": self.format,
            "classes": list(self.class_names),
            "splits": {name: {"images": images, "boxes": count} for name, (images, count) in self.splits.items()},
            "images": sum(images for images, _ in self.splits.values()),
            "boxes": sum(count for _, count in self.splits.values()),
            "errors": errors,
            "warnings": sum(problem.count for problem in self.problems) - errors,
        }


def check(
    dataset: FilesDataset | SyntheticDataset,
    *,
    fast: bool,
    workers: int,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Checked:
    """Check one dataset; `fast` reads no pixels. Drawn images have nothing that could be wrong.

    Raises:
        MachineError: a process that looked at images was killed.
    """
    if isinstance(dataset, SyntheticDataset):
        drawn = {name: draw(dataset, name).annotations for name in split_names(dataset)}
        return Checked(
            format="synthetic",
            class_names=drawn["train"].class_names,
            splits={name: (len(annotations), len(annotations.boxes)) for name, annotations in drawn.items()},
            problems=(),
        )
    loaded = load(dataset, depth="headers" if fast else "pixels", workers=workers, progress=progress)
    add_suspicions(loaded)
    parts = loaded.parts
    return Checked(
        format=loaded.format,
        class_names=next((part.annotations.class_names for part in parts.values()), ()),
        splits={name: (len(part.annotations), len(part.annotations.boxes)) for name, part in parts.items()},
        problems=loaded.findings.problems(),
    )


def add_suspicions(loaded: Loaded) -> None:
    """What is odd about sound data, as warnings into `loaded.findings`."""
    findings = loaded.findings
    for part in loaded.parts.values():
        boxes.suspicious_boxes(part.labels, part.box_rows, part.annotations.boxes.astype(np.float64), findings)
    _classes(loaded.parts, findings)
    _near_duplicates(loaded.parts, findings)


def _classes(parts: Mapping[str, LoadedSplit], findings: Findings) -> None:
    if not any(len(part.annotations) for part in parts.values()):
        return  # nothing is left to say it of
    counts = {name: _counts(part.annotations) for name, part in parts.items()}
    files = {name: str(part.source) for name, part in parts.items()}
    learned = "train" if "train" in parts else next(iter(parts))
    anywhere = np.sum(list(counts.values()), axis=0)
    class_names = parts[learned].annotations.class_names
    if not class_names:
        return
    rare = min(_RARE, _RARE_SHARE * counts[learned].mean())
    for number, name in enumerate(class_names):
        if not anywhere[number]:
            findings.add("class_without_boxes", Place(file=files[learned], detail=name))
            continue
        for split, count in counts.items():
            if not count[number] and len(parts[split].annotations):
                findings.add("class_missing_in_split", Place(file=files[split], detail=f"{name} in {split}"))
        if 0 < counts[learned][number] < rare:
            detail = f"{name}: {counts[learned][number]}"
            findings.add("rare_class", Place(file=files[learned], detail=detail))


def _counts(annotations: Annotations) -> NDArray[np.int64]:
    labels = annotations.labels[~annotations.crowds]
    return np.bincount(labels, minlength=len(annotations.class_names))


def _near_duplicates(parts: Mapping[str, LoadedSplit], findings: Findings) -> None:
    """Compare the perceptual hashes of every two splits; the same pixels are `leakage` already."""
    names = list(parts)
    for position, name in enumerate(names):
        for later in names[position + 1 :]:
            alike = _alike(parts[name], parts[later])
            findings.add_many(
                "near_duplicate_images",
                len(alike),
                (
                    Place(
                        file=parts[name].paths[row] or "",
                        image=parts[name].labels.image_place(int(parts[name].image_rows[row])).image,
                        detail=f"in {name}; in {later}: {parts[later].paths[other]}",
                    )
                    for row, other in alike
                ),
            )


def _alike(part: LoadedSplit, other: LoadedSplit) -> list[tuple[int, int]]:
    """Each image of `part` that has a look-alike in `other`, and the first such one, if it is not the very same.

    The hash is quick and finds candidates; of a camera that never moves it finds nearly every pair. The thumbnails then
    tell copies, which differ a little everywhere, from frames in which something else lies on the same background.
    """
    mine, looks = _looks(part)
    theirs, their_looks = _looks(other)
    hashes = np.array([look.bits for look in looks], dtype=np.uint64)
    their_hashes = np.array([look.bits for look in their_looks], dtype=np.uint64)
    few = min(_CANDIDATES, len(their_hashes))
    found: list[tuple[int, int]] = []
    for start in range(0, len(hashes), _ROWS_AT_ONCE) if few else ():
        distances = np.bitwise_count(hashes[start : start + _ROWS_AT_ONCE, None] ^ their_hashes[None, :])
        nearest = np.argpartition(distances, few - 1, axis=1)[:, :few]
        close = np.take_along_axis(distances, nearest, axis=1) <= _SIMILAR_BITS
        for row, column in np.argwhere(close).tolist():
            image, twin = start + row, nearest[row, column]
            apart = np.abs(looks[image].thumbnail - their_looks[twin].thumbnail).max()
            pair = mine[image], theirs[twin]
            if apart < _SIMILAR_CELLS and _digest(part, pair[0]) != _digest(other, pair[1]):
                found.append(pair)
    return list({row: (row, image) for row, image in reversed(found)}.values())[::-1]


def _digest(part: LoadedSplit, row: int) -> bytes | None:
    picture = part.pictures[row]
    return picture.digest if picture else None


def _looks(part: LoadedSplit) -> tuple[list[int], list[PerceptualHash]]:
    known = [(row, picture.look) for row, picture in enumerate(part.pictures) if picture and picture.look is not None]
    return [row for row, _ in known], [look for _, look in known]
