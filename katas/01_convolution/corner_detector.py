"""Two layers make a corner of edges: a network built by hand, no training."""

import numpy as np


def corner_detector(image: np.ndarray) -> np.ndarray:
    """Find, in every 5x5 window of a picture of 0 and 1, the top-left corner of a bright block.

    A corner is these four cells, bright at the bottom right and dark in the other three:
    0 0 above 0 1. A window fires where it holds them in any place, and gives exactly 0 where
    it does not: on flat areas, on an edge alone, on the three other corners of a block, and
    where the block runs out of the window before its corner is seen.

    Build it as a network of two layers, each a correlation and a ReLU. The first one looks
    at small windows, the second one at what the first one found: no single filter over 25
    pixels can do it, because a corner anywhere in the window must do and any number of edges
    must not.

    Shapes:
        image: (H, W), cells 0 and 1, signed integers or floats, H and W at least 5
        returns: (H - 4, W - 4), one number for every 5x5 window: 0, or any positive number
            where the window holds a corner

    Example:
        >>> image = np.zeros((5, 6))
        >>> image[3:, 2:4] = 1
        >>> (corner_detector(image) > 0).tolist()
        [[True, True]]

    Raises:
        ValueError: the image is below 5 in height or width.

    Source: Zeiler & Fergus, Visualizing and Understanding Convolutional Networks,
        arXiv:1311.2901, section 4.
    """
    raise NotImplementedError("corner_detector")
