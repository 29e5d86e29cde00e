"""One labelled folder divides the same way every time, evenly, and groups stay together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.data.annotations import Annotations, from_sorted
from harness.data.load import load
from harness.data.partition import divide, group
from harness.suite.schema import FilesDataset, SplitRule
from tests.data.write import dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RULE = SplitRule(val=0.2, test=0.1)


def _images(count: int, *, seed: int = 0, first: int = 0) -> Annotations:
    """Of four classes, each half as common as the one before; some images have several, some none."""
    rng = np.random.default_rng(seed)
    owners, labels = [], []
    for image in range(count):
        for label, share in enumerate((0.6, 0.3, 0.15, 0.07)):
            if rng.random() < share:
                owners.append(image)
                labels.append(label)
    boxes = np.tile(np.array([1, 1, 9, 9], dtype=np.float32), (len(owners), 1))
    return from_sorted(
        class_names=("a", "b", "c", "d"),
        file_names=tuple(f"clip{(first + n) // 10:03d}_{(first + n) % 10}.jpg" for n in range(count)),
        sizes=np.full((count, 2), 10, dtype=np.int32),
        image_of_box=np.array(owners, dtype=np.int64),
        boxes=boxes,
        labels=np.array(labels, dtype=np.int64),
        crowds=np.zeros(len(owners), dtype=np.bool_),
        areas=boxes[:, 2],
    )


def _divide(annotations: Annotations, rule: SplitRule) -> dict[str, NDArray[np.intp]]:
    groups, _ = group(annotations.file_names, rule.group_by)
    return divide(annotations, rule, groups)


def _named(annotations: Annotations, rule: SplitRule) -> dict[str, str]:
    return {
        annotations.file_names[row]: split
        for split, rows in _divide(annotations, rule).items()
        for row in rows.tolist()
    }


def test_each_image_is_in_one_split_and_the_shares_hold() -> None:
    """Everything is somewhere, once; val and test have about their shares."""
    annotations = _images(300)
    found = _divide(annotations, _RULE)
    assert list(found) == ["train", "val", "test"]
    assert sorted(np.concatenate(list(found.values())).tolist()) == list(range(300))
    assert abs(len(found["val"]) - 60) <= 8
    assert abs(len(found["test"]) - 30) <= 8
    assert list(_divide(annotations, SplitRule(val=0.2))) == ["train", "val"]


@pytest.mark.parametrize("seed", range(5))
def test_classes_are_spread_evenly(seed: int) -> None:
    """The share of each class' boxes in val is near 0.2, the rarest included, and nearer than chance gives."""
    annotations = _images(300, seed=seed)

    def worst(rule: SplitRule) -> float:
        inside = _divide(annotations, rule)["val"]
        taken, _ = annotations.select(inside)
        shares = np.bincount(taken.labels, minlength=4) / np.bincount(annotations.labels, minlength=4)
        return float(np.abs(shares - 0.2).max())

    assert worst(replace(_RULE, seed=seed)) < 0.12
    by_chance = np.mean([worst(SplitRule(val=0.2, seed=other, stratify=False)) for other in range(20)])
    evened = np.mean([worst(SplitRule(val=0.2, seed=other)) for other in range(20)])
    assert evened < 0.75 * by_chance


def test_it_is_deterministic_and_does_not_depend_on_order() -> None:
    """The same images in another order, or read again, are divided alike; another seed divides otherwise."""
    annotations = _images(100)
    order = np.random.default_rng(1).permutation(100)
    shuffled, _ = annotations.select(order)
    assert _named(annotations, _RULE) == _named(shuffled, _RULE)
    assert _named(annotations, _RULE) != _named(annotations, replace(_RULE, seed=1))


def test_images_added_later_hardly_move_the_others() -> None:
    """Without stratification nothing ever moves; with it a tenth more images move at most a few of hundreds."""
    before, after = _images(300), _images(330)
    plain = replace(_RULE, stratify=False)
    old, new = _named(before, plain), _named(after, plain)
    assert all(new[name] == split for name, split in old.items())
    old, new = _named(before, _RULE), _named(after, _RULE)
    assert sum(new[name] != split for name, split in old.items()) <= 9


