"""Find the cue that a network cheats with: a small box that carries the whole decision."""

from itertools import product

import torch
from torch import Tensor, nn

Box = tuple[int, int, int, int]


def find_shortcut(model: nn.Module, images: Tensor, labels: Tensor) -> Box | None:
    """Name the small box that decides, if there is one, as (top, left, bottom, right).

    A network may read a watermark in the corner instead of the animal. To find out what a box
    contributes, its content is exchanged: each image gets the pixels that an image of another
    class has in this box. The rest of the image stays, and nothing unnatural is put in, as a
    grey patch would be. What is lost is counted on the margin, the true class's logit less the
    largest other one, on average over all images.

    A shortcut is a box of at most a quarter of the image whose exchange takes away at least
    75 % of the margin that is lost when whole images are exchanged. The smallest one is asked
    for, as well as it can be found: it must overlap the cue by half or more (intersection over
    union). Where no such box exists the network looks at more than a corner: None.

    The model runs in eval and comes back as it was; nothing random has a part in the search.

    Shapes:
        images: (N, C, H, W), of several classes; labels: (N,) int64
        model: gives logits (N, K)
        returns: four ints, all inclusive, inside the image; or None

    Example:
        >>> class Corner(nn.Module):
        ...     def forward(self, x):
        ...         return torch.stack([-x[:, 0, 0, 0], x[:, 0, 0, 0]], 1)
        >>> images, labels = torch.zeros(4, 1, 6, 6), torch.tensor([0, 1, 0, 1])
        >>> images[:, 0, 0, 0] = labels * 2.0 - 1
        >>> find_shortcut(Corner(), images, labels)
        (0, 0, 0, 0)

    Source: Geirhos et al., Shortcut Learning in Deep Neural Networks, arXiv:2004.07780;
        exchanging instead of filling: Chang et al., Explaining Image Classifiers by
        Counterfactual Generation, arXiv:1807.08024.
    """
    raise NotImplementedError("shortcut_detective")
