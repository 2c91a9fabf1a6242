"""How far does a unit see? What both functions must do, easiest first."""

import contextlib
import copy

import pytest
import torch
from torch import nn

from dojo.checks import answer, expect, refuses, same, same_value
from dojo.tensors import model_left_alone

receptive_field = answer("receptive_field")
measured_receptive_field = answer("measured_receptive_field")

FORWARDS = {kind: kind.forward for kind in (nn.ReLU, nn.MaxPool2d)}


@pytest.fixture(autouse=True)
def _torch_stays_whole():
    """What an answer leaves behind in torch itself is gone before the next test."""
    with torch.enable_grad():
        yield
    for kind, forward in FORWARDS.items():
        kind.forward = forward


def check_box(model, in_shape, unit, expected, lost=None):
    """`lost` names what any smaller box has in common, where its size is up to chance."""
    got = measured_receptive_field(model, in_shape, unit)
    of_ints = isinstance(got, tuple) and all(type(v).__name__.startswith("int") for v in got)
    seen = tuple(map(int, got)) if of_ints else f"{got!r}"[:60]
    inside = of_ints and (*map(max, seen[:2], expected[:2]), *map(min, seen[2:], expected[2:]))
    observed = lost if lost and seen == inside else got
    message = f"the box is {seen}, expected {expected} as (top, left, bottom, right)"
    expect(of_ints and got == expected, message, observed)


@pytest.mark.parametrize("layer", [(3, 1), (5, 2), (1, 1), (4, 3), (1, 2)])
def test_one_layer_sees_its_kernel(layer):
    """One layer sees as many pixels as its kernel is long, whatever its own stride."""
    same_value(receptive_field([layer]), layer[0])


@pytest.mark.parametrize(
    ("layers", "expected"),
    [([(3, 1)] * 2, 5), ([(3, 1)] * 4, 9), ([(2, 1), (4, 1)], 5), ([(3, 2), (3, 1)], 3 + 2 * 2),
     ([(2, 2), (3, 1), (2, 1)], 2 + 2 * 2 + 1 * 2), ([(3, 1), (2, 2), (3, 1)], 3 + 1 + 2 * 2),
     ([(2, 2)] * 3, 2 + 2 + 4), ([(3, 2), (3, 3), (2, 1)], 3 + 2 * 2 + 1 * 6),
     ([(1, 3), (2, 2), (2, 1)], 1 + 3 + 6)],
)  # fmt: skip
def test_neighbours_stand_as_far_apart_as_all_strides_before_say(layers, expected):
    """conv 3, pool 2, conv 3 see 8 pixels: behind the pool two neighbours are 2 pixels apart."""
    same_value(receptive_field(layers), expected)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [([(5, 1), (2, 2)] * 2, 16),
     ([(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)], 195),
     (([(3, 1)] * 2 + [(2, 2)]) * 2 + ([(3, 1)] * 3 + [(2, 2)]) * 3, 212),
     ([(7, 2), (3, 2)] + [(3, 1)] * 4 + ([(3, 2)] + [(3, 1)] * 3) * 3, 435)],
    ids=["LeNet-5", "AlexNet", "VGG-16", "ResNet-18"],
)  # fmt: skip
def test_known_networks(layers, expected):
    """A unit of VGG-16's last map sees 212 pixels, one of ResNet-18's sees 435."""
    same_value(receptive_field(layers), expected)


def test_without_layers_a_pixel_sees_itself():
    """No layers, one pixel."""
    same_value(receptive_field([]), 1)


@pytest.mark.parametrize(
    ("layer", "unit", "expected"),
    [(nn.Conv2d(2, 4, 3, dilation=(2, 1)), (1, 2), (1, 2, 5, 4)),
     (nn.Conv2d(2, 4, 3, groups=2), (1, 2), (1, 2, 3, 4))],
    ids=["dilation", "groups"],
)  # fmt: skip
def test_layers_do_what_they_are_told(layer, unit, expected):
    """A dilated kernel has gaps, one in groups looks at some of the channels."""
    check_box(nn.Sequential(layer), (2, 8, 9), unit, expected)


