"""ResNet-18: a stem, eight of your own blocks in four stages, and a small head."""

import functools
from collections import OrderedDict

import torch
from basic_block import BasicBlock
from torch import nn
from torch.nn import functional as F

from dojo import right, wrong


def resnet18(num_classes: int = 1000) -> nn.Module:
    """Build ResNet-18 out of your own BasicBlock, so that torchvision's weights fit into it.

    The stem makes maps of a quarter of the size: a 7x7 convolution to 64 channels with stride
    2, batch norm, ReLU, and a 3x3 max pool with stride 2, both padded so that even sizes are
    halved. Then come four stages of two blocks with 64, 128, 256 and 512 channels. The first
    stage keeps the size; in the others the first block halves it. At the end each map becomes
    its mean, and a linear layer makes the logits of that. No convolution has a bias, and the
    batch norms have torch's defaults. State_dicts are exchanged with torchvision's resnet18,
    hence the names: conv1, bn1, then layer1 to layer4 with their blocks 0 and 1, and fc.
    Initial weights are up to you. The model can also be built on torch's "meta" device.
    torchvision's own model is no answer.

    Shapes:
        of the model: x (N, 3, H, W), any size from 32 on, which is not changed
            -> logits (N, num_classes)

    Example:
        >>> sum(p.numel() for p in resnet18().parameters())
        11689512

    Raises:
        ValueError: num_classes is below 1.

    Source: He et al., Deep residual learning for image recognition, arXiv:1512.03385,
        table 1, column "18-layer".
    """
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}, at least 1 is needed")
    return _ResNet(num_classes)


class _ResNet(nn.Module):
    def __init__(self, num_classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _stage(64, 64, stride=1)
        self.layer2 = _stage(64, 128, stride=2)
        self.layer3 = _stage(128, 256, stride=2)
        self.layer4 = _stage(256, 512, stride=2)
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))  # (N, 64, H/2, W/2)
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # (N, 64, H/4, W/4)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(x.mean((2, 3)))  # (N, 512, H/32, W/32) -> (N, 512) -> (N, num_classes)


def _stage(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride), BasicBlock(out_channels, out_channels)
    )


HINTS = [
    "An image of 64x96 goes in. How large are the maps after the stem's convolution, after its "
    "pool, and after each of the four stages? Where does each halving come from?",
    "Write a helper that makes one stage: two BasicBlocks in an nn.Sequential, the first with "
    "the stride and the new width. In a class, self.layer1 to self.layer4 are four such stages.",
    "forward: relu(bn1(conv1(x))), max_pool2d(x, 3, stride=2, padding=1), the four stages, "
    "x.mean((2, 3)), fc. The strides of the stages are 1, 2, 2, 2, the stem's padding is 3.",
]


class _Flat(nn.Module):
    def forward(self, x):
        return x.flatten(2).mean(2)


@right(resnet18)
def one_sequence(num_classes=1000):
    """No forward at all: a sequence with names, and the ReLU after the pool, which is the same."""
    if num_classes < 1:
        raise ValueError(num_classes)
    steps = [("conv1", nn.Conv2d(3, 64, 7, 2, 3, bias=False)), ("bn1", nn.BatchNorm2d(64)),
             ("pool", nn.MaxPool2d(3, 2, 1)), ("relu", nn.ReLU())]  # fmt: skip
    width = 64
    for number in range(1, 5):
        wider = 64 * 2 ** (number - 1)
        first = BasicBlock(width, wider, 1 + (number > 1))
        steps.append((f"layer{number}", nn.Sequential(first, BasicBlock(wider, wider))))
        width = wider
    steps += [("mean", _Flat()), ("fc", nn.Linear(width, num_classes))]
    return nn.Sequential(OrderedDict(steps))


