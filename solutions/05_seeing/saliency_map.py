"""Which pixels move the score? The gradient, not of the weights, but of the image."""

import torch
from torch import Tensor, nn

from dojo import right, wrong


def saliency_map(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Say for every pixel how strongly the class's score reacts when the pixel is changed.

    The score is the logit, the number before any softmax: a sure network's probabilities
    hardly move any more, its logits do. Brighter or darker, either counts alike, and of a
    pixel's channels the one that reacts most speaks for it. The numbers are left as they are,
    on no scale of their own. Nothing is learnt here: it is the image that is asked about.

    The model runs in eval and comes back as it was, also after an exception: each submodule's
    mode, all numbers, `requires_grad`, `.grad` and hooks. It may be frozen, and the caller may
    have gradients switched off. `x` is neither marked nor given a `.grad`.

    Shapes:
        x: (N, C, H, W); the model gives logits (N, K)
        target: one class for all images, or (N,) int64, one for each, or None: the class
            that the model predicts for each image
        returns: (N, H, W), of x's dtype, detached

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(3, 1, bias=False))
        >>> _ = model[1].weight.data.copy_(torch.tensor([[2.0, -7.0, 0.0]]))
        >>> saliency_map(model, torch.ones(1, 1, 1, 3))
        tensor([[[2., 7., 0.]]])

    Raises:
        ValueError: a target is below 0 (-1 is no class) or not below K.
        whatever the model raises.

    Source: Simonyan, Vedaldi & Zisserman, Deep Inside Convolutional Networks,
        arXiv:1312.6034, section 3.
    """
    leaf = x.detach().clone().requires_grad_()
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.enable_grad():
            score = _scores(model(leaf), target).sum()  # images do not touch each other in eval
            (slope,) = torch.autograd.grad(score, leaf)
    finally:
        for module, mode in modes:
            module.training = mode
    return slope.abs().amax(1)


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
    "In training, loss.backward() tells how the loss changes with each weight. What do you have "
    "to differentiate here, and by what? Which number stands for the class?",
    "A detached clone of x with requires_grad_() is a leaf of your own. In eval the images of a "
    "batch do not touch each other: the sum of their chosen logits has, for each image, just its "
    "own gradient. torch.autograd.grad(score, leaf) leaves every .grad alone; "
    "torch.enable_grad() helps where the caller is under no_grad.",
    "score = logits[torch.arange(N), targets].sum(); (slope,) = torch.autograd.grad(score, leaf); "
    "the result is slope.abs().amax(1). Each module's mode goes back in a finally.",
]


def _map(model, x, target, *, score=None, pixel=None, evaluate=True, restore=True, leaf=None):
    """The answer with one part exchanged."""
    leaf = x.detach().clone().requires_grad_() if leaf is None else leaf
    modes = [(module, module.training) for module in model.modules()]
    try:
        if evaluate:
            model.eval()
        with torch.enable_grad():
            logits = model(leaf)
            total = (score or (lambda logits, t: _scores(logits, t).sum()))(logits, target)
            (slope,) = torch.autograd.grad(total, leaf)
    finally:
        for module, mode in modes if restore else []:
            module.training = mode
    return (pixel or (lambda slope: slope.abs().amax(1)))(slope).detach()


@right(saliency_map)
def image_by_image(model, x, target=None):
    """Single images through a deep copy, whose .grad may be filled by backward()."""
    import copy

    twin, maps = copy.deepcopy(model).eval(), []
    for place, image in enumerate(x.detach()):
        leaf = image[None].clone().requires_grad_(True)
        with torch.enable_grad():
            logits = twin(leaf)[0]
            chosen = logits.argmax() if target is None else torch.as_tensor(target).reshape(-1)
            if target is not None:
                chosen = int(chosen[place if len(chosen) > 1 else 0])
                if chosen not in range(len(logits)):
                    raise ValueError(f"no class {chosen}")
            logits[chosen].backward()
        maps.append(torch.maximum(leaf.grad, -leaf.grad).max(dim=1).values)
    return torch.cat(maps)


@right(saliency_map)
def by_a_weighted_backward(model, x, target=None):
    """The logits are driven back with a one-hot; x itself is marked for a moment."""
    modes = {module: module.training for module in model.modules()}
    before, kept = x.requires_grad, torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    try:
        for module in modes:
            module.training = False
        logits = model(x.requires_grad_(True))
        classes = logits.shape[1]
        chosen = logits.argmax(1) if target is None else target
        chosen = torch.as_tensor(chosen).reshape(-1).expand(len(x))
        if ((chosen < 0) | (chosen > classes - 1)).any():
            raise ValueError(f"{target} is not in [0, {classes})")
        one_hot = nn.functional.one_hot(chosen, classes).to(logits)
        slope = torch.autograd.grad(logits, x, one_hot)[0]
    finally:
        x.requires_grad_(before)
        torch.set_grad_enabled(kept)
        for module, mode in modes.items():
            module.training = mode
    return torch.stack([channel.abs() for channel in slope.unbind(1)]).max(0)[0]


@right(saliency_map)
def by_torch_func(model, x, target=None):
    """torch.func: the gradient of a function of one image, and the model called functionally."""
    from torch.func import functional_call, grad

    modes = [(module, module.training) for module in model.modules()]
    tensors = {n: v.detach() for n, v in (*model.named_parameters(), *model.named_buffers())}
    try:
        model.eval()
        with torch.no_grad():
            logits = functional_call(model, tensors, (x.detach(),))
        chosen = logits.argmax(1).tolist() if target is None else target
        chosen = chosen.tolist() if isinstance(chosen, Tensor) else chosen
        chosen = chosen if isinstance(chosen, list) else [chosen] * len(x)
        if min(chosen) < 0 or max(chosen) >= logits.shape[1]:
            raise ValueError("no such class")

        def score(image, place):
            return functional_call(model, tensors, (image[None],))[0, place]

        with torch.enable_grad():
            slopes = [grad(score)(i, c) for i, c in zip(x.detach(), chosen, strict=True)]
    finally:
        for module, mode in modes:
            module.training = mode
    return torch.linalg.vector_norm(torch.stack(slopes), ord=float("inf"), dim=1)


@wrong(saliency_map)
def no_abs(model, x, target=None):
    """the sign is left in (no abs): pixels that would lower the score do not count"""
    return _map(model, x, target, pixel=lambda slope: slope.amax(1))


@wrong(saliency_map)
def abs_after_the_max(model, x, target=None):
    """abs comes after the max over the channels, not before"""
    return _map(model, x, target, pixel=lambda slope: slope.amax(1).abs())


@wrong(saliency_map)
def mean_over_channels(model, x, target=None):
    """the channels are averaged: the one that reacts most should speak for the pixel"""
    return _map(model, x, target, pixel=lambda slope: slope.abs().mean(1))


@wrong(saliency_map)
def sum_over_channels(model, x, target=None):
    """the channels are added up: the one that reacts most should speak for the pixel"""
    return _map(model, x, target, pixel=lambda slope: slope.abs().sum(1))


@wrong(saliency_map)
def signed_sum(model, x, target=None):
    """the channels are added up with their signs, and abs comes after: they cancel"""
    return _map(model, x, target, pixel=lambda slope: slope.sum(1).abs())


@wrong(saliency_map)
def norm_over_channels(model, x, target=None):
    """the channels are joined by their norm (root of the sum of squares), not by the max"""
    return _map(model, x, target, pixel=lambda slope: slope.norm(dim=1))


@wrong(saliency_map)
def squared(model, x, target=None):
    """the gradient is squared instead of taking its abs"""
    return _map(model, x, target, pixel=lambda slope: slope.square().amax(1))


@wrong(saliency_map)
def first_channel(model, x, target=None):
    """only the first channel is looked at"""
    return _map(model, x, target, pixel=lambda slope: slope[:, 0].abs())


@wrong(saliency_map)
def last_channel(model, x, target=None):
    """only the last channel is looked at"""
    return _map(model, x, target, pixel=lambda slope: slope[:, -1].abs())


@wrong(saliency_map)
def channels_kept(model, x, target=None):
    """the channels are still there: (N, C, H, W) instead of one number a pixel"""
    return _map(model, x, target, pixel=lambda slope: slope.abs())


@wrong(saliency_map)
def channel_axis_kept(model, x, target=None):
    """the channel axis is kept with length 1: (N, 1, H, W) instead of (N, H, W)"""
    return _map(model, x, target, pixel=lambda slope: slope.abs().amax(1, keepdim=True))


@wrong(saliency_map)
def batch_axis_lost(model, x, target=None):
    """axes of length 1 are squeezed away: of one image the batch axis is lost"""
    return _map(model, x, target, pixel=lambda slope: slope.abs().amax(1).squeeze())


@wrong(saliency_map)
def over_the_batch(model, x, target=None):
    """the max goes over the batch axis, not over the channels"""
    return _map(model, x, target, pixel=lambda slope: slope.abs().amax(0))


@wrong(saliency_map)
def width_first(model, x, target=None):
    """rows and columns are exchanged: (N, W, H)"""
    return _map(model, x, target, pixel=lambda slope: slope.abs().amax(1).transpose(1, 2))


@wrong(saliency_map)
def times_the_image(model, x, target=None):
    """the gradient is multiplied with the image"""
    return _map(model, x, target, pixel=lambda slope: (slope * x).abs().amax(1))


@wrong(saliency_map)
def scaled_to_one(model, x, target=None):
    """each map is divided by its maximum: the maps' strengths can no longer be compared"""

    def pixel(slope):
        maps = slope.abs().amax(1)
        return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-30)

    return _map(model, x, target, pixel=pixel)


