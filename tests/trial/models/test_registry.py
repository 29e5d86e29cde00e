"""A trial builds the code that it was planned with, by a module that has the functions of a family."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import TrialError
from harness.suite.catalog import registry as catalog
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial.models.base import BackboneFetchingFamily, Family, FetchingFamily, NamingFamily
from harness.trial.models.registry import family_of, row_of

TOYS = Path(__file__).parents[2] / "examples"


def _architecture() -> TrialArchitecture:
    row, own = catalog.find("toy_architecture.py:TOY", TOYS)
    return TrialArchitecture(
        name=row.name, weights="none", weights_sha256=None, image_size=ImageSize(), model={}, own=own
    )


def test_code_that_changed_since_it_was_planned_is_refused() -> None:
    """Else a resumed trial would end with another network than it began with."""
    architecture = _architecture()
    assert row_of(architecture, TOYS).name == "toy"
    assert architecture.own is not None
    changed = replace(architecture, own=replace(architecture.own, sha256="0"))
    with pytest.raises(TrialError, match="its files have changed since this trial was planned"):
        row_of(changed, TOYS)
    gone = replace(architecture, own=replace(architecture.own, path="gone.py:TOY"))
    with pytest.raises(TrialError, match=r"architecture gone.py:TOY: cannot be imported: FileNotFoundError"):
        row_of(gone, TOYS)


def test_weights_of_0_3_find_code_that_imports_other_files(tmp_path: Path) -> None:
    """Their record has a hash without the imported files, which is right as well."""
    for name in ("toy_architecture.py", "toy_family.py"):
        (tmp_path / name).write_text((TOYS / name).read_text())
    with (tmp_path / "toy_family.py").open("a") as family:
        family.write("\nimport sizes_of_mine\n")
    (tmp_path / "sizes_of_mine.py").write_text("WIDTH = 3\n")
    path = f"{tmp_path / 'toy_architecture.py'}:TOY"
    new, older = catalog.code_hashes(path, catalog.load_row(path, tmp_path), tmp_path)
    assert new != older
    architecture = _architecture()
    assert architecture.own is not None
    for sha256 in (new, older):
        own = replace(architecture.own, path=path, sha256=sha256)
        assert row_of(replace(architecture, own=own), tmp_path).name == "toy"


def test_a_module_without_the_functions_is_no_family(tmp_path: Path) -> None:
    """The message names what is missing."""
    (tmp_path / "half.py").write_text("def build(): pass\n")
    row = replace(row_of(_architecture(), TOYS), family=str(tmp_path / "half.py"))
    with pytest.raises(TrialError, match="half.py of toy: it has no function rebuild"):
        family_of(row)
    with pytest.raises(TrialError, match="of toy: cannot be imported: ModuleNotFoundError"):
        family_of(replace(row, family="no_such_module_here"))


def test_a_built_in_family_leaves_the_search_path_alone() -> None:
    """What lies in the working directory must not stand in the way of a module that is imported later."""
    before = list(sys.path)
    family_of(catalog.BUILT_IN["retinanet_resnet50_fpn"])
    assert sys.path == before


@pytest.mark.parametrize("name", [*catalog.BUILT_IN, "toy"])
def test_every_row_has_a_family(name: str) -> None:
    """Those with published weights fetch them, or say which file has them; the toy, which has none, need not."""
    row = catalog.BUILT_IN.get(name) or row_of(_architecture(), TOYS)
    family = family_of(row)
    assert isinstance(family, Family)
    assert isinstance(family, FetchingFamily | NamingFamily | BackboneFetchingFamily) or not row.published_files
