"""Code of a user's own, as an example: what it takes to add a family of detectors, and that it works throughout."""
