"""Two trials in this process, with so little of the device's memory that a whole batch does not fit: FOLDER SIDE."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

import harness
from tests.gpu import training, verdicts
from tests.gpu.runs import Place


def _peak_bytes(device: torch.device, side: int, accumulate: int) -> int:
    torch.cuda.reset_peak_memory_stats(device)
    detector = training.build("fasterrcnn_mobilenet_v3_large_fpn", device, side)
    training.train(detector, training.drawn(8, side), device, n_steps=2, accumulate=accumulate)
    return torch.cuda.max_memory_reserved(device)


def main(name: str, folder: Path, side: int) -> list[verdicts.Check]:
    """Cap the memory between what a whole batch takes and what half of it takes, and run a suite in this process."""
    device = torch.device(name)
    half = _peak_bytes(device, side, 2)
    training.reserved_bytes(device)
    whole = _peak_bytes(device, side, 1)
    baseline = training.reserved_bytes(device)
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction((half + whole) / 2 / total, device)
    place = Place(device=name, folder=folder, side=side)
    suite = place.suite(
        "capped",
        images=8,
        rest="""\
            hyperparameters: {epochs: 1, batch_size: 4, lr: 1e-4, loader_workers: 0}
            protocol: {level: quick, throughput_batch_size: 1}
            on_oom: accumulate
            seeds: [0, 1]
            """,
    )
    results = folder / "results"
    harness.run(suite, results=results, device=name, preflight=False, race=False, executor="inline")
    warnings = [[warning["name"] for warning in record["warnings"]] for record in place.records("capped")]
    left = training.reserved_bytes(device) - baseline
    accumulated = [len(warnings), all("accumulated" in names for names in warnings)]
    return [
        verdicts.holds("out of memory → accumulated", accumulated, [2, True], f"{half} < cap < {whole} bytes"),
        verdicts.at_most("memory left between trials, MiB", left / 2**20, 64.0),
    ]


if __name__ == "__main__":
    found = main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write("\n" + json.dumps([asdict(check) for check in found]) + "\n")