@pytest.mark.parametrize(
    ("unit", "expected"), [((1, 3), (2, 3, 4, 7)), ((0, 0), (0, 0, 2, 4)), ((3, 6), (6, 6, 8, 10))]
)
def test_one_convolution_sees_the_window_of_its_unit(unit, expected):
    """A 3x5 kernel with stride (2, 1): bounds are the first and the last row and column."""
    check_box(nn.Sequential(nn.Conv2d(2, 3, (3, 5), (2, 1))), (2, 9, 11), unit, expected)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ((0, 0), (0, 0, 1, 2)),
        ((3, 0), (2, 0, 4, 2)),
        ((0, 7), (0, 5, 1, 7)),
        ((5, 6), (4, 4, 5, 7)),
    ],
)
def test_the_box_is_cut_at_the_border(unit, expected):
    """Padding has no pixels: at the border a 3x5 kernel with padding (1, 2) sees less."""
    check_box(nn.Sequential(nn.Conv2d(2, 3, (3, 5), 1, (1, 2))), (2, 6, 8), unit, expected)


def test_a_weight_of_zero_connects():
    """A 3x5 kernel whose rim is 0 still looks at 3x5 pixels: weights of 0 may yet be learnt."""
    conv = nn.Conv2d(2, 3, (3, 5))
    with torch.no_grad():
        conv.weight[:, :, [0, 2]] = 0
        conv.weight[:, :, :, [0, 4]] = 0
    check_box(conv, (2, 6, 9), (2, 1), (2, 1, 4, 5))
    model = nn.Sequential(nn.Conv2d(2, 3, (2, 3)), nn.BatchNorm2d(3)).eval()
    nn.init.zeros_(model[1].weight)
    check_box(model, (2, 7, 9), (2, 3), (2, 3, 3, 5))


def test_paths_that_cancel_connect():
    """Two equal channels, one added and one taken away, cancel in value; they are connected."""
    twins, minus = nn.Conv2d(1, 2, (1, 3)), nn.Conv2d(2, 1, (3, 1))
    with torch.no_grad():
        twins.bias[:], twins.weight[:] = 0, 0.5
        minus.weight[0] = torch.tensor([[[1.0], [1], [2]], [[-1], [-1], [1]]])
    check_box(nn.Sequential(twins, minus), (1, 7, 6), (3, 2), (3, 2, 5, 4))


def test_a_relu_that_is_shut_connects():
    """A ReLU whose inputs are all negative gives 0 for now: it may open, so it is connected."""
    model = nn.Sequential(nn.Conv2d(2, 2, (3, 2)), nn.ReLU(), nn.Conv2d(2, 2, (1, 3)), nn.ReLU())
    with torch.no_grad():
        model[0].weight.neg_().sub_(1)
        model[0].bias[:] = -1e4
    check_box(model, (2, 6, 8), (1, 2), (1, 2, 3, 5))


@pytest.mark.parametrize("pool", [nn.AvgPool2d, nn.MaxPool2d])
def test_every_cell_of_a_pooling_window_connects(pool):
    """All cells of a pooling window reach the unit, not one argmax only, the largest right now."""
    lost = "cells of a pooling window"
    model = nn.Sequential(nn.Conv2d(3, 2, 1), pool((2, 4), (2, 3)))
    check_box(model, (3, 9, 11), (2, 1), (4, 3, 5, 6), lost)
    model = nn.Sequential(nn.Conv2d(2, 2, 1), pool((3, 5), 1, (1, 2)), pool((3, 2), 2))
    check_box(model, (2, 9, 8), (0, 1), (0, 0, 3, 5), lost)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), pool(2), nn.Conv2d(3, 2, 3))
    check_box(model, (2, 14, 16), (1, 2), (2, 4, 9, 11), lost)


def test_pools_and_relus_inside_of_blocks_connect():
    """What stands inside a block, or a block in a block, is a layer like any other."""
    inner = nn.Sequential(nn.ReLU(), nn.Sequential(nn.MaxPool2d((3, 2), 1)))
    model = nn.Sequential(nn.Conv2d(1, 2, (2, 3)), nn.Sequential(inner, nn.Conv2d(2, 2, 1)))
    check_box(model, (1, 8, 9), (2, 3), (2, 3, 5, 6))


