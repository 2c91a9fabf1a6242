"""Cover a part and watch the score: what `occlusion_map` must do, easiest first."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import model_left_alone, normal

occlusion_map = answer("occlusion_map")


class Weighted(nn.Module):
    """Logit k is the sum of x times weights[k]: every drop can be worked out."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, x):
        return torch.einsum("nchw,kchw->nk", x, self.weights)


def network(rng):
    """A small network in which nothing is linear, with modes that differ."""
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
                          nn.Dropout(0.5), nn.Flatten(), nn.LazyLinear(3))  # fmt: skip
    model(torch.zeros(1, 2, 6, 7))
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(0.5 * normal(rng, *value.shape))
    model[1].running_var.copy_(0.5 + normal(rng, 4).abs())
    model.train()
    model[3].eval()
    return model


def mapped(model, x, classes, window, stride, fill):
    """As the stub tells it, window by window, image by image, in the model's present mode."""
    total, count = torch.zeros(len(x), *x.shape[2:], dtype=x.dtype), torch.zeros(x.shape[2:])
    with torch.no_grad():
        whole = model(x)
        for top in range(0, x.shape[2], stride[0]):
            for left in range(0, x.shape[3], stride[1]):
                covered = x.clone()
                covered[:, :, top : top + window[0], left : left + window[1]] = fill
                drop = whole - model(covered)
                count[top : top + window[0], left : left + window[1]] += 1
                for n, k in enumerate(classes):
                    total[n, top : top + window[0], left : left + window[1]] += drop[n, k]
    return total / count.clamp(min=1).to(x.dtype)


def test_one_window_over_all_of_a_small_image():
    """The logit is 1 * 2 + 3 * 5 = 17. All covered with 0 it is 0: the drop is 17 everywhere."""
    model = Weighted(torch.tensor([[[[2.0, 5.0]]]]))
    got = occlusion_map(model, torch.tensor([[[[1.0, 3.0]]]]), 0, window=2, stride=2)
    same(got, torch.full((1, 1, 2), 17.0))


def test_cell_by_cell_it_is_what_the_cell_is_worth():
    """Windows of one cell on a linear model: each drop is pixel times weight, with its sign."""
    weight = torch.tensor([[1.0, -2, 0], [3, 1, -1]])
    x = torch.tensor([[2.0, 1, 5], [-1, 4, 3]])
    got = occlusion_map(Weighted(weight[None, None]), x[None, None], 0, 1, 1)
    same(got, torch.tensor([[[2.0, -2, 0], [-3, 4, -3]]]))


def test_overlapping_windows_are_averaged():
    """Windows of 2, stride 1, on 1x3: they cost 1 + 2, 2 + 4 and, cut at the border, 4."""
    got = occlusion_map(Weighted(torch.ones(1, 1, 1, 3)), torch.tensor([[[[1.0, 2, 4]]]]), 0, 2, 1)
    same(got, torch.tensor([[[3.0, (3 + 6) / 2, (6 + 4) / 2]]]))


def test_cells_that_no_window_covers_are_0():
    """Windows of 1, stride 2, on 1x5: columns 1 and 3 stay uncovered."""
    x = torch.tensor([[[[1.0, 2, 4, 8, 16]]]])
    same(occlusion_map(Weighted(torch.ones(1, 1, 1, 5)), x, 0, 1, 2),
         torch.tensor([[[1.0, 0, 4, 0, 16]]]))  # fmt: skip


@pytest.mark.parametrize(
    ("window", "stride", "fill"),
    [((2, 3), (2, 3), 0.0), ((3, 2), (1, 2), 0.5), ((2, 2), (3, 3), -1.0), ((4, 3), (3, 2), 0.0),
     ((9, 1), (2, 3), 0.25), ((1, 8), (5, 1), 0.0)],
)  # fmt: skip
def test_any_window_and_stride(rng, window, stride, fill):
    """Pairs are (vertical, horizontal); windows are cut at the border; fill takes their place."""
    model, x = network(rng), normal(rng, 3, 2, 6, 7)
    got = occlusion_map(model, x, torch.tensor([2, 0, 1]), window, stride, fill)
    same(got, mapped(model.eval(), x, [2, 0, 1], window, stride, fill), tolerance=1e-4)


@pytest.mark.parametrize(("height", "width"), [(9, 4), (3, 10)])
def test_tall_and_wide_images(rng, height, width):
    """Windows go down as far as the image is high, and across as far as it is wide."""
    model, x = Weighted(normal(rng, 3, 2, height, width)), normal(rng, 2, 2, height, width)
    got = occlusion_map(model, x, torch.tensor([1, 2]), (2, 3), (2, 3))
    same(got, mapped(model, x, [1, 2], (2, 3), (2, 3), 0.0), tolerance=1e-4)


