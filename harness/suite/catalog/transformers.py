"""The DETR family of the transformers library, as data: one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.suite.catalog.architecture import Architecture

ARCHITECTURES: tuple[Architecture, ...] = ()
