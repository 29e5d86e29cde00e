"""Repeat-factor sampling: how often each image comes in an epoch, so that rare classes are seen more often.

The rule is that of LVIS (Gupta et al. 2019, arXiv:1908.03195). Owns only the factors; which images an
epoch has is the business of `harness.trial.inputs.loader`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.data.annotations import Annotations


def repeat_factors(annotations: Annotations, threshold: float) -> NDArray[np.float64]:
    """Return the mean number of times that each image comes in an epoch, at least 1.

    A class that a fraction f of the images show has the factor max(1, √(threshold / f)); an image has the largest
    factor of its classes, and 1 without any. Crowd regions do not count, for training leaves them out.
    """
    images = len(annotations)
    boxes = np.repeat(np.arange(images), np.diff(annotations.offsets))
    shown = np.unique(np.stack((boxes, annotations.labels))[:, ~annotations.crowds], axis=1)
    fractions = np.bincount(shown[1], minlength=len(annotations.class_names)) / images
    of_class = np.sqrt(np.maximum(1.0, threshold / np.maximum(fractions, 1 / images)))
    factors = np.ones(images)
    np.maximum.at(factors, shown[0], of_class[shown[1]])
    return factors
