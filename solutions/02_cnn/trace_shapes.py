"""Follow the shapes through a network: what comes out of each layer, before anything runs."""

import contextlib
import copy
import math

import numpy as np
import torch
from torch import nn

from dojo import right, wrong


def trace_shapes(layers: list[nn.Module], in_shape: tuple[int, int, int]) -> list[tuple[int, ...]]:
    """Tell the shape after every one of `layers`, without running any of them.

    The layers follow each other. Known are Conv2d, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d,
    BatchNorm2d, ReLU, Dropout, Flatten (as `nn.Flatten()`, all values of an image in one row)
    and Linear; on a Flatten may follow ReLU, Dropout, Linear and Flatten. Every setting that
    matters counts, an int or a (vertical, horizontal) pair: stride, padding ("same" and "valid"
    too), dilation, groups, an adaptive size of which None keeps the axis, and ceil_mode: then
    one more window may hang over the far edge, if it starts inside the image or in the padding
    before it. A layer may stand at several places.

    Shapes:
        in_shape: (C, H, W) of one image, without the batch axis
        returns: a list of one tuple of ints a layer, (C, H, W), or (values,) once flattened

    Example:
        >>> trace_shapes([nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten()], (1, 5, 6))
        [(4, 3, 4), (4, 3, 4), (48,)]

    Raises:
        ValueError: names the index, counted from 0, of the first layer that cannot follow: a
            Conv2d or BatchNorm2d for other channels, one of the five 2d layers on flattened
            values, a Linear for another number of values or on what is not flattened, a layer
            that leaves less than one row or column, or one that is not known.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, chapters 2, 3 and 5; torch documentation, MaxPool2d (ceil_mode).
    """
    shapes, shape = [], tuple(in_shape)
    for index, layer in enumerate(layers):
        try:
            shape = _after(layer, shape)
            if min(shape) < 1:
                raise ValueError(f"leaves {shape}, every size must be at least 1")
        except ValueError as error:
            raise ValueError(f"layer {index}, {layer}: {error}") from None
        shapes.append(shape)
    return shapes


def _after(layer, shape):
    """The shape behind one layer."""
    match layer:
        case nn.ReLU() | nn.Dropout():
            return shape
        case nn.Flatten(start_dim=1, end_dim=-1):
            return (math.prod(shape),)
        case nn.Linear():
            if shape != (layer.in_features,):
                raise ValueError(f"takes ({layer.in_features},), not {shape}")
            return (layer.out_features,)
        case nn.Conv2d():
            rows, columns = _places(layer, *_sizes(shape, layer.in_channels))
            return (layer.out_channels, rows, columns)
        case nn.MaxPool2d() | nn.AvgPool2d():
            return (shape[0], *_places(layer, *_sizes(shape)))
        case nn.AdaptiveAvgPool2d():
            kept_or_new = zip(_sizes(shape), _pair(layer.output_size), strict=True)
            return (shape[0], *(old if new is None else new for old, new in kept_or_new))
        case nn.BatchNorm2d():
            return (shape[0], *_sizes(shape, layer.num_features))
    raise ValueError("is no layer that is known here")


def _sizes(shape, channels=None):
    """Rows and columns of maps, if these are what the layer takes."""
    if len(shape) != 3:
        raise ValueError(f"takes (C, H, W), not {shape}")
    if channels not in (None, shape[0]):
        raise ValueError(f"takes {channels} channels, not {shape[0]}")
    return shape[1:]


def _places(layer, *sizes):
    """How many windows of a convolution or a pooling fit down the rows, along the columns."""
    if layer.padding == "same":
        return sizes
    paddings = _pair(0 if layer.padding == "valid" else layer.padding)
    kernel_sizes, strides = _pair(layer.kernel_size), _pair(layer.stride)
    dilations, ceil_mode = _pair(getattr(layer, "dilation", 1)), getattr(layer, "ceil_mode", False)
    axes = zip(sizes, kernel_sizes, strides, paddings, dilations, strict=True)
    return tuple(_places_on_axis(*axis, ceil_mode) for axis in axes)


def _places_on_axis(n, kernel_size, stride, padding, dilation, ceil_mode):
    free = n + 2 * padding - dilation * (kernel_size - 1) - 1
    places = free // stride + 1
    one_more = ceil_mode and free % stride > 0 and places * stride < n + padding
    return places + one_more


def _pair(value):
    return (value, value) if value is None or isinstance(value, int) else tuple(value)


