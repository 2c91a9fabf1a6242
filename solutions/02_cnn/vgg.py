"""VGG: a network from a list of numbers."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dojo import right, wrong


def vgg_features(config: Sequence[int | str], in_channels: int = 3) -> nn.Sequential:
    """Build the convolutional part of a VGG from its plan, in the order of the plan.

    A number is a convolution with so many filters and a ReLU behind it, an "M" is a max pool.
    All convolutions are alike but for their channels: windows of 3x3, stride 1, a bias, and a
    padding that keeps the size. All pools are alike too: windows of 2x2 with stride 2, so that
    the size is halved, and rounded down where it is odd. Nothing else is in it. Initial weights
    are up to you.

    Shapes:
        config: any list of whole numbers from 1 on and "M", in any order
        in_channels: C, from 1 on
        of the result: (N, C, H, W) to (N, F, H / 2**pools, W / 2**pools), F the last number

    Example:
        >>> features = vgg_features([8, "M", 16, 16, "M"])
        >>> features(torch.zeros(1, 3, 20, 14)).shape
        torch.Size([1, 16, 5, 3])

    Raises:
        ValueError: an entry is neither "M" nor an int from 1 on; in_channels is below 1.

    Source: Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image
        Recognition, arXiv:1409.1556, section 2.1 and table 1.
    """
    if in_channels < 1:
        raise ValueError(f"in_channels is {in_channels}, it must be at least 1")
    layers: list[nn.Module] = []
    for entry in config:
        if entry == "M":
            layers.append(nn.MaxPool2d(2))
        elif isinstance(entry, int) and entry >= 1:
            layers += [nn.Conv2d(in_channels, entry, 3, padding=1), nn.ReLU()]
            in_channels = entry
        else:
            raise ValueError(f'the config has {entry!r}; "M" and whole numbers from 1 on are known')
    return nn.Sequential(*layers)


def vgg16(num_classes: int = 1000) -> nn.Module:
    """Build VGG-16, so that torchvision's weights fit into it.

    Its two children are nn.Sequential: `features` of five blocks, with two convolutions of 64
    filters, two of 128, three of 256, three of 512 and again three of 512, and a pool behind
    each block; and `classifier`, dense layers of 4096, 4096 and num_classes units, the first
    two of them followed by a ReLU and a dropout of 0.5. Between the two the maps are flattened,
    channel by channel; whether sizes other than 224x224 fit is up to you. State_dicts are
    exchanged with torchvision's vgg16, so the layers stand in its order: features.0 and
    features.2 are the first two convolutions, classifier.0, .3 and .6 the dense layers. The
    model can also be built on torch's "meta" device. torchvision's own model is no answer.

    Shapes:
        num_classes: K, from 1 on
        of the model: (N, 3, 224, 224), float32, or as it was converted -> logits (N, K)

    Example:
        >>> with torch.device("meta"):
        ...     model = vgg16()
        >>> sum(parameter.numel() for parameter in model.parameters())
        138357544

    Raises:
        ValueError: num_classes is below 1.

    Source: Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image
        Recognition, arXiv:1409.1556, table 1, column D, and section 3.1 for the dropout.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}, it must be at least 1")
    return _VGG(num_classes)


class _VGG(nn.Module):
    def __init__(self, num_classes: int):
        super().__init__()
        blocks = [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3]
        self.features = vgg_features([entry for block in blocks for entry in (*block, "M")])
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(4096, num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))  # (N, 512, 7, 7) -> (N, 25088)


HINTS = [
    'In [8, "M", 16]: how many channels enter the second convolution, and who has to remember '
    "that? For VGG-16: how many pools are there, and what is left of 224 after them?",
    "Go through the config with a list of layers and one number, the channels that the last "
    "convolution gave. Put the layers into nn.Sequential(*layers). vgg16 is a class or an "
    "nn.Sequential with names, whose features is your vgg_features.",
    'nn.MaxPool2d(2) for "M"; else nn.Conv2d(channels, entry, 3, padding=1) and nn.ReLU(), then '
    "channels = entry. The classifier starts with nn.Linear(512 * 7 * 7, 4096); what stands at "
    "its places 1, 2, 4 and 5 is ReLU, Dropout, ReLU, Dropout.",
]


