"""Detectors from torchvision, built as their users build them: `build` for any, one file a family for its head."""
