"""What fine-tuned weights are worth, deployed in one way or another: accuracy and speed of the very same thing."""

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
from harness.trial.evaluate.coco import accuracy
from harness.trial.evaluate.detect import evaluate
from harness.trial.inputs.loader import evaluation_items
from harness.trial.measure.protocol import THRESHOLDS, images_to_time, measure
from harness.trial.measure.repeat import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import torch
    from torch import Tensor

    from harness.store.paths import ResultFolder
    from harness.store.record import MeasurementWarning
    from harness.suite.schema import Protocol, VariantName
    from harness.trial.deploy.base import Deployment, Weights
    from harness.trial.evaluate.detect import Detections, GroundTruth
    from harness.trial.events import EventWriter
    from harness.trial.inputs.item import Item, Items
    from harness.trial.measure.timing import Sample

_THUMBNAILS = 200  # images, the first ones: some megabytes
_PROBES = 4  # images that a variant is compared on before it is timed


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """Accuracy and speed of one deployment; `evaluation_s` is the wall time of its evaluation."""

    metrics: Metrics
    inference: Inference
    samples: tuple[Sample, ...]
    warnings: tuple[MeasurementWarning, ...]
    evaluation_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Examines one deployment after another, on the same images and by the same protocol.

    Attributes:
        split: the name of what accuracy and speed are reported on; `items` are its images.
        workers: processes that read them.
        folder: where detections, samples and exported files go.
        check: called between two images; may raise to stop.
    """

    split: str
    items: Items
    protocol: Protocol
    device: torch.device
    workers: int
    folder: ResultFolder
    events: EventWriter
    check: Callable[[], None]

    def examine(self, deployment: Deployment, variant: str | None = None) -> BenchmarkResult:
        """Evaluate at accuracy's thresholds, then measure at the deployment's.

        Args:
            variant: whose detections are kept under its name; None for the model as it was trained.
        """
        self.events.emit(StageEvent(stage="evaluate", variant=variant))
        started = time.perf_counter()
        thumbnails: dict[int, Thumbnail] = {}
        keep = thumbnails if variant is None and self.items.annotations is None else None
        truths, found = self.detections(deployment, self.split, self.items, thumbnails=keep)
        metrics = accuracy(truths, found, class_names=self.items.class_names, split=self.split)
        evaluation_s = time.perf_counter() - started
        truth = stored_ground_truth(truths, self.items)
        if variant is None:
            files.replace(self.folder.ground_truth, tables.write_ground_truth(truth, thumbnails))
        content = tables.write_detections(stored_detections(found), truth.images, truth.class_names)
        files.replace(self.folder.detections(variant), content)

        self.events.emit(StageEvent(stage="measure", variant=variant))
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
            warnings=measured.warnings,
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
        """Detections on a split at accuracy's thresholds.

        Args:
            thumbnails: takes small copies of the first images, by their number.
        """
        deployment.set_threshold(self.protocol.score_threshold, self.protocol.detections)

        def on_image(done: int) -> None:
            self.events.progress(EvaluatedEvent(stage=stage, split=split, images=done, of=len(items)))
            self.check()

        seen = evaluation_items(items, self.workers)
        if thumbnails is not None:
            seen = _keeping(seen, thumbnails)
        return evaluate(deployment.detect, seen, on_image=on_image)

    def examine_variant(self, name: VariantName, weights: Weights) -> tuple[Variant, tuple[Sample, ...]]:
        """Deploy the weights in another way, see that they still find the same, and examine that.

        Raises:
            CannotDeploy: this architecture or this machine cannot do it.
        """
        protocol = self.protocol
        deployment = registry.load(
            name, weights, self._probes(), score_threshold=protocol.score_threshold, detections=protocol.detections
        )
        examined = self.examine(deployment, name)
        file = None
        if deployment.exported is not None:
            path = self.folder.exported(name)
            files.replace(path, deployment.exported())
            file = path.name
        variant = Variant(
            name=name,
            how=deployment.how,
            compile_s=deployment.compile_s,
            file=file,
            metrics=examined.metrics,
            measurements=self._without_torch(deployment, examined.inference),
            warnings=examined.warnings,
        )
        return variant, examined.samples

    def _without_torch(self, deployment: Deployment, inference: Inference) -> Inference:
        """On a GPU another runtime's memory is none of torch's: of that, only the driver's view tells."""
        if self.device.type == "cpu" or deployment.detector is not None:
            return inference

        def hide(found: Memory) -> Memory:
            return replace(found, peak_allocated_bytes=None, peak_reserved_bytes=None)

        passes = inference.memory
        worst = hide(passes.worst_case) if passes.worst_case else None
        return replace(inference, memory=replace(passes, inference=hide(passes.inference), worst_case=worst))

    def _probes(self) -> tuple[Tensor, ...]:
        """A few images, of different shapes where there are."""
        shapes: dict[tuple[int, ...], list[Tensor]] = {}
        for image in images_to_time(self.items, self.protocol.latency_images):
            shapes.setdefault(tuple(image.shape), []).append(image)
        others = [image for group in shapes.values() for image in group[1:]]
        return tuple([*(group[0] for group in shapes.values()), *others][:_PROBES])

    def _beat(self) -> None:
        self.events.progress(MeasuredEvent())
        self.check()


def _keeping(items: Iterable[Item], thumbnails: dict[int, Thumbnail]) -> Iterator[Item]:
    """The items as they come; `thumbnails` takes a small copy of the first ones, by their number."""
    for number, item in enumerate(items):
        if number < _THUMBNAILS:
            thumbnails[number] = make_thumbnail((item.image.permute(1, 2, 0).numpy() * 255).round().astype("uint8"))
        yield item
