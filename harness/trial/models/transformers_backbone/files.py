"""The files of a backbone of transformers: in a folder of the user's, or in the cache of Hugging Face's hub.

A backbone has its configuration and its tensors, and may have what its pixels are normalised with.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import WeightsError
from harness.suite.catalog.architecture import HubFile
from harness.suite.catalog.published import described, hub_folder, location
from harness.suite.catalog.transformers_backbones import RESNET_18
from harness.suite.weights import PIXELS
from harness.trial.models import hub

if TYPE_CHECKING:
    from harness.suite.catalog.architecture import Architecture

_CONFIG = "config.json"
_CHANNELS = 3
Channels = tuple[float, float, float]


def folder_of(name: str, *, pretrained: bool) -> Path | None:
    """The folder with the backbone's files; None where the catalogue has all that is needed.

    Args:
        name: a repository of the hub, or the absolute path of a folder.
        pretrained: whether its tensors are needed.

    Raises:
        WeightsError: one of the files is not on this machine; names it and how it gets there.
    """
    if Path(name).is_absolute():
        for file in (_CONFIG, *(("model.safetensors*",) if pretrained else ())):
            if not any(Path(name).glob(file)):
                raise WeightsError(f"backbone {name}: has no {file.rstrip('*')}: expected what save_pretrained writes")
        return Path(name)
    if not pretrained and name == RESNET_18:
        return None
    wanted = [HubFile(repo=name, file=_CONFIG), *([HubFile(repo=name)] if pretrained else [])]
    for needed in wanted:
        if not location(needed).is_file():
            raise WeightsError(
                f"backbone {name}: {described(needed)} is not in the cache {hub_folder()}: run `harness fetch SUITE` "
                "where there is internet (or copy that cache from there), or name a folder that save_pretrained wrote"
            )
    return location(wanted[-1]).parent


def normalisation(folder: Path | None) -> tuple[Channels, Channels] | None:
    """The mean and the standard deviation of the backbone's own images; None if its folder does not tell.

    Raises:
        WeightsError: its file of them cannot be read.
    """
    path = folder / PIXELS if folder else None
    if path is None or not path.is_file():
        return None
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not known.get("do_normalize", True):
            return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        if "image_mean" not in known and "image_std" not in known:
            return None
        mean, std = (tuple(map(float, known[key])) for key in ("image_mean", "image_std"))
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read: {type(error).__name__}: {error}") from error
    if len(mean) != _CHANNELS or len(std) != _CHANNELS or min(std) <= 0:
        raise WeightsError(f"{path}: expected image_mean and image_std for red, green and blue, got {mean} and {std}")
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def fetch(row: Architecture, word: str, backbone: str | None) -> Path:
    """The file that the row names, it and those beside it downloaded to the hub's cache unless they are there.

    Raises:
        WeightsError: one of them cannot be had.
    """
    file = row.needed_file(word, backbone)
    if not isinstance(file, HubFile):
        raise TypeError(f"{row.name}: weights {word} are no file of the hub")
    what = f"the backbone {file.repo}"
    config = hub.fetch(replace(file, file=_CONFIG), what)
    if not location(file).is_file() or file.file == _CONFIG:
        hub.fetch(replace(file, file=PIXELS), what, if_any=True)
    return hub.fetch(file, what) if file.file != _CONFIG else config
