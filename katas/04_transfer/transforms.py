"""Two pipelines from raw images to what a network takes: one to train on, one to evaluate with."""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2

MEAN = (0.485, 0.456, 0.406)

STD = (0.229, 0.224, 0.225)


def train_transform(size: int) -> Callable[[Tensor], Tensor]:
    """Build the pipeline for training: every time an image comes by, it looks different.

    The window of a random resized crop (torchvision's defaults for area and shape), mirrored
    left to right every other time, with brightness and contrast jittered by 0.2, each by a
    factor of its own, and no other colour changed. Then the numbers are made such as a
    pretrained network wants them: from 0..255 to 0..1, less MEAN, divided by STD, channel by
    channel. Jitter clamps to the range of an image, so it must work on an image. All chance is
    torch's own: after torch.manual_seed the same image gives the same result. The pipeline sets
    no seed.

    Shapes:
        size: side of the result
        of the pipeline: uint8 (3, H, W), of any H and W -> float32 (3, size, size)

    Example:
        >>> train_transform(32)(torch.zeros(3, 40, 60, dtype=torch.uint8)).shape
        torch.Size([3, 32, 32])

    Source: torchvision documentation, "Transforming images, videos, boxes and more" (v2).
    """
    raise NotImplementedError("transforms")


def eval_transform(size: int) -> Callable[[Tensor], Tensor]:
    """Build the pipeline for evaluation: the same image always gives the same numbers.

    The whole image is resized, bilinear and with antialias, so that its shorter edge becomes as
    much larger than `size` as 256 is larger than 224, rounded to a whole number; the longer
    edge keeps in proportion. Out of the middle of that the square of `size` is cut. The numbers
    end as in training. Nothing is left to chance.

    Shapes:
        size: side of the result
        of the pipeline: uint8 (3, H, W), of any H and W -> float32 (3, size, size)

    Example:
        >>> image = torch.full((3, 40, 60), 255, dtype=torch.uint8)
        >>> eval_transform(32)(image)[:, 0, 0]
        tensor([2.2489, 2.4286, 2.6400])

    Source: He, Zhang, Ren & Sun, Deep Residual Learning for Image Recognition,
        arXiv:1512.03385, section 3.4; torchvision documentation, ResNet18_Weights.
    """
    raise NotImplementedError("transforms")
