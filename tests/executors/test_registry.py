"""From a name to an executor: ours, an installed package's, anybody's class; and what is wrong with any other name."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.executors import registry
from harness.executors.inline import InlineExecutor
from harness.executors.local import LocalExecutor
from tests.executors.fork_server import ForkServerExecutor


def test_names_and_import_paths_give_executors() -> None:
    """A new object each."""
    assert isinstance(registry.load_executor("local"), LocalExecutor)
    assert isinstance(registry.load_executor("inline"), InlineExecutor)
    assert isinstance(registry.load_executor("tests.executors.fork_server:ForkServerExecutor"), ForkServerExecutor)


def test_an_installed_package_brings_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an entry point, which is loaded only when it is named."""
    points = EntryPoints(
        (
            EntryPoint("forked", "tests.executors.fork_server:ForkServerExecutor", registry.ENTRY_POINTS),
            EntryPoint("broken", "no_such_package:Executor", registry.ENTRY_POINTS),
        )
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))
    assert isinstance(registry.load_executor("local"), LocalExecutor)
    assert isinstance(registry.load_executor("forked"), ForkServerExecutor)
    with pytest.raises(
        UsageError, match="--executor broken: cannot be imported: ModuleNotFoundError: .*no_such_package"
    ):
        registry.load_executor("broken")
    with pytest.raises(UsageError, match="give one of local, inline, ray, forked, broken, or module:Class"):
        registry.load_executor("slurm")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("slurm", "there is none of that name; give one of local, inline, ray, or module:Class"),
        ("theirs:Missing", "theirs has no Missing"),
        ("theirs:Wants", "cannot be made without arguments: TypeError"),
        (
            "theirs:Other",
            "is no executor: it has no submit and no poll_s; harness/executors/base.py says what one needs",
        ),
        ("theirs:", "theirs has no "),
        (":x", "cannot be imported"),
    ],
)
def test_what_is_no_executor_is_refused_in_words(
    name: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence with the name, what is wrong and what is allowed."""
    (tmp_path / "theirs.py").write_text(
        "class Wants:\n    def __init__(self, x):\n        pass\nclass Other:\n    pass\n"
    )
    monkeypatch.chdir(tmp_path)  # a module of the working directory is found, however the program was started
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    with pytest.raises(UsageError, match=f"--executor {name}: {problem}"):
        registry.load_executor(name)
