"""An image as a pretrained network wants it: scaled, centred, channels first; and back."""

import numpy as np
import torch
from torch import Tensor

from dojo import right, wrong

MEAN = (0.485, 0.456, 0.406)  # of red, green and blue over ImageNet, for values in 0..1
STD = (0.229, 0.224, 0.225)


def normalize(image: Tensor) -> Tensor:
    """Turn an image as files hold it into what a network trained on ImageNet expects.

    A pretrained network has only ever seen inputs of one kind: values brought to 0..1, then each
    channel centred and scaled with ImageNet's statistics, MEAN and STD above, which are given for
    red, green and blue in 0..1. Give it any other range and its first filters answer nonsense,
    without an error. Files keep the channels of a pixel together; torch wants one plane for each.

    Shapes:
        image: (H, W, 3) uint8, 0 to 255, red first
        returns: (3, H, W) float32

    Example:
        >>> normalize(torch.tensor([[[255, 0, 0], [124, 116, 104]]], dtype=torch.uint8))[0]
        tensor([[2.2489, 0.0056]])

    Raises:
        ValueError: the image is not uint8, or not of shape (H, W, 3).

    Source: torchvision documentation, Models and pre-trained weights, section "Using the
        pre-trained models".
    """
    if image.dtype != torch.uint8 or image.dim() != 3 or image.shape[2] != 3:
        given = f"{tuple(image.shape)} {image.dtype}"
        raise ValueError(f"the image is {given}: a uint8 tensor (H, W, 3) is needed")
    scaled = image.float() / 255
    return ((scaled - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1)


def denormalize(x: Tensor) -> Tensor:
    """Turn a normalised image back into one that can be shown or saved.

    The way back of `normalize`: an image that went through both comes back exactly. What a
    network or an optimiser has changed need not be an image any more: every value goes to the
    nearest whole number, and what is darker than black or brighter than white is held there.

    Shapes:
        x: (3, H, W) float32, normalised
        returns: (H, W, 3) uint8, 0 to 255, red first

    Example:
        >>> denormalize(torch.tensor([0.0, -9.0, 9.0]).reshape(3, 1, 1))
        tensor([[[124,   0, 255]]], dtype=torch.uint8)

    Raises:
        ValueError: x is not of shape (3, H, W).

    Source: as for `normalize`.
    """
    if x.dim() != 3 or x.shape[0] != 3:
        raise ValueError(f"x has the shape {tuple(x.shape)}: (3, H, W) is needed")
    scaled = x.permute(1, 2, 0) * torch.tensor(STD) + torch.tensor(MEAN)
    return (scaled * 255).round().clamp(0, 255).to(torch.uint8)


HINTS = [
    "Take one pixel of pure red, (255, 0, 0). Which number is its red in 0..1? What is left of it "
    "when the mean of red is taken away, and how many standard deviations is that?",
    "Divide by 255 first, then take MEAN away, then divide by STD: while the channels are the last "
    "axis, three numbers line up with them by themselves. The channel axis moves at the end. The "
    "way back undoes the steps in the opposite order.",
    "((image.float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1). Back: "
    "permute(1, 2, 0), times STD, plus MEAN, times 255, then round(), clamp(0, 255), and only "
    "then uint8: a uint8 wraps around at 256.",
]


def _planes(values):
    return torch.tensor(values).reshape(3, 1, 1)


def _checked(image):
    if image.dtype != torch.uint8 or image.dim() != 3 or image.shape[2] != 3:
        raise ValueError(f"{tuple(image.shape)} {image.dtype}: uint8 (H, W, 3) is needed")
    return image


def _checked_back(x):
    if x.dim() != 3 or x.shape[0] != 3:
        raise ValueError(f"{tuple(x.shape)}: (3, H, W) is needed")
    return x.detach()


@right(normalize)
def channel_by_channel(image):
    planes = [_checked(image)[:, :, c].double() for c in range(3)]
    done = [(p / 255 - m) / s for p, m, s in zip(planes, MEAN, STD, strict=True)]
    return torch.stack(done).float()


@right(normalize)
def by_table(image):
    """Each channel has 256 values: all of them are worked out once and looked up."""
    levels = torch.arange(256) / 255.0
    tables = (levels - torch.tensor(MEAN)[:, None]) / torch.tensor(STD)[:, None]
    return torch.stack([t[_checked(image)[..., c].long()] for c, t in enumerate(tables)])


@right(normalize)
def in_units_of_255(image):
    """The constants are scaled instead of the image, channels first, in place on a copy."""
    x = _checked(image).movedim(-1, 0).to(torch.float32, copy=True).contiguous()
    return x.sub_(_planes(MEAN) * 255).div_(_planes(STD) * 255)


@right(denormalize)
def by_loops(x):
    planes = [p.double() * s + m for p, s, m in zip(_checked_back(x), STD, MEAN, strict=True)]
    whole = [np.floor(np.clip(p.numpy(), 0, 1) * 255 + 0.5).astype(np.uint8) for p in planes]
    return torch.from_numpy(np.stack(whole, axis=-1))


@right(denormalize)
def nearest_level(x):
    """Of the 256 levels of each channel the nearest one."""
    levels = (torch.arange(256) / 255.0 - torch.tensor(MEAN)[:, None]) / torch.tensor(STD)[:, None]
    flat = _checked_back(x).float().flatten(1)
    found = [(v[:, None] - t).abs().argmin(1) for v, t in zip(flat, levels, strict=True)]
    return torch.stack(found, -1).reshape(*x.shape[1:], 3).to(torch.uint8)


def _normalized(image, *, mean=MEAN, std=STD, scale=255):
    x = _checked(image).float() / scale
    return ((x - torch.tensor(mean)) / torch.tensor(std)).permute(2, 0, 1)


@wrong(normalize)
def not_scaled(image):
    """the image is not divided by 255: MEAN and STD belong to values in 0..1"""
    return _normalized(image, scale=1)


@wrong(normalize)
def divided_by_256(image):
    """the image is divided by 256: white, 255, should become 1"""
    return _normalized(image, scale=256)


@wrong(normalize)
def divided_by_the_maximum(image):
    """the image is divided by its own maximum: a dark image becomes a bright one"""
    return _normalized(image, scale=max(int(image.max()), 1))


@wrong(normalize)
def to_plus_minus_one(image):
    """mean 0.5 and standard deviation 0.5 for all channels: that is not ImageNet's"""
    return _normalized(image, mean=(0.5,) * 3, std=(0.5,) * 3)


@wrong(normalize)
def bgr(image):
    """blue comes first: the channels of the image are in the opposite order"""
    return _normalized(_checked(image).flip(2))


@wrong(normalize)
def constants_reversed(image):
    """MEAN and STD are taken in the order blue, green, red"""
    return _normalized(image, mean=MEAN[::-1], std=STD[::-1])


@wrong(normalize)
def result_reversed(image):
    """the planes come out in the order blue, green, red"""
    return _normalized(image).flip(0)


@wrong(normalize)
def std_before_mean(image):
    """the image is divided by STD before MEAN is taken away: the mean is of unscaled values"""
    x = _checked(image).float() / 255
    return (x / torch.tensor(STD) - torch.tensor(MEAN)).permute(2, 0, 1)


@wrong(normalize)
def times_std(image):
    """the values are multiplied by STD, not divided"""
    return _normalized(image, std=[1 / s for s in STD])


@wrong(normalize)
def mean_added(image):
    """MEAN is added, not taken away"""
    return _normalized(image, mean=[-m for m in MEAN])


@wrong(normalize)
def by_variance(image):
    """the values are divided by the variance, STD squared"""
    return _normalized(image, std=[s * s for s in STD])


@wrong(normalize)
def only_scaled(image):
    """the image is brought to 0..1, but MEAN and STD are not used"""
    return _normalized(image, mean=(0.0,) * 3, std=(1.0,) * 3)


@wrong(normalize)
def only_centred(image):
    """MEAN is taken away, but nothing is divided by STD"""
    return _normalized(image, std=(1.0,) * 3)


@wrong(normalize)
def mean_forgotten(image):
    """the values are divided by STD, but MEAN is not taken away"""
    return _normalized(image, mean=(0.0,) * 3)


@wrong(normalize)
def one_mean_for_all(image):
    """all channels get the mean and standard deviation of red"""
    return _normalized(image, mean=MEAN[:1] * 3, std=STD[:1] * 3)


@wrong(normalize)
def own_statistics(image):
    """the image's own mean and standard deviation are used, not ImageNet's"""
    x = _checked(image).float() / 255
    mean, std = x.mean((0, 1)), x.std((0, 1), correction=0)
    return ((x - mean) / std.clamp(min=1e-6)).permute(2, 0, 1)


@wrong(normalize)
def hwc_kept(image):
    """the channels stay the last axis: torch wants (3, H, W)"""
    return _normalized(image).permute(1, 2, 0)


@wrong(normalize)
def reshaped(image):
    """reshape makes the shape (3, H, W) but moves no axis: the colours of neighbours are mixed"""
    return _normalized(image).permute(1, 2, 0).reshape(3, *image.shape[:2])


@wrong(normalize)
def transposed(image):
    """rows and columns are exchanged: (3, W, H)"""
    return _normalized(image).transpose(1, 2)


@wrong(normalize)
def along_the_columns(image):
    """MEAN and STD meet the last axis after the channels moved: they go along the columns"""
    planes = _checked(image).permute(2, 0, 1).float() / 255
    return (planes - torch.tensor(MEAN)) / torch.tensor(STD)


@wrong(normalize)
def batch_axis(image):
    """a batch axis is put in front: (1, 3, H, W)"""
    return _normalized(image)[None]


@wrong(normalize)
def in_double(image):
    """the result is float64: networks compute in float32"""
    x = _checked(image).double() / 255
    return ((x - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1)


@wrong(normalize)
def clipped_below(image):
    """negative values are cut off: half of what the network should see is gone"""
    return _normalized(image).clamp(min=0)


@wrong(normalize)
def floats_accepted(image):
    """an image that is not uint8 is not refused: one already in 0..1 becomes black"""
    return _normalized(image.to(torch.uint8) if image.dtype != torch.uint8 else image)


@wrong(normalize)
def any_shape_accepted(image):
    """an image that is not (H, W, 3) is not refused"""
    if image.dtype != torch.uint8:
        raise ValueError(f"{image.dtype}: uint8 is needed")
    if image.dim() == 3 and image.shape[2] == 3:
        return _normalized(image)
    return (image.float() / 255 - 0.45) / 0.225


@wrong(normalize)
def channels_not_counted(image):
    """only the number of axes is checked: an image with 4 channels or with 3 in front passes"""
    if image.dim() == 3 and image.dtype == torch.uint8 and image.shape[2] != 3:
        return (image.float() / 255 - 0.45) / 0.225
    return _normalized(image)


def _levels(x):
    planes = _checked_back(x) * _planes(STD) + _planes(MEAN)
    return planes.permute(1, 2, 0) * 255


def _whole(values):
    return values.round().clamp(0, 255).to(torch.uint8)


@wrong(denormalize)
def truncated(x):
    """the fraction is cut off instead of rounded: 3.999 becomes 3"""
    return _levels(x).clamp(0, 255).to(torch.uint8)


@wrong(denormalize)
def rounded_up(x):
    """every fraction is rounded up: 3.001 becomes 4"""
    return _levels(x).ceil().clamp(0, 255).to(torch.uint8)


@wrong(denormalize)
def wraps_around(x):
    """nothing is clipped: a uint8 wraps around, 256 becomes 0 and -1 becomes 255"""
    return _levels(x).round().to(torch.int64).remainder(256).to(torch.uint8)


@wrong(denormalize)
def clipped_above_only(x):
    """only what is above 255 is clipped: what is darker than black wraps around"""
    return _levels(x).round().clamp(max=255).to(torch.int64).remainder(256).to(torch.uint8)


@wrong(denormalize)
def clipped_below_only(x):
    """only what is below 0 is clipped: what is brighter than white wraps around"""
    return _levels(x).round().clamp(min=0).to(torch.int64).remainder(256).to(torch.uint8)


@wrong(denormalize)
def clipped_too_early(x):
    """the normalised values are clipped to 0..1: they have to be made an image's first"""
    return _whole(_levels(x.clamp(0, 1)))


@wrong(denormalize)
def stretched(x):
    """the values are stretched between the image's own minimum and maximum"""
    values = _levels(x)
    low, high = values.min(), values.max()
    return _whole((values - low) / (high - low).clamp(min=1e-6) * 255)


@wrong(denormalize)
def refuses_out_of_range(x):
    """what is no image any more is refused: it should be clipped"""
    if _whole(_levels(x)).sub(_levels(x)).abs().max() > 0.6:
        raise ValueError("the values lie outside of 0..255")
    return _whole(_levels(x))


@wrong(denormalize)
def left_in_unit_range(x):
    """the values are left in 0..1: all become 0 or 1"""
    return _whole(_levels(x) / 255)


@wrong(denormalize)
def times_256(x):
    """the values are multiplied by 256: white is 255"""
    return _whole(_levels(x) / 255 * 256)


@wrong(denormalize)
def chw_kept(x):
    """the channels stay the first axis: pictures are (H, W, 3)"""
    return _whole(_levels(x)).permute(2, 0, 1)


@wrong(denormalize)
def reshaped_back(x):
    """reshape makes the shape (H, W, 3) but moves no axis: planes are cut into pixels"""
    return _whole(_levels(x)).permute(2, 0, 1).reshape(*x.shape[1:], 3)


@wrong(denormalize)
def transposed_back(x):
    """rows and columns of the picture are exchanged: (W, H, 3)"""
    return _whole(_levels(x)).transpose(0, 1)


@wrong(denormalize)
def bgr_back(x):
    """the picture's blue comes first"""
    return _whole(_levels(x)).flip(2)


@wrong(denormalize)
def constants_reversed_back(x):
    """on the way back MEAN and STD are taken in the order blue, green, red"""
    planes = _checked_back(x) * _planes(STD[::-1]) + _planes(MEAN[::-1])
    return _whole(planes.permute(1, 2, 0) * 255)


@wrong(denormalize)
def mean_before_std(x):
    """MEAN is added before STD is multiplied: the way back undoes the last step first"""
    return _whole(((_checked_back(x) + _planes(MEAN)) * _planes(STD)).permute(1, 2, 0) * 255)


@wrong(denormalize)
def divided_by_std(x):
    """the values are divided by STD once more"""
    return _whole((_checked_back(x) / _planes(STD) + _planes(MEAN)).permute(1, 2, 0) * 255)


@wrong(denormalize)
def floats_returned(x):
    """the result is a float tensor: a picture is uint8"""
    return _levels(x).round().clamp(0, 255)


@wrong(denormalize)
def any_shape_back(x):
    """an x that is not (3, H, W) is not refused"""
    return denormalize(x) if x.dim() == 3 and x.shape[0] == 3 else _whole(x * 57 + 115)


@wrong(denormalize)
def in_place(x):
    """x itself is changed: mul_ and add_ write into the caller's tensor"""
    x = _checked_back(x)
    return _whole(x.mul_(_planes(STD)).add_(_planes(MEAN)).permute(1, 2, 0) * 255)
