"""Shuffle the pixels: what `permute_pixels` and `same_function` must do, easiest first."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import model_left_alone, normal, same_gradients

permute_pixels, same_function = answer("permute_pixels"), answer("same_function")


def shuffle(rng, count):
    """A permutation that is not its own inverse."""
    while True:
        places = torch.from_numpy(rng.permutation(count))
        if count < 3 or not torch.equal(places, places.argsort()):
            return places


def test_six_pixels_by_hand():
    """Place 0 gets what stood at 4, place 1 what stood at 0, and so on, read in rows."""
    x = torch.tensor([[[[10.0, 11, 12], [13, 14, 15]]]])
    got = permute_pixels(x, torch.tensor([4, 0, 5, 2, 1, 3]))
    same(got, torch.tensor([[[[14.0, 10, 15], [12, 11, 13]]]]))


@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (1, 1, 2, 7), (2, 3, 5, 3), (4, 1, 1, 6),
                                   (1, 2, 1, 1)])  # fmt: skip
def test_every_image_and_channel_is_shuffled_alike(rng, shape):
    """One permutation for all; images and channels keep their places; x may be transposed."""
    x = normal(rng, *shape[:2], shape[3], shape[2]).transpose(2, 3)
    places = shuffle(rng, shape[2] * shape[3])
    wanted = torch.empty_like(x)
    for i, place in enumerate(places.tolist()):
        row, column = divmod(place, shape[3])
        wanted[:, :, i // shape[3], i % shape[3]] = x[:, :, row, column]
    same(permute_pixels(x, places), wanted)


def test_the_inverse_restores_the_image(rng):
    """Shuffled by a permutation and then by its inverse, every pixel is back."""
    x, places = normal(rng, 2, 3, 4, 6), shuffle(rng, 24)
    same(permute_pixels(permute_pixels(x, places), places.argsort()), x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8, torch.int64])
def test_any_dtype_is_kept(rng, dtype):
    """Pixels are moved, not computed with: all digits of large numbers are there."""
    x = torch.from_numpy(rng.integers(0, 1 << 40, (2, 2, 3, 4))).to(dtype)
    places = shuffle(rng, 12)
    same(permute_pixels(x, places), x.flatten(2)[:, :, places].reshape(x.shape))


@pytest.mark.parametrize("shape", [(2, 3, 2, 3), (1, 1, 1, 1)])
def test_the_result_is_a_tensor_of_its_own(rng, shape):
    """Also where every pixel stays: writing into the result does not change x."""
    x = normal(rng, *shape)
    got, kept = permute_pixels(x, torch.arange(shape[2] * shape[3])), x.clone()
    same(got, kept)
    got.zero_()
    same(x, kept, what="x after the result was written into")


def test_gradients_go_back_to_where_pixels_came_from(rng):
    """It is differentiable in x."""
    places = shuffle(rng, 12)
    same_gradients(lambda x: permute_pixels(x, places),
                   lambda x: x.flatten(2)[:, :, places].reshape(x.shape),
                   {"x": normal(rng, 2, 2, 3, 4)})  # fmt: skip


NONE = [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 4], [1, 2, 3, 4, 5, 6],
        [1, 1, 1, 3, 4, 5], [0, 1, 1, 4, 4, 5], [0, 1, 2, 3, 4, -1], [[0, 1, 2], [3, 4, 5]],
        []]  # fmt: skip


@pytest.mark.parametrize("numbers", NONE, ids=str)
def test_what_is_no_permutation_is_refused(numbers):
    """Each of 0 to 5 once, in one row: nothing missing, doubled or beyond."""
    places = torch.tensor(numbers, dtype=torch.int64)
    refuses(permute_pixels, torch.ones(2, 1, 2, 3), places, because=f"permutation {numbers}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32])
def test_other_numbers_than_int64_are_refused(dtype):
    """A permutation is a LongTensor."""
    places = torch.tensor([1, 0, 2, 5, 4, 3], dtype=dtype)
    refuses(permute_pixels, torch.ones(2, 1, 2, 3), places, because=f"a permutation of {dtype}")


def weighted(rng, inputs, outputs, bias=True):
    dense = nn.Linear(inputs, outputs, bias)
    with torch.no_grad():
        for parameter in dense.parameters():
            parameter.copy_(normal(rng, *parameter.shape))
    return dense


def test_three_weights_by_hand():
    """Shuffled by 2, 0, 1 the image's inputs are those of 2, 0, 1: so are the weights."""
    dense = nn.Linear(3, 1)
    with torch.no_grad():
        dense.weight.copy_(torch.tensor([[10.0, 20, 30]]))
        dense.bias.fill_(5.0)
    other = same_function(dense, torch.tensor([2, 0, 1]))
    same(other.weight.detach(), torch.tensor([[30.0, 10, 20]]), what="the weight")
    same(other.bias.detach(), torch.tensor([5.0]), what="the bias")


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(("channels", "outputs"), [(1, 4), (3, 2), (2, 12), (4, 1)])
def test_it_gives_on_shuffled_images_what_the_old_one_gives(rng, channels, outputs, bias):
    """For one channel and for several, flattened in (C, H, W) order."""
    dense, places = weighted(rng, channels * 12, outputs, bias), shuffle(rng, 12)
    x = normal(rng, 5, channels, 3, 4)
    other = same_function(dense, places)
    expect(isinstance(other, nn.Linear), f"got {type(other).__name__}, expected an nn.Linear")
    there = "a bias" if other.bias is not None else "no bias"
    expect((other.bias is not None) == bias, f"the new layer has {there}", there)
    shuffled = x.flatten(2)[:, :, places].flatten(1)
    same(other(shuffled).detach(), dense(x.flatten(1)).detach(), tolerance=1e-4)


