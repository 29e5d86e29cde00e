"""Every family: reloaded from its file it detects what it detected when it was evaluated, whoever reloads it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import harness
from harness.executors.base import Executor
from harness.suite.catalog.architecture import Architecture
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import SyntheticDataset, SyntheticImages
from tests.cli.conftest import Shipped, train

_SIDE = 96
_VARIANTS = ["torchscript", "onnxruntime", "openvino"]


def _smallest() -> list[Architecture]:
    """The smallest row of each kind of detector: of each beginning of a name in each family."""
    kinds: dict[tuple[str, str], Architecture] = {}
    for row in sorted(BUILT_IN.values(), key=lambda row: row.parameters):
        if not row.needs_masks:
            kinds.setdefault((row.family, row.name.partition("_")[0]), row)
    return list(kinds.values())


def _in_a_suite(row: Architecture) -> str:
    side = row.image_size[1] if row.fixed_size else math.ceil(_SIDE / row.size_multiple) * row.size_multiple
    fewer = "    model: {queries: 30}\n" if "queries" in {option.name for option in row.options} else ""
    return f"  - name: {row.name}\n    weights: none\n    image_size: {{min: {side}, max: {side}}}\n{fewer}"


@pytest.mark.slow
@pytest.mark.parametrize("row", _smallest(), ids=lambda row: row.name)
def test_a_family_detects_the_same_wherever_it_is_reloaded(
    row: Architecture, tmp_path: Path, fast_executor: Executor
) -> None:
    """In predict, measure, export and race; its exported rows agree within 0.005 mAP, or say why they are not there."""
    missing = row.missing_package()
    if missing:
        pytest.skip(missing)
    images = SyntheticImages(images=max(4, row.min_batch))
    data = SyntheticDataset(format="synthetic", train=images, val=SyntheticImages(images=3), size=_SIDE, classes=2)
    shipped = train(tmp_path, _VARIANTS, architecture=_in_a_suite(row), dataset=data, epochs=1)
    record = json.loads((shipped.trial / "record.json").read_text())
    _check_predictions(shipped)
    measured = harness.measure(
        shipped.trial.name, results=shipped.results, variants=(), device="cpu", executor=fast_executor
    )
    assert measured.record is not None, measured.reason
    assert measured.record.metrics.map == record["metrics"]["map"]
    for variant in record["variants"]:
        written = {"onnxruntime": "onnx"}.get(variant["name"], variant["name"])
        if variant["problem"] is None:
            assert variant["metrics"]["map"] == pytest.approx(record["metrics"]["map"], abs=0.005)
            card = harness.export(shipped.trial.name, written, results=shipped.results, out=tmp_path / written).card
            assert card["check"]["agreement"] >= 0.9
        else:  # the scores of what has hardly learned are nearly equal, and each runtime takes others of them
            assert "it detects something else" in variant["problem"]
    exported = sum(variant["problem"] is None for variant in record["variants"])
    (summary,) = harness.race(  # of two rows or more: each turn is a process of its own
        shipped.results / "ship", blocks=2, all_rows=True, copies=1 if exported else 2, device="cpu",
        executor=fast_executor,
    )  # fmt: skip
    assert not summary.failed


def _check_predictions(shipped: Shipped) -> None:
    threshold = 0.001  # of accuracy: what the record's detections were kept by
    found = harness.predict(
        shipped.trial / "checkpoints" / "weights.pt", shipped.images, score_threshold=threshold, device="cpu"
    ).detected
    frame = harness.load_results(shipped.results / "ship").detections
    stored = frame[frame["variant"] == "as trained"]
    for image in found.images:
        rows = stored[stored["image"] == image.file]
        scores = rows["score"].to_numpy()
        order = np.argsort(-scores, kind="stable")
        assert np.array_equal(np.array(image.scores, dtype=np.float32), scores[order].astype(np.float32))
        boxes = rows[["x1", "y1", "x2", "y2"]].to_numpy()[order].astype(np.float32)
        assert np.array_equal(np.array(image.boxes, dtype=np.float32).reshape(-1, 4), boxes)
