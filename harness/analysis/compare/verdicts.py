"""Compare two results folders: each row is better, worse, a tie or not comparable, in accuracy and in speed.

Owns the decision whether a difference is real. `pairing` says which rows are compared, `comparability` whether they may
be; `gates` judges by a user's tolerance, and `harness.report.compare` puts the result into words.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import pandas as pd

from harness.analysis import significance, statistics
from harness.analysis.compare.comparability import CANDIDATE, REFERENCE, incomparable_because
from harness.analysis.compare.pairing import Pair, Row, is_known, setting_differences
from harness.analysis.frame import result_of_variant
from harness.analysis.statistics import welch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.analysis.statistics import Interval
    from harness.store.paths import SuiteFolder

    DetectionAnalyses = Mapping[tuple[str, str], DetectionAnalysis]

Word = Literal["better", "worse", "tie", "not comparable"]
NOT_COMPARABLE: Word = "not comparable"
_TOLERANCE = 1e-12  # means over the same seeds in another order differ by less


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a pair's candidate is better than its reference, in accuracy or in speed.

    Attributes:
        word: the verdict.
        basis: what the verdict is based on; None if the two are not comparable.
        reasons: why the two are not comparable.
        interval: for accuracy, the difference of mAP, candidate minus reference, with its 95 % interval; for speed, how
            many times as long the candidate takes, with its 99 % interval. None if chance was not taken into account.
        p: the p-value of a difference in accuracy, adjusted for all pairs of the comparison.
        drift: for speed, how far the rounds of a measurement lie apart, as a fraction.
    """

    word: Word
    basis: str | None = None
    reasons: tuple[str, ...] = ()
    interval: Interval | None = None
    p: float | None = None
    drift: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedPair:
    """A pair with its verdicts; `remarks` say what else a reader must know."""

    pair: Pair
    accuracy: Verdict
    speed: Verdict
    remarks: tuple[str, ...]


def compare(
    pairs: Sequence[Pair],
    folders: tuple[SuiteFolder, SuiteFolder],
    analyses: tuple[DetectionAnalyses, DetectionAnalyses],
) -> tuple[ComparedPair, ...]:
    """Return each pair with its verdicts on accuracy and speed.

    Args:
        pairs: the rows of the two folders.
        folders: the folders of the reference and of the candidate, which hold the raw timings.
        analyses: what the stored detections of the reference and of the candidate tell.
    """
    accuracies = _adjust([_accuracy(pair, analyses) for pair in pairs])
    return tuple(
        ComparedPair(pair=pair, accuracy=accuracy, speed=_speed(pair, folders), remarks=_remarks(pair))
        for pair, accuracy in zip(pairs, accuracies, strict=True)
    )


def count_verdicts(verdicts: Sequence[Verdict]) -> dict[Word, int]:
    """Count the verdicts by their word."""
    counts = Counter(verdict.word for verdict in verdicts)
    words: tuple[Word, ...] = ("better", "worse", "tie", NOT_COMPARABLE)
    return {word: counts[word] for word in words}


def _accuracy(pair: Pair, analyses: tuple[DetectionAnalyses, DetectionAnalyses]) -> Verdict:
    """Judge a pair's accuracy; the p-value is that of this pair alone, not adjusted yet."""
    reasons = incomparable_because(pair, "accuracy")
    if reasons or pair.reference is None or pair.candidate is None:
        return Verdict(word=NOT_COMPARABLE, reasons=reasons)
    if not (is_known(pair.reference.numbers["map"]) and is_known(pair.candidate.numbers["map"])):
        return Verdict(word=NOT_COMPARABLE, reasons=("the evaluated split has no boxes",))
    sides = ((REFERENCE, pair.reference, analyses[0]), (CANDIDATE, pair.candidate, analyses[1]))
    before, after = (
        [stored[key] for state in row.measured if (key := (state.trial.trial_id, row.variant)) in stored]
        for _, row, stored in sides
    )
    missing = [
        name for (name, row, _), seeds in zip(sides, (before, after), strict=True) if len(seeds) < len(row.measured)
    ]
    if missing:
        return _accuracy_by_seeds(pair.reference, pair.candidate, f"no stored detections in {' and '.join(missing)}")
    if len({analysis.ground_truth_fingerprint for analysis in (*before, *after)}) > 1:
        return Verdict(word=NOT_COMPARABLE, reasons=("different data: the stored labels differ",))
    if any(math.isnan(analysis.map) for analysis in (*before, *after)):
        return Verdict(word=NOT_COMPARABLE, reasons=("the stored labels have no boxes",))
    difference = significance.map_difference(after, before)
    return Verdict(
        word=_direction(difference.value),
        basis="a paired bootstrap over images",
        interval=difference,
        p=difference.p,
    )


