"""Which of two detectors is faster, from races: who enters one, what its blocks measured, and what that means."""
