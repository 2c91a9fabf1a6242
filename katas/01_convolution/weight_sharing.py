"""One filter for every place: what sharing weights saves, and which dense layer it is."""

import math

from torch import Tensor, nn


def conv_parameters(
    in_channels: int, out_channels: int, kernel_size: int | tuple[int, int], bias: bool = True
) -> int:
    """Count what a convolution layer learns.

    A filter looks at a window in all channels of its input at once and gives one map. It has
    a weight for every number in that window and, if wanted, one bias, and it takes the same
    ones to every place. So the count is the same for an image of any size.

    Shapes:
        in_channels: channels of the input
        out_channels: filters, one for each map of the output
        kernel_size: KH = KW as one int, or (KH, KW)
        bias: whether every filter adds a bias
        returns: the number of weights and biases together

    Example:
        >>> conv_parameters(3, 8, 5)
        608

    Source: Goodfellow, Bengio & Courville, Deep Learning (MIT Press, 2016), section 9.2.
    """
    raise NotImplementedError("weight_sharing")


def dense_parameters(
    in_shape: int | tuple[int, ...], out_shape: int | tuple[int, ...], bias: bool = True
) -> int:
    """Count what a dense layer learns that maps one array of numbers to another.

    Every number that comes out is a weighted sum of all numbers that come in, with weights of
    its own and, if wanted, a bias of its own. Where a number stands in its array is all the
    same to the layer: only how many there are counts.

    Shapes:
        in_shape: how many numbers come in, as one int or as the shape of their array
        out_shape: how many come out, given in the same way
        bias: whether every output adds a bias
        returns: the number of weights and biases together

    Example:
        >>> dense_parameters((2, 3), 4)
        28

    Source: Goodfellow, Bengio & Courville, Deep Learning (MIT Press, 2016), section 9.2.
    """
    raise NotImplementedError("weight_sharing")


def conv_as_matrix(weight: Tensor, height: int, width: int) -> Tensor:
    """Write a convolution as the one big matrix by which a dense layer would do the same.

    For an image x of height x width (stride 1, no padding, no bias) the matrix times
    x.flatten() is the convolution's result, flattened. Each row makes one output: the weights
    of its filter stand under the pixels of its window, and zeros stand under all others.
    Rows go filter by filter, and within a filter as the places of its map are read; columns go
    channel by channel, and within a channel as the pixels are read: row after row.

    Shapes:
        weight: (F, C, KH, KW), as in nn.Conv2d: filters, channels, size of the kernel
        height, width: H and W of the image
        returns: (F * OH * OW, C * H * W) with OH = H - KH + 1 and OW = W - KW + 1, the dtype
            of the weight; gradients flow back to the weight

    Example:
        >>> conv_as_matrix(torch.tensor([[[[1.0, 2.0]]]]), 1, 3)
        tensor([[1., 2., 0.],
                [0., 1., 2.]])

    Raises:
        ValueError: the kernel is larger than the image in either direction.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, section 4.1.
    """
    raise NotImplementedError("weight_sharing")