@wrong(saliency_map)
def probability(model, x, target=None):
    """the gradient is that of the probability (after softmax), not of the logit"""
    return _map(model, x, target, score=lambda logits, t: _chosen(logits.softmax(1), logits, t))


def _chosen(values, logits, target):
    """The sum of the values at the targets, which are looked for in the logits."""
    _scores(logits, target)
    target = logits.argmax(1) if target is None else torch.as_tensor(target).expand(len(logits))
    return values[torch.arange(len(values)), target].sum()


@wrong(saliency_map)
def loss(model, x, target=None):
    """the gradient is that of the loss, averaged over the batch, not that of the logit"""
    return _map(
        model, x, target,
        score=lambda logits, t: -_chosen(logits.log_softmax(1), logits, t) / len(logits),
    )  # fmt: skip


@wrong(saliency_map)
def log_probability(model, x, target=None):
    """the gradient is that of the log-probability (or summed loss), not of the logit"""
    return _map(model, x, target, score=lambda logits, t: _chosen(logits.log_softmax(1), logits, t))


@wrong(saliency_map)
def mean_of_the_batch(model, x, target=None):
    """the logits are averaged over the batch: in a batch of N every map is N times too faint"""
    return _map(model, x, target, score=lambda logits, t: _scores(logits, t).mean())


