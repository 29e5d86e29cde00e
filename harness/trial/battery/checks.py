"""The list of checks, and running it: one result after the other, whatever the detector's code does."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

from harness import foreign
from harness.errors import HarnessError, UnsupportedVariant
from harness.store.checks import CheckResult
from harness.trial.battery import detecting, keeping, training, variants
from harness.trial.battery.subject import CheckFailedError, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.store.checks import Outcome
    from harness.trial.battery.subject import Subject

Check = "Callable[[Session], str]"

_CHECKS: tuple[tuple[str, Callable[[Session], str]], ...] = (
    ("builds", training.builds),
    ("parameters", training.has_parameters),
    ("losses are finite", training.losses_are_finite),
    ("gradients reach", training.gradients_reach),
    ("images without boxes", training.takes_images_without_boxes),
    ("a batch of one image", training.takes_a_single_image),
    ("the same seed, the same bits", training.is_reproducible),
    ("resumes to the same bits", training.resumes),
    ("detections", detecting.detections_are_right),
    ("post-processing", detecting.postprocessing_obeys),
    ("phases", detecting.phases_are_marked),
    ("state round trip", keeping.comes_back),
    ("class head", keeping.begins_with_other_classes),
)
_VARIANTS: tuple[tuple[str, Callable[[Session], str]], ...] = (
    ("channels_last", variants.runs_as("channels_last")),
    ("onnx", variants.runs_as("onnxruntime")),
)
_COMPILE = ("compile", variants.runs_as("compile"))


def names(*, exports: bool = True, compiled: bool = False) -> tuple[str, ...]:
    """The checks' names, in order."""
    return tuple(name for name, _ in _listed(exports=exports, compiled=compiled))


def run(subject: Subject, *, exports: bool = True, compiled: bool = False) -> Iterator[CheckResult]:
    """Yield each check twice: as running, and as it ended. After one that built nothing, the others are not run.

    Args:
        exports: whether to check the variants channels_last and onnx.
        compiled: whether to check `torch.compile` too.
    """
    session = Session(subject)
    for name, check in _listed(exports=exports, compiled=compiled):
        if session.detector is None and name != "builds":
            yield CheckResult(name=name, outcome="not run", detail="nothing was built")
            continue
        yield CheckResult(name=name, outcome="running")
        began = time.perf_counter()
        outcome, detail = _ran(check, session)
        yield CheckResult(name=name, outcome=outcome, detail=detail, wall_s=time.perf_counter() - began)


def _listed(*, exports: bool, compiled: bool) -> tuple[tuple[str, Callable[[Session], str]], ...]:
    return (*_CHECKS, *(_VARIANTS if exports else ()), *((_COMPILE,) if compiled else ()))


def _ran(check: Callable[[Session], str], session: Session) -> tuple[Outcome, str]:
    """How a check ended, and what it says."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries behind: a trial's log has them
            return "passed", check(session)
    except UnsupportedVariant as reason:
        return "not supported", str(reason)
    except (CheckFailedError, HarnessError) as error:
        return "failed", str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the architecture's code may raise anything
        return "failed", f"raised {foreign.described(error)}{_place(error)}"


def _place(error: BaseException) -> str:
    """The innermost line of code that an exception came through, outside of this program's battery."""
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place
