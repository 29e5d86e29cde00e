"""Which trial runs next, whether it is tried again, and when to stop. Where a trial runs is `harness.executors`' business."""
