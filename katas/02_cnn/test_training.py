"""Training: what one epoch does to a model, and what `evaluate` must not do to it."""

import copy

import pytest
import torch
from torch import nn, tensor
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same, same_value
from dojo.tensors import model_left_alone, normal

train_epoch, evaluate = answer("train_epoch"), answer("evaluate")

SIZES = [4, 2, 3, 2]
MODES = pytest.mark.parametrize("modes", ["train", "eval", "mixed"])


class Broken(Exception):
    """No answer can mean this one."""


class Descent:
    """Plain gradient descent, called as torch's optimizers are, with a diary of its steps."""

    def __init__(self, weights, rate=0.5):
        self.weights, self.rate, self.diary = list(weights), rate, []
        self.param_groups, self.state = [{"params": self.weights, "lr": rate}], {}

    def zero_grad(self, set_to_none=True):
        for weight in self.weights:
            weight.grad = None if set_to_none or weight.grad is None else weight.grad.zero_()

    def step(self, closure=None):
        loss = None if closure is None else closure()
        self.diary.append("step")
        with torch.no_grad():
            for weight in self.weights:
                weight -= 0 if weight.grad is None else self.rate * weight.grad
        return loss


class Notes(nn.Sequential):
    """Notes how it was asked, turns the classes by one in train mode, breaks when told to."""

    def __init__(self, *layers, breaks=False):
        super().__init__(*layers)
        self.breaks, self.modes, self.grad = breaks, [], []

    def forward(self, x):
        if self.breaks:
            raise Broken("this layer breaks")
        self.modes.append(self.training)
        self.grad.append(torch.is_grad_enabled())
        return super().forward(x.roll(1, 1) if self.training else x)


def line(weight=1.0):
    """One weight: outputs are inputs times it."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, weight)
    return layer


def lopsided(outputs, targets):
    """Batch mean of (output - 2 * target) squared: what is what cannot be exchanged."""
    return (outputs - 2 * targets).square().mean()


def pair(inputs, targets):
    return tensor(inputs)[:, None], tensor(targets)[:, None]


def network(*more):
    """Images (B, 2, 5, 4) to 3 logits, with batch norm, dropout and a nested part."""
    inner = nn.Sequential(nn.Conv2d(4, 5, 2), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.4))
    body = [nn.Conv2d(2, 4, 2), nn.BatchNorm2d(4), nn.ReLU(), inner, *more]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))


def used(rng):
    """A network with statistics and gradients that are not those of a fresh one."""
    model = network()
    model(normal(rng, 6, 2, 5, 4) * 3 + 1).square().sum().backward()
    return model


def in_modes(model, modes):
    """All in train, all in eval, or every second module, parents and children apart."""
    for place, module in enumerate(model.modules()):
        module.training = modes == "train" if modes != "mixed" else place % 2 == 0
    return model


def batches_of(rng, sizes=SIZES):
    """Batches of these sizes with labels 0 to 2."""
    draw = torch.from_numpy
    return [(normal(rng, size, 2, 5, 4), draw(rng.integers(0, 3, size))) for size in sizes]


def same_modes(model, before, after):
    """Every submodule of the copies is in the same mode, told in words."""
    words = {True: "train", False: "eval"}
    for (name, one), other in zip(before.named_modules(), after.modules(), strict=True):
        told = (
            f"{f'module {name}' if name else 'the model'} was in {words[one.training]} and is in "
        )
        expect(one.training == other.training, told + words[other.training], (name, other.training))


def test_one_batch_is_one_step_down_its_gradient():
    """Loss (9 + 0) / 2, gradient (2 * -3 * 1 + 2 * 0 * 2) / 2: from 1 the weight goes to 2.5."""
    layer = line(1.0)
    got = train_epoch(layer, [pair([1.0, 2.0], [2.0, 1.0])], lopsided, Descent(layer.parameters()))
    same(layer.weight.data, tensor([[1 - 0.5 * -3.0]]), what="weight after one batch")
    same_value(got, (9 + 0) / 2, tolerance=1e-5)


def test_every_batch_has_a_step_of_its_own():
    """The second batch meets the weight that the first one left, and its own gradient only."""
    layer, batches = line(1.0), [pair([1.0, 2.0], [2.0, 1.0]), pair([2.0], [2.0])]
    got = train_epoch(layer, batches, lopsided, Descent(layer.parameters()))
    same(layer.weight.data, tensor([[2.5 - 0.5 * 2 * (2 * 2.5 - 4) * 2]]), what="weight after two")
    same_value(got, (9 + 0 + 1) / 3, tolerance=1e-5)


def test_gradients_of_before_do_not_count():
    """What stands in .grad when the epoch begins is no gradient of this batch."""
    layer = line(1.0)
    layer.weight.grad = tensor([[100.0]])
    train_epoch(layer, [pair([1.0, 2.0], [2.0, 1.0])], lopsided, Descent(layer.parameters()))
    same(layer.weight.data, tensor([[2.5]]), what="weight after one batch")


@pytest.mark.parametrize("sizes", [[3, 3], [4, 1], [1, 4], [5, 2, 1], [1], [6]])
def test_the_loss_is_a_mean_over_examples(rng, sizes):
    """Each example counts alike, in a full batch or a small last one."""
    layer, inputs = line(1.0), normal(rng, sum(sizes), 1)
    targets = normal(rng, sum(sizes), 1) + 3
    batches = list(zip(inputs.split(sizes), targets.split(sizes), strict=True))
    got = train_epoch(layer, batches, lopsided, Descent(layer.parameters(), rate=0.0))
    same_value(got, lopsided(inputs, targets).item(), tolerance=1e-3)


def test_one_forward_one_backward_one_step_a_batch():
    """In this order, once for every batch; the loss gets the outputs first, then the targets."""
    layer, diary = line(1.0), []
    optimizer = Descent(layer.parameters())
    optimizer.diary = diary
    layer.register_forward_hook(lambda *_: diary.append("forward"))

    def loss_fn(outputs, targets):
        diary.append("loss")
        loss = lopsided(outputs, targets)
        loss.register_hook(lambda gradient: diary.append("backward"))
        return loss

    train_epoch(layer, [pair([1.0], [2.0]), pair([3.0, 1.0], [1.0, 0.0])], loss_fn, optimizer)
    wanted = ["forward", "loss", "backward", "step"] * 2
    seen = f"{', '.join(diary)} for two batches"
    expect(diary == wanted, f"{seen}, expected {', '.join(wanted[:4])} for each", diary)


def test_an_epoch_of_a_network_is_as_written_out(rng):
    """Weights, batch norm's statistics and the mean loss are those of the loop by hand."""
    model, batches = used(rng), batches_of(rng)
    twin, optimizer = copy.deepcopy(model), Descent(model.parameters(), 0.1)
    torch.manual_seed(5)
    total, descent = 0.0, Descent(twin.parameters(), 0.1)
    for images, labels in batches:
        descent.zero_grad()
        loss = F.cross_entropy(twin.train()(images), labels)
        loss.backward()
        descent.step()
        total += loss.item() * len(labels)
    torch.manual_seed(5)
    got = train_epoch(model, batches, F.cross_entropy, optimizer)
    after = model.state_dict()
    for name, wanted in twin.state_dict().items():
        same(after[name], wanted, tolerance=1e-4, what=f"{name} after the epoch")
    same_value(got, total / sum(SIZES), tolerance=1e-4)


