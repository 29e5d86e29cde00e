"""Write docs/reference/ from the program itself: `python docs/generate.py`.

Owns how a schema and a command read as a page. What they say comes from the program's own docstrings, types and help
texts, so nothing is listed here by hand; a test compares the committed pages with what this makes.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import main
from harness.store.record import RECORD
from harness.suite.load import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Node = dict[str, Any]  # a piece of a JSON Schema

FOLDER = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by docs/generate.py from the program; edit the docstrings there, then run `make docs`. -->"
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_WORDS = {"string": "text", "boolean": "true or false"}


def pages() -> dict[str, str]:
    """Every generated page, by the name of its file in docs/reference/."""
    suite, record = json_schema(), RECORD.adapter.json_schema(mode="serialization")
    of_suite = {name: f"suite.md#{_anchor(name)}" for name in suite["$defs"]}
    to_suite = "[The suite file](../suite-file.md) explains the keys; `harness schema` prints this as JSON Schema."
    to_results = "[The results folder](../results.md) explains where the file lies and what stands beside it."
    return {
        "suite.md": SchemaPage(suite, {}).text("Suite file reference", to_suite),
        "record.md": SchemaPage(record, of_suite, stored=True).text("Record reference", to_results),
        "commands.md": _commands_page(main),
    }


class SchemaPage:
    """A JSON Schema as a page: its root, then a section for each definition in the order in which a reader meets them.

    Args:
        schema: of an object, with `$defs`.
        elsewhere: links to the definitions that another page holds, by name; they get no section here.
        stored: the schema is of what the program writes, so fields may be null, and defaults are left out.
    """

    def __init__(self, schema: Node, elsewhere: dict[str, str], *, stored: bool = False) -> None:
        self._schema, self._definitions, self._stored = schema, schema["$defs"], stored
        self._links = {name: f"#{_anchor(name)}" for name in self._definitions} | elsewhere
        self._elsewhere = elsewhere

    def text(self, title: str, introduction: str) -> str:
        """The whole page as Markdown."""
        parts = [_NOTE, f"# {title}", introduction, *self._section(self._schema)]
        for name, places in self._places().items():
            used = ", ".join(f"`{place}`" for place in places)
            parts += [f"## {_heading(name)}", f"Used at {used}.", *self._section(self._definitions[name])]
        return "\n\n".join(parts) + "\n"

    def _places(self) -> dict[str, list[str]]:
        """Where each definition is used, as paths of keys, breadth first."""
        places: dict[str, list[str]] = {}
        queue = [("", self._schema)]
        while queue:
            above, node = queue.pop(0)
            for key, value in _keys(node):
                for place, name in _references(f"{above}.{key}".lstrip("."), value):
                    if name not in self._elsewhere:
                        queue += [] if name in places else [(place, self._definitions[name])]
                        places.setdefault(name, []).append(place)
        return places

    def _section(self, node: Node) -> Iterator[str]:
        """A definition's description and the table of its keys, into which a docstring's `Attributes:` go."""
        text, _, attributes = inspect.cleandoc(node.get("description", "")).partition("Attributes:\n")
        meanings = dict(re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", attributes, re.MULTILINE))
        yield _escaped(text.strip())
        rows = [("key", "type", "default", "meaning")]
        for key, value in _keys(node):
            default = "required" if key in node.get("required", ()) else _default(value)
            meaning = " ".join((meanings.get(key) or str(value.get("description", ""))).split())
            rows.append((f"`{key}`", self._type(value), default, _escaped(meaning)))
        shown = [0, 1, *([] if self._stored else [2]), *([3] if any(row[3] for row in rows[1:]) else [])]
        yield _table([[row[column] for column in shown] for row in rows])

    def _type(self, node: Node) -> str:
        """A property's type and range in words; a definition as a link."""
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            return f"[{_heading(name)}]({self._links[name]})"
        alternatives = [kind for kind in _alternatives(node) if self._stored or kind.get("type") != "null"]
        if alternatives:
            return " or ".join(dict.fromkeys(map(self._type, alternatives)))
        values = node.get("enum", [node["const"]] if "const" in node else [])
        if values:
            return " or ".join(f"`{value}`" for value in values)
        if node.get("type") == "array":
            fixed = node.get("prefixItems", [])
            kinds = list(dict.fromkeys(map(self._type, fixed or [node.get("items", {})])))
            return f"list of {f'{len(fixed)} × ' if fixed else ''}{' or '.join(kinds)}"
        if node.get("type") == "object":
            keys = " or ".join(f"`{key}`" for key in node.get("propertyNames", {}).get("enum", ()))
            values = " or ".join(map(self._type, _values(node)))
            return f"mapping{f' from {keys}' if keys else ''}{f' to {values}' if values else ''}"
        return _plain_type(node)


