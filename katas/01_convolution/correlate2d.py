"""Slide a window over an image: the one operation that everything later is built from."""

import numpy as np


def correlate2d(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Slide `kernel` over `image` and write down one number for every place it fits.

    At each place the kernel covers a window of the image as large as itself. How well the
    two agree there becomes one number: cell meets cell, and all the products are collected.
    The kernel is used as it is written. Mathematicians call this cross-correlation and turn
    the kernel around for what they call convolution; deep learning says "convolution" and
    does not turn it.

    Shapes:
        image: (H, W), any real dtype
        kernel: (KH, KW), any real dtype, not larger than the image
        returns: (H - KH + 1, W - KW + 1), dtype np.result_type(image, kernel)

    Example:
        >>> correlate2d(np.array([[1, 2, 3], [4, 5, 6]]), np.array([[0, 1]]))
        array([[2, 3],
               [5, 6]])

    Raises:
        ValueError: the kernel is larger than the image in either direction.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, section 2.1.
    """
    raise NotImplementedError("correlate2d")
