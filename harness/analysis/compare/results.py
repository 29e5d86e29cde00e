"""Two results folders compared from beginning to end: their rows paired, each pair's verdicts, the gates checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.compare import pairing, verdicts
from harness.analysis.compare.comparability import incomparable_because
from harness.analysis.compare.gates import check_gates
from harness.analysis.contradiction import without_contradictions
from harness.analysis.detections.cache import load_or_compute
from harness.store.results import compared_trials, read_results

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.analysis.compare.gates import GateResult, RegressionGate
    from harness.analysis.compare.pairing import Pair
    from harness.analysis.compare.verdicts import ComparedPair, DetectionAnalyses
    from harness.store.paths import SuiteFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultComparison:
    """One results folder, the candidate, compared with another one, the reference.

    Attributes:
        rows: one for each pair of rows, and for each row that only one folder has. `row.pair.label` names it;
            `row.accuracy` and `row.speed` are verdicts on the candidate: `.word` is one of `verdicts.ACCURACY_WORDS` or
            `verdicts.SPEED_WORDS`.
        gates: every gate, checked on every row of the reference: `.broken` says whether the candidate fell behind it.
    """

    rows: tuple[ComparedPair, ...]
    gates: tuple[GateResult, ...]

    @property
    def datasets(self) -> dict[str, list[ComparedPair]]:
        """The rows of each dataset, by its name."""
        datasets: dict[str, list[ComparedPair]] = {}
        for row in self.rows:
            datasets.setdefault(row.pair.rows[0].trial.dataset.name, []).append(row)
        return datasets

    @property
    def passed(self) -> bool:
        """Whether no gate is broken."""
        return not any(gate.broken for gate in self.gates)


def compare_results(
    reference: SuiteFolder,
    candidate: SuiteFolder,
    gates: Sequence[RegressionGate],
    *,
    progress: Callable[[int, int], None],
) -> ResultComparison:
    """Compare two results folders.

    Args:
        reference: the folder that the other one is compared with.
        candidate: the folder that is judged.
        gates: how far the candidate may fall behind.
        progress: called with how many trials' detections are analysed, and of how many.
    """
    folders = reference, candidate
    states = [compared_trials(read_results(folder)) for folder in folders]
    pairs = pairing.pair(*map(pairing.rows, states))
    analyses = _analyses(reference, pairs, 0, progress), _analyses(candidate, pairs, 1, progress)
    sound = [without_contradictions(side, known) for side, known in zip(states, analyses, strict=True)]
    pairs = pairing.pair(*map(pairing.rows, sound))
    compared = verdicts.compare(pairs, analyses)
    return ResultComparison(rows=compared, gates=check_gates(compared, gates))


def _analyses(
    folder: SuiteFolder, pairs: Sequence[Pair], side: int, progress: Callable[[int, int], None]
) -> DetectionAnalyses:
    """Analyse the detections of those trials of one side that have a counterpart they can be compared with."""
    rows = [pair.rows[side] for pair in pairs if not incomparable_because(pair, "accuracy")]
    states = {state.trial.trial_id: state for row in rows for state in row.measured}
    return load_or_compute(folder, tuple(states.values()), progress=progress)
