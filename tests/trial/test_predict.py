"""Detecting in a user's images: one that the detector cannot take is named, and the others are done."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from harness.store.shipping import FineTuned, ImageTask, PredictRequest, Thresholds
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial import predict
from harness.trial.models import checkpoint
from harness.trial.models.registry import family_of

NAME = "fasterrcnn_mobilenet_v3_large_fpn"
SIZE = ImageSize(min=64, max=128)


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> PredictRequest:
    """Two images, of which the first has no pixel left once its longer side is resized to 128."""
    folder = tmp_path_factory.mktemp("thin")
    detector, _ = family_of(BUILT_IN[NAME]).build(
        BUILT_IN[NAME], weights="none", classes=2, image_size=SIZE, options={"rpn_post_nms_top_n_test": 20}
    )
    choice = TrialArchitecture(
        name=NAME, weights="none", weights_sha256=None, image_size=SIZE, model={"rpn_post_nms_top_n_test": 20}
    )
    weights = folder / "weights.pt"
    checkpoint.save(weights, detector, choice, ("disc", "ring"))
    for name, shape in (("thin.png", (1, 300, 3)), ("whole.png", (40, 60, 3))):
        Image.fromarray(np.zeros(shape, dtype=np.uint8)).save(folder / name)
    return PredictRequest(
        model=FineTuned(weights=str(weights), record=None, import_folder=str(folder), architecture=None),
        device="cpu",
        threads=1,
        thresholds=Thresholds(by_class={}, default=0.05, source="made"),
        detections=10,
        images=tuple(ImageTask(file=name, path=str(folder / name), drawn=None) for name in ("thin.png", "whole.png")),
    )


def test_an_image_that_a_detector_cannot_take_is_named_and_the_others_are_done(request_: PredictRequest) -> None:
    found = predict.predict(request_)
    assert [image.file for image in found.images] == ["whole.png"]
    (thin,) = found.unreadable
    assert thin.file == "thin.png"
    assert thin.reason.startswith("the detector cannot take its 300 x 1 pixels: ")


def test_a_device_without_memory_is_no_fault_of_an_image(
    request_: PredictRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(predict, "_detect", full)
    with pytest.raises(torch.OutOfMemoryError):
        predict.predict(request_)