def _checked_config(config, in_channels):
    for entry in config:
        if entry != "M" and not (isinstance(entry, int) and entry >= 1):
            raise ValueError(f"{entry!r} in {config}")
    if in_channels < 1:
        raise ValueError(f"in_channels {in_channels}")


@right(vgg_features)
def by_pairs(config, in_channels=3):
    """All numbers first: each convolution's channels are a pair of neighbours."""
    _checked_config(config, in_channels)
    widths = [in_channels, *(entry for entry in config if entry != "M")]
    convs = iter([nn.Conv2d(a, b, (3, 3), padding="same") for a, b in itertools.pairwise(widths)])
    features = nn.Sequential()
    for entry in config:
        if isinstance(entry, str):
            features.append(nn.MaxPool2d((2, 2), stride=(2, 2)))
        else:
            features.extend([next(convs), nn.ReLU(inplace=True)])
    return features


@right(vgg_features)
def by_recursion(config, in_channels=3):
    """The first entry, and then the features of the rest, from the back to the front."""
    _checked_config(config, in_channels)
    if not config:
        return nn.Sequential()
    first, rest = config[0], list(config[1:])
    if first == "M":
        return nn.Sequential(nn.MaxPool2d(2, 2), *by_recursion(rest, in_channels))
    conv = nn.Conv2d(in_channels, first, 3, 1, 1)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, nn.ReLU(), *by_recursion(rest, first))


class _Unit(nn.Conv2d):
    """Convolution and ReLU in one module."""

    def forward(self, x):
        return super().forward(x).clamp(min=0)


@right(vgg_features)
class AsOneModule(nn.Sequential):
    """A chain of its own kind, with the ReLU inside of the convolution."""

    def __init__(self, config, in_channels=3):
        _checked_config(config, in_channels)
        super().__init__()
        for place, entry in enumerate(config):
            if entry == "M":
                self.add_module(f"pool{place}", nn.MaxPool2d(2))
            else:
                self.add_module(f"conv{place}", _Unit(in_channels, entry, 3, padding=1))
                in_channels = entry


_PLAN_16 = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]


@right(vgg16)
def one_sequence(num_classes=1000):
    """No forward at all: a sequence with names, in which flattening is a layer."""
    if num_classes <= 0:
        raise ValueError("no classes")
    model = nn.Sequential()
    model.add_module("features", vgg_features(_PLAN_16, 3))
    model.add_module("flatten", nn.Flatten())
    layers = []
    for inputs in (25088, 4096):
        layers += [nn.Linear(inputs, 4096), nn.Dropout(), nn.ReLU()]
    model.add_module("classifier", nn.Sequential(*layers, nn.Linear(4096, num_classes)))
    return model


class _WithPool(nn.Module):
    """torchvision's way: a pool between that gives 7x7 for any size, and weights of its own."""

    def __init__(self, features, num_classes):
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(True), nn.Dropout(p=0.5),
            nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(p=0.5),
            nn.Linear(4096, num_classes),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.constant_(module.bias, 0)

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


@right(vgg16)
def with_a_pool_between(num_classes=1000):
    if num_classes < 1:
        raise ValueError(f"{num_classes} classes")
    return _WithPool(by_pairs(_PLAN_16), num_classes)


def _chain(config, in_channels, conv=None, act=nn.ReLU, pool=None, keep=False):
    """Features with another convolution, activation or pool; `keep` forgets to advance."""
    _checked_config(config, in_channels)
    conv = conv or (lambda a, b: nn.Conv2d(a, b, 3, padding=1))
    layers = []
    for entry in config:
        if entry == "M":
            layers.append(pool() if pool else nn.MaxPool2d(2))
        else:
            layers += [conv(in_channels, entry), act()]
            in_channels = in_channels if keep else entry
    return nn.Sequential(*layers)