HINTS = [
    "Which of the layers change the channels, which the rows and columns, which neither? Write "
    "down what the shape is after each layer of Conv2d(1, 32, 3, padding=1), ReLU, MaxPool2d(2), "
    "Flatten for an image of 1 x 28 x 28.",
    "A loop that carries the shape along, and a branch for each kind of layer. Conv2d and both "
    "poolings share one formula for an axis of n cells, that of output_size; a dilated kernel "
    "covers more cells than it has. print(vars(nn.MaxPool2d(2))) shows what a layer knows: some "
    "settings are ints, some pairs, some are missing. Raise where you know the index.",
    "One axis: free = n + 2 * padding - dilation * (kernel_size - 1) - 1, then free // stride + 1. "
    "ceil_mode adds one if free % stride is not 0 and the new window's start, places * stride "
    "cells behind the first one's, is less than n + padding. isinstance(layer, nn.Conv2d) for "
    "the branches, math.prod for Flatten, enumerate for the index in the ValueError.",
]


@right(trace_shapes)
def by_classes(layers, in_shape):
    """A table of functions, one a class, that look at the class itself and at getattr."""

    def windows(layer, shape):
        channels, *sizes = shape
        if channels != getattr(layer, "in_channels", channels):
            raise ValueError("channels")
        found = []
        for axis in (0, 1):
            k, s, d = (
                value if isinstance(value, int) else value[axis]
                for value in (layer.kernel_size, layer.stride, getattr(layer, "dilation", 1))
            )
            reach, pad = d * (k - 1) + 1, layer.padding
            if pad in ("same", "valid"):
                both = reach - 1 if pad == "same" else 0
            else:
                both = 2 * (pad if isinstance(pad, int) else pad[axis])
            last = sizes[axis] + both - reach
            starts = list(range(0, last + 1, s))
            if getattr(layer, "ceil_mode", False):  # where the next window would start
                after = (last // s + 1) * s
                if last % s and 0 <= after < sizes[axis] + both // 2:
                    starts.append(after)
            found.append(len(starts))
            if not found[axis]:
                raise ValueError("no window fits")
        return [getattr(layer, "out_channels", channels), *found]

    def adaptive(layer, shape):
        wanted = layer.output_size
        wanted = [wanted, wanted] if isinstance(wanted, int) else list(wanted)
        return [shape[0]] + [shape[axis + 1] if w is None else w for axis, w in enumerate(wanted)]

    def norm(layer, shape):
        if shape[0] != layer.num_features:
            raise ValueError("channels")
        return shape

    def dense(layer, shape):
        if shape[0] != layer.in_features:
            raise ValueError("features")
        return [layer.out_features]

    def flat(layer, shape):
        size = 1
        for n in shape:
            size *= n
        return [size]

    table = {nn.Conv2d: windows, nn.MaxPool2d: windows, nn.AvgPool2d: windows,
             nn.AdaptiveAvgPool2d: adaptive, nn.BatchNorm2d: norm, nn.Linear: dense,
             nn.Flatten: flat}  # fmt: skip
    result = []
    for layer in layers:
        kind, shape = type(layer), list(result[-1] if result else in_shape)
        try:
            if (len(shape) == 1 and "2d" in kind.__name__) or (shape[1:] and kind is nn.Linear):
                raise ValueError("the wrong side of a flatten")
            if kind not in (nn.ReLU, nn.Dropout):
                shape = table[kind](layer, shape)
        except (ValueError, KeyError) as error:
            raise ValueError(f"[{len(result)}] {kind.__name__}: {error}") from error
        result.append(tuple(shape))
    return result


@right(trace_shapes)
def by_recursion(layers, in_shape):
    """The first layer, then the rest; sizes by the formula with ceil and a correction."""

    def follow(index, shape):
        if index == len(layers):
            return []
        layer, found = layers[index], None
        flat = len(shape) == 1
        if isinstance(layer, (nn.ReLU, nn.Dropout)) or (flat and isinstance(layer, nn.Flatten)):
            found = shape
        elif isinstance(layer, nn.Linear):
            found = (layer.out_features,) if list(shape) == [layer.in_features] else None
        elif flat:
            found = None
        elif isinstance(layer, nn.Flatten):
            found = (shape[0] * shape[1] * shape[2],)
        elif isinstance(layer, nn.BatchNorm2d):
            found = shape if shape[0] == layer.num_features else None
        elif isinstance(layer, nn.AdaptiveAvgPool2d):
            found = (shape[0], *(w or n for w, n in zip(_pair(layer.output_size), shape[1:])))  # noqa: B905
        elif isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            found = windows(layer, *shape)
        if found is None:
            raise ValueError(f"layers[{index}] cannot follow on {shape}")
        return [torch.Size(found), *follow(index + 1, found)]

    def windows(layer, channels, *sizes):
        found = []
        padding = [layer.padding] * 2 if isinstance(layer.padding, str) else _pair(layer.padding)
        strides, dilations = _pair(layer.stride), _pair(getattr(layer, "dilation", 1))
        settings = (_pair(layer.kernel_size), strides, dilations, padding)
        for n, k, s, d, p in zip(sizes, *settings, strict=True):
            k = d * (k - 1) + 1
            p = {"same": (k - 1) / 2, "valid": 0}.get(p, p)
            up = getattr(layer, "ceil_mode", False)
            size = int((math.ceil if up else math.floor)((n + 2 * p - k) / s)) + 1
            if up and (size - 1) * s >= n + p:
                size -= 1
            found.append(size)
        if isinstance(layer, nn.Conv2d):
            if channels != layer.in_channels:
                return None
            channels = layer.out_channels
        return (channels, *found) if min(found) >= 1 else None

    return follow(0, tuple(in_shape))


@right(trace_shapes)
def by_vectors(layers, in_shape):
    """numpy does both axes at once; the sizes are numpy's integers."""

    def both(layer, name, default=0):
        value = getattr(layer, name, default)
        return np.array(np.broadcast_to(value, 2), int)

    def step(layer, shape):
        maps = np.array(shape[1:])
        windowed = isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d))
        if windowed or isinstance(layer, (nn.BatchNorm2d, nn.AdaptiveAvgPool2d)):
            if maps.size != 2:
                return None
        elif isinstance(layer, nn.Linear):
            return (layer.out_features,) if shape == (layer.in_features,) else None
        elif isinstance(layer, nn.Flatten):
            return (int(np.prod(shape)),)
        else:
            return shape if isinstance(layer, (nn.ReLU, nn.Dropout)) else None
        for name in ("in_channels", "num_features"):
            if getattr(layer, name, shape[0]) != shape[0]:
                return None
        channels = getattr(layer, "out_channels", shape[0])
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            wanted = np.array(np.broadcast_to(np.array(layer.output_size, object), 2), float)
            maps = np.where(np.isnan(wanted), maps, wanted).astype(int)
        elif windowed and layer.padding != "same":
            padding = both(layer, "padding") if layer.padding != "valid" else 0
            reach = both(layer, "dilation", 1) * (both(layer, "kernel_size") - 1) + 1
            free, stride = maps + 2 * padding - reach, both(layer, "stride")
            places = np.floor(free / stride).astype(int) + 1
            if getattr(layer, "ceil_mode", False):
                more = np.ceil(free / stride).astype(int) + 1
                places = np.where((more - 1) * stride < maps + padding, more, places)
            maps = places
        return (channels, *maps) if (maps > 0).all() else None

    shapes, shape = [], tuple(in_shape)
    for index in range(len(layers)):
        before, shape = shape, step(layers[index], shape)
        if shape is None:
            raise ValueError(f"layer number {index} ({layers[index]}) does not fit on {before}")
        shapes.append(shape)
    return shapes


