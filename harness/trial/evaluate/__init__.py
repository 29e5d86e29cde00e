"""Detections on a split, and their accuracy by COCO's definition."""
