"""What stored detections are worth against the labels: matched once, then counted, resampled and explained.

One file a question: `read` (the arrays), `match` (which detection found which box), `precision` (average precision,
also on resampled images), `tide` (what the errors cost), `threshold` (where to cut the scores, and what is confused
there), `examine` (all of it for one trial, as `Evidence`), `gather` (for all trials, cached by content).
Needs no torch and no images. How two trials compare is `harness.report.certainty`'s.
"""
