"""Checks of training in this process: its clock, its precisions, its random state, its memory."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import Augmentation, Hyperparameters, ImageSize, Protocol, SyntheticDataset, SyntheticImages
from harness.suite.trial import TrialDataset
from harness.trial import environment
from harness.trial.deploy import eager
from harness.trial.inputs.dataset import open_dataset
from harness.trial.inputs.item import Items
from harness.trial.inputs.loader import EpochBatches, TrainingSet, training_loader
from harness.trial.measure import memory, nvml, timing
from harness.trial.measure.protocol import _joules_per_image
from harness.trial.measure.repeat import Bench
from harness.trial.models.base import Detector
from harness.trial.models.registry import family_of
from harness.trial.train import resume
from harness.trial.train.loop import Training, finetune
from harness.trial.train.validate import Validation
from tests.gpu import verdicts
from tests.gpu.verdicts import Check
from tests.trial.models.fakes import IncapableDetector

BATCH = 4


def drawn(images: int, side: int) -> Items:
    """Drawn shapes."""
    source = SyntheticDataset(
        format="synthetic", train=SyntheticImages(images=images), val=SyntheticImages(images=2), size=side
    )
    dataset = TrialDataset(name="shapes", fingerprint="", source=source)
    return open_dataset(dataset, max_images=None, import_folder=Path()).splits["train"]


def build(architecture: str, device: torch.device, side: int) -> Detector:
    """A detector with random weights, the same ones each time."""
    environment.prepare(device, Protocol(), threads=torch.get_num_threads(), seed=0)
    row = BUILT_IN[architecture]
    detector, _ = family_of(row).build(
        row, weights="none", classes=3, image_size=ImageSize(min=side, max=side), options={}
    )
    detector.module.to(device)
    return detector


def train(
    detector: Detector,
    items: Items,
    device: torch.device,
    *,
    n_steps: int,
    workers: int = 0,
    precision: Any = "fp32",
    accumulate: int = 1,
) -> list[float]:
    """Train, and return the loss of each step."""
    losses: list[float] = []
    batches = EpochBatches(len(items), BATCH, seed=0)
    epochs = -(-n_steps // len(batches))
    h = Hyperparameters(
        epochs=epochs, lr=1e-4, weight_decay=0.0, milestones=(), batch_size=BATCH, precision=precision,
        accumulate=accumulate,
    )  # fmt: skip
    loader = training_loader(TrainingSet(items, Augmentation(), 0), batches, workers)

    def on_step(_epoch: int, _epochs: int, _step: int, _of: int, loss: float, _speed: float) -> None:
        losses.append(loss)
        if len(losses) == n_steps:
            raise _EnoughError

    with contextlib.suppress(_EnoughError):
        finetune(detector, loader, batches, h, device=device, on_step=on_step, validate=Validation)
    return losses


class _EnoughError(Exception):
    pass


def precisions(device: torch.device, *, n_steps: int = 50, side: int = 320) -> Iterator[Check]:
    """Each architecture in each precision stays finite, and its first loss is the same with four loader processes."""
    items = drawn(4 * BATCH, side)
    for architecture in BUILT_IN:
        for precision in ("fp32", "bf16", "fp16"):
            losses = train(build(architecture, device, side), items, device, n_steps=n_steps, precision=precision)
            yield verdicts.steps(f"{architecture} {precision}: {n_steps} steps", losses, n_steps)
            other = train(build(architecture, device, side), items, device, n_steps=1, precision=precision, workers=4)
            yield verdicts.first_losses(f"{architecture} {precision}: first loss with 4 workers", losses, other)


class _Work(IncapableDetector):
    """A 'detector' whose forward and backward passes keep the device busy for a while and return at once."""

    def __init__(self, device: torch.device, side: int) -> None:
        super().__init__()
        self.weight = self.module.weight = nn.Parameter(torch.full((side, side), 1e-6, device=device))
        self._rounds = 20

    def losses(self, images: list[Tensor], targets: object) -> dict[str, Tensor]:
        product: Tensor = self.weight
        for _ in range(self._rounds):
            product = product @ self.weight
        return {"loss": product.mean() + images[0].mean()}


def _clocked(device: torch.device, side: int, *, n_steps: int, read_s: float) -> tuple[Training, float]:
    """Train on batches that take `read_s` to read; also return the wall time of the counted steps."""
    ends: list[float] = []  # of the two epochs' last steps; only the second epoch is counted

    def batches_read() -> Iterator[list[tuple[Tensor, dict[str, Tensor]]]]:
        for _ in range(n_steps):
            time.sleep(read_s)
            yield [(torch.zeros(3, 8, 8), {})]

    class Loader:
        def __iter__(self) -> Iterator[Any]:
            return batches_read()

    def on_step(_epoch: int, _epochs: int, step: int, *_: object) -> None:
        if step == n_steps:
            ends.append(time.perf_counter())

    batches = EpochBatches(n_steps, 1, seed=0)
    h = Hyperparameters(epochs=2, lr=1e-9, weight_decay=0.0, milestones=(), batch_size=1)
    training = finetune(_Work(device, side), Loader(), batches, h, device=device, on_step=on_step, validate=Validation)
    memory.free_unused(device)
    return training, ends[1] - ends[0]


def clock(device: torch.device, *, side: int = 4096, n_steps: int = 20) -> Iterator[Check]:
    """The stopwatch agrees with the device's own events; waiting for data is what the loader took, and nothing else."""
    block = torch.rand(side, side, device=device)

    def work(_images: object) -> None:
        for _ in range(50):
            block @ block

    stopwatch = Bench.on(device, lambda: None).stopwatch()
    stopwatch.seconds(work, [])
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        measured = stopwatch.seconds(work, [])
        end.record()
        end.synchronize()
        yield verdicts.within("clock against CUDA events, s", measured, begin.elapsed_time(end) * 1e-3, 0.03)
    else:
        yield verdicts.impossible("clock against CUDA events, s", "no CUDA device")
    training, _ = _clocked(device, side, n_steps=n_steps, read_s=0.0)
    yield verdicts.at_most("wait fraction with a slow backward pass", training.data_wait_fraction, 0.02)
    step_s = 1 / training.images_per_s if training.images_per_s else 0.0
    read_s = max(step_s, 0.01)
    training, wall_s = _clocked(device, side, n_steps=n_steps, read_s=read_s)
    yield verdicts.within(
        "wait fraction with a slow loader", training.data_wait_fraction, read_s * n_steps / wall_s, 0.05
    )


