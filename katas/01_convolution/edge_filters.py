"""Four filters that people wrote by hand, before networks learned their own."""

import numpy as np


def vertical_edge() -> np.ndarray:
    """Give a filter that answers where the picture turns from dark (left) to bright (right).

    Slid over a picture as in correlate2d, it gives 0 on every area of one brightness and on
    every horizontal edge. At a vertical edge from dark to bright its response is positive,
    nowhere negative; the other way round it is the same with a minus. Any positive scale
    will do, and the rows need not weigh the same.

    Shapes:
        returns: (3, 3), integers or floats

    Example:
        >>> bright_on_the_right = np.array([[0, 0, 1]] * 3)
        >>> bool((vertical_edge() * bright_on_the_right).sum() > 0)
        True

    Source: Szeliski, Computer Vision: Algorithms and Applications, section 3.2.
    """
    raise NotImplementedError("edge_filters")


def horizontal_edge() -> np.ndarray:
    """Give a filter that answers where the picture turns from dark (above) to bright (below).

    It is to rows what vertical_edge is to columns: 0 on every area of one brightness and on
    every vertical edge, positive and nowhere negative at a horizontal edge from dark to
    bright. Any positive scale will do, and the columns need not weigh the same.

    Shapes:
        returns: (3, 3), integers or floats

    Example:
        >>> bright_below = np.array([[0, 0, 0], [0, 0, 0], [1, 1, 1]])
        >>> bool((horizontal_edge() * bright_below).sum() > 0)
        True

    Source: Szeliski, Computer Vision: Algorithms and Applications, section 3.2.
    """
    raise NotImplementedError("edge_filters")


def box_blur(size: int) -> np.ndarray:
    """Give a filter that replaces every pixel by the mean of the square around it.

    All its cells are equal. A picture of one brightness keeps it: blurring makes nothing
    brighter or darker on the whole.

    Shapes:
        size: 1 or more, odd or even
        returns: (size, size), floats; a new array

    Example:
        >>> (box_blur(2) + box_blur(2)).tolist()
        [[0.5, 0.5], [0.5, 0.5]]

    Raises:
        ValueError: size is below 1.

    Source: Szeliski, Computer Vision: Algorithms and Applications, section 3.2.
    """
    raise NotImplementedError("edge_filters")


def sharpen() -> np.ndarray:
    """Give a filter that makes edges stand out and leaves flat areas as they are.

    A picture of one brightness keeps it. Along an edge, vertical or horizontal, whichever
    side is the bright one, the response overshoots: right beside the edge the bright side
    becomes brighter than it was, and the dark side darker.

    Shapes:
        returns: (3, 3), integers or floats

    Example:
        >>> grey = np.full((3, 3), 0.5)
        >>> print(round(float((sharpen() * grey).sum()), 6))
        0.5

    Source: Szeliski, Computer Vision: Algorithms and Applications, section 3.2.
    """
    raise NotImplementedError("edge_filters")
