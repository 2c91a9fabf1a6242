"""Fold batch norm into the convolution: the same numbers from one layer instead of two."""

import copy

import pytest
import torch
from torch import nn, tensor

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import model_left_alone, normal

fold_bn = answer("fold_bn")


def layers(rng, *sizes, affine=True, eps=1e-5, dtype=torch.float32, **told):
    """A convolution and a batch norm in eval, with fresh numbers everywhere."""
    conv = nn.Conv2d(*sizes, **told)
    bn = nn.BatchNorm2d(conv.out_channels, affine=affine, eps=eps).eval()
    with torch.no_grad():
        for kept in (*conv.parameters(), *bn.parameters(), bn.running_mean, bn.running_var):
            kept.copy_(normal(rng, *kept.shape))
        bn.running_var.abs_().add_(0.2)
    return conv.to(dtype), bn.to(dtype)


def folded(conv, bn):
    """The answer, which is an nn.Conv2d with a bias."""
    one = fold_bn(conv, bn)
    name = type(one).__name__
    article = "an" if name[0] in "AEIOU" else "a"
    expect(isinstance(one, nn.Conv2d), f"{article} {name} is returned, expected an nn.Conv2d", name)
    return one


def agrees(conv, bn, x, tolerance=1e-4):
    with torch.no_grad():
        expected = copy.deepcopy(bn).eval()(conv(x))
        got = folded(conv, bn)(x)
    same(got, expected, tolerance=tolerance)


def test_one_weight_by_hand():
    """conv gives 3 x + 1; bn takes 5 away, divides by 2, times 4, plus 7: 6 x - 1."""
    conv, bn = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.5).eval()
    numbers = [(conv.weight, 3.0), (conv.bias, 1.0), (bn.weight, 4.0), (bn.bias, 7.0),
               (bn.running_mean, 5.0), (bn.running_var, 3.5)]  # fmt: skip
    with torch.no_grad():
        for kept, number in numbers:
            kept.fill_(number)
    one = folded(conv, bn)
    expect(one.bias is not None, "the convolution has no bias", "bias")
    same(one.weight.detach().flatten(), tensor([3.0 * 4 / 2]), what="weight")
    same(one.bias.detach(), tensor([(1.0 - 5) * 4 / 2 + 7]), what="bias")


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "not affine"])
def test_one_layer_gives_what_two_give(rng, bias, affine):
    """With and without conv's bias, with and without bn's weight and bias."""
    conv, bn = layers(rng, 2, 5, (3, 2), bias=bias, affine=affine)
    agrees(conv, bn, normal(rng, 3, 2, 6, 7))


@pytest.mark.parametrize("sizes", [(4, 4, (2, 4)), (1, 3, 1), (3, 1, 2), (5, 2, (1, 3))])
def test_any_sizes(rng, sizes):
    """Each filter has its own gain, whatever the channels and the kernel."""
    agrees(*layers(rng, *sizes), normal(rng, 2, sizes[0], 5, 6))