def test_pixels_that_a_stride_leaves_over_are_not_seen():
    """Row 6 of 7 fills no 2x2 window: no later padding lets a unit see it."""
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.AvgPool2d(2), nn.Conv2d(3, 2, 3, 1, 1))
    check_box(model, (2, 7, 9), (2, 3), (2, 4, 5, 7))


class Fork(nn.Module):
    """Two branches with fields of different size, one for each channel of the input."""

    def __init__(self, added: bool):
        super().__init__()
        self.near, self.far = nn.Conv2d(1, 1, (1, 3), 1, (0, 1)), nn.Conv2d(1, 1, (5, 7), 1, (2, 3))
        self.added = added

    def forward(self, x):
        near, far = self.near(x[:, :1]), self.far(x[:, 1:])
        return near + far if self.added else torch.cat([near, far], 1)


def test_only_channel_0_of_the_output_is_measured():
    """The other channels of the output may see more; it is channel 0 that is asked for."""
    check_box(Fork(added=False), (2, 9, 10), (4, 5), (4, 4, 4, 6))


def test_every_channel_of_the_input_is_looked_at():
    """A pixel reaches the unit if any of its channels does, not the first one only."""
    check_box(Fork(added=True), (2, 9, 10), (4, 5), (2, 2, 6, 8))


@pytest.mark.parametrize("modes", [(True, True), (False, True), (True, False), (False, False)])
def test_the_model_is_looked_at_in_eval_mode(modes):
    """Batch norm in train mode would connect every pixel; the model is looked at in eval mode."""
    model = nn.Sequential(nn.Conv2d(2, 3, (2, 3)), nn.BatchNorm2d(3))
    model.train(modes[0])
    model[1].train(modes[1])
    check_box(model, (2, 7, 9), (2, 3), (2, 3, 3, 5))
    model[1] = nn.Dropout(1.0).train(modes[1])
    check_box(model, (2, 7, 9), (2, 3), (2, 3, 3, 5))


def test_the_faint_rim_of_a_deep_stack_is_seen():
    """Five 3x3 convolutions: one path alone leads to the corner, thousands to the middle."""
    model = nn.Sequential(*(nn.Conv2d(1, 1, 3) for _ in range(5)))
    check_box(model, (1, 15, 13), (3, 1), (3, 1, 13, 11))


