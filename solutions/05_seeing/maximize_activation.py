"""The image a channel likes best: climb in the space of images, with the weights held still."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dojo import right, wrong


def maximize_activation(
    model: nn.Module, layer: nn.Module | str, channel: int, shape: tuple[int, int, int, int],
    steps: int, lr: float, l2: float, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Make an image to which one channel of one layer responds as strongly as it can.

    Training holds the image still and moves the weights; here it is the other way round. The
    objective is the mean of the channel's map, less `l2` times the sum of the squares of all
    pixels, so that the image does not grow without end. It starts from the noise
    `0.01 * torch.randn(shape, generator=generator)` and takes `steps` plain gradient steps of
    rate `lr`, uphill, without momentum, scaling or clipping.

    The map is the layer's own output, as it is before anything that follows changes it, also
    where an in-place ReLU follows. The model runs in eval and comes back as it was, each
    submodule's mode, weights, `.grad` and hooks, also after an exception; it may be frozen, and
    the caller may have switched gradients off.

    Shapes:
        layer: a submodule of `model` or its dotted name; channel: index of one of its maps
        shape: (1, C, H, W); steps: from 0 on
        returns: a tensor of this shape, float32, detached

    Example:
        >>> brighter = nn.Sequential(nn.Conv2d(1, 1, 2, bias=False))
        >>> _ = nn.init.ones_(brighter[0].weight)
        >>> start = torch.Generator().manual_seed(0)
        >>> maximize_activation(brighter, "0", 0, (1, 1, 2, 2), 10, 0.1, 0.0, start).round()
        tensor([[[[1., 1.],
                  [1., 1.]]]])

    Raises:
        ValueError: the layer is not in the model, never runs or gives no (N, C, H, W) maps; it
            has no such channel (-1 is none); shape is not (1, C, H, W); steps is below 0.

    Source: Erhan, Bengio, Courville & Vincent, Visualizing Higher-Layer Features of a Deep
        Network, technical report 1341, University of Montreal, 2009; Simonyan, Vedaldi &
        Zisserman, Deep Inside Convolutional Networks, arXiv:1312.6034, section 2.
    """
    if len(shape) != 4 or shape[0] != 1 or min(shape) < 1:
        raise ValueError(f"shape is {tuple(shape)}, it must be (1, C, H, W)")
    if steps < 0:
        raise ValueError(f"steps is {steps}, it must be at least 0")
    image = 0.01 * torch.randn(shape, generator=generator)
    with _reading(model, layer, channel) as map_of, torch.enable_grad():
        map_of(image)
        for _ in range(steps):
            image.requires_grad_()
            objective = map_of(image).mean() - l2 * image.square().sum()
            (slope,) = torch.autograd.grad(objective, image)
            image = (image + lr * slope).detach()
    return image


@contextmanager
def _reading(model: nn.Module, layer: nn.Module | str, channel: int) -> Iterator:
    """A function from an image to the channel's map; afterwards the model is as it was."""
    module = dict(model.named_modules()).get(layer) if isinstance(layer, str) else layer
    if module is None or all(module is not other for other in model.modules()):
        raise ValueError(f"the model has no layer {layer!r}")
    seen: dict[str, Tensor] = {}
    modes = [(other, other.training) for other in model.modules()]
    # a copy: an in-place ReLU may follow
    hook = module.register_forward_hook(lambda _m, _i, out: seen.update(maps=out.clone()))

    def map_of(image: Tensor) -> Tensor:
        seen.clear()
        model(image)
        maps = seen.get("maps")
        if maps is None or maps.dim() != 4:
            raise ValueError(f"layer {layer!r} gives no (N, C, H, W) maps")
        if not 0 <= channel < maps.shape[1]:
            raise ValueError(f"channel is {channel}, the layer has 0 to {maps.shape[1] - 1}")
        return maps[0, channel]

    try:
        model.eval()
        yield map_of
    finally:
        hook.remove()
        for other, mode in modes:
            other.training = mode


