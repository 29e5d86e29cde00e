"""Speed, memory and energy of a deployed model. `protocol` runs the passes in order."""
