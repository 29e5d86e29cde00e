"""As of transformers' other detectors: only the backbone is another one."""

from __future__ import annotations

from tests.trial.models.transformers.perfect import perfect

__all__ = ["perfect"]
