"""AlexNet: the network of 2012, and which part of it holds the parameters."""

from torch import Tensor, nn


class AlexNet(nn.Module):
    """Classify images of 224x224 by five convolutions and three dense layers.

    The convolutions have 64, 192, 384, 256 and 256 filters. The first has 11x11 windows, stride
    4 and padding 2; the second has 5x5 windows, the others 3x3, and these four keep the size.
    A ReLU follows each of the five, and after the first, the second and the last a max pool of
    3x3 windows with stride 2 comes on top, so that the windows overlap. What nn.Flatten makes
    of the maps goes through dense layers of 4096, 4096 and num_classes units, with a ReLU after
    the first two; in training, dropout of 0.5 takes away half of what enters these two. All
    eight layers have biases.

    The children `features` and `classifier` hold them, five nn.Conv2d and three nn.Linear; the
    rest, modules or functions, has no parameters, and its place is up to you. Initial weights
    are up to you too. The model can also be built on torch's "meta" device. torchvision's own
    model, whose widths these are, is no answer.

    Shapes:
        num_classes: K, from 1 on
        x: (N, 3, 224, 224), float32; float64 after double()
        returns: logits (N, K)

    Example:
        >>> with torch.device("meta"):
        ...     model = AlexNet()
        >>> sum(parameter.numel() for parameter in model.parameters())
        61100840

    Raises:
        ValueError: num_classes is below 1.

    Source: Krizhevsky, One weird trick for parallelizing convolutional neural networks,
        arXiv:1404.5997, for these widths; Krizhevsky, Sutskever & Hinton, ImageNet
        Classification with Deep Convolutional Neural Networks, NeurIPS 2012, for the rest.
    """

    def __init__(self, num_classes: int = 1000):
        super().__init__()
        raise NotImplementedError("alexnet")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("alexnet")


def parameter_share(model: nn.Module) -> dict[str, float]:
    """Say which share of a model's parameters each of its children holds.

    Counted is every single number of every parameter tensor, frozen ones included; buffers are
    no parameters. The share is taken of all that the model has, also of what it holds itself
    and not in a child. Children are the direct ones, each with all that is inside of it.

    Shapes:
        returns: a dict from the child's name to its share, a float from 0 to 1; 0.0 for a child
            without parameters

    Example:
        >>> parameter_share(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1, bias=False)))
        {'0': 0.75, '1': 0.0, '2': 0.25}

    Source: Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional
        Neural Networks, NeurIPS 2012, section 3: "60 million parameters".
    """
    raise NotImplementedError("alexnet")
