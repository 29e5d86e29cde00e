"""`harness data export`, also called `harness data convert`: write labels in another format. Parse, write, print."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.datasets import datasets_of, load_files
from harness.cli.errors import exit_codes
from harness.cli.target import FORMAT, IMAGES, TARGET
from harness.errors import DataError, UsageError
from harness.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.data.export.tree import Tree
    from harness.data.loaded import LoadedSplit


@click.command()
@TARGET
@click.argument("out", type=click.Path(path_type=Path))
@FORMAT
@IMAGES
@click.option("--to", type=click.Choice(["coco", "yolo", "voc"]), required=True, help="The format to write.")
@click.option("--split", "only", metavar="NAME", help="Only this split; else all of them.")
@click.option("--copy-images", is_flag=True, help="Copy the images too, to where yolo and voc have them.")
def export(
    target: Path, out: Path, wanted: str, images: Path | None, to: str, only: str | None, *, copy_images: bool
) -> None:
    """Write the boxes as the harness reads them, for other tools: clipped to their image, which is upright.

    OUT is a JSON file for coco, each image with the name of its split, and a new folder for yolo and voc.
    """
    from harness.data.export.voc import to_voc
    from harness.data.export.yolo import to_yolo

    with exit_codes():
        if to == "coco" and copy_images:
            raise UsageError(
                "--copy-images is for yolo and voc; the names in a COCO file lead to the images as they lie"
            )
        if out.exists() and (to == "coco" or not out.is_dir() or any(out.iterdir())):
            raise UsageError(f"{out}: is there already, and is not overwritten; choose another name, or remove it")
        parts = _splits(target, wanted, images, only)
        count = sum(len(part.annotations) for part in parts.values())
        if to == "coco":
            folder = _write_coco(parts, out)
            click.echo(f"{out}: {counted(count, 'image')}, file names relative to {folder}")
            return
        tree = (to_yolo if to == "yolo" else to_voc)(parts)
        _write_tree(tree, out, copy_images=copy_images)
        click.echo(f"{out}: {counted(count, 'image')}")
        for note in tree.notes:
            click.echo(note, err=True)
        if not copy_images:
            folder = "images" if to == "yolo" else "JPEGImages"
            click.echo(f"the images belong into {out / folder}: copy them, or export with --copy-images", err=True)


convert = copy.copy(export)  # the name that many look for
convert.name, convert.hidden = "convert", True


def _splits(target: Path, wanted: str, images: Path | None, only: str | None) -> dict[str, LoadedSplit]:
    """Read the splits to write, with the sizes that the labels tell where no image file is there."""
    from harness.data.load import load
    from harness.suite.schema import FilesDataset

    datasets = {name: d for name, d in datasets_of(target, wanted, images).items() if isinstance(d, FilesDataset)}
    if len(datasets) != 1:
        known = ", ".join(datasets) or "none"
        raise UsageError(f"{target}: expected one dataset of files, got {known}; give the PATH of one")
    ((name, dataset),) = datasets.items()
    loaded = load_files(name, dataset, "headers")
    if not any(any(part.paths) for part in loaded.splits.values()):  # no image file is there: labels may do
        labels = load(dataset, depth="labels")
        loaded = labels if all((part.annotations.sizes > 0).all() for part in labels.splits.values()) else loaded
    fatal = loaded.fatal(dataset.on_bad_data)
    if fatal:
        raise DataError("\n".join(map(str, fatal)))
    if only and only not in loaded.splits:
        raise UsageError(f"--split {only}: no such split; there are {', '.join(loaded.splits)}")
    return {split: part for split, part in loaded.splits.items() if only in {None, split}}


def _write_coco(parts: Mapping[str, LoadedSplit], out: Path) -> str:
    """Write the file, and return the folder that its names are relative to."""
    from harness.data.export.coco import to_coco
    from harness.store import files

    folder = os.path.commonpath([part.folder for part in parts.values()])
    prefixes = {split: os.path.relpath(part.folder, folder) for split, part in parts.items()}
    files.replace(out, to_coco(parts, prefixes))
    return folder


def _write_tree(tree: Tree, out: Path, *, copy_images: bool) -> None:
    from harness.data.export.tree import write_tree
    from harness.store import files

    if copy_images and not all(tree.images.values()):
        raise DataError("the images are not there: nothing to copy; leave --copy-images out")
    with files.disk_errors(out):
        write_tree(tree, out, copy_images=copy_images)