def test_dropout_goes_on_drawing(rng):
    """A second epoch drops other units: nothing seeds torch's generator anew."""
    model, x = nn.Sequential(nn.Dropout(0.5), Notes(), nn.Linear(60, 1)), torch.ones(2, 60)
    asked = []
    model[1].register_forward_hook(lambda module, args, out: asked.append(args[0].clone()))
    for _ in range(2):
        train_epoch(model, [(x, torch.ones(2, 1))], F.mse_loss, Descent([], 0.0))
    alike = torch.equal(asked[0], asked[1])
    expect(not alike, "two epochs drop exactly the same units: the seed is set inside", alike)


@MODES
def test_all_of_the_model_trains_in_train_mode(modes):
    """Whatever mode a submodule came in, it trains in train mode, in every batch."""
    model = in_modes(Notes(nn.Sequential(Notes()), nn.Linear(1, 1)), modes)
    batches = [pair([1.0], [2.0]), pair([3.0, 1.0], [1.0, 0.0])]
    train_epoch(model, batches, lopsided, Descent(model.parameters(), rate=0.0))
    seen = model.modes + model[0][0].modes
    expect(all(seen), f"{seen.count(False)} of {len(seen)} times a layer was asked in eval "
           "while it should train", seen)  # fmt: skip


@MODES
def test_every_submodule_gets_its_mode_back(rng, modes):
    """A frozen batch norm stays frozen; hooks, requires_grad and what is frozen stay as well."""
    model = in_modes(used(rng), modes)
    model.zero_grad()
    for weight in model[0].parameters():
        weight.requires_grad_(False)
    before = copy.deepcopy(model)
    frozen = model[0].weight.clone()
    with model_left_alone(model, but=("mode", "weight", "buffer", ".grad")):
        train_epoch(model, batches_of(rng), F.cross_entropy, Descent(model.parameters()))
    same_modes(model, before, model)
    same(model[0].weight, frozen, what="a frozen weight")
    counted = (model[1].num_batches_tracked - before[1].num_batches_tracked).item()
    expect(counted == len(SIZES), f"a batch norm took notice of {counted} of {len(SIZES)} batches: "
           "it trains in train mode too", counted)  # fmt: skip


