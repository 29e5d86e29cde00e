"""`harness data check`: find what is wrong with labelled images. Parse, check, print."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from harness.cli.errors import FAILED, exit_codes, progress_bar
from harness.cli.target import FORMAT, IMAGES, JSON, TARGET, read_target
from harness.formatting import counted, on_one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.cli.target import Target
    from harness.data.check import CheckResult


@click.command()
@TARGET
@FORMAT
@IMAGES
@JSON
@click.option("--strict", is_flag=True, help="Exit with 1 on warnings too.")
@click.option("--fast", is_flag=True, help="Read headers only, no pixels: what `harness run` checks.")
def check(target: Path, wanted: str, images: Path | None, *, as_json: bool, strict: bool, fast: bool) -> None:
    """Find every problem of labels and images at once; exit with 1 if there are errors.

    Of a `python` dataset as many items are read as five minutes allow.
    """
    with exit_codes():
        found = _checked(read_target(target, wanted, images), fast=fast)
        texts = [_checked_text(name, checked) for name, checked in found.items()]
        click.echo(json.dumps(_checked_json(found), indent=2) if as_json else "\n\n".join(texts))
        severities = {problem.severity for checked in found.values() for problem in checked.problems}
        sys.exit(FAILED if "error" in severities or (strict and severities) else 0)


def _checked(target: Target, *, fast: bool) -> dict[str, CheckResult]:
    from harness.api.items import check_items
    from harness.data import check as checking
    from harness.executors.environment import available_cores
    from harness.suite.schema import PythonDataset

    found = {}
    with progress_bar("looking at images") as progress:
        for name, dataset in target.datasets.items():
            if isinstance(dataset, PythonDataset):
                found[name] = check_items(dataset, folder=target.folder, image_sizes=target.image_sizes)
            else:
                found[name] = checking.check(
                    dataset, fast=fast, workers=available_cores(), image_sizes=target.image_sizes, progress=progress
                )
    return found


def _checked_json(found: Mapping[str, CheckResult]) -> dict[str, Any]:
    several = len(found) > 1
    problems = [
        {**({"dataset": name} if several else {}), **problem.as_json()}
        for name, checked in found.items()
        for problem in checked.problems
    ]
    summaries = {name: checked.summary() for name, checked in found.items()}
    totals = {key: sum(s[key] for s in summaries.values()) for key in ("errors", "warnings", "images", "boxes")}
    return {"problems": problems, "summary": {**totals, "datasets": summaries}}


def _checked_text(name: str, checked: CheckResult) -> str:
    if not checked.splits and checked.problems:
        return "\n".join([f"{name}: nothing could be read", "", *map(str, checked.problems), "", _ending(checked)])
    splits = "; ".join(
        f"{split} {counted(i, 'image')}, {counted(n, 'box', 'boxes')}" for split, (i, n) in checked.splits.items()
    )
    classes = counted(len(checked.class_names), "class", "classes")
    lines = [
        f"{name}: {checked.format}: {splits}",
        f"{classes}: {on_one_line(', '.join(checked.class_names))}",
    ]
    read, items = checked.read or (0, 0)
    lines += [f"read {read:,} of {counted(items, 'item')}"] if checked.read else []
    if not checked.problems:
        return "\n".join([*lines, "No problems found." if read == items else "No problems found in those items."])
    return "\n".join([*lines, "", *map(str, checked.problems), "", _ending(checked)])


def _ending(checked: CheckResult) -> str:
    summary = checked.summary()
    return f"{counted(summary['errors'], 'error')}, {counted(summary['warnings'], 'warning')}"
