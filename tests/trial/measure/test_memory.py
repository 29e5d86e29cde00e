"""A pass of memory begins with what is in use, not with what earlier work left in a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness.trial.measure import memory

if TYPE_CHECKING:
    import pytest


def test_the_cache_is_freed_before_peaks_are_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU, reserved memory would otherwise count what a validation or another pass left behind."""
    happened: list[str] = []
    monkeypatch.setattr("gc.collect", lambda: happened.append("collect"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: happened.append("empty_cache"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: happened.append(f"reset {device}"))
    memory.reset_peak(torch.device("cuda:0"))
    assert happened == ["collect", "empty_cache", "reset cuda:0"]
