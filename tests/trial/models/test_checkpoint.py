"""A checkpoint of any version of this harness loads, and a file that is none is refused with a reason."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.errors import WeightsError
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial.models import checkpoint
from harness.trial.models.registry import family_of
from tests.store.make import make_folder, make_record, make_trial

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
        ({"structure": None}, "not a checkpoint of this harness (lacks structure)"),
        ({"harness_checkpoint": 3}, "a checkpoint of format 3; this version reads 1 and 2: update the harness"),
        ({"architecture": "yolo"}, "is a yolo, which this version does not know"),
        ({"architecture": 5}, "not a checkpoint of this harness (architecture: Input should be a valid string)"),
        ({"architecture": ["x"]}, "architecture: Input should be a valid string"),
        ({"classes": "ab"}, "classes: Input should be a valid list"),
        ({"classes": []}, "classes: List should have at least 1 item"),
        ({"classes": [1, 2]}, "classes.0: Input should be a valid string"),
        ({"image_size": 64}, "image_size: Input should be a valid list"),
        ({"image_size": [64]}, "image_size: List should have at least 2 items"),
        (
            {"image_size": ["64", -1]},
            "image_size.0: Input should be a valid integer; image_size.1: Input should be greater",
        ),
        ({"model": [1]}, "model: Input should be a valid dictionary"),
        (
            {"model": {"rpn_post_nms_top_n_test": "many"}},
            f"sets rpn_post_nms_top_n_test to a text, and {NAME} takes a number",
        ),
        ({"model": {"no_such_option": 3}}, f"sets no_such_option, which this version's {NAME} does not take"),
        ({"structure": 3}, "structure: Input should be a valid dictionary"),
        ({"structure": {}}, f"no {NAME} can be built of what it holds: KeyError"),
        ({"structure": {"frozen_norms": 3, "frozen_parameters": []}}, f"no {NAME} can be built of what it holds"),
        ({"structure": {"frozen_norms": {"x.y": 0.1}, "frozen_parameters": []}}, f"no {NAME} can be built of what"),
        ({"structure": {"frozen_norms": {}, "frozen_parameters": [[1]]}}, f"no {NAME} can be built of what it holds"),
        ({"state_dict": [1]}, "state_dict: Input should be a valid dictionary"),
        ({"state_dict": {"a": 1}}, "state_dict.a: Input should be an instance of Tensor"),
        ({"harness_checkpoint": torch.ones(2)}, "(harness_checkpoint: tensor"),
        ({"harness_checkpoint": "x" * 1000}, "(harness_checkpoint: 'xxxx"),
        ({"classes": ["disc"]}, f"the state dict of {NAME} does not fit FasterRCNN"),
    ],
)
def test_what_is_none_is_refused(changes: dict[str, object], problem: str, saved: Path, tmp_path: Path) -> None:
    """With the reason, and what to do."""
    with pytest.raises(WeightsError, match=re.escape(problem)):
        checkpoint.load(_rewritten(saved, tmp_path / "w.pt", **changes))


def _flipped(saved: Path, path: Path, at: float, count: int) -> Path:
    """A copy with bytes flipped, from this fraction of the file on."""
    content = bytearray(saved.read_bytes())
    start = int(len(content) * at)
    content[start : start + count] = bytes(255 - byte for byte in content[start : start + count])
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("at", [0.0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("count", [1, 4000])
def test_flipped_bytes_are_refused_or_change_nothing(at: float, count: int, saved: Path, tmp_path: Path) -> None:
    """Weights, names of classes or the archive around them; what lies between its parts is nobody's."""
    flipped = _flipped(saved, tmp_path / "w.pt", at, count)
    try:
        model, names = checkpoint.load(flipped)
    except WeightsError:
        return
    whole, _ = checkpoint.load(saved)
    assert names == ("disc", "ring")
    assert checkpoint.state_sha256(model) == checkpoint.state_sha256(whole)
    assert (at, count) != (0.5, 4000)


def test_a_flipped_bit_of_a_weight_is_named(saved: Path, tmp_path: Path) -> None:
    """By the part of the file, with what to do."""
    with pytest.raises(WeightsError, match=r"is damaged \(a checksum in it does not fit: .*\); put back a sound copy"):
        checkpoint.load(_flipped(saved, tmp_path / "w.pt", 0.5, 4000))
    with pytest.raises(WeightsError, match="is damaged"):
        checkpoint.header(tmp_path / "w.pt")


def _in_a_trial(root: Path, saved: Path, digest: str) -> Path:
    """The weights where a trial keeps them, beside a record that has this hash of them."""
    made = make_record(make_trial())
    made = replace(made, model=replace(made.model, state_sha256=digest, checkpoint="checkpoints/weights.pt"))
    weights = make_folder(root, [made]).trial(made.trial.trial_id).checkpoints / "weights.pt"
    weights.parent.mkdir(exist_ok=True)
    shutil.copy(saved, weights)
    return weights


def test_weights_are_those_of_their_record(saved: Path, tmp_path: Path) -> None:
    """Sound ones of another training in their place are refused; elsewhere nothing says whose they are."""
    model, _ = checkpoint.load(saved)
    digest = checkpoint.state_sha256(model)
    own = _in_a_trial(tmp_path / "own", saved, digest)
    assert checkpoint.load(own)[1] == ("disc", "ring")
    other = _in_a_trial(tmp_path / "other", saved, digest[::-1])
    record = other.parent.parent / "record.json"
    with pytest.raises(WeightsError, match=f"{other}: is not the file that {record} was made with"):
        checkpoint.load(other)
    linked = other.rename(tmp_path / "elsewhere.pt")
    other.symlink_to(linked)
    with pytest.raises(WeightsError, match="damaged or replaced"):
        checkpoint.load(other)
    assert checkpoint.load(linked)[1] == ("disc", "ring")


def test_weights_beside_a_record_that_cannot_be_read_are_not_compared(
    saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A line of the log says so."""
    weights = _in_a_trial(tmp_path, saved, "0" * 64)
    (weights.parent.parent / "record.json").write_text("{")
    assert checkpoint.load(weights)[1] == ("disc", "ring")
    assert "cannot be compared with its record" in caplog.text


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder"])
def test_what_is_no_file_is_not_read(kind: str, tmp_path: Path) -> None:
    """Reading it might never end."""
    path = {"a pipe": tmp_path / "w.pt", "a device": Path("/dev/zero"), "a folder": tmp_path}[kind]
    if kind == "a pipe":
        os.mkfifo(path)
    with pytest.raises(WeightsError, match=f"{path}: is no file"):
        checkpoint.load(path)


def test_a_checkpoint_of_another_architecture_is_refused(saved: Path) -> None:
    """Where the architecture is given, the file must be of it."""
    with pytest.raises(WeightsError, match=f"is a {NAME}, expected a retinanet_resnet50_fpn"):
        checkpoint.load_detector(saved, BUILT_IN["retinanet_resnet50_fpn"])
