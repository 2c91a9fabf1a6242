"""The block of ResNet-18 and ResNet-34: two convolutions that only learn what to add to x."""

import torch
from shortcut import make_shortcut
from torch import nn
from torch.nn import functional as F

from dojo import right, wrong


class BasicBlock(nn.Module):
    """Correct x by what two 3x3 convolutions make of it.

    The body is convolution, batch norm, ReLU, convolution, batch norm. Its result is added to
    x, and only the sum goes through the second ReLU: the body may take away as well as add.
    The convolutions keep the size and have no bias; the first one takes the stride. The batch
    norms have torch's defaults. Beside them stands your make_shortcut, so that x fits.
    State_dicts are exchanged with torchvision's block, hence the names: conv1, bn1, conv2,
    bn2, and downsample (its convolution 0, its batch norm 1); where nothing changes,
    downsample holds no tensors and may be None.

    Shapes:
        stride: a whole number
        x: (N, in_channels, H, W) float32, or as the module was converted; it is not changed
        returns: (N, out_channels, H / stride, W / stride), rounded up

    Example:
        >>> block = BasicBlock(64, 128, stride=2)
        >>> sum(p.numel() for p in block.parameters())
        230144

    Raises:
        ValueError: in_channels, out_channels or stride is below 1, when it is built.

    Source: He et al., Deep residual learning for image recognition, arXiv:1512.03385,
        section 4.1 and figure 5, left.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        shortcut = make_shortcut(in_channels, out_channels, stride)  # refuses sizes below 1
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        body = F.relu(self.bn1(self.conv1(x)))
        body = self.bn2(self.conv2(body))
        return F.relu(body + self.downsample(x))


HINTS = [
    "Set the last batch norm's weight and bias to 0: the body gives nothing but zeros. What "
    "should the block give for x = -2 and for x = 2? Where must the second ReLU stand for that?",
    "Five layers with the names of the docstring; the first convolution and make_shortcut get "
    "the stride, both convolutions padding 1. In forward keep x for the end, and write into "
    "tensors of your own only: x may be needed by whoever called.",
    "body = relu(bn1(conv1(x))), then body = bn2(conv2(body)), and relu(body + downsample(x)) "
    "is returned.",
]


class _Conv(nn.Module):
    """A 3x3 convolution by patches and a matrix product, in float64."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3) * 0.1)
        self.stride = stride

    def forward(self, x):
        size = [(n - 1) // self.stride + 1 for n in x.shape[2:]]
        patches = F.unfold(x.double(), 3, padding=1, stride=self.stride)
        return (self.weight.double().flatten(1) @ patches).unflatten(2, size).to(x.dtype)


class _Norm(nn.Module):
    """Batch norm with torch's names, written out."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.full((channels,), v)) for v in (1.0, 0.0))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            count = x.numel() // x.shape[1]
            with torch.no_grad():
                self.running_mean.lerp_(mean, 0.1)
                self.running_var.lerp_(var * count / (count - 1), 0.1)
        scale = self.weight / (var + 1e-5).sqrt()
        return (x - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]


@right(BasicBlock)
class WrittenOut(nn.Module):
    """Convolution and batch norm by hand, and no module at all where nothing changes."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        if min(in_channels, out_channels, stride) < 1:
            raise ValueError("sizes begin at 1")
        self.downsample = None
        if (in_channels, 1) != (out_channels, stride):
            conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, _Norm(out_channels))
        self.conv1 = _Conv(in_channels, out_channels, stride)
        self.conv2 = _Conv(out_channels, out_channels, 1)
        self.bn1, self.bn2 = _Norm(out_channels), _Norm(out_channels)

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        body = self.bn2(self.conv2(self.bn1(self.conv1(x)).clamp(min=0)))
        return torch.maximum(body + skip, torch.zeros_like(body))


