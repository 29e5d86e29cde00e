"""Each row is libreyolo's network; weights come from its own files or not at all, and the head is the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from harness.errors import WeightsError
from harness.suite.catalog.yolo import ARCHITECTURES, YoloArchitecture
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial.models import checkpoint
from harness.trial.models.yolo import family
from harness.trial.models.yolo.detector import YoloDetector
from harness.trial.models.yolo.library import library

ROWS = {row.name: row for row in ARCHITECTURES}
SIZE = ImageSize(min=64, max=64)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _build(row: YoloArchitecture, weights: str, classes: int = 2) -> tuple[YoloDetector, str]:
    return family.build(row, weights=weights, classes=classes, image_size=SIZE, options={})


def _published(row: YoloArchitecture, path: Path, **changes: Any) -> dict[str, Tensor]:
    """A checkpoint as libreyolo publishes it, of random weights whose norms are not as new; returns its state dict."""
    torch.manual_seed(1)
    library_network = library().yolox if row.network == "yolox" else library().yolo9
    network = library_network(config=row.size, nb_classes=80)
    state = {
        name: torch.rand_like(value) + 0.5 if name.endswith("running_var") else value
        for name, value in network.state_dict().items()
    }
    metadata = {"schema_version": "1.0", "model_family": row.network, "size": row.size, "task": "detect", "nc": 80}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": state, "names": {0: "person"}, **metadata, **changes}, path)
    return state


@pytest.mark.parametrize("row", [row for row in ARCHITECTURES if row.network == "yolo9"], ids=lambda row: row.name)
def test_a_yolov9_has_the_parameters_of_its_row(row: YoloArchitecture) -> None:
    detector, _ = _build(row, "none", classes=80)
    assert sum(parameter.numel() for parameter in detector.module.parameters()) == row.parameters


@pytest.mark.parametrize("row", [row for row in ARCHITECTURES if row.network == "yolox"], ids=lambda row: row.name)
def test_a_yolox_has_the_parameters_and_operations_of_its_row(row: YoloArchitecture) -> None:
    with torch.device("meta"):
        detector, _ = _build(row, "none", classes=80)
        assert sum(parameter.numel() for parameter in detector.module.parameters()) == row.parameters
        detector.module.eval()
        with FlopCounterMode(display=False) as counter:
            detector.module(torch.zeros(1, 3, *row.image_size))
    assert row.gflops == pytest.approx(counter.get_total_flops() / 2e9, rel=0.05)


@pytest.mark.parametrize("name", ["yolox_nano", "yolov9_t"])
def test_the_published_file_is_taken_from_the_cache_with_a_new_head(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ROWS[name]
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="harness fetch"):
        _build(row, "default")
    file = row.published_files["default"]
    folder = tmp_path / f"models--{file.repo.replace('/', '--')}"  # type: ignore[union-attr] # of the hub
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    state = _published(row, folder / "snapshots" / COMMIT / file.file)  # type: ignore[union-attr]
    detector, head = _build(row, "default")
    assert head == "replaced"
    new = {name for name, value in detector.module.state_dict().items() if value.shape != state[name].shape}
    assert len(new) == 6  # weights and biases of three levels
    assert all(torch.equal(v, state[n]) for n, v in detector.module.state_dict().items() if n not in new)
    assert detector.structure()["letterbox"] == "topleft"  # as libreyolo reads a file that says nothing


def test_a_file_of_the_users_keeps_its_head_where_the_classes_are_as_many(tmp_path: Path) -> None:
    row, file = ROWS["yolov9_t"], tmp_path / "mine.pt"
    detector, _ = _build(row, "none")
    structure = TrialArchitecture(name=row.name, weights="none", weights_sha256=None, image_size=SIZE, model={})
    checkpoint.save(file, detector, structure, ("cat", "dog"))
    again, head = _build(row, str(file))
    assert head == "kept"
    assert again.structure() == detector.structure() == {"letterbox": "center"}
    assert all(torch.equal(a, b) for a, b in zip(again.module.parameters(), detector.module.parameters(), strict=True))
    assert _build(row, str(file), classes=5)[1] == "replaced"


def test_the_auxiliary_branch_of_a_file_is_dropped_and_its_letterbox_kept(tmp_path: Path) -> None:
    row, file = ROWS["yolov9_t"], tmp_path / "LibreYOLO9t.pt"
    state = _published(row, file)
    network = library().yolo9(config="t", nb_classes=80).enable_aux()
    network.load_state_dict(state, strict=False)
    torch.save({"model": network.state_dict(), "model_family": "yolo9", "size": "t", "letterbox_pad": "center"}, file)
    detector, _ = _build(row, str(file), classes=80)
    assert sum(parameter.numel() for parameter in detector.module.parameters()) == row.parameters
    assert detector.structure() == {"letterbox": "center"}


def test_a_fine_tuned_file_with_narrow_class_towers_loads(tmp_path: Path) -> None:
    """The library's own training from scratch makes towers as wide as the finest level: 64 channels of t, not 80."""
    file = tmp_path / "narrow.pt"
    torch.save({"model": library().yolo9(config="t", nb_classes=2).state_dict(), "model_family": "yolo9"}, file)
    detector, head = _build(ROWS["yolov9_t"], str(file))
    assert head == "kept"
    rebuilt = family.rebuild(
        ROWS["yolov9_t"],
        structure=detector.structure(),
        state=detector.module.state_dict(),
        classes=2,
        image_size=SIZE,
        options={},
    )
    assert rebuilt.module.state_dict()["head.cv3.0.0.conv.weight"].shape[0] == 64


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": "s"}, "its size is s"),
        ({"model_family": "yolo9"}, "its model_family is yolo9"),
        ({"task": "pose"}, "its task is pose"),
        ({"model": {"a": torch.zeros(1)}}, "no head.cls_preds.0.weight"),
        ({"model": {"a": 1}}, "expected a state dict"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    file = tmp_path / "other.pt"
    _published(ROWS["yolox_nano"], file, **changes)
    with pytest.raises(WeightsError, match=words):
        _build(ROWS["yolox_nano"], str(file))


@pytest.mark.parametrize("damage", ["missing", "unexpected"])
def test_a_missing_or_an_unexpected_weight_is_refused(tmp_path: Path, damage: str) -> None:
    row, file = ROWS["yolox_nano"], tmp_path / "damaged.pt"
    state = _published(row, file)
    if damage == "missing":
        del state["backbone.C3_p3.conv1.conv.weight"]
    else:
        state["backbone.more.weight"] = torch.zeros(1)
    torch.save({"model": state}, file)
    with pytest.raises(WeightsError, match="does not fit"):
        _build(row, str(file))


def test_an_image_size_at_which_norms_cannot_learn_is_refused() -> None:
    with pytest.raises(WeightsError, match="64 at least"):
        family.build(ROWS["yolox_nano"], weights="none", classes=2, image_size=ImageSize(min=32, max=32), options={})
