"""Load a backbone out of a file, and nothing by accident: what `load_backbone` must do."""

import contextlib
import functools
import os
import socket
import tempfile
from pathlib import Path

import pytest
import torch
from torch import nn

from dojo import vision  # without it torchvision cannot be imported everywhere
from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal

# isort: split
from torchvision import models

load_backbone = answer("load_backbone")


@functools.cache
def shapes():
    """The shapes of resnet18's tensors, but for those of its head."""
    with torch.device("meta"):
        state = models.resnet18().state_dict()
    return {name: tensor.shape for name, tensor in state.items() if not name.startswith("fc.")}


@functools.cache
def numbers(classes):
    """A state_dict with fresh numbers in every tensor, one for each first index: a small file."""
    fresh = torch.Generator().manual_seed(torch.initial_seed())
    state = {}
    for name, shape in shapes().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(len(state))
            continue
        row = torch.empty(shape[:1]).uniform_(0.5, 1.5, generator=fresh)
        if len(shape) > 1:  # a convolution's weights: both signs, maps of a usual size
            row = (row - 1) * 3 / shape[1:].numel()
        state[name] = row.reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
    state["fc.weight"] = torch.full((classes, 512), 0.25)
    state["fc.bias"] = torch.full((classes,), -0.5)
    return state


def without_numbers(changed):
    """The same on meta: names and shapes alone. `changed` adds, reshapes, or takes away by None."""
    sizes = shapes() | {"fc.weight": (9, 512), "fc.bias": (9,)} | changed
    return {n: torch.empty(s, device="meta") for n, s in sizes.items() if s is not None}