@wrong(vgg_features)
def channels_not_advanced(config, in_channels=3):
    """every convolution starts from in_channels: the channels are not advanced"""
    return _chain(config, in_channels, keep=True)


@wrong(vgg_features)
def not_padded(config, in_channels=3):
    """the convolutions are not padded: each takes two rows and two columns away"""
    return _chain(config, in_channels, lambda a, b: nn.Conv2d(a, b, 3))


@wrong(vgg_features)
def padded_by_copies(config, in_channels=3):
    """the padding repeats the border: it should be zeros"""
    return _chain(
        config, in_channels, lambda a, b: nn.Conv2d(a, b, 3, padding=1, padding_mode="replicate")
    )


@wrong(vgg_features)
def no_relu(config, in_channels=3):
    """the ReLU is missing: all the convolutions together are no more than one"""
    return _chain(config, in_channels, act=nn.Identity)


@wrong(vgg_features)
def relu_before_pools_only(config, in_channels=3):
    """a ReLU stands only before a pool, not behind each convolution"""
    features = _chain(config, in_channels)
    for place, layer in enumerate(features):
        following = features[place + 1] if place + 1 < len(features) else None
        if isinstance(layer, nn.ReLU) and not isinstance(following, nn.MaxPool2d):
            features[place] = nn.Identity()
    return features


@wrong(vgg_features)
def last_relu_missing(config, in_channels=3):
    """the last convolution has no ReLU"""
    features = _chain(config, in_channels)
    for place in reversed(range(len(features))):
        if isinstance(features[place], nn.ReLU):
            features[place] = nn.Identity()
            break
    return features


@wrong(vgg_features)
def relu_missing_at_the_end(config, in_channels=3):
    """a convolution at the end of the plan has no ReLU behind it"""
    features = _chain(config, in_channels)
    bare = len(features) and isinstance(features[-1], nn.ReLU)
    return features[:-1] if bare else features


@wrong(vgg_features)
def relu_first(config, in_channels=3):
    """the ReLU stands before its convolution, not behind it"""
    features = list(_chain(config, in_channels))
    for place, layer in enumerate(features):
        if isinstance(layer, nn.Conv2d):
            features[place : place + 2] = features[place + 1], layer
    return nn.Sequential(*features)


@wrong(vgg_features)
def in_place_on_the_image(config, in_channels=3):
    """a ReLU works in place on the image, ahead of the first convolution"""
    return nn.Sequential(nn.ReLU(inplace=True), *_chain(config, in_channels))


@wrong(vgg_features)
def normalised(config, in_channels=3):
    """batch norm stands behind the convolutions: plain VGG has none"""

    def conv(a, b):
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b))

    return _chain(config, in_channels, conv)


@wrong(vgg_features)
def without_bias(config, in_channels=3):
    """the convolutions have no bias"""
    return _chain(config, in_channels, lambda a, b: nn.Conv2d(a, b, 3, padding=1, bias=False))


@wrong(vgg_features)
def one_layer_for_equal_numbers(config, in_channels=3):
    """convolutions with the same channels are one and the same layer: they share their weights"""
    made = {}
    return _chain(
        config, in_channels,
        lambda a, b: made.setdefault((a, b), nn.Conv2d(a, b, 3, padding=1)),
    )  # fmt: skip


@wrong(vgg_features)
def averaged(config, in_channels=3):
    """the pools take the mean: they should take the largest"""
    return _chain(config, in_channels, pool=lambda: nn.AvgPool2d(2))


@wrong(vgg_features)
def pools_of_stride_1(config, in_channels=3):
    """the pools have stride 1: the size is not halved"""
    return _chain(config, in_channels, pool=lambda: nn.MaxPool2d(2, stride=1))


