"""A detector of one's own, as a suite names it: `{python: own_detector.py:build, name: centres}`.

All that it needs is torchvision's convention. In training, a list of images (float32 [3, H, W], RGB from 0 to 1) and a
list of targets (`boxes` in xyxy pixels, `labels` from 1) become a dict of losses; in evaluation, the images alone
become a dict of `boxes`, `scores` and `labels` each. This one finds the centres of objects (arXiv:1904.07850): images
are stretched to a square, and each cell of 4 by 4 pixels says how likely a centre of each class lies in it, and how far
the object's four sides are from there.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 4


def build(*, num_classes: int, image_size: tuple[int, int], channels: int = 32) -> nn.Module:
    """Called once for each trial; `num_classes` counts the background, `channels` is set under `model:` in a suite."""
    return Centres(num_classes - 1, image_size[1], channels)


def block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Centres(nn.Module):
    def __init__(self, classes: int, side: int, channels: int) -> None:
        super().__init__()
        self.classes, self.side = classes, side
        self.backbone = nn.Sequential(
            block(3, channels, 2),
            block(channels, channels, 2),
            *(block(channels, channels, 1) for _ in range(3)),
        )
        self.context = nn.Sequential(block(channels, channels, 2), block(channels, channels, 2))
        self.head = nn.Conv2d(2 * channels, classes + 4, 3, padding=1)
        nn.init.constant_(self.head.bias[:classes], -4.0)  # at first almost nothing is a centre

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None):
        size = (self.side, self.side)
        batch = torch.cat([functional.interpolate(i[None], size, mode="bilinear", antialias=True) for i in images])
        fine = self.backbone(batch - 0.5)
        coarse = functional.interpolate(self.context(fine), fine.shape[-2:])
        output = self.head(torch.cat((fine, coarse), dim=1)).float()
        heat, sides = output[:, : self.classes], functional.softplus(output[:, self.classes :])
        if targets is not None:
            return self.losses(heat, sides, images, targets)
        return [self.boxes(*one) for one in zip(heat, sides, images)]

    def losses(self, heat: Tensor, sides: Tensor, images: list[Tensor], targets: list[dict[str, Tensor]]):
        cells = torch.arange(heat.shape[-1], device=heat.device) + 0.5
        truth, side_losses = torch.zeros_like(heat), [sides.sum() * 0]
        for n, (image, target) in enumerate(zip(images, targets)):
            height, width = image.shape[1:]
            to_cells = len(cells) / torch.tensor([width, height, width, height], device=heat.device)
            for (x1, y1, x2, y2), label in zip(target["boxes"] * to_cells, target["labels"]):
                x, y = (x1 + x2) / 2, (y1 + y2) / 2
                spread = ((x2 - x1).clamp(min=2) / 6, (y2 - y1).clamp(min=2) / 6)
                bump = torch.exp(-(((cells - x) / spread[0]) ** 2 + ((cells[:, None] - y) / spread[1]) ** 2) / 2)
                truth[n, label - 1] = torch.maximum(truth[n, label - 1], bump)
                j, i = (int(v.clamp(0, len(cells) - 1)) for v in (y, x))
                truth[n, label - 1, j, i] = 1.0
                wanted = torch.stack((i + 0.5 - x1, j + 0.5 - y1, x2 - i - 0.5, y2 - j - 0.5)).clamp(min=0)
                side_losses.append(functional.l1_loss(sides[n, :, j, i], wanted))
        wrong = functional.binary_cross_entropy_with_logits(heat, truth, reduction="none")
        wrong = wrong * (truth - heat.sigmoid()).abs() ** 2
        count = max(1, len(side_losses) - 1)
        return {"centres": wrong.sum() / count, "sides": sum(side_losses) / count}

    def boxes(self, heat: Tensor, sides: Tensor, image: Tensor) -> dict[str, Tensor]:
        cells = heat.shape[-1]
        is_peak = functional.max_pool2d(heat[None], 3, 1, 1)[0] == heat
        scores, index = (heat.sigmoid() * is_peak).flatten().topk(min(100, heat.numel()))
        cell = index % cells**2
        left, top, right, bottom = sides.flatten(1)[:, cell]
        x, y = cell % cells + 0.5, cell // cells + 0.5
        across = (torch.stack((x - left, x + right), dim=1) / cells).clamp(0, 1) * image.shape[2]
        down = (torch.stack((y - top, y + bottom), dim=1) / cells).clamp(0, 1) * image.shape[1]
        return {
            "boxes": torch.stack((across, down), dim=2).flatten(1),
            "scores": scores,
            "labels": index // cells**2 + 1,
        }
