"""Checks of a suite file's values that types cannot express: each returns the value to keep or raises ValueError.

pydantic calls them during validation, so that their problems are reported with all the others. The validation's context
is the folder of the suite file; without a context (when a stored trial is read) nothing is looked up on disk.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.suite import weights as own_weights
from harness.suite.catalog import registry
from harness.suite.catalog.own import read_arguments

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import ValidationInfo

T = TypeVar("T")


def _is_file_or_folder(path: Path) -> bool:
    return path.is_file() or path.is_dir()


_KINDS = {"folder": Path.is_dir, "file": Path.is_file, "file or folder": _is_file_or_folder}
WEIGHTS_WORDS = ("default", "backbone", "none")


def nearest(word: str, known: Collection[str]) -> str:
    """Return `; did you mean X?` if a known word is similar or says the same, otherwise an empty text."""
    if word.lower().startswith(("freez", "frozen")):
        layers = "trainable_backbone_layers"
        where = "" if layers in known else " under model of an architecture"
        return f"; did you mean {layers}{where}? 0 freezes the whole backbone"
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), tuple(lower), n=1)
    return f"; did you mean {lower[close[0]]}?" if close else ""


def ascending(pair: tuple[float, float]) -> tuple[float, float]:
    """Check a range: the smaller end comes first."""
    if pair[0] > pair[1]:
        raise ValueError(f"expected [smallest, largest], got {list(pair)}")
    return pair


def distinct_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Check class names: none is blank, none occurs twice."""
    if len(set(names)) < len(names) or any(not name.strip() for name in names):
        raise ValueError(f"expected distinct names, none empty, got {list(names)}")
    return names


def distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    """Check that each value occurs once."""
    if len(set(values)) < len(values):
        raise ValueError(f"expected each once, got {list(values)}")
    return values


def currency(text: str) -> str:
    """Check a currency: a short word of letters, such as USD."""
    if not text.isalpha() or len(text) > 8:  # noqa: PLR2004 - longer than any code, short enough for a table
        raise ValueError(f"expected a currency's code or name of at most 8 letters, such as USD, got {text!r}")
    return text


def known_architecture(name: str, info: ValidationInfo) -> str:
    """Check an architecture's name: one of the catalogue, or the import path of a row, which is imported.

    Beside the import path of a function that builds a network it is a name of the user's own.
    """
    python = info.data.get("python")
    if info.context is None or "python" not in info.data or (name in registry.BUILT_IN and python is None):
        return name
    name = import_path(name, info) if ":" in name and python is None else name
    try:
        registry.find(name, info.context, python)
    except LookupError:
        known = sorted(registry.names())
        raise ValueError(
            f"unknown architecture {name!r}{nearest(name, known)}; known: {', '.join(known)}; "
            "one of your own is named by module:ROW or file.py:ROW"
        ) from None
    except (ImportError, TypeError) as error:
        raise ValueError(f"{name}: {error}") from None
    return name


def network(text: str, info: ValidationInfo) -> str:
    """Check the import path of a function that builds a network, which is read and not imported."""
    path = import_path(text, info)
    if info.context is not None:
        try:
            read_arguments(path, info.context)
        except ImportError as error:
            raise ValueError(f"{path}: {error}") from None
    return path


def folder(path: Path, info: ValidationInfo) -> Path:
    """Check that a folder exists, and return its absolute path."""
    return _existing(path, info, kind="folder")


def file(path: Path, info: ValidationInfo) -> Path:
    """Check that a file exists, and return its absolute path."""
    return _existing(path, info, kind="file")


def file_or_folder(path: Path, info: ValidationInfo) -> Path:
    """Check that a file or folder exists, and return its absolute path."""
    return _existing(path, info, kind="file or folder")


def pattern(text: str) -> str:
    """Check a regular expression."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"expected a regular expression, got {text!r}: {error}") from None
    return text


def weights(text: str, info: ValidationInfo) -> str:
    """Check weights: one of the words, or an existing file or folder of weights, whose absolute path is returned."""
    if text in WEIGHTS_WORDS or info.context is None:
        return text
    try:
        path = file_or_folder(Path(text), info)
        if path.is_dir() and not own_weights.is_folder(path):
            raise ValueError(f"{path}: is a folder without config.json")  # noqa: TRY301 - one message for all of them
    except ValueError as error:
        raise ValueError(
            f"expected {', '.join(WEIGHTS_WORDS)}, a file of weights, or a folder with config.json and "
            f"model.safetensors; {error}"
        ) from None
    return str(path)


def import_path(text: str, info: ValidationInfo) -> str:
    """Check an import path: return `module:Class` unchanged, and `file.py:Class` with an absolute path."""
    module, separator, name = text.rpartition(":")
    if not separator or not module or not name.isidentifier():
        raise ValueError(f"expected module:NAME or file.py:NAME, got {text!r}")
    return f"{file(Path(module), info)}:{name}" if module.endswith(".py") and info.context is not None else text


def _existing(path: Path, info: ValidationInfo, *, kind: str) -> Path:
    """Return the absolute path; a relative one is tried in the suite file's folder, then in the working directory."""
    if info.context is None:
        return path
    bases = [Path()] if path.is_absolute() else [info.context, Path.cwd()]
    for base in bases:
        candidate = base / path
        try:
            if _KINDS[kind](candidate):
                return candidate.resolve()
            if candidate.exists():
                raise ValueError(f"expected a {kind}: {candidate} is another kind of thing")
        except OSError as error:  # the name is too long, or a folder may not be entered
            raise ValueError(f"{candidate}: {error.strerror}") from None
    searched = "" if path.is_absolute() else f" (looked in {' and '.join(dict.fromkeys(map(str, bases)))})"
    raise ValueError(f"no such {kind}: {path}{searched}")
