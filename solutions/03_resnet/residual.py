"""Add the input back: a block that starts from identity and learns to deviate."""

import copy

import torch
from torch import Tensor, nn

from dojo import right, wrong


class Residual(nn.Module):
    """Wrap any layers, `body`, so that they learn a change of x instead of all of the output.

    The result is what the body makes of x, and x itself added back, as it came: nothing is
    done to it on the way, and nothing to the sum. A body that gives 0 makes the block the
    identity, through which the gradient passes unchanged.

    The body is registered as a submodule, unchanged and under any name, so that parameters(),
    train(), eval(), to() and state_dict() reach it; the block has no parameters or buffers of
    its own. Each forward calls the body once, as a module is called, so that hooks on it run.
    Neither x nor what the body returned is written to, also where the body itself works in
    place: many begin with nn.ReLU(inplace=True).

    Shapes:
        x: (N, ...), float32 or float64, whatever the body takes
        returns: a new tensor of x's shape and dtype, differentiable in x and in the body's
            parameters

    Example:
        >>> Residual(nn.ReLU())(torch.tensor([[-2.0, 3.0]]))
        tensor([[-2.,  6.]])

    Raises:
        ValueError: in forward, the body's output has not exactly x's shape, the batch's size
            and the number of axes included; also where torch would stretch one to fit.

    Source: He, Zhang, Ren & Sun, Deep Residual Learning for Image Recognition,
        arXiv:1512.03385, sections 3.1 and 3.2.
    """

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        change = self.body(x.clone())  # the body may write into what it is given
        if change.shape != x.shape:
            raise ValueError(f"the body turns {tuple(x.shape)} into {tuple(change.shape)}")
        return x + change


HINTS = [
    "What should the block give if all the body's weights are 0? And what happens to the x that "
    "you want to add if the body's first layer is nn.ReLU(inplace=True)?",
    "The body gets a copy to work on, the sum gets the x that came in. Keep the body as an "
    "attribute; compare both shapes before you add, because torch stretches an axis of one.",
    "self.body = body in __init__. In forward: change = self.body(x.clone()), raise a ValueError "
    "if change.shape != x.shape, return x + change. Not +=: that writes into one of them.",
]


class _Block(nn.Module):
    """A block with the body checked and run; variants change what is done around it."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def change(self, x):
        change = self.body(x.clone())
        if change.shape != x.shape:
            raise ValueError(f"the body turns {tuple(x.shape)} into {tuple(change.shape)}")
        return change

    def forward(self, x):
        return x + self.change(x)


@right(Residual)
class ByStacking(nn.Module):
    """Both summands side by side, in a list that registers the body."""

    def __init__(self, body):
        super().__init__()
        self.parts = nn.ModuleList([body])

    def forward(self, x):
        summands = [x, self.parts[0](x * 1)]
        if list(summands[1].shape) != list(x.shape):
            raise ValueError("shapes differ")
        return torch.stack(summands).sum(0)


@right(Residual)
class ByAnotherBase(nn.Sequential):
    """A chain of the body alone, whose forward adds the input."""

    def forward(self, x):
        kept = torch.empty_like(x).copy_(x)
        change = super().forward(kept)
        if change.size() != x.size():
            raise ValueError("shapes differ")
        return torch.add(change, x)


@right(Residual)
class ByFloat64(_Block):
    def forward(self, x):
        return (self.change(x).double() + x.double()).to(x.dtype)


@wrong(Residual)
class NothingAdded(_Block):
    """x is not added: only the body's output is given"""

    def forward(self, x):
        return self.change(x)


@wrong(Residual)
class BodyDropped(_Block):
    """the body's output is dropped: x is given as it came"""

    def forward(self, x):
        return x + 0 * self.change(x)


@wrong(Residual)
class Subtracted(_Block):
    """the body's output is subtracted from x, not added"""

    def forward(self, x):
        return x - self.change(x)


@wrong(Residual)
class Multiplied(_Block):
    """x and the body's output are multiplied, not added"""

    def forward(self, x):
        return x * self.change(x)


@wrong(Residual)
class Averaged(_Block):
    """the sum is halved: that is the mean of x and the body's output"""

    def forward(self, x):
        return (x + self.change(x)) / 2


@wrong(Residual)
class Concatenated(_Block):
    """x and the body's output are put side by side (concatenation), not added"""

    def forward(self, x):
        return torch.cat([x, self.change(x)], 1)


@wrong(Residual)
class ActivationOnTheSkip(_Block):
    """an activation on the skip: negative numbers of x are lost before the sum"""

    def forward(self, x):
        return x.relu() + self.change(x)


@wrong(Residual)
class ActivationOnTheSum(_Block):
    """an activation on the sum: a zero body is no identity, negative numbers are lost"""

    def forward(self, x):
        return (x + self.change(x)).relu()


@wrong(Residual)
class ActivationOnTheBody(_Block):
    """an activation on the body's output: the body can only add, never take away"""

    def forward(self, x):
        return x + self.change(x).relu()


