"""torchvision's detectors, built as their users build them; one file for each kind of class head."""
