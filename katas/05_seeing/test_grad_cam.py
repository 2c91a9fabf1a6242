"""Where the class was seen: what `grad_cam` must do, easiest first."""

import copy

import pytest
import torch
from torch import nn, tensor
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import model_left_alone, normal

grad_cam = answer("grad_cam")

# the maps, how much they matter to class 0, and their sum by hand
MAPS = tensor([[[[0.9, 0.1], [0.2, 0.0]], [[0.3, 0.3], [0.3, 0.3]], [[0.0, 0.1], [0.2, 0.8]]]])
ALPHA = tensor([[0.8, 0.1, 0.5], [-0.2, 0.6, -0.9]])
WORKED = tensor([
    [0.8 * 0.9 + 0.1 * 0.3 + 0.5 * 0.0, 0.8 * 0.1 + 0.1 * 0.3 + 0.5 * 0.1],
    [0.8 * 0.2 + 0.1 * 0.3 + 0.5 * 0.2, 0.8 * 0.0 + 0.1 * 0.3 + 0.5 * 0.8],
])  # fmt: skip
LAYERS = ["first", "unit", "unit.norm", "unit.relu", "unit.drop", "second", "end.0"]


def pooled(alpha):
    """Layer "maps" copies the input, and class k is the sum of alpha[k, c] * mean of map c."""
    model = nn.Sequential()
    model.maps = nn.Conv2d(alpha.shape[1], alpha.shape[1], 1, bias=False)
    model.rest = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(*alpha.T.shape))
    with torch.no_grad():
        model.maps.weight.copy_(torch.eye(alpha.shape[1])[..., None, None])
        model.rest[2].weight.copy_(alpha)
        model.rest[2].bias.zero_()
    return model


class Unit(nn.Module):
    """Three layers, and one that never runs."""

    def __init__(self):
        super().__init__()
        self.norm, self.relu, self.drop = nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5)
        self.idle = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.drop(self.relu(self.norm(x)))


def network(rng, *more, head="flat"):
    """In-place ReLUs, batch norm, dropout, parts inside parts, 4 classes; modes mixed."""
    model, unit = nn.Sequential(), Unit()
    model.first, model.unit, model.second = nn.Conv2d(2, 4, (2, 3)), unit, nn.Conv2d(4, 6, 3, 2)
    pool = [nn.AdaptiveAvgPool2d(1)] if head == "pooled" else []
    model.end = nn.Sequential(nn.ReLU(inplace=True), *more, *pool, nn.Flatten())
    model.linear = nn.Linear(6 if pool else 6 * 3 * 4, 4)
    for value in model.double().state_dict().values():
        if value.is_floating_point():
            value.copy_(normal(rng, *value.shape))
    unit.norm.running_var.abs_().add_(0.5)
    unit.drop.eval()
    return model


def images(rng, count):
    return normal(rng, count, 2, 8, 11, dtype=torch.float64)


def before_and_after(model, name):
    """A copy of the model in eval, cut in two behind the named layer."""
    model = copy.deepcopy(model).eval()
    steps = [(n, m) for n, m in model.named_modules() if not list(m.children())]
    steps = [(n, m) for n, m in steps if n != "unit.idle"]
    last = max(place for place, (n, _) in enumerate(steps) if (n + ".").startswith(name + "."))
    modules = [module for _, module in steps]
    return nn.Sequential(*modules[: last + 1]), nn.Sequential(*modules[last + 1 :])