def two_batches(rng):
    yield from batches_of(rng, [2, 3])
    raise Broken("no more batches")


def told(call, *args):
    """The exception that reaches the caller."""
    try:
        call(*args)
    except (Broken, ValueError) as error:
        return type(error).__name__
    return "a result"


@pytest.mark.parametrize("breaks", ["batches", "model", "loss"])
def test_modes_come_back_also_after_an_exception(rng, breaks):
    """What the batches, the model or the loss raise reaches the caller."""

    def loss_fn(outputs, targets):
        if breaks == "loss":
            raise Broken("this loss breaks")
        return F.cross_entropy(outputs, targets)

    model = in_modes(network(*[Notes(breaks=True)] * (breaks == "model")), "mixed")
    before, batches = copy.deepcopy(model), two_batches(rng)
    got = told(train_epoch, model, batches, loss_fn, Descent(model.parameters(), 0.01))
    same_modes(model, before, model)
    expect(got == "Broken", f"the {breaks} raised Broken, and the caller got {got}", got)


def test_an_epoch_goes_through_any_iterable_once(rng):
    """A generator has no length and is used up by one look; a loader gives lists."""
    batches = [pair([1.0, 2.0], [2.0, 1.0]), pair([2.0], [2.0])]
    for given in ((each for each in batches), map(list, batches), tuple(batches)):
        layer = line(1.0)
        got = train_epoch(layer, given, lopsided, Descent(layer.parameters()))
        same_value(got, 10 / 3, tolerance=1e-5)
        same(layer.weight.data, tensor([[0.5]]), what="weight after two batches")


@pytest.mark.parametrize("none", [list, lambda: iter(())], ids=["list", "iterator"])
def test_an_epoch_without_a_batch_is_refused(rng, none):
    """There is no mean of nothing: ValueError, and the model is as before."""
    model = in_modes(network(), "mixed")
    with model_left_alone(model, but=(".grad",)):
        optimizer = Descent(model.parameters())
        refuses(train_epoch, model, none(), F.cross_entropy, optimizer, because="no batch at all")


LOGITS = tensor([[1.0, 9, 2], [-5, -7, -1], [4, -8, 3], [0, 1, 5], [2, 1, 0]])  # says 1 2 0 2 0


@pytest.mark.parametrize(
    ("labels", "share"),
    [([1, 2, 0, 2, 0], 1.0), ([1, 2, 0, 0, 0], 0.8), ([0, 2, 1, 1, 2], 0.2),
     ([2, 0, 1, 0, 1], 0.0), ([1, 2, 1], 2 / 3)],
)  # fmt: skip
def test_the_share_of_right_answers(labels, share):
    """The class with the largest logit is what the model says: 4 of 5 right are 0.8."""
    batch = LOGITS[: len(labels)], tensor(labels)
    same_value(evaluate(nn.Identity(), [batch]), share, tolerance=1e-6)


@pytest.mark.parametrize("sizes", [[4, 1], [1, 4], [2, 2, 1], [1, 1, 1, 1, 1]])
@pytest.mark.parametrize(("labels", "share"), [([1, 2, 0, 0, 1], 0.6), ([0, 2, 0, 2, 0], 0.8)])
def test_every_example_counts_alike(labels, share, sizes):
    """The accuracy hangs on the examples, not on how they were put into batches."""
    batches = list(zip(LOGITS.split(sizes), tensor(labels).split(sizes), strict=True))
    same_value(evaluate(nn.Identity(), batches), share, tolerance=1e-6)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_number_of_classes(rng, count):
    """One class is always right; many work as three do."""
    logits, labels = normal(rng, 20, count), torch.from_numpy(rng.integers(0, count, 20))
    share = (logits.argmax(1) == labels).double().mean().item()
    same_value(evaluate(nn.Identity(), [(logits, labels)]), share, tolerance=1e-6)


