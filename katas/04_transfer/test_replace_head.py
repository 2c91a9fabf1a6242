"""Exchange the head and nothing else: what `replace_head` must do, easiest first."""

import pytest
import torch
from torch import nn

from dojo import vision  # without it torchvision cannot be imported everywhere
from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal

# isort: split
from torchvision import models

replace_head = answer("replace_head")


class Net(nn.Module):
    """A small network whose head has this name; it is declared first, and the body has Linears."""

    def __init__(self, name, head, features=6):
        super().__init__()
        self.name = name
        self.add_module(name, head)
        maps = nn.Sequential(nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout2d(0.5))
        self.body = nn.Sequential(maps, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.last = nn.Linear(5, features)

    def forward(self, x):
        return getattr(self, self.name)(self.last(self.body(x)).relu())


CLASSIFIERS = {
    "classifier": lambda: nn.Linear(6, 9),
    "classifier.0": lambda: nn.Sequential(nn.Linear(6, 9, bias=False)),
    "classifier.1": lambda: nn.Sequential(nn.Dropout(0.2), nn.Linear(6, 9)),
    "classifier.2": lambda: nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 9)),
    "classifier.3": lambda: nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 9), nn.Softmax(1), nn.Flatten()
    ),
}


def net(place):
    if place == "fc":
        return Net("fc", nn.Linear(6, 9))
    return Net("classifier", CLASSIFIERS[place]())


def all_of(model):
    """What a model is made of, by kind and name: also on meta, where there are no values."""
    made = {}
    for name, module in model.named_modules():
        hooks = [list(v) for k, v in vars(module).items() if k.endswith("_hooks")]
        made["layer", name], made["mode", name] = id(module), module.training
        made["hooks", name], made["settings", name] = hooks, module.extra_repr()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        made["tensor", name], made["value", name] = id(tensor), tensor._version
        made["requires_grad", name], made["dtype", name] = tensor.requires_grad, tensor.dtype
        made[".grad", name] = None if tensor.grad is None else tensor.grad._version
    return made


def untouched(model, before, when, but="no place"):
    """All but the head is as before, to the last object."""
    after = all_of(model)
    around = but.rpartition(".")[0] or "no place"  # the Sequential may be made anew
    keys = [key for key in before | after if not f"{key[1]}.".startswith(f"{but}.")]
    keys = [key for key in keys if key[1] != around]
    changed = [key for key in keys if before.get(key) != after.get(key)]
    more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
    first = f"{changed[0][0]} of {changed[0][1] or 'the model'}" if changed else ""
    expect(not changed, f"{when} the {first} is not as before{more}", changed)


def replaced(model, place, classes):
    """The new head, if there is one in the place of the old, and all else is as it was."""
    old, before = model.get_submodule(place), all_of(model)
    biased = old.bias is not None
    had, features, like = old.weight, old.in_features, (old.weight.dtype, old.weight.device)
    got = replace_head(model, classes)
    expect(got is not None, "got None: is there a return?")
    kind = "another model" if isinstance(got, type(model)) else f"a {type(got).__name__}"
    state = f"{kind} came back, and the one handed in has "
    state += "its old head" if dict(model.named_modules()).get(place) is old else "a new head"
    expect(got is model, f"{state}: change it and return it", state)
    new = dict(model.named_modules()).get(place)
    kind = "gone" if new is None else f"a {type(new).__name__}"
    expect(isinstance(new, nn.Linear), f"{place} is {kind}, expected a Linear", kind)
    expect(new.weight is not had, f"{place} has its old weight {tuple(had.shape)} still", "old")
    sizes = {"weight": tuple(new.weight.shape), "in_features": new.in_features,
             "out_features": new.out_features}  # fmt: skip
    wanted = {"weight": (classes, features), "in_features": features, "out_features": classes}
    expect(sizes == wanted, f"{place} has {sizes}, expected {wanted}", sizes)
    expect(not biased or new.bias is not None, f"{place} has no bias, the old one had one", "bias")
    kinds = {name: (p.dtype, p.device) for name, p in new.named_parameters()}
    for name, kind in kinds.items():
        expect(kind == like, f"{place}.{name} is {kind[0]} on {kind[1]}, the old head {like[0]} on "
               f"{like[1]}", str(kinds))  # fmt: skip
    learns = all(parameter.requires_grad for parameter in new.parameters())
    expect(learns, f"{place} is frozen: requires_grad of the new head is off", learns)
    untouched(model, before, "the head is new, but", place)
    return new


