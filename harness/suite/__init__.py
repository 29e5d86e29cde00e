"""What was asked: the suite file, the trials it means, the catalogue of architectures. No torch, no results."""
