"""Gradients through a chain of activations: what `gradient_survival` must do, easiest first."""

import numpy as np
import pytest
import torch

from dojo.checks import answer, expect, refuses, same_value
from dojo.tensors import model_left_alone

gradient_survival = answer("gradient_survival")

# torch.func and forward derivatives load torch's compiler at first use: seconds, if all is busy
pytestmark = pytest.mark.timeout(30)


def double(t):
    return 2 * t


def halve(t):
    return 0.5 * t + 3


def fall(t):
    return 1 - 3 * t


def square(t):
    return t * t


def parabola(t):
    return 1 - t * t


def four_times_or_a_tenth(t):
    return 4 * t if t < 1 else torch.full_like(t, 0.1)


def minus_one_half(t):
    return torch.full_like(t, -0.5)


def always_two(t):
    return 0 * t + 2


def sigmoid_or_zero(t):
    return t.sigmoid() if t > 0 else torch.zeros_like(t)


def dip(t):
    return t.exp() - 2


class TwiceOrThrice(torch.nn.Module):
    """Another slope in each mode."""

    def forward(self, t):
        return 2 * t if self.training else 3 * t


class OwnNumber(torch.nn.Module):
    """A layer that has learnt a number and gives nothing else: a constant with a gradient."""

    def __init__(self):
        super().__init__()
        self.number = torch.nn.Parameter(torch.tensor(0.7))

    def forward(self, t):
        return self.number.to(t).expand_as(t)


def tanh_by_sigmoid(t):
    return 2 * torch.sigmoid(2 * t) - 1


# how a chain is computed without autograd: the activation and its slope, in numpy
SIGMOID = (torch.sigmoid, lambda x: 1 / (1 + np.exp(-x)), lambda x: 0.25 / np.cosh(x / 2) ** 2)
TANH = (torch.tanh, np.tanh, lambda x: 1 / np.cosh(x) ** 2)
COSINE = (torch.cos, np.cos, lambda x: -np.sin(x))
PARABOLA = (parabola, lambda x: 1 - x * x, lambda x: -2 * x)
DIP = (dip, lambda x: np.exp(x) - 2, np.exp)


def survival(function, slope, depth, x):
    """The slope of the whole chain, by hand: each layer's at the value that reaches it."""
    product = 1.0
    for _ in range(depth):
        x, product = function(x), product * slope(x)
    return abs(product)


def close(got, expected):
    """A float within a ten thousandth of what is expected: float32 inside is right too."""
    same_value(got, expected, tolerance=1e-4 * expected)


def test_one_sigmoid_at_zero_lets_a_quarter_through():
    """The sigmoid rises steepest at 0, the value of x if nothing is said: 1/4, however often."""
    for _ in range(2):
        close(gradient_survival(torch.sigmoid, 1), 0.25)


def test_the_second_layer_sees_what_the_first_one_gave():
    """0 becomes 1/2 in the first sigmoid, and there the second one is less steep than at 0."""
    half = 1 / (1 + np.exp(-0.5))
    close(gradient_survival(torch.sigmoid, 2), 0.25 * half * (1 - half))


def test_straight_lines_multiply():
    """Three layers that double make an eighth of a change into a whole one; halving dies out."""
    close(gradient_survival(double, 3, 0.7), 8.0)
    close(gradient_survival(halve, 4, -1.3), 0.0625)


def test_falling_activations_give_a_positive_number():
    """The size of the derivative counts, not its sign: -3 per layer gives 3, 9, 27."""
    for depth, expected in [(1, 3.0), (2, 9.0), (3, 27.0)]:
        close(gradient_survival(fall, depth, 0.2), expected)


@pytest.mark.parametrize("x", [0.001, 0.8, 40.0])
def test_relu_lets_everything_through_on_its_positive_side(x):
    """Above 0 the ReLU has the slope 1, however deep the chain is."""
    for depth in (1, 2, 60):
        close(gradient_survival(torch.relu, depth, x), 1.0)


@pytest.mark.parametrize("depth", [1, 5])
def test_relu_lets_nothing_through_on_its_negative_side(depth):
    """Below 0 the ReLU is flat: 0.0, as a Python float; autograd says so at 0, too."""
    same_value(gradient_survival(torch.relu, depth, -0.8), 0.0)
    same_value(gradient_survival(torch.relu, depth, 0.0), 0.0)


@pytest.mark.parametrize("depth", [1, 3])
def test_an_output_of_0_is_no_slope_of_0(depth):
    """At 0 the tanh is 0, and steep: everything gets through."""
    close(gradient_survival(torch.tanh, depth), 1.0)


