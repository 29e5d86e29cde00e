"""Backbones of timm under torchvision's heads. `family` is what the rest of the program may import."""