_POOLS = (nn.MaxPool2d, nn.AvgPool2d)
_WINDOWS = (nn.Conv2d, *_POOLS)
_MAPS = (*_WINDOWS, nn.AdaptiveAvgPool2d, nn.BatchNorm2d)


def _traced(layers, in_shape, after, message="layer {}, {}: {}", least=1):
    """The reference with another rule for what comes after one layer."""
    shapes, shape = [], tuple(in_shape)
    for index, layer in enumerate(layers):
        try:
            shape = after(layer, shape)
            if min(shape) < least:
                raise ValueError(f"leaves {shape}")
        except ValueError as error:
            raise ValueError(message.format(index, layer, error)) from None
        shapes.append(shape)
    return shapes


def _set(layers, in_shape, kinds, name, change):
    """The reference with one setting of some layers put through a function."""

    def after(layer, shape):
        if isinstance(layer, kinds) and not isinstance(getattr(layer, name, ""), str):
            layer = copy.copy(layer)
            setattr(layer, name, change(layer))
        return _after(layer, shape)

    return _traced(layers, in_shape, after)


def _counted(layers, in_shape, kinds, count):
    """The reference with another count of windows along an axis."""

    def after(layer, shape):
        if not isinstance(layer, kinds) or isinstance(layer.padding, str):
            return _after(layer, shape)
        sizes = _sizes(shape, getattr(layer, "in_channels", None))
        settings = [_pair(layer.kernel_size), _pair(layer.stride), _pair(layer.padding)]
        dilations, ceil_mode = getattr(layer, "dilation", 1), getattr(layer, "ceil_mode", False)
        axes = zip(sizes, *settings, _pair(dilations), strict=True)
        found = [count(*axis, ceil_mode) for axis in axes]
        return (getattr(layer, "out_channels", shape[0]), *found)

    return _traced(layers, in_shape, after)


def _instead(layers, in_shape, kinds, rule):
    """The reference with another rule(layer, shape) for layers of some kinds."""
    return _traced(
        layers,
        in_shape,
        lambda layer, shape: (rule if isinstance(layer, kinds) else _after)(layer, shape),
    )


@wrong(trace_shapes)
def channels_lost(layers, in_shape):
    """a Conv2d gives the channels that came in: out_channels is not looked at"""
    layers = [copy.copy(layer) for layer in layers]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            layer.out_channels = layer.in_channels
    return trace_shapes(layers, in_shape)


