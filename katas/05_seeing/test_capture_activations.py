"""Hooks: what `capture_activations` must do, easiest first."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import model_left_alone, normal

capture_activations = answer("capture_activations")

ALL = ["stem", "relu", "body", "body.norm", "body.drop", "body.conv", "body.act", "body.twin",
       "squeeze", "head"]  # fmt: skip


class Network(nn.Module):
    """In-place layers, batch norm, dropout, a nested part; `relu` has two names and runs twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, (2, 3))
        self.relu = nn.ReLU(inplace=True)
        self.body = nn.Sequential()
        self.body.norm, self.body.drop = nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.body.conv, self.body.act = nn.Conv2d(4, 5, 2), self.relu
        self.body.twin = nn.Conv2d(5, 5, 1)
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.auxiliary = nn.Conv2d(4, 1, 1)
        self.head = nn.Linear(5, 3)
        self.all_run = False

    def forward(self, x):
        x = self.relu(self.stem(x))
        if self.training or self.all_run:
            self.auxiliary(x)
        x = self.body(x)
        x.mul_(0.5)
        return self.head(self.squeeze(x).flatten(1))


def network(rng, modes="mixed"):
    """All numbers fresh, statistics too."""
    model = Network()
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(normal(rng, *value.shape))
    model.body.norm.running_var.abs_().add_(0.5)
    model.train(modes in ("train", "mixed"))
    model.body.drop.training = model.relu.training = modes in ("train", "a part")
    return model


def outputs(model, x):
    """What the submodules give in eval, layer by layer, nothing in place."""
    out, body = {}, model.body
    with torch.no_grad():
        out["stem"] = model.stem(x)
        norm = body.norm
        out["body.norm"] = F.batch_norm(
            out["stem"].relu(), norm.running_mean, norm.running_var, norm.weight, norm.bias
        )
        out["body.drop"] = out["body.norm"]
        out["body.conv"] = F.conv2d(out["body.drop"], body.conv.weight, body.conv.bias)
        out["relu"] = out["body.act"] = out["body.conv"].relu()
        out["body"] = out["body.twin"] = F.conv2d(out["relu"], body.twin.weight, body.twin.bias)
        out["squeeze"] = 0.5 * out["body"].mean((2, 3), keepdim=True)
        out["head"] = F.linear(out["squeeze"].flatten(1), model.head.weight, model.head.bias)
    return out


def same_activations(got, expected):
    """A dict of just these names, and every tensor of it."""
    expect(isinstance(got, dict), f"got a {type(got).__name__}, expected a dict", type(got))
    named = sorted(got) == sorted(expected)
    expect(named, f"the names are {sorted(got)}, expected {sorted(expected)}", sorted(got))
    for name, value in expected.items():
        same(got[name], value, what=name)


def captured(model, x, names):
    return capture_activations(model, x, names), {n: outputs(model, x)[n] for n in names}


def doubling():
    conv = nn.Conv2d(1, 1, 1)
    nn.init.constant_(conv.weight, 2.0)
    nn.init.constant_(conv.bias, -1.0)
    return conv


def test_the_output_of_one_layer():
    """A weight of 2, a bias of -1: 3 becomes 2 * 3 - 1. The net goes on, the output is kept."""
    model = nn.Sequential(doubling(), nn.Sigmoid())
    x = torch.tensor([[[[3.0, 0.0, -1.0]]], [[[1.0, 5.0, 0.5]]]])
    wanted = [[2 * 3 - 1, 2 * 0 - 1, 2 * -1 - 1], [2 * 1 - 1, 2 * 5 - 1, 2 * 0.5 - 1]]
    same_activations(
        capture_activations(model, x, ["0"]), {"0": torch.tensor(wanted)[:, None, None]}
    )


def test_what_follows_in_place_does_not_write_into_it(rng):
    """The value is that of the moment, before an in-place ReLU takes what is below 0 away."""
    same_activations(*captured(network(rng, "eval"), normal(rng, 2, 2, 6, 8), ["stem"]))


def test_several_layers_at_once(rng):
    """Every name gets the output of its own layer."""
    model = network(rng, "eval")
    same_activations(*captured(model, normal(rng, 2, 2, 6, 8), ["head", "stem", "squeeze"]))


def test_names_with_a_dot_lead_to_layers_inside_layers(rng):
    """body.conv is the conv of body; to ask for body does not mean what is in it."""
    model = network(rng, "eval")
    same_activations(*captured(model, normal(rng, 3, 2, 5, 7), ["body.conv", "body"]))


def test_other_in_place_code_does_not_write_into_it_either(rng):
    """Not only ReLU layers work in place: any code may, x.mul_(0.5) say."""
    same_activations(*captured(network(rng, "eval"), normal(rng, 2, 2, 6, 8), ["body.twin"]))


def test_a_layer_that_runs_twice_gives_its_last_output(rng):
    """3 becomes 5, and 5 becomes 9: the second output counts, alone."""
    conv = doubling()
    got = capture_activations(nn.Sequential(conv, conv), torch.full((1, 1, 1, 1), 3.0), ["0"])
    same_activations(got, {"0": torch.full((1, 1, 1, 1), 9.0)})
    same_activations(*captured(network(rng, "eval"), normal(rng, 2, 2, 6, 8), ["relu"]))


@pytest.mark.parametrize("names", [["body.act"], ["relu", "body.act"], ["body.act", "relu"]])
def test_a_shared_layer_answers_to_all_its_names(rng, names):
    """relu and body.act are one module: each of the names is good, and so are both at once."""
    same_activations(*captured(network(rng, "eval"), normal(rng, 2, 2, 6, 8), names))


