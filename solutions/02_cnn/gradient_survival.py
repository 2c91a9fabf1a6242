"""How much of a gradient is left when it has come back through many activations."""

from collections.abc import Callable

import torch
from torch import Tensor

from dojo import right, wrong


def gradient_survival(activation: Callable[[Tensor], Tensor], depth: int, x: float = 0.0) -> float:
    """Measure how strongly the end of a chain of activations still feels its beginning.

    The chain is a network with one unit a layer, without weights: x goes in, and each layer
    applies `activation` to what the layer before it gave. The result is the size, never
    negative, of the derivative of the chain's output with respect to x. Training sends its
    signal back along such a chain: what has become tiny here teaches the early layers nothing.

    Shapes:
        activation: takes a float tensor of one number and returns one: any torch function,
            module or function of your own; its derivative is the one that torch's autograd gives
        depth: number of layers, from 0 on; a chain without layers hands x through
        returns: a Python float; 0.0 where the output does not depend on x at all, also where
            it is a constant that autograd knows nothing about

    Example:
        >>> gradient_survival(torch.sigmoid, 1)
        0.25

    Raises:
        ValueError: depth is negative.

    Source: Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional
        Neural Networks, NIPS 2012, section 3.1; Glorot, Bordes & Bengio, Deep Sparse Rectifier
        Neural Networks, AISTATS 2011, section 3.
    """
    if depth < 0:
        raise ValueError(f"depth is {depth}, it must be 0 or more")
    start = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    value = start
    for _ in range(depth):
        value = activation(value)
    if not value.requires_grad:
        return 0.0
    (gradient,) = torch.autograd.grad(value, start, allow_unused=True)
    return 0.0 if gradient is None else abs(gradient.item())


HINTS = [
    "One sigmoid at 0 has the slope 0.25. The second sigmoid does not see 0 but what the first "
    "one gave, and has another slope. How do the slopes of a chain become the slope of the whole?",
    "You need not work out a single slope: let autograd do it. Make x a tensor that asks for a "
    "gradient, send it through the activation `depth` times, and ask how the end depends on the "
    "start. What does a constant function give you to ask?",
    "start = torch.tensor(x, dtype=torch.float64, requires_grad=True); value = start, then value "
    "= activation(value) in a loop. If value.requires_grad is False the answer is 0.0, else "
    "torch.autograd.grad(value, start, allow_unused=True)[0] has it: None, which is 0.0 too, or a "
    "number whose absolute value you return as a float. Negative depth first.",
]


def _checked(depth):
    if depth < 0:
        raise ValueError(f"depth is {depth}, it must be 0 or more")
    return range(depth)


def _chain(activation, depth, x, dtype=torch.float64):
    """The values from x to the output, each with its gradient kept."""
    values = [torch.tensor(x, dtype=dtype, requires_grad=True)]
    for _ in _checked(depth):
        values.append(activation(values[-1]))
    return values


def _slope(activation, x):
    """The derivative of one activation at x, with its sign, and the value there."""
    start = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    value = activation(start)
    if not value.requires_grad:
        return 0.0, value.item()
    (slope,) = torch.autograd.grad(value, start, allow_unused=True, materialize_grads=True)
    return slope.item(), value.item()


def _slopes(activation, depth, x):
    """The derivatives along the chain."""
    slopes = []
    for _ in _checked(depth):
        slope, x = _slope(activation, x)
        slopes.append(slope)
    return slopes


@right(gradient_survival)
def by_the_chain_rule(activation, depth, x=0.0):
    product = 1.0
    for slope in _slopes(activation, depth, x):
        product *= slope
    return abs(product)


@right(gradient_survival)
def by_backward_in_float32(activation, depth, x=0.0):
    if depth < 0:
        raise ValueError("depth must not be negative")
    start = torch.tensor([x], requires_grad=True)
    value = start
    for _ in range(depth):
        value = activation(value)
    if value.requires_grad:
        value.backward()
    return 0.0 if start.grad is None else float(start.grad.abs())


