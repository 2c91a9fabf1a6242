"""Ten images a class are enough, where the backbone has learnt to see already."""

import copy
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dojo import right, wrong


def few_shot_classifier(
    backbone: nn.Module, images: Tensor, labels: Tensor, num_classes: int,
    generator: torch.Generator,
) -> nn.Module:  # fmt: skip
    """Build a classifier from a trained backbone and a few labelled images.

    Only a head learns: it gets the features that the backbone in eval gives for the images,
    and finds out which of them speak for which class. A linear head is enough, trained as you
    like; it must sort planted, well separated classes and beat untrained features by far.
    What the backbone does not see, the classifier does not see either.

    The backbone comes back as it was: weights, statistics, requires_grad, .grad and each
    submodule's mode. The classifier holds it, or a copy, and the head; it is put into eval
    before it is asked, as any model. A class without an image keeps its logit all the same.
    All randomness comes from `generator` as it stands, not from its initial_seed(): torch's
    global seed has no influence on the logits and is not set. Beware: nn.Linear draws its first
    weights from the global random numbers.

    Shapes:
        backbone: images (N, ...) to features (N, F), for any F
        images: (N, ...), float32 or float64; labels: (N,) int64, 0 to num_classes - 1, in
            any order, one image a class or more
        generator: the source of all random numbers
        returns: a module, images (M, ...) to logits (M, num_classes) of the images' dtype

    Example:
        >>> images = torch.tensor([[-1.0], [1.0], [-2.0], [2.0]])
        >>> labels = torch.tensor([2, 0, 2, 0])
        >>> chance = torch.Generator().manual_seed(0)
        >>> classifier = few_shot_classifier(nn.Flatten(), images, labels, 3, chance)
        >>> classifier.eval()(torch.tensor([[3.0], [-1.5]])).argmax(1)
        tensor([0, 2])

    Raises:
        ValueError: a label is below 0 or not below num_classes; there are not as many labels
            as images.

    Source: Chen et al., A Closer Look at Few-shot Classification, arXiv:1904.04232, section 3.2.
    """
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images and {len(labels)} labels: one for each is needed")
    if bool(((labels < 0) | (labels >= num_classes)).any()):
        raise ValueError(f"labels {labels.unique().tolist()}: 0 to {num_classes - 1} are allowed")
    features = _features(backbone, images)
    head = nn.utils.skip_init(  # nothing is drawn from the global random numbers
        nn.Linear, features.shape[1], num_classes, dtype=features.dtype, device=features.device
    )
    nn.init.normal_(head.weight, std=0.01, generator=generator)
    nn.init.zeros_(head.bias)
    for _ in range(100):
        loss = F.cross_entropy(head(features), labels)
        gradients = torch.autograd.grad(loss, list(head.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(head.parameters(), gradients, strict=True):
                parameter -= 0.2 * gradient
    return nn.Sequential(backbone, head)


def _features(backbone: nn.Module, images: Tensor) -> Tensor:
    """What the backbone gives in eval, without a graph; its modes are as before."""
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    try:
        with torch.no_grad():
            return backbone(images)
    finally:
        for module, mode in modes.items():
            module.training = mode


HINTS = [
    "How many weights has the backbone, how many the head? Which of the two can 50 images teach? "
    "And how often must the backbone look at an image that does not change?",
    "First the features of all images, in eval and without a graph, the modes put back. Then a "
    "linear layer on them, a loss, a loop; its first weights from the generator, or zeros. At "
    "the end backbone and head in one module.",
    "nn.utils.skip_init(nn.Linear, F, num_classes) makes a layer that has drawn nothing; "
    "nn.init.normal_ takes a generator. 100 steps of F.cross_entropy(head(features), labels), "
    "torch.autograd.grad, parameter -= 0.2 * gradient. Return nn.Sequential(backbone, head).",
]


def _refuse(images, labels, num_classes):
    if len(images) != len(labels) or not set(labels.tolist()) <= set(range(num_classes)):
        raise ValueError(f"labels {labels.tolist()} for {len(images)} images")


class _Built(nn.Module):
    """A backbone, and something that turns features into logits."""

    def __init__(self, backbone, head):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images):
        return self.head(self.backbone(images))


class _Affine(nn.Module):
    """Logits by a matrix and an offset that need no training."""

    def __init__(self, weight, offset):
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("offset", offset)

    def forward(self, features):
        return features @ self.weight + self.offset


@right(few_shot_classifier)
def by_nearest_mean(backbone, images, labels, num_classes, generator):
    """The nearer to the mean features of a class, the larger its logit: affine, no training."""
    _refuse(images, labels, num_classes)
    features = _features(backbone, images)
    means = features.new_zeros(num_classes, features.shape[1])
    offset = features.new_full((num_classes,), -1e3)
    for kind in labels.unique().tolist():
        means[kind] = features[labels == kind].mean(0)
        offset[kind] = -means[kind].square().sum()
    return _Built(backbone, _Affine(2 * means.T, offset))


@right(few_shot_classifier)
def by_ridge_regression(backbone, images, labels, num_classes, generator):
    """One linear system in float64, on standardised features."""
    _refuse(images, labels, num_classes)
    features = _features(backbone, images).double()
    mean, deviation = features.mean(0), features.std(0, correction=0) + 1e-3
    known, targets = (features - mean) / deviation, F.one_hot(labels, num_classes).double()
    products = known @ known.T + torch.eye(len(known), dtype=known.dtype)
    weight = known.T @ torch.linalg.solve(products, targets - targets.mean(0))
    weight = weight / deviation[:, None]
    offset = targets.mean(0) - mean @ weight
    return _Built(backbone, _Affine(weight.to(images.dtype), offset.to(images.dtype)))


@right(few_shot_classifier)
def by_adam_in_batches(backbone, images, labels, num_classes, generator):
    """A frozen copy of the backbone; a linear head, batches drawn from the generator."""
    _refuse(images, labels, num_classes)
    own = copy.deepcopy(backbone).eval().requires_grad_(False)
    features = own(images).detach()
    with torch.random.fork_rng(devices=[]):
        head = nn.Linear(features.shape[1], num_classes, dtype=images.dtype)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.03)
    for _ in range(40):
        for batch in torch.randperm(len(images), generator=generator).split(16):
            optimizer.zero_grad()
            F.cross_entropy(head(features[batch]), labels[batch]).backward()
            optimizer.step()
    return nn.Sequential(OrderedDict(body=own, classify=head))


