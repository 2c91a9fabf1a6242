"""Run the backbone once: what `extract_features` collects, and what it leaves as it was."""

import pytest
import torch
from torch import nn, tensor

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import model_left_alone, normal

extract_features = answer("extract_features")

SIZES = [4, 2, 3, 1]  # the last batch is smaller, and one image alone


class Broken(Exception):
    """No answer can mean this one."""


class BrokenToo(Broken, RuntimeError):
    """As torch raises them: an answer may expect one of torch.cat, but from nowhere else."""


class Breaks(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error("this layer breaks")


class Tells(nn.Module):
    """Adds 100 in train mode."""

    def forward(self, x):
        return x.flatten(1) + (100.0 if self.training else 0.0)


def network(*more):
    """Images (B, 2, 7, 6) to (B, 5), with batch norm, two dropouts and a nested part."""
    inner = nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.Dropout(0.5))
    body = [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.5), inner]
    return nn.Sequential(*body, *more, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def trained(rng):
    """A network whose running statistics and gradients are not those of a fresh one."""
    model = network()
    for _ in range(2):
        model(normal(rng, 6, 2, 7, 6) * 3 + 1).square().sum().backward()
    return model


def mixed(model):
    """Every second module in eval, parents and children apart."""
    for place, module in enumerate(model.modules()):
        module.training = place % 2 == 0
    return model


def batches_of(rng, sizes=SIZES):
    """Batches of these sizes, every label different and none in order."""
    labels = torch.from_numpy(rng.permutation(sum(sizes)) * 3 + 1).split(sizes)
    return [(normal(rng, len(each), 2, 7, 6), each) for each in labels]


def extracted(backbone, batches):
    """Features and labels, if it is a pair that came back."""
    got = extract_features(backbone, batches)
    kind = type(got).__name__
    pair = isinstance(got, (tuple, list)) and len(got) == 2
    seen = f"{kind} of {len(got)}" if isinstance(got, (tuple, list)) else kind
    expect(pair, f"a {seen} came back, expected the pair of features and labels", seen)
    return got


def test_features_and_labels_stand_side_by_side():
    """Three images in two batches become three rows, the labels in the same order."""
    batches = [(tensor([[[1.0, -2.0]], [[3.0, 4.0]]]), tensor([7, 2])),
               (tensor([[[-6.0, 5.0]]]), tensor([9]))]  # fmt: skip
    features, labels = extracted(nn.Flatten(), batches)
    same(features, tensor([[1.0, -2.0], [3.0, 4.0], [-6.0, 5.0]]), what="features")
    same(labels, tensor([7, 2, 9]), what="labels")


@pytest.mark.parametrize("sizes", [SIZES, [3], [1], [1, 1], [2, 5], [2, 3, 2, 3]])
def test_every_image_of_every_batch_is_there(rng, sizes):
    """Batches of any sizes, also a single one and one of one image, in their order."""
    layer, batches = nn.Sequential(nn.Flatten(), nn.Linear(84, 3)), batches_of(rng, sizes)
    features, labels = extracted(layer, batches)
    with torch.no_grad():
        same(features, layer(torch.cat([images for images, _ in batches])), what="features")
    same(labels, torch.cat([each for _, each in batches]), what="labels")


@pytest.mark.parametrize("shape", [(2, 7, 6), (3, 1, 1), (1, 2, 3), (4,), (1,), ()])
def test_outputs_are_kept_as_they_are(rng, shape):
    """Maps stay maps, whatever axes follow the first: neither flattened nor pooled nor scaled."""
    x = normal(rng, 5, *shape)
    features, _ = extracted(nn.Identity(), [(x[:3], torch.arange(3)), (x[3:], torch.arange(2))])
    same(features, x, what="features")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float16])
def test_outputs_keep_their_dtype(dtype):
    """Neither images nor outputs are turned into float32, or brought to 0..1, on the way."""
    x = tensor([[200, 3], [7, 0], [1, 90]]).to(dtype)
    pairs = [(x[:2], torch.arange(2)), (x[2:], torch.arange(1))]
    same(extracted(nn.Flatten(), pairs)[0], x, what="features")


@pytest.mark.parametrize("labels", [
    tensor([4, 0, 250], dtype=torch.uint8), tensor([[0.5, -1], [2, 0.25], [1, 1]]),
    tensor([5, -3, 2], dtype=torch.int32), tensor([[True], [False], [True]]),
], ids=["uint8", "two floats", "int32", "bool"])  # fmt: skip
def test_labels_are_kept_as_they_are(rng, labels):
    """Any dtype, any axes: the labels are not looked into."""
    x = normal(rng, 3, 2, 2)
    got = extracted(nn.Flatten(), [(x[:1], labels[:1]), (x[1:], labels[1:])])[1]
    same(got, labels, what="labels")


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_backbone_is_asked_in_eval(training):
    """A backbone that adds 100 in train mode adds nothing, whatever mode it came in."""
    x = tensor([[[1.0, -2.0]], [[3.0, 4.0]]])
    features, _ = extracted(Tells().train(training), [(x, tensor([1, 0]))])
    same(features, x[:, 0], what="features")


