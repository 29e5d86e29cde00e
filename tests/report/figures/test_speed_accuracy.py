"""The static picture stays readable, whatever the number of rows, and its marks say what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Text

from harness.analysis.frame import pareto_front
from harness.report.figures import speed_accuracy
from harness.report.figures.place import Rectangle, place_names
from tests.report.figures.rows import keep_figures, many_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    return keep_figures(monkeypatch, speed_accuracy)


def _stars(axes: Axes) -> list[bool]:
    """Whether each star is filled."""
    return [line.get_markerfacecolor() != "white" for line in axes.lines if line.get_marker() == "*"]


@pytest.mark.parametrize("count", [1, 3, 12, 13, 200])
def test_names_lie_inside_the_picture_and_never_on_another(drawn: list[Figure], count: int) -> None:
    """Nor does the legend touch the title, or the axes."""
    rows, seeds = many_rows(count)
    speed_accuracy.speed_accuracy(rows, "a dataset whose name is as long as names are: speed against accuracy", seeds)
    (figure,) = drawn
    (axes,) = figure.axes
    names = [text for text in axes.texts if text.get_text()]
    places = [Text.get_window_extent(text) for text in names]  # without the line to its mark
    assert min(3, count) <= len(names) <= (count if count <= 12 else len(pareto_front(rows)))
    inside = axes.get_window_extent()
    for number, place in enumerate(places):
        assert inside.x0 <= place.x0 < place.x1 <= inside.x1
        assert inside.y0 <= place.y0 < place.y1 <= inside.y1
        assert not any(place.overlaps(other) for other in places[:number])
    (legend,) = figure.legends
    area, whole = legend.get_window_extent(), figure.bbox
    everything = axes.get_tightbbox()
    assert everything is not None
    assert not area.overlaps(everything)
    assert whole.x0 <= area.x0 < area.x1 <= whole.x1
    assert whole.y0 <= area.y0


def test_whiskers_are_what_was_measured(drawn: list[Figure]) -> None:
    """Upwards the interval of the mAP, sideways that of the race where it was in it; none without such columns."""
    rows, seeds = many_rows(3)
    speed_accuracy.speed_accuracy(rows, "t", seeds)
    whiskers = [one for one in drawn[0].axes[0].containers if isinstance(one, ErrorbarContainer)]
    assert sum(one.has_yerr for one in whiskers) == 3
    assert sum(one.has_xerr for one in whiskers) == rows["latency_race_low_s"].notna().sum() == 1
    ends = [segment for one in whiskers if one.has_xerr for segment in one.lines[2][0].get_segments()]
    raced = rows[rows["latency_race_low_s"].notna()].iloc[0]
    assert np.allclose(ends[0][:, 0], [raced["latency_race_low_s"] * 1e3, raced["latency_race_high_s"] * 1e3])
    plain = rows.drop(columns=["map_low", "map_high", "latency_race_low_s", "latency_race_high_s", "front_separated"])
    speed_accuracy.speed_accuracy(plain, "t")
    bare = [one for one in drawn[1].axes[0].containers if isinstance(one, ErrorbarContainer)]
    assert not any(one.has_yerr or one.has_xerr for one in bare)


def test_a_star_is_filled_only_where_it_is_separated(drawn: list[Figure]) -> None:
    """Every row on the front is a star, also one whose stages nobody knows; the others are dots."""
    rows, _ = many_rows(12)
    front = pareto_front(rows)
    speed_accuracy.speed_accuracy(rows.assign(stages=None), "t")
    assert sorted(_stars(drawn[0].axes[0])) == sorted(front["front_separated"].tolist())
    dots = [line for line in drawn[0].axes[0].lines if line.get_marker() == "o"]
    assert sum(len(np.asarray(line.get_xdata())) for line in dots) == len(rows) - len(front)
    speed_accuracy.speed_accuracy(rows.drop(columns="front_separated"), "t")
    assert _stars(drawn[1].axes[0]) == [False] * len(front)


def test_a_name_without_room_is_left_out() -> None:
    """The first one keeps its place; one that would cover too many marks has none either."""
    area = Rectangle(0, 0, 100, 30)
    first, second = place_names([(5, 10), (6, 10)], [(80, 9), (80, 9)], area=area, marks=[])
    assert first is not None
    assert second is None
    assert area.holds(first)
    crowd = [(x, y) for x in range(100) for y in range(30)]
    assert place_names([(5, 10)], [(80, 9)], area=area, marks=crowd) == [None]
