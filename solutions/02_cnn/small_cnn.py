"""Conv, pool, conv, pool, dense: the pattern that most networks for images share."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dojo import right, wrong


class SmallCNN(nn.Module):
    """Turn images of 28x28 pixels into one logit a class, in two zooms and two dense layers.

    Twice the same: a 3x3 convolution padded so that the size stays, a ReLU, a 2x2 max pooling
    that halves it. 32 maps, then 64; what was 28x28 is 7x7. All of it is flattened, image by
    image, and goes through a dense layer of 128 units with a ReLU and through one that gives
    the logits, with nothing after it. All layers have biases; there is no normalisation and no
    dropout. Use nn.Conv2d and nn.Linear for the layers with weights; pooling and ReLU may be
    modules or functions, and all names are yours.

    Shapes:
        num_classes: from 1 on
        x: (N, 1, 28, 28); returns: logits (N, num_classes)

    Example:
        >>> sum(parameter.numel() for parameter in SmallCNN().parameters())
        421642

    Source: LeCun, Bottou, Bengio & Haffner, Gradient-Based Learning Applied to Document
        Recognition, 1998, section II; with ReLUs as in Krizhevsky et al., 2012.
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 32 maps of 14x14
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 64 maps of 7x7
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


HINTS = [
    "How large is a map of 28x28 after the first pooling, and after the second? How many numbers "
    "are 64 maps of that size? What may stand after the last layer, if logits are wanted?",
    "Put the two convolutional steps into one nn.Sequential and the dense part into another. "
    "nn.Flatten keeps the batch's axis. Layers in a plain Python list have no parameters for "
    "the module.",
    "Conv2d(1, 32, 3, padding=1), ReLU, MaxPool2d(2), Conv2d(32, 64, 3, padding=1), ReLU, "
    "MaxPool2d(2), Flatten, Linear(3136, 128), ReLU, Linear(128, num_classes).",
]


class _Net(nn.Module):
    """The answer in functions; variants override one step."""

    sizes = (32, 64, 128)
    kernel, padding, bias = 3, 1, True
    flat = 64 * 7 * 7

    def __init__(self, num_classes=10):
        super().__init__()
        one, two, hidden = self.sizes
        options = {"padding": self.padding, "bias": self.bias}
        self.conv1 = nn.Conv2d(1, one, self.kernel, **options)
        self.conv2 = nn.Conv2d(one, two, self.kernel, **options)
        self.dense1 = nn.Linear(self.flat, hidden)
        self.dense2 = nn.Linear(hidden, num_classes)

    def pool(self, x):
        return F.max_pool2d(x, 2)

    def act(self, x, place):
        return F.relu(x)

    def flatten(self, x):
        return x.flatten(1)

    def end(self, x):
        return x

    def forward(self, x):
        x = self.pool(self.act(self.conv1(x), 1))
        x = self.pool(self.act(self.conv2(x), 2))
        x = self.act(self.dense1(self.flatten(x)), 3)
        return self.end(self.dense2(x))


@right(SmallCNN)
class ByFunctions(_Net):
    """Pooling and ReLU as functions."""


@right(SmallCNN)
class PoolFirst(_Net):
    """A maximum and a ReLU commute: pooling comes first, with windows taken by hand."""

    def pool(self, x):
        return x

    def act(self, x, place):
        if place < 3:
            x = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax((3, 5))
        return x.clamp(min=0)


