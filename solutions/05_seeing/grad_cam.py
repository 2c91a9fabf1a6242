"""Grad-CAM: where in the image a network has seen what speaks for a class."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dojo import right, wrong


def grad_cam(
    model: nn.Module, layer: nn.Module | str, x: Tensor, target: int | Tensor | None = None
) -> Tensor:
    """Draw where the maps of one layer hold what raises the logit of a class.

    How much a channel matters to the class is one number: how the logit (no probability)
    reacts to the channel's map, averaged over all its places. The channels are added up by
    these numbers; what is then below zero speaks for other classes and is cut off. The small
    map is enlarged to the image, bilinearly, not aligned at the corners
    (`F.interpolate(..., align_corners=False)`). Last, each image's map is divided by its own
    maximum, however faint it is; a map of zeros stays as it is.

    The maps are the layer's own output, also where an in-place ReLU that follows it writes into
    them. The model runs in eval and comes back as it was, also after an exception: each
    submodule's mode and hooks (the caller's own run as always), all numbers, `requires_grad`,
    `.grad`. It may be frozen, the caller may have gradients off, and `x` is not marked.

    Shapes:
        layer: a submodule of `model` or its dotted name; x: (N, C, H, W)
        target: one class for all images, or (N,) int64, one for each, or None: the class
            that the model predicts for each image
        returns: (N, H, W) in 0..1, of x's dtype, detached

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> x = torch.tensor([[[[4.0, 1.0]], [[0.0, 8.0]]]])
        >>> grad_cam(model, "0", x, 0), grad_cam(model, "0", x, 1)
        (tensor([[[1.0000, 0.2500]]]), tensor([[[0., 1.]]]))

    Raises:
        ValueError: the layer is not in the model, does not run or gives no (N, C, H, W) maps;
            a target is below 0 (-1 is no class) or not below the number of classes.
        whatever the model raises.

    Source: Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via
        Gradient-based Localization, arXiv:1610.02391, section 3.
    """
    maps, slopes = _maps_and_slopes(model, layer, x, target)
    weights = slopes.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
    cams = (weights * maps).sum(1, keepdim=True).relu()  # (N, 1, h, w)
    cams = F.interpolate(cams, x.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    most = cams.amax((1, 2), keepdim=True)
    return cams / torch.where(most > 0, most, 1.0)


def _maps_and_slopes(model, layer, x, target) -> tuple[Tensor, Tensor]:
    """The layer's maps, and how each image's logit reacts to them; both (N, C, h, w)."""
    module = dict(model.named_modules(remove_duplicate=False)).get(layer, layer)
    if all(module is not other for other in model.modules()):
        raise ValueError(f"the model has no layer {layer!r}")
    seen: list[Tensor] = []

    def keep(_module, _inputs, output):
        seen[:] = [output]
        return output.clone() if isinstance(output, Tensor) else output  # for in-place layers

    modes = [(other, other.training) for other in model.modules()]
    hook = module.register_forward_hook(keep)
    model.eval()
    try:
        with torch.enable_grad():
            logits = model(x.detach().clone().requires_grad_())  # else a frozen net has no graph
    finally:
        hook.remove()
        for other, mode in modes:
            other.training = mode
    if not seen or not isinstance(seen[0], Tensor) or seen[0].dim() != 4:
        raise ValueError(f"layer {layer!r} gives no (N, C, H, W) maps")
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(_scores(logits, target).sum(), seen)
    return seen[0].detach(), slopes


def _scores(logits: Tensor, target: int | Tensor | None) -> Tensor:
    """Each image's logit of its target: (N, K) to (N,)."""
    images, classes = logits.shape
    if target is None:
        return logits.amax(1)
    targets = torch.as_tensor(target).expand(images)
    if targets.min() < 0 or targets.max() >= classes:
        raise ValueError(f"target is {target}, it must be in 0 to {classes - 1}")
    return logits[torch.arange(images), targets]


