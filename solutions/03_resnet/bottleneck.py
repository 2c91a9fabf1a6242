"""The block of ResNet-50, 101 and 152: squeeze the channels, look around, widen again."""

import torch
from shortcut import make_shortcut
from torch import nn
from torch.nn import functional as F

from dojo import right, wrong


class Bottleneck(nn.Module):
    """Correct x by what a narrow path makes of it.

    A 3x3 convolution on many channels is dear. So a 1x1 convolution first brings them down to
    `channels`, the 3x3 one works there and takes the stride, and a second 1x1 one brings them
    up to four times as many. A batch norm with torch's defaults stands behind each; a ReLU
    behind the first two, and behind the sum. No convolution has a bias, and all keep the size
    but for the stride. Beside them stands your make_shortcut. State_dicts are exchanged with
    torchvision's block, hence the names: conv1, bn1, conv2, bn2, conv3, bn3, and downsample
    (its convolution 0, its batch norm 1); where nothing changes, downsample holds no tensors
    and may be None.

    Shapes:
        stride: a whole number
        x: (N, in_channels, H, W) float32, or as the module was converted; it is not changed
        returns: (N, 4 * channels, H / stride, W / stride), rounded up

    Example:
        >>> block = Bottleneck(256, 64)
        >>> sum(p.numel() for p in block.parameters())
        70400

    Raises:
        ValueError: in_channels, channels or stride is below 1, when it is built.

    Source: He et al., Deep residual learning for image recognition, arXiv:1512.03385,
        section 4.1 and figure 5, right; the stride on the 3x3 as in torchvision ("v1.5").
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1):
        super().__init__()
        shortcut = make_shortcut(in_channels, 4 * channels, stride)  # refuses sizes below 1
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.downsample = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        body = F.relu(self.bn1(self.conv1(x)))
        body = F.relu(self.bn2(self.conv2(body)))
        body = self.bn3(self.conv3(body))
        return F.relu(body + self.downsample(x))


HINTS = [
    "How many channels go into each of the three convolutions, and how many come out? Which "
    "number decides whether x fits to the sum: channels, or what conv3 gives?",
    "It is the basic block with one more step. The 3x3 convolution in the middle takes the "
    "stride and the padding; make_shortcut has to lead from in_channels to 4 * channels.",
    "body = relu(bn1(conv1(x))), body = relu(bn2(conv2(body))), body = bn3(conv3(body)) without "
    "a ReLU, and relu(body + downsample(x)) is returned.",
]


@right(Bottleneck)
class InPlaceOnItsOwn(Bottleneck):
    """torchvision's way: ReLUs and sum write into what the block itself has made."""

    expansion = 4

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.relu = nn.ReLU(inplace=True)
        if in_channels == channels * self.expansion and stride == 1:
            self.downsample = None

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class _Pointwise(nn.Module):
    """A 1x1 convolution is a matrix for every pixel; in float64."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1) * 0.1)

    def forward(self, x):
        kernel = self.weight[:, :, 0, 0].double()
        return torch.einsum("nchw,fc->nfhw", x.double(), kernel).to(x.dtype)


@right(Bottleneck)
class MatricesForPixels(nn.Module):
    """Both 1x1 convolutions as matrix products, and an empty sequence as identity."""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        if in_channels < 1 or channels < 1 or stride < 1:
            raise ValueError("sizes begin at 1")
        wide = 4 * channels
        self.downsample = nn.Sequential()
        if stride > 1 or in_channels != wide:
            conv = nn.Conv2d(in_channels, wide, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(wide))
        self.conv1, self.bn1 = _Pointwise(in_channels, channels), nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, (stride, stride), (1, 1), bias=False)
        self.bn2, self.bn3 = nn.BatchNorm2d(channels), nn.BatchNorm2d(wide)
        self.conv3 = _Pointwise(channels, wide)

    def forward(self, x):
        body = x
        for number in (1, 2, 3):
            body = getattr(self, f"conv{number}")(body.clamp(min=0) if number > 1 else body)
            body = getattr(self, f"bn{number}")(body)
        return torch.add(self.downsample(x), body).clamp(min=0)


@right(Bottleneck)
class AllPixelsThenEverySecond(Bottleneck):
    """The 3x3 convolution with stride 1, of which every stride-th pixel is kept."""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.conv2.stride, self.stride = (1, 1), stride

    def forward(self, x):
        body = torch.relu(self.bn1(self.conv1(x)))
        kept = self.conv2(body)[:, :, :: self.stride, :: self.stride]
        return torch.relu(self.bn3(self.conv3(torch.relu(self.bn2(kept)))) + self.downsample(x))


class _Block(Bottleneck):
    """The right block in steps, each of which a mistake can take the place of."""

    def first(self, x):
        return F.relu(self.bn1(self.conv1(x)))

    def second(self, x):
        return F.relu(self.bn2(self.conv2(x)))

    def third(self, x):
        return self.bn3(self.conv3(x))

    def skip(self, x):
        return self.downsample(x)

    def join(self, body, skip):
        return F.relu(body + skip)

    def forward(self, x):
        return self.join(self.third(self.second(self.first(x))), self.skip(x))


@wrong(Bottleneck)
def torchvisions_own(in_channels, channels, stride=1):
    """torchvision's own block is handed out: here it is to be built"""
    from dojo import vision  # noqa: F401 - before torchvision, which it lets be imported
    from torchvision.models import resnet  # isort: skip

    mine = Bottleneck(in_channels, channels, stride)
    theirs = resnet.Bottleneck(in_channels, channels, stride)
    theirs.downsample = mine.downsample
    return theirs


