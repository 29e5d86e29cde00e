"""What a suite asks for and what of it is done, as its results folder holds it now."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.scheduling import estimate, retry
from harness.store import record, results
from harness.suite.expand import configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        selected: those that `--select` leaves.
        device: where the trials are to run: auto, cpu, cuda or cuda:N.
        records: of those that are done, by id.
        failed: how those without a record ended that failed for a reason of their own, by id.
        rehearsals: made in this environment, by configuration.
        remarks: what a person should know of the data: warnings, and what is skipped.
    """

    suite: Suite
    folder: SuiteFolder
    trials: tuple[Trial, ...]
    selected: tuple[Trial, ...]
    where: str
    device: str = "auto"
    records: Mapping[str, Record] = field(default_factory=dict)
    failed: Mapping[str, Attempt] = field(default_factory=dict)
    rehearsals: Mapping[str, Preflight] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[Trial, ...]:
        """The selected trials that are neither done nor failed, in the order they are to run."""
        open_ = [t for t in self.selected if t.trial_id not in self.records and t.trial_id not in self.failed]
        return estimate.in_order(open_, self.expected())

    @property
    def given_up(self) -> tuple[Trial, ...]:
        """The selected trials that only `--retry-failed` tries again."""
        return tuple(trial for trial in self.selected if trial.trial_id in self.failed)

    def expected(self) -> dict[str, float]:
        """Seconds that each selected trial takes, by id, as far as that is known."""
        return estimate.expected_s(self.selected, self.rehearsals, tuple(self.records.values()))


def refresh(plan: Plan) -> Plan:
    """The plan, with what its folder holds now."""
    records: dict[str, Record] = {}
    failed: dict[str, Attempt] = {}
    rehearsals: dict[str, Preflight] = {}
    for trial in plan.trials:
        folder = plan.folder.trial(trial.trial_id)
        rehearsal = results.read_rehearsal(folder)
        if rehearsal is not None and rehearsal.where == plan.where:
            rehearsals[configuration(trial)] = rehearsal
        try:
            found = results.read_record(folder)
        except record.RecordError as error:
            log.warning("%s; the trial counts as not done", error)
            continue
        history = results.history(folder)
        if found is not None:
            records[trial.trial_id] = found
        elif retry.is_over(history, trial, plan.suite.on_oom):
            failed[trial.trial_id] = history[-1]
    return replace(plan, records=records, failed=failed, rehearsals=rehearsals)
