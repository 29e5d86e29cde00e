"""Each variant of fine-tuned weights in a process of its own: python -m harness.trial.variants FOLDER.

A runtime that crashes, hangs or takes all memory costs its own row and nothing else, and what it takes is its own.
`examine_each` starts these processes from the trial's; they share its group, so whoever ends the trial ends them.
"""

from __future__ import annotations

import faulthandler
import logging
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import Interrupted, MachineError, UnsupportedVariant
from harness.store import files, record, tables
from harness.store.job import JOB, Job
from harness.store.paths import VariantFolder
from harness.store.record import Variant
from harness.trial.arrays import stored_timings
from harness.trial.context import build_context
from harness.trial.deploy import base
from harness.trial.events import EventWriter
from harness.trial.interrupt import InterruptHandler

if TYPE_CHECKING:
    from harness.store.paths import AttemptFolder
    from harness.suite.schema import VariantName

log = logging.getLogger(__name__)

_SILENT_S = 30 * 60.0  # compiling says nothing for minutes
_POLL_S = 0.5
_BEAT_S = 10.0


def examine_each(
    job: Job, folder: AttemptFolder, events: EventWriter, interrupt: InterruptHandler
) -> list[tuple[Variant, memoryview | None]]:
    """Every variant that the protocol asks for, with its samples; what cannot be done is one that says why.

    The model as it was trained is examined without being asked for, and not again here.

    Raises:
        MachineError: the disk or the device stopped one of them.
    """
    trial = job.trial
    plain = {"eager-fp32"} if trial.hyperparameters.precision == "fp32" else set()
    found = []
    for name in trial.protocol.variants:
        if name not in plain:
            events.emit("stage", stage="variant", variant=name)
            place = folder.variant(name)
            problem = _run_apart(job, name, place, events, interrupt)
            found.append(_read(name, place, problem))
    return found


def examine_one(place: VariantFolder) -> int:
    """What the process does; returns its exit code."""
    job = record.decode(JOB, place.job.read_bytes(), str(place.job))
    assert job.variant is not None
    interrupt = InterruptHandler()
    interrupt.listen()
    try:
        with place.events.open("a", encoding="utf-8") as events:
            found, samples = _examine(job, job.variant, place, EventWriter(events), interrupt)
    except Interrupted as asked:
        return 128 + asked.number
    except MachineError as error:
        log.error("%s", error)
        return error.exit_code
    except Exception as error:  # whatever it is, it is this variant's end, not the trial's
        log.exception("%s", job.variant)
        said = (
            str(error) if isinstance(error, UnsupportedVariant) else f"{type(error).__name__}: {base.first_line(error)}"
        )
        found, samples = Variant(name=job.variant, problem=said), None
    if samples is not None:
        files.replace(place.samples, samples)
    files.replace(place.found, record.encode(record.VARIANT, found))
    return 0


def _examine(
    job: Job, name: VariantName, place: VariantFolder, events: EventWriter, interrupt: InterruptHandler
) -> tuple[Variant, memoryview]:
    context = build_context(job, events)
    context.model.to("meta")  # what runs is loaded anew
    weights = base.Weights(
        checkpoint=Path(job.weights or ""),
        row=context.row,
        precision=context.hyperparameters.precision,
        tf32=context.trial.protocol.tf32,
        device=context.device,
        threads=context.threads,
    )
    benchmark = context.benchmark(place.attempt.result, events, interrupt.check)
    variant, samples = benchmark.examine_variant(name, weights)
    return variant, tables.write_timings({name: stored_timings(samples)})


def _run_apart(
    job: Job, name: VariantName, place: VariantFolder, events: EventWriter, interrupt: InterruptHandler
) -> str | None:
    """Run the process to its end; says what went wrong with it, if it could not say so itself."""
    files.make_folder(place.path)
    asked = replace(job, variant=name)
    files.replace(place.job, record.encode(JOB, asked))
    command = (sys.executable, "-P", "-m", "harness.trial.variants", str(place.path))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    heard = said = time.monotonic()
    size = 0
    try:
        while process.poll() is None:
            interrupt.check()
            time.sleep(_POLL_S)
            now = time.monotonic()
            grown = place.events.stat().st_size if place.events.exists() else 0
            heard, size = (now, grown) if grown != size else (heard, size)
            if now - heard > _SILENT_S:
                return f"no progress for {_SILENT_S / 60:.0f} min"
            if now - said > _BEAT_S:  # for the runner, which must not take a compiler for a hung trial
                events.emit("variant", stage="variant", variant=name)
                said = now
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    if process.returncode == MachineError.exit_code:
        raise MachineError(f"{name}: the disk or the device stopped it: see {place.attempt.log}")
    if process.returncode < 0:
        killed = signal.Signals(-process.returncode).name
        hint = " (the machine was out of memory?)" if process.returncode == -signal.SIGKILL else ""
        return f"its process was killed by {killed}{hint}"
    return f"its process ended with exit code {process.returncode}" if process.returncode else None


def _read(name: VariantName, place: VariantFolder, problem: str | None) -> tuple[Variant, memoryview | None]:
    if problem is not None or not place.found.is_file():
        return Variant(name=name, problem=problem or "its process left nothing behind"), None
    found = record.decode(record.VARIANT, place.found.read_bytes(), str(place.found))
    return found, memoryview(place.samples.read_bytes()) if place.samples.is_file() else None


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("faster_coco_eval").setLevel(logging.WARNING)
    sys.exit(examine_one(VariantFolder(Path(sys.argv[1]))))
