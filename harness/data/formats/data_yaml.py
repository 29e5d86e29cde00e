"""YOLO's data.yaml: the classes, and the folders and lists of images of each split.

Owns what the file says and which folders it means. Does not look for images or labels; `yolo_files` does.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.formats.files import MAX_BYTES_OF_TEXT, read_bytes
from harness.data.formats.paths import describe_missing, ends_of_path, find_below, find_entry, leaves
from harness.data.formats.source import EscapeError, Source, UnreadableError
from harness.data.image_names import folded, mismatch, plain_name
from harness.data.problems import Place
from harness.errors import SuiteError
from harness.suite.yaml_document import Document, read_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SUFFIXES = frozenset({".yaml", ".yml"})
_SPLIT_KEYS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


def preferred(files: Iterable[Path]) -> Path | None:
    """Return the data.yaml among files; of several the one that is called so, or the first."""
    candidates = [file for file in files if _is_data_yaml(file)]
    return next((file for file in candidates if file.stem == "data"), next(iter(candidates), None))


def find_splits(path: Path) -> dict[str, Source]:
    """Return the splits that a data.yaml names, each with what is wrong with its entries.

    Raises:
        UnreadableError: data.yaml has an error.
        EscapeError: an entry leads out of the folder that entries are relative to.
    """
    try:
        document = _document(path)
        data: Any = document.data
        class_names = _class_names(document)
        entries = [entry for split in _SPLIT_KEYS for entry in _entries(document, data, split)]
    except UnreadableError as error:
        raise UnreadableError(error.detail, error.line, path) from None
    if not entries:
        raise UnreadableError(
            "names neither train nor val nor test; add their folders or lists of images: train: images/train", file=path
        )
    root = _root(path.parent, str(data.get("path") or "."), [entry.text for entry in entries])
    outside = [entry for entry in entries if entry.split != "test" and leaves(root, entry.text)]
    if outside:
        texts = ", ".join(f"{entry.key}: {entry.text}" for entry in outside)
        detail = f"{texts} leaves {root}; set path: to the folder that holds all splits"
        raise EscapeError(detail, outside[0].line, path)
    found = {entry: find_entry(root, entry.text) for entry in entries}
    sources = {}
    for split in dict.fromkeys(entry.split for entry in entries):
        own = {entry: file for entry, file in found.items() if entry.split == split}
        listing = tuple(dict.fromkeys(file for file in own.values() if file is not None))
        missing = "missing_test_folder" if split == "test" and not listing else "missing_folder"
        sources[split] = Source(
            format="yolo",
            annotations=path,
            images=listing[0] if len(listing) == 1 and os.path.isdir(listing[0]) else root,
            listing=listing,
            class_names=class_names,
            base=root,
            has_keypoints="kpt_shape" in data,
            absent=not listing,
            problems=tuple(
                (code or missing, Place(file=str(path), line=entry.line, detail=f"{entry.key}: {detail}"))
                for entry in own
                for code, detail in _problems(root, entry, found)
            ),
        )
    return sources


def _problems(root: Path, entry: _Entry, found: Mapping[_Entry, Path | None]) -> Iterator[tuple[str, str]]:
    """Yield the code, empty where the entry is missing, and the explanation of what is wrong with an entry."""
    file = found[entry]
    if file is None and leaves(root, entry.text):
        yield (
            "",
            f"{entry.text} lies outside of {root}, and what is there is not read; if it is meant, copy it into that",
        )
    elif file is None:
        used = [other for other in found.values() if other is not None]
        yield "", describe_missing(root, entry.split, entry.text, used)
    else:
        name, inside = plain_name(entry.text.strip()), file.relative_to(root).as_posix()
        if folded(name).endswith(folded(inside)) and not name.endswith(inside):
            yield mismatch(inside, name), f"the file is {inside}"


def _is_data_yaml(path: Path) -> bool:
    """Return whether a YAML file names classes, or their number and images, and has none of a suite's keys.

    Of one that cannot be read as YAML the lines are searched.
    """
    if path.suffix.lower() not in _SUFFIXES:
        return False
    try:
        data = read_document(path).data
    except SuiteError:
        try:
            text = read_bytes(path, MAX_BYTES_OF_TEXT).decode(errors="replace")
        except UnreadableError:
            return False
        keys = {line.partition(":")[0].strip() for line in text.splitlines()}
    else:
        keys = set(data) if isinstance(data, dict) else set()
    return ("names" in keys or {"nc", "train"} <= keys) and not {"suite", "architectures"} & keys


def _document(path: Path) -> Document:
    try:
        document = read_document(path)
    except SuiteError as error:
        raise UnreadableError(str(error)) from None
    if not isinstance(document.data, dict):
        raise UnreadableError("expected a mapping with train, val and names", 1)
    return document


def read_class_names(path: Path) -> tuple[str, ...]:
    """Return the classes that a data.yaml names.

    Raises:
        UnreadableError: it cannot be read, or `names` or `nc` is wrong.
    """
    try:
        return _class_names(_document(path))
    except UnreadableError as error:
        raise UnreadableError(error.detail, error.line, path) from None


def distinct_names(names: Sequence[object], line: int | None = None) -> tuple[str, ...]:
    """Return the names of classes, which stand in `line`, as text.

    Raises:
        UnreadableError: one is empty, there twice, or cannot be shown.
    """
    texts = tuple(map(str, names))
    if not all(map(str.isprintable, texts)):
        raise UnreadableError("names: a name has characters that cannot be shown", line)
    if not texts or len(set(texts)) < len(texts) or not all(map(str.strip, texts)):
        raise UnreadableError(f"names: expected distinct names, none empty, got {list(texts)}", line)
    return texts


def _class_names(document: Document) -> tuple[str, ...]:
    """Return the classes in `names`, a list or a mapping from the numbers 0, 1, …; `nc`, if present, must agree.

    Raises:
        UnreadableError: `names` or `nc` is wrong.
    """
    data: Any = document.data
    names = data.get("names")
    line = document.lines.get(("names",), 1)
    if isinstance(names, dict):
        if sorted(names) != sorted(map(str, range(len(names)))):
            raise UnreadableError(f"names: expected the numbers 0 to {len(names) - 1}, got {', '.join(names)}", line)
        names = [names[str(position)] for position in range(len(names))]
    if not isinstance(names, list) or not names:
        raise UnreadableError("names: expected the classes, as a list or as a mapping from their numbers", line)
    texts = distinct_names(names, line)
    if str(data.get("nc", len(texts))) != str(len(texts)):
        raise UnreadableError(f"nc is {data['nc']}, but names has {len(texts)}", document.lines.get(("nc",), 1))
    return texts


@dataclass(frozen=True, slots=True)
class _Entry:
    """A folder or list of images that data.yaml names: for which split, under which key, as what, and in which line."""

    split: str
    key: str
    text: str
    line: int


def _entries(document: Document, data: dict[str, Any], split: str) -> list[_Entry]:
    """Return what data.yaml names for a split: one folder or list of images, or several.

    Raises:
        UnreadableError: something else than text is named, or nothing though the key is there; `test` may be empty.
    """
    keys = [key for key in _SPLIT_KEYS[split] if key in data]
    named = [key for key in keys if data[key]]
    if len({json.dumps(data[key]) for key in named}) > 1:
        detail = f"{' and '.join(named)} name different images for one split; keep one of them"
        raise UnreadableError(detail, document.lines[named[1],])
    key = next(iter(named), None)
    if key is None:
        if keys and split != "test":
            raise UnreadableError(f"{keys[0]}: names no folder or list of images", document.lines[keys[0],])
        return []
    several = isinstance(data[key], list)
    entries = []
    for row, value in enumerate(data[key] if several else [data[key]]):
        line = document.lines.get((key, row) if several else (key,), document.lines[key,])
        if not isinstance(value, str | int | float) or value is True:
            detail = f"{key}: expected a folder, a list of images, or several of them, got {json.dumps(value)}"
            raise UnreadableError(detail, line)
        entries.append(_Entry(split, key, str(value), line))
    return entries


def _root(home: Path, named: str, texts: Sequence[str]) -> Path:
    """Return the folder that entries are relative to.

    It is the one that `path` names, seen from data.yaml, or data.yaml's own: whichever holds more of the entries. A
    downloaded data.yaml often holds a `path` on another machine.
    """
    name = plain_name(named)
    beside = (find_below(home, end) for end in ends_of_path(name, home.name))
    candidates = [Path(os.path.normpath(home / name)), *(folder for folder in beside if folder is not None), home]
    folders = [folder for folder in dict.fromkeys(candidates) if os.path.isdir(folder)]
    return max(folders, key=lambda root: sum(find_entry(root, text) is not None for text in texts))
