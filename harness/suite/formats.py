"""The names of the annotation formats that a suite may ask for, and which settings belong to which of them.

Light to import, for the command line's options.
"""

from __future__ import annotations

from typing import Literal

FormatName = Literal[
    "auto",
    "coco",
    "voc",
    "yolo",
    "csv",
    "labelme",
    "createml",
    "cvat",
    "via",
    "kitti",
    "openimages",
    "labelstudio",
    "huggingface",
]
WITH_A_UNIT_OF_THEIR_OWN = frozenset({"yolo", "openimages", "labelstudio"})  # fractions or percentages by definition
WITH_NAMES_INSIDE = frozenset({"voc", "labelme"})  # a label file of one image also states the image's name
WITH_COLUMNS = frozenset({"csv", "via"})  # the user may say which of a file's names means what
