"""Filters as pictures: what `filters_to_images` must do, easiest first."""

import pytest
import torch

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal

filters_to_images = answer("filters_to_images")


def drawn(weight):
    """As the stub tells it, filter by filter."""
    pictures = []
    for kernel in weight:
        most = kernel.abs().max()
        picture = 0.5 + kernel / (2 * most) if most > 0 else torch.full_like(kernel, 0.5)
        pictures.append(picture.expand(3, -1, -1).permute(1, 2, 0))
    return torch.stack(pictures)


def test_a_grey_filter_by_hand():
    """The largest magnitude is 4, of -4: zero becomes 0.5, -4 becomes 0, 2 becomes 0.75."""
    weight = torch.tensor([[[[0.0, -4, 2], [1, -1, -2]]]])
    grey = torch.tensor([[0.5, 0, 0.75], [0.625, 0.375, 0.25]])
    same(filters_to_images(weight), grey[None, :, :, None].repeat(1, 1, 1, 3))


def test_a_coloured_filter_by_hand():
    """One scale for all three channels of a filter; the colours stand last."""
    weight = torch.tensor([[[[2.0, 0, 0]], [[0, -1, 0]], [[0, 0, 1]]]])
    same(filters_to_images(weight),
         torch.tensor([[[[1, 0.5, 0.5], [0.5, 0.25, 0.5], [0.5, 0.5, 0.75]]]]))  # fmt: skip


@pytest.mark.parametrize(
    "shape", [(4, 3, 2, 5), (5, 1, 3, 2), (1, 3, 4, 3), (2, 1, 1, 1), (3, 3, 1, 4), (6, 3, 7, 7)]
)
def test_any_filters(rng, shape):
    """Any number and size of filters, one channel or three; the weight may be a permuted view."""
    weight = normal(rng, *shape[::-1]).permute(3, 2, 1, 0)
    weight[0, 0, 0, 0] = 2.0  # with black pictures only no rounding would be allowed
    same(filters_to_images(weight), drawn(weight))


@pytest.mark.parametrize("channels", [1, 3])
def test_every_filter_has_its_own_scale(rng, channels):
    """A filter with weights of 5e-8 at most is as well to be seen as one with weights of 1000."""
    weight = normal(rng, 3, channels, 4, 2)
    weight /= weight.abs().amax((1, 2, 3), keepdim=True)
    weight *= torch.tensor([1e3, 5e-8, 1.0])[:, None, None, None]
    same(filters_to_images(weight), drawn(weight))


@pytest.mark.parametrize("sign", [1, -1], ids=["all positive", "all negative"])
def test_weights_of_one_sign(rng, sign):
    """All above 0: no pixel below grey. All below 0: none above."""
    weight = sign * (0.5 + normal(rng, 2, 3, 3, 4).abs())
    same(filters_to_images(weight), drawn(weight))


def test_a_filter_of_zeros_is_grey(rng):
    """There is nothing to scale it by: 0.5 everywhere, and its neighbours are as ever."""
    weight = normal(rng, 3, 3, 2, 4)
    weight[1] = 0
    same(filters_to_images(weight), drawn(weight))


def test_nothing_but_zeros_is_grey():
    """A filter may sum to 0, and its largest weight may be 0: it is no filter of zeros."""
    weight = torch.tensor([[[[0.0, -4], [-1, 0]]], [[[2, -2], [-1, 1]]]])
    grey = torch.tensor([[[0.5, 0], [0.375, 0.5]], [[1, 0], [0.25, 0.75]]])
    same(filters_to_images(weight), grey[..., None].repeat(1, 1, 1, 3))


def test_float64_stays_float64(rng):
    """The pictures have the dtype of the weight."""
    weight = normal(rng, 2, 3, 3, 2, dtype=torch.float64)
    same(filters_to_images(weight), drawn(weight))


def test_a_layers_own_weight(rng):
    """A parameter is left as it is; the pictures hang on no graph and share no memory with it."""
    weight = torch.nn.Parameter(normal(rng, 2, 3, 3, 2))
    kept = weight.detach().clone()
    images = filters_to_images(weight)
    same(images, drawn(kept))
    expect(not images.requires_grad, "the pictures require a gradient: they are not detached")
    images.zero_()
    same(weight.detach(), kept, what="the weight after the pictures were written into")


@pytest.mark.parametrize("shape", [(4, 2, 3, 3), (4, 4, 3, 3), (2, 64, 3, 3), (2, 0, 3, 3)])
def test_other_channels_are_refused(shape):
    """Two, four or 64 channels are no colours."""
    refuses(filters_to_images, torch.ones(shape), because=f"{shape[1]} channels")


@pytest.mark.parametrize(
    "shape", [(3, 4, 4), (4, 4), (1, 2, 3, 4, 4), (2, 3, 4), (2, 3, 4, 5, 4), (4, 1)]
)
def test_other_than_four_axes_are_refused(shape):
    """A weight is (K, C, h, w)."""
    refuses(filters_to_images, torch.ones(shape), because=f"weight of shape {shape}")
