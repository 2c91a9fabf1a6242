"""Ask a network without changing it: which class, always the same, and no trace left."""

import contextlib

import pytest
import torch
from torch import nn, tensor

from dojo.checks import answer, expect, same
from dojo.tensors import model_left_alone, normal

predict = answer("predict")


class Logits(nn.Module):
    """Gives these logits, whatever is asked, and notes how it was asked."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(tensor(logits))
        self.grad_enabled = []

    def forward(self, x):
        self.grad_enabled.append(torch.is_grad_enabled())
        return self.logits[x.flatten().long()] * 1.0


class Broken(Exception):
    """No answer can mean this one."""


class Breaks(nn.Module):
    def forward(self, x):
        raise Broken("this layer breaks")


def network(*more):
    """Convolution, batch norm, dropout, a nested part, 4 classes, no layer trivial."""
    inner = nn.Sequential(nn.Conv2d(5, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
    body = [nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout2d(0.5), inner]
    return nn.Sequential(*body, *more, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))


def mixed(model):
    """Every second module in eval, parents and children apart."""
    for place, module in enumerate(model.modules()):
        module.training = place % 2 == 0
    return model


def trained(rng):
    """A network whose running statistics and gradients are not those of a fresh one."""
    model = network()
    for _ in range(2):
        model(normal(rng, 6, 2, 7, 6) * 3 + 1).square().sum().backward()
    return model


@pytest.mark.parametrize("images", [3, 1, 4])
def test_the_largest_logit_of_each_image(images):
    """(N,) int64 indices: also for one image, and where all logits are negative."""
    model = Logits([[1.0, 9.0, 2.0], [-5.0, -7.0, -1.0], [4.0, -8.0, 3.0]])
    asked = tensor([1, 0, 2, 1][:images]).reshape(images, 1)
    same(predict(model, asked), tensor([2, 1, 0, 2][:images]))


def test_one_class_is_a_class():
    """A model with one logit always says 0."""
    same(predict(Logits([[3.0], [-1.0]]), tensor([[0], [1], [1]])), tensor([0, 0, 0]))


def test_the_same_answer_twice(rng):
    """No dropout, no new statistics: asked again it says the same, and what eval says."""
    model = trained(rng)
    x = normal(rng, 40, 2, 7, 6)
    with torch.no_grad():
        wanted = model.eval()(x).argmax(1)
    model.train()
    same(predict(model, x), wanted)
    same(predict(model, x), wanted, what="asked again")


def test_alone_as_in_a_batch(rng):
    """An image's class does not hang on the other images."""
    model, x = trained(rng), normal(rng, 12, 2, 7, 6)
    together = predict(model, x)
    alone = [predict(model, x[place : place + 1]) for place in range(12)]
    same(torch.cat(alone), together, what="the images asked one by one")


def test_logits_far_from_0_and_close_together():
    """Large ones, and two that differ little: which is larger is all that counts."""
    model = Logits([[20.0, 1e4, 1.5e4], [999.0, 1000.0, 1000.25], [0.1, 0.10001, -1e5]])
    same(predict(model, tensor([[0], [1], [2]])), tensor([2, 2, 1]))


@pytest.mark.parametrize("root", ["train", "eval"])
def test_nothing_is_dropped(rng, root):
    """A dropout that trains is put into eval for the answer, also under a root that is in eval."""
    logits = normal(rng, 37, 5)  # nor is the rest, where a batch is asked about in parts
    model = nn.Sequential(nn.Dropout(0.5))
    model.training = root == "train"
    what = f"the root in {root}, its dropout in train"
    same(predict(model, logits), logits.argmax(1), what=what)


def test_x_may_be_whole_numbers_on_three_axes():
    """x is what the model takes, axis 0 the images: places in a table, say, not floats."""
    model = nn.Sequential(nn.Embedding(3, 2), nn.Flatten())
    model[0].weight.data.copy_(tensor([[0.0, 1], [2, 3], [5, 4]]))
    same(predict(model, tensor([[[0], [1]], [[2], [0]]])), tensor([3, 0]))


def test_torchs_random_numbers_go_on_as_before(rng):
    """The global generator is the caller's: asking takes no number from it and sets no seed."""
    model, x = network(), normal(rng, 3, 2, 7, 6)
    before = torch.get_rng_state()
    predict(model, x)
    kept = torch.equal(before, torch.get_rng_state())
    expect(kept, "torch's global random state is another one after the call", kept)


def test_a_model_that_has_learnt_says_something_else():
    """Asked again after its weights have changed, about the same image."""
    model, x = Logits([[1.0, 2.0, 0.0]]), tensor([[0]])
    same(predict(model, x), tensor([1]))
    with torch.no_grad():
        model.logits.copy_(tensor([[1.0, 0.0, 5.0]]))
    same(predict(model, x), tensor([2]), what="the class after its weights changed")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("modes", ["train", "eval", "mixed"])
def test_the_model_comes_back_as_it_was(rng, modes, dtype):
    """Each submodule's own mode, statistics, weights, requires_grad, .grad and hooks."""
    model = trained(rng).to(dtype)
    model[0].weight.requires_grad_(False)
    model[4].register_full_backward_hook(lambda *_: None)
    model[4].register_forward_pre_hook(lambda *_: None)
    model.train(modes == "train")
    model = mixed(model) if modes == "mixed" else model
    x = normal(rng, 3, 2, 7, 6).to(dtype).requires_grad_(True)
    x.grad = x.detach() + 1
    with model_left_alone(model):
        predict(model, x)
    expect(x.grad is not None, "x.grad is gone after the call")
    same(x.grad, x.detach() + 1, what="x.grad after the call")


@pytest.mark.parametrize("modes", ["train", "mixed"])
def test_the_model_comes_back_also_after_an_exception(rng, modes):
    """What the model raises reaches the caller; the modes are as before all the same."""
    model = network(Breaks())
    model = mixed(model) if modes == "mixed" else model
    with model_left_alone(model):
        try:
            got = predict(model, normal(rng, 3, 2, 7, 6))
        except Broken as error:
            got = str(error)
    expect(got == "this layer breaks", f"the model raised, and predict gave {got}", got)


def test_no_graph_is_recorded():
    """Autograd is off while the model runs."""
    model = Logits([[1.0, 2.0]])
    asked = []
    model.register_forward_hook(lambda m, a, out: asked.append(out.requires_grad))
    predict(model, tensor([[0]]))
    expect(asked != [], "a hook of the model did not run: it was taken away, or forward was "
           "called past it", asked)  # fmt: skip
    expect(not any(asked), "autograd is on while the model is asked: a graph is recorded", asked)


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
@pytest.mark.parametrize("breaks", [False, True], ids=["fine", "exception"])
def test_autograd_is_as_the_caller_had_it(rng, breaks, enabled):
    """On stays on, off stays off, also after an exception."""
    model, x = network(*([Breaks()] if breaks else [])), normal(rng, 2, 2, 7, 6)
    torch.set_grad_enabled(enabled)
    with contextlib.suppress(Broken):
        predict(model, x)
    after = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    words = {True: "on", False: "off"}
    expect(after == enabled, f"autograd was {words[enabled]} and is {words[after]} after the call",
           after)  # fmt: skip


def test_the_answer_is_free_of_graphs_and_can_be_used(rng):
    """The classes can be compared and counted."""
    answers = predict(trained(rng), normal(rng, 3, 2, 7, 6))
    expect(not answers.requires_grad, "the answer is part of a graph", "graph")
    count = int((answers + 1 > 0).sum())
    expect(count == 3, f"{count} of 3 answers are classes", count)
