"""`harness predict`, as a user calls it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import harness
from tests.cli.conftest import Shipped
from tests.conftest import ROOT, Command


def _predict(command: Command, shipped: Shipped, *arguments: str | Path) -> Any:
    done = command("predict", "shapes-toy", *arguments, "--results", shipped.results)
    assert done.returncode == 0, done.stderr
    return done


def test_images_of_the_evaluated_split_get_the_detections_of_the_record(
    harness_command: Command, shipped: Shipped
) -> None:
    """To the bit: the same pixels, the same network, one image at a time."""
    done = _predict(harness_command, shipped, shipped.images, "--json", "--score-threshold", "0.001")
    found = json.loads(done.stdout)
    frame = harness.load_results(shipped.results / "ship").detections
    stored = frame[frame["variant"] == "as trained"]
    for image in found["images"]:
        rows = stored[stored["image"].str.startswith(Path(image["file"]).stem)]
        order = np.argsort(-rows["score"].to_numpy(), kind="stable")
        assert image["classes"] == rows["class"].to_numpy()[order].tolist()
        assert np.array(image["scores"], dtype=np.float32).tolist() == rows["score"].to_numpy()[order].tolist()
        boxes = rows[["x1", "y1", "x2", "y2"]].to_numpy()[order]
        assert np.array_equal(np.array(image["boxes"], dtype=np.float32).reshape(-1, 4), boxes)
    assert len(found["images"]) == 8


def test_copies_are_drawn_and_the_detections_written_once(
    harness_command: Command, shipped: Shipped, tmp_path: Path
) -> None:
    """In the same folders, at each class's own threshold; a second call refuses to overwrite, and is told how to."""
    (tmp_path / "in" / "below").mkdir(parents=True)
    source = shipped.images / "val-000003.png"  # with five objects
    shutil.copy(source, tmp_path / "in" / "below" / "a.png")
    Image.open(source).save(tmp_path / "in" / "b.JPG")
    Image.open(source).save(tmp_path / "in" / "c.bmp")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    out = tmp_path / "in" / "drawn"
    done = _predict(harness_command, shipped, tmp_path / "in", "--out", out, "--coco")
    assert "best F1 of each class on val" in done.stdout
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert written == ["b.JPG", "below/a.png", "c.bmp.png", "coco_results.json", "detections.json"]
    document = json.loads((out / "detections.json").read_text())
    assert [image["file"] for image in document["images"]] == ["b.JPG", "c.bmp", "below/a.png"]
    exact = document["images"][1]
    assert exact["scores"] == document["images"][2]["scores"]
    thresholds = document["thresholds"]["by_class"]
    assert all(score >= thresholds[name] for name, score in zip(exact["classes"], exact["scores"], strict=True))
    assert exact["boxes"], "the trial has learned nothing"
    assert not np.array_equal(np.asarray(Image.open(out / "below" / "a.png")), np.asarray(Image.open(source)))
    (left, top, right, bottom), first = exact["boxes"][0], json.loads((out / "coco_results.json").read_text())
    mine = next(row for row in first if row["file_name"] == "c.bmp")
    assert mine["bbox"] == [left, top, right - left, bottom - top]
    before = (out / "detections.json").read_bytes()
    again = harness_command("predict", "shapes-toy", tmp_path / "in", "--out", out, "--results", shipped.results)
    assert again.returncode == 2
    assert "there already; give another folder as --out, or --overwrite" in again.stderr
    _predict(harness_command, shipped, tmp_path / "in", "--out", out, "--overwrite")
    assert (out / "detections.json").read_bytes() == before


def test_a_photo_is_turned_upright_and_one_that_cannot_be_read_is_named(
    harness_command: Command, shipped: Shipped, tmp_path: Path
) -> None:
    """As in training: the size and the boxes are those of the upright image; the others are done, and the exit is 1."""
    pixels = np.zeros((40, 64, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic")
    noise = np.random.default_rng(0).integers(0, 255, (40, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.jpg")
    content = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[:900])
    (tmp_path / "hole.jpg").write_bytes(content[:900] + content[-2:])  # libjpeg fills it without a word
    done = harness_command("predict", "shapes-toy", tmp_path, "--json", "--results", shipped.results)
    assert done.returncode == 1
    assert "photo.heic: cannot be read as an image: HEIC: convert it to JPEG or PNG" in done.stderr
    assert "broken.jpg: " in done.stderr
    document = json.loads(done.stdout)
    assert [(image["file"], image["width"], image["height"]) for image in document["images"]] == [
        ("turned.jpg", 40, 64)
    ]
    assert [image["file"] for image in document["unreadable"]] == ["broken.jpg", "cut.jpg", "hole.jpg", "photo.heic"]
    assert document["unreadable"][1]["reason"].startswith("cannot be read as a whole image: the JPEG ends early")


def test_where_no_image_can_be_read_that_is_what_is_said(
    harness_command: Command, shipped: Shipped, tmp_path: Path
) -> None:
    """In the folder of the whole trial id, which the call makes, as by `--out`; the exit is 1."""
    (tmp_path / "zero.png").touch()
    done = harness_command("predict", "shapes-toy", "zero.png", "--results", shipped.results, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("zero.png: cannot be read as an image: ")
    written = json.loads((tmp_path / "predictions" / shipped.trial.name / "detections.json").read_text())
    assert (written["images"], [image["file"] for image in written["unreadable"]]) == ([], ["zero.png"])


def test_weights_of_no_trial_need_the_users_architecture_named(
    harness_command: Command, shipped: Shipped, tmp_path: Path
) -> None:
    """A file of weights never decides by itself which code is run."""
    weights = Path(shutil.copy(shipped.trial / "checkpoints" / "weights.pt", tmp_path / "mine.pt"))
    image = min(shipped.images.rglob("*.png"))
    unknown = harness_command("predict", weights, image, "--json")
    assert unknown.returncode == 1
    assert "if it is an architecture of your own, give its import path" in unknown.stderr
    path = f"{ROOT}/tests/examples/toy_architecture.py:TOY"
    done = harness_command("predict", weights, image, "--json", "--architecture", path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["thresholds"]["source"] == "the protocol's deployment threshold"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing", "{images}"), "no such trial in"),
        (("shapes", "{images}/nowhere"), "no such image or folder"),
        (("shapes", "{results}"), "holds no image"),
        (("shapes", "{images}", "--out", "{images}"), "a drawn copy would replace the image itself"),
        (("shapes", "{images}", "--architecture", "a:B"), "--architecture is for a file of weights"),
        (("shapes", "{images}", "--device", "tpu"), "is none of auto, cpu, cuda, cuda:N"),
    ],
)
def test_a_wrong_command_is_told_in_words(
    harness_command: Command, shipped: Shipped, arguments: tuple[str, ...], said: str
) -> None:
    """With exit code 2, and nothing written."""
    empty = shipped.trial / "attempts"
    words = [word.format(images=shipped.images, results=empty) for word in arguments]
    done = harness_command("predict", *words, "--results", shipped.results)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
