"""What a trial leaves: frozen records, versioned, one JSON text each.

Owns the fields, their units and the two directions between a stored document and its JSON text. A document is never
rewritten: `harness.store.migrate` turns what older versions wrote into the present fields, and what they did not
measure is read as the fields' defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import numpy as np
from pydantic import AfterValidator, TypeAdapter, ValidationError

from harness.data.stats import SplitStatistics  # noqa: TC001 - pydantic reads the annotations
from harness.errors import HarnessError, UsageError
from harness.store.job import Attempt, OutcomeName  # noqa: TC001 - pydantic reads the annotations
from harness.store.migrate import SCHEMA_VERSION, NewerVersionError, StoredKind, migrate
from harness.store.quantities import (  # noqa: TC001 - pydantic reads the annotations
    Above0,
    AtLeastOne,
    Count,
    Energy,
    EvaluatedSplit,
    FileName,
    Fraction,
    Loss,
    NotNegative,
)
from harness.suite.trial import Trial  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

AS_TRAINED = "as trained"  # in samples.parquet and the report: the model itself, beside its variants
_TAIL = 1000  # samples: p99 of fewer would hang on less than ten


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMetrics:
    """Of one class: average precision over IoU 0.50:0.95, and average recall at 100 detections. None without boxes."""

    map: Fraction | None
    mar_100: Fraction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """COCO's twelve numbers under torchmetrics' names; None where the split has no such boxes.

    `split` is what they were computed on, `images` how many that are. COCO counts the best 100 detections of a class in
    an image. `map_at_detections` is mAP with as many as the protocol's `detections`; None unless those are more than
    100 and an image holds more than 100 objects.
    """

    split: EvaluatedSplit
    images: Count
    map: Fraction | None
    map_50: Fraction | None
    map_75: Fraction | None
    map_small: Fraction | None
    map_medium: Fraction | None
    map_large: Fraction | None
    mar_1: Fraction | None
    mar_10: Fraction | None
    mar_100: Fraction | None
    mar_small: Fraction | None
    mar_medium: Fraction | None
    mar_large: Fraction | None
    map_at_detections: Fraction | None = None
    per_class: Mapping[str, ClassMetrics]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Statistics over n samples, in the samples' unit. Percentiles interpolate linearly (numpy's default).

    p99 is None below 1,000 samples, where it would hang on fewer than ten of them.
    """

    median: NotNegative
    p95: NotNegative
    iqr: NotNegative
    mean: NotNegative
    std: NotNegative
    n: AtLeastOne
    round_medians: tuple[NotNegative, ...]
    p99: NotNegative | None = None


def _takes_time(latency: Distribution) -> Distribution:
    if latency.median <= 0:
        raise ValueError("no detector takes 0 s")
    return latency


