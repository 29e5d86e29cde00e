"""Text from elsewhere on a terminal: nothing of it is obeyed, every encoding can show it, and no write ends a run."""

from __future__ import annotations

import ast
import io
import logging
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from harness import printing
from harness.errors import SuiteError, UsageError
from harness.formatting import on_one_line, visible, without_doubtful
from tests.conftest import ROOT

HOSTILE = "a\x1b]52;c;cm0=\x07b\x9b2Jc\x7fd\u202ee\u2066f\u200eg\u200bh\ufeffi\r\x08j\u2028k\udcffl"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe × Каталог 画像\u3000\n\tnext", "größe × Каталог 画像\u3000\n\tnext"),
        ("\x1b]52;c;x\x07", r"\x1b]52;c;x\x07"),
        ("\x9b2J\x7f\r\x08", r"\x9b2J\x7f\r\x08"),
        ("\u202egnp.\u2066\u200e\u200f\u200b\ufeff\u2028", r"\u202egnp.\u2066\u200e\u200f\u200b\ufeff\u2028"),
        ("caf\udce9 \ud800", r"caf\xe9 \ud800"),
    ],
)
def test_what_a_terminal_obeys_is_written_as_an_escape(text: str, shown: str) -> None:
    """Controls, marks of direction, characters without a width, bytes that are no text; other letters stay."""
    assert visible(text) == shown
    assert visible(shown) == shown


def test_no_control_or_format_character_passes() -> None:
    """Of all there are, tabs and line breaks alone; and on one line not even those."""
    doubtful = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    for character in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(character) in doubtful:
            assert visible(character).isascii()
            assert on_one_line(character).isprintable()
            assert without_doubtful(character) in {"", character if character in "\n\t" else ""}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_encoding_shows_every_text(encoding: str) -> None:
    """In ASCII where it reads well, else as escapes; of what else the stream's errors were set to."""
    raw = io.BytesIO()
    output = printing.Output(io.TextIOWrapper(raw, encoding=encoding, errors="strict"))
    output.write(f"× … – ━ Каталог {HOSTILE}\n")
    output.flush()
    shown = raw.getvalue().decode(encoding)
    assert shown.endswith("k\\xffl\n")
    assert shown[:-1].isprintable()
    if encoding == "utf-8":
        assert shown.startswith("× … – ━ Каталог")
    if encoding == "ascii":
        assert shown.startswith("x ... - = \\u041a\\u0430")


def test_what_the_program_says_itself_reads_well_in_ascii() -> None:
    """No text of it becomes an escape on a terminal that knows ASCII alone."""
    said: set[str] = set()
    for path in (ROOT / "harness").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said |= set(node.value)
    raw = io.BytesIO()
    output = printing.Output(io.TextIOWrapper(raw, encoding="ascii"))
    output.write("".join(sorted(c for c in said if c.isprintable())))
    output.flush()
    assert b"\\u" not in raw.getvalue()
    assert b"\\x" not in raw.getvalue()


def test_lines_that_are_trusted_pass() -> None:
    """Colours and moving lines of the program's own, in an encoding that lacks their characters."""
    raw = io.BytesIO()
    output = printing.Output(io.TextIOWrapper(raw, encoding="latin-1")).as_trusted()
    output.write("\x1b[32m━\x1b[0m\r")
    output.flush()
    assert raw.getvalue() == b"\x1b[32m=\x1b[0m\r"


def test_a_reader_who_has_gone_ends_nothing() -> None:
    """Neither while the program prints nor when it ends; bytes pass beside the text."""
    code = (
        "import sys, time\nfrom harness import printing\nprinting.protect()\n"
        "for number in range(3):\n    print('x' * 9000)\n    sys.stdout.flush()\n    time.sleep(0.2)\n"
        "sys.stderr.write('the end')\n"
    )
    arguments = (sys.executable, "-c", code)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == "the end"
    assert process.returncode == 0


def test_streams_that_were_never_open_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `harness plan SUITE >&-`."""
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", sys.stderr)
    printing.protect()
    sys.stdout.write("lost")
    assert not sys.stdout.isatty()
    sys.stdout.close()


def test_a_last_traceback_and_warnings_are_text_too() -> None:
    """Whatever prints to the streams of a protected process: python itself and the logging module."""
    code = (
        "import logging, warnings\nfrom harness import printing\nprinting.protect()\n"
        "logging.getLogger('x').warning('%s', '\\x1b[2J')\nwarnings.warn('\\x1b[2J')\n"
        "raise ValueError('\\x1b[2J\\udcff')"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert b"\x1b" not in done.stderr
    assert done.stderr.count(rb"\x1b[2J") == 3
    assert rb"\xff" in done.stderr


def test_errors_and_warnings_of_the_api_are_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a program that imports us has neither protected its streams nor configured logging."""
    assert str(UsageError("x\x1b[2J\u202e\ny")) == "x\\x1b[2J\\u202e\ny"
    assert "\x1b" not in str(SuiteError(("x\x1b[2J",)))
    logger = logging.getLogger("harness.somewhere")
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    printing.show_warnings("harness")
    printing.show_warnings("harness")
    logger.warning("%s is odd", "x\x1b[2J")
    logger.info("nothing")
    assert capsys.readouterr().err == "x\\x1b[2J is odd\n"


def test_a_command_says_each_warning_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Which may come whenever a file is read; a program that imports us and reads it again hears of it again."""
    logger, root = logging.getLogger("harness.somewhere"), logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    printing.show_warnings("harness")
    for text in ("one", "two", "one"):
        logger.warning("a %s", text)
    assert capsys.readouterr().err == "a one\na two\na one\n"
    monkeypatch.setattr("sys.stdout", sys.stdout)
    monkeypatch.setattr("sys.stderr", sys.stderr)
    printing.protect()
    for text in ("three", "four", "three"):
        logger.warning("a %s", text)
    assert capsys.readouterr().err == "a three\na four\n"


def test_only_the_console_of_the_observers_draws() -> None:
    """A console that is made elsewhere would print what it is given as it is."""
    for path in (ROOT / "harness").rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not {ast.unparse(call.func).split(".")[-1] for call in calls} & {"Console", "get_console"}, path


def test_every_process_that_prints_to_a_terminal_is_protected() -> None:
    """Every module that runs as a process; of the others the output goes to a log, or to the command, which prints."""
    logged, captured = {"trial/__main__.py", "trial/variants.py"}, {"trial/environment.py", "trial/inputs/check.py"}
    runs_another = {"workers.py"}  # which protects itself
    for path in (ROOT / "harness").rglob("*.py"):
        tree, name = ast.parse(path.read_text()), str(path.relative_to(ROOT / "harness"))
        ends = [n for n in tree.body if isinstance(n, ast.If) and "__name__" in ast.unparse(n.test)]
        if ends and name not in logged | captured | runs_another:
            protected = "printing.protect()" in ast.unparse(ends[0])
            assert protected or name == "__main__.py", f"{name} does not call printing.protect()"
    assert "protect()" in (ROOT / "harness" / "cli" / "__init__.py").read_text()


def test_bytes_pass_beside_the_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For `report --csv -`."""
    with (tmp_path / "out").open("w", encoding="ascii") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        printing.protect()
        printing.binary_output().write(b"\xff\n")
        printing.binary_output().flush()
        monkeypatch.undo()
    assert (tmp_path / "out").read_bytes() == b"\xff\n"
