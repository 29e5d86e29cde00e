"""What rows share whose detector has one of torchvision's heads, whatever its backbone is."""

from __future__ import annotations

from dataclasses import dataclass

from harness.suite.catalog.architecture import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadArchitecture(Architecture):
    """A row with its head.

    Attributes:
        head: the file in `harness.trial.models.torchvision` that knows its class head.
    """

    head: str
