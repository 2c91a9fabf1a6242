"""AlexNet: the network of 2012, and which part of it holds the parameters."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dojo import right, wrong


class AlexNet(nn.Module):
    """Classify images of 224x224 by five convolutions and three dense layers.

    The convolutions have 64, 192, 384, 256 and 256 filters. The first has 11x11 windows, stride
    4 and padding 2; the second has 5x5 windows, the others 3x3, and these four keep the size.
    A ReLU follows each of the five, and after the first, the second and the last a max pool of
    3x3 windows with stride 2 comes on top, so that the windows overlap. What nn.Flatten makes
    of the maps goes through dense layers of 4096, 4096 and num_classes units, with a ReLU after
    the first two; in training, dropout of 0.5 takes away half of what enters these two. All
    eight layers have biases.

    The children `features` and `classifier` hold them, five nn.Conv2d and three nn.Linear; the
    rest, modules or functions, has no parameters, and its place is up to you. Initial weights
    are up to you too. The model can also be built on torch's "meta" device. torchvision's own
    model, whose widths these are, is no answer.

    Shapes:
        num_classes: K, from 1 on
        x: (N, 3, 224, 224), float32; float64 after double()
        returns: logits (N, K)

    Example:
        >>> with torch.device("meta"):
        ...     model = AlexNet()
        >>> sum(parameter.numel() for parameter in model.parameters())
        61100840

    Raises:
        ValueError: num_classes is below 1.

    Source: Krizhevsky, One weird trick for parallelizing convolutional neural networks,
        arXiv:1404.5997, for these widths; Krizhevsky, Sutskever & Hinton, ImageNet
        Classification with Deep Convolutional Neural Networks, NeurIPS 2012, for the rest.
    """

    def __init__(self, num_classes: int = 1000):
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes is {num_classes}, it must be at least 1")
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),  # 27x27
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),  # 13x13
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),  # 6x6
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(),
            nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(),
            nn.Linear(4096, num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


def parameter_share(model: nn.Module) -> dict[str, float]:
    """Say which share of a model's parameters each of its children holds.

    Counted is every single number of every parameter tensor, frozen ones included; buffers are
    no parameters. The share is taken of all that the model has, also of what it holds itself
    and not in a child. Children are the direct ones, each with all that is inside of it.

    Shapes:
        returns: a dict from the child's name to its share, a float from 0 to 1; 0.0 for a child
            without parameters

    Example:
        >>> parameter_share(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1, bias=False)))
        {'0': 0.75, '1': 0.0, '2': 0.25}

    Source: Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional
        Neural Networks, NeurIPS 2012, section 3: "60 million parameters".
    """
    total = sum(parameter.numel() for parameter in model.parameters())
    return {
        name: sum(parameter.numel() for parameter in child.parameters()) / total
        for name, child in model.named_children()
    }


HINTS = [
    "Follow a side of 224 through the layers: which padding lets a 5x5 window keep the size, "
    "which one a 3x3 window? How many numbers arrive at the first dense layer? And how much does "
    "a tensor of shape (4096, 9216) count?",
    "Two nn.Sequential, features and classifier, and a flatten(1) between them. In the classifier "
    "an nn.Dropout stands before the first and before the second nn.Linear. For the shares go "
    "through named_children(), and sum numel() over parameters().",
    "Sides: 55, 27, 27, 13, 13, 13, 13, 6, so nn.Linear(256 * 6 * 6, 4096). Paddings: 2, 2, 1, 1, "
    "1. Each pool is nn.MaxPool2d(3, 2). Share: a child's sum of numel() over the model's.",
]


def _checked(num_classes):
    if num_classes < 1:
        raise ValueError(f"{num_classes} classes, one or more are needed")
    return num_classes


@right(AlexNet)
class Adaptive(nn.Module):
    """torchvision's way: a pool between that gives 6x6 for any size, ReLUs in place."""

    def __init__(self, num_classes=1000, dropout=0.5):
        super().__init__()
        _checked(num_classes)
        layers, channels = [], 3
        for width, size, stride, pool in [(64, 11, 4, True), (192, 5, 1, True), (384, 3, 1, False),
                                          (256, 3, 1, False), (256, 3, 1, True)]:  # fmt: skip
            padding = 2 if size > 3 else 1
            layers += [nn.Conv2d(channels, width, size, stride, padding), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(kernel_size=3, stride=2)] if pool else []
            channels = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(inplace=True),
            nn.Dropout(p=dropout), nn.Linear(4096, 4096), nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