@wrong(saliency_map)
def first_image_only(model, x, target=None):
    """only the first image's logit is differentiated: the maps of all others are 0"""
    return _map(model, x, target, score=lambda logits, t: _scores(logits, t)[0])


@wrong(saliency_map)
def all_classes(model, x, target=None):
    """the logits of all classes are added up: the map does not belong to one class"""
    return _map(
        model, x, target, score=lambda logits, t: 0 * _scores(logits, t).sum() + logits.sum()
    )


@wrong(saliency_map)
def all_without_a_target(model, x, target=None):
    """without a target all logits are added up: that of the predicted class is wanted"""
    score = (lambda logits, t: logits.sum()) if target is None else None
    return _map(model, x, target, score=score)


@wrong(saliency_map)
def class_zero_without_a_target(model, x, target=None):
    """without a target class 0 is explained, not the predicted one"""
    return saliency_map(model, x, 0 if target is None else target)


@wrong(saliency_map)
def one_prediction_for_all(model, x, target=None):
    """without a target one class is predicted for the whole batch, not one for each image"""
    score = (lambda logits, t: logits[:, logits.sum(0).argmax()].sum()) if target is None else None
    return _map(model, x, target, score=score)


@wrong(saliency_map)
def predicted_by_size(model, x, target=None):
    """without a target the logit that is largest in size (abs) is explained, not the largest"""
    score = None
    if target is None:
        score = lambda logits, t: _scores(logits, logits.abs().argmax(1)).sum()  # noqa: E731
    return _map(model, x, target, score=score)