HINTS = [
    "An activation map says where a channel fires, for whatever class. What tells you whether "
    "the class cares for this channel at all? It should be one number a channel.",
    "A forward hook on the layer keeps its output A; torch.autograd.grad(score, A) gives the "
    "slopes, its mean over both axes of space the channel's number. In a frozen network A has a "
    "graph only if the image (a detached clone of x) requires a gradient. If the hook returns "
    "A.clone(), an in-place ReLU that follows writes into the copy.",
    "weights = slopes.mean((2, 3), keepdim=True); cams = (weights * A).sum(1, keepdim=True)"
    ".relu(); F.interpolate(cams, x.shape[2:], mode='bilinear', align_corners=False)[:, 0]; "
    "most = cams.amax((1, 2), keepdim=True); cams / torch.where(most > 0, most, 1.0).",
]


def _cam(model, layer, x, target, *, get=_maps_and_slopes, weigh=None, join=None, rectify=None,
         enlarge=None, scale=None):  # fmt: skip
    """The answer with one part exchanged."""
    maps, slopes = get(model, layer, x, target)
    weights = (weigh or (lambda slopes: slopes.mean((2, 3), keepdim=True)))(slopes)
    cams = (join or (lambda weights, maps: (weights * maps).sum(1, keepdim=True)))(weights, maps)
    cams = (rectify or torch.relu)(cams)
    return (scale or _to_one)((enlarge or _bilinear)(cams, x.shape[2:])[:, 0])


def _bilinear(cams, size):
    return F.interpolate(cams, size, mode="bilinear", align_corners=False)


def _to_one(cams, axes=(1, 2)):
    most = cams.amax(axes, keepdim=True)
    return cams / torch.where(most > 0, most, 1.0)


@right(grad_cam)
def image_by_image(model, layer, x, target=None):
    """Single images through a deep copy that backward() may fill, with loops over channels."""
    import copy

    names = {module: name for name, module in model.named_modules()}
    name = layer if isinstance(layer, str) else names.get(layer)
    twin, result = copy.deepcopy(model).eval(), []
    try:
        module = twin.get_submodule(name)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"no layer {layer}") from error
    for place, image in enumerate(x.detach()):
        slopes, values = [], []

        def keep(_module, _inputs, output, slopes=slopes, values=values):
            values.append(output.detach().clone())
            if output.requires_grad:
                output.register_hook(slopes.append)

        hook = module.register_forward_hook(keep)
        with torch.enable_grad():
            logits = twin((image[None] + 0).requires_grad_())[0]
            classes = [target] if isinstance(target, int) else target
            chosen = logits.argmax() if target is None else classes[min(place, len(classes) - 1)]
            if not values or values[0].dim() != 4 or not 0 <= int(chosen) < len(logits):
                raise ValueError("layer or target")
            logits[chosen].backward()
        hook.remove()
        cam = torch.zeros_like(values[-1][0, 0])
        for slope, value in zip(slopes[-1][0], values[-1][0], strict=True):
            cam += slope.sum() / slope.numel() * value
        cam = F.interpolate(cam.clamp(min=0)[None, None], x.shape[2:], mode="bilinear")[0, 0]
        result.append(cam / cam.max() if cam.max() > 0 else cam)
    return torch.stack(result)


@right(grad_cam)
def by_a_new_leaf(model, layer, x, target=None):
    """The hook puts a leaf of its own in the output's place: the graph begins at the layer."""
    leaves, modes = [], {module: module.training for module in model.modules()}
    for name, module in model.named_modules(remove_duplicate=False):
        if layer is module or layer == name:
            break
    else:
        raise ValueError(f"{layer} is not part of the model")

    def replace(_module, _inputs, output):
        if output.dim() != 4:
            raise ValueError("no maps")
        leaves.append(output.detach().clone().requires_grad_())
        return leaves[-1].clone()

    before = torch.is_grad_enabled()
    handle = module.register_forward_hook(replace)
    try:
        torch.set_grad_enabled(True)
        for other in modes:
            other.training = False
        logits = model(x.detach())
        if not leaves:
            raise ValueError("it never ran")
        classes = logits.shape[1]
        chosen = logits.argmax(1) if target is None else torch.as_tensor(target).reshape(-1)
        if (chosen < 0).any() or (chosen >= classes).any():
            raise ValueError(f"{target} of {classes}")
        one_hot = F.one_hot(chosen, classes).to(logits).expand_as(logits)
        slopes = torch.autograd.grad(logits, leaves[-1], one_hot)[0]
    finally:
        handle.remove()
        torch.set_grad_enabled(before)
        for other, mode in modes.items():
            other.training = mode
    cams = torch.einsum("nchw,nc->nhw", leaves[-1].detach(), slopes.flatten(2).sum(2))
    cams = nn.Upsample(tuple(x.shape[-2:]), mode="bilinear")(cams.clamp_min(0).unsqueeze(1))
    cams = cams.squeeze(1)
    return torch.nan_to_num(cams / cams.flatten(1).max(1).values[:, None, None])


