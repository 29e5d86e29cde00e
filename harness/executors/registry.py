"""From a name to an executor: one of this package's, one of an installed package's, or any class by its import path.

A module is imported only when its executor is asked for.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import foreign
from harness.errors import UsageError
from harness.suite.user_code import load_attribute

if TYPE_CHECKING:
    from harness.executors.base import Executor

ENTRY_POINTS = "harness.executors"
_BUILT_IN = {
    "local": "harness.executors.local:LocalExecutor",
    "inline": "harness.executors.inline:InlineExecutor",
    "ray": "harness.executors.ray:RayExecutor",
}


def load_executor(name: str, **options: Any) -> Executor:
    """Return a new executor.

    Args:
        options: of the executor; None counts as not given.
        name: `local`, `inline`, `ray`, the name of an entry point in the group `harness.executors`, or `module:Class`.

    Raises:
        UsageError: there is none of that name, or it cannot be made.
    """
    executor = _load_class(name, _path_of(name))
    given = {option: value for option, value in options.items() if value is not None}
    strange = sorted(given.keys() - {field.name for field in fields(executor)} if is_dataclass(executor) else given)
    if strange:
        raise UsageError(f"--executor {name}: has no {' and no '.join(strange)}")
    try:
        made: Executor = executor(**given)
    except Exception as error:
        raise UsageError(f"--executor {name}: cannot be made without arguments: {foreign.described(error)}") from error
    missing = [attribute for attribute in ("submit", "poll_s") if not hasattr(made, attribute)]
    if missing:
        raise UsageError(
            f"--executor {name}: is no executor: it has no {' and no '.join(missing)}; harness/executors/base.py says "
            "what one needs"
        )
    return made


def _path_of(name: str) -> str:
    """Return the import path that a name stands for."""
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    installed = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    if name in installed:
        return installed[name]
    if ":" in name:
        return name
    names = ", ".join(dict.fromkeys((*_BUILT_IN, *installed)))
    raise UsageError(f"--executor {name}: there is none of that name; give one of {names}, or module:Class")


def _load_class(name: str, path: str) -> Any:
    try:
        return load_attribute(path, Path.cwd())
    except ImportError as error:
        raise UsageError(f"--executor {name}: {error}") from error
