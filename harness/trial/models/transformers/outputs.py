"""What comes out of a network: the parts of its loss, and detections made of logits and boxes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_LAYER = re.compile(r"(_(aux|dn))?(_\d+)?(_enc)?$")
# Losses that the library hands out without their weights, and the name of each weight in a configuration.
_WEIGHTS = {
    "loss_ce": "class_loss_coefficient",
    "loss_bbox": "bbox_loss_coefficient",
    "loss_giou": "giou_loss_coefficient",
}


def loss_parts(config: Any, outputs: Any) -> dict[str, Tensor]:
    """The parts of the loss by name, over all layers of the decoder; their sum is the library's own loss.

    Parts that the library only reports, such as the error of the number of objects, are none of them. A part of a
    single query set is under its own name, that of denoising queries under the name with `_dn`.

    Args:
        config: of the network.
        outputs: of the network in training, with `loss_dict`.
    """
    weighted = "weight_loss_bbox" in config.to_dict()  # RT-DETR and its descendants weight each part themselves
    parts: dict[str, Tensor] = {}
    for name, value in outputs.loss_dict.items():
        base = _LAYER.sub("", name)
        if not weighted and base not in _WEIGHTS:
            continue
        weight = 1.0 if weighted else float(getattr(config, _WEIGHTS[base], 1.0))
        part = f"{base}_dn" if "_dn_" in name else base
        parts[part] = parts.get(part, torch.zeros((), device=value.device)) + value * weight
    return parts


def detections(
    logits: Tensor,
    boxes: Tensor,
    sizes: list[tuple[int, int]],
    covered: Tensor | None,
    *,
    softmax: bool,
    score_threshold: float,
    limit: int,
) -> list[Mapping[str, Tensor]]:
    """The detections of each image, best first, as the library's post-processing ranks them.

    With a sigmoid for each class, the best of all queries times classes are taken, as many as there are queries: one
    query may be two detections. With a softmax, whose last class is "no object", a query is one detection.

    Args:
        logits: [N, queries, classes], with one more where `softmax`.
        boxes: [N, queries, 4] as (cx, cy, w, h) from 0 to 1.
        sizes: height and width of each image as it was given.
        covered: where boxes are fractions of the padded batch, the part of it that each image covers.
        limit: the most detections of an image.
    """
    logits, boxes = logits.float(), boxes.float()
    queries = logits.shape[1]
    if softmax:
        probabilities, classes = logits.softmax(-1)[..., :-1].max(-1)
        scores, chosen = probabilities.topk(min(limit, queries), dim=1)
        labels = classes.gather(1, chosen)
    else:
        count = logits.shape[2]
        scores, chosen = logits.sigmoid().flatten(1).topk(min(limit, queries), dim=1)
        labels = chosen % count
        chosen = torch.div(chosen, count, rounding_mode="floor")
    corners = _corners(boxes, covered).gather(1, chosen.unsqueeze(-1).expand(-1, -1, 4))
    results: list[Mapping[str, Tensor]] = []
    for index, (height, width) in enumerate(sizes):
        keep = scores[index] > score_threshold
        left, top, right, bottom = corners[index].unbind(-1)
        pixels = torch.stack([left * width, top * height, right * width, bottom * height], dim=-1)
        results.append({"boxes": pixels[keep], "scores": scores[index][keep], "labels": labels[index][keep] + 1})
    return results


def _corners(boxes: Tensor, covered: Tensor | None) -> Tensor:
    """(cx, cy, w, h) as (x, y, x, y) in fractions of the image itself, none of them outside it."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    corners = torch.cat([centre - size / 2, centre + size / 2], dim=-1)
    if covered is not None:
        corners = corners / covered.float()[:, None, :]
    return corners.clamp(0, 1)
