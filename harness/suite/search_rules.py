"""What a suite's search must agree with: the rest of the file, and hyperparameters among each other.

`harness.suite.axes` checks each of its axes alone.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from harness.suite.axes import combinations, n_points, read_axes
from harness.suite.search import of_length

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.suite.messages import Report
    from harness.suite.schema import Hyperparameters, SuiteFile


def check_search(file: SuiteFile, data: Mapping[str, Any], report: Report) -> None:
    """Check what the search tunes, that nothing else sets the same, and that Optuna is there.

    Args:
        file: the checked file.
        data: its content, without short forms.
        report: takes each problem.
    """
    search = file.search
    if search is None:
        return
    if not find_spec("optuna"):
        report(("search",), "needs Optuna, which is not installed: pip install 'detection-harness[search]'")
    axes = read_axes(search.over, report)
    for key in search.over:
        if key in file.sweep:
            report(("sweep", key), "also tuned by search; leave it to one of the two")
        for index, choice in enumerate(data["architectures"]):
            if key in (choice.get("hyperparameters") or {}):
                report(
                    ("architectures", index, "hyperparameters", key),
                    "also tuned by search, which treats all architectures alike; set it in one of the two",
                )
    if len(axes) == len(search.over) and search.trials > n_points(axes):
        report(
            ("search", "trials"),
            f"over has {n_points(axes):g} different points, and each is tried once; expected at most so many trials, "
            f"got {search.trials}",
        )


def check_points(
    search: Mapping[str, Any],
    at: Callable[[Mapping[str, Any]], Hyperparameters],
    contradiction: Callable[[Hyperparameters], str | None],
    report: Report,
) -> None:
    """Report the first point of the search at which the hyperparameters of a configuration contradict each other.

    Args:
        search: the key's content.
        at: returns the hyperparameters that have these values.
        contradiction: says what is wrong with hyperparameters; None if nothing is.
        report: takes the problem.
    """
    for point in combinations(read_axes(search["over"])):
        problem = contradiction(at(of_length(point, search.get("epochs"))))
        if problem:
            values = ", ".join(f"{key} {value}" for key, value in point.items())
            report(("search", "over"), f"with {values}: {problem}")
            return
