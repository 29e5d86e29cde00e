"""Open Images' CSV as CVAT exports it: annotations/SPLIT-annotations-bbox.csv, a list of the images, images/SPLIT."""

from __future__ import annotations

from pathlib import Path

from tests.data.shots import CLASSES, Shot

HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"


def image_folder(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / "images" / split


def label_file(root: Path, split: str, _image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / "annotations" / f"{split}-annotations-bbox.csv"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split, the names of the classes, and the list of the images."""
    lines = [
        f"{Path(shot.name).stem},xclick,{class_id(label)},1,{x1 / width:.8f},{x2 / width:.8f},{y1 / height:.8f},"
        f"{y2 / height:.8f},0,0,0,0,0\n"
        for shot in shots
        for (label, x1, y1, x2, y2) in shot.boxes
        for width, height in [shot.size]
    ]
    file = label_file(root, split, "")
    file.write_text(f"{HEADER}\n{''.join(lines)}")
    file.with_name("class-descriptions-boxable.csv").write_text(
        "".join(f"{class_id(label)},{label}\n" for label in CLASSES)
    )
    file.with_name(f"{split}-images-with-rotation.csv").write_text(
        "ImageID,Subset,Title,Rotation\n" + "".join(f'{Path(shot.name).stem},{split},"A, b",0\n' for shot in shots)
    )


def class_id(label: str) -> str:
    """Return Google's kind of id for a class."""
    return f"/m/0{label[:2]}"
