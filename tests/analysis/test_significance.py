"""The rows of a table are ranked and compared with the error of images and seeds, corrected for the table."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from harness.analysis import significance
from harness.analysis.detections.analyse import DetectionAnalysis, analyse_detections
from harness.store.record import AS_TRAINED
from tests.analysis.worlds import made_analysis
from tests.report.made import detections, drawn_detections, drawn_labels, labels

_BOX = (0.0, 0.0, 10.0, 10.0)


def _rows(*values: float) -> pd.DataFrame:
    rows = [{"trial_ids": (str(number),), "variant": AS_TRAINED, "map": value} for number, value in enumerate(values)]
    return pd.DataFrame(rows)


def _analyses(*values: float, std: float = 0.001) -> dict[tuple[str, str], DetectionAnalysis]:
    rng = np.random.default_rng(0)
    return {
        (str(number), AS_TRAINED): made_analysis(value, value + rng.normal(0, std, 100))
        for number, value in enumerate(values)
    }


def test_ranks_letters_and_verdicts_agree() -> None:
    """Two rows whose difference may be chance share a rank range and a letter; the third one is surely behind."""
    result = significance.compare_all(_rows(0.50, 0.499, 0.30), _analyses(0.50, 0.499, 0.30))
    assert result.ranks == {0: (1, 2), 1: (1, 2), 2: (3, 3)}
    assert result.letters == {0: "a", 1: "a", 2: "b"}
    near, far = result.pair(0, 1), result.pair(2, 0)
    assert near is not None
    assert far is not None
    assert (near.word, far.word) == ("not separated", "less accurate")
    assert near.interval.low < 0 < near.interval.high
    assert far.difference.value == pytest.approx(-0.2)
    assert far.interval.low < -0.2 < far.interval.high < 0


def test_rows_are_ordered_by_the_metric_that_is_asked_for() -> None:
    """The order of the frame is that of mAP; another metric has its own."""
    analyses = _analyses(0.5, 0.4)
    better = np.array([0.4, 0.9, 0.4])
    analyses["1", AS_TRAINED] = dataclasses.replace(analyses["1", AS_TRAINED], values=better)
    assert list(significance.compare_all(_rows(0.5, 0.4), analyses, "map_50").estimates) == [1, 0]


def test_only_equal_labels_are_compared_and_only_whole_rows() -> None:
    """Rows on other images are not compared; a row without an analysis of every seed has no error."""
    analyses = _analyses(0.5, 0.4, 0.3)
    analyses["1", AS_TRAINED] = made_analysis(0.4, 0.4 + np.linspace(0, 0.01, 100), on="y")
    rows = _rows(0.5, 0.4, 0.3, 0.2)
    result = significance.compare_all(rows, analyses)
    assert set(result.estimates) == {0, 2}
    assert result.pair(0, 1) is None
    assert result.pair(0, 3) is None


def test_one_image_tells_nothing_about_chance() -> None:
    """Without it there is no mAP at all, so there is no interval and no verdict."""
    single = analyse_detections(labels([(0, _BOX)], []), detections((0, 0, 0.9, _BOX)), min_score=0.05)
    assert not significance.compare_all(_rows(1.0), {("0", AS_TRAINED): single}).estimates


def test_a_real_detector_has_an_interval_around_its_map() -> None:
    """From detections to an interval that contains the mAP and is wider than a point."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=60)
    analysis = analyse_detections(truth, drawn_detections(rng, truth), min_score=0.05)
    estimate = significance.compare_all(_rows(analysis.map), {("0", AS_TRAINED): analysis}).estimates[0]
    assert estimate.low < estimate.value < estimate.high
    assert estimate.high - estimate.low > 0.02
