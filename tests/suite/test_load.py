"""A suite file is checked whole: every problem at once, each with its line and what is allowed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.suite import load
from harness.suite.load import MAX_TRIALS, Suite, json_schema, load_suite
from tests.conftest import ROOT

GOOD = """\
suite: conveyor
datasets:
  shapes: {format: synthetic, train: {images: 4}, val: {images: 2}}
architectures:
  - fasterrcnn_resnet50_fpn
  - name: retinanet_resnet50_fpn
    weights: none
    hyperparameters: {lr: 0.005}
hyperparameters: {epochs: 13, batch_size: 8}
"""


def _load(tmp_path: Path, text: str) -> Suite:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return load_suite(path)


def _problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(SuiteError) as error:
        _load(tmp_path, text)
    return tuple(problem.removeprefix(f"{tmp_path}/") for problem in error.value.problems)


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    """Wrong types, unknown keys with a near match, unknown names, missing files: one pass, in the order of the file."""
    found = _problems(tmp_path, """\
suite: con veyor
datasets:
  parts:
    format: coco
    train: {images: nope, annotations: nope.json}
    val: {images: nope}
  other: {format: vos}
architectures:
  - fasterrcnn_resnet50_fp
  - name: retinanet_resnet50_fpn
    image_size: {min: high}
    hyperparameter: {lr: 1e-4}
