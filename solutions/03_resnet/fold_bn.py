"""Fold batch norm into the convolution before it: one layer does the work of two."""

import copy

import torch
from torch import nn

from dojo import right, wrong


def fold_bn(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> nn.Conv2d:
    """Make one convolution that gives what conv and then bn give in eval.

    In eval a batch norm multiplies each channel by one number and adds another. A convolution
    can do that by itself, with other weights and another bias. What you make is new: conv and
    bn stay as they are, their modes too, and share no weights with it. Whatever else conv was
    told (stride, padding and how to pad, dilation, groups) holds for the new one, as do its
    dtype and device. A conv without bias counts as one with a bias of 0, and a batch norm
    with affine=False as one with weights of 1 and biases of 0.

    Shapes:
        conv: any nn.Conv2d, with or without a bias
        bn: nn.BatchNorm2d over conv's out_channels, in any mode, of any dtype
        returns: an nn.Conv2d with a bias

    Example:
        >>> conv, bn = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        >>> fold_bn(conv, bn).bias.shape
        torch.Size([8])

    Raises:
        ValueError: bn has no running statistics, or other channels than conv gives.

    Source: Jacob et al., Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference, arXiv:1712.05877, section 3.2.
    """
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("bn has no running statistics: in eval it would measure its batch")
    if bn.num_features != conv.out_channels:
        raise ValueError(f"bn has {bn.num_features} channels, conv gives {conv.out_channels}")
    folded = nn.Conv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding,
        conv.dilation, conv.groups, True, conv.padding_mode, conv.weight.device,
        conv.weight.dtype,
    )  # fmt: skip
    with torch.no_grad():
        gain = (bn.running_var + bn.eps).rsqrt()
        if bn.weight is not None:
            gain = gain * bn.weight
        bias = -bn.running_mean if conv.bias is None else conv.bias - bn.running_mean
        folded.weight.copy_(conv.weight * gain[:, None, None, None])
        folded.bias.copy_(bias * gain if bn.bias is None else bias * gain + bn.bias)
    return folded


HINTS = [
    "Write down what bn makes of one number y of channel c in eval. Which number multiplies y, "
    "and what is added that does not depend on y? Now put convolution's result in for y.",
    "gain = weight / sqrt(running_var + eps), one for each output channel. It multiplies all of "
    "that filter's weights. conv's bias goes through the batch norm just as any other y does.",
    "New weights: conv.weight * gain[:, None, None, None]. New bias: (conv.bias - running_mean) "
    "* gain + bn.bias. Copy both under torch.no_grad() into a new nn.Conv2d that is told all "
    "that conv was told, padding_mode and groups too.",
]


@right(fold_bn)
def by_a_copy(conv, bn):
    """A deep copy of the convolution, in float64 on the way."""
    if not bn.track_running_stats or bn.num_features != len(conv.weight):
        raise ValueError("bn does not fit")
    folded = copy.deepcopy(conv)
    root = torch.sqrt(bn.running_var.double() + bn.eps)
    weight = torch.ones_like(root) if bn.weight is None else bn.weight.detach().double()
    shift = torch.zeros_like(root) if bn.bias is None else bn.bias.detach().double()
    old = torch.zeros_like(root) if conv.bias is None else conv.bias.detach().double()
    kind = conv.weight.dtype
    bent = torch.einsum("fchw,f->fchw", conv.weight.detach().double(), weight / root)
    folded.weight = nn.Parameter(bent.to(kind))
    folded.bias = nn.Parameter(((old - bn.running_mean.double()) * weight / root + shift).to(kind))
    return folded


@right(fold_bn)
def by_asking_bn(conv, bn):
    """What a batch norm adds and multiplies by is read from its answers to 0 and 1."""
    if bn.running_mean is None:
        raise ValueError("no statistics")
    if bn.running_mean.numel() != conv.out_channels:
        raise ValueError("other channels")
    asked = copy.deepcopy(bn).eval().double()
    with torch.no_grad():
        zero, one = asked(torch.zeros(2, bn.num_features, 1, 1).double().index_fill(
            0, torch.tensor([1]), 1.0))  # fmt: skip
        zero, one = zero.flatten(), one.flatten()
        folded = copy.deepcopy(conv).double()
        folded.bias = nn.Parameter(zero if conv.bias is None
                                   else folded.bias * (one - zero) + zero)  # fmt: skip
        folded.weight *= (one - zero).reshape(-1, 1, 1, 1)
    return folded.to(conv.weight.dtype)


