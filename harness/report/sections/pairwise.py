"""The page's section on which rows differ, in accuracy and in speed, and on what it would take to tell more apart."""

from __future__ import annotations

import bisect
import itertools
from statistics import median
from typing import TYPE_CHECKING, Literal

from harness.analysis.statistics import LEVEL
from harness.formatting import counted, metric_value, number
from harness.report.markup import escape, table
from harness.report.sections.summary import change, errors_from_baseline, smallest_difference, times

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.error import Error

_FOUR = 4  # times the images or seeds: half the error
_TOO_MANY = 100  # times the images or seeds: nobody has so many


def section(dataset: DatasetAnalysis) -> list[str]:
    """Return a table of compared pairs and its explanation; empty if no two rows can be compared."""
    rows = dataset.rows
    cells = []
    for first, second in _pairs(dataset):
        pair, claim = dataset.significance.pair(first, second), dataset.speeds.claim(first, second)
        if pair is None:
            continue
        cells.append(
            (
                escape(rows.loc[first, "label"]),
                escape(rows.loc[second, "label"]),
                change(dataset, first, second),
                "< 0.001" if pair.adjusted_p < 0.001 else number(pair.adjusted_p, 3),  # noqa: PLR2004 - three digits are shown
                pair.word,
                times(claim),
                claim.word,
            )
        )
    if not cells:
        return []
    header = ("architecture", "against", "mAP [95 %]", "p", "accuracy", "times as fast [95 %]", "speed")
    return ["### Which differences are real", table(header, cells, left=2), _what_it_takes(dataset), _meaning(dataset)]


def _pairs(dataset: DatasetAnalysis) -> Iterator[tuple[Hashable, Hashable]]:
    """Yield each pair once: every row with the baseline, then neighbours on the front, the more accurate one first."""
    rows, baseline = dataset.rows, dataset.baseline
    pairs = [(index, baseline) for index in rows.index if baseline is not None and index != baseline]
    with_baseline = {frozenset(pair) for pair in pairs}
    yield from pairs
    for faster, slower in itertools.pairwise(dataset.front.index):
        if frozenset((faster, slower)) not in with_baseline:
            yield slower, faster


def _what_it_takes(dataset: DatasetAnalysis) -> str:
    """Say which difference could have been seen, and how many more images or seeds would halve it."""
    smallest = smallest_difference(dataset)
    errors = errors_from_baseline(dataset)
    if smallest is None:
        return ""
    images = max(record.metrics.images for record in dataset.measured.values())
    seeds = int(dataset.candidates["n"].min())
    if smallest >= 1:
        return "**What this could show:** no difference, however large: of so few seeds or images, chance is not known."
    text = (
        f"**What this could show:** a difference of {metric_value(smallest)} mAP from the baseline would be called "
        "separated with a probability of 80 % (the median of these rows, each compared alone)."
    )
    by_images, by_seeds = _enough(errors, "images", images), _enough(errors, "seeds", seeds)
    if all(error.seeds is None for error in errors):
        return (
            f"{text} Half of that takes about {by_images:,} images. With one seed each, this is about these "
            "weights: whether training again would keep the order, a second seed would begin to tell."
        )
    ways = [f"{by_images:,} images"] if by_images else []
    ways += [counted(by_seeds, "seed")] if by_seeds else []
    if ways:
        return f"{text} Half of that takes about {' or '.join(ways)}, with all else as it is."
    return f"{text} Half of that takes both, about {_FOUR * images:,} images and {_FOUR * seeds} seeds."


def _enough(errors: Sequence[Error], part: Literal["images", "seeds"], count: int) -> int | None:
    """Return how many images or seeds would halve the difference that is seen; None if they alone cannot."""

    def seen(times: float) -> float:
        if part == "images":
            return median(error.with_more(images=times).detectable for error in errors)
        return median(error.with_more(seeds=times).detectable for error in errors)

    half = seen(1.0) / 2
    if seen(_TOO_MANY) > half:
        return None
    return (
        count
        + 1
        + bisect.bisect_left(range(count + 1, _TOO_MANY * count), -half, key=lambda number: -seen(number / count))
    )


def _meaning(dataset: DatasetAnalysis) -> str:
    baseline = escape(dataset.rows.loc[dataset.baseline, "label"]) if dataset.baseline is not None else "none"
    text = (
        f"Baseline: {baseline}. Two rows are separated if p is below {1 - LEVEL:.2f} after Holm's correction for all "
        "pairs of rows that are not clearly apart anyway; intervals are corrected alike. The error of a difference "
        "holds chance over images (the jackknife, on the same images for both) and over seeds (Student's t, with the "
        "spread of the seeds shared by rows of similar accuracy)."
    )
    if dataset.speeds.race is not None:
        text += (
            " Speeds are from the race: in each block both ran in fresh processes in random order, so the ratio has an "
            "interval over blocks, corrected for all pairs of the race. A pair that did not race is compared by the "
            "medians of its trials, of one process each."
        )
    return text
