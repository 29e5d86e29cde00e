"""Any hyperparameter, image size, weights and option is an axis of a sweep, and what is none is told at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.suite.expand import plan_trials
from harness.suite.load import Setting, Suite, load_suite
from harness.suite.schema import Budget, EarlyStopping, ImageSize

_SUITE = """
suite: swept
datasets: {{shapes: {{format: synthetic, train: {{images: 4}}, val: {{images: 4}}}}}}
architectures: [{architecture}]
{rest}
"""
_RETINA = "{name: retinanet_resnet50_fpn, weights: none}"


def _suite(tmp_path: Path, rest: str, architecture: str = _RETINA) -> Suite:
    path = tmp_path / "suite.yaml"
    path.write_text(_SUITE.format(architecture=architecture, rest=rest))
    return load_suite(path)


def _settings(tmp_path: Path, sweep: str) -> tuple[Setting, ...]:
    return _suite(tmp_path, f"sweep: {sweep}").settings


@pytest.mark.parametrize(
    ("axis", "values", "found"),
    [
        ("ema", "[0, 0.99]", [None, 0.99]),
        ("trainable_layers", "[1, all]", [1, "all"]),
        ("batch_norm", "[frozen, train]", ["frozen", "train"]),
        ("backbone_lr_factor", "[0.1, 1]", [0.1, None]),
        ("recipe", "[published, shared]", ["published", "shared"]),
        ("budget", "[{epochs: 2}, {images: 9}]", [Budget(epochs=2), Budget(images=9)]),
    ],
)
def test_each_part_of_a_recipe_is_an_axis(axis: str, values: str, found: list[object], tmp_path: Path) -> None:
    """With the value that a trial has; the trials differ in their ids."""
    suite = _suite(tmp_path, f"sweep: {{{axis}: {values}}}")
    assert [getattr(setting.hyperparameters, axis) for setting in suite.settings] == found
    assert len({trial.trial_id for trial in plan_trials(suite, {"shapes": "f"}, max_images=None)}) == len(found)


def test_no_early_stopping_is_a_word_of_its_axis(tmp_path: Path) -> None:
    suite = _suite(tmp_path, "hyperparameters: {validate_every: 1}\nsweep: {early_stopping: [none, {patience: 1}]}")
    found = [setting.hyperparameters.early_stopping for setting in suite.settings]
    assert found == [None, EarlyStopping(patience=1)]
    assert len({trial.trial_id for trial in plan_trials(suite, {"shapes": "f"}, max_images=None)}) == 2
    (setting,) = _suite(tmp_path, "hyperparameters: {early_stopping: none}").settings
    assert setting.hyperparameters.early_stopping is None


def test_what_an_architecture_starts_from_is_an_axis(tmp_path: Path) -> None:
    """Image sizes in both forms, weights, and options."""
    (tmp_path / "mine.pt").write_bytes(b"weights")
    settings = _settings(tmp_path, "{image_size: [96, {min: 64, max: 128}]}")
    assert [s.architecture.image_size for s in settings] == [ImageSize(min=96, max=96), ImageSize(min=64, max=128)]
    suite = _suite(tmp_path, "sweep: {weights: [none, default, mine.pt]}", "retinanet_resnet50_fpn")
    assert [s.architecture.weights for s in suite.settings] == ["none", "default", str(tmp_path / "mine.pt")]
    assert suite.settings[2].architecture.weights_sha256 is not None
    settings = _settings(tmp_path, "{model.topk_candidates: [10, 20], augmentation: [flip, lsj]}")
    assert [s.architecture.model["topk_candidates"] for s in settings] == [10, 10, 20, 20]
    assert [s.hyperparameters.augmentation.scale_jitter for s in settings] == [None, (0.1, 2.0)] * 2


@pytest.mark.parametrize(
    ("sweep", "wanted"),
    [
        ("{image_sise: [96]}", "sweep.image_sise: unknown hyperparameter; did you mean image_size?"),
        ("{image_size: [big]}", "sweep.image_size: expected a mapping, got 'big'"),
        ("{milestones: [8]}", "sweep.milestones[0]: expected a list, got 8"),
        ("{image_size: [0]}", "sweep.image_size: expected greater than 0, got 0"),
        ("{weights: [nowhere.pt]}", "sweep.weights: expected default, backbone"),
        ("{model.topk_candidate: [1]}", "retinanet_resnet50_fpn has no such option; did you mean topk_candidates?"),
        ("{model.topk_candidates: [-1], lr: [1, 2]}", "topk_candidates: retinanet_resnet50_fpn takes an integer"),
        ("{batch_norm: [on]}", "sweep.batch_norm[0]: expected 'frozen', 'eval' or 'train', got 'on'"),
        ("{budget: [{epochs: 1, images: 2}]}", "takes exactly one of epochs, images and minutes"),
    ],
)
def test_what_is_no_value_of_an_axis_is_told_once(sweep: str, wanted: str, tmp_path: Path) -> None:
    """At the line of the sweep."""
    with pytest.raises(SuiteError) as error:
        _suite(tmp_path, f"sweep: {sweep}", "retinanet_resnet50_fpn")
    assert wanted in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/suite.yaml:5: sweep.")
    assert len(str(error.value).splitlines()) == 1


def test_an_axis_is_set_in_one_place(tmp_path: Path) -> None:
    """Also of the architecture's own keys."""
    own = "{name: retinanet_resnet50_fpn, weights: none, image_size: 64, model: {topk_candidates: 9}}"
    for sweep, place in (
        ("{image_size: [96]}", "image_size"), ("{weights: [none]}", "weights"),
        ("{model.topk_candidates: [5]}", "model.topk_candidates"),
    ):  # fmt: skip
        with pytest.raises(SuiteError, match=rf"architectures\[0\].{place}: also an axis of sweep; set .* in one of"):
            _suite(tmp_path, f"sweep: {sweep}", own)


def test_a_contradiction_that_a_swept_value_makes_is_told_at_the_sweep(tmp_path: Path) -> None:
    """With the architecture's name; one that is there without the sweep, at the hyperparameters."""
    lite = "{name: ssdlite320_mobilenet_v3_large, weights: none}"
    with pytest.raises(SuiteError) as error:
        _suite(tmp_path, "sweep: {batch_size: [1, 4]}", lite)
    assert ":5: sweep: ssdlite320_mobilenet_v3_large: trains on at least 2 images" in str(error.value)
    with pytest.raises(SuiteError) as error:
        _suite(tmp_path, "hyperparameters: {batch_size: 1}\nsweep: {lr: [0.1, 0.2]}", lite)
    assert ":5: hyperparameters: ssdlite320_mobilenet_v3_large: trains on at least 2 images" in str(error.value)


def test_a_backbone_is_one_axis(tmp_path: Path) -> None:
    """Before, one of the two names took effect in silence."""
    with pytest.raises(SuiteError, match=r"sweep\.model\.backbone: backbone, an axis too, says the same thing"):
        _suite(
            tmp_path, "sweep: {backbone: [resnet18], model.backbone: [resnet34]}", "{name: fcos_timm, weights: none}"
        )
