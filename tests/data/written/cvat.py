"""CVAT for images 1.1, one task a split: annotations.xml beside a folder images."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

from tests.data.shots import CLASSES, Shot


def image_folder(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / split / "images"


def label_file(root: Path, split: str, _image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / split / "annotations.xml"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    labels = "".join(
        f"<label><name>{name}</name><color>#ff6037</color><type>any</type><attributes></attributes></label>"
        for name in CLASSES
    )
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<annotations>",
        "  <version>1.1</version>",
        f"  <meta><task><name>{split}</name><mode>annotation</mode><labels>{labels}</labels></task></meta>",
    ]
    for number, shot in enumerate(shots):
        width, height = shot.size
        lines.append(f'  <image id="{number}" name={quoteattr(shot.name)} width="{width}" height="{height}">')
        lines += [
            f'    <box label={quoteattr(label)} source="manual" occluded="0" xtl="{x1}" ytl="{y1}" xbr="{x2}" '
            f'ybr="{y2}" z_order="0"></box>'
            for label, x1, y1, x2, y2 in shot.boxes
        ]
        lines.append("  </image>")
    label_file(root, split, "").write_text("\n".join([*lines, "</annotations>", ""]))
