"""One reader a file, all to the same columns. A new format is one file here, its name in `FORMATS` and in the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from harness.data.formats import coco, createml, csv, labelme, voc, yolo

if TYPE_CHECKING:
    from pathlib import Path

    from harness.data.formats.reading import Source
    from harness.data.problems import Findings
    from harness.data.raw import RawAnnotations


class Format(Protocol):
    """What a reader's module offers."""

    def find(self, path: Path, /) -> dict[str, Source]:
        """The splits that lie under a path, by name (`all` where there are none); empty if this is another format.

        Raises:
            UnreadableError: it is this format, but cannot be used so.
        """

    def read(self, source: Source, findings: Findings, /) -> RawAnnotations:
        """All labels of one split; what is wrong with single entries goes to `findings`, and they are left out.

        Raises:
            UnreadableError: nothing of it can be read.
        """


FORMATS: dict[str, Format] = {  # in the order in which `auto` tries them
    "yolo": yolo,
    "coco": coco,
    "createml": createml,
    "labelme": labelme,
    "voc": voc,
    "csv": csv,
}
