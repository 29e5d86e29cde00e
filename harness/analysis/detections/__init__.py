"""What stored detections are worth against the ground truth: matched once, then counted, resampled and explained.

One file a question: `matching` (which detection found which box), `average_precision` (also on resampled images), `tide`
(what the errors cost), `thresholds` (where to cut the scores, and what is confused there), `calibration`, `analyse` (all
of it for one trial, as a `DetectionAnalysis`), `cache` (for all trials, kept by content). Needs no torch and no images.
How two trials compare is decided in `harness.analysis.significance`.
"""
