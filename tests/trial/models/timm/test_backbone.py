"""Any model of timm that gives feature maps for images of any size is a backbone; others are refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from harness.errors import TrialError, WeightsError
from harness.trial.models.timm.backbone import PyramidBackbone, create

STRIDES = (8, 16, 32)


def _pyramid(name: str) -> PyramidBackbone:
    torch.manual_seed(0)
    return PyramidBackbone(create(name, STRIDES), STRIDES, LastLevelP6P7(32, 32), 32).eval()


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("tf_efficientnet_lite0", 5),
        ("test_resnet", 5),
        ("test_vit", 1),  # all maps at stride 16
        pytest.param(
            "swin_tiny_patch4_window7_224", 4, marks=pytest.mark.slow
        ),  # channels last, of one size by default
        pytest.param("hrnet_w18_small", 3, marks=pytest.mark.slow),
        pytest.param("mobilenetv4_conv_small", 5, marks=pytest.mark.slow),
        pytest.param("convnext_atto", 4, marks=pytest.mark.slow),
    ],
)
def test_every_kind_of_model_gives_the_same_levels(name: str, stages: int) -> None:
    """Five levels from stride 8 to 128 with 32 channels, whatever the model gives; each parameter is in one stage."""
    backbone = _pyramid(name)
    with torch.inference_mode():
        levels = backbone(torch.rand(1, 3, 96, 160))
    assert [tuple(level.shape) for level in levels.values()] == [
        (1, 32, 12, 20),
        (1, 32, 6, 10),
        (1, 32, 3, 5),
        (1, 32, 2, 3),
        (1, 32, 1, 2),
    ]
    of_stages = [parameter for stage in backbone.stages() for parameter in stage.parameters()]
    assert len(backbone.stages()) == stages
    assert {id(p) for p in of_stages} == {id(p) for p in backbone.body.parameters()}
    assert len(of_stages) == len(set(map(id, of_stages)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnt18", r"timm \S+ has no model of this name; near: resnet18"),
        ("resnet18.nobody", "has no weights of the tag nobody: its tags are a1_in1k"),
        ("../secret", "has no model of this name"),
        ("mixer_s32_224", "gives no feature maps for images of any size"),
    ],
)
def test_a_name_that_does_not_serve_is_one_sentence(name: str, said: str) -> None:
    """It names what is near, or what the model lacks."""
    with pytest.raises(TrialError, match=said):
        create(name, STRIDES)


def test_the_same_seed_gives_the_same_weights() -> None:
    """Also where a first attempt with other arguments failed."""
    first, second = (_pyramid("test_vit").state_dict() for _ in range(2))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
def test_published_weights_are_all_loaded(name: str, tmp_path: Path) -> None:
    """The feature maps are those of timm's whole model with that file; a file that lacks a tensor is refused."""
    torch.manual_seed(1)
    whole = timm.create_model(name).eval()
    state: dict[str, Any] = {key: value.clone() for key, value in whole.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    torch.manual_seed(0)
    body = create(name, STRIDES, file=tmp_path / "model.safetensors").eval()
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        maps, expected = body(images), whole.forward_intermediates(images, intermediates_only=True)
    assert all(any(m.shape == e.shape and torch.allclose(m, e, atol=1e-5) for e in expected) for m in maps[1:])
    removed = next(key for key, value in state.items() if value.ndim == 4 and key.startswith(("layer2", "blocks.2")))
    del state[removed]
    save_file(state, tmp_path / "less.safetensors")
    with pytest.raises(WeightsError, match=r"less.safetensors: (lacks 1 tensors|does not load as timm's)"):
        create(name, STRIDES, file=tmp_path / "less.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(WeightsError, match="torn.safetensors: does not load as timm's"):
        create(name, STRIDES, file=tmp_path / "torn.safetensors")
