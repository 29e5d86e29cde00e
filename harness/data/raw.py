"""The annotations of one split exactly as its files state them, in columns.

Owns the columns and the way back from a row to its place in a file. Does not validate; `harness.data.boxes` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.data.problems import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnnotations:
    """The images and boxes of one split, not yet validated.

    Attributes:
        class_names: the classes that `labels` is an index into.
        declared: whether the file lists its classes; otherwise they are the classes of the boxes.
        images: the folder that image names are relative to; None if it must be guessed.
        names: [I], each image's name in the file.
        label_names: [I], for names that label files state inside them: each label file's own path without its suffix,
            relative to the folder of the labels; `harness.data.label_names` compares the two. Otherwise empty.
        files: [I] or [1], the file that describes each image.
        box_files: [I] or [1], the file that holds each image's boxes.
        sizes: int32 [I, 2], (width, height) in the file; 0 where it has none.
        image_numbers: int64 [I], the image's line or id; −1 where it has none.
        owners: int64 [N], the row of the image that each box belongs to.
        boxes: float64 [N, 4], xyxy, in pixels, or in fractions of the image's sides where `fractional` is set.
        first_pixel: the coordinate of an image's first pixel: 1 in a format that counts pixels from 1 and includes both
            ends of a box, so that the box from 1 to 9 has the edges 0 and 9.
        written_as_sizes: whether the file states each box as a corner (or centre) with its width and height.
        centred: whether it states the centre.
        fractional: bool [N], whether the box is in fractions of the image's sides.
        labels: int64 [N], class numbers.
        crowds: bool [N], whether the box is a crowd region.
        areas: float64 [N], pixels²; NaN where the file has none.
        numbers: int64 [N], the box's line, id or index, whichever `numbered_by` says.
        numbered_by: the meaning of `numbers`.
        texts: ids that are text, by the numbers that stand for them.
        spellings: where `names` are no paths below `images`, but ids, or addresses on a server: returns the paths that
            an image may have for its name, the best first.
        splits: [I], the split of each image, where one file states it for all of its images; otherwise empty.
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
    fractional: NDArray[np.bool_]
    labels: NDArray[np.int64]
    crowds: NDArray[np.bool_]
    areas: NDArray[np.float64]
    numbers: NDArray[np.int64]
    numbered_by: Literal["line", "id", "index"]
    texts: Mapping[int, str] = field(default_factory=dict)
    label_names: tuple[str, ...] = ()
    first_pixel: int = 0
    written_as_sizes: bool = False
    centred: bool = False
    spellings: Callable[[str], Sequence[str]] | None = None
    splits: tuple[str, ...] = ()

    def image_place(self, row: int, detail: str = "") -> Place:
        """Return the place in the files that describes image `row`."""
        number = int(self.image_numbers[row])
        name, file = self.names[row], self.files[row if len(self.files) > 1 else 0]
        if self.numbered_by == "id":
            identity = self.texts.get(number, number)
            return Place(file=file, image=identity, detail=f"{name}: {detail}" if detail else name)
        return Place(file=file, line=number if number > 0 else None, image=name, detail=detail)

    def box_place(self, row: int, detail: str = "") -> Place:
        """Return the place in the files that describes box `row`."""
        number, image = int(self.numbers[row]), int(self.owners[row])
        name, file = self.names[image], self.box_files[image if len(self.box_files) > 1 else 0]
        if self.numbered_by == "line":
            return Place(file=file, line=number, image=name, detail=detail)
        image_number = int(self.image_numbers[image])
        if self.numbered_by == "index":
            line = image_number if image_number > 0 else None
            return Place(file=file, line=line, image=name, annotation=number, detail=detail)
        return Place(
            file=file,
            image=self.texts.get(image_number, image_number),
            annotation=self.texts.get(number, number),
            detail=f"{name}: {detail}" if detail else name,
        )

    def box_text(self, row: int) -> str:
        """Return the box's four numbers as text."""
        return "[" + ", ".join(f"{value:.6g}" for value in self.boxes[row].tolist()) + "]"


@dataclass(slots=True, kw_only=True)
class RawAnnotationRows:
    """Collects images and boxes one by one, for readers of many small files or of lines."""

    numbered_by: Literal["line", "index"]
    images: Path | None
    class_names: tuple[str, ...] | None = None
    first_pixel: int = 0
    written_as_sizes: bool = False
    centred: bool = False
    spellings: Callable[[str], Sequence[str]] | None = None
    _names: list[str] = field(default_factory=list)
    _label_names: list[str] = field(default_factory=list)
    _files: list[str] = field(default_factory=list)
    _box_files: list[str] = field(default_factory=list)
    _sizes: list[tuple[int, int]] = field(default_factory=list)
    _lines: list[int] = field(default_factory=list)
    _boxes: list[tuple[int, tuple[float, float, float, float], int | str, int, bool, bool]] = field(
        default_factory=list
    )

    def add_image(
        self,
        name: str,
        *,
        file: str,
        line: int = -1,
        size: tuple[int, int] = (0, 0),
        box_file: str | None = None,
        label_name: str | None = None,
    ) -> int:
        """Add an image and return its row.

        Args:
            name: the image's name; empty if the file does not state it, which needs a `label_name`.
            file: the file that describes it.
            line: the line there.
            size: (width, height); 0 where it has none.
            box_file: the file that holds its boxes, if that is not `file`.
            label_name: the label file's own path (see `RawAnnotations.label_names`): for all images, or for none.
        """
        self._names.append(name)
        if label_name is not None:
            self._label_names.append(label_name)
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
        fractional: bool = False,
        crowd: bool = False,
    ) -> None:
        """Add a box to image row `image`; `label` is a class number if `class_names` is set, otherwise a name."""
        self._boxes.append((image, corners, label, number, fractional, crowd))

    def build(self) -> RawAnnotations:
        """Return everything that was added, as columns."""
        owners, boxes, labels, numbers, fractional, crowds = (
            zip(*self._boxes, strict=True) if self._boxes else ((),) * 6
        )
        names = self.class_names
        if names is None:
            names = tuple(sorted(set(labels)))
            number_of = {name: number for number, name in enumerate(names)}
            labels = tuple(number_of[name] for name in labels)
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
            fractional=np.array(fractional, dtype=np.bool_),
            labels=_integers(labels),
            crowds=np.array(crowds, dtype=np.bool_),
            areas=np.full(len(owners), np.nan),
            numbers=_integers(numbers),
            numbered_by=self.numbered_by,
            label_names=tuple(self._label_names),
            first_pixel=self.first_pixel,
            written_as_sizes=self.written_as_sizes,
            centred=self.centred,
            spellings=self.spellings,
        )


def _integers(values: Iterable[Any]) -> NDArray[np.int64]:
    return np.fromiter(values, dtype=np.int64)
