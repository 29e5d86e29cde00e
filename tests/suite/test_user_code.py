"""A user's module is imported under a name of its own, and what goes wrong is an ImportError that says what."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from harness.suite import user_code


@pytest.fixture(autouse=True)
def restored_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_a_file_keeps_its_name_to_itself(tmp_path: Path) -> None:
    """A user's random.py is no python's random, and a second import gives the same module."""
    (tmp_path / "random.py").write_text("VALUE = 3\n")
    assert user_code.load_attribute("random.py:VALUE", tmp_path) == 3
    assert sys.modules["random"] is random
    path = str(tmp_path / "random.py")
    assert user_code.load_module(path) is user_code.load_module(path)


def test_a_file_imports_what_lies_beside_it(tmp_path: Path) -> None:
    """As a script that is run in its folder."""
    (tmp_path / "beside_this_one.py").write_text("VALUE = 4\n")
    (tmp_path / "main_one.py").write_text("from beside_this_one import VALUE\n")
    assert user_code.load_attribute(f"{tmp_path / 'main_one.py'}:VALUE", Path("/")) == 4


@pytest.mark.parametrize("content", ["raise ValueError('so')", "import sys; sys.exit(3)", "def broken(:"])
def test_whatever_the_code_raises_is_an_import_error(content: str, tmp_path: Path) -> None:
    """Also an exit; and once the file is mended it can be imported."""
    path = tmp_path / "broken.py"
    path.write_text(content)
    with pytest.raises(ImportError, match="cannot be imported: (ValueError: so|SystemExit: 3|SyntaxError: )"):
        user_code.load_module(str(path))
    path.write_text("VALUE = 'mended by now'\n")
    assert user_code.load_attribute(f"{path}:VALUE", tmp_path) == "mended by now"


def test_the_source_is_found_without_importing(tmp_path: Path) -> None:
    """Of a file and of a module; nothing for a built-in or one that is not there."""
    (tmp_path / "never_imported.py").write_text("raise RuntimeError\n")
    sys.path.insert(0, str(tmp_path))
    assert user_code.source_file("never_imported", tmp_path) == tmp_path / "never_imported.py"
    assert user_code.source_file("never_imported.py", tmp_path) == tmp_path / "never_imported.py"
    assert user_code.source_file("sys", tmp_path) is None
    assert user_code.source_file("no_such_package.inner", tmp_path) is None