def test_a_convolution_has_no_such_twin(rng):
    """The lesson: neighbours matter to it, so no kernel gives on shuffled images what it gave.

    Least squares over all 3x3 kernels leaves most of the output unexplained.
    """
    x, kernel, places = normal(rng, 20, 1, 8, 8), normal(rng, 1, 1, 3, 3), shuffle(rng, 64)
    wanted = F.conv2d(x, kernel).flatten()
    windows = F.unfold(permute_pixels(x, places), 3).transpose(1, 2).reshape(-1, 9)
    fitted = windows @ torch.linalg.lstsq(windows, wanted[:, None]).solution
    left = ((wanted - fitted[:, 0]).square().mean() / wanted.square().mean()).item()
    expect(
        left > 0.5, f"a kernel explains all but {left:.0%} of it: are the pixels shuffled?", left
    )


@pytest.mark.parametrize("places", ["shuffled", "as they were"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_the_layer_handed_in_is_left_alone(rng, bias, places):
    """A new layer with weights of its own: training it does not touch the old one."""
    dense = weighted(rng, 24, 3, bias)
    with model_left_alone(dense):
        other = same_function(dense, shuffle(rng, 12) if places == "shuffled" else torch.arange(12))
        expect(other is not dense, "the layer handed in was returned", "same")
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(1.0)
    found = sorted(name for name, _ in other.named_parameters())
    wanted = ["bias", "weight"] if bias else ["weight"]
    expect(found == wanted, f"the new layer's parameters are {found}, expected {wanted}", found)
    learns = all(p.requires_grad for p in other.parameters())
    expect(learns, "the new layer's parameters require no gradient", "frozen")


def test_a_float64_layer_stays_float64(rng):
    """The new layer has the dtype of the old one."""
    dense, places = weighted(rng, 12, 3).double(), shuffle(rng, 12)
    same(same_function(dense, places).weight.detach(), dense.weight.detach()[:, places])


@pytest.mark.parametrize(
    "numbers",
    [[0, 1, 2, 3], [0, 1, 1], [1, 1, 1], [0, 2, 2], [0, 1, 1, 4, 4, 5], [3, 1, 2], [0, 1, -1],
     [[0, 1, 2]], []],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_the_layer_is_refused(numbers):
    """A layer of 6 inputs is for permutations of 1, 2, 3 or 6 places, each named once."""
    places = torch.tensor(numbers, dtype=torch.int64)
    refuses(same_function, nn.Linear(6, 2), places, because=f"permutation {numbers} of 6 inputs")


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32])
def test_the_layer_too_wants_int64(dtype):
    """A permutation is a LongTensor, for same_function as for permute_pixels."""
    places = torch.tensor([1, 0, 2], dtype=dtype)
    refuses(same_function, nn.Linear(6, 2), places, because=f"a permutation of {dtype}")
