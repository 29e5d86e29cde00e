"""What a path that was written on another machine, or for another working directory, means below a dataset's folder.

Nothing outside that folder is ever returned.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.formats.files import list_folder
from harness.data.formats.splits import split_of
from harness.data.image_names import IMAGE_SUFFIXES, folded, is_absolute, plain_name, split_from_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIST = ".txt"
_MAX_DEPTH = 3  # folders below the root among which a similar one is looked for
_SHOWN = 5
_SIMILAR = 0.6  # of difflib's ratio, as its own get_close_matches has it


def find_below(root: Path, name: str) -> Path | None:
    """Return the file or folder below `root` that a plain name leads to, also in another letter case; None if none."""
    top = os.path.abspath(root)
    inside = os.path.relpath(os.path.join(top, name), top)
    if inside.split(os.sep, maxsplit=1)[0] == "..":
        return None
    path = root
    for part in Path(inside).parts:
        exact = path / part
        if not os.path.exists(exact):
            alike = (entry for entry in list_folder(path) if folded(entry.name) == folded(part))
            exact = next(alike, exact)
        path = exact
    return path if os.path.exists(path) else None


def ends_of_path(name: str, folder: str, *, is_file: bool = False, anywhere: bool = False) -> list[str]:
    """Return the ends of a plain name that may lie below a folder called `folder`, the longest first.

    They are all ends of a path that is absolute or leads upwards, as it is one of another machine, and of any other the
    one behind the folder's own name. No end lacks a folder that is named after a split: the images of `val/images` are
    not those of `images`.

    Args:
        name: the plain name.
        folder: the name of the folder.
        is_file: whether the last part is a file's name, which says nothing about splits.
        anywhere: whether all ends of any other path are wanted too.
    """
    parts = [part for part in name.split("/") if part not in {"", ".."}]
    folders = parts[:-1] if is_file else parts
    last = max((row for row, part in enumerate(folders) if split_from_name(part)), default=len(parts) - 1)
    anywhere = anywhere or is_absolute(name) or name.startswith(("../", "~/"))
    return ["/".join(parts[row:]) for row in range(last + 1) if anywhere or (row and parts[row - 1] == folder)]


def find_entry(root: Path, text: str, *, anywhere: bool = False) -> Path | None:
    """Return the folder or file below `root` that an entry of data.yaml or obj.data means; None if there is none.

    Roboflow writes `../train/images` for a folder beside its data.yaml. `anywhere` as for `ends_of_path`.
    """
    name = plain_name(text.strip())
    for candidate in (
        name,
        name.removeprefix("../"),
        *ends_of_path(name, os.path.basename(os.path.abspath(root)), anywhere=anywhere),
    ):
        found = find_below(root, candidate)
        if found is not None:
            return found
    return None


def leaves(root: Path, text: str) -> bool:
    """Return whether an entry leads to something that exists, but outside `root`."""
    name = plain_name(text.strip())
    return os.path.exists(root / name) and find_entry(root, text) is None


def describe_missing(root: Path, split: str, text: str, used: Sequence[Path]) -> str:
    """Return what to say of an entry that leads nowhere: what below `root` is like it, or what else is there.

    Args:
        root: the folder that the entry is relative to.
        split: the split that the entry is of.
        text: the entry.
        used: what other entries lead to, which is not meant by this one.
    """
    name = plain_name(text.strip())
    inner = name.removeprefix("../")
    foreign = is_absolute(name) or inner.startswith("../")
    kind = "list" if name.lower().endswith(_LIST) else "folder"
    there = _lists(root) if kind == "list" else _image_folders(root)
    missing = f"the {kind} {name if foreign else root / inner} does not exist"
    missing += f", nor an end of it in {root}" if foreign else ""
    around = dict.fromkeys([*there, *(str(parent) for other in there for parent in Path(other).parents)])
    taken = {"."}.union(*(map(str, (inside, *inside.parents)) for inside in (path.relative_to(root) for path in used)))
    free = [other for other in around if other not in taken]
    best = _most_similar(inner, split, free)
    if best is not None:
        return f"{missing}; {best} is like it: name that {kind}, or rename it"
    listed = ", ".join(there[:_SHOWN]) + (", …" if len(there) > _SHOWN else "")
    return f"{missing}; {'lists' if kind == 'list' else 'folders with images'} in {root}: {listed or 'none'}"


def _most_similar(name: str, split: str, others: Sequence[str]) -> str | None:
    """Return the path that is most like `name`; one that is named after another split is not like it at all.

    Args:
        name: the path to compare with.
        split: the split that `name` belongs to, where no folder in it is named after one.
        others: the paths to choose from.
    """
    own = split_of(Path("/", name), Path("/"))
    split = split if own == "all" else own
    ratios = {other: difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio() for other in others}
    splits = {other: split_of(Path(other), Path()) for other in others}
    alike = [other for other in others if splits[other] == split]
    alike = alike or [other for other in others if splits[other] == "all" and ratios[other] >= _SIMILAR]
    return max(alike, key=ratios.__getitem__, default=None)


def _lists(root: Path) -> list[str]:
    return [file.name for file in list_folder(root) if file.suffix.lower() == _LIST and os.path.isfile(file)]


def _image_folders(root: Path) -> list[str]:
    """Return the folders below `root` that hold an image themselves, relative to it."""
    found = []
    for parent, folders, files in os.walk(root):
        inside = Path(parent).relative_to(root)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and len(inside.parts) < _MAX_DEPTH)
        if any(os.path.splitext(file)[1].lower() in IMAGE_SUFFIXES for file in files):
            found.append(inside.as_posix())
    return found
