"""The image a channel likes best: climb in the space of images, with the weights held still."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def maximize_activation(
    model: nn.Module, layer: nn.Module | str, channel: int, shape: tuple[int, int, int, int],
    steps: int, lr: float, l2: float, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Make an image to which one channel of one layer responds as strongly as it can.

    Training holds the image still and moves the weights; here it is the other way round. The
    objective is the mean of the channel's map, less `l2` times the sum of the squares of all
    pixels, so that the image does not grow without end. It starts from the noise
    `0.01 * torch.randn(shape, generator=generator)` and takes `steps` plain gradient steps of
    rate `lr`, uphill, without momentum, scaling or clipping.

    The map is the layer's own output, as it is before anything that follows changes it, also
    where an in-place ReLU follows. The model runs in eval and comes back as it was, each
    submodule's mode, weights, `.grad` and hooks, also after an exception; it may be frozen, and
    the caller may have switched gradients off.

    Shapes:
        layer: a submodule of `model` or its dotted name; channel: index of one of its maps
        shape: (1, C, H, W); steps: from 0 on
        returns: a tensor of this shape, float32, detached

    Example:
        >>> brighter = nn.Sequential(nn.Conv2d(1, 1, 2, bias=False))
        >>> _ = nn.init.ones_(brighter[0].weight)
        >>> start = torch.Generator().manual_seed(0)
        >>> maximize_activation(brighter, "0", 0, (1, 1, 2, 2), 10, 0.1, 0.0, start).round()
        tensor([[[[1., 1.],
                  [1., 1.]]]])

    Raises:
        ValueError: the layer is not in the model, never runs or gives no (N, C, H, W) maps; it
            has no such channel (-1 is none); shape is not (1, C, H, W); steps is below 0.

    Source: Erhan, Bengio, Courville & Vincent, Visualizing Higher-Layer Features of a Deep
        Network, technical report 1341, University of Montreal, 2009; Simonyan, Vedaldi &
        Zisserman, Deep Inside Convolutional Networks, arXiv:1312.6034, section 2.
    """
    raise NotImplementedError("maximize_activation")
