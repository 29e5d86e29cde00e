"""Measure each variant of fine-tuned weights in a process of its own: python -m harness.trial.variants FOLDER.

A runtime that crashes, hangs or takes all memory costs its own row and nothing else, and the memory that it takes is
measured apart from the trial's. The trial's process starts and watches these processes, by the same code as the runner
does with trials (`harness.processes`): they belong to its process group, so whoever ends the trial ends them, and the
trial's record is committed once, with all variants in it.
"""

from __future__ import annotations

import faulthandler
import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import foreign
from harness.errors import Interrupted, MachineError, UnsupportedVariant
from harness.processes.child import Child
from harness.processes.watch import CLOCK, NoProgressError, Timeouts, watch
from harness.store import files, record, tables
from harness.store.events import StageEvent, VariantEvent
from harness.store.job import JOB, Job
from harness.store.paths import VariantFolder
from harness.store.record import Variant
from harness.trial.arrays import stored_timings
from harness.trial.context import build_context
from harness.trial.deploy import base
from harness.trial.events import EventWriter
from harness.trial.interrupt import InterruptHandler
from harness.trial.measure import ours
from harness.trial.measure.memory import freeze_modules

if TYPE_CHECKING:
    from harness.processes.watch import Clock
    from harness.store.paths import AttemptFolder
    from harness.suite.schema import VariantName

log = logging.getLogger(__name__)

_SILENT_S = 30 * 60.0  # compiling says nothing for minutes
_POLL_S = 0.5
_BEAT_S = 10.0


def run_variants(
    job: Job, folder: AttemptFolder, events: EventWriter, interrupt: InterruptHandler
) -> list[tuple[Variant, memoryview | None]]:
    """Measure every variant that the protocol asks for, one after the other.

    The model as it was trained is measured without being asked for, and not again here.

    Returns:
        Each variant with its raw timings (a Parquet file's bytes); one that cannot be done says why, and has none.

    Raises:
        MachineError: the disk or the device stopped one of them.
        Interrupted: this process was asked to stop.
    """
    trial = job.trial
    as_trained = {"eager-fp32"} if trial.hyperparameters.precision == "fp32" else set()
    variants = []
    for name in trial.protocol.variants:
        if name not in as_trained:
            events.emit(StageEvent(stage="variant", variant=name))
            place = folder.variant(name)
            problem = run_apart(job, name, place, events, interrupt)
            variants.append(_read(name, place, problem))
    return variants


def examine_one(place: VariantFolder) -> int:
    """Measure the variant of the job in `place`, in this process; return the exit code.

    0 where the row is there, even one that says what is wrong with the variant; 3 where the machine cannot go on, and
    the row says why; 128 + the signal where it was asked to stop.
    """
    job = record.decode(JOB, place.job.read_bytes(), str(place.job))
    assert job.variant is not None
    interrupt = InterruptHandler()
    interrupt.listen()
    code = 0
    try:
        with place.events.open("a", encoding="utf-8") as events:
            variant, samples = _examine(job, job.variant, place, EventWriter(events), interrupt)
    except Interrupted as asked:
        return 128 + asked.number
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is this variant's end, not the trial's
        log.error("%s\n%s", job.variant, foreign.whole_traceback(error))
        known = isinstance(error, UnsupportedVariant | MachineError)
        code = MachineError.exit_code if isinstance(error, MachineError) else 0
        problem = foreign.message(error) if known else f"{type(error).__name__}: {base.first_line(error)}"
        variant, samples = Variant(name=job.variant, problem=problem), None
    if samples is not None:
        files.replace(place.samples, samples)
    files.replace(place.found, record.encode(record.VARIANT, variant))
    return code


def _examine(
    job: Job, name: VariantName, place: VariantFolder, events: EventWriter, interrupt: InterruptHandler
) -> tuple[Variant, memoryview]:
    context = build_context(job, events, lambda: interrupt.asked)
    if name.startswith("openvino"):
        context = replace(context, workers=0)  # a process in which OpenVINO has run does not survive forks
    context.model.to("meta")  # what runs is loaded anew
    weights = context.weights(Path(job.weights or ""))
    benchmark = context.benchmark(place.attempt.result, events, interrupt.check)
    variant, samples = benchmark.run_variant(name, weights)
    return variant, tables.write_timings({name: stored_timings(samples)})


def run_apart(
    job: Job,
    name: VariantName,
    place: VariantFolder,
    events: EventWriter,
    interrupt: InterruptHandler,
    *,
    program: tuple[str, ...] = ("-m", "harness.trial.variants"),
    clock: Clock = CLOCK,
) -> str | None:
    """Run the process of one variant to its end.

    Args:
        events: gets an event every ten seconds meanwhile: the runner must not take a compiler for a hung trial.
        program: python's arguments, before the folder.

    Returns:
        What went wrong with the process, if it could not write that itself.

    Raises:
        MachineError: the disk or the device stopped it.
        Interrupted: this process was asked to stop.
    """
    files.make_folder(place.path)
    files.replace(place.job, record.encode(JOB, replace(job, variant=name, gpu_processes=ours.ours().all)))

    def on_poll() -> None:
        interrupt.check()
        events.progress(VariantEvent(variant=name), every_s=_BEAT_S)

    child = Child((*program, str(place.path)), own_session=False)
    try:
        timeouts = Timeouts(hang_s=_SILENT_S, total_s=None)
        code = watch(child.exit_code, place.events, timeouts, poll_s=_POLL_S, on_poll=on_poll, clock=clock)
    except NoProgressError:
        child.dump_stacks()
        return f"no progress for {_SILENT_S / 60:.0f} min"
    finally:
        child.end()
    if code == MachineError.exit_code and place.found.is_file():  # else the user's code may have ended it so
        found = record.decode(record.VARIANT, place.found.read_bytes(), str(place.found))
        raise MachineError(f"{name}: the disk or the device stopped it: {found.problem}; see {place.attempt.log}")
    if code < 0:
        hint = " (the machine was out of memory?)" if code == -signal.SIGKILL else ""
        return f"its process was killed by {signal.Signals(-code).name}{hint}"
    return f"its process ended with exit code {code}" if code else None


def _read(name: VariantName, place: VariantFolder, problem: str | None) -> tuple[Variant, memoryview | None]:
    """Read what the process left; where it left nothing, or ended badly, a row that says so."""
    if problem is not None or not place.found.is_file():
        return Variant(name=name, problem=problem or "its process left nothing behind"), None
    variant = record.decode(record.VARIANT, place.found.read_bytes(), str(place.found))
    return variant, memoryview(place.samples.read_bytes()) if place.samples.is_file() else None


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    freeze_modules()
    sys.exit(examine_one(VariantFolder(Path(sys.argv[1]))))
