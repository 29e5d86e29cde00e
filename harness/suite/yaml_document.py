"""Read YAML as plain data with the line of every value, without YAML's traps.

Does not know about suites. It differs from PyYAML's safe loader: duplicate keys, aliases, anchors and tags are errors,
`1e-4` is a number, `no` and `2026-01-01` are strings, and depth and size are limited.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from harness.errors import SuiteError
from harness.formatting import on_one_line

if TYPE_CHECKING:
    from pathlib import Path

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
Place: TypeAlias = "tuple[str | int, ...]"

MAX_BYTES = 1_000_000
MAX_VALUES = 10_000
_MAX_DEPTH = 20
_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Value] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML file: its data, and the line number, from 1, of every place in it."""

    path: Path
    data: Value
    lines: dict[Place, int]

    def locate(self, place: Place) -> str:
        """Return `file:line` of a place, or of the innermost place around it that the file has."""
        while place and place not in self.lines:
            place = place[:-1]
        return f"{self.path}:{self.lines.get(place, 1)}"


def read_document(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        SuiteError: the file cannot be read, is too large, or is not plain YAML.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device may never end
            raise SuiteError(
                (f"{path}: cannot be read: it is a folder, a pipe or a device; give the path of a YAML file",)
            )
        if status.st_size > MAX_BYTES:
            raise SuiteError((f"{path}: larger than {MAX_BYTES} bytes; a suite file is a page of YAML",))
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SuiteError((f"{path}: not UTF-8 text ({error.reason} at byte {error.start})",)) from None
    except OSError as error:
        raise SuiteError((f"{path}: cannot be read: {error.strerror}",)) from None
    return parse(path, text)


def parse(path: Path, text: str) -> Document:
    """Return the document of a text that stands in a file.

    Raises:
        SuiteError: it is not plain YAML.
    """
    try:
        _refuse_traps(path, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise SuiteError((f"{path}:{_line(error.problem_mark)}: not YAML: {error.problem}",)) from None
    except yaml.YAMLError as error:
        raise SuiteError((f"{path}: not YAML: {error}",)) from None
    lines: dict[Place, int] = {}
    data = None if node is None else _plain(path, node, (), lines)
    return Document(path=path, data=data, lines=lines)


def _refuse_traps(path: Path, text: str) -> None:
    """Raise an error for aliases, tags, deep nesting and endless lists before any data are built of them."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        where = f"{path}:{_line(event.start_mark)}"
        if count > MAX_VALUES:
            raise SuiteError((f"{where}: more than {MAX_VALUES:,} values up to here; a suite file is a page of YAML",))
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise SuiteError((f"{where}: anchors and aliases (& and *) are not supported; write the value out",))
        if tag := getattr(event, "tag", None):
            raise SuiteError((f"{where}: tags ({on_one_line(tag)}) are not supported; write a plain value",))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise SuiteError((f"{where}: nested more than {_MAX_DEPTH} levels deep",))


def _plain(path: Path, node: yaml.Node, place: Place, lines: dict[Place, int]) -> Value:
    lines[place] = _line(node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(path, child, (*place, index), lines) for index, child in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Value] = {}
        for key_node, child in node.value:
            where = f"{path}:{_line(key_node.start_mark)}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise SuiteError((f"{where}: a key must be plain text",))
            key = str(key_node.value)
            if key in mapping:
                first = lines[(*place, key)]
                raise SuiteError((f"{where}: duplicate key '{on_one_line(key)}' (first on line {first}); remove one",))
            mapping[key] = _plain(path, child, (*place, key), lines)
            lines[(*place, key)] = _line(key_node.start_mark)
        return mapping
    return str(node.value) if getattr(node, "style", None) in ("'", '"', "|", ">") else _scalar(str(node.value))


def _line(mark: Any) -> int:
    """Return the line number from 1; PyYAML counts from 0."""
    return mark.line + 1 if mark else 1


def _scalar(text: str) -> Value:
    """Convert a plain scalar by the JSON-like rules of YAML 1.2."""
    if text.lower() in _WORDS and text in {"", "~", text.lower(), text.capitalize(), text.upper()}:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text) and len(text) < 20:  # noqa: PLR2004 - a signed 64-bit integer has 19 digits
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return text