@pytest.mark.parametrize("depth", [1, 4])
def test_the_identity_lets_everything_through(depth):
    """Its output is x itself, which is no constant: 1.0."""
    close(gradient_survival(torch.nn.Identity(), depth, 0.6), 1.0)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 7])
@pytest.mark.parametrize(
    "chain",
    [SIGMOID, TANH, COSINE, PARABOLA, DIP],
    ids=["sigmoid", "tanh", "cos", "parabola", "dip"],
)
def test_any_activation_any_depth_any_x(rng, chain, depth):
    """Each layer counts with its slope at the value that reaches it, from x on."""
    activation, function, slope = chain
    for x in (rng.uniform(0.2, 0.9), rng.uniform(-0.9, -0.2)):
        close(gradient_survival(activation, depth, x), survival(function, slope, depth, x))


@pytest.mark.parametrize("depth", [12, 25, 40])
def test_what_is_tiny_is_still_measured(rng, depth):
    """Deep sigmoids leave less than 0.25^depth, which is tiny, but neither 0 nor guessed."""
    x = rng.uniform(-2, 2)
    got = gradient_survival(torch.sigmoid, depth, x)
    bounded = f"{depth} sigmoids leave {got:.5g}, more than 0.25^{depth} = {0.25**depth:.5g}"
    expect(got <= 0.25**depth, bounded, got)
    close(got, survival(*SIGMOID[1:], depth, x))


def test_a_gradient_may_grow():
    """Where every layer is steep, more comes back than was sent: nothing is cut off at 1."""
    close(gradient_survival(square, 4, 1.5), 16 * 1.5**15)


@pytest.mark.parametrize("x", [0.0, -2.5, 3.0])
def test_no_layers_hand_everything_through(x):
    """At depth 0 the output is x itself: 1.0, whatever the activation is."""
    for activation in (torch.sigmoid, torch.relu, torch.zeros_like):
        same_value(gradient_survival(activation, 0, x), 1.0)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(
    "activation",
    [torch.ones_like, minus_one_half, torch.sign, always_two, sigmoid_or_zero, OwnNumber()],
)
def test_a_constant_output_does_not_depend_on_x(activation, depth):
    """0.0 where x changes nothing, also where autograd has no way back to it."""
    same_value(gradient_survival(activation, depth, -1.25), 0.0)


def test_a_constant_layer_among_others_cuts_the_chain():
    """0.5 becomes 2, that becomes 0.1 as all from 1 on does, 0.4 follows: x is long forgotten."""
    close(gradient_survival(four_times_or_a_tenth, 1, 0.5), 4.0)
    same_value(gradient_survival(four_times_or_a_tenth, 2, 0.5), 0.0)
    same_value(gradient_survival(four_times_or_a_tenth, 3, 0.5), 0.0)


@pytest.mark.parametrize(
    "activation",
    [torch.nn.Tanh(), torch.nn.functional.tanh, tanh_by_sigmoid, torch.Tensor.tanh,
     torch.nn.Sequential(torch.nn.Identity(), torch.nn.Tanh())],
    ids=["module", "function", "formula", "method", "Sequential"],
)  # fmt: skip
def test_modules_functions_and_formulas(rng, activation):
    """All that takes a tensor and returns one is an activation: here tanh in five guises."""
    x = rng.uniform(0.2, 0.9)
    close(gradient_survival(activation, 3, x), survival(*TANH[1:], 3, x))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_module_keeps_its_mode(training):
    """It is asked as it is, and comes back as it was."""
    module = torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Hardtanh(-2.0, 2.0)).train(training)
    with model_left_alone(module, but=("mode",)):
        gradient_survival(module, 2, 0.3)
    modes = [m.training for m in module.modules()]
    expect(modes == [training] * 3, f"the modes were {training} and are {modes}", modes)
    close(gradient_survival(TwiceOrThrice().train(training), 2, 0.3), 4.0 if training else 9.0)


def test_two_activations_of_one_name_are_two():
    """What was measured for one says nothing about another."""
    close(gradient_survival(lambda t: 3 * t, 2, 0.5), 9.0)
    close(gradient_survival(lambda t: t / 2, 2, 0.5), 0.25)
    close(gradient_survival(torch.nn.LeakyReLU(0.5), 2, -0.5), 0.25)
    close(gradient_survival(torch.nn.LeakyReLU(0.1), 2, -0.5), 0.01)


@pytest.mark.parametrize("depth", [-1, -4])
def test_a_negative_depth_is_refused(depth):
    """There is no chain of fewer than 0 layers: refused with a ValueError."""
    refuses(gradient_survival, torch.sigmoid, depth, because=f"a depth of {depth}")
    refuses(gradient_survival, torch.relu, depth, 0.5, because=f"a depth of {depth}")