@right(AlexNet)
class ByFunctions(nn.Module):
    """Layers by name and everything else by functions, pools before their ReLUs."""

    def __init__(self, num_classes=1000):
        super().__init__()
        if num_classes <= 0:
            raise ValueError(num_classes)
        self.classifier = nn.ModuleDict({
            "out": nn.Linear(4096, num_classes),
            "one": nn.Linear(9216, 4096), "two": nn.Linear(4096, 4096),
        })  # fmt: skip
        self.features = nn.ModuleList([
            nn.Conv2d(3, 64, (11, 11), (4, 4), (2, 2)), nn.Conv2d(64, 192, 5, padding="same"),
            nn.Conv2d(192, 384, 3, padding="same"), nn.Conv2d(384, 256, 3, padding="same"),
            nn.Conv2d(256, 256, 3, padding="same"),
        ])  # fmt: skip

    def forward(self, x):
        for place, conv in enumerate(self.features):
            x = conv(x)
            if place in (0, 1, 4):
                x = F.max_pool2d(x, 3, stride=2)
            x = x.clamp(min=0)
        x = F.dropout(x, training=self.training).reshape(len(x), -1)
        x = F.relu(F.dropout(self.classifier["one"](x), 0.5, self.training))
        return self.classifier["out"](self.classifier["two"](x).relu())


@right(AlexNet)
class MasksOfItsOwn(AlexNet):
    """Dropout by hand; the flattening is a layer of the classifier, the blocks are nested."""

    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        flat = [layer for layer in self.classifier if not isinstance(layer, nn.Dropout)]
        self.classifier = nn.Sequential(
            nn.Flatten(), _Mask(), nn.Sequential(*flat[:2]), _Mask(), nn.Sequential(*flat[2:])
        )

    def forward(self, x):
        return self.classifier(self.features(x))


class _Mask(nn.Module):
    def forward(self, x):
        return x * (torch.rand_like(x) < 0.5) * 2 if self.training else x


@right(parameter_share)
def by_names(model):
    """Every parameter's name tells whose it is."""
    counts = {name: 0 for name, _ in model.named_children()}
    total = 0
    for name, parameter in model.named_parameters():
        owner, dot, _ = name.partition(".")
        total += parameter.shape.numel()
        if dot:
            counts[owner] += parameter.shape.numel()
    return {name: count / total for name, count in counts.items()}


@right(parameter_share)
def in_two_loops(model):
    shares, total = {}, 0
    for parameter in model.parameters():
        size = 1
        for side in parameter.shape:
            size *= side
        total += size
    for name, child in model.named_children():
        shares[name] = 0.0
        for parameter in child.parameters():
            shares[name] += parameter.nelement()
        shares[name] /= total
    return shares


def _by_layers(
    widths=(64, 192, 384, 256, 256), paddings=(2, 2, 1, 1, 1), stride=4, pool=None, pools=(0, 1, 4),
    relus=(0, 1, 2, 3, 4, 5, 6), act=nn.ReLU, drops=(0.5, 0.5, 0), drop=nn.Dropout, units=4096,
    bias=True, adaptive=False, end=nn.Identity, last_bias=True,
):  # fmt: skip
    """A class like the right one, but for what is given."""

    class Changed(nn.Module):
        def __init__(self, num_classes=1000):
            super().__init__()
            _checked(num_classes)
            layers, channels = [], 3
            for place, (width, size) in enumerate(zip(widths, (11, 5, 3, 3, 3), strict=True)):
                step = stride if place == 0 else 1
                conv = nn.Conv2d(channels, width, size, step, paddings[place], bias=bias)
                layers += [conv, act() if place in relus else nn.Identity()]
                layers += [pool() if pool else nn.MaxPool2d(3, 2)] if place in pools else []
                channels = width
            self.features = nn.Sequential(*layers)
            self.squeeze = nn.AdaptiveAvgPool2d(6) if adaptive else nn.Identity()
            dense, inputs = [], channels * 36
            for place, outputs in enumerate((units, units, num_classes), 5):
                dense += [drop(drops[place - 5]), nn.Linear(inputs, outputs, bias=bias)]
                dense += [act() if place in relus else nn.Identity()]
                inputs = outputs
            self.classifier = nn.Sequential(*dense, end())

        def flat(self, x):
            return x.flatten(1)

        def forward(self, x):
            return self.classifier(self.flat(self.squeeze(self.features(x))))

    return Changed


@wrong(AlexNet)
class NoDropout(_by_layers(drops=(0, 0, 0))):
    """there is no dropout before the dense layers"""


@wrong(AlexNet)
class NoDropoutBeforeTheFirst(_by_layers(drops=(0, 0.5, 0))):
    """no dropout stands before the first dense layer"""


@wrong(AlexNet)
class NoDropoutBeforeTheSecond(_by_layers(drops=(0.5, 0, 0))):
    """no dropout stands before the second dense layer"""


