"""Label Studio's JSON (a list of tasks with their annotations) and JSON-MIN (a list of annotations).

https://labelstud.io/guide/export#JSON

Of several annotations of one task one counts: the ground truth, else the latest. A task that nobody annotated, or that
its annotator skipped, says nothing about its image and is left out. An annotation without regions says that its image
has no object.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from harness.data.formats.files import ends_of_file, read_bytes
from harness.data.formats.json_text import decode_json
from harness.data.formats.labelstudio_regions import (
    Region,
    bounds,
    image_reference,
    is_point,
    labels_of,
    spellings,
)
from harness.data.formats.source import Source, UnreadableError
from harness.data.formats.splits import find_files
from harness.data.formats.values import image_size
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_SUFFIX = frozenset({".json"})
_IN_TASKS = (re.compile(rb'"data"\s*:\s*\{'), re.compile(rb'"(annotations|completions)"\s*:\s*\['))
_IN_MIN = re.compile(rb'"(rectangle|polygon|ellipse|brush|keypoint)labels"\s*:|"annotation_id"\s*:')
_SHAPE_KEYS = frozenset({"x", "points", "rle", "imageDataURL", "sequence"})
_GEOMETRY = ("x", "y", "width", "height", "radiusX", "radiusY", "points", "rle", "imageDataURL", "sequence")


class _Result(msgspec.Struct):
    value: dict[str, Any] = msgspec.field(default_factory=dict)
    id: str | int | None = None
    original_width: float | None = None
    original_height: float | None = None
    image_rotation: float | None = None


class _Annotation(msgspec.Struct):
    result: list[msgspec.Raw]
    was_cancelled: bool | None = None
    ground_truth: bool | None = None
    updated_at: str | None = None
    created_at: str | None = None


class _Task(msgspec.Struct):
    data: dict[str, Any]
    annotations: list[_Annotation] | None = None
    completions: list[_Annotation] | None = None  # of versions before 1.0
    predictions: list[Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """One image that was annotated: where the file says it, what names it, and its regions."""

    place: Place
    reference: str
    regions: Sequence[Region]


def find(path: Path) -> dict[str, Source]:
    """Find one file, or files that are named after splits or lie in folders that are."""
    return find_files(path, "labelstudio", _SUFFIX, _is_export)


def _is_export(path: Path) -> bool:
    text = ends_of_file(path).lstrip(b"\xef\xbb\xbf \t\r\n")
    return text.startswith(b"[") and bool(_IN_MIN.search(text) or all(word.search(text) for word in _IN_TASKS))


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one export.

    Raises:
        UnreadableError: the file is not a JSON list.
    """
    path = str(source.annotations)
    rows = RawAnnotationRows(numbered_by="index", images=source.images, spellings=spellings)
    only_class = source.class_names[0] if source.class_names and len(source.class_names) == 1 else None
    for image in _images(path, decode_json(read_bytes(source.annotations), list[msgspec.Raw]), findings):
        size = next((region.size for region in image.regions if all(region.size)), (0, 0))
        row = rows.add_image(image.reference, file=path, size=size)
        for region in image.regions:
            place = replace(image.place, annotation=region.number)
            try:
                if is_point(region.value):
                    findings.add("left_out", replace(place, detail="a key point has no area"))
                    continue
                box, label = bounds(region), _label(region, only_class)
            except UnreadableError as error:
                findings.add("unreadable_annotation", replace(place, detail=error.detail))
                continue
            rows.add_box(row, box, label, number=region.number, fractional=True)
    return rows.build()


def _label(region: Region, only_class: str | None) -> str:
    """Return the class of a region.

    Raises:
        UnreadableError: it has none, or several.
    """
    labels = labels_of(region.value)
    if len(labels) > 1:
        raise UnreadableError(f"a region of several labels ({', '.join(labels)[:200]}), expected one")
    if not labels and only_class is None:
        raise UnreadableError(
            "a region without a label; if all are of one class, name it in the suite (classes: [NAME])"
        )
    return labels[0] if labels else str(only_class)


