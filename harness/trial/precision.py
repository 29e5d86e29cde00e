"""Mixed precision: the names of a suite and torch's autocast region."""

from __future__ import annotations

from typing import Any

import torch

AUTOCAST = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> Any:
    """Return torch's autocast context for a precision; for fp32 it is disabled."""
    return torch.autocast(device.type, AUTOCAST[precision], enabled=precision != "fp32")
