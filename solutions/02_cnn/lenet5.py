"""LeNet-5: the network that read cheques in the nineties, in today's words."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dojo import right, wrong


class LeNet5(nn.Module):
    """Read images of 32x32 by two convolutions and three dense layers, 61,706 parameters.

    Each convolution is 5x5, unpadded, and followed by a sigmoid and then by the mean over 2x2
    blocks: 6 maps of 28x28 become 14x14, 16 maps of 10x10 become 5x5. What nn.Flatten makes
    of these goes through dense layers of 120, 84 and num_classes units. The first two have
    a sigmoid; the last one gives logits, as they are. Train and eval mode do the same. Layers
    have biases; their names, and modules or functions for the rest, are up to you (the layer
    of 120 may also be a 5x5 convolution: on 5x5 maps that is the same). Weights made by hand
    are those of nn.Conv2d, and (units, inputs) or (inputs, units); biases are vectors. Initial
    weights are random, from torch's default generator.

    The original of 1998 had trainable pooling, scaled tanh, a second layer that saw chosen maps
    only and distances at its end: sigmoid, plain mean and logits are today's simplification.

    Shapes:
        num_classes: K, from 1 on
        x: (N, 1, 32, 32), float32; float64 after double()
        returns: logits (N, K), differentiable in x and in all parameters

    Example:
        >>> sum(parameter.numel() for parameter in LeNet5().parameters())
        61706

    Raises:
        ValueError: num_classes is below 1.

    Source: LeCun, Bottou, Bengio & Haffner, Gradient-Based Learning Applied to Document
        Recognition, Proceedings of the IEEE 86 (1998), section II.B.
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes is {num_classes}, it must be at least 1")
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.dense1 = nn.Linear(16 * 5 * 5, 120)
        self.dense2 = nn.Linear(120, 84)
        self.dense3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(torch.sigmoid(self.conv1(x)), 2)  # (N, 6, 14, 14)
        x = F.avg_pool2d(torch.sigmoid(self.conv2(x)), 2)  # (N, 16, 5, 5)
        x = torch.sigmoid(self.dense1(x.flatten(1)))  # (N, 120)
        x = torch.sigmoid(self.dense2(x))  # (N, 84)
        return self.dense3(x)


HINTS = [
    "An unpadded 5x5 convolution takes 4 from the height and 4 from the width, a 2x2 pooling "
    "halves. Follow 32 down to the dense part: how many numbers arrive there from 16 maps?",
    "Five layers have parameters: two nn.Conv2d and three nn.Linear. In forward, each but the "
    "last is followed by torch.sigmoid, the convolutions also by F.avg_pool2d. Flatten keeps the "
    "batch: start at axis 1.",
    "nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Linear(400, 120), nn.Linear(120, 84), "
    "nn.Linear(84, num_classes). x = F.avg_pool2d(torch.sigmoid(conv(x)), 2) twice, x.flatten(1), "
    "torch.sigmoid(dense(x)) twice, and the last layer plain. Look at num_classes first.",
]


def _checked(num_classes):
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}, it must be at least 1")
    return num_classes


def _mean(x):
    return F.avg_pool2d(x, 2)


class _Steps(LeNet5):
    """The forward in steps; variants change one of them."""

    def begin(self, x):
        return x

    def map_activation(self, x):
        return torch.sigmoid(x)

    pool1 = pool2 = staticmethod(_mean)

    def flatten(self, x):
        return x.flatten(1)

    def act120(self, x):
        return torch.sigmoid(x)

    def act84(self, x):
        return torch.sigmoid(x)

    def end(self, x):
        return x

    def forward(self, x):
        x = self.pool1(self.map_activation(self.conv1(self.begin(x))))
        x = self.pool2(self.map_activation(self.conv2(x)))
        x = self.act120(self.dense1(self.flatten(x)))
        return self.end(self.dense3(self.act84(self.dense2(x))))


def _everywhere(activation):
    """A class with another activation after all four layers."""

    class Variant(_Steps):
        def map_activation(self, x):
            return activation(x)

        act120 = act84 = map_activation

    return Variant


