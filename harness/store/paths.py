"""Every path under a results folder, the names that older versions gave to the same files, and the user's cache.

    results/<suite>/
      plan.json  report.md  report.html  plots/     derived: rewritten atomically
      cache/                                        what the report computed from detections
      cache/images/                                 decoded images, while the suite runs
      cache/headers/                                what was read of the headers of image files
      lock.json                                     who writes here (`harness.store.lock`)
      trials/<trial_id>/
        record.json                                 the commit: written once, never rewritten
        samples.parquet  detections.parquet  ground_truth.parquet
                                                    what the record was computed from, written before it
        detections.<variant>.parquet  model.<variant>.onnx
        measurements/<n>/                           measured again without training: an attempt's files and a record's
        preflight.json                              how long a step takes, measured before the first trial
        checkpoints/  weights.pt  training-<n>.state
        attempts/<n>/  job.json  events.jsonl  log.txt  outcome.json
        attempts/<n>/variants/<name>/               the same of a variant's process, and what it measured
      races/<n>/
        race.json                                   which rows race, over how many blocks, in which order
        <block>/<entrant>/                          an attempt's files, samples.parquet, and the commit: block.json

Owns names alone; `harness.store.files` writes.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from harness.store.files import make_folder

MEASUREMENTS = "measurements"
RACES = "races"
_NUMBER = re.compile("[1-9][0-9]{0,8}")  # as an attempt, a measurement, a race or a block is named here
# The names of files until version 0.2, by their present names' beginnings. Such files are read and never renamed.
_OLDER_NAMES = {
    "job.json": "trial.json",
    "preflight.json": "rehearsal.json",
    "ground_truth.parquet": "truths.parquet",
    "detections.": "predictions.",
}


def user_cache() -> Path:
    """Where this user's programs keep what they can make again, as the XDG Base Directory Specification has it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "detection-harness"


def stored(path: Path) -> Path:
    """The file to read for a path of this module: the path itself, or the older name that lies there instead."""
    if path.exists():
        return path
    for name, older in _OLDER_NAMES.items():
        if path.name.startswith(name):
            candidate = path.with_name(older + path.name.removeprefix(name))
            return candidate if candidate.exists() else path
    return path


@dataclass(frozen=True, slots=True)
class ProcessFolder:
    """What a process of `harness.trial` is given, and the events that it writes while it works."""

    path: Path

    @property
    def job(self) -> Path:
        """What the parent asked for."""
        return self.path / "job.json"

    @property
    def events(self) -> Path:
        """Progress, one JSON object a line, appended by the child."""
        return self.path / "events.jsonl"


@dataclass(frozen=True, slots=True)
class AttemptFolder(ProcessFolder):
    """One attempt's files."""

    @property
    def number(self) -> int:
        """1 for the first attempt."""
        return int(self.path.name)

    @property
    def trial(self) -> TrialFolder:
        """The trial it belongs to."""
        return TrialFolder(self.path.parent.parent)

    @property
    def result(self) -> ResultFolder:
        """Where its results go: the trial's folder; of a measurement without training, or of a race's turn, its own."""
        return ResultFolder(self.path) if self.path.parent.name == MEASUREMENTS or self._races else self.trial

    @property
    def committed(self) -> Path:
        """The file that is there once all went well: a record; of a race's turn what it measured."""
        return self.path / "block.json" if self._races else self.result.record

    @property
    def _races(self) -> bool:
        """Whether it is a turn of a race: races/<n>/<block>/<entrant>."""
        return self.path.parts[-4:-3] == (RACES,) and bool(_NUMBER.fullmatch(self.path.parent.name))

    def variant(self, name: str) -> VariantFolder:
        """Of one variant's process."""
        return VariantFolder(self.path / "variants" / name)

    @property
    def log(self) -> Path:
        """The child's standard output and error."""
        return self.path / "log.txt"

    @property
    def outcome(self) -> Path:
        """How it ended."""
        return self.path / "outcome.json"


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """What an examination of fine-tuned weights leaves: a trial's own, or a later measurement's."""

    path: Path

    @property
    def record(self) -> Path:
        """There only when all went well."""
        return self.path / "record.json"

    @property
    def samples(self) -> Path:
        """Raw timings, of all variants."""
        return self.path / "samples.parquet"

    def detections(self, variant: str | None = None) -> Path:
        """Detections on the evaluated split, of the model as it was trained, or of a variant."""
        return self.path / (f"detections.{variant}.parquet" if variant else "detections.parquet")

    @property
    def ground_truth(self) -> Path:
        """Ground truth of the evaluated split, which the detections are matched with."""
        return self.path / "ground_truth.parquet"

    def exported(self, variant: str, suffix: str = ".onnx") -> Path:
        """A file that a variant's runtime loads."""
        return self.path / f"model.{variant}{suffix}"


