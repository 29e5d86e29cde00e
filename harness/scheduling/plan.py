"""What a suite asks for and what of it is done, as its results folder holds it now."""

from __future__ import annotations

import fnmatch
import functools
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.analysis.settings import distinguishing_settings, settings_text
from harness.data.open import older_fingerprint
from harness.executors.slots import Slot
from harness.formatting import counted
from harness.scheduling import estimate, retry
from harness.scheduling.search import SearchReader, TrialEnd, in_turn, shared_preflights, stored_steps
from harness.store import record, results
from harness.suite.expand import plan_trials
from harness.suite.schema import PythonDataset
from harness.suite.tuning import is_awaited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.store.job import Attempt, Preflight
    from harness.store.paths import SuiteFolder
    from harness.store.record import Record
    from harness.suite.load import Suite
    from harness.suite.trial import Trial
    from harness.suite.tuning import Chain

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a suite asks for and what of it is done.

    Attributes:
        trials: all of the suite, seed by seed. Those of a search come first, and what it has not found yet stands in
            the place of the trials that follow from it; see `awaiting`.
        selected: those of them that `--select` names.
        where: the machine, device and versions that trials are to run on; a preflight made elsewhere does not count.
        device: where the trials are to run: auto, cpu, cuda or cuda:N.
        slots: where trials run at the same time, at least one.
        records: of the trials that are done, by id.
        failed: the last attempt of each trial that failed for a reason of its own and has no record, by id.
        preflights: what those measured that were made in this environment, by configuration.
        remarks: lines for a person about the data: warnings, and what is skipped.
        chains: the searches for hyperparameters; `trials` follow from how far they are.
        select: what `--select` says, for trials that become known later.
    """

    suite: Suite
    folder: SuiteFolder
    trials: tuple[Trial, ...]
    selected: tuple[Trial, ...]
    where: str
    device: str = "auto"
    slots: tuple[Slot, ...] = (Slot(device="auto", threads=1),)
    records: Mapping[str, Record] = field(default_factory=dict)
    failed: Mapping[str, Attempt] = field(default_factory=dict)
    preflights: Mapping[str, Preflight] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    chains: tuple[Chain, ...] = ()
    select: str | None = None

    @property
    def pending(self) -> tuple[Trial, ...]:
        """The selected trials that are neither done nor failed and can run now, in the order they are to run."""
        pending = [t for t in self.selected if t.trial_id not in self.records and t.trial_id not in self.failed]
        ready = [trial for trial in pending if not is_awaited(trial)]
        return in_turn(estimate.in_order(ready, self.expected(), len(self.slots)))

    @property
    def awaiting(self) -> tuple[Trial, ...]:
        """What stands in the place of the selected trials whose values a search has not found yet."""
        return tuple(trial for trial in self.selected if is_awaited(trial))

    @property
    def given_up(self) -> tuple[Trial, ...]:
        """The selected trials that only `--retry-failed` tries again."""
        return tuple(trial for trial in self.selected if trial.trial_id in self.failed)

    def expected(self) -> dict[str, float]:
        """Return the seconds that each selected trial takes, by id, as far as that is known."""
        return estimate.expected_s(self.selected, self.preflights, tuple(self.records.values()))

    def expected_stages(self) -> dict[str, estimate.StageSeconds]:
        """Return the same stage by stage."""
        return estimate.expected_stages(self.selected, self.preflights, tuple(self.records.values()))

    def too_late(self, until: datetime) -> tuple[Trial, ...]:
        """Return the pending trials that a run which starts now would leave out, as far as their length is known."""
        left = (*self.pending, *self.awaiting)
        seconds = (until - datetime.now(UTC)).total_seconds()
        return estimate.too_late(left, self.expected(), seconds, len(self.slots))

    def differences(self) -> dict[str, str]:
        """Return in which settings each selected trial differs from the others of its architecture, by id.

        Of a search's trial these are the values that it tries, and to those of a seed what was found is added.
        """
        settings = distinguishing_settings(trial for trial in self.selected if trial.search is None)
        texts = {}
        for trial in self.selected:
            tried = trial.search.values if trial.search is not None else {}
            found = trial.tuned.values if trial.tuned is not None and trial.tuned.trial_id is not None else {}
            parts = settings.get(trial.trial_id, ""), settings_text({**tried, **found})
            texts[trial.trial_id] = ", ".join(part for part in parts if part)
        return texts


def used_devices(folder: SuiteFolder, trials: Iterable[Trial]) -> tuple[str, ...]:
    """Return the device that each trial was measured on, or at least tried on by its preflight, as far as any was."""
    devices: list[str] = []
    for trial in trials:
        preflight = results.read_preflight(folder.trial(trial.trial_id))
        if preflight is not None:
            devices += preflight.where.split(", ")[1:2]
        try:
            recorded = results.read_record(folder.trial(trial.trial_id))
        except record.RecordError:  # whoever reads the plan is told
            continue
        if recorded is not None:
            devices.append(recorded.environment.device)
    return tuple(devices)


def refresh(plan: Plan) -> Plan:
    """Return the plan with what its results folder holds now."""

    @functools.cache
    def ending(trial_id: str) -> TrialEnd | None:
        """Return how a trial has ended; None where its record cannot be read."""
        try:
            recorded = results.read_record(plan.folder.trial(trial_id))
        except record.RecordError as error:
            log.warning("%s; %s", error, results.SET_ASIDE)
            return None
        return TrialEnd(record=recorded) if recorded is not None else TrialEnd()

    def end_of(trial: Trial) -> TrialEnd:
        end = ending(trial.trial_id)
        if end is None or end.record is not None:
            return end or TrialEnd()
        history = results.history(plan.folder.trial(trial.trial_id))
        return TrialEnd(failed=history[-1] if retry.is_over(history, trial, plan.suite.on_oom) else None)

    plan = _with_known_trials(plan, end_of) if plan.chains else plan
    ends = {trial.trial_id: end_of(trial) for trial in plan.trials}
    preflights = {trial.trial_id: results.read_preflight(plan.folder.trial(trial.trial_id)) for trial in plan.trials}
    here = {trial_id: one for trial_id, one in preflights.items() if one is not None and one.where == plan.where}
    untuned = {trial.trial_id: chain.digest for chain in plan.chains for trial in chain.untuned}
    return replace(
        plan,
        records={trial_id: end.record for trial_id, end in ends.items() if end.record is not None},
        failed={trial_id: end.failed for trial_id, end in ends.items() if end.failed is not None},
        preflights=shared_preflights(plan.trials, here, untuned),
    )


def _with_known_trials(plan: Plan, end_of: Callable[[Trial], TrialEnd]) -> Plan:
    """Return the plan with the trials that follow from how far its searches are."""
    reader = SearchReader(folder=plan.folder, ending=end_of, steps=stored_steps(plan.folder, plan.chains))
    searched = [reader.read(chain) for chain in plan.chains]
    trials: list[Trial] = []
    selected: set[str] = set()
    for one in searched:
        own = (*one.steps, *one.seeds, *one.awaited)
        trials += own
        chosen = {trial.trial_id for trial in own if is_selected(trial, plan.select)}
        if any(trial.trial_id in chosen and trial.search is None for trial in own):  # it needs the whole search
            chosen |= {trial.trial_id for trial in own if trial.search is not None}
        selected |= chosen
    seeds = plan.suite.seeds
    trials.sort(key=lambda trial: -1 if trial.search is not None else seeds.index(trial.seed))
    return replace(plan, trials=tuple(trials), selected=tuple(trial for trial in trials if trial.trial_id in selected))


def is_selected(trial: Trial, select: str | None) -> bool:
    """Return whether `--select` names the trial."""
    return select is None or fnmatch.fnmatchcase(trial.trial_id, select)


def older_code_remarks(
    suite: Suite, fingerprints: Mapping[str, str], trials: Sequence[Trial], folder: SuiteFolder
) -> tuple[str, ...]:
    """Say which trials run again because an older version measured them without a look at their dataset's code.

    Nobody can tell whether the code has been edited since, so their records are neither taken for these trials' nor
    changed.
    """
    older = {name: older_fingerprint(d) for name, d in suite.datasets if isinstance(d, PythonDataset)}
    if not older or suite.search is not None:  # no older version had a search
        return ()
    before = plan_trials(suite, {**fingerprints, **older}, max_images=trials[0].max_images)
    again = Counter(
        trial.dataset.name
        for trial, old in zip(trials, before, strict=True)
        if folder.trial(old.trial_id).record.is_file() and not folder.trial(trial.trial_id).record.is_file()
    )
    return tuple(
        f"data {name}: {counted(count, 'trial')} of a version before 0.4, which did not look at the code that this "
        "dataset imports: measured again, as nobody knows whether it was the same; the old records are kept"
        for name, count in again.items()
    )
