"""The Python API, which the commands call too.

Owns what a caller may give, and the order of a run's stages; the rooms below do the work. `suite` starts from a suite
file, `machine` readies a machine for it, `results` starts from a results folder, as does `races`; `weights`,
`prediction` and `exporting` start from fine-tuned weights, and `checks` from an architecture. pandas is imported by
what reads results, torch by `load_detector` alone.
"""

from harness import printing
from harness.api.checks import check_architecture
from harness.api.exporting import Export, export
from harness.api.machine import doctor, fetch, wanted_weights
from harness.api.prediction import Prediction, predict
from harness.api.races import RaceSummary, race
from harness.api.results import RunStatus, compare, load_results, load_trial, recommend, report, status
from harness.api.suite import RunSummary, plan, results_folder_remarks, run
from harness.api.weights import load_detector, measure
from harness.scheduling.race_forecast import forecast_races

printing.show_warnings("harness")

__all__ = [
    "Export",
    "Prediction",
    "RaceSummary",
    "RunStatus",
    "RunSummary",
    "check_architecture",
    "compare",
    "doctor",
    "export",
    "fetch",
    "forecast_races",
    "load_detector",
    "load_results",
    "load_trial",
    "measure",
    "plan",
    "predict",
    "race",
    "recommend",
    "report",
    "results_folder_remarks",
    "run",
    "status",
    "wanted_weights",
]
