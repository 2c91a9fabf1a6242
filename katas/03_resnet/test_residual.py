"""Add the input back: what `Residual` must do, easiest first."""

import contextlib

import pytest
import torch
from torch import nn

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal, same_gradients

Residual = answer("Residual")

MODES = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


class Does(nn.Module):
    """A body that does what it is told, and notes what it returned."""

    def __init__(self, function):
        super().__init__()
        self.function, self.returned = function, []

    def forward(self, x):
        found = self.function(x)
        self.returned.append((found, found.detach().clone()))
        return found


def filled(rng, module):
    """The module with fresh numbers in all its parameters."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(normal(rng, *parameter.shape))
    return module


def test_the_result_is_the_bodys_output_and_x():
    """Where the body gives 10, -20 and 30, these are added to x."""
    block = Residual(Does(lambda x: torch.tensor([[10.0, -20.0, 30.0]])))
    same(block(torch.tensor([[1.0, -2.0, 3.0]])), torch.tensor([[1 + 10.0, -2 - 20.0, 3 + 30.0]]))


@MODES
def test_the_callers_x_is_not_written_to(rng, training):
    """The caller goes on with x after the call: the sum is no x += ..."""
    x = normal(rng, 2, 3, 4, 5)
    kept = x.clone()
    with torch.set_grad_enabled(training):
        Residual(Does(lambda x: 2 * x + 1)).train(training)(x)
    same(x, kept, what="the caller's x after the call")


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 6, 2), (4, 3, 1, 1), (1, 3), (5, 3)])
def test_any_body_that_keeps_the_shape(rng, shape):
    """Images or rows of numbers, one or many: the result is x plus what the body makes of x."""
    layer = nn.Conv2d(3, 3, 3, padding=1) if len(shape) == 4 else nn.Linear(3, 3)
    body, x = filled(rng, nn.Sequential(layer, nn.Tanh())), normal(rng, *shape)
    block = Residual(body)
    same(block(x), x + body(x))
    same(torch.cat([block(image) for image in x.split(1)]), x + body(x), what="one by one")


@MODES
def test_the_body_runs_once(rng, training):
    """One forward of the block is one of the body."""
    body = Does(lambda x: x.sin())
    Residual(body).train(training)(normal(rng, 1, 2, 3, 4))
    ran = len(body.returned)
    expect(ran == 1, f"the body ran {ran} times in one forward of the block, not once", ran)


def test_the_body_is_a_part_of_the_block_and_the_only_one():
    """parameters() and buffers() are those of the body itself, not of a copy, and no more."""
    body = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    block = Residual(body)
    inside = any(module is body for module in block.modules())
    own = {id(p) for p in block.parameters()} - {id(p) for p in body.parameters()}
    counts = (len(list(block.parameters())), len(list(block.buffers())))
    seen = f"the block shows {counts[0]} parameters and {counts[1]} buffers, its body has 4 and 3"
    expect(counts == (4, 3), seen, counts)
    names = list(block.state_dict())
    expect(len(names) == 7, f"the block saves {len(names)} tensors, its body has 7", names)
    expect(all(p.requires_grad for p in body.parameters()), "the body is frozen by the block")
    expect(inside and not own, "the block holds another module than the body it was given", "copy")


def test_a_frozen_body_stays_frozen_and_in_eval(rng):
    """The body is taken as it is: each part keeps its mode, what is frozen stays frozen."""
    body = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)).requires_grad_(False).eval()
    block = Residual(body)
    thawed = [name for name, parameter in body.named_parameters() if parameter.requires_grad]
    expect(not thawed, f"the block switches requires_grad on for the body's {thawed}", thawed)
    for when in ("building the block", "a forward in train"):
        awake = [m for m in body.modules() if m.training]
        expect(not awake, f"{when} puts the body, which was in eval, into train mode", len(awake))
        block.training = True
        block(normal(rng, 3, 2, 4, 5))
    expect(not body[0].training, "a forward in train puts the body's batch norm into train mode")


def test_a_body_of_zeros_makes_the_identity(rng):
    """A convolution whose weights are all 0 changes nothing: what is negative stays negative."""
    body = nn.Conv2d(3, 3, 3, padding=1)
    nn.init.zeros_(body.weight)
    nn.init.zeros_(body.bias)
    x = normal(rng, 2, 3, 4, 5)
    result = Residual(body)(x)
    same(result, x)
    own = result.data_ptr() != x.data_ptr()
    expect(own, "the result is x itself, not a tensor of its own: who writes into it changes x")
    expect(result.requires_grad, "the body has no gradient: it would stay at 0 for ever")
    result.sum().backward()
    learns = body.weight.grad is not None and body.weight.grad.any()
    expect(learns, "the body's weights of 0 get no gradient: they would stay at 0 for ever")


def test_through_a_body_of_zeros_the_gradient_passes_unchanged(rng):
    """The skip is a direct line: every gradient that arrives leaves as it is, times 1."""
    x, arriving = normal(rng, 2, 3, 4, 5).requires_grad_(), normal(rng, 2, 3, 4, 5)
    result = Residual(Does(lambda x: 0 * x))(x)
    expect(result.requires_grad, "the result has no gradient: the graph is cut")
    (result * arriving).sum().backward()  # backward(arriving) imports a compiler
    same(x.grad, arriving, what="the gradient at x")


@MODES
def test_what_the_body_returned_is_not_written_to(rng, training):
    """Others may hold on to the body's output, autograd too: the sum is no out += x."""
    body = Does(lambda x: 3 * x - 1)
    with torch.set_grad_enabled(training):
        Residual(body).train(training)(normal(rng, 2, 3, 4, 5))
    returned, kept = body.returned[0]
    same(returned, kept, what="the body's output after the call")