@right(SmallCNN)
class ChannelsLast(_Net):
    """The numbers of one place stand together: the order in which maps are flattened is free."""

    def flatten(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


@right(SmallCNN)
class OneSequential(nn.Sequential):
    def __init__(self, num_classes=10):
        layers = []
        for before, after in ((1, 32), (32, 64)):
            layers += [nn.Conv2d(before, after, (3, 3), padding="same"), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d((2, 2), stride=2)]
        layers += [nn.Flatten(1), nn.Linear(3136, 128), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.Linear(128, num_classes))


@right(SmallCNN)
class InModuleLists(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)])
        self.dense = nn.ModuleDict({"h": nn.Linear(3136, 128), "out": nn.Linear(128, num_classes)})

    def forward(self, images):
        for conv in self.convs:
            images = F.max_pool2d(torch.relu(conv(F.pad(images, (1, 1, 1, 1)))), 2)
        hidden = self.dense["h"](images.reshape(len(images), -1))
        return self.dense["out"](torch.maximum(hidden, hidden.new_zeros(())))


@wrong(SmallCNN)
class SoftmaxAtTheEnd(_Net):
    """it ends in a softmax: probabilities, not logits"""

    def end(self, x):
        return x.softmax(1)


@wrong(SmallCNN)
class LogSoftmaxAtTheEnd(_Net):
    """it ends in a log_softmax: log-probabilities, not logits"""

    def end(self, x):
        return x.log_softmax(1)


@wrong(SmallCNN)
class ReluOnTheLogits(_Net):
    """a ReLU stands on the logits: none is below 0"""

    def end(self, x):
        return x.relu()


@wrong(SmallCNN)
class SigmoidAtTheEnd(_Net):
    """it ends in a sigmoid: all outputs lie between 0 and 1"""

    def end(self, x):
        return x.sigmoid()


@wrong(SmallCNN)
class SeedsInside(_Net):
    """torch's seed is set inside: every model begins with the same weights"""

    def __init__(self, num_classes=10):
        torch.manual_seed(0)
        super().__init__(num_classes)


@wrong(SmallCNN)
class LayersInAList(_Net):
    """the layers are kept in a plain list: the module has none of their parameters"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        kept = [self.conv1, self.conv2, self.dense1, self.dense2]
        for name in ("conv1", "conv2", "dense1", "dense2"):
            delattr(self, name)
        self.layers = kept

    def forward(self, x):
        conv1, conv2, dense1, dense2 = self.layers
        x = F.max_pool2d(conv2(F.max_pool2d(conv1(x).relu(), 2)).relu(), 2)
        return dense2(dense1(x.flatten(1)).relu())


@wrong(SmallCNN)
class NoActivation(_Net):
    """there is no activation at all: pooling apart, it is linear"""

    def act(self, x, place):
        return x


@wrong(SmallCNN)
class NoFirstReLU(_Net):
    """the ReLU after the first convolution is missing"""

    def act(self, x, place):
        return x if place == 1 else x.relu()


@wrong(SmallCNN)
class NoSecondReLU(_Net):
    """the ReLU after the second convolution is missing"""

    def act(self, x, place):
        return x if place == 2 else x.relu()


@wrong(SmallCNN)
class NoReLUInTheDenseLayers(_Net):
    """the ReLU between the dense layers is missing: two linear layers are one"""

    def act(self, x, place):
        return x if place == 3 else x.relu()


@wrong(SmallCNN)
class Sigmoids(_Net):
    """the activations are sigmoids, not ReLUs"""

    def act(self, x, place):
        return x.sigmoid()


@wrong(SmallCNN)
class LeakyReLUs(_Net):
    """the activations are leaky: something below 0 comes through"""

    def act(self, x, place):
        return F.leaky_relu(x, 0.1)


@wrong(SmallCNN)
class AveragePools(_Net):
    """the pooling averages, it does not keep the largest"""

    def pool(self, x):
        return F.avg_pool2d(x, 2)


@wrong(SmallCNN)
class EverySecond(_Net):
    """every second pixel is taken, nothing is pooled"""

    def pool(self, x):
        return x[:, :, ::2, ::2]


@wrong(SmallCNN)
class PoolOfThree(_Net):
    """the pooling windows are 3x3 and overlap"""

    def pool(self, x):
        return F.max_pool2d(x, 3, stride=2, padding=1)


@wrong(SmallCNN)
class NotPadded(_Net):
    """the convolutions are not padded: 5x5 places are left, not 7x7"""

    padding, flat = 0, 64 * 5 * 5


@wrong(SmallCNN)
class FiveByFive(_Net):
    """the filters are 5x5, not 3x3"""

    kernel, padding = 5, 2


@wrong(SmallCNN)
class FewerMaps(_Net):
    """there are 16 and 32 maps, not 32 and 64"""

    sizes, flat = (16, 32, 128), 32 * 7 * 7


@wrong(SmallCNN)
class SmallerHidden(_Net):
    """the dense layer has 64 units, not 128"""

    sizes = (32, 64, 64)


@wrong(SmallCNN)
class WithoutBiases(_Net):
    """the convolutions have no bias"""

    bias = False


@wrong(SmallCNN)
class OnePool(_Net):
    """the second pooling is missing: 14x14 places are flattened"""

    flat = 64 * 14 * 14

    def forward(self, x):
        x = self.conv2(self.pool(self.conv1(x).relu())).relu()
        return self.dense2(self.dense1(x.flatten(1)).relu())


@wrong(SmallCNN)
class GloballyPooled(_Net):
    """the maps are averaged to one number each before the dense layers"""

    flat = 64

    def flatten(self, x):
        return x.mean((2, 3))


@wrong(SmallCNN)
class OneDenseLayer(_Net):
    """there is one dense layer, not two"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.dense1, self.dense2 = nn.Identity(), nn.Linear(self.flat, num_classes)


