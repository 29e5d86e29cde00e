"""The style that all SVG figures share, and how text is put into them."""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from harness.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Iterator


_STYLE: Any = {
    "svg.hashsalt": "harness",
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_LONGEST = 60  # characters of a name


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """A figure in the page's style, in inches."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)  # an emoji is a box
        yield Figure(figsize=(width, height), layout="constrained")


def svg(drawn: Figure) -> bytes:
    """The figure's bytes; to be called within `figure`."""
    stream = io.BytesIO()
    drawn.savefig(stream, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def plain(text: str) -> str:
    """A name as a figure shows it: no formula, nothing unprintable, not endless."""
    shown = printable(text).replace("$", r"\$")
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
