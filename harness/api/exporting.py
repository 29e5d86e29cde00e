"""Write fine-tuned weights for another program, with a card that says all that it must know."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from harness.api.arguments import check_number, one_of
from harness.api.card import as_markdown
from harness.api.fine_tuned import choose_thresholds, find_weights, name_of, protocol_of, run_apart
from harness.errors import UsageError
from harness.executors.environment import available_cores
from harness.store import files
from harness.store.shipping import EXPORT_REQUEST, EXPORTED, ExportFormat, ExportRequest
from harness.suite.deployment import EXPORTS

if TYPE_CHECKING:
    from collections.abc import Mapping

CARD, PAGE = "card.json", "card.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A model that was written and checked.

    Attributes:
        folder: where it is.
        files: the files' paths: the one that a program opens, those that it names, card.json, card.md.
        card: what stands in card.json.
    """

    folder: Path
    files: tuple[Path, ...]
    card: Mapping[str, Any]


def export(
    target: str | Path,
    format: str,  # noqa: A002 - the word of the command
    *,
    results: str | Path = "results",
    out: str | Path | None = None,
    score_threshold: float | None = None,
    architecture: str | None = None,
    overwrite: bool = False,
) -> Export:
    """Write fine-tuned weights as a file of another program, with a card in JSON and Markdown.

    The file is run again and compared with the weights before it is put in its place, on images of the evaluated split,
    or drawn ones where the data is gone.

    Args:
        target: the id of a trial (its start is enough), or a file of weights.
        format: onnx, torchscript, openvino or state_dict.
        results: the folder in which the trial is looked for.
        out: the folder; None: exports/<trial id>/<format>.
        score_threshold: the one that the file holds; None: the protocol's deployment threshold. The card names that of
            best F1 of each class beside it.
        architecture: the import path of an architecture of your own, for a file of weights that belongs to no trial.
        overwrite: replace what is in `out` already.

    Raises:
        UsageError: an argument is wrong, a package is not installed, or a file is there already.
        TrialError: the weights cannot be used, the detector cannot be written in this format, or the file detects
            something else; then there is no file.
    """
    one_of("format", format, get_args(ExportFormat))
    check_number("score_threshold", score_threshold, maximum=1)
    missing = EXPORTS[format].missing() if format in EXPORTS else None
    if missing:
        raise UsageError(f"--format {format}: {missing}")
    model = find_weights(target, Path(results), architecture)
    folder = Path("exports") / name_of(model) / format if out is None else Path(out)
    there = sorted(path.name for path in (*folder.glob("model.*"), folder / CARD, folder / PAGE) if path.exists())
    if there and not overwrite:
        raise UsageError(f"{folder}: holds {', '.join(there)} already; give another folder as --out, or --overwrite")
    files.make_folder(folder)
    protocol = protocol_of(model)
    with tempfile.TemporaryDirectory(prefix="harness-") as written:
        request = ExportRequest(
            model=model,
            format=cast("ExportFormat", format),
            threads=available_cores(),
            thresholds=choose_thresholds(model, None),
            score_threshold=protocol.deployment_score_threshold if score_threshold is None else score_threshold,
            detections=protocol.detections,
            folder=written,
        )
        exported = run_apart("harness.trial.export", request, EXPORT_REQUEST, EXPORTED)
        for name in reversed(exported.files):  # the one that names the others last
            files.replace(folder / name, (Path(written) / name).read_bytes())
    files.replace(folder / CARD, json.dumps(exported.card, indent=2, ensure_ascii=False).encode() + b"\n")
    files.replace(folder / PAGE, as_markdown(exported.card).encode())
    return Export(
        folder=folder, files=tuple(folder / name for name in (*exported.files, CARD, PAGE)), card=exported.card
    )
