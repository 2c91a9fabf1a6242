"""Shift robustness: same experiment, one variable: who survives a shift?"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def shifted_accuracy(
    model: nn.Module, images: Tensor, labels: Tensor, max_shift: int
) -> list[float]:
    """Measure how well the model reads images that are moved by 0, 1, 2 ... pixels.

    For every distance s all images are moved up by s, down by s, to the left by s and to the
    right by s, each time starting from the originals. What leaves the image is lost, and
    zeros come in from the other side. Entry s of the list is the share of right answers over
    all images and all four directions: the class with the largest logit is what the model says.

    The model is asked in eval. Afterwards it is as it was, each submodule in the mode it had,
    also when it raises an exception.

    Shapes:
        images: (N, C, H, W); labels: (N,) int64
        max_shift: from 0 on, smaller than H and W
        returns: max_shift + 1 floats, 0 to 1

    Example:
        >>> image = torch.zeros(1, 1, 3, 3)
        >>> image[0, 0, 0, 1] = 1.0
        >>> shifted_accuracy(nn.Flatten(), image, torch.tensor([1]), max_shift=1)
        [1.0, 0.0]

    Raises:
        whatever the model raises.

    Source: Azulay & Weiss, Why do deep convolutional networks generalize so poorly to small
        image transformations?, arXiv:1805.12177, section 2.
    """
    raise NotImplementedError("shift_robustness")


class ShiftTolerantCNN(nn.Module):
    """Say what is in an image, wherever in it that is.

    A convolution moves along with its input, a flattened head does not: each of its weights is
    tied to a place. Build a network that forgets the place instead. The tolerance is in the
    architecture, not in what is learnt: already in an untrained network in eval, a small pattern
    that moves by 4 pixels changes the logits far less than the pattern taken away does. And
    what is there still counts, not only how bright it is.

    The experiment: digits 0 to 4, 8x8 pixels of values 0 to 10 in the middle of an empty 28x28
    image, so an early pooling over much more than 2x2 leaves nothing of them. Your network, a
    dense one and a CNN with a flattened head are each trained by 300 steps of Adam, batches of
    16, the rate falling from 0.005. Yours must be right more often than either of them: by at
    least 10 points at 3 pixels, and by 25 at 4.

    Shapes:
        images (N, 1, 28, 28), float32, to logits (N, num_classes)

    Example:
        >>> ShiftTolerantCNN(5)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 5])

    Source: Lin, Chen & Yan, Network In Network, arXiv:1312.4400, section 3.2.
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        raise NotImplementedError("shift_robustness")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("shift_robustness")
