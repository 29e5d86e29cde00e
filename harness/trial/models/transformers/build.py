"""Build a network for the user's classes from each kind of weights, and rebuild a fine-tuned one.

Weights are loaded by the library's own `from_pretrained`, which renames the tensors of older files, and never from the
network: what is not on this machine is an error that says how to get it.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoModelForObjectDetection
from transformers.utils import logging as library_logging

from harness import foreign
from harness.errors import WeightsError
from harness.trial.models import state as states
from harness.trial.models.transformers import network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from harness.suite.catalog.transformers_row import TransformersArchitecture
    from harness.trial.models.base import Head

_TRAINING_KEYS = ("auxiliary_loss", "focal_loss_gamma", "use_dense_one_to_one")  # no part of a network's shape

log = logging.getLogger(__name__)


def untrained(
    row: TransformersArchitecture, classes: int, changes: Mapping[str, Any], *, live_norms: bool
) -> nn.Module:
    """The row's network with random weights.

    Args:
        changes: of the row's configuration.
    """
    values = {**row.config, **changes}
    if live_norms and row.model_type in {"rt_detr_v2", "d_fine", "deimv2"}:
        values["freeze_backbone_batch_norms"] = False
    config = network.configuration(row.model_type, values, classes=classes)
    return network.build(config, live_norms=live_norms)


def from_folder(
    row: TransformersArchitecture,
    folder: Path,
    classes: int,
    changes: Mapping[str, Any],
    *,
    keep_head: bool,
    backbone: object = None,
) -> tuple[nn.Module, Head]:
    """A network from a folder that `save_pretrained` wrote: config.json and model.safetensors.

    Args:
        keep_head: whether the class head is kept if it has as many classes as the user.
        backbone: the name that the suite gives beside the folder, which says itself what its backbone is; or None.

    Raises:
        WeightsError: it cannot be read, is of another network, or does not fit.
    """
    with explained(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if config.model_type != row.model_type:
            raise WeightsError(f"{folder}: is a {config.model_type}, expected a {row.model_type} ({row.name})")
        if backbone is not None:
            _check_backbone(folder, str(backbone), getattr(config.backbone_config, "backbone", None))
        loaded, found = AutoModelForObjectDetection.from_pretrained(
            folder, config=config, local_files_only=True, output_loading_info=True, dtype=torch.float32
        )
    lost = sorted({*found["missing_keys"], *found["unexpected_keys"], *map(str, found["mismatched_keys"])})
    if lost:
        raise WeightsError(f"{folder}: {len(lost)} tensors are missing or left over: {', '.join(lost[:3])}")
    changes = {key: row.config[key] for key in _TRAINING_KEYS if key in row.config} | dict(changes)
    own = network.configuration(row.model_type, {**config.to_dict(), **changes}, classes=classes)
    return adopt(own, loaded.state_dict(), str(folder), keep_head=keep_head and config.num_labels == classes)


def from_checkpoint(
    row: TransformersArchitecture, path: Path, classes: int, changes: Mapping[str, Any], *, backbone: object = None
) -> tuple[nn.Module, Head, Mapping[str, Any]]:
    """A network that starts from one that this program fine-tuned, what became of its head, and its structure.

    Args:
        changes: of the configuration in the file.
        backbone: the name that the suite gives beside the file, which says itself what its backbone is; or None.

    Raises:
        WeightsError: the file is no such checkpoint, or of another network.
    """
    content = states.read(path)
    structure, name = content.get("structure"), content.get("architecture")
    if "harness_checkpoint" in content and name != row.name:
        raise WeightsError(f"{path}: is a checkpoint of {foreign.shown(name)}, expected one of {row.name}")
    if not isinstance(structure, Mapping) or not isinstance(structure.get("config"), Mapping):
        raise WeightsError(
            f"{path}: expected a folder with config.json and model.safetensors, or a checkpoint of this program"
        )
    config, options = structure["config"], content.get("model")
    if backbone is not None:
        trained = options.get("backbone") if isinstance(options, Mapping) else None
        _check_backbone(path, str(backbone), trained or row.backbone)
    if config.get("model_type") != row.model_type:
        raise WeightsError(f"{path}: is a {foreign.shown(config.get('model_type'))}, expected a {row.model_type}")
    own = network.configuration(row.model_type, {**config, **changes}, classes=classes)
    module, head = adopt(own, content["state_dict"], str(path), keep_head=len(content["classes"]) == classes)
    return module, head, structure


def _check_backbone(path: Path, asked: str, own: object) -> None:
    """Compare the backbone that a suite names beside a file or folder with its own; folders by their last name.

    Raises:
        WeightsError: it is another one, or the folder names none, so that the name would have no effect.
    """
    if own is None:
        raise WeightsError(f"{path}: does not say what its backbone is called: leave out backbone: {asked}")
    both_folders = Path(asked).is_absolute() and Path(str(own)).is_absolute()
    if asked != own and not (both_folders and Path(asked).name == Path(str(own)).name):
        raise WeightsError(f"{path}: its backbone is {foreign.shown(own, 300)}: name that one, or leave out {asked}")


def adopt(config: Any, state: Mapping[str, Tensor], what: str, *, keep_head: bool) -> tuple[nn.Module, Head]:
    """A network of this configuration that holds a state dict, but for its class heads unless they are kept."""
    module = network.build(config, live_norms=False)
    if keep_head:
        states.load_into(module, state, what)
        return module, "kept"
    network.take_all_but_heads(module, state, what)
    return module, "replaced"


def rebuild(structure: Mapping[str, Any], state: Mapping[str, Tensor], classes: int, what: str) -> nn.Module:
    """A fine-tuned network again, from plain values and its state dict alone.

    Raises:
        WeightsError: the state dict does not fit.
    """
    config = dict(structure["config"])
    own = network.configuration(str(config["model_type"]), config, classes=classes)
    module = network.build(own, live_norms=False)
    states.load_into(module, state, what)
    freeze(module, structure["frozen_parameters"])
    return module


def freeze(module: nn.Module, frozen: tuple[str, ...] | list[str]) -> None:
    """Train no parameter whose name is, or starts with, one of these."""
    for name, parameter in module.named_parameters():
        if name.startswith(tuple(frozen)):
            parameter.requires_grad_(False)


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what the library raises for a bad folder into a `WeightsError`, and keep its tables off the terminal."""
    before = library_logging.get_verbosity()
    library_logging.set_verbosity_error()
    library_logging.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    except WeightsError:
        raise
    except Exception as error:
        raise WeightsError(f"{folder}: cannot be loaded: {foreign.described(error)}") from error
    finally:
        library_logging.set_verbosity(before)
