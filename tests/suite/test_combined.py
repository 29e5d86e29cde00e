"""What contradicts is refused where the suite is read, in a sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.suite.load import load_suite
from harness.suite.schema import Budget

_SUITE = """suite: contradictory
datasets: {shapes: {format: synthetic, train: {images: 4}, val: {images: 4}}}
architectures: [%s]
%s
"""
_RETINA = "{name: retinanet_resnet50_fpn, weights: none}"


def _load(tmp_path: Path, rest: str, architecture: str = _RETINA) -> list[tuple[object, ...]]:
    path = tmp_path / "suite.yaml"
    path.write_text(_SUITE % (architecture, rest))
    found = [setting.hyperparameters for setting in load_suite(path).settings]
    return [(h.budget, h.epochs, h.milestones) for h in found]


def test_a_budget_is_part_of_every_trial(tmp_path: Path) -> None:
    """With epochs where these are known, and milestones that follow."""
    both = f"{_RETINA}, {{name: fasterrcnn_resnet50_fpn, weights: none}}"
    assert _load(tmp_path, "budget: {epochs: 13}", both) == [(Budget(epochs=13), 13, (8, 11))] * 2
    ((budget, epochs, milestones),) = _load(tmp_path, "budget: {minutes: 2.5}")
    assert (budget, epochs) == (Budget(minutes=2.5), None)
    assert milestones == (16 / 26, 22 / 26)


@pytest.mark.parametrize(
    ("rest", "architecture", "wanted"),
    [
        ("budget: {}", _RETINA, ":4: budget: takes exactly one of epochs, images and minutes"),
        ("budget: {epochs: 1, images: 2}", _RETINA, ":4: budget: takes exactly one"),
        ("budget: 12", _RETINA, ":4: budget: expected a mapping with epochs, images, minutes, got 12"),
        ("budget: {minutes: 0}", _RETINA, "budget.minutes: expected a number > 0"),
        ("budget: {epochs: 1}\nhyperparameters: {epochs: 2}", _RETINA, ":5: hyperparameters.epochs: epochs and budget"),
        ("budget: {epochs: 1}\nsweep: {epochs: [2]}", _RETINA, ":5: sweep.epochs: epochs and budget both say"),
        (
            "budget: {epochs: 1}\nsweep: {budget: [{minutes: 2}]}",
            _RETINA,
            ":5: sweep.budget: budget is set twice; remove",
        ),
        (
            "budget: {epochs: 1}",
            "{name: retinanet_resnet50_fpn, weights: none, hyperparameters: {epochs: 2}}",
            ":3: architectures[0].hyperparameters.epochs: epochs and budget both",
        ),
        (
            "",
            "{name: retinanet_resnet50_fpn, weights: none, hyperparameters: {budget: {epochs: 2}}}",
            "architectures[0].hyperparameters.budget: a budget is the same for all architectures",
        ),
        (
            "budget: {images: 9}\nhyperparameters: {milestones: [1]}",
            _RETINA,
            "milestones that are epochs do not fit a budget of images or minutes; write them as fractions",
        ),
        (
            "hyperparameters: {trainable_layers: 2}",
            "{name: retinanet_resnet50_fpn, model: {trainable_backbone_layers: 2}}",
            "trainable_layers and model.trainable_backbone_layers say the same thing",
        ),
        (
            "hyperparameters: {augmentation: multiscale}",
            "{name: ssd300_vgg16, weights: none}",
            "ssd300_vgg16: takes 300 pixels alone, so it cannot be trained at several sizes: remove multiscale",
        ),
    ],
)
def test_a_contradiction_is_told_at_its_line(rest: str, architecture: str, wanted: str, tmp_path: Path) -> None:
    """And nothing else."""
    with pytest.raises(SuiteError) as error:
        _load(tmp_path, rest, architecture)
    assert wanted in str(error.value)
    assert len(str(error.value).splitlines()) == 1


_ADAMW = "{name: fcos_resnet50_fpn, weights: none, hyperparameters: {optimizer: adamw%s}}"


@pytest.mark.parametrize(
    ("rest", "architecture", "wanted"),
    [
        (
            "hyperparameters: {optimizer: adamw, momentum: 0.8}",
            _RETINA,
            ":4: hyperparameters.momentum: has no effect with optimizer: adamw, only with sgd; remove it or change",
        ),
        (
            "hyperparameters: {nesterov: true, momentum: 0}",
            _RETINA,
            "nesterov is a kind of momentum, and momentum is 0",
        ),
        ("", _ADAMW % ", momentum: 0.8", ":3: architectures[0].hyperparameters.momentum: has no effect with optimizer"),
        ("sweep: {momentum: [0.8, 0.9]}", f"{_RETINA}, {_ADAMW % ''}", ":4: sweep.momentum: has no effect"),
        ("search: {trials: 2, over: {momentum: [0.8, 0.9]}}", _ADAMW % "", "search.over.momentum: has no effect"),
        ("hyperparameters: {schedule: cosine, milestones: [3]}", _RETINA, "hyperparameters.milestones: has no effect"),
        ("hyperparameters: {schedule: constant, gamma: 0.5}", _RETINA, "only with multistep or plateau; remove it or"),
        ("hyperparameters: {plateau_patience: 3}", _RETINA, "plateau_patience: has no effect with schedule: multistep"),
        ("hyperparameters: {repeat_threshold: 0.1}", _RETINA, "repeat_threshold: has no effect with class_balance: no"),
    ],
)
def test_a_hyperparameter_without_effect_is_refused(tmp_path: Path, rest: str, architecture: str, wanted: str) -> None:
    """Where it stands: trials that a sweep or a search makes of it would be one training many times."""
    with pytest.raises(SuiteError) as error:
        _load(tmp_path, rest, architecture)
    assert wanted in str(error.value)


@pytest.mark.parametrize(
    "rest",
    [
        "hyperparameters: {momentum: 0.8}",
        "hyperparameters: {gamma: 0.5}\nsweep: {schedule: [cosine, multistep]}",
        "search: {trials: 2, over: {gamma: [0.1, 0.5], schedule: [cosine, multistep]}}",
    ],
)
def test_a_hyperparameter_that_counts_somewhere_is_taken(tmp_path: Path, rest: str) -> None:
    """For one architecture of several, or at one point of a sweep or a search."""
    assert _load(tmp_path, rest, f"{_RETINA}, {_ADAMW % ''}" if "momentum" in rest else _RETINA)
