"""The harness's own training of a suite's only trial, without what follows it, for `make bench-train`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from harness.api.suite import plan
from harness.store.job import Job
from harness.trial.context import build_context
from harness.trial.evaluate.coco import accuracy
from harness.trial.events import EventWriter
from harness.trial.interrupt import InterruptHandler
from harness.trial.train.resume import States
from harness.trial.train.trainer import Trainer


def main() -> None:
    """Train the trial of the suite file in the first argument on the device in the second, and print JSON."""
    suite, device = Path(sys.argv[1]), sys.argv[2]
    planned = plan(suite, results=suite.parent, device=device)
    (trial,) = planned.selected
    folder = planned.folder.trial(trial.trial_id).next_attempt()
    job = Job(
        trial=trial,
        number=1,
        device=device,
        threads=int(os.environ["OMP_NUM_THREADS"]),
        import_folder=str(suite.parent),
        cache=planned.suite.cache,
        cache_folder=str(planned.folder.decoded_images),
    )
    interrupt = InterruptHandler()
    with folder.events.open("a", encoding="utf-8") as stream:
        events = EventWriter(stream)
        context = build_context(job, events)
        states = States(folder=folder.trial.checkpoints, trial_id=trial.trial_id)
        trainer = Trainer(context, states, folder.trial, events, interrupt, checkpoint_s=job.checkpoint_s)
        training = trainer.train()
        val = context.data.splits["val"]
        benchmark = context.benchmark(folder.trial, events, interrupt.check)
        truths, detections = benchmark.detections(context.deployed(), "val", val, stage="evaluate")
    later = training.epochs[1:]
    result = {
        "images_per_s": training.images_seen * len(later) / len(training.epochs) / sum(epoch.wall_s for epoch in later),
        "data_wait_fraction": training.data_wait_fraction,
        "peak_bytes": trainer.peak.peak_allocated_bytes or trainer.peak.peak_resident_bytes,
        "map": accuracy(truths, detections, class_names=val.class_names, split="val").map or 0.0,
    }
    sys.stdout.write(f"{json.dumps(result)}\n")


if __name__ == "__main__":
    main()
