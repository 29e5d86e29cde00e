"""The group of commands: what each imports, and what a wrong command comes to."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness.cli import main
from tests.conftest import ROOT, Command


def _modules_after(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom harness.cli import main\n"
        f"try:\n    main({list(arguments)!r}, prog_name='harness')\nexcept SystemExit:\n    pass\n"
        "print('\\n', ' '.join(sys.modules))"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments", [("--help",), ("plan", "suites/smoke.yaml"), ("validate", "suites/smoke.yaml"), ("schema",)]
)
def test_planning_imports_no_heavy_library(arguments: tuple[str, ...]) -> None:
    """After help, plan, validate and schema none of torch, torchvision, pandas, matplotlib is loaded."""
    assert not _modules_after(*arguments) & {"torch", "torchvision", "torchmetrics", "pandas", "matplotlib", "pyarrow"}


def test_help_imports_neither_pydantic_nor_numpy() -> None:
    """They take longer to import than all that help needs."""
    assert not _modules_after("--help") & {"pydantic", "numpy", "yaml", "rich"}


def test_help_names_every_command(harness_command: Command) -> None:
    """Each with a line; how soon the help appears is measured in tests/perf."""
    help_text = harness_command("--help").stdout
    for command in ("run", "plan", "validate", "report", "list", "fetch", "schema", "data", "status", "show", "measure",
                    "doctor", "recommend", "compare", "race"):  # fmt: skip
        assert f"  {command}" in help_text


def test_the_parent_of_a_run_never_imports_torch(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """A whole run, to the report, in a process whose modules are then listed."""
    executor = "tests.executors.scripted:RecordingExecutor"
    options = ("--results", str(tmp_path / "results"), "--executor", executor)
    modules = _modules_after("run", str(tiny_suite()), *options)
    assert {"pandas", "harness.executors.local"} <= modules
    assert "1 of 1 trials measured" in (tmp_path / "results" / "tiny" / "report.md").read_text()
    assert not modules & {"torch", "torchvision", "torchmetrics"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "suites/smoke.yaml", "--select", "nothing*"), "matches none of the suite's trials"),
        (("run", "suites/smoke.yaml", "--device", "gpu"), "none of auto, cpu, cuda, cuda:N"),
        (("run", "suites/smoke.yaml", "--max-images", "0"), "0 is not in the range"),
        (("run", "suites/gone.yaml"), "cannot be read"),
        (("report", "suites"), "no results of a suite"),
        (("list", "networks"), "architectures"),
        (("fly",), "No such command"),
    ],
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...], said: str, harness_command: Command, tmp_path: Path) -> None:
    """One clear message each."""
    extra = ("--results", tmp_path) if arguments[0] == "run" else ()
    done = harness_command(*arguments, *extra, cwd=ROOT)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


HOSTILE = "x\x1b]52;c;cm0=\x07\x1b[2J\x9b\u202e\u200bК×\udcff"


def _commands(group: click.Group = main, *names: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*names, name)
        if isinstance(command, click.Group):
            yield from _commands(command, *names, name)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_no_command_prints_a_command_to_the_terminal(encoding: str) -> None:
    """Every command there is: its help, and what it says of a name or an option that a terminal would obey."""
    for words in ((), *_commands()):
        for more in (("--help",), (f"--{HOSTILE}",), (HOSTILE,), (HOSTILE, HOSTILE), ("--results", HOSTILE, HOSTILE)):
            if words in {("doctor",), ("schema",)} and more == ("--help",):
                continue
            arguments = (*words, *more)
            result = CliRunner(charset=encoding).invoke(main, arguments, prog_name="harness")
            said = result.output_bytes.decode(encoding)
            assert not isinstance(result.exception, UnicodeError), arguments
            assert isinstance(result.exception, SystemExit | None), arguments
            assert said, arguments
            assert all(letter.isprintable() or letter == "\n" for letter in said), arguments


def test_a_terminal_that_knows_ascii_alone_shows_every_line(tiny_suite: Callable[..., Path]) -> None:
    """On a terminal, which a command draws on in colours, of a path that is no text."""
    suite = tiny_suite()
    bad = suite.with_name("caf\udce9×\x1b]0;x\x07.yaml")
    bad.write_bytes(suite.read_bytes())
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "TERM": "xterm"}
    arguments = (sys.executable, "-m", "harness", "validate", str(bad))
    process = subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    said = b""
    while chunk := _read(ours):
        said += chunk
    os.close(ours)
    assert process.wait() == 0, said
    assert rb"caf\xe9x\x1b]0;x\x07.yaml: sound, 1 trial" in said
    assert b"\x1b]0" not in said
    assert said.isascii()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last one who wrote to it has gone
        return b""