@pytest.mark.parametrize("modes", ["train", "eval", "mixed"])
def test_an_image_alone_has_the_same_features(rng, modes):
    """In eval no image hangs on chance or on its batch, whatever mode the backbone came in."""
    backbone, batches = trained(rng), batches_of(rng)
    with torch.no_grad():
        wanted = [backbone.eval()(image[None]) for images, _ in batches for image in images]
    backbone.train(modes == "train")
    backbone = mixed(backbone) if modes == "mixed" else backbone
    same(extracted(backbone, batches)[0], torch.cat(wanted), what="features")
    same(extracted(backbone, batches)[0], torch.cat(wanted), what="features, asked again")


def test_any_iterable_of_batches(rng):
    """A generator can be gone through once, and has no length; a loader gives lists."""
    batches = batches_of(rng)
    wanted = extracted(nn.Flatten(), batches)
    for kind, given in [("generator", (pair for pair in batches)), ("list", map(list, batches))]:
        features, labels = extracted(nn.Flatten(), given)
        same(features, wanted[0], what=f"features from a {kind}")
        same(labels, wanted[1], what=f"labels from a {kind}")


def test_every_call_begins_anew(rng):
    """A second call knows nothing of the first and leaves its result alone."""
    backbone, (first, *others) = trained(rng), batches_of(rng)
    features, labels = extracted(backbone, others)
    kept = features.clone(), labels.clone()
    got = extracted(backbone, [first])
    same(got[1], first[1], what="labels of a second call")
    same(extracted(backbone, others)[0], features, what="features of a third call")
    same(features, kept[0], what="features of the first call")
    same(labels, kept[1], what="labels of the first call")


def test_float64_stays_float64(rng):
    """A float64 backbone has float64 features, with all their digits."""
    backbone, batches = trained(rng).double(), batches_of(rng)
    batches = [(images.double(), labels) for images, labels in batches]
    with torch.no_grad():
        wanted = torch.cat([backbone.eval()(images) for images, _ in batches])
    same(extracted(backbone, batches)[0], wanted, what="features")


def test_the_backbone_is_called_hooks_and_all(rng):
    """What counts is what a call of the backbone gives: a hook of the caller's may change it."""
    backbone = nn.Flatten()
    backbone.register_forward_hook(lambda module, args, output: output * 2)
    (images, labels), *_ = batches_of(rng)
    same(extracted(backbone, [(images, labels)])[0], images.flatten(1) * 2, what="features")


@pytest.mark.parametrize("modes", ["train", "eval", "mixed"])
def test_the_backbone_comes_back_as_it_was(rng, modes):
    """Each submodule's own mode, statistics, weights, requires_grad, .grad and hooks."""
    backbone = trained(rng).train(modes == "train")
    backbone = mixed(backbone) if modes == "mixed" else backbone
    backbone[0].weight.requires_grad_(False)
    with model_left_alone(backbone):
        extracted(backbone, batches_of(rng))


@pytest.mark.parametrize("error", [Broken, BrokenToo])
@pytest.mark.parametrize("breaks", ["batches", "backbone"])
def test_it_comes_back_also_after_an_exception(rng, breaks, error):
    """What backbone or batches raise reaches the caller; the modes are as before all the same."""
    backbone = mixed(network(*([Breaks(error)] if breaks == "backbone" else [])))

    def two_batches():
        yield from batches_of(rng, [2, 3])
        raise error("no more batches")

    with model_left_alone(backbone):
        got = "a result"
        try:
            extract_features(backbone, two_batches())
        except (Broken, ValueError) as caught:
            got = type(caught).__name__
    wanted = error.__name__
    expect(got == wanted, f"the {breaks} raised {wanted}, and the caller got {got}", got)


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
def test_autograd_is_as_the_caller_had_it(rng, enabled):
    """On stays on, off stays off."""
    torch.set_grad_enabled(enabled)
    extracted(trained(rng) if enabled else nn.Flatten(), batches_of(rng))
    after = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    words = {True: "on", False: "off"}
    expect(after == enabled, f"autograd was {words[enabled]} and is {words[after]} after the call",
           after)  # fmt: skip


def test_no_graph_leads_back_into_the_backbone(rng):
    """Features are plain numbers, also where backbone and images require gradients."""
    batches = [(images.requires_grad_(), labels) for images, labels in batches_of(rng)]
    features, _ = extracted(network(), batches)
    expect(not features.requires_grad, "the features are part of a graph: training a head would "
           "go back into the backbone", "graph")  # fmt: skip


def test_a_head_can_be_trained_on_the_features(rng):
    """The gradient of a loss on the features reaches the head's weight."""
    features, _ = extracted(trained(rng), batches_of(rng))
    weight = normal(rng, 5, 3).requires_grad_()
    (features @ weight).sum().backward()
    same(weight.grad, features.sum(0)[:, None].expand(5, 3).clone(), what="gradient of a head")


@pytest.mark.parametrize("none", [list, lambda: iter(())], ids=["list", "iterator"])
def test_no_batch_is_refused(rng, none):
    """Without a batch there is nothing to collect: ValueError, the backbone as it was."""
    backbone = mixed(network())
    with model_left_alone(backbone):
        refuses(extract_features, backbone, none(), because="no batch at all")
