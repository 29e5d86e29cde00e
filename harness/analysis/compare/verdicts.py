"""Compare two results folders: what may be said of each candidate against its reference, in accuracy and in speed.

Owns the verdict on a pair. `pairing` says which rows are compared, `comparability` whether they may be; `gates` judges
by a user's tolerance, and `harness.report.compare` puts the result into words.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.analysis.accuracy import Accuracies, SeedAnalyses, analysable
from harness.analysis.compare.comparability import CANDIDATE, REFERENCE, incomparable_because
from harness.analysis.compare.pairing import Pair, Row, is_known, setting_differences
from harness.analysis.significance import Pair as AccuracyPair
from harness.analysis.statistics import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.accuracy import Difference
    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.analysis.statistics import Interval

    DetectionAnalyses = Mapping[tuple[str, str], DetectionAnalysis]

Word = Literal["more accurate", "less accurate", "not separated", "not raced", "not comparable"]
ACCURACY_WORDS: tuple[Word, ...] = ("more accurate", "less accurate", "not separated", "not comparable")
SPEED_WORDS: tuple[Word, ...] = ("not raced", "not comparable")
NOT_COMPARABLE: Word = "not comparable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What may be said of a pair's candidate against its reference, in accuracy or in speed.

    Attributes:
        word: the verdict on the candidate. Speeds of two folders have not raced, so nobody is called faster.
        basis: what the verdict is based on; None if the two are not comparable.
        reasons: why the two are not comparable.
        interval: for accuracy, the difference of mAP, candidate minus reference, with its 95 % interval, corrected for
            all pairs of the comparison. None if chance was not taken into account.
        p: the p-value of a difference in accuracy, adjusted for all pairs of the comparison.
    """

    word: Word
    basis: str | None = None
    reasons: tuple[str, ...] = ()
    interval: Interval | None = None
    p: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedPair:
    """A pair with its verdicts; `remarks` say what else a reader must know."""

    pair: Pair
    accuracy: Verdict
    speed: Verdict
    remarks: tuple[str, ...]


def compare(pairs: Sequence[Pair], analyses: tuple[DetectionAnalyses, DetectionAnalyses]) -> tuple[ComparedPair, ...]:
    """Return each pair with its verdicts on accuracy and speed.

    Args:
        pairs: the rows of the two folders.
        analyses: what the stored detections of the reference and of the candidate tell.
    """
    reasons = [_no_accuracy_because(pair, analyses) for pair in pairs]
    compared = [pair for pair, why in zip(pairs, reasons, strict=True) if not why]
    differences = _differences(compared, analyses)
    adjusted = holm([difference.p for difference in differences])
    verdicts = iter([_accuracy(difference, p) for difference, p in zip(differences, adjusted, strict=True)])
    return tuple(
        ComparedPair(
            pair=pair,
            accuracy=Verdict(word=NOT_COMPARABLE, reasons=why) if why else next(verdicts),
            speed=_speed(pair),
            remarks=_remarks(pair),
        )
        for pair, why in zip(pairs, reasons, strict=True)
    )


def count_verdicts(verdicts: Sequence[Verdict], words: Sequence[Word]) -> dict[Word, int]:
    """Count the verdicts by their word, of all words that there are."""
    counts = Counter(verdict.word for verdict in verdicts)
    return {word: counts[word] for word in words}


def _no_accuracy_because(pair: Pair, analyses: tuple[DetectionAnalyses, DetectionAnalyses]) -> tuple[str, ...]:
    """Return why nothing can be said of a pair's accuracies; empty if something can."""
    reasons = incomparable_because(pair, "accuracy")
    if reasons or pair.reference is None or pair.candidate is None:
        return reasons
    before, after = (_analyses(row, stored) for row, stored in zip(pair.rows, analyses, strict=True))
    sides = ((REFERENCE, pair.reference, before), (CANDIDATE, pair.candidate, after))
    missing = [name for name, row, seeds in sides if len(seeds.analyses) < len(row.measured)]
    both = (*before.analyses, *after.analyses)
    problems = {
        "the evaluated split has no boxes": not all(is_known(row.numbers["map"]) for row in pair.rows),
        f"no stored detections in {' and '.join(missing)}, so chance over images is not known": bool(missing),
        "different data: the stored labels differ": len({one.ground_truth_fingerprint for one in both}) > 1,
        "the stored labels have no boxes": any(math.isnan(one.map) for one in both),
        "only one image has boxes, so chance over images is not known": not analysable(both),
    }
    return tuple(problem for problem, holds in problems.items() if holds)[:1]


def _differences(
    pairs: Sequence[Pair], analyses: tuple[DetectionAnalyses, DetectionAnalyses]
) -> tuple[Difference, ...]:
    """Return the difference of each pair, candidate minus reference; rows of one dataset share the spread of seeds."""
    tables: dict[str, list[SeedAnalyses]] = {}
    places = []
    for pair in pairs:
        seeds = [_analyses(row, stored) for row, stored in zip(pair.rows, analyses, strict=True)]
        table = tables.setdefault(seeds[0].analyses[0].ground_truth_fingerprint, [])
        places.append((table, len(table)))
        table += seeds
    accuracies = {id(table): Accuracies(table) for table in tables.values()}
    return tuple(accuracies[id(table)].difference(place + 1, place) for table, place in places)


def _analyses(row: Row, stored: DetectionAnalyses) -> SeedAnalyses:
    keys = [(state.trial.trial_id, row.variant) for state in row.measured]
    found = [key for key in keys if key in stored]
    return SeedAnalyses(
        trial_ids=tuple(trial_id for trial_id, _ in found), analyses=tuple(stored[key] for key in found)
    )


def _accuracy(difference: Difference, adjusted_p: float) -> Verdict:
    chance = "images" if difference.error.seeds is None else "images and seeds"
    compared = AccuracyPair(difference=difference, adjusted_p=adjusted_p)
    return Verdict(
        word=compared.word,
        basis=f"chance over {chance}" + (", so it holds for these weights" if chance == "images" else ""),
        interval=compared.interval,
        p=adjusted_p,
    )


def _speed(pair: Pair) -> Verdict:
    reasons = incomparable_because(pair, "latency")
    if reasons or pair.reference is None or pair.candidate is None:
        return Verdict(word=NOT_COMPARABLE, reasons=reasons)
    return Verdict(word="not raced", basis="medians of one process each: only a race shows who is faster")


def _remarks(pair: Pair) -> tuple[str, ...]:
    """Return what a reader must know beside the verdicts: other settings, warnings, failed seeds."""
    remarks = [f"differs in {', '.join(settings)}"] if (settings := setting_differences(pair)) else []
    for name, row in ((REFERENCE, pair.reference), (CANDIDATE, pair.candidate)):
        if row is not None and row.measured:
            remarks += [f"warnings in {name}: {', '.join(row.warnings)}"] if row.warnings else []
            remarks += [f"{name}: {row.outcomes.replace('_', ' ')}"] if "," in row.outcomes else []
    return tuple(remarks)
