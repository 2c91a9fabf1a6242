"""How far does a unit see? Once by arithmetic, once by watching what reaches it."""

import copy

import torch
from torch import nn


def receptive_field(layers: list[tuple[int, int]]) -> int:
    """Count the input pixels, along one axis, that one unit of the last layer sees.

    A convolution or pooling layer looks at neighbours in the map before it. How far apart
    two neighbours of that map stand in the input is another matter: each stride on the way
    has moved them apart. Away from the border padding changes nothing.

    Shapes:
        layers: pairs (kernel_size, stride) of ints from 1 on, the layer at the input first
        returns: an int, in pixels; 1 where there are no layers, a pixel sees itself

    Example:
        >>> receptive_field([(3, 1), (3, 1)])
        5

    Source: Araujo, Norris & Sim, Computing Receptive Fields of Convolutional Neural
        Networks, Distill 2019, doi:10.23915/distill.00021.
    """
    raise NotImplementedError("receptive_field")


def measured_receptive_field(
    model: nn.Module, in_shape: tuple[int, int, int], unit: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Find the box of input pixels that can reach one unit in channel 0 of the model's output.

    A pixel of any channel reaches the unit if connections lead from one to the other. What
    the weights are does not matter: a weight of 0 connects, so do two paths that cancel, a
    ReLU that is shut at the moment, a cell that is not the largest of its max-pool window.
    The model is looked at in eval mode. Its convolutions, batch norms, ReLUs, max- and
    average-pools are modules; they may be nested and may branch.

    The model comes back as it was, also after an exception: its modules, each one's own
    mode, weights, buffers, requires_grad, .grad and hooks.

    Shapes:
        in_shape: (C, H, W) of one input; the output is (1, F, OH, OW)
        unit: (row, column) in the output map, both from 0 on
        returns: (top, left, bottom, right), a tuple of ints: the first row and column and the
            last row and column that reach the unit. Padding has no pixels.

    Example:
        >>> measured_receptive_field(nn.Conv2d(2, 4, (3, 5)), (2, 6, 9), (1, 0))
        (1, 0, 3, 4)

    Raises:
        ValueError: the unit lies outside of the output map; a negative row or column does.

    Source: Araujo, Norris & Sim, Computing Receptive Fields of Convolutional Neural
        Networks, Distill 2019, doi:10.23915/distill.00021.
    """
    raise NotImplementedError("receptive_field")