@wrong(Residual)
class LearntFactor(_Block):
    """a learnt factor of its own scales the body's output"""

    def __init__(self, body):
        super().__init__(body)
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x + self.factor.to(x.dtype) * self.change(x)


@wrong(Residual)
class SummedIntoTheInput(_Block):
    """the sum is written into x in place (x += ...): the caller's x is changed"""

    def forward(self, x):
        change = self.change(x)
        x += change
        return x


@wrong(Residual)
class SummedIntoTheBodysOutput(_Block):
    """the sum is written into the body's output in place (out += x)"""

    def forward(self, x):
        change = self.change(x)
        change += x
        return change


@wrong(Residual)
class BodyWorksOnTheInput(_Block):
    """the body gets x itself: where it begins in place, the caller's x and the skip change"""

    def forward(self, x):
        change = self.body(x)
        if change.shape != x.shape:
            raise ValueError("shapes differ")
        return x + change


@wrong(Residual)
class InPlaceSwitchedOff(_Block):
    """the body's in-place layers are made plain ones: the body has to stay as it was handed in"""

    def __init__(self, body):
        super().__init__(body)
        for module in body.modules():
            if hasattr(module, "inplace"):
                module.inplace = False


@wrong(Residual)
class SkipCloned(_Block):
    """the skip is a copy, but the body gets x itself and may change the caller's x"""

    def forward(self, x):
        kept = x.clone()
        change = self.body(x)
        if change.shape != kept.shape:
            raise ValueError("shapes differ")
        return kept + change


@wrong(Residual)
class BodyRunTwice(_Block):
    """the body runs twice a forward: once for its shape, once for the sum"""

    def forward(self, x):
        if self.body(x.clone()).shape != x.shape:
            raise ValueError("shapes differ")
        return x + self.body(x.clone())


@wrong(Residual)
class BodyAppliedTwice(_Block):
    """the body is applied to its own output before the sum: body(body(x))"""

    def forward(self, x):
        return x + self.change(self.change(x))


@wrong(Residual)
class BodyNotRegistered(_Block):
    """the body is not registered (hidden in a plain list): parameters() does not reach it"""

    def __init__(self, body):
        super().__init__(nn.Identity())
        del self.body
        self.hidden = [body]

    def change(self, x):
        change = self.hidden[0](x.clone())
        if change.shape != x.shape:
            raise ValueError("shapes differ")
        return change


@wrong(Residual)
class BodyCopied(_Block):
    """a copy of the body is kept: the caller's own body does not learn"""

    def __init__(self, body):
        super().__init__(copy.deepcopy(body))


@wrong(Residual)
class HooksSkipped(_Block):
    """body.forward is called instead of body: hooks on the body do not run"""

    def change(self, x):
        change = self.body.forward(x.clone())
        if change.shape != x.shape:
            raise ValueError("shapes differ")
        return change


@wrong(Residual)
class SkipDetached(_Block):
    """the skip is detached: no gradient passes along it"""

    def forward(self, x):
        return x.detach() + self.change(x)


@wrong(Residual)
class BodyDetached(_Block):
    """the body gets a detached x: its share of the gradient does not reach x"""

    def forward(self, x):
        return x + self.change(x.detach())


@wrong(Residual)
class BodysOutputDetached(_Block):
    """the body's output is detached: the body does not learn"""

    def forward(self, x):
        return x + self.change(x).detach()


@wrong(Residual)
class BodyPutIntoEval(_Block):
    """the body is put into eval mode, whatever mode the block is in"""

    def forward(self, x):
        self.body.eval()
        return x + self.change(x)


@wrong(Residual)
class ModeOfTheBodyIgnored(_Block):
    """the body stays in train mode: eval() of the block does not reach it"""

    def train(self, mode=True):
        self.training = mode
        return self


@wrong(Residual)
class ShapeNotCompared(_Block):
    """shapes are not compared: torch stretches what fits (broadcast), or raises its own error"""

    def forward(self, x):
        return x + self.body(x.clone())


@wrong(Residual)
class BroadcastAccepted(_Block):
    """what torch can stretch to fit is accepted (broadcast); only the rest is refused"""

    def forward(self, x):
        try:
            return x + self.body(x.clone())
        except RuntimeError as error:
            raise ValueError("shapes differ") from error


@wrong(Residual)
class BatchNotCompared(_Block):
    """the size of the batch is not compared: one row for all is stretched"""

    def forward(self, x):
        change = self.body(x.clone())
        if change.shape[1:] != x.shape[1:]:
            raise ValueError("shapes differ")
        return x + change


@wrong(Residual)
class OnlyChannelsCompared(_Block):
    """only the second axis, the channels, is compared"""

    def forward(self, x):
        change = self.body(x.clone())
        if change.dim() < 2 or change.shape[1] != x.shape[1]:
            raise ValueError("shapes differ")
        return x + change


@wrong(Residual)
class OnlyCountCompared(_Block):
    """only the number of cells is compared: (N, C, H, W) and (N, C, W, H) count the same"""

    def forward(self, x):
        change = self.body(x.clone())
        if change.numel() != x.numel():
            raise ValueError("shapes differ")
        return x + change.reshape(x.shape)


