"""Get a pretrained model with what belongs to it. Offline: its file is in the hub cache already."""

import contextlib
import difflib
import functools
import os
import socket
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dojo import vision  # without it torchvision cannot be imported everywhere
from dojo.checks import answer, expect, refuses, same

# isort: split
from torchvision import models

pretrained = answer("pretrained")

# a list of its own: an answer gets the one that torchvision holds, and could change it
CATEGORIES = list(models.SqueezeNet1_0_Weights.DEFAULT.meta["categories"])


@functools.cache
def hubs_of(process):
    return tempfile.TemporaryDirectory()


def hubs():
    """A folder for each process: several may judge at a time."""
    return hubs_of(os.getpid()).name


def weights_of(name):
    return models.get_model_weights(name).DEFAULT


@functools.cache
def state_of(name, device):
    """Fresh numbers for each tensor of the model, none trivial; on meta only their shapes."""
    with torch.device("meta"):
        state = models.get_model(name).state_dict()
    if device == "meta":
        return state
    fresh = torch.Generator().manual_seed(torch.initial_seed())
    for key, tensor in state.items():
        value = torch.empty(tensor.shape, dtype=torch.float32).uniform_(0.1, 1.1, generator=fresh)
        if tensor.dim() > 1:
            value = (value - 0.6) * (12 / tensor[0].numel()) ** 0.5
        state[key] = value if tensor.is_floating_point() else torch.tensor(7)
    return state


@functools.cache
def hub_of(name, device):
    """A hub cache with the file of the model's DEFAULT weights, as a download leaves it there."""
    hub = Path(hubs(), f"{name}-{device}")
    hub.joinpath("checkpoints").mkdir(parents=True)
    torch.save(state_of(name, device), hub / "checkpoints" / Path(weights_of(name).url).name)
    return hub