@wrong(Bottleneck)
class StrideOnThe1x1(_Block):
    """the stride is on the first 1x1 convolution: the 3x3 one should take it"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


@wrong(Bottleneck)
class StrideOnTheLast(_Block):
    """the stride is on the last 1x1 convolution: the 3x3 one should take it"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.conv3.stride, self.conv2.stride = self.conv2.stride, self.conv3.stride


@wrong(Bottleneck)
class StrideOnTwo(_Block):
    """two convolutions take the stride: the body's maps get smaller twice"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.conv1.stride = self.conv2.stride


@wrong(Bottleneck)
class StrideIgnored(_Block):
    """the stride is ignored in the body: its maps stay too large for the sum"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.conv2.stride = (1, 1)


@wrong(Bottleneck)
class StrideIgnoredEverywhere(StrideIgnored):
    """the stride is ignored: the maps stay as large as they were"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if stride > 1:
            self.downsample[0].stride = (1, 1)


@wrong(Bottleneck)
class NoExpansion(_Block):
    """the expansion is forgotten: conv3 gives `channels`, not four times as many"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.conv3 = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample = make_shortcut(in_channels, channels, stride)


@wrong(Bottleneck)
class NarrowNorm(_Block):
    """the expansion is forgotten in bn3: it is made for `channels`, but conv3 gives four times"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.bn3 = nn.BatchNorm2d(channels)


@wrong(Bottleneck)
class NarrowShortcut(_Block):
    """the expansion is forgotten in the shortcut: it leads to `channels`, the body to four times"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.downsample = make_shortcut(in_channels, channels, stride)


@wrong(Bottleneck)
class ExpandedTwice(_Block):
    """the 3x3 convolution works on four times `channels`: it should be narrow there"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        wide = 4 * channels
        self.conv1, self.bn1 = nn.Conv2d(in_channels, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, stride, 1, bias=False)
        self.bn2, self.conv3 = nn.BatchNorm2d(wide), nn.Conv2d(wide, wide, 1, bias=False)


@wrong(Bottleneck)
class ChannelsTakenForTheResult(_Block):
    """`channels` is taken for what comes out: a quarter of it is the width inside"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, max(channels // 4, min(channels, 1)), stride)


