"""Convolution, batch norm, ReLU: what the unit is made of, and what it does."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal

conv_bn_relu = answer("conv_bn_relu")

# in, out, kernel, stride
SIZES = [(3, 5, 3, 1), (4, 2, 1, 1), (2, 3, 5, 2), (1, 4, (1, 5), 1), (3, 1, (3, 7), 2),
         (2, 6, (5, 3), 3), (4, 4, 3, 1)]  # fmt: skip


def parts(unit, kind):
    return [module for module in unit.modules() if isinstance(module, kind)]


def checked(*sizes):
    """The unit with its convolution and batch norm, of which there is one each."""
    unit = conv_bn_relu(*sizes)
    name = type(unit).__name__
    article = "an" if name[0] in "AEIOU" else "a"
    expect(isinstance(unit, nn.Sequential), f"{article} {name} is returned, expected an "
           "nn.Sequential", name)  # fmt: skip
    found = []
    for kind in (nn.Conv2d, nn.BatchNorm2d):
        layers = parts(unit, kind)
        expect(len(layers) == 1, f"the unit holds {len(layers)} {kind.__name__}, expected 1",
               (kind.__name__, len(layers)))  # fmt: skip
        found += layers
    return unit, *found


def filled(rng, *sizes):
    """A unit with fresh weights and statistics."""
    unit, conv, norm = checked(*sizes)
    with torch.no_grad():
        for tensor in (conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var):
            if tensor is not None:
                tensor.copy_(normal(rng, *tensor.shape))
        if norm.running_var is not None:
            norm.running_var.abs_().add_(0.1)[0] = 0.01  # so small that eps can be seen
    return unit, conv, norm


def oracle(x, conv, norm, kernel, stride, training):
    """What comes out, and the running mean and variance after the call."""
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    maps = F.conv2d(x, conv.weight, None, stride, (height // 2, width // 2))
    statistics = [norm.running_mean.clone(), norm.running_var.clone()]
    maps = F.batch_norm(maps, *statistics, norm.weight, norm.bias, training, 0.1, 1e-5)
    return F.relu(maps).detach(), *statistics


@pytest.mark.parametrize("kernel", [1, 3, 5, (1, 3), (7, 1)])
def test_stride_1_keeps_the_size(kernel):
    """Whatever the kernel, each axis by itself."""
    unit = checked(2, 4, kernel)[0]
    shape = tuple(unit(torch.ones(3, 2, 9, 8)).shape)
    came = f"kernel_size {kernel}: {shape} comes out of (3, 2, 9, 8)"
    expect(shape == (3, 4, 9, 8), f"{came}, expected (3, 4, 9, 8)", (kernel, shape))


def test_unless_told_otherwise_it_is_3x3_and_keeps_the_size():
    """conv_bn_relu(2, 4) has a kernel_size of 3 and a stride of 1."""
    unit, conv, _ = checked(2, 4)
    kernel, shape = tuple(conv.weight.shape[2:]), tuple(unit(torch.ones(3, 2, 9, 8)).shape)
    got = f"conv_bn_relu(2, 4) has a kernel of {kernel[0]}x{kernel[1]} and makes {shape} of "
    wanted = got + "(3, 2, 9, 8), expected 3x3 and (3, 4, 9, 8)"
    expect((kernel, shape) == ((3, 3), (3, 4, 9, 8)), wanted, (kernel, shape))


@pytest.mark.parametrize("kernel", [3, 1, 5, (5, 1)])
@pytest.mark.parametrize("size", [(9, 8), (6, 7)])
def test_stride_2_halves_the_size_and_rounds_up(size, kernel):
    """ceil(n / 2), for odd and even sizes."""
    unit = checked(2, 4, kernel, 2)[0]
    shape = tuple(unit(torch.ones(3, 2, *size)).shape)
    wanted = (3, 4, -(-size[0] // 2), -(-size[1] // 2))
    came = f"kernel_size {kernel}, stride 2: {shape} comes out of (3, 2, {size[0]}, {size[1]})"
    expect(shape == wanted, f"{came}, expected {wanted}", (kernel, shape))


def test_the_convolution_has_no_bias():
    """Batch norm takes every channel's mean away, and a bias with it."""
    conv = checked(3, 5)[1]
    expect(conv.bias is None, "the convolution has a bias: batch norm takes it away again",
           "bias")  # fmt: skip


