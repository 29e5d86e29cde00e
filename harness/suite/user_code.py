"""Import the user's own Python code that a suite names, and explain why an import failed.

Owns import paths of the forms `package.module` and `file.py`, with or without `:NAME`. Does not check the imported
object; the caller does.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import foreign

if TYPE_CHECKING:
    from types import ModuleType


def load_attribute(path: str, folder: Path) -> Any:
    """Import the object that `module:NAME` or `file.py:NAME` names; this runs the user's code.

    Args:
        path: the import path.
        folder: the suite's folder. Modules are searched for there, in the working directory and among the installed
            packages; a relative file is searched for there.

    Raises:
        ImportError: the module cannot be imported, or has no such name; the text says why.
    """
    module_path, _, name = path.rpartition(":")
    for entry in (str(Path.cwd()), str(folder)):
        if entry not in sys.path:
            sys.path.insert(0, entry)
    module = load_module(str(folder / module_path) if module_path.endswith(".py") else module_path)
    if not hasattr(module, name):
        raise ImportError(f"{module_path} has no {name}")
    return getattr(module, name)


def load_module(path: str) -> ModuleType:
    """Import `package.module`, or the `file.py` of an absolute path; modules are searched for on `sys.path` as it is.

    Raises:
        ImportError: it cannot be imported; the text says why.
    """
    try:
        return _load_file(Path(path)) if path.endswith(".py") else importlib.import_module(path)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ImportError(f"cannot be imported: {foreign.described(error)}") from error


def source_file(path: str, folder: Path) -> Path | None:
    """Return the file that defines `package.module` or `file.py` without importing it; None if there is none."""
    if path.endswith(".py"):
        return folder / path
    try:
        specification = importlib.util.find_spec(path)
    except (Exception, SystemExit):  # noqa: BLE001 - this imports the parent packages
        return None
    return Path(specification.origin) if specification and specification.has_location and specification.origin else None


def _load_file(path: Path) -> ModuleType:
    """Import a file under a unique module name, so that it hides no other data.py and no module of Python's own.

    The name depends on the content: a file that was edited since is imported anew, in a notebook for example.
    """
    unique = f"{path.stem}_{hashlib.sha256(str(path).encode() + b'|' + path.read_bytes()).hexdigest()[:8]}"
    if unique not in sys.modules:
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))  # so that the file can import its neighbours
        specification = importlib.util.spec_from_file_location(unique, path)
        if specification is None or specification.loader is None:
            raise ImportError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(specification)
        sys.modules[unique] = module
        try:
            specification.loader.exec_module(module)
        except BaseException:
            del sys.modules[unique]  # otherwise the next import would get a half-executed module
            raise
    return sys.modules[unique]