@right(fold_bn)
def filter_by_filter(conv, bn):
    """Plain numbers: a loop over the filters, each with a gain and a shift of its own."""
    if bn.running_var is None or len(bn.running_var) != conv.weight.shape[0]:
        raise ValueError("bn does not fit conv")
    folded = copy.deepcopy(conv)
    folded.register_parameter("bias", nn.Parameter(conv.weight.new_zeros(conv.out_channels)))
    with torch.no_grad():
        for f in range(conv.out_channels):
            gain = 1.0 / (bn.running_var[f].item() + bn.eps) ** 0.5
            shift = 0.0
            if bn.affine:
                gain, shift = gain * bn.weight[f].item(), bn.bias[f].item()
            start = 0.0 if conv.bias is None else conv.bias[f].item()
            folded.weight[f] = conv.weight[f] * gain
            folded.bias[f] = (start - bn.running_mean[f].item()) * gain + shift
    return folded


@right(fold_bn)
def by_state_dict(conv, bn):
    """A diagonal matrix multiplies the flat filters; the new layer loads the result."""
    kept = {name: tensor.to(conv.weight) for name, tensor in bn.state_dict().items()}
    if "running_mean" not in kept:
        raise ValueError("nothing to fold")
    if kept["running_mean"].shape != conv.weight.shape[:1]:
        raise ValueError("other channels")
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    told = {name: getattr(conv, name) for name in names}
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, **told)
    gain = torch.diag(kept.get("weight", 1.0) / (kept["running_var"] + bn.eps).sqrt())
    old = -kept["running_mean"] if conv.bias is None else conv.bias.data - kept["running_mean"]
    weight = torch.mm(gain, conv.weight.data.flatten(1)).reshape(conv.weight.shape)
    folded.to(conv.weight).load_state_dict(
        {"weight": weight, "bias": gain @ old + kept.get("bias", 0.0)}
    )
    return folded


def _with(conv, bn, weight=None, bias=None):
    """The right answer with other weights or another bias."""
    folded = fold_bn(conv, bn)
    with torch.no_grad():
        for tensor, new in ((folded.weight, weight), (folded.bias, bias)):
            if new is not None:
                tensor.copy_(new)
    return folded


def _parts(conv, bn):
    """gain, mean, conv's bias and bn's bias, all without gradients."""
    fold_bn(conv, bn)  # refuses
    gain = (bn.running_var + bn.eps).rsqrt()
    gain = gain if bn.weight is None else gain * bn.weight.detach()
    zero = torch.zeros_like(gain)
    old = zero if conv.bias is None else conv.bias.detach()
    return gain, bn.running_mean, old, zero if bn.bias is None else bn.bias.detach()


def _by(conv, bn, gain):
    """Folded with another gain."""
    _, mean, old, shift = _parts(conv, bn)
    return _with(conv, bn, conv.weight * gain[:, None, None, None], (old - mean) * gain + shift)


@wrong(fold_bn)
def eps_missing(conv, bn):
    """eps is missing under the root"""
    gain = _parts(conv, bn)[0] * (bn.running_var + bn.eps).sqrt()
    return _by(conv, bn, gain / bn.running_var.sqrt())


@wrong(fold_bn)
def eps_outside(conv, bn):
    """eps stands outside of the root"""
    gain = _parts(conv, bn)[0] * (bn.running_var + bn.eps).sqrt()
    return _by(conv, bn, gain / (bn.running_var.sqrt() + bn.eps))


@wrong(fold_bn)
def eps_fixed(conv, bn):
    """bn's own eps is ignored: 1e-5 is used"""
    gain = _parts(conv, bn)[0] * (bn.running_var + bn.eps).sqrt()
    return _by(conv, bn, gain / (bn.running_var + 1e-5).sqrt())


@wrong(fold_bn)
def no_root(conv, bn):
    """divided by the variance, not by its root"""
    return _by(conv, bn, _parts(conv, bn)[0] / (bn.running_var + bn.eps).sqrt())


