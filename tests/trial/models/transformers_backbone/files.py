"""Backbones in files as transformers' own `save_pretrained` writes them, a few channels wide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageClassification
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

RESNET: dict[str, Any] = {"embedding_size": 8, "hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1]}
CONVNEXT: dict[str, Any] = {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1]}


def save(folder: Path, model_type: str = "resnet", **values: Any) -> dict[str, torch.Tensor]:
    """Write a classifier; returns its state dict."""
    torch.manual_seed(7)
    config = CONFIG_MAPPING[model_type](
        **({**RESNET, "layer_type": "basic"} if model_type == "resnet" else {}) | values
    )
    module = AutoModelForImageClassification.from_config(config)
    module.save_pretrained(folder)
    pixels = {"do_normalize": True, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels))
    state: dict[str, torch.Tensor] = module.state_dict()
    return state
