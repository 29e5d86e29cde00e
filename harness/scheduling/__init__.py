"""Which trial runs next, whether it is tried again, and when to stop.

Where an attempt runs is `harness.executors`' business.
"""
