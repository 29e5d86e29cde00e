"""What is written to Parquet comes back as the same arrays, and what is no such table is refused with a reason."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data.thumbnail import make_thumbnail
from harness.store import tables
from harness.store.arrays import StoredDetections, StoredGroundTruth, StoredTimings
from harness.store.record import AS_TRAINED
from harness.store.tables import UnreadableError

CLASSES = ("disc", "square", "never")
TRUTH = StoredGroundTruth(
    class_names=CLASSES,
    images=("a.png", "empty.png", "c.png", "last empty.png"),
    files=("/data/a.png", None, None, "/data/last empty.png"),
    offsets=np.array([0, 2, 2, 3, 3]),
    boxes=np.array([[1.5, 2, 3, 4], [5, 6, 7.25, 8], [0, 0, 9, 9]]),
    classes=np.array([1, 0, 1]),
    crowds=np.array([False, True, False]),
    areas=np.array([2.5, 4.5, 70.0]),
)


def _equal(first: Any, second: Any) -> bool:
    return all(np.array_equal(getattr(first, field.name), getattr(second, field.name)) for field in fields(first))


def _detections(count: int = 300) -> StoredDetections:
    rng = np.random.default_rng(0)
    return StoredDetections(
        images=np.sort(rng.integers(0, 4, count)),
        classes=rng.integers(0, 2, count),
        scores=rng.random(count).astype(np.float32).astype(np.float64),
        boxes=rng.random((count, 4)).astype(np.float32).astype(np.float64),
    )


def _timings(count: int, *, repeats: int = 1) -> StoredTimings:
    rng = np.random.default_rng(count)
    return StoredTimings(
        passes=np.where(rng.random(count) < 0.5, "latency", "throughput"),
        repeats=rng.integers(0, repeats, count),
        rounds=rng.integers(0, 3, count),
        images=rng.integers(0, 40, count),
        counts=rng.integers(1, 9, count),
        seconds=rng.random(count),
    )


def test_ground_truth_comes_back_as_it_was() -> None:
    """Images without boxes keep their place; names, files, boxes, crowds and areas are equal; so is the fingerprint."""
    back = tables.read_ground_truth(bytes(tables.write_ground_truth(TRUTH, {})), CLASSES)
    assert _equal(back, TRUTH)
    assert back.fingerprint() == TRUTH.fingerprint()
    assert back.image_of.tolist() == [0, 0, 2]
    assert back.positives().tolist() == [0, 2, 0]


def test_a_split_without_any_box_comes_back() -> None:
    """Nothing but the names of its images."""
    nothing = StoredGroundTruth(
        class_names=CLASSES,
        images=("a", "b"),
        files=(None, None),
        offsets=np.zeros(3, dtype=np.int64),
        boxes=np.zeros((0, 4)),
        classes=np.zeros(0, dtype=np.int64),
        crowds=np.zeros(0, dtype=np.bool_),
        areas=np.zeros(0),
    )
    data = bytes(tables.write_ground_truth(nothing, {}))
    assert _equal(tables.read_ground_truth(data, CLASSES), nothing)
    none = StoredDetections(
        images=np.zeros(0, dtype=np.int64), classes=np.zeros(0, dtype=np.int64), scores=np.zeros(0),
        boxes=np.zeros((0, 4)),
    )  # fmt: skip
    assert len(tables.read_detections(bytes(tables.write_detections(none, nothing.images, CLASSES)), nothing)) == 0


def test_thumbnails_lie_in_the_first_row_of_their_image() -> None:
    """They come back by name, and the ground truth is the same with and without them."""
    thumbnail = make_thumbnail(np.full((600, 400, 3), 77, dtype=np.uint8))
    data = bytes(tables.write_ground_truth(TRUTH, {0: thumbnail, 1: thumbnail}))
    assert tables.read_thumbnails(data) == {"a.png": thumbnail, "empty.png": thumbnail}
    assert pq.read_table(io.BytesIO(data))["thumbnail"].null_count == 3  # of five rows
    assert _equal(tables.read_ground_truth(data, CLASSES), TRUTH)


def test_detections_come_back_by_image_and_falling_score() -> None:
    """The same rows, sorted; of more than 100 of one class in one image the best 100."""
    detections = _detections()
    data = bytes(tables.write_detections(detections, TRUTH.images, CLASSES))
    back = tables.read_detections(data, TRUTH)
    assert _equal(back, detections.take(np.lexsort((-detections.scores, detections.images))))
    crowded = StoredDetections(
        images=np.zeros(250, dtype=np.int64),
        classes=np.zeros(250, dtype=np.int64),
        scores=detections.scores[:250],
        boxes=detections.boxes[:250],
    )
    kept = tables.read_detections(bytes(tables.write_detections(crowded, TRUTH.images, CLASSES)), TRUTH)
    assert kept.scores.tolist() == sorted(crowded.scores, reverse=True)[:100]


def test_timings_come_back_by_variant() -> None:
    """Written together or in files that are joined later; each variant's own, in its order."""
    timings = {AS_TRAINED: _timings(40, repeats=3), "onnxruntime": _timings(7)}
    together = bytes(tables.write_timings(timings))
    joined = bytes(tables.concatenate_timings([tables.write_timings({name: own}) for name, own in timings.items()]))
    for data in (together, joined):
        back = tables.read_timings(data)
        assert list(back) == list(timings)
        assert all(_equal(back[name], timings[name]) for name in timings)
        assert pq.read_table(io.BytesIO(data))["index"].to_pylist() == [*range(40), *range(7)]


