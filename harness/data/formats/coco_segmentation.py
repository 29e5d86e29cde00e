"""The segmentations of a COCO file: polygons, and masks as run lengths, plain or compressed (cocoapi's maskApi).

`harness.data.formats.coco` reads boxes and passes over these; `harness.data.masks` draws them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from harness.data.formats.coco_ids import Ids, LooseId
from harness.data.formats.files import read_bytes
from harness.data.formats.json_text import decode_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_MIN_POLYGON = 6  # numbers: three points
_POINT = 2
_OFFSET, _PAYLOAD, _MORE, _SIGN, _BITS = 48, 0x1F, 0x20, 0x10, 5  # of a character of compressed run lengths


class SegmentationError(Exception):
    """An annotation has no outline that can be drawn; the text says what it has."""


class _Annotation(msgspec.Struct, gc=False):
    id: LooseId | None = None
    segmentation: msgspec.Raw = msgspec.Raw(b"")


class _File(msgspec.Struct):
    annotations: list[_Annotation] = msgspec.field(default_factory=list)


def read_segmentations(path: Path, wanted: Sequence[int | str]) -> tuple[bytes, ...]:
    """The JSON of the segmentation of each wanted annotation; empty where it has none.

    Args:
        path: a COCO file.
        wanted: the annotations' ids, or the index in the file's list of one that has no id.

    Raises:
        UnreadableError: the file is not COCO JSON.
    """
    annotations, ids = decode_json(read_bytes(path), _File).annotations, Ids()
    numbers = [None if one.id is None or one.id == "" else ids.number(one.id) for one in annotations]
    texts = ids.texts()
    found: dict[int | str, msgspec.Raw] = {
        index: one.segmentation for index, one in enumerate(annotations) if numbers[index] is None
    }
    for number, one in zip(numbers, annotations, strict=True):
        if number is not None:
            found.setdefault(texts.get(number, number), one.segmentation)
    none = msgspec.Raw(b"")
    return tuple(bytes(found.get(key, none)) for key in wanted)


def polygons_of(segmentation: object) -> list[list[float]]:
    """The polygons of a segmentation, each [x, y, x, y, …] in pixels, however they are nested.

    Raises:
        SegmentationError: it has none of three points.
    """
    parts = segmentation if isinstance(segmentation, list) else []
    if all(_is_number(part) or (isinstance(part, list) and len(part) == _POINT) for part in parts):
        parts = [parts]  # one polygon, of numbers or of points
    polygons = [numbers for part in parts if len(numbers := _numbers(part)) >= _MIN_POLYGON and not len(numbers) % 2]
    if not polygons:
        raise SegmentationError("no segmentation" if segmentation in (None, [], [[]]) else "no polygon of three points")
    return polygons


def filled(runs: Mapping[str, Any], width: int, height: int) -> NDArray[np.uint8]:
    """The mask that run lengths describe: 0 or 1, [height, width]. They go down one column after the other.

    Raises:
        SegmentationError: they are of another size, or no run lengths.
    """
    counts = runs.get("counts")
    if runs.get("size") != [height, width]:
        raise SegmentationError(f"a run-length mask of size {runs.get('size')}, expected [{height}, {width}]")
    lengths = _decompressed(counts) if isinstance(counts, str) else counts
    if not isinstance(lengths, list) or not all(isinstance(length, int) and length >= 0 for length in lengths):
        raise SegmentationError("a run-length mask whose counts are no whole numbers")
    if sum(lengths) != width * height:
        raise SegmentationError(f"a run-length mask of {sum(lengths)} pixels in an image of {width} × {height}")
    values = np.arange(len(lengths)) % 2
    return np.repeat(values, lengths).astype(np.uint8).reshape(width, height).T


def _decompressed(text: str) -> list[int]:
    """The run lengths of a compressed mask: five bits a character; from the third on, differences to the last but one.

    Raises:
        SegmentationError: the text ends within a number, or has other characters.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text.encode():
        bits = character - _OFFSET
        if not 0 <= bits <= _PAYLOAD | _MORE:
            raise SegmentationError("a compressed run-length mask with characters that none has")
        value |= (bits & _PAYLOAD) << shift
        shift += _BITS
        if bits & _MORE:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > _POINT else 0))
        value = shift = 0
    if shift:
        raise SegmentationError("a compressed run-length mask that is cut off")
    return lengths


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(part: object) -> list[float]:
    """All numbers in a list, in order; none if it holds anything else."""
    if _is_number(part):
        return [float(part)]  # type: ignore[arg-type]
    inside = [_numbers(one) for one in part] if isinstance(part, list) else []
    return [number for numbers in inside for number in numbers] if all(inside) else []