@wrong(Bottleneck)
class ExpansionTwo(_Block):
    """the expansion is 2, not 4"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.conv3 = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(2 * channels)
        self.downsample = make_shortcut(in_channels, 2 * channels, stride)


@wrong(Bottleneck)
class BasicBlockInstead(nn.Module):
    """that is the basic block, two 3x3 convolutions: a bottleneck has three, 1x1, 3x3 and 1x1"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        wide = 4 * channels
        self.downsample = make_shortcut(in_channels, wide, stride)
        self.conv1 = nn.Conv2d(in_channels, wide, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(wide), nn.BatchNorm2d(wide)

    def forward(self, x):
        body = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(body + self.downsample(x))


@wrong(Bottleneck)
class AllThreeByThree(_Block):
    """all three convolutions are 3x3: the first and the last should be 1x1"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, 1, 1, bias=False)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 3, 1, 1, bias=False)


@wrong(Bottleneck)
class ReLUBeforeTheSum(_Block):
    """a ReLU stands after bn3, before the sum, and none after it: the body can only add"""

    def join(self, body, skip):
        return F.relu(body) + skip


@wrong(Bottleneck)
class ReLUBeforeAndAfterTheSum(_Block):
    """a ReLU stands after bn3, before the sum, as well as after it: the body can only add"""

    def join(self, body, skip):
        return F.relu(F.relu(body) + skip)


@wrong(Bottleneck)
class NoInnerReLU(_Block):
    """there is no inner ReLU: nothing is rectified behind bn1 and bn2"""

    def first(self, x):
        return self.bn1(self.conv1(x))

    def second(self, x):
        return self.bn2(self.conv2(x))


@wrong(Bottleneck)
class NoFirstReLU(_Block):
    """the first inner ReLU is missing, behind bn1"""

    def first(self, x):
        return self.bn1(self.conv1(x))


@wrong(Bottleneck)
class NoSecondReLU(_Block):
    """the second inner ReLU is missing, behind bn2"""

    def second(self, x):
        return self.bn2(self.conv2(x))


@wrong(Bottleneck)
class NoFinalReLU(_Block):
    """there is no final ReLU: the sum is returned as it is"""

    def join(self, body, skip):
        return body + skip


@wrong(Bottleneck)
class NoReLU(NoInnerReLU):
    """there is no ReLU at all"""

    def join(self, body, skip):
        return body + skip


@wrong(Bottleneck)
class NoSkip(_Block):
    """there is no skip: the body is returned without x being added"""

    def join(self, body, skip):
        return F.relu(body)


@wrong(Bottleneck)
class NoSkipNoFinalReLU(_Block):
    """there is no skip and no final ReLU: what bn3 gives is the result"""

    def join(self, body, skip):
        return body


@wrong(Bottleneck)
class NoSkipWhereProjected(_Block):
    """the projection is built and not used: only an unchanged x is added"""

    def skip(self, x):
        skip = self.downsample(x)
        return skip if skip is x else skip * 0.0


@wrong(Bottleneck)
class Multiplied(_Block):
    """body and skip are multiplied: the skip has to be added"""

    def join(self, body, skip):
        return F.relu(body * skip)


@wrong(Bottleneck)
class Subtracted(_Block):
    """the skip is subtracted from the body: it has to be added"""

    def join(self, body, skip):
        return F.relu(body - skip)


@wrong(Bottleneck)
class Averaged(_Block):
    """the mean of body and skip is taken, not their sum"""

    def join(self, body, skip):
        return F.relu((body + skip) / 2)


@wrong(Bottleneck)
class ShortcutOnly(_Block):
    """only the shortcut is returned: the body's result is left out"""

    def join(self, body, skip):
        return F.relu(skip)


@wrong(Bottleneck)
class Concatenated(_Block):
    """body and skip are put one behind the other along the channels, not added"""

    def join(self, body, skip):
        return F.relu(torch.cat([body, skip], 1))


@wrong(Bottleneck)
class RectifiedSkip(_Block):
    """a ReLU stands on the skip: what is negative in it is lost before the sum"""

    def skip(self, x):
        return F.relu(self.downsample(x))


@wrong(Bottleneck)
class SigmoidAtTheEnd(_Block):
    """a sigmoid stands at the end where the final ReLU should be"""

    def join(self, body, skip):
        return torch.sigmoid(body + skip)


@wrong(Bottleneck)
class Bn1Unused(_Block):
    """the first batch norm (BN) is unused: bn1 is built and never called"""

    def first(self, x):
        return F.relu(self.conv1(x))


@wrong(Bottleneck)
class Bn2Unused(_Block):
    """the second batch norm (BN) is unused: bn2 is built and never called"""

    def second(self, x):
        return F.relu(self.conv2(x))


@wrong(Bottleneck)
class Bn3Unused(_Block):
    """the third batch norm (BN) is unused: bn3 is built and never called"""

    def third(self, x):
        return self.conv3(x)


@wrong(Bottleneck)
class BnUnused(Bn3Unused):
    """batch norm (BN) is unused: bn1, bn2 and bn3 are built and never called"""

    def first(self, x):
        return F.relu(self.conv1(x))

    def second(self, x):
        return F.relu(self.conv2(x))


@wrong(Bottleneck)
class Bn1Twice(_Block):
    """bn1 normalises behind conv1 and conv2, bn2 is never called"""

    def second(self, x):
        return F.relu(self.bn1(self.conv2(x)))


@wrong(Bottleneck)
class ProjectionWithoutBn(_Block):
    """the batch norm (BN) of the projection is unused: only its convolution is called"""

    def skip(self, x):
        skip = self.downsample(x)
        return skip if skip is x else self.downsample[0](x)


@wrong(Bottleneck)
class BnAfterReLU(_Block):
    """the inner ReLUs stand before their batch norms, not behind them"""

    def first(self, x):
        return self.bn1(F.relu(self.conv1(x)))

    def second(self, x):
        return self.bn2(F.relu(self.conv2(x)))


@wrong(Bottleneck)
class BnAfterTheSum(_Block):
    """bn3 stands behind the sum: it normalises the skip too"""

    def third(self, x):
        return self.conv3(x)

    def join(self, body, skip):
        return F.relu(self.bn3(body + skip))


@wrong(Bottleneck)
class NotPadded(_Block):
    """the 3x3 convolution is not padded: the maps of the body shrink at the border"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.conv2.padding = (0, 0)


@wrong(Bottleneck)
class AllPadded(_Block):
    """the 1x1 convolutions are padded too: the maps of the body grow"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.conv1.padding = self.conv3.padding = (1, 1)


@wrong(Bottleneck)
class ConvolutionsWithBias(_Block):
    """the convolutions have a bias, which the batch norms behind them take away again"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.conv1 = nn.Conv2d(in_channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1)


@wrong(Bottleneck)
class OneBnForTwo(_Block):
    """the same batch norm stands behind conv1 and conv2: they share weights and statistics"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.bn2 = self.bn1


@wrong(Bottleneck)
class ProjectedForStrideOnly(_Block):
    """the skip is projected for a stride only: other channels at stride 1 do not fit"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if stride == 1:
            self.downsample = nn.Identity()


@wrong(Bottleneck)
class ProjectedForChannelsOnly(_Block):
    """the skip is projected for other channels only: a stride alone does not fit"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if in_channels == 4 * channels:
            self.downsample = nn.Identity()


@wrong(Bottleneck)
class ProjectedByTheNarrowWidth(_Block):
    """in_channels is compared with `channels`, not with the 4 * channels that come out"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.downsample = nn.Identity()
        if in_channels != channels or stride > 1:
            conv = nn.Conv2d(in_channels, 4 * channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(4 * channels))


@wrong(Bottleneck)
class AlwaysProjected(_Block):
    """the skip is projected even where nothing changes"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        conv = nn.Conv2d(in_channels, 4 * channels, 1, stride, bias=False)
        self.downsample = nn.Sequential(conv, nn.BatchNorm2d(4 * channels))


@wrong(Bottleneck)
class NeverProjected(_Block):
    """the skip is never projected: x does not fit where channels or size change"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.downsample = nn.Identity()


@wrong(Bottleneck)
class SkipAfterConv1(_Block):
    """the skip begins after the first convolution: what conv1 leads to is widened and added"""

    def forward(self, x):
        narrow = self.first(x)
        body = self.second(narrow)
        skip = self.skip(x) if narrow.shape != body.shape else self.third(narrow)
        return self.join(self.third(body), skip)


@wrong(Bottleneck)
class InPlaceReLU(_Block):
    """an in-place ReLU works on the caller's x: what is negative in it is gone for the skip too"""

    def forward(self, x):
        return super().forward(F.relu(x, inplace=True))


@wrong(Bottleneck)
class InPlaceSum(_Block):
    """the sum is made in place in the skip, which is the caller's x where nothing changes"""

    def join(self, body, skip):
        skip += body
        return F.relu(skip)


@wrong(Bottleneck)
class InPlaceSumAndReLU(_Block):
    """sum and ReLU are made in place in the skip, the caller's x where nothing changes"""

    def join(self, body, skip):
        skip += body
        return F.relu(skip, inplace=True)


@wrong(Bottleneck)
class DetachedSkip(_Block):
    """the skip is detached: no gradient flows through it"""

    def skip(self, x):
        return self.downsample(x).detach()


@wrong(Bottleneck)
class OtherEps(_Block):
    """the batch norms have another eps than torch's 1e-5"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.bn1.eps = self.bn2.eps = self.bn3.eps = 1e-3


@wrong(Bottleneck)
class OtherMomentum(_Block):
    """the batch norms have another momentum than torch's 0.1"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.bn1.momentum = self.bn2.momentum = self.bn3.momentum = 0.01


@wrong(Bottleneck)
class NeverRefuses(_Block):
    """a size below 1 is not refused, or only by some error of torch's own"""

    def __init__(self, in_channels, channels, stride=1):
        nn.Module.__init__(self)
        wide = 4 * channels
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.conv3 = nn.Conv2d(channels, wide, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.bn3, self.downsample = nn.BatchNorm2d(wide), nn.Identity()
        if in_channels != wide or stride != 1:
            conv = nn.Conv2d(in_channels, wide, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(wide))


@wrong(Bottleneck)
class ZeroAccepted(_Block):
    """a size of 0 is not refused: it is taken for 1"""

    def __init__(self, in_channels, channels, stride=1):
        super().__init__(*(size or 1 for size in (in_channels, channels, stride)))


@wrong(Bottleneck)
class StrideNotOptional(_Block):
    """stride has no default: a block without it should have stride 1"""

    def __init__(self, in_channels, channels, stride):
        super().__init__(in_channels, channels, stride)
