"""Check one dataset: the errors that `load` finds, and warnings about data that are valid but suspicious.

Owns those warnings: suspicious boxes, rare or missing classes, images of two splits that look the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.data import boxes
from harness.data.discover import formats_beside
from harness.data.empty import why_empty
from harness.data.load import load
from harness.data.open import drawing_of, open_synthetic, split_names
from harness.data.problems import Findings, Place
from harness.data.resize import add_lost
from harness.suite.schema import ImageSize, SyntheticDataset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.data.annotations import Annotations
    from harness.data.images import PerceptualHash
    from harness.data.loaded import LoadedDataset, LoadedSplit
    from harness.data.problems import Problem
    from harness.suite.schema import FilesDataset

# A class is rare with fewer training boxes than both of these: a number, and a fraction of the average class's boxes.
_RARE_BOXES, _RARE_FRACTION = 10, 0.2
# Copies scaled by 0.6, saved with JPEG quality 30, blurred or a fifth brighter stay below both limits; other scenes
# do not.
_SIMILAR_BITS = 8  # hash bits, of 63, that may differ
_SIMILAR_CELLS = 0.6  # standard deviations by which the most different cell of the thumbnails may differ
_CANDIDATES = 8
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What the check of one dataset found.

    Attributes:
        format: the name of the annotation format.
        class_names: the dataset's classes.
        splits: for each split, the number of its images and of its boxes that can be used.
        problems: everything that is wrong or suspicious.
        read: of a `python` dataset, how many items were read, which the boxes are of, and how many there are.
    """

    format: str
    class_names: tuple[str, ...]
    splits: Mapping[str, tuple[int, int]]
    problems: tuple[Problem, ...]
    read: tuple[int, int] | None = None

    def summary(self) -> dict[str, Any]:
        """Return the counts that the last printed line and `--json` show."""
        errors = sum(problem.count for problem in self.problems if problem.severity == "error")
        return {
            "format": self.format,
            "classes": list(self.class_names),
            "splits": {name: {"images": images, "boxes": count} for name, (images, count) in self.splits.items()},
            "images": sum(images for images, _ in self.splits.values()),
            "boxes": sum(count for _, count in self.splits.values()),
            **({"items_read": self.read[0], "items": self.read[1]} if self.read else {}),
            "errors": errors,
            "warnings": sum(problem.count for problem in self.problems) - errors,
        }


