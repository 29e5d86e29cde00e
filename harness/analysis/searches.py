"""How each configuration was tuned: what its search cost, and what it found.

The trials of a search are in no row of the comparison: they are short, and the best of them was chosen on val.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.analysis.settings import distinguishing_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.store.results import TrialState
    from harness.suite.search import SearchMetric
    from harness.suite.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSummary:
    """The search of one configuration on one dataset.

    Attributes:
        dataset: the name of the dataset.
        label: the architecture, with the settings that distinguish it.
        n_asked: how many trials the search has.
        n_succeeded: how many have a score.
        n_failed: how many ended without one.
        epochs: the length of each; None where a budget of images or minutes sets it.
        wall_s: the seconds of all of them together, all attempts counted.
        metric: what they are compared by, on val.
        scores: in the order of the trials; None where there is none.
        values: those of the best trial; None where no trial has a score.
        subset: whether they saw only the first images of each split.
    """

    dataset: str
    label: str
    n_asked: int
    n_succeeded: int
    n_failed: int
    epochs: int | None
    wall_s: float
    metric: SearchMetric
    scores: tuple[float | None, ...]
    values: Mapping[str, Any] | None
    subset: bool

    @property
    def n_left(self) -> int:
        """How many trials have not ended."""
        return self.n_asked - self.n_succeeded - self.n_failed

    @property
    def best(self) -> float | None:
        """The highest score."""
        return max((score for score in self.scores if score is not None), default=None)

    @property
    def decided_nothing(self) -> bool:
        """Whether several trials have a score, and all the same one: then the first one's values are used."""
        return self.n_succeeded > 1 and len({score for score in self.scores if score is not None}) == 1

    @property
    def budget(self) -> tuple[int, int | None]:
        """What is to be equal for all: how many trials have a score, and how long each was."""
        return self.n_succeeded, self.epochs


def search_summaries(states: Iterable[TrialState]) -> tuple[SearchSummary, ...]:
    """Return the searches that trials belong to, in the order of their first trials."""
    chains: dict[str, list[TrialState]] = defaultdict(list)
    for state in states:
        if state.trial.search is not None:
            chains[state.trial.search.chain].append(state)
    ordered = [sorted(chain, key=_number) for chain in chains.values()]
    labels = _labels([chain[0].trial for chain in ordered])
    return tuple(_summary(chain, label) for chain, label in zip(ordered, labels, strict=True))


def _summary(states: Sequence[TrialState], label: str) -> SearchSummary:
    first = states[0].trial
    assert first.search is not None
    scores = tuple(_score(state) for state in states)
    known = [(score, -index) for index, score in enumerate(scores) if score is not None]
    best = states[-max(known)[1]].trial.search if known else None
    ended = [state for state in states if state.record is not None or state.failed]
    return SearchSummary(
        dataset=first.dataset.name,
        label=label,
        n_asked=len(states),
        n_succeeded=len(known),
        n_failed=len(ended) - len(known),
        epochs=first.hyperparameters.epochs,
        wall_s=sum(_wall_s(state) for state in states),
        metric=first.search.metric,
        scores=scores,
        values=best.values if best is not None else None,
        subset=first.max_images is not None,
    )


def _score(state: TrialState) -> float | None:
    if state.record is None or state.trial.search is None:
        return None
    return state.record.metrics.map if state.trial.search.metric == "map" else state.record.metrics.map_50


def _wall_s(state: TrialState) -> float:
    attempts = state.attempts or (state.record.attempts if state.record else ())
    return sum(attempt.wall_s for attempt in attempts if attempt.outcome != "preflight_passed")


def _number(state: TrialState) -> int:
    return state.trial.search.number if state.trial.search is not None else 0


def _labels(firsts: Sequence[Trial]) -> list[str]:
    """Name each search: the architecture, and in what its settings differ from those of the architecture's others."""
    alike: dict[tuple[str, str], Trial] = {}
    compared = []
    for trial in firsts:  # what is tuned tells no search from another
        first = alike.setdefault((trial.dataset.name, trial.architecture.name), trial)
        names = trial.search.values if trial.search is not None else ()
        own = {name: getattr(first.hyperparameters, name) for name in names}
        compared.append(replace(trial, hyperparameters=replace(trial.hyperparameters, **own)))
    settings = distinguishing_settings(compared)
    return [
        trial.architecture.name + (f" ({settings[trial.trial_id]})" if settings[trial.trial_id] else "")
        for trial in firsts
    ]