def test_timings_of_version_0_1_are_of_the_model_as_trained() -> None:
    """Without the columns variant and repeat."""
    old = pq.read_table(io.BytesIO(bytes(tables.write_timings({AS_TRAINED: _timings(40)})))).drop(["variant", "repeat"])
    stream = io.BytesIO()
    pq.write_table(old, stream)
    back = tables.read_timings(stream.getvalue())
    assert list(back) == [AS_TRAINED]
    assert _equal(back[AS_TRAINED], _timings(40))


@pytest.mark.parametrize("cut", [0, 4, 100, -30])
def test_a_torn_table_is_refused(cut: int) -> None:
    """Each of the three kinds, at several lengths."""
    truth = bytes(tables.write_ground_truth(TRUTH, {}))
    found = bytes(tables.write_detections(_detections(), TRUTH.images, CLASSES))
    timed = bytes(tables.write_timings({AS_TRAINED: _timings(9)}))
    for read in (
        lambda: tables.read_ground_truth(truth[:cut], CLASSES),
        lambda: tables.read_thumbnails(truth[:cut]),
        lambda: tables.read_detections(found[:cut], TRUTH),
        lambda: tables.read_timings(timed[:cut]),
    ):
        with pytest.raises(UnreadableError):
            read()


def test_another_table_is_refused_by_what_it_lacks() -> None:
    """A missing column, an unknown class, an unknown image, a score that is not finite: each with its reason."""
    stream = io.BytesIO()
    pq.write_table(pa.table({"image": ["a.png"]}), stream)
    with pytest.raises(UnreadableError, match="no column class, x1, y1, x2, y2, crowd"):
        tables.read_ground_truth(stream.getvalue(), CLASSES)
    with pytest.raises(UnreadableError, match="no column pass, round"):
        tables.read_timings(stream.getvalue())
    with pytest.raises(UnreadableError, match="a class that the record does not name: square"):
        tables.read_ground_truth(bytes(tables.write_ground_truth(TRUTH, {})), ("disc",))
    elsewhere = bytes(tables.write_detections(_detections(), ("a.png", "b", "c", "d"), CLASSES))
    with pytest.raises(UnreadableError, match="an image that has no ground truth: 'b'"):
        tables.read_detections(elsewhere, TRUTH)
    broken = _detections()
    broken.scores[3] = np.nan
    with pytest.raises(UnreadableError, match="not finite"):
        tables.read_detections(bytes(tables.write_detections(broken, TRUTH.images, CLASSES)), TRUTH)


WRITTEN: dict[str, tuple[Callable[[], memoryview], Callable[[bytes], object]]] = {
    "ground truth": (
        lambda: tables.write_ground_truth(TRUTH, {}),
        lambda data: tables.read_ground_truth(data, CLASSES),
    ),
    "detections": (
        lambda: tables.write_detections(_detections(), TRUTH.images, CLASSES),
        lambda data: tables.read_detections(data, TRUTH),
    ),
    "timings": (lambda: tables.write_timings({AS_TRAINED: _timings(9)}), tables.read_timings),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_column_of_wrong_values_is_refused_by_its_name(name: str) -> None:
    """Text in the place of numbers and the reverse, a missing value, one that is not finite: in every column read."""
    write, read = WRITTEN[name]
    table = pq.read_table(io.BytesIO(bytes(write())))
    for column in set(table.column_names) - {"file", "thumbnail", "width", "height", "index"}:
        values = table[column].to_pylist()
        first = next(row for row, value in enumerate(values) if value is not None)
        number = isinstance(values[first], int | float) and not isinstance(values[first], bool)
        wrong: list[list[Any]] = [[("a word" if number else 1) if value is not None else None for value in values]]
        wrong.append([None if row == first else value for row, value in enumerate(values)])
        if isinstance(values[first], float):
            wrong.append([float("inf") if row == first else value for row, value in enumerate(values)])
        for changed in wrong:
            stream = io.BytesIO()
            at = table.column_names.index(column)
            pq.write_table(table.set_column(at, column, pa.array(changed)), stream)
            with pytest.raises(UnreadableError, match="the column "):
                read(stream.getvalue())


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("ground truth", "x1", (1e308, -1e10)),
        ("ground truth", "area", (-1.0,)),
        ("detections", "score", (1.5, -0.1, 1e308)),
        ("detections", "y2", (1e20,)),
        ("timings", "seconds", (0.0, -1.0, 1e-320, 1e300)),
        ("timings", "images", (0, 2**62)),
        ("timings", "image", (-1,)),
        ("timings", "round", (2**40,)),
        ("timings", "repeat", (-1,)),
    ],
)
def test_a_number_that_cannot_be_is_refused(name: str, column: str, values: tuple[float, ...]) -> None:
    """A timing of no time would end the report, and a box beyond all images the computation of its overlaps."""
    write, read = WRITTEN[name]
    table = pq.read_table(io.BytesIO(bytes(write())))
    for wrong in values:
        kept = table[column].to_pylist()
        first = next(row for row, value in enumerate(kept) if value is not None)
        kept[first] = wrong
        stream = io.BytesIO()
        pq.write_table(table.set_column(table.column_names.index(column), column, pa.array(kept)), stream)
        with pytest.raises(UnreadableError, match=rf"the column {column}: .* is not between"):
            read(stream.getvalue())
