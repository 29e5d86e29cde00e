"""The page shows which images and boxes the trials used, and what was left out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from harness import api
from harness.data.stats import SplitStatistics, Spread
from harness.store.record import Data
from tests.store.make import make_folder, make_record, make_trial

_SPREAD = Spread(min=1, median=2.5, max=9)


def _split(boxes: dict[str, int]) -> SplitStatistics:
    return SplitStatistics(
        images=1234,
        images_without_boxes=5,
        boxes=sum(boxes.values()),
        crowds=0,
        boxes_per_class=boxes,
        box_sizes={"small": 11, "medium": 22, "large": 33},
        boxes_per_image=_SPREAD,
        image_width=Spread(min=640, median=640, max=640),
        image_height=Spread(min=None, median=None, max=None),
    )


def _page(tmp_path: Path, data: Data) -> str:
    records = [replace(make_record(make_trial(seed=seed)), data=data) for seed in (0, 1)]
    return api.report(make_folder(tmp_path, records).path).read_text()


def test_splits_and_classes_are_tables(tmp_path: Path) -> None:
    """All trials of a dataset share one table; the commonest class comes first; names are escaped."""
    splits = {"train": _split({"bolt|": 1, "nut": 2000}), "val": _split({"bolt|": 7, "nut": 0})}
    text = _page(tmp_path, Data(splits=splits, skipped={}))
    assert text.count("### Data") == 1
    (row,) = re.findall(r"^\| train .*$", text, re.MULTILINE)
    cells = ["train", "1,234", "5", "2,001", "11", "22", "33", "1 / 2.5 / 9", "640", "–"]
    assert [cell.strip() for cell in row.strip("|").split("|")] == cells
    assert text.index("| nut ") < text.index("| bolt\\| ")
    assert "Left out" not in text


def test_what_was_skipped_is_counted(tmp_path: Path) -> None:
    """Each code is listed with its count, in bold."""
    text = _page(tmp_path, Data(splits={"val": _split({"a": 1})}, skipped={"missing_image": 3, "degenerate_box": 1200}))
    assert "**Left out as bad (`on_bad_data: skip`): 3 × missing_image, 1,200 × degenerate_box.**" in text


def test_a_thousand_classes_stay_readable(tmp_path: Path) -> None:
    """The table has the fifteen commonest and the fifteen rarest, and says how many lie between."""
    text = _page(tmp_path, Data(splits={"val": _split({f"class{n}": n for n in range(1000)})}, skipped={}))
    assert "970 lie between" in text
    assert "| class999 " in text
    assert "| class0 " in text
    assert "| class500 " not in text


def test_a_single_class_between_lies_there(tmp_path: Path) -> None:
    """In English."""
    text = _page(tmp_path, Data(splits={"val": _split({f"class{n}": n for n in range(31)})}, skipped={}))
    assert "; 1 lies between" in text


def test_records_without_statistics_of_data_have_no_section(tmp_path: Path) -> None:
    """Such as those of a user's own Dataset, and older records."""
    assert "### Data" not in _page(tmp_path, Data())
