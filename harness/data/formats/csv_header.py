"""What the columns of a CSV of boxes hold: by its header, by the suite, or by their order where there is no header.

A box is two corners, or a corner or a centre with a width and a height. `width` and `height` are the image's beside two
corners, or beside another width and height of the box; else they are the box's.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.data.formats.source import UnreadableError
from harness.data.formats.values import image_size, number

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_SIZES = (("w", "width"), ("h", "height"))  # the box's, and the image's, which are the box's where it has none else
_WHOLE_BOX = {"bbox", "box", "bounding_box"}  # four numbers in one cell
_PLAIN = ("image", "x1", "y1", "x2", "y2", "class")  # the order of the columns without a header
# Header words of TensorFlow's and Roboflow's exports, of Kaggle's sets, and those that people write by hand. Of several
# in one header the first counts.
_WORDS = {
    "image": "image path filename file_name file image_path image_name imagename imagepath image_file image_filename "
    "filepath file_path img img_path img_name img_file image_id imageid img_id frame",
    "x1": "x1 xmin x_min min_x left x_left bbox_x1 bbox_xmin bbox_x_min bbox_left box_x1 x bbox_x box_x col_x",
    "y1": "y1 ymin y_min min_y top y_top bbox_y1 bbox_ymin bbox_y_min bbox_top box_y1 y bbox_y box_y row_y",
    "x2": "x2 xmax x_max max_x right x_right bbox_x2 bbox_xmax bbox_x_max bbox_right box_x2",
    "y2": "y2 ymax y_max max_y bottom y_bottom bbox_y2 bbox_ymax bbox_y_max bbox_bottom box_y2",
    "cx": "cx xc x_c xcenter x_center center_x xcentre x_centre centre_x bbox_cx bbox_x_center",
    "cy": "cy yc y_c ycenter y_center center_y ycentre y_centre centre_y bbox_cy bbox_y_center",
    "w": "w bw bbox_w box_w bbox_width box_width",
    "h": "h bh bbox_h box_h bbox_height box_height",
    "class": "class label class_name name category label_name category_name classname labelname cls object_class "
    "class_id label_id category_id classid",
    "width": "width image_width img_width img_w",
    "height": "height image_height img_height img_h",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The positions of a CSV's columns.

    Attributes:
        image: the column of the image's name.
        label: the column of the class.
        box: the four columns of the box.
        kind: what these hold: two `corners`, a corner and `sizes`, or a `centre` and sizes.
        size: the columns of the image's width and height; None if there are none.
        is_row: whether the first row is a row like the others.
    """

    image: int
    label: int
    box: tuple[int, ...]
    kind: Literal["corners", "sizes", "centre"]
    size: tuple[int, int] | None
    is_row: bool = False

    @property
    def cells(self) -> int:
        """The number of cells that a row has at least."""
        return 1 + max(self.image, self.label, *self.box, *(self.size or ()))

    def corners(self, row: Sequence[str]) -> tuple[float, float, float, float]:
        """Return a row's box, xyxy; NaN for what is no number."""
        first, second, third, fourth = (number(row[column]) for column in self.box)
        if self.kind == "corners":
            return first, second, third, fourth
        shift = 0.5 if self.kind == "centre" else 0.0
        left, top = first - shift * third, second - shift * fourth
        return left, top, left + third, top + fourth

    def image_size(self, row: Sequence[str]) -> tuple[int, int]:
        """Return the image's (width, height); (0, 0) if the row has none."""
        return image_size(row[self.size[0]], row[self.size[1]]) if self.size else (0, 0)


def read_header(first: Sequence[str], columns: Mapping[str, str] | None, line: int) -> Header:
    """Return what the columns hold.

    Args:
        first: the first row.
        columns: the names that the suite gives, by their meaning.
        line: the line of the first row.

    Raises:
        UnreadableError: a column is missing.
    """
    said: dict[str, int] = {}
    for name, text in (columns or {}).items():
        if text not in first:
            raise UnreadableError(f"no column {text} (for {name}); the header has {', '.join(first)[:200]}", line)
        said[name] = first.index(text)
    by_word = _header_words(first)
    found = {name: column for name, column in by_word.items() if column not in said.values()} | said
    box = _box(found, said.keys(), line)
    missing = [name for name in ("image", *box, "class") if name not in found]
    if not missing:
        kind: Literal["corners", "sizes", "centre"] = "centre" if box[0] == "cx" else "sizes"
        return Header(
            image=found["image"],
            label=found["class"],
            box=tuple(found[name] for name in box),
            kind="corners" if box[2] == "x2" else kind,
            size=(found["width"], found["height"]) if {"width", "height"} <= found.keys() - set(box) else None,
        )
    is_row = len(first) == len(_PLAIN) and not any(cell and math.isnan(number(cell)) for cell in first[1:5])
    if not columns and (is_row or len(first) == 1):
        return Header(image=0, label=5, box=(1, 2, 3, 4), kind="corners", size=None, is_row=True)
    whole = next((cell for cell in first if cell.strip().lower() in _WHOLE_BOX and not set(box) <= found.keys()), None)
    hint = f"; {whole} holds a whole box: write its four numbers in columns of their own" if whole else ""
    raise UnreadableError(
        f"expected rows of {','.join(_PLAIN)}, or a header; got {','.join(first)[:200]}, without {', '.join(missing)}"
        f"{hint}; name the columns in the suite (columns: {{image: …, x1: …, y1: …, x2: …, y2: …, class: …}}; or w and "
        "h in the place of x2 and y2, and cx and cy in that of x1 and y1)",
        line,
    )


def could_hold_boxes(first: Sequence[str]) -> bool:
    """Return whether a first row has the cells of a box, names its columns, or says that a cell holds a whole one."""
    found = _header_words(first)
    words = {cell.strip().lower() for cell in first}
    return len(first) >= len(_PLAIN) or bool(words & _WHOLE_BOX) or set(_box(found, (), 1)) <= found.keys()


def _header_words(first: Sequence[str]) -> dict[str, int]:
    """Return the position of each column that a header names by a word in use, by its meaning."""
    words = [re.sub(r"[\s.-]+", "_", cell.strip().lower()) for cell in first]
    found = {}
    for name, known in _WORDS.items():
        position = next((words.index(word) for word in known.split() if word in words), None)
        if position is not None:
            found[name] = position
    return found


def _box(found: Mapping[str, int], said: Collection[str], line: int) -> tuple[str, ...]:
    """Return the meanings of the box's four columns, or those of which the fewest are missing.

    What the suite names (`said`) counts before what the header's words say.
    """
    corner, sizes_said, centre = ({a, b} & set(said) for a, b in (("x2", "y2"), ("w", "h"), ("cx", "cy")))
    if corner and sizes_said:
        raise UnreadableError("columns: name x2 and y2, or w and h", line)
    sizes = tuple(short if short in found or long not in found else long for short, long in _SIZES)
    ways = [("x1", "y1", "x2", "y2"), ("x1", "y1", *sizes), ("cx", "cy", *sizes)]
    ways = ways[2:] if centre else ways[1:] if sizes_said else ways
    return min(ways, key=lambda way: len(set(way) - found.keys()))
