"""Which outputs see a pixel? A convolution only ever looks at a neighbourhood."""

import numpy as np


def touched_outputs(
    image_shape: tuple[int, int], kernel_shape: tuple[int, int], pixel: tuple[int, int]
) -> np.ndarray:
    """Mark the outputs of a convolution that change when one pixel of the image changes.

    The kernel moves over the image one cell at a time, without padding, and every output
    looks at one window only. Seen from the pixel: the few windows that cover it carry it into
    the output, and all other outputs know nothing of it. An output is named by its place among
    the outputs, which is where its window's top-left corner lies in the image.

    Shapes:
        image_shape: (H, W)
        kernel_shape: (KH, KW), not larger than the image
        pixel: (row, column) in the image, each counted from 0
        returns: (H - KH + 1, W - KW + 1), bool, True where the output sees the pixel; a new array

    Example:
        >>> touched_outputs((3, 4), (2, 2), (0, 1))
        array([[ True,  True, False],
               [False, False, False]])

    Raises:
        ValueError: the pixel lies outside the image, negative row or column included, or the
            kernel is larger than the image in either direction.

    Source: Goodfellow, Bengio & Courville, Deep Learning (MIT Press, 2016), section 9.2.
    """
    raise NotImplementedError("locality")
