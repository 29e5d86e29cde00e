"""What a reader found in the annotation files of one split, as it stands there: columns, not yet judged.

Owns the columns and the way back from a row to its place in a file. `harness.data.boxes` judges them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.data.problems import Place

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnnotations:
    """One split's labels; a row's own numbers say where it came from.

    Attributes:
        class_names: what `labels` indexes.
        declared: the file itself lists its classes; else they are those that boxes have.
        images: folder that names are relative to, or None to look for it.
        names: [I], each image's name as the file gives it.
        files: where each image is described, or one file for all.
        box_files: where its boxes are.
        sizes: int32 [I, 2], (width, height) as declared; 0 where not.
        image_numbers: int64 [I], the image's line or id; −1 where it has none.
        owners: int64 [N], image row of each box.
        boxes: float64 [N, 4], xyxy; pixels, or shares of the image where `shares`.
        shares: bool [N].
        labels: int64 [N].
        crowds: bool [N].
        areas: float64 [N], pixels²; NaN where not given.
        numbers: int64 [N], the box's line or annotation.
        numbered_by: what `numbers` counts.
    """

    class_names: tuple[str, ...]
    declared: bool
    images: Path | None
    names: tuple[str, ...]
    files: tuple[str, ...]
    box_files: tuple[str, ...]
    sizes: NDArray[np.int32]
    image_numbers: NDArray[np.int64]
    owners: NDArray[np.int64]
    boxes: NDArray[np.float64]
    shares: NDArray[np.bool_]
    labels: NDArray[np.int64]
    crowds: NDArray[np.bool_]
    areas: NDArray[np.float64]
    numbers: NDArray[np.int64]
    numbered_by: Literal["line", "id", "index"]

    def image_place(self, row: int, detail: str = "") -> Place:
        """Where image `row` is described."""
        number = int(self.image_numbers[row])
        name, file = self.names[row], self.files[row if len(self.files) > 1 else 0]
        if self.numbered_by == "id":
            return Place(file=file, image=number, detail=f"{name}: {detail}" if detail else name)
        return Place(file=file, line=number if number > 0 else None, image=name, detail=detail)

    def box_place(self, row: int, detail: str = "") -> Place:
        """Where box `row` is described."""
        number, image = int(self.numbers[row]), int(self.owners[row])
        name, file = self.names[image], self.box_files[image if len(self.box_files) > 1 else 0]
        if self.numbered_by == "line":
            return Place(file=file, line=number, image=name, detail=detail)
        if self.numbered_by == "index":
            return Place(file=file, image=name, annotation=number, detail=detail)
        identity = int(self.image_numbers[image])
        return Place(file=file, image=identity, annotation=number, detail=f"{name}: {detail}" if detail else name)

    def box_text(self, row: int) -> str:
        """The box as numbers, for a detail."""
        return "[" + ", ".join(f"{value:.6g}" for value in self.boxes[row].tolist()) + "]"


@dataclass(slots=True, kw_only=True)
class RawAnnotationRows:
    """Collects images and boxes one by one, for readers of many small files or lines."""

    numbered_by: Literal["line", "index"]
    images: Path | None
    class_names: tuple[str, ...] | None = None
    _names: list[str] = field(default_factory=list)
    _files: list[str] = field(default_factory=list)
    _box_files: list[str] = field(default_factory=list)
    _sizes: list[tuple[int, int]] = field(default_factory=list)
    _lines: list[int] = field(default_factory=list)
    _boxes: list[tuple[int, tuple[float, float, float, float], int | str, int, bool, bool]] = field(
        default_factory=list
    )

    def add_image(
        self, name: str, *, file: str, line: int = -1, size: tuple[int, int] = (0, 0), box_file: str | None = None
    ) -> int:
        """A new image; returns its row. `box_file` is where its boxes are, if not in `file`."""
        self._names.append(name)
        self._files.append(file)
        self._box_files.append(box_file or file)
        self._sizes.append(size)
        self._lines.append(line)
        return len(self._names) - 1

    def add_box(
        self,
        image: int,
        corners: tuple[float, float, float, float],
        label: int | str,
        *,
        number: int,
        share: bool = False,
        crowd: bool = False,
    ) -> None:
        """A box of image row `image`; `label` is a number where `class_names` is given, else a name."""
        self._boxes.append((image, corners, label, number, share, crowd))

    def labels(self) -> RawAnnotations:
        """Everything so far as columns."""
        owners, boxes, given, numbers, shares, crowds = zip(*self._boxes, strict=True) if self._boxes else ((),) * 6
        names = self.class_names
        if names is None:
            names = tuple(sorted(set(given)))
            number_of = {name: number for number, name in enumerate(names)}
            given = tuple(number_of[name] for name in given)
        return RawAnnotations(
            class_names=names,
            declared=self.class_names is not None,
            images=self.images,
            names=tuple(self._names),
            files=tuple(self._files) or ("",),
            box_files=tuple(self._box_files) or ("",),
            sizes=np.array(self._sizes, dtype=np.int32).reshape(-1, 2),
            image_numbers=_integers(self._lines),
            owners=_integers(owners),
            boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
            shares=np.array(shares, dtype=np.bool_),
            labels=_integers(given),
            crowds=np.array(crowds, dtype=np.bool_),
            areas=np.full(len(owners), np.nan),
            numbers=_integers(numbers),
            numbered_by=self.numbered_by,
        )


def _integers(values: Iterable[Any]) -> NDArray[np.int64]:
    return np.fromiter(values, dtype=np.int64)