@right(grad_cam)
def in_float64(model, layer, x, target=None):
    import copy

    named = {module: name for name, module in model.named_modules()}
    name = layer if isinstance(layer, str) else named.get(layer, "no such layer")
    twin = copy.deepcopy(model).double()
    return _cam(twin, name, x.double(), target).to(x.dtype)


@wrong(grad_cam)
def no_relu(model, layer, x, target=None):
    """there is no ReLU: what speaks against the class is left in, below zero"""
    return _cam(model, layer, x, target, rectify=lambda cams: cams)


@wrong(grad_cam)
def absolute(model, layer, x, target=None):
    """abs instead of ReLU: what speaks against the class counts as if it spoke for it"""
    return _cam(model, layer, x, target, rectify=torch.abs)


@wrong(grad_cam)
def relu_on_the_gradients(model, layer, x, target=None):
    """the gradients go through a ReLU before they are averaged"""
    return _cam(
        model, layer, x, target, weigh=lambda slopes: slopes.relu().mean((2, 3), keepdim=True)
    )


@wrong(grad_cam)
def relu_on_the_weights(model, layer, x, target=None):
    """the channels' weights go through a ReLU: those that speak against the class are left out"""
    return _cam(
        model, layer, x, target, weigh=lambda slopes: slopes.mean((2, 3), keepdim=True).relu()
    )


@wrong(grad_cam)
def relu_on_the_products(model, layer, x, target=None):
    """the ReLU comes before the channels are added up: they cannot cancel any more"""
    return _cam(
        model, layer, x, target,
        join=lambda weights, maps: (weights * maps).relu().sum(1, keepdim=True),
    )  # fmt: skip


@wrong(grad_cam)
def relu_on_the_maps(model, layer, x, target=None):
    """the layer's maps go through a ReLU before they are weighted"""
    return _cam(
        model, layer, x, target,
        join=lambda weights, maps: (weights * maps.relu()).sum(1, keepdim=True),
    )  # fmt: skip


@wrong(grad_cam)
def gradient_times_activation(model, layer, x, target=None):
    """each place is weighted by its own gradient: the mean over space is left out"""
    return _cam(model, layer, x, target, weigh=lambda slopes: slopes)


@wrong(grad_cam)
def largest_gradient(model, layer, x, target=None):
    """a channel's weight is the largest gradient of its places, not their mean"""
    return _cam(
        model, layer, x, target, weigh=lambda slopes: slopes.amax((2, 3), keepdim=True)
    )  # fmt: skip


@wrong(grad_cam)
def mean_over_the_batch(model, layer, x, target=None):
    """the weights are averaged over the batch too: all images share them"""
    return _cam(model, layer, x, target, weigh=lambda slopes: slopes.mean((0, 2, 3), keepdim=True))


@wrong(grad_cam)
def unweighted(model, layer, x, target=None):
    """the maps are added up without weights: what fires, whatever it means for the class"""
    return _cam(model, layer, x, target, join=lambda weights, maps: maps.sum(1, keepdim=True))


@wrong(grad_cam)
def gradients_only(model, layer, x, target=None):
    """only the gradients are added up: the layer's maps are left out"""
    return _cam(
        model, layer, x, target, weigh=lambda slopes: slopes,
        join=lambda slopes, maps: slopes.sum(1, keepdim=True),
    )  # fmt: skip


@wrong(grad_cam)
def not_enlarged(model, layer, x, target=None):
    """the map is left as small as the layer's maps are"""
    return _cam(model, layer, x, target, enlarge=lambda cams, size: cams)


@wrong(grad_cam)
def width_first(model, layer, x, target=None):
    """height and width are exchanged: it is enlarged to (W, H)"""
    return _cam(model, layer, x, target, enlarge=lambda cams, size: _bilinear(cams, size[::-1]))


