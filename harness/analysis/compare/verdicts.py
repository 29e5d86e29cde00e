"""One results folder against another: per row better, worse, a tie or not comparable, in accuracy and in speed.

Owns when a difference is called one. `pairs` says what is compared with what, `objections` whether it may be;
`limits` judges by a person's tolerance, and `told` words it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import pandas as pd

from harness.analysis import significance, statistics
from harness.analysis.compare.comparability import CANDIDATE, REFERENCE, incomparable_because
from harness.analysis.compare.pairing import Pair, Row, differing, is_known
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
_DUST = 1e-12  # means over the same seeds in another order


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a pair's accuracy or speed comes to.

    Attributes:
        basis: what it rests on; None where it is not comparable.
        reasons: why it is not comparable.
        interval: of accuracy the difference of mAP, candidate less reference, with its 95 % interval; of speed how many
            times as long the candidate takes, with its 99 % interval. None where no chance was reckoned with.
        p: of accuracy, adjusted for all pairs of the comparison.
        drift: of speed, how far rounds lie apart, as a share.
    """

    word: Word
    basis: str | None = None
    reasons: tuple[str, ...] = ()
    interval: Interval | None = None
    p: float | None = None
    drift: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A pair with its verdicts; `remarks` say what else a reader must know."""

    pair: Pair
    accuracy: Verdict
    speed: Verdict
    remarks: tuple[str, ...]


def compare(
    pairs: Sequence[Pair],
    folders: tuple[SuiteFolder, SuiteFolder],
    analyses: tuple[DetectionAnalyses, DetectionAnalyses],
) -> tuple[Compared, ...]:
    """Each pair's verdicts.

    Args:
        folders: the reference's and the candidate's, for the raw timings.
        evidence: likewise, what `evidence.gather` found in the stored detections of the two.
    """
    accuracies = _adjusted([_accuracy(pair, analyses) for pair in pairs])
    return tuple(
        Compared(pair=pair, accuracy=accuracy, speed=_speed(pair, folders), remarks=_remarks(pair))
        for pair, accuracy in zip(pairs, accuracies, strict=True)
    )


def counted(verdicts: Sequence[Verdict]) -> dict[Word, int]:
    """How many of each word."""
    counts = Counter(verdict.word for verdict in verdicts)
    words: tuple[Word, ...] = ("better", "worse", "tie", NOT_COMPARABLE)
    return {word: counts[word] for word in words}


def _accuracy(pair: Pair, analyses: tuple[DetectionAnalyses, DetectionAnalyses]) -> Verdict:
    """With the p-value of its own pair, not adjusted yet."""
    reasons = incomparable_because(pair, "accuracy")
    if reasons or pair.reference is None or pair.candidate is None:
        return Verdict(word=NOT_COMPARABLE, reasons=reasons)
    if not (is_known(pair.reference.numbers["map"]) and is_known(pair.candidate.numbers["map"])):
        return Verdict(word=NOT_COMPARABLE, reasons=("the evaluated split has no boxes",))
    sides = ((REFERENCE, pair.reference, analyses[0]), (CANDIDATE, pair.candidate, analyses[1]))
    found = [[stored.get((state.trial.trial_id, row.variant)) for state in row.measured] for _, row, stored in sides]
    theirs, ours = ([one for one in side if one is not None] for side in found)
    without = [
        name for (name, row, _), side in zip(sides, (theirs, ours), strict=True) if len(side) < len(row.measured)
    ]
    if without:
        return _by_seeds(pair.reference, pair.candidate, f"no stored detections in {' and '.join(without)}")
    if len({one.labels for one in (*theirs, *ours)}) > 1:
        return Verdict(word=NOT_COMPARABLE, reasons=("different data: the stored labels differ",))
    if any(math.isnan(one.map) for one in (*theirs, *ours)):
        return Verdict(word=NOT_COMPARABLE, reasons=("the stored labels have no boxes",))
    difference = significance.difference(ours, theirs)
    return Verdict(
        word=_direction(difference.value),
        basis="a paired bootstrap over images",
        interval=difference,
        p=difference.p,
    )


def _adjusted(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """A tie where the p-value, adjusted for all that were asked, is above the level."""
    adjusted = iter(significance.holm([verdict.p for verdict in verdicts if verdict.p is not None]))
    found = []
    for verdict in verdicts:
        if verdict.p is None:
            found.append(verdict)
            continue
        p = next(adjusted)
        found.append(replace(verdict, p=p, word="tie" if p > 1 - statistics.LEVEL else verdict.word))
    return found


def _by_seeds(reference: Row, candidate: Row, why: str) -> Verdict:
    """What can be said without detections: equal numbers, or seeds on either side."""
    theirs, ours = (
        [found.metrics.map for state in row.measured if (found := result_of_variant(state.record, row.variant)) and found.metrics
         and found.metrics.map is not None] for row in (reference, candidate)
    )  # fmt: skip
    if abs(reference.numbers["map"] - candidate.numbers["map"]) < _DUST:
        return Verdict(word="tie", basis=f"equal numbers ({why})")
    if min(len(ours), len(theirs)) == 1:
        return Verdict(word=NOT_COMPARABLE, reasons=(f"{why}, one seed",))
    interval = welch(ours, theirs)
    word: Word = "tie" if interval.low <= 0 <= interval.high else _direction(interval.value)
    return Verdict(word=word, basis=f"Welch's t-interval over seeds ({why})", interval=interval)


def _speed(pair: Pair, folders: tuple[SuiteFolder, SuiteFolder]) -> Verdict:
    reasons = incomparable_because(pair, "latency")
    if reasons or pair.reference is None or pair.candidate is None:
        return Verdict(word=NOT_COMPARABLE, reasons=reasons)
    theirs, ours = (
        _timings(row, folder) for row, folder in zip((pair.reference, pair.candidate), folders, strict=True)
    )
    if theirs is None or ours is None:
        before, after = (row.numbers["latency_median_s"] for row in (pair.reference, pair.candidate))
        if math.isclose(before, after, rel_tol=_DUST):
            return Verdict(word="tie", basis="equal numbers (no raw timings)")
        without = [name for name, side in ((REFERENCE, theirs), (CANDIDATE, ours)) if side is None]
        return Verdict(word=NOT_COMPARABLE, reasons=(f"no raw timings in {' and '.join(without)}",))
    found = statistics.compare_latency(ours, theirs)
    word: Word = _direction(1 - found.ratio.value) if found.differs else "tie"
    return Verdict(word=word, basis="raw timings image by image", interval=found.ratio, drift=found.drift)


def _timings(row: Row, folder: SuiteFolder) -> pd.DataFrame | None:
    """The latency pass of all its trials; None where one left none. Each round stays its own, so that drift shows."""
    found = [
        statistics.read_latencies(folder.trial(state.trial.trial_id).samples).get(row.variant) for state in row.measured
    ]
    timed = [samples for samples in found if samples is not None]
    if len(timed) < len(found):
        return None
    return pd.concat(
        [samples.assign(round=f"{number}." + samples["round"].astype(str)) for number, samples in enumerate(timed)],
        ignore_index=True,
    )


def _direction(gain: float) -> Word:
    return "better" if gain > 0 else "worse"


def _remarks(pair: Pair) -> tuple[str, ...]:
    """What does not forbid the comparison."""
    found = [f"differs in {', '.join(told)}"] if (told := differing(pair)) else []
    found += _of_seeds(pair.reference, pair.candidate) if pair.reference and pair.candidate else []
    for name, row in ((REFERENCE, pair.reference), (CANDIDATE, pair.candidate)):
        if row is not None and row.measured:
            found += [f"warnings in {name}: {', '.join(row.warnings)}"] if row.warnings else []
            found += [f"{name}: {row.outcomes.replace('_', ' ')}"] if "," in row.outcomes else []
    return tuple(found)


def _of_seeds(reference: Row, candidate: Row) -> list[str]:
    """What training again may do to a difference, which chance over images says nothing of."""
    apart = abs(candidate.numbers["map"] - reference.numbers["map"])
    if not apart > _DUST:  # nor where one is not known
        return []
    single = [name for name, row in ((REFERENCE, reference), (CANDIDATE, candidate)) if len(row.measured) == 1]
    if single:
        return [f"one seed in {' and '.join(single)}: how much of a difference another seed would undo is not known"]
    error = math.hypot(*(row.numbers["map_std"] / math.sqrt(len(row.measured)) for row in (reference, candidate)))
    if apart > 2 * error:
        return []
    return [f"the difference of mAP is within twice its standard error by seeds (± {error:.3f})"]
