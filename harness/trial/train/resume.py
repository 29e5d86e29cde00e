"""Checkpoint files of a training: a trial that was killed resumes from the newest intact one.

A file holds the output of `torch.save` followed by its sha256, so that a torn or altered file is recognised and not
used. Owns only these files; `harness.trial.train.loop` decides what a state holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness import foreign
from harness.errors import MachineError, WeightsError
from harness.store import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

_FORMAT = 1
_MAX_FILES = 2
_SUFFIX = ".state"
_CHUNK = 2**22

State = dict[str, Any]  # tensors, numbers, text, lists, tuples and dicts of them


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """The checkpoint files of one trial, in `folder`; files with another `trial_id` are refused."""

    folder: Path
    trial_id: str

    def save(self, state: State, *, steps: int) -> None:
        """Write the state after `steps` training steps durably; the previous file is kept, older ones are removed.

        Raises:
            MachineError: the disk is full or failing; the earlier files are unchanged.
        """
        files.make_folder(self.folder)
        path = self.folder / f"training-{steps:09d}{_SUFFIX}"
        files.ensure_space(path, size_of(state), "a checkpoint takes")
        content = {"harness_training_state": _FORMAT, "trial_id": self.trial_id, "state": state}

        def write(stream: files.Stream) -> None:
            hashing: Any = _HashingStream(stream)
            torch.save(content, hashing)
            stream.write(hashing.digest.digest())

        files.replace(path, write, check=self._check)
        for old in self._paths()[_MAX_FILES:]:
            files.remove(old)

    def newest(self) -> State | None:
        """Return the newest intact state; a damaged file is renamed with a warning, and the previous one is used."""
        for path in self._paths():
            try:
                return self._read(path, mmap=False)
            except (_RefusedError, OSError) as error:
                log.warning("%s: %s; it is not used", path, error)
                with files.disk_errors(path):
                    path.replace(path.with_suffix(".refused"))
        return None

    def remove(self) -> None:
        """Remove all checkpoint files; the trial cannot be resumed afterwards."""
        for path in (*self._paths(), *self.folder.glob("training-*.refused")):
            files.remove(path)

    def _paths(self) -> list[Path]:
        """Return the checkpoint files, newest first."""
        return sorted(self.folder.glob(f"training-*{_SUFFIX}"), reverse=True)

    def _check(self, path: Path) -> None:
        try:
            self._read(path, mmap=True)
        except _RefusedError as error:
            raise MachineError(f"{path.parent}: a file does not read back as it was written: {error}") from None

    def _read(self, path: Path, *, mmap: bool) -> State:
        if not path.is_file():
            raise _RefusedError("is no file")
        length = path.stat().st_size - hashlib.sha256().digest_size
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            for chunk in _chunks(stream, length):
                digest.update(chunk)
            if length <= 0 or stream.read() != digest.digest():
                raise _RefusedError("torn or altered: its checksum does not fit")
        try:
            content = torch.load(path, map_location="cpu", mmap=mmap, weights_only=True)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - for a file that is not its own, torch raises whatever comes
            raise _RefusedError(f"cannot be loaded: {foreign.described(error)}") from None
        if not isinstance(content, dict) or not _is_format(content.get("harness_training_state")):
            raise _RefusedError("not a state of training in this format")
        owner = content.get("trial_id")
        if owner != self.trial_id:
            raise _RefusedError(
                f"belongs to another trial, {owner if isinstance(owner, str) else foreign.shown(owner)}"
            )
        state = content.get("state")
        if not isinstance(state, dict):
            raise _RefusedError("holds no state of training")
        return state


def _is_format(value: object) -> bool:
    return isinstance(value, int) and value == _FORMAT


class _RefusedError(Exception):
    """A file is not a state to resume from."""


class _HashingStream:
    """A stream for `torch.save` that also hashes the written bytes."""

    def __init__(self, stream: files.Stream) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()


@contextlib.contextmanager
def restoring() -> Iterator[None]:
    """Say in a sentence that a state does not hold what this version needs, whatever that raises while the block runs.

    Raises:
        WeightsError: it is so.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, RuntimeError) and "state_dict" not in foreign.whole_message(error):
            raise  # the device's
        raise WeightsError(
            f"the training's checkpoint cannot be restored ({foreign.described(error)}): another version or another "
            "program wrote it; delete training-*.state in the trial's checkpoints/, and it is trained from the start"
        ) from error


def size_of(state: Any) -> int:
    """Return the bytes of all tensors in a state."""
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, dict):
        return sum(map(size_of, state.values()))
    return sum(map(size_of, state)) if isinstance(state, list | tuple) else 0


def random_state(device: torch.device) -> State:
    """Return the state of every random generator that training may use."""
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 - users draw from the global generator
    kind, keys, position, has_gauss, gauss = numpy_state
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss),
    }


def restore_random_state(state: State, device: torch.device) -> None:
    """Set every random generator to the state that `random_state` returned."""
    torch.set_rng_state(state["torch"].clone())
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"].clone(), device)
    random.setstate(state["python"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002


def _chunks(stream: Any, length: int) -> Iterator[bytes]:
    while length > 0:
        chunk = stream.read(min(length, _CHUNK))
        if not chunk:
            return
        length -= len(chunk)
        yield chunk