def _images(path: str, entries: Iterable[msgspec.Raw], findings: Findings) -> list[_Image]:
    """Return the annotated images of a file; report entries that cannot be read, and what is left out."""
    images: list[_Image] = []
    # Of each task in JSON-MIN, the time of its latest annotation, and that one's index in `images`.
    latest: dict[object, tuple[str, int]] = {}
    for index, raw in enumerate(entries):
        place = Place(file=path, detail=f"[{index}]")
        try:
            entry = decode_json(bytes(raw), dict[str, Any])
            if "data" in entry and not isinstance(entry["data"], str):
                image = _of_task(decode_json(bytes(raw), _Task), place, findings)
                images += [image] if image else []
                continue
            image = _of_annotation(entry, place)
        except UnreadableError as error:
            findings.add("unreadable_annotation", replace(place, detail=f"[{index}]: {error.detail}"))
            continue
        time = str(entry.get("updated_at") or entry.get("created_at") or "")
        task = repr(entry.get("id", index))
        before, number = latest.setdefault(task, (time, len(images)))
        if number == len(images):
            images.append(image)
            continue
        findings.add("left_out", replace(image.place, detail="another annotation of it, of which the latest counts"))
        if time >= before:
            images[number], latest[task] = image, (time, number)
    return images


def _of_task(task: _Task, place: Place, findings: Findings) -> _Image | None:
    """Return the image of a task with the annotation that counts; None if none does, which is reported."""
    reference = image_reference(task.data)
    place = replace(place, image=_name(reference), detail="")
    annotations = task.annotations or task.completions or []
    finished = [annotation for annotation in annotations if not annotation.was_cancelled]
    if not finished:
        reason = "skipped by its annotator" if annotations else "not annotated"
        findings.add("left_out", replace(place, detail=f"{reason}{', predicted only' if task.predictions else ''}"))
        return None
    truths = [annotation for annotation in finished if annotation.ground_truth] or finished
    order = [(annotation.updated_at or annotation.created_at or "", index) for index, annotation in enumerate(truths)]
    chosen = truths[max(order)[1]]
    if len(finished) > 1:
        said = "the ground truth" if chosen.ground_truth else "the latest"
        findings.add("left_out", replace(place, detail=f"{len(finished) - 1} other annotations of it; {said} counts"))
    if task.predictions:
        findings.add("left_out", replace(place, detail="predictions of a model, beside its annotation"))
    return _Image(place=place, reference=reference, regions=_of_results(chosen.result, place, findings))


def _of_results(results: Sequence[msgspec.Raw], place: Place, findings: Findings) -> list[Region]:
    """Return the regions of an annotation; what several control tags say about one region has one id.

    Imported annotations may give one id to regions that differ, which are regions of their own.
    """
    regions: dict[object, list[Region]] = {}
    for number, raw in enumerate(results):
        try:
            result = decode_json(bytes(raw), _Result)
        except UnreadableError as error:
            findings.add("unreadable_annotation", replace(place, annotation=number, detail=error.detail))
            continue
        same_id = regions.setdefault(number if result.id is None else repr(result.id), [])
        index = next(
            (index for index, before in enumerate(same_id) if _agree(before.value, result.value)), len(same_id)
        )
        before = same_id[index] if index < len(same_id) else None
        region = Region(
            value={**before.value, **result.value} if before else result.value,
            size=image_size(result.original_width, result.original_height),
            turned=result.image_rotation or 0,
            number=before.number if before else number,
        )
        same_id[index : index + 1] = [region]
    found = sorted(itertools.chain.from_iterable(regions.values()), key=lambda region: region.number)
    return [region for region in found if _SHAPE_KEYS & region.value.keys() or labels_of(region.value)]


def _agree(value: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two values can be of one region: of one shape, or one of none, and without different labels."""
    have_shapes = _SHAPE_KEYS & value.keys() and _SHAPE_KEYS & other.keys()
    if have_shapes and _shape(value) != _shape(other):
        return False
    return all(value[key] == other[key] for key in value.keys() & other.keys() if key.endswith("labels"))


def _of_annotation(entry: Mapping[str, Any], place: Place) -> _Image:
    """Return the image of an entry of JSON-MIN, which has the regions of each control tag under the tag's name."""
    reference = image_reference(entry)
    values = [
        value
        for items in entry.values()
        if isinstance(items, list)
        for value in items
        if isinstance(value, dict) and (_SHAPE_KEYS & value.keys() or labels_of(value))
    ]
    labelled = [_shape(value) for value in values if labels_of(value)]
    regions = [
        Region(
            value=value,
            size=image_size(value.get("original_width"), value.get("original_height")),
            turned=value.get("image_rotation") or 0,
            number=number,
        )
        for number, value in enumerate(values)
        if labels_of(value) or _shape(value) not in labelled  # one tag draws the region, another one labels it
    ]
    return _Image(place=replace(place, image=_name(reference), detail=""), reference=reference, regions=regions)


def _shape(value: Mapping[str, Any]) -> tuple[object, ...]:
    return (value.get("rotation") or 0, *(value.get(key) for key in _GEOMETRY))


def _name(reference: str) -> str:
    return spellings(reference)[-1]
