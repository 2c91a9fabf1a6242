"""Flip, crop, jitter: new images out of old ones, with one draw for each image."""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F


def random_horizontal_flip(x: Tensor, p: float, generator: Generator) -> Tensor:
    """Mirror images left to right, each one with probability p, by a coin of its own.

    Most things stay what they are in a mirror, so a mirrored image is a new example for free.

    Shapes:
        x: (N, 3, H, W), float32 or float64, in 0..1
        p: from 0 (no image) to 1 (every image)
        generator: the only source of chance, here and below. Its state decides the result and
            moves on; torch's global generator, numpy's and Python's are neither used nor moved
        returns: like x

    Example:
        >>> random_horizontal_flip(torch.tensor([[[[0.0, 1.0]]]]), 1.0, torch.Generator())
        tensor([[[[1., 0.]]]])

    Raises:
        ValueError: p is below 0 or above 1.

    Source: torchvision documentation, transforms.v2.RandomHorizontalFlip.
    """
    raise NotImplementedError("augment")


def random_resized_crop(
    x: Tensor,
    size: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: Generator,
) -> Tensor:
    """Cut a window out of each image, each one of its own, and make all of them equally large.

    A window's area is a share of the image's that is uniform in `scale`; its shape, width to
    height, is uniform or log-uniform in `ratio`, as you like; both sides are then rounded to
    whole pixels. A window larger than the image, in either direction, is drawn anew, as often
    as it takes. The place is uniform among all places inside the image. No draw hangs on
    another. The window becomes size x size as F.interpolate(mode="bilinear") does it: no
    antialias, and the corners of the outermost pixels, not their centres, fall together.

    Shapes:
        x: (N, 3, H, W), float32 or float64
        scale, ratio: (least, most), as (0.08, 1.0) and (3 / 4, 4 / 3); scale may end above 1
        returns: (N, 3, size, size), x's dtype, differentiable

    Raises:
        ValueError: size is below 1, or no window that scale and ratio allow fits into the image.

    Source: Szegedy et al., Going deeper with convolutions, arXiv:1409.4842, section 6;
        torchvision documentation, transforms.v2.RandomResizedCrop.
    """
    raise NotImplementedError("augment")


def color_jitter(
    x: Tensor, brightness: float, contrast: float, saturation: float, generator: Generator
) -> Tensor:
    """Make each image darker or brighter, flatter or harsher, paler or more colourful.

    Each image draws three factors, none of which hangs on another. For a strength v a factor is
    uniform from 1 - v, but never below 0, to 1 + v. First brightness: all values times the
    factor. Then contrast and saturation, each a blend of the image with something duller, in
    which the factor is the image's share: 1 leaves it as it is, 0 leaves only the dull one,
    and beyond 1 it moves away from it. For contrast that is the image's mean grey, one number;
    for saturation it is the image in grey. Grey is 0.299 R + 0.587 G + 0.114 B. Each of the
    three steps works on what the step before made, and clamps what it made to 0..1.

    Shapes:
        x: (N, 3, H, W), float32 or float64, in 0..1
        brightness, contrast, saturation: strengths from 0 (leaves the image as it is)
        returns: like x, differentiable

    Raises:
        ValueError: a strength is negative.

    Source: torchvision documentation, transforms.v2.ColorJitter.
    """
    raise NotImplementedError("augment")
