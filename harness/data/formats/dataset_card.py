"""The head of a Hugging Face README (its dataset card), which may say what the numbers of classes mean.

https://huggingface.co/docs/hub/datasets-cards
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data.formats.files import MAX_BYTES_OF_TEXT, read_text
from harness.data.formats.source import UnreadableError
from harness.errors import SuiteError
from harness.suite.yaml_document import parse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from harness.suite.yaml_document import Value

_NAME = "README.md"
_FENCE = "---"
_FOLDERS_UP = 2  # from `data/train`


def class_names_in(folder: Path, fields: Collection[str]) -> tuple[str, ...]:
    """Return the names of the objects' classes by their numbers, from the README in a folder or one above it.

    Empty if there is none, or if it lists several kinds of classes.

    Args:
        folder: the folder of the metadata.
        fields: the names that the field of an object's class may have.
    """
    for place in [folder, *folder.parents][: _FOLDERS_UP + 1]:
        try:
            first, *lines = read_text(place / _NAME, MAX_BYTES_OF_TEXT).splitlines()
            head = "\n".join(lines[: lines.index(_FENCE)]) if first.strip() == _FENCE else ""
            data = parse(place / _NAME, head).data
        except (UnreadableError, SuiteError, ValueError):
            continue
        info = data.get("dataset_info") if isinstance(data, dict) else None
        objects: list[Value] = [*_features(info, {"objects"})]  # the classes of whole images stand beside it
        named: list[Value] = [*_features(objects or info, fields)]
        found = list(dict.fromkeys(_lists_of_names(named)))
        if found:
            return found[0] if len(found) == 1 else ()
    return ()


def _features(value: Value, names: Collection[str]) -> Iterator[Value]:
    """Yield every feature below a value that has one of the names."""
    if isinstance(value, dict) and value.get("name") in names:
        yield value
    elif isinstance(value, (list, dict)):
        for inner in value if isinstance(value, list) else value.values():
            yield from _features(inner, names)


def _lists_of_names(value: Value) -> Iterator[tuple[str, ...]]:
    """Yield the names of every `class_label` below a value: a list, or a mapping from numbers."""
    if isinstance(value, list):
        for inner in value:
            yield from _lists_of_names(inner)
    elif isinstance(value, dict):
        label = value.get("class_label")
        names = label.get("names") if isinstance(label, dict) else None
        if isinstance(names, list):
            yield tuple(map(str, names))
        elif isinstance(names, dict) and list(names) == [str(number) for number in range(len(names))]:
            yield tuple(map(str, names.values()))
        for inner in value.values():
            yield from _lists_of_names(inner)