@right(gradient_survival)
def by_jacobian(activation, depth, x=0.0):
    def network(value):
        for _ in _checked(depth):
            value = activation(value)
        return value

    start = torch.tensor(x, dtype=torch.float64)
    return float(torch.autograd.functional.jacobian(network, start).abs())


@right(gradient_survival)
def by_recursion(activation, depth, x=0.0):
    if depth < 0:
        raise ValueError("depth must not be negative")
    if depth == 0:
        return 1.0
    slope, value = _slope(activation, x)
    return abs(slope) * by_recursion(activation, depth - 1, value)


@wrong(gradient_survival)
def forward_value(activation, depth, x=0.0):
    """the output itself is returned, not how it depends on x"""
    return abs(_chain(activation, depth, x)[-1].item())


@wrong(gradient_survival)
def product_of_activations(activation, depth, x=0.0):
    """the values along the chain are multiplied, not their slopes"""
    product = 1.0
    for value in _chain(activation, depth, x)[1:]:
        product *= value.item()
    return abs(product)


@wrong(gradient_survival)
def sum_of_slopes(activation, depth, x=0.0):
    """the slopes of the layers are added up (sum), not multiplied"""
    slopes = _slopes(activation, depth, x)
    return abs(sum(slopes)) if slopes else 1.0


@wrong(gradient_survival)
def mean_of_slopes(activation, depth, x=0.0):
    """the slopes of the layers are averaged: that is the survival of one layer, not of all"""
    slopes = _slopes(activation, depth, x)
    return abs(sum(slopes)) / len(slopes) if slopes else 1.0


@wrong(gradient_survival)
def gradients_of_all_layers(activation, depth, x=0.0):
    """the outputs of all layers are differentiated together: every layer adds its gradient"""
    slopes = _slopes(activation, depth, x)
    total, product = 0.0, 1.0
    for slope in slopes:
        product *= slope
        total += product
    return abs(total) if slopes else 1.0


@wrong(gradient_survival)
def not_chained(activation, depth, x=0.0):
    """every layer gets x itself instead of what the layer before it gave"""
    _checked(depth)
    return abs(_slope(activation, x)[0]) ** depth


@wrong(gradient_survival)
def slope_at_zero_for_all(activation, depth, x=0.0):
    """every layer is given the slope at 0, whatever value reaches it"""
    _checked(depth)
    return abs(_slope(activation, 0.0)[0]) ** depth


@wrong(gradient_survival)
def last_layer_only(activation, depth, x=0.0):
    """the chain is cut at every layer (detach): only the last layer's slope is left"""
    slopes = _slopes(activation, depth, x)
    return abs(slopes[-1]) if slopes else 1.0


@wrong(gradient_survival)
def first_layer_only(activation, depth, x=0.0):
    """the activation is applied once, whatever the depth"""
    _checked(depth)
    return gradient_survival(activation, min(depth, 1), x)


@wrong(gradient_survival)
def one_layer_more(activation, depth, x=0.0):
    """the activation is applied once more than depth times"""
    _checked(depth)
    return gradient_survival(activation, depth + 1, x)


@wrong(gradient_survival)
def one_layer_less(activation, depth, x=0.0):
    """the activation is applied once less than depth times"""
    _checked(depth)
    return gradient_survival(activation, max(depth - 1, 0), x)


@wrong(gradient_survival)
def signed(activation, depth, x=0.0):
    """the sign is kept: a falling activation makes the result negative"""
    product = 1.0
    for slope in _slopes(activation, depth, x):
        product *= slope
    return product


@wrong(gradient_survival)
def negative_slopes_lost(activation, depth, x=0.0):
    """negative derivatives become 0 (clamped, not made positive)"""
    return max(signed(activation, depth, x), 0.0)