@right(BasicBlock)
class InPlaceOnItsOwn(BasicBlock):
    """torchvision's way: ReLUs and sum write into what the block itself has made."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += self.downsample(x)
        return self.relu(out)


@right(BasicBlock)
class BodyAsASequence(nn.Module):
    """An empty sequence is a skip that changes nothing; the body is one walk."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        for size in (in_channels, out_channels, stride):
            if size < 1:
                raise ValueError(f"{size} is below 1")
        self.downsample = nn.Sequential()
        if in_channels != out_channels or stride != 1:
            self.downsample = make_shortcut(in_channels, out_channels, stride)
        for number, (before, step) in enumerate([(in_channels, stride), (out_channels, 1)], 1):
            conv = nn.Conv2d(before, out_channels, 3, step, 1, bias=False)
            self.add_module(f"conv{number}", conv)
            self.add_module(f"bn{number}", nn.BatchNorm2d(out_channels))

    def forward(self, x):
        walk = (self.conv1, self.bn1, torch.relu, self.conv2, self.bn2)
        out = x
        for step in walk:
            out = step(out)
        return out.add(self.downsample(x)).relu()


class _Block(BasicBlock):
    """The right block in steps, each of which a mistake can take the place of."""

    def first(self, x):
        return self.bn1(self.conv1(x))

    def inner(self, x):
        return F.relu(x)

    def second(self, x):
        return self.bn2(self.conv2(x))

    def skip(self, x):
        return self.downsample(x)

    def join(self, body, skip):
        return F.relu(body + skip)

    def forward(self, x):
        return self.join(self.second(self.inner(self.first(x))), self.skip(x))


@wrong(BasicBlock)
def torchvisions_own(in_channels, out_channels, stride=1):
    """torchvision's own block is handed out: here it is to be built"""
    from dojo import vision  # noqa: F401 - before torchvision, which it lets be imported
    from torchvision.models import resnet  # isort: skip

    theirs = resnet.BasicBlock(in_channels, out_channels, stride)
    theirs.downsample = BasicBlock(in_channels, out_channels, stride).downsample
    return theirs


@wrong(BasicBlock)
class NoSkip(_Block):
    """there is no skip: the body is returned without x being added"""

    def join(self, body, skip):
        return F.relu(body)


@wrong(BasicBlock)
class NoSkipNoFinalReLU(_Block):
    """there is no skip and no final ReLU: the body's last batch norm is the result"""

    def join(self, body, skip):
        return body


@wrong(BasicBlock)
class NoSkipWhereNothingChanges(_Block):
    """there is no skip where nothing changes: only a projection is added"""

    def skip(self, x):
        skip = self.downsample(x)
        return skip * 0.0 if skip is x else skip


@wrong(BasicBlock)
class ReLUBeforeTheSum(_Block):
    """the final ReLU stands before the sum: the body can only add, and the sum is not rectified"""

    def join(self, body, skip):
        return F.relu(body) + skip


@wrong(BasicBlock)
class ReLUBeforeAndAfterTheSum(_Block):
    """a ReLU stands before the sum as well as after it: the body can only add, not take away"""

    def join(self, body, skip):
        return F.relu(F.relu(body) + skip)


@wrong(BasicBlock)
class NoFinalReLU(_Block):
    """there is no final ReLU: the sum is returned as it is"""

    def join(self, body, skip):
        return body + skip


@wrong(BasicBlock)
class NoInnerReLU(_Block):
    """there is no inner ReLU: between the two convolutions nothing is rectified"""

    def inner(self, x):
        return x


@wrong(BasicBlock)
class Multiplied(_Block):
    """body and skip are multiplied: the skip has to be added"""

    def join(self, body, skip):
        return F.relu(body * skip)


@wrong(BasicBlock)
class Subtracted(_Block):
    """the skip is subtracted from the body: it has to be added"""

    def join(self, body, skip):
        return F.relu(body - skip)


