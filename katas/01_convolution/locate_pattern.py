"""Find a pattern by correlation: the kernel says what to look for, the map says where it is."""

import numpy as np


def locate_pattern(image: np.ndarray, template: np.ndarray) -> tuple[int, int]:
    """Say at which place of `image` the `template` fits best.

    The template slides over the image like a kernel, and the place with the highest response
    wins. A plain kernel would be fooled by brightness: on a flat white area every bright cell
    of the template meets a bright cell. So the template's mean is taken off the template
    first. Then its dark cells count against a window that is bright there, and every flat
    area scores 0, however bright. Where several places score the same, the first one in
    reading order wins: the upper one, and in one row the left one.

    Shapes:
        image: (H, W), cells 0 and 1, signed integers or floats
        template: (KH, KW), cells 0 and 1, not larger than the image and not all equal
        returns: (row, column), two ints: the top-left cell of the best window

    Example:
        >>> image = np.array([[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]])
        >>> row, column = locate_pattern(image, np.array([[1, 0], [1, 1]]))
        >>> print(row, column)
        1 2

    Raises:
        ValueError: the template is larger than the image in either direction, or all its
            cells are equal, so that there is nothing to recognise.

    Source: J. P. Lewis, Fast Template Matching, Vision Interface 1995, pp. 120-123.
    """
    raise NotImplementedError("locate_pattern")
