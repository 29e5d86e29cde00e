"""The configuration of each published network of the DETR family: what differs from transformers' own defaults.

The values are those of the authors' configuration files (named as the source of each recipe) and of the converted
weights' `config.json`; keys are those of transformers' configuration classes.
"""

from __future__ import annotations

from typing import Any

_RESNET_BLOCKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3]}


def rtdetr_v2(depth: int) -> dict[str, Any]:
    """RT-DETRv2 with a ResNet-vd of this depth."""
    basic = depth in {18, 34}
    backbone = {
        "model_type": "rt_detr_resnet",
        "hidden_sizes": [64, 128, 256, 512] if basic else [256, 512, 1024, 2048],
        "depths": _RESNET_BLOCKS[depth],
        "layer_type": "basic" if basic else "bottleneck",
        "out_indices": [2, 3, 4],
    }
    config: dict[str, Any] = {"backbone_config": backbone}
    if basic:
        config |= {
            "encoder_in_channels": [128, 256, 512],
            "hidden_expansion": 0.5,
            "decoder_layers": {18: 3, 34: 4}[depth],
        }
    if depth == 101:  # noqa: PLR2004 - the deepest ResNet
        config |= {"encoder_hidden_dim": 384, "encoder_ffn_dim": 2048, "decoder_in_channels": [384, 384, 384]}
    return config


DFINE_BACKBONES = {"n": "b0", "s": "b0", "m": "b2", "l": "b4", "x": "b5"}
# of each HGNetv2: channels of the stem and out of each stage, channels inside, blocks, layers of a block, kernels
_HGNET: dict[str, tuple[list[int], list[int], list[int], list[int], int, list[int]]] = {
    "b0": ([3, 16, 16], [64, 256, 512, 1024], [16, 32, 64, 128], [1, 1, 2, 1], 3, [3, 3, 5, 5]),
    "b2": ([3, 24, 32], [96, 384, 768, 1536], [32, 64, 128, 256], [1, 1, 3, 1], 4, [3, 3, 5, 5]),
    "b4": ([3, 32, 48], [128, 512, 1024, 2048], [48, 96, 192, 384], [1, 1, 3, 1], 6, [3, 3, 5, 5]),
    "b5": ([3, 32, 64], [128, 512, 1024, 2048], [64, 128, 256, 512], [1, 2, 5, 2], 6, [3, 3, 5, 5]),
    "atto": ([3, 16, 16], [64, 256, 256], [16, 32, 64], [1, 1, 1], 3, [3, 3, 3]),
    "femto": ([3, 16, 16], [64, 256, 512], [16, 32, 64], [1, 1, 1], 3, [3, 3, 5]),
    "pico": ([3, 16, 16], [64, 256, 512], [16, 32, 64], [1, 1, 2], 3, [3, 3, 5]),
}


def _hgnet(name: str, *, out_indices: list[int], affine: bool) -> dict[str, Any]:
    """HGNetv2; `affine`: with a learnable scale and shift behind each activation."""
    stem, out, inside, blocks, layers, kernels = _HGNET[name]
    stages = len(out)
    return {
        "model_type": "hgnet_v2",
        "hidden_sizes": out,
        "depths": [layers] * stages,
        "stem_channels": stem,
        "stage_in_channels": [stem[-1], *out[:-1]],
        "stage_mid_channels": inside,
        "stage_out_channels": out,
        "stage_num_blocks": blocks,
        "stage_downsample": [stage > 0 for stage in range(stages)],
        "stage_light_block": [stage > 1 for stage in range(stages)],
        "stage_kernel_size": kernels,
        "stage_numb_of_layers": [layers] * stages,
        "use_learnable_affine_block": affine,
        "out_indices": out_indices,
    }


_TWO_LEVELS: dict[str, Any] = {
    "num_feature_levels": 2,
    "feat_strides": [16, 32],
    "encode_proj_layers": [1],
    "encoder_in_channels": [512, 1024],
    "encoder_hidden_dim": 128,
    "encoder_ffn_dim": 512,
    "d_model": 128,
    "decoder_in_channels": [128, 128],
    "decoder_n_points": [6, 6],
    "decoder_layers": 3,
    "hidden_expansion": 0.34,
    "depth_mult": 0.5,
}