@wrong(gradient_survival)
def squared(activation, depth, x=0.0):
    """the derivative is squared, to lose its sign: its size changes too"""
    return gradient_survival(activation, depth, x) ** 2


@wrong(gradient_survival)
def never_above_one(activation, depth, x=0.0):
    """the result is cut off at 1: a gradient may also grow from layer to layer"""
    return min(gradient_survival(activation, depth, x), 1.0)


@wrong(gradient_survival)
def survival_a_layer(activation, depth, x=0.0):
    """the depth-th root is taken: that is the survival of one layer, not of the whole chain"""
    return gradient_survival(activation, depth, x) ** (1 / depth if depth else 1)


@wrong(gradient_survival)
def x_ignored(activation, depth, x=0.0):
    """x is ignored: the chain always begins at 0"""
    return gradient_survival(activation, depth)


@wrong(gradient_survival)
def size_of_x(activation, depth, x=0.0):
    """the sign of x is lost before the chain begins"""
    return gradient_survival(activation, depth, abs(x))


@wrong(gradient_survival)
def begins_at_one(activation, depth, x=1.0):
    """x is 1.0 where nothing is said, not 0.0"""
    return gradient_survival(activation, depth, x)


@wrong(gradient_survival)
def ratio(activation, depth, x=0.0):
    """the output is divided by the input: that is no slope"""
    value = _chain(activation, depth, x)[-1].item()
    return abs(value / x) if x else abs(value)


@wrong(gradient_survival)
def sigmoids_bound(activation, depth, x=0.0):
    """0.25 is taken for the slope of every layer: that is the sigmoid's largest, a bound"""
    _checked(depth)
    return 0.25**depth


@wrong(gradient_survival)
def finite_differences(activation, depth, x=0.0):
    """two outputs close by are compared: a tiny gradient drowns in their rounding errors"""
    gap = 1e-6
    above, below = (_chain(activation, depth, x + side)[-1].item() for side in (gap, -gap))
    return abs(above - below) / (2 * gap)


@wrong(gradient_survival)
def rounded(activation, depth, x=0.0):
    """the result is rounded to a few decimals: what is tiny becomes 0"""
    return round(gradient_survival(activation, depth, x), 6)


@wrong(gradient_survival)
def nothing_without_layers(activation, depth, x=0.0):
    """depth 0 gives 0.0, though a chain without layers hands everything through"""
    return gradient_survival(activation, depth, x) if depth else 0.0


@wrong(gradient_survival)
def depth_zero_refused(activation, depth, x=0.0):
    """depth 0 is refused, though a chain without layers is legal"""
    if depth < 1:
        raise ValueError(f"depth is {depth}, it must be 1 or more")
    return gradient_survival(activation, depth, x)


@wrong(gradient_survival)
def a_tensor(activation, depth, x=0.0):
    """a tensor is returned, not a Python float"""
    return torch.tensor(gradient_survival(activation, depth, x))


@wrong(gradient_survival)
def negative_accepted(activation, depth, x=0.0):
    """a negative depth is not refused: range() of it is simply empty"""
    return gradient_survival(activation, max(depth, 0), x)


@wrong(gradient_survival)
def constants_stop_it(activation, depth, x=0.0):
    """autograd is asked though the output knows nothing of x: a constant stops it"""
    values = _chain(activation, depth, x)
    return abs(torch.autograd.grad(values[-1], values[0])[0].item())


@wrong(gradient_survival)
def parameters_stop_it(activation, depth, x=0.0):
    """a constant is told by requires_grad alone: a layer's own parameter has it, autograd stops"""
    values = _chain(activation, depth, x)
    if not values[-1].requires_grad:
        return 0.0
    return abs(torch.autograd.grad(values[-1], values[0])[0].item())


@wrong(gradient_survival)
def constants_pass(activation, depth, x=0.0):
    """where autograd knows no way back, 1.0 is returned instead of 0.0"""
    values = _chain(activation, depth, x)
    return gradient_survival(activation, depth, x) if values[-1].requires_grad else 1.0


