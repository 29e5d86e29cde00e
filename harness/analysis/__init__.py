"""What the records mean, computed without a page: frames, statistics, detections, and comparisons. Imports no torch."""
