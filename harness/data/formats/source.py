"""Where the annotations of one split lie, and the errors that say why they cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.data.problems import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the annotations of one split lie.

    Attributes:
        format: the name of the annotation format.
        annotations: a file, or a folder with one file per image.
        images: the folder that image names are relative to; None if it must be guessed.
        listing: text files that name the split's images (VOC, YOLO, KITTI), or folders of images (YOLO); empty for all
            images.
        class_names: the classes of the suite, or of a file beside the labels (YOLO), for formats whose reader needs
            them to tell what a label means; else None.
        columns: the names of the CSV columns by their meaning; for VIA, that of the attribute that is the `class`.
        base: for YOLO, the folder that the paths of data.yaml are relative to; nothing outside it is read.
        has_keypoints: for YOLO, whether key points follow the box in each line.
        subsets: for CVAT, the subsets of the project that make up the split; empty for all images.
        normalised: whether boxes are fractions of their image's sides, though the format has pixels.
        on_name_conflict: whether the name of a label file (`stem`) or the name in it (`inside`) says which image it
            belongs to, if both name an image; None if that is an error.
        corners_from: the number of an image's first pixel in VOC files.
        absent: for YOLO, whether none of the folders and lists that should name the split's images exists.
        problems: what was found wrong with the file that names the splits: codes and places.
    """

    format: str
    annotations: Path
    images: Path | None = None
    listing: tuple[Path, ...] = ()
    class_names: tuple[str, ...] | None = None
    columns: Mapping[Any, str] | None = None
    base: Path | None = None
    has_keypoints: bool = False
    subsets: tuple[str, ...] = ()
    normalised: bool = False
    on_name_conflict: Literal["stem", "inside"] | None = None
    corners_from: int = 1
    absent: bool = False
    problems: tuple[tuple[str, Place], ...] = ()


class UnreadableError(Exception):
    """A file, or a part of it, cannot be read.

    Attributes:
        detail: what is wrong.
        line: the line number, or None.
        file: the file, if it is another one than the caller reads.
        code: the kind of problem that it is.
    """

    code = "unreadable_annotation"

    def __init__(self, detail: str, line: int | None = None, file: Path | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.line = line
        self.file = file


class EscapeError(UnreadableError):
    """A file names images outside the dataset's folder."""

    code = "path_escapes_root"


class OtherFormatError(UnreadableError):
    """The labels are in another format than those that are read, or than the one that is named."""

    code = "other_format"
