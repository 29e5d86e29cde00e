"""What starts from fine-tuned weights: measure them once more, or load the detector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from harness.api.arguments import check_device, one_of, texts
from harness.api.device import resolve
from harness.errors import UsageError
from harness.executors.registry import load_executor
from harness.suite.schema import Level, Precision, VariantName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.executors.base import Executor
    from harness.processes.watch import OnEvent
    from harness.remeasure import Measurement
    from harness.trial.models.detector import LoadedDetector


def measure(  # noqa: PLR0913 - what a measurement can be asked for
    target: str | Path,
    *,
    results: str | Path = "results",
    suite: str | Path | None = None,
    dataset: str | None = None,
    device: str = "auto",
    protocol: str | None = None,
    variants: Sequence[str] | None = None,
    precision: str | None = None,
    out: str | Path | None = None,
    on_event: OnEvent = lambda _event: None,
    executor: Executor | str = "local",
) -> Measurement:
    """Evaluate and measure fine-tuned weights again, without training. A trial's own record stays as it is.

    Args:
        target: the id of a trial (its start is enough), or a file of weights.
        results: the folder in which the trial is looked for.
        suite: for weights that belong to no trial: the suite file that says where the images are.
        dataset: which dataset of `suite`, if it has several.
        device: auto, cpu, cuda or cuda:N.
        protocol: quick, standard or publish; None: as the trial was measured.
        variants: the ways to run the model that are measured as well; None: those of the trial.
        precision: fp32, bf16 or fp16; None: the precision of the training.
        out: the folder that the measurement is written to; None: `measurements/<n>` beside the weights.
        on_event: called with each event of the measurement.
        executor: where it runs, as for `run`.

    Raises:
        UsageError: an argument is wrong, or there is no such trial or file.
        SuiteError: the suite or its data is wrong.
        LockedError: a run or another measurement works in the same folder.
        MachineError: the device is not there, or the disk is full.
    """
    from harness import remeasure

    check_device(device)
    names = None if variants is None else texts("variants", variants)
    for name in names or ():
        one_of("variants", name, get_args(VariantName))
    if protocol is not None:
        one_of("protocol", protocol, get_args(Level))
    if precision is not None:
        one_of("precision", precision, get_args(Precision))
    chosen = remeasure.adjusted(
        remeasure.find_target(target, Path(results), suite=None if suite is None else Path(suite), dataset=dataset),
        level=cast("Level | None", protocol),
        variants=None if names is None else cast("tuple[VariantName, ...]", tuple(dict.fromkeys(names))),
        precision=cast("Precision | None", precision),
    )
    if out is not None:
        chosen = remeasure.elsewhere(chosen, Path(out).resolve())
    runner = load_executor(executor) if isinstance(executor, str) else executor
    return remeasure.measure(chosen, device=resolve(device), on_event=on_event, executor=runner)


def load_detector(weights: str | Path, *, architecture: str | None = None) -> LoadedDetector:
    """Rebuild a fine-tuned detector from the file that its trial left, with the names of its classes. Imports torch.

    Args:
        weights: results/<suite>/trials/<trial_id>/checkpoints/weights.pt, or a copy of it.
        architecture: for weights of an architecture of your own: its import path, as the suite names it. A file of
            weights never decides by itself which code is run.

    Raises:
        UsageError: there is no such file.
        WeightsError: the file is no checkpoint of this program.
    """
    path = Path(weights)
    if not path.is_file():
        raise UsageError(
            f"{path}: no such file; a trial's weights are in results/<suite>/trials/<trial_id>/checkpoints/weights.pt"
        )
    from harness.trial.models import detector

    return detector.load(path, architecture)