hyperparameters: {epochs: yes, precision: fp8}
seeds: []
""")  # fmt: skip
    for start in (
        "s.yaml:1: suite: a name is letters",
        "s.yaml:5: datasets.parts.train.annotations: no such file or folder: nope.json (looked in",
        "s.yaml:5: datasets.parts.train.images: no such folder: nope",
        "s.yaml:6: datasets.parts.val.annotations: missing",
        "s.yaml:7: datasets.other.format: unknown format vos; known: auto, coco, ",
        "s.yaml:9: architectures[0].name: unknown architecture 'fasterrcnn_resnet50_fp'; did you mean fasterrcnn_res",
        "s.yaml:11: architectures[1].image_size.min: expected an integer > 0, got 'high'",
        "s.yaml:12: architectures[1].hyperparameter: unknown key; did you mean hyperparameters?",
        "s.yaml:13: hyperparameters.epochs: expected an integer > 0, got 'yes'",
        "s.yaml:13: hyperparameters.precision: expected fp32 or bf16 or fp16, got 'fp8'",
        "s.yaml:14: seeds: expected a list that is not empty, got []",
    ):
        assert any(problem.startswith(start) for problem in found), start
    lines = [int(problem.split(":")[1]) for problem in found]
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("sweep: {lr: [0.1, -1]}", "s.yaml:10: sweep.lr[1]: expected greater than 0"),
        ("sweep: {learning_rate: [0.1]}", "sweep.learning_rate: unknown hyperparameter"),
        ("sweep: {lr: [0.1]}", "architectures[1].hyperparameters.lr: also an axis of sweep"),
        ("seeds: [1, 1]", "s.yaml:10: seeds: expected each seed once"),
        ("protocol: fast", "s.yaml:10: protocol.level: expected quick or standard or publish, got 'fast'"),
        ("protocol: {warmup: 3}", "protocol.warmup: expected an integer ≥ 10, got 3"),
        ("sweeps: {}", "s.yaml:10: sweeps: unknown key; did you mean sweep?"),
    ],
)
def test_each_rule_names_its_place(change: str, said: str, tmp_path: Path) -> None:
    """One broken rule, one line with the place."""
    assert any(said in problem for problem in _problems(tmp_path, f"{GOOD}{change}\n"))


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("{name: retinanet_resnet50_fpn, model: {topk: 5}}", "model.topk: retinanet_resnet50_fpn has no such option"),
        ("{name: retinanet_resnet50_fpn, image_size: {min: 900, max: 800}}", "min 900 is larger than max 800"),
        ("{name: retinanet_resnet50_fpn, model: {trainable_backbone_layers: 9}}", "takes at most 5, got 9"),
        ("{name: dfine_n, weights: none, model: {queries: 0}}", "queries: dfine_n takes an integer ≥ 1, got 0"),
        ("{name: fcos_timm, model: {fpn_channels: 96.5}}", "fpn_channels: fcos_timm takes a multiple of 32 ≥ 64, got"),
        ("{name: fcos_timm, model: {fpn_channels: 100}}", "fpn_channels: fcos_timm takes a multiple of 32 ≥ 64, got 1"),
        ("DFINE_N", "unknown architecture 'DFINE_N'; did you mean dfine_n?"),
        ("{name: ssd300_vgg16, image_size: 512}", "image_size: ssd300_vgg16 takes 300 alone; remove image_size"),
        (
            "{name: ssdlite320_mobilenet_v3_large, weights: backbone}",
            "takes default, none or a file of weights (ssdlite320_mobilenet_v3_large_full_tail takes backbone), got",
        ),
        (
            "{name: ssdlite320_mobilenet_v3_large_full_tail, weights: default}",
            "takes backbone, none or a file of weights (ssdlite320_mobilenet_v3_large takes default), got default",
        ),
        (
            "{name: ssdlite320_mobilenet_v3_large, hyperparameters: {batch_size: 4, accumulate: 4}}",
            "trains on at least 2 images at once, got 1: raise batch_size or lower accumulate",
        ),
        ("{name: retinanet_resnet50_fpn, weights: none, model: {trainable_backbone_layers: 2}}", "has no effect"),
        (
            "{name: retinanet_resnet50_fpn, model: {freeze: 2}}",
            "model.freeze: retinanet_resnet50_fpn has no such option; did you mean trainable_backbone_layers? 0 ",
        ),
        (
            "{name: retinanet_resnet50_fpn, freeze_backbone: true}",
            "[0].freeze_backbone: unknown key; did you mean trainable_backbone_layers under model of an architecture?",
        ),
        (
            "{name: retinanet_resnet50_fpn, hyperparameters: {frozen_layers: 3}}",
            "frozen_layers: unknown key; did you mean trainable_backbone_layers under model of an architecture?",
        ),
        (
            "{name: retinanet_resnet50_fpn, model: {topk_candidates: 1.5}}",
            "model.topk_candidates: retinanet_resnet50_fpn takes an integer ≥ 0, got 1.5",
        ),
        (
            "{name: retinanet_resnet50_fpn, model: {anchor_sizes: [16, 32, 64]}}",
            "model.anchor_sizes: retinanet_resnet50_fpn takes a list of 5 entries, one for each feature map from",
        ),
        (
            "{name: fasterrcnn_mobilenet_v3_large_fpn, model: {anchor_sizes: [[16, 32], [64], 128]}}",
            "a number > 0 or a list of such, everywhere as many, got [[16, 32], [64], 128]",
        ),
        (
            "{name: retinanet_resnet50_fpn, model: {anchor_sizes: [1, 2, 0, 4, 5]}}",
            "each a number > 0 or a list of such",
        ),
        (
            "{name: retinanet_resnet50_fpn, model: {aspect_ratios: 2}}",
            "model.aspect_ratios: retinanet_resnet50_fpn takes",
        ),
        ("{name: retinanet_resnet50_fpn, model: {aspect_ratios: []}}", "takes a list of numbers > 0, got []"),
        (
            "{name: retinanet_resnet50_fpn, model: {image_mean: [0.5]}}",
            "takes three numbers, for red, green and blue",
        ),
        (
            "{name: retinanet_resnet50_fpn, model: {image_std: [0.5, 0, 0.5]}}",
            "takes three numbers > 0, for red, gr",
        ),
        (
            "{name: retinanet_resnet50_fpn, model: {image_std: [a, b, c]}}",
            "> 0, for red, green and blue, got ['a', 'b', ",
        ),
        (f"{{name: retinanet_resnet50_fpn, weights: {'x' * 300}.pth}}", "File name too long"),
        ("{name: retinanet_resnet50_fpn, weights: gone.pth}", "no such file or folder: gone.pth"),
        ("{name: retinanet_resnet50_fpn, hyperparameters: {batch_size: 3, accumulate: 2}}", "cannot be divided into"),
        (
            "{name: retinanet_resnet50_fpn, hyperparameters: {augmentation: {scale_jitter: [2, 1]}}}",
            "[smallest, largest]",
        ),
    ],
)
def test_architectures_are_checked_against_the_catalogue(architecture: str, said: str, tmp_path: Path) -> None:
    """What the types cannot say is still said before the night."""
    text = GOOD.replace("  - fasterrcnn_resnet50_fpn\n", f"  - {architecture}\n")
    assert any(said in problem for problem in _problems(tmp_path, text))


def test_recipes_fill_what_is_open_and_the_rate_follows_the_batch(tmp_path: Path) -> None:
    """SGD: lr × batch/16; milestones keep their share of the epochs; an architecture's own value wins."""
    suite = _load(tmp_path, GOOD)
    faster, retina = (setting.hyperparameters for setting in suite.settings)
    assert faster.lr == pytest.approx(0.02 * 8 / 16)
    assert faster.milestones == (8, 11)
    assert faster.weight_decay == 1e-4
    assert retina.lr == 0.005
    adamw = (
        _load(tmp_path, GOOD.replace("batch_size: 8", "batch_size: 4, optimizer: adamw")).settings[0].hyperparameters
    )
    assert adamw.lr == pytest.approx(1e-4 * 0.5)
    assert adamw.weight_decay == 0.05