def dfine(size: str) -> dict[str, Any]:
    """D-FINE of this size: n, s, m, l or x."""
    backbone = _hgnet(
        DFINE_BACKBONES[size], out_indices=[3, 4] if size == "n" else [2, 3, 4], affine=size in {"n", "s", "m"}
    )
    if size == "n":
        return {"backbone_config": backbone, "decoder_ffn_dim": 512, **_TWO_LEVELS}
    config: dict[str, Any] = {"backbone_config": backbone, "decoder_n_points": [3, 6, 3]}
    sizes: dict[str, dict[str, Any]] = {
        "s": {
            "encoder_in_channels": [256, 512, 1024],
            "decoder_layers": 3,
            "hidden_expansion": 0.5,
            "depth_mult": 0.34,
        },
        "m": {"encoder_in_channels": [384, 768, 1536], "decoder_layers": 4, "depth_mult": 0.67},
        "l": {},
        "x": {
            "encoder_hidden_dim": 384,
            "encoder_ffn_dim": 2048,
            "decoder_in_channels": [384, 384, 384],
            "reg_scale": 8.0,
        },
    }
    return config | sizes[size]


def deimv2(size: str) -> dict[str, Any]:
    """DEIMv2 of this size, with an HGNetv2: atto, femto, pico or n."""
    common: dict[str, Any] = {"decoder_activation_function": "silu", "focal_loss_gamma": 1.5}
    if size == "n":
        backbone = _hgnet("b0", out_indices=[3, 4], affine=True)
        return {"backbone_config": backbone, "decoder_ffn_dim": 512, **_TWO_LEVELS, **common}
    width, hidden, ffn, queries = {
        "atto": (256, 64, 160, 100),
        "femto": (512, 96, 256, 150),
        "pico": (512, 112, 320, 200),
    }[size]
    return common | {
        "backbone_config": _hgnet(size, out_indices=[3], affine=True),
        "encoder_type": "lite",
        "encoder_layers": 0,
        "encoder_in_channels": [width],
        "feat_strides": [16],
        "encoder_hidden_dim": hidden,
        "hidden_expansion": 0.34,
        "depth_mult": 0.5,
        "num_feature_levels": 2,
        "d_model": hidden,
        "decoder_in_channels": [hidden, hidden],
        "decoder_ffn_dim": ffn,
        "decoder_n_points": [4, 2],
        "decoder_layers": 3,
        "num_queries": queries,
        "share_bbox_head": True,
        "use_gateway": False,
        "use_dense_one_to_one": False,
    }


def rf_detr(size: str, side: int) -> dict[str, Any]:
    """RF-DETR of this size: nano, small or medium."""
    return {
        "backbone_config": {
            "model_type": "rf_detr_dinov2",
            "hidden_size": 384,
            "num_attention_heads": 6,
            "num_windows": 2,
            "patch_size": 16,
            "image_size": side,
            "out_features": ["stage3", "stage6", "stage9", "stage12"],
        },
        "projector_scale_factors": [1.0],
        "decoder_layers": {"nano": 2, "small": 3, "medium": 4}[size],
        "decoder_n_points": 2,
    }


LWDETR_BACKBONES = {"tiny": "tiny", "small": "tiny", "medium": "small", "large": "small", "xlarge": "base"}


def lw_detr(size: str) -> dict[str, Any]:
    """LW-DETR of this size: tiny, small, medium, large or xlarge."""
    tiny, wide = size == "tiny", size in {"large", "xlarge"}
    return {
        "backbone_config": {
            "model_type": "lw_detr_vit",
            "image_size": 1024,
            "hidden_size": {"tiny": 192, "small": 384, "base": 768}[LWDETR_BACKBONES[size]],
            "num_hidden_layers": 6 if tiny else 10,
            "num_attention_heads": 12,
            "window_block_indices": [0, 2, 4] if tiny else [0, 1, 3, 6, 7, 9],
            # counted from 1 behind the stem, as the library counts stages; the authors count layers from 0
            "out_indices": [2, 4, 6] if tiny else [3, 5, 6, 10],
        },
        "projector_scale_factors": [2.0, 0.5] if wide else [1.0],
        "num_queries": 100 if tiny else 300,
        "d_model": 384 if wide else 256,
        "decoder_self_attention_heads": 12 if wide else 8,
        "decoder_cross_attention_heads": 24 if wide else 16,
        "decoder_n_points": 4 if wide else 2,
    }


# As transformers' own conversion of timm's resnet18 to microsoft/resnet-18 has it.
RESNET_18: dict[str, Any] = {
    "model_type": "resnet",
    "hidden_sizes": [64, 128, 256, 512],
    "depths": [2, 2, 2, 2],
    "layer_type": "basic",
    "out_indices": [2, 3, 4],
}
# The auxiliary losses of DETR's authors are off in the published `config.json`, for it was written for inference.
DETR_RESNET_50: dict[str, Any] = {
    "auxiliary_loss": True,
    "backbone_config": {"model_type": "resnet", "out_features": ["stage4"]},
}
YOLOS_TINY: dict[str, Any] = {
    "hidden_size": 192,
    "intermediate_size": 768,
    "num_attention_heads": 3,
    "image_size": [800, 1333],
    "use_mid_position_embeddings": False,
}