@right(few_shot_classifier)
def by_a_gentle_adam(backbone, images, labels, num_classes, generator):
    """Small steps from a layer as nn.Linear makes it, its seed drawn from the generator."""
    _refuse(images, labels, num_classes)
    features = _features(backbone, images)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(1 << 30, (), generator=generator)))
        head = nn.Linear(features.shape[1], num_classes, dtype=features.dtype)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(head(features), labels).backward()
        optimizer.step()
    return _Built(backbone, head)


@right(few_shot_classifier)
def by_standardised_features(backbone, images, labels, num_classes, generator):
    """Each feature is brought to mean 0 and deviation 1 of the few images, unless it is dead."""
    _refuse(images, labels, num_classes)
    features = _features(backbone, images)
    mean, deviation = features.mean(0), features.std(0, correction=0).clamp(min=1e-4)
    head = _fit((features - mean) / deviation, labels, num_classes, generator)
    return nn.Sequential(backbone, _Scaled(head, mean, deviation))


@right(few_shot_classifier)
def by_a_head_of_two_layers(backbone, images, labels, num_classes, generator):
    """A hidden layer between features and logits."""
    _refuse(images, labels, num_classes)
    features = _features(backbone, images)
    sizes = [(24, features.shape[1]), (num_classes, 24)]
    weights = [
        torch.randn(size, generator=generator, dtype=images.dtype) / size[1] ** 0.5
        for size in sizes
    ]
    head = nn.Sequential(nn.Linear(features.shape[1], 24), nn.ReLU(), nn.Linear(24, num_classes))
    head.to(images.dtype)
    with torch.no_grad():
        for layer, weight in zip((head[0], head[2]), weights, strict=True):
            layer.weight.copy_(weight)
            layer.bias.zero_()
    for _ in range(150):
        head.zero_grad()
        F.cross_entropy(head(features), labels).backward()
        with torch.no_grad():
            for parameter in head.parameters():
                parameter -= 0.2 * parameter.grad
    return _Built(backbone, head)


def _fit(features, labels, num_classes, generator, steps=100, rate=0.2, start=0.01):
    """The head of the reference."""
    size = features.shape[1]
    head = nn.utils.skip_init(nn.Linear, size, num_classes, dtype=features.dtype)
    nn.init.normal_(head.weight, std=start, generator=generator)
    nn.init.zeros_(head.bias)
    return _descend(lambda: head(features), labels, head, steps, rate)


