"""Evaluate and measure one deployment of fine-tuned weights: accuracy and speed of exactly the same model."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.data.thumbnail import Thumbnail, make_thumbnail
from harness.store import files, tables
from harness.store.events import EvaluatedEvent, MeasuredEvent, StageEvent
from harness.store.record import Inference, Memory, Metrics, Variant
from harness.trial.arrays import stored_detections, stored_ground_truth
from harness.trial.deploy import registry
from harness.trial.evaluate.coco import accuracy, detections_capped
from harness.trial.evaluate.detect import evaluate
from harness.trial.inputs.item import as_float
from harness.trial.inputs.loader import evaluation_items
from harness.trial.measure.protocol import THRESHOLDS, images_to_time, measure
from harness.trial.measure.repeat import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import torch
    from torch import Tensor

    from harness.store.paths import ResultFolder
    from harness.store.record import MeasurementWarning
    from harness.suite.schema import Protocol, VariantName
    from harness.trial.deploy.base import Deployment, Weights
    from harness.trial.device_lock import DeviceLock
    from harness.trial.evaluate.detect import Detections, GroundTruth
    from harness.trial.events import EventWriter
    from harness.trial.inputs.item import Item, Items
    from harness.trial.measure.timing import Sample

_THUMBNAILS = 200  # thumbnails are kept of the first images only: some megabytes
_PROBES = 4  # images on which a variant is compared with the weights before it is timed


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """The accuracy and speed of one deployment; `evaluation_s` is the wall time of its evaluation."""

    metrics: Metrics
    inference: Inference
    samples: tuple[Sample, ...]
    warnings: tuple[MeasurementWarning, ...]
    evaluation_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Evaluates and measures one deployment after another, on the same images and by the same protocol.

    Attributes:
        split: the name of the split that accuracy and speed are reported on.
        items: the images of that split.
        protocol: the measurement protocol.
        device: the device that the deployments run on.
        workers: the number of processes that read images.
        folder: the folder for detections, samples and exported files.
        events: receives stages and progress.
        check: called between two images; may raise an exception to stop.
        lock: what this process holds of the device, which it has alone while it measures.
    """

    split: str
    items: Items
    protocol: Protocol
    device: torch.device
    workers: int
    folder: ResultFolder
    events: EventWriter
    check: Callable[[], None]
    lock: DeviceLock

    def run(self, deployment: Deployment, variant: str | None = None) -> BenchmarkResult:
        """Evaluate with the thresholds for accuracy, then measure with those for deployment.

        Args:
            deployment: the deployed model.
            variant: the name under which its detections are stored; None for the model as it was trained.
        """
        self.events.emit(StageEvent(stage="evaluate", variant=variant))
        started = time.perf_counter()
        thumbnails: dict[int, Thumbnail] = {}
        keep = thumbnails if variant is None and self.items.annotations is None else None
        ground_truths, detections = self.detections(deployment, self.split, self.items, thumbnails=keep)
        metrics = accuracy(
            ground_truths,
            detections,
            class_names=self.items.class_names,
            split=self.split,
            detections=self.protocol.detections,
        )
        evaluation_s = time.perf_counter() - started
        stored_truth = stored_ground_truth(ground_truths, self.items)
        if variant is None:
            files.replace(self.folder.ground_truth, tables.write_ground_truth(stored_truth, thumbnails))
        content = tables.write_detections(stored_detections(detections), stored_truth.images, stored_truth.class_names)
        files.replace(self.folder.detections(variant), content)

        self.events.emit(StageEvent(stage="measure", variant=variant))
        with self.lock.alone():
            measured = measure(
                deployment,
                self.items,
                self.protocol,
                bench=Bench.on(self.device, self._beat),
                device=self.device,
                thresholds=() if variant else THRESHOLDS,
            )
        return BenchmarkResult(
            metrics=metrics,
            inference=measured.inference,
            samples=measured.samples,
            warnings=(*measured.warnings, *detections_capped(ground_truths, detections=self.protocol.detections)),
            evaluation_s=evaluation_s,
        )

    def detections(
        self,
        deployment: Deployment,
        split: str,
        items: Items,
        *,
        stage: str = "evaluate",
        thumbnails: dict[int, Thumbnail] | None = None,
    ) -> tuple[tuple[GroundTruth, ...], tuple[Detections, ...]]:
        """Return the ground truth and the detections of a split, with the thresholds for accuracy.

        Args:
            deployment: the deployed model.
            split: the split's name, for progress.
            items: the split's images.
            stage: the stage's name, for progress.
            thumbnails: receives thumbnails of the first images, by their number.
        """
        deployment.set_threshold(self.protocol.score_threshold, self.protocol.detections)

        def on_image(done: int) -> None:
            self.events.progress(EvaluatedEvent(stage=stage, split=split, images=done, of=len(items)))
            self.check()
            self.lock.make_way()

        evaluated = evaluation_items(items, self.workers)
        if thumbnails is not None:
            evaluated = _with_thumbnails(evaluated, thumbnails)
        return evaluate(deployment.detect, evaluated, on_image=on_image)

    def run_variant(self, name: VariantName, weights: Weights) -> tuple[Variant, tuple[Sample, ...]]:
        """Deploy the weights as a variant, check that it agrees with them, then evaluate and measure it.

        Raises:
            UnsupportedVariant: this architecture or this machine does not support the variant.
        """
        protocol = self.protocol
        deployment = registry.load(
            name, weights, self._probes(), score_threshold=protocol.score_threshold, detections=protocol.detections
        )
        result = self.run(deployment, name)
        file = None
        if deployment.exported is not None:
            file = self._write_exported(name, deployment.exported())
        variant = Variant(
            name=name,
            how=deployment.how,
            compile_s=deployment.compile_s,
            file=file,
            metrics=result.metrics,
            measurements=self._without_torch_memory(deployment, result.inference),
            warnings=result.warnings,
        )
        return variant, result.samples

    def _write_exported(self, name: str, exported: Mapping[str, bytes]) -> str:
        """Write what a variant's runtime loads; returns the name of the file that names the others."""
        for suffix, content in reversed(tuple(exported.items())):  # the one that names the others last: it finds them
            files.replace(self.folder.exported(name, suffix), content)
        return self.folder.exported(name, next(iter(exported))).name

    def _without_torch_memory(self, deployment: Deployment, inference: Inference) -> Inference:
        """Remove torch's memory counters if another runtime ran on the GPU: only the driver's counter covers that."""
        if self.device.type == "cpu" or deployment.detector is not None:
            return inference

        def without_torch(peaks: Memory) -> Memory:
            return replace(peaks, peak_allocated_bytes=None, peak_reserved_bytes=None)

        passes = inference.memory
        worst = without_torch(passes.worst_case) if passes.worst_case else None
        memory = replace(passes, inference=without_torch(passes.inference), worst_case=worst)
        return replace(inference, memory=memory)

    def _probes(self) -> tuple[Tensor, ...]:
        """Return a few images, of different shapes if possible."""
        shapes: dict[tuple[int, ...], list[Tensor]] = {}
        for image in images_to_time(self.items, self.protocol.latency_images):
            shapes.setdefault(tuple(image.shape), []).append(image)
        others = [image for group in shapes.values() for image in group[1:]]
        return tuple([*(group[0] for group in shapes.values()), *others][:_PROBES])

    def _beat(self) -> None:
        self.events.progress(MeasuredEvent())
        self.check()


def _with_thumbnails(items: Iterable[Item], thumbnails: dict[int, Thumbnail]) -> Iterator[Item]:
    """Yield the items unchanged, and put thumbnails of the first ones into `thumbnails`, by their number."""
    for number, item in enumerate(items):
        if number < _THUMBNAILS:
            thumbnails[number] = make_thumbnail(
                (as_float(item.image).permute(1, 2, 0).numpy() * 255).round().astype("uint8")
            )
        yield item
