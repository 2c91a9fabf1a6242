"""How much of a gradient is left when it has come back through many activations."""

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_survival(activation: Callable[[Tensor], Tensor], depth: int, x: float = 0.0) -> float:
    """Measure how strongly the end of a chain of activations still feels its beginning.

    The chain is a network with one unit a layer, without weights: x goes in, and each layer
    applies `activation` to what the layer before it gave. The result is the size, never
    negative, of the derivative of the chain's output with respect to x. Training sends its
    signal back along such a chain: what has become tiny here teaches the early layers nothing.

    Shapes:
        activation: takes a float tensor of one number and returns one: any torch function,
            module or function of your own; its derivative is the one that torch's autograd gives
        depth: number of layers, from 0 on; a chain without layers hands x through
        returns: a Python float; 0.0 where the output does not depend on x at all, also where
            it is a constant that autograd knows nothing about

    Example:
        >>> gradient_survival(torch.sigmoid, 1)
        0.25

    Raises:
        ValueError: depth is negative.

    Source: Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional
        Neural Networks, NIPS 2012, section 3.1; Glorot, Bordes & Bengio, Deep Sparse Rectifier
        Neural Networks, AISTATS 2011, section 3.
    """
    raise NotImplementedError("gradient_survival")