@wrong(fold_bn)
def variance_ignored(conv, bn):
    """the running variance is ignored: only bn's weight multiplies"""
    return _by(conv, bn, _parts(conv, bn)[0] * (bn.running_var + bn.eps).sqrt())


@wrong(fold_bn)
def gamma_ignored(conv, bn):
    """bn's weight is ignored"""
    return _by(conv, bn, (bn.running_var + bn.eps).rsqrt() + 0 * _parts(conv, bn)[0])


@wrong(fold_bn)
def batch_statistics(conv, bn):
    """batch statistics: measured from the convolution's weights, not what bn remembers"""
    gain, _, old, shift = _parts(conv, bn)
    flat = conv.weight.detach().flatten(1)
    other = gain * ((bn.running_var + bn.eps) / (flat.var(1, unbiased=False) + bn.eps)).sqrt()
    bias = (old - flat.mean(1)) * other + shift
    return _with(conv, bn, conv.weight * other[:, None, None, None], bias)


@wrong(fold_bn)
def bias_unscaled(conv, bn):
    """conv's bias is unscaled: it has to be multiplied as the weights are"""
    gain, mean, old, shift = _parts(conv, bn)
    return _with(conv, bn, bias=old - mean * gain + shift)


@wrong(fold_bn)
def bias_dropped(conv, bn):
    """conv's own bias is dropped"""
    gain, mean, _, shift = _parts(conv, bn)
    return _with(conv, bn, bias=shift - mean * gain)


@wrong(fold_bn)
def beta_dropped(conv, bn):
    """bn's bias is dropped"""
    gain, mean, old, _ = _parts(conv, bn)
    return _with(conv, bn, bias=(old - mean) * gain)


@wrong(fold_bn)
def beta_scaled(conv, bn):
    """bn's bias is multiplied too: it is added at the very end"""
    gain, mean, old, shift = _parts(conv, bn)
    return _with(conv, bn, bias=(old - mean + shift) * gain)


@wrong(fold_bn)
def mean_dropped(conv, bn):
    """the running mean is not taken away"""
    gain, _, old, shift = _parts(conv, bn)
    return _with(conv, bn, bias=old * gain + shift)


@wrong(fold_bn)
def mean_added(conv, bn):
    """the running mean is added, not taken away"""
    gain, mean, old, shift = _parts(conv, bn)
    return _with(conv, bn, bias=(old + mean) * gain + shift)


@wrong(fold_bn)
def mean_unscaled(conv, bn):
    """the running mean is taken away unscaled"""
    gain, mean, old, shift = _parts(conv, bn)
    return _with(conv, bn, bias=old * gain - mean + shift)


@wrong(fold_bn)
def only_the_bias(conv, bn):
    """the weights are left as they are: only the bias is folded"""
    return _with(conv, bn, weight=conv.weight)


@wrong(fold_bn)
def only_the_weights(conv, bn):
    """only the weights are folded: the bias is conv's own"""
    return _with(conv, bn, bias=_parts(conv, bn)[2])


@wrong(fold_bn)
def wrong_axis(conv, bn):
    """the gain runs along the wrong axis of the weights: input channels, not output channels"""
    gain = _parts(conv, bn)[0]
    return _with(conv, bn, weight=conv.weight * gain[None, :, None, None])


@wrong(fold_bn)
def wrong_axis_width(conv, bn):
    """the gain runs along the wrong axis of the weights: the kernel's width"""
    return _with(conv, bn, weight=conv.weight * _parts(conv, bn)[0])


@wrong(fold_bn)
def first_gain_for_all(conv, bn):
    """one channel's gain is used for all"""
    return _by(conv, bn, _parts(conv, bn)[0][:1].expand(bn.num_features))


def _told(conv, bn, **other):
    """Folded into a convolution that was told something else than conv."""
    folded = fold_bn(conv, bn)
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    told = {name: getattr(conv, name) for name in names} | other
    new = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, **told)
    with torch.no_grad():
        new.weight.copy_(folded.weight)
        new.bias.copy_(folded.bias)
    return new.to(conv.weight.dtype) if "dtype" not in other else new


@wrong(fold_bn)
def stride_forgotten(conv, bn):
    """conv's stride is forgotten"""
    return _told(conv, bn, stride=1)


