"""Which row of one results folder corresponds to which row of another, and in which settings the two differ.

Owns what identifies a row: dataset, architecture, variant, and hyperparameters where several rows share those. What
the numbers of a pair mean is decided in `harness.analysis.compare.verdicts`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.frame import CANNOT, configuration_frame, result_of_variant, trial_frame
from harness.analysis.settings import code_hash, flatten, format_setting, model_options
from harness.store.record import AS_TRAINED
from harness.suite.expand import TRIAL, configuration_key
from harness.suite.validators import WEIGHTS_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    import pandas as pd

    from harness.store.results import TrialState
    from harness.suite.trial import Trial

NUMBERS = (
    "map",
    "map_std",
    "map_50",
    "map_75",
    "latency_median_s",
    "latency_p95_s",
    "throughput_images_per_s",
    "inference_memory_bytes",
    "train_images_per_s",
    "batch_size",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """One configuration and variant of one folder, averaged over its seeds; a row is equal only to itself.

    Attributes:
        label: the row's name in the folder's report.
        how: how the variant runs, in words.
        variant: the variant's name.
        trial: one of the row's trials; they differ only in the seed.
        numbers: the `NUMBERS` of `frame.configuration_frame`, in SI units; NaN if not measured.
        measured: the trials that the numbers are averaged over.
        problem: why there are no numbers; None if there are.
        outcomes: how all seeds ended, in words.
        warnings: the names of the measurement warnings.
    """

    label: str
    how: str
    variant: str
    trial: Trial
    numbers: Mapping[str, float]
    measured: tuple[TrialState, ...]
    problem: str | None
    outcomes: str
    warnings: tuple[str, ...]

    @property
    def group(self) -> tuple[str, str, str]:
        """Return what two rows must share to be a pair: dataset, architecture and variant."""
        return self.trial.dataset.name, self.trial.architecture.name, self.variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A row of the reference and one of the candidate, or a row that only one of them has."""

    reference: Row | None
    candidate: Row | None

    @property
    def rows(self) -> tuple[Row, ...]:
        """Return the one or two rows, the reference first."""
        return tuple(row for row in (self.reference, self.candidate) if row is not None)

    @property
    def label(self) -> str:
        """Return the longer one of the two labels, which names more settings."""
        return max((row.label for row in self.rows), key=len)


def rows(states: Sequence[TrialState]) -> tuple[Row, ...]:
    """Build one row for each configuration and variant, best mAP first; leave out subset trials if there are others."""
    states = [state for state in states if state.trial.max_images is None] or states
    by_configuration: dict[str, list[TrialState]] = defaultdict(list)
    for state in states:
        by_configuration[configuration_key(state.trial)].append(state)
    return tuple(
        _row(line, by_configuration[line["configuration"]])
        for _, line in configuration_frame(trial_frame(states)).iterrows()
    )


def pair(references: Sequence[Row], candidates: Sequence[Row]) -> tuple[Pair, ...]:
    """Pair the rows of two folders; each row occurs once, in the order of the references, then of the candidates.

    First, rows that are equal in everything but the seed are paired; then rows of equal hyperparameters, if each side
    has only one such row; at last, the rows of a group that has exactly one row left on each side.
    """
    counterparts: dict[Row, Row] = {}
    groups = dict.fromkeys(row.group for row in references)
    for group in groups:
        unpaired_references = [row for row in references if row.group == group]
        unpaired_candidates = [row for row in candidates if row.group == group]
        keys: list[Callable[[Row], Hashable]] = [_everything, _hyperparameters]
        keys += [lambda _row: None] if len(unpaired_references) == len(unpaired_candidates) == 1 else []
        for key in keys:
            for reference, candidate in _unique_matches(unpaired_references, unpaired_candidates, key):
                counterparts[reference] = candidate
                unpaired_references.remove(reference)
                unpaired_candidates.remove(candidate)
    paired = set(counterparts.values())
    return (
        *(Pair(reference=row, candidate=counterparts.get(row)) for row in references),
        *(Pair(reference=None, candidate=row) for row in candidates if row not in paired),
    )


def setting_differences(pair: Pair) -> tuple[str, ...]:
    """Return the settings in which the two models of a pair differ, as `lr 0.01 / 0.02`; empty for an unpaired row."""
    if pair.reference is None or pair.candidate is None:
        return ()
    before, after = (_settings(row.trial) for row in (pair.reference, pair.candidate))
    values = [(key, before.get(key), after.get(key)) for key in dict.fromkeys((*before, *after))]
    texts = [f"{key} {_format(a)} / {_format(b)}" for key, a, b in values if a != b]
    how = tuple(row.how or "not recorded" for row in pair.rows)
    # How a model as trained runs follows from its precision, which is among the settings already.
    if how[0] != how[1] and pair.reference.variant != AS_TRAINED:
        texts.append(f"how it runs {' / '.join(how)}")
    return tuple(texts)


def _row(line: pd.Series, states: Sequence[TrialState]) -> Row:
    measured = tuple(state for state in states if result_of_variant(state.record, line["variant"]) is not None)
    return Row(
        label=line["label"],
        how=line["how"],
        variant=line["variant"],
        trial=states[0].trial,
        numbers={name: float(line[name]) for name in NUMBERS},
        measured=measured,
        problem=None if measured else _problem(line, states),
        outcomes=line["outcomes"],
        warnings=tuple(dict.fromkeys(name for name, _ in line["warnings"] if name != CANNOT)),
    )


def _problem(line: pd.Series, states: Sequence[TrialState]) -> str:
    """Say why a row has no numbers: its outcomes, and the first reason that one of its trials gives."""
    outcomes = str(line["outcomes"]).replace("_", " ")
    reasons = [reason for name, reason in line["warnings"] if name == CANNOT]
    reasons += [state.problem for state in states if state.problem is not None]
    reasons += [state.last.reason for state in states if state.last is not None and state.last.reason]
    return f"{outcomes}: {reasons[0].splitlines()[0]}" if reasons else outcomes


def _unique_matches(
    references: Sequence[Row], candidates: Sequence[Row], key: Callable[[Row], Hashable]
) -> Iterator[tuple[Row, Row]]:
    """Yield the pairs of equal key whose key occurs exactly once on each side."""
    reference_keys, candidate_keys = ([(key(row), row) for row in side] for side in (references, candidates))
    counts = [Counter(value for value, _ in side) for side in (reference_keys, candidate_keys)]
    for value, reference in reference_keys:
        if all(count[value] == 1 for count in counts):
            yield reference, next(row for other, row in candidate_keys if other == value)


def _everything(row: Row) -> Hashable:
    return _hyperparameters(row), repr(row.trial.protocol), row.trial.dataset.fingerprint


def _hyperparameters(row: Row) -> Hashable:
    return repr(sorted(_settings(row.trial).items()))


def _settings(trial: Trial) -> dict[str, Any]:
    """Return every setting of a trial's model and training on one level; weights in a file count by their content."""
    choice = trial.architecture
    own = choice.weights_sha256
    word = f"{choice.weights} " if choice.weights in WEIGHTS_WORDS else ""
    return flatten(
        {
            **TRIAL.dump_python(trial, mode="json")["hyperparameters"],
            "model": model_options(trial),
            "image_size": asdict(choice.image_size),
            "weights": f"{word}sha256 {own[:8]}" if own else choice.weights,
            "code": code_hash(trial),
            "max_images": trial.max_images,
        }
    )


def _format(value: object) -> str:
    return "none" if value is None else format_setting(value)


def is_known(number: float) -> bool:
    """Whether a number was measured, so that it is not NaN."""
    return not math.isnan(number)
