"""An image as a pretrained network wants it: scaled, centred, channels first; and back."""

import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)  # of red, green and blue over ImageNet, for values in 0..1

STD = (0.229, 0.224, 0.225)


def normalize(image: Tensor) -> Tensor:
    """Turn an image as files hold it into what a network trained on ImageNet expects.

    A pretrained network has only ever seen inputs of one kind: values brought to 0..1, then each
    channel centred and scaled with ImageNet's statistics, MEAN and STD above, which are given for
    red, green and blue in 0..1. Give it any other range and its first filters answer nonsense,
    without an error. Files keep the channels of a pixel together; torch wants one plane for each.

    Shapes:
        image: (H, W, 3) uint8, 0 to 255, red first
        returns: (3, H, W) float32

    Example:
        >>> normalize(torch.tensor([[[255, 0, 0], [124, 116, 104]]], dtype=torch.uint8))[0]
        tensor([[2.2489, 0.0056]])

    Raises:
        ValueError: the image is not uint8, or not of shape (H, W, 3).

    Source: torchvision documentation, Models and pre-trained weights, section "Using the
        pre-trained models".
    """
    raise NotImplementedError("normalize")


def denormalize(x: Tensor) -> Tensor:
    """Turn a normalised image back into one that can be shown or saved.

    The way back of `normalize`: an image that went through both comes back exactly. What a
    network or an optimiser has changed need not be an image any more: every value goes to the
    nearest whole number, and what is darker than black or brighter than white is held there.

    Shapes:
        x: (3, H, W) float32, normalised
        returns: (H, W, 3) uint8, 0 to 255, red first

    Example:
        >>> denormalize(torch.tensor([0.0, -9.0, 9.0]).reshape(3, 1, 1))
        tensor([[[124,   0, 255]]], dtype=torch.uint8)

    Raises:
        ValueError: x is not of shape (3, H, W).

    Source: as for `normalize`.
    """
    raise NotImplementedError("normalize")