@contextlib.contextmanager
def offline(hub, why):
    """torch finds its hub cache there, and there is no network: `why` says what is wanted."""

    def refuse(url, *_args, **_kwargs):
        expect(False, f"the answer asks the network for {getattr(url, 'full_url', url)}: {why}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(hub))
        patch.setattr(torch.hub, "_hub_dir", str(hub))
        patch.setattr(torch.hub, "urlopen", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(socket.socket, "connect", lambda own, address: refuse(address))
        yield


def asked_for(name, device="meta"):
    """The model, preprocess and categories, if three came; on meta a model has shapes alone."""
    why = "the file of the DEFAULT weights is in torch's hub cache already"
    with offline(hub_of(name, device), why), torch.device(device):
        got = pretrained(name)
    seen = f"a {type(got).__name__}"
    seen += f" of {len(got)}" if isinstance(got, (tuple, list)) else ""
    three = isinstance(got, tuple) and len(got) == 3
    expect(three, f"{seen} came back, expected (model, preprocess, categories)", seen)
    kinds = [type(each).__name__ for each in got]
    known = isinstance(got[0], nn.Module) and bool(list(got[0].parameters()))
    expect(known, f"the first of the three is of type {kinds[0]}, expected the model", kinds)
    return got


def test_the_model_holds_the_numbers_of_the_file():
    """Every weight and every statistic of batch norm is the one in the file, none random."""
    model, state = asked_for("shufflenet_v2_x0_5", "cpu")[0], state_of("shufflenet_v2_x0_5", "cpu")
    got = model.state_dict()
    expect(list(got) == list(state), f"the model's tensors are {list(got)[:3]} ..., expected "
           f"{list(state)[:3]} ...", list(got))  # fmt: skip
    off = [name for name in state if not torch.equal(got[name], state[name])]
    first = f", {off[0]} first" if off else ""
    expect(not off, f"{len(off)} of {len(state)} tensors are not those of the file{first}", off)


def test_two_calls_give_two_models():
    """Who trains the one does not change the other."""
    one, two = asked_for("squeezenet1_0")[0], asked_for("squeezenet1_0")[0]
    shared = {id(p) for p in one.parameters()} & {id(p) for p in two.parameters()}
    expect(not shared, f"two calls share {len(shared)} parameters", len(shared))


def test_the_model_is_in_eval():
    """All of its parts are, not the root alone."""
    parts = list(asked_for("squeezenet1_0")[0].modules())
    training = [type(part).__name__ for part in parts if part.training]
    expect(not training, f"{len(training)} of {len(parts)} modules of the model are in train mode",
           training)  # fmt: skip


@pytest.mark.parametrize("name", ["mobilenet_v2", "vgg16"])
def test_the_weights_are_the_default_ones(name):
    """Not the oldest, not the last of the enum: only the DEFAULT ones' file is in the cache."""
    asked_for(name)


def test_without_the_file_there_is_no_model():
    """It is asked for where DEFAULT says; when the network fails, no random model stands in."""
    asked, wanted, told = [], Path(weights_of("vit_h_14").url).name, ""

    def unreachable(url, *_args, **_kwargs):
        asked.append(Path(getattr(url, "full_url", url)).name)
        raise OSError("there is no network")

    patches = pytest.MonkeyPatch.context()
    with offline(hubs(), "torch.hub downloads"), torch.device("meta"), patches as patch:
        patch.setattr(torch.hub, "urlopen", unreachable)
        try:
            pretrained("vit_h_14")
        except NotImplementedError:
            raise
        except Exception as error:  # how it says no is its own affair
            told = type(error).__name__
    expect(told, "the file of vit_h_14 cannot be had, and a model came back all the same", "back")
    first = asked[0] if asked else f"no file and stops with {told}"
    expect(first == wanted, f"for vit_h_14 the answer asks for {first}, expected {wanted}", first)


@pytest.mark.parametrize("name", ["squeezenet1_0", "mobilenet_v2", "swin_t"])
def test_preprocess_is_the_one_of_these_weights(rng, name):
    """Each has a resize, a crop and an interpolation of its own; images of any size go in."""
    preprocess = asked_for(name)[1]
    kind = type(preprocess).__name__
    expect(callable(preprocess), f"preprocess is of type {kind}, which cannot be called", kind)
    for height, width in ((250, 301), (270, 240)):
        image = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
        same(preprocess(image), weights_of(name).transforms()(image), what="preprocess(image)")


def test_the_categories_are_names():
    """1000 names as a list, in the order of the logits."""
    categories = asked_for("squeezenet1_0")[2]
    kind = type(categories).__name__
    expect(kind == "list", f"the categories are of type {kind}, expected a list of names", kind)
    pairs = list(enumerate(zip(categories, CATEGORIES, strict=False)))
    off = [(place, got, name) for place, (got, name) in pairs if got != name]
    expect(len(categories) == 1000, f"{len(categories)} categories, expected 1000", categories)
    expect(
        not off,
        f"{len(off)} of 1000 categories are wrong, first that of logit "
        f"{off and off[0][0]}: got {off and off[0][1]!r}, expected {off and off[0][2]!r}",
        off,
    )


def test_the_three_belong_together(rng):
    """An image goes through preprocess and model, and the largest logit has a name."""
    state = state_of("squeezenet1_1", "cpu")
    with torch.device("meta"):
        twin = models.squeezenet1_1()
    twin.load_state_dict(state, assign=True)
    image = torch.from_numpy(rng.integers(0, 256, (3, 260, 240), dtype=np.uint8))
    model, preprocess, categories = asked_for("squeezenet1_1", "cpu")
    with torch.no_grad():
        x = preprocess(image)[None]
        same(model(x), twin.eval()(x), what="the logits")
    place = int(model(x).argmax())
    got, wanted = categories[place], CATEGORIES[place]
    expect(got == wanted, f"logit {place} is called {got!r}, expected {wanted!r}", got)


@pytest.mark.parametrize("name", [
    "squeezenet1_2", "resnet19", "no_such_net", "", "SqueezeNet1_1", "Resnet_Weights", "alexne",
    "fasterrcnn_resnet50_fpn", "quantized_mobilenet_v2", "list_models", "mobilenet-v2", " vgg11",
])  # fmt: skip
def test_a_name_that_is_not_listed_is_refused(name):
    """Near is not enough, nor are capitals; models of other tasks have lists of their own."""
    with offline(hubs(), f"{name!r} should be refused"), torch.device("meta"):
        refuses(pretrained, name, because=f"the name {name!r}")


@pytest.mark.parametrize(
    "name", ["squeezenet1_2", "resnet19", "vgg12", "mobilenet_v4_small", "mobilenetv2"]
)
def test_the_refusal_names_near_models(name):
    """The ValueError's text holds at least one of the known names that are near."""
    known, text = models.list_models(module=models), ""
    near = difflib.get_close_matches(name, known, 9)
    with offline(hubs(), f"{name!r} should be refused"), torch.device("meta"):
        try:
            pretrained(name)
        except ValueError as error:
            text = str(error).replace(name, "")
    named = [each for each in known if each in text]
    expect(set(named) & set(near), f"the refusal of {name!r} names {named or 'no model'}; "
           f"{near[0]} is near", named)  # fmt: skip