@wrong(fold_bn)
def padding_forgotten(conv, bn):
    """conv's padding is forgotten"""
    return _told(conv, bn, padding=0)


@wrong(fold_bn)
def padding_mode_forgotten(conv, bn):
    """conv's padding_mode is forgotten: it pads with zeros"""
    return _told(conv, bn, padding_mode="zeros")


@wrong(fold_bn)
def dilation_forgotten(conv, bn):
    """conv's dilation is forgotten"""
    return _told(conv, bn, dilation=1)


@wrong(fold_bn)
def groups_forgotten(conv, bn):
    """conv's groups are forgotten"""
    return _told(conv, bn, groups=1)


@wrong(fold_bn)
def dtype_forgotten(conv, bn):
    """conv's dtype is forgotten: the result is float32"""
    return fold_bn(conv, bn).float()


@wrong(fold_bn)
def dtype_of_bn(conv, bn):
    """the result has bn's dtype, not conv's"""
    return fold_bn(conv, bn).to(bn.running_var.dtype)


@wrong(fold_bn)
def dtype_of_the_products(conv, bn):
    """the result has the dtype that conv's numbers times bn's have, not conv's own"""
    folded = fold_bn(conv, bn)
    return folded.to(torch.promote_types(conv.weight.dtype, bn.running_var.dtype))


@wrong(fold_bn)
def square_kernel(conv, bn):
    """only the kernel's height is read: a kernel that is not square stops, or becomes one"""
    folded = fold_bn(conv, bn)
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    told = {name: getattr(conv, name) for name in names}
    new = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size[0], **told)
    with torch.no_grad():
        new.to(conv.weight.dtype).weight.copy_(folded.weight)
        new.bias.copy_(folded.bias)
    return new


@wrong(fold_bn)
def one_stride(conv, bn):
    """only the first number of conv's stride is read: a stride of (2, 1) becomes 2"""
    return _told(conv, bn, stride=conv.stride[0])


@wrong(fold_bn)
def one_dilation(conv, bn):
    """only the first number of conv's dilation is read: one of (1, 2) becomes 1"""
    return _told(conv, bn, dilation=conv.dilation[0])


@wrong(fold_bn)
def one_padding(conv, bn):
    """only the first number of conv's padding is read: one of (2, 1) becomes 2"""
    padding = conv.padding if isinstance(conv.padding, str) else conv.padding[0]
    return _told(conv, bn, padding=padding)


@wrong(fold_bn)
def no_word_as_padding(conv, bn):
    """padding as a word ("same") is read as if it were a pair of numbers"""
    return _told(conv, bn, padding=(conv.padding[0], conv.padding[1]))


@wrong(fold_bn)
def frozen(conv, bn):
    """the new layer's weights are frozen: requires_grad is off, it cannot be trained"""
    return fold_bn(conv, bn).requires_grad_(False)


@wrong(fold_bn)
def in_place(conv, bn):
    """conv itself is changed"""
    folded = fold_bn(conv, bn)
    conv.weight.data = folded.weight.data.clone()
    return folded


@wrong(fold_bn)
def conv_itself(conv, bn):
    """conv itself is changed and returned: it has to stay as it was"""
    folded = fold_bn(conv, bn)
    conv.weight, conv.bias = folded.weight, folded.bias
    return conv


@wrong(fold_bn)
def bn_left_in_eval(conv, bn):
    """bn is left in eval"""
    bn.eval()
    return fold_bn(conv, bn)


@wrong(fold_bn)
def both_layers(conv, bn):
    """both layers one after the other: nothing is folded"""
    fold_bn(conv, bn)
    return nn.Sequential(copy.deepcopy(conv), copy.deepcopy(bn).eval())


@wrong(fold_bn)
def no_statistics_accepted(conv, bn):
    """a bn without running statistics is not refused"""
    if bn.running_mean is None:
        return copy.deepcopy(conv)
    return fold_bn(conv, bn)


@wrong(fold_bn)
def other_channels_accepted(conv, bn):
    """a bn of other channels is not refused"""
    if bn.num_features != conv.out_channels:
        return copy.deepcopy(conv)
    return fold_bn(conv, bn)