@wrong(grad_cam)
def nearest(model, layer, x, target=None):
    """it is enlarged in blocks (nearest), not bilinearly"""
    return _cam(model, layer, x, target, enlarge=F.interpolate)


@wrong(grad_cam)
def corners_aligned(model, layer, x, target=None):
    """it is enlarged with align_corners=True"""
    return _cam(
        model, layer, x, target,
        enlarge=lambda c, size: F.interpolate(c, size, mode="bilinear", align_corners=True),
    )  # fmt: skip


@wrong(grad_cam)
def relu_after_enlarging(model, layer, x, target=None):
    """it is enlarged first, and the ReLU comes after: places below zero pull at those above"""
    return _cam(
        model, layer, x, target, rectify=lambda cams: cams,
        enlarge=lambda cams, size: _bilinear(cams, size).relu(),
    )  # fmt: skip


@wrong(grad_cam)
def divided_before_enlarging(model, layer, x, target=None):
    """the small map is divided by its maximum, before it is enlarged: then 1 may not be reached"""
    return _cam(
        model, layer, x, target, scale=lambda cams: cams,
        enlarge=lambda cams, size: _bilinear(_to_one(cams, (2, 3)), size),
    )  # fmt: skip


@wrong(grad_cam)
def not_divided(model, layer, x, target=None):
    """the map is not divided by its maximum"""
    return _cam(model, layer, x, target, scale=lambda cams: cams)


@wrong(grad_cam)
def one_scale_for_the_batch(model, layer, x, target=None):
    """all maps are divided by the largest value of the batch, not each by its own"""
    return _cam(model, layer, x, target, scale=lambda cams: _to_one(cams, (0, 1, 2)))


@wrong(grad_cam)
def stretched(model, layer, x, target=None):
    """the smallest value is taken off before dividing (min-max): the map's zero moves"""
    return _cam(
        model, layer, x, target, scale=lambda cams: _to_one(cams - cams.amin((1, 2), keepdim=True))
    )


@wrong(grad_cam)
def not_a_number(model, layer, x, target=None):
    """a map of zeros is divided by its maximum, which is 0: NaN"""
    return _cam(model, layer, x, target, scale=lambda cams: cams / cams.amax((1, 2), keepdim=True))


@wrong(grad_cam)
def with_an_eps(model, layer, x, target=None):
    """a small number is added to the maximum (1e-8): faint maps do not reach 1"""
    return _cam(
        model, layer, x, target, scale=lambda cams: cams / (cams.amax((1, 2), keepdim=True) + 1e-8)
    )


@wrong(grad_cam)
def only_the_first_image(model, layer, x, target=None):
    """only the first image's map is returned"""
    return grad_cam(model, layer, x, target)[:1]


@wrong(grad_cam)
def batch_axis_lost(model, layer, x, target=None):
    """of one image the batch axis is squeezed away"""
    return grad_cam(model, layer, x, target).squeeze(0)


@wrong(grad_cam)
def always_float32(model, layer, x, target=None):
    """the map is float32 whatever dtype x has"""
    return grad_cam(model, layer, x, target).float()


def _of(make_score):
    """A getter whose score is not the targets' logits."""

    def get(model, layer, x, target):
        def score(_module, _inputs, logits):
            return make_score(logits, target)

        _maps_and_slopes(model, layer, x, target)
        hook = model.register_forward_hook(score)
        try:
            return _maps_and_slopes(model, layer, x, 0)
        finally:
            hook.remove()

    return get


def _targets(logits, target):
    if target is None:
        return logits.argmax(1)
    return torch.as_tensor(target).expand(len(logits))


@wrong(grad_cam)
def probability(model, layer, x, target=None):
    """the gradient is that of the probability (after softmax), not of the logit"""
    get = _of(lambda z, t: z.softmax(1).gather(1, _targets(z, t)[:, None]))
    return _cam(model, layer, x, target, get=get)


@wrong(grad_cam)
def loss(model, layer, x, target=None):
    """the gradient is that of the loss, which falls where the class is seen"""
    get = _of(lambda z, t: F.cross_entropy(z, _targets(z, t), reduction="none")[:, None])
    return _cam(model, layer, x, target, get=get)


@wrong(grad_cam)
def all_classes(model, layer, x, target=None):
    """the logits of all classes are added up: the map does not belong to one class"""
    return _cam(model, layer, x, target, get=_of(lambda z, t: z.sum(1, keepdim=True)))


