"""Train by the harness and by each library's plain loop, in turn, and compare: `make bench-train`.

    python -m tests.perf.bench_train [--pairs 5] [--rows NAME ...] [--best] [--epochs 3] [--device cuda:0] [--out FILE]

Each training is a process of its own; both start from one file of weights and see the same JPEGs, batch size, steps,
rates and precision. Images/s are those of the epochs after the first. With `--best` the harness trains in bf16 where
the processor has instructions for it, against the loop in fp32 with four loader processes. Accuracy is mAP on val after
the training, mean and standard deviation over the pairs' seeds. By default the training is only long enough to tell a
broken one from a sound one; --epochs, --images, --lr and --side make it longer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from harness.analysis import student
from harness.data.synthetic import SyntheticSplit
from harness.executors.environment import child_environment
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial.models import checkpoint
from harness.trial.models.registry import family_of
from tests.conftest import ROOT
from tests.perf.reference_loop import Job

CLASSES = 4
CLASS_NAMES = tuple(f"class {number}" for number in range(1, CLASSES + 1))
WIDE = (640, 480)
LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One row of the table: an architecture, and how both train it; at low rates, for the weights are random.

    Attributes:
        side: of the image, on a CPU and on a GPU; in pixels.
        calibrate: replace live norms by frozen ones with statistics of the images, as published weights have them.
    """

    name: str
    library: str
    optimizer: str
    lr: float
    side: tuple[int, int]
    longer: float = 4 / 3
    calibrate: bool = False


CONTESTS = (
    Contest(
        name="fasterrcnn_resnet50_fpn", library="torchvision", optimizer="sgd", lr=0.00025, side=(256, 800),
        longer=1.6, calibrate=True,
    ),
    Contest(
        name="fasterrcnn_mobilenet_v3_large_fpn", library="torchvision", optimizer="sgd", lr=0.00025, side=(256, 800),
        longer=1.6, calibrate=True,
    ),
    Contest(
        name="retinanet_resnet50_fpn", library="torchvision", optimizer="sgd", lr=0.000125, side=(256, 800),
        longer=1.6, calibrate=True,
    ),
    Contest(
        name="ssdlite320_mobilenet_v3_large", library="torchvision", optimizer="sgd", lr=0.002, side=(320, 320),
        longer=1.0,
    ),
    Contest(name="dfine_n", library="transformers", optimizer="adamw", lr=1e-4, side=(320, 640), longer=1.0),
    Contest(name="yolox_nano", library="libreyolo", optimizer="sgd", lr=0.002, side=(320, 416), longer=1.0),
)  # fmt: skip