@pytest.mark.parametrize("modes", ["train", "mixed", "a part"])
def test_the_model_runs_in_eval(rng, modes):
    """No unit is dropped, batch norm uses its running statistics; a part alone may be in train."""
    model = network(rng, modes)
    same_activations(*captured(model, normal(rng, 4, 2, 6, 8), ["body.norm", "body.drop", "head"]))


@pytest.mark.parametrize("images", [1, 5])
def test_all_names_all_images(rng, images):
    """One image or many: all of them, with the batch axis."""
    same_activations(*captured(network(rng), normal(rng, images, 2, 5, 6), ALL))


def test_no_name_no_activation(rng):
    """An empty list gives an empty dict."""
    same_activations(*captured(network(rng), normal(rng, 1, 2, 5, 6), []))


def test_a_float64_model_gives_float64(rng):
    """The activations have the dtype that the layer gave."""
    same_activations(*captured(network(rng).double(), normal(rng, 2, 2, 5, 6).double(), ALL))


@pytest.mark.parametrize("enabled", [True, False], ids=["grad on", "grad off"])
def test_the_activations_hang_on_no_graph(rng, enabled):
    """Detached, also from an input that requires a gradient; torch's grad mode stays as it was."""
    model, x = network(rng), normal(rng, 2, 2, 5, 6).requires_grad_()
    with torch.set_grad_enabled(enabled):
        got = capture_activations(model, x, ["stem", "body"])
        kept = torch.is_grad_enabled()
    attached = [name for name, value in got.items() if value.requires_grad]
    expect(not attached, f"{', '.join(attached)} requires a gradient: it is not detached", attached)
    words = {True: "on", False: "off"}
    expect(kept == enabled, f"autograd was {words[enabled]} and is {words[kept]} after it", kept)


def test_writing_into_an_activation_changes_nothing_else(rng):
    """A layer that does nothing hands its input on: yet the activation is a tensor of its own."""
    model = nn.Sequential(nn.Identity(), nn.Dropout(0.5), nn.Conv2d(2, 3, 1))
    x = normal(rng, 2, 2, 3, 4)
    kept = x.clone()
    got = capture_activations(model, x, ["0", "1"])
    with torch.inference_mode():  # may write into any tensor
        got["0"].zero_()
    same(got["1"], kept, what="activation 1, after zeros were written into activation 0")
    same(x, kept, what="x, after zeros were written into activation 0")


@pytest.mark.parametrize("modes", ["eval", "train", "mixed", "a part"])
def test_the_model_comes_back_as_it_was(rng, modes):
    """Each submodule's mode and hooks, numbers, requires_grad and .grad."""
    model = network(rng, modes)
    model.stem.weight.requires_grad_(False)
    for parameter in model.head.parameters():
        parameter.grad = torch.ones_like(parameter)
    with model_left_alone(model):
        capture_activations(model, normal(rng, 3, 2, 5, 6), ["stem", "body.norm", "head"])


def test_two_calls_share_nothing(rng):
    """What the first call returned is the same after a second one on other images."""
    model, x = network(rng), normal(rng, 2, 2, 5, 6)
    first, expected = captured(model, x, ["stem", "head"])
    capture_activations(model, normal(rng, 1, 2, 6, 6), ["stem", "body"])
    same_activations(first, expected)


def test_the_model_runs_once_and_the_callers_hooks_run_too(rng):
    """One forward pass for all names; the caller's own hooks stay and do their work in it."""
    model, calls = network(rng), []
    model.stem.register_forward_hook(lambda *_: calls.append("stem"))
    model.head.register_forward_hook(lambda *_: calls.append("head"))
    model.register_forward_hook(lambda *_: calls.append("the model"))
    with model_left_alone(model):
        capture_activations(model, normal(rng, 2, 2, 5, 6), ["stem", "relu", "head"])
    wanted = ["stem", "head", "the model"]
    expect(calls == wanted, f"the caller's hooks ran on {calls}, expected {wanted}", calls)


@pytest.mark.parametrize("modes", ["eval", "mixed"])
def test_an_exception_of_the_model_goes_through_and_leaves_no_trace(rng, modes):
    """A model that fails half-way: its exception reaches the caller, modes and hooks are back."""
    model = network(rng, modes)

    def fail(*_):
        raise ArithmeticError("this layer fails")

    model.body.conv.register_forward_hook(fail)
    with model_left_alone(model):
        try:
            got = f"returned {sorted(capture_activations(model, torch.ones(2, 2, 5, 6), ['stem']))}"
        except ArithmeticError as error:
            got = str(error)
    expect(got == "this layer fails", f"a layer raised, and the call {got}", got)


@pytest.mark.parametrize("name", ["stam", "conv", "body.relu", "body.conv.weight", "head.0"])
def test_an_unknown_name_is_refused(rng, name):
    """A name that the model has no submodule for is refused, also behind a good one."""
    model, x = network(rng), normal(rng, 2, 2, 5, 6)
    with model_left_alone(model):
        refuses(capture_activations, model, x, ["stem", name], because=f"the name {name}")


@pytest.mark.parametrize("modes", ["eval", "mixed"])
def test_a_layer_that_does_not_run_is_refused(rng, modes):
    """auxiliary runs in training only: in eval it has no output to give, nor is an earlier one."""
    model, x = network(rng, modes), normal(rng, 2, 2, 5, 6)
    model.all_run = True
    capture_activations(model, x, ["auxiliary"])
    model.all_run = False
    with model_left_alone(model):
        refuses(capture_activations, model, x, ["head", "auxiliary"],
                because="a layer that does not run")  # fmt: skip
