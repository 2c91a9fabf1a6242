"""ResNet-18 to ResNet-152: one plan, five depths, two kinds of block."""

import functools

import torch
from basic_block import BasicBlock
from bottleneck import Bottleneck
from torch import nn
from torch.nn import functional as F

from dojo import right, wrong


def resnet(depth: int, num_classes: int = 1000) -> nn.Module:
    """Build the ResNet of this depth out of your own BasicBlock and Bottleneck.

    All five have the stem, the four stages and the head of resnet18, with the same strides
    and without biases before a batch norm. Only the blocks differ: their number in each stage,

         18:  2, 2, 2, 2        34:  3, 4, 6, 3        50:  3, 4, 6, 3
        101:  3, 4, 23, 3      152:  3, 8, 36, 3

    and their kind, the same all through a network. The depth tells which, for it counts the
    stem's convolution, those in the bodies of the blocks and the last linear layer. The widths
    64, 128, 256 and 512 are what a BasicBlock gives and what a Bottleneck squeezes to.
    State_dicts are exchanged with torchvision's models, hence the names: conv1, bn1, then
    layer1 to layer4 with their blocks 0, 1, 2 ..., and fc. Initial weights are up to you. The
    models can also be built on torch's "meta" device. torchvision's own are no answer.

    Shapes:
        of the model: x (N, 3, H, W), any size from 32 on, which is not changed
            -> logits (N, num_classes)

    Example:
        >>> with torch.device("meta"):
        ...     deep = resnet(50)
        >>> sum(p.numel() for p in deep.parameters())
        25557032

    Raises:
        ValueError: depth is none of the five, which the message lists; num_classes is below 1.

    Source: He et al., Deep residual learning for image recognition, arXiv:1512.03385, table 1.
    """
    if depth not in _PLANS:
        raise ValueError(f"depth is {depth}, it must be one of {', '.join(map(str, _PLANS))}")
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}, at least 1 is needed")
    return _ResNet(*_PLANS[depth], num_classes)


_PLANS = {  # block, its outputs in widths, blocks in each stage
    18: (BasicBlock, 1, (2, 2, 2, 2)),
    34: (BasicBlock, 1, (3, 4, 6, 3)),
    50: (Bottleneck, 4, (3, 4, 6, 3)),
    101: (Bottleneck, 4, (3, 4, 23, 3)),
    152: (Bottleneck, 4, (3, 8, 36, 3)),
}