@wrong(trace_shapes)
def axes_exchanged(layers, in_shape):
    """rows and columns are exchanged after a Conv2d: (C, W, H)"""

    def rule(layer, shape):
        channels, rows, columns = _after(layer, shape)
        return (channels, columns, rows)

    return _instead(layers, in_shape, nn.Conv2d, rule)


@wrong(trace_shapes)
def channels_last(layers, in_shape):
    """the channels stand last: (H, W, C)"""
    return [(*shape[1:], shape[0]) for shape in trace_shapes(layers, in_shape)]


@wrong(trace_shapes)
def batch_axis(layers, in_shape):
    """every shape begins with a batch axis of 1"""
    return [(1, *shape) for shape in trace_shapes(layers, in_shape)]


@wrong(trace_shapes)
def lists(layers, in_shape):
    """the shapes are lists, not tuples"""
    return [list(shape) for shape in trace_shapes(layers, in_shape)]


@wrong(trace_shapes)
def floats(layers, in_shape):
    """sizes are floats: a division by / gives them also where it is rounded down after it"""
    return [tuple(map(float, shape)) for shape in trace_shapes(layers, in_shape)]


@wrong(trace_shapes)
def only_changes(layers, in_shape):
    """layers that keep the shape (ReLU, Dropout, BatchNorm2d) have no entry"""
    shapes, keeps = trace_shapes(layers, in_shape), (nn.ReLU, nn.Dropout, nn.BatchNorm2d)
    return [s for layer, s in zip(layers, shapes, strict=True) if not isinstance(layer, keeps)]


@wrong(trace_shapes)
def image_too(layers, in_shape):
    """the list begins with the shape of the image itself"""
    return [tuple(in_shape), *trace_shapes(layers, in_shape)]


@wrong(trace_shapes)
def not_carried_along(layers, in_shape):
    """rows and columns are not carried along: each pooling begins with those of the image"""
    image = in_shape

    def rule(layer, shape):
        return _after(layer, (shape[0], *image[1:]) if len(shape) == 3 else shape)

    return _instead(layers, in_shape, _POOLS, rule)


@wrong(trace_shapes)
def pool_stride_one(layers, in_shape):
    """a pooling moves by one cell: unless told otherwise it moves by its own size"""
    return _set(layers, in_shape, _POOLS, "stride", lambda layer: 1)


@wrong(trace_shapes)
def pool_stride_is_kernel(layers, in_shape):
    """a pooling always moves by its own size: its stride is not looked at"""
    return _set(layers, in_shape, _POOLS, "stride", lambda layer: layer.kernel_size)


@wrong(trace_shapes)
def pool_padding_ignored(layers, in_shape):
    """the padding of a pooling is ignored"""
    return _set(layers, in_shape, _POOLS, "padding", lambda layer: 0)


@wrong(trace_shapes)
def pool_dilation_ignored(layers, in_shape):
    """the dilation of a MaxPool2d is ignored"""
    return _set(layers, in_shape, nn.MaxPool2d, "dilation", lambda layer: 1)


@wrong(trace_shapes)
def pairs_by_first(layers, in_shape):
    """pairs count with their first number for both axes"""

    def rule(layer, shape):
        layer = copy.copy(layer)
        for name in ("kernel_size", "stride", "padding", "dilation"):
            value = getattr(layer, name, 1)
            setattr(layer, name, value if isinstance(value, str) else _pair(value)[0])
        return _after(layer, shape)

    return _instead(layers, in_shape, _WINDOWS, rule)


@wrong(trace_shapes)
def stride_ignored(layers, in_shape):
    """the stride of a Conv2d is ignored"""
    return _set(layers, in_shape, nn.Conv2d, "stride", lambda layer: 1)


@wrong(trace_shapes)
def padding_ignored(layers, in_shape):
    """the padding of a Conv2d is ignored, when it is given as numbers"""
    return _set(layers, in_shape, nn.Conv2d, "padding", lambda layer: 0)


@wrong(trace_shapes)
def padded_once(layers, in_shape):
    """the padding is counted once: it is added at both ends"""
    count = lambda n, k, s, p, d, up: _places_on_axis(n - p, k, s, p, d, up)  # noqa: E731
    return _counted(layers, in_shape, nn.Conv2d, count)


@wrong(trace_shapes)
def dilation_ignored(layers, in_shape):
    """the dilation of a Conv2d is ignored: its kernel covers more cells than it has weights"""
    return _set(layers, in_shape, nn.Conv2d, "dilation", lambda layer: 1)


@wrong(trace_shapes)
def dilated_too_far(layers, in_shape):
    """a dilated kernel counts as dilation * kernel_size cells: behind its last cell is no gap"""
    count = lambda n, k, s, p, d, up: _places_on_axis(n, k * d, s, p, 1, up)  # noqa: E731
    return _counted(layers, in_shape, _WINDOWS, count)


@wrong(trace_shapes)
def pairs_exchanged(layers, in_shape):
    """pairs are read as (horizontal, vertical)"""

    def rule(layer, shape):
        channels, columns, rows = _after(layer, (shape[0], *shape[:0:-1]))
        return (channels, rows, columns)

    return _instead(layers, in_shape, _WINDOWS, rule)


