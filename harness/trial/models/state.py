"""Reading files that `torch.save` wrote: tensors and plain values only, never code."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from harness.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn


def read(path: Path) -> dict[str, Any]:
    """The mapping in a file, on the CPU.

    Raises:
        WeightsError: the file is unreadable, damaged, holds code, or no mapping.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: is no file")
    _check_sums(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - for a file that is not its own, torch raises whatever comes
        raise WeightsError(
            f"{path}: does not load as tensors alone (weights_only=True; {type(error).__name__}): it is torn, no torch "
            "file, or holds a pickled model; save model.state_dict() with torch.save"
        ) from None
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, expected a state dict (name → tensor)")
    return dict(content)


def state_dict_of(content: Mapping[str, Any], path: Path) -> Mapping[str, Tensor]:
    """The state dict in what `read` gave: all of it, or what is under `state_dict` or `model`.

    Raises:
        WeightsError: there is none.
    """
    state = next((content[key] for key in ("state_dict", "model") if isinstance(content.get(key), Mapping)), content)
    if not all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()):
        raise WeightsError(f"{path}: expected a state dict (name → tensor), alone or under 'state_dict' or 'model'")
    return state


def _check_sums(path: Path) -> None:
    """Compare the checksum of each part of the archive that `torch.save` writes; `torch.load` itself compares none.

    Raises:
        WeightsError: a part has another one.
    """
    try:
        if not zipfile.is_zipfile(path):
            return  # as torch before 1.6 wrote it, without checksums; or none of torch's, which loading it tells
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        damaged = str(error)
    if damaged is not None:
        raise WeightsError(
            f"{path}: is damaged (a checksum in it does not fit: {damaged}); put back a sound copy, or make it again"
        )


def load_into(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load a state dict whose names and shapes must all fit.

    Args:
        what: where the state dict comes from, for the error.

    Raises:
        WeightsError: it does not fit.
    """
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsError(
            f"{what} does not fit {type(module).__name__}: {str(error).splitlines()[-1].strip()}"
        ) from None
