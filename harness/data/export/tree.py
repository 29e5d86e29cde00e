"""A folder of label files and images that is to be written: its content, and writing it as a whole.

Owns which name each image gets there. `harness.data.export.yolo` and `voc` say what is in the files.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import DataError
from harness.formatting import counted, on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from harness.data.loaded import LoadedSplit

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What an exported folder holds.

    Attributes:
        files: the content of each file, by its path in the folder.
        images: the image file that belongs at each path in the folder; None where it was not looked for.
        notes: sentences about what the format cannot say, and what was renamed.
    """

    files: Mapping[str, bytes]
    images: Mapping[str, str | None]
    notes: tuple[str, ...]


def write_tree(tree: Tree, out: Path, *, copy_images: bool) -> None:
    """Write a folder that is not there yet, or is empty: all of it or nothing.

    Raises:
        OSError: it cannot be written, or an image cannot be read.
    """
    temporary = out.absolute().with_name(f".{out.name}.{secrets.token_hex(8)}")
    try:
        temporary.mkdir()
        for name, content in tree.files.items():
            _parent(temporary / name).write_bytes(content)
        for name, source in tree.images.items() if copy_images else ():
            shutil.copyfile(source or name, _parent(temporary / name))
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def image_names(part: LoadedSplit) -> list[str]:
    """Return the path of each image of a split relative to its folder: the file's own, where it was looked for."""
    names = []
    for name, path in zip(part.annotations.file_names, part.paths, strict=True):
        found = os.path.relpath(path, part.folder).replace(os.sep, "/") if path else name
        names.append(name if found.startswith("../") else found)
    return names


def distinct_stems(names: Sequence[str]) -> list[str]:
    """Return each name without its suffix, all distinct in any letter case: of a.jpg and a.png, a and a_png."""
    reserved = {os.path.splitext(name)[0].casefold() for name in names}
    taken: set[str] = set()
    stems = []
    for name in names:
        stem, suffix = os.path.splitext(name)
        candidate, number = stem, 1
        while candidate.casefold() in taken or (candidate != stem and candidate.casefold() in reserved):
            candidate = f"{stem}_{suffix[1:]}{number if number > 1 else ''}"
            number += 1
        taken.add(candidate.casefold())
        stems.append(candidate)
    return stems


def check_names(names: Iterable[str], what: str, where: str) -> None:
    """Check that names can stand in a text file as they are.

    Raises:
        DataError: some cannot.
    """
    bad = [name for name in names if not name.isprintable() or name != name.strip() or not name]
    if bad:
        shown = ", ".join(on_one_line(repr(name)) for name in bad[:_SHOWN])
        raise DataError(f"{counted(len(bad), what)} cannot be written in {where}: {shown}; rename them first")


def some(names: Sequence[str]) -> str:
    """Return the first few names, and that there are more."""
    return ", ".join(map(on_one_line, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")


def renaming(renamed: Sequence[str]) -> list[str]:
    """Return the note about images that have other names in the folder, if there are some."""
    return [f"renamed, since images of one name would share a label file: {some(renamed)}"] if renamed else []