def test_groups_never_straddle() -> None:
    """All frames of a clip are in one split, by the expression's group or its whole match; others stand alone."""
    annotations = _images(400)
    for expression in (r"^(clip\d+)_", r"clip\d+"):
        found = _named(annotations, replace(_RULE, group_by=expression))
        splits_of: dict[str, set[str]] = {}
        for name, split in found.items():
            splits_of.setdefault(name[:7], set()).add(split)
        assert all(len(splits) == 1 for splits in splits_of.values())
        assert {split for splits in splits_of.values() for split in splits} == {"train", "val", "test"}
    some = _named(annotations, replace(_RULE, group_by="^(clip00)[1-9]_"))
    assert len({some[f"clip000_{frame}.jpg"] for frame in range(10)}) > 1
    assert len({some[f"clip001_{frame}.jpg"] for frame in range(10)}) == 1


def test_what_an_expression_matches_makes_its_groups() -> None:
    """A name that it does not match, or of which it matches no text, is told and stands alone."""
    names = ["p1_a.jpg", "p1_b.jpg", "P2-a.jpg", "p3/x.jpg", "p2_a.jpg"]
    for expression in (r"^(p\d)_", r"^(p\d_)?", r"^(p\d)_|^(q)?"):
        groups, alone = group(names, expression)
        assert alone == [2, 3]
        assert sorted(rows.tolist() for rows in groups.values()) == [[0, 1], [2], [3], [4]]
    assert group(names, r"(p\d)[_/]")[1] == [2]  # p3 is in the path alone
    assert group(names, None)[1] == []


def test_no_split_lacks_a_class_that_has_images_for_it() -> None:
    """Five images of each class, one each to validate on; with ten, one each to test on."""
    for count, rule in ((5, SplitRule(val=0.2)), (10, _RULE)):
        owners = np.arange(count * 8)
        boxes = np.tile(np.array([1, 1, 9, 9], dtype=np.float32), (len(owners), 1))
        columns = from_sorted(
            class_names=tuple("abcdefgh"),
            file_names=tuple(f"{number}.jpg" for number in owners),
            sizes=np.full((len(owners), 2), 10, dtype=np.int32),
            image_of_box=owners,
            boxes=boxes,
            labels=owners % 8,
            crowds=np.zeros(len(owners), dtype=np.bool_),
            areas=boxes[:, 2],
        )
        for seed in range(20):
            for rows in _divide(columns, replace(rule, seed=seed)).values():
                assert set(columns.labels[rows].tolist()) == set(range(8))


@pytest.mark.parametrize("count", [3, 4, 5, 8])
def test_a_handful_of_images_fills_every_split(count: int) -> None:
    """No split is empty for want of luck, whatever the seed."""
    for seed in range(30):
        found = _divide(_images(count, seed=seed), replace(_RULE, seed=seed))
        assert all(len(rows) for rows in found.values())


def test_one_folder_of_a_suite_is_divided(tmp_path: Path) -> None:
    """`path` with `split` gives train, val and test, of labels without splits; with splits of its own it is refused."""
    dataset(tmp_path, "coco", train=30, val=5)
    whole = tmp_path / "annotations" / "train.json"
    loaded = load(FilesDataset(format="coco", path=whole, split=_RULE), depth="headers")
    assert list(loaded.splits) == ["train", "val", "test"]
    assert sum(len(part.annotations) for part in loaded.splits.values()) == 30
    for part in loaded.splits.values():
        files = [Path(path or "").name for path in part.paths]
        assert tuple(files) == part.annotations.file_names
        names = {image["id"]: image["file_name"] for image in json.loads(whole.read_text())["images"]}
        ids = part.raw.image_numbers[part.image_rows]
        assert tuple(names[number] for number in ids.tolist()) == part.annotations.file_names
    (problem,) = load(FilesDataset(format="coco", path=tmp_path, split=_RULE), depth="labels").findings.problems()
    assert "it has the splits train, val already" in str(problem)
