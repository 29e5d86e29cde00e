"""Every architecture that a suite can name: those that come with the harness, installed ones, and the user's own.

A suite names one of its user's by an import path, `module:ROW` or `file.py:ROW`, or by the name of an entry point of
the group `harness.families`, which is such an import path. Its module is imported where the suite is read, and not
before a suite names it: a module that holds the row alone, and leaves torch to its family's module, keeps planning and
reporting free of torch. Or it gives the import path of a function that builds a network, with a name of its own: trials
alone import that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from harness.suite import user_code
from harness.suite.catalog import own as own_models
from harness.suite.catalog import timm, torchvision, transformers, yolo
from harness.suite.catalog.architecture import Architecture
from harness.suite.sources import source_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ENTRY_POINTS = "harness.families"
_ROWS: tuple[Architecture, ...] = (
    *torchvision.ARCHITECTURES,
    *timm.ARCHITECTURES,
    *transformers.ARCHITECTURES,
    *yolo.ARCHITECTURES,
)
BUILT_IN: Mapping[str, Architecture] = {row.name: row for row in _ROWS}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnArchitecture:
    """What a trial remembers of an architecture that does not come with the harness.

    Attributes:
        path: the import path of its row; a file's is absolute. Where a file lies is no part of a trial's identity.
        sha256: the first of its `code_hashes`.
        backbone: of the row, as are `stages` and `parameters`: a report is made from records alone.
    """

    path: str
    sha256: str
    backbone: str
    stages: int
    parameters: int


def names() -> tuple[str, ...]:
    """The names that need no import path: built-in ones, then those of installed entry points. Imports nothing."""
    installed = {point.name for point in entry_points(group=ENTRY_POINTS)} - set(BUILT_IN)
    return (*BUILT_IN, *sorted(installed))


def find(name: str, folder: Path, python: str | None = None) -> tuple[Architecture, OwnArchitecture | None]:
    """The row that a suite calls `name`; with it, unless it is built in, what a trial must remember of it.

    Args:
        name: the name of a built-in row or of an entry point, or an import path; beside `python` any other name.
        folder: the suite's folder, where the user's modules are looked for.
        python: the import path of a function that builds a network of the user's, which is not imported.

    Raises:
        ImportError: a row or a function of the user's cannot be imported; the text says why.
        LookupError: there is no such name.
        TypeError: what was imported is not a row that can be used; the text says why.
    """
    if python is not None:
        if name in BUILT_IN:
            raise TypeError(f"{python} is called {name}, as a built-in architecture is: give it a name of its own")
        model = own_models.own_model(name, python, own_models.read_arguments(python, folder))
        return model, _remembered(python, model, folder)
    if name in BUILT_IN:
        return BUILT_IN[name], None
    path = name if ":" in name else _entry_point(name)
    row = load_row(path, folder)
    if ":" not in name and row.name != name:
        raise TypeError(f"the entry point {name} of {ENTRY_POINTS} gives a row of the name {row.name}: they must agree")
    return row, _remembered(path, row, folder)


def _remembered(path: str, row: Architecture, folder: Path) -> OwnArchitecture:
    """What a trial must remember of a row of the user's."""
    return OwnArchitecture(
        path=path,
        sha256=code_hashes(path, row, folder)[0],
        backbone=row.backbone,
        stages=row.stages,
        parameters=row.parameters,
    )


def _entry_point(name: str) -> str:
    """The import path that an entry point of this name stands for."""
    paths = sorted({point.value for point in entry_points(group=ENTRY_POINTS, name=name)})
    if not paths:
        raise LookupError(name)
    if len(paths) > 1:
        raise TypeError(f"several installed packages have such an architecture; name one of {', '.join(paths)} instead")
    return paths[0]


def load_row(path: str, folder: Path, name: str | None = None) -> Architecture:
    """The row that an import path names; its family's path is absolute if it is a file's.

    Args:
        name: what to call a network of the user's, if the path is that of a function that builds one.

    Raises:
        ImportError: it cannot be imported.
        TypeError: it is no `Architecture`, or takes the name of a built-in one.
    """
    row = user_code.load_attribute(path, folder)
    if name is not None and callable(row):
        module, _, function = path.rpartition(":")
        return own_models.own_model(name, f"{folder / module}:{function}" if module.endswith(".py") else path)
    if not isinstance(row, Architecture):
        advice = f"; a function that builds a network is named by `python: {path}`" if callable(row) else ""
        raise TypeError(
            f"{path} is a {type(row).__name__}: expected a harness.suite.catalog.architecture.Architecture{advice}"
        )
    if row.name in BUILT_IN:
        raise TypeError(f"{path} is called {row.name}, as a built-in architecture is: give it a name of its own")
    if row.family.endswith(".py"):
        beside = user_code.source_file(path.rpartition(":")[0], folder)
        row = replace(row, family=str((beside.parent if beside else folder) / row.family))
    return row


def code_hashes(path: str, row: Architecture, folder: Path) -> tuple[str, str]:
    """Return the sha256 of an architecture's code; and the one that versions before 0.4 gave.

    Both are over the files that define the row and its family; the first one over what these import of the user's own
    as well (`harness.suite.sources`). They are equal where nothing is imported.

    Args:
        path: the import path of the row.
        row: what `load_row` returned for it.
        folder: the suite's folder.

    Raises:
        ImportError: a module has no file.
    """
    digest = hashlib.sha256()
    defining: list[Path] = []
    imported: dict[str, Path] = {}
    family = () if isinstance(row, own_models.OwnModel) else (row.family,)  # which is this program's
    for module in dict.fromkeys((path.rpartition(":")[0], *family)):
        try:
            found = source_files(module, folder)
            file = found.pop(module)
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        except (ImportError, KeyError, OSError):
            raise ImportError(f"{module}: there is no such module or file") from None
        defining.append(file.resolve())
        imported |= found
    older = digest.hexdigest()
    for name, file in sorted(imported.items()):
        if file.resolve() not in defining:
            digest.update(name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest(), older