HINTS = [
    "In training the loss is differentiated by the weights. By what is the objective "
    "differentiated here, and in which direction do you go?",
    "A forward hook on the layer gives you its maps while the model runs; copy them, because a "
    "following in-place ReLU writes into them. torch.autograd.grad(objective, image) gives the "
    "slope without touching any .grad. Eval before, every submodule's mode back after (finally).",
    "image = 0.01 * torch.randn(shape, generator=generator); then, steps times: image.requires_"
    "grad_(), objective = maps[0, channel].mean() - l2 * image.square().sum(), slope = "
    "torch.autograd.grad(objective, image)[0], image = (image + lr * slope).detach().",
]


def _climb(model, layer, channel, shape, steps, lr, l2, generator, *, scale=0.01, of=None,
           penalty=None, step=None, read=_reading, start=None, before=None):  # fmt: skip
    """The answer with one part exchanged."""
    if len(shape) != 4 or shape[0] != 1 or min(shape) < 1 or steps < 0:
        raise ValueError("shape or steps")
    image = start(shape) if start else scale * torch.randn(shape, generator=generator)
    of, penalty = of or Tensor.mean, penalty or (lambda x: x.square().sum())
    step = step or (lambda image, slope: image + lr * slope)
    with read(model, layer, channel) as map_of, torch.enable_grad():
        map_of(image)
        for _ in range(steps):
            image.requires_grad_()
            objective = of(map_of(image)) - l2 * penalty(image)
            (slope,) = torch.autograd.grad(objective, image)
            if before:
                before(model, objective)
            image = step(image, slope).detach()
    return image


@right(maximize_activation)
def by_an_optimizer(model, layer, channel, shape, steps, lr, l2, generator):
    """torch's SGD on the image alone, on a frozen copy of the model."""
    import copy

    name = layer
    if not isinstance(layer, str):
        name = next((n for n, m in model.named_modules() if m is layer), None)
    if name not in dict(model.named_modules()):
        raise ValueError("no such layer")
    model = copy.deepcopy(model).requires_grad_(False).eval()
    image = maximize_activation(model, name, channel, shape, min(steps, 0), lr, l2, generator)
    image = nn.Parameter(image.clone())
    optimizer = torch.optim.SGD([image], lr=lr)
    with _reading(model, name, channel) as map_of, torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            (l2 * (image**2).sum() - map_of(image).mean()).backward()
            optimizer.step()
    return image.detach()


@right(maximize_activation)
def by_the_slope_alone(model, layer, channel, shape, steps, lr, l2, generator):
    """The penalty's slope is written out, the map's comes from a weighted backward pass."""
    image = maximize_activation(model, layer, channel, shape, min(steps, 0), lr, l2, generator)
    for _ in range(steps):
        with _reading(model, layer, channel) as map_of, torch.enable_grad():
            leaf = image.clone().requires_grad_()
            map_ = map_of(leaf)
            weights = torch.full_like(map_, 1 / map_.numel())
            slope = torch.autograd.grad(map_, leaf, weights)[0]
        image = image * (1 - 2 * lr * l2) + lr * slope
    return image


@right(maximize_activation)
def by_float64(model, layer, channel, shape, steps, lr, l2, generator):
    import copy

    named = {module: name for name, module in model.named_modules()}
    name = layer if isinstance(layer, str) else named.get(layer)
    if name is None or name not in named.values():
        raise ValueError("no such layer")
    start = maximize_activation(model, name, channel, shape, 0, lr, l2, generator)
    twin = copy.deepcopy(model).double()
    return _climb(
        twin, name, channel, shape, steps, lr, l2, generator, start=lambda _: start.double()
    ).float()


@wrong(maximize_activation)
def downhill(model, layer, channel, shape, steps, lr, l2, generator):
    """the steps go downhill: the activation gets smaller"""
    return _climb(model, layer, channel, shape, steps, -lr, l2, generator)


@wrong(maximize_activation)
def penalty_rewarded(model, layer, channel, shape, steps, lr, l2, generator):
    """the squares are added to the objective, not taken off: l2 makes the image grow"""
    return _climb(model, layer, channel, shape, steps, lr, -l2, generator)


@wrong(maximize_activation)
def penalty_forgotten(model, layer, channel, shape, steps, lr, l2, generator):
    """l2 is not used: nothing holds the image back"""
    return _climb(model, layer, channel, shape, steps, lr, 0.0, generator)


