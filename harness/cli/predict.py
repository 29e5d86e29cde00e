"""`harness predict`: draw and write what fine-tuned weights detect in images."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.errors import FAILED, exit_codes
from harness.cli.options import DEVICE, RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.api.prediction import Prediction

ARCHITECTURE = click.option(
    "--architecture",
    metavar="IMPORT_PATH",
    help="For a checkpoint of no trial: an architecture of your own, module:ROW or file.py:ROW.",
)
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace files that are in --out already.")
SCORE_THRESHOLD = click.option(
    "--score-threshold",
    type=click.FloatRange(0, 1),
    help="For all classes, in place of each class's own of best F1 or the protocol's.",
)


@click.command()
@click.argument("target", metavar="CHECKPOINT|TRIAL_ID")
@click.argument("images", metavar="IMAGE|FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where drawn copies and detections.json go; by default predictions/<trial id>, the whole one (of weights of "
    "no trial, the file's name), and with --json nowhere.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the detections as JSON, for programs.")
@click.option("--coco", is_flag=True, help="Write coco_results.json as well, as COCO's tools read it.")
@SCORE_THRESHOLD
@RESULTS
@DEVICE
@ARCHITECTURE
@OVERWRITE
def predict(  # noqa: PLR0913 - a command's options
    target: str,
    images: Path,
    *,
    out: Path | None,
    as_json: bool,
    coco: bool,
    score_threshold: float | None,
    results: Path,
    device: str,
    architecture: str | None,
    overwrite: bool,
) -> None:
    """Detect in an image, or in every image of a folder, with fine-tuned weights: a file of them, or a trial's.

    The start of a trial's id is enough. Images are turned upright as their EXIF entry says. One that cannot be read is
    named and skipped, and the exit code is then 1.
    """
    from harness import api
    from harness.api.fine_tuned import find_weights, name_of

    with exit_codes():
        if out is None and (coco or not as_json):
            out = Path("predictions") / name_of(find_weights(target, results, architecture))
        prediction = api.predict(
            target,
            images,
            results=results,
            out=out,
            score_threshold=score_threshold,
            device=device,
            architecture=architecture,
            coco=coco,
            overwrite=overwrite,
        )
        if as_json:
            click.echo(json.dumps(prediction.document(), indent=2))
        else:
            for line in _lines(prediction):
                click.echo(line)
        for image in prediction.detected.unreadable:
            click.echo(f"{image.file}: {image.reason}", err=True)
        sys.exit(FAILED if prediction.detected.unreadable else 0)


def _lines(prediction: Prediction) -> Iterator[str]:
    """What was found where, and from which score on."""
    from harness.formatting import counted

    for image in prediction.detected.images:
        counts = {name: image.classes.count(name) for name in dict.fromkeys(image.classes)}
        found = ", ".join(f"{count} × {name}" for name, count in counts.items()) or "nothing"
        yield f"{image.file}: {found}"
    thresholds = prediction.thresholds
    chosen = sorted({thresholds.of(name) for name in prediction.detected.class_names})
    ends = f"{chosen[0]:g}" if len(chosen) == 1 else f"{chosen[0]:g} to {chosen[-1]:g}"
    yield f"Score threshold: {ends} ({thresholds.source})"
    if prediction.folder is not None:
        yield f"{counted(len(prediction.detected.images), 'drawn image')} and detections.json: {prediction.folder}"