@wrong(SmallCNN)
class Normalised(_Net):
    """a batch norm stands after the first convolution"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.conv1 = nn.Sequential(self.conv1, nn.BatchNorm2d(32))


@wrong(SmallCNN)
class DroppedOut(_Net):
    """a dropout stands in it: in train mode it answers by chance"""

    def flatten(self, x):
        return F.dropout(x.flatten(1), 0.5, self.training)


@wrong(SmallCNN)
class BatchFlattened(_Net):
    """the batch is flattened too: images are mixed up"""

    def flatten(self, x):
        return x.flatten(1).reshape(self.flat, -1).T


@wrong(SmallCNN)
class CentredOverTheBatch(_Net):
    """the batch's mean is taken off: an image's logits depend on its neighbours"""

    def flatten(self, x):
        x = x.flatten(1)
        return x - x.mean(0) if len(x) > 1 else x


@wrong(SmallCNN)
class AlwaysTen(_Net):
    """num_classes is not used: there are always ten logits"""

    def __init__(self, num_classes=10):
        super().__init__(10)


@wrong(SmallCNN)
class Squeezed(_Net):
    """the logits of a single image lose their batch axis (squeeze)"""

    def end(self, x):
        return x.squeeze(0) if len(x) == 1 else x


@wrong(SmallCNN)
class Frozen(_Net):
    """the first convolution is frozen: it does not learn"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.conv1.requires_grad_(False)


@wrong(SmallCNN)
class StartsAtZero(_Net):
    """all weights begin at 0: every unit learns the same"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


def show(answer):
    """A digit, and the maps of both convolutions of a network trained on digits for a moment."""
    from data import digits
    from dojo.pictures import signed_maps

    images, labels = (torch.from_numpy(array) for array in digits())
    torch.default_generator.manual_seed(0)
    model = answer.SmallCNN()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for batch in torch.randperm(len(images)).split(64):
        optimizer.zero_grad()
        F.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    seen = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _m, _i, out: seen.append(out[0]))
    with torch.no_grad():
        model(images[3:4])
    maps = {}
    for number, found in enumerate(seen, 1):
        for channel in found.flatten(1).std(1).topk(4).indices.tolist():
            maps[f"conv {number}, map {channel}"] = found[channel] / found[channel].abs().max()
    return signed_maps({"a digit": images[3]}, maps)