@MODES
@pytest.mark.parametrize("n", [1, 3])
def test_a_body_may_begin_in_place(rng, n, training):
    """nn.ReLU(inplace=True) writes into what it is given; x is added as it was before that."""
    relu, conv = nn.ReLU(inplace=True), nn.Conv2d(2, 2, (3, 1), padding=(1, 0))
    for body in (nn.Sequential(relu, filled(rng, conv)), Does(lambda x: x.neg_().sin())):
        x = normal(rng, n, 2, 3, 4)
        kept, expected = x.clone(), x + body(x.clone())
        with torch.set_grad_enabled(training):
            result = Residual(body).train(training)(x)
        same(x, kept, what="the caller's x after the call")
        same(result, expected)
        expect(relu.inplace, "the body's ReLU works in place no more: the body stays as it is")
        alone = x.clone()
        body(alone)
        left = torch.equal(alone, x)
        expect(not left, "asked by itself, the body works in place no more: it stays as it is")


@pytest.mark.parametrize("begin", ["plainly", "in place"])
def test_both_ways_carry_a_gradient(rng, begin):
    """The gradient reaches x along the skip and through the body; float64 stays float64."""
    body = filled(
        rng, nn.Sequential(nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1), nn.Sigmoid())
    ).double()
    plain = nn.Sequential(nn.ReLU(), body[1], body[2])
    body[0].inplace = begin == "in place"
    block = Residual(body)
    # times 1, so that x is no leaf, as in the middle of a network
    same_gradients(
        lambda x: block(x * 1), lambda x: x * 1 + plain(x), {"x": normal(rng, 2, 2, 4, 5)}
    )
    same_gradients(lambda x: block(x), lambda x: x + plain(x), {"x": normal(rng, 1, 2, 4, 5)})


def test_the_body_learns(rng):
    """The body's own parameters get the gradient that they would get without the skip."""
    body, x = filled(rng, nn.Sequential(nn.Conv2d(2, 2, 1), nn.Tanh())), normal(rng, 3, 2, 4, 5)
    mix = normal(rng, 3, 2, 4, 5)
    expected = torch.autograd.grad((body(x) * mix).sum(), list(body.parameters()))
    (Residual(body)(x) * mix).sum().backward()
    for (name, parameter), gradient in zip(body.named_parameters(), expected, strict=True):
        expect(parameter.grad is not None, f"no gradient reaches {name} of the body", name)
        same(parameter.grad, gradient, tolerance=1e-4, what=f"the gradient of {name} of the body")