@wrong(saliency_map)
def target_not_used(model, x, target=None):
    """the target is not used: the predicted class is explained"""
    return _map(
        model, x, target,
        score=lambda logits, t: 0 * _scores(logits, t).sum() + _scores(logits, None).sum(),
    )  # fmt: skip


@wrong(saliency_map)
def zero_is_no_target(model, x, target=None):
    """target 0 is taken for no target (0 is false): the predicted class is explained"""
    return saliency_map(model, x, None if isinstance(target, int) and not target else target)


@wrong(saliency_map)
def first_target_for_all(model, x, target=None):
    """the first image's target is used for all images"""
    first = target
    if isinstance(target, Tensor):
        first = target[:1].expand(len(target)) if target.min() >= 0 and target.max() < 4 else target
    return saliency_map(model, x, first)


@wrong(saliency_map)
def all_targets_for_each(model, x, target=None):
    """logits[:, targets] takes the targets of all images for each image"""
    return _map(
        model, x, target,
        score=lambda logits, t: 0 * _scores(logits, t).sum() + (
            logits[:, t] if isinstance(t, Tensor) else _scores(logits, t)
        ).sum(),
    )  # fmt: skip


@wrong(saliency_map)
def mode_as_it_is(model, x, target=None):
    """the model is not put into eval: dropout drops, and batch norm mixes the images"""
    return _map(model, x, target, evaluate=False)


@wrong(saliency_map)
def eval_only_if_the_root_trains(model, x, target=None):
    """only the root's mode is looked at: a part in train inside a model in eval stays in train"""
    return _map(model, x, target, evaluate=model.training)


@wrong(saliency_map)
def predicted_as_it_is(model, x, target=None):
    """without a target the class is predicted before the model is put into eval"""
    if target is None:
        with torch.no_grad():
            target = model(x).argmax(1)
    return saliency_map(model, x, target)


@wrong(saliency_map)
def left_in_eval(model, x, target=None):
    """the model is left in eval"""
    return _map(model, x, target, restore=False)


@wrong(saliency_map)
def mode_of_the_root(model, x, target=None):
    """only the root's mode is remembered: train(mode) gives it to every submodule"""
    mode = model.training
    try:
        return _map(model, x, target)
    finally:
        model.train(mode)


@wrong(saliency_map)
def modes_not_back_after_an_exception(model, x, target=None):
    """the modes come back only if all goes well: after an exception the model is left in eval"""
    try:
        return saliency_map(model, x, target)
    except ValueError:
        raise
    except Exception:
        model.eval()
        raise


@wrong(saliency_map)
def modes_not_back_after_a_refusal(model, x, target=None):
    """when the target is refused, the model is left in eval"""
    try:
        return saliency_map(model, x, target)
    except ValueError:
        model.eval()
        raise


@wrong(saliency_map)
def backward_into_the_model(model, x, target=None):
    """backward() fills the .grad of the model's parameters, which belong to the caller"""

    def score(logits, t):
        total = _scores(logits, t).sum()
        if any(parameter.requires_grad for parameter in model.parameters()):
            total.backward(inputs=[p for p in model.parameters() if p.requires_grad],
                           retain_graph=True)  # fmt: skip
        return total

    return _map(model, x, target, score=score)


@wrong(saliency_map)
def gradients_cleared(model, x, target=None):
    """zero_grad() throws away the .grad of the model's parameters, which belong to the caller"""
    got = saliency_map(model, x, target)
    model.zero_grad()
    return got


@wrong(saliency_map)
def x_marked(model, x, target=None):
    """x itself is marked with requires_grad_() and stays so"""
    got = saliency_map(model, x, target)
    x.requires_grad_()
    return got


@wrong(saliency_map)
def x_given_a_grad(model, x, target=None):
    """backward() adds to the .grad of x, which belongs to the caller"""
    if x.requires_grad:
        with torch.enable_grad():
            modes = [(module, module.training) for module in model.modules()]
            model.eval()
            _scores(model(x), target).sum().backward(inputs=[x])
            for module, mode in modes:
                module.training = mode
    return saliency_map(model, x, target)


