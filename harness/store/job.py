"""What an attempt is given (a job), and what it leaves about itself: its outcome, or its preflight's measurements.

Owns these fields. Where the files lie is `harness.store.paths`' business, how older versions wrote them that of
`harness.store.migrate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from harness.store.migrate import StoredKind
from harness.store.quantities import (  # noqa: TC001 - pydantic reads the annotations
    AtLeastOne,
    Count,
    Duration,
    Moment,
    NotNegative,
)
from harness.suite.schema import CacheKind, VariantName  # noqa: TC001 - pydantic reads the annotations
from harness.suite.trial import Trial  # noqa: TC001 - pydantic reads the annotations

OutcomeName = Literal["succeeded", "failed", "out_of_memory", "timed_out", "hung", "interrupted", "preflight_passed"]
Cause = Literal["error", "exception", "killed", "memory", "hung", "time", "machine", "signal", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceTurn:
    """One entrant's turn in one block of a race: time at least so many images, for at least so many seconds.

    `first_image` is the number of the first image in the evaluated split; the count goes on from the split's beginning.
    """

    first_image: Annotated[int, Field(ge=0)]
    images: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsRead:
    """What a preflight learned when it read the items of a `python` dataset.

    Attributes:
        read: the number of items that were read, in all splits.
        of: the number of all.
        largest: training items that need most memory in one batch, the first most.
        smallest: training items that are smallest after the resize, the first most so.
    """

    read: Count
    of: Count
    largest: tuple[int, ...]
    smallest: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the parent hands to a child: a trial, and where and how this attempt runs it.

    Attributes:
        device: cpu or cuda:N; jobs of versions before 0.4 may say auto.
        threads: CPU threads of torch.
        import_folder: the suite file's folder, put on sys.path for a `python` dataset or an architecture of the user's.
        preflight: set for a preflight, which leaves no record: the name of this environment, which the preflight's
            result carries. None for a real attempt.
        items: what an earlier preflight of this run learned of the same `python` dataset, which is then not read again.
        accumulate: in how many parts a batch passes through the model; more than the trial asks for after it ran out of
            memory. None: as the trial asks.
        checkpoint_s: longest training time between two checkpoints.
        weights: a file of fine-tuned weights to examine; None: train them.
        variant: examine these weights as this variant alone.
        gpu_processes: the processes of this trial that hold memory on the GPU already, by the driver's ids.
        race: only time these weights, for a block of a race.
        cache: where decoded images are kept.
        cache_folder: the folder of their files; None: none are kept.
        headers: the file that keeps what is read of the dataset's image headers; None: none.
        reserved_bytes: of the disk, which those files leave to what the trials that are left will write.
    """

    trial: Trial
    number: Count
    device: str
    threads: Count
    import_folder: str
    preflight: str | None = None
    items: ItemsRead | None = None
    accumulate: Count | None = None
    checkpoint_s: NotNegative = 600.0
    weights: str | None = None
    variant: VariantName | None = None
    race: RaceTurn | None = None
    gpu_processes: tuple[Count, ...] = ()
    cache: CacheKind = "none"
    cache_folder: str | None = None
    headers: str | None = None
    reserved_bytes: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended. Times are UTC, ISO 8601; `wall_s` leaves out pauses in which its runner stood still too.

    `cause` is what ended it, for `harness.scheduling.retry`; `retryable` whether another attempt can end otherwise;
    `traceback` python's last lines, where there were any.
    """

    outcome: OutcomeName
    reason: str | None
    retryable: bool
    started_at: Moment
    wall_s: Duration
    cause: Cause | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What one training and one evaluation step of a trial measured, in the environment named.

    Attributes:
        where: host, requested device, threads and versions; a preflight holds for this environment alone.
        startup_s: from the start of the process to its first step.
        step_s: one training step on an ordinary batch.
        evaluation_s: one evaluated image.
        steps: training steps of the whole trial.
        evaluations: images that it evaluates, in all validations and at the end.
        images: of the split that is reported on.
        state_bytes: one state to resume from.
        weights_bytes: the fine-tuned weights.
        accumulate: in how many parts a batch passed.
        items: what was read of a `python` dataset; None for any other.
    """

    where: str
    startup_s: Duration
    step_s: Duration
    evaluation_s: Duration
    steps: Count
    evaluations: Count
    images: Count
    state_bytes: Count
    weights_bytes: Count
    accumulate: AtLeastOne
    items: ItemsRead | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(Outcome):
    """An outcome with its attempt's number, as a record lists it."""

    number: Count


OUTCOME = StoredKind(name="outcome", adapter=TypeAdapter(Outcome))
JOB = StoredKind(name="job", adapter=TypeAdapter(Job))
PREFLIGHT = StoredKind(name="preflight", adapter=TypeAdapter(Preflight))
