"""A plain training by each library's own means, for `make bench-train` to compare the harness with.

The loop is what torchvision's reference script for detection does (references/detection/train.py and engine.py at
v0.25: images of one orientation in a batch, mirror images, floats made by the loader, losses read in each step), and it
hardly differs in transformers' example (run_object_detection_no_trainer.py: its image processor prepares and normalises
in the loader) and in libreyolo's trainer without mosaic (letterbox by OpenCV in the loader). Written anew, for those
scripts download data and weights, and log more than they train.

The network is the library's own, from the same file of weights as the harness's, and nothing of the harness runs
between its steps. Accuracy is computed by the harness, for both alike.
"""

from __future__ import annotations

import json
import math
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms.v2 import functional

FLIP = 0.5
_DEGENERATE = 1e-3  # the warm-up's first factor, in torchvision's script
Target = dict[str, Tensor]
Prepared = tuple[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training.

    Attributes:
        library: torchvision, transformers or libreyolo.
        data: a folder with train.json and val.json in COCO's format, and the images that they name.
        weights: a checkpoint of the harness, which both start from.
        image_size: the shorter and the longer side, in pixels.
        optimizer: sgd or adamw.
        device: cpu or cuda.
        precision: fp32 or bf16.
        threads: of torch, on a CPU.
        workers: processes of the loader.
    """

    library: str
    data: str
    weights: str
    image_size: tuple[int, int]
    optimizer: str
    lr: float
    epochs: int
    batch_size: int
    device: str
    precision: str
    threads: int
    workers: int
    seed: int


class Images(Dataset[Prepared]):
    """A split in COCO's format; `prepare` makes of an image with its target what the library's loop takes."""

    def __init__(self, folder: Path, split: str, prepare: Callable[[Image.Image, Target], Prepared]) -> None:
        content = json.loads((folder / f"{split}.json").read_text())
        self._folder, self._prepare = folder, prepare
        self.images = sorted(content["images"], key=lambda image: image["id"])
        self._boxes: dict[int, list[list[float]]] = {image["id"]: [] for image in self.images}
        self._labels: dict[int, list[int]] = {image["id"]: [] for image in self.images}
        for box in content["annotations"]:
            x, y, width, height = box["bbox"]
            self._boxes[box["image_id"]].append([x, y, x + width, y + height])
            self._labels[box["image_id"]].append(box["category_id"])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Prepared:
        known = self.images[index]
        image = Image.open(self._folder / known["file_name"]).convert("RGB")
        boxes = torch.tensor(self._boxes[known["id"]], dtype=torch.float32).reshape(-1, 4)
        return self._prepare(
            image, {"boxes": boxes, "labels": torch.tensor(self._labels[known["id"]], dtype=torch.int64)}
        )


class OneOrientation(Sampler[list[int]]):
    """Batches of images that are all wide or all tall, as torchvision's `--aspect-ratio-group-factor` makes them."""

    def __init__(self, data: Images, batch_size: int) -> None:
        self._wide = [image["width"] >= image["height"] for image in data.images]
        self._batch_size = batch_size

    def __iter__(self) -> Iterator[list[int]]:
        waiting: dict[bool, list[int]] = {True: [], False: []}
        for index in torch.randperm(len(self._wide)).tolist():
            batch = waiting[self._wide[index]]
            batch.append(index)
            if len(batch) == self._batch_size:
                yield batch
                waiting[self._wide[index]] = []
        yield from (batch for batch in waiting.values() if batch)


def torchvision_image(image: Image.Image, target: Target) -> Prepared:
    """`DetectionPresetTrain(data_augmentation="hflip")` with its default backend: PIL, then floats."""
    if random.random() < FLIP:
        image, target = functional.horizontal_flip(image), mirrored(target, image.width)
    return functional.to_dtype(functional.pil_to_tensor(image), torch.float32, scale=True), target


def mirrored(target: Target, width: int) -> Target:
    """The target of the mirror image."""
    boxes = target["boxes"].clone()
    boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    return {**target, "boxes": boxes}


def torchvision_losses(model: Any, batch: Sequence[Prepared], device: torch.device) -> dict[str, Tensor]:
    """The losses of a batch, as the script's `train_one_epoch` asks for them."""
    images = [image.to(device) for image, _ in batch]
    targets = [{name: column.to(device) for name, column in target.items()} for _, target in batch]
    losses: dict[str, Tensor] = model(images, targets)
    return losses


def transformers_image(processor: Any) -> Callable[[Image.Image, Target], Prepared]:
    """Mirror, then the library's image processor, which resizes, scales and converts boxes."""

    def prepare(image: Image.Image, target: Target) -> Prepared:
        if random.random() < FLIP:
            image, target = functional.horizontal_flip(image), mirrored(target, image.width)
        corners = target["boxes"]
        sides = corners[:, 2:] - corners[:, :2]
        boxes = torch.cat([corners[:, :2], sides], dim=1).tolist()
        annotations = [
            {"bbox": box, "category_id": label - 1, "area": box[2] * box[3], "iscrowd": 0}
            for box, label in zip(boxes, target["labels"].tolist(), strict=True)
        ]
        made = processor(images=image, annotations={"image_id": 0, "annotations": annotations}, return_tensors="pt")
        return made["pixel_values"][0], made["labels"][0]

    return prepare


def transformers_losses(model: Any, batch: Sequence[Prepared], device: torch.device) -> dict[str, Tensor]:
    """The loss of a batch whose images have one size, as the library sums it."""
    pixels = torch.stack([image for image, _ in batch]).to(device)
    labels = [{key: value.to(device) for key, value in label.items()} for _, label in batch]
    return {"loss": model(pixel_values=pixels, labels=labels).loss}


def libreyolo_image(side: int) -> Callable[[Image.Image, Target], Prepared]:
    """What libreyolo's own `TrainTransform` makes, without changes of colour: BGR from 0 to 255 in a square."""
    from libreyolo.training.augment import TrainTransform

    transform = TrainTransform(flip_prob=FLIP, hsv_prob=0.0)

    def prepare(image: Image.Image, target: Target) -> Prepared:
        rows = np.hstack([target["boxes"].numpy(), target["labels"].numpy()[:, None] - 1.0])
        pixels, labels = transform(np.asarray(image)[..., ::-1].copy(), rows, (side, side))
        return torch.from_numpy(pixels), torch.from_numpy(labels)

    return prepare


def libreyolo_losses(model: Any, batch: Sequence[Prepared], device: torch.device) -> dict[str, Tensor]:
    """The loss of a batch, as the library's trainer asks for it."""
    pixels = torch.stack([image for image, _ in batch]).to(device)
    labels = torch.stack([label for _, label in batch]).to(device)
    return {"loss": model(pixels, labels)["total_loss"]}


def seed_worker(_worker: int) -> None:
    """Give Python's generator a seed of its own in each process of the loader."""
    random.seed(torch.initial_seed())


def main() -> None:
    """Train as the JSON in the first argument says, and print what was measured as JSON."""
    from harness.trial.models import checkpoint

    job = Job(**json.loads(sys.argv[1]))
    torch.manual_seed(job.seed)
    random.seed(job.seed)
    torch.set_num_threads(job.threads)
    device = torch.device(job.device)
    detector, class_names = checkpoint.load_detector(Path(job.weights))
    model: Any = detector.module.to(device).train()
    prepare, losses_of = _of_library(job)
    data = Images(Path(job.data), "train", prepare)
    loader = DataLoader(
        data,
        batch_sampler=OneOrientation(data, job.batch_size),
        num_workers=job.workers,
        collate_fn=list,
        worker_init_fn=seed_worker,
    )
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer: torch.optim.Optimizer
    if job.optimizer == "sgd":
        optimizer = torch.optim.SGD(parameters, lr=job.lr, momentum=0.9, weight_decay=1e-4)
    else:
        optimizer = torch.optim.AdamW(parameters, lr=job.lr, weight_decay=1e-4)
    epochs = []
    for epoch in range(job.epochs):
        warmup = torch.optim.lr_scheduler.LinearLR(
            optimizer, start_factor=_DEGENERATE if not epoch else 1.0, total_iters=max(1, len(data) // job.batch_size)
        )
        epochs.append(_one_epoch(model, optimizer, warmup, loader, losses_of, device, job.precision))
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else _peak_resident()
    later = epochs[1:]
    seconds = sum(epoch["seconds"] for epoch in later)
    result = {
        "images_per_s": len(data) * len(later) / seconds,
        "data_wait_fraction": sum(epoch["waited"] for epoch in later) / seconds,
        "peak_bytes": peak,
        "map": _accuracy(detector, class_names, job, device),
    }
    sys.stdout.write(f"{json.dumps(result)}\n")


def _of_library(job: Job) -> tuple[Callable[[Image.Image, Target], Prepared], Callable[..., dict[str, Tensor]]]:
    if job.library == "torchvision":
        return torchvision_image, torchvision_losses
    if job.library == "transformers":
        from transformers import RTDetrImageProcessor

        side = job.image_size[0]
        return transformers_image(RTDetrImageProcessor(size={"height": side, "width": side})), transformers_losses
    return libreyolo_image(job.image_size[0]), libreyolo_losses


def _one_epoch(
    model: Any,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    loader: DataLoader[Prepared],
    losses_of: Callable[..., dict[str, Tensor]],
    device: torch.device,
    precision: str,
) -> dict[str, float]:
    """Train one epoch; returns its seconds, and those of them that were spent waiting for a batch."""
    started = asked = time.perf_counter()
    waited = 0.0
    for batch in loader:
        waited += time.perf_counter() - asked
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            losses = losses_of(model, batch, device)
            loss = torch.stack(list(losses.values())).sum()
        if not math.isfinite(loss.item()):
            sys.exit(f"the loss is {loss.item()}")
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        scheduler.step()
        for part in losses.values():  # the script's logger reads each
            part.item()
        asked = time.perf_counter()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return {"seconds": time.perf_counter() - started, "waited": waited}


def _peak_resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _accuracy(detector: Any, class_names: tuple[str, ...], job: Job, device: torch.device) -> float:
    """Compute mAP on val by the harness's own code, at its protocol's thresholds."""
    from functools import partial

    from harness.data.load import load
    from harness.suite.schema import FilesDataset, LabelledImages
    from harness.suite.trial import TrialDataset
    from harness.trial.evaluate.coco import accuracy
    from harness.trial.evaluate.detect import detect, evaluate
    from harness.trial.inputs.dataset import open_dataset

    folder = Path(job.data)
    train, val = (LabelledImages(annotations=folder / f"{name}.json", images=folder) for name in ("train", "val"))
    source = FilesDataset(format="coco", train=train, val=val)
    data = TrialDataset(name="drawn", fingerprint=load(source, depth="headers").fingerprint(), source=source)
    items = open_dataset(data, max_images=None, import_folder=folder).splits["val"]
    detector.module.eval()
    detector.set_postprocessing(score_threshold=0.001, detections=100)
    run = partial(detect, detector, device=device, precision=job.precision)
    truths, found = evaluate(run, (items[index] for index in range(len(items))))
    return accuracy(truths, found, class_names=class_names, split="val").map or 0.0


if __name__ == "__main__":
    main()