class _ResNet(nn.Module):
    def __init__(self, block: type, expansion: int, counts: tuple, num_classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for stage, count in enumerate(counts, 1):
            width = 32 * 2**stage
            blocks = [block(channels, width, stride=1 if stage == 1 else 2)]
            channels = expansion * width
            blocks += [block(channels, width) for _ in range(count - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))  # (N, 64, H/2, W/2)
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # (N, 64, H/4, W/4)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(x.mean((2, 3)))  # (N, channels, H/32, W/32) -> (N, num_classes)


HINTS = [
    "34 and 50 have the same 16 blocks. How many convolutions are in a block of each, if the "
    "stem and fc make 2 of the depth? And how many channels does each kind hand on?",
    "Write one class that is given a kind of block and four counts. Keep one number while you "
    "build: how many channels come out of the last block. The next block starts from it, and "
    "at the end fc does. A Bottleneck of width 64 hands on 256.",
    "A dict from depth to (block, 1 or 4, counts). For each stage: first = block(channels, "
    "width, stride), then channels = expansion * width, then count - 1 times block(channels, "
    "width), each made anew; setattr(self, f'layer{stage}', nn.Sequential(*blocks)).",
]


def _checked(depth, num_classes):
    if depth not in _PLANS:
        raise ValueError(f"depth {depth}: 18, 34, 50, 101 or 152 are there")
    if num_classes < 1:
        raise ValueError(f"{num_classes} classes")


class _Mean(nn.Module):
    def forward(self, x):
        return x.double().flatten(2).mean(2).to(x.dtype)


@right(resnet)
def one_sequence(depth, num_classes=1000):
    """No forward at all: a sequence with names, counts by arithmetic, the mean in float64."""
    if depth not in {18, 34, 50, 101, 152}:
        raise ValueError(f"depth {depth} is not in {[18, 34, 50, 101, 152]}")
    if num_classes <= 0:
        raise ValueError(num_classes)
    block, grown = (BasicBlock, 1) if depth < 50 else (Bottleneck, 4)
    third = {18: 2, 34: 6, 50: 6, 101: 23, 152: 36}[depth]
    outer = 2 if depth == 18 else 3
    second = (depth - 2) // (2 if depth < 50 else 3) - third - 2 * outer
    net, channels = nn.Sequential(), 64
    net.add_module("conv1", nn.Conv2d(3, 64, 7, 2, 3, bias=False))
    net.add_module("bn1", nn.BatchNorm2d(64))
    net.add_module("pool", nn.MaxPool2d(3, 2, 1))
    net.add_module("relu", nn.ReLU())  # behind the pool it is the same
    for number, count in enumerate((outer, second, third, outer), 1):
        layer = nn.Sequential()
        for place in range(count):
            width = 64 << (number - 1)
            layer.append(block(channels, width, 1 + (number > 1 and place == 0)))
            channels = width * grown
        net.add_module(f"layer{number}", layer)
    net.add_module("mean", _Mean())
    net.add_module("fc", nn.Linear(channels, num_classes))
    return net


class _OwnBlock(nn.Module):
    """Both kinds in one class, with ReLUs in place and no imports."""

    def __init__(self, before, width, stride, deep):
        super().__init__()
        after = width * 4 if deep else width
        kernels = [(before, width, 1, 1), (width, width, 3, stride), (width, after, 1, 1)]
        if not deep:
            kernels = [(before, width, 3, stride), (width, width, 3, 1)]
        self.steps = len(kernels)
        for number, (inputs, outputs, size, step) in enumerate(kernels, 1):
            conv = nn.Conv2d(inputs, outputs, size, step, size // 2, bias=False)
            setattr(self, f"conv{number}", conv)
            setattr(self, f"bn{number}", nn.BatchNorm2d(outputs))
        self.downsample = None
        if stride != 1 or before != after:
            conv = nn.Conv2d(before, after, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(after))

    def forward(self, x):
        out = x
        for number in range(1, self.steps + 1):
            out = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(out))
            if number < self.steps:
                out.relu_()
        out += x if self.downsample is None else self.downsample(x)
        return out.relu_()


class _OwnNet(nn.Module):
    """Stages in lists, modules for all steps, He's initial weights, last norms that begin at 0."""

    def __init__(self, counts, deep, num_classes):
        super().__init__()
        self.inplanes = 64
        self.conv1 = nn.Conv2d(3, self.inplanes, 7, 2, 3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(self.inplanes), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self.make(64, counts[0], 1, deep)
        self.layer2 = self.make(128, counts[1], 2, deep)
        self.layer3 = self.make(256, counts[2], 2, deep)
        self.layer4 = self.make(512, counts[3], 2, deep)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(self.inplanes, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, _OwnBlock):
                nn.init.zeros_(getattr(module, f"bn{module.steps}").weight)

    def make(self, width, count, stride, deep):
        blocks = nn.ModuleList()
        for place in range(count):
            blocks.append(_OwnBlock(self.inplanes, width, 1 if place else stride, deep))
            self.inplanes = width * 4 if deep else width
        return blocks

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = block(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


@right(resnet)
def blocks_of_its_own(depth, num_classes=1000):
    _checked(depth, num_classes)
    return _OwnNet(_PLANS[depth][2], depth >= 50, num_classes)


@right(resnet)
def by_replacing(depth, num_classes=1000):
    """A network of 18 layers, whose stages and fc are then exchanged for deeper ones."""
    _checked(depth, num_classes)
    net, (block, grown, counts) = _ResNet(*_PLANS[18], num_classes), _PLANS[depth]
    channels = 64
    for name, count, width in zip(
        ("layer1", "layer2", "layer3", "layer4"), counts, (64, 128, 256, 512), strict=True
    ):
        stage = [block(channels, width, 2 if width > 64 else 1)]
        stage.extend(block(grown * width, width, 1) for _ in range(1, count))
        setattr(net, name, nn.Sequential(*stage))
        channels = grown * width
    if channels != 512:
        net.fc = nn.Linear(channels, num_classes)
    return net


class _Net(_ResNet):
    """The right network in steps, each of which a mistake can take the place of."""

    def stem(self, x):
        return F.relu(self.bn1(self.conv1(x)))

    def pool(self, x):
        return F.max_pool2d(x, 3, 2, 1)

    def stages(self, x):
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def head(self, x):
        return self.fc(x.mean((2, 3)))

    def forward(self, x):
        return self.head(self.stages(self.pool(self.stem(x))))


def _net(depth, num_classes, plans=None, **steps):
    """The right network, but for the plans given by depth and the steps given as functions."""
    _checked(depth, num_classes)
    kind = type("_Changed", (_Net,), steps)
    return kind(*(_PLANS | (plans or {}))[depth], num_classes)


def _changed(depth, num_classes, change):
    """The right network, after `change` was called for every block with its name and stage."""
    net = _net(depth, num_classes)
    for number in (1, 2, 3, 4):
        stage = net.get_submodule(f"layer{number}")
        for place, block in enumerate(stage):
            stage[place] = change(block, number, place) or block
    return net


@wrong(resnet)
def bottleneck_for_34(depth, num_classes=1000):
    """34 is built of Bottlenecks: that is 50, and its 34 layers take BasicBlocks"""
    return _net(depth, num_classes, {34: _PLANS[50]})


@wrong(resnet)
def basic_block_for_50(depth, num_classes=1000):
    """50 is built of BasicBlocks: that is 34, and its 50 layers take Bottlenecks"""
    return _net(depth, num_classes, {50: _PLANS[34]})


@wrong(resnet)
def basic_blocks_only(depth, num_classes=1000):
    """all depths are built of BasicBlocks: from 50 on Bottlenecks are wanted"""
    plans = {d: (BasicBlock, 1, counts) for d, (_, _, counts) in _PLANS.items()}
    return _net(depth, num_classes, plans)


@wrong(resnet)
def second_stage_of_152_short(depth, num_classes=1000):
    """152 has 3, 4, 36 and 3 blocks: its second stage is 4 blocks short"""
    return _net(depth, num_classes, {152: (Bottleneck, 4, (3, 4, 36, 3))})


@wrong(resnet)
def plan_of_50_for_101(depth, num_classes=1000):
    """101 has the blocks of 50: its third stage should have 23"""
    return _net(depth, num_classes, {101: _PLANS[50]})


@wrong(resnet)
def twice_18_for_34(depth, num_classes=1000):
    """34 has four blocks in each stage, twice as many as 18: 3, 4, 6 and 3 are wanted"""
    return _net(depth, num_classes, {34: (BasicBlock, 1, (4, 4, 4, 4))})


@wrong(resnet)
def stages_reversed(depth, num_classes=1000):
    """the counts are taken from the back: layer1 gets the last number, layer4 the first"""
    plans = {d: (b, e, counts[::-1]) for d, (b, e, counts) in _PLANS.items()}
    return _net(depth, num_classes, plans)


@wrong(resnet)
def one_block_many_times(depth, num_classes=1000):
    """the further blocks of a stage are one block, repeated: they share their weights"""
    net = _net(depth, num_classes)
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        for place in range(2, len(stage)):
            stage[place] = stage[1]
    return net


@wrong(resnet)
def fc_of_512_inputs(depth, num_classes=1000):
    """fc has 512 inputs also behind Bottlenecks, which hand on 2048 channels"""
    net = _net(depth, num_classes)
    net.fc = nn.Linear(512, num_classes)
    return net


@wrong(resnet)
def widths_not_multiplied(depth, num_classes=1000):
    """the width is what a Bottleneck hands on, not what it squeezes to"""
    net = _net(depth, num_classes)
    if depth < 50:
        return net
    channels = 64
    for number, count in enumerate(_PLANS[depth][2], 1):
        width = 16 * 2 ** (number - 1)
        blocks = [Bottleneck(channels, width, 1 + (number > 1))]
        channels = 4 * width
        blocks += [Bottleneck(channels, width) for _ in range(count - 1)]
        setattr(net, f"layer{number}", nn.Sequential(*blocks))
    net.fc = nn.Linear(channels, num_classes)
    return net


@wrong(resnet)
def channels_not_advanced(depth, num_classes=1000):
    """all blocks of a stage begin with the channels that enter the stage, not with the last ones"""

    def change(block, number, place):
        if not place or (depth < 50 and number == 1):
            return None
        if depth < 50:
            return BasicBlock(32 * 2 ** (number - 1), 32 * 2**number)
        return Bottleneck(64 if number == 1 else 64 * 2**number, 32 * 2**number)

    return _changed(depth, num_classes, change)


@wrong(resnet)
def projection_in_layer1(depth, num_classes=1000):
    """layer1 projects the skip of its first block in all depths: BasicBlocks need none there"""

    def change(block, number, place):
        if depth < 50 and number == 1 and place == 0:
            conv = nn.Conv2d(64, 64, 1, bias=False)
            block.downsample = nn.Sequential(conv, nn.BatchNorm2d(64))

    return _changed(depth, num_classes, change)


def _again(block, stride):
    """A block of the same kind and widths with another stride."""
    width = block.conv1.out_channels
    return type(block)(block.conv1.in_channels, width, stride)


@wrong(resnet)
def stride_in_the_last_block(depth, num_classes=1000):
    """the last block of a stage has the stride, not the first one"""

    def change(block, number, place):
        last = place == _PLANS[depth][2][number - 1] - 1
        return _again(block, 2 if last else 1) if number > 1 else None

    return _changed(depth, num_classes, change)


@wrong(resnet)
def stride_in_every_block(depth, num_classes=1000):
    """every block of a stage has the stride, not the first one alone"""
    return _changed(depth, num_classes, lambda b, n, p: _again(b, 2) if n > 1 and p else None)


@wrong(resnet)
def image_normalised_in_place(depth, num_classes=1000):
    """the image's mean is taken away, in place: the caller's image is another one afterwards"""

    def stem(net, x):
        with torch.no_grad():
            x.sub_(x.mean())
        return F.relu(net.bn1(net.conv1(x)))

    return _net(depth, num_classes, stem=stem)


@wrong(resnet)
def image_rectified_in_place(depth, num_classes=1000):
    """an in-place ReLU meets the image itself: the caller's image loses what is negative"""

    def stem(net, x):
        maps = net.bn1(net.conv1(x))
        x.detach().relu_()
        return F.relu(maps)

    return _net(depth, num_classes, stem=stem)


@wrong(resnet)
def stride_in_layer1(depth, num_classes=1000):
    """layer1 has a stride: the pool has halved the size already"""
    return _changed(depth, num_classes, lambda b, n, p: _again(b, 2) if n + p == 1 else None)


@wrong(resnet)
def stride_on_the_1x1(depth, num_classes=1000):
    """the stride of a Bottleneck is on its first 1x1 convolution, not on the 3x3 one"""

    def change(block, number, place):
        if depth >= 50:
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride

    return _changed(depth, num_classes, change)


class _BasicWithoutReLU(BasicBlock):
    def forward(self, x):
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.downsample(x)


class _DeepWithoutReLU(Bottleneck):
    def forward(self, x):
        body = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return self.bn3(self.conv3(body)) + self.downsample(x)


@wrong(resnet)
def blocks_without_final_relu(depth, num_classes=1000):
    """the final ReLU is missing in every block: the sums are passed on as they are"""
    kinds = {BasicBlock: _BasicWithoutReLU, Bottleneck: _DeepWithoutReLU}
    return _net(depth, num_classes, {d: (kinds[b], e, n) for d, (b, e, n) in _PLANS.items()})


@wrong(resnet)
def stem_without_relu(depth, num_classes=1000):
    """the ReLU is missing in the stem, behind bn1"""
    return _net(depth, num_classes, stem=lambda net, x: net.bn1(net.conv1(x)))


@wrong(resnet)
def coarse_eps(depth, num_classes=1000):
    """bn1 has an eps of its own, 1e-3: batch norms have torch's default"""
    net = _net(depth, num_classes)
    net.bn1.eps = 1e-3
    return net


@wrong(resnet)
def no_max_pool(depth, num_classes=1000):
    """the stem's max-pool is missing: all stages work on maps twice as large"""
    return _net(depth, num_classes, pool=lambda net, x: x)


@wrong(resnet)
def stem_with_bias(depth, num_classes=1000):
    """the stem's convolution has a bias, which bn1 takes away again"""
    net = _net(depth, num_classes)
    net.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
    return net


@wrong(resnet)
def squeezed(depth, num_classes=1000):
    """a squeeze takes away the batch axis too when there is one image"""

    def head(net, x):
        return net.fc(x.mean((2, 3), keepdim=True).squeeze())

    return _net(depth, num_classes, head=head)


@wrong(resnet)
def softmax_at_the_end(depth, num_classes=1000):
    """a softmax stands behind fc: logits are wanted"""
    return _net(depth, num_classes, head=lambda net, x: net.fc(x.mean((2, 3))).softmax(1))


@wrong(resnet)
def dropout_before_fc(depth, num_classes=1000):
    """a dropout stands before fc: ResNets have none"""

    def head(net, x):
        return net.fc(F.dropout(x.mean((2, 3)), 0.5, net.training))

    return _net(depth, num_classes, head=head)


@wrong(resnet)
def remembered(depth, num_classes=1000):
    """two calls return the same model"""
    return _once(depth, num_classes)


_once = functools.cache(resnet)


@wrong(resnet)
def torchvisions_own(depth, num_classes=1000):
    """torchvision's own model is returned: it should be built out of your blocks"""
    from dojo import vision  # noqa: F401 - torchvision cannot be imported everywhere without

    # isort: split
    from torchvision import models

    _checked(depth, num_classes)
    return getattr(models, f"resnet{depth}")(num_classes=num_classes)


@wrong(resnet)
def in_eval_mode(depth, num_classes=1000):
    """the model comes in eval mode: a fresh model trains"""
    return _net(depth, num_classes).eval()


@wrong(resnet)
def detached(depth, num_classes=1000):
    """the graph is cut before the head: nothing but fc can learn"""
    return _net(depth, num_classes, head=lambda net, x: net.fc(x.detach().mean((2, 3))))


@wrong(resnet)
def single_precision_only(depth, num_classes=1000):
    """x is turned into float32: a model in float64 stops"""
    return _net(depth, num_classes, stem=lambda net, x: F.relu(net.bn1(net.conv1(x.float()))))


@wrong(resnet)
def always_1000_classes(depth, num_classes=1000):
    """num_classes is ignored: there are always 1000 logits"""
    _checked(depth, num_classes)
    return _net(depth, 1000)


@wrong(resnet)
def ten_classes_by_default(depth, num_classes=10):
    """without num_classes there are 10 logits: the default is 1000"""
    return _net(depth, num_classes)


@wrong(resnet)
def key_error(depth, num_classes=1000):
    """another depth ends in the KeyError of a look-up: a ValueError with the list is wanted"""
    if num_classes < 1:
        raise ValueError(f"{num_classes} classes")
    return _ResNet(*_PLANS[depth], num_classes)


@wrong(resnet)
def refused_without_the_list(depth, num_classes=1000):
    """another depth is refused without a word about those that there are"""
    if depth not in _PLANS:
        raise ValueError(f"there is no ResNet of depth {depth}")
    return _net(depth, num_classes)


@wrong(resnet)
def next_depth_taken(depth, num_classes=1000):
    """another depth is not refused: the nearest one is built without a word"""
    return _net(min(_PLANS, key=lambda known: abs(known - depth)), num_classes)


@wrong(resnet)
def no_classes_accepted(depth, num_classes=1000):
    """a num_classes below 1 is not refused: an empty head is built, or torch's own error comes"""
    net = _net(depth, max(num_classes, 1))
    if num_classes < 1:
        net.fc = nn.Linear(512, num_classes)
    return net


@wrong(resnet)
def zero_classes_accepted(depth, num_classes=1000):
    """num_classes 0 is not refused, only negative ones are"""
    return _net(depth, num_classes or 1000)


def show(answer):
    """Your five networks block by block: a block is as long as it has parameters."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axis = figure.subplots()
    depths = (18, 34, 50, 101, 152)
    for row, depth in enumerate(depths):
        with torch.device("meta"):
            model = answer.resnet(depth)
        start = 0.0
        for name, part in model.named_children():
            stage = list(part.children()) if name.startswith("layer") else [part]
            shade = f"C{int(name[5:]) - 1}" if name.startswith("layer") else "0.6"
            for block in stage:
                millions = sum(p.numel() for p in block.parameters()) / 1e6
                axis.barh(row, millions, left=start, color=shade, edgecolor="white", linewidth=0.5)
                start += millions
        axis.text(start, row, f"  {start:.1f} million", va="center", fontsize=9)
    for number in range(4):
        axis.barh(0, 0, color=f"C{number}", label=f"layer{number + 1}")
    axis.barh(0, 0, color="0.6", label="stem, fc")
    axis.legend(loc="upper right", fontsize=9)
    axis.set_yticks(range(len(depths)), [f"ResNet-{depth}" for depth in depths])
    axis.invert_yaxis()
    axis.set(xlim=(0, 72), xlabel="parameters in millions", title="A bar is a block")
    axis.spines[["top", "right"]].set_visible(False)
    return figure