_TOTAL = {}


@wrong(saliency_map)
def accumulates(model, x, target=None):
    """the gradient of the call before is still there: asked again, the map is twice as strong"""

    def pixel(slope):
        key = (id(model), x.data_ptr())
        before = _TOTAL.get(key)
        fits = before is not None and before.shape == slope.shape
        _TOTAL.clear()
        _TOTAL[key] = slope + before if fits else slope
        return _TOTAL[key].abs().amax(1)

    return _map(model, x, target, pixel=pixel)


@wrong(saliency_map)
def graph_kept(model, x, target=None):
    """the map still hangs on a graph: it is not detached"""
    return saliency_map(model, x, target).requires_grad_()


@wrong(saliency_map)
def gradients_must_be_on(model, x, target=None):
    """where the caller has gradients off (no_grad), there is nothing to differentiate"""
    if not torch.is_grad_enabled():
        raise RuntimeError("element 0 of tensors does not require grad")
    return saliency_map(model, x, target)


@wrong(saliency_map)
def gradients_left_on(model, x, target=None):
    """torch's gradients are on after the call, also where the caller had them off"""
    got = saliency_map(model, x, target)
    torch.set_grad_enabled(True)
    return got


@wrong(saliency_map)
def always_float32(model, x, target=None):
    """the map is float32 whatever dtype x has"""
    return saliency_map(model, x, target).float()


@wrong(saliency_map)
def from_the_end(model, x, target=None):
    """a target of -1 counts from the end instead of being refused"""

    def score(logits, t):
        if t is not None:
            t = torch.as_tensor(t)
            t = torch.where(t < 0, t + logits.shape[1], t)
        return _scores(logits, t).sum()

    return _map(model, x, target, score=score)


@wrong(saliency_map)
def clamped(model, x, target=None):
    """a target out of range is moved to the nearest class instead of being refused"""

    def score(logits, t):
        t = t if t is None else torch.as_tensor(t).clamp(0, logits.shape[1] - 1)
        return _scores(logits, t).sum()

    return _map(model, x, target, score=score)


@wrong(saliency_map)
def torchs_error(model, x, target=None):
    """the target's range is not looked at: torch's own error comes out, no ValueError"""
    try:
        return saliency_map(model, x, target)
    except ValueError as error:
        raise IndexError(str(error)) from None


@wrong(saliency_map)
def only_an_int_is_checked(model, x, target=None):
    """an int is looked at, a tensor of targets is not: it comes out as IndexError"""
    try:
        return saliency_map(model, x, target)
    except ValueError as error:
        if isinstance(target, Tensor):
            raise IndexError(str(error)) from None
        raise


@wrong(saliency_map)
def only_the_first_target_is_checked(model, x, target=None):
    """only the first image's target is looked at: one out of range further back goes through"""
    if isinstance(target, Tensor):
        saliency_map(model, x, target[:1].expand(len(target)))
        with torch.no_grad():
            modes = [(module, module.training) for module in model.modules()]
            classes = model.eval()(x).shape[1]
            for module, mode in modes:
                module.training = mode
        target = target % classes
    return saliency_map(model, x, target)


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
        nn.functional.cross_entropy(head(features), labels).backward()
        optimizer.step()
    return nn.Sequential(backbone, head)


def show(answer):
    """Shapes that a pretrained network has learnt to tell apart, and the pixels it reacts to."""
    from data.shapes import few_shot_images
    from dojo.pictures import signed_maps

    images, labels, names = few_shot_images()
    model = _classifier(images, labels)
    chosen = torch.tensor([2, 75, 184])
    maps = answer.saliency_map(model, images[chosen], labels[chosen])
    kinds = [names[label] for label in labels[chosen]]
    sources = dict(zip(kinds, images[chosen].mean(1), strict=True))
    titles = [f"{kind}: |d logit / d x|" for kind in kinds]
    return signed_maps(sources, dict(zip(titles, maps, strict=True)))
