"""Run the backbone once and keep what it says: the body's work is done before training begins."""

import contextlib
import copy
import itertools
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dojo import right, wrong


def extract_features(
    backbone: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Collect what the backbone gives for every image, and the labels beside it.

    A frozen backbone says the same of an image in every epoch, so it is asked once and a head is
    trained on its answers. It is asked in eval: an image's features hang neither on chance nor
    on the other images of its batch. Its outputs are kept as they are, neither flattened nor
    scaled, in the order of the batches; so are the labels. Batches come in any sizes, and can
    be gone through once only: a generator is used up after that.

    The backbone comes back as it was, each submodule in the mode it had, also when it or the
    batches raise an exception. No graph leads from the features back into it; they are ordinary
    tensors, and a head can be trained on them.

    Shapes:
        backbone: images (B, ...) to outputs (B, ...), of any further axes
        batches: pairs of images (B, ...) and labels (B, ...), B of its own in every batch
        returns: features (N, ...) and labels (N, ...), N images in all, dtypes as they came

    Example:
        >>> batches = [(torch.ones(2, 1, 2), torch.tensor([3, 0])),
        ...            (torch.zeros(1, 1, 2), torch.tensor([7]))]
        >>> extract_features(nn.Flatten(), iter(batches))
        (tensor([[1., 1.],
                [1., 1.],
                [0., 0.]]), tensor([3, 0, 7]))

    Raises:
        ValueError: there is no batch at all; and whatever the backbone or the batches raise.

    Source: Donahue et al., DeCAF: A Deep Convolutional Activation Feature for Generic Visual
        Recognition, arXiv:1310.1531, section 3.
    """
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    features, labels = [], []
    try:
        with torch.no_grad():
            for images, targets in batches:
                features.append(backbone(images))
                labels.append(targets)
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not features:
        raise ValueError("batches holds no batch: at least one is needed")
    return torch.cat(features), torch.cat(labels)


HINTS = [
    "The backbone is frozen and the images do not change. What would a second epoch compute that "
    "the first one has not? And what would batch norm and dropout do to the features in train?",
    "One loop over the batches, two lists that grow side by side. Remember the mode of every "
    "module in backbone.modules() before eval(), and put it back in a finally.",
    "with torch.no_grad(): for images, targets in batches: features.append(backbone(images)); "
    "labels.append(targets). At the end torch.cat of both lists; no list, no features: ValueError.",
]


def _restore(modes):
    for module, mode in modes.items():
        module.training = mode


def _modes(backbone):
    return {module: module.training for module in backbone.modules()}


def _refuse_none(batches):
    batches = list(batches)
    if not batches:
        raise ValueError("there is no batch")
    return batches


@right(extract_features)
def by_a_copy(backbone, batches):
    """A deep copy is asked, the backbone itself never."""
    asked = copy.deepcopy(backbone).eval()
    with torch.inference_mode():
        pairs = [(asked(images), labels) for images, labels in batches]
    if not pairs:
        raise ValueError("no batches")
    features, labels = zip(*pairs, strict=True)
    return torch.cat(features), torch.cat(labels)


@right(extract_features)
def by_detaching(backbone, batches):
    """Every output is cut off its graph as soon as it is there."""
    before = [(module, module.training) for module in backbone.modules()]
    features, labels = torch.empty(0), torch.empty(0)
    try:
        for place, (images, targets) in enumerate(batches):
            output = backbone.eval()(images).detach()
            features = torch.cat([features, output]) if place else output.clone()
            labels = torch.cat([labels, targets]) if place else targets.clone()
    finally:
        for module, mode in before:  # parents first: their children have the last word
            module.train(mode)
    if not len(features):
        raise ValueError("an iterable without batches")
    return features, labels


@right(extract_features)
def image_by_image(backbone, batches):
    """Single images, into a tensor that is made when the first output is known."""
    modes, enabled = _modes(backbone), torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    backbone.train(False)
    try:
        pairs = [pair for images, labels in batches for pair in zip(images, labels, strict=True)]
        outputs = [backbone(image.unsqueeze(0)).squeeze(0) for image, _ in pairs]
    finally:
        torch.set_grad_enabled(enabled)
        _restore(modes)
    if not pairs:
        raise ValueError("no image in any batch")
    return torch.stack(outputs), torch.stack([label for _, label in pairs])


def _collected(backbone, batches, forward=None, label=lambda labels: labels):
    """The reference, with another way to ask and to note."""
    pairs = []
    modes = _modes(backbone)
    backbone.eval()
    try:
        with torch.no_grad():
            for images, labels in batches:
                pairs.append((forward(images) if forward else backbone(images), label(labels)))
    finally:
        _restore(modes)
    return _joined(pairs)


def _joined(pairs):
    features, labels = zip(*_refuse_none(pairs), strict=True)
    return torch.cat(features), torch.cat(labels)


@wrong(extract_features)
def in_train_mode(backbone, batches):
    """the backbone is asked as it is, without eval: in train mode dropout and batch norm act"""
    with torch.no_grad():
        return _joined([(backbone(images), labels) for images, labels in batches])


@wrong(extract_features)
def switched_to_train(backbone, batches):
    """the backbone is put into train mode to be asked"""
    modes = _modes(backbone)
    backbone.train()
    try:
        with torch.no_grad():
            return _joined([(backbone(images), labels) for images, labels in batches])
    finally:
        _restore(modes)


@wrong(extract_features)
def root_in_eval(backbone, batches):
    """only the root is put into eval (training = False): its submodules train on"""
    modes = _modes(backbone)
    backbone.training = False
    try:
        with torch.no_grad():
            return _joined([(backbone(images), labels) for images, labels in batches])
    finally:
        _restore(modes)


@wrong(extract_features)
def graph_kept(backbone, batches):
    """the features are part of a graph that leads back into the backbone"""
    modes = _modes(backbone)
    backbone.eval()
    try:
        return _joined([(backbone(images), labels) for images, labels in batches])
    finally:
        _restore(modes)


@wrong(extract_features)
def inference_tensors(backbone, batches):
    """the features are made in inference_mode: no head can be trained on them"""
    with torch.inference_mode():
        return _collected(backbone, batches)


@wrong(extract_features)
def left_in_eval(backbone, batches):
    """the backbone is left in eval"""
    backbone.eval()
    with torch.no_grad():
        return _joined([(backbone(images), labels) for images, labels in batches])


@wrong(extract_features)
def train_afterwards(backbone, batches):
    """backbone.train() afterwards: what was in eval is in train now"""
    backbone.eval()
    try:
        with torch.no_grad():
            return _joined([(backbone(images), labels) for images, labels in batches])
    finally:
        backbone.train()


@wrong(extract_features)
def mode_of_the_root(backbone, batches):
    """only the root's mode is remembered: train(mode) gives it to every submodule"""
    mode = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            return _joined([(backbone(images), labels) for images, labels in batches])
    finally:
        backbone.train(mode)


@wrong(extract_features)
def restored_without_finally(backbone, batches):
    """the modes come back only if all goes well: after an exception all is left in eval"""
    modes = _modes(backbone)
    backbone.eval()
    with torch.no_grad():
        pairs = [(backbone(images), labels) for images, labels in batches]
    _restore(modes)
    return _joined(pairs)


@wrong(extract_features)
def left_in_eval_without_batches(backbone, batches):
    """where there is no batch the backbone is left in eval: the refusal comes before the modes"""
    modes = _modes(backbone)
    backbone.eval()
    batches = iter(batches)
    first = next(batches, None)
    if first is None:
        raise ValueError("no batch")
    try:
        return _collected(backbone, itertools.chain([first], batches))
    finally:
        _restore(modes)


@wrong(extract_features)
def autograd_left_off(backbone, batches):
    """autograd is switched off and not on again: no head can be trained afterwards"""
    torch.set_grad_enabled(False)
    return _collected(backbone, batches)


@wrong(extract_features)
def autograd_switched_on(backbone, batches):
    """autograd is switched on afterwards, though the caller had it off"""
    try:
        return _collected(backbone, batches)
    finally:
        torch.set_grad_enabled(True)


@wrong(extract_features)
def freezes(backbone, batches):
    """the backbone's requires_grad is switched off for good"""
    backbone.requires_grad_(False)
    return _collected(backbone, batches)


@wrong(extract_features)
def clears_gradients(backbone, batches):
    """the backbone's gradients are cleared"""
    backbone.zero_grad()
    return _collected(backbone, batches)


@wrong(extract_features)
def last_batch_dropped(backbone, batches):
    """the last batch is dropped"""
    batches = _refuse_none(batches)
    return _collected(backbone, batches[:-1] or batches)


@wrong(extract_features)
def smaller_batch_dropped(backbone, batches):
    """a batch smaller than the first one is dropped"""
    batches = _refuse_none(batches)
    size = len(batches[0][1])
    return _collected(backbone, [pair for pair in batches if len(pair[1]) >= size])


@wrong(extract_features)
def first_batch_only(backbone, batches):
    """only the first batch is used: return stands inside the loop"""
    return _collected(backbone, _refuse_none(batches)[:1])


@wrong(extract_features)
def last_batch_only(backbone, batches):
    """only the last batch is left: each one takes the place of the one before"""
    return _collected(backbone, _refuse_none(batches)[-1:])


@wrong(extract_features)
def first_batch_missing(backbone, batches):
    """the first batch is used up by a look at its shape, and missing in the result"""
    batches = _refuse_none(batches)
    return _collected(backbone, batches[1:] or batches)


@wrong(extract_features)
def newest_first(backbone, batches):
    """the batches stand in the opposite order: the last one first"""
    return _collected(backbone, _refuse_none(batches)[::-1])


@wrong(extract_features)
def labels_newest_first(backbone, batches):
    """the labels' batches stand in the opposite order: they are not beside their features"""
    batches = _refuse_none(batches)
    features, _ = _collected(backbone, batches)
    return features, torch.cat([labels for _, labels in batches[::-1]])


@wrong(extract_features)
def labels_sorted(backbone, batches):
    """the labels are sorted: they are not beside their features"""
    features, labels = _collected(backbone, batches)
    return features, labels.sort(0).values


@wrong(extract_features)
def labels_of_the_first_batch(backbone, batches):
    """the labels are those of the first batch, again and again"""
    batches = _refuse_none(batches)
    features, labels = _collected(backbone, batches)
    first = batches[0][1]
    return features, torch.cat([first] * len(labels))[: len(labels)]


@wrong(extract_features)
def labels_predicted(backbone, batches):
    """the labels are the places of the largest features, not those of the batches"""
    features, _ = _collected(backbone, batches)
    return features, features.flatten(1).argmax(1)


@wrong(extract_features)
def exchanged(backbone, batches):
    """the labels come first, then the features"""
    return _collected(backbone, batches)[::-1]


@wrong(extract_features)
def labels_as_int64(backbone, batches):
    """the labels become int64, whatever they were"""
    return _collected(backbone, batches, label=Tensor.long)


@wrong(extract_features)
def labels_flattened(backbone, batches):
    """the labels are flattened: images with several labels lose their rows"""
    return _collected(backbone, batches, label=Tensor.flatten)


@wrong(extract_features)
def as_lists(backbone, batches):
    """lists of batches come back, not one tensor each"""
    pairs = [_collected(backbone, [pair]) for pair in _refuse_none(batches)]
    return [features for features, _ in pairs], [labels for _, labels in pairs]


@wrong(extract_features)
def stacked(backbone, batches):
    """the batches are stacked on a new axis (stack): all must be of one size"""
    pairs = [_collected(backbone, [pair]) for pair in _refuse_none(batches)]
    features, labels = zip(*pairs, strict=True)
    return torch.stack(features), torch.stack(labels)


@wrong(extract_features)
def flattened(backbone, batches):
    """the outputs are flattened to (N, F)"""
    return _collected(backbone, batches, lambda images: backbone(images).flatten(1))


@wrong(extract_features)
def pooled(backbone, batches):
    """maps are averaged over their places, not kept as they are"""

    def forward(images):
        output = backbone(images)
        return output.mean((2, 3)) if output.dim() == 4 else output

    return _collected(backbone, batches, forward)


@wrong(extract_features)
def squeezed(backbone, batches):
    """squeeze takes axes of one away: a batch of one image, maps of one place"""
    return _collected(backbone, batches, lambda images: backbone(images).squeeze())


@wrong(extract_features)
def scaled(backbone, batches):
    """the features are scaled to length 1, not kept as they are"""
    features, labels = _collected(backbone, batches)
    lengths = features.flatten(1).norm(dim=1)
    return features / lengths.reshape(-1, *[1] * (features.dim() - 1)), labels


@wrong(extract_features)
def rectified(backbone, batches):
    """a ReLU is laid over the features: negative ones become 0"""
    return _collected(backbone, batches, lambda images: backbone(images).relu())


@wrong(extract_features)
def always_float32(backbone, batches):
    """the features are float32, whatever the backbone gave"""
    return _collected(backbone, batches, lambda images: backbone(images).float())


@wrong(extract_features)
def as_numpy(backbone, batches):
    """numpy arrays come back, not tensors"""
    features, labels = _collected(backbone, batches)
    return features.numpy(), labels.numpy()


@wrong(extract_features)
def past_the_hooks(backbone, batches):
    """backbone.forward is called, not backbone: the hooks on it do not run"""
    return _collected(backbone, batches, backbone.forward)


@wrong(extract_features)
def batches_gone_through_twice(backbone, batches):
    """the batches are gone through twice, for features and for labels: a generator is used up"""
    features = [_collected(backbone, [pair])[0] for pair in batches]
    labels = [labels for _, labels in batches]
    if not features:
        raise ValueError("there is no batch")
    return torch.cat(features), torch.cat(labels) if labels else torch.empty(0, dtype=torch.long)


@wrong(extract_features)
def batches_counted(backbone, batches):
    """len(batches) and batches[i] are used: only a list has them"""
    if len(batches) == 0:
        raise ValueError("there is no batch")
    return _collected(backbone, [batches[i] for i in range(len(batches))])


@wrong(extract_features)
def nothing_for_nothing(backbone, batches):
    """no batch gives empty tensors and is not refused"""
    batches = list(batches)
    return _collected(backbone, batches) if batches else (torch.empty(0), torch.empty(0))


@wrong(extract_features)
def exceptions_swallowed(backbone, batches):
    """an exception of the backbone or the batches is swallowed: the rest is taken for the whole"""
    pairs = []
    with contextlib.suppress(Exception):
        for pair in batches:
            pairs.append(_collected(backbone, [pair]))
    return _joined(pairs)


@wrong(extract_features)
def exceptions_replaced(backbone, batches):
    """an exception of the backbone or the batches is turned into the refusal of no batch"""
    try:
        return _collected(backbone, batches)
    except Exception:
        raise ValueError("there is no batch") from None


_KNOWN = {}


@wrong(extract_features)
def remembered(backbone, batches):
    """the features of an earlier call with the same backbone come back"""
    batches = _refuse_none(batches)
    if id(backbone) not in _KNOWN:
        _KNOWN.clear()
        _KNOWN[id(backbone)] = (backbone, _collected(backbone, batches))
    return _KNOWN[id(backbone)][1]


@wrong(extract_features)
def lists_shared(backbone, batches):
    """the same two lists serve every call: a later call gets the earlier ones' images too"""
    pairs = _refuse_none(batches)
    if _COLLECTED and _COLLECTED[0] is not backbone:
        _COLLECTED.clear()
    _COLLECTED[:1] = [backbone]
    _COLLECTED.append(_collected(backbone, pairs))
    return _joined(_COLLECTED[1:])


_COLLECTED = []


def show(answer):
    """The features of 300 images on their two main axes, from two backbones, and the pixels."""
    from matplotlib.figure import Figure

    from data.shapes import few_shot_images, pretrained_backbone, untrained_backbone

    images, labels, names = few_shot_images()
    batches = list(zip(images.split(64), labels.split(64), strict=True))
    figure = Figure(figsize=(11, 4), layout="constrained")
    backbones = {"pixels": nn.Flatten(), "untrained backbone": untrained_backbone(0),
                 "pretrained backbone": pretrained_backbone()}  # fmt: skip
    for axis, (title, backbone) in zip(figure.subplots(1, 3), backbones.items(), strict=True):
        features, kinds = answer.extract_features(backbone, iter(batches))
        centred = (features - features.mean(0)) / (features.std(0) + 1e-6)
        across = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T
        for kind, name in enumerate(names):
            axis.scatter(*across[kinds == kind].T, s=9, label=name)
        axis.set_title(title, fontsize=10)
        axis.set(xticks=[], yticks=[])
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure
