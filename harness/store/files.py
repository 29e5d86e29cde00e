"""Every path under a results folder, and every durable write.

    results/<suite>/
      plan.json  report.md  plots/                  derived: rewritten atomically
      trials/<trial_id>/
        record.json                                 the commit: written once, never rewritten
        samples.parquet  predictions.parquet        what the record was computed from, written before it
        checkpoints/
        attempts/<n>/  trial.json  events.jsonl  log.txt  outcome.json

A commit is: a temporary file in the same folder, write, fsync, `os.link` to its name (the first one wins), fsync of the
folder. So a reader sees a whole file or none, whatever is killed or full.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPORARY = ".harness-tmp-"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """One attempt's files."""

    path: Path

    @property
    def number(self) -> int:
        """1 for the first attempt."""
        return int(self.path.name)

    @property
    def trial(self) -> TrialFolder:
        """The trial it belongs to."""
        return TrialFolder(self.path.parent.parent)

    @property
    def assignment(self) -> Path:
        """What the parent asked for."""
        return self.path / "trial.json"

    @property
    def events(self) -> Path:
        """Progress, one JSON object a line, appended by the child."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """The child's standard output and error."""
        return self.path / "log.txt"

    @property
    def outcome(self) -> Path:
        """How it ended."""
        return self.path / "outcome.json"


@dataclass(frozen=True, slots=True)
class TrialFolder:
    """One trial's files."""

    path: Path

    @property
    def record(self) -> Path:
        """There only when the trial succeeded."""
        return self.path / "record.json"

    @property
    def samples(self) -> Path:
        """Raw timings."""
        return self.path / "samples.parquet"

    @property
    def predictions(self) -> Path:
        """Detections on the evaluated split."""
        return self.path / "predictions.parquet"

    @property
    def checkpoints(self) -> Path:
        """Weights."""
        return self.path / "checkpoints"

    def attempts(self) -> tuple[AttemptFolder, ...]:
        """Every attempt so far, in order."""
        folder = self.path / "attempts"
        numbers = (
            sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()) if folder.is_dir() else ()
        )
        return tuple(AttemptFolder(folder / str(number)) for number in numbers)

    def next_attempt(self) -> AttemptFolder:
        """A new, empty attempt folder.

        Raises:
            MachineError: the disk is full or failing.
            UsageError: it cannot be created there.
        """
        last = max((attempt.number for attempt in self.attempts()), default=0)
        attempt = AttemptFolder(self.path / "attempts" / str(last + 1))
        make_folder(attempt.path)
        return attempt


@dataclass(frozen=True, slots=True)
class SuiteFolder:
    """results/<suite>/."""

    path: Path

    @property
    def plan(self) -> Path:
        """The ids of the trials that the suite asks for."""
        return self.path / "plan.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.md"

    @property
    def plots(self) -> Path:
        """Pictures of the page."""
        return self.path / "plots"

    def trial(self, trial_id: str) -> TrialFolder:
        """The folder of one trial."""
        return TrialFolder(self.path / "trials" / trial_id)

    def trials(self) -> tuple[TrialFolder, ...]:
        """Every trial that was ever started here, by id."""
        folder = self.path / "trials"
        return (
            tuple(TrialFolder(entry) for entry in sorted(folder.iterdir()) if entry.is_dir()) if folder.is_dir() else ()
        )


def commit(path: Path, data: bytes | memoryview) -> bool:
    """Write a new file durably; False, and nothing changed, where one of that name is already there.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    with _disk_errors(path), _temporary(path, data) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        _sync_folder(path.parent)
        return True


def replace(path: Path, data: bytes | memoryview) -> None:
    """Write a file whether or not it was there: readers see the old one or the new one, whole.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    with _disk_errors(path), _temporary(path, data) as temporary:
        os.replace(temporary, path)
        _sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: it cannot be created there.
    """
    with _disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def sweep(folder: Path) -> None:
    """Remove temporaries that a killed writer left in `folder` and below it."""
    for leftover in folder.rglob(f"{TEMPORARY}*"):
        leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def _temporary(path: Path, data: bytes | memoryview) -> Iterator[str]:
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)  # mkstemp's 0600 would keep a morning's report from everybody else
        yield name
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = f"{path}: cannot be written: {error.strerror}"
        if error.errno in _FULL:
            raise MachineError(
                f"{said}; make room, then run the same command again: finished trials are kept"
            ) from None
        raise UsageError(f"{said}; give a folder that can be written, and takes hard links, with --results") from None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
