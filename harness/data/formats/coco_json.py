"""The entries of a COCO file, and decoding them one by one where the file does not keep to the format's types.

Tolerated is what has one meaning only: numbers, ids and flags as text or as floats, ids that are no numbers, a polygon
in the place of a box, an area of any kind. `harness.data.formats.coco` joins the entries by their ids.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from harness.data.formats.coco_ids import MAX_ID, NO_ID, Ids, LooseId
from harness.data.formats.files import read_bytes
from harness.data.formats.json_text import decode_json
from harness.data.formats.shapes import bounds_of_points
from harness.data.formats.source import UnreadableError
from harness.data.formats.values import number
from harness.data.problems import Findings, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")
Loose = TypeVar("Loose")

_Id = Annotated[int, msgspec.Meta(ge=-MAX_ID, le=MAX_ID)]
_Side = Annotated[float, msgspec.Meta(ge=0, lt=2**31)]  # some tools write 640.0
_FLAGS = {"": 0, "0": 0, "false": 0, "no": 0, "none": 0, "null": 0, "1": 1, "true": 1, "yes": 1}
_BOX = 4
_MIN_POLYGON = 6  # numbers: three points
_MAX_UNREADABLE = 10_000  # unreadable entries of one list after which the whole file is refused


class Image(msgspec.Struct, gc=False):
    """An image's entry."""

    id: _Id
    file_name: str
    width: _Side | None = None
    height: _Side | None = None
    split: Any = None


class Category(msgspec.Struct, gc=False):
    """A class."""

    id: _Id
    name: str


class Annotation(msgspec.Struct, gc=False):
    """A box: x, y, width, height."""

    image_id: _Id
    category_id: _Id
    bbox: tuple[float, float, float, float]
    id: _Id = NO_ID
    area: float | None = None
    iscrowd: int | bool | None = 0


class File(msgspec.Struct):
    """The whole file; `categories` is None if it has no such list."""

    images: list[Image]
    categories: list[Category] | None
    annotations: list[Annotation] = msgspec.field(default_factory=list)


class _LooseImage(msgspec.Struct, gc=False):
    id: LooseId
    file_name: str | None = None
    coco_url: str | None = None
    width: _Side | None = None
    height: _Side | None = None
    split: Any = None


class _LooseCategory(msgspec.Struct, gc=False):
    id: LooseId
    name: str | int | float


class _LooseAnnotation(msgspec.Struct, gc=False):
    image_id: LooseId
    category_id: LooseId
    bbox: list[float | None] | None = None
    id: LooseId | None = None
    area: Any = None
    iscrowd: int | float | bool | str | None = 0


class _Outline(msgspec.Struct, gc=False):
    segmentation: Any = None


class _LooseFile(msgspec.Struct):
    images: list[msgspec.Raw]
    categories: list[msgspec.Raw] | None = None
    annotations: list[msgspec.Raw] | None = None


def decode_entries(path: Path, findings: Findings) -> tuple[File, dict[int, str]]:
    """Decode the file entry by entry, and report every bad one.

    Returns:
        The file; and the ids that are no whole numbers, by the numbers that stand for them.

    Raises:
        UnreadableError: it is not COCO JSON, or too many of its entries cannot be read.
    """
    loose, ids = decode_json(read_bytes(path), _LooseFile), Ids()

    def image(entry: _LooseImage, _raw: msgspec.Raw) -> Image:
        name = entry.file_name or (entry.coco_url or "").rpartition("/")[2]
        if not name:
            raise UnreadableError("no file_name")
        return Image(id=ids.number(entry.id), file_name=name, width=entry.width, height=entry.height, split=entry.split)

    def category(entry: _LooseCategory, _raw: msgspec.Raw) -> Category:
        return Category(id=ids.number(entry.id), name=str(entry.name))

    def annotation(entry: _LooseAnnotation, raw: msgspec.Raw) -> Annotation:
        return Annotation(
            image_id=ids.number(entry.image_id),
            category_id=ids.number(entry.category_id),
            bbox=_box(entry.bbox) if entry.bbox else _bounds(raw),
            id=NO_ID if entry.id is None or entry.id == "" else ids.number(entry.id),
            area=_area(entry.area),
            iscrowd=_flag(entry.iscrowd),
        )

    entries = _Entries(path, findings)
    file = File(
        images=entries.read("images", loose.images, _LooseImage, image),
        categories=None
        if loose.categories is None
        else entries.read("categories", loose.categories, _LooseCategory, category),
        annotations=entries.read("annotations", loose.annotations or [], _LooseAnnotation, annotation),
    )
    return file, ids.texts()


