"""Losses are the library's, and a network that answers perfectly detects exactly what is labelled."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from harness.suite.schema import ImageSize
from harness.trial.models.transformers import network, outputs, pixels
from harness.trial.models.transformers.detector import TransformersDetector
from harness.trial.models.transformers.pixels import Preparation
from tests.trial.models.transformers.test_family import detector_of, images, targets
from tests.trial.models.transformers.tiny import MAIN_NAMES, tiny


@pytest.mark.parametrize("name", MAIN_NAMES)
def test_the_parts_sum_to_the_librarys_loss(name: str) -> None:
    """With its own weights; denoising queries have parts of their own, and matching ones are the main loss."""
    detector = detector_of(name, dropout=0.0) if name != "yolos_tiny" else detector_of(name)
    batch = detector._batch(images(), 1.0)
    labels = pixels.labels(images(), targets(), detector._covered(batch))
    mask = {} if batch.mask is None else {"pixel_mask": batch.mask}
    torch.manual_seed(3)
    whole = detector.module(pixel_values=batch.pixels, labels=labels, **mask)
    torch.manual_seed(3)
    parts = detector.losses(images(), targets())
    assert float(sum(part.detach() for part in parts.values())) == pytest.approx(float(whole.loss.detach()), rel=1e-5)
    denoising = {"rt_detr_v2", "d_fine", "deimv2"}
    assert ("loss_bbox_dn" in parts) == (detector.config.model_type in denoising)


@pytest.mark.parametrize(
    "name",
    [
        "rtdetr_v2_r18vd",
        pytest.param("dfine_n", marks=pytest.mark.slow),
        pytest.param("deimv2_n", marks=pytest.mark.slow),
    ],
)
def test_the_main_loss_is_over_the_matching_queries(name: str) -> None:
    """Transformers before 5.19 took denoising queries, which know the answer, for it (its pull request 48528)."""
    # DEIMv2 matches more boxes with the help of the layers before the last, which are left out here.
    detector = detector_of(name, **({"use_dense_one_to_one": False} if name == "deimv2_n" else {}))
    torch.manual_seed(3)
    batch = detector._batch(images(), 1.0)
    labels = pixels.labels(images(), targets(), None)
    result = detector.module(pixel_values=batch.pixels, labels=labels)
    queries = detector.config.num_queries
    matching = SimpleNamespace(logits=result.logits[:, -queries:], boxes=result.pred_boxes[:, -queries:])
    assert result.logits.shape[1] > queries
    criterion = detector.module.loss_function
    config = network.configuration(
        detector.config.model_type, {**detector.config.to_dict(), "auxiliary_loss": False}, classes=3
    )
    main, _, _ = criterion(matching.logits, labels, torch.device("cpu"), matching.boxes, config)  # type: ignore[operator]
    own = [name for name in result.loss_dict if not any(mark in name for mark in ("_aux", "_dn"))]
    assert float(main.detach()) == pytest.approx(sum(float(result.loss_dict[key].detach()) for key in own), rel=1e-5)


class _Oracle(nn.Module):
    """A network whose queries are the labelled boxes themselves."""

    def __init__(self, model_type: str, classes: int) -> None:
        super().__init__()
        row = {"detr": "detr_resnet_50", "yolos": "yolos_tiny", "rt_detr_v2": "rtdetr_v2_r18vd"}[model_type]
        self.config = network.configuration(model_type, tiny(row).config, classes=classes)
        self.labels: list[dict[str, torch.Tensor]] = []

    def forward(self, pixel_values: torch.Tensor, **_: object) -> SimpleNamespace:
        count = self.config.num_labels + (self.config.model_type != "rt_detr_v2")
        logits = torch.full((len(pixel_values), 4, count), -20.0)
        boxes = torch.full((len(pixel_values), 4, 4), 0.5)
        logits[..., -1] = 20.0 if count > self.config.num_labels else -20.0
        for image, label in enumerate(self.labels):
            for query, (box, wanted) in enumerate(zip(label["boxes"], label["class_labels"], strict=True)):
                boxes[image, query] = box
                logits[image, query, -1] = -20.0
                logits[image, query, wanted] = 20.0
        return SimpleNamespace(logits=logits, pred_boxes=boxes)


@pytest.mark.parametrize("model_type", ["rt_detr_v2", "detr", "yolos"])
def test_a_perfect_answer_is_what_was_labelled(model_type: str) -> None:
    """Through the resize, the padding and back: boxes in the image's own pixels, labels from 1."""
    oracle = _Oracle(model_type, classes=3)
    preparation = Preparation(
        image_size=ImageSize(min=64, max=96),
        square=model_type == "rt_detr_v2",
        multiple=16,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    detector = TransformersDetector(oracle, preparation)
    batch = preparation.batch(images())
    oracle.labels = pixels.labels(images(), targets(), detector._covered(batch))
    detector.set_postprocessing(score_threshold=0.5, detections=100)
    for found, target in zip(detector.detect(images()), targets(), strict=True):
        order = torch.argsort(found["labels"])
        assert found["labels"][order].tolist() == target["labels"].tolist()
        torch.testing.assert_close(found["boxes"][order], target["boxes"], atol=1e-3, rtol=0)


def test_a_query_may_be_two_detections_where_classes_have_sigmoids() -> None:
    """As the library ranks them: the best of all queries times classes, as many as there are queries."""
    logits = torch.tensor([[[3.0, 2.0, -9.0], [-9.0, -9.0, 1.0]]])
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.2, 0.2, 0.8, 0.1]]])
    (found,) = outputs.detections(logits, boxes, [(100, 200)], None, softmax=False, score_threshold=0.0, limit=100)
    assert found["labels"].tolist() == [1, 2]
    assert found["boxes"].tolist() == [[pytest.approx(v, abs=1e-4) for v in (80, 40, 120, 60)]] * 2
