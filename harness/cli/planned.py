"""A plan in lines, for `harness plan` and `harness run --dry-run`, and as data for `harness plan --json`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from harness.formatting import counted, rough_duration
from harness.suite.catalog.published import absent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from harness import Plan
    from harness.suite.catalog.published import PublishedFile
    from harness.suite.trial import Trial


def plan_lines(plan: Plan, *, until: datetime | None = None, race: bool = True) -> Iterator[str]:
    """Say what is done and what would run, trial by trial, and how long it takes.

    Args:
        plan: the plan.
        until: when the run has to be over, if it has to.
        race: whether a race follows the trials.
    """
    expected, differences = plan.expected(), plan.differences()
    late = () if until is None else plan.too_late(until)
    for trial in plan.selected:
        state = "too late" if trial in late else _state(plan, trial)
        known = state in {"left", "awaited", "too late"} and trial.trial_id in expected
        yield f"{state:<14} {rough_duration(expected[trial.trial_id]) if known else '':>12} {trial.trial_id}"
        if differences[trial.trial_id]:
            yield f"    {differences[trial.trial_id]}"
    n_left = len(plan.pending) + len(plan.awaiting)
    counts = [f"{len(plan.selected) - n_left - len(plan.given_up)} done"]
    counts += [f"{len(plan.given_up)} failed"] if plan.given_up else []
    trials = counted(len(plan.selected), "trial")
    yield f"{trials}: {', '.join(counts)}, {n_left} left; results in {plan.folder.path}"
    yield from _time_lines(plan, late, until, race=race)
    yield from warning_lines(plan)


def warning_lines(plan: Plan, *, weights: bool = True) -> Iterator[str]:
    """Say which recorded trials another `--device` does not measure again, and which weights are not downloaded yet."""
    wanted = plan.device.partition(":")[0]
    devices = {record.environment.device for record in plan.records.values()}
    others = sorted({done for done in devices if wanted != "auto" and done.partition(":")[0] != wanted})
    if others:
        yield (
            f"trials measured on {', '.join(others)} are kept and not measured on {plan.device}; "
            "for that give another folder with --results"
        )
    if weights:
        yield from absent((file.file for file in _missing_weights(plan)), f"`harness fetch {plan.suite.path}`")


def plan_data(plan: Plan) -> dict[str, Any]:
    """The same as data, in SI units: of each trial everything that can change a result, with all defaults filled in."""
    from harness import api
    from harness.suite.expand import TRIAL

    expected, differences = plan.expected(), plan.differences()
    race = api.forecast_races(plan)
    trials = [
        {
            "state": _state(plan, trial),
            "expected_s": expected.get(trial.trial_id),
            "differences": differences[trial.trial_id],
            **TRIAL.dump_python(trial, mode="json"),
        }
        for trial in plan.selected
    ]
    return {
        "suite": plan.suite.name,
        "results": str(plan.folder.path),
        "device": plan.device,
        "slots": [asdict(slot) for slot in plan.slots],
        "trials": trials,
        "race": None if race is None else asdict(race),
        "remarks": list(plan.remarks),
        "missing_weights": [str(file.path) for file in _missing_weights(plan)],
    }


def _state(plan: Plan, trial: Trial) -> str:
    record, failure = plan.records.get(trial.trial_id), plan.failed.get(trial.trial_id)
    if record:
        return f"done ({record.environment.device})"
    if failure:
        return failure.outcome.replace("_", " ")
    return "awaited" if trial in plan.awaiting else "left"


def _time_lines(plan: Plan, late: tuple[Trial, ...], until: datetime | None, *, race: bool) -> Iterator[str]:
    """Say when what would run will be over, and what would not run because of `until`."""
    from harness import api
    from harness.observers.wording import forecast, race_forecast

    expected = plan.expected()
    runs = tuple(trial for trial in (*plan.pending, *plan.awaiting) if trial not in late)
    unfinished = {trial.dataset.name for trial in late}
    raced = replace(plan, selected=tuple(t for t in plan.selected if t.dataset.name not in unfinished))
    to_come = api.forecast_races(raced) if race and raced.selected else None
    if runs and expected:
        yield forecast(runs, expected, to_come, len(plan.slots))
    elif to_come is not None:
        yield race_forecast(to_come)
    if until is None:
        return
    end = until.astimezone().strftime("%a %H:%M")
    if late:
        yield f"{counted(len(late), 'trial')} would not be done by {end} and would not start: too late"
    unknown = sum(trial.trial_id not in expected for trial in runs)
    if unknown:
        yield f"how long {counted(unknown, 'trial')} would take, and so what would be too late, only a preflight says"
    if to_come is not None:
        yield f"the race starts no block that would not be done by {end}"


def _missing_weights(plan: Plan) -> list[PublishedFile]:
    """The published files that the suite starts from and that are not on this machine, each once."""
    from harness import api

    files = {file.path: file for file in api.wanted_weights(plan.suite) if not file.path.is_file()}
    return list(files.values())