@wrong(maximize_activation)
def penalty_is_a_mean(model, layer, channel, shape, steps, lr, l2, generator):
    """the penalty takes the mean of the squares, not their sum"""
    return _climb(
        model, layer, channel, shape, steps, lr, l2, generator,
        penalty=lambda x: x.square().mean(),
    )  # fmt: skip


@wrong(maximize_activation)
def penalty_is_a_norm(model, layer, channel, shape, steps, lr, l2, generator):
    """the penalty is the norm, the root of the sum of squares"""
    return _climb(model, layer, channel, shape, steps, lr, l2, generator, penalty=Tensor.norm)


@wrong(maximize_activation)
def halved_penalty(model, layer, channel, shape, steps, lr, l2, generator):
    """the penalty's slope is l2 times the pixel, half of what the sum of squares has"""
    return _climb(model, layer, channel, shape, steps, lr, l2 / 2, generator)


@wrong(maximize_activation)
def summed_map(model, layer, channel, shape, steps, lr, l2, generator):
    """the map is added up (sum), not averaged: a larger map takes larger steps"""
    return _climb(model, layer, channel, shape, steps, lr, l2, generator, of=Tensor.sum)


@wrong(maximize_activation)
def largest_place(model, layer, channel, shape, steps, lr, l2, generator):
    """only the largest place of the map is driven (max), not its mean"""
    return _climb(model, layer, channel, shape, steps, lr, l2, generator, of=Tensor.max)


@contextmanager
def _reading_whole(model, layer, channel):
    with _reading(model, layer, channel) as map_of:
        seen = {}
        module = dict(model.named_modules())[layer] if isinstance(layer, str) else layer
        hook = module.register_forward_hook(lambda _m, _i, out: seen.update(maps=out.clone()))

        def whole(image):
            map_of(image)
            return seen["maps"][0]

        try:
            yield whole
        finally:
            hook.remove()


@wrong(maximize_activation)
def whole_layer(model, layer, channel, shape, steps, lr, l2, generator):
    """all channels of the layer are driven, not the one"""
    return _climb(model, layer, channel, shape, steps, lr, l2, generator, read=_reading_whole)


@contextmanager
def _reading_first(model, layer, channel):
    with _reading_whole(model, layer, channel) as whole:
        yield lambda image: whole(image)[0]


@wrong(maximize_activation)
def always_the_first_channel(model, layer, channel, shape, steps, lr, l2, generator):
    """channel is not used: channel 0 is driven"""
    return _climb(model, layer, channel, shape, steps, lr, l2, generator, read=_reading_first)


@contextmanager
def _reading_aliased(model, layer, channel):
    """As _reading, but the maps are not copied."""
    with _reading(model, layer, channel) as map_of:
        seen = {}
        module = dict(model.named_modules())[layer] if isinstance(layer, str) else layer
        hook = module.register_forward_hook(lambda _m, _i, out: seen.update(maps=out))

        def aliased(image):
            map_of(image)
            return seen["maps"][0, channel]

        try:
            yield aliased
        finally:
            hook.remove()


@wrong(maximize_activation)
def after_the_relu(model, layer, channel, shape, steps, lr, l2, generator):
    """the maps are read after the in-place ReLU that follows the layer has changed them"""
    return _climb(model, layer, channel, shape, steps, lr, l2, generator, read=_reading_aliased)


@wrong(maximize_activation)
def gradients_accumulate(model, layer, channel, shape, steps, lr, l2, generator):
    """the gradients of earlier steps are still there: each step adds them once more"""
    total = torch.zeros(shape)

    def step(image, slope):
        total.add_(slope)
        return image + lr * total

    return _climb(model, layer, channel, shape, steps, lr, l2, generator, step=step)


@wrong(maximize_activation)
def normalised_steps(model, layer, channel, shape, steps, lr, l2, generator):
    """the gradient is divided by its norm: every step is equally long"""
    return _climb(
        model, layer, channel, shape, steps, lr, l2, generator,
        step=lambda image, slope: image + lr * slope / (slope.norm() + 1e-8),
    )  # fmt: skip


