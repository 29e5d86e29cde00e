"""Annotation formats: each module reads one format into the same columns.

A new format needs one module here, an entry in `FORMATS`, and its name in `harness.suite.formats`. `source`, `files`,
`json_text`, `xml_text`, `csv_columns`, `splits`, `paths`, `image_lists`, `shapes` and `values` are what readers share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from harness.data.formats import (
    coco,
    createml,
    csv,
    cvat,
    huggingface,
    kitti,
    labelme,
    labelstudio,
    openimages,
    via,
    voc,
    yolo,
)

if TYPE_CHECKING:
    from pathlib import Path

    from harness.data.formats.source import Source
    from harness.data.problems import Findings
    from harness.data.raw import RawAnnotations


class Format(Protocol):
    """The functions that the module of a format has."""

    def find(self, path: Path, /) -> dict[str, Source]:
        """Find the splits below a path, by name.

        Returns:
            The splits; `all` if the data are not divided into splits; empty if the path holds another format.

        Raises:
            UnreadableError: the path holds this format, but it cannot be used.
        """

    def read(self, source: Source, findings: Findings, /) -> RawAnnotations:
        """Read all annotations of one split; bad entries are left out and reported in `findings`.

        Raises:
            UnreadableError: the split cannot be read at all.
        """


FORMATS: dict[str, Format] = {  # in the order in which `auto` tries them
    "yolo": yolo,
    "via": via,
    "labelstudio": labelstudio,
    "coco": coco,
    "createml": createml,
    "labelme": labelme,
    "cvat": cvat,
    "voc": voc,
    "openimages": openimages,
    "kitti": kitti,
    "huggingface": huggingface,
    "csv": csv,
}
