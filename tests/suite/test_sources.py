"""What an import runs of the user's own files is found by reading them: all of it, nothing else, and nothing is run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.suite.sources import source_files

BOOM = "raise SystemExit('this was run')\n"


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BOOM + text)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in another folder than the suite's, with a search path of this test's own."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("PYTHONPATH", raising=False)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("import helper", {"helper"}),
        ("import helper as h, other", {"helper", "other"}),
        ("from helper import thing", {"helper"}),
        ("from helper import *", {"helper"}),
        ("def f():\n    import helper", {"helper"}),
        ("try:\n    import helper\nexcept ImportError:\n    import missing", {"helper"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import helper", {"helper"}),
        ("import chain", {"chain", "helper"}),
        ("import circle", {"circle"}),
        ("import package", {"package"}),
        ("import package.inner", {"package", "package.inner", "helper"}),
        ("from package import inner", {"package", "package.inner", "helper"}),
        ("from package.inner import thing", {"package", "package.inner", "helper"}),
        ("import package.deep.leaf", {"package", "package.deep", "package.deep.leaf", "package.sibling"}),
        ("import spread.part", {"spread.part"}),
        ("import broken", {"broken"}),
        ("import compiled", {"compiled"}),
        ("import torch, numpy as np, json, random\nfrom torch.utils.data import Dataset", set()),
        ("import harness\nfrom harness.errors import DataError", set()),
        ("import not_there\nfrom not_there.at import all", set()),
        ("", set()),
    ],
)
@pytest.mark.parametrize("root", ["data.py", "my_data"])
def test_each_kind_of_import_is_followed(statement: str, names: set[str], root: str, tmp_path: Path) -> None:
    """Wherever it stands in the file, through packages, relative names and circles; other people's code is not."""
    folder = tmp_path / "suite"
    _write(
        folder,
        {
            "data.py": statement,
            "my_data.py": statement,
            "helper.py": "",
            "other.py": "",
            "chain.py": "import helper",
            "circle.py": "import circle",
            "package/__init__.py": "",
            "package/inner.py": "import helper",
            "package/sibling.py": "",
            "package/unused.py": "",
            "package/deep/__init__.py": "from . import leaf",
            "package/deep/leaf.py": "from ..sibling import thing\nfrom .. import nothing",
            "spread/part.py": "",
            "broken.py": "def broken(:",
            "unused.py": "",
        },
    )
    (folder / "compiled.so").write_bytes(b"\x7fELF")
    found = source_files(root, folder)
    assert set(found) == {root, *names}
    assert all(path.is_file() and path.is_relative_to(folder) for path in found.values())


def test_a_module_in_a_package_runs_the_package(tmp_path: Path) -> None:
    """`package.data:Class` runs `package/__init__.py` and what that imports; relative imports begin at the package."""
    _write(
        tmp_path / "suite",
        {
            "package/__init__.py": "import helper",
            "package/data.py": "from .sizes import SIZE\nfrom . import names",
            "package/sizes.py": "",
            "package/names/__init__.py": "",
            "helper.py": "",
        },
    )
    found = source_files("package.data", tmp_path / "suite")
    assert list(found) == ["package.data", "helper", "package", "package.names", "package.sizes"]


@pytest.mark.parametrize("where", ["suite", "work", "paths"])
def test_all_of_the_users_folders_are_searched(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite's folder first, then the working directory, then PYTHONPATH; the file's own folder before all."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "paths"))
    _write(tmp_path / "paths", {"my_data.py": "import helper", "helper.py": ""})
    if where != "paths":
        _write(tmp_path / "work", {"my_data.py": "import helper", "helper.py": ""})
    (tmp_path / "suite").mkdir()
    if where == "suite":
        _write(tmp_path / "suite", {"my_data.py": "import helper", "helper.py": ""})
    expected = {"my_data": tmp_path / where / "my_data.py", "helper": tmp_path / where / "helper.py"}
    assert source_files("my_data", tmp_path / "suite") == expected
    _write(tmp_path / "own", {"data.py": "import helper", "helper.py": ""})
    file = str(tmp_path / "own" / "data.py")
    assert source_files(file, tmp_path / "suite")["helper"] == tmp_path / "own" / "helper.py"


def test_a_module_that_is_found_by_pythons_own_search_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an editable install puts its folder there."""
    _write(tmp_path / "project", {"my_data.py": "import helper", "helper.py": ""})
    monkeypatch.syspath_prepend(str(tmp_path / "project"))
    assert list(source_files("my_data", tmp_path)) == ["my_data", "helper"]


def test_an_installed_module_counts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own file; what it imports belongs to its package's version."""
    installed = tmp_path / "site-packages"
    _write(
        installed, {"their_data/__init__.py": "", "their_data/sets.py": "import their_helper", "their_helper.py": ""}
    )
    monkeypatch.syspath_prepend(str(installed))
    _write(tmp_path, {"their_helper.py": ""})
    assert source_files("their_data.sets", tmp_path) == {"their_data.sets": installed / "their_data" / "sets.py"}
    assert list(source_files("torchvision.datasets.fakedata", tmp_path)) == ["torchvision.datasets.fakedata"]


def test_a_module_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the places that were searched; one that python has within itself has no file."""
    with pytest.raises(
        ImportError, match=f"there is no module my_data in {tmp_path}, in .*work or among the installed"
    ):
        source_files("my_data", tmp_path)
    assert source_files("sys", tmp_path) == {}
