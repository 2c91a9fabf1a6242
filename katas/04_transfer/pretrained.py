"""A pretrained model with what belongs to it: its preprocessing, and the names of its classes."""

import difflib
from collections.abc import Callable

from torch import Tensor, nn
from torchvision import models


def pretrained(name: str) -> tuple[nn.Module, Callable[[Tensor], Tensor], list[str]]:
    """Get torchvision's model of this name with its best weights, ready to be asked.

    Weights alone are of no use: they answer sense only for images prepared as in their own
    evaluation, each with a resize and crop of its own, and the number of a class says nothing
    without the list of names. torchvision keeps all of it together in one entry of an enum,
    and a model may have several such entries; DEFAULT is the best one, whatever its number.
    The file of the weights is downloaded once into torch's hub cache; from then on it is found
    there. A model comes in train mode, where dropout and batch norm are not what they should
    be for an answer: turn it to eval.

    Names are those of `models.list_models(module=models)`, written exactly so. Without `module`
    that list also has models that find or outline objects, which are of no use here.

    Shapes:
        returns: (model, preprocess, categories)
        model: (N, 3, S, S) float32 to logits (N, 1000), in eval
        preprocess: a uint8 image (3, H, W), H and W at least S, to float32 (3, S, S)
        categories: 1000 strings, one for each logit

    Example:
        >>> pretrained("squeezenet1_2")
        Traceback (most recent call last):
        ValueError: no model is called 'squeezenet1_2'; near: squeezenet1_1, squeezenet1_0

    Raises:
        ValueError: there is no such name; the text holds the known names nearest to it, if any.

    Source: torchvision documentation, Models and pre-trained weights, sections "General
        information on pre-trained weights" and "Using models from Hub".
    """
    raise NotImplementedError("pretrained")
