"""Decode JSON, with the line of an error, and recognise a JSON file by its keys without decoding it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeVar

import msgspec

from harness.data.formats.files import ends_of_file
from harness.data.formats.source import UnreadableError

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

_NOT_JSON_NUMBERS = re.compile(rb'"(?:[^"\\]|\\.)*+"|-?\b(?:NaN|Infinity|nan|inf)\b', re.DOTALL)


def decode_json(data: bytes, expected_type: type[T], *, strict: bool = True) -> T:
    """Decode JSON into `expected_type`; NaN and Infinity, which Python's own encoder writes, become null.

    Numbers may be text unless `strict`.

    Raises:
        UnreadableError: it is not JSON, does not match the type, or is nested too deep.
    """
    try:
        try:
            return msgspec.json.decode(data, type=expected_type, strict=strict)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            cleaned = _without_nan(data)
            if cleaned == data:
                raise
            return msgspec.json.decode(cleaned, type=expected_type, strict=strict)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        offset = re.search(r"\(byte (\d+)\)", str(error))
        line = data.count(b"\n", 0, int(offset[1])) + 1 if offset else None
        raise UnreadableError(_readable(error), line) from None
    except RecursionError:
        raise UnreadableError("nested too deep") from None


def _without_nan(data: bytes) -> bytes:
    """Replace NaN and Infinity, which JSON does not have, by null; text inside strings is not changed."""
    return _NOT_JSON_NUMBERS.sub(lambda match: match[0] if match[0].startswith(b'"') else b"null", data)


def _readable(error: Exception) -> str:
    """Return msgspec's error message without its JSON path syntax."""
    return str(error).replace("`$.", "`").replace("JSON is malformed: ", "not JSON: ")


def has_json_key(path: Path, *keys: str) -> bool:
    """Return whether the beginning or the end of a JSON file has one of the keys, which shows the format."""
    text = ends_of_file(path)
    return any(re.search(rb"%s\s*:" % re.escape(json.dumps(key).encode()), text) for key in keys)