@wrong(AlexNet)
class DropoutOneLayerLate(_by_layers(drops=(0, 0.5, 0.5))):
    """dropout stands before the second and the third dense layer, not before the first two"""


@wrong(AlexNet)
class DropoutBeforeAllThree(_by_layers(drops=(0.5, 0.5, 0.5))):
    """a third dropout stands before the last layer"""


@wrong(AlexNet)
class AnotherRate(_by_layers(drops=(0.2, 0.2, 0))):
    """dropout takes another share than half of the numbers"""


@wrong(AlexNet)
class AlwaysDropped(AlexNet):
    """dropout is at work in eval too"""

    def forward(self, x):
        x = F.dropout(self.features(x).flatten(1), 0.5)
        return self.classifier[4:](F.dropout(self.classifier[1:3](x), 0.5))


@wrong(AlexNet)
class WholeMapsDropped(AlexNet):
    """the first dropout takes whole maps, not single numbers"""

    def forward(self, x):
        x = F.dropout2d(self.features(x), 0.5, self.training).flatten(1)
        return self.classifier[1:](x)


@wrong(AlexNet)
class MapsDroppedToo(AlexNet):
    """dropout also stands between the convolutions"""

    def forward(self, x):
        x = F.dropout(self.features[:6](x), 0.5, self.training)
        return self.classifier(self.features[6:](x).flatten(1))


@wrong(AlexNet)
class FirstNotPadded(_by_layers(paddings=(0, 2, 1, 1, 1))):
    """the first convolution is not padded: its maps are 54x54"""


@wrong(AlexNet)
class FirstNotPaddedButPooled(_by_layers(paddings=(0, 2, 1, 1, 1), adaptive=True)):
    """the first convolution is not padded, which an adaptive pool hides"""


@wrong(AlexNet)
class FirstPaddedByThree(_by_layers(paddings=(3, 2, 1, 1, 1))):
    """the first convolution is padded by 3: the maps have the right size and are shifted"""


@wrong(AlexNet)
class SecondPaddedByOne(_by_layers(paddings=(2, 1, 1, 1, 1))):
    """the second convolution is padded by 1: windows of 5x5 need 2 to keep the size"""


@wrong(AlexNet)
class NoPadding(_by_layers(paddings=(0, 0, 0, 0, 0), adaptive=True)):
    """no convolution is padded"""


@wrong(AlexNet)
class TwoByTwoPools(_by_layers(pool=lambda: nn.MaxPool2d(2))):
    """the pools have 2x2 windows: they should be 3x3, with stride 2, and overlap"""


@wrong(AlexNet)
class PoolsByThree(_by_layers(pool=lambda: nn.MaxPool2d(3), adaptive=True)):
    """the pools have stride 3, as their windows: they should have stride 2"""


@wrong(AlexNet)
class AveragePools(_by_layers(pool=lambda: nn.AvgPool2d(3, 2))):
    """the pools take averages: they should take the largest"""


@wrong(AlexNet)
class LastPoolMissing(_by_layers(pools=(0, 1), adaptive=True)):
    """no pool follows the last convolution: an average is all that makes 6x6 of 13x13"""


@wrong(AlexNet)
class NoReLUAfterTheLastConvolution(_by_layers(relus=(0, 1, 2, 3, 5, 6))):
    """no ReLU follows the last convolution"""


@wrong(AlexNet)
class NoReLUInTheClassifier(_by_layers(relus=(0, 1, 2, 3, 4))):
    """no ReLU stands between the dense layers: three of them are no more than one"""


@wrong(AlexNet)
class ReLUOnTheLogits(_by_layers(end=nn.ReLU)):
    """a ReLU stands behind the last layer: logits may be negative"""


@wrong(AlexNet)
class SoftmaxAtTheEnd(_by_layers(end=lambda: nn.Softmax(1))):
    """a softmax stands behind the last layer: logits are wanted"""


@wrong(AlexNet)
class Sigmoids(_by_layers(act=nn.Sigmoid)):
    """the activations are sigmoids: ReLUs are what made it learn"""


@wrong(AlexNet)
class WidthsOfThePaper(_by_layers(widths=(96, 256, 384, 384, 256))):
    """the widths are those of 2012, 96 - 256 - 384 - 384 - 256: 62,378,344 parameters"""


@wrong(AlexNet)
class WithoutBiases(_by_layers(bias=False)):
    """the layers have no biases"""


@wrong(AlexNet)
class ChannelsLast(AlexNet):
    """the maps are flattened place by place, not channel by channel"""

    def forward(self, x):
        return self.classifier(self.features(x).permute(0, 2, 3, 1).flatten(1))


@wrong(AlexNet)
class OtherNames(AlexNet):
    """the children have other names than features and classifier"""

    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.convs, self.head = self.features, self.classifier
        del self.features, self.classifier

    def forward(self, x):
        return self.head(self.convs(x).flatten(1))


