"""`harness export`: write a winner for another program, with a card."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.errors import exit_codes
from harness.cli.options import RESULTS
from harness.cli.predict import ARCHITECTURE, OVERWRITE


class _Formats(click.Choice[str]):
    """The formats, named on one line where none is given: click's own message has tabs."""

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's
        return f"Choose from {', '.join(self.choices)}."


@click.command()
@click.argument("target", metavar="CHECKPOINT|TRIAL_ID")
@click.option(
    "--format",
    "written",
    required=True,
    type=_Formats(["onnx", "torchscript", "openvino", "state_dict"]),
    help="Whose file.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the model and its card go; by default exports/<trial id>/<format>.",
)
@click.option(
    "--score-threshold",
    type=click.FloatRange(0, 1),
    help="The one that the file holds, in place of the protocol's for deployment.",
)
@RESULTS
@ARCHITECTURE
@OVERWRITE
def export(
    target: str,
    *,
    written: str,
    out: Path | None,
    score_threshold: float | None,
    results: Path,
    architecture: str | None,
    overwrite: bool,
) -> None:
    """Write fine-tuned weights, a file of them or a trial's, as a file of another program, with a card.

    The card (card.json, card.md) holds classes, size, preprocessing, thresholds, metrics, versions and licences. The
    file is run and compared with the weights before it is put in its place. The start of a trial's id is enough.
    """
    from harness import api
    from harness.api.card import agreement

    with exit_codes():
        done = api.export(
            target,
            written,
            results=results,
            out=out,
            score_threshold=score_threshold,
            architecture=architecture,
            overwrite=overwrite,
        )
        check = done.card["check"]
        click.echo(f"in {check['images']} images ({check['what']}) {agreement(check)}")
        for path in done.files:
            click.echo(f"{path}")
