"""Race the rows of a results folder: who enters, what became of it, and the verdicts that follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import remeasure
from harness.api.arguments import check_deadline, check_device, check_number, check_observers, executor_of, texts
from harness.api.device import resolve
from harness.api.results import report
from harness.errors import HarnessError, UsageError
from harness.executors.environment import available_cores
from harness.executors.supervise import Supervisor
from harness.scheduling import race as racing
from harness.scheduling.observer import Observers
from harness.scheduling.race_forecast import turn_s
from harness.store import files, links, lock
from harness.store.paths import RACES
from harness.store.race import MAX_BLOCKS, MIN_BLOCKS, MIN_ENTRANTS
from harness.store.results import suite_folder
from harness.suite.expand import configuration_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.race.ratios import SpeedVerdict
    from harness.analysis.race.read import RaceTimes
    from harness.executors.base import Executor
    from harness.scheduling.observer import RunObserver
    from harness.store.paths import SuiteFolder
    from harness.store.race import Entrant, Race, RaceState


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceSummary:
    """What became of the race of one dataset.

    Attributes:
        dataset: the name of the dataset.
        state: the race as its folder shows it; None where it was not started.
        times: what it measured; None where fewer than two blocks are complete.
        remarks: what a person should know: rows that were left out, and why it has not run to its end.
        in_time: False where it was not started, or not continued, because of `until`.
        ran: whether turns of it ran now.
    """

    dataset: str
    state: RaceState | None
    times: RaceTimes | None
    remarks: tuple[str, ...]
    in_time: bool = True
    ran: bool = False

    @property
    def failed(self) -> dict[str, str]:
        """Why an entrant left the race, by its label."""
        return {} if self.state is None else self.state.reasons

    def verdicts(self) -> dict[str, SpeedVerdict]:
        """Whether each entrant is faster than the most accurate one, by its label, corrected for all pairs."""
        from harness.analysis.race.ratios import compare_all

        if self.times is None:
            return {}
        labels = [entrant.label for entrant in self.times.entrants]
        found = compare_all(self.times)
        return {labels[index]: found[index, 0] for index in range(1, len(labels)) if (index, 0) in found}

    def copies_called_different(self) -> tuple[int, int]:
        """Of a race of copies: how many pairs of equal entrants are called different (p < 0.05), and of how many."""
        from harness.analysis.race.ratios import pairs_of_copies

        pairs = pairs_of_copies(self.times) if self.times is not None else ()
        return sum(pair.p < 0.05 for pair in pairs), len(pairs)  # noqa: PLR2004 - the level of a single comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceRequest:
    """What a race is asked for, as the arguments of `race`.

    Attributes:
        asked: whether a person asked for it. The race after a run is not run twice, and says nothing where too few rows
            can race.
    """

    blocks: int | None = None
    names: tuple[str, ...] = ()
    all_rows: bool = False
    copies: int = 1
    asked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceTrack:
    """Where races run, who follows them, and until when."""

    folder: SuiteFolder
    device: str
    supervisor: Supervisor
    observer: Observers
    until: datetime | None


def race(  # noqa: PLR0913 - what a race can be asked for
    results: str | Path,
    *,
    blocks: int | None = None,
    rows: str | Sequence[str] | None = None,
    all_rows: bool = False,
    device: str = "auto",
    executor: Executor | str = "local",
    until: datetime | None = None,
    observers: Sequence[RunObserver] = (),
    copies: int = 1,
) -> tuple[RaceSummary, ...]:
    """Time the rows of each dataset against each other in blocks, then write the report again.

    In a block each row runs once, in a process of its own, in random order. A race that was interrupted goes on with
    the first turn that is missing.

    Args:
        results: the suite's results folder, results/<suite>.
        blocks: how many blocks, from 2 to 100; None: 3, 5 or 9 by the level of the protocol (quick, standard, publish).
        rows: labels or architectures of the rows that race; None: the Pareto front and what ties with it, at most 12.
        all_rows: let every row race.
        device: auto, cpu, cuda or cuda:N.
        executor: where the processes run, as for `run`.
        until: start nothing that would not be done by then; a time without a zone is local.
        observers: follow the race, as `run`'s do.
        copies: enter each row so often, to see how often equal entrants are called different.

    Raises:
        UsageError: an argument is wrong, there are no such results or rows, or no dataset has two rows to race.
        LockedError: a run, or another race, works in the same folder.
        MachineError: the device is not there, or the disk is full.
        KeyboardInterrupt: a signal came; the race goes on with the next call.
    """
    check_device(device)
    check_number("blocks", blocks, whole=True, minimum=MIN_BLOCKS, maximum=MAX_BLOCKS)
    check_number("copies", copies, whole=True, minimum=1)
    check_deadline(until)
    check_observers(observers)
    request = RaceRequest(
        blocks=blocks, names=() if rows is None else texts("rows", rows), all_rows=all_rows, copies=copies
    )
    folder = suite_folder(Path(results))
    runner, observer = executor_of(executor), Observers(observers)
    try:
        with lock.locked(folder.lock) as held:
            track = RaceTrack(
                folder=folder,
                device=resolve(device),
                supervisor=Supervisor(executor=runner, check=held.keep),
                observer=observer,
                until=until.astimezone() if until else None,
            )
            files.sweep(folder.path)
            links.refuse_links_out(folder.path, (folder.path / RACES,))
            summaries = run_races(track, request)
            if all(summary.state is None and summary.in_time for summary in summaries):
                raise UsageError("\n".join(f"{one.dataset}: {text}" for one in summaries for text in one.remarks))
            report(folder.path)
    finally:
        observer.close()
    return summaries


def run_races(
    track: RaceTrack, request: RaceRequest, *, datasets: Sequence[str] | None = None
) -> tuple[RaceSummary, ...]:
    """Race each dataset, one after the other; the caller holds the lock.

    Args:
        datasets: only these.

    Raises:
        UsageError: no row has a name that was asked for.
    """
    from harness.analysis.suite import analyse_suite

    analysis = analyse_suite(track.folder)
    labels = {*analysis.frame.get("label", ()), *analysis.frame.get("architecture", ())}
    unknown = [name for name in request.names if name not in labels]
    if unknown:
        known = "\n".join(f"  {label}" for label in dict.fromkeys(analysis.frame.get("label", ())))
        raise UsageError(f"--row {', '.join(unknown)}: no row has this name; the rows are:\n{known}")
    wanted = [dataset for dataset in analysis.datasets if datasets is None or dataset.name in datasets]
    return tuple(_race_dataset(track, request, dataset) for dataset in wanted)


def _race_dataset(track: RaceTrack, request: RaceRequest, dataset: DatasetAnalysis) -> RaceSummary:
    from harness.analysis.race.entrants import entrants

    chosen = entrants(dataset.rows, dataset.significance, names=request.names, everything=request.all_rows)
    weights, remarks = _weights(track.folder, dataset, chosen)
    entering = [entrant for one in chosen if (entrant := _with_weights(one, weights)) is not None]
    if len(entering) * request.copies < MIN_ENTRANTS:
        few = f"a race needs two measured rows whose weights are there; there are {len(entering)}"
        return _not_run(dataset.name, (*remarks, few) if request.asked or remarks else ())
    asked = racing.new_race(
        dataset.name,
        _copied(entering, request.copies),
        dataset.measured[entering[0].trial_ids[0]].trial.protocol.level,
        blocks=request.blocks,
        copies=request.copies,
    )
    state = None if request.asked else _finished(track.folder, asked)
    state = state or racing.unfinished(track.folder, asked, blocks=request.blocks is not None)
    runner = racing.RaceRunner(
        folder=track.folder,
        weights=weights,
        expected_s=_expected(dataset, (asked if state is None else state.race).entrants),
        device=track.device,
        threads=available_cores(),
        supervisor=track.supervisor,
        observer=track.observer,
    )
    left = asked.turns if state is None else state.missing
    if not racing.ends_in_time(runner.left_s(left), track.until):
        late = "the race was not started, because it would not be done in time; `harness race` runs it"
        return _not_run(dataset.name, (*remarks, late), in_time=False)
    return _run(runner, track, state or racing.begin(track.folder, asked), remarks)


def _finished(folder: SuiteFolder, asked: Race) -> RaceState | None:
    """Return the race that need not be run again; one whose environment changed on the way compares nothing."""
    from harness.analysis.race.read import times_of

    state = racing.finished(folder, asked)
    changed = state is not None and state.complete_blocks >= MIN_BLOCKS and times_of(state) is None
    return None if changed else state


def _run(runner: racing.RaceRunner, track: RaceTrack, state: RaceState, remarks: tuple[str, ...]) -> RaceSummary:
    from harness.analysis.race.read import times_of

    before, race = state.missing, state.race
    if before:
        state = runner.run(state, track.until)
    if state.missing:
        done = f"{state.complete_blocks} of {race.blocks} blocks"
        remarks += (
            f"the race stopped after {done}, because the next would not be done in time; `harness race` goes on",
        )
    remarks += tuple(f"{label} left the race: {reason}" for label, reason in state.reasons.items())
    return RaceSummary(
        dataset=race.dataset,
        state=state,
        times=times_of(state),
        remarks=remarks,
        in_time=not state.missing,
        ran=state.missing != before,
    )


def _not_run(dataset: str, remarks: tuple[str, ...], *, in_time: bool = True) -> RaceSummary:
    return RaceSummary(dataset=dataset, state=None, times=None, remarks=remarks, in_time=in_time)


def _weights(
    folder: SuiteFolder, dataset: DatasetAnalysis, chosen: Sequence[Entrant]
) -> tuple[dict[str, racing.TrainedWeights], tuple[str, ...]]:
    """Return the weights of each seed of these rows, by trial id, and a remark for each that has none."""
    weights, remarks = {}, []
    for trial_id in dict.fromkeys(trial_id for entrant in chosen for trial_id in entrant.trial_ids):
        try:
            target = remeasure.trained(folder.trial(trial_id), dataset.measured[trial_id])
        except HarnessError as error:
            remarks.append(f"{trial_id} does not race: {error}")
        else:
            weights[trial_id] = racing.TrainedWeights(
                trial=target.trial, file=target.weights, import_folder=target.import_folder
            )
    return weights, tuple(remarks)


def _with_weights(entrant: Entrant, weights: Mapping[str, racing.TrainedWeights]) -> Entrant | None:
    """Return the entrant with those of its seeds whose weights are there; None where none are."""
    there = tuple(trial_id for trial_id in entrant.trial_ids if trial_id in weights)
    return replace(entrant, trial_ids=there) if there else None


def _copied(entrants: Sequence[Entrant], copies: int) -> list[Entrant]:
    """Return each entrant so often, each copy with a number in its label."""
    if copies == 1:
        return list(entrants)
    return [replace(one, label=f"{one.label} #{number}") for one in entrants for number in range(1, copies + 1)]


def _expected(dataset: DatasetAnalysis, entrants: Sequence[Entrant]) -> dict[int, float]:
    """Return the seconds of a turn, by the entrant's number."""
    preflights = {configuration_key(state.trial): state.preflight for state in dataset.states if state.preflight}
    seconds = {}
    for number, entrant in enumerate(entrants, start=1):
        recorded = dataset.measured[entrant.trial_ids[0]]
        seconds[number] = turn_s(recorded.trial.protocol, preflights.get(entrant.configuration), recorded) or 0.0
    return seconds