class _OwnBlock(nn.Module):
    """A block that is not imported, with ReLUs in place."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.downsample = None
        if stride > 1:
            conv = nn.Conv2d(before, after, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(after))

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += skip
        return self.relu(out)


class _OwnNet(nn.Module):
    """Modules for all steps, He's initial weights, and last norms that begin with 0."""

    def __init__(self, num_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1, self.relu, self.pool = nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        widths = [64, 64, 128, 256, 512]
        for number in range(1, 5):
            before, after = widths[number - 1 : number + 1]
            blocks = [_OwnBlock(before, after, after // before), _OwnBlock(after, after, 1)]
            setattr(self, f"layer{number}", nn.ModuleList(blocks))
        self.gap, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(512, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, _OwnBlock):
                nn.init.zeros_(module.bn2.weight)

    def forward(self, x):
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = block(x)
        return self.fc(torch.flatten(self.gap(x), 1))


@right(resnet18)
def blocks_of_its_own(num_classes=1000):
    if num_classes <= 0:
        raise ValueError("no classes")
    return _OwnNet(num_classes)


class _Dict(nn.ModuleDict):
    """No attributes: layers under their names in a dict, and stages that are dicts too."""

    def forward(self, x):
        x = self["bn1"](self["conv1"](F.pad(x, (3, 3, 3, 3)))).clamp(min=0)
        x = F.pad(x, (1, 1, 1, 1)).unfold(2, 3, 2).unfold(3, 3, 2).amax((-2, -1))
        for stage in sorted(name for name in self if name.startswith("layer")):
            x = self[stage]["1"](self[stage]["0"](x))
        means = torch.einsum("nchw->nc", x) / (x.shape[2] * x.shape[3])
        return F.linear(means, self["fc"].weight, self["fc"].bias)


@right(resnet18)
def as_a_dict(num_classes=1000):
    """A table of stages; the pool and the mean are written out."""
    if not num_classes >= 1:
        raise ValueError(f"{num_classes} classes")
    net = _Dict({"conv1": nn.Conv2d(3, 64, 7, 2, bias=False), "bn1": nn.BatchNorm2d(64)})
    for number, before, after, stride in [(1, 64, 64, 1), (2, 64, 128, 2), (3, 128, 256, 2),
                                          (4, 256, 512, 2)]:  # fmt: skip
        blocks = BasicBlock(before, after, stride), BasicBlock(after, after, 1)
        net[f"layer{number}"] = nn.ModuleDict(zip("01", blocks, strict=True))
    net.update({"fc": nn.Linear(512, num_classes)})
    return net


class _Net(_ResNet):
    """The right network in steps, each of which a mistake can take the place of."""

    def __init__(self, num_classes, block=BasicBlock, strides=(1, 2, 2, 2), counts=(2, 2, 2, 2)):
        if num_classes < 1:
            raise ValueError(f"{num_classes} classes")
        super().__init__(num_classes)
        if (block, strides, counts) == (BasicBlock, (1, 2, 2, 2), (2, 2, 2, 2)):
            return
        before = 64
        for number, (stride, count) in enumerate(zip(strides, counts, strict=True), 1):
            after = 32 * 2**number
            blocks = [block(before, after, stride)]
            blocks += [block(after, after, 1) for _ in range(count - 1)]
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
            before = after

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


def _net(num_classes, **steps):
    """The right network, but for the steps given as functions of the network and x."""
    return type("_Changed", (_Net,), steps)(num_classes)


class _NoFinalReLU(BasicBlock):
    def forward(self, x):
        body = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return body + self.downsample(x)


@wrong(resnet18)
def blocks_without_final_relu(num_classes=1000):
    """the final ReLU is missing in every block: the sums are passed on as they are"""
    return _Net(num_classes, _NoFinalReLU)


@wrong(resnet18)
def last_block_without_relu(num_classes=1000):
    """the final ReLU is missing in the last block, before the mean"""
    net = _Net(num_classes)
    net.layer4[1] = _NoFinalReLU(512, 512)
    return net


@wrong(resnet18)
def stem_without_relu(num_classes=1000):
    """the ReLU is missing in the stem, behind bn1"""
    return _net(num_classes, stem=lambda net, x: net.bn1(net.conv1(x)))


class _NoInnerReLU(BasicBlock):
    def forward(self, x):
        return F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))) + self.downsample(x))


@wrong(resnet18)
def blocks_without_inner_relu(num_classes=1000):
    """the inner ReLU is missing in every block, between its two convolutions"""
    return _Net(num_classes, _NoInnerReLU)


class _NoSkip(BasicBlock):
    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


@wrong(resnet18)
def blocks_without_skip(num_classes=1000):
    """the skips are missing: no block adds its x"""
    return _Net(num_classes, _NoSkip)


class _LateStride(BasicBlock):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


