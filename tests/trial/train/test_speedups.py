"""A training step with the speed-ups has the library's numbers, and nothing of them is left afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import Hyperparameters, ImageSize
from harness.trial.models.base import Detector
from harness.trial.models.frozen_norms import faster_norms, frozen_norms
from harness.trial.models.registry import family_of
from harness.trial.train.speedups import Speedups
from harness.trial.train.step import TrainStep

SIDE = 64
H = Hyperparameters(epochs=1, batch_size=2, lr=1e-3, weight_decay=0.0, milestones=(), warmup_steps=0)


def _detector(name: str) -> Detector:
    row = BUILT_IN[name]
    if row.missing_package():
        pytest.skip(f"{name} needs a package that is not installed")
    torch.manual_seed(0)
    options: dict[str, Any] = {"queries": 4} if "queries" in {option.name for option in row.options} else {}
    detector, _ = family_of(row).build(
        row, weights="none", classes=2, image_size=ImageSize(min=SIDE, max=SIDE), options=options
    )
    if name.endswith("_timm"):
        from timm.utils.model import freeze_batch_norm_2d

        freeze_batch_norm_2d(detector.module)
    elif not frozen_norms(detector.module):
        _freeze(detector.module)
    return detector


def _freeze(module: nn.Module) -> None:
    """Put frozen norms, as published weights of torchvision have them, in the place of live ones."""
    generator = torch.Generator().manual_seed(1)
    for holder in list(module.modules()):
        for name, norm in list(holder.named_children()):
            if type(norm) is nn.BatchNorm2d:
                frozen = FrozenBatchNorm2d(norm.num_features, eps=0.0)
                for value in (frozen.weight, frozen.running_var):
                    value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
                for value in (frozen.bias, frozen.running_mean):
                    value.copy_(torch.randn(value.shape, generator=generator) / 10)
                setattr(holder, name, frozen)


def _batch() -> list[tuple[Tensor, dict[str, Tensor]]]:
    generator = torch.Generator().manual_seed(2)
    boxes = [torch.tensor([[5.0, 5.0, 40.0, 40.0], [20.0, 8.0, 60.0, 50.0]]), torch.zeros((0, 4))]
    labels = [torch.tensor([1, 2]), torch.zeros(0, dtype=torch.int64)]
    return [
        (torch.rand(3, SIDE, SIDE, generator=generator), {"boxes": each, "labels": label})
        for each, label in zip(boxes, labels, strict=True)
    ]


def _gradients(
    detector: Detector, precision: str, dtype: torch.dtype = torch.float32
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    torch.manual_seed(3)
    detector.module.zero_grad()
    images, targets = (list(part) for part in zip(*_batch(), strict=True))
    images = [image.to(dtype) for image in images]
    targets = [{"boxes": target["boxes"].to(dtype), "labels": target["labels"]} for target in targets]
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        losses = dict(detector.losses(images, targets))
    torch.autograd.backward(torch.stack([loss.float() for loss in losses.values()]).sum())
    found = {name: p.grad.clone() for name, p in detector.module.named_parameters() if p.grad is not None}
    return {name: loss.detach() for name, loss in losses.items()}, found


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("fasterrcnn_mobilenet_v3_large_fpn", "fp32"),
        pytest.param("fasterrcnn_mobilenet_v3_large_fpn", "bf16", marks=pytest.mark.slow),
        ("retinanet_resnet50_fpn", "fp32"),
        ("rtdetr_v2_r18vd", "fp32"),
        ("fcos_timm", "fp32"),
    ],
)
def test_frozen_norms_give_the_same_bits(name: str, precision: str) -> None:
    """Losses and gradients, of a batch with an image without boxes."""
    detector = _detector(name)
    detector.module.train()
    losses, gradients = _gradients(detector, precision)
    speedups = Speedups(detector, ("frozen_norms",))
    assert speedups.names == ("frozen_norms",)
    speedups.put_in()
    faster_losses, faster_gradients = _gradients(detector, precision)
    assert losses.keys() == faster_losses.keys()
    assert gradients.keys() == faster_gradients.keys()
    for slow, fast in ((losses, faster_losses), (gradients, faster_gradients)):
        for key, value in slow.items():
            assert torch.equal(value, fast[key]), key


@pytest.mark.parametrize(
    ("speedup", "name", "dtype", "tolerance"),
    [
        ("roi_align", "fasterrcnn_mobilenet_v3_large_fpn", torch.float64, 1e-9),
        ("foreground_boxes", "retinanet_resnet50_fpn", torch.float64, 1e-9),
        ("channels_last", "ssdlite320_mobilenet_v3_large", torch.float64, 1e-9),
        ("channels_last", "yolox_nano", torch.float64, 1e-9),
        ("channels_last", "fcos_timm", torch.float64, 1e-9),
        ("channels_last", "dfine_n", torch.float32, 1e-3),  # its matching takes no float64
    ],
)
def test_others_give_the_same_numbers(speedup: str, name: str, dtype: torch.dtype, tolerance: float) -> None:
    """Losses and gradients, to rounding; with `channels_last` the backbone's last convolution has that layout."""
    detector = _detector(name)
    detector.module.to(dtype).train()
    losses, gradients = _gradients(detector, "fp32", dtype)
    speedups = Speedups(detector, (speedup,))
    assert speedups.names == (speedup,)
    speedups.put_in()
    seen: list[bool] = []
    last = [part for part in detector.backbone_stages()[-1].modules() if isinstance(part, nn.Conv2d)][-1]
    last.register_forward_hook(
        lambda _module, _inputs, output: seen.append(output.is_contiguous(memory_format=torch.channels_last))
    )
    faster_losses, faster_gradients = _gradients(detector, "fp32", dtype)
    assert seen == [speedup == "channels_last"]
    for key, value in losses.items():
        assert torch.allclose(value, faster_losses[key], rtol=tolerance), key
    for key, value in gradients.items():
        size = float(value.abs().max())
        assert torch.allclose(value, faster_gradients[key], rtol=0, atol=tolerance * max(1.0, size)), key


