"""Detectors of the DETR family are built, trained, run, saved and built again, and heads alone are replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.errors import TrialError, WeightsError
from harness.suite.catalog import published
from harness.suite.catalog.architecture import HubFile
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial.models import checkpoint
from harness.trial.models.transformers import build as building
from harness.trial.models.transformers import family, network
from harness.trial.models.transformers.detector import TransformersDetector
from tests.trial.models.transformers.tiny import MAIN_NAMES, NAMES, tiny

SIZE = ImageSize(min=64, max=96)
SQUARE = ImageSize(min=64, max=64)


def detector_of(name: str, classes: int = 3, **config: Any) -> TransformersDetector:
    torch.manual_seed(0)
    row = tiny(name, **config)
    size = SQUARE if row.resize == "square" else SIZE
    detector, head = family.build(row, weights="none", classes=classes, image_size=size, options={})
    assert head == "new"
    return detector


def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, height, width, generator=generator) for height, width in ((80, 100), (64, 64), (90, 60))]


def targets() -> list[dict[str, Tensor]]:
    return [
        {"boxes": torch.tensor([[10.0, 10, 50, 60], [0, 0, 30, 30]]), "labels": torch.tensor([1, 3])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
        {"boxes": torch.tensor([[10.0, 10, 50, 60]]), "labels": torch.tensor([2])},
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_step_reaches_every_parameter(name: str) -> None:
    """In a batch with an image without boxes; batches of one image, and of none with boxes, have a finite loss too."""
    detector = detector_of(name)
    sum(detector.losses(images(), targets()).values(), start=torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    assert not [n for n, p in detector.module.named_parameters() if p.requires_grad and p.grad is None]
    for some in (slice(0, 1), slice(1, 2)):
        total = sum(detector.losses(images()[some], targets()[some]).values(), start=torch.zeros(()))
        assert torch.isfinite(total)
    with torch.autocast("cpu", torch.bfloat16):
        half = detector.losses(images(), targets())
    assert all(torch.isfinite(part) for part in half.values())
    detector.set_training_scale(1.5)
    assert all(torch.isfinite(part) for part in detector.losses(images()[:1], targets()[:1]).values())


@pytest.mark.parametrize("name", MAIN_NAMES)
def test_a_saved_detector_finds_the_same_again(name: str, tmp_path: Path) -> None:
    """Its file alone says how the network is built; detections lie inside the images, with labels from 1."""
    detector = detector_of(name)
    sum(detector.losses(images(), targets()).values(), start=torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in detector.module.parameters():
            parameter.sub_(1e-3 * parameter.grad if parameter.grad is not None else 0)
    detector.module.eval()
    row = tiny(name)
    size = SQUARE if row.resize == "square" else SIZE
    choice = TrialArchitecture(name=name, weights="none", weights_sha256=None, image_size=size, model={})
    file = tmp_path / "last.pt"
    checkpoint.save(file, detector, choice, ("a", "b", "c"))
    again, classes = checkpoint.load_detector(file)  # of the catalogue's own row, which has another network
    assert classes == ("a", "b", "c")
    with torch.inference_mode():
        for before, after, image in zip(detector.detect(images()), again.detect(images()), images(), strict=True):
            assert len(before["boxes"])
            assert all(torch.equal(before[key], after[key]) for key in ("boxes", "scores", "labels"))
            assert before["scores"].tolist() == sorted(before["scores"].tolist(), reverse=True)
            assert set(before["labels"].tolist()) <= {1, 2, 3}
            height, width = image.shape[-2:]
            assert before["boxes"].min() >= 0
            assert (before["boxes"][:, 2] <= width).all()
            assert (before["boxes"][:, 3] <= height).all()
        again.set_postprocessing(score_threshold=0.0, detections=5)
        assert [len(found["boxes"]) for found in again.detect(images())] == [5, 5, 5]
        again.set_postprocessing(score_threshold=1.0, detections=5)
        assert [len(found["boxes"]) for found in again.detect(images())] == [0, 0, 0]
    marks: list[int] = []
    with again.mark_phases(lambda: marks.append(1)):
        again.detect(images()[:1])
    assert len(marks) == 2


@pytest.mark.parametrize("name", MAIN_NAMES)
def test_published_weights_keep_all_but_the_class_heads(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are found in the hub's cache, without any network; a head of as many classes is new as well."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    source = building.untrained(tiny(name), 3, {}, live_norms=False)  # its norms are frozen, as published ones' are
    file = BUILT_IN[name].published_files["default"]
    assert isinstance(file, HubFile)
    folder = published.location(file).parent
    source.save_pretrained(folder)  # type: ignore[operator]
    for classes in (5, 3):
        row = tiny(name)
        size = SQUARE if row.resize == "square" else SIZE
        found, head = family.build(row, weights="default", classes=classes, image_size=size, options={})
        assert head == "replaced"
        state, before = found.module.state_dict(), source.state_dict()
        heads = {key for key in state if network.is_head(key)}
        assert heads
        assert all(torch.equal(state[key], before[key]) for key in state if key not in heads and key in before)
        assert any(
            not torch.equal(state[key], before[key]) for key in heads if state[key].shape == before[key].shape
        ) or (classes == 5)
        found.losses(images(), targets())


def test_a_folder_of_the_user_keeps_its_head_for_as_many_classes(tmp_path: Path) -> None:
    """And one that does not fit says what is wrong with it."""
    row = tiny("dfine_n")
    detector_of("dfine_n").module.save_pretrained(tmp_path / "own")  # type: ignore[operator]
    for classes, expected in ((3, "kept"), (4, "replaced")):
        _, head = family.build(row, weights=str(tmp_path / "own"), classes=classes, image_size=SQUARE, options={})
        assert head == expected
    with pytest.raises(WeightsError, match="is a d_fine, expected a rt_detr_v2"):
        family.build(tiny("rtdetr_v2_r18vd"), weights=str(tmp_path / "own"), classes=3, image_size=SQUARE, options={})
    config = json.loads((tmp_path / "own" / "config.json").read_text())
    (tmp_path / "own" / "config.json").write_text(json.dumps({**config, "decoder_ffn_dim": 128}))
    with pytest.raises(WeightsError, match=r"own: cannot be loaded|tensors are missing or left over"):
        family.build(row, weights=str(tmp_path / "own"), classes=3, image_size=SQUARE, options={})
    (tmp_path / "own" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="own: cannot be loaded"):
        family.build(row, weights=str(tmp_path / "own"), classes=3, image_size=SQUARE, options={})


def test_a_training_starts_from_what_another_ended_with(tmp_path: Path) -> None:
    """A checkpoint of this program is a file of weights like any other."""
    detector = detector_of("detr_resnet_50")
    choice = TrialArchitecture(name="detr_resnet_50", weights="none", weights_sha256=None, image_size=SIZE, model={})
    checkpoint.save(tmp_path / "last.pt", detector, choice, ("a", "b", "c"))
    row = tiny("detr_resnet_50")
    for classes, expected in ((3, "kept"), (4, "replaced")):
        found, head = family.build(row, weights=str(tmp_path / "last.pt"), classes=classes, image_size=SIZE, options={})
        assert head == expected
        assert torch.equal(next(found.module.parameters()), next(detector.module.parameters()))
    with pytest.raises(WeightsError, match="is a checkpoint of 'detr_resnet_50', expected one of dfine_n"):
        family.build(tiny("dfine_n"), weights=str(tmp_path / "last.pt"), classes=3, image_size=SIZE, options={})


def test_weights_that_are_not_on_this_machine_say_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message, without a traceback of the library's."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"dfine-nano-coco/config.json is not in the cache .*harness fetch SUITE"):
        family.build(tiny("dfine_n"), weights="default", classes=3, image_size=SQUARE, options={})


def test_an_image_has_room_for_the_queries() -> None:
    """Otherwise the choice of the best places among too few fails deep in the library."""
    row = tiny("rtdetr_v2_r18vd", num_queries=300)
    with pytest.raises(
        TrialError, match=r"at image_size 64 its feature maps have 84 places for 300 queries.*queries: 84"
    ):
        family.build(row, weights="none", classes=3, image_size=SQUARE, options={})
    detector, _ = family.build(row, weights="none", classes=3, image_size=SQUARE, options={"queries": 84})
    detector.module.eval()
    detector.set_postprocessing(score_threshold=0.0, detections=1000)
    assert len(detector.detect(images()[:1])[0]["boxes"]) == 84


def test_no_training_scale_leaves_fewer_places_than_queries() -> None:
    """RF-DETR's own range would take its smallest to 224 pixels, with 196 places for 300 queries."""
    row = BUILT_IN["rfdetr_nano"]
    with torch.device("meta"):
        detector, _ = family.build(row, weights="none", classes=2, image_size=ImageSize(min=384, max=384), options={})
    for scale, side in ((0.6, 288), (0.9, 352), (1.0, 384)):
        detector.set_training_scale(scale)
        assert detector._preparation.size(100, 80, detector._scale) == (side, side)
