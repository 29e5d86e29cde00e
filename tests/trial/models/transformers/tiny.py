"""Rows of the catalogue with networks that are small enough for a test: the same code, a few layers, 64 pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.suite.catalog.registry import BUILT_IN
from harness.suite.catalog.transformers_row import TransformersArchitecture

_HGNET: dict[str, Any] = {
    "model_type": "hgnet_v2",
    "hidden_sizes": [16, 32, 64, 64],
    "depths": [1, 1, 1, 1],
    "stem_channels": [3, 8, 8],
    "stage_in_channels": [8, 16, 32, 64],
    "stage_mid_channels": [8, 8, 16, 16],
    "stage_out_channels": [16, 32, 64, 64],
    "stage_num_blocks": [1, 1, 1, 1],
    "stage_downsample": [False, True, True, True],
    "stage_light_block": [False, False, True, True],
    "stage_kernel_size": [3, 3, 3, 3],
    "stage_numb_of_layers": [2, 2, 2, 2],
    "use_learnable_affine_block": True,
    "out_indices": [2, 3, 4],
}
_RESNET: dict[str, Any] = {"embedding_size": 8, "hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1]}
_HYBRID: dict[str, Any] = {
    "d_model": 32,
    "encoder_hidden_dim": 32,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "decoder_layers": 2,
    "decoder_in_channels": [32, 32, 32],
    "decoder_n_points": 2,
    "num_queries": 20,
    "num_denoising": 10,
}
_GROUPS: dict[str, Any] = {
    "projector_scale_factors": [1.0],
    "d_model": 32,
    "c2f_num_blocks": 1,
    "decoder_layers": 2,
    "decoder_ffn_dim": 64,
    "decoder_self_attention_heads": 2,
    "decoder_cross_attention_heads": 2,
    "decoder_n_points": 2,
    "num_queries": 20,
    "group_detr": 2,
}
_VIT: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 8}
_CONFIGS: dict[str, dict[str, Any]] = {
    "rt_detr_v2": {
        **_HYBRID,
        "backbone_config": {"model_type": "rt_detr_resnet", **_RESNET, "layer_type": "basic", "out_indices": [2, 3, 4]},
        "encoder_in_channels": [16, 32, 64],
    },
    "d_fine": {**_HYBRID, "backbone_config": _HGNET, "encoder_in_channels": [32, 64, 64], "depth_mult": 0.34},
    "deimv2": {**_HYBRID, "backbone_config": _HGNET, "encoder_in_channels": [32, 64, 64], "depth_mult": 0.34},
    "rf_detr": {
        **_GROUPS,
        "backbone_config": {
            **_VIT,
            "model_type": "rf_detr_dinov2",
            "num_windows": 2,
            "image_size": 64,
            "out_features": ["stage2", "stage3"],
        },
    },
    "lw_detr": {
        **_GROUPS,
        "backbone_config": {
            **_VIT,
            "model_type": "lw_detr_vit",
            "image_size": 256,
            "pretrain_image_size": 64,
            "window_block_indices": [0],
            "out_indices": [2, 3],
        },
    },
    "detr": {
        "backbone_config": {"model_type": "resnet", **_RESNET, "layer_type": "basic", "out_features": ["stage4"]},
        "d_model": 32,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "num_queries": 20,
        "auxiliary_loss": True,
    },
    "yolos": {
        **_VIT,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "image_size": [64, 64],
        "num_detection_tokens": 20,
        "use_mid_position_embeddings": False,
    },
}
# One row of each network; `tiny` makes any other of them as small.
NAMES = ("rtdetr_v2_r18vd", "dfine_n", "deimv2_n", "rfdetr_nano", "lw_detr_tiny", "detr_resnet_50", "yolos_tiny")
_COUSINS = {"deimv2_n", "lw_detr_tiny"}  # whose code is all but that of D-FINE and RF-DETR
MAIN_NAMES = tuple(pytest.param(name, marks=pytest.mark.slow) if name in _COUSINS else name for name in NAMES)


def tiny(name: str, **config: Any) -> TransformersArchitecture:
    """The row of the catalogue with a small network that takes 64 pixels.

    Args:
        config: changes of the small network's configuration.
    """
    row = BUILT_IN[name]
    assert isinstance(row, TransformersArchitecture)
    small = {**_CONFIGS[row.model_type], **config}
    return replace(row, config=small, size_multiple=min(row.size_multiple, 32), pad_multiple=min(row.pad_multiple, 8))
