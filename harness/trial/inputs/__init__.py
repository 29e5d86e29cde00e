"""Labelled images as tensors, and batches of them."""
