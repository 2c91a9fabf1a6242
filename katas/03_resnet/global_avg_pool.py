"""One number a channel: how a network of maps ends without a giant dense layer."""

from torch import Tensor, nn


def global_avg_pool(x: Tensor) -> Tensor:
    """Turn every map into one number: its mean over all places.

    What is left says how strongly a channel responds in the image, not where. Each image and
    each channel keeps a number of its own, also where there is only one image, only one
    channel or only one place. Any torch function may be used.

    Shapes:
        x: (N, C, H, W), float32 or float64, maps of any size, in any memory layout
        returns: (N, C), of x's dtype, differentiable in x

    Example:
        >>> global_avg_pool(torch.tensor([[[[1.0, 2.0, 6.0]], [[-4.0, 0.0, 1.0]]]]))
        tensor([[ 3., -1.]])

    Raises:
        ValueError: x has not four axes.

    Source: Lin, Chen & Yan, Network In Network, arXiv:1312.4400, section 3.2.
    """
    raise NotImplementedError("global_avg_pool")


def gap_head(channels: int, num_classes: int) -> nn.Module:
    """Build the layer that turns maps into logits: global average pooling, then one dense layer.

    Every logit is a weighted sum of the channels' means, plus the bias of its class: an
    nn.Linear, or a 1x1 nn.Conv2d, and nothing else, neither in train nor in eval mode. It has
    channels * num_classes + num_classes parameters, all trainable, and takes maps of any size
    with the same ones, where a dense layer on flattened maps of 7x7 would need 49 times as
    many weights and would take 7x7 only.

    Shapes:
        channels: C, the number of maps; num_classes: K; both from 1 on
        the module takes (N, C, H, W) and returns logits (N, K)

    Example:
        >>> sum(parameter.numel() for parameter in gap_head(512, 1000).parameters())
        513000

    Raises:
        ValueError: channels or num_classes is below 1.

    Source: Lin, Chen & Yan, Network In Network, arXiv:1312.4400, section 3.2; He, Zhang, Ren
        & Sun, Deep Residual Learning for Image Recognition, arXiv:1512.03385, section 3.3.
    """
    raise NotImplementedError("global_avg_pool")
