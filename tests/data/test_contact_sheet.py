"""Names on sheets of images are as long as their place, whatever the user's files hold."""

from __future__ import annotations

import pytest
from PIL import ImageFont

from harness.data.contact_sheet import shorten


class _Counting(ImageFont.ImageFont):
    """A font of 6 pixels a character that counts the characters which it measures."""

    def __init__(self) -> None:
        self.measured = 0

    def getlength(self, text: str | bytes | bytearray, *_: object, **__: object) -> int:
        self.measured += len(text)
        return 6 * len(text)


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("a/b.png", 42, "a/b.png"),
        ("a/b.png", 41, "…b.png"),
        ("x" * 3000 + "/b.png", 42, "…/b.png"),
        ("a\nb", 100, "a?b"),
        ("ab", 6, "…"),
        ("ab", 0, "…"),
        ("", 100, ""),
    ],
)
def test_a_name_keeps_the_end_that_fits(text: str, width: int, shown: str) -> None:
    """Files differ at the end of their names."""
    assert shorten(text, _Counting(), width) == shown


def test_a_name_of_thousands_of_characters_is_measured_in_a_few_steps() -> None:
    """Each measured character takes about a microsecond, and a sheet has hundreds of names."""
    font = _Counting()
    assert len(shorten("name " * 600, font, 240)) == 40
    assert font.measured < 3000
