"""Filters as pictures: what the first layer looks for, seen with your own eyes."""

import torch
from torch import Tensor

from dojo import right, wrong


def filters_to_images(weight: Tensor) -> Tensor:
    """Turn the filters of a first layer into pictures that can be looked at.

    A weight may be negative, a pixel may not. So zero becomes the grey in the middle, 0.5, and
    brighter is more positive: the largest magnitude of a filter, whatever its sign and channel,
    is drawn to an end of 0 to 1, and all else of that filter in proportion. Every filter has a
    scale of its own, so that weak ones can be seen too; a filter of zeros is grey all over.

    Filters of three channels become coloured pictures, with the colours where plotting wants
    them: last. Filters of one channel become grey ones, in the same form.

    Shapes:
        weight: (K, C, h, w), float32 or float64, C is 3 or 1; it is not changed
        returns: (K, h, w, 3) of weight's dtype, from 0 to 1, detached

    Example:
        >>> filters_to_images(torch.tensor([[[[0.0, 2.0, -1.0]]]]))[0, 0, :, 0]
        tensor([0.5000, 1.0000, 0.2500])

    Raises:
        ValueError: weight has not four axes, or C is neither 1 nor 3: deeper filters look at
            channels that are no colours.

    Source: Zeiler & Fergus, Visualizing and Understanding Convolutional Networks,
        arXiv:1311.2901, section 4.
    """
    if weight.dim() != 4 or weight.shape[1] not in (1, 3):
        raise ValueError(f"weight has shape {tuple(weight.shape)}, it must be (K, 1 or 3, h, w)")
    weight = weight.detach()
    most = weight.abs().amax((1, 2, 3), keepdim=True)
    most = torch.where(most == 0, 1, most)
    images = 0.5 + weight / most / 2
    return images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous()


HINTS = [
    "A picture has numbers from 0 to 1. Which of them should a weight of 0 become, and which the "
    "largest weight of a filter? What if the weight of largest magnitude is negative?",
    "One magnitude a filter: amax over channels, rows and columns of the absolute values, with "
    "the axes kept. A filter of zeros must not be divided by 0. permute puts the colours last.",
    "0.5 + weight / (2 * most), where most is 1 for a filter of zeros; expand one channel to "
    "three; permute(0, 2, 3, 1). detach() first, and nothing in place.",
]


def _most(weight):
    return weight.abs().amax((1, 2, 3), keepdim=True)


def _images(weight, scale=_most, order=(0, 2, 3, 1), middle=0.5):
    """The answer with one part exchanged; what is refused is refused before it is scaled."""
    if weight.dim() != 4 or weight.shape[1] not in (1, 3):
        raise ValueError("shape")
    weight = weight.detach()
    most = scale(weight)
    most = torch.where(most == 0, torch.ones_like(most), most)
    return (middle + weight / most / 2).expand(-1, 3, -1, -1).permute(*order).contiguous()


@right(filters_to_images)
def by_loops(weight):
    if weight.dim() != 4 or weight.shape[1] not in (1, 3):
        raise ValueError("shape")
    pictures = []
    for kernel in weight.detach():
        most = float(kernel.abs().max()) or 1.0
        picture = torch.full((*kernel.shape[1:], 3), 0.5, dtype=weight.dtype)
        for channel in range(3):
            picture[..., channel] += kernel[channel % len(kernel)] / (2 * most)
        pictures.append(picture)
    return torch.stack(pictures)


@right(filters_to_images)
def by_numpy_in_float64(weight):
    import numpy as np

    if weight.dim() != 4 or weight.shape[1] not in (1, 3):
        raise ValueError("shape")
    array = weight.detach().double().numpy()
    most = np.abs(array).reshape(len(array), -1).max(1).reshape(-1, 1, 1, 1)
    scaled = np.divide(array, most, out=np.zeros_like(array), where=most > 0)
    picture = np.moveaxis(0.5 + scaled / 2, 1, -1)
    return torch.from_numpy(np.broadcast_to(picture, (*picture.shape[:3], 3)).copy()).to(
        weight.dtype
    )


@right(filters_to_images)
def by_einsum(weight):
    if weight.dim() != 4 or weight.shape[1] not in (1, 3):
        raise ValueError("shape")
    flat = weight.detach().flatten(1)
    most = torch.linalg.vector_norm(flat, float("inf"), dim=1)
    share = torch.where(most > 0, 0.5 / most.clamp(min=torch.finfo(most.dtype).tiny), 0.0)
    colours = torch.ones(weight.shape[1], 3, dtype=weight.dtype)
    if weight.shape[1] == 3:
        colours = torch.eye(3, dtype=weight.dtype)
    return 0.5 + torch.einsum("kchw,cd,k->khwd", weight.detach(), colours, share)


@wrong(filters_to_images)
def min_to_max(weight):
    """each filter is stretched from its own minimum to its maximum: zero is not grey any more"""
    _images(weight)
    low, high = weight.amin((1, 2, 3), keepdim=True), weight.amax((1, 2, 3), keepdim=True)
    spread = torch.where(high == low, torch.ones_like(low), high - low)
    images = torch.where(high == low, torch.full_like(weight, 0.5), (weight - low) / spread)
    return images.detach().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous()


@wrong(filters_to_images)
def one_scale_for_all(weight):
    """all filters share one scale: weak ones are grey"""
    return _images(weight, lambda weight: weight.abs().amax().reshape(1, 1, 1, 1))


@wrong(filters_to_images)
def a_scale_for_each_channel(weight):
    """every channel has a scale of its own: the colours of a filter are wrong"""
    return _images(weight, lambda weight: weight.abs().amax((2, 3), keepdim=True))


