"""Every path under a results folder, and every durable write.

    results/<suite>/
      plan.json  report.md  report.html  plots/     derived: rewritten atomically
      cache/                                        what the report computed from detections
      lock.json                                     who writes here (`harness.store.lock`)
      trials/<trial_id>/
        record.json                                 the commit: written once, never rewritten
        samples.parquet  predictions.parquet  truths.parquet    what the record was computed from, written before it
        predictions.<variant>.parquet  model.<variant>.onnx
        measurements/<n>/                           measured again without training: an attempt's files and a record's
        rehearsal.json                              how long a step takes, before the first trial
        checkpoints/  weights.pt  training-<n>.state
        attempts/<n>/  trial.json  events.jsonl  log.txt  outcome.json
        attempts/<n>/variants/<name>/               the same of a variant's process, and what it found

A commit is: a temporary file in the same folder, write, fsync, `os.link` to its name (the first one wins), fsync of the
folder. So a reader sees a whole file or none, whatever is killed or full.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY = ".harness-tmp-"
_MEASUREMENTS = "measurements"
# What another folder would mend. Any other failure is the machine's: full, broken, gone.
_WRONG_FOLDER = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EOPNOTSUPP,
}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_RESERVE = 64 * 2**20  # bytes that stay free for the log, the record and the report


class Stream:
    """A file being written: each `write` is whole, or an OSError that `error` keeps, whatever a caller made of it."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        """Write all of it."""
        left = memoryview(data).cast("B")
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError as error:
            self.error = self.error or error
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered here."""


Content = bytes | memoryview | Callable[[Stream], None]


@dataclass(frozen=True, slots=True)
class ProcessFolder:
    """What a process of `harness.trial` is told, and what it tells while it works."""

    path: Path

    @property
    def assignment(self) -> Path:
        """What the parent asked for."""
        return self.path / "trial.json"

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
        """Where its record goes: the trial's folder; of a measurement without training its own."""
        return ResultFolder(self.path) if self.path.parent.name == _MEASUREMENTS else self.trial

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

    def predictions(self, variant: str | None = None) -> Path:
        """Detections on the evaluated split, of the model as it was trained, or of a variant."""
        return self.path / (f"predictions.{variant}.parquet" if variant else "predictions.parquet")

    @property
    def truths(self) -> Path:
        """Labels of the evaluated split, which the detections are judged by."""
        return self.path / "truths.parquet"

    def exported(self, variant: str) -> Path:
        """The file that a variant's runtime loads."""
        return self.path / f"model.{variant}.onnx"


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
    def rehearsal(self) -> Path:
        """What the rehearsal measured."""
        return self.path / "rehearsal.json"

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
    return _next(folder / _MEASUREMENTS)


def _numbered(folder: Path) -> tuple[AttemptFolder, ...]:
    numbers = sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()) if folder.is_dir() else ()
    return tuple(AttemptFolder(folder / str(number)) for number in numbers)


def _next(folder: Path) -> AttemptFolder:
    last = max((attempt.number for attempt in _numbered(folder)), default=0)
    attempt = AttemptFolder(folder / str(last + 1))
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
    with disk_errors(path), _temporary(path, data) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        _sync_folder(path.parent)
        return True


def replace(path: Path, data: Content, *, check: Callable[[Path], None] = lambda _written: None) -> None:
    """Write a file whether or not it was there: readers see the old one or the new one, whole.

    Args:
        data: the bytes, or what writes them piece by piece.
        check: is given the written file before it takes the place of the old one, and raises where it is not sound.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    with disk_errors(path), _temporary(path, data) as temporary:
        check(Path(temporary))
        os.replace(temporary, path)
        _sync_folder(path.parent)


def write_out(path: Path, data: bytes) -> None:
    """Write where a person said: a link is followed, and what is no ordinary file (a pipe, a device) is written into.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: it cannot be written there.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with disk_errors(path), path.open("wb") as stream:
            stream.write(data)
        return
    replace(path, data)


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: it cannot be created there.
    """
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Delete a file, if it is there.

    Raises:
        MachineError: the disk is failing.
        UsageError: it cannot be deleted.
    """
    with disk_errors(path), contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def ensure_space(path: Path, needed: int, what: str) -> None:
    """See that `needed` bytes, and a reserve for records and logs, are free where `path` lies.

    Args:
        what: who takes them, before the number: `a checkpoint takes`.

    Raises:
        MachineError: they are not.
    """
    with disk_errors(path):
        free = shutil.disk_usage(_existing(path)).free
    if free < needed + _RESERVE:
        raise MachineError(
            f"{path}: {what} {_size(needed)} (and {_size(_RESERVE)} in reserve), but {_disk(path)}; "
            "make room, then run the same command again: finished trials are kept"
        )


def sweep(folder: Path) -> None:
    """Remove temporaries that a killed writer left in `folder` and below it."""
    for leftover in folder.rglob(f"{TEMPORARY}*"):
        leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def _temporary(path: Path, data: Content) -> Iterator[str]:
    """A synced file in the folder of `path`. System call by system call, so that a test can fail each of them."""
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        try:
            _fill(Stream(handle), data)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.chmod(name, 0o644)  # mkstemp's 0600 would keep a morning's report from everybody else
        yield name
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _fill(stream: Stream, data: Content) -> None:
    if not callable(data):
        stream.write(data)
        return
    try:
        data(stream)
    except Exception:
        if stream.error is not None:  # torch.save turns a full disk into an "enforce fail"
            raise stream.error from None
        raise


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the system says of a write to `path` into a MachineError or a UsageError that names the disk."""
    try:
        yield
    except OSError as error:
        said = f"{path}: cannot be written: {error.strerror}"
        if error.errno in _WRONG_FOLDER:
            raise UsageError(
                f"{said}; give a place that can be written (with --results a folder that takes hard links)"
            ) from None
        todo = "make room" if error.errno in _FULL else "see that the disk works"
        raise MachineError(
            f"{said}; {_disk(path)}; {todo}, then run the same command again: finished trials are kept"
        ) from None


def _disk(path: Path) -> str:
    """The disk that a path lies on, in words."""
    try:
        mount = _existing(path).absolute()
        while not os.path.ismount(mount):
            mount = mount.parent
        usage = shutil.disk_usage(mount)
    except OSError as error:  # a disk that is gone does not answer
        return f"its disk does not answer: {error.strerror}"
    return f"the disk at {mount} has {_size(usage.free)} of {_size(usage.total)} free"


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
