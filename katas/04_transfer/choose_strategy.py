"""How much of a pretrained network to train: a decision from two facts about the new images."""

from enum import Enum

LARGE = 5_000  # from this many images on, all classes together, a set is large


class Strategy(Enum):
    """What is trained; the two on features leave frozen all that was pretrained."""

    FEATURES = "new head on the last features"
    FEATURES_EARLY = "new head on early activations"
    FINE_TUNE = "pretrained layers, small rates"
    FINE_TUNE_ALL = "every layer, pretrained a start"


def choose_strategy(images: int, similar: bool) -> Strategy:
    """Choose what to train, from how many images there are and how like those of pretraining.

    Few images cannot settle millions of weights: a network that trains on them learns them by
    heart. So all of it stays frozen, and only a new head learns. What feeds that head must then
    suit the images as it is: early layers see edges and textures, which all images have, late
    layers see the parts of things that they were pretrained on. Many images can afford to move
    the layers below the head, and the question becomes how far these have to go.

    Shapes:
        images: the number of images, all classes together; LARGE of them are already many
        similar: whether they are of the kind that the network was pretrained on
        returns: a member of Strategy

    Example:
        >>> choose_strategy(1_500, similar=True).name
        'FEATURES'

    Raises:
        ValueError: images is not an int (True, 100.0 and "100" are none) or below 1; similar is
            not a bool (1 and "yes" are none).

    Source: Yosinski et al., How transferable are features in deep neural networks?,
        arXiv:1411.1792, sections 2 and 4; Stanford CS231n, course notes, Transfer learning.
    """
    raise NotImplementedError("choose_strategy")