@pytest.mark.parametrize("sizes", SIZES)
def test_the_weights_are_those_of_the_two_layers(sizes):
    """out * in * KH * KW for the convolution, 2 * out for the batch norm."""
    channels, out_channels, kernel, _ = sizes
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    unit, _, norm = checked(*sizes)
    count = sum(parameter.numel() for parameter in unit.parameters())
    wanted = out_channels * channels * height * width + 2 * out_channels
    expect(norm.num_features == out_channels, f"the batch norm has {norm.num_features} channels, "
           f"expected {out_channels}", norm.num_features)  # fmt: skip
    expect(count == wanted, f"{count} parameters, expected {wanted}", count)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("sizes", SIZES)
def test_convolution_then_batch_norm_then_relu(rng, sizes, training):
    """Any weights, any statistics: max(batch_norm(convolution(x)), 0), padded with zeros."""
    unit, conv, norm = filled(rng, *sizes)
    kept = norm.running_mean is not None
    expect(kept, "the batch norm keeps no running statistics: eval would measure its batch", kept)
    expect(norm.weight is not None, "the batch norm has no weight and bias", "affine")
    x = normal(rng, 3, sizes[0], 8, 9)
    expected, *statistics = oracle(x, conv, norm, *sizes[2:], training)
    same(unit.train(training)(x).detach(), expected, tolerance=1e-4)
    for kept, wanted in zip(("running_mean", "running_var"), statistics, strict=True):
        what = f"{kept} of the batch norm after a call, momentum 0.1"
        same(getattr(norm, kept), wanted, tolerance=1e-4, what=what)


def test_a_constant_behind_the_convolution_changes_nothing(rng):
    """In training: batch norm takes it away, which is why a bias is useless there."""
    unit, conv, _ = filled(rng, 3, 5)
    x = normal(rng, 4, 3, 6, 5)
    plain = unit(x).detach()
    conv.register_forward_hook(lambda m, a, out: out + 2.5)
    same(unit(x).detach(), plain, tolerance=1e-4, what="with 2.5 added behind the convolution")


def test_one_image_and_many(rng):
    """In eval a batch gives what its images give one by one."""
    unit = filled(rng, 2, 3, (3, 1), 2)[0].eval()
    x = normal(rng, 3, 2, 5, 4)
    same(torch.cat([unit(image[None]) for image in x]).detach(), unit(x).detach())


def test_x_is_not_changed(rng):
    """The ReLU may write in place, but not into x."""
    unit, x = filled(rng, 2, 2, 1)[0], normal(rng, 2, 2, 3, 4)
    before = x.clone()
    unit(x)
    same(x, before, what="x after the call")


def test_gradients_reach_every_weight(rng):
    """All parameters learn."""
    unit, _, norm = filled(rng, 2, 3)
    nn.init.ones_(norm.bias)  # else every ReLU may be shut
    unit(normal(rng, 3, 2, 5, 4)).square().sum().backward()
    without = [n for n, p in unit.named_parameters() if p.grad is None or not p.grad.any()]
    expect(not without, f"no gradient reaches {', '.join(without)}", without)


def test_a_fresh_batch_norm_starts_as_torchs():
    """weight 1, bias 0, running mean 0, running variance 1."""
    norm = checked(3, 5)[2]
    for name, wanted in nn.BatchNorm2d(5).state_dict().items():
        same(norm.state_dict()[name], wanted, what=f"{name} of a fresh batch norm")


def test_units_share_nothing():
    """Two calls give layers of their own, told by name or by place."""
    units = (
        conv_bn_relu(2, 3, (1, 3), 2),
        conv_bn_relu(in_channels=2, out_channels=3, kernel_size=(1, 3), stride=2),
    )
    first, second = ({id(tensor) for tensor in unit.state_dict(keep_vars=True).values()}
                     for unit in units)  # fmt: skip
    shared = len(first & second)
    expect(not shared, f"two units share {shared} of {len(first)} tensors", shared)


@pytest.mark.parametrize("kernel", [2, 4, (2, 3), (3, 2), 0, -1, (3, 0), (-3, 3)])
def test_what_is_no_odd_kernel_is_refused(kernel):
    """An even kernel has no middle cell: no padding keeps the size on both sides alike."""
    refuses(conv_bn_relu, 3, 4, kernel, because=f"kernel_size {kernel}")


@pytest.mark.parametrize("sizes", [(0, 4, 3, 1), (3, 0, 3, 1), (3, 4, 3, 0), (-1, 2, 1, 1)])
def test_a_size_below_1_is_refused(sizes):
    """in_channels, out_channels and stride begin at 1."""
    names = ("in_channels", "out_channels", "kernel_size", "stride")
    because = ", ".join(f"{n} {v}" for n, v in zip(names, sizes, strict=True) if v < 1)
    refuses(conv_bn_relu, *sizes, because=because)
