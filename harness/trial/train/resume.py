"""States of training in files: a trial that was killed goes on from the last whole one.

A file is what `torch.save` wrote and, at its end, the sha256 of that: a torn or altered one is never trusted. Owns
these files alone; what is in a state is `harness.trial.train.loop`'s business.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.errors import MachineError
from harness.store import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

_FORMAT = 1
_KEPT = 2
_SUFFIX = ".state"
_CHUNK = 2**22

State = dict[str, Any]  # tensors, numbers, text, lists, tuples and dicts of them


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """The resumable states of one trial, in `folder`; `trial_id` tells them from another trial's."""

    folder: Path
    trial_id: str

    def save(self, state: State, *, steps: int) -> None:
        """Write the state after so many training steps, durably; the one before it is kept, older ones go.

        Raises:
            MachineError: the disk is full or failing; the states before are untouched.
        """
        files.make_folder(self.folder)
        path = self.folder / f"training-{steps:09d}{_SUFFIX}"
        files.ensure_space(path, size_of(state), "a checkpoint takes")
        whole = {"harness_training_state": _FORMAT, "trial_id": self.trial_id, "state": state}

        def write(stream: files.Stream) -> None:
            digested: Any = _Digested(stream)
            torch.save(whole, digested)
            stream.write(digested.digest.digest())

        files.replace(path, write, check=self._check)
        for old in self._paths()[_KEPT:]:
            files.remove(old)

    def newest(self) -> State | None:
        """The last whole state; what cannot be trusted is set aside with a warning, and the one before it is used."""
        for path in self._paths():
            try:
                return self._read(path, mmap=False)
            except (_RefusedError, OSError) as error:
                log.warning("%s: %s; it is not used", path, error)
                with files.disk_errors(path):
                    path.replace(path.with_suffix(".refused"))
        return None

    def remove(self) -> None:
        """Nothing is to be resumed any more."""
        for path in (*self._paths(), *self.folder.glob("training-*.refused")):
            files.remove(path)

    def _paths(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob(f"training-*{_SUFFIX}"), reverse=True)

    def _check(self, path: Path) -> None:
        try:
            self._read(path, mmap=True)
        except _RefusedError as error:
            raise MachineError(f"{path.parent}: what was written there reads back otherwise: {error}") from None

    def _read(self, path: Path, *, mmap: bool) -> State:
        length = path.stat().st_size - hashlib.sha256().digest_size
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            for chunk in _chunks(stream, length):
                digest.update(chunk)
            if length <= 0 or stream.read() != digest.digest():
                raise _RefusedError("torn or altered: its checksum does not fit")
        try:
            whole = torch.load(path, map_location="cpu", mmap=mmap, weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, ValueError, EOFError) as error:
            raise _RefusedError(f"cannot be loaded: {error}") from None
        if not isinstance(whole, dict) or whole.get("harness_training_state") != _FORMAT:
            raise _RefusedError("not a state of training in this format")
        if whole["trial_id"] != self.trial_id:
            raise _RefusedError(f"belongs to another trial, {whole['trial_id']}")
        state: State = whole["state"]
        return state


class _RefusedError(Exception):
    """A file is not a state to resume from."""


class _Digested:
    """A stream for `torch.save` that digests what passes."""

    def __init__(self, stream: files.Stream) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()


def size_of(state: Any) -> int:
    """Bytes of all tensors in it."""
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, dict):
        return sum(map(size_of, state.values()))
    return sum(map(size_of, state)) if isinstance(state, list | tuple) else 0


def random_state(device: torch.device) -> State:
    """Every generator that training may draw from."""
    numpys: Any = np.random.get_state()  # noqa: NPY002 - the one that users draw from
    kind, keys, position, has_gauss, gauss = numpys
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss),
    }


def restore_random_state(state: State, device: torch.device) -> None:
    """Go on drawing where `random_state` was taken."""
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