@wrong(resnet18)
def stride_on_the_second_convolution(num_classes=1000):
    """the stride is on the second convolution of the blocks, not on the first"""
    return _Net(num_classes, _LateStride)


@wrong(resnet18)
def stem_not_normalised(num_classes=1000):
    """bn1 is built and never called: the stem is not normalised"""
    return _net(num_classes, stem=lambda net, x: F.relu(net.conv1(x)))


@wrong(resnet18)
def stem_normalised_last(num_classes=1000):
    """bn1 stands behind the stem's ReLU, not before it"""
    return _net(num_classes, stem=lambda net, x: net.bn1(F.relu(net.conv1(x))))


@wrong(resnet18)
def two_by_two_pool(num_classes=1000):
    """the stem's max pool has 2x2 windows: they should be 3x3, with stride 2 and padding 1"""
    return _net(num_classes, pool=lambda net, x: F.max_pool2d(x, 2))


@wrong(resnet18)
def average_in_the_stem(num_classes=1000):
    """the stem takes averages: its pool should keep the largest of each window"""
    return _net(num_classes, pool=lambda net, x: F.avg_pool2d(x, 3, 2, 1))


@wrong(resnet18)
def convolution_for_a_pool(num_classes=1000):
    """every second pixel is kept in the stem, with no max over its window"""
    return _net(num_classes, pool=lambda net, x: x[:, :, ::2, ::2])


@wrong(resnet18)
def largest_at_the_end(num_classes=1000):
    """each map becomes its largest number at the end: it should become its mean"""
    return _net(num_classes, head=lambda net, x: net.fc(x.amax((2, 3))))


@wrong(resnet18)
def added_up_at_the_end(num_classes=1000):
    """each map is added up at the end: it should become its mean"""
    return _net(num_classes, head=lambda net, x: net.fc(x.sum((2, 3))))


@wrong(resnet18)
def first_cell_at_the_end(num_classes=1000):
    """only the first cell of each map counts at the end: it should be the map's mean"""
    return _net(num_classes, head=lambda net, x: net.fc(x[:, :, 0, 0]))


@wrong(resnet18)
def softmax_at_the_end(num_classes=1000):
    """a softmax stands behind fc: logits are wanted"""
    return _net(num_classes, head=lambda net, x: net.fc(x.mean((2, 3))).softmax(1))


@wrong(resnet18)
def relu_on_the_logits(num_classes=1000):
    """a ReLU stands behind fc: logits may be negative"""
    return _net(num_classes, head=lambda net, x: F.relu(net.fc(x.mean((2, 3)))))


@wrong(resnet18)
def dropout_before_fc(num_classes=1000):
    """a dropout stands before fc: ResNets have none"""

    def head(net, x):
        return net.fc(F.dropout(x.mean((2, 3)), 0.5, net.training))

    return _net(num_classes, head=head)


@wrong(resnet18)
def squeezed(num_classes=1000):
    """a squeeze takes away the batch axis too when there is one image"""
    return _net(num_classes, head=lambda net, x: net.fc(x.mean((2, 3), keepdim=True).squeeze()))


@wrong(resnet18)
def flattened(num_classes=1000):
    """the last maps are flattened, without their mean: that fits 32x32 images only"""
    return _net(num_classes, head=lambda net, x: net.fc(x.flatten(1)))


@wrong(resnet18)
def seven_by_seven_at_the_end(num_classes=1000):
    """the mean at the end is taken over 7x7 windows: that fits 224x224 images only"""
    return _net(num_classes, head=lambda net, x: net.fc(F.avg_pool2d(x, 7).flatten(1)))


@wrong(resnet18)
def no_max_pool(num_classes=1000):
    """the stem's max-pool is missing: all stages work on maps twice as large"""
    return _net(num_classes, pool=lambda net, x: x)


@wrong(resnet18)
def pool_not_padded(num_classes=1000):
    """the stem's max pool is not padded: its maps are a cell short"""
    return _net(num_classes, pool=lambda net, x: F.max_pool2d(x, 3, 2))


@wrong(resnet18)
def second_blocks_left_out(num_classes=1000):
    """only the first block of each stage is run"""

    def stages(net, x):
        return net.layer4[0](net.layer3[0](net.layer2[0](net.layer1[0](x))))

    return _net(num_classes, stages=stages)


