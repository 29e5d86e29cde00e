"""RT-DETRv2 on a backbone of timm. `family` is what the rest of the program may import."""
