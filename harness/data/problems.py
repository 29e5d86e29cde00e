"""What can be wrong with labelled images: every code once, with its severity, its meaning and what to do about it.

Owns collecting and telling. Whoever finds something adds it here; the check, the run and `--json` show the same text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Severity = Literal["error", "warning"]

_KEPT_PLACES = 20
_SHOWN_PLACES = 5


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of problem."""

    severity: Severity
    message: str
    hint: str


CODES: dict[str, Code] = {
    "unreadable_annotation": Code(
        "error", "annotations that cannot be read", "mend the entry or export it again from the labelling tool"
    ),
    "missing_image": Code(
        "error", "images that are labelled but not there", "copy them into place, or take their annotations out"
    ),
    "unreadable_image": Code(
        "error", "files that cannot be read as an image", "get the original again, or take the image out"
    ),
    "path_escapes_root": Code(
        "error",
        "image paths that leave the folder of the images",
        "write paths relative to that folder, with forward slashes; copy what lies elsewhere into it",
    ),
    "duplicate_image_id": Code(
        "error", "images that are described more than once", "give every image one id, one name and one entry"
    ),
    "duplicate_annotation_id": Code(
        "error", "annotation ids that stand there more than once", "number the annotations anew, each once"
    ),
    "unknown_image_id": Code(
        "error", "annotations of images that are not in the file", "add the image's entry, or delete the annotation"
    ),
    "unknown_class": Code(
        "error",
        "boxes of a class that is not in the list of classes",
        "add the class to the list (of train, where each split has its own), or correct the box's class",
    ),
    "not_a_number": Code(
        "error", "boxes with a value that is no finite number", "write four finite numbers, or delete the box"
    ),
    "degenerate_box": Code("error", "boxes without area, or with swapped corners", "draw the box again, or delete it"),
    "box_outside_image": Code(
        "error",
        "boxes that lie wholly outside their image",
        "check the image's size and the unit of the numbers; delete the box if it is a slip",
    ),
    "empty_split": Code(
        "error",
        "splits without a usable image, or without a box to learn from",
        "give the split images and labels, or leave it out; look whether the labels were found",
    ),
    "leakage": Code(
        "error",
        "images that stand in two splits, pixel for pixel",
        "keep each in one split: accuracy on an image that was trained on is worth nothing",
    ),
    "box_crosses_border": Code(
        "warning",
        "boxes that reach more than half a pixel over their image's border",
        "nothing: they are clipped to the image when read",
    ),
    "duplicate_box": Code(
        "warning", "boxes drawn twice: same class, IoU above 0.95", "delete one of the two; both count as objects"
    ),
    "tiny_box": Code(
        "warning",
        "boxes below 16 pixels² or thinner than 2 pixels",
        "look whether they are slips of the mouse; detectors hardly learn objects this small",
    ),
    "not_normalized": Code(
        "warning",
        "YOLO values above 1",
        "divide by the image's width and height; values of 2 and more are read as pixels, smaller ones clipped",
    ),
    "size_mismatch": Code(
        "warning",
        "images of another size than their annotations say",
        "look whether the boxes fit (harness data show): the file's own size counts, boxes are not rescaled",
    ),
    "exif_rotated": Code(
        "warning",
        "images that are turned by their EXIF orientation",
        "nothing, if the boxes were drawn on the upright picture: every command here turns it upright first",
    ),
    "corrupt_tail": Code(
        "warning",
        "JPEGs that end early",
        "get the original again; what is missing is trained on as a flat area",
    ),
    "name_case_mismatch": Code(
        "warning",
        "names that differ from the file's in upper and lower case",
        "rename one of the two; the file is found here, but not by every tool",
    ),
    "class_without_boxes": Code(
        "warning", "classes without a single box", "take the class out of the list, or label some of its objects"
    ),
    "class_missing_in_split": Code(
        "warning",
        "classes that one split has boxes of and another has not",
        "split anew (split: {stratify: true}), or add images: what a split lacks is not learned or not measured there",
    ),
    "rare_class": Code(
        "warning",
        "classes with few boxes to train on: below 10, and below a fifth of the average class",
        "label more of them, or expect that they are not found",
    ),
    "near_duplicate_images": Code(
        "warning",
        "images in two splits that look the same",
        "put frames of one video, or copies of one picture, into one split (split: {group_by: …})",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a problem is.

    Attributes:
        file: the annotation file, or the image where the image itself is the matter.
        line: from 1, in files of lines and XML.
        image: its id in COCO, else its name as the annotations give it.
        annotation: its id in COCO, else its place among the image's annotations, from 0.
        detail: what exactly was found there.
    """

    file: str
    line: int | None = None
    image: int | str | None = None
    annotation: int | None = None
    detail: str = ""

    def __str__(self) -> str:
        text = self.file if self.line is None else f"{self.file}:{self.line}"
        within = [f"image {self.image}"] if self.image is not None else []
        within += [f"annotation {self.annotation}"] if self.annotation is not None else []
        parts = [text, ", ".join(within), self.detail]
        return printable(": ".join(part for part in parts if part))

    def as_json(self) -> dict[str, Any]:
        """Only what is known."""
        known = {name: getattr(self, name) for name in ("line", "image", "annotation", "detail")}
        return {"file": self.file, **{name: value for name, value in known.items() if value not in {None, ""}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """All of one kind: how many, and the first places."""

    code: str
    count: int
    places: tuple[Place, ...]

    @property
    def severity(self) -> Severity:
        """Whether it stops a run."""
        return CODES[self.code].severity

    def __str__(self) -> str:
        code = CODES[self.code]
        lines = [f"{code.severity} {self.code} ({self.count}): {code.message}"]
        lines += [f"    {place}" for place in self.places[:_SHOWN_PLACES]]
        if self.count > _SHOWN_PLACES:
            lines.append(f"    … and {self.count - _SHOWN_PLACES:,} more")
        return "\n".join([*lines, f"  what to do: {code.hint}"])

    def as_json(self) -> dict[str, Any]:
        """The problem as `harness data check --json` prints it."""
        code = CODES[self.code]
        return {
            "code": self.code,
            "severity": code.severity,
            "count": self.count,
            "message": code.message,
            "hint": code.hint,
            "places": [place.as_json() for place in self.places],
        }


@dataclass(slots=True)
class Findings:
    """Collects problems while data are read: counts all, keeps the first places of each kind."""

    _counts: dict[str, int] = field(default_factory=dict)
    _places: dict[str, list[Place]] = field(default_factory=dict)

    def add(self, code: str, *places: Place) -> None:
        """One problem for each place."""
        self.add_many(code, len(places), places)

    def add_many(self, code: str, count: int, places: Iterable[Place]) -> None:
        """`count` problems; no more of `places` are made than are kept."""
        if code not in CODES:
            raise KeyError(code)
        if count:
            self._counts[code] = self._counts.get(code, 0) + count
            kept = self._places.setdefault(code, [])
            kept.extend(islice(places, _KEPT_PLACES - len(kept)))

    def problems(self, severity: Severity | None = None) -> tuple[Problem, ...]:
        """Errors first, each kind once, in the order of `CODES`."""
        found = (
            Problem(code=code, count=self._counts[code], places=tuple(self._places[code]))
            for code in CODES
            if code in self._counts
        )
        return tuple(problem for problem in found if severity in {None, problem.severity})


def printable(text: str) -> str:
    """On one line, and without what a terminal would obey or cannot encode."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain)
