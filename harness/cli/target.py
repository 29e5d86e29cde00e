"""What the commands of `harness data` are about: the datasets of a suite, or the labels under a path.

Owns the arguments and options that those commands share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from harness.errors import UsageError
from harness.suite.formats import FormatName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.suite.schema import Dataset, ImageSize

TARGET = click.argument("target", metavar="SUITE|PATH", type=click.Path(path_type=Path, exists=True))
FORMAT = click.option(
    "--format",
    "wanted",
    type=click.Choice(get_args(FormatName)),
    default="auto",
    show_default=True,
    help="Of the labels under a PATH; a suite names its own.",
)
IMAGES = click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="The folder of the images of a PATH, or of a folder of them for each split; else it is searched for.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")

_YAML = {".yaml", ".yml"}
_SUITE_KEYS = {"suite", "datasets", "architectures"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Datasets by name, the resizes of the detectors that are to be trained on them, and the suite's folder.

    Of a path without a suite it is one dataset, called after the path, and torchvision's default resize.
    """

    datasets: Mapping[str, Dataset]
    image_sizes: tuple[ImageSize, ...]
    folder: Path = field(default_factory=Path)


def read_target(path: Path, wanted_format: str, images: Path | None) -> Target:
    """Read what the user names as SUITE|PATH.

    Raises:
        SuiteError: the suite file is wrong.
        UsageError: a folder of images is named beside a suite.
    """
    from harness.suite.load import load_suite
    from harness.suite.schema import FilesDataset, ImageSize

    if path.suffix.lower() in _YAML and path.is_file() and _is_suite(path):
        if images is not None:
            raise UsageError(f"--images is for labels under a PATH; {path} is a suite, which names the folders itself")
        suite = load_suite(path)
        return Target(datasets=dict(suite.datasets), image_sizes=suite.image_sizes, folder=path.resolve().parent)
    dataset = FilesDataset(format=wanted_format, path=path, images=images)  # type: ignore[arg-type]
    return Target(datasets={path.resolve().name: dataset}, image_sizes=(ImageSize(),))


def _is_suite(path: Path) -> bool:
    """A data.yaml of YOLO's has `names`, and none of a suite's keys."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        keys = {line.partition(":")[0].strip() for line in stream.readlines(1_000_000) if not line.startswith(" ")}
    return bool(keys & _SUITE_KEYS)
