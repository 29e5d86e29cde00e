"""Whatever a foreign object says of itself, or fails to say: a short text that every file can hold."""

from __future__ import annotations

import json

import pytest

from harness import foreign


class _RaisingError(Exception):
    """Has no text: asking for it raises."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __str__(self) -> str:
        raise self._error

    __repr__ = __str__


class _NoTextError(Exception):
    def __str__(self) -> str:
        return 3  # type: ignore[return-value]  # noqa: PLE0307


class _Text(str):
    __slots__ = ()

    def encode(self, *_: object, **__: object) -> bytes:
        raise RuntimeError("no")


class _OddError(Exception):
    def __str__(self) -> str:
        return _Text("odd")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("bad size"), "ValueError: bad size"),
        (ValueError(), "ValueError"),
        (ValueError("half \ud800 of a pair"), "ValueError: half \\ud800 of a pair"),
        (
            _RaisingError(RuntimeError("no")),
            "_RaisingError: (_RaisingError.__str__ raised RuntimeError: its text cannot be shown)",
        ),
        (
            _RaisingError(SystemExit(3)),
            "_RaisingError: (_RaisingError.__str__ raised SystemExit: its text cannot be shown)",
        ),
        (_NoTextError(), "_NoTextError: (_NoTextError.__str__ raised TypeError: its text cannot be shown)"),
        (_OddError(), "_OddError: odd"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_an_exception_is_described_whatever_its_class_does(error: BaseException, text: str) -> None:
    """By its type and text; the text is there in the traceback too, or that it cannot be had."""
    assert foreign.described(error) == text
    for said in (foreign.described(error), foreign.message(error), foreign.whole_traceback(error)):
        assert json.loads(json.dumps(said, ensure_ascii=False).encode()) == said
    assert type(error).__name__ in foreign.whole_traceback(error)


def test_megabytes_become_a_beginning_and_an_end() -> None:
    """What is left out is counted; only the whole text, for the log, has all of it."""
    error = ValueError("FIRST " + "x" * 20_000_000 + " LAST")
    text = foreign.described(error)
    assert len(text) < foreign.MAX_CHARACTERS + 100
    assert text.startswith("ValueError: FIRST xxx")
    assert text.endswith("xxx LAST")
    assert "[... 19,999,023 characters are left out here ...]" in text
    assert len(foreign.whole_message(error)) == len(str(error))
    assert len(foreign.whole_traceback(error)) > len(str(error))


@pytest.mark.parametrize("length", [1, 3, 60, 1000])
def test_a_text_that_fits_is_left_alone(length: int) -> None:
    """Up to its last character; one more is too many."""
    assert foreign.shortened("x" * length, length) == "x" * length
    assert "[... 1 characters are left out here ...]" in foreign.shortened("x" * (length + 1), length)


def test_an_object_is_shown_in_few_characters() -> None:
    """As python shows it, or that it cannot."""
    assert foreign.shown([1, "two"]) == "[1, 'two']"
    assert foreign.shown("x" * 1000) == "'" + "x" * 59
    refused = foreign.shown(_RaisingError(RuntimeError("no")), 200)
    assert refused == "(_RaisingError.__repr__ raised RuntimeError: its text cannot be shown)"
