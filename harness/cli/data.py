"""`harness data …`: look at labelled images before the night. Parse, call the data room, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.data_check import check
from harness.cli.data_export import convert, export
from harness.cli.datasets import datasets_of, load_files
from harness.cli.errors import exit_codes
from harness.cli.target import FORMAT, IMAGES, JSON, TARGET
from harness.formatting import counted, on_one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.data.open import Split
    from harness.data.stats import SplitStatistics, Spread
    from harness.suite.schema import FilesDataset, SyntheticDataset


@click.group()
def data() -> None:
    """Look at labelled images. SUITE|PATH is a suite file, or a file or folder of labels."""


data.add_command(check)
data.add_command(export)
data.add_command(convert)


@data.command()
@TARGET
@FORMAT
@IMAGES
@JSON
def stats(target: Path, wanted: str, images: Path | None, *, as_json: bool) -> None:
    """Count images, boxes and sizes. Image files may be missing where the labels contain their sizes."""
    from pydantic import TypeAdapter

    from harness.data.stats import describe

    with exit_codes():
        found = {}
        for name, dataset in datasets_of(target, wanted, images).items():
            splits = _annotations(name, dataset)
            found[name] = {split: describe(annotations) for split, annotations in splits.items()}
        if not as_json:
            for name, described in found.items():
                _print_statistics(name, described)
            return
        plain = TypeAdapter(Any).dump_python(found, mode="json")
        one = next(iter(plain.values())) if len(plain) == 1 else None
        click.echo(json.dumps({"datasets": plain} if one is None else {"splits": one}, indent=2))


@data.command()
@TARGET
@FORMAT
@IMAGES
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The PNG to write.")
@click.option("--n", "count", type=click.IntRange(1, 400), default=16, show_default=True, help="How many images.")
@click.option("--class", "class_name", metavar="NAME", help="Only images with a box of this class.")
def show(target: Path, wanted: str, images: Path | None, out: Path, count: int, class_name: str | None) -> None:
    """Draw a contact sheet with boxes and class names, to see whether the labels fit the images."""
    from harness.data import contact_sheet
    from harness.store import files

    with exit_codes():
        shown: dict[str, Split] = {}
        datasets = datasets_of(target, wanted, images)
        for name, dataset in datasets.items():
            prefix = f"{name} " if len(datasets) > 1 else ""
            shown |= {f"{prefix}{split}": opened for split, opened in _opened(name, dataset).items()}
        annotations = {name: split.annotations for name, split in shown.items()}
        chosen = contact_sheet.choose_images(annotations, count, class_name)
        files.replace(out, contact_sheet.draw_sheet(shown, chosen))
        click.echo(f"{out}: {counted(len(chosen), 'image')}")


def _annotations(name: str, dataset: FilesDataset | SyntheticDataset) -> dict[str, Any]:
    from harness.data.open import open_synthetic, split_names
    from harness.suite.schema import SyntheticDataset

    if isinstance(dataset, SyntheticDataset):
        return {split: open_synthetic(dataset, split).annotations for split in split_names(dataset)}
    return {split: part.annotations for split, part in load_files(name, dataset, "labels").splits.items()}


def _opened(name: str, dataset: FilesDataset | SyntheticDataset) -> dict[str, Split]:
    from harness.data.open import open_files, open_synthetic, split_names
    from harness.suite.schema import SyntheticDataset

    if isinstance(dataset, SyntheticDataset):
        return {split: open_synthetic(dataset, split) for split in split_names(dataset)}
    return {split: open_files(part) for split, part in load_files(name, dataset, "headers").splits.items()}


def _print_statistics(name: str, described: Mapping[str, SplitStatistics]) -> None:
    from rich.table import Table

    from harness.observers.console import SafeConsole

    def spread(values: Spread) -> str:
        return "–" if values.median is None else f"{values.min:g} / {values.median:g} / {values.max:g}"

    rows: list[tuple[str, list[str]]] = [
        ("images", [f"{s.images:,}" for s in described.values()]),
        ("without boxes", [f"{s.images_without_boxes:,}" for s in described.values()]),
        ("width: min / median / max", [spread(s.image_width) for s in described.values()]),
        ("height", [spread(s.image_height) for s in described.values()]),
        ("boxes", [f"{s.boxes:,}" for s in described.values()]),
        ("per image", [spread(s.boxes_per_image) for s in described.values()]),
    ]
    rows += [("crowd regions", [f"{s.crowds:,}" for s in described.values()])] if _any(described, "crowds") else []
    for size in dict.fromkeys(size for s in described.values() for size in s.box_sizes):
        rows.append((f"{size} boxes", [f"{s.box_sizes.get(size, 0):,}" for s in described.values()]))
    table = Table("", *(str(split) for split in described), title=name, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for text, cells in rows:
        table.add_row(text, *cells)
    table.add_section()
    for class_name in next(iter(described.values())).boxes_per_class if described else ():
        table.add_row(on_one_line(class_name), *(f"{s.boxes_per_class[class_name]:,}" for s in described.values()))
    SafeConsole().print(table)


def _any(described: Mapping[str, SplitStatistics], name: str) -> bool:
    return any(getattr(statistics, name) for statistics in described.values())
