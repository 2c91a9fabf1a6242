"""Follow the shapes through a network: what comes out of each layer, before anything runs."""

import math

from torch import nn


def trace_shapes(layers: list[nn.Module], in_shape: tuple[int, int, int]) -> list[tuple[int, ...]]:
    """Tell the shape after every one of `layers`, without running any of them.

    The layers follow each other. Known are Conv2d, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d,
    BatchNorm2d, ReLU, Dropout, Flatten (as `nn.Flatten()`, all values of an image in one row)
    and Linear; on a Flatten may follow ReLU, Dropout, Linear and Flatten. Every setting that
    matters counts, an int or a (vertical, horizontal) pair: stride, padding ("same" and "valid"
    too), dilation, groups, an adaptive size of which None keeps the axis, and ceil_mode: then
    one more window may hang over the far edge, if it starts inside the image or in the padding
    before it. A layer may stand at several places.

    Shapes:
        in_shape: (C, H, W) of one image, without the batch axis
        returns: a list of one tuple of ints a layer, (C, H, W), or (values,) once flattened

    Example:
        >>> trace_shapes([nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten()], (1, 5, 6))
        [(4, 3, 4), (4, 3, 4), (48,)]

    Raises:
        ValueError: names the index, counted from 0, of the first layer that cannot follow: a
            Conv2d or BatchNorm2d for other channels, one of the five 2d layers on flattened
            values, a Linear for another number of values or on what is not flattened, a layer
            that leaves less than one row or column, or one that is not known.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, chapters 2, 3 and 5; torch documentation, MaxPool2d (ceil_mode).
    """
    raise NotImplementedError("trace_shapes")
