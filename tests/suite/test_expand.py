"""A trial's id stands for everything that can change a number, and for nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.data.open import fingerprint
from harness.errors import SuiteError
from harness.suite.expand import plan_trials
from harness.suite.load import load_suite
from harness.suite.schema import SyntheticDataset
from harness.suite.trial import Trial
from tests.conftest import ROOT

OLD_IDS = [
    "shapes-fasterrcnn_resnet50_fpn-s0-04d90b98",
    "shapes-fasterrcnn_mobilenet_v3_large_fpn-s0-a0b6a245",
    "shapes-retinanet_resnet50_fpn-s0-492ef7b2",
]
# As version 0.2.0 computed them, under the names `most_objects` and `limit`.
OLD_FINGERPRINT = "3acd148c21f423093f0c951037d3569b548db22bad978e135e4df6a0a2e05350"
OLD_SUBSET_IDS = [
    "shapes-fasterrcnn_resnet50_fpn-limit4-s0-52c534b7",
    "shapes-fasterrcnn_mobilenet_v3_large_fpn-limit4-s0-249883ea",
    "shapes-retinanet_resnet50_fpn-limit4-s0-935a11aa",
]
TEXT = """\
suite: {name}
datasets:
  shapes: {{format: synthetic, train: {{images: 4}}, val: {{images: 2}}}}
architectures: [fasterrcnn_resnet50_fpn, retinanet_resnet50_fpn]
hyperparameters: {{epochs: 2}}
sweep: {{lr: [0.01, 1e-4]}}
seeds: [0, 1]
"""


def _plan(
    tmp_path: Path,
    *,
    name: str = "a",
    change: tuple[str, str] = ("", ""),
    fingerprint: str = "f",
    max_images: int | None = None,
) -> tuple[Trial, ...]:
    path = tmp_path / "s.yaml"
    path.write_text(TEXT.format(name=name).replace(*change))
    return plan_trials(load_suite(path), {"shapes": fingerprint}, max_images=max_images)


def test_product_in_the_order_of_a_night(tmp_path: Path) -> None:
    """Datasets × architectures × sweep × seeds, one seed of everything first."""
    trials = _plan(tmp_path)
    assert len(trials) == 8
    assert [trial.seed for trial in trials] == [0] * 4 + [1] * 4
    assert trials[1].trial_id.startswith("shapes-fasterrcnn_resnet50_fpn-lr0.0001-s0-")
    assert len({trial.trial_id for trial in trials}) == 8


def test_the_id_follows_what_changes_a_number(tmp_path: Path) -> None:
    """Data, hyperparameters, protocol and the number of images change every id; the suite's name does not."""
    ids = {trial.trial_id for trial in _plan(tmp_path)}
    assert {trial.trial_id for trial in _plan(tmp_path, name="b")} == ids
    for other in (
        _plan(tmp_path, fingerprint="g"),
        _plan(tmp_path, change=("epochs: 2", "epochs: 3")),
        _plan(tmp_path, change=("seeds:", "protocol: quick\nseeds:")),
        _plan(tmp_path, max_images=3),
    ):
        assert ids.isdisjoint(trial.trial_id for trial in other)


def test_a_wide_sweep_still_names_folders(tmp_path: Path) -> None:
    """Many axes make long names; they are cut before a file system would refuse them, and stay distinct."""
    axes = (
        "weight_decay: [0.00012345678], gamma: [0.123456789], momentum: [0.87654321], warmup_factor: [0.0012345678], "
    )
    axes += "clip_grad_norm: [1.23456789], lr: [0.01, 0.02]"
    trials = _plan(tmp_path, change=("lr: [0.01, 1e-4]", axes))
    assert len({trial.trial_id for trial in trials}) == 8
    assert max(len(trial.trial_id) for trial in trials) < 200


def test_the_same_trial_twice_is_an_error(tmp_path: Path) -> None:
    """Two equal entries would fight for one folder."""
    with pytest.raises(SuiteError, match="more than once"):
        _plan(tmp_path, change=("[fasterrcnn_resnet50_fpn, ", "[retinanet_resnet50_fpn, "))


def test_new_and_renamed_keys_leave_older_ids_alone() -> None:
    """The quickstart's trials as 0.1.0 and 0.2.0 named them, and its data; asking for a variant makes another trial."""
    suite = load_suite(ROOT / "suites" / "quickstart.yaml")
    fingerprints = {"shapes": "f" * 64}
    assert [trial.trial_id for trial in plan_trials(suite, fingerprints, max_images=None)] == OLD_IDS
    (shapes,) = (dataset for _, dataset in suite.datasets)
    assert isinstance(shapes, SyntheticDataset)
    assert fingerprint(shapes) == OLD_FINGERPRINT
    few = plan_trials(suite, {"shapes": OLD_FINGERPRINT}, max_images=4)
    assert [trial.trial_id for trial in few] == OLD_SUBSET_IDS
    asked = replace(suite, protocol=replace(suite.protocol, variants=("compile",)))
    assert not set(OLD_IDS) & {trial.trial_id for trial in plan_trials(asked, fingerprints, max_images=None)}