def test_nested_hyperparameters_merge(tmp_path: Path) -> None:
    """An architecture that sets one augmentation keeps the suite's other one."""
    text = GOOD.replace("batch_size: 8", "batch_size: 8, augmentation: {scale_jitter: [0.5, 2]}").replace(
        "{lr: 0.005}", "{augmentation: {hflip: 0.0}}"
    )
    own = _load(tmp_path, text).settings[1].hyperparameters.augmentation
    assert (own.hflip, own.scale_jitter) == (0.0, (0.5, 2.0))


def test_protocol_levels_and_overrides(tmp_path: Path) -> None:
    """A bare level, or a mapping over it."""
    assert _load(tmp_path, GOOD).protocol.latency_images == 200
    assert _load(tmp_path, f"{GOOD}protocol: publish\n").protocol.latency_s == 60
    quick = _load(tmp_path, f"{GOOD}protocol: {{level: quick, throughput_batch_size: 2}}\n").protocol
    assert (quick.level, quick.latency_s, quick.throughput_batch_size) == ("quick", 0.0, 2)


def test_schema_is_a_json_schema_that_knows_the_short_forms() -> None:
    """Editors accept a bare architecture name and a bare protocol level; the text is JSON."""
    schema = json.loads(json.dumps(json_schema()))
    assert "retinanet_resnet50_fpn" in schema["properties"]["architectures"]["items"]["anyOf"][0]["enum"]
    assert "quick" in schema["properties"]["protocol"]["anyOf"][0]["enum"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("name", ["smoke", "quickstart"])
def test_shipped_suites_load(name: str) -> None:
    """The suites of the repository are sound as they are."""
    assert load_suite(ROOT / "suites" / f"{name}.yaml").name == name


def _axis(count: int) -> str:
    return f"[{', '.join(str(1e-3 + 1e-6 * number) for number in range(count))}]"


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (
            f"sweep: {{lr: {_axis(100)}, weight_decay: {_axis(100)}, momentum: {_axis(100)}}}\n",
            "10: sweep: 1 dataset × 2 architectures × 1,000,000 points of the sweep × 1 seed make 2,000,000 trials",
        ),
        (
            f"seeds: {list(range(6000))}\n",
            "10: seeds: 1 dataset × 2 architectures × 1 point of the sweep × 6,000 seeds make 12,000 trials",
        ),
        (
            f"sweep: {{weight_decay: {_axis(60)}}}\nseeds: {list(range(100))}\n",
            "11: seeds: 1 dataset × 2 architectures × 60 points of the sweep × 100 seeds make 12,000 trials",
        ),
    ],
)
def test_trials_are_counted_before_they_are_made(
    rest: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a year of nights is a slip; the sentence says what multiplies to it, and none is made."""
    made: list[object] = []
    monkeypatch.setattr(load, "resolve", lambda *point: made.append(point))
    problems = _problems(tmp_path, GOOD.replace("hyperparameters: {lr: 0.005}", "image_size: {min: 480}") + rest)
    assert problems == (f"s.yaml:{said}; a suite has at most 10,000",)
    assert not made


def test_as_many_trials_as_are_allowed(tmp_path: Path) -> None:
    """Exactly so many."""
    suite = _load(tmp_path, f"{GOOD}seeds: {list(range(MAX_TRIALS // 2))}\n")
    assert len(suite.settings) * len(suite.seeds) == MAX_TRIALS


def test_options_of_a_model_are_held_in_one_form(tmp_path: Path) -> None:
    """However a suite writes the same anchors: one number for each feature map or a list of one, whole or not."""
    forms = ("[8, 16, 32, 64, 128]", "[[8], [16.0], [32], [64], 128]")
    models = []
    for form in forms:
        option = f"{{anchor_sizes: {form}, aspect_ratios: [1], image_mean: [0, 0.5, 1]}}"
        text = GOOD.replace("  - fasterrcnn_resnet50_fpn\n", f"  - {{name: retinanet_resnet50_fpn, model: {option}}}\n")
        models.append(_load(tmp_path, text).settings[0].architecture.model)
    assert models[0] == models[1]
    assert models[0]["anchor_sizes"] == ((8.0,), (16.0,), (32.0,), (64.0,), (128.0,))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("early_stopping: {patience: 0}", "hyperparameters.early_stopping.patience: expected an integer > 0, got 0"),
        (
            "early_stopping: {min_delta: 0.1}",
            "hyperparameters.early_stopping.patience: missing; expected an integer > 0",
        ),
        (
            "early_stopping: {patience: 2, min_delta: -1}",
            "early_stopping.min_delta: expected a number ≥ 0 and ≤ 1, got -1",
        ),
        ("early_stopping: 3", "hyperparameters.early_stopping: expected none or a mapping"),
        (
            "early_stopping: {patience: 2}",
            "early_stopping follows the mAP on val: set validate_every, the number of epo",
        ),
        ("schedule: plateau", "schedule: plateau follows the mAP on val: set validate_every, the number of epochs"),
        (
            "schedule: plateau, plateau_patience: -1",
            "hyperparameters.plateau_patience: expected an integer ≥ 0, got -1",
        ),
        ("class_balance: lvis", "hyperparameters.class_balance: expected none or repeat_factor, got 'lvis'"),
        (
            "class_balance: repeat_factor, repeat_threshold: 0",
            "hyperparameters.repeat_threshold: expected a number > 0",
        ),
        ("augmentation: {vflip: 2}", "hyperparameters.augmentation.vflip: expected a number ≥ 0 and ≤ 1, got 2"),
        ("augmentation: {photometric: yes}", "hyperparameters.augmentation.photometric: expected a number ≥ 0 and ≤ 1"),
        ("augmentation: {random_crop: [0.5]}", "augmentation.random_crop: expected a number ≥ 0 and ≤ 1, got [0.5]"),
        ("schedule: plato", "schedule: expected multistep or cosine or constant or plateau, got 'plato'"),
    ],
)
def test_what_follows_validation_is_checked(keys: str, said: str, tmp_path: Path) -> None:
    """Types with the key first; and without a validation there is nothing to follow."""
    (problem, *_) = _problems(tmp_path, GOOD.replace("batch_size: 8}", f"batch_size: 8, {keys}}}"))
    assert said in problem


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("class_balance: repeat_factor", "class_balance needs labels that are known before images are read"),
        ("group_by_orientation: true", "group_by_orientation needs image sizes that are known before images are read"),
    ],
)
def test_a_python_dataset_is_known_only_once_it_is_read(key: str, said: str, tmp_path: Path) -> None:
    """So it is neither balanced nor grouped; the dataset's line says so."""
    split = "{dataset: 'mine:Images'}"
    own = f"  mine: {{format: python, classes: [a], train: {split}, val: {split}}}\n"
    text = GOOD.replace("batch_size: 8}", f"batch_size: 8, {key}}}")
    (problem,) = _problems(tmp_path, text.replace("architectures:\n", f"{own}architectures:\n"))
    assert f"datasets.mine: {said}" in problem