def random_state(device: torch.device) -> Check:
    """The device's random numbers go on after a restored state as they would have gone on."""
    torch.rand(3, device=device)
    state = resume.random_state(device)
    first = torch.rand(8, device=device)
    torch.rand(100, device=device)
    resume.restore_random_state(state, device)
    same = torch.equal(first, torch.rand(8, device=device))
    return verdicts.holds("resume: the device's random numbers go on", same, expected=True)


def energy(device: torch.device, *, side: int = 320) -> Check:
    """Joules an image times images a second is the mean power that the driver reports meanwhile, within 15 %."""
    name = "joules × throughput, W"
    card = nvml.gpu(device)
    if card is None or card.joules() is None or card.ask("nvmlDeviceGetPowerUsage") is None:
        return verdicts.impossible(name, "the driver reports neither energy nor power")
    deployed = eager.eager(build("fasterrcnn_resnet50_fpn", device, side), device=device, precision="fp32")
    deployed.set_threshold(0.05, 100)
    watts: list[float] = []
    images = [torch.rand(3, side, side) for _ in range(16)]
    bench = Bench.on(device, lambda: watts.append(card.ask("nvmlDeviceGetPowerUsage") / 1000))
    protocol = Protocol(rounds=3, throughput_s=6.0)
    result = bench.run_pass(
        "throughput", lambda watch: timing.throughput(deployed.detect, images, protocol, 16, watch), lambda _: ()
    )
    joules = _joules_per_image(result)
    value = None if joules is None else joules * timing.images_per_s(result.samples)
    return verdicts.within(name, value, sum(watts) / len(watts), 0.15)


def recompilations(device: torch.device, *, side: int = 320) -> Check:
    """After one image of a shape, further images of that shape compile nothing."""
    from torch._dynamo.utils import counters

    name = "recompilations after each shape was seen"
    torch.compiler.reset()
    detector = build("fasterrcnn_mobilenet_v3_large_fpn", device, side)
    detector.use_compiled()
    deployed = eager.eager(detector, device=device, precision="fp32")
    deployed.set_threshold(0.05, 100)
    shapes = [torch.rand(3, side, side), torch.rand(3, side, side * 3 // 4)]
    for image in shapes * 3:
        deployed.detect([image])
    before = counters["stats"]["unique_graphs"]
    for image in shapes * 5:
        deployed.detect([image])
    compiled = counters["stats"]["unique_graphs"]
    detail = f"{compiled} graphs in all; {device}"
    return verdicts.holds(name, compiled - before, 0, detail)


def reserved_bytes(device: torch.device) -> int:
    """What torch holds of the device, after everything unused is freed."""
    gc.collect()
    memory.free_unused(device)
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else 0
