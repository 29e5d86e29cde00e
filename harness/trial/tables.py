"""Raw results as Parquet: every detection and every timing, for whoever wants to compute something else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.data.thumbnail import Thumbnail
    from harness.trial.dataset import Items
    from harness.trial.evaluate import Detections, Truth
    from harness.trial.measure.timing import Sample


def predictions(truths: Sequence[Truth], found: Sequence[Detections], class_names: tuple[str, ...]) -> memoryview:
    """Detections as Parquet: image, class, score, x1, y1, x2, y2 (pixels of the file)."""
    counts = [len(detections.scores) for detections in found]
    boxes = torch.cat([detections.boxes for detections in found]).reshape(-1, 4).numpy()
    images = [truth.name for truth, count in zip(truths, counts, strict=True) for _ in range(count)]
    labels = torch.cat([detections.labels for detections in found]).tolist()
    table = pa.table(
        {
            "image": pa.array(images, pa.string()).dictionary_encode(),
            "class": pa.array([class_names[label - 1] for label in labels], pa.string()).dictionary_encode(),
            "score": torch.cat([detections.scores for detections in found]).numpy(),
            **{name: boxes[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
        }
    )
    return _parquet(table)


def truths(labelled: Sequence[Truth], items: Items, thumbnails: Mapping[int, Thumbnail]) -> memoryview:
    """Labels as Parquet: image, file, class, x1, y1, x2, y2 (pixels of the file), crowd, area (pixels²).

    One row a box, in the order of evaluation; an image without boxes is a row without the rest. `file` is where the
    image lay, absolute, if it lay in one; of one that did not, its first row may hold `thumbnail` (JPEG), `width` and
    `height`.
    """
    names = ("image", "file", "thumbnail", "width", "height", "class", "x1", "y1", "x2", "y2", "crowd", "area")
    columns: dict[str, list[object]] = {name: [] for name in names}
    for index, truth in enumerate(labelled):
        path = items.path(index)
        file = str(Path(path).absolute()) if path is not None else None
        small = thumbnails.get(index)
        shown = (small.jpeg, small.width, small.height) if small else (None,) * 3
        rows = zip(
            truth.labels.tolist(), truth.boxes.tolist(), truth.crowds.tolist(), truth.areas.tolist(), strict=True
        )
        boxes = [(items.class_names[label - 1], *box, bool(crowd), area) for label, box, crowd, area in rows]
        for number, row in enumerate(boxes or [(None,) * 7]):
            values = (truth.name, file, *(shown if number == 0 else (None,) * 3), *row)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    kinds = dict.fromkeys(("image", "file", "class"), pa.string()) | dict.fromkeys(("width", "height"), pa.int32())
    kinds |= {"thumbnail": pa.binary(), "crowd": pa.bool_()}
    arrays = {name: pa.array(values, kinds.get(name, pa.float32())) for name, values in columns.items()}
    for name in ("image", "file", "class"):
        arrays[name] = arrays[name].dictionary_encode()
    return _parquet(pa.table(arrays))


def samples(timings: Mapping[str, Sequence[Sample]]) -> memoryview:
    """Raw timings as Parquet, one row each.

    Columns: variant, pass, repeat (0 the first time), round, index (in the variant's order), image (the first image's
    number in the split), images, seconds.

    Args:
        timings: by variant.
    """
    rows = [(variant, sample) for variant, group in timings.items() for sample in group]
    return _parquet(
        pa.table(
            {
                "variant": pa.array([variant for variant, _ in rows], pa.string()).dictionary_encode(),
                "pass": pa.array([sample.name for _, sample in rows], pa.string()).dictionary_encode(),
                "repeat": pa.array([sample.repeat for _, sample in rows], pa.int64()),
                "round": pa.array([sample.round for _, sample in rows], pa.int64()),
                "index": pa.array(range(len(rows)), pa.int64()),
                "image": pa.array([sample.index for _, sample in rows], pa.int64()),
                "images": pa.array([sample.images for _, sample in rows], pa.int64()),
                "seconds": pa.array([sample.seconds for _, sample in rows], pa.float64()),
            }
        )
    )


def together(tables: Sequence[memoryview]) -> memoryview:
    """Several files of samples as one."""
    return _parquet(pa.concat_tables([pq.read_table(pa.BufferReader(table)) for table in tables]).unify_dictionaries())


def _parquet(table: pa.Table) -> memoryview:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getbuffer()
