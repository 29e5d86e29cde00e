"""torchvision's heads on a backbone of timm, as data: one row for each head."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.suite.catalog.architecture import Architecture

ARCHITECTURES: tuple[Architecture, ...] = ()