@wrong(AlexNet)
class HeadOutside(AlexNet):
    """the last dense layer stands outside of the classifier"""

    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.fc, self.classifier = self.classifier[6], self.classifier[:6]

    def forward(self, x):
        return self.fc(self.classifier(self.features(x).flatten(1)))


@wrong(AlexNet)
class Always1000Classes(AlexNet):
    """num_classes is ignored: there are always 1000 logits"""

    def __init__(self, num_classes=1000):
        _checked(num_classes)
        super().__init__(1000)


@wrong(AlexNet)
class TenClassesByDefault(AlexNet):
    """without num_classes there are 10 logits: the default is 1000"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)


@wrong(AlexNet)
class NoClassesAccepted(AlexNet):
    """a num_classes below 1 is not refused: an empty layer is built, or torch's own error comes"""

    def __init__(self, num_classes=1000):
        super().__init__(max(num_classes, 1))
        if num_classes < 1:
            self.classifier[6] = nn.Linear(4096, num_classes)


@wrong(AlexNet)
class Detached(AlexNet):
    """the graph is cut between features and classifier: the convolutions cannot learn"""

    def forward(self, x):
        return self.classifier(self.features(x).detach().flatten(1))


@wrong(AlexNet)
class SinglePrecisionOnly(AlexNet):
    """x is turned into float32: a model in float64 stops"""

    def forward(self, x):
        return super().forward(x.float())


@wrong(AlexNet)
class InEvalMode(AlexNet):
    """the model comes in eval mode, in which no dropout works: a fresh model trains"""

    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.eval()


@wrong(AlexNet)
def torchvisions_own(num_classes=1000):
    """torchvision's own model is returned: it should be built by yourself"""
    from dojo import vision  # noqa: F401 - torchvision cannot be imported everywhere without

    # isort: split
    from torchvision import models

    return models.alexnet(num_classes=_checked(num_classes))


def _shares(model, count, children=None, total=None):
    """Shares of what `count` says of a module."""
    total = count(model) if total is None else total
    return {n: count(child) / total for n, child in children or model.named_children()}


def _numel(module):
    return sum(parameter.numel() for parameter in module.parameters())


@wrong(parameter_share)
def by_first_letters(model):
    """names that begin alike are counted together: norm and norm2 are two children"""
    counts = {name: p.numel() for name, p in model.named_parameters()}
    total = sum(counts.values())
    return {
        child: sum(count for name, count in counts.items() if name.startswith(child)) / total
        for child, _ in model.named_children()
    }


@wrong(parameter_share)
def tensors_counted(model):
    """tensors are counted, not the numbers in them"""
    return _shares(model, lambda module: len(list(module.parameters())))


@wrong(parameter_share)
def frozen_left_out(model):
    """frozen parameters are not counted: they are parameters all the same"""
    return _shares(model, lambda m: sum(p.numel() for p in m.parameters() if p.requires_grad))


@wrong(parameter_share)
def buffers_counted(model):
    """buffers are counted too, as state_dict holds them: they are no parameters"""
    return _shares(model, lambda module: sum(t.numel() for t in module.state_dict().values()))


@wrong(parameter_share)
def children_only(model):
    """the total is that of the children: what the model holds itself is forgotten"""
    return _shares(model, _numel, total=sum(map(_numel, model.children())))


@wrong(parameter_share)
def own_parameters_only(model):
    """only what a child holds itself is counted, not what its own children hold"""

    def own(module):
        return sum(parameter.numel() for parameter in module.parameters(recurse=False))

    return _shares(model, own, total=_numel(model))


@wrong(parameter_share)
def all_descendants(model):
    """all modules inside are listed, children of children too"""
    return _shares(model, _numel, [(n, m) for n, m in model.named_modules() if n])


@wrong(parameter_share)
def in_percent(model):
    """the shares are in percent, from 0 to 100"""
    return {name: 100 * share for name, share in parameter_share(model).items()}


@wrong(parameter_share)
def counts_not_shares(model):
    """the counts are given as they are, not divided by the total"""
    return _shares(model, lambda module: float(_numel(module)), total=1)


@wrong(parameter_share)
def weights_only(model):
    """only tensors called weight are counted, biases are left out"""

    def weights(module):
        return sum(p.numel() for n, p in module.named_parameters() if n.endswith("weight"))

    return _shares(model, weights)


@wrong(parameter_share)
def empty_left_out(model):
    """a child without parameters is left out: its share is 0.0"""
    return {name: share for name, share in parameter_share(model).items() if share}


@wrong(parameter_share)
def rounded(model):
    """the shares are rounded: they do not sum to 1"""
    return {name: round(share, 2) for name, share in parameter_share(model).items()}
