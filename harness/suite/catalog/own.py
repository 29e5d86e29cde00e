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
class Arguments:
    """What a function may be called with by name.

    Attributes:
        names: its arguments.
        any_name: whether it takes others too (`**options`), or may: a decorator can change that.
    """

    names: tuple[str, ...]
    any_name: bool = False

    def takes(self, name: str) -> bool:
        """Whether it may be called with this name."""
        return self.any_name or name in self.names


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel(Architecture):
    """A row of the user's own network.

    Attributes:
        build: the import path of the function that builds it; a file's is absolute.
        arguments: of that function; None where only calling it tells.
    """

    build: str
    arguments: Arguments | None = None

    def find_option(self, name: str) -> Option | None:
        """An option for any argument of the function but those that the harness gives itself."""
        if name in GIVEN or (self.arguments and not self.arguments.takes(name)):
            return None
        return Option(name=name, kind="plain")

    def weights_words(self) -> tuple[str, ...]:
        """`default` is passed to the function, where it has an argument of the name."""
        return ("none",) if self.arguments and "weights" not in self.arguments.names else ("default", "none")

    def weights_unless_set(self) -> str:
        """The function's own, where it is known to have some."""
        return "default" if self.arguments and "weights" in self.arguments.names else "none"


def own_model(name: str, path: str, arguments: Arguments | None = None) -> OwnModel:
    """The row of the network that the function at an import path builds. Its code is not looked at."""
    module, _, function = path.rpartition(":")
    file = module.replace("\\", "/").rpartition("/")[2]
    return OwnModel(
        name=name,
        family="harness.trial.models.own.family",
        build=path,
        arguments=arguments,
        options=tuple(
            Option(name=argument, kind="plain")
            for argument in (arguments.names if arguments else ())
            if argument not in GIVEN
        ),
        backbone=f"{file}:{function}",
        stages=0,
        parameters=0,
        recipe=_RECIPE,
    )


def read_arguments(path: str, folder: Path) -> Arguments | None:
    """Read which arguments a function at an import path takes by name, without running anything.

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
        names = tuple(argument.arg for argument in (*found.args.args, *found.args.kwonlyargs))
        return Arguments(names=names, any_name=found.args.kwarg is not None or bool(found.decorator_list))
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