@wrong(grad_cam)
def target_not_used(model, layer, x, target=None):
    """the target is not used: the predicted class is explained"""
    return _cam(model, layer, x, target, get=_of(lambda z, t: z.amax(1, keepdim=True)))


@wrong(grad_cam)
def zero_is_no_target(model, layer, x, target=None):
    """target 0 is taken for no target (0 is false): the predicted class is explained"""
    return grad_cam(model, layer, x, None if isinstance(target, int) and not target else target)


@wrong(grad_cam)
def class_zero_without_a_target(model, layer, x, target=None):
    """without a target class 0 is explained, not the predicted one"""
    return grad_cam(model, layer, x, 0 if target is None else target)


@wrong(grad_cam)
def one_prediction_for_all(model, layer, x, target=None):
    """without a target one class is predicted for the whole batch, not one for each image"""
    if target is not None:
        return grad_cam(model, layer, x, target)
    return _cam(model, layer, x, None, get=_of(lambda z, t: z[:, z.sum(0).argmax()][:, None]))


@wrong(grad_cam)
def first_target_for_all(model, layer, x, target=None):
    """the first image's target is used for all images"""
    get = _of(lambda z, t: z.gather(1, _targets(z, t)[:1].expand(len(z))[:, None]))
    return _cam(model, layer, x, target, get=get)


def _after_what_follows(model, layer, x, target):
    """As _maps_and_slopes, but what follows in place writes into the kept tensor."""
    kept, maps = [], []
    module = dict(model.named_modules(remove_duplicate=False)).get(layer, layer)
    _maps_and_slopes(model, layer, x, target)
    modes = [(other, other.training) for other in model.modules()]
    hook = module.register_forward_hook(lambda _m, _i, output: kept.append(output))
    try:
        model.eval()
        with torch.enable_grad():
            logits = model(x.detach().clone().requires_grad_())
            maps = [kept[-1]]
            (slopes,) = torch.autograd.grad(_scores(logits, target).sum(), maps)
    finally:
        hook.remove()
        for other, mode in modes:
            other.training = mode
    return maps[0].detach(), slopes


@wrong(grad_cam)
def after_the_relu(model, layer, x, target=None):
    """maps and gradients are those after the in-place ReLU that follows the layer"""
    return _cam(model, layer, x, target, get=_after_what_follows)


@wrong(grad_cam)
def maps_not_copied(model, layer, x, target=None):
    """the maps are kept without a copy: the in-place ReLU that follows cuts them off"""

    def get(model, layer, x, target):
        slopes = _maps_and_slopes(model, layer, x, target)[1]
        return _after_what_follows(model, layer, x, target)[0], slopes

    return _cam(model, layer, x, target, get=get)


def _by_a_backward_hook(model, layer, x, target):
    """As tutorials do it, with a full backward hook on the layer itself."""
    _maps_and_slopes(model, layer, x, target)
    module, kept = dict(model.named_modules()).get(layer, layer), {}
    modes = [(other, other.training) for other in model.modules()]
    hooks = [
        module.register_forward_hook(lambda _m, _i, out: kept.update(maps=out.detach().clone())),
        module.register_full_backward_hook(lambda _m, _i, out: kept.update(slopes=out[0])),
    ]
    try:
        model.eval()
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_()
            torch.autograd.grad(_scores(model(leaf), target).sum(), leaf)
    finally:
        for hook in hooks:
            hook.remove()
        for other, mode in modes:
            other.training = mode
    return kept["maps"], kept["slopes"]


@wrong(grad_cam)
def by_a_backward_hook(model, layer, x, target=None):
    """the slopes come from a full backward hook: torch forbids one beside an in-place ReLU"""
    return _cam(model, layer, x, target, get=_by_a_backward_hook)


@wrong(grad_cam)
def last_convolution(model, layer, x, target=None):
    """the layer is not used: the model's last convolution is looked at"""
    _maps_and_slopes(model, layer, x, target)
    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return grad_cam(model, convs[-1], x, target)


@wrong(grad_cam)
def only_by_name(model, layer, x, target=None):
    """the layer is taken by its name only: a module is not accepted"""
    if isinstance(layer, nn.Module):
        raise AttributeError(f"{type(layer).__name__!r} object has no attribute 'split'")
    return grad_cam(model, layer, x, target)


