"""Which row of one results folder belongs to which row of another, and in what the two differ.

Owns identity alone: dataset, architecture, variant, and the hyperparameters where they tell rows apart. What the
numbers of a pair say is `harness.analysis.compare`'s.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.frame import CANNOT, configuration_frame, result_of_variant, trial_frame
from harness.analysis.settings import flat, short
from harness.store.record import AS_TRAINED
from harness.suite.expand import TRIAL, configuration_key

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
    """One configuration and variant of one folder, over its seeds; equal to itself alone.

    Attributes:
        label: as the folder's report calls it.
        how: what the variant came to.
        trial: one of its trials; they differ in the seed alone.
        numbers: `NUMBERS` of `frames.configuration_frame`, in SI units; NaN for what is not known.
        measured: the trials behind the numbers.
        problem: why there are none; None where there are.
        outcomes: of all seeds, in words.
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
        """What rows must share to be a pair: dataset, architecture, variant."""
        return self.trial.dataset.name, self.trial.architecture.name, self.variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A row of the reference and one of the candidate, or one of them alone."""

    reference: Row | None
    candidate: Row | None

    @property
    def rows(self) -> tuple[Row, ...]:
        """Those that are there, the reference first."""
        return tuple(row for row in (self.reference, self.candidate) if row is not None)

    @property
    def label(self) -> str:
        """What it is called: by the side that tells more."""
        return max((row.label for row in self.rows), key=len)


def rows(states: Sequence[TrialState]) -> tuple[Row, ...]:
    """One a configuration and variant, best mAP first; without subset trials, unless there is nothing else."""
    states = [state for state in states if state.trial.max_images is None] or states
    alike: dict[str, list[TrialState]] = defaultdict(list)
    for state in states:
        alike[configuration_key(state.trial)].append(state)
    return tuple(
        _row(line, alike[line["configuration"]]) for _, line in configuration_frame(trial_frame(states)).iterrows()
    )


def pair(references: Sequence[Row], candidates: Sequence[Row]) -> tuple[Pair, ...]:
    """Each row once, in the order of the references.

    Rows that are equal in everything but the seed belong together, then those of equal hyperparameters, where there is
    only one on either side; at last what an architecture has alone in both folders.
    """
    theirs: dict[Row, Row] = {}
    groups = dict.fromkeys(row.group for row in references)
    for group in groups:
        ours = [row for row in references if row.group == group]
        others = [row for row in candidates if row.group == group]
        keys: list[Callable[[Row], Hashable]] = [_everything, _hyperparameters]
        keys += [lambda _row: None] if len(ours) == len(others) == 1 else []
        for key in keys:
            for left, right in _matched(ours, others, key):
                theirs[left] = right
                ours.remove(left)
                others.remove(right)
    taken = set(theirs.values())
    return (
        *(Pair(reference=row, candidate=theirs.get(row)) for row in references),
        *(Pair(reference=None, candidate=row) for row in candidates if row not in taken),
    )


def differing(found: Pair) -> tuple[str, ...]:
    """In what the two models differ by intent: `lr 0.01 / 0.02`; of an unpaired row nothing."""
    if found.reference is None or found.candidate is None:
        return ()
    before, after = (_setting(row.trial) for row in (found.reference, found.candidate))
    keys = dict.fromkeys((*before, *after))
    values = [(key, before.get(key), after.get(key)) for key in keys]
    told = [f"{key} {_said(ours)} / {_said(theirs)}" for key, ours, theirs in values if ours != theirs]
    ways = tuple(row.how or "not told" for row in found.rows)
    if ways[0] != ways[1] and found.reference.variant != AS_TRAINED:  # whose precision is a hyperparameter
        told.append(f"how it runs {' / '.join(ways)}")
    return tuple(told)


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
    """Why a row has no numbers, with the first reason that one of its trials gives."""
    told = [reason for name, reason in line["warnings"] if name == CANNOT]
    told += [state.last.reason for state in states if state.last is not None and state.last.reason]
    return f"{line['outcomes'].replace('_', ' ')}{': ' if told else ''}{told[0].splitlines()[0] if told else ''}"


def _matched(ours: Sequence[Row], others: Sequence[Row], key: Callable[[Row], Hashable]) -> Iterator[tuple[Row, Row]]:
    """Those whose key nobody else on either side has."""
    left, right = ([(key(row), row) for row in side] for side in (ours, others))
    counts = [Counter(value for value, _ in side) for side in (left, right)]
    for value, mine in left:
        if all(count[value] == 1 for count in counts):
            yield mine, next(row for other, row in right if other == value)


def _everything(row: Row) -> Hashable:
    return _hyperparameters(row), repr(row.trial.protocol), row.trial.dataset.fingerprint


def _hyperparameters(row: Row) -> Hashable:
    return repr(sorted(_setting(row.trial).items()))


def _setting(trial: Trial) -> dict[str, Any]:
    """All of a trial's model and training that a suite sets, flat; weights in a file count by their content."""
    choice = trial.architecture
    return flat(
        {
            **TRIAL.dump_python(trial, mode="json")["hyperparameters"],
            "model": dict(choice.model),
            "image_size": asdict(choice.image_size),
            "weights": f"sha256 {choice.weights_sha256[:8]}" if choice.weights_sha256 else choice.weights,
            "max_images": trial.max_images,
        }
    )


def _said(value: object) -> str:
    return "none" if value is None else short(value)


def is_known(number: float) -> bool:
    """Whether it was measured."""
    return not math.isnan(number)
