"""The wording of problems in a suite file: `file:line: key: what was expected, what is there`.

Owns only the wording; the rules are in `harness.suite.schema` and `harness.suite.load`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast, get_args

from harness.formatting import on_one_line
from harness.suite.formats import FormatName
from harness.suite.validators import nearest

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from harness.suite.yaml_document import Document, Place

Report = Callable[[tuple[str | int, ...], str], None]

_FEW_KEYS = 5  # of a mapping, so that a message names them
_SHOWN = 80
_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "null",
}
_BOUNDS = {"exclusiveMinimum": ">", "minimum": "≥", "maximum": "≤", "exclusiveMaximum": "<"}


def describe(
    document: Document, data: dict[str, Any], error: ValidationError, schema: dict[str, Any]
) -> tuple[str, ...]:
    """Return one line for each problem that pydantic found, in the order of the file.

    Args:
        document: the file, for line numbers.
        data: the validated data: the document with its short forms written out.
        error: pydantic's problems.
        schema: the JSON Schema of the whole file, which says what each key allows.
    """
    lines: dict[tuple[int, str], str] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and detail["input"]:
            continue  # the list is only too short because of wrong items, which are reported themselves
        loc = tuple(part for part in detail["loc"] if part != "[key]")
        place, in_file = _place(loc, data)
        here, allowed = _schema_at(schema, data, place)
        if detail["type"] == "unexpected_keyword_argument":
            key = str(place[-1])
            _, parent = _schema_at(schema, data, place[:-1])
            text = _unknown(key, sorted(parent.get("properties", {})))
        elif detail["type"] in {"missing", "missing_argument"}:
            text = f"missing; expected {_expected(here, allowed)}"
        elif detail["type"] == "union_tag_invalid":
            place, text = (*place, "format"), f"unknown format {detail['ctx']['tag']}; known: {_tags(detail)}"
        elif detail["type"] == "union_tag_not_found":
            text = f"missing key format: {', '.join(get_args(FormatName))}, python or synthetic"
        elif detail["type"] == "literal_error" and detail["loc"][-1] == "[key]":
            text = f"unknown key; known: {str(detail['ctx']['expected']).replace(chr(39), '')}"
        elif detail["type"] == "value_error":
            text = str(detail["ctx"]["error"])
        elif detail["type"] == "string_pattern_mismatch":
            text = f"a name is letters, digits, '.', '_' and '-', at most 64; got {shown(detail['input'])}"
        else:
            text = f"expected {_expected(here, allowed)}, got {shown(detail['input'])}"
        file_line = document.locate(place if in_file else place[:-1])
        number = int(file_line.rpartition(":")[2])
        key = format_place(place)
        lines.setdefault((number, key), on_one_line(f"{file_line}: {key}: {text}"))
    return tuple(lines[key] for key in sorted(lines))


def _unknown(key: str, keys: list[str]) -> str:
    if key in keys:  # of a short form that was not written out, since the long form is there too
        return f"also under model; set {key} in one of the two"
    return f"unknown key{nearest(key, keys)}; known: {', '.join(keys)}"


def format_place(place: Place) -> str:
    """Write `("architectures", 1, "image_size")` as `architectures[1].image_size`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".") or "suite file"


def describe_value(detail: ErrorDetails) -> str:
    """Describe a pydantic error of a single value that was validated on its own, without a schema of the file."""
    if detail["type"] == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    text = detail["msg"].replace("Input should be", "expected").replace("a valid ", "")
    text = text.replace("expected array", "expected a list").replace("expected an object", "expected a mapping")
    return f"{text[0].lower()}{text[1:]}, got {shown(detail['input'])}"


def _place(loc: tuple[int | str, ...], data: object) -> tuple[Place, bool]:
    """Return pydantic's location without its union tags, and whether the file has the last part of it."""
    place: list[int | str] = []
    for position, part in enumerate(loc):
        present = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if present:
            place.append(part)
            data = cast("Any", data)[part]
        elif isinstance(data, dict) and part == data.get("format"):
            continue  # the tag of a union
        elif position == len(loc) - 1 and isinstance(part, str) and isinstance(data, dict):
            return (*place, part), False
    return tuple(place), True


def _schema_at(schema: dict[str, Any], data: object, place: Place) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of `place`: as written there, and with its reference followed."""
    here = followed = schema
    for part in place:
        if isinstance(part, int):
            here = followed.get("items", {}) or (followed.get("prefixItems") or [{}])[0]
        else:
            named = followed.get("properties", {}).get(part)
            patterns = (*followed.get("patternProperties", {}).values(), followed.get("additionalProperties"))
            here = named or next((pattern for pattern in patterns if isinstance(pattern, dict)), {})
        if isinstance(data, dict) and isinstance(part, str):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            data = None
        followed = _follow(schema, here, data)
    return here, followed


def _follow(schema: dict[str, Any], here: dict[str, Any], data: object) -> dict[str, Any]:
    mapping = here.get("discriminator", {}).get("mapping", {})
    if mapping and isinstance(data, dict) and data.get("format") in mapping:
        here = {"$ref": mapping[data["format"]]}
    options = [option for option in here.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) > 1 and isinstance(data, dict):  # a short form is no mapping
        options = [option for option in options if "$ref" in option or option.get("type") == "object"]
    if len(options) == 1:
        here = options[0]
    if "$ref" in here:
        definition: dict[str, Any] = schema["$defs"][here["$ref"].rpartition("/")[2]]
        return definition
    return here


def _expected(here: dict[str, Any], followed: dict[str, Any]) -> str:
    options = [option for option in here.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) <= 1:
        options = [followed]
    return " or ".join(
        dict.fromkeys(_allowed_values(option if "$ref" not in option else {"type": "object"}) for option in options)
    )


def _allowed_values(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    bounds = [f"{sign} {schema[key]}" for key, sign in _BOUNDS.items() if key in schema]
    size = " that is not empty" if schema.get("minItems") or schema.get("minProperties") else ""
    keys = schema.get("properties", ())
    named = f" with {', '.join(keys)}" if 0 < len(keys) <= _FEW_KEYS else ""
    return f"{_TYPES.get(schema.get('type', ''), 'another value')}{size}{named} {' and '.join(bounds)}".strip()


def _tags(detail: ErrorDetails) -> str:
    return str(detail["ctx"]["expected_tags"]).replace("'", "")


def shown(value: object) -> str:
    """A value as a message quotes it, cut short."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