def _descend(logits, labels, model, steps=100, rate=0.2):
    """Trains whatever parameters of the model the logits hang on."""
    parameters = list(model.parameters())
    for _ in range(steps):
        loss = F.cross_entropy(logits(), labels)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    parameter -= rate * gradient
    return model


def _with(backbone, images, labels, num_classes, generator, features=None, build=None, **fit):
    """The reference with other features, another fit or another module in the end."""
    _refuse(images, labels, num_classes)
    features = _features(backbone, images) if features is None else features
    head = _fit(features, labels, num_classes, generator, **fit)
    return build(head) if build else nn.Sequential(backbone, head)


@wrong(few_shot_classifier)
def backbone_trained(backbone, images, labels, num_classes, generator):
    """the backbone is trained together with the head: its weights change"""
    classifier = _with(backbone, images, labels, num_classes, generator, steps=0)
    modes = {module: module.training for module in backbone.modules()}
    classifier.eval()
    _descend(lambda: classifier(images), labels, classifier)
    for module, mode in modes.items():
        module.training = mode
    return classifier


@wrong(few_shot_classifier)
def copy_trained(backbone, images, labels, num_classes, generator):
    """a copy of the backbone is trained together with the head"""
    own = copy.deepcopy(backbone).eval()
    classifier = _with(own, images, labels, num_classes, generator, steps=0)
    return _descend(lambda: classifier(images), labels, classifier)


@wrong(few_shot_classifier)
def trained_and_put_back(backbone, images, labels, num_classes, generator):
    """the backbone is trained together with the head, and its weights are put back afterwards"""
    classifier = _with(backbone, images, labels, num_classes, generator, steps=0)
    modes = {module: module.training for module in backbone.modules()}
    weights = [(p, p.detach().clone()) for p in backbone.parameters()]
    classifier.eval()
    _descend(lambda: classifier(images), labels, classifier, steps=30, rate=0.02)
    for parameter, weight in weights:
        parameter.data.copy_(weight)
    for module, mode in modes.items():
        module.training = mode
    return classifier


@wrong(few_shot_classifier)
def gradients_left(backbone, images, labels, num_classes, generator):
    """the loss goes back through the backbone: its parameters have a .grad afterwards"""
    classifier = _with(backbone, images, labels, num_classes, generator)
    modes = {module: module.training for module in backbone.modules()}
    classifier.eval()
    loss = F.cross_entropy(classifier(images), labels)
    if loss.requires_grad:
        loss.backward()
    for module, mode in modes.items():
        module.training = mode
    return classifier


@wrong(few_shot_classifier)
def gradients_cleared(backbone, images, labels, num_classes, generator):
    """the gradients that the backbone had are cleared"""
    classifier = _with(backbone, images, labels, num_classes, generator)
    classifier.zero_grad()
    return classifier


@wrong(few_shot_classifier)
def features_in_train(backbone, images, labels, num_classes, generator):
    """the features come from the backbone in train mode: statistics drift, dropout drops"""
    _refuse(images, labels, num_classes)
    modes = {module: module.training for module in backbone.modules()}
    backbone.train()
    with torch.no_grad():
        features = backbone(images)
    for module, mode in modes.items():
        module.training = mode
    return _with(backbone, images, labels, num_classes, generator, features=features)


@wrong(few_shot_classifier)
def features_as_it_came(backbone, images, labels, num_classes, generator):
    """the backbone is not put into eval for the features: in train mode they are others"""
    _refuse(images, labels, num_classes)
    with torch.no_grad():
        features = backbone(images)
    return _with(backbone, images, labels, num_classes, generator, features=features)


@wrong(few_shot_classifier)
def features_of_a_copy_in_train(backbone, images, labels, num_classes, generator):
    """the features come from a copy in train mode: the head learns what eval never gives"""
    with torch.no_grad():
        features = copy.deepcopy(backbone).train()(images)
    return _with(backbone, images, labels, num_classes, generator, features=features)