@wrong(vgg_features)
def rounded_up(config, in_channels=3):
    """odd sizes are rounded up by the pools"""
    return _chain(config, in_channels, pool=lambda: nn.MaxPool2d(2, ceil_mode=True))


@wrong(vgg_features)
def three_channels_always(config, in_channels=3):
    """in_channels is ignored: the first convolution always takes 3 channels"""
    _checked_config(config, in_channels)
    return _chain(config, 3)


@wrong(vgg_features)
def grey_by_default(config, in_channels=1):
    """without in_channels one channel is taken: the default is 3"""
    return _chain(config, in_channels)


@wrong(vgg_features)
def as_a_list(config, in_channels=3):
    """the layers come in an nn.ModuleList, which cannot be called"""
    return nn.ModuleList(_chain(config, in_channels))


@wrong(vgg_features)
def used_up(config, in_channels=3):
    """the config is used up: its entries are popped on the way"""
    _checked_config(config, in_channels)
    features, last = nn.Sequential(), in_channels
    while config:
        for layer in _chain([config.pop(0)], last):
            features.append(layer)
            last = layer.out_channels if isinstance(layer, nn.Conv2d) else last
    return features


def _lax(config, in_channels, fits):
    """Features whose entries are numbers where `fits` says so."""
    if in_channels < 1:
        raise ValueError(f"in_channels {in_channels}")
    known = [entry for entry in config if entry == "M" or fits(entry)]
    return _chain([e if e == "M" else max(int(e), 1) for e in known], in_channels)


@wrong(vgg_features)
def others_skipped(config, in_channels=3):
    """entries that are unknown are skipped without a word"""
    return _lax(config, in_channels, lambda e: isinstance(e, int) and e >= 1)


@wrong(vgg_features)
def floats_accepted(config, in_channels=3):
    """a float such as 8.0 is taken for a number of filters"""
    config = [int(e) if isinstance(e, float) else e for e in config]
    return vgg_features(config, in_channels)


@wrong(vgg_features)
def digits_accepted(config, in_channels=3):
    """a text of digits such as "8" is taken for a number of filters"""
    config = [int(e) if isinstance(e, str) and e.isdigit() else e for e in config]
    return vgg_features(config, in_channels)


@wrong(vgg_features)
def no_filters_accepted(config, in_channels=3):
    """0 filters are not refused, only negative numbers are"""
    return vgg_features([1 if e == 0 and isinstance(e, int) else e for e in config], in_channels)


@wrong(vgg_features)
def no_channels_accepted(config, in_channels=3):
    """an in_channels below 1 is not refused"""
    return vgg_features(config, max(in_channels, 1))


@wrong(vgg_features)
def lists_only(config, in_channels=3):
    """the config is taken for a list (copy, +): a tuple is a sequence as well"""
    return vgg_features(config.copy(), in_channels)


def _model(num_classes, plan=None, dense=None, flatten=None, end=None):
    """VGG-16 with another plan, other layers of the classifier, another way to it or from it."""
    if num_classes < 1:
        raise ValueError(f"{num_classes} classes")

    class Changed(_VGG):
        def forward(self, x):
            x = self.features(x)
            x = self.classifier(flatten(x) if flatten else x.flatten(1))
            return end(x) if end else x

    model = Changed(num_classes)
    if plan:
        model.features = vgg_features(plan)
    for place, layer in (dense or {}).items():
        model.classifier[place] = layer
    return model


@wrong(vgg16)
def vgg13(num_classes=1000):
    """every block has two convolutions: that is VGG-13"""
    return _model(num_classes, [64, 64, "M", 128, 128, "M", 256, 256, "M", *[512, 512, "M"] * 2])


@wrong(vgg16)
def vgg19(num_classes=1000):
    """the last three blocks have four convolutions: that is VGG-19"""
    plan = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]
    return _model(num_classes, plan)