@wrong(Residual)
class SkipLeftOut(_Block):
    """where shapes differ the skip is left out instead of refused"""

    def forward(self, x):
        change = self.body(x.clone())
        return x + change if change.shape == x.shape else change


@wrong(Residual)
class FourAxesOnly(_Block):
    """only images (N, C, H, W) are taken: other numbers of axes are refused"""

    def forward(self, x):
        if x.dim() != 4:
            raise ValueError("x must be (N, C, H, W)")
        return x + self.change(x)


@wrong(Residual)
class AlwaysFloat32(_Block):
    """the result is float32 whatever came in"""

    def forward(self, x):
        return (x + self.change(x)).float()


def _unit(inputs, outputs, size, stride=1):
    conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


def _body(inputs, *layers):
    """Convolutions, each with its BN, and a ReLU between two of them."""
    modules = []
    for outputs, size, stride in layers:
        modules += [nn.ReLU(inplace=True)] * bool(modules) + _unit(inputs, outputs, size, stride)
        inputs = outputs
    nn.init.zeros_(modules[-1].weight)  # the body gives 0: what comes out has taken the skip
    return nn.Sequential(*modules)


def _traced(block, x):
    """What runs inside of the block, in words, and what it returns."""
    names, hooks = [], []
    for module in block.modules():
        if not list(module.children()):
            hooks.append(module.register_forward_hook(lambda m, *_: names.append(_words(m))))
    with torch.no_grad():
        result = block(x)
    for hook in hooks:
        hook.remove()
    return names, result


def _words(module):
    if isinstance(module, nn.Conv2d):
        step = ", stride 2" if module.stride[0] == 2 else ""
        return f"{module.kernel_size[0]}x{module.kernel_size[1]} conv, {module.out_channels}{step}"
    return "BN" if isinstance(module, nn.BatchNorm2d) else "ReLU"


def _box(axis, x, y, text):
    colours = {"BN": "#e8e8e8", "ReLU": "#ffe2b8", "+": "white"}
    axis.text(x, y, text, ha="center", va="center", fontsize=8, bbox={
        "boxstyle": "circle,pad=0.25" if text == "+" else "round,pad=0.35", "lw": 0.8,
        "facecolor": colours.get(text, "#cfe2f3"), "edgecolor": "#444444"})  # fmt: skip


def _draw(axis, title, names, skip, shapes):
    """One block from top to bottom; `skip` names what stands on it, None where there is none."""
    foot = -len(names) - 0.5
    middle = -max([place for place, name in enumerate(names) if name == "ReLU"] or [1]) + 0.5
    axis.plot([0, 0], [0.6, foot - 1.75], color="#444444", lw=1, zorder=0)
    for place, name in enumerate(names):
        _box(axis, 0, -place - 0.5, name)
    if skip is not None:
        corners = [(0, 0.3), (2.1, 0.3), (2.1, foot), (0, foot)]
        axis.plot(*zip(*corners, strict=True), color="tab:red", lw=1.5, zorder=0)
        for place, name in enumerate(skip):
            _box(axis, 2.1, middle - place, name)
        if not skip:
            axis.text(2.2, middle, "x, as it is", color="tab:red", fontsize=8, va="center")
    _box(axis, 0, foot, "+")
    _box(axis, 0, foot - 1, "ReLU")
    for y, shape in [(0.85, shapes[0]), (foot - 2.0, shapes[1])]:
        axis.text(0, y, " x ".join(map(str, shape)), fontsize=8, ha="center", va="center")
    axis.set(xlim=(-1.6, 3.6), ylim=(-10.9, 1.2))
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()


def show(answer):
    """Both blocks of ResNet around your Residual; and what becomes of them where shapes change."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.2), layout="constrained")
    axes = iter(figure.subplots(1, 4))
    basic, deep = [(64, 3), (64, 3)], [(64, 1), (64, 3), (256, 1)]
    for name, inputs, layers in [("BasicBlock", 64, basic), ("Bottleneck", 256, deep)]:
        x = torch.rand(1, inputs, 56, 56)
        same = _body(inputs, *((width, size, 1) for width, size in layers))
        names, result = _traced(answer.Residual(same), x)
        skip = [] if torch.equal(result, x) else None
        shapes = [tuple(x.shape[1:]), tuple(result.shape[1:])]
        _draw(next(axes), f"{name}, identity", names, skip, shapes)
        strided = next(place for place, (_, size) in enumerate(layers) if size == 3)
        other = _body(inputs, *((2 * w, s, 1 + (i == strided)) for i, (w, s) in enumerate(layers)))
        names, result = _traced(other, x)
        skip, _ = _traced(nn.Sequential(*_unit(inputs, result.shape[1], 1, 2)), x)
        shapes = [shapes[0], tuple(result.shape[1:])]
        _draw(next(axes), f"{name}, projection", names, skip, shapes)
    return figure
