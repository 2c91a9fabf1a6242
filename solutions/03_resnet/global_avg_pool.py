"""One number a channel: how a network of maps ends without a giant dense layer."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dojo import right, wrong


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
    if x.dim() != 4:
        raise ValueError(f"x has shape {tuple(x.shape)}, it must be (N, C, H, W)")
    return x.mean((2, 3))


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
    if channels < 1 or num_classes < 1:
        raise ValueError(f"{channels} channels, {num_classes} classes: both must be at least 1")
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


HINTS = [
    "x holds N images of C maps of H x W numbers. Which of the four axes must still be there in "
    "the result, and which ones does a mean go over? How many weights does a dense layer need "
    "for C numbers an image?",
    "A tensor's mean takes several axes at once, and keeps none of them unless told. squeeze() "
    "is a trap: it also takes away an N of one. For the head, put pooling, a step that drops the "
    "two empty axes and a dense layer into one nn.Sequential, or write a module of your own.",
    "x.mean((2, 3)) is all, after a look at x.dim(). The head: nn.AdaptiveAvgPool2d(1), "
    "nn.Flatten(), nn.Linear(channels, num_classes), after a look at both sizes.",
]


def _refuse_other_than_maps(x):
    if x.dim() != 4:
        raise ValueError(f"x has shape {tuple(x.shape)}, it must be (N, C, H, W)")


def _refuse_no_size(channels, num_classes):
    if min(channels, num_classes) < 1:
        raise ValueError(f"{channels} channels, {num_classes} classes: both must be at least 1")


class _Then(nn.Module):
    """A head and something done to its input or its logits."""

    def __init__(self, channels, num_classes, before=None, after=None):
        super().__init__()
        _refuse_no_size(channels, num_classes)
        self.dense = nn.Linear(channels, num_classes)
        self.before, self.after = before or global_avg_pool, after

    def forward(self, x):
        logits = self.dense(self.before(x))
        return self.after(logits) if self.after else logits


@right(global_avg_pool)
def by_torchs_pooling(x):
    _refuse_other_than_maps(x)
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


@right(global_avg_pool)
def by_one_large_window(x):
    _refuse_other_than_maps(x)
    return F.avg_pool2d(x, tuple(x.shape[2:]))[:, :, 0, 0]


@right(global_avg_pool)
def by_loops(x):
    n, c, height, width = x.shape if x.dim() == 4 else _refuse_other_than_maps(x)
    total = x.new_zeros(n, c)
    for row in range(height):
        for column in range(width):
            total = total + x[:, :, row, column]
    return total / (height * width)


@right(global_avg_pool)
def by_a_matrix_product_in_float64(x):
    _refuse_other_than_maps(x)
    pixels = x.double().flatten(2)
    share = torch.full((pixels.shape[2],), 1 / pixels.shape[2], dtype=pixels.dtype)
    return (pixels @ share).to(x.dtype)


@right(gap_head)
class by_convolution_first(nn.Module):  # noqa: N801
    """A 1x1 convolution and the mean commute: both are linear."""

    def __init__(self, channels, num_classes):
        super().__init__()
        _refuse_no_size(channels, num_classes)
        self.score = nn.Conv2d(channels, num_classes, 1)

    def forward(self, x):
        return self.score(x).mean((-2, -1))


@right(gap_head)
def by_convolution_last(channels, num_classes):
    _refuse_no_size(channels, num_classes)
    conv = nn.Conv2d(channels, num_classes, kernel_size=1)
    return nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), conv, nn.Flatten())


@right(gap_head)
def by_a_module_of_its_own(channels, num_classes):
    return _Then(channels, num_classes)


@wrong(global_avg_pool)
def squeezed(x):
    """squeeze() takes away every axis of one: a batch of one image loses its axis"""
    _refuse_other_than_maps(x)
    return x.mean((2, 3), keepdim=True).squeeze()


@wrong(global_avg_pool)
def channel_squeezed(x):
    """a single channel loses its axis (squeeze(1))"""
    return global_avg_pool(x).squeeze(1)


@wrong(global_avg_pool)
def empty_axes_kept(x):
    """the two axes of the places stay in the result (keepdim): (N, C, 1, 1)"""
    return global_avg_pool(x)[:, :, None, None]


@wrong(global_avg_pool)
def mean_over_the_batch(x):
    """the mean goes over the batch too: one number a channel for all images together"""
    _refuse_other_than_maps(x)
    return x.mean((0, 2, 3))


@wrong(global_avg_pool)
def batch_mean_for_all(x):
    """every image gets the mean over the whole batch"""
    return global_avg_pool(x).mean(0, keepdim=True).expand(x.shape[:2]).clone()


@wrong(global_avg_pool)
def one_number_an_image(x):
    """the mean goes over the channels too: one number an image"""
    _refuse_other_than_maps(x)
    return x.mean((1, 2, 3))


@wrong(global_avg_pool)
def rows_only(x):
    """the mean goes down the rows only: the width is left"""
    _refuse_other_than_maps(x)
    return x.mean(2)


@wrong(global_avg_pool)
def columns_only(x):
    """the mean goes along the columns only: the height is left"""
    _refuse_other_than_maps(x)
    return x.mean(3)


@wrong(global_avg_pool)
def summed(x):
    """the places are added up (sum) and not divided by their number"""
    _refuse_other_than_maps(x)
    return x.sum((2, 3))


@wrong(global_avg_pool)
def divided_by_the_width(x):
    """the sum is divided by the width only"""
    return global_avg_pool(x) * x.shape[2]


@wrong(global_avg_pool)
def divided_by_the_height_squared(x):
    """the sum is divided by the height squared: right only for square maps"""
    return global_avg_pool(x) * (x.shape[3] / x.shape[2])


@wrong(global_avg_pool)
def largest(x):
    """the largest number of each map is taken (max), not the mean"""
    _refuse_other_than_maps(x)
    return x.amax((2, 3))


@wrong(global_avg_pool)
def middle_one(x):
    """the middle one of the sorted numbers is taken (median), not the mean"""
    _refuse_other_than_maps(x)
    return x.flatten(2).median(-1).values


@wrong(global_avg_pool)
def negatives_left_out(x):
    """negative numbers count as 0 in the mean"""
    return global_avg_pool(x.relu())


@wrong(global_avg_pool)
def zeros_not_counted(x):
    """zeros are not counted: the sum is divided by the number of other places"""
    _refuse_other_than_maps(x)
    return x.sum((2, 3)) / (x != 0).sum((2, 3)).clamp(min=1)


@wrong(global_avg_pool)
def leftovers_dropped(x):
    """the mean of 2x2 windows' means: an odd row or column at the end is dropped"""
    _refuse_other_than_maps(x)
    whole = x[:, :, : x.shape[2] // 2 * 2 or 1, : x.shape[3] // 2 * 2 or 1]
    return whole.mean((2, 3))


@wrong(global_avg_pool)
def first_image_for_all(x):
    """every image gets the means of the first one"""
    return global_avg_pool(x)[:1].expand(x.shape[:2]).clone()


@wrong(global_avg_pool)
def axes_exchanged(x):
    """the result is transposed: (C, N)"""
    return global_avg_pool(x).T


@wrong(global_avg_pool)
def always_float32(x):
    """the result is float32 whatever came in"""
    return global_avg_pool(x.float())


@wrong(global_avg_pool)
def graph_cut(x):
    """the graph is cut: no gradient reaches x"""
    return global_avg_pool(x.detach())


@wrong(global_avg_pool)
def one_layout_only(x):
    """view() is used on what may not lie in one piece: only the usual memory layout works"""
    _refuse_other_than_maps(x)
    return x.view(x.shape[0], x.shape[1], -1).mean(2)


@wrong(global_avg_pool)
def axes_not_counted(x):
    """the number of axes is not looked at: torch raises its own error where there are fewer"""
    return x.mean((2, 3))


@wrong(global_avg_pool)
def axes_left_to_torch(x):
    """the number of axes is left to torch's pooling, which takes (C, H, W) too"""
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


@wrong(gap_head)
def softmax_at_the_end(channels, num_classes):
    """the head ends in a softmax: probabilities, not logits"""
    return _Then(channels, num_classes, after=lambda logits: logits.softmax(1))


@wrong(gap_head)
def relu_at_the_end(channels, num_classes):
    """the head ends in a ReLU: no logit is below 0"""
    return _Then(channels, num_classes, after=torch.relu)


@wrong(gap_head)
def relu_on_the_means(channels, num_classes):
    """a ReLU stands between the means and the dense layer"""
    return _Then(channels, num_classes, before=lambda x: global_avg_pool(x).relu())


@wrong(gap_head)
def head_takes_the_largest(channels, num_classes):
    """the head pools by the maximum, not by the mean"""
    return _Then(channels, num_classes, before=lambda x: x.amax((2, 3)))


@wrong(gap_head)
def head_takes_the_sum(channels, num_classes):
    """the head adds the places up (sum) and does not average them"""
    return _Then(channels, num_classes, before=lambda x: x.sum((2, 3)))


@wrong(gap_head)
def head_squeezes(channels, num_classes):
    """the head squeezes: logits of a single image lose their batch axis"""
    return _Then(channels, num_classes, after=torch.squeeze)


@wrong(gap_head)
def head_keeps_empty_axes(channels, num_classes):
    """the head keeps the places' axes (keepdim): logits are (N, K, 1, 1)"""
    _refuse_no_size(channels, num_classes)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, num_classes, 1))


