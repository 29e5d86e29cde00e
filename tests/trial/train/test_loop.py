"""Training steps, schedules and speeds are what their definitions say, and training repeats to the last bit."""

from __future__ import annotations

import copy
import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.errors import DivergedError
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import Augmentation, Hyperparameters, ImageSize, SyntheticDataset, SyntheticImages
from harness.suite.trial import TrialDataset
from harness.trial.inputs.dataset import open_dataset
from harness.trial.inputs.item import Items
from harness.trial.inputs.loader import EpochBatches, TrainingSet, training_loader
from harness.trial.models import checkpoint
from harness.trial.models.base import Detector
from harness.trial.models.torchvision import family
from harness.trial.train.loop import Clock, Training, finetune
from harness.trial.train.optim import build_optimizer, schedule
from harness.trial.train.validate import Validation
from tests.trial.models.fakes import IncapableDetector

CPU = torch.device("cpu")


def _hyperparameters(**changes: object) -> Hyperparameters:
    content = {"epochs": 4, "batch_size": 2, "lr": 0.1, "milestones": (2, 3), "weight_decay": 0.0, **changes}
    return Hyperparameters(**content)  # type: ignore[arg-type]


class _Line(IncapableDetector):
    """A 'detector' with one weight: loss = mean over images of weight × the image's first pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = self.module.weight = nn.Parameter(torch.tensor(1.0))
        self.seen: list[int] = []

    def losses(self, images: list[torch.Tensor], targets: object) -> dict[str, torch.Tensor]:
        self.seen.append(len(images))
        return {"loss_line": torch.stack([self.weight * image[0, 0, 0] for image in images]).mean()}


def _line_loader(values: list[float], batch: int) -> list[list[object]]:
    pairs: list[object] = [(torch.full((3, 1, 1), value), {"boxes": torch.zeros(0, 4)}) for value in values]
    return [pairs[start : start + batch] for start in range(0, len(pairs), batch)]


def _train_line(values: list[float], h: Hyperparameters) -> tuple[_Line, Training]:
    model = _Line()
    training = finetune(
        model,
        _line_loader(values, h.batch_size),
        EpochBatches(len(values), h.batch_size, seed=0),
        h,
        device=CPU,
        on_step=lambda *_: None,
        validate=Validation,
    )
    return model, training


def _shapes() -> Items:
    source = SyntheticDataset(
        format="synthetic", train=SyntheticImages(images=4), val=SyntheticImages(images=1), size=64
    )
    return open_dataset(
        TrialDataset(name="d", fingerprint="f", source=source), max_images=None, import_folder=Path()
    ).splits["train"]


def _tiny_detector() -> Detector:
    torch.manual_seed(7)
    detector, _ = family.build(
        BUILT_IN["fasterrcnn_mobilenet_v3_large_fpn"],
        weights="none",
        classes=3,
        image_size=ImageSize(min=64, max=64),
        options={"rpn_post_nms_top_n_train": 20, "box_batch_size_per_image": 8},
    )
    return detector


def test_accumulation_takes_the_same_step() -> None:
    """A batch of 3 in two uneven parts moves the weight exactly as in one, with half the images at a time."""
    whole, _ = _train_line([1.0, 2.0, 6.0, 1.0], _hyperparameters(epochs=1, batch_size=4, warmup_steps=0))
    parts, _ = _train_line([1.0, 2.0, 6.0, 1.0], _hyperparameters(epochs=1, batch_size=4, accumulate=2, warmup_steps=0))
    uneven, _ = _train_line([1.0, 2.0, 6.0], _hyperparameters(epochs=1, batch_size=4, accumulate=2, warmup_steps=0))
    assert parts.weight.item() == pytest.approx(whole.weight.item()) == pytest.approx(1 - 0.1 * 2.5)
    assert (whole.seen, parts.seen) == ([4], [2, 2])
    assert uneven.weight.item() == pytest.approx(1 - 0.1 * 3.0)


def test_no_gradient_stays_behind() -> None:
    """After training the parameters hold no gradients, which would count as memory of inference."""
    model, _ = _train_line([1.0, 2.0], _hyperparameters(epochs=1))
    assert model.weight.grad is None


def test_clipping_bounds_the_gradient() -> None:
    """A gradient of 6 clipped to 0.5 moves the weight by lr × 0.5."""
    model, _ = _train_line([6.0], _hyperparameters(epochs=1, batch_size=1, clip_grad_norm=0.5, warmup_steps=0))
    assert model.weight.item() == pytest.approx(1 - 0.1 * 0.5, abs=1e-6)


def test_a_loss_that_is_not_finite_names_step_and_parts() -> None:
    """The trial fails at that step with each part of the loss and what to change."""
    with pytest.raises(DivergedError, match=r"epoch 1, step 2 of 2: loss_line nan.*lower lr"):
        _train_line([1.0, math.nan], _hyperparameters(epochs=1, batch_size=1))


def test_schedules() -> None:
    """Linear warm-up from the factor to 1; tenths after milestones; half a cosine; constant."""
    bounded = schedule(
        _hyperparameters(warmup_steps=2000, max_warmup_epochs=0.5, warmup_factor=0.1), epoch_steps=[10] * 4
    )
    assert [bounded(step) for step in (0, 2, 4)] == pytest.approx([0.1, 0.55, 1.0])
    multistep = schedule(_hyperparameters(warmup_steps=10, warmup_factor=0.1), epoch_steps=[100] * 4)
    assert [multistep(step) for step in (0, 5, 10, 199, 200, 300)] == pytest.approx([0.1, 0.55, 1, 1, 0.1, 0.01])
    cosine = schedule(_hyperparameters(schedule="cosine", warmup_steps=0), epoch_steps=[100] * 4)
    assert [cosine(step) for step in (0, 200, 400, 500)] == pytest.approx([1, 0.5, 0, 0], abs=1e-12)
    constant = schedule(_hyperparameters(schedule="constant"), epoch_steps=[4000] * 4)
    assert constant(999) < 1 == constant(1000)
    uneven = schedule(_hyperparameters(warmup_steps=0), epoch_steps=[5, 6, 5, 7])
    assert [uneven(step) for step in (0, 10, 11, 15, 16, 22)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    short = schedule(_hyperparameters(), epoch_steps=[5] * 4)
    assert short(3) < 1 == short(4)


def test_optimizers() -> None:
    """SGD and AdamW carry the hyperparameters."""
    weight = [nn.Parameter(torch.zeros(1))]
    sgd = build_optimizer(weight, _hyperparameters(momentum=0.8, weight_decay=0.3)).param_groups[0]
    assert (sgd["lr"], sgd["momentum"], sgd["weight_decay"], sgd["nesterov"]) == (0.1, 0.8, 0.3, False)
    assert build_optimizer(weight, _hyperparameters(nesterov=True)).param_groups[0]["nesterov"]
    adamw = build_optimizer(weight, _hyperparameters(optimizer="adamw", weight_decay=0.2))
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.param_groups[0]["weight_decay"] == 0.2


def test_speed_leaves_out_the_start_and_counts_waiting() -> None:
    """Whole steps after those left out: images over seconds, and the share of waiting; nothing counted gives None."""
    clock = Clock(left_out=3)
    for _ in range(3):
        clock.add(total_s=100.0, wait_s=90.0, images=4)
    assert (clock.images_per_s, clock.wait_fraction) == (None, None)
    for _ in range(5):
        clock.add(total_s=0.5, wait_s=0.1, images=4)
    assert (clock.images_per_s, clock.wait_fraction) == pytest.approx((8.0, 0.2))


@pytest.mark.parametrize(
    ("accumulate", "repeats"),
    [
        (1, None),
        pytest.param(2, None, marks=pytest.mark.slow),
        pytest.param(1, [1.4, 1.0, 1.6, 1.0], marks=pytest.mark.slow),
    ],
)
def test_a_resumed_training_ends_with_the_same_bits(accumulate: int, repeats: list[float] | None) -> None:
    """From the state after every single step, and after every epoch: equal weights, curve and count of images."""
    items = _shapes()
    h = _hyperparameters(epochs=2, lr=1e-3, accumulate=accumulate, validate_every=1, warmup_steps=2)
    kept: list[bytes] = []

    def save_checkpoint(state: Callable[[], dict[str, Any]], steps: int, *, finished: bool) -> None:
        stream = io.BytesIO()
        torch.save(state(), stream)
        kept.append(stream.getvalue())

    def train(state: dict[str, Any] | None, **more: Any) -> tuple[str, Training]:
        detector = _tiny_detector()
        batches = EpochBatches(len(items), 2, 7, np.array(repeats) if repeats else None)
        loader = training_loader(TrainingSet(items, Augmentation(scale_jitter=(0.8, 1.25)), 7), batches, 0)
        assert repeats is None or batches.steps(1) != batches.steps(2)
        training = finetune(
            detector,
            loader,
            batches,
            h,
            device=CPU,
            on_step=lambda *_: None,
            validate=lambda: Validation(map=0.25, map_50=0.5, loss=1.5),
            state=state,
            **more,
        )
        return checkpoint.state_sha256(detector.module), training

    whole, training = train(None, save_checkpoint=save_checkpoint)
    steps = 4 if repeats is None else sum(map(EpochBatches(4, 2, 7, np.array(repeats)).steps, (1, 2)))
    assert len(kept) == steps + 2  # each step, and after each validation
    seen = [EpochBatches(4, 2, 7, np.array(repeats)).images(epoch) for epoch in (1, 2)] if repeats else [4, 4]
    for content in kept:
        torch.manual_seed(99)  # whatever the new process drew before
        resumed, again = train(torch.load(io.BytesIO(content), weights_only=True))
        assert resumed == whole
        assert again.images_seen == training.images_seen == sum(seen)
        assert [(e.loss, e.lr, e.val_map) for e in again.epochs] == [(e.loss, e.lr, e.val_map) for e in training.epochs]


def test_time_is_summed_over_attempts_and_never_over_the_gap() -> None:
    """A state carries seconds and steps; what lies between two attempts, and the first step after, is not counted."""
    kept: list[dict[str, Any]] = []

    def train(images: int, **more: Any) -> Training:
        return finetune(
            _Line(),
            _line_loader([1.0] * images, 1),
            EpochBatches(6, 1, seed=0),
            _hyperparameters(epochs=1, batch_size=1),
            device=CPU,
            on_step=lambda *_: None,
            validate=Validation,
            **more,
        )

    def stop(state: Callable[[], dict[str, Any]], steps: int, *, finished: bool) -> None:
        if steps == 3:
            kept.append(state())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(6, save_checkpoint=stop)
    state = kept.pop()
    state["position"]["trained_s"] = 1000.0
    state["clock"] = {"left_out": 0, "total_s": 10.0, "wait_s": 5.0, "images": 20}
    time.sleep(0.3)
    training = train(3, state=state)
    assert 1000.0 < training.wall_s < 1000.2
    assert training.images_per_s == pytest.approx(2.2, rel=0.05)  # 20 and the two that follow the first


class _Device:
    """A clock that moves when told, and a device behind it: work is launched at once, and a read waits for all of it.

    Attributes:
        now: the host's time, in seconds.
        busy_until: when the device has done what was launched.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, backward_s: float, update_s: float) -> None:
        self.now = self.busy_until = 0.0
        backward, read = torch.autograd.backward, torch.Tensor.tolist
        update = torch.optim.SGD.step

        def launch(seconds: float, call: Callable[..., Any]) -> Callable[..., Any]:
            def launched(*arguments: Any, **named: Any) -> Any:
                self.busy_until = max(self.now, self.busy_until) + seconds
                return call(*arguments, **named)

            return launched

        def waited(call: Callable[..., Any]) -> Callable[..., Any]:
            def done(*arguments: Any) -> Any:
                self.now = max(self.now, self.busy_until)
                return call(*arguments)

            return done

        monkeypatch.setattr("harness.trial.train.loop.time.perf_counter", lambda: self.now)
        monkeypatch.setattr(torch.autograd, "backward", launch(backward_s, backward))
        monkeypatch.setattr(torch.optim.SGD, "step", launch(update_s, update))
        monkeypatch.setattr(torch.Tensor, "tolist", waited(read))
        for name in ("__float__", "item", "cpu"):
            monkeypatch.setattr(torch.Tensor, name, waited(getattr(torch.Tensor, name)))

    def loader(self, batches: list[list[object]], load_s: float) -> Any:
        """Batches that each take so long to read; the device works on meanwhile."""

        class Loader:
            def __iter__(loader) -> Any:  # noqa: N805
                for batch in batches:
                    self.now += load_s
                    yield batch

        return Loader()