@wrong(BasicBlock)
class BodySubtracted(_Block):
    """the body is subtracted from the skip: the two have to be added"""

    def join(self, body, skip):
        return F.relu(skip - body)


@wrong(BasicBlock)
class ShortcutOnly(_Block):
    """only the shortcut is returned: the body's result is left out"""

    def join(self, body, skip):
        return F.relu(skip)


@wrong(BasicBlock)
class ShortcutAsItIs(_Block):
    """only the shortcut is returned, without the body and without a ReLU"""

    def join(self, body, skip):
        return skip + 0.0


@wrong(BasicBlock)
class Bn1Unused(_Block):
    """the first batch norm (BN) is unused: bn1 is built and never called"""

    def first(self, x):
        return self.conv1(x)


@wrong(BasicBlock)
class Bn2Unused(_Block):
    """the second batch norm (BN) is unused: bn2 is built and never called"""

    def second(self, x):
        return self.conv2(x)


@wrong(BasicBlock)
class BnUnused(Bn1Unused):
    """batch norm (BN) is unused: bn1 and bn2 are built and never called"""

    def second(self, x):
        return self.conv2(x)


@wrong(BasicBlock)
class NoBn(_Block):
    """there is no batch norm (BN) behind the convolutions of the body"""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.bn1 = self.bn2 = nn.Identity()


@wrong(BasicBlock)
class ProjectionWithoutBn(_Block):
    """the batch norm (BN) of the projection is unused: only its convolution is called"""

    def skip(self, x):
        skip = self.downsample(x)
        return skip if skip is x else self.downsample[0](x)


@wrong(BasicBlock)
class BnAfterTheSum(_Block):
    """bn2 stands behind the sum: it normalises the skip too"""

    def second(self, x):
        return self.conv2(x)

    def join(self, body, skip):
        return F.relu(self.bn2(body + skip))


class _Late(_Block):
    """What is added is taken from within the body."""

    def taken(self, x):
        raise NotImplementedError

    def forward(self, x):
        inner = self.inner(self.first(x))
        return self.join(self.second(inner), self.taken(x))


@wrong(BasicBlock)
class SkipAfterConv1(_Late):
    """the skip begins after the first convolution: what conv1 gives is added, not x"""

    def taken(self, x):
        return self.conv1(x)


@wrong(BasicBlock)
class SkipAfterBn1(_Late):
    """the skip begins after the first convolution and bn1: x itself is not added"""

    def taken(self, x):
        return self.first(x)


@wrong(BasicBlock)
class SkipAfterInnerReLU(_Late):
    """the skip begins after the first convolution, bn1 and the ReLU: x itself is not added"""

    def taken(self, x):
        return self.inner(self.first(x))


@wrong(BasicBlock)
class SkipEndsInside(_Block):
    """the skip ends after the first convolution: x is added before conv2, not at the end"""

    def forward(self, x):
        body = self.inner(self.first(x) + self.skip(x))
        return F.relu(self.second(body))


@wrong(BasicBlock)
class RectifiedSkip(_Block):
    """a ReLU stands on the skip: what is negative in it is lost before the sum"""

    def skip(self, x):
        return F.relu(self.downsample(x))


@wrong(BasicBlock)
class SigmoidAtTheEnd(_Block):
    """a sigmoid stands at the end where the final ReLU should be"""

    def join(self, body, skip):
        return torch.sigmoid(body + skip)


@wrong(BasicBlock)
class SigmoidInside(_Block):
    """a sigmoid stands between the convolutions where the inner ReLU should be"""

    def inner(self, x):
        return torch.sigmoid(x)


@wrong(BasicBlock)
class SigmoidTwice(SigmoidInside):
    """a sigmoid stands in both places where a ReLU should be"""

    def join(self, body, skip):
        return torch.sigmoid(body + skip)


@wrong(BasicBlock)
class StrideOnConv2(_Block):
    """the stride is on the second convolution: conv1 should take it"""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


