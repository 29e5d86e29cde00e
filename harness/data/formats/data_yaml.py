"""YOLO's data.yaml: the classes, and the folders and lists of images of each split.

Owns what the file says and which folders it means. Does not look for images or labels; `yolo_files` does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.data.formats.reading import MAX_BYTES_OF_TEXT, EscapeError, Source, UnreadableError, read_text
from harness.errors import SuiteError
from harness.suite.yaml_document import Document, read_document

_SUFFIXES = frozenset({".yaml", ".yml"})
_LIST = ".txt"
_SPLIT_KEYS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


def is_data_yaml(path: Path) -> bool:
    """Return whether a YAML file has `names` and none of a suite's keys; if it has an error, its lines are searched."""
    if path.suffix.lower() not in _SUFFIXES:
        return False
    try:
        data = read_document(path).data
    except SuiteError:
        try:
            keys = {line.partition(":")[0].strip() for line in read_text(path, MAX_BYTES_OF_TEXT).splitlines()}
        except UnreadableError:
            return False
    else:
        keys = set(data) if isinstance(data, dict) else set()
    return "names" in keys and not {"suite", "architectures"} & keys


def find_splits(path: Path) -> dict[str, Source]:
    """Return the splits that a data.yaml names.

    Raises:
        UnreadableError: data.yaml has an error.
    """
    try:
        document = _document(path)
        data: Any = document.data
        class_names = _class_names(document, data)
    except UnreadableError as error:
        raise UnreadableError(error.detail, error.line, path) from None
    root = _root(path, data)
    sources = {}
    for split, keys in _SPLIT_KEYS.items():
        key = next((key for key in keys if data.get(key)), None)
        if key is None:
            continue
        texts = data[key] if isinstance(data[key], list) else [data[key]]
        listing = tuple(_entry(path, key, root, str(text)) for text in texts)
        folders = [entry for entry in listing if entry.suffix.lower() != _LIST]
        images = folders[0] if len(listing) == len(folders) == 1 else root
        sources[split] = Source(
            format="yolo",
            annotations=path,
            images=images,
            listing=listing,
            class_names=class_names,
            base=root,
            has_keypoints="kpt_shape" in data,
        )
    if not sources:
        raise UnreadableError("names neither train nor val nor test", file=path)
    return sources


def _document(path: Path) -> Document:
    try:
        document = read_document(path)
    except SuiteError as error:
        raise UnreadableError(str(error)) from None
    if not isinstance(document.data, dict):
        raise UnreadableError("expected a mapping with train, val and names", 1)
    return document


def _class_names(document: Document, data: dict[str, Any]) -> tuple[str, ...]:
    """Return the classes in `names`, a list or a mapping from the numbers 0, 1, …; `nc`, if present, must agree.

    Raises:
        UnreadableError: `names` or `nc` is wrong.
    """
    names = data.get("names")
    line = document.lines.get(("names",), 1)
    if isinstance(names, dict):
        if sorted(names) != sorted(map(str, range(len(names)))):
            raise UnreadableError(f"names: expected the numbers 0 to {len(names) - 1}, got {', '.join(names)}", line)
        names = [names[str(position)] for position in range(len(names))]
    if isinstance(names, list) and not all(str(name).isprintable() for name in names):
        raise UnreadableError("names: a name has characters that cannot be shown", line)
    if not isinstance(names, list) or not names:
        raise UnreadableError("names: expected the classes, as a list or as a mapping from their numbers", line)
    texts = tuple(str(name) for name in names)
    if len(set(texts)) < len(texts) or not all(text.strip() for text in texts):
        raise UnreadableError(f"names: expected distinct names, none empty, got {list(texts)}", line)
    if str(data.get("nc", len(texts))) != str(len(texts)):
        raise UnreadableError(f"nc is {data['nc']}, but names has {len(texts)}", document.lines.get(("nc",), 1))
    return texts


def _root(path: Path, data: dict[str, Any]) -> Path:
    """Return the folder that `path` names relative to data.yaml, or data.yaml's own folder if that does not exist.

    A downloaded data.yaml often holds a `path` on another machine.
    """
    root = path.parent / str(data.get("path") or ".")
    return Path(os.path.normpath(root)) if os.path.isdir(root) else path.parent


def _entry(file: Path, key: str, root: Path, text: str) -> Path:
    """Return the folder or list below the root that an entry names.

    Roboflow writes `../train/images` for a folder beside its data.yaml.

    Raises:
        EscapeError: the entry leads out of the root.
    """
    entry, beside = (Path(os.path.normpath(root / name)) for name in (text, text.removeprefix("../")))
    top = os.path.normpath(root)
    if "\\" in text or not (entry.is_relative_to(top) or (beside.is_relative_to(top) and os.path.exists(beside))):
        raise EscapeError(f"{key}: {text} leaves {root}; set path: to the folder that holds all splits", file=file)
    return entry if entry.is_relative_to(top) else beside