def check(
    dataset: FilesDataset | SyntheticDataset,
    *,
    fast: bool,
    workers: int,
    image_sizes: Sequence[ImageSize] = (ImageSize(),),
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> CheckResult:
    """Check one dataset.

    A synthetic dataset has no files, so nothing in it can be wrong but a split in which no object was drawn.

    Args:
        dataset: the dataset to check.
        fast: read image headers only, no pixels.
        workers: the number of processes that scan images.
        image_sizes: the resize of each detector that is to be trained on it; torchvision's default where none is known.
        progress: called with the number of scanned images and the number of all images.

    Raises:
        MachineError: a process that scanned images was killed.
    """
    if isinstance(dataset, SyntheticDataset):
        drawn = {name: open_synthetic(dataset, name).annotations for name in split_names(dataset)}
        return CheckResult(
            format="synthetic",
            class_names=drawn["train"].class_names,
            splits={name: (len(annotations), len(annotations.boxes)) for name, annotations in drawn.items()},
            problems=empty_synthetic(dataset),
        )
    loaded = load(dataset, depth="headers" if fast else "pixels", workers=workers, progress=progress)
    add_lost(loaded, image_sizes)
    add_suspicions(dataset, loaded)
    splits = loaded.splits
    return CheckResult(
        format=loaded.format,
        class_names=next((split.annotations.class_names for split in splits.values()), ()),
        splits={name: (len(split.annotations), len(split.annotations.boxes)) for name, split in splits.items()},
        problems=loaded.findings.problems(),
    )


def empty_synthetic(dataset: SyntheticDataset) -> tuple[Problem, ...]:
    """Return the problem of splits of a synthetic dataset in which no object was drawn, if there are any."""
    findings = Findings()
    for name in split_names(dataset):
        drawing = drawing_of(dataset, name)
        reason = why_empty(name, images=drawing.images, boxes=int(drawing.has_objects()))
        if reason:
            findings.add("empty_split", Place(file="", detail=reason))
    return findings.problems()


def add_suspicions(dataset: FilesDataset, loaded: LoadedDataset) -> None:
    """Add warnings about valid but suspicious data to `loaded.findings`."""
    findings = loaded.findings
    for name in formats_beside(dataset, loaded.format) if loaded.splits else ():
        detail = f"{loaded.format} is read; {name} is there too"
        findings.add("several_formats", Place(file=str(dataset.path), detail=detail))
    for split in loaded.splits.values():
        boxes.suspicious_boxes(split.raw, split.box_rows, split.annotations.boxes.astype(np.float64), findings)
    _check_classes(loaded.splits, findings)
    _check_near_duplicates(loaded.splits, findings)


def _check_classes(splits: Mapping[str, LoadedSplit], findings: Findings) -> None:
    """Warn of classes that have no boxes, few boxes, or none in one of the splits."""
    if not any(len(split.annotations) for split in splits.values()):
        return  # without images every class would be reported
    counts = {name: _boxes_per_class(split.annotations) for name, split in splits.items()}
    files = {name: str(split.source) for name, split in splits.items()}
    train = "train" if "train" in splits else next(iter(splits))
    totals = np.sum(list(counts.values()), axis=0)
    class_names = splits[train].annotations.class_names
    if not class_names:
        return
    rare = min(_RARE_BOXES, _RARE_FRACTION * counts[train].mean())
    for number, class_name in enumerate(class_names):
        if not totals[number]:
            findings.add("class_without_boxes", Place(file=files[train], detail=class_name))
            continue
        for name, count in counts.items():
            if not count[number] and len(splits[name].annotations):
                findings.add("class_missing_in_split", Place(file=files[name], detail=f"{class_name} in {name}"))
        if 0 < counts[train][number] < rare:
            detail = f"{class_name}: {counts[train][number]}"
            findings.add("rare_class", Place(file=files[train], detail=detail))


def _boxes_per_class(annotations: Annotations) -> NDArray[np.int64]:
    labels = annotations.labels[~annotations.crowds]
    return np.bincount(labels, minlength=len(annotations.class_names))


def _check_near_duplicates(splits: Mapping[str, LoadedSplit], findings: Findings) -> None:
    """Warn of images in two splits that look the same; images with equal pixels are `leakage` errors already."""
    names = list(splits)
    for position, name in enumerate(names):
        for later in names[position + 1 :]:
            pairs = _similar_pairs(splits[name], splits[later])
            findings.add_many(
                "near_duplicate_images",
                len(pairs),
                (
                    Place(
                        file=splits[name].paths[row] or "",
                        image=splits[name].raw.image_place(int(splits[name].image_rows[row])).image,
                        detail=f"in {name}; in {later}: {splits[later].paths[later_row]}",
                    )
                    for row, later_row in pairs
                ),
            )


def _similar_pairs(first: LoadedSplit, second: LoadedSplit) -> list[tuple[int, int]]:
    """Return each image of `first` that looks like one of `second`, with the first such image there.

    Images with equal pixels are not returned. The hash is quick and finds candidates; with a camera that never moves
    it finds nearly every pair. The thumbnails then tell copies, which differ a little everywhere, from frames in which
    something else lies on the same background.
    """
    first_rows, first_hashes = _perceptual_hashes(first)
    second_rows, second_hashes = _perceptual_hashes(second)
    first_bits = np.array([perceptual_hash.bits for perceptual_hash in first_hashes], dtype=np.uint64)
    second_bits = np.array([perceptual_hash.bits for perceptual_hash in second_hashes], dtype=np.uint64)
    candidates = min(_CANDIDATES, len(second_bits))
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(first_bits), _ROWS_AT_ONCE) if candidates else ():
        distances = np.bitwise_count(first_bits[start : start + _ROWS_AT_ONCE, None] ^ second_bits[None, :])
        nearest = np.argpartition(distances, candidates - 1, axis=1)[:, :candidates]
        close = np.take_along_axis(distances, nearest, axis=1) <= _SIMILAR_BITS
        for row, column in np.argwhere(close).tolist():
            i, j = start + row, nearest[row, column]
            difference = np.abs(first_hashes[i].thumbnail - second_hashes[j].thumbnail).max()
            pair = first_rows[i], second_rows[j]
            if difference < _SIMILAR_CELLS and _digest(first, pair[0]) != _digest(second, pair[1]):
                pairs.append(pair)
    return list({pair[0]: pair for pair in reversed(pairs)}.values())[::-1]


def _digest(split: LoadedSplit, row: int) -> bytes | None:
    info = split.infos[row]
    return info.digest if info else None


def _perceptual_hashes(split: LoadedSplit) -> tuple[list[int], list[PerceptualHash]]:
    """Return the rows of the images that have a perceptual hash, and those hashes."""
    hashes = {
        row: info.perceptual_hash for row, info in enumerate(split.infos) if info and info.perceptual_hash is not None
    }
    return list(hashes), list(hashes.values())
