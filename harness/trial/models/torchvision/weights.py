"""torchvision's published weights: where they lie, and how to get them. Never a silent fall-back."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import torch
import torchvision

from harness import printing
from harness.errors import WeightsError

if TYPE_CHECKING:
    from harness.suite.catalog.torchvision import TorchvisionArchitecture

_TIMEOUT_S = 30.0  # between two packets: an unreachable network must not hold the night


def member(name: str) -> Any:
    """`ResNet50_Weights.IMAGENET1K_V1` as torchvision's enum member."""
    enum, _, value = name.partition(".")
    owner = torchvision.models if hasattr(torchvision.models, enum) else torchvision.models.detection
    return getattr(owner, enum)[value]


def member_of(row: TorchvisionArchitecture, word: str) -> Any:
    """The enum member that a word of the row's `published_files` stands for."""
    name = row.backbone_weights if word == "backbone" else row.weights
    if name is None:
        raise WeightsError(f"{row.name}: nobody published weights that `weights: {word}` could stand for")
    return member(name)


def require(row: TorchvisionArchitecture, word: str) -> Path:
    """The cached file of published weights, downloaded if it is not there yet.

    Args:
        word: `default` or `backbone`.

    Raises:
        WeightsError: it is not there and cannot be downloaded; names the file, the folder and the alternatives.
    """
    weights = member_of(row, word)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / Path(weights.url).name
    if file.is_file():
        return file
    prefix = re.search(r"-([0-9a-f]{8,})\.", file.name)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_S)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        print(f"fetching {weights.url} to {folder}", flush=True)
        with contextlib.redirect_stderr(printing.terminal(error=True)):  # torch's bar moves on one line
            torch.hub.download_url_to_file(
                weights.url, str(file), hash_prefix=prefix.group(1) if prefix else None, progress=sys.stderr.isatty()
            )
    except (URLError, HTTPException, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsError(
            f"weights {weights} of {row.name} cannot be had: {file.name} is not in {folder}, and the download failed "
            f"({reason}). Run `harness fetch SUITE` where there is internet (or copy the file into that folder), or "
            "set "
            "for this architecture `weights: backbone` (ImageNet backbone only), `weights: none` (random), or "
            "`weights: PATH` (a state dict of yours)"
        ) from None
    finally:
        socket.setdefaulttimeout(before)
    return file