def write_images(folder: Path, *, train: int, val: int) -> None:
    """Write JPEGs of 640 × 480 and 480 × 640 with labels in COCO's format."""
    for split, count in (("train", train), ("val", val)):
        drawn = SyntheticSplit(
            split=split, images=count, size=WIDE[0], classes=CLASSES, max_objects=5, object_size=(0.1, 0.4), seed=0
        )
        known = drawn.annotations()
        boxes, labels, offsets = known.boxes, known.labels, known.offsets
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index in range(count):
            width, height = WIDE if index % 2 else WIDE[::-1]
            name = f"{split}{index}.jpg"
            Image.fromarray(drawn.read_image(index)).crop((0, 0, width, height)).save(folder / name, quality=90)
            images.append({"id": index, "file_name": name, "width": width, "height": height})
            for row in range(offsets[index], offsets[index + 1]):
                left, top, right, bottom = boxes[row].tolist()
                right, bottom = min(right, width), min(bottom, height)
                if right - left < 8 or bottom - top < 8:  # cut off with the rest of the square
                    continue
                annotations.append(
                    {
                        "id": len(annotations) + 1, "image_id": index, "category_id": int(labels[row]) + 1,
                        "bbox": [left, top, right - left, bottom - top], "iscrowd": 0,
                        "area": (right - left) * (bottom - top),
                    }
                )  # fmt: skip
        categories = [{"id": number, "name": name} for number, name in enumerate(CLASS_NAMES, 1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / f"{split}.json").write_text(json.dumps(content))


def write_weights(contest: Contest, size: ImageSize, folder: Path) -> Path:
    """Write the file of weights that both start from."""
    row = BUILT_IN[contest.name]
    torch.manual_seed(0)
    how: dict[str, Any] = {"classes": CLASSES, "image_size": size, "options": {}}
    detector, _ = family_of(row).build(row, weights="none", **how)
    if contest.calibrate:
        detector.module.train()
        with torch.no_grad():  # of a fresh network the statistics of frozen norms would be those of nothing
            for index in range(4):
                picture = Image.open(folder / f"train{index}.jpg").resize((256, 256))
                pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).reshape(1, 256, 256, 3)
                for module in detector.module.modules():
                    if isinstance(module, torch.nn.BatchNorm2d):
                        module.momentum = 1 / (index + 1)
                detector.module.get_submodule("backbone")((pixels.permute(0, 3, 1, 2) / 255 - 0.45) / 0.225)
        state = {key: value for key, value in detector.module.state_dict().items() if "num_batches" not in key}
        torch.save(state, folder / "state.pt")
        detector, _ = family_of(row).build(row, weights=str(folder / "state.pt"), **how)
    file = folder / f"{contest.name}.pt"
    architecture = TrialArchitecture(name=contest.name, weights="none", image_size=size, model={}, weights_sha256=None)
    checkpoint.save(file, detector, architecture, CLASS_NAMES)
    return file


def run_reference(job: Job) -> dict[str, float]:
    """Train by the plain loop in a process of its own."""
    return _measured(job.threads, "-m", "tests.perf.reference_loop", json.dumps(asdict(job)))