def test_the_mode_reaches_the_body(rng):
    """The body is in the mode that the block is put into, and in none of the block's choice."""
    body = nn.Sequential(nn.BatchNorm2d(3))
    block, x = Residual(body), normal(rng, 4, 3, 2, 5) * 3 + 1
    expect(body.training and body[0].training, "building the block puts the body into eval mode")
    for mode in (True, False):
        block.train(mode)
        states = [(m.training and "train") or "eval" for m in (block, body, body[0])]
        seen = f"after train({mode}) of the block its body is in {states[1]} mode"
        expect(len({mode, block.training, body.training, body[0].training}) == 1, seen, states)
        expected = x + nn.functional.batch_norm(
            x, body[0].running_mean.clone(), body[0].running_var.clone(), training=mode, eps=1e-5
        )
        same(block(x), expected, what="in train mode" if mode else "in eval mode")
        expect(body[0].training == mode, "a forward changes the body's mode", "mode")
    steps = int(body[0].num_batches_tracked)
    expect(steps == 1, f"batch norm in the body has seen {steps} batches, there was 1", steps)


def test_x_may_be_a_view(rng):
    """Rows and columns exchanged, or a part of larger maps: what counts are the numbers."""
    x = normal(rng, 2, 3, 5, 8)
    for view in (x.transpose(2, 3), x[:, :, 1:, ::2]):
        same(Residual(Does(torch.sin))(view), view + view.sin())


def test_hooks_on_the_body_run(rng):
    """The body is called as a module is: hooks on it see its output and may change it."""
    body, x = Does(lambda x: 2 * x), normal(rng, 2, 3)
    body.register_forward_hook(lambda module, args, output: output + 5)
    same(Residual(body)(x), x + 2 * x + 5)


@pytest.mark.parametrize(
    ("before", "after"),
    [((3, 2, 4, 5), (1, 2, 4, 5)), ((3, 2, 4, 5), (3, 1, 4, 5)), ((3, 2, 4, 5), (3, 2, 1, 1)),
     ((3, 2, 4, 5), (3, 2, 4, 1)), ((3, 2, 4, 5), (3, 2, 1, 5)), ((3, 2, 4, 5), (2, 4, 5)),
     ((3, 2, 4, 5), (5,)), ((3, 2, 4, 5), ()), ((3, 2, 4, 5), (1, 3, 2, 4, 5)),
     ((1, 2, 4, 5), (3, 2, 4, 5)), ((3, 1, 4, 5), (3, 2, 4, 5)), ((3, 2, 1, 1), (3, 2, 4, 5)),
     ((3, 2, 4, 5), (3, 4, 4, 5)), ((3, 2, 4, 5), (3, 2, 2, 3)), ((3, 2, 4, 5), (3, 2, 5, 4)),
     ((3, 2, 4, 5), (2, 2, 4, 5)), ((3, 2, 4, 5), (3, 2, 4, 6)), ((3, 6), (3, 1)), ((3, 6), (1, 6)),
     ((3, 6), (6,)), ((3, 6), (3, 5))],
)  # fmt: skip
def test_another_shape_than_that_of_x_is_refused(rng, before, after):
    """Adding other shapes, even ones that torch could stretch to fit, is refused: ValueError."""
    body, x = Does(lambda x: x.sin()), normal(rng, *before)
    block = Residual(body)
    block(x)  # fits; later the body makes another shape
    body.function = lambda x: x.new_ones(after)
    for mode in ("train", "eval"):
        because = f"a body that turns {before} into {after}, in {mode}"
        with torch.set_grad_enabled(mode == "train"):
            refuses(block.train(mode == "train"), x, because=because)


def test_x_is_as_before_also_when_the_body_is_refused(rng):
    """A body that begins in place and gives another shape leaves the caller's x alone too."""
    x = normal(rng, 2, 3, 4, 5)
    kept = x.clone()
    with contextlib.suppress(ValueError):
        Residual(nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 1)))(x)
    same(x, kept, what="the caller's x after the refusal")
