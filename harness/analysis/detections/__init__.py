"""What stored detections tell when they are compared with the ground truth.

Each module answers one question: `matching` (which detection matches which box), `average_precision` (also on resampled
images), `tide` (what each kind of error costs), `thresholds` (the score threshold of best F1, and which classes are
confused there), `calibration`, `analyse` (all of these for one trial, as a `DetectionAnalysis`), `cache` (for all
trials, stored by content). Needs neither torch nor images. Trials are compared in `harness.analysis.significance`.
"""