def _plain_type(node: Node) -> str:
    """Of a single value: the word, its bounds, and the pattern that a text must match."""
    word = node.get("format") or _WORDS.get(node.get("type", ""), node.get("type", "any value"))
    bounds = " and ".join(f"{sign} {node[key]:g}" for key, sign in _BOUNDS.items() if key in node)
    pattern = f"matching `{node['pattern']}`" if "pattern" in node else ""
    return " ".join(part for part in (word, bounds, pattern) if part)


def _keys(node: Node) -> list[tuple[str, Node]]:
    """The keys of an object, without old names that are still read."""
    return [(key, value) for key, value in node.get("properties", {}).items() if not value.get("deprecated")]


def _alternatives(node: Node) -> list[Node]:
    return [*node.get("anyOf", ()), *node.get("oneOf", ())]


def _values(node: Node) -> list[Node]:
    """What the values of a mapping with free keys are."""
    found = [node.get("additionalProperties"), *node.get("patternProperties", {}).values()]
    return [value for value in found if isinstance(value, dict)]


def _references(place: str, node: Node) -> Iterator[tuple[str, str]]:
    """(path, name) of every definition that a property's schema refers to."""
    if "$ref" in node:
        yield place, node["$ref"].rpartition("/")[2]
    below = [(place, kind) for kind in _alternatives(node)] + [(f"{place}.<name>", value) for value in _values(node)]
    for inner_place, inner in below + ([(f"{place}[]", node["items"])] if "items" in node else []):
        yield from _references(inner_place, inner)


def _default(node: Node) -> str:
    if "default" not in node:
        return "empty" if node.get("type") == "object" else "its own defaults"
    return {"null": "–", "[]": "empty"}.get(text := json.dumps(node["default"]), f"`{text.strip(chr(34))}`")


def _commands_page(group: click.Group) -> str:
    """The help of a program and of each of its commands; what is hidden there is left out here."""
    parts = [_NOTE, "# Command reference", "[The commands](../commands.md) explains when to use which."]
    for context in _contexts(click.Context(group, info_name="harness")):
        command = context.command
        parts += [f"## {context.command_path}"] if context.parent else []
        parts += [_escaped(inspect.cleandoc(command.help or "")), f"```text\n{command.get_usage(context)}\n```"]
        options = [option for option in command.get_params(context) if "--help" not in option.opts]
        records = [option.get_help_record(context) for option in options]
        rows = [(f"`{record[0]}`", _escaped(" ".join(record[1].split()))) for record in records if record and record[1]]
        parts += [_table([("option", "meaning"), *rows])] if rows else []
    return "\n\n".join(parts) + "\n"


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """A command and, depth first, the visible commands below it."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None and not command.hidden:
                yield from _contexts(click.Context(command, info_name=name, parent=context))


def _table(rows: Sequence[Sequence[str]]) -> str:
    cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in (cells[0], [":--"] * len(cells[0]), *cells[1:]))


def _escaped(text: str) -> str:
    """Text that Markdown and HTML show as it is; code between backticks is left alone."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if index % 2 else re.sub(r"([\\*<])", r"\\\1", piece) for index, piece in enumerate(pieces))


def _heading(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).capitalize()


def _anchor(name: str) -> str:
    return _heading(name).lower().replace(" ", "-")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, page in pages().items():
        (FOLDER / file).write_text(page, encoding="utf-8")
