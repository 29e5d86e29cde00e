"""The regions in a project of VIA 3, by the names that VIA 1 and 2 give to shapes and attributes.

A view shows one file. A region belongs to a view and has its shape as a number with coordinates. The values of its
attributes are the numbers of options, whose texts the project declares. Projects of videos are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from harness.data.formats.json_text import decode_json
from harness.data.formats.source import UnreadableError
from harness.data.problems import Findings, Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_IMAGE = 2
_CHECKBOX = 2
_SHAPES = {
    1: ("point", "cx", "cy"),
    2: ("rect", "x", "y", "width", "height"),
    3: ("circle", "cx", "cy", "r"),
    4: ("ellipse", "cx", "cy", "rx", "ry"),
}
_OF_POINTS = {5: "polyline", 6: "polyline", 7: "polygon", 8: "polygon"}  # 8: the four outermost points of an object


class _File(msgspec.Struct):
    fname: str
    type: int = _IMAGE


class _View(msgspec.Struct):
    fid_list: list[int | str]


class _Attribute(msgspec.Struct):
    aname: str
    type: int = 1
    options: dict[str, str] = msgspec.field(default_factory=dict)


class _Metadata(msgspec.Struct):
    vid: int | str
    xy: list[float] = msgspec.field(default_factory=list)
    av: dict[str, Any] = msgspec.field(default_factory=dict)


class _Project(msgspec.Struct):
    file: dict[str, _File]
    view: dict[str, _View]
    metadata: dict[str, msgspec.Raw]
    attribute: dict[str, _Attribute] = msgspec.field(default_factory=dict)


def read_project(data: bytes, path: Path, findings: Findings) -> list[tuple[str, list[bytes]]]:
    """Return the name of each image, and its regions as VIA 2 would write them.

    Raises:
        UnreadableError: it is no project, or one of videos.
    """
    project = decode_json(data, _Project)
    images: dict[str, tuple[str, list[bytes]]] = {}
    for number, view in project.view.items():
        files = [project.file[str(file)] for file in view.fid_list if str(file) in project.file]
        if len(files) != 1 or files[0].type != _IMAGE:
            raise UnreadableError("this is a project of VIA 3 for videos or pairs of files; only its images are read")
        images[number] = (files[0].fname, [])
    for key, raw in project.metadata.items():
        try:
            entry = decode_json(bytes(raw), _Metadata)
        except UnreadableError as error:
            findings.add("unreadable_annotation", Place(file=str(path), detail=f"metadata {key}: {error.detail}"))
            continue
        if str(entry.vid) not in images:
            detail = f"metadata {key}: there is no view {entry.vid}"
            findings.add("unreadable_annotation", Place(file=str(path), detail=detail))
        elif entry.xy:  # else it says something about the whole image
            attributes = dict(_attribute(project.attribute, *item) for item in entry.av.items())
            region = {"shape_attributes": _shape(entry.xy), "region_attributes": attributes}
            images[str(entry.vid)][1].append(msgspec.json.encode(region))
    return list(images.values())


def _shape(xy: list[float]) -> dict[str, Any]:
    kind, values = xy[0], xy[1:]
    if kind in _OF_POINTS:
        return {"name": _OF_POINTS[int(kind)], "all_points_x": values[::2], "all_points_y": values[1::2]}
    name, *keys = _SHAPES.get(int(kind) if kind.is_integer() else 0, (f"shape {kind:g}",))
    return {"name": name, **dict(zip(keys, values, strict=False))}


def _attribute(attributes: Mapping[str, _Attribute], number: str, value: object) -> tuple[str, object]:
    """Return an attribute's name and its value: the text of the chosen option or, of a checkbox, of each ticked one."""
    attribute = attributes.get(number, _Attribute(aname=number))
    if attribute.type == _CHECKBOX and isinstance(value, str):
        chosen = [option.strip() for option in value.split(",") if option.strip()]
        return attribute.aname, {attribute.options.get(option, option): True for option in chosen}
    return attribute.aname, attribute.options.get(str(value), value)