@wrong(gradient_survival)
def constants_are_no_number(activation, depth, x=0.0):
    """where autograd knows no way back, None is returned instead of 0.0"""
    values = _chain(activation, depth, x)
    return gradient_survival(activation, depth, x) if values[-1].requires_grad else None


@wrong(gradient_survival)
def constants_skipped(activation, depth, x=0.0):
    """a layer that autograd knows no way back through is left out of the product"""
    product = 1.0
    for _ in _checked(depth):
        start = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        value = activation(start)
        if value.requires_grad:
            product *= torch.autograd.grad(value, start)[0].item()
        x = value.item()
    return abs(product)


@wrong(gradient_survival)
def identity_is_no_constant(activation, depth, x=0.0):
    """an output without grad_fn is taken for a constant: the identity hands on x itself"""
    values = _chain(activation, depth, x)
    if depth and values[-1].grad_fn is None:
        return 0.0
    return gradient_survival(activation, depth, x)


@wrong(gradient_survival)
def size_of_values(activation, depth, x=0.0):
    """every layer's output loses its sign (abs): only the end result has none"""
    return gradient_survival(lambda t: activation(t).abs(), depth, x)


@wrong(gradient_survival)
def zero_is_dead(activation, depth, x=0.0):
    """a layer that gives 0 is taken for a dead one, whatever its slope is"""
    if any(value == 0 for value in _chain(activation, depth, x)[1:]):
        return 0.0
    return gradient_survival(activation, depth, x)


@wrong(gradient_survival)
def beside_x(activation, depth, x=0.0):
    """the chain begins a little above x: at the kink of the ReLU that is another slope"""
    return gradient_survival(activation, depth, x + 1e-6)


@wrong(gradient_survival)
def asked_in_eval(activation, depth, x=0.0):
    """a module is put in eval mode while it is measured, and so is not asked as it is"""
    if not isinstance(activation, torch.nn.Module):
        return gradient_survival(activation, depth, x)
    mode = activation.training
    try:
        return gradient_survival(activation.eval(), depth, x)
    finally:
        activation.train(mode)


@wrong(gradient_survival)
def hooks_left(activation, depth, x=0.0):
    """a hook is registered on the module and never removed"""
    if isinstance(activation, torch.nn.Module):
        activation.register_forward_hook(lambda *_: None)
    return gradient_survival(activation, depth, x)


_remembered: dict = {}


@wrong(gradient_survival)
def remembered_by_class(activation, depth, x=0.0):
    """what a module gave is remembered by its class: two of one class may differ"""
    if not isinstance(activation, torch.nn.Module):
        return gradient_survival(activation, depth, x)
    key = (type(activation), depth, x)
    return _remembered.setdefault(key, gradient_survival(activation, depth, x))


@wrong(gradient_survival)
def whole_numbers(activation, depth, x=0.0):
    """where nothing survives, 0 is returned as an int, not the float 0.0"""
    return gradient_survival(activation, depth, x) or 0


def show(answer):
    """What is left of a gradient after 1 to 30 layers, on a logarithmic scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.subplots()
    depths = range(31)
    for label, activation, x in [
        ("ReLU, x = 0.5", torch.relu, 0.5),
        ("tanh, x = 0.5", torch.tanh, 0.5),
        ("tanh, x = 3: saturated", torch.tanh, 3.0),
        ("sigmoid, x = 0.5", torch.sigmoid, 0.5),
    ]:
        kept = [answer.gradient_survival(activation, depth, x) for depth in depths]
        axis.semilogy(depths, kept, marker=".", label=label)
    axis.semilogy(depths, [0.25**depth for depth in depths], "k:", label="0.25^depth")
    axis.set(xlabel="depth: number of activations", ylabel="|d output / d input|")
    axis.set_title("Without weights: how much gradient comes back through the activations")
    axis.legend()
    return figure