@wrong(grad_cam)
def only_as_a_module(model, layer, x, target=None):
    """the layer is taken as a module only: a name is not accepted"""
    if isinstance(layer, str):
        raise AttributeError("'str' object has no attribute 'register_forward_hook'")
    return grad_cam(model, layer, x, target)


@wrong(grad_cam)
def only_children(model, layer, x, target=None):
    """only the model's direct children are looked through: dotted names are not found"""
    if isinstance(layer, str) and "." in layer:
        raise ValueError(f"no layer {layer}")
    return grad_cam(model, layer, x, target)


@wrong(grad_cam)
def needs_trainable_parameters(model, layer, x, target=None):
    """in a frozen model nothing requires a gradient: there is none to be had"""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise RuntimeError("element 0 of tensors does not require grad")
    return grad_cam(model, layer, x, target)


@wrong(grad_cam)
def gradients_must_be_on(model, layer, x, target=None):
    """where the caller has gradients off (no_grad), there is nothing to differentiate"""
    if not torch.is_grad_enabled():
        raise RuntimeError("element 0 of tensors does not require grad")
    return grad_cam(model, layer, x, target)


@wrong(grad_cam)
def gradients_left_on(model, layer, x, target=None):
    """torch's gradients are on after the call, also where the caller had them off"""
    got = grad_cam(model, layer, x, target)
    torch.set_grad_enabled(True)
    return got


@wrong(grad_cam)
def graph_kept(model, layer, x, target=None):
    """the map still hangs on a graph: it is not detached"""
    return grad_cam(model, layer, x, target).requires_grad_()


@wrong(grad_cam)
def backward_into_the_model(model, layer, x, target=None):
    """backward() fills the .grad of the model's parameters, which belong to the caller"""
    got = grad_cam(model, layer, x, target)
    for parameter in model.parameters():
        if parameter.requires_grad:
            ones = torch.ones_like(parameter)
            parameter.grad = ones if parameter.grad is None else parameter.grad + ones
    return got


@wrong(grad_cam)
def x_marked(model, layer, x, target=None):
    """x itself is marked with requires_grad_() and stays so"""
    got = grad_cam(model, layer, x, target)
    x.requires_grad_()
    return got


@wrong(grad_cam)
def mode_as_it_is(model, layer, x, target=None):
    """the model is not put into eval: dropout drops, and batch norm mixes the images"""

    def get(model, layer, x, target):
        modes = [(module, module.training) for module in model.modules()]

        def back(*_):
            for module, mode in modes:
                module.training = mode

        hook = model.register_forward_pre_hook(back)
        try:
            return _maps_and_slopes(model, layer, x, target)
        finally:
            hook.remove()

    return _cam(model, layer, x, target, get=get)


@wrong(grad_cam)
def eval_only_if_the_root_trains(model, layer, x, target=None):
    """only the root's mode is looked at: a part in train inside a model in eval stays in train"""
    how = grad_cam if model.training else mode_as_it_is
    return how(model, layer, x, target)


@wrong(grad_cam)
def left_in_eval(model, layer, x, target=None):
    """the model is left in eval"""
    got = grad_cam(model, layer, x, target)
    model.eval()
    return got


@wrong(grad_cam)
def mode_of_the_root(model, layer, x, target=None):
    """only the root's mode is remembered: train(mode) gives it to every submodule"""
    mode = model.training
    try:
        return grad_cam(model, layer, x, target)
    finally:
        model.train(mode)


def _module(model, layer):
    return dict(model.named_modules(remove_duplicate=False)).get(layer, layer)


@wrong(grad_cam)
def hook_left(model, layer, x, target=None):
    """the hook is not removed: it stays on the layer"""
    got = grad_cam(model, layer, x, target)
    _module(model, layer).register_forward_hook(lambda *_: None)
    return got


@wrong(grad_cam)
def callers_hooks_cleared(model, layer, x, target=None):
    """all hooks of the layer are cleared at the end, the caller's own too"""
    got = grad_cam(model, layer, x, target)
    _module(model, layer)._forward_hooks.clear()
    return got


