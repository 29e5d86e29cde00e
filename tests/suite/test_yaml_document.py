"""YAML is read without its traps, and every value knows its line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.suite.yaml_document import MAX_BYTES, read_document


def _read(tmp_path: Path, text: str | bytes) -> object:
    path = tmp_path / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(path).data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("0.5", 0.5), (".5", 0.5), ("-3", -3), ("007", 7), ("no", "no"), ("yes", "yes"), ("on", "on"),
        ("true", True), ("False", False), ("null", None), ("~", None), ("2026-01-01", "2026-01-01"), ("1:30", "1:30"),
        ('"5"', "5"), ("'true'", "true"), ("0x10", "0x10"), ("1_000", "1_000"), (".inf", ".inf"), ("1.2.3", "1.2.3"),
    ],
)  # fmt: skip
def test_scalars_mean_what_they_look_like(text: str, value: object, tmp_path: Path) -> None:
    """Numbers are numbers, everything quoted or odd is text."""
    got = _read(tmp_path, f"key: {text}")
    assert isinstance(got, dict)
    assert got == {"key": value}
    assert type(got["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", r"s.yaml:3: duplicate key 'a' \(first on line 1\)"),
        ("a: &x 1\nb: *x", "s.yaml:1: anchors and aliases"),
        ("a: !!python/object:os.system x", "s.yaml:1: tags"),
        ("a: [1\nb: {", "s.yaml:2: not YAML"),
        ("a: \x00", "not YAML"),
        ("[" * 30 + "]" * 30, "nested more than"),
        ("a: 1\n---\nb: 2", "s.yaml:2: not YAML"),
        (b"a: \xff\xfe", "not UTF-8"),
        ("a: " + "x" * MAX_BYTES, "larger than"),
    ],
)
def test_traps_are_errors_with_a_line(text: str | bytes, said: str, tmp_path: Path) -> None:
    """Each trap is one SuiteError that names the file."""
    with pytest.raises(SuiteError, match=said):
        _read(tmp_path, text)


def test_an_alias_bomb_costs_nothing(tmp_path: Path) -> None:
    """It is refused at its first anchor, before anything is built."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"] + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    with pytest.raises(SuiteError, match="s.yaml:1: anchors"):
        _read(tmp_path, "\n".join(lines))


def test_a_missing_file_and_a_folder_are_clear(tmp_path: Path) -> None:
    """No traceback for a path that cannot be read."""
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SuiteError, match="cannot be read"):
            read_document(path)


def test_lines_are_known_for_every_place(tmp_path: Path) -> None:
    """A value's line, or that of the nearest place around it."""
    path = tmp_path / "s.yaml"
    path.write_text("a:\n  - x\n  - b: 1\n    c: 2\n")
    document = read_document(path)
    assert document.locate(("a", 1, "c")) == f"{path}:4"
    assert document.locate(("a", 1, "missing")) == f"{path}:3"
    assert document.locate(("nowhere",)) == f"{path}:1"


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder"])
def test_what_is_no_file_is_not_read(kind: str, tmp_path: Path) -> None:
    """Reading it might never end."""
    path = {"a pipe": tmp_path / "suite.yaml", "a device": Path("/dev/zero"), "a folder": tmp_path}[kind]
    if kind == "a pipe":
        os.mkfifo(path)
    with pytest.raises(SuiteError, match=f"{path}: cannot be read: it is a folder, a pipe or a device"):
        read_document(path)


@pytest.mark.parametrize("text", ["seeds: [{}]", "seeds: [0, {}]\n", "a:\n- {}", "a: {{{}}}"])
def test_more_values_than_a_page_has_are_refused_early(text: str, tmp_path: Path) -> None:
    """Of a hundred thousand of them only the first ten thousand are looked at."""
    path = tmp_path / "suite.yaml"
    separator = "\n- " if "- {" in text else ", "
    path.write_text(text.format(separator.join(map(str, range(100_000)))))
    with pytest.raises(SuiteError, match=r"suite.yaml:\d+: more than 10,000 values up to here"):
        read_document(path)