@wrong(maximize_activation)
def sign_steps(model, layer, channel, shape, steps, lr, l2, generator):
    """only the gradient's sign is used"""
    return _climb(
        model, layer, channel, shape, steps, lr, l2, generator,
        step=lambda image, slope: image + lr * slope.sign(),
    )  # fmt: skip


@wrong(maximize_activation)
def clipped(model, layer, channel, shape, steps, lr, l2, generator):
    """the image is clipped to 0..1 after every step"""
    return _climb(
        model, layer, channel, shape, steps, lr, l2, generator,
        step=lambda image, slope: (image + lr * slope).clamp(0, 1),
    )  # fmt: skip


@wrong(maximize_activation)
def one_step_more(model, layer, channel, shape, steps, lr, l2, generator):
    """one step too many is taken"""
    if steps < 0:
        raise ValueError("steps")
    return _climb(model, layer, channel, shape, steps + 1, lr, l2, generator)


@wrong(maximize_activation)
def one_step(model, layer, channel, shape, steps, lr, l2, generator):
    """only one step is taken, however many are asked for"""
    return _climb(model, layer, channel, shape, min(steps, 1), lr, l2, generator)


@wrong(maximize_activation)
def from_zero(model, layer, channel, shape, steps, lr, l2, generator):
    """it starts from an image of zeros, not from noise"""
    return _climb(model, layer, channel, shape, steps, lr, l2, generator, scale=0.0)


@wrong(maximize_activation)
def from_loud_noise(model, layer, channel, shape, steps, lr, l2, generator):
    """it starts from noise of size 1, not 0.01"""
    return _climb(model, layer, channel, shape, steps, lr, l2, generator, scale=1.0)


@wrong(maximize_activation)
def from_uniform_noise(model, layer, channel, shape, steps, lr, l2, generator):
    """it starts from uniform noise (rand), not from normal noise (randn)"""
    return _climb(
        model, layer, channel, shape, steps, lr, l2, generator,
        start=lambda shape: 0.01 * torch.rand(shape, generator=generator),
    )  # fmt: skip


@wrong(maximize_activation)
def global_noise(model, layer, channel, shape, steps, lr, l2, generator):
    """the noise does not come from the generator that is handed in"""
    return _climb(
        model, layer, channel, shape, steps, lr, l2, generator,
        start=lambda shape: 0.01 * torch.randn(shape),
    )  # fmt: skip


@wrong(maximize_activation)
def weights_learn_too(model, layer, channel, shape, steps, lr, l2, generator):
    """the weights move with the image: the model handed in is changed"""

    def learn(model, objective):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(lr * torch.ones_like(parameter))

    return _climb(model, layer, channel, shape, steps, lr, l2, generator, before=learn)


@wrong(maximize_activation)
def grads_left(model, layer, channel, shape, steps, lr, l2, generator):
    """backward() fills the .grad of the model's weights, and they are left there"""
    image = _climb(model, layer, channel, shape, steps, lr, l2, generator)
    with _reading(model, layer, channel) as map_of, torch.enable_grad():
        objective = map_of(image.clone().requires_grad_()).mean()
        if steps:
            objective.backward()
    return image


@wrong(maximize_activation)
def grads_cleared(model, layer, channel, shape, steps, lr, l2, generator):
    """model.zero_grad() takes away the .grad that the model had"""
    model.zero_grad()
    return maximize_activation(model, layer, channel, shape, steps, lr, l2, generator)


@wrong(maximize_activation)
def frozen_for_good(model, layer, channel, shape, steps, lr, l2, generator):
    """the model's requires_grad is switched off and stays off"""
    model.requires_grad_(False)
    return maximize_activation(model, layer, channel, shape, steps, lr, l2, generator)


@contextmanager
def _reading_as_it_is(model, layer, channel):
    modes = [(module, module.training) for module in model.modules()]
    with _reading(model, layer, channel) as map_of:
        for module, mode in modes:
            module.training = mode
        yield map_of


@wrong(maximize_activation)
def mode_as_it_is(model, layer, channel, shape, steps, lr, l2, generator):
    """the model is not put into eval: dropout and batch statistics have a part in it"""
    return _climb(model, layer, channel, shape, steps, lr, l2, generator, read=_reading_as_it_is)


