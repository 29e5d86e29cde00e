"""What a reader relies on: no circles between modules, torchvision behind its family, tests beside their rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.conftest import ROOT

HARNESS = ROOT / "harness"
# Rooms of tests that hold properties of the whole program, or of more than one module.
WHOLE_PROGRAM = {"docs", "examples", "faults", "gpu", "perf"}
PROPERTIES = {
    "test_coverage",
    "test_error_rates",
    "test_every_row",
    "test_fuzz",
    "test_gpu",
    "test_older_state",
    "test_real_data",
    "test_recipe_parts",
}


def _module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


# Each family in a folder of its own, with its rows in the module of that name in the catalogue.
FAMILIES = tuple(
    HARNESS / "trial" / "models" / name
    for name in ("torchvision", "timm", "transformers", "transformers_timm", "transformers_backbone", "yolo")
)
MODULES = {_module_name(path): path for path in HARNESS.rglob("*.py")}


def _imported(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere in it: within functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                module = f"{node.module}.{name.name}"
                yield module if module in MODULES else node.module


def test_no_circle_between_modules() -> None:
    """Each module can be read after those that it imports, imports for annotations included."""
    graph = {name: {other for other in _imported(path) if other in MODULES} - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"modules import each other in a circle: {' -> '.join(error.args[1])}") from None


def test_torchvision_stays_behind_its_family_and_the_transforms() -> None:
    """Nothing else may know whose detector it trains: that is what makes another family one file."""
    deploy = HARNESS / "trial" / "deploy"
    shared = (deploy / "suppression.py", deploy / "resizing.py")  # of boxes of several families; exact in traces
    allowed = (*FAMILIES, HARNESS / "trial" / "inputs", *shared)
    offenders = {
        name
        for name, path in MODULES.items()
        for imported in _imported(path)
        if imported.split(".")[0] == "torchvision" and not any(path.is_relative_to(folder) for folder in allowed)
    }
    assert not offenders


def test_nothing_imports_a_familys_module() -> None:
    """A family is found by the name in its row: whoever imports one would look behind the protocol.

    Families may build on one another: torchvision's heads serve timm's backbones too.
    """
    rows = {"harness.suite.catalog.registry", "harness.suite.catalog.transformers_backbones"}  # one takes timm's
    offenders = {
        name
        for name, path in MODULES.items()
        for imported in _imported(path)
        for family in FAMILIES
        if not any(path.is_relative_to(folder) for folder in FAMILIES)
        and (
            f"{imported}.".startswith(f"{_module_name(family)}.")
            or (f"{imported}.".startswith(f"harness.suite.catalog.{family.name}.") and name not in rows)
        )
    }
    assert not offenders


def test_tests_mirror_the_rooms() -> None:
    """A test of harness/a/b.py stands in tests/a/test_b.py, so that either is found from the other."""
    strangers = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        folder = path.parent.relative_to(ROOT / "tests")
        if not folder.parts or folder.parts[0] in WHOLE_PROGRAM or path.stem in PROPERTIES:
            continue
        module = HARNESS / folder / path.stem.removeprefix("test_")
        if not module.with_suffix(".py").is_file() and not (module / "__init__.py").is_file():
            strangers.append(str(path.relative_to(ROOT)))
    assert not strangers