@pytest.mark.parametrize("place", ["fc", *CLASSIFIERS])
def test_the_head_is_replaced_where_it_stands(rng, place):
    """At fc or in classifier; the layers before and behind it are the very same as before."""
    model, x = net(place).eval(), normal(rng, 3, 2, 7, 5)
    old = model.get_submodule(place)
    layers = [old] if place in ("fc", "classifier") else list(model.classifier)
    new = replaced(model, place, 4)
    with torch.no_grad():
        same(torch.tensor(model(x).shape), torch.tensor([3, 4]),
             what="the shape of the logits for 3 images")  # fmt: skip
        wanted = model.last(model.body(x)).relu()
        for layer in layers:
            wanted = (new if layer is old else layer)(wanted)
        same(model(x), wanted, what="the logits, layer after layer as before")


@pytest.mark.parametrize(("name", "place"), [
    ("resnet18", "fc"), ("shufflenet_v2_x0_5", "fc"), ("vgg11", "classifier.6"),
    ("alexnet", "classifier.6"), ("mobilenet_v2", "classifier.1"),
    ("mobilenet_v3_small", "classifier.3"), ("densenet121", "classifier"),
    ("convnext_tiny", "classifier.2"),
])  # fmt: skip
def test_torchvisions_models(name, place):
    """Each has its head in a place of its own, and stays on its device, meta here."""
    with torch.device("meta"):
        model = getattr(models, name)()
    replaced(model, place, 5)


def numbers(head):
    return torch.cat([parameter.detach().flatten() for parameter in head.parameters()])


@pytest.mark.parametrize("place", ["fc", "classifier.3"])
@pytest.mark.parametrize("classes", [1, 9, 30])
def test_the_new_head_begins_anew(place, classes):
    """Fewer classes, more, or as many: no number of the old head is in the new one."""
    model = net(place)
    old = numbers(model.get_submodule(place))
    new = numbers(replaced(model, place, classes))
    kept = torch.isin(new, old).sum().item()
    expect(kept < 3, f"{kept} of {len(new)} numbers in the new head are the old one's", kept)


@pytest.mark.parametrize("place", ["fc", "classifier", "classifier.2"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_dtype_is_kept(place, dtype):
    """A model in another dtype gets a head in that dtype."""
    replaced(net(place).to(dtype), place, 4)


@pytest.mark.parametrize("place", ["fc", "classifier.2"])
@pytest.mark.parametrize("kind", [torch.float64, "meta"], ids=str)
def test_the_old_head_tells_dtype_and_device(place, kind):
    """They are the old head's, and not those of the rest, where the two are not the same."""
    model = net(place)
    model.get_submodule(place).to(kind)
    replaced(model, place, 4)


@pytest.mark.parametrize("place", ["fc", "classifier", "classifier.2"])
@pytest.mark.parametrize("state", ["train", "eval", "mixed", "frozen", "after backward"])
def test_whatever_state_the_model_is_in(rng, place, state):
    """Modes, frozen layers, gradients and hooks stay; the head of a frozen model can learn."""
    model = net(place).train(state != "eval")
    model.last.register_forward_hook(lambda *args: None)
    if state == "after backward":
        model(normal(rng, 3, 2, 7, 5)).sum().backward()
    if state == "frozen":
        model.requires_grad_(False)
    if state == "mixed":
        model.body.eval()
        model.body[0][1].requires_grad_(False)
    replaced(model, place, 4)
    replaced(model, place, 2)


def bare():
    model = models.resnet18()
    model.fc = nn.Identity()
    return model


HEADLESS = {
    "squeezenet, whose classifier has a convolution and no Linear": models.squeezenet1_1,
    "a resnet18 whose fc is an Identity": bare,
    "swin_t, which ends in `head`": models.swin_t,
    "a Sequential without fc and classifier": lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 4)),
    "a classifier without a Linear": lambda: Net("classifier", nn.Sequential(nn.Flatten())),
    "a model that ends in `score`": lambda: Net("score", nn.Linear(6, 9)),
    "a Sequential around a model that ends in fc": lambda: nn.Sequential(net("fc")),
}


def parts_after(model):
    """Which parts the model has after the call that should have been refused."""
    got = replace_head(model, 4)
    return got if got is None else [name for name, _ in got.named_children()]


@pytest.mark.parametrize("why", HEADLESS)
def test_a_model_without_such_a_head_is_refused(why):
    """Nothing is put in a place that the forward does not use; the model is as it was."""
    with torch.device("meta"):
        model = HEADLESS[why]()
    before = all_of(model)
    refuses(parts_after, model, because=why)
    untouched(model, before, "after the refusal")


@pytest.mark.parametrize("place", ["fc", "classifier", "classifier.2"])
@pytest.mark.parametrize("classes", [0, -1])
def test_at_least_one_class(place, classes):
    """A head without classes is refused, and the old one stays."""
    model = net(place)
    before = all_of(model)
    refuses(replace_head, model, classes, because=f"num_classes {classes}")
    untouched(model, before, "after the refusal")