@dataclass(frozen=True, slots=True)
class VariantFolder(ProcessFolder):
    """The process that examines one variant: `attempts/<n>/variants/<name>`."""

    @property
    def attempt(self) -> AttemptFolder:
        """The attempt it belongs to."""
        return AttemptFolder(self.path.parent.parent)

    @property
    def samples(self) -> Path:
        """Raw timings."""
        return self.path / "samples.parquet"

    @property
    def found(self) -> Path:
        """What came out, the last file to be written."""
        return self.path / "variant.json"


@dataclass(frozen=True, slots=True)
class TrialFolder(ResultFolder):
    """One trial's files."""

    @property
    def checkpoints(self) -> Path:
        """Weights, and states of training to resume from."""
        return self.path / "checkpoints"

    @property
    def preflight(self) -> Path:
        """What the preflight measured."""
        return self.path / "preflight.json"

    def set_aside(self) -> tuple[Path, ...]:
        """Records that could not be read and were moved out of the way."""
        return tuple(sorted(self.path.glob("record.unreadable-*.json")))

    def attempts(self) -> tuple[AttemptFolder, ...]:
        """Every attempt so far, in order."""
        return _numbered(self.path / "attempts")

    def next_attempt(self) -> AttemptFolder:
        """A new, empty attempt folder.

        Raises:
            MachineError: the disk is full or failing.
            UsageError: it cannot be created there.
        """
        return _next(self.path / "attempts")


def next_measurement(folder: Path) -> AttemptFolder:
    """A new, empty folder for a measurement without training, in `folder`/measurements.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: it cannot be created there.
    """
    return _next(folder / MEASUREMENTS)


def _numbered(folder: Path) -> tuple[AttemptFolder, ...]:
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    numbers = sorted(int(name) for name in names if _NUMBER.fullmatch(name))
    return tuple(AttemptFolder(folder / str(number)) for number in numbers)


def _next(folder: Path) -> AttemptFolder:
    last = max((attempt.number for attempt in _numbered(folder)), default=0)
    attempt = AttemptFolder(folder / str(last + 1))
    make_folder(attempt.path)
    return attempt


@dataclass(frozen=True, slots=True)
class RaceFolder:
    """One race: results/<suite>/races/<n>."""

    path: Path

    @property
    def number(self) -> int:
        """1 for the first race."""
        return int(self.path.name)

    @property
    def race(self) -> Path:
        """Who races, and how."""
        return self.path / "race.json"

    def turn(self, block: int, entrant: int) -> AttemptFolder:
        """The process of one entrant in one block, both counted from 1."""
        return AttemptFolder(self.path / str(block) / str(entrant))


@dataclass(frozen=True, slots=True)
class SuiteFolder:
    """results/<suite>/."""

    path: Path

    @property
    def plan(self) -> Path:
        """The ids of the trials that the suite asks for."""
        return self.path / "plan.json"

    @property
    def lock(self) -> Path:
        """Held by whoever writes here."""
        return self.path / "lock.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.md"

    @property
    def page(self) -> Path:
        """The same as one HTML file."""
        return self.path / "report.html"

    @property
    def plots(self) -> Path:
        """Pictures of the page."""
        return self.path / "plots"

    @property
    def cache(self) -> Path:
        """What the report computed from detections, by their content; can be deleted at any time."""
        return self.path / "cache"

    @property
    def decoded_images(self) -> Path:
        """Images as they were decoded, for the trials that run; can be deleted at any time."""
        return self.cache / "images"

    def headers(self, dataset: str) -> Path:
        """What was read of the headers of a dataset's images; can be deleted at any time."""
        return self.cache / "headers" / f"{dataset}.json"

    def trial(self, trial_id: str) -> TrialFolder:
        """The folder of one trial."""
        return TrialFolder(self.path / "trials" / trial_id)

    def trials(self) -> tuple[TrialFolder, ...]:
        """Every trial that was ever started here, by id."""
        folder = self.path / "trials"
        return (
            tuple(TrialFolder(entry) for entry in sorted(folder.iterdir()) if entry.is_dir()) if folder.is_dir() else ()
        )

    def races(self) -> tuple[RaceFolder, ...]:
        """Every race so far, in order."""
        return tuple(RaceFolder(attempt.path) for attempt in _numbered(self.path / RACES))

    def next_race(self) -> RaceFolder:
        """A new, empty folder for a race.

        Raises:
            MachineError: the disk is full or failing.
            UsageError: it cannot be created there.
        """
        return RaceFolder(_next(self.path / RACES).path)
