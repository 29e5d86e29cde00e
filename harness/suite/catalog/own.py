"""A network of the user's that follows torchvision's convention, as a row: `python: module:build` in a suite.

Owns the row alone. What it builds is the business of `harness.trial.models.own`. The user's file is read here, and not
imported: it needs torch, which planning leaves alone.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.suite.catalog.architecture import Architecture, Option, Recipe
from harness.suite.sources import source_files

if TYPE_CHECKING:
    from pathlib import Path

GIVEN = ("num_classes", "image_size", "weights")  # arguments that the harness gives by itself
# A rate that trains most networks from random and from pretrained weights; a suite sets its own.
_RECIPE = Recipe(lr=1e-4, optimizer="adamw", source="AdamW's usual rate: the harness does not know your network")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel(Architecture):
    """A row of the user's own network.

    Attributes:
        build: the import path of the function that builds it; a file's is absolute.
        takes_weights: whether that function has an argument `weights`; None where only calling it tells.
    """

    build: str
    takes_weights: bool | None = None

    def find_option(self, name: str) -> Option | None:
        """An option for any argument but those that the harness gives itself."""
        return None if name in GIVEN else Option(name=name, kind="plain")

    def weights_words(self) -> tuple[str, ...]:
        """`default` is passed to the function, where it takes it."""
        return ("none",) if self.takes_weights is False else ("default", "none")

    def weights_unless_set(self) -> str:
        """The function's own, where it is known to have some."""
        return "default" if self.takes_weights else "none"


def own_model(name: str, path: str, *, takes_weights: bool | None = None) -> OwnModel:
    """The row of the network that the function at an import path builds. Its code is not looked at."""
    module, _, function = path.rpartition(":")
    file = module.replace("\\", "/").rpartition("/")[2]
    return OwnModel(
        name=name,
        family="harness.trial.models.own.family",
        build=path,
        takes_weights=takes_weights,
        backbone=f"{file}:{function}",
        stages=0,
        parameters=0,
        recipe=_RECIPE,
    )


def takes_weights(path: str, folder: Path) -> bool | None:
    """Read whether a function at an import path has an argument of the name `weights`, without running anything.

    Args:
        path: `module:NAME` or `file.py:NAME`.
        folder: the suite's folder, where modules are searched for first.

    Returns:
        None where the name is not defined by a `def`: assigned, imported, or a class.

    Raises:
        ImportError: there is no such module, it is not Python, or nothing in it has this name; the text says why.
    """
    module, _, name = path.rpartition(":")
    file = source_files(module, folder).get(module)
    if file is None or file.suffix != ".py":
        return None
    try:
        tree = ast.parse(file.read_bytes())
    except OSError as error:
        raise ImportError(f"cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ImportError(f"{file}: is not Python: {error}") from None
    found = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name), None)
    if found is not None:
        arguments = (*found.args.posonlyargs, *found.args.args, *found.args.kwonlyargs)
        return any(argument.arg == "weights" for argument in arguments)
    if name not in _words(tree):
        defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]
        known = f"; it defines {', '.join(defined)}" if defined else ""
        raise ImportError(f"{module} has no {name}{known}")
    return None


def _words(tree: ast.Module) -> set[str]:
    """Every name that a module assigns, imports or defines anywhere; all names if it imports `*`."""
    words: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            words.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.Name):
            words.add(node.id)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            words.add(node.name)
    return words
