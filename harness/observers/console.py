"""The one console for colours, tables and lines that move: text shown on it stays text, and its reader may go away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.segment import Segment

from harness import printing
from harness.formatting import without_doubtful

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType


class SafeConsole(Console):
    """Prints to the standard output, or error, as long as that can be written, and to nowhere after that.

    Of what it prints, only its own colours and movements are commands to the terminal.
    """

    def __init__(self, *, error: bool = False) -> None:
        super().__init__(file=printing.terminal(error=error), markup=False, highlight=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is drawn; what is left out of a text has no width, so that the layout holds."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(without_doubtful(segment.text), segment.style)

    def say(self, text: str) -> None:
        """Print lines of text as they are, however wide the terminal is."""
        self.print(text, soft_wrap=True)