def test_a_backbone_without_depthwise_convolutions_keeps_its_layout() -> None:
    """It would lose."""
    assert Speedups(_detector("retinanet_resnet50_fpn"), ("channels_last",)).names == ()


def test_a_norm_on_a_gpu_is_equal_in_float64() -> None:
    """What stands for it there, computed here: output and gradient of the input, to 1e-15 of their size."""
    torch.manual_seed(0)
    norm = nn.Sequential(FrozenBatchNorm2d(8, eps=0.0)).double()
    for buffer in norm.buffers():
        buffer.copy_(torch.rand_like(buffer) + 0.5)
    batch = torch.randn(2, 8, 5, 7, dtype=torch.float64, requires_grad=True)
    output = norm(batch)
    (gradient,) = torch.autograd.grad(output.square().sum(), batch)
    ((part, faster),) = faster_norms(norm)
    part.__class__ = faster
    one: Any = part
    again = one.in_one(batch)
    (other,) = torch.autograd.grad(again.square().sum(), batch)
    assert torch.allclose(output, again, rtol=1e-15, atol=1e-15)
    assert torch.allclose(gradient, other, rtol=1e-14, atol=1e-15)


def test_nothing_is_left_outside_of_training() -> None:
    """A training step puts them in; before validation and at the end every part is the library's own again."""
    detector = _detector("fasterrcnn_mobilenet_v3_large_fpn")
    before = {name: type(part) for name, part in detector.module.named_modules()}
    keys = list(detector.module.state_dict())
    step = TrainStep(detector, H, device=torch.device("cpu"), epoch_steps=[2])
    assert step.speedups == ("frozen_norms", "channels_last", "roi_align")

    def types() -> dict[str, type]:
        return {name: type(part) for name, part in detector.module.named_modules()}

    step.train_mode()
    changed = {name for name, kind in types().items() if kind is not before[name]}
    assert "roi_heads.box_roi_pool" in changed
    assert {type(detector.module.get_submodule(name)).__name__ for name in changed} == {
        "FrozenBatchNorm2d",
        "MultiScaleRoIAlign",
        "Conv2d",
    }
    assert list(detector.module.state_dict()) == keys
    assert step.speedups == ("frozen_norms", "channels_last", "roi_align")  # also while they are in
    with step.deployed():
        assert types() == before
    step.train_mode()
    step.step(_batch(), "here")
    step.finish()
    assert types() == before
    assert not any("scale_and_shift" in part.__dict__ for part in detector.module.modules())


def test_values_that_were_restored_are_used() -> None:
    """The scale is computed anew when training begins again, not kept from the values before."""
    detector = _detector("retinanet_resnet50_fpn")
    norm = detector.module.get_submodule("backbone.body.bn1")
    batch = torch.ones(1, 64, 1, 1)
    speedups = Speedups(detector, ("frozen_norms",))
    speedups.put_in()
    first = norm(batch)
    state = detector.module.state_dict()
    state["backbone.body.bn1.bias"] = state["backbone.body.bn1.bias"] + 5
    detector.module.load_state_dict(state)
    speedups.put_in()
    assert torch.allclose(norm(batch), first + 5)


def test_each_can_be_left_out() -> None:
    """`none` uses none, and a list those that it names."""
    detector = _detector("fasterrcnn_mobilenet_v3_large_fpn")
    assert Speedups(detector, "none").names == ()
    assert Speedups(detector, ("roi_align",)).names == ("roi_align",)
    assert Speedups(detector, "auto").names == ("frozen_norms", "channels_last", "roi_align")
