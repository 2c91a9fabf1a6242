"""VGG: a network from a list of numbers."""

from collections.abc import Sequence

from torch import Tensor, nn


def vgg_features(config: Sequence[int | str], in_channels: int = 3) -> nn.Sequential:
    """Build the convolutional part of a VGG from its plan, in the order of the plan.

    A number is a convolution with so many filters and a ReLU behind it, an "M" is a max pool.
    All convolutions are alike but for their channels: windows of 3x3, stride 1, a bias, and a
    padding that keeps the size. All pools are alike too: windows of 2x2 with stride 2, so that
    the size is halved, and rounded down where it is odd. Nothing else is in it. Initial weights
    are up to you.

    Shapes:
        config: any list of whole numbers from 1 on and "M", in any order
        in_channels: C, from 1 on
        of the result: (N, C, H, W) to (N, F, H / 2**pools, W / 2**pools), F the last number

    Example:
        >>> features = vgg_features([8, "M", 16, 16, "M"])
        >>> features(torch.zeros(1, 3, 20, 14)).shape
        torch.Size([1, 16, 5, 3])

    Raises:
        ValueError: an entry is neither "M" nor an int from 1 on; in_channels is below 1.

    Source: Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image
        Recognition, arXiv:1409.1556, section 2.1 and table 1.
    """
    raise NotImplementedError("vgg")


def vgg16(num_classes: int = 1000) -> nn.Module:
    """Build VGG-16, so that torchvision's weights fit into it.

    Its two children are nn.Sequential: `features` of five blocks, with two convolutions of 64
    filters, two of 128, three of 256, three of 512 and again three of 512, and a pool behind
    each block; and `classifier`, dense layers of 4096, 4096 and num_classes units, the first
    two of them followed by a ReLU and a dropout of 0.5. Between the two the maps are flattened,
    channel by channel; whether sizes other than 224x224 fit is up to you. State_dicts are
    exchanged with torchvision's vgg16, so the layers stand in its order: features.0 and
    features.2 are the first two convolutions, classifier.0, .3 and .6 the dense layers. The
    model can also be built on torch's "meta" device. torchvision's own model is no answer.

    Shapes:
        num_classes: K, from 1 on
        of the model: (N, 3, 224, 224), float32, or as it was converted -> logits (N, K)

    Example:
        >>> with torch.device("meta"):
        ...     model = vgg16()
        >>> sum(parameter.numel() for parameter in model.parameters())
        138357544

    Raises:
        ValueError: num_classes is below 1.

    Source: Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image
        Recognition, arXiv:1409.1556, table 1, column D, and section 3.1 for the dropout.
    """
    raise NotImplementedError("vgg")
