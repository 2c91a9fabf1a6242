"""Cover a part of the image and watch the score: what was it worth?"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import torch
from torch import Tensor, nn

Pair = int | tuple[int, int]


def occlusion_map(
    model: nn.Module, x: Tensor, target: int | Tensor | None, window: Pair, stride: Pair,
    fill: float = 0.0,
) -> Tensor:  # fmt: skip
    """Measure how far the target's logit falls when a window of the image is covered.

    A window moves over the image. It begins at row and column 0, then at every multiple of the
    stride that still lies inside; where it hangs over the border it is cut. Each time all
    channels below it are set to `fill`, everything else stays, and the logit is compared with
    the one of the whole image. A cell of the map holds the mean of these drops over all windows
    that covered it, and 0 where none did. A drop below 0 says that covering helped.

    The target is one class for all images, one for each, or None for the class that the model
    predicts for the whole image; it is not chosen anew when a part is covered. The model runs
    in eval and comes back as it was, also after an exception.

    Shapes:
        x: (N, C, H, W), float32 or float64; target: int, (N,) int64, or None
        window, stride: an int or a pair (vertical, horizontal), from 1 on
        returns: (N, H, W) of x's dtype, detached, in units of the logits

    Example:
        >>> model = nn.Sequential(nn.AvgPool2d(4), nn.Flatten())
        >>> occlusion_map(model, torch.ones(1, 1, 4, 4), 0, window=2, stride=2)[0, 0]
        tensor([0.2500, 0.2500, 0.2500, 0.2500])

    Raises:
        ValueError: a target that is no class of the model (-1 is none); window or stride below
            1.

    Source: Zeiler & Fergus, Visualizing and Understanding Convolutional Networks,
        arXiv:1311.2901, section 4.2.
    """
    raise NotImplementedError("occlusion_map")
