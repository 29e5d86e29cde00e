"""VOC's layout: JPEGImages, Annotations, ImageSets/Main/SPLIT.txt."""

from __future__ import annotations

from pathlib import Path

from tests.data.shots import Shot


def image_folder(root: Path, _split: str) -> Path:
    """Where the images of a split lie."""
    return root / "JPEGImages"


def label_file(root: Path, _split: str, image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / "Annotations" / f"{Path(image).stem}.xml"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    for shot in shots:
        objects = "".join(
            f"  <object>\n    <name>{label}</name>\n    <difficult>0</difficult>\n    <bndbox>\n"
            f"      <xmin>{x1 + 1:.6f}</xmin>\n      <ymin>{y1 + 1:.6f}</ymin>\n"
            f"      <xmax>{x2}</xmax>\n      <ymax>{y2}</ymax>\n    </bndbox>\n  </object>\n"
            for label, x1, y1, x2, y2 in shot.boxes
        )
        label_file(root, split, shot.name).write_text(
            f"<annotation>\n  <filename>{shot.name}</filename>\n  <size><width>{shot.size[0]}</width>"
            f"<height>{shot.size[1]}</height><depth>3</depth></size>\n{objects}</annotation>\n"
        )
    sets = root / "ImageSets" / "Main"
    sets.mkdir(parents=True, exist_ok=True)
    (sets / f"{split}.txt").write_text("".join(f"{Path(shot.name).stem}\n" for shot in shots))
