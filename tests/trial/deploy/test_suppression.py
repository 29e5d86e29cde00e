"""The suppression that exports hold: torchvision's results, and none for no boxes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms

from harness.trial.deploy import onnx, openvino, suppression
from harness.trial.models.base import Detector

CPU = torch.device("cpu")


@pytest.mark.parametrize("count", [0, 1, 300])
def test_it_keeps_what_torchvision_keeps(count: int) -> None:
    """In the same order, whatever the number of boxes."""
    generator = torch.Generator().manual_seed(count)
    corners = torch.rand(count, 2, generator=generator) * 90
    boxes = torch.cat((corners, corners + torch.rand(count, 2, generator=generator) * 30), dim=1)
    scores, classes = torch.rand(count, generator=generator), torch.randint(0, 3, (count,), generator=generator)
    kept = suppression.suppress(boxes, scores, classes, 0.5)
    assert torch.equal(kept, batched_nms(boxes, scores, classes, 0.5))


class _Bright(Detector):
    """Detects a box at each bright pixel of the red channel."""

    def __init__(self) -> None:
        self.module = nn.Identity()

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        raise NotImplementedError

    def set_postprocessing(self, *, score_threshold: float, detections: int) -> None:
        raise NotImplementedError

    def mark_phases(self, mark: object) -> contextlib.AbstractContextManager[None]:
        raise NotImplementedError

    def structure(self) -> dict[str, object]:
        return {}

    def detect(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        """The brightest of what overlaps."""
        (image,) = images
        scores = image[0].flatten()
        row = torch.arange(scores.shape[0]).to(image) % image.shape[2]
        boxes = torch.stack((row, row, row + 4, row + 4), dim=1)
        found = torch.where(scores > 0.5)[0]
        boxes, scores, labels = boxes[found], scores[found], found % 2
        kept = batched_nms(boxes, scores, labels, 0.5)
        return [{"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept] + 1}]


def test_an_image_without_detections_has_none_after_one_with() -> None:
    """Under each runtime that reads the export: OpenVINO once gave the first image's best box again."""
    content = onnx.to_onnx(_Bright(), torch.rand(3, 8, 9))
    assert b"NonMaxSuppression" in content
    session = onnx.session(content, device=CPU, threads=1, tf32=False)
    compiled = openvino.compile_model(openvino.to_model(content), 1)
    bright, dark = torch.rand(3, 8, 9, generator=torch.Generator().manual_seed(0)), torch.zeros(3, 8, 9)
    runs: tuple[Callable[[Tensor], Sequence[Tensor]], ...] = (
        partial(onnx.run_session, session),
        partial(openvino.run_compiled, compiled),
    )
    for run in runs:
        (expected,) = _Bright().detect([bright])
        assert torch.equal(run(bright)[1], expected["scores"])
        assert [len(output) for output in run(dark)] == [0, 0, 0]
        assert torch.equal(run(bright)[1], expected["scores"])