def _adjust(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Adjust the p-values for their number; a pair whose adjusted p-value is above 0.05 becomes a tie."""
    adjusted_p = iter(significance.holm([verdict.p for verdict in verdicts if verdict.p is not None]))
    adjusted = []
    for verdict in verdicts:
        if verdict.p is None:
            adjusted.append(verdict)
            continue
        p = next(adjusted_p)
        adjusted.append(replace(verdict, p=p, word="tie" if p > 1 - statistics.LEVEL else verdict.word))
    return adjusted


def _accuracy_by_seeds(reference: Row, candidate: Row, reason: str) -> Verdict:
    """Judge a pair's accuracy without detections: by equal numbers, or by the spread over the seeds of each side.

    Args:
        reference: the reference's row.
        candidate: the candidate's row.
        reason: why there are no detections to judge by.
    """
    if abs(reference.numbers["map"] - candidate.numbers["map"]) < _TOLERANCE:
        return Verdict(word="tie", basis=f"equal numbers ({reason})")
    before, after = _maps(reference), _maps(candidate)
    if min(len(before), len(after)) == 1:
        return Verdict(word=NOT_COMPARABLE, reasons=(f"{reason}, one seed",))
    interval = welch(after, before)
    word: Word = "tie" if interval.low <= 0 <= interval.high else _direction(interval.value)
    return Verdict(word=word, basis=f"Welch's t-interval over seeds ({reason})", interval=interval)


def _maps(row: Row) -> list[float]:
    """Return the mAP of each measured seed."""
    results = [result_of_variant(state.record, row.variant) for state in row.measured]
    metrics = [result.metrics for result in results if result is not None and result.metrics is not None]
    return [metric.map for metric in metrics if metric.map is not None]


def _speed(pair: Pair, folders: tuple[SuiteFolder, SuiteFolder]) -> Verdict:
    reasons = incomparable_because(pair, "latency")
    if reasons or pair.reference is None or pair.candidate is None:
        return Verdict(word=NOT_COMPARABLE, reasons=reasons)
    before, after = _timings(pair.reference, folders[0]), _timings(pair.candidate, folders[1])
    if before is None or after is None:
        medians = [row.numbers["latency_median_s"] for row in (pair.reference, pair.candidate)]
        if math.isclose(*medians, rel_tol=_TOLERANCE):
            return Verdict(word="tie", basis="equal numbers (no raw timings)")
        missing = [name for name, timings in ((REFERENCE, before), (CANDIDATE, after)) if timings is None]
        return Verdict(word=NOT_COMPARABLE, reasons=(f"no raw timings in {' and '.join(missing)}",))
    comparison = statistics.compare_latency(after, before)
    word: Word = _direction(1 - comparison.ratio.value) if comparison.differs else "tie"
    return Verdict(word=word, basis="raw timings image by image", interval=comparison.ratio, drift=comparison.drift)


def _timings(row: Row, folder: SuiteFolder) -> pd.DataFrame | None:
    """Return the latency passes of all of a row's trials in one frame; None if a trial has none.

    The rounds of different trials keep different names, so that drift between rounds is not averaged away.
    """
    passes = [
        statistics.read_latencies(folder.trial(state.trial.trial_id).samples).get(row.variant) for state in row.measured
    ]
    stored = [samples for samples in passes if samples is not None]
    if len(stored) < len(passes):
        return None
    return pd.concat(
        [samples.assign(round=f"{number}." + samples["round"].astype(str)) for number, samples in enumerate(stored)],
        ignore_index=True,
    )


def _direction(gain: float) -> Word:
    return "better" if gain > 0 else "worse"


def _remarks(pair: Pair) -> tuple[str, ...]:
    """Return what a reader must know beside the verdicts: other settings, few seeds, warnings, failed seeds."""
    remarks = [f"differs in {', '.join(settings)}"] if (settings := setting_differences(pair)) else []
    remarks += _seed_remarks(pair.reference, pair.candidate) if pair.reference and pair.candidate else []
    for name, row in ((REFERENCE, pair.reference), (CANDIDATE, pair.candidate)):
        if row is not None and row.measured:
            remarks += [f"warnings in {name}: {', '.join(row.warnings)}"] if row.warnings else []
            remarks += [f"{name}: {row.outcomes.replace('_', ' ')}"] if "," in row.outcomes else []
    return tuple(remarks)


def _seed_remarks(reference: Row, candidate: Row) -> list[str]:
    """Say what training again with other seeds may do to a difference of mAP, which chance over images leaves out."""
    difference = abs(candidate.numbers["map"] - reference.numbers["map"])
    if math.isnan(difference) or difference <= _TOLERANCE:
        return []
    single = [name for name, row in ((REFERENCE, reference), (CANDIDATE, candidate)) if len(row.measured) == 1]
    if single:
        return [f"one seed in {' and '.join(single)}: other seeds may change the difference by an unknown amount"]
    error = math.hypot(*(row.numbers["map_std"] / math.sqrt(len(row.measured)) for row in (reference, candidate)))
    if difference > 2 * error:
        return []
    return [f"the difference of mAP is within twice its standard error by seeds (± {error:.3f})"]
