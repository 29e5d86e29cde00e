"""Prove a GPU: `make gpu`, or `python -m tests.gpu [--device cuda:0] [--out FOLDER]`.

Every check writes its value, its bound and its verdict to `checks.json` and `report.md`; the exit code is 1 if one
failed. Without a GPU nothing is proved and nothing is written. `--device cpu` runs the same checks on the CPU, at tiny
sizes, to try this program itself; those that only a GPU can pass say so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tests.conftest import ROOT
from tests.gpu import runs, training, verdicts
from tests.gpu.verdicts import Check

LIMIT_S = 8 * 60.0
Named = tuple[str, Callable[[], Iterable[Check]]]


def in_process(device: torch.device) -> Iterator[Named]:
    """The checks of training and measuring, which run in this process; small ones on a CPU."""
    small = device.type == "cpu"
    yield "clock", lambda: training.clock(device, side=256 if small else 4096, n_steps=5 if small else 20)
    yield "precisions", lambda: training.precisions(device, n_steps=2 if small else 50, side=64 if small else 320)
    yield "random_state", lambda: [training.random_state(device)]
    yield "recompilations", lambda: [training.recompilations(device, side=64 if small else 320)]
    yield "energy", lambda: [training.energy(device)]


def examine(named: Iterable[Named], say: Callable[[str], None] = print) -> list[Check]:
    """Make every check; one that raises has failed, and the others go on."""
    found: list[Check] = []
    for name, make in named:
        started = time.perf_counter()
        try:
            made = list(make())
        except Exception:  # noqa: BLE001 - whatever it is, it is this check's end
            made = [Check(name=name, value=None, bound="no error", passed=False, detail=traceback.format_exc()[-2000:])]
        say(f"{name}: {time.perf_counter() - started:.0f} s")
        for check in made:
            say(f"  {_VERDICTS[check.passed]:12} {check.name}: {check.value} ({check.bound})")
        found += made
    return found


_VERDICTS = {True: "passed", False: "FAILED", None: "not possible"}


def write(folder: Path, title: str, found: list[Check]) -> None:
    """Write the report and the JSON of every check."""
    folder.mkdir(parents=True, exist_ok=True)
    failed = sum(check.passed is False for check in found)
    content = {"title": title, "failed": failed, "checks": [asdict(check) for check in found]}
    (folder / "checks.json").write_text(json.dumps(content, indent=1, default=str) + "\n")
    lines = [f"# {title}", "", f"{len(found)} checks, {failed} failed.", "", "| check | value | bound | verdict |"]
    lines += ["| :-- | :-- | :-- | :-- |"]
    lines += [
        f"| {check.name} | {_cell(check.value)} | {_cell(check.bound)} | {_VERDICTS[check.passed]} |" for check in found
    ]
    for check in found:
        if check.detail:
            lines += ["", f"## {check.name}", "", "```text", check.detail, "```"]
    (folder / "report.md").write_text("\n".join(lines) + "\n")


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def main(arguments: list[str]) -> int:
    """Make every check, and return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument(
        "--out", type=Path, help="where the results go; by default results/examples/gpu/CARD-torchVERSION"
    )
    chosen = parser.parse_args(arguments)
    device = torch.device(chosen.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print(f"torch {torch.__version__} sees no CUDA device here: nothing was proved, and nothing is written")
        return 0
    if device.type == "cpu" and chosen.out is None:
        parser.error("--device cpu proves no GPU: name another place with --out")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        place = runs.Place(device=chosen.device, folder=Path(folder), side=320 if device.type == "cuda" else 64)
        # Commands first, while this process holds nothing of the device: it would be the second program on it.
        found = examine((*runs.checks(place), *in_process(device)))
    wall_s = time.perf_counter() - started
    found.append(verdicts.at_most("all checks, s", wall_s, LIMIT_S) if device.type == "cuda" else _unlimited(wall_s))
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    title = f"{card}, torch {torch.__version__}"
    out = chosen.out or ROOT / "results" / "examples" / "gpu" / f"{_slug(card)}-torch{_slug(torch.__version__)}"
    write(out, title, found)
    failed = [check.name for check in found if check.passed is False]
    print(f"{len(found)} checks, {len(failed)} failed{': ' if failed else ''}{'; '.join(failed)}; see {out}/report.md")
    return 1 if failed else 0


def _unlimited(wall_s: float) -> Check:
    return Check(name="all checks, s", value=wall_s, bound="on a GPU ≤ 480", passed=None)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-").lower()


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(main(sys.argv[1:]))