@wrong(vgg16)
def pool_moved(num_classes=1000):
    """a pool stands one convolution too early"""
    model = _model(num_classes)
    layers = dict(model.features.named_children())
    names = list(layers)
    order = [*names[:14], "16", "14", "15", *names[17:]]
    model.features = nn.Sequential()
    for name in order:
        model.features.add_module(name, layers[name])
    return model


@wrong(vgg16)
def no_dropout(num_classes=1000):
    """there is no dropout in the classifier"""
    return _model(num_classes, dense={2: nn.Identity(), 5: nn.Identity()})


@wrong(vgg16)
def one_dropout(num_classes=1000):
    """dropout stands behind the second dense layer only"""
    return _model(num_classes, dense={2: nn.Identity()})


class _Dropped(nn.Linear):
    def forward(self, x):
        return super().forward(F.dropout(x, 0.5, self.training))


@wrong(vgg16)
def dropout_as_in_alexnet(num_classes=1000):
    """dropout stands before the first two dense layers: in VGG it stands behind them"""
    early = {0: _Dropped(25088, 4096), 3: _Dropped(4096, 4096)}
    return _model(num_classes, dense=early | {2: nn.Identity(), 5: nn.Identity()})


@wrong(vgg16)
def no_relu_in_the_classifier(num_classes=1000):
    """the ReLUs are missing in the classifier"""
    return _model(num_classes, dense={1: nn.Identity(), 4: nn.Identity()})


@wrong(vgg16)
def relu_on_the_logits(num_classes=1000):
    """a ReLU stands behind the last layer: logits may be negative"""
    return _model(num_classes, end=F.relu)


@wrong(vgg16)
def softmax_at_the_end(num_classes=1000):
    """a softmax stands behind the last layer: logits are wanted"""
    return _model(num_classes, end=lambda x: x.softmax(1))


@wrong(vgg16)
def flattened_by_place(num_classes=1000):
    """the maps are flattened place by place, not channel by channel"""
    return _model(num_classes, flatten=lambda x: x.permute(0, 2, 3, 1).flatten(1))


@wrong(vgg16)
def batch_flattened(num_classes=1000):
    """the batch is flattened with the rest: a batch of one image loses its axis"""
    return _model(num_classes, flatten=lambda x: x.reshape(-1, 25088).squeeze(0))


@wrong(vgg16)
def mean_of_each_map(num_classes=1000):
    """each map becomes its mean before the classifier, which has 512 inputs"""
    return _model(num_classes, dense={0: nn.Linear(512, 4096)}, flatten=lambda x: x.mean((2, 3)))


@wrong(vgg16)
def detached(num_classes=1000):
    """the graph is cut before the classifier: the convolutions cannot learn"""
    return _model(num_classes, flatten=lambda x: x.detach().flatten(1))


@wrong(vgg16)
def in_eval_mode(num_classes=1000):
    """the model comes in eval mode, in which no dropout works: a fresh model trains"""
    return _model(num_classes).eval()


@wrong(vgg16)
def always_1000_classes(num_classes=1000):
    """num_classes is ignored: there are always 1000 logits"""
    return _model(num_classes and min(num_classes, 1) * 1000)


@wrong(vgg16)
def ten_classes_by_default(num_classes=10):
    """without num_classes there are 10 logits: the default is 1000"""
    return _model(num_classes)


@wrong(vgg16)
def no_classes_accepted(num_classes=1000):
    """a num_classes below 1 is not refused"""
    return _model(max(num_classes, 1))


@wrong(vgg16)
def torchvisions_own(num_classes=1000):
    """torchvision's own model is returned: it should be built by yourself"""
    from dojo import vision  # noqa: F401 - torchvision cannot be imported everywhere without

    # isort: split
    from torchvision import models

    if num_classes < 1:
        raise ValueError(f"{num_classes} classes")
    return models.vgg16(num_classes=num_classes)