_Latency = Annotated[Distribution, AfterValidator(_takes_time)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Peaks of one pass: the CUDA allocator's allocated and reserved, or on the CPU the whole process' resident set.

    `peak_driver_bytes` is what NVIDIA's driver says that this process and its children hold: with the CUDA context and
    the libraries, which the allocator does not see.
    """

    peak_allocated_bytes: Count | None
    peak_reserved_bytes: Count | None
    peak_resident_bytes: Count | None
    peak_driver_bytes: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPasses:
    """Training and inference apart; training's peak has seen every image.

    `worst_case` is inference on the image with most labelled boxes, named by `worst_case_image`.
    """

    training: Memory | None
    inference: Memory
    worst_case: Memory | None = None
    worst_case_image: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One point of the learning curve: mean losses over the epoch's steps.

    `val_map` where validation was asked for, with the loss on val; it is None if it is not finite.
    """

    epoch: Count
    lr: NotNegative
    loss: Loss
    loss_parts: Mapping[str, Loss]
    wall_s: NotNegative
    val_map: Fraction | None
    val_map_50: Fraction | None
    val_loss: Loss | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """Batch 1 in a pass of its own, with the device synchronised at each border.

    `transform`: copy to the device, resize, normalisation. `forward`: up to the raw predictions; a two-stage detector's
    proposals and their NMS included. `postprocess`: decoding, score threshold, NMS, boxes back on the CPU.
    """

    transform: Distribution
    forward: Distribution
    postprocess: Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdLatency:
    """Latency at another score threshold, over the same images, taken in turn with the other thresholds."""

    score_threshold: Fraction
    latency_s: _Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """Time, throughput and memory of a deployed model; `harness.trial.measure.protocol` defines each.

    Attributes:
        throughput_rounds: images/s of each round.
        phases_s: None where the runtime does not show them.
        joules_per_image: in the throughput pass, of the whole GPU; None where its driver does not count energy.
        repeats: how often a pass was repeated because of a measurement warning, by its name; the last one counts.
    """

    latency_s: _Latency
    throughput_images_per_s: Above0
    throughput_batch_size: AtLeastOne
    memory: MemoryPasses
    throughput_rounds: tuple[Above0, ...] = ()
    phases_s: Phases | None = None
    latency_by_threshold: tuple[ThresholdLatency, ...] = ()
    joules_per_image: Energy | None = None
    repeats: Mapping[str, Count] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements(Inference):
    """Of a trial: the model as it was trained, and the training, which a measurement of given weights has not.

    `joules` is the GPU's energy over all of the trial, `images_seen` the images of all epochs with their repetitions
    (None in records of versions before 0.4), `stopped_epoch` the last epoch where early stopping ended it, `speedups`
    what the training step had in the place of library code (None in records of older versions).
    """

    train_images_per_s: Above0 | None
    data_wait_fraction: Fraction | None
    training_s: NotNegative | None
    evaluation_s: NotNegative
    epochs: tuple[Epoch, ...]
    joules: Energy | None = None
    images_seen: Count | None = None
    stopped_epoch: Count | None = None
    speedups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The fine-tuned model. `flops` is one image of the evaluated split, a multiply and an add counted as two.

    They are None where they could not be counted. `head` says whether the class head was replaced or kept; `epoch`
    whose weights these are, None where they were given; `state_sha256` is over every tensor of the state dict;
    `checkpoint` is relative to the trial's folder, or the path of weights that were given.
    """

    parameters: Count
    trainable_parameters: Count
    flops: Count | None
    head: Literal["new", "replaced", "kept"]
    epoch: Count | None
    state_sha256: str
    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where the numbers come from. None where a machine has no such thing or does not report it.

    `cores` are those that this process may use (affinity, cgroup), `logical_cpus` those of the machine. Clocks are the
    GPU's defaults under load, not what they happened to be. `thread_waiting` is OpenMP's wait policy and spin count,
    which halve or double a CPU's latency.
    """

    device: str
    device_name: str
    device_memory_bytes: Count | None
    driver: str | None
    cuda: str | None
    cudnn: Count | None
    tf32: bool
    cudnn_benchmark: bool
    deterministic: bool
    cpu: str
    cores: Count
    threads: Count
    loader_workers: Count
    memory_bytes: Count | None
    platform: str
    python: str
    torch: str
    torchvision: str
    torchmetrics: str
    harness: str
    git_commit: str | None
    git_dirty: bool | None
    pci_id: str | None = None
    power_limit_w: NotNegative | None = None
    sm_clock_mhz: Count | None = None
    memory_clock_mhz: Count | None = None
    logical_cpus: Count | None = None
    governor: str | None = None
    thread_waiting: str | None = None
    hotcoco: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What a trial saw of its dataset, whole splits even in a subset trial.

    `skipped` counts the entries that `on_bad_data: skip` left out, by the code of what was wrong with them. Both are
    None for a user's own Dataset.
    """

    splits: Mapping[str, SplitStatistics] | None = None
    skipped: Mapping[str, Count] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementWarning:
    """A reason to read a row's numbers with care: the warning's name from a closed set, and why it was raised."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The same fine-tuned weights, deployed in another way.

    Attributes:
        how: what the variant came to: whole model or autocast, a runtime's version.
        problem: why this architecture or this machine cannot do it; then there are no numbers.
        compile_s: time that compiling took, outside of every other number.
        file: what was exported, relative to the trial's folder.
    """

    name: FileName
    how: str | None = None
    problem: str | None = None
    compile_s: NotNegative | None = None
    file: str | None = None
    metrics: Metrics | None = None
    measurements: Inference | None = None
    warnings: tuple[MeasurementWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One succeeded trial, whole: understood without any other file.

    `metrics` and `measurements` are of the model as it was trained: run eagerly, at the precision of its training.
    """

    schema_version: int
    trial: Trial
    outcome: OutcomeName
    metrics: Metrics
    measurements: Measurements
    model: Model
    data: Data = field(default_factory=Data)
    environment: Environment
    warnings: tuple[MeasurementWarning, ...]
    attempts: tuple[Attempt, ...]
    variants: tuple[Variant, ...] = ()


class RecordError(HarnessError):
    """A stored document is not what it must be: it is torn or was edited."""


class NewerRecordError(UsageError):
    """A newer version of this program wrote a stored document: nothing of it is read, and nothing is set aside."""


def _agrees_with_itself(record: Record) -> Record:
    """Refuse a record whose parts cannot be of one trial, which every reader would have to look out for."""
    if record.data.splits and record.metrics.split not in record.data.splits:
        raise ValueError(f"data.splits does not have the evaluated split, {record.metrics.split}")
    names = [AS_TRAINED, *(variant.name for variant in record.variants)]
    if len(set(names)) < len(names):
        raise ValueError("two variants have the same name")
    return record


RECORD = StoredKind(name="record", adapter=TypeAdapter(Annotated[Record, AfterValidator(_agrees_with_itself)]))
VARIANT = StoredKind(name="variant", adapter=TypeAdapter(Variant))


def encode(kind: StoredKind[T], value: T) -> bytes:
    """The document as indented JSON, with its schema version first; the same bytes for the same value."""
    document = {"schema_version": SCHEMA_VERSION, **json.loads(kind.adapter.dump_json(value))}
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def decode(kind: StoredKind[T], data: bytes, path: str) -> T:
    """A document from its JSON text, whichever version of this program wrote it.

    Args:
        path: the name of its file, for the message of an error.

    Raises:
        RecordError: it is not such a document; the message names the place of the first problem.
        NewerRecordError: a newer version of this program wrote it.
    """
    try:
        document = migrate(kind.name, json.loads(data))
        return kind.adapter.validate_json(json.dumps(document), strict=True)
    except NewerVersionError as error:
        raise NewerRecordError(
            f"{path}: {error}: update harness, or read these results with the version that wrote them"
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole file"
        raise RecordError(f"{path}: cannot be read: {place}: {first['msg']}") from None
    except (ValueError, TypeError, RecursionError) as error:  # not JSON, not UTF-8, not an object
        raise RecordError(f"{path}: cannot be read: the whole file: {error}") from None


def distribution(rounds: Sequence[Sequence[float]]) -> Distribution:
    """Statistics over all samples of all rounds, in the samples' unit; nothing is clipped."""
    samples = np.concatenate([np.asarray(samples, dtype=np.float64) for samples in rounds])
    low, median, high, p95, p99 = np.percentile(samples, (25, 50, 75, 95, 99))
    return Distribution(
        median=float(median),
        p95=float(p95),
        iqr=float(high - low),
        mean=float(samples.mean()),
        std=float(samples.std(ddof=1)) if len(samples) > 1 else 0.0,
        n=len(samples),
        round_medians=tuple(float(np.median(samples)) for samples in rounds),
        p99=float(p99) if len(samples) >= _TAIL else None,
    )