def run_harness(contest: Contest, job: Job, hyperparameters: Mapping[str, Any], folder: Path) -> dict[str, float]:
    """Train by the harness, in a process of its own."""
    steps = -(-len(json.loads((Path(job.data) / "train.json").read_text())["images"]) // job.batch_size)
    low, high = job.image_size
    suite = {
        "suite": "bench",
        "datasets": {
            "drawn": {
                "format": "coco",
                **{
                    split: {"annotations": f"{job.data}/{split}.json", "images": job.data} for split in ("train", "val")
                },
            }
        },
        "architectures": [
            {
                "name": contest.name,
                "weights": job.weights,
                **({} if BUILT_IN[contest.name].fixed_size else {"image_size": {"min": low, "max": high}}),
            }
        ],
        "hyperparameters": {
            "recipe": "shared",
            "epochs": job.epochs,
            "batch_size": job.batch_size,
            "optimizer": job.optimizer,
            "lr": job.lr,
            "weight_decay": 1e-4,
            "schedule": "constant",
            "warmup_steps": steps,
            "clip_grad_norm": 0,
            "group_by_orientation": True,  # as the plain loop does it
            "precision": job.precision,
            **hyperparameters,
        },
        "seeds": [job.seed],
    }
    folder.mkdir()
    (folder / "bench.yaml").write_text(json.dumps(suite))
    return _measured(job.threads, "-m", "tests.perf.harness_loop", str(folder / "bench.yaml"), job.device)


def _measured(threads: int, *arguments: str) -> dict[str, float]:
    """What a python process prints as JSON at its end; the threads of all of them wait in the same way."""
    done = subprocess.run(
        (sys.executable, *arguments),
        capture_output=True, text=True, check=False, cwd=ROOT, env=child_environment(threads),
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def best_precision(*, gpu: bool) -> str:
    """bf16 where there are instructions for it, else fp32."""
    return "bf16" if gpu or torch.cpu._is_avx512_bf16_supported() else "fp32"


def ratio_of_pairs(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """The geometric mean of the ratios of pairs, with the bounds of its 95 % interval (Student's t over logarithms)."""
    logs = torch.tensor(ours, dtype=torch.float64).log() - torch.tensor(theirs, dtype=torch.float64).log()
    centre = float(logs.mean())
    if len(logs) < 2:
        return float(logs.exp()), 0.0, float("inf")
    half = student.quantile(LEVEL, len(logs) - 1) * float(logs.std()) / len(logs) ** 0.5
    bounds = torch.tensor([centre, centre - half, centre + half]).exp().tolist()
    return bounds[0], bounds[1], bounds[2]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rows", nargs="*", default=[contest.name for contest in CONTESTS])
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--val-images", type=int, default=16)
    parser.add_argument("--batch", type=int, default=None, help="2 on a CPU and 16 on a GPU unless given")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=None, help="of both, in place of the row's")
    parser.add_argument("--side", type=int, default=None, help="of the image in pixels, in place of the row's")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default=None, help="fp32 on a CPU and bf16 on a GPU unless given")
    parser.add_argument("--best", action="store_true")
    parser.add_argument("--out", type=Path, default=None, help="write the measurements of each pair as JSON")
    asked = parser.parse_args(arguments)
    gpu = not asked.device.startswith("cpu")
    console = Console()
    table = Table("row", "harness", "reference", "ratio (95 %)", "wait", "peak", "mAP", title="images/s, later epochs")
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as name:
        data = Path(name) / "data"
        data.mkdir()
        write_images(data, train=asked.images, val=asked.val_images)
        found: dict[str, Any] = {}
        for contest in (contest for contest in CONTESTS if contest.name in asked.rows):
            side = asked.side or contest.side[gpu]
            size = (side, round(side * contest.longer))
            job = Job(
                library=contest.library, data=str(data), image_size=size, optimizer=contest.optimizer,
                lr=asked.lr or contest.lr,
                weights=str(write_weights(contest, ImageSize(min=size[0], max=size[1]), data)),
                epochs=asked.epochs, batch_size=asked.batch or (16 if gpu else 2), device=asked.device,
                precision=asked.precision or ("bf16" if gpu else "fp32"),
                threads=len(os.sched_getaffinity(0)), workers=4 if gpu or asked.best else 0, seed=0,
            )  # fmt: skip
            plain = replace(job, precision="fp32") if asked.best else job
            own = {"precision": best_precision(gpu=gpu)} if asked.best else {}
            pairs: dict[str, list[dict[str, float]]] = {"harness": [], "reference": []}
            for number in range(asked.pairs):
                for side_name in sorted(pairs, reverse=number % 2 == 1):
                    if side_name == "harness":
                        made = run_harness(
                            contest, replace(job, seed=number), own, Path(name) / f"{contest.name}-{number}"
                        )
                    else:
                        made = run_reference(replace(plain, seed=number))
                    pairs[side_name].append(made)
                    console.print(f"{contest.name} {number + 1}/{asked.pairs} {side_name}: {made}", highlight=False)
                    console.file.flush()
            found[contest.name] = pairs
            table.add_row(contest.name, *_cells(pairs))
    console.print(table)
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1))


def _cells(pairs: Mapping[str, Sequence[Mapping[str, float]]]) -> list[str]:
    values = {(side, key): [made[key] for made in runs] for side, runs in pairs.items() for key in runs[0]}

    def both(key: str, text: str, factor: float = 1.0) -> str:
        return " / ".join(text.format(mean(values[side, key]) * factor) for side in ("harness", "reference"))

    ratio, low, high = ratio_of_pairs(values["harness", "images_per_s"], values["reference", "images_per_s"])
    return [
        f"{median(values['harness', 'images_per_s']):.2f}",
        f"{median(values['reference', 'images_per_s']):.2f}",
        f"{ratio:.2f} ({low:.2f} to {high:.2f})",
        both("data_wait_fraction", "{:.1f} %", 100),
        both("peak_bytes", "{:.0f} MiB", 2**-20),
        " / ".join(
            f"{mean(found):.3f}" + (f" ± {stdev(found):.3f}" if len(found) > 1 else "")
            for found in (values["harness", "map"], values["reference", "map"])
        ),
    ]


if __name__ == "__main__":
    main()