@wrong(gap_head)
def logits_at_every_place(channels, num_classes):
    """the head scores every place and does not pool: logits are (N, K, H, W)"""
    _refuse_no_size(channels, num_classes)
    return nn.Conv2d(channels, num_classes, 1)


@wrong(gap_head)
def head_without_bias(channels, num_classes):
    """the dense layer of the head has no bias"""
    head = _Then(channels, num_classes)
    head.dense = nn.Linear(channels, num_classes, bias=False)
    return head


@wrong(gap_head)
def flattened(channels, num_classes):
    """the maps are flattened, not pooled: a weight for every place"""
    _refuse_no_size(channels, num_classes)
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * 7 * 7, num_classes))


@wrong(gap_head)
def seven_by_seven_only(channels, num_classes):
    """the head's pooling window is 7x7: only maps of this size fit"""
    _refuse_no_size(channels, num_classes)
    return nn.Sequential(nn.AvgPool2d(7), nn.Flatten(), nn.Linear(channels, num_classes))


@wrong(gap_head)
def head_for_square_maps(channels, num_classes):
    """the head's window is as wide as the map is tall: only square maps are pooled whole"""

    def pooled(x):
        size = min(x.shape[2:])
        return x[:, :, :size, :size].mean((2, 3))

    return _Then(channels, num_classes, before=pooled)