@wrong(few_shot_classifier)
def statistics_of_the_few(backbone, images, labels, num_classes, generator):
    """a copy of the backbone moves its statistics to the few images, in train mode, and is kept"""
    with torch.no_grad():
        (own := copy.deepcopy(backbone).train())(images)
    return _with(own.eval(), images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def restored_without_finally(backbone, images, labels, num_classes, generator):
    """the modes come back only if all goes well: after an exception all is left in eval"""
    _refuse(images, labels, num_classes)
    modes = {module: module.training for module in backbone.modules()}
    with torch.no_grad():
        features = backbone.eval()(images)
    for module, mode in modes.items():
        module.training = mode
    return _with(backbone, images, labels, num_classes, generator, features=features)


@wrong(few_shot_classifier)
def refused_in_eval(backbone, images, labels, num_classes, generator):
    """the backbone is in eval already when labels are refused, and stays there"""
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    _refuse(images, labels, num_classes)
    for module, mode in modes.items():
        module.training = mode
    return _with(backbone, images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def left_in_eval(backbone, images, labels, num_classes, generator):
    """the backbone is left in eval"""
    return _with(backbone.eval(), images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def left_in_train(backbone, images, labels, num_classes, generator):
    """the whole classifier is put into train mode, the backbone with it"""
    return _with(backbone, images, labels, num_classes, generator).train()


@wrong(few_shot_classifier)
def mode_of_the_root(backbone, images, labels, num_classes, generator):
    """only the root's mode is remembered: train(mode) gives it to every submodule"""
    classifier = _with(backbone, images, labels, num_classes, generator)
    backbone.train(backbone.training)
    return classifier


@wrong(few_shot_classifier)
def frozen_for_good(backbone, images, labels, num_classes, generator):
    """requires_grad is switched off in the backbone and not on again"""
    backbone.requires_grad_(False)
    return _with(backbone, images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def backbone_cast(backbone, images, labels, num_classes, generator):
    """the backbone itself is turned into float64"""
    _refuse(images, labels, num_classes)
    features = _features(backbone, images).double()
    backbone.double()
    return _with(backbone, images, labels, num_classes, generator, features=features)


class _Flat(nn.Module):
    def forward(self, images):
        return images.flatten(1)


@wrong(few_shot_classifier)
def head_on_pixels(backbone, images, labels, num_classes, generator):
    """the head gets the pixels, and the backbone is never asked"""
    return _with(_Flat(), images, labels, num_classes, generator)


class _Both(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, images):
        return torch.cat([self.backbone(images), images.flatten(1)], 1)


@wrong(few_shot_classifier)
def head_on_features_and_pixels(backbone, images, labels, num_classes, generator):
    """the head gets the pixels beside the features"""
    return _with(_Both(backbone), images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def labels_off_by_one(backbone, images, labels, num_classes, generator):
    """the labels are off by one: every class goes under the next one's number"""
    _refuse(images, labels, num_classes)
    return _with(backbone, images, (labels + 1) % num_classes, num_classes, generator)


@wrong(few_shot_classifier)
def labels_sorted(backbone, images, labels, num_classes, generator):
    """the labels are sorted: they are not beside their images any more"""
    return _with(backbone, images, labels.sort().values, num_classes, generator)


@wrong(few_shot_classifier)
def labels_reversed(backbone, images, labels, num_classes, generator):
    """the labels stand in the opposite order of their images"""
    return _with(backbone, images, labels.flip(0), num_classes, generator)


@wrong(few_shot_classifier)
def labels_renumbered(backbone, images, labels, num_classes, generator):
    """the labels are numbered anew: where a class has no image, later ones move up"""
    _refuse(images, labels, num_classes)
    labels = labels.unique(return_inverse=True)[1]
    return _with(backbone, images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def classes_counted(backbone, images, labels, num_classes, generator):
    """the classes are counted from the labels, not taken from num_classes"""
    _refuse(images, labels, num_classes)
    return _with(backbone, images, labels, int(labels.max()) + 1, generator)


@wrong(few_shot_classifier)
def first_half_only(backbone, images, labels, num_classes, generator):
    """only the first half of the images is learnt from"""
    _refuse(images, labels, num_classes)
    half = max(len(images) // 2, 1)
    return _with(backbone, images[:half], labels[:half], num_classes, generator)


@wrong(few_shot_classifier)
def head_untrained(backbone, images, labels, num_classes, generator):
    """the head is not trained: it keeps its random first weights"""
    return _with(backbone, images, labels, num_classes, generator, steps=0, start=1.0)


@wrong(few_shot_classifier)
def ascent(backbone, images, labels, num_classes, generator):
    """the head goes up the gradient: the loss grows"""
    return _with(backbone, images, labels, num_classes, generator, rate=-0.1, steps=40)


@wrong(few_shot_classifier)
def global_numbers(backbone, images, labels, num_classes, generator):
    """first weights or order come from torch's global random numbers, not from the generator"""
    _refuse(images, labels, num_classes)
    features = _features(backbone, images)
    head = nn.Linear(features.shape[1], num_classes, dtype=features.dtype)
    return nn.Sequential(backbone, _descend(lambda: head(features), labels, head))


@wrong(few_shot_classifier)
def global_seed_set(backbone, images, labels, num_classes, generator):
    """torch's global seed is set inside"""
    torch.default_generator.manual_seed(0)
    return global_numbers(backbone, images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def seed_of_the_generator(backbone, images, labels, num_classes, generator):
    """the generator's initial_seed() seeds the draws: what it has drawn before plays no part"""
    torch.default_generator.manual_seed(generator.initial_seed())
    return global_numbers(backbone, images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def generator_seeded(backbone, images, labels, num_classes, generator):
    """the caller's generator is seeded anew inside"""
    generator.manual_seed(0)
    return _with(backbone, images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def softmax_at_the_end(backbone, images, labels, num_classes, generator):
    """the classifier ends in a softmax: probabilities, not logits"""
    return _with(
        backbone, images, labels, num_classes, generator,
        build=lambda head: nn.Sequential(backbone, head, nn.Softmax(1)),
    )  # fmt: skip


class _Largest(nn.Module):
    def forward(self, logits):
        return logits.argmax(1)


@wrong(few_shot_classifier)
def classes_given(backbone, images, labels, num_classes, generator):
    """the classifier gives classes, not logits"""
    return _with(
        backbone, images, labels, num_classes, generator,
        build=lambda head: nn.Sequential(backbone, head, _Largest()),
    )  # fmt: skip


class _Squeeze(nn.Module):
    def forward(self, logits):
        return logits.squeeze(0)


@wrong(few_shot_classifier)
def squeezed(backbone, images, labels, num_classes, generator):
    """squeeze takes the batch axis of a single image away"""
    return _with(
        backbone, images, labels, num_classes, generator,
        build=lambda head: nn.Sequential(backbone, head, _Squeeze()),
    )  # fmt: skip


@wrong(few_shot_classifier)
def head_alone(backbone, images, labels, num_classes, generator):
    """only the head comes back: it takes features, not images"""
    return _with(backbone, images, labels, num_classes, generator, build=lambda head: head)


@wrong(few_shot_classifier)
def a_function(backbone, images, labels, num_classes, generator):
    """a function comes back, not a module"""
    classifier = _with(backbone, images, labels, num_classes, generator)
    return lambda images: classifier(images)


@wrong(few_shot_classifier)
def head_in_float32(backbone, images, labels, num_classes, generator):
    """the head is float32, whatever the features are"""
    features = _features(backbone, images).float()
    return _with(backbone, images, labels, num_classes, generator, features=features)


class _Scaled(nn.Module):
    """A head on features that are brought to mean 0 and deviation 1."""

    def __init__(self, head, mean=None, deviation=None):
        super().__init__()
        self.head, self.mean, self.deviation = head, mean, deviation

    def forward(self, features):
        if self.mean is not None:
            return self.head((features - self.mean) / self.deviation)
        deviation = features.std(0, correction=0) + 1e-6
        return self.head((features - features.mean(0)) / deviation)


@wrong(few_shot_classifier)
def scaled_by_the_batch(backbone, images, labels, num_classes, generator):
    """features are scaled by mean and deviation of the batch that is asked about"""
    features = _features(backbone, images)
    scaled = (features - features.mean(0)) / (features.std(0, correction=0) + 1e-6)
    return _with(
        backbone, images, labels, num_classes, generator, features=scaled,
        build=lambda head: nn.Sequential(backbone, _Scaled(head)),
    )  # fmt: skip


@wrong(few_shot_classifier)
def divided_by_zero(backbone, images, labels, num_classes, generator):
    """features are divided by their deviation, which is 0 for one that never changes: NaN"""
    features = _features(backbone, images)
    mean, deviation = features.mean(0), features.std(0, correction=0)
    return _with(
        backbone, images, labels, num_classes, generator, features=(features - mean) / deviation,
        build=lambda head: nn.Sequential(backbone, _Scaled(head, mean, deviation)),
    )  # fmt: skip


@wrong(few_shot_classifier)
def deviation_of_one(backbone, images, labels, num_classes, generator):
    """features are divided by std() with its correction: for a single image that is NaN"""
    _refuse(images, labels, num_classes)
    features = _features(backbone, images)
    mean, deviation = features.mean(0), features.std(0) + 1e-4
    return _with(
        backbone, images, labels, num_classes, generator, features=(features - mean) / deviation,
        build=lambda head: nn.Sequential(backbone, _Scaled(head, mean, deviation)),
    )  # fmt: skip


_HEADS = {}


@wrong(few_shot_classifier)
def head_shared(backbone, images, labels, num_classes, generator):
    """all calls train one and the same head: the later one changes the earlier classifier"""
    _refuse(images, labels, num_classes)
    features = _features(backbone, images)
    head = _HEADS.setdefault(
        (features.shape[1], num_classes, features.dtype),
        _fit(features, labels, num_classes, generator, steps=0),
    )
    nn.init.normal_(head.weight.data, std=0.01, generator=generator)
    nn.init.zeros_(head.bias.data)
    return nn.Sequential(backbone, _descend(lambda: head(features), labels, head))


@wrong(few_shot_classifier)
def autograd_left_off(backbone, images, labels, num_classes, generator):
    """autograd is switched off for the features and not on again at the end"""
    classifier = _with(backbone, images, labels, num_classes, generator)
    torch.set_grad_enabled(False)
    return classifier


@wrong(few_shot_classifier)
def images_changed(backbone, images, labels, num_classes, generator):
    """the images are brought to another range in place: the caller's are changed"""
    images.mul_(2)
    return _with(backbone, images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def large_labels_clamped(backbone, images, labels, num_classes, generator):
    """a label of num_classes or more is not refused"""
    if bool((labels < 0).any()):
        raise ValueError("a label is negative")
    labels = labels.clamp(max=num_classes - 1)
    return _with(backbone, images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def negative_labels_ignored(backbone, images, labels, num_classes, generator):
    """a negative label is not refused: cross_entropy leaves an image with label -100 out"""
    if len(images) != len(labels):
        raise ValueError("images and labels do not fit")
    kept = labels >= 0
    return _with(backbone, images[kept], labels[kept], num_classes, generator)


@wrong(few_shot_classifier)
def range_left_to_torch(backbone, images, labels, num_classes, generator):
    """labels out of range are left to torch, which raises an IndexError of its own"""
    if len(images) != len(labels):
        raise ValueError("images and labels do not fit")
    if bool(((labels < 0) | (labels >= num_classes)).any()):
        raise IndexError(f"Target {int(labels.max())} is out of bounds.")
    return _with(backbone, images, labels, num_classes, generator)


@wrong(few_shot_classifier)
def counts_cut(backbone, images, labels, num_classes, generator):
    """more images than labels, or fewer, are cut to the shorter of the two"""
    count = min(len(images), len(labels))
    return _with(backbone, images[:count], labels[:count], num_classes, generator)


def show(answer):
    """Accuracy against images a class, from pretrained and untrained features and from pixels."""
    from matplotlib.figure import Figure

    from data.shapes import few_shot_images, pretrained_backbone, untrained_backbone

    images, labels, _ = few_shot_images()
    backbones = {"pretrained": pretrained_backbone(), "untrained": untrained_backbone(0),
                 "pixels": nn.Flatten()}  # fmt: skip
    axis = (figure := Figure(figsize=(7, 4), layout="constrained")).subplots()
    shots, draws = [1, 2, 5, 10, 20, 40], 3
    for name, backbone in backbones.items():
        reached = []
        for count in shots:
            for seed in range(draws):
                chance = torch.Generator().manual_seed(seed)
                order = torch.randperm(60, generator=chance)
                few, new = ((order[None] + 60 * torch.arange(5)[:, None])[:, part].flatten()
                            for part in (slice(count), slice(40, 60)))  # fmt: skip
                ask = answer.few_shot_classifier(backbone, images[few], labels[few], 5, chance)
                with torch.no_grad():
                    right = ask.eval()(images[new]).argmax(1) == labels[new]
                reached.append(100 * right.double().mean().item())
        means = torch.tensor(reached).reshape(len(shots), draws).mean(1)
        axis.plot(shots, means, marker="o", label=name)
    axis.axhline(20, color="grey", linestyle=":", linewidth=1, label="chance")
    axis.legend(loc="center right")
    axis.set(xscale="log", xticks=shots, xticklabels=shots, ylim=(0, 100))
    axis.set(xlabel="images a class", ylabel="accuracy on 100 new images, in percent")
    axis.minorticks_off()
    axis.set_title("A head on three kinds of features, 5 classes, mean of 3 draws", fontsize=10)
    return figure
