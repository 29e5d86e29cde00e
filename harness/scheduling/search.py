"""How far each search is, as the results folder holds it: the trials that are known by now, and what awaits others.

The trials of a search form a chain: the values of each follow from the results of those before it. What was tried is
read from the folder, whatever an Optuna of today would suggest; only what nobody has tried yet is suggested. So a
search that was interrupted or killed goes on, and none of its records is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.scheduling.suggest import suggest
from harness.store import results
from harness.suite.expand import configuration_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.store.job import Attempt, Preflight
    from harness.store.paths import SuiteFolder, TrialFolder
    from harness.store.record import Record
    from harness.suite.trial import Trial
    from harness.suite.tuning import Chain


_LAST = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnd:
    """How a trial has ended, as far as it has.

    Attributes:
        record: there if it succeeded.
        failed: its last attempt, if it failed for a reason of its own.
    """

    record: Record | None = None
    failed: Attempt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A chain as far as it has come.

    Attributes:
        steps: the trials of the search that are known: those that were tried, then the next one, if there is one.
        seeds: the trials of the seeds, once the search has ended.
        awaited: what stands in the place of all others.
    """

    steps: tuple[Trial, ...]
    seeds: tuple[Trial, ...] = ()
    awaited: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchReader:
    """Reads how far searches are.

    Attributes:
        folder: the suite's results.
        ending: tells how a trial has ended.
        steps: the folders that may hold trials of searches.
    """

    folder: SuiteFolder
    ending: Callable[[Trial], TrialEnd]
    steps: Mapping[tuple[str, int], Trial] = field(default_factory=dict)

    def read(self, chain: Chain) -> Searched:
        """Return the trials of a chain that are known by now.

        If a preflight failed before any trial succeeded, none of the others would either: the search ends, and the
        seeds are those without a search. So they are where none of the search's trials succeeded.
        """
        steps: list[Trial] = []
        tried: list[tuple[Mapping[str, object], float | None]] = []
        n_trials = chain.search.trials
        for number in range(1, n_trials + 1):
            trial = self.steps.get((chain.digest, number)) or self._next(chain, tried)
            steps.append(trial)
            end = self.ending(trial)
            if end.record is None and end.failed is None:
                awaited = tuple(chain.awaited_step(later) for later in range(number + 1, n_trials + 1))
                return Searched(steps=tuple(steps), awaited=(*awaited, *chain.awaited()))
            tried.append((trial.search.values if trial.search else {}, score(end.record)))
            if end.failed is not None and _all_failed(tried) and _in_preflight(self.folder.trial(trial.trial_id)):
                break
        return Searched(steps=tuple(steps), seeds=_seeds(chain, steps, [value for _, value in tried]))

    def _next(self, chain: Chain, tried: Sequence[tuple[Mapping[str, object], float | None]]) -> Trial:
        """Return the trial that nobody has tried: first the values without a search, then what is suggested."""
        values = None if tried else chain.own_values()
        if values is None:
            values = suggest(chain.axes, tried, sampler=chain.search.sampler, seed=chain.search.seed)
        return chain.step(len(tried) + 1, values)


def stored_steps(folder: SuiteFolder, chains: Iterable[Chain]) -> dict[tuple[str, int], Trial]:
    """Return the trials of these searches that the folder holds, by search and number.

    Of several with one number, which only an edited folder has, one with a record counts.
    """
    names = {f"{_common_name(chain)}-search" for chain in chains}
    found: dict[tuple[str, int], Trial] = {}
    for trial_folder in folder.trials() if names else ():
        if not any(trial_folder.path.name.startswith(name) for name in names):
            continue
        trial = results.trial_of(trial_folder)
        if trial is not None and trial.search is not None:
            key = trial.search.chain, trial.search.number
            if key not in found or not folder.trial(found[key].trial_id).record.is_file():
                found[key] = trial
    return found


def score(record: Record | None) -> float | None:
    """Return what a trial of a search is compared by; None where it failed, or where val holds nothing to find."""
    if record is None or record.trial.search is None:
        return None
    return record.metrics.map if record.trial.search.metric == "map" else record.metrics.map_50


def in_turn(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Return the trials of all searches before those of the seeds: the first of each search, then the second ones."""
    return tuple(sorted(trials, key=lambda trial: trial.search.number if trial.search is not None else _LAST))


def shared_preflights(
    trials: Iterable[Trial],
    preflights: Mapping[str, Preflight],
    untuned: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Preflight]:
    """Return the preflights by configuration, where one of a search's preflights serves all of its trials and seeds.

    Args:
        trials: all.
        preflights: by trial id.
        untuned: the search that found nothing for a trial, by the trial's id.
    """
    trials = tuple(trials)
    shared: dict[str, Preflight] = {}
    of_chain: dict[str, tuple[Trial, Preflight]] = {}
    for trial in trials:
        preflight = preflights.get(trial.trial_id)
        if preflight is None:
            continue
        shared[configuration_key(trial)] = preflight
        if trial.search is not None:
            of_chain.setdefault(trial.search.chain, (trial, preflight))
    for trial in trials:
        belongs = trial.search or trial.tuned
        chain = belongs.chain if belongs is not None else untuned.get(trial.trial_id, "")
        if chain in of_chain:
            shared.setdefault(configuration_key(trial), _scaled(*of_chain[chain], trial))
    return shared


def _scaled(measured: Trial, preflight: Preflight, trial: Trial) -> Preflight:
    """Return another trial's preflight as this trial's would be: with as many steps as its training is long."""
    ratio = _steps(measured, preflight, trial) / max(1, preflight.steps)
    validated = max(0, preflight.evaluations - preflight.images)
    return replace(
        preflight,
        steps=round(preflight.steps * ratio),
        evaluations=preflight.images + round(validated * ratio),
        accumulate=min(preflight.accumulate, trial.hyperparameters.batch_size),
    )


def _steps(measured: Trial, preflight: Preflight, trial: Trial) -> float:
    """Return how many steps a trial trains, by the preflight of one whose training may be of another length."""
    own, other = trial.hyperparameters, measured.hyperparameters
    if own.budget == other.budget and own.epochs == other.epochs:
        return preflight.steps
    if own.budget is not None and own.budget.images is not None:
        return own.budget.images / own.batch_size
    if own.budget is not None and own.budget.minutes is not None:
        return own.budget.minutes * 60 / max(preflight.step_s, 1e-9)
    return preflight.steps * (own.epochs or 1) / (other.epochs or 1)


def _seeds(chain: Chain, steps: Sequence[Trial], scores: Sequence[float | None]) -> tuple[Trial, ...]:
    """Return the seeds' trials: with the values of the best trial, the first of equals; untuned if none succeeded."""
    known = [(value, -number) for number, value in enumerate(scores) if value is not None]
    if not known:
        return chain.untuned
    best, negative = max(known)
    step = steps[-negative]
    return chain.tuned(
        chain.found(
            step.search.values if step.search else {},
            trial_id=step.trial_id,
            score=best,
            n_succeeded=len(known),
            n_failed=len(scores) - len(known),
        )
    )


def _all_failed(tried: Sequence[tuple[object, float | None]]) -> bool:
    return all(value is None for _, value in tried)


def _in_preflight(folder: TrialFolder) -> bool:
    """Return whether the trial's last attempt was a preflight."""
    job = results.last_job(folder)
    return job is not None and job.preflight is not None


def _common_name(chain: Chain) -> str:
    """Return how the ids of all trials of a search begin."""
    return chain.awaited_step(1).trial_id.rpartition("-search1-")[0]