@wrong(trace_shapes)
def rounded_up(layers, in_shape):
    """the places of a Conv2d are rounded up: a window that hangs over the edge is counted"""
    count = lambda n, k, s, p, d, up: -((d * (k - 1) + 1 - n - 2 * p) // s) + 1  # noqa: E731
    return _counted(layers, in_shape, nn.Conv2d, count)


@wrong(trace_shapes)
def rounded_to_zero(layers, in_shape):
    """int(a / b) rounds towards 0: a kernel a little too large for its stride seems to fit"""
    count = lambda n, k, s, p, d, up: int((n + 2 * p - d * (k - 1) - 1) / s) + 1  # noqa: E731
    return _counted(layers, in_shape, nn.Conv2d, count)


@wrong(trace_shapes)
def names_unknown(layers, in_shape):
    """a padding by name is not handled: "same" and "valid" are no numbers"""
    if any(isinstance(layer, nn.Conv2d) and layer.padding in ("same", "valid") for layer in layers):
        raise TypeError("can't multiply a str by a number")
    return trace_shapes(layers, in_shape)


@wrong(trace_shapes)
def valid_as_same(layers, in_shape):
    """ "valid" is taken for "same": it keeps rows and columns"""
    layers = [copy.copy(layer) for layer in layers]
    for layer in layers:
        if getattr(layer, "padding", 0) == "valid" and set(layer.stride) == {1}:
            layer.padding = "same"
    return trace_shapes(layers, in_shape)


def _same_by(layers, in_shape, padding):
    def rule(layer, shape):
        if layer.padding == "same":
            layer = copy.copy(layer)
            sizes = zip(layer.kernel_size, layer.dilation, strict=True)
            layer.padding = tuple(padding(k, d) for k, d in sizes)
        return _after(layer, shape)

    return _instead(layers, in_shape, nn.Conv2d, rule)


@wrong(trace_shapes)
def same_for_odd_kernels(layers, in_shape):
    """ "same" is taken for a padding of half the kernel: an even kernel then adds a row"""
    return _same_by(layers, in_shape, lambda k, d: d * (k - 1) // 2 + d * (k - 1) % 2)


@wrong(trace_shapes)
def same_undilated(layers, in_shape):
    """ "same" is taken for a padding of kernel_size // 2, whatever the dilation"""
    return _same_by(layers, in_shape, lambda k, d: k // 2)


@wrong(trace_shapes)
def group_expects_its_own(layers, in_shape):
    """weight.shape[1] is taken for the channels that a Conv2d expects: that is a group's share"""

    def rule(layer, shape):
        twin = copy.copy(layer)
        twin.in_channels //= layer.groups
        return _after(twin, shape)

    return _instead(layers, in_shape, nn.Conv2d, rule)


@wrong(trace_shapes)
def ceil_ignored(layers, in_shape):
    """ceil_mode is ignored"""
    return _set(layers, in_shape, _POOLS, "ceil_mode", lambda layer: False)


@wrong(trace_shapes)
def ceil_always(layers, in_shape):
    """poolings are rounded up without ceil_mode too"""
    return _set(layers, in_shape, _POOLS, "ceil_mode", lambda layer: True)


def _more(n, k, s, p, d, up, reach):
    """The places along an axis, where with ceil_mode windows start up to `reach`."""
    free = n + 2 * p - d * (k - 1) - 1
    places = free // s + 1
    return places + (up and free % s > 0 and places * s < reach)


@wrong(trace_shapes)
def ceil_starts_anywhere(layers, in_shape):
    """with ceil_mode a window is counted that starts behind the image, not inside"""
    count = lambda *axis: _more(*axis, reach=math.inf)  # noqa: E731
    return _counted(layers, in_shape, _POOLS, count)


@wrong(trace_shapes)
def ceil_starts_in_the_far_padding(layers, in_shape):
    """with ceil_mode a window is counted that starts in the padding behind the image"""
    count = lambda n, k, s, p, d, up: _more(n, k, s, p, d, up, reach=n + 2 * p)  # noqa: E731
    return _counted(layers, in_shape, _POOLS, count)


@wrong(trace_shapes)
def ceil_forgets_the_near_padding(layers, in_shape):
    """with ceil_mode the last window's start is counted from the image, not from its padding"""
    count = lambda n, k, s, p, d, up: _more(n, k, s, p, d, up, reach=n)  # noqa: E731
    return _counted(layers, in_shape, _POOLS, count)


@wrong(trace_shapes)
def ceil_adds_always(layers, in_shape):
    """ceil_mode adds a window also where no cell is left over"""

    def count(n, k, s, p, d, up):
        places = (n + 2 * p - d * (k - 1) - 1) // s + 1
        return places + (up and places * s < n + p)

    return _counted(layers, in_shape, _POOLS, count)


def _adaptive(layers, in_shape, size):
    """The reference with size(axis, old sizes, wanted) of an adaptive pooling."""

    def rule(layer, shape):
        old, new = _sizes(shape), _pair(layer.output_size)
        return (shape[0], *(size(axis, old, new) for axis in (0, 1)))

    return _instead(layers, in_shape, nn.AdaptiveAvgPool2d, rule)


@wrong(trace_shapes)
def none_is_one(layers, in_shape):
    """None in an adaptive size counts as 1: it keeps that axis"""
    return _adaptive(layers, in_shape, lambda axis, old, new: new[axis] or 1)


@wrong(trace_shapes)
def none_keeps_the_other_axis(layers, in_shape):
    """None in an adaptive size keeps the other axis: rows come from the columns"""
    return _adaptive(layers, in_shape, lambda axis, old, new: new[axis] or old[1 - axis])


@wrong(trace_shapes)
def none_is_given_back(layers, in_shape):
    """None in an adaptive size stands in the result"""
    shapes = trace_shapes(layers, in_shape)
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            shapes[index] = (shapes[index][0], *_pair(layer.output_size))
    return shapes


@wrong(trace_shapes)
def adaptive_exchanged(layers, in_shape):
    """an adaptive size is read as (columns, rows)"""
    return _adaptive(layers, in_shape, lambda axis, old, new: new[1 - axis] or old[axis])


@wrong(trace_shapes)
def flatten_without_channels(layers, in_shape):
    """Flatten multiplies rows and columns only: the channels are lost"""
    rule = lambda layer, shape: (math.prod(shape[-2:]),)  # noqa: E731
    return _instead(layers, in_shape, nn.Flatten, rule)


@wrong(trace_shapes)
def flatten_keeps_channels(layers, in_shape):
    """Flatten keeps the channels as an axis: (C, H * W)"""

    def rule(layer, shape):
        return (shape[0], shape[1] * shape[2]) if len(shape) == 3 else shape

    return _instead(layers, in_shape, nn.Flatten, rule)


@wrong(trace_shapes)
def flatten_once(layers, in_shape):
    """a second Flatten is refused: it changes nothing, and that is legal"""
    rule = lambda layer, shape: (math.prod((shape[0], *_sizes(shape))),)  # noqa: E731
    return _instead(layers, in_shape, nn.Flatten, rule)


@wrong(trace_shapes)
def flattened_is_refused(layers, in_shape):
    """a ReLU or Dropout on flattened values is refused"""
    rule = lambda layer, shape: (shape[0], *_sizes(shape))  # noqa: E731
    return _instead(layers, in_shape, (nn.ReLU, nn.Dropout), rule)


@wrong(trace_shapes)
def channels_unchecked(layers, in_shape):
    """a Conv2d for other channels than there are is not refused"""

    def rule(layer, shape):
        return _after(layer, (layer.in_channels, *_sizes(shape)))

    return _instead(layers, in_shape, nn.Conv2d, rule)


@wrong(trace_shapes)
def norm_unchecked(layers, in_shape):
    """a BatchNorm2d for other channels than there are is not refused"""
    rule = lambda layer, shape: (shape[0], *_sizes(shape))  # noqa: E731
    return _instead(layers, in_shape, nn.BatchNorm2d, rule)


@wrong(trace_shapes)
def norm_keeps_anything(layers, in_shape):
    """a BatchNorm2d is accepted on flattened values: the number of axes is not looked at"""

    def rule(layer, shape):
        if shape[0] != layer.num_features:
            raise ValueError("channels")
        return shape

    return _instead(layers, in_shape, nn.BatchNorm2d, rule)


@wrong(trace_shapes)
def pools_keep_flat(layers, in_shape):
    """a pooling on flattened values is not refused: it is passed over"""
    kinds = (*_POOLS, nn.AdaptiveAvgPool2d)
    rule = lambda layer, shape: shape if len(shape) == 1 else _after(layer, shape)  # noqa: E731
    return _instead(layers, in_shape, kinds, rule)


@wrong(trace_shapes)
def unflattens(layers, in_shape):
    """flattened values are taken for maps of 1 x 1"""

    def rule(layer, shape):
        return _after(layer, (*shape, 1, 1) if len(shape) == 1 else shape)

    return _instead(layers, in_shape, _MAPS, rule)


@wrong(trace_shapes)
def index_error_when_flat(layers, in_shape):
    """a 2d layer on flattened values ends in an IndexError: the shape has no rows to look up"""

    def rule(layer, shape):
        return _after(layer, (shape[0], shape[1], shape[2]))

    return _instead(layers, in_shape, _MAPS, rule)


@wrong(trace_shapes)
def unpacked_without_index(layers, in_shape):
    """`c, h, w = shape` on flattened values raises a ValueError that does not name the layer"""
    shapes, shape = [], tuple(in_shape)
    for layer in layers:
        if isinstance(layer, _MAPS):
            _, _, _ = shape
        shape = trace_shapes([*[nn.ReLU() for _ in shapes], layer], shape)[-1]
        shapes.append(shape)
    return shapes


@wrong(trace_shapes)
def linear_unchecked(layers, in_shape):
    """a Linear for another number of values is not refused"""

    def rule(layer, shape):
        if len(shape) != 1:
            raise ValueError("not flattened")
        return (layer.out_features,)

    return _instead(layers, in_shape, nn.Linear, rule)


@wrong(trace_shapes)
def linear_on_the_last_axis(layers, in_shape):
    """a Linear on maps is accepted where it fits their columns, as torch itself does"""

    def rule(layer, shape):
        if shape[-1] != layer.in_features:
            raise ValueError("size")
        return (*shape[:-1], layer.out_features)

    return _instead(layers, in_shape, nn.Linear, rule)


@wrong(trace_shapes)
def linear_flattens(layers, in_shape):
    """a Linear on maps is accepted where it fits their flattened size: no layer flattens them"""
    rule = lambda layer, shape: _after(layer, (math.prod(shape),))  # noqa: E731
    return _instead(layers, in_shape, nn.Linear, rule)


@wrong(trace_shapes)
def zero_is_a_size(layers, in_shape):
    """a layer that leaves 0 rows or columns is not refused, only one that leaves less"""
    return _traced(layers, in_shape, _after, least=0)


@wrong(trace_shapes)
def negative_sizes(layers, in_shape):
    """sizes below 1 are not looked at: 0 and negative ones are given"""
    return _traced(layers, in_shape, _after, least=-math.inf)


@wrong(trace_shapes)
def only_the_last_size(layers, in_shape):
    """sizes below 1 are looked at once, at the end: a padding seems to bring lost rows back"""
    shapes = _traced(layers, in_shape, _after, least=-math.inf)
    if shapes and min(shapes[-1]) < 1:
        raise ValueError(f"layer {len(layers) - 1} leaves {shapes[-1]}")
    return shapes


@wrong(trace_shapes)
def raised_to_one(layers, in_shape):
    """sizes below 1 are raised to 1: a layer that leaves nothing is not refused"""
    return _traced(layers, in_shape, lambda *step: tuple(max(n, 1) for n in _after(*step)))


@wrong(trace_shapes)
def only_rows_must_fit(layers, in_shape):
    """only the rows must be at least 1: no columns are not refused"""

    def after(layer, shape):
        shape = _after(layer, shape)
        if len(shape) == 3 and shape[1] < 1:
            raise ValueError(f"leaves {shape[1]} rows")
        return shape

    return _traced(layers, in_shape, after, least=-math.inf)


@wrong(trace_shapes)
def passes_unknown(layers, in_shape):
    """a layer that is not known is passed over as if it kept the shape"""
    known = (*_MAPS, nn.ReLU, nn.Dropout, nn.Flatten, nn.Linear)

    def after(layer, shape):
        return _after(layer, shape) if isinstance(layer, known) else shape

    return _traced(layers, in_shape, after)


@wrong(trace_shapes)
def transposed_as_plain(layers, in_shape):
    """everything with in_channels counts as a Conv2d, a ConvTranspose2d too"""

    def rule(layer, shape):
        channels, *sizes = shape[0], *_sizes(shape, layer.in_channels)
        return (layer.out_channels, *_places(layer, *sizes)) if channels else ()

    return _instead(layers, in_shape, nn.ConvTranspose2d, rule)


@wrong(trace_shapes)
def type_error_for_unknown(layers, in_shape):
    """a layer that is not known ends in a TypeError, not in a ValueError"""

    def rule(layer, shape):
        raise TypeError(f"unknown layer {layer}")

    known = (*_MAPS, nn.ReLU, nn.Dropout, nn.Flatten, nn.Linear)

    def after(layer, shape):
        return (_after if isinstance(layer, known) else rule)(layer, shape)

    return _traced(layers, in_shape, after)


@wrong(trace_shapes)
def stops_there(layers, in_shape):
    """where a layer cannot follow the list ends there, and nothing is raised"""
    for length in range(len(layers), 0, -1):
        with contextlib.suppress(ValueError):
            return trace_shapes(layers[:length], in_shape)
    return []


@wrong(trace_shapes)
def counted_from_one(layers, in_shape):
    """the refusal counts the layers from 1"""
    try:
        return trace_shapes(layers, in_shape)
    except ValueError as error:
        index = int(str(error).split(",")[0].removeprefix("layer "))
        raise ValueError(f"layer {index + 1} cannot follow") from None


@wrong(trace_shapes)
def last_of_the_list(layers, in_shape):
    """the refusal names the last layer of the list, not the first that cannot follow"""
    return _traced(layers, in_shape, _after, message=f"layer {len(layers) - 1}: {{1!r}}, {{2}}")


@wrong(trace_shapes)
def no_index(layers, in_shape):
    """the refusal does not name the index of the layer"""
    return _traced(layers, in_shape, _after, message="{1!r}: {2}")


@wrong(trace_shapes)
def first_place_of_the_layer(layers, in_shape):
    """the refusal looks for the layer in the list (index): one that stands there twice misleads"""
    try:
        return trace_shapes(layers, in_shape)
    except ValueError as error:
        index = int(str(error).split(",")[0].removeprefix("layer "))
        raise ValueError(f"layer {layers.index(layers[index])} cannot follow") from None


@wrong(trace_shapes)
def by_layer(layers, in_shape):
    """shapes are kept by layer (a dict): a layer that stands at two places has one entry"""
    shapes = trace_shapes(layers, in_shape)
    return list(dict(zip(layers, shapes, strict=True)).values())


@wrong(trace_shapes)
def runs_a_copy(layers, in_shape):
    """the layers run: the shape is read off what comes out and not worked out"""
    trace_shapes(layers, in_shape)
    shapes, x = [], torch.zeros(1, *in_shape)
    with torch.no_grad():
        for layer in layers:
            x = copy.deepcopy(layer).eval()(x)
            shapes.append(tuple(x.shape[1:]))
    return shapes


@wrong(trace_shapes)
def runs_in_place(layers, in_shape):
    """the layers run as they are, in train mode: batch statistics move"""
    shapes, x = trace_shapes(layers, in_shape), torch.rand(4, *in_shape)
    for layer in layers:
        x = layer(x)
    return shapes


@wrong(trace_shapes)
def same_must_fit(layers, in_shape):
    """a kernel larger than the image is refused with padding "same" too: there it always fits"""

    def rule(layer, shape):
        if len(shape) == 3 and layer.padding == "same":
            spans = zip(layer.dilation, layer.kernel_size, shape[1:], strict=True)
            if any(dilation * (size - 1) >= n for dilation, size, n in spans):
                raise ValueError("the kernel does not fit")
        return _after(layer, shape)

    return _instead(layers, in_shape, nn.Conv2d, rule)


def show(answer):
    """The network for digits, each value one unit large, and what every layer holds and costs."""
    from matplotlib.figure import Figure

    layers = [
        nn.Conv2d(1, 32, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 128), nn.Linear(128, 10),
    ]  # fmt: skip
    names = ["image", "Conv2d", "MaxPool2d", "Conv2d", "MaxPool2d", "Flatten", "Linear", "Linear"]
    shapes = [(1, 28, 28), *answer.trace_shapes(layers, (1, 28, 28))]
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    space, values, costs = figure.subplots(3, 1, height_ratios=[2, 1, 1])
    places, start = [], 0.0
    for name, shape in zip(names, shapes, strict=True):
        width = _solid(space, start, shape)
        places.append(start + width / 2)
        label = f"{name}\n" + " x ".join(map(str, shape))
        space.annotate(label, (places[-1], -3), ha="center", va="top", fontsize=9)
        start += width + 28
    space.set(xlim=(-12, start - 12), ylim=(-21, 41), aspect="equal", anchor="C")
    told = "Rows and columns shrink, channels grow, then all is flat (to scale: one unit a value)"
    space.set_title(told, fontsize=11)
    space.set_axis_off()
    counts = [math.prod(shape) for shape in shapes]
    weights = [0, *(sum(p.numel() for p in layer.parameters()) for layer in layers)]
    for axis, heights, title in [(values, counts, "values held"), (costs, weights, "parameters")]:
        axis.bar(places, heights, width=18, color="#4878a8" if axis is values else "#b5543c")
        for place, height in zip(places, heights, strict=True):
            axis.annotate(f"{height:,}", (place, height), ha="center", va="bottom", fontsize=9)
        axis.set(xlim=space.get_xlim(), ylim=(0, 1.35 * max(heights)), xticks=[], yticks=[])
        axis.set_ylabel(title, fontsize=9)
        axis.spines[["top", "right", "left"]].set_visible(False)
    return figure


def _solid(axis, x, shape):
    """Maps as a block, its length the channels; a row of values as a sheet, 28 in a column."""
    from matplotlib.patches import Polygon

    if len(shape) == 3:
        depth, rows, columns = shape
    else:
        rows, columns = min(28, shape[0]), 0
        depth = shape[0] / rows
    slant = lift = 0.4 * columns
    front = [(x, 0), (x + depth, 0), (x + depth, rows), (x, rows)]
    top = [(x, rows), (x + depth, rows), (x + depth + slant, rows + lift), (x + slant, rows + lift)]
    side = [(x + depth, 0), (x + depth, rows), (x + depth + slant, rows + lift),
            (x + depth + slant, lift)]  # fmt: skip
    for corners, colour in ((front, "#9fbfdf"), (top, "#d5e3f0"), (side, "#6d95bd")):
        axis.add_patch(Polygon(corners, facecolor=colour, edgecolor="#30506f", linewidth=0.8))
    return depth + slant
