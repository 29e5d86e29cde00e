"""The card of an exported model as a page for people. What it says is the card's own (`harness.trial.card`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.formatting import counted, metric_value, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OPEN_WITH = {
    "onnx": "onnxruntime, or any other program that reads ONNX",
    "torchscript": "`torch.jit.load`, in python or in C++",
    "openvino": "`openvino.Core().read_model`; the `.bin` file stays beside the `.xml`",
    "state_dict": "`harness.load_detector`; `torch.load(…, weights_only=True)['state_dict']` gives the tensors alone",
}
_METRICS = ("map", "map_50", "map_75", "map_small", "map_medium", "map_large")


def as_markdown(card: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    return "\n".join(_lines(card)) + "\n"


def agreement(check: Mapping[str, Any]) -> str:
    """What the comparison of the file with the weights gave; where they detected nothing, there was none."""
    if not check["detections"]:
        return "the weights detect nothing above the score threshold, so no detections could be compared"
    return f"{check['agreement']:.1%} of {check['detections']:,} detections are those of the weights"


def _lines(card: Mapping[str, Any]) -> Iterator[str]:
    architecture, size = card["architecture"], sum(file["bytes"] for file in card["files"])
    yield f"# {architecture['name']}, {card['format']}"
    yield ""
    yield f"Open `{card['files'][0]['name']}` with {_OPEN_WITH[card['format']]}. {size / 2**20:.2f} MiB."
    yield ""
    yield from _input(card)
    yield from _thresholds(card)
    yield from _metrics(card)
    yield from _check(card["check"])
    yield from _origin(card)


def _input(card: Mapping[str, Any]) -> Iterator[str]:
    given = card["input"]
    yield "## Input and outputs"
    yield ""
    yield f"- one image: float32 [3, height, width], {given['channels']}, values from 0 to 1, of any height and width"
    yield f"- resize {given['resize']}; normalisation {given['normalisation']}"
    for name, what in card["outputs"].items():
        yield f"- `{name}`: {what}"
    yield ""


def _thresholds(card: Mapping[str, Any]) -> Iterator[str]:
    chosen = card["thresholds"]
    yield "## Classes and thresholds"
    yield ""
    inside = "The file holds" if chosen["inside_the_file"] else "Set, for the file does not hold them,"
    yield (
        f"{inside} a score threshold of {chosen['score_threshold']:g} and at most {chosen['detections']} detections an "
        f"image. The thresholds by class are for the program that runs it: {chosen['best_by_class_source']}."
    )
    yield ""
    yield "| label | class | threshold |"
    yield "| --: | :-- | --: |"
    for label, name in card["classes"].items():
        yield f"| {label} | {_cell(name)} | {number(chosen['best_by_class'][name], 3)} |"
    yield ""


def _metrics(card: Mapping[str, Any]) -> Iterator[str]:
    if card["metrics"] is None:
        return
    measured = {"as trained": card["metrics"]["as_trained"]}
    if card["metrics"]["variant"] is not None:
        measured[card["metrics"]["variant"]["name"]] = card["metrics"]["variant"]["metrics"]
    first = measured["as trained"]
    yield "## Accuracy"
    yield ""
    yield f"COCO's metrics on {first['images']:,} images of the split {first['split']}."
    yield ""
    yield f"| | {' | '.join(_METRICS)} |"
    yield f"| :-- | {' | '.join('--:' for _ in _METRICS)} |"
    for name, metrics in measured.items():
        values = (metric_value(float("nan") if metrics[key] is None else metrics[key]) for key in _METRICS)
        yield f"| {name} | {' | '.join(values)} |"
    yield ""


def _check(check: Mapping[str, Any]) -> Iterator[str]:
    yield "## Check"
    yield ""
    yield (
        f"The file was run on {check['images']} images ({_cell(check['what'])}; one of them turned or cropped): "
        f"{agreement(check)} (class, IoU 0.9, score within 0.01)."
    )
    yield ""


def _origin(card: Mapping[str, Any]) -> Iterator[str]:
    architecture = card["architecture"]
    yield "## Origin"
    yield ""
    if card["trained"] is not None:
        trained = card["trained"]
        epochs = counted(trained["epochs"], "epoch")
        yield (
            f"- trial {_cell(trained['trial_id'])}: {epochs} on {_cell(trained['dataset'])}, "
            f"seed {trained['seed']}, from weights {_cell(str(architecture['started_from']))}"
        )
    yield f"- backbone {_cell(architecture['backbone'])}, {architecture['parameters']:,} parameters"
    yield f"- licence of the architecture's code: {architecture['code_license'] or 'not stated'}"
    if architecture["weights_license"]:
        yield f"- licence of the weights that the training started from: {architecture['weights_license']}"
    yield f"- {', '.join(f'{name} {version}' for name, version in card['versions'].items())}"
    for file in card["files"]:
        yield f"- sha256 of {file['name']}: {file['sha256']}"


def _cell(text: str) -> str:
    """A text from elsewhere, so that it ends no cell of a table and begins no markup."""
    for character in "\\|`*_<[":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
