"""Reading files that `torch.save` wrote: tensors and plain values only, never code."""

from __future__ import annotations

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
        WeightsError: the file is unreadable, holds code, or no mapping.
    """
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