def drawn(cam, size):
    """A map with its ReLU behind it, (h, w), as it is to be drawn: enlarged, then divided."""
    cam = F.interpolate(cam[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    return cam / cam.max() if cam.max() > 0 else cam


def told(model, name, x, targets):
    """What the stub tells, image by image."""
    before, after = before_and_after(model, name)
    maps = []
    for image, target in zip(x, targets, strict=True):
        leaf = before(image[None]).detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(after(leaf.clone())[0, target], leaf)
        weights = slope.mean((2, 3), keepdim=True)
        maps.append(drawn((weights * leaf.detach())[0].sum(0).relu(), x.shape[2:]))
    return torch.stack(maps)


def predicted(model, x):
    with torch.no_grad():
        return copy.deepcopy(model).eval()(x).argmax(1)


def test_the_worked_example():
    """Maps weighted by 0.8, 0.1 and 0.5 add up to .75 .16 / .29 .43: this, divided by .75."""
    same(grad_cam(pooled(ALPHA), "maps", MAPS, 0), (WORKED / 0.75)[None])


def test_what_speaks_against_the_class_is_cut_off():
    """Map 0 speaks for class 1, map 1 against it: 2 - 5 is below zero and becomes 0."""
    x = tensor([[[[4.0, 2, 0, 1]], [[1, 5, 2, 0.5]]]])
    model = pooled(tensor([[0.0, 1], [1, -1]]))
    same(grad_cam(model, "maps", x, 1), tensor([[[3.0, 0, 0, 0.5]]]) / 3)


def test_the_same_image_has_another_map_for_another_class(rng):
    """The map is that of the target, not that of the class which is predicted."""
    x = normal(rng, 1, 3, 4, 5).abs() + 0.1
    for target, alpha in enumerate(tensor([[1.0, 0, 0], [0, 2, 0], [0, 0, 3]])):
        got = grad_cam(pooled(tensor([[1.0, 0, 0], [0, 2, 0], [0, 0, 3]])), "maps", x, target)
        same(got, drawn(x[0, alpha.argmax()], (4, 5))[None])


def test_nothing_speaks_for_the_class(rng):
    """All below zero: a map of zeros, none of NaN. The other images keep theirs."""
    x = normal(rng, 3, 2, 3, 4).abs() + 0.1
    got = grad_cam(pooled(tensor([[1.0, 1], [-1, -2]])), "maps", x, tensor([0, 1, 0]))
    wanted = [drawn(x[0].sum(0), (3, 4)), torch.zeros(3, 4), drawn(x[2].sum(0), (3, 4))]
    same(got, torch.stack(wanted))


def test_a_faint_map_reaches_1_like_a_strong_one():
    """Divided by the maximum itself, even where that is 0.000000000001."""
    x = tensor([[[[4.0, 2, 1]]], [[[3, 0, 6]]]])
    same(
        grad_cam(pooled(tensor([[4e-12]])), "maps", x, 0), tensor([[[1, 0.5, 0.25]], [[0.5, 0, 1]]])
    )


@pytest.mark.parametrize("target", [0, 1, 2, 3])
def test_with_a_pooled_head_it_is_the_class_activation_map(rng, target):
    """Means and one dense layer: the weights of the class are the weights of the maps."""
    model, x = network(rng, head="pooled"), images(rng, 3)
    maps = before_and_after(model, "end.0")[0](x).detach()
    cams = torch.einsum("c,nchw->nhw", model.linear.weight[target].detach(), maps).relu()
    wanted = torch.stack([drawn(cam, (8, 11)) for cam in cams])
    same(grad_cam(model, "end.0", x, target), wanted, tolerance=1e-6)


@pytest.mark.parametrize("name", ["end.0", "unit.drop"])
def test_with_a_flat_head_a_channel_still_has_one_weight(rng, name):
    """The slopes differ from place to place: their mean over all places is the weight."""
    model, x = network(rng), images(rng, 2)
    same(grad_cam(model, name, x, 2), told(model, name, x, [2, 2]), tolerance=1e-6)


def test_every_image_may_have_a_target_of_its_own(rng):
    """(N,) targets: one for each image; without any it is the class predicted for each."""
    model, x = network(rng), images(rng, 4)
    for targets in ([3, 0, 1, 0], [0, 2, 2, 1]):
        got = grad_cam(model, "end.0", x, tensor(targets))
        same(got, told(model, "end.0", x, targets), tolerance=1e-6)
    same(grad_cam(model, "end.0", x), told(model, "end.0", x, predicted(model, x)), tolerance=1e-6)


def test_predicted_is_each_images_largest_logit():
    """Image 0 is of class 1, image 1 of class 0; image 2 of class 2, 1.25 against -2 and -3."""
    model = pooled(tensor([[1.0, 0], [0, 1], [-1, 0.25]]))
    one = [[[1.0, 2, 0]], [[8, 1, 3]]]
    two = [[[4.0, 0, 2]], [[1, 0, 2]]]
    three = [[[-2.0, 1, -5]], [[1, -11, 1]]]
    wanted = tensor([[[8.0, 1, 3]], [[4, 0, 2]], [[2 + 0.25, 0, 5 + 0.25]]])
    got = grad_cam(model, "maps", tensor([one, two, three]))
    same(got, wanted / tensor([8, 4, 5.25])[:, None, None])


@pytest.mark.parametrize("by_name", [True, False], ids=["by name", "as a module"])
@pytest.mark.parametrize("name", LAYERS)
def test_any_layer_by_name_or_as_a_module(rng, name, by_name):
    """Early or late, whole parts too; its own output counts, before a ReLU in place follows."""
    model, x = network(rng), images(rng, 3)
    layer = name if by_name else model.get_submodule(name)
    got = grad_cam(model, layer, x, tensor([1, 0, 3]))
    same(got, told(model, name, x, [1, 0, 3]), tolerance=1e-6)


@pytest.mark.parametrize("name", ["second", "end.0"])
def test_alone_as_in_a_batch(rng, name):
    """Each image has its own weights and its own scale, and does not see the others."""
    model, x = network(rng), images(rng, 5)
    alone = torch.cat([grad_cam(model, name, image, 1) for image in x.split(1)])
    same(grad_cam(model, name, x, 1), alone, tolerance=1e-6)


@pytest.mark.parametrize("modes", ["eval", "train", "mixed", "a part"])
@pytest.mark.parametrize("frozen", [False, True], ids=["trainable", "frozen"])
def test_the_model_comes_back_as_it_was(rng, frozen, modes):
    """It runs in eval; modes, numbers, requires_grad, .grad, hooks are back. Frozen works too."""
    model, x = network(rng).requires_grad_(not frozen), images(rng, 3)
    model = model if modes == "mixed" else model.train(modes == "train")
    model.unit.norm.train(modes != "eval")  # of "a part" it is all that trains, the root does not
    model.first.weight.grad = torch.ones_like(model.first.weight)
    with model_left_alone(model):
        got = grad_cam(model, "second", x, 0)
    same(got, told(model, "second", x, [0, 0, 0]), tolerance=1e-6)


@pytest.mark.parametrize("enabled", [True, False], ids=["grad on", "grad off"])
@pytest.mark.parametrize("marked", [True, False], ids=["x marked", "x plain"])
def test_gradients_may_be_switched_off(rng, enabled, marked):
    """A caller under no_grad gets the same map; autograd and x with its .grad are as before."""
    model, x = network(rng), images(rng, 2).requires_grad_(marked)
    x.grad = torch.ones_like(x) if marked else None
    with torch.set_grad_enabled(enabled):
        got, kept = grad_cam(model, model.unit.norm, x, 3), torch.is_grad_enabled()
    same(got, told(model, "unit.norm", x.detach(), [3, 3]), tolerance=1e-6)
    expect(not got.requires_grad, "the map requires a gradient: it is not detached")
    words = {True: "on", False: "off"}
    expect(kept == enabled, f"autograd was {words[enabled]} and is {words[kept]} after it", kept)


def test_the_callers_hooks_run(rng):
    """Hooks that the caller has put on the layer or on the model stay and do their work."""
    model, calls = network(rng), []
    model.second.register_forward_hook(lambda *_: calls.append("the layer"))
    model.register_forward_hook(lambda *_: calls.append("the model"))
    with model_left_alone(model):
        grad_cam(model, "second", images(rng, 2))
    for place in ("the layer", "the model"):
        expect(place in calls, f"the caller's own hook on {place} did not run", calls)


class Breaks(nn.Module):
    def forward(self, x):
        raise ArithmeticError("this layer fails")


@pytest.mark.parametrize("enabled", [True, False], ids=["grad on", "grad off"])
def test_an_exception_of_the_model_leaves_no_trace(rng, enabled):
    """A model that fails behind the layer: its exception reaches the caller, nothing stays."""
    model, got = network(rng, Breaks()), "it returned a map"
    with model_left_alone(model), torch.set_grad_enabled(enabled):
        try:
            grad_cam(model, "first", images(rng, 2), 0)
        except ArithmeticError as error:
            got = str(error)
        kept = torch.is_grad_enabled()
    expect(got == "this layer fails", f"a layer raised ArithmeticError, and {got}", got)
    expect(kept == enabled, "autograd is not as it was before the exception", kept)


@pytest.mark.parametrize("target", [-1, 4, -4, 9, [1, -1], [-4, 1], [0, 4], [17, 1]], ids=str)
def test_a_target_out_of_range_is_refused(rng, target):
    """There are classes 0 to 3: -1 is none, nor is 4, be it for all images or for one."""
    model = network(rng)
    with model_left_alone(model):
        refuses(grad_cam, model, "second", images(rng, 2),
                tensor(target) if isinstance(target, list) else target,
                because=f"target {target} of 4 classes")  # fmt: skip


@pytest.mark.parametrize("layer", ["third", "unit.conv", "first.weight", nn.Conv2d(2, 4, (2, 3))])
def test_a_layer_that_is_not_in_the_model_is_refused(rng, layer):
    """A name that the model does not have, or a module of another model."""
    model = network(rng)
    with model_left_alone(model):
        refuses(grad_cam, model, layer, images(rng, 2), 0, because=f"the layer {layer}")


@pytest.mark.parametrize("layer", ["linear", "end", "end.1", "end.2", "unit.idle"])
def test_a_layer_that_gives_no_maps_is_refused(rng, layer):
    """Of two axes, or three as end.1 gives: no (N, C, H, W) maps; unit.idle does not even run."""
    model = network(rng, nn.Flatten(2))
    with model_left_alone(model):
        refuses(grad_cam, model, layer, images(rng, 2), 0, because=f"the layer {layer}")