@contextlib.contextmanager
def offline():
    """There is no network, and nothing in torch's hub cache."""

    def refuse(url, *_args, **_kwargs):
        url = getattr(url, "full_url", url)
        expect(False, f"the answer asks the network for {url}: all it needs is in the file")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", folder())
        patch.setattr(torch.hub, "_hub_dir", folder())
        patch.setattr(torch.hub, "urlopen", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(socket.socket, "connect", lambda own, address: refuse(address))
        yield


@functools.cache
def folder_of(process):
    return tempfile.TemporaryDirectory()


def folder():
    """One for each process: several may judge at a time."""
    return folder_of(os.getpid()).name


def saved(state, prefix=""):
    """A file that holds this state_dict."""
    path = Path(folder(), "backbone.pth")
    torch.save({prefix + name: tensor for name, tensor in state.items()}, path)
    return path


def loaded(path, classes, device="cpu"):
    with offline(), torch.device(device):
        model = load_backbone(path, classes)
    kind = type(model).__name__
    expect(isinstance(model, nn.Module), f"type {kind} came back, expected a model", kind)
    return model


def holds(model, state, classes):
    """Every tensor of the backbone is the file's, and the head is a new one for these classes."""
    got = model.state_dict()
    off = [n for n in shapes() if n not in got or not torch.equal(got[n], state[n])]
    expect(not off, f"{len(off)} of {len(shapes())} tensors of the backbone are not the file's, "
           f"{off and off[0]} first", off)  # fmt: skip
    head_fits(model, classes)
    old = [name for name in ("fc.weight", "fc.bias") if torch.equal(got[name], state[name])]
    expect(not old, f"the model holds the file's own {' and '.join(old)}: the head should be new",
           old)  # fmt: skip


def head_fits(model, classes):
    head = {n: tuple(t.shape) for n, t in model.state_dict().items() if n.startswith("fc")}
    wanted = {"fc.weight": (classes, 512), "fc.bias": (classes,)}
    expect(head == wanted, f"the head has {head or 'no tensors'}, expected {wanted}", head)


def test_the_backbone_is_the_files_and_the_head_is_new():
    """A file with a head for 1000 classes, a model for 5."""
    state = numbers(1000)
    holds(loaded(saved(state), 5), state, 5)


def test_names_may_have_module_before_them():
    """So several GPUs write them. This head has as many classes as are wanted, but other ones."""
    state = numbers(7)
    holds(loaded(str(saved(state, "module.")), 7), state, 7)


def test_the_model_is_in_eval():
    """All of its parts are, the new head too."""
    parts = list(loaded(saved(without_numbers({})), 5, "meta").modules())
    training = [type(part).__name__ for part in parts if part.training]
    expect(not training, f"{len(training)} of {len(parts)} modules of the model are in train mode",
           training)  # fmt: skip


def test_it_computes_what_the_file_knows(rng):
    """In eval the model gives what torchvision's resnet18 gives with these numbers."""
    state, x = numbers(4), normal(rng, 2, 3, 40, 64)
    model = loaded(saved(state), 3)
    head = {name: tensor for name, tensor in model.state_dict().items() if name[:3] == "fc."}
    with torch.device("meta"):
        twin = models.resnet18(num_classes=3)
    twin.load_state_dict(state | head, assign=True)
    with torch.no_grad():
        same(model(x), twin.eval()(x), what="the logits")


@pytest.mark.parametrize("prefix", ["", "module."], ids=["plain", "module"])
@pytest.mark.parametrize("head", [
    {"fc.weight": (1, 512), "fc.bias": (1,)}, {"fc.weight": (6, 2048), "fc.bias": (6,)},
    {"fc.weight": None, "fc.bias": None}, {"fc.bias": None},
], ids=["one class", "resnet50's", "none", "without bias"])  # fmt: skip
def test_the_files_own_head_does_not_matter(prefix, head):
    """It may be of any size or not be there."""
    head_fits(loaded(saved(without_numbers(head), prefix), 6, "meta"), 6)


@pytest.mark.parametrize(("changed", "why"), [
    ({"conv1.weight": None}, "no conv1.weight"),
    ({"layer3.0.downsample.1.running_var": None}, "no running_var in a downsample"),
    ({"layer4.1.bn2.num_batches_tracked": None}, "no num_batches_tracked in a batch norm"),
    ({"layer2.1.conv1.bias": (128,)}, "a bias that resnet18 has not"),
    ({"layer1.2.conv1.weight": (64, 64, 3, 3)}, "a third block in layer1"),
    ({"fc2.weight": (5, 9)}, "a second head, fc2"),
    ({"bn1.weight": None, "bn1.scale": (64,)}, "bn1.weight under another name"),
    ({"conv1.weight": (64, 3, 3, 3)}, "a 3x3 conv1.weight"),
    ({"layer2.0.bn1.running_mean": (64,)}, "a running_mean of 64 where 128 are needed"),
    ({"layer1.0.conv1.weight": (64, 64, 1, 1)}, "a 1x1 convolution from resnet50"),
    ({"conv1.weight": (3, 64, 7, 7)}, "a conv1.weight with inputs first"),
    ({"layer1.module.0.bn1.bias": (64,), "layer1.0.bn1.bias": None}, "module. inside a name"),
])  # fmt: skip
def test_a_tensor_that_does_not_fit_is_refused_by_name(changed, why):
    """Missing, too much or of another shape: a ValueError whose text holds its name."""
    told = []

    def telling(path, classes):
        try:
            return load_backbone(path, classes)
        except ValueError as error:
            told.append(str(error))
            raise

    with offline(), torch.device("meta"):
        refuses(telling, saved(without_numbers(changed)), 5, because=f"a file with {why}")
    held = any(name in text for text in told for name in changed)
    expect(held, f"the refusal of a file with {why} does not hold the name {next(iter(changed))}")


def test_a_file_without_any_backbone_is_refused():
    """There are some tensors in it, of a head alone."""
    path = saved({"fc.weight": torch.ones(5, 512), "fc.bias": torch.ones(5)})
    with offline(), torch.device("meta"):
        refuses(load_backbone, path, 5, because="a file that holds a head and no backbone")


class Trap:
    """Unpickled, it writes a file: so might one from the internet."""

    def __reduce__(self):
        return open, (str(Path(folder(), "trap")), "w")


def test_a_file_is_not_trusted():
    """Only weights are unpickled, whatever else is in the file."""
    path, sprung = saved({"conv1.weight": Trap()}), Path(folder(), "trap")
    sprung.unlink(missing_ok=True)
    with offline(), torch.device("meta"):
        try:
            load_backbone(path, 5)
        except NotImplementedError:
            raise
        except Exception:  # how it says no is its own affair
            pass
    expect(not sprung.exists(), "code that stood in the file was run while it was loaded")


@pytest.mark.parametrize("classes", [0, -1])
def test_at_least_one_class(classes):
    """A head without classes is refused."""
    with offline(), torch.device("meta"):
        refuses(
            load_backbone, saved(without_numbers({})), classes, because=f"num_classes {classes}"
        )


def test_a_file_that_is_not_there_is_told_as_that():
    """What torch.load raises reaches the caller: a FileNotFoundError."""
    raised = "nothing"
    with offline(), torch.device("meta"):
        try:
            load_backbone(Path(folder(), "missing.pth"), 5)
        except NotImplementedError:
            raise
        except Exception as error:
            raised = type(error).__name__
    expect(raised == "FileNotFoundError", f"a missing file raises {raised}, expected "
           "FileNotFoundError", raised)  # fmt: skip


def test_all_of_the_model_can_be_trained():
    """What is frozen is somebody else's choice: every parameter requires a gradient."""
    with offline(), torch.device("meta"):
        model = load_backbone(saved(without_numbers({})), 5)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    expect(not frozen, f"{len(frozen)} parameters require no gradient: {', '.join(frozen[:2])} ...",
           frozen)  # fmt: skip


def test_one_class_is_enough():
    """num_classes 1 is legal: a head that says yes or no."""
    with offline(), torch.device("meta"):
        head = load_backbone(saved(without_numbers({})), 1).fc
    got = tuple(head.weight.shape)
    expect(got == (1, 512), f"num_classes 1: fc.weight has shape {got}, expected (1, 512)", got)
