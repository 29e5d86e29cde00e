"""Networks of the user's that follow torchvision's convention. `family` is what the rest of the program may import."""
