"""Which object detector should I fine-tune and ship, on my data, on my machine?

The Python API: `harness.run("suite.yaml")` and the other names of `__all__`. A name is imported when it is first used,
so that `import harness` costs nothing: no torch, no pandas.

The rooms, top to bottom; each imports only from those below it:

    cli          commands: parse the arguments, call the API, print, turn an error into an exit code
    observers    what a person sees while trials run
    api          the Python API: plan, run, race, report, compare, recommend, measure, load results and detectors
    remeasure    fine-tuned weights measured once more, without training
    scheduling   the trials of a suite: what is done, which comes next, whether to try again, when to stop
    report       the page: markdown, HTML, figures, exports
    executors    where a trial runs
    trial        inside that process, the only room that imports torch: fine-tune, evaluate, measure, record
    analysis     what records mean, without a page: tables, statistics, verdicts
    processes    child processes: started, watched and ended
    store        what happened: records, the lock, every path and every durable write
    data         the user's images and boxes, without torch
    suite        what was asked for: the file, its trials, the catalogue of architectures
    formatting   numbers and texts as a reader sees them; errors, every error and its exit code; version
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from harness import errors
from harness.version import __version__

TYPE_CHECKING = False  # as type checkers know it; importing typing would take most of the time of `import harness`
if TYPE_CHECKING:
    from typing import Any

    from harness.analysis.compare.results import ResultComparison
    from harness.analysis.race.ratios import SpeedVerdict
    from harness.analysis.recommend import Advice
    from harness.analysis.results import Results
    from harness.api import (
        Export,
        Prediction,
        RaceSummary,
        RunSummary,
        check_architecture,
        compare,
        doctor,
        export,
        fetch,
        load_detector,
        load_results,
        measure,
        plan,
        predict,
        race,
        recommend,
        report,
        run,
    )
    from harness.remeasure import Measurement
    from harness.scheduling.plan import Plan
    from harness.store.checks import CheckResult
    from harness.trial.models.detector import LoadedDetector

__all__ = [
    "Advice",
    "CheckResult",
    "Export",
    "LoadedDetector",
    "Measurement",
    "Plan",
    "Prediction",
    "RaceSummary",
    "ResultComparison",
    "Results",
    "RunSummary",
    "SpeedVerdict",
    "__version__",
    "check_architecture",
    "compare",
    "doctor",
    "errors",
    "export",
    "fetch",
    "load_detector",
    "load_results",
    "measure",
    "plan",
    "predict",
    "race",
    "recommend",
    "report",
    "run",
]

_API = "harness.api"
_HOMES = {
    "Advice": "harness.analysis.recommend",
    "CheckResult": "harness.store.checks",
    "LoadedDetector": "harness.trial.models.detector",
    "Measurement": "harness.remeasure",
    "Plan": "harness.scheduling.plan",
    "ResultComparison": "harness.analysis.compare.results",
    "Results": "harness.analysis.results",
    "SpeedVerdict": "harness.analysis.race.ratios",
}


def _load(name: str) -> Any:
    """A name of the API, imported from its module when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, _API)), name)


if not TYPE_CHECKING:  # a type checker would take every name to be there
    __getattr__ = _load


def __dir__() -> list[str]:
    """The names of the API."""
    return sorted(__all__)


class _Package(ModuleType):
    """This package, with `report` fixed to the function of the API.

    The subpackage `harness.report` has the same name: without this class, Python would replace the function by the
    subpackage as soon as any code imports it. Code imports from it as usual: `from harness.report import write`.
    """

    @property
    def report(self) -> Any:
        """The function `harness.api.report`."""
        return _load("report")

    @report.setter
    def report(self, subpackage: ModuleType) -> None:
        """Python's import system binds an imported subpackage here; the function stays."""


sys.modules[__name__].__class__ = _Package
