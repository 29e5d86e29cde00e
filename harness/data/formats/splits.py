"""Which annotation files belong to which split, by the names of the files and of the folders above them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.formats.files import files_under, read_bytes
from harness.data.formats.json_text import decode_json
from harness.data.formats.source import Source, UnreadableError
from harness.data.image_names import split_from_name
from harness.data.problems import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def find_files(
    path: Path,
    format_name: str,
    suffixes: frozenset[str],
    is_of_format: Callable[[Path], bool],
    *,
    preferred: str | None = None,
    max_opened: int | None = None,
) -> dict[str, Source]:
    """Find one annotation file, or a file a split that is named after it or lies in a folder that is.

    Args:
        path: a file, or the folder above the files.
        format_name: the name of the format.
        suffixes: the suffixes of its files, in lower case.
        is_of_format: looks into a file and says whether it is of the format.
        preferred: what the names of the format's own files begin with; if there are some, no others are used.
        max_opened: the number of files that are looked into; None for all of them.

    Raises:
        UnreadableError: a split has several files.
    """
    if os.path.isfile(path):
        return {"all": Source(format=format_name, annotations=path)} if is_of_format(path) else {}
    present = [path / name for name in files_under(path, suffixes)]
    recognised = [file for file in present[:max_opened] if is_of_format(file)]
    official = [file for file in recognised if preferred is not None and file.name.startswith(preferred)]
    return sources_of(path, official or _add_broken_files(recognised, present, path), format_name)


def sources_of(root: Path, files: list[Path], format_name: str) -> dict[str, Source]:
    """Return a source for each annotation file, by the split that it belongs to.

    Files that belong to no split, beside others that do, are told with the first source and not read.

    Raises:
        UnreadableError: a split has several files.
    """
    splits = group_by_split(root, files, single=True)
    unused = [file for file in files if file not in splits.values()]
    detail = f"named after no split, beside the labels of {' and '.join(splits)}"
    problems = tuple(("unused_labels", Place(file=str(file), detail=detail)) for file in unused)
    return {
        split: Source(format=format_name, annotations=file, problems=problems if number == 0 else ())
        for number, (split, file) in enumerate(splits.items())
    }


def group_by_split(
    root: Path,
    files: list[Path],
    *,
    single: bool = False,
    is_annotation: Callable[[Path], bool] = lambda _file: True,
) -> dict[str, Path]:
    """Group annotation files by the split that a folder above them is named after.

    Args:
        root: the folder above all files.
        files: the annotation files.
        single: whether each split has exactly one file, which may itself be named after the split.
        is_annotation: decides whether a file outside every split's folder is an annotation file; others are ignored.

    Returns:
        For each split the common folder of its files or, with `single`, its file. Everything is in `all` if some
        annotation file belongs to no split.

    Raises:
        UnreadableError: with `single`, a split has several files.
    """
    groups: dict[str, list[Path]] = {}
    for file in files:
        groups.setdefault(split_of(file if single else file.parent, root), []).append(file)
    if single:
        for split, group in groups.items():
            if len(group) > 1:
                names = ", ".join(str(file.relative_to(root)) for file in group[:5])
                raise UnreadableError(f"several annotation files for {split}: {names}; name one of them")
        return {split: group[0] for split, group in groups.items() if split != "all" or len(groups) == 1}
    if "all" in groups and (len(groups) == 1 or any(map(is_annotation, groups["all"]))):
        return {"all": _common_folder([file for group in groups.values() for file in group])}
    return {split: _common_folder(group) for split, group in groups.items() if split != "all"}


def split_of(file: Path, root: Path) -> str:
    """Return the split that a path, or the nearest folder above it below the root, is named after; `all` if none is."""
    names = reversed(file.relative_to(root).parts)
    return next((split for split in map(split_from_name, names) if split), "all")


def stated_splits(words: Sequence[object]) -> tuple[str, ...]:
    """Return the split of each image by what its file says of it; empty if some image has no word for a split.

    Args:
        words: [I], a word for a split, or the path of a folder, of which the last part that is such a word counts.
    """
    texts = list(map(str, words))
    split_of_text = {
        text: next(filter(None, map(split_from_name, reversed(text.split("/")))), None) for text in set(texts)
    }
    known = {text: split for text, split in split_of_text.items() if split}
    return tuple(map(known.__getitem__, texts)) if len(known) == len(split_of_text) else ()


def _common_folder(files: list[Path]) -> Path:
    return Path(os.path.commonpath([file.parent for file in files]))


def _add_broken_files(recognised: list[Path], files: list[Path], root: Path) -> list[Path]:
    """Add broken or empty files of splits that have no recognised file, so that they are reported, not ignored.

    Args:
        recognised: the files that are of the format.
        files: all files with the format's suffix.
        root: the folder above all files.
    """
    splits = {split_of(file, root) for file in recognised}
    return recognised + [f for f in files if recognised and split_of(f, root) not in {*splits, "all"} and _is_broken(f)]


def _is_broken(path: Path) -> bool:
    """Return whether a file that is of no known format is broken JSON, or holds nothing, or is no JSON file at all."""
    if path.suffix.lower() != ".json":
        return True
    try:
        content: object = decode_json(read_bytes(path), Any)
    except UnreadableError:
        return True
    return content in ([], {})


def label_name(file: Path, annotations: Path) -> str:
    """Return a label file's path without its suffix, relative to the folder of the labels."""
    return file.relative_to(annotations if file != annotations else file.parent).with_suffix("").as_posix()
