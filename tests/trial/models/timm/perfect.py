"""What a perfect network of this family puts out: what one of torchvision's does, for the heads are the same."""

from tests.trial.models.torchvision.perfect import perfect

__all__ = ["perfect"]