@wrong(resnet18)
def stride_in_layer1(num_classes=1000):
    """the first stage has stride 2: layer1 should keep the size, the pool has halved it already"""
    return _Net(num_classes, strides=(2, 2, 2, 2))


class _PlainStride(BasicBlock):
    """Stride 2 in a block of equal widths, with a skip by pooling."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels)
        self.conv1.stride = (2, 2)
        self.downsample = nn.AvgPool2d(2, ceil_mode=True)


@wrong(resnet18)
def stride_in_layer1_unprojected(num_classes=1000):
    """the first stage has stride 2, and pooling on its skip: layer1 should keep the size"""
    net = _Net(num_classes)
    net.layer1[0] = _PlainStride(64, 64)
    return net


@wrong(resnet18)
def last_stage_without_stride(num_classes=1000):
    """the last stage has no stride: layer4 should halve the size like layer2 and layer3"""
    net = _Net(num_classes)
    net.layer4[0].conv1.stride = net.layer4[0].downsample[0].stride = (1, 1)
    return net


@wrong(resnet18)
def no_stage_has_a_stride(num_classes=1000):
    """no stage has a stride: layer2, layer3 and layer4 should each halve the size"""
    net = _Net(num_classes)
    for stage in (net.layer2, net.layer3, net.layer4):
        stage[0].conv1.stride = stage[0].downsample[0].stride = (1, 1)
    return net


@wrong(resnet18)
def stride_in_every_block(num_classes=1000):
    """both blocks of a stage have the stride: only the first one should"""
    net = _Net(num_classes)
    for width, stage in ((128, net.layer2), (256, net.layer3), (512, net.layer4)):
        stage[1] = BasicBlock(width, width, 2)
    return net


@wrong(resnet18)
def stem_stride_1(num_classes=1000):
    """the stem's convolution has no stride: all maps are twice as large"""
    net = _Net(num_classes)
    net.conv1.stride = (1, 1)
    return net


@wrong(resnet18)
def stem_not_padded(num_classes=1000):
    """the stem's convolution is not padded by 3: its maps are smaller than half the image"""
    net = _Net(num_classes)
    net.conv1.padding = (0, 0)
    return net


@wrong(resnet18)
def small_stem(num_classes=1000):
    """the stem is the one for small images: a 3x3 convolution with stride 1 and no pool"""
    net = _net(num_classes, pool=lambda net, x: x)
    net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    return net


@wrong(resnet18)
def projection_in_layer1(num_classes=1000):
    """the first block of layer1 projects its skip, though nothing changes there"""
    net = _Net(num_classes)
    conv = nn.Conv2d(64, 64, 1, bias=False)
    net.layer1[0].downsample = nn.Sequential(conv, nn.BatchNorm2d(64))
    return net


@wrong(resnet18)
def stem_with_bias(num_classes=1000):
    """the stem's convolution has a bias, which bn1 takes away again"""
    net = _Net(num_classes)
    net.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
    return net


class _WithBias(BasicBlock):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1)


@wrong(resnet18)
def blocks_with_bias(num_classes=1000):
    """the convolutions of the blocks have a bias, which batch norm takes away again"""
    return _Net(num_classes, _WithBias)


@wrong(resnet18)
def all_with_bias(num_classes=1000):
    """all convolutions have a bias, in the stem and in the blocks: batch norm takes it away"""
    net = _Net(num_classes, _WithBias)
    net.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
    return net


@wrong(resnet18)
def fc_without_bias(num_classes=1000):
    """fc has no bias"""
    net = _Net(num_classes)
    net.fc = nn.Linear(512, num_classes, bias=False)
    return net


@wrong(resnet18)
def one_block_a_stage(num_classes=1000):
    """there is one block in each stage: that is a ResNet-10, there should be two"""
    return _Net(num_classes, counts=(1, 1, 1, 1))


@wrong(resnet18)
def counts_of_resnet34(num_classes=1000):
    """the stages have 3, 4, 6 and 3 blocks: that is ResNet-34, there should be two in each"""
    return _Net(num_classes, counts=(3, 4, 6, 3))


@wrong(resnet18)
def one_block_twice(num_classes=1000):
    """the same block stands twice in layer1: its weights are shared"""
    net = _Net(num_classes)
    net.layer1[1] = net.layer1[0]
    return net