@pytest.mark.parametrize(
    ("backward_s", "load_s", "update_s"), [(0.3, 0.001, 0.003), (0.1, 0.2, 0.002), (0.02, 0.3, 0.0005)]
)
def test_waiting_for_data_and_working_are_told_apart(
    backward_s: float, load_s: float, update_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device that works behind the host: a slow backward pass is no waiting, and a slow loader nothing else."""
    device = _Device(monkeypatch, backward_s=backward_s, update_s=update_s)
    training = finetune(
        _Line(),
        device.loader(_line_loader([1.0] * 40, 1), load_s),
        EpochBatches(40, 1, seed=0),
        _hyperparameters(epochs=3, batch_size=1, lr=1e-6),
        device=CPU,
        on_step=lambda *_: None,
        validate=Validation,
    )
    truth = load_s / (backward_s + max(load_s, update_s))  # the update runs while the next batch is read
    assert training.data_wait_fraction is not None
    if backward_s > 100 * load_s:
        assert training.data_wait_fraction < 0.02
    assert training.data_wait_fraction == pytest.approx(truth, rel=0.05)
    assert training.images_per_s == pytest.approx(1 / (backward_s + max(load_s, update_s)), rel=0.03)


def test_an_overflow_is_left_out_of_the_curve() -> None:
    """The mean loss of an epoch is that of its finite steps; its step is told without a loss; a state counts it."""
    told: list[float] = []
    states: list[dict[str, Any]] = []

    def keep(state: Callable[[], dict[str, Any]], steps: int, *, finished: bool) -> None:
        states.append(copy.deepcopy(state()))

    def train(values: list[float], **more: Any) -> Training:
        return finetune(
            _Line(),
            _line_loader(values, 1),
            EpochBatches(3, 1, seed=0),
            _hyperparameters(epochs=1, batch_size=1, lr=1e-9, precision="fp16"),
            device=CPU,
            on_step=lambda _epoch, _epochs, _step, _steps, loss, _speed: told.append(loss),
            validate=Validation,
            save_checkpoint=keep,
            **more,
        )

    (epoch,) = train([1.0, math.inf, 2.0]).epochs
    assert epoch.loss == pytest.approx(1.5)
    assert told == pytest.approx([1.0, math.nan, 2.0], nan_ok=True)
    assert train([2.0], state=states[1]).epochs[0].loss == pytest.approx(1.5)
    with pytest.raises(DivergedError, match=r"not finite in fp16 in any step of epoch 1; use precision: bf16, lower"):
        train([math.inf, math.nan, math.inf])


def test_validation_is_on_request() -> None:
    """Called after every second epoch; the curve holds what it gave."""
    scores = iter([0.1, 0.3])
    training = finetune(
        _Line(),
        _line_loader([1.0], 1),
        EpochBatches(1, 1, seed=0),
        _hyperparameters(validate_every=2, batch_size=1),
        device=CPU,
        on_step=lambda *_: None,
        validate=lambda: Validation(map=next(scores), map_50=0.5),
    )
    assert [epoch.val_map for epoch in training.epochs] == [None, 0.1, None, 0.3]
    assert [epoch.val_map_50 for epoch in training.epochs] == [None, 0.5, None, 0.5]


@pytest.mark.parametrize(
    "precision", ["fp32", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bf16", "fp16"))]
)
def test_training_repeats_to_the_last_bit(precision: str) -> None:
    """Twice the same seed: equal hashes over every weight, in each precision; the loss is finite and weights moved."""
    items = _shapes()

    def train() -> tuple[str, str, Training]:
        detector = _tiny_detector()
        before = checkpoint.state_sha256(detector.module)
        batches = EpochBatches(len(items), 2, seed=7)
        loader = training_loader(TrainingSet(items, Augmentation(scale_jitter=(0.8, 1.25)), 7), batches, 0)
        h = _hyperparameters(epochs=1, lr=1e-3, precision=precision)
        training = finetune(detector, loader, batches, h, device=CPU, on_step=lambda *_: None, validate=Validation)
        return before, checkpoint.state_sha256(detector.module), training

    before, after, training = train()
    assert train()[:2] == (before, after)
    assert before != after
    assert math.isfinite(training.epochs[0].loss)
    assert set(training.epochs[0].loss_parts) == {
        "loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg",
    }  # fmt: skip
