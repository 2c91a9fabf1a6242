"""Prepare an image for a pretrained network: `normalize`, and `denormalize` for the way back."""

import numpy as np
import pytest
import torch

from dojo import vision  # without it an answer cannot import torchvision everywhere
from dojo.checks import answer, refuses, same

normalize, denormalize = answer("normalize"), answer("denormalize")

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


def picture(rng, height, width):
    """A fresh image, with black and white somewhere in it if it has room for both."""
    image = torch.from_numpy(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    image[0, 0], image[-1, -1] = 0, 255
    return image


def oracle(image):
    """Pixel by pixel, in float64."""
    x = (image.numpy() / 255 - MEAN) / STD
    return torch.from_numpy(np.moveaxis(x, 2, 0).astype(np.float32).copy())


def from_levels(levels):
    """The normalised (3, H, W) that has these values, (H, W, 3) on the scale of 0 to 255."""
    x = (np.asarray(levels) / 255 - MEAN) / STD
    return torch.from_numpy(np.moveaxis(x, 2, 0).astype(np.float32).copy())


def test_one_pixel():
    """Red 51 of 255 is 0.2; from that the mean of red is taken away, the rest is counted in std."""
    image = torch.tensor([[[51, 255, 0]]], dtype=torch.uint8)
    expected = [(0.2 - 0.485) / 0.229, (1 - 0.456) / 0.224, (0 - 0.406) / 0.225]
    same(normalize(image), torch.tensor(expected).reshape(3, 1, 1))


def test_each_value_finds_its_place():
    """What stood at [row, column, channel] stands at [channel, row, column]; all values differ."""
    rows, columns, channels = np.indices((2, 5, 3))
    image = torch.from_numpy((100 * rows + 20 * columns + 3 * channels + 4).astype(np.uint8))
    wanted = torch.empty(3, 2, 5)
    for channel in range(3):
        for row in range(2):
            for column in range(5):
                level = (100 * row + 20 * column + 3 * channel + 4) / 255
                wanted[channel, row, column] = (level - MEAN[channel]) / STD[channel]
    same(normalize(image), wanted)


@pytest.mark.parametrize("size", [(4, 7), (7, 4), (3, 5), (5, 3), (3, 3), (1, 6), (6, 1), (1, 1)])
def test_images_of_any_size(rng, size):
    """Also where a side is 3, as the channels are, or 1."""
    image = picture(rng, *size)
    same(normalize(image), oracle(image))


@pytest.mark.parametrize("level", [0, 1, 90, 255])
def test_an_image_of_one_colour(level):
    """Black, white and grey become the same numbers in every image: nothing hangs on the rest."""
    image = torch.full((2, 4, 3), level, dtype=torch.uint8)
    same(normalize(image), oracle(image))


def test_an_image_that_is_a_view(rng):
    """A crop, mirrored, seen through other strides: an image like any other."""
    image = picture(rng, 9, 8).transpose(0, 1)[1:6, 2::3].flip(1)
    same(normalize(image), oracle(image))


@pytest.mark.parametrize(
    ("x", "levels"),
    [
        # 255 * (0.456 + 0.224) = 173.4, and 255 * (0.406 - 0.225) = 46.155
        ([0.0, 1.0, -1.0], [124, 173, 46]),
        # all in 0..1, and normalised all the same: 255 * (0.456 + 0.112) = 144.84
        ([0.0, 0.5, 1.0], [124, 145, 161]),
    ],
    ids=["about the mean", "all in 0..1"],
)
def test_one_pixel_comes_back(x, levels):
    """0 is the mean of its channel: 0.485 * 255 is 123.675, so red is 124."""
    got = denormalize(torch.tensor(x).reshape(3, 1, 1))
    same(got, torch.tensor([[levels]], dtype=torch.uint8))


@pytest.mark.parametrize("size", [(2, 5), (5, 2), (3, 4), (4, 3), (3, 3), (1, 4), (4, 1), (1, 1)])
def test_each_value_finds_its_way_back(rng, size):
    """What stands at [channel, row, column] goes to [row, column, channel]."""
    image = picture(rng, *size)
    same(denormalize(from_levels(image.numpy())), image)


def test_there_and_back_changes_nothing(rng):
    """All 256 values of all three channels come back exactly."""
    levels = [torch.from_numpy(rng.permutation(256)) for _ in range(3)]
    image = torch.stack(levels, -1).reshape(8, 32, 3).to(torch.uint8)
    x = normalize(image)
    same(x, oracle(image), what="the way there")
    same(denormalize(x), image, what="the way back")


@pytest.mark.parametrize("off", [-0.4, -0.2, 0.2, 0.4])
def test_values_between_two_levels_go_to_the_nearest(rng, off):
    """99.8 and 100.2 are 100, and 100.4 as well."""
    image = torch.from_numpy(rng.integers(1, 255, (6, 7, 3), dtype=np.uint8))
    same(denormalize(from_levels(image.numpy() + off)), image)


@pytest.mark.parametrize("far", [0.3, 1.0, 30.0, 300.0, 700.0, 4e4])
def test_what_is_no_image_any_more_is_clipped(far):
    """Below 0 is black, above 255 white, by a little or by much, and nothing wraps around."""
    levels = np.array([[[-far, 100, 255 + far], [50, 255 + far, -far], [255 + far, -far, 200]]])
    wanted = torch.tensor([[[0, 100, 255], [50, 255, 0], [255, 0, 200]]], dtype=torch.uint8)
    same(denormalize(from_levels(levels)), wanted)


def test_an_x_that_is_a_view(rng):
    """A crop, with every second column: an x like any other."""
    image = picture(rng, 6, 9)
    x = from_levels(image.numpy())[:, 1:5, ::2]
    same(denormalize(x), image[1:5, ::2].clone())


def test_a_second_call_leaves_the_first_result_alone(rng):
    """Two images of one size give two results that share no memory, both ways."""
    one, two = picture(rng, 2, 3), picture(rng, 2, 3)
    there = normalize(one)
    normalize(two)
    same(there, oracle(one), what="the first result, after a second call")
    back = denormalize(from_levels(one.numpy()))
    denormalize(from_levels(two.numpy()))
    same(back, one, what="the first result, after a second call")


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.int64, torch.int8]
)
def test_an_image_that_is_not_uint8_is_refused(dtype):
    """Floats are in 0..1 already, or so one thinks: divided again they would all be black."""
    short = str(dtype).removeprefix("torch.")
    refuses(normalize, torch.ones(4, 5, 3, dtype=dtype), because=f"a {short} image")


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5, 4), (4, 5, 1), (4, 5), (1, 4, 5, 3)])
def test_an_image_of_another_shape_is_refused(shape):
    """Channels in front, four of them, one, none, or a whole batch: not an (H, W, 3) image."""
    image = torch.full(shape, 7, dtype=torch.uint8)
    refuses(normalize, image, because=f"an image of shape {shape}")


@pytest.mark.parametrize(
    "shape", [(4, 5, 3), (4, 5, 6), (1, 4, 5), (4, 5), (1, 3, 4, 5), (3, 3, 4, 5)]
)
def test_an_x_of_another_shape_is_refused(shape):
    """The way back starts from (3, H, W)."""
    refuses(denormalize, torch.ones(shape), because=f"an x of shape {shape}")
