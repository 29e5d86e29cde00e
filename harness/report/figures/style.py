"""The style that all SVG figures share, and how text is put into them."""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from harness.formatting import short_name

if TYPE_CHECKING:
    from collections.abc import Iterator


_STYLE: Any = {
    "svg.hashsalt": "harness",
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """Open a figure in the page's style; width and height are in inches."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing from", category=UserWarning
        )  # such as an emoji, which is drawn as a box
        yield Figure(figsize=(width, height), layout="constrained")


def svg(drawn: Figure) -> bytes:
    """Return the figure as SVG; call it inside `figure`, which sets the style."""
    stream = io.BytesIO()
    drawn.savefig(stream, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def plain(name: str, length: int = 60) -> str:
    """Return a name as a figure shows it: without formulas and unprintable characters, and shortened."""
    return short_name(name, length).replace("$", r"\$")
