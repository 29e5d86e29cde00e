"""What an exported model is, as plain values: all that a program, or a person, must know to use it."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from harness.store.record import Metrics, Variant
from harness.suite.catalog.describe import backbone_name
from harness.trial.deploy.formats import FORMATS
from harness.trial.deploy.resizing import OPSET
from harness.trial.models import checkpoint
from harness.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.store.record import Record
    from harness.store.shipping import ExportRequest
    from harness.suite.catalog.architecture import Architecture

_VARIANT_OF = {"onnx": "onnxruntime", "torchscript": "torchscript", "openvino": "openvino"}
_METRICS, _VARIANT = TypeAdapter(Metrics), TypeAdapter(Variant)
_RESIZES = {
    "shorter_side": "the shorter side becomes {low} pixels, unless the longer one would exceed {high}",
    "square": "both sides become {high} pixels, whatever the image's shape",
    "letterbox": "the longer side becomes {high} pixels, and the image is padded to a square",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How the written file was compared with the weights: on which images, and what fraction of how many detections."""

    images: int
    what: str
    agreement: float
    detections: int


def card(
    request: ExportRequest, row: Architecture, class_names: Sequence[str], files: Sequence[Path], check: Check
) -> dict[str, Any]:
    """The card as plain values.

    Args:
        files: what was written, the one that a program opens first.
    """
    record = request.model.record
    form = FORMATS[request.format]
    return {
        "format": request.format,
        "files": [_file(path) for path in files],
        "architecture": _architecture(row, record),
        "classes": {str(label): name for label, name in enumerate(class_names, start=1)},
        "input": _input(row, Path(request.model.weights)),
        "outputs": {
            "boxes": "float32 [N, 4], left, top, right, bottom in pixels of the image as given",
            "scores": "float32 [N], from 0 to 1",
            "labels": "int64 [N], class numbers from 1",
        },
        "thresholds": {
            "score_threshold": request.score_threshold,
            "detections": request.detections,
            "inside_the_file": form.threshold_inside,
            "best_by_class": {name: request.thresholds.of(name) for name in class_names},
            "best_by_class_source": request.thresholds.source,
        },
        "check": {
            "images": check.images,
            "what": check.what,
            "agreement": check.agreement,
            "detections": check.detections,
        },
        "metrics": _metrics(request.format, record),
        "trained": _trained(record),
        "versions": {
            "harness": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in form.packages},
            **({"opset": OPSET} if request.format == "onnx" else {}),
        },
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _file(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"name": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _architecture(row: Architecture, record: Record | None) -> dict[str, Any]:
    """What the network is, and under which licences: the weights' counts where the training started from them."""
    choice = None if record is None else record.trial.architecture
    started = None if choice is None else choice.weights
    of_choice = choice is not None and "backbone" in choice.model  # whose licence the catalogue does not know
    published = started in row.published_files and not of_choice
    return {
        "name": row.name,
        "backbone": row.backbone if choice is None else backbone_name(row, choice.model, choice.weights),
        "parameters": row.parameters if record is None else record.model.parameters,
        "started_from": started,
        "code_license": row.code_license or None,
        "weights_license": (row.weights_license or None) if published else None,
    }


def _input(row: Architecture, weights: Path) -> dict[str, Any]:
    low, high = checkpoint.header(weights)["image_size"]
    return {
        "name": "image",
        "type": "float32",
        "shape": [3, "height", "width"],
        "channels": "RGB",
        "range": [0, 1],
        "resize": f"inside the model: {_RESIZES[row.resize].format(low=low, high=high)}",
        "normalisation": "inside the model",
        "image_size": [low, high],
    }


def _metrics(written: str, record: Record | None) -> Mapping[str, Any] | None:
    """The accuracy of the weights as they were trained, and of the variant that runs such a file, where measured."""
    if record is None:
        return None
    name = _VARIANT_OF.get(written)
    variant = next((one for one in record.variants if one.name == name and one.metrics is not None), None)
    return {
        "as_trained": _METRICS.dump_python(record.metrics, mode="json"),
        "variant": None if variant is None else _VARIANT.dump_python(variant, mode="json", include={"name", "metrics"}),
    }


def _trained(record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    trial = record.trial
    return {
        "trial_id": trial.trial_id,
        "suite": trial.suite,
        "dataset": trial.dataset.name,
        "dataset_fingerprint": trial.dataset.fingerprint,
        "seed": trial.seed,
        "epochs": len(record.measurements.epochs),
        "weights_of_epoch": record.model.epoch,
        "state_sha256": record.model.state_sha256,
    }
