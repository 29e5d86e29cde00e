"""Labels at COCO's scale. Its bound on memory is asserted, so it runs with the other tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.conftest import ROOT

if TYPE_CHECKING:
    import pytest
    from pytest_benchmark.fixture import BenchmarkFixture


def _coco_of_train2017_s_shape(path: Path) -> None:
    """118,287 images and 860,001 boxes with polygons, some 300 MB; ids and sizes as in COCO."""
    rng = np.random.default_rng(0)
    images, count, classes = 118_287, 860_001, 80
    sizes = rng.integers(300, 641, (images, 2)).tolist()
    with path.open("w") as stream:
        stream.write('{"info": {"description": "COCO 2017"}, "licenses": [], "images": [')
        url = "http://images.cocodataset.org/train2017"
        stream.write(
            ",".join(
                f'{{"license": 3, "file_name": "{n:012d}.jpg", "coco_url": "{url}/{n:012d}.jpg", "height": {height}, '
                f'"width": {width}, "date_captured": "2013-11-14 11:18:45", "id": {n}}}'
                for n, (width, height) in enumerate(sizes)
            )
        )
        stream.write('], "annotations": [')
        points = rng.uniform(0, 300, (10_000, 24)).round(2).tolist()
        boxes = rng.uniform(2, 149, (10_000, 4)).round(2).tolist()
        shapes = [  # repeated: to print other numbers each time would take longer than to read them
            f'{{"segmentation": [{polygon}], "area": {box[2] * box[3]:.4f}, "iscrowd": 0, "bbox": {box}, "image_id": '
            for polygon, box in zip(points, boxes, strict=True)
        ]
        for start in range(0, count, len(shapes)):
            owners = rng.integers(0, images, min(len(shapes), count - start)).tolist()
            text = ",".join(
                f'{shape}{owner}, "category_id": {1 + owner % classes}, "id": {start + row + 1}}}'
                for row, (shape, owner) in enumerate(zip(shapes, owners, strict=False))
            )
            stream.write(("," if start else "") + text)
        categories = ",".join(
            f'{{"supercategory": "x", "id": {n}, "name": "class {n}"}}' for n in range(1, classes + 1)
        )
        stream.write(f'], "categories": [{categories}]}}')


def test_labels_of_coco(benchmark: BenchmarkFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """COCO train2017's labels from their file to the fingerprint, on one core in a fresh process: time and peak memory.

    The bound on memory is asserted, since it does not depend on the machine's mood; the time (3 s asked) is printed.
    """
    path = tmp_path / "train2017.json"
    _coco_of_train2017_s_shape(path)
    script = (
        "import os, re, sys, time\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from pathlib import Path\n"
        "from harness.data.load import load\n"
        "from harness.suite.schema import FilesDataset\n"
        "started = time.perf_counter()\n"
        "loaded = load(FilesDataset(format='coco', path=Path(sys.argv[1])), depth='labels')\n"
        "loaded.fingerprint()\n"
        "took = time.perf_counter() - started\n"
        "part = loaded.splits['all'].annotations\n"
        # Not getrusage: its peak outlives exec, and is the test process' own.
        "peak = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]\n"
        "print(took, peak, len(part), len(part.boxes))\n"
    )
    found = []

    def read() -> None:
        done = subprocess.run(
            (sys.executable, "-c", script, path), capture_output=True, text=True, check=True, cwd=ROOT
        )
        found.append([float(word) for word in done.stdout.split()])

    benchmark.pedantic(read, rounds=3)
    times, peaks = [row[0] for row in found], [row[1] / 2**10 for row in found]
    with capsys.disabled():
        size = path.stat().st_size / 1e6
        print(  # noqa: T201 - what the benchmark is for
            f"\nCOCO train2017's shape, {size:.0f} MB: {min(times):.2f}–{max(times):.2f} s (n = {len(times)}), "
            f"peak {max(peaks):.0f} MiB"
        )
    assert found[0][2:] == [118_287, 860_001]
    assert max(peaks) < 1024
