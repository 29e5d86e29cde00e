"""Curves show how much they are based on: whole epochs, single values as marks, few detections as hollow ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from harness.analysis.images import AnalysedRow
from harness.report.figures import curves
from harness.report.sections import thresholds
from harness.store.record import Epoch
from tests.report.figures.rows import keep_figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    return keep_figures(monkeypatch, curves)


def _epoch(number: int, val_map: float | None) -> Epoch:
    return Epoch(epoch=number, lr=0.1, loss=1.0, loss_parts={}, wall_s=1.0, val_map=val_map, val_map_50=val_map)


@pytest.mark.parametrize(
    ("validated", "last"), [((3,), 3), ((1,), 1), ((1, 2), 2), ((500,), 500), (tuple(range(1, 101)), 100)]
)
def test_the_axis_is_whole_epochs_and_every_value_is_seen(
    drawn: list[Figure], validated: tuple[int, ...], last: int
) -> None:
    """However many epochs there were, and also where val was evaluated once."""
    epochs = [_epoch(number, 0.5 if number in validated else None) for number in range(1, last + 1)]
    curves.learning([("a", [epochs])])
    (figure,) = drawn
    loss, accuracy = figure.axes
    for axes in (loss, accuracy):
        left, right = axes.get_xlim()
        assert left == 0
        assert last < right < last + max(0.5, last / 20)
        ticks = [tick for tick in axes.get_xticks() if left <= tick <= right]
        assert len(ticks) >= 2
        assert all(tick == round(tick) for tick in ticks)
    (curve,) = accuracy.lines
    assert np.asarray(curve.get_xdata()).tolist() == [*validated]
    assert len(validated) > 1 or curve.get_marker() == "o"


def _analysed(counts: list[int], correct: list[float]) -> AnalysedRow:
    analysis = SimpleNamespace(
        calibration_counts=np.array(counts),
        calibration_precision=np.array(correct),
        calibration_scores=np.linspace(0.05, 0.95, 10),
    )
    return AnalysedRow(pd.Series({"label": "a"}), "trial", analysis)  # type: ignore[arg-type]


def test_bins_of_few_detections_are_hollow_and_not_on_the_line(drawn: list[Figure]) -> None:
    """Thirty or more make a filled mark, larger for more; an empty bin has none."""
    counts = [3000, 300, 30, 29, 1, 0, 0, 0, 0, 30]
    curves.calibration([_analysed(counts, [0.1, 0.2, 0.3, 0.4, 1.0, *[np.nan] * 4, 0.9])])
    (axes,) = drawn[0].axes
    _, line = axes.lines
    assert np.isfinite(np.asarray(line.get_ydata(), dtype=float)).nonzero()[0].tolist() == [0, 1, 2, 9]
    filled, hollow = axes.collections
    assert isinstance(filled, PathCollection)
    assert isinstance(hollow, PathCollection)
    sizes = filled.get_sizes()
    assert len(sizes) == 4
    assert sizes[0] > sizes[1] > sizes[2] == sizes[3] > 0
    assert len(np.asarray(filled.get_facecolor())) == 1
    assert len(hollow.get_sizes()) == 2
    assert len(np.asarray(hollow.get_facecolor())) == 0
    assert np.asarray(hollow.get_edgecolor())[0, 3] < 1


@pytest.mark.parametrize(
    ("correct", "count", "shown"),
    [(0.5, 30, "0.50 (30)"), (1.0, 29, "– (29)"), (np.nan, 0, "–"), (0.25, 1234, "0.25 (1,234)")],
)
def test_a_fraction_stands_with_its_number_of_detections(correct: float, count: int, shown: str) -> None:
    """Of few the number alone."""
    assert thresholds._fraction(correct, count) == shown
