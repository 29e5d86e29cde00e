"""Each short form of a suite file stands for its long form, and what is none is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.suite.load import Setting, load_suite
from harness.suite.schema import ImageSize

_SUITE = """
suite: short
datasets: {{shapes: {{format: synthetic, train: {{images: 4}}, val: {{images: 4}}}}}}
architectures: [{{name: retinanet_resnet50_fpn, weights: none{choice}}}]
hyperparameters: {hyperparameters}
sweep: {sweep}
"""


def _load(
    tmp_path: Path, choice: str = "", hyperparameters: str = "{epochs: 1}", sweep: str = "{}"
) -> tuple[Setting, ...]:
    path = tmp_path / "suite.yaml"
    path.write_text(_SUITE.format(choice=choice, hyperparameters=hyperparameters, sweep=sweep))
    return load_suite(path).settings


def test_one_number_is_both_sides_and_left_out_it_is_the_native_size(tmp_path: Path) -> None:
    assert _load(tmp_path, ", image_size: 640")[0].architecture.image_size == ImageSize(min=640, max=640)
    assert _load(tmp_path)[0].architecture.image_size == ImageSize(min=800, max=1333)


def test_shared_in_place_of_hyperparameters_is_one_recipe_for_all(tmp_path: Path) -> None:
    assert _load(tmp_path, hyperparameters="shared")[0].hyperparameters.optimizer == "adamw"
    assert _load(tmp_path, choice=", hyperparameters: shared")[0].hyperparameters.optimizer == "adamw"


def test_a_preset_is_written_by_its_name_alone_or_swept(tmp_path: Path) -> None:
    (setting,) = _load(tmp_path, hyperparameters="{augmentation: lsj}")
    assert setting.hyperparameters.augmentation.scale_jitter == (0.1, 2.0)
    flip, lsj = _load(tmp_path, sweep="{augmentation: [flip, lsj]}")
    assert (flip.hyperparameters.augmentation.scale_jitter, flip.hyperparameters.augmentation.hflip) == (None, 0.5)
    assert lsj.hyperparameters.augmentation.scale_jitter == (0.1, 2.0)


@pytest.mark.parametrize(
    ("where", "wrong", "wanted"),
    [
        ("hyperparameters", "{augmentation: lsjj}", "suite.yaml:5: hyperparameters.augmentation: expected"),
        ("hyperparameters", "{augmentation: {hflop: 1}}", "hflip"),
        ("hyperparameters", "sharde", "suite.yaml:5: hyperparameters: expected shared or published or a mapping"),
        ("choice", ", image_size: 0", "image_size"),
        ("choice", ", image_size: big", "image_size: expected"),
        ("choice", ", backbone: resnet18", "retinanet_resnet50_fpn has no such option"),
        ("sweep", "{augmentation: [lsjj]}", "sweep.augmentation[0]"),
    ],
)
def test_what_is_no_short_form_is_refused_at_its_line(tmp_path: Path, where: str, wrong: str, wanted: str) -> None:
    with pytest.raises(SuiteError) as error:
        _load(tmp_path, **{where: wrong})
    assert wanted in str(error.value)


def test_a_backbone_beside_the_name_and_under_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"backbone: also under model; set backbone in one of the two"):
        _load(tmp_path, ", backbone: resnet18, model: {backbone: resnet34}")