@wrong(maximize_activation)
def left_in_eval(model, layer, channel, shape, steps, lr, l2, generator):
    """the model is left in eval"""
    image = maximize_activation(model, layer, channel, shape, steps, lr, l2, generator)
    model.eval()
    return image


@wrong(maximize_activation)
def all_back_to_train(model, layer, channel, shape, steps, lr, l2, generator):
    """the root's mode is given to every submodule: those in another mode lose theirs"""
    mode = model.training
    image = maximize_activation(model, layer, channel, shape, steps, lr, l2, generator)
    model.train(mode)
    return image


@wrong(maximize_activation)
def hook_left(model, layer, channel, shape, steps, lr, l2, generator):
    """the hook is not removed: it stays on the layer"""
    image = maximize_activation(model, layer, channel, shape, steps, lr, l2, generator)
    module = dict(model.named_modules())[layer] if isinstance(layer, str) else layer
    module.register_forward_hook(lambda *_: None)
    return image


@wrong(maximize_activation)
def not_after_an_exception(model, layer, channel, shape, steps, lr, l2, generator):
    """after an exception in the model its modes are not put back (no finally)"""
    try:
        return maximize_activation(model, layer, channel, shape, steps, lr, l2, generator)
    except (RuntimeError, ArithmeticError):
        model.eval()
        raise


@wrong(maximize_activation)
def graph_kept(model, layer, channel, shape, steps, lr, l2, generator):
    """the result still requires a gradient: it is not detached"""
    return maximize_activation(
        model, layer, channel, shape, steps, lr, l2, generator
    ).requires_grad_()


@wrong(maximize_activation)
def gradients_must_be_on(model, layer, channel, shape, steps, lr, l2, generator):
    """where the caller has switched gradients off (no_grad), there is no slope"""
    if steps and not torch.is_grad_enabled():
        raise RuntimeError("element 0 of tensors does not require grad")
    return maximize_activation(model, layer, channel, shape, steps, lr, l2, generator)


@wrong(maximize_activation)
def from_the_end(model, layer, channel, shape, steps, lr, l2, generator):
    """a negative channel counts from the end instead of being refused"""
    if channel < 0:
        module = dict(model.named_modules()).get(layer, layer)
        channel += getattr(module, "out_channels", 3)
    return maximize_activation(model, layer, channel, shape, steps, lr, l2, generator)


@wrong(maximize_activation)
def torchs_errors(model, layer, channel, shape, steps, lr, l2, generator):
    """the layer and its maps are not looked at: Python's or torch's own errors come out"""
    try:
        return maximize_activation(model, layer, channel, shape, steps, lr, l2, generator)
    except ValueError as error:
        raise IndexError(str(error)) from None


@wrong(maximize_activation)
def no_look_at_the_steps(model, layer, channel, shape, steps, lr, l2, generator):
    """steps below 0 are taken for 0 instead of being refused"""
    return maximize_activation(model, layer, channel, shape, max(steps, 0), lr, l2, generator)


@wrong(maximize_activation)
def no_look_at_the_shape(model, layer, channel, shape, steps, lr, l2, generator):
    """a shape of several images is not refused"""
    if len(shape) == 4 and shape[0] > 1:
        image = maximize_activation(
            model, layer, channel, (1, *shape[1:]), steps, lr, l2, generator
        )
        return image.expand(shape)
    return maximize_activation(model, layer, channel, shape, steps, lr, l2, generator)


def show(answer):
    """What eight channels of a network trained on the digits like best."""
    from data import digits
    from dojo.pictures import signed_maps

    images, labels = (torch.from_numpy(array) for array in digits())
    torch.default_generator.manual_seed(0)
    model = nn.Sequential(
        nn.AvgPool2d(2), nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(200, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for batch in torch.randperm(len(images)).repeat(4).split(128):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    maps = {}
    for channel in range(8):
        generator = torch.Generator().manual_seed(channel)
        image = answer.maximize_activation(
            model, "3", channel, (1, 1, 28, 28), 200, 20.0, 0.002, generator
        )
        maps[f"channel {channel}"] = image / image.abs().max().clamp(min=1e-12)
    return signed_maps({"a digit": images[3]}, maps)
