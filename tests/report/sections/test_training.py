"""The page says how each row was trained: its recipe and what the suite changed, its budget and what was used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.store.record import Record
from harness.suite.catalog.registry import BUILT_IN, OwnArchitecture
from harness.suite.recipe import resolve
from harness.suite.schema import ImageSize
from tests.report.pages import page_of, tables
from tests.store.make import make_folder, make_record, make_trial

_NAME = "retinanet_resnet50_fpn"


def _record(values: dict[str, Any], *, seed: int = 0, side: int = 64, **measured: Any) -> Record:
    trial = make_trial(_NAME, seed=seed)
    choice = replace(trial.architecture, image_size=ImageSize(min=side, max=1333 if side == 800 else side))
    trial = replace(trial, hyperparameters=resolve(BUILT_IN[_NAME], values), architecture=choice)
    record = make_record(trial)
    return replace(record, measurements=replace(record.measurements, **measured))


def _row(folder: Path, *records: Record) -> tuple[dict[str, str], str]:
    page = page_of(make_folder(folder, list(records)))
    ((row,),) = tables(page, "architecture", "recipe")
    return row, page


def test_a_published_recipe_at_its_native_size(tmp_path: Path) -> None:
    """Is called so, with nothing that differs and no budget."""
    row, _ = _row(tmp_path, _record({"batch_size": 2}, side=800, images_seen=10, training_s=90.0))
    assert (row["recipe"], row["image size"], row["augmentation"]) == ("published", "800/1333 (native)", "flip")
    assert (row["budget"], row["images seen"], row["training min"], row["EMA"]) == ("–", "10", "1.5", "–")


def test_what_a_suite_changes_is_named(tmp_path: Path) -> None:
    """Each hyperparameter by its name, another image size with the native one; the length is no change."""
    values = {"lr": 0.5, "ema": 0.999, "augmentation": {"hflip": 0.1}, "epochs": 3}
    row, _ = _row(tmp_path, _record(values))
    assert row["recipe"] == "published, but lr, augmentation, ema"
    assert (row["image size"], row["augmentation"]) == ("64 (native 800/1333)", "its own")
    assert (row["EMA"], row["learning rate"]) == ("0.999", "0.5")


def test_a_network_of_the_users_has_no_published_recipe(tmp_path: Path) -> None:
    """A shared one it may have."""
    for recipe, said in (("published", "none published"), ("shared", "shared")):
        record = _record({"recipe": recipe})
        own = OwnArchitecture(path="nets.py:build", sha256="0", backbone="nets.py:build", stages=0, parameters=0)
        choice = replace(record.trial.architecture, name="mine", own=own)
        row, _ = _row(tmp_path / recipe, replace(record, trial=replace(record.trial, architecture=choice)))
        assert row["recipe"] == said


def test_a_shared_recipe_names_its_source(tmp_path: Path) -> None:
    """And that it is shared."""
    row, page = _row(tmp_path, _record({"recipe": "shared"}))
    assert row["recipe"] == "shared"
    assert "Sources of the recipes: the shared one (rate and decay: torchvision's recipe of retinanet" in page


def test_a_budget_is_shown_with_what_was_used(tmp_path: Path) -> None:
    """Images, minutes and epochs; what early stopping ended is marked, and the first lines name the budget."""
    row, page = _row(
        tmp_path, _record({"budget": {"images": 20000}}, images_seen=12000, training_s=600.0, stopped_epoch=3)
    )
    assert (row["budget"], row["images seen"], row["training min"]) == ("20,000 images", "12,000", "10.0")
    assert row["epochs"].endswith("(stopped early)")
    assert "**Budget:** at most 20,000 images each; 1 of 1 row stopped early." in page
    _, page = _row(tmp_path / "whole", _record({"budget": {"images": 20000}}, images_seen=20000))
    assert "**Budget:** 20,000 images each." in page