@wrong(BasicBlock)
class StrideIgnored(_Block):
    """the stride is ignored by both convolutions: the maps of the body stay too large"""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv1.stride = (1, 1)


@wrong(BasicBlock)
class NotPadded(_Block):
    """the convolutions are not padded: the maps of the body shrink at the border"""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv1.padding = self.conv2.padding = (0, 0)


@wrong(BasicBlock)
class ConvolutionsWithBias(_Block):
    """the convolutions have a bias, which the batch norms behind them take away again"""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1)


@wrong(BasicBlock)
class InPlaceReLU(_Block):
    """an in-place ReLU works on the caller's x: what is negative in it is gone for the skip too"""

    def forward(self, x):
        return super().forward(F.relu(x, inplace=True))


@wrong(BasicBlock)
class InPlaceReLUOnTheSkip(_Block):
    """an in-place ReLU on the skip: where nothing changes it works on the caller's x"""

    def skip(self, x):
        return F.relu(self.downsample(x), inplace=True)


@wrong(BasicBlock)
class InPlaceReLUAfterwards(_Block):
    """an in-place ReLU works on the caller's x after it was used: the result is right, x is not"""

    def forward(self, x):
        result = super().forward(x)
        F.relu(x, inplace=True)
        return result


@wrong(BasicBlock)
class InPlaceSum(_Block):
    """the sum is made in place in the skip, which is the caller's x where nothing changes"""

    def join(self, body, skip):
        skip += body
        return F.relu(skip)


@wrong(BasicBlock)
class InPlaceSumAndReLU(_Block):
    """sum and ReLU are made in place in the skip, the caller's x where nothing changes"""

    def join(self, body, skip):
        skip += body
        return F.relu(skip, inplace=True)


@wrong(BasicBlock)
class DetachedSkip(_Block):
    """the skip is detached: no gradient flows through it"""

    def skip(self, x):
        return self.downsample(x).detach()


@wrong(BasicBlock)
class NeverRefuses(_Block):
    """a size below 1 is not refused, or only by some error of torch's own"""

    def __init__(self, in_channels, out_channels, stride=1):
        nn.Module.__init__(self)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(out_channels), nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.downsample = nn.Identity()
        if in_channels != out_channels or stride != 1:
            conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def _without_skip(block, x):
    """The same layers in the same order, only that x is not added."""
    return F.relu(block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x))))))


def _gradient_norms(build, call, seed):
    """How long the loss's gradient is at every block's first convolution, before training."""
    from data import digits

    torch.manual_seed(seed)
    images, labels = digits()
    stem, head = nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.Linear(16, 10)
    blocks = [build(16, 16) for _ in range(24)]
    x = stem(torch.from_numpy(images[:64]))
    for block in blocks:
        x = call(block, x)
    F.cross_entropy(head(x.mean((2, 3))), torch.from_numpy(labels[:64])).backward()
    return [float(block.conv1.weight.grad.norm()) for block in blocks]


def show(answer):
    """The gradient at each of 24 blocks in a row, with your block's skip and without it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axis = figure.subplots()
    for name, call, colour in (
        ("your block", lambda block, x: block(x), "tab:red"),
        ("its layers without the skip", _without_skip, "tab:blue"),
    ):
        for seed in range(3):
            norms = _gradient_norms(answer.BasicBlock, call, seed)
            label = name if seed == 0 else None
            axis.semilogy(range(1, 25), norms, "o-", color=colour, markersize=3, label=label)
    axis.set_title("24 blocks in a row on 64 digits, untrained, three draws of the weights")
    axis.set(xlabel="block, 1 is next to the image", xlim=(0.5, 24.5), xticks=range(2, 25, 2))
    axis.set_ylabel("norm of the gradient at the block's first convolution")
    axis.grid(alpha=0.3)
    axis.legend(loc="upper right")
    return figure
