"""Lists of classes: text files with one name a line, whose numbers from 0 are those of YOLO's label files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from harness.data.formats import data_yaml
from harness.data.formats.files import list_folder, read_text
from harness.data.formats.source import UnreadableError

if TYPE_CHECKING:
    from pathlib import Path

CLASS_LISTS = ("classes.txt", "labels.txt", "obj.names", "predefined_classes.txt")


def read_class_list(file: Path) -> tuple[str, ...]:
    """Read the names in a list of classes.

    Raises:
        UnreadableError: the list cannot be read, or a name is empty, there twice or cannot be shown.
    """
    try:
        lines = [line.strip() for line in read_text(file).rstrip().split("\n")]
        empty = lines.index("") + 1 if "" in lines else None  # left out, it would change the numbers of those behind it
        return data_yaml.distinct_names(lines, empty)
    except UnreadableError as error:
        raise UnreadableError(error.detail, error.line, file) from None


def find_class_names(*folders: Path) -> tuple[str, ...] | None:
    """Read the classes from the first list or data.yaml in these folders, or up to two folders above the last one.

    Raises:
        UnreadableError: the list or the data.yaml has an error.
    """
    for folder in (*folders, folders[-1].parent, folders[-1].parent.parent):
        files = list_folder(folder)
        by_name = {file.name: file for file in files if os.path.isfile(file)}
        lists = [by_name[name] for name in CLASS_LISTS if name in by_name]
        lists += [file for name, file in by_name.items() if name.endswith(".names")]
        if lists:
            return read_class_list(lists[0])
        yaml = data_yaml.preferred(files)
        if yaml:
            return data_yaml.read_class_names(yaml)
    return None