@wrong(resnet18)
def always_1000_classes(num_classes=1000):
    """num_classes is ignored: there are always 1000 logits"""
    if num_classes < 1:
        raise ValueError(f"{num_classes} classes")
    return _Net(1000)


@wrong(resnet18)
def ten_classes_by_default(num_classes=10):
    """without num_classes there are 10 logits: the default is 1000"""
    return _Net(num_classes)


@wrong(resnet18)
def remembered(num_classes=1000):
    """two calls return the same model"""
    return _once(num_classes)


_once = functools.cache(resnet18)


@wrong(resnet18)
def torchvisions_own(num_classes=1000):
    """torchvision's own model is returned: it should be built out of your blocks"""
    from dojo import vision  # noqa: F401 - torchvision cannot be imported everywhere without

    # isort: split
    from torchvision import models

    if num_classes < 1:
        raise ValueError(f"{num_classes} classes")
    return models.resnet18(num_classes=num_classes)


@wrong(resnet18)
def in_eval_mode(num_classes=1000):
    """the model comes in eval mode: a fresh model trains"""
    return _Net(num_classes).eval()


@wrong(resnet18)
def frozen(num_classes=1000):
    """the blocks are frozen: requires_grad is on for fc alone"""
    net = _Net(num_classes).requires_grad_(False)
    net.fc.requires_grad_(True)
    return net


@wrong(resnet18)
def detached(num_classes=1000):
    """the graph is cut before the head: nothing but fc can learn"""
    return _net(num_classes, head=lambda net, x: net.fc(x.detach().mean((2, 3))))


@wrong(resnet18)
def single_precision_only(num_classes=1000):
    """x is turned into float32: a model in float64 stops"""
    return _net(num_classes, stem=lambda net, x: F.relu(net.bn1(net.conv1(x.float()))))


@wrong(resnet18)
def no_classes_accepted(num_classes=1000):
    """a num_classes below 1 is not refused: an empty head is built, or torch's own error comes"""
    if num_classes < 1:
        net = _Net(1)
        net.fc = nn.Linear(512, num_classes)
        return net
    return _Net(num_classes)


@wrong(resnet18)
def zero_classes_accepted(num_classes=1000):
    """num_classes 0 is not refused, only negative ones are"""
    return _Net(num_classes or 1000)


def show(answer):
    """What your network makes of a photo, stage by stage: sizes as they are to each other."""
    from matplotlib.figure import Figure

    from data import photo

    torch.manual_seed(0)
    image = torch.from_numpy(photo()).float()
    image = ((image - image.mean()) / image.std())[None, None].expand(1, 3, -1, -1)
    model, maps = answer.resnet18(10).eval(), {"photo": image}
    for name in ("conv1", "layer1", "layer2", "layer3", "layer4"):
        module = model.get_submodule(name)
        keep = functools.partial(lambda name, module, args, out: maps.update({name: out}), name)
        module.register_forward_hook(keep)
    with torch.no_grad():
        model(image)
    height, width = image.shape[2:]
    gap, left, step = width * 0.12, 0.0, width / 40
    figure = Figure(figsize=(11, 3.1), layout="constrained")
    axis = figure.subplots()
    for name, kept in maps.items():
        channels, rows, columns = kept.shape[1:]
        high, wide = (n * width / image.shape[3] for n in (rows, columns))
        sheets = 1 if name == "photo" else max(channels // 32, 1)
        for sheet in reversed(range(sheets)):
            right, top = left + sheet * step, high + sheet * step
            box = (right, right + wide, top - high, top)
            axis.imshow(kept[0, sheet], cmap="gray", extent=box, zorder=100 - sheet)
            corners = ([box[0], box[1], box[1], box[0], box[0]],
                       [box[2], box[2], box[3], box[3], box[2]])  # fmt: skip
            axis.plot(*corners, color="tab:red", linewidth=0.5, zorder=100 - sheet)
        size = f"{name}\n{channels} x {rows} x {columns}"
        axis.text(left, -height * 0.03, size, va="top", fontsize=9)
        left += max(wide + sheets * step, width * 0.34) + gap
    axis.set(xlim=(-gap / 2, left), ylim=(-height * 0.22, height * 1.15), aspect="equal")
    axis.set_title("ResNet-18, untrained: a sheet stands for 32 channels, 1 for the photo's 3")
    axis.set_axis_off()
    return figure
