"""The page's last sections: how every number was measured, and on which machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.formatting import counted
from harness.report.markup import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.store.record import Environment, Record
    from harness.store.results import TrialState


def footer(states: Sequence[TrialState]) -> list[str]:
    """Return the protocols, the environments and the datasets' fingerprints; empty if there is no record."""
    records = [state.record for state in states if state.record]
    if not records:
        return []
    parts = ["## How it was measured", _protocol(records), "## Where"]
    environments = list(dict.fromkeys(record.environment for record in records))
    data = dict.fromkeys((record.trial.dataset.name, record.trial.dataset.fingerprint) for record in records)
    lines = [_environment(environment, environments[0]) for environment in environments]
    lines += [f"- data {escape(name)}: fingerprint {digest[:16]}" for name, digest in data]
    return [*parts, "\n".join(lines)]


def _protocol(records: Sequence[Record]) -> str:
    protocols = list(dict.fromkeys(record.trial.protocol for record in records))
    precisions = sorted({record.trial.hyperparameters.precision for record in records})
    lines = []
    for p in protocols:
        lines += [
            f"- Protocol {p.level}: latency in {counted(p.rounds, 'round')} over at least {p.latency_images} "
            "images each"
            + (f", {p.latency_s:g} s in all" if p.latency_s else "")
            + f", after a warm-up of at least {p.warmup} images and every input shape once.",
            "- Latency: batch 1, real images of the evaluated split, decoded beforehand. The clock covers the copy "
            "to the device, the model's own resizing, forward, NMS and the boxes back on the CPU; score threshold "
            f"{p.deployment_score_threshold:g}. The median and p95 of all samples; nothing clipped.",
            "- Throughput: its own pass, "
            + (
                "batches of the largest power of two that fits"
                if p.throughput_batch_size == "auto"
                else f"batches of {p.throughput_batch_size}"
            )
            + ", images ÷ wall time, in rounds; exported models (TorchScript, ONNX, OpenVINO) one image at a time.",
            f"- Accuracy: COCO mAP, IoU 0.50:0.95, score threshold {p.score_threshold:g}, {p.detections} detections an "
            "image, of which mAP counts 100 of each class; the weights and the precision "
            f"({', '.join(precisions)}) are those whose speed was measured.",
        ]
    lines += [
        "- Training img/s: without the first epoch (or its first 100 steps), waiting for data included.",
        "- Peak memory: reserved by the CUDA allocator on a GPU; on a CPU the whole process' resident set, python "
        "included. Training, inference, and inference on the image with most boxes are separate passes.",
        "- A pass that gives a warning is measured again, at most twice; the last one counts, with its warning. "
        "`unstable`: timings of the same image with a std of 10 % of the mean, rounds more than 7 % apart, or phases "
        "that do not sum to the latency within 10 %. `throttled`: a clock below 75 % of its default, or throttled by "
        "the driver. `shared_device`: other processes on the GPU, or taking more than 10 % of the cores' time. "
        "`loader_bound`: more than 10 % of the training time spent waiting for data. `detections_capped`: images that "
        "hold more objects than mAP counts.",
        "- GFLOPs: one image, convolutions and matrix products, a multiply and an add counted as two.",
        "- Every raw timing and every detection lies beside its record: `trials/*/samples.parquet` and "
        "`detections.parquet`.",
    ]
    return "\n".join(dict.fromkeys(lines))


def _environment(environment: Environment, first: Environment) -> str:
    """Describe the first environment in full; of any other one, only what differs."""
    e = environment
    if e != first:
        base, other = asdict(first), asdict(e)
        return "- also: " + ", ".join(f"{key} {escape(other[key])}" for key in other if other[key] != base[key])
    device = f"{e.device} ({escape(e.device_name)})"
    if e.device.startswith("cuda"):
        device += f", driver {e.driver}, CUDA {e.cuda}, cuDNN {e.cudnn}, TF32 {'on' if e.tf32 else 'off'}"
        device += f", power limit {e.power_limit_w:.0f} W" if e.power_limit_w else ""
        device += f", {e.sm_clock_mhz} MHz" if e.sm_clock_mhz else ""
    waiting = f" (OpenMP waits: {escape(e.thread_waiting)})" if e.thread_waiting else ""
    commit = f", commit {e.git_commit[:12]}{' with changes' if e.git_dirty else ''}" if e.git_commit else ""
    return "\n".join(
        (
            f"- device {device}",
            f"- CPU {escape(e.cpu)}, {counted(e.threads, 'thread')}{waiting}, "
            f"{counted(e.loader_workers, 'loader worker')}",
            f"- {escape(e.platform)}, Python {e.python}, torch {e.torch}, torchvision {e.torchvision}, "
            f"{f'hotcoco {e.hotcoco}' if e.hotcoco else f'torchmetrics {e.torchmetrics}'}, harness {e.harness}{commit}",
        )
    )