# As version 0.3.0 named these, which set nearly every key that it had.
FULL = """\
suite: everything
datasets:
  shapes: {format: synthetic, train: {images: 4}, val: {images: 2}}
architectures:
  - name: fasterrcnn_resnet50_fpn
    model: {trainable_backbone_layers: 2, box_batch_size_per_image: 64}
    hyperparameters: {augmentation: {hflip: 0.0}, clip_grad_norm: 1.0}
  - name: fasterrcnn_mobilenet_v3_large_fpn
    weights: none
    image_size: {min: 320, max: 640}
  - {name: retinanet_resnet50_fpn, weights: backbone, model: {topk_candidates: 500}}
hyperparameters:
  epochs: 7
  optimizer: adamw
  schedule: cosine
  precision: bf16
  validate_every: 2
  augmentation: {scale_jitter: [0.5, 2.0]}
sweep: {batch_size: [4, 8]}
protocol: {level: quick, variants: [channels_last]}
"""
FULL_IDS = [
    "shapes-fasterrcnn_resnet50_fpn-batch_size4-s0-b85a1a50",
    "shapes-fasterrcnn_resnet50_fpn-batch_size8-s0-1d28a0a5",
    "shapes-fasterrcnn_mobilenet_v3_large_fpn-batch_size4-s0-f388a28e",
    "shapes-fasterrcnn_mobilenet_v3_large_fpn-batch_size8-s0-09a57ece",
    "shapes-retinanet_resnet50_fpn-batch_size4-s0-53c5a79b",
    "shapes-retinanet_resnet50_fpn-batch_size8-s0-0a7c846a",
]


def _full(tmp_path: Path, change: tuple[str, str] = ("", "")) -> list[str]:
    path = tmp_path / "full.yaml"
    path.write_text(FULL.replace(*change))
    return [trial.trial_id for trial in plan_trials(load_suite(path), {"shapes": "f" * 64}, max_images=None)]


def test_newer_keys_are_part_of_an_id_once_they_are_set(tmp_path: Path) -> None:
    """Left out, or written with their defaults, they change no older id; set, each makes trials of its own."""
    assert _full(tmp_path) == FULL_IDS
    defaults = "  plateau_patience: 2\n  early_stopping: null\n  class_balance: none\n  repeat_threshold: 0.001\n"
    assert _full(tmp_path, ("  epochs: 7\n", f"  epochs: 7\n{defaults}")) == FULL_IDS
    settings = (
        "  early_stopping: {patience: 3}",
        "  early_stopping: {patience: 3, min_delta: 0.01}",
        "  schedule: plateau",
        "  schedule: plateau\n  plateau_patience: 4",
        "  class_balance: repeat_factor",
        "  class_balance: repeat_factor\n  repeat_threshold: 0.3",
        *(
            f"  augmentation: {{scale_jitter: [0.5, 2.0], {key}: 0.5}}"
            for key in ("vflip", "photometric", "random_crop")
        ),
    )
    changed = []
    for setting in settings:
        old = "  augmentation: {scale_jitter: [0.5, 2.0]}" if "augmentation" in setting else "  schedule: cosine"
        changed.append(_full(tmp_path, (old, setting)))
    same = "  augmentation: {scale_jitter: [0.5, 2.0], vflip: 0, photometric: 0.0, random_crop: 0}"
    assert _full(tmp_path, ("  augmentation: {scale_jitter: [0.5, 2.0]}", same)) == FULL_IDS
    assert len({*FULL_IDS, *(one for ids in changed for one in ids)}) == len(FULL_IDS) * (1 + len(settings))


def test_options_of_a_model_are_part_of_an_id(tmp_path: Path) -> None:
    """Each of them makes other trials of its architecture, and leaves the others alone."""
    settings = (
        "anchor_sizes: [8, 16, 32, 64, 128]",
        "aspect_ratios: [1, 2]",
        "image_mean: [0.5, 0.5, 0.5]",
        "image_std: [0.5, 0.5, 0.5]",
    )
    changed = [_full(tmp_path, ("topk_candidates: 500", f"topk_candidates: 500, {setting}")) for setting in settings]
    assert all(ids[:4] == FULL_IDS[:4] for ids in changed)
    assert len({one for ids in (FULL_IDS, *changed) for one in ids[4:]}) == 2 * (1 + len(settings))


def test_the_older_key_of_a_synthetic_dataset_still_works(tmp_path: Path) -> None:
    """`most_objects` means `max_objects`, gives the same ids, and is wrong beside it or out of range, with its line."""
    newer, older = (tmp_path / f"{key}.yaml" for key in ("max_objects", "most_objects"))
    for path in (newer, older):
        path.write_text(TEXT.format(name="a").replace("train:", f"{path.stem}: 3, train:"))
    assert load_suite(newer).datasets == load_suite(older).datasets
    older.write_text(older.read_text().replace("most_objects: 3", "most_objects: 3, max_objects: 3"))
    with pytest.raises(SuiteError, match=r"yaml:3: datasets\.shapes\.most_objects: unknown key"):
        load_suite(older)
    older.write_text(older.read_text().replace("most_objects: 3, max_objects: 3", "most_objects: 99"))
    with pytest.raises(SuiteError, match=r"yaml:3: datasets\.shapes\.max_objects: expected an integer .*50, got 99"):
        load_suite(older)
