"""A backbone out of a file: every tensor accounted for, only the head is new."""

from pathlib import Path

import torch
from torch import nn
from torchvision import models


def load_backbone(path: str | Path, num_classes: int) -> nn.Module:
    """Build torchvision's resnet18 with the backbone of a file and a new head.

    The file is a plain state_dict of a resnet18, as torch.save writes it. One that was trained
    on several GPUs has "module." before every name; it is the same network. What the file holds
    as `fc` belongs to other classes: it may be of any size or missing, and is never used, not
    even where its size would fit. All the rest must be there to the last tensor, in the right
    shape, batch norm's counters included, and nothing else: a network in which one layer was
    silently left at random works, only badly, and nobody knows why. torch's own loading is no
    proof of that: counters that a plain dict lacks are filled in without a word.

    A file from elsewhere may hold code that runs while it is unpickled: load weights only. Nothing
    comes from the network; the numbers are all in the file.

    Shapes:
        returns: a model from (N, 3, H, W) to logits (N, num_classes), in eval

    Example:
        >>> import io
        >>> _ = torch.save({}, file := io.BytesIO()), file.seek(0)
        >>> load_backbone(file, 5)
        Traceback (most recent call last):
        ValueError: the file has no bn1.bias

    Raises:
        ValueError: a tensor of the backbone is missing, has another shape, or is not one of
            resnet18's: the text holds its name; or num_classes is below 1. What torch.load
            raises reaches the caller.

    Source: PyTorch documentation, torch.nn.Module.load_state_dict and torch.load.
    """
    raise NotImplementedError("load_backbone")