@right(LeNet5)
def by_a_sequential(num_classes=10):
    _checked(num_classes)
    layers = [nn.Conv2d(1, 6, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(2)]
    layers += [nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(2, stride=2)]
    layers += [nn.Flatten(), nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(84, num_classes))


@right(LeNet5)
class ByConvolutionsOnly(nn.Module):
    """All five layers are convolutions; the last ones work on maps of one cell."""

    def __init__(self, num_classes=10):
        super().__init__()
        sizes = [(1, 6, 5), (6, 16, 5), (16, 120, 5), (120, 84, 1), (84, _checked(num_classes), 1)]
        self.layers = nn.ModuleList(nn.Conv2d(*size) for size in sizes)

    def forward(self, x):
        for place, layer in enumerate(self.layers):
            x = layer(x).sigmoid() if place < 4 else layer(x)
            x = F.adaptive_avg_pool2d(x, x.shape[-1] // 2) if place < 2 else x
        return x[:, :, 0, 0]


@right(LeNet5)
class ByConvolutionFor120(nn.Module):
    """The paper's C5: a 5x5 convolution on 5x5 maps; layers in a dict."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.body = nn.ModuleDict({
            "C1": nn.Conv2d(1, 6, 5), "C3": nn.Conv2d(6, 16, 5), "C5": nn.Conv2d(16, 120, 5),
        })  # fmt: skip
        self.head = nn.Sequential(
            nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, _checked(num_classes))
        )
        self.halve = nn.AvgPool2d(kernel_size=(2, 2))

    def forward(self, x):
        x = self.halve(torch.sigmoid(self.body["C1"](x)))
        x = self.halve(torch.sigmoid(self.body["C3"](x)))
        return self.head(torch.sigmoid(self.body["C5"](x)).squeeze(-1).squeeze(-1))


@right(LeNet5)
class ByHand(nn.Module):
    """Plain parameters, the sigmoid as a tanh, the pooling as a mean over folded axes."""

    def __init__(self, num_classes=10):
        super().__init__()
        shapes = [(6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (_checked(num_classes), 84)]
        self.weights = nn.ParameterList(torch.randn(shape) * 0.1 for shape in shapes)
        self.biases = nn.ParameterList(torch.zeros(shape[0]) for shape in shapes)

    def forward(self, x):
        layers = list(zip(self.weights, self.biases, strict=True))
        for weight, bias in layers[:2]:
            x = 0.5 + 0.5 * torch.tanh(F.conv2d(x, weight, bias) / 2)
            n, c, height, width = x.shape
            x = x.reshape(n, c, height // 2, 2, width // 2, 2).mean((3, 5))
        x = x.reshape(len(x), -1)
        for weight, bias in layers[2:4]:
            x = 0.5 + 0.5 * torch.tanh((x @ weight.T + bias) / 2)
        return x @ layers[4][0].T + layers[4][1]


@right(LeNet5)
class InputsFirst(nn.Module):
    """Windows and units as matrix products, x @ weight, with weights of (inputs, units)."""

    def __init__(self, num_classes=10):
        super().__init__()
        sizes = [(25, 6), (150, 16), (400, 120), (120, 84), (84, _checked(num_classes))]
        for place, size in enumerate(sizes):
            setattr(self, f"w{place}", nn.Parameter(torch.randn(size) / size[0] ** 0.5))
            setattr(self, f"b{place}", nn.Parameter(torch.zeros(size[1])))

    def forward(self, x):
        for weight, bias, side in ((self.w0, self.b0, 14), (self.w1, self.b1, 5)):
            maps = torch.sigmoid(F.unfold(x, 5).transpose(1, 2) @ weight + bias)
            maps = maps.reshape(len(x), side, 2, side, 2, -1).mean((2, 4))
            x = maps.permute(0, 3, 1, 2)
        x = torch.sigmoid(x.flatten(1) @ self.w2 + self.b2)
        return torch.sigmoid(x @ self.w3 + self.b3) @ self.w4 + self.b4


@wrong(LeNet5)
class Relu(_everywhere(torch.relu)):
    """ReLU takes the place of all sigmoids: it came fourteen years later"""


@wrong(LeNet5)
class Tanh(_everywhere(torch.tanh)):
    """tanh takes the place of all sigmoids"""


@wrong(LeNet5)
class NoActivation(_everywhere(lambda x: x)):
    """there is no activation at all: five linear layers are one"""


@wrong(LeNet5)
class Silu(_everywhere(F.silu)):
    """each layer is multiplied by its sigmoid (SiLU) instead of replaced by it"""


@wrong(LeNet5)
class HardSigmoid(_everywhere(F.hardsigmoid)):
    """the sigmoid is made of straight lines (hardsigmoid)"""


@wrong(LeNet5)
class SigmoidTwice(_everywhere(lambda x: torch.sigmoid(torch.sigmoid(x)))):
    """the sigmoid is applied twice after each layer"""


@wrong(LeNet5)
class ReluOnMaps(_Steps):
    """ReLU follows the convolutions, only the dense layers have sigmoids"""

    def map_activation(self, x):
        return torch.relu(x)


@wrong(LeNet5)
class NothingOnMaps(_Steps):
    """no activation follows the convolutions"""

    def map_activation(self, x):
        return x


@wrong(LeNet5)
class NothingAfter120(_Steps):
    """the sigmoid after the layer of 120 is missing"""

    def act120(self, x):
        return x


@wrong(LeNet5)
class NothingAfter84(_Steps):
    """the sigmoid after the layer of 84 is missing"""

    def act84(self, x):
        return x


@wrong(LeNet5)
class ReluAfter120(_Steps):
    """ReLU follows the layer of 120, not a sigmoid"""

    def act120(self, x):
        return torch.relu(x)


@wrong(LeNet5)
class ReluAfter84(_Steps):
    """ReLU follows the layer of 84, not a sigmoid"""

    def act84(self, x):
        return torch.relu(x)


@wrong(LeNet5)
class SigmoidOnTheOutput(_Steps):
    """a sigmoid squashes the logits: the output has none"""

    def end(self, x):
        return torch.sigmoid(x)


@wrong(LeNet5)
class SoftmaxOnTheOutput(_Steps):
    """softmax turns the logits into probabilities: the loss does that"""

    def end(self, x):
        return x.softmax(1)


@wrong(LeNet5)
class LogSoftmaxOnTheOutput(_Steps):
    """log_softmax is applied to the logits: the loss does that"""

    def end(self, x):
        return x.log_softmax(1)


@wrong(LeNet5)
class ReluOnTheOutput(_Steps):
    """ReLU cuts off the negative logits"""

    def end(self, x):
        return torch.relu(x)


@wrong(LeNet5)
class MaxPool(_Steps):
    """max pooling takes the place of the mean, twice"""

    def pool1(self, x):
        return F.max_pool2d(x, 2)

    pool2 = pool1


@wrong(LeNet5)
class FirstMaxPool(_Steps):
    """the first pooling keeps the largest, only the second one takes the mean"""

    def pool1(self, x):
        return F.max_pool2d(x, 2)


@wrong(LeNet5)
class SecondMaxPool(_Steps):
    """the second pooling keeps the largest, only the first one takes the mean"""

    def pool2(self, x):
        return F.max_pool2d(x, 2)


@wrong(LeNet5)
class EverySecond(_Steps):
    """every second row and column is kept, nothing is averaged"""

    def pool1(self, x):
        return x[:, :, ::2, ::2]

    pool2 = pool1


@wrong(LeNet5)
class SumPool(_Steps):
    """the 2x2 blocks are added up, not averaged"""

    def pool1(self, x):
        return 4 * _mean(x)

    pool2 = pool1


@wrong(LeNet5)
class PooledFirst(LeNet5):
    """the mean is taken before the sigmoid, not after it"""

    def forward(self, x):
        x = torch.sigmoid(_mean(self.conv1(x)))
        x = torch.sigmoid(_mean(self.conv2(x))).flatten(1)
        return self.dense3(torch.sigmoid(self.dense2(torch.sigmoid(self.dense1(x)))))


@wrong(LeNet5)
class FlattenedChannelsLast(_Steps):
    """the maps are flattened with the channels last, not as nn.Flatten does"""

    def flatten(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


@wrong(LeNet5)
class Transposed(_Steps):
    """the image is transposed on its way in"""

    def begin(self, x):
        return x.transpose(2, 3)


@wrong(LeNet5)
class Centred(_Steps):
    """the image is normalised inside the network: its mean is taken away"""

    def begin(self, x):
        return x - x.mean((1, 2, 3), keepdim=True)


@wrong(LeNet5)
class CentredBatch(_Steps):
    """the mean of the whole batch is taken away: an image's logits depend on the others"""

    def begin(self, x):
        return x - x.mean()


@wrong(LeNet5)
class PaddedFirst(LeNet5):
    """the first convolution is padded by 2: 6x6 maps arrive at the dense part, not 5x5"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.dense1 = nn.Linear(16 * 6 * 6, 120)


@wrong(LeNet5)
class MadeFor28(LeNet5):
    """the first convolution is padded by 2 as for 28x28 images: 32x32 does not fit"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)


@wrong(LeNet5)
class PaddedAndShrunk(_Steps):
    """the first convolution is padded, and pooling to 5x5 hides the other size"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)

    def pool2(self, x):
        return F.adaptive_avg_pool2d(x, 5)


@wrong(LeNet5)
class ShrunkInput(LeNet5):
    """nothing is padded and the dense part is made for 28x28 images: 256 numbers, not 400"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.dense1 = nn.Linear(16 * 4 * 4, 120)


@wrong(LeNet5)
class SmallKernels(LeNet5):
    """the kernels are 3x3, not 5x5"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 16, 3)
        self.dense1 = nn.Linear(16 * 6 * 6, 120)


@wrong(LeNet5)
class NoBiases(LeNet5):
    """the convolutions have no bias"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, bias=False), nn.Conv2d(6, 16, 5, bias=False)


@wrong(LeNet5)
class LayerOf84Missing(LeNet5):
    """the layer of 84 is missing"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.dense2 = nn.Identity()
        self.dense3 = nn.Linear(120, num_classes)


@wrong(LeNet5)
class TrainablePooling(_Steps):
    """the pooling has weights and biases of its own, as in 1998: 44 parameters more"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.gains = nn.ParameterList(torch.ones(n, 1, 1) for n in (6, 16))
        self.shifts = nn.ParameterList(torch.zeros(n, 1, 1) for n in (6, 16))


@wrong(LeNet5)
class BatchNorms(_Steps):
    """batch normalisation follows the convolutions: it came seventeen years later"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.norms = nn.ModuleList([nn.BatchNorm2d(6), nn.BatchNorm2d(16)])


@wrong(LeNet5)
class AlwaysTen(LeNet5):
    """num_classes is ignored: there are always ten logits"""

    def __init__(self, num_classes=10):
        _checked(num_classes)
        super().__init__(10)


@wrong(LeNet5)
class LayersInAList(nn.Module):
    """the layers are in a plain list: parameters() does not find them"""

    def __init__(self, num_classes=10):
        super().__init__()
        self.layers = [LeNet5(num_classes)]

    def forward(self, x):
        return self.layers[0](x)


@wrong(LeNet5)
class DroppedOut(_Steps):
    """dropout in the dense part: train mode does not do what eval mode does"""

    def act84(self, x):
        return F.dropout(torch.sigmoid(x), 0.5, self.training)


@wrong(LeNet5)
class SqueezedBatch(_Steps):
    """squeeze() takes away the axis of a batch of one, or of one class"""

    def end(self, x):
        return x.squeeze()


@wrong(LeNet5)
class BatchFlattened(_Steps):
    """the images of a batch are flattened together with their maps"""

    def flatten(self, x):
        return x.reshape(x.shape[2] * x.shape[3], -1).T.reshape(-1, 400)


@wrong(LeNet5)
class OverwritesTheImage(_Steps):
    """the image is centred in place: the caller's x changes"""

    def begin(self, x):
        with torch.no_grad():
            x.sub_(x.mean())
        return x


@wrong(LeNet5)
class GraphCut(_Steps):
    """the graph is cut behind the maps (detach): the convolutions do not learn"""

    def flatten(self, x):
        return x.flatten(1).detach()


@wrong(LeNet5)
class FrozenConvolutions(LeNet5):
    """the convolutions are frozen: requires_grad is off"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.conv1.requires_grad_(False)
        self.conv2.requires_grad_(False)


@wrong(LeNet5)
class AlwaysFloat32(_Steps):
    """the logits are float32 also after double()"""

    def end(self, x):
        return x.float()


@wrong(LeNet5)
class NoGradientInEval(LeNet5):
    """autograd is off in eval mode: no gradient comes back to the image"""

    def forward(self, x):
        with torch.set_grad_enabled(self.training):
            return super().forward(x)


@wrong(LeNet5)
class ClippedGradients(LeNet5):
    """hooks clip the gradients of the parameters: that is for the training loop to decide"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        for parameter in self.parameters():
            parameter.register_hook(lambda gradient: gradient.clamp(-1e-3, 1e-3))


@wrong(LeNet5)
class SigmoidByHand(_everywhere(lambda x: x.exp() / (1 + x.exp()))):
    """the sigmoid is written as exp(x) / (1 + exp(x)): for large x that is inf / inf, nan"""


@wrong(LeNet5)
class OneLogitForTwo(LeNet5):
    """two classes get one logit, as for a yes or no: every class has a logit of its own"""

    def __init__(self, num_classes=10):
        super().__init__(1 if num_classes == 2 else num_classes)


@wrong(LeNet5)
class PutsItselfInEval(LeNet5):
    """forward calls eval(): a network in training is not any more"""

    def forward(self, x):
        self.eval()
        return super().forward(x)


@wrong(LeNet5)
class FrozenInEval(LeNet5):
    """forward in eval mode turns requires_grad off, and it stays off until the next one"""

    def forward(self, x):
        for parameter in self.parameters():
            parameter.requires_grad_(self.training)
        return super().forward(x)


@wrong(LeNet5)
class ForgetsGradients(LeNet5):
    """forward sets the gradients to zero: those of several batches do not add up"""

    def forward(self, x):
        self.zero_grad()
        return super().forward(x)


@wrong(LeNet5)
class HooksPileUp(LeNet5):
    """forward registers a hook and never removes it: every call adds one"""

    def forward(self, x):
        self.conv1.register_forward_hook(lambda *_: None)
        return super().forward(x)


@wrong(LeNet5)
class RunningMean(_Steps):
    """train mode collects the mean of the images, eval mode takes it away from them"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.register_buffer("mean", torch.zeros(()))

    def begin(self, x):
        if not self.training:
            return x - self.mean
        self.mean.lerp_(x.detach().mean().to(self.mean), 0.1)
        return x


@wrong(LeNet5)
class SeedsInForward(LeNet5):
    """forward sets torch's seed: shuffling and dropout elsewhere begin anew with every call"""

    def forward(self, x):
        torch.default_generator.manual_seed(0)
        return super().forward(x)


@wrong(LeNet5)
class SeedsAfterwards(LeNet5):
    """a seed is set once the weights are drawn: from the second network on all are alike"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        torch.default_generator.manual_seed(0)


@wrong(LeNet5)
class ZeroWeights(LeNet5):
    """all weights begin at 0: every unit of a layer learns the same"""

    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


@wrong(LeNet5)
class OwnSeed(LeNet5):
    """a seed is set inside: every network begins with the same weights"""

    def __init__(self, num_classes=10):
        torch.default_generator.manual_seed(0)
        super().__init__(num_classes)


@wrong(LeNet5)
class NoClassesAccepted(LeNet5):
    """num_classes below 1 is not refused"""

    def __init__(self, num_classes=10):
        super().__init__(max(num_classes, 1))


def show(answer):
    """How large the gradient of each layer is before the first step: sigmoids hold it back."""
    from matplotlib.figure import Figure

    from data import digits

    torch.manual_seed(0)
    images, labels = (torch.from_numpy(part[:500]) for part in digits())
    model = answer.LeNet5()
    F.cross_entropy(model(F.pad(images, (2, 2, 2, 2))), labels).backward()
    weights = {p[0].numel(): p for p in model.parameters() if p.dim() > 1}
    names = {25: "conv, 6", 150: "conv, 16", 400: "dense, 120", 120: "dense, 84", 84: "logits, 10"}
    sizes = [float(weights[inputs].grad.square().mean().sqrt()) for inputs in names]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    axis.bar(list(names.values()), sizes)
    axis.set(yscale="log", ylabel="gradient of a weight (root mean square)")
    axis.set_title("500 digits, new weights: little of the gradient comes back to the image")
    return figure