@wrong(filters_to_images)
def scaled_by_the_maximum(weight):
    """the scale is the largest weight, not the largest magnitude: negative ones fall below 0"""
    return _images(weight, lambda weight: weight.amax((1, 2, 3), keepdim=True))


@wrong(filters_to_images)
def scaled_by_the_norm(weight):
    """the scale is the filter's norm, not its largest magnitude"""
    return _images(weight, lambda weight: weight.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1))


@wrong(filters_to_images)
def magnitudes(weight):
    """magnitudes are drawn (abs): the sign is lost"""
    return _images(weight.abs())


@wrong(filters_to_images)
def darker_is_more(weight):
    """brighter is more negative: the sign is turned around"""
    return _images(-weight)


@wrong(filters_to_images)
def black_is_zero(weight):
    """zero is black, not the grey in the middle"""
    return _images(weight, middle=0.0)


@wrong(filters_to_images)
def cut_off(weight):
    """weights below 0 are cut off, not drawn darker than grey"""
    return _images(weight.clamp(min=0), lambda _: _most(weight.detach()))


@wrong(filters_to_images)
def twice_too_strong(weight):
    """the weight is not halved: the ends lie at -0.5 and 1.5"""
    return _images(weight, lambda weight: _most(weight) / 2)


@wrong(filters_to_images)
def not_a_number(weight):
    """a filter of zeros gives NaN: it is divided by its largest magnitude, 0"""
    images = _images(weight)
    dead = weight.detach().flatten(1).abs().amax(1) == 0
    images[dead] = float("nan")
    return images


@wrong(filters_to_images)
def zeros_are_black(weight):
    """a filter of zeros is black, not grey"""
    images = _images(weight)
    images[weight.detach().flatten(1).abs().amax(1) == 0] = 0.0
    return images


@wrong(filters_to_images)
def with_a_small_number(weight):
    """a fixed small number is added to the scale: faint filters come out greyer"""
    return _images(weight, lambda weight: _most(weight) + 1e-8)


@wrong(filters_to_images)
def channels_first(weight):
    """the colours are not last: (K, 3, h, w)"""
    return _images(weight, order=(0, 1, 2, 3))


@wrong(filters_to_images)
def rows_and_columns_exchanged(weight):
    """rows and columns are exchanged: (K, w, h, 3)"""
    return _images(weight, order=(0, 3, 2, 1))


@wrong(filters_to_images)
def reshaped(weight):
    """the axes are only renamed (reshape), not moved (permute): pixels are mixed up"""
    images = _images(weight, order=(0, 1, 2, 3))
    return images.reshape(len(images), *weight.shape[2:], 3)


@wrong(filters_to_images)
def colours_turned_around(weight):
    """the colours come in reverse: blue, green, red"""
    return _images(weight).flip(-1)


@wrong(filters_to_images)
def grey_in_one_channel(weight):
    """a grey filter keeps its one channel: (K, h, w, 1)"""
    return _images(weight)[..., : weight.shape[1]]


@wrong(filters_to_images)
def written_into(weight):
    """the weights handed in are scaled in place: the layer is spoilt"""
    images = _images(weight)
    most = weight.detach().abs().amax((1, 2, 3), keepdim=True)
    weight.detach().div_(torch.where(most == 0, torch.ones_like(most), most))
    return images


@wrong(filters_to_images)
def graph_kept(weight):
    """the pictures hang on the layer's graph: they are not detached"""
    _images(weight)
    most = weight.abs().amax((1, 2, 3), keepdim=True)
    images = 0.5 + weight / torch.where(most == 0, torch.ones_like(most), most) / 2
    return images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous()


@wrong(filters_to_images)
def always_float32(weight):
    """the pictures are float32 whatever came in"""
    return _images(weight.float())


@wrong(filters_to_images)
def any_channels(weight):
    """other than 1 or 3 channels are drawn by their first three instead of being refused"""
    if weight.dim() != 4 or weight.shape[1] < 1:
        raise ValueError("shape")
    few = weight[:, :3] if weight.shape[1] > 2 else weight[:, :1]
    return _images(few, lambda _: _most(weight.detach()))


@wrong(filters_to_images)
def two_channels(weight):
    """two channels are drawn as red and green instead of being refused"""
    if weight.dim() == 4 and weight.shape[1] == 2:
        weight = torch.cat([weight, torch.zeros_like(weight[:, :1])], 1)
    return _images(weight)


@wrong(filters_to_images)
def a_single_filter(weight):
    """a single filter without its axis (C, h, w) is drawn instead of being refused"""
    return _images(weight[None] if weight.dim() == 3 else weight)


@wrong(filters_to_images)
def one_row_in_memory(weight):
    """view() runs the weights into rows: of a permuted tensor torch gives no such view"""
    images = filters_to_images(weight)
    weight.view(len(weight), -1)
    return images


def show(answer):
    """The filters of a network that learnt to read digits, beside those it began with."""
    from matplotlib.figure import Figure
    from torch import nn

    from data import digits

    images, labels = (torch.from_numpy(array) for array in digits())
    torch.default_generator.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 7, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(12 * 64, 10)
    )
    began = model[0].weight.detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for batch in torch.randperm(len(images)).repeat(8).split(128):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(2, 12)
    for row, (weight, name) in enumerate(((began, "began"), (model[0].weight, "learnt"))):
        for axis, picture in zip(axes[row], answer.filters_to_images(weight), strict=True):
            axis.imshow(picture.numpy(), vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(name)
    figure.suptitle("12 filters of 7x7; zero is grey", fontsize=10)
    return figure
