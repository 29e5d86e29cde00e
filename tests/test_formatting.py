"""Numbers as a reader sees them."""

from __future__ import annotations

import math

import pytest

from harness.formatting import counted, memory, points, short_name


@pytest.mark.parametrize(
    ("count", "noun", "plural", "text"),
    [
        (0, "image", None, "0 images"),
        (1, "image", None, "1 image"),
        (1200, "image", None, "1,200 images"),
        (1, "box", "boxes", "1 box"),
        (2, "box", "boxes", "2 boxes"),
    ],
)
def test_one_is_no_plural(count: int, noun: str, plural: str | None, text: str) -> None:
    """Thousands have a comma."""
    assert counted(count, noun, plural) == text


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0.0321, "+0.032"), (-0.0321, "\u22120.032"), (-0.0001, "0.000"), (0.0001, "0.000"), (math.nan, "–")],
)
def test_a_difference_that_rounds_to_nothing_has_no_sign(difference: float, text: str) -> None:
    """Else it has one, and a minus sign is a minus sign."""
    assert points(difference) == text


@pytest.mark.parametrize(
    ("size", "text"), [(2**20, "1 MiB"), (1234 * 2**20, "1,234 MiB"), (40 * 2**30, "40,960 MiB"), (None, "–")]
)
def test_every_size_has_the_same_unit(size: int | None, text: str) -> None:
    """So that sizes on one page can be compared without converting them."""
    assert memory(size) == text
    assert memory(math.nan) == "–"


@pytest.mark.parametrize(
    ("name", "length", "shown"),
    [
        ("disc", 60, "disc"),
        ("x" * 60, 60, "x" * 60),
        ("a" * 1500 + "b" * 1500, 60, "a" * 39 + "…" + "b" * 20),
        ("one\ntwo\u202e", 60, "one two"),
    ],
)
def test_a_long_name_keeps_its_beginning_and_its_end(name: str, length: int, shown: str) -> None:
    """On one line."""
    assert short_name(name, length) == shown