@MODES
def test_the_model_is_asked_in_eval_and_without_a_graph(modes):
    """All of it, whatever mode it came in, with autograd off while it runs."""
    model = in_modes(Notes(nn.Sequential(Notes())), modes)
    got = evaluate(model, [(LOGITS[:2], tensor([1, 0])), (LOGITS[2:], tensor([0, 2, 1]))])
    seen = model.modes + model[0][0].modes
    expect(not any(seen), f"{seen.count(True)} of {len(seen)} times a layer was asked in train "
           "mode: it is asked in eval", seen)  # fmt: skip
    grad = model.grad + model[0][0].grad
    expect(not any(grad), "autograd is on while the model is asked: a graph is recorded", grad)
    same_value(got, 0.6, tolerance=1e-6)


@MODES
def test_evaluate_changes_nothing(rng, modes):
    """Each submodule's own mode, statistics, weights, requires_grad, .grad and hooks."""
    model = in_modes(used(rng), modes)
    model[0].weight.requires_grad_(False)
    before, batches = copy.deepcopy(model), batches_of(rng)
    random = torch.get_rng_state()
    with model_left_alone(model, but=("mode",)):
        first = evaluate(model, batches)
    drawn = not torch.equal(random, torch.get_rng_state())
    expect(not drawn, "torch's default generator is not where it was: a seed is set, or something "
           "is drawn", "random state")  # fmt: skip
    same_modes(model, before, model)
    same_value(evaluate(model, batches), first)


@pytest.mark.parametrize("breaks", ["batches", "model"])
def test_evaluate_changes_nothing_even_if_it_fails(rng, breaks):
    """What the batches or the model raise reaches the caller; the model is as before."""
    model = in_modes(network(*[Notes(breaks=True)] * (breaks == "model")), "mixed")
    before = copy.deepcopy(model)
    with model_left_alone(model, but=("mode",)):
        got = told(evaluate, model, two_batches(rng))
    same_modes(model, before, model)
    expect(got == "Broken", f"the {breaks} raised Broken, and the caller got {got}", got)
    expect(torch.is_grad_enabled(), "autograd is off after the exception", "off")


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
def test_autograd_is_as_the_caller_had_it(enabled):
    """On stays on, off stays off."""
    torch.set_grad_enabled(enabled)
    evaluate(nn.Identity(), [(LOGITS, tensor([1, 2, 0, 0, 0]))])
    after = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    words = {True: "on", False: "off"}
    expect(after == enabled, f"autograd was {words[enabled]} and is {words[after]} after the call",
           after)  # fmt: skip


def test_evaluate_goes_through_any_iterable_once():
    """A generator has no length and is used up by one look; a loader gives lists."""
    batches = [(LOGITS[:3], tensor([1, 0, 0])), (LOGITS[3:], tensor([2, 0]))]
    for given in ((each for each in batches), map(list, batches), tuple(batches)):
        same_value(evaluate(nn.Identity(), given), 0.8, tolerance=1e-6)


@pytest.mark.parametrize("none", [list, lambda: iter(())], ids=["list", "iterator"])
def test_evaluating_on_no_batch_is_refused(none):
    """There is no share of nothing: ValueError, and the model is as before."""
    model = in_modes(network(), "mixed")
    with model_left_alone(model):
        refuses(evaluate, model, none(), because="no batch at all")


@pytest.mark.parametrize("which", ["train_epoch", "evaluate"])
def test_the_model_is_called_hooks_and_all(which):
    """What counts is what a call of the model gives: a hook of the caller's may change it."""
    layer = line(1.0) if which == "train_epoch" else nn.Identity()
    layer.register_forward_hook(lambda module, args, output: -output)
    if which == "train_epoch":
        batches = [pair([1.0], [1.0])]
        got, wanted = train_epoch(layer, batches, lopsided, Descent(layer.parameters())), 9.0
    else:
        got, wanted = evaluate(layer, [(LOGITS, tensor([0, 1, 1, 0, 2]))]), 1.0
    same_value(got, wanted, tolerance=1e-5)


class AnyInput(nn.Linear):
    """Takes whole numbers too."""

    def forward(self, x):
        return super().forward(x.float())


@pytest.mark.parametrize("which", ["train_epoch", "evaluate"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.float64, torch.uint8], ids=str)
def test_inputs_reach_the_model_as_they_are(which, dtype):
    """Inputs may be whole numbers, as an embedding wants them, or float64: nothing turns them."""
    model, seen = AnyInput(1, 1, bias=False), []
    model.register_forward_pre_hook(lambda _module, args: seen.append(args[0].dtype))
    inputs = tensor([[1], [2]]).to(dtype)
    if which == "train_epoch":
        train_epoch(model, [(inputs, inputs.float())], lopsided, Descent(model.parameters()))
    else:
        evaluate(model, [(inputs, tensor([0, 0]))])
    got = sorted({*map(str, seen)})
    expect(got == [str(dtype)], f"inputs of {dtype} reach the model as {' and '.join(got)}", got)
