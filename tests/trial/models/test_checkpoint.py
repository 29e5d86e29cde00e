"""A checkpoint of any version of this harness loads, and a file that is none is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.errors import WeightsError
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial.models import checkpoint
from harness.trial.models.registry import family_of

NAME = "fasterrcnn_mobilenet_v3_large_fpn"
SIZE = ImageSize(min=64, max=96)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights, three frozen norms' worth of structure and a builder's option."""
    row = BUILT_IN[NAME]
    detector, _ = family_of(row).build(
        row, weights="none", classes=2, image_size=SIZE, options={"rpn_post_nms_top_n_test": 20}
    )
    for parameter in list(detector.module.parameters())[:3]:
        parameter.requires_grad = False
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    model = {"rpn_post_nms_top_n_test": 20}
    choice = TrialArchitecture(name=NAME, weights="none", weights_sha256=None, image_size=SIZE, model=model)
    checkpoint.save(path, detector, choice, ("disc", "ring"))
    return path


def _rewritten(saved: Path, path: Path, **changes: object) -> Path:
    content = torch.load(saved, weights_only=True) | changes
    torch.save({key: value for key, value in content.items() if value is not None}, path)
    return path


def test_a_checkpoint_of_version_0_2_loads(saved: Path, tmp_path: Path) -> None:
    """Format 1, which kept the frozen parts beside the others, gives the same detector."""
    structure = torch.load(saved, weights_only=True)["structure"]
    old = _rewritten(saved, tmp_path / "old.pt", harness_checkpoint=1, structure=None, **structure)
    new_model, new_names = checkpoint.load(saved)
    old_model, old_names = checkpoint.load(old)
    assert old_names == new_names == ("disc", "ring")
    assert checkpoint.state_sha256(old_model) == checkpoint.state_sha256(new_model)
    assert [p.requires_grad for p in old_model.parameters()] == [p.requires_grad for p in new_model.parameters()]
    assert not all(p.requires_grad for p in old_model.parameters())
    assert checkpoint.header(old) == checkpoint.header(saved)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"structure": None}, r"not a checkpoint of this harness \(lacks structure\)"),
        ({"harness_checkpoint": 3}, "a checkpoint of format 3; this version reads 1 and 2: update the harness"),
        ({"architecture": "yolo"}, "is a yolo, which this version does not know"),
        ({"classes": ["disc"]}, f"the state dict of {NAME} does not fit FasterRCNN"),
    ],
)
def test_what_is_none_is_refused(changes: dict[str, object], problem: str, saved: Path, tmp_path: Path) -> None:
    """With the reason, and what to do."""
    with pytest.raises(WeightsError, match=problem):
        checkpoint.load(_rewritten(saved, tmp_path / "w.pt", **changes))


def test_a_checkpoint_of_another_architecture_is_refused(saved: Path) -> None:
    """Where the architecture is given, the file must be of it."""
    with pytest.raises(WeightsError, match=f"is a {NAME}, expected a retinanet_resnet50_fpn"):
        checkpoint.load_detector(saved, BUILT_IN["retinanet_resnet50_fpn"])
