"""Deeper is worse, until it is residual: the two stacks of the experiment, and its verdict."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dojo import right, wrong


class _Pair(nn.Module):
    def __init__(self, width: int, residual: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + x if self.residual else y)


def make_stack(depth: int, width: int, residual: bool) -> nn.Module:
    """Build a network of `depth` 3x3 convolutions whose pairs have a skip, or have none.

    Same experiment, one variable: the two kinds differ in nothing but the skips. A stem, that
    is convolution, BN, ReLU, makes `width` channels. Pairs follow: convolution, BN, ReLU,
    convolution, BN, ReLU. In a residual stack what went into the pair joins the sum just
    before the pair's last ReLU. At the end stand the mean over all places of each channel and
    one Linear. Maps keep their size all the way.

    All convolutions, the stem's too, count towards the depth, each has a BN of its own, and
    the skips bring no weights: the tensors in the state_dict of either kind have the same
    shapes. The layers are nn.Conv2d (a bias is up to you), nn.BatchNorm2d and nn.Linear, their
    names are free. Every BN begins with scale 1 and shift 0, and the other weights as torch
    makes them, or in another usual way. They come from torch's default generator, which goes on
    from where it stands: seeded alike two stacks are alike, one after the other they differ.

    Shapes:
        depth: odd, from 3 on; width: from 1 on
        the stack: (N, 1, H, W) to (N, 10) logits, for any H and W

    Example:
        >>> stack = make_stack(depth=5, width=4, residual=True)
        >>> stack(torch.zeros(2, 1, 7, 6)).shape
        torch.Size([2, 10])

    Raises:
        ValueError: depth is even or below 3; width is below 1.

    Source: He, Zhang, Ren & Sun, Deep Residual Learning for Image Recognition,
        arXiv:1512.03385, sections 3.1 and 4.2.
    """
    if depth < 3 or depth % 2 == 0:
        raise ValueError(f"depth is {depth}, it must be odd and at least 3")
    if width < 1:
        raise ValueError(f"width is {width}, it must be at least 1")
    stem = [nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    pairs = [_Pair(width, residual) for _ in range((depth - 1) // 2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
    return nn.Sequential(*stem, *pairs, *head)


def diagnose_depth(
    shallow_train: float, deep_train: float, shallow_test: float, deep_test: float
) -> str:
    """Say what more depth did to a network, from the errors of a shallow and a deep one.

    A deep network that has learnt its training data less well than the shallow one suffers
    from "degradation", whatever the test errors are: its further layers had only to hand on
    what they get. Where training went no worse but the test did, it is "overfitting". All
    else is "healthy". An error that stays the same is not worse.

    Shapes:
        all four: errors, the lower the better: shares, percent or losses, from 0 on
        returns: "degradation", "overfitting" or "healthy"

    Example:
        >>> diagnose_depth(0.02, 0.01, 0.08, 0.11)
        'overfitting'

    Raises:
        ValueError: one of the errors is negative or NaN.

    Source: He, Zhang, Ren & Sun, Deep Residual Learning for Image Recognition,
        arXiv:1512.03385, section 1 and figure 1.
    """
    for error in (shallow_train, deep_train, shallow_test, deep_test):
        if math.isnan(error) or error < 0:
            raise ValueError(f"an error is {error}, it must be a number from 0 on")
    if deep_train > shallow_train:
        return "degradation"
    return "overfitting" if deep_test > shallow_test else "healthy"


HINTS = [
    "A stack of depth 9: how many convolutions has the stem, how many are left for pairs, and "
    "how many pairs is that? Which depths leave a convolution over? For the verdict: which two of "
    "the four errors can tell that a network has failed to learn, and not to generalise?",
    "Write a module for one pair that knows whether it is residual, and line up stem, pairs and "
    "head in an nn.Sequential. Padding 1 keeps the size, so that the pair's input fits to its "
    "output as it is. The verdict looks at the training errors first.",
    "In the pair: y = relu(bn1(conv1(x))), y = bn2(conv2(y)), and then relu(y + x) if it is "
    "residual, else relu(y). There are (depth - 1) // 2 pairs, each made anew. "
    "nn.AdaptiveAvgPool2d(1), nn.Flatten() and nn.Linear(width, 10) end the stack.",
]


def _check(depth, width):
    if depth < 3 or depth % 2 == 0 or width < 1:
        raise ValueError(f"depth {depth} must be odd and at least 3, width {width} at least 1")


def _unit(inputs, width, bias=False, **settings):
    """Convolution and BN."""
    settings = {"padding": 1} | settings
    conv = nn.Conv2d(inputs, width, 3, bias=bias, **settings)
    return nn.Sequential(conv, nn.BatchNorm2d(width))


class _Stack(nn.Module):
    """A stack that mistakes are made in: every step of it is a method."""

    bias = False

    def __init__(self, depth, width, residual):
        super().__init__()
        _check(depth, width)
        self.residual, self.width = residual, width
        self.stem = self.unit(1)
        self.pairs = nn.ModuleList(self.pair() for _ in range(self.count(depth)))
        self.extra = self.more()
        self.head = nn.Linear(width, 10)

    def unit(self, inputs):
        return _unit(inputs, self.width, self.bias)

    def count(self, depth):
        return (depth - 1) // 2

    def pair(self):
        return nn.ModuleList([self.unit(self.width), self.unit(self.width)])

    def more(self):
        return nn.Identity()

    def start(self, image):
        return F.relu(self.stem(image))

    def inner(self, y, x):
        return F.relu(y)

    def join(self, y, x):
        return F.relu(y + x)

    def close(self, y):
        return F.relu(y)

    def step(self, pair, x):
        y = pair[1](self.inner(pair[0](x), x))
        return self.join(y, x) if self.residual else self.close(y)

    def gather(self, x):
        return x.mean((2, 3))

    def body(self, x):
        for pair in self.pairs:
            x = self.step(pair, x)
        return x

    def forward(self, x):
        return self.head(self.gather(self.body(self.start(x))))


@right(make_stack)
def with_biases_in_one_list(depth, width, residual):
    """Biases in the convolutions, ReLUs that write in place, all layers in two flat lists."""
    _check(depth, width)

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.bns = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(depth))
            self.convs = nn.ModuleList(
                nn.Conv2d(width if i else 1, width, 3, padding="same") for i in range(depth)
            )
            self.relu, self.last = nn.ReLU(inplace=True), nn.Linear(width, 10)

        def forward(self, x):
            skip = None
            for place, (conv, bn) in enumerate(zip(self.convs, self.bns, strict=True)):
                x = bn(conv(x))
                if residual and place and place % 2 == 0:
                    x += skip
                x = self.relu(x)
                skip = x if place % 2 == 0 else skip
            return self.last(x.flatten(2).mean(2))

    return Flat()


@right(make_stack)
class AsOneClass(_Stack):
    bias = True

    def join(self, y, x):
        return (x + y).clamp(min=0)

    def gather(self, x):
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


@right(make_stack)
def with_he_weights(depth, width, residual):
    """He's initial weights, and a skip that is a module."""

    class Sum(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.body, self.skip = body, nn.Identity()

        def forward(self, x):
            return self.body(x) + self.skip(x)

    _check(depth, width)
    blocks = [_unit(1, width), nn.ReLU()]
    for _ in range(depth // 2):
        body = nn.Sequential(_unit(width, width), nn.ReLU(), _unit(width, width))
        blocks += [Sum(body) if residual else body, nn.ReLU()]
    for module in nn.Sequential(*blocks).modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return nn.Sequential(*blocks, nn.AvgPool2d(1), _Mean(), nn.Linear(width, 10))


class _Mean(nn.Module):
    def forward(self, x):
        return x.mean((-1, -2))


@right(diagnose_depth)
def by_two_questions(shallow_train, deep_train, shallow_test, deep_test):
    if not min(shallow_train, deep_train, shallow_test, deep_test) >= 0 or any(
        e != e for e in (shallow_train, deep_train, shallow_test, deep_test)
    ):
        raise ValueError("errors are numbers from 0 on")
    worse = (deep_train > shallow_train, deep_test > shallow_test)
    verdicts = {(False, True): "overfitting", (False, False): "healthy"}
    return verdicts.get(worse, "degradation")


@wrong(make_stack)
class SkipAfterTheReLU(_Stack):
    """the skip is added after the pair's last ReLU, not before it"""

    def join(self, y, x):
        return F.relu(y) + x


@wrong(make_stack)
class NoReLUAfterTheSum(_Stack):
    """a residual pair has no ReLU after the sum"""

    def join(self, y, x):
        return y + x


@wrong(make_stack)
class NoInnerReLU(_Stack):
    """a pair has no ReLU between its two convolutions"""

    def inner(self, y, x):
        return y


@wrong(make_stack)
class OneSkipAtTheVeryEnd(_Stack):
    """the skip is outside of the pairs: one long skip is added behind the last pair"""

    def body(self, x):
        kind, self.residual = self.residual, False
        end = super().body(x)
        self.residual = kind
        return end + x if kind else end


@wrong(make_stack)
class SkipFromTheStem(_Stack):
    """every skip starts at the stem, not at its own pair"""

    def body(self, x):
        if not self.residual:
            return super().body(x)
        stem = x
        for pair in self.pairs:
            x = F.relu(pair[1](F.relu(pair[0](x))) + stem)
        return x


@wrong(make_stack)
class SkipAroundEach(_Stack):
    """there is a skip around each convolution, not around each pair"""

    def inner(self, y, x):
        return F.relu(y + x if self.residual else y)

    def step(self, pair, x):
        middle = self.inner(pair[0](x), x)
        y = pair[1](middle)
        return F.relu(y + middle if self.residual else y)


@wrong(make_stack)
class SkipDetached(_Stack):
    """the skip is detached: no gradient goes back along it"""

    def join(self, y, x):
        return F.relu(y + x.detach())


@wrong(make_stack)
class NeverResidual(_Stack):
    """no skip at all: `residual` is ignored and both kinds are plain"""

    def join(self, y, x):
        return F.relu(y)


@wrong(make_stack)
class AlwaysResidual(_Stack):
    """`residual` is ignored: the plain stack has skips too"""

    def step(self, pair, x):
        return self.join(pair[1](self.inner(pair[0](x), x)), x)


@wrong(make_stack)
class TurnedAround(_Stack):
    """`residual` is turned around: the plain stack has the skips, the residual one has none"""

    def __init__(self, depth, width, residual):
        super().__init__(depth, width, not residual)


@wrong(make_stack)
class ProjectedSkip(_Stack):
    """extra parameters: the residual stack's skips have weights of their own"""

    def more(self):
        return nn.Conv2d(self.width, self.width, 1, bias=False) if self.residual else nn.Identity()

    def join(self, y, x):
        return F.relu(y + self.extra(x))


@wrong(make_stack)
class NoBatchNorm(_Stack):
    """no BN: the convolutions are not followed by batch normalisation"""

    def unit(self, inputs):
        return nn.Conv2d(inputs, self.width, 3, padding=1)


@wrong(make_stack)
class LastScaleZero(_Stack):
    """the last BN of each pair begins with scale 0: a residual pair begins as nothing at all"""

    def pair(self):
        pair = super().pair()
        nn.init.zeros_(pair[1][1].weight)
        return pair


@wrong(make_stack)
class OneChannelRefused(_Stack):
    """a width of 1 is refused"""

    def __init__(self, depth, width, residual):
        if width == 1:
            raise ValueError(f"width is {width}, it must be larger")
        super().__init__(depth, width, residual)


@wrong(make_stack)
class OneBatchNormAPair(_Stack):
    """a pair has only one BN: none follows its second convolution"""

    def pair(self):
        second = nn.Conv2d(self.width, self.width, 3, padding=1)
        return nn.ModuleList([self.unit(self.width), second])


@wrong(make_stack)
class BatchNormAfterTheReLU(_Stack):
    """BN stands behind the ReLU, not between convolution and ReLU"""

    def step(self, pair, x):
        y = pair[0][1](F.relu(pair[0][0](x)))
        y = pair[1](y)
        return F.relu(y + x if self.residual else y)


@wrong(make_stack)
class OnePairAgainAndAgain(_Stack):
    """one pair is run again and again: each needs its own weights"""

    def __init__(self, depth, width, residual):
        super().__init__(depth, width, residual)
        self.pairs = nn.ModuleList([self.pairs[0]] * len(self.pairs))


@wrong(make_stack)
class DepthWithoutTheStem(_Stack):
    """depth counts only the convolutions in pairs: the stem's comes on top"""

    def count(self, depth):
        return (depth + 1) // 2


@wrong(make_stack)
class NoPadding(_Stack):
    """the convolutions are not padded: the maps shrink"""

    def unit(self, inputs):
        return _unit(inputs, self.width, padding=0)

    def join(self, y, x):
        return F.relu(y + x[:, :, 2:-2, 2:-2])


@wrong(make_stack)
class LargestInsteadOfMean(_Stack):
    """the head takes the largest cell of each channel, not the mean"""

    def gather(self, x):
        return x.amax((2, 3))


@wrong(make_stack)
class SoftmaxAtTheEnd(_Stack):
    """a softmax ends the stack: probabilities come out, not logits"""

    def forward(self, x):
        return super().forward(x).softmax(1)


@wrong(make_stack)
class GlobalSeedSet(_Stack):
    """torch's seed is set inside: every stack begins with the same weights"""

    def __init__(self, depth, width, residual):
        torch.default_generator.manual_seed(0)
        super().__init__(depth, width, residual)


@wrong(make_stack)
def even_depth_accepted(depth, width, residual):
    """an even depth is not refused: a convolution more or less is built without a word"""
    return make_stack(depth + (depth % 2 == 0 and depth > 3), width, residual)


@wrong(make_stack)
def no_pair_accepted(depth, width, residual):
    """a depth below 3 is not refused: a stack without any pair is none"""
    if depth % 2 == 0:
        raise ValueError(f"depth is {depth}, it must be odd")
    return make_stack(max(depth, 3), width, residual)


@wrong(diagnose_depth)
def looks_at_test_error(shallow_train, deep_train, shallow_test, deep_test):
    """degradation is read from the test errors: it shows in training"""
    diagnose_depth(shallow_train, deep_train, shallow_test, deep_test)
    if deep_test > shallow_test:
        return "degradation"
    return "overfitting" if deep_train > shallow_train else "healthy"


@wrong(diagnose_depth)
def test_error_first(shallow_train, deep_train, shallow_test, deep_test):
    """the test errors are looked at first: worse on both is called overfitting"""
    verdict = diagnose_depth(shallow_train, deep_train, shallow_test, deep_test)
    return "overfitting" if deep_test > shallow_test else verdict


@wrong(diagnose_depth)
def worse_on_both_only(shallow_train, deep_train, shallow_test, deep_test):
    """degradation is seen only where the test error is worse too"""
    verdict = diagnose_depth(shallow_train, deep_train, shallow_test, deep_test)
    return verdict if deep_test > shallow_test or verdict != "degradation" else "healthy"


@wrong(diagnose_depth)
def equal_is_worse(shallow_train, deep_train, shallow_test, deep_test):
    """equal errors count as worse: >= stands where > belongs"""
    diagnose_depth(shallow_train, deep_train, shallow_test, deep_test)
    if deep_train >= shallow_train:
        return "degradation"
    return "overfitting" if deep_test >= shallow_test else "healthy"


@wrong(diagnose_depth)
def nan_accepted(shallow_train, deep_train, shallow_test, deep_test):
    """NaN is not refused: no comparison with it is ever true"""
    if min(e for e in (shallow_train, deep_train, shallow_test, deep_test, 0.0) if e == e) < 0:
        raise ValueError("an error is negative")
    if deep_train > shallow_train:
        return "degradation"
    return "overfitting" if deep_test > shallow_test else "healthy"


@wrong(diagnose_depth)
def negative_accepted(shallow_train, deep_train, shallow_test, deep_test):
    """a negative error is not refused"""
    if math.isnan(shallow_train + deep_train + shallow_test + deep_test):
        raise ValueError("an error is NaN")
    if deep_train > shallow_train:
        return "degradation"
    return "overfitting" if deep_test > shallow_test else "healthy"


def show(answer):
    """The training losses of both kinds, step by step, with the same batches and budget."""
    from matplotlib.figure import Figure

    from data import digits

    images, labels = (torch.from_numpy(array) for array in digits())
    images = images[:, :, 2:26:3, 2:26:3]  # as they were before they were enlarged
    order = torch.randint(len(images), (60, 128), generator=torch.Generator().manual_seed(0))
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for residual, name, colour in [(False, "plain", "tab:red"), (True, "residual", "tab:blue")]:
        torch.default_generator.manual_seed(0)
        stack, losses = answer.make_stack(19, 8, residual), []
        optimizer = torch.optim.SGD(stack.parameters(), lr=0.1, momentum=0.9)
        for batch in order:
            loss = F.cross_entropy(stack(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        axis.plot(range(1, 61), losses, colour)
        last = (60, sum(losses[-10:]) / 10)
        axis.annotate(f" {name}", last, color=colour, va="center", annotation_clip=False)
    axis.set(xlim=(1, 60), ylim=(0, None), xlabel="step", ylabel="training loss")
    axis.set_title("19 convolutions, the same 60 batches of digits", fontsize=10)
    return figure