@wrong(gap_head)
def three_by_three(channels, num_classes):
    """the head's convolution is 3x3, not 1x1"""
    _refuse_no_size(channels, num_classes)
    conv = nn.Conv2d(channels, num_classes, 3, padding=1)
    return nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten())


@wrong(gap_head)
def hidden_layer(channels, num_classes):
    """the head has a hidden layer: two dense layers instead of one"""
    _refuse_no_size(channels, num_classes)
    hidden, dense = nn.Linear(channels, channels), nn.Linear(channels, num_classes)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), hidden, nn.ReLU(), dense)


@wrong(gap_head)
def dropped_out(channels, num_classes):
    """a dropout stands before the dense layer: in train mode the means are not whole"""
    return _Then(channels, num_classes, before=_Dropped())


class _Dropped(nn.Module):
    def forward(self, x):
        return F.dropout(global_avg_pool(x), 0.5, self.training)


_HEADS = {}


@wrong(gap_head)
def built_once(channels, num_classes):
    """two heads of the same sizes are one and the same: they share their weights"""
    if (channels, num_classes) not in _HEADS:
        _HEADS[channels, num_classes] = gap_head(channels, num_classes)
    return _HEADS[channels, num_classes]


@wrong(gap_head)
def sizes_exchanged(channels, num_classes):
    """the dense layer is built with its two sizes exchanged"""
    return gap_head(num_classes, channels)


@wrong(gap_head)
def sizes_not_looked_at(channels, num_classes):
    """sizes below 1 are not refused by the head"""
    if min(channels, num_classes) < 0:
        raise RuntimeError("Trying to create tensor with negative dimension")
    return gap_head(max(channels, 1), max(num_classes, 1))