class _Entries:
    """Decodes the entries of a file's lists and reports those that cannot be read."""

    def __init__(self, path: Path, findings: Findings) -> None:
        self._path = path
        self._findings = findings

    def read(
        self, key: str, raws: Sequence[msgspec.Raw], loose_type: type[Loose], convert: Callable[[Loose, msgspec.Raw], T]
    ) -> list[T]:
        """Return the entries that can be read.

        Raises:
            UnreadableError: too many cannot be.
        """
        decoder, decoded, bad = msgspec.json.Decoder(loose_type, strict=False), [], 0
        for index, raw in enumerate(raws):
            try:
                decoded.append(convert(decoder.decode(raw), raw))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, UnreadableError) as error:
                ids = _entry_ids(raw)
                place = Place(
                    file=str(self._path),
                    image=ids.get("image_id", ids.get("id") if key == "images" else None),
                    annotation=ids.get("id", index) if key == "annotations" else None,
                    detail=f"{key}[{index}]: {str(error).replace('`$.', '`')}",
                )
                self._findings.add("unreadable_annotation", place)
                bad += 1
                if bad > _MAX_UNREADABLE:
                    raise UnreadableError(f"more than {_MAX_UNREADABLE:,} of its {key} cannot be read") from None
        return decoded


def _entry_ids(raw: msgspec.Raw) -> dict[str, Any]:
    """Return the ids of an entry that does not match the schema."""
    try:
        entry = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    fields = entry if isinstance(entry, dict) else {}
    return {key: fields[key] for key in ("id", "image_id") if type(fields.get(key)) in {int, str}}


def _box(sides: Sequence[float | None]) -> tuple[float, float, float, float]:
    """Return a box of four numbers; null, which stands for a NaN in the file, becomes NaN."""
    if len(sides) != _BOX:
        raise UnreadableError(f"Expected `array` of length 4, got {len(sides)} - at `bbox`")
    x, y, width, height = (math.nan if side is None else side for side in sides)
    return x, y, width, height


def _bounds(raw: msgspec.Raw) -> tuple[float, float, float, float]:
    """Return x, y, width and height of the bounds of an annotation's polygons, where it has no box.

    Raises:
        UnreadableError: it has no polygon either.
    """
    outline = msgspec.json.decode(raw, type=_Outline).segmentation
    if isinstance(outline, dict):
        raise UnreadableError(
            "no bbox, and its segmentation is a run-length mask, which is not read: export it with boxes"
        )
    values = _flat(outline)
    if len(values) < _MIN_POLYGON or len(values) % 2:
        raise UnreadableError("no bbox, and no polygon in its segmentation")
    left, top, right, bottom = bounds_of_points(values[::2], values[1::2])
    return left, top, right - left, bottom - top


def _flat(outline: object) -> list[float]:
    """Return the numbers of polygons, [x, y, x, y, …], however they are nested."""
    if isinstance(outline, list):
        return [value for part in outline for value in _flat(part)]
    return [number(str(outline))]


def _area(value: object) -> float | None:
    """Return a declared area, which may be text or a list of one; None, for the box's own area, if it is no number."""
    values = _flat(value)
    return values[0] if len(values) == 1 and not math.isnan(values[0]) else None


def _flag(value: float | str | None) -> bool:
    """Return whether `iscrowd` is set.

    Raises:
        UnreadableError: the text says neither yes nor no.
    """
    if not isinstance(value, str):
        return bool(value)
    text = value.strip().lower()
    flag = _FLAGS.get(text, number(text))
    if math.isnan(flag):
        raise UnreadableError(f"iscrowd: expected 0 or 1, got {value[:40]!r}")
    return bool(flag)
