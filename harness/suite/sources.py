"""Which files of the user's own an import runs: found by reading import statements, without running anything.

The user's own files are those below the suite's folder, the working directory, the entries of PYTHONPATH, and the
folder where the module itself is found, but neither python's library, installed packages nor this program. What code
imports by computing a name, and the data files that it reads, stay unseen.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec

_SUFFIXES = (".py", *EXTENSION_SUFFIXES)
_INSTALLED = {"site-packages", "dist-packages"}
_LIBRARIES = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
_PROGRAM = Path(__file__).resolve().parents[1]


def source_files(module: str, folder: Path) -> dict[str, Path]:
    """Return the files that importing `package.module` or `file.py` runs, by the name of their module, its own first.

    A module of an installed package counts alone: what it imports belongs to that package's version.

    Args:
        folder: the suite's folder, where modules are searched for first.

    Returns:
        The files; empty where the module has none.

    Raises:
        ImportError: there is no such module.
    """
    own = [folder, Path.cwd(), *(Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry)]
    if module.endswith(".py"):
        file = folder / module
        return {module: file} | _imported_files(file, file.stem, [file.parent, *own])
    for place in (*own, *map(Path, sys.path), *_package_places(module)):
        found = _file(module, [place])
        if found is not None:
            return {module: found} | (_imported_files(found, module, [*own, place]) if _is_own(found) else {})
    if not _is_known(module):
        raise ImportError(f"there is no module {module} in {folder}, in {Path.cwd()} or among the installed packages")
    return {}


def _imported_files(first: Path, module: str, places: Sequence[Path]) -> dict[str, Path]:
    """Return the user's files that a module imports, what those import, and so on, sorted by name."""
    own_places = [place for place in dict.fromkeys(places) if _is_own(place)]
    pending, found, seen = [(first, module)], dict[str, Path](), {module}
    while pending:
        for name in _imported_names(*pending.pop()) - seen:
            seen.add(name)
            file = _file(name, own_places)
            if file is not None and _is_own(file):
                found[name] = file
                pending.append((file, name))
    return dict(sorted(found.items()))


def _imported_names(file: Path, module: str) -> set[str]:
    """Return what could be a module in the file's import statements, and the packages around each and the file."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names = {package}
    try:
        tree = ast.parse(file.read_bytes()) if file.suffix == ".py" and file.is_file() else ast.Module([], [])
    except (OSError, SyntaxError, ValueError, RecursionError):  # whoever reads or imports it will say so
        tree = ast.Module([], [])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join((*above, *([node.module] if node.module else [])))
            names.update({base, *(f"{base}.{alias.name}" for alias in node.names)})
    return {around for name in names for around in _with_packages(name)}


def _with_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1) if parts[0])


def _file(module: str, places: Sequence[Path]) -> Path | None:
    """Return the file of a module below these folders, as python finds it there; None where it has none."""
    first, _, rest = module.partition(".")
    for place in places:
        if (package := place / first / "__init__.py").is_file():
            return _file(rest, [package.parent]) if rest else package
        for suffix in _SUFFIXES:
            if not rest and (file := place / f"{first}{suffix}").is_file():
                return file
    inside = [place / first for place in places if (place / first).is_dir()]  # a package without __init__.py
    return _file(rest, inside) if rest and inside else None


def _package_places(module: str) -> list[Path]:
    """Return where a finder of an installer's own has the package of a module, as for editable installs."""
    spec = _top_spec(module)
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin).parent] if spec.origin and spec.has_location else []
    return [Path(location).parent for location in spec.submodule_search_locations]


def _is_known(module: str) -> bool:
    """Return whether python knows the module without a file of its own: built in, or in an archive."""
    return _top_spec(module) is not None or module.partition(".")[0] in sys.modules


def _top_spec(module: str) -> ModuleSpec | None:
    """Return what python's finders say of the package around a module; this imports nothing."""
    try:
        return importlib.util.find_spec(module.partition(".")[0])
    except ValueError:  # it is imported, and hides where from
        return None


def _is_own(path: Path) -> bool:
    """Return whether a file or folder is the user's own."""
    path = path.resolve()
    installed = _INSTALLED.intersection(path.parts) or any(path.is_relative_to(place) for place in _LIBRARIES)
    return not installed and not path.is_relative_to(_PROGRAM)
