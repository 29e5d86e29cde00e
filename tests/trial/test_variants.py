"""A variant's process that ends badly costs its own row, which says what happened; meanwhile the trial shows life."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from harness.errors import Interrupted, MachineError
from harness.processes.watch import CLOCK, Clock
from harness.store import record
from harness.store.events import VariantEvent, decode_event
from harness.store.job import JOB, Job
from harness.store.paths import TrialFolder
from harness.trial import variants
from harness.trial.events import EventWriter
from harness.trial.interrupt import InterruptHandler
from tests.clock import SteppedClock
from tests.store.make import make_trial


def _run(
    tmp_path: Path, code: str, *, clock: Clock = CLOCK, events: EventWriter | None = None, interrupt: object = None
) -> str | None:
    """Run a script in the place of the variant's process."""
    attempt = TrialFolder(tmp_path / "trial").next_attempt()
    job = Job(trial=make_trial(), number=1, device="cpu", threads=1, import_folder="/", weights="w.pt")
    return variants.run_apart(
        job,
        "onnxruntime",
        attempt.variant("onnxruntime"),
        events or EventWriter(io.StringIO()),
        interrupt or InterruptHandler(),  # type: ignore[arg-type]
        program=("-c", f"import os, sys, time\n{code}"),
        clock=clock,
    )


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("pass", None),
        ("os.kill(os.getpid(), 9)", "its process was killed by SIGKILL (the machine was out of memory?)"),
        ("os.abort()", "its process was killed by SIGABRT"),
        ("sys.exit(7)", "its process ended with exit code 7"),
        ("os._exit(3)", "its process ended with exit code 3"),
        ("os._exit(143)", "its process ended with exit code 143"),
    ],
)
def test_a_bad_end_is_a_problem_in_words(tmp_path: Path, code: str, problem: str | None) -> None:
    """A crash and an exit code by their names; a good end is none."""
    assert _run(tmp_path, code) == problem


def test_the_machine_stops_the_trial(tmp_path: Path) -> None:
    """A device that is gone in the variant's process is gone for the trial too; the row that it left says so."""
    row = record.encode(record.VARIANT, record.Variant(name="onnxruntime", problem="the GPU is lost"))
    code = f"open(sys.argv[1] + '/variant.json', 'wb').write({row!r})\nsys.exit(3)"
    with pytest.raises(MachineError, match="onnxruntime: the disk or the device stopped it: the GPU is lost; see .*lo"):
        _run(tmp_path, code)


def test_the_process_itself_says_why_the_machine_stopped_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3 and the reason in its row; any other exception is a row with code 0."""
    place = TrialFolder(tmp_path / "trial").next_attempt().variant("onnxruntime")
    place.path.mkdir(parents=True)
    job = Job(
        trial=make_trial(), number=1, device="cpu", threads=1, import_folder="/", weights="w.pt", variant="onnxruntime"
    )
    place.job.write_bytes(record.encode(JOB, job))
    monkeypatch.setattr(InterruptHandler, "listen", lambda _self: None)
    for error, code in ((MachineError("the GPU is lost"), 3), (ValueError("x" * 10**6), 0), (SystemExit(3), 0)):

        def fail(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr(variants, "build_context", fail)
        assert variants.examine_one(place) == code
        row = record.decode(record.VARIANT, place.found.read_bytes(), "x")
        assert row.problem is not None
        assert str(error)[:10] in row.problem
        assert len(row.problem) < 1200


def test_a_silent_variant_is_ended_after_half_an_hour(tmp_path: Path) -> None:
    """On a stepped clock; until then the trial writes an event every ten seconds, so that it is not taken for hung."""
    clock, stream = SteppedClock(), io.StringIO()
    problem = _run(tmp_path, "time.sleep(600)", clock=clock.clock(), events=EventWriter(stream, clock.now))
    assert problem == "no progress for 30 min"
    assert 1800 < clock.time_s - 1000 <= 1801
    events = [decode_event(line.encode()) for line in stream.getvalue().splitlines()]
    assert len(events) == 181
    assert all(isinstance(event, VariantEvent) and event.variant == "onnxruntime" for event in events)


def test_a_trial_that_is_asked_to_stop_takes_its_variant_along(tmp_path: Path) -> None:
    """Within a poll, and its process is gone."""

    class Asked(InterruptHandler):
        def check(self) -> None:
            if (tmp_path / "pid").exists():
                raise Interrupted(15)

    code = f"open({str(tmp_path / 'part')!r}, 'w').write(str(os.getpid()))\n"
    code += f"os.rename({str(tmp_path / 'part')!r}, {str(tmp_path / 'pid')!r})\ntime.sleep(600)"
    with pytest.raises(Interrupted):
        _run(tmp_path, code, interrupt=Asked())
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()