def random_stack(rng, depth, padded):
    modules = []
    for conv in [True, *(rng.random(depth - 1) < 0.6)]:
        kernel, stride = rng.integers(1, 4, 2).tolist(), rng.integers(1, 3, 2).tolist()
        padding = [int(rng.integers(0, k // 2 + 1)) * padded for k in kernel]
        sizes = tuple(kernel), tuple(stride), tuple(padding)
        modules += [nn.Conv2d(2, 2, *sizes) if conv else nn.AvgPool2d(*sizes), nn.ReLU()]
    return nn.Sequential(*modules)


def side(model, axis, size, place):
    """First and last index along one axis that reach `place`, walking back through the layers."""
    layers = [(m.kernel_size[axis], m.stride[axis], m.padding[axis]) for m in model[::2]]
    sizes = [size]
    for kernel, stride, padding in layers:
        sizes.append((sizes[-1] + 2 * padding - kernel) // stride + 1)
    first = last = place
    for (kernel, stride, padding), n in zip(layers[::-1], sizes[-2::-1], strict=True):
        first = max(first * stride - padding, 0)
        last = min(last * stride - padding + kernel - 1, n - 1)
    return first, last


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_any_stack_of_layers(rng, depth):
    """What a walk back through the layers finds, cut at the border of every map."""
    model = random_stack(rng, depth, padded=True)
    rows, columns = model(torch.ones(1, 2, 18, 21)).shape[2:]
    for unit in [(0, columns - 1), (int(rng.integers(rows)), int(rng.integers(columns)))]:
        (top, bottom), (left, right) = side(model, 0, 18, unit[0]), side(model, 1, 21, unit[1])
        check_box(model, (2, 18, 21), unit, (top, left, bottom, right))


@pytest.mark.parametrize("depth", [2, 3])
def test_away_from_the_border_both_functions_agree(rng, depth):
    """Without padding the box of any unit is as high and wide as receptive_field says."""
    model = random_stack(rng, depth, padded=False)
    top, left, bottom, right = measured_receptive_field(model, (2, 17, 19), (0, 0))
    for axis, found in enumerate([bottom - top + 1, right - left + 1]):
        counted = receptive_field([(m.kernel_size[axis], m.stride[axis]) for m in model[::2]])
        expect(found == counted, f"the box measures {found}, receptive_field says {counted}")


@pytest.mark.parametrize("unit", [(-1, 2), (1, -1), (4, 2), (2, 7), (6, 3), (4, 7)])
def test_a_unit_outside_of_the_map_is_refused(unit):
    """Rows of a 4x7 map are 0 to 3, columns 0 to 6; another unit is refused with a ValueError."""
    model = nn.Sequential(nn.Conv2d(2, 3, (3, 2)), nn.ReLU())
    refuses(measured_receptive_field, model, (2, 6, 8), unit, because=f"unit {unit} of a 4x7 map")


class Broken(Exception):
    """What a layer raises that does not work."""


class Breaks(nn.Module):
    def forward(self, x):
        raise Broken


def worn_model(*more):
    """A model with a history: statistics, gradients, a hook, frozen weights, mixed modes."""
    model = nn.Sequential(
        nn.Conv2d(2, 3, (3, 2)), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Sequential(nn.ReLU(), nn.Conv2d(3, 2, 1, bias=False), nn.Dropout(0.5)), *more,
    )  # fmt: skip
    model[1].running_mean[:] = torch.tensor([-0.5, -0.25, -1.0])
    model[1].running_var[:] = torch.tensor([2.0, 0.5, 3.0])
    nn.init.constant_(model[1].bias[:1], -100.0)
    model[0].weight.grad = torch.full_like(model[0].weight, 0.5)
    model[0].bias.requires_grad_(False)
    model[2].register_forward_hook(lambda module, args, output: None)
    model[4].eval()
    return model


def test_weights_and_modules_are_not_left_changed():
    """Afterwards the model has its own modules and weights again: a copy may be changed freely."""
    model = worn_model()
    modules, weights = list(model.modules()), [p.detach().clone() for p in model.parameters()]
    check_box(model, (2, 8, 9), (1, 2), (2, 4, 5, 6))
    expect(list(model.modules()) == modules, "the model's modules are left exchanged for others")
    own = all(kind.forward is forward for kind, forward in FORWARDS.items())
    expect(own, "nn.ReLU or nn.MaxPool2d is left changed, for every model there is")
    pairs = zip(model.parameters(), weights, strict=True)
    expect(all(torch.equal(p, w) for p, w in pairs), "the model's weights are left changed")


def test_the_model_comes_back_as_it_was():
    """Afterwards the model has its modes, buffers, requires_grad, .grad and hooks again."""
    model, x = worn_model(), torch.linspace(-1, 2, 2 * 8 * 9).reshape(1, 2, 8, 9)
    before = copy.deepcopy(model).eval()(x)
    with model_left_alone(model):
        measured_receptive_field(model, (2, 8, 9), (1, 2))
    expect(torch.is_grad_enabled(), "torch computes no gradients any more: no_grad stays on")
    same(copy.deepcopy(model).eval()(x), before, what="the model's output after the call")


def test_the_model_comes_back_also_after_an_exception():
    """When a layer raises, or the unit is refused, the model is as it was nevertheless."""
    for model in (worn_model(Breaks()), worn_model()):
        modules = list(model.modules())
        with model_left_alone(model), contextlib.suppress(Broken, ValueError):
            measured_receptive_field(model, (2, 8, 9), (3, 4))
        expect(
            list(model.modules()) == modules, "the model's modules are left exchanged for others"
        )
        expect(torch.is_grad_enabled(), "torch computes no gradients any more: no_grad stays on")
