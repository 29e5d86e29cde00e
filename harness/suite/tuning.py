"""The trials of a search for hyperparameters, and those of the seeds that run with what it found.

Owns how each of these trials is made, and what identifies a search. Which values a trial of the search tries is decided
by `harness.scheduling.suggest`, from the records of those before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.suite.axes import Axis, read_axes
from harness.suite.expand import configuration_key, named
from harness.suite.schema import Hyperparameters, Protocol, at_level
from harness.suite.search import Search, SearchStep, Tuned, of_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.suite.load import Setting, Suite
    from harness.suite.trial import Trial

AWAITED = "awaited"  # ends the id of a trial whose values the search has not found yet
_HASH_DIGITS = 16
_ID_DIGITS = 8
Values = Mapping[str, Any]


def is_awaited(trial: Trial) -> bool:
    """Return whether this stands in the place of a trial whose values the search has not found yet."""
    return trial.trial_id.endswith(f"-{AWAITED}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The search of one configuration on one dataset: each of its trials follows from those before it.

    Attributes:
        search: what the suite file says.
        axes: what is tuned.
        setting: the configuration.
        untuned: the trial of each seed, with the values that it has without a search.
        digest: identifies the search; the number of its trials is no part of it, so that a longer one goes on.
    """

    search: Search
    axes: tuple[Axis, ...]
    setting: Setting
    untuned: tuple[Trial, ...]
    digest: str

    def step(self, number: int, values: Values) -> Trial:
        """Return the trial that tries these values, the `number`-th from 1."""
        return self._step(number, values, None)

    def awaited_step(self, number: int) -> Trial:
        """Return what stands in the place of a trial whose values are not known yet."""
        return self._step(number, {}, self._awaited)

    def tuned(self, found: Tuned) -> tuple[Trial, ...]:
        """Return the trial of each seed, with the values that the search found."""
        return self._tuned(found, None)

    def awaited(self) -> tuple[Trial, ...]:
        """Return what stands in the place of each seed's trial until the search has ended."""
        return self._tuned(self.found(dict.fromkeys(axis.name for axis in self.axes), trial_id=None), self._awaited)

    def found(
        self,
        values: Values,
        *,
        trial_id: str | None,
        score: float | None = None,
        n_succeeded: int = 0,
        n_failed: int = 0,
    ) -> Tuned:
        """Return what the search found, as a trial holds it."""
        return Tuned(
            chain=self.digest,
            values=values,
            trial_id=trial_id,
            metric=self.search.metric,
            score=score,
            epochs=self.hyperparameters({}).epochs,
            n_succeeded=n_succeeded,
            n_failed=n_failed,
        )

    def hyperparameters(self, values: Values) -> Hyperparameters:
        """Return the hyperparameters of a trial of the search."""
        return self.setting.at(of_length(values, self.search.epochs))

    def own_values(self) -> Values | None:
        """Return the point of the space at which the configuration lies without a search; None if it lies outside."""
        own = self.hyperparameters({})
        values = {}
        for axis in self.axes:
            present = getattr(own, axis.name)
            if axis.choices:
                alike = [choice for choice in axis.choices if self.hyperparameters({axis.name: choice}) == own]
                if not alike:
                    return None
                values[axis.name] = alike[0]
            elif axis.holds(present):
                values[axis.name] = present
            else:
                return None
        return values

    @property
    def _awaited(self) -> str:
        return f"{self.digest[:_ID_DIGITS]}-{AWAITED}"

    def _step(self, number: int, values: Values, digest: str | None) -> Trial:
        first = self.untuned[0]
        step = SearchStep(chain=self.digest, number=number, values=values, metric=self.search.metric)
        trial = replace(
            first,
            hyperparameters=self.hyperparameters(values),
            seed=self.search.seed,
            protocol=_short_protocol(first.protocol),
            search=step,
        )
        return named(trial, self.setting.swept, digest=digest)

    def _tuned(self, found: Tuned, digest: str | None) -> tuple[Trial, ...]:
        h = self.setting.hyperparameters if found.trial_id is None else self.setting.at(found.values)
        trials = (replace(trial, hyperparameters=h, tuned=found) for trial in self.untuned)
        return tuple(named(trial, self.setting.swept, digest=digest) for trial in trials)


def make_chains(suite: Suite, trials: Sequence[Trial]) -> tuple[Chain, ...]:
    """Return the search of each configuration of the suite on each dataset; nothing if the suite has no search.

    Args:
        suite: the suite.
        trials: its trials without a search, as `harness.suite.expand.plan_trials` returns them.
    """
    search = suite.search
    if search is None:
        return ()
    axes = read_axes(search.over)
    settings = [setting for _ in suite.datasets for setting in suite.settings]
    seeds: dict[str, list[Trial]] = {}
    for trial in trials:
        seeds.setdefault(configuration_key(trial), []).append(trial)
    return tuple(
        _chain(search, axes, setting, tuple(untuned)) for setting, untuned in zip(settings, seeds.values(), strict=True)
    )


def _chain(search: Search, axes: tuple[Axis, ...], setting: Setting, untuned: tuple[Trial, ...]) -> Chain:
    """Return the search of one configuration, with its hash: over its first trial, and over how values are chosen."""
    unnamed = Chain(search=search, axes=axes, setting=setting, untuned=untuned, digest="")
    how = {key: value for key, value in asdict(search).items() if key != "trials"}
    text = json.dumps([configuration_key(unnamed.step(0, {})), how], sort_keys=True)
    return replace(unnamed, digest=hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS])


def _short_protocol(protocol: Protocol) -> Protocol:
    """Return the protocol of a search's trials: accuracy as in the suite; speed, which nothing asks for, in short."""
    batch_size = 1 if protocol.throughput_batch_size == "auto" else protocol.throughput_batch_size
    short = replace(at_level("quick", protocol), rounds=1, warmup=10, latency_images=20, variants=())
    return replace(short, throughput_batch_size=batch_size)
