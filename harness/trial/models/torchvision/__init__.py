"""torchvision's detectors, built as their users build them. `family` is what the rest of the program may import."""