@pytest.mark.parametrize(
    "told",
    [{"stride": (2, 1)}, {"padding": (2, 1)}, {"padding": "same"}, {"dilation": (1, 2)},
     {"groups": 2}, {"groups": 4, "stride": 3}, {"padding": 1, "padding_mode": "reflect"},
     {"padding": (1, 0), "padding_mode": "circular", "bias": False},
     {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}, {"padding": "valid"},
     {"padding": "same", "dilation": (2, 3)}, {"padding": "same", "kernel_size": (4, 5)}],
    ids=str,
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Using padding='same' with even")
def test_whatever_conv_was_told(rng, told):
    """Stride, padding as number or word, padding mode, dilation and groups stay."""
    agrees(*layers(rng, 4, 8, **({"kernel_size": 3} | told)), normal(rng, 2, 4, 9, 8))


@pytest.mark.parametrize(
    ("of_conv", "of_bn"), [("float64", "float64"), ("float64", "float32"), ("float32", "float64")]
)
def test_the_dtype_is_convs(rng, of_conv, of_bn):
    """Weight and bias have conv's dtype, whatever bn's is."""
    conv, bn = layers(rng, 2, 3, (1, 2), dtype=getattr(torch, of_conv))
    x = normal(rng, 2, 2, 4, 5, dtype=conv.weight.dtype)
    expected = bn(conv(x)).detach()
    one = folded(conv, bn.to(getattr(torch, of_bn)))
    held = [kept for kept in (one.weight, one.bias) if kept is not None]
    kinds = sorted({str(kept.dtype).removeprefix("torch.") for kept in held})
    expect(kinds == [of_conv], f"the parameters are {', '.join(kinds)}, of a conv in {of_conv} "
           f"and a bn in {of_bn}", kinds)  # fmt: skip
    same(one(x).detach(), expected, tolerance=1e-4)


@pytest.mark.parametrize("eps", [1e-5, 1e-2, 1.0])
def test_eps_joins_the_variance_under_the_root(rng, eps):
    """bn's own eps: it shows where the variance is small."""
    conv, bn = layers(rng, 2, 3, 2, eps=eps, dtype=torch.float64)
    bn.running_var.copy_(tensor([1e-4, 2.0, 0.01]))
    agrees(conv, bn, normal(rng, 2, 2, 4, 5, dtype=torch.float64), tolerance=1e-7)


def test_bn_may_be_in_training(rng):
    """What counts is what it would do in eval."""
    conv, bn = layers(rng, 2, 3, 2)
    agrees(conv, bn.train(), normal(rng, 2, 2, 4, 5))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "not affine"])
def test_conv_and_bn_stay_as_they_are(rng, bias, affine, training):
    """Weights, statistics, modes, .grad and hooks: the two can be trained on."""
    conv, bn = layers(rng, 2, 3, 2, bias=bias, affine=affine)
    both = nn.ModuleList([conv, bn])
    bn(conv(normal(rng, 4, 2, 5, 6))).square().sum().backward()
    for module in (conv, bn):
        module.training = training
        module.register_forward_hook(lambda *_: None)
    with model_left_alone(both):
        folded(conv, bn)


def test_the_new_layer_shares_no_weights(rng):
    """What is done to it is not seen in conv and bn."""
    conv, bn = layers(rng, 2, 3, 2)
    one = folded(conv, bn)
    expect(one is not conv, "conv itself is returned", "conv")
    both = nn.ModuleList([conv, bn])
    with model_left_alone(both), torch.no_grad():
        for parameter in one.parameters():
            parameter.fill_(9.0)


def test_it_folds_anew_each_time(rng):
    """The same two layers after more training: another fold, and a layer of its own."""
    conv, bn = layers(rng, 2, 3, 2)
    folded(conv, bn)
    bn.running_mean.add_(3.0)
    agrees(conv, bn, normal(rng, 2, 2, 4, 5))


def test_it_can_be_trained(rng):
    """Weight and bias are parameters of their own, without a graph behind them."""
    conv, bn = layers(rng, 2, 3, 2)
    one = folded(conv, bn)
    names = sorted(name for name, _ in one.named_parameters())
    found = ", ".join(names) or "none"
    expect(names == ["bias", "weight"], f"the parameters are {found}, expected bias, weight", names)
    frozen = [name for name, parameter in one.named_parameters() if not parameter.requires_grad]
    expect(not frozen, f"requires_grad is off: {', '.join(frozen)} cannot be trained", frozen)
    one(normal(rng, 2, 2, 4, 5)).square().sum().backward()
    reached = all(p.grad is not None for p in one.parameters())
    expect(reached, "no gradient reaches weight and bias", "gradient")
    held = conv.weight.grad is None and bn.weight.grad is None
    expect(held, "a gradient reaches conv or bn: the new weights hang on their graph", "graph")


def test_a_bn_without_running_statistics_is_refused():
    """It would measure its batch in eval too: there is nothing to fold."""
    bn = nn.BatchNorm2d(3, track_running_stats=False)
    refuses(fold_bn, nn.Conv2d(2, 3, 2), bn, because="a bn without running statistics")


@pytest.mark.parametrize("affine", [True, False], ids=["affine", "not affine"])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_bn_of_other_channels_is_refused(channels, affine):
    """bn counts what comes out of conv."""
    because = f"a bn of {channels} channels, conv gives 3"
    bn = nn.BatchNorm2d(channels, affine=affine)
    refuses(fold_bn, nn.Conv2d(2, 3, 2), bn, because=because)
