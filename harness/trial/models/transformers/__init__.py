"""The DETR family, built by transformers. `family` is what the rest of the program may import."""
