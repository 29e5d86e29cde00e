"""What a person sees while trials or races run: the live view on a terminal, plain lines everywhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.observers.live import LiveView
    from harness.observers.plain import PlainView


def run_view() -> LiveView | PlainView:
    """The live view on a terminal, plain lines everywhere else."""
    from harness.observers.console import SafeConsole
    from harness.observers.live import LiveView
    from harness.observers.plain import PlainView

    console = SafeConsole()
    return LiveView(console) if console.is_terminal and not os.environ.get("CI") else PlainView(console)