def test_covering_with_what_is_there_costs_nothing(rng):
    """An image that is 0.7 everywhere, covered with 0.7, stays as it is: all drops are 0."""
    x = torch.full((2, 2, 6, 7), 0.7)
    most = occlusion_map(network(rng), x, 1, 3, 2, fill=0.7).abs().max().item()
    expect(most < 1e-4, f"got a drop of {most:.3g}, expected 0 everywhere", "a drop")


def test_without_a_target_the_predicted_class_is_watched(rng):
    """None: the class predicted for the whole image, and kept when covering changes the verdict."""
    weights = normal(rng, 3, 2, 6, 7)
    model, x = Weighted(weights), normal(rng, 4, 2, 6, 7)
    classes = model(x).argmax(1).tolist()
    got = occlusion_map(model, x, None, (4, 5), (2, 3), 2.0)
    same(got, mapped(model, x, classes, (4, 5), (2, 3), 2.0), tolerance=1e-4)


def test_the_prediction_is_made_in_eval(rng):
    """Without a target the class is the one that the model gives in eval, dropout off."""
    model, x = network(rng).train(), normal(rng, 12, 2, 6, 7)
    with model_left_alone(model):
        got = occlusion_map(model, x, None, 6, 4)
    classes = model.eval()(x).argmax(1).tolist()
    same(got, mapped(model, x, classes, (6, 6), (4, 4), 0.0), tolerance=1e-4)


def test_one_target_for_all_and_one_for_each(rng):
    """An int holds for every image; a tensor has one class an image; a batch is its images."""
    model, x = network(rng), normal(rng, 3, 2, 6, 7)
    same(occlusion_map(model, x, 2, 3, 2), mapped(model.eval(), x, [2] * 3, (3, 3), (2, 2), 0.0),
         tolerance=1e-4)  # fmt: skip
    alone = [occlusion_map(model, x[n : n + 1], n, 3, 2) for n in range(3)]
    same(occlusion_map(model, x, torch.arange(3), 3, 2), torch.cat(alone), tolerance=1e-4)


def test_float64_stays_float64(rng):
    """The map has the dtype of x."""
    model, x = network(rng).double(), normal(rng, 2, 2, 6, 7, dtype=torch.float64)
    same(occlusion_map(model, x, 1, 2, 2), mapped(model.eval(), x, [1, 1], (2, 2), (2, 2), 0.0))


def test_a_part_alone_may_be_in_train(rng):
    """The model in eval, its dropout in train: that is put into eval too, and comes back."""
    model, x = network(rng).eval(), normal(rng, 2, 2, 6, 7)
    wanted = mapped(model, x, [1, 1], (3, 3), (3, 3), 0.0)
    model[3].train()
    with model_left_alone(model):
        same(occlusion_map(model, x, 1, 3, 3), wanted, tolerance=1e-4)


@pytest.mark.parametrize("enabled", [True, False], ids=["gradients on", "no_grad"])
def test_the_model_comes_back_as_it_was(rng, enabled):
    """Modes, statistics, weights, .grad, hooks, torch's grad mode; the map hangs on no graph."""
    model, x = network(rng), normal(rng, 2, 2, 6, 7)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    with torch.set_grad_enabled(enabled), model_left_alone(model):
        got = occlusion_map(model, x, 0, 3, 3)
        kept = torch.is_grad_enabled() == enabled
    expect(kept, "the global grad mode is not as it was before the call")
    expect(not got.requires_grad, "the map requires a gradient: it is not detached")


def test_the_model_comes_back_after_an_exception(rng):
    """A model that fails half-way is given back in its modes."""
    model, calls = network(rng), []

    def fail(*_):
        calls.append(1)
        if len(calls) > 1:
            raise ArithmeticError("a layer that fails")

    model[4].register_forward_hook(fail)
    with model_left_alone(model), suppress(ArithmeticError):
        occlusion_map(model, normal(rng, 1, 2, 6, 7), 0, 3, 3)


@pytest.mark.parametrize("target", [-1, 3, 7, [0, 3], [3, 0], [-1, 2], [1, -2]], ids=str)
def test_a_target_that_is_no_class_is_refused(rng, target):
    """The model has classes 0 to 2; -1 is none. It comes back in its modes."""
    model = network(rng)
    with model_left_alone(model):
        refuses(occlusion_map, model, normal(rng, 2, 2, 6, 7),
                torch.tensor(target) if isinstance(target, list) else target, 2, 2,
                because=f"target {target} of 3 classes")  # fmt: skip


@pytest.mark.parametrize(
    ("window", "stride"),
    [(0, 1), (2, 0), (-1, 2), ((2, 0), 1), ((0, 2), 1), (1, (1, 0)), (2, (-1, 2)), (2, (1, -2))],
)
def test_a_window_or_stride_below_1_is_refused(rng, window, stride):
    """Both begin at 1, down and across."""
    refuses(occlusion_map, network(rng), normal(rng, 1, 2, 6, 7), 0, window, stride,
            because=f"window {window} and stride {stride}")  # fmt: skip
