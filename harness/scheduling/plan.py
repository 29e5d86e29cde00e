"""What a suite asks for and what of it is done, as its results folder holds it now."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.analysis.settings import distinguishing_settings
from harness.data.open import older_fingerprint
from harness.formatting import counted
from harness.scheduling import estimate, retry
from harness.store import record, results
from harness.suite.expand import configuration_key, plan_trials
from harness.suite.schema import PythonDataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.store.job import Attempt, Preflight
    from harness.store.paths import SuiteFolder
    from harness.store.record import Record
    from harness.suite.load import Suite
    from harness.suite.trial import Trial

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a suite asks for and what of it is done.

    Attributes:
        trials: all of the suite, seed by seed.
        selected: those of them that `--select` names.
        where: the machine, device and versions that trials are to run on; a preflight made elsewhere does not count.
        device: where the trials are to run: auto, cpu, cuda or cuda:N.
        records: of the trials that are done, by id.
        failed: the last attempt of each trial that failed for a reason of its own and has no record, by id.
        preflights: what those measured that were made in this environment, by configuration.
        remarks: lines for a person about the data: warnings, and what is skipped.
    """

    suite: Suite
    folder: SuiteFolder
    trials: tuple[Trial, ...]
    selected: tuple[Trial, ...]
    where: str
    device: str = "auto"
    records: Mapping[str, Record] = field(default_factory=dict)
    failed: Mapping[str, Attempt] = field(default_factory=dict)
    preflights: Mapping[str, Preflight] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[Trial, ...]:
        """The selected trials that are neither done nor failed, in the order they are to run."""
        pending = [t for t in self.selected if t.trial_id not in self.records and t.trial_id not in self.failed]
        return estimate.in_order(pending, self.expected())

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
        return estimate.too_late(self.pending, self.expected(), (until - datetime.now(UTC)).total_seconds())

    def differences(self) -> dict[str, str]:
        """Return in which settings each selected trial differs from the others of its architecture, by id."""
        return distinguishing_settings(self.selected)


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
    records: dict[str, Record] = {}
    failed: dict[str, Attempt] = {}
    preflights: dict[str, Preflight] = {}
    for trial in plan.trials:
        folder = plan.folder.trial(trial.trial_id)
        preflight = results.read_preflight(folder)
        if preflight is not None and preflight.where == plan.where:
            preflights[configuration_key(trial)] = preflight
        try:
            recorded = results.read_record(folder)
        except record.RecordError as error:
            log.warning("%s; %s", error, results.SET_ASIDE)
            continue
        history = results.history(folder)
        if recorded is not None:
            records[trial.trial_id] = recorded
        elif retry.is_over(history, trial, plan.suite.on_oom):
            failed[trial.trial_id] = history[-1]
    return replace(plan, records=records, failed=failed, preflights=preflights)


def older_code_remarks(
    suite: Suite, fingerprints: Mapping[str, str], trials: Sequence[Trial], folder: SuiteFolder
) -> tuple[str, ...]:
    """Say which trials run again because an older version measured them without a look at their dataset's code.

    Nobody can tell whether the code has been edited since, so their records are neither taken for these trials' nor
    changed.
    """
    older = {name: older_fingerprint(d) for name, d in suite.datasets if isinstance(d, PythonDataset)}
    if not older:
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