@wrong(grad_cam)
def hook_left_after_an_exception(model, layer, x, target=None):
    """the hook is removed only if all goes well: after an exception in the model it stays"""
    try:
        return grad_cam(model, layer, x, target)
    except ArithmeticError:
        _module(model, layer).register_forward_hook(lambda *_: None)
        raise


@wrong(grad_cam)
def modes_not_back_after_an_exception(model, layer, x, target=None):
    """the modes come back only if all goes well: after an exception the model is left in eval"""
    try:
        return grad_cam(model, layer, x, target)
    except ArithmeticError:
        model.eval()
        raise


@wrong(grad_cam)
def traces_after_a_refusal(model, layer, x, target=None):
    """when target or layer is refused, the model is left in eval"""
    try:
        return grad_cam(model, layer, x, target)
    except ValueError:
        model.eval()
        raise


@wrong(grad_cam)
def from_the_end(model, layer, x, target=None):
    """a target of -1 counts from the end instead of being refused"""
    if target is not None:
        modes = [(module, module.training) for module in model.modules()]
        try:
            with torch.no_grad():
                classes = model.eval()(x).shape[1]
        finally:
            for module, mode in modes:
                module.training = mode
        target = torch.as_tensor(target)
        target = torch.where((target < 0) & (target >= -classes), target + classes, target)
    return grad_cam(model, layer, x, target)


@wrong(grad_cam)
def target_as_torch_says(model, layer, x, target=None):
    """the target's range is not looked at: torch's own error comes out, no ValueError"""
    try:
        return grad_cam(model, layer, x, target)
    except ValueError as error:
        raise (IndexError if "target" in str(error) else ValueError)(str(error)) from None


@wrong(grad_cam)
def only_an_int_is_checked(model, layer, x, target=None):
    """an int is looked at, a tensor of targets is not: it comes out as IndexError"""
    try:
        return grad_cam(model, layer, x, target)
    except ValueError as error:
        kind = IndexError if "target" in str(error) and isinstance(target, Tensor) else ValueError
        raise kind(str(error)) from None


@wrong(grad_cam)
def layer_as_python_says(model, layer, x, target=None):
    """the layer is not looked for in the model: Python's own error comes out, no ValueError"""
    try:
        return grad_cam(model, layer, x, target)
    except ValueError as error:
        raise (KeyError if "no layer" in str(error) else ValueError)(str(error)) from None


@wrong(grad_cam)
def maps_not_looked_at(model, layer, x, target=None):
    """what the layer gives is not looked at: torch's own error comes out, no ValueError"""
    try:
        return grad_cam(model, layer, x, target)
    except ValueError as error:
        raise (IndexError if "no (N" in str(error) else ValueError)(str(error)) from None


def _classifier(images, labels):
    """The shipped backbone, with a head that has learnt these shapes."""
    from data.shapes import pretrained_backbone

    backbone = pretrained_backbone()
    torch.default_generator.manual_seed(0)
    head = nn.Linear(backbone.num_features, int(labels.max()) + 1)
    with torch.no_grad():
        features = backbone(images)
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(head(features), labels).backward()
        optimizer.step()
    return nn.Sequential(backbone, head)


def show(answer):
    """Two shapes in one image: the same network, asked for the one class and for the other."""
    from matplotlib.figure import Figure

    from data.shapes import few_shot_images

    images, labels, names = few_shot_images()
    model = _classifier(images, labels)
    pairs = [(5, 182), (67, 122), (241, 10)]
    figure = Figure(figsize=(10.5, 5.4), layout="constrained")
    axes = figure.subplots(len(pairs), 3)
    for row, (left, right_) in zip(axes, pairs, strict=True):
        image = torch.cat([images[left], images[right_]], dim=2)  # (3, 32, 64)
        row[0].set_title(f"{names[labels[left]]} and {names[labels[right_]]}", fontsize=10)
        row[0].imshow(image.permute(1, 2, 0))
        for axis, target in zip(row[1:], (labels[left], labels[right_]), strict=True):
            heat = answer.grad_cam(model, "0.layer4", image[None], int(target))[0]
            axis.set_title(f"Grad-CAM for {names[target]}", fontsize=10)
            axis.imshow(image.mean(0), cmap="gray")
            drawn = axis.imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=0.65)
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
    figure.colorbar(drawn, ax=axes.ravel().tolist(), shrink=0.8, label="share of the map's maximum")
    return figure
