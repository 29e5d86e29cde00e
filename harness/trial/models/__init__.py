"""Detectors: the protocol of a model family, its implementations, and fine-tuned weights in a file."""
