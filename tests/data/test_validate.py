"""What a suite's data are told before the night."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.conftest import Command


def test_crowded_images_are_told_before_the_night(tmp_path: Path, harness_command: Command) -> None:
    """Of the split that is evaluated: images, objects and what to do."""
    for split, count in (("train", 2), ("val", 120)):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        Image.new("RGB", (200, 200), (count, 0, 0)).save(folder / "a.png")
        lines = [f"0 {(n % 20 + 0.5) / 20} {(n // 20 + 0.5) / 20} 0.04 0.04" for n in range(count)]
        (folder / "a.txt").write_text("\n".join(lines))
    (tmp_path / "data" / "data.yaml").write_text("train: train\nval: val\nnames: [bolt]\n")
    suite = tmp_path / "crowd.yaml"
    suite.write_text(
        "suite: crowd\ndatasets:\n  d: {format: yolo, path: data}\narchitectures:\n  - retinanet_resnet50_fpn\n"
    )
    run = harness_command("validate", suite)
    assert run.returncode == 0, run.stdout
    assert "data d: val: 1 of 1 image holds more objects than mAP counts (120 at most)" in run.stdout
    assert "20 of 120 objects count as missed" in run.stdout
    assert "the protocol keeps 100 in all; raise protocol.detections" in run.stdout


def test_a_detector_that_trains_from_masks_needs_them(tmp_path: Path, harness_command: Command) -> None:
    """Boxes alone are refused before the night, with the architecture and what to do; other detectors take them."""
    for split in ("train", "val"):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        Image.new("RGB", (200, 200), (len(split) * 40, 0, 0)).save(folder / "a.png")
        (folder / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "data" / "data.yaml").write_text("train: train\nval: val\nnames: [bolt]\n")
    suite = tmp_path / "masks.yaml"
    text = "suite: m\ndatasets:\n  d: {format: yolo, path: data}\narchitectures:\n  - retinanet_resnet50_fpn\n"
    suite.write_text(f"{text}  - maskrcnn_resnet50_fpn\n")
    run = harness_command("validate", suite)
    assert run.returncode == 2, run.stdout
    said = "datasets.d: maskrcnn_resnet50_fpn trains from masks: yolo labels are read as boxes, without masks"
    assert said in run.stderr + run.stdout
    suite.write_text(text)
    assert harness_command("validate", suite).returncode == 0
    drawn = "format: synthetic, train: {images: 2}, val: {images: 2}"
    suite.write_text(f"suite: m\ndatasets:\n  d: {{{drawn}}}\narchitectures:\n  - maskrcnn_resnet50_fpn\n")
    assert harness_command("validate", suite).returncode == 0
