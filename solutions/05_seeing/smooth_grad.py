"""Saliency, averaged over noise: what only one exact image shows cancels out."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dojo import right, wrong


def smooth_grad(
    model: nn.Module, x: Tensor, target: int | Tensor | None, n: int, sigma: float,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Ask for the saliency of `n` noisy copies of each image, and show what they agree on.

    The slope of a network jumps from image to image, even between two that no eye can tell
    apart. So each image is copied n times, each copy gets fresh normal noise of standard
    deviation `sigma` (in the units of x, not a share of its range), on every pixel and channel,
    and the slopes of the target's logit are averaged with their signs: where they contradict
    each other they cancel. Only then it goes on as in `saliency_map`: of a pixel's channels the
    one whose averaged slope is largest in size speaks for it.

    Without a target it is the class predicted for the image without noise, for all its copies.
    All noise comes from `generator`, in any order. The model runs in eval and comes back as it
    was, also after an exception; it may be frozen, the caller may have gradients off, and `x` is
    neither marked nor given a `.grad`.

    Shapes:
        x: (N, C, H, W); the model gives logits (N, K); n: from 1 on; sigma: from 0 on
        target: one class for all images, or (N,) int64, one for each, or None
        returns: (N, H, W), of x's dtype, detached

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(3, 1, bias=False))
        >>> _ = model[1].weight.data.copy_(torch.tensor([[2.0, -7.0, 0.0]]))
        >>> smooth_grad(model, torch.ones(1, 1, 1, 3), 0, 4, 0.5, torch.Generator())
        tensor([[[2., 7., 0.]]])

    Raises:
        ValueError: n is below 1, sigma below 0, a target below 0 (-1 is no class) or not below K.
        whatever the model raises.

    Source: Smilkov et al., SmoothGrad: removing noise by adding noise, arXiv:1706.03825,
        section 3.
    """
    if n < 1:
        raise ValueError(f"n is {n}, it must be at least 1")
    if sigma < 0:
        raise ValueError(f"sigma is {sigma}, it must be at least 0")
    clean = x.detach()
    total = torch.zeros_like(clean)
    with _in_eval(model), torch.enable_grad():
        chosen = _targets(model(clean), target)
        for _ in range(n):
            noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
            leaf = (clean + sigma * noise).requires_grad_()
            score = model(leaf).gather(1, chosen).sum()
            total += torch.autograd.grad(score, leaf)[0]
    return (total / n).abs().amax(1)


@contextmanager
def _in_eval(model: nn.Module) -> Iterator[None]:
    """The model in eval, every submodule's own mode back at the end."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _targets(logits: Tensor, target: int | Tensor | None) -> Tensor:
    """(N, 1) indices of each image's class."""
    images, classes = logits.shape
    targets = logits.argmax(1) if target is None else torch.as_tensor(target).expand(images)
    if targets.min() < 0 or targets.max() >= classes:
        raise ValueError(f"target is {target}, it must be in 0 to {classes - 1}")
    return targets[:, None]


HINTS = [
    "Two copies have slopes of +3 and -3 at a pixel. What should the map show there, and what "
    "does it show if you take abs too early? For which image is the class predicted?",
    "Predict on the clean x first. Then, n times: fresh randn of x's shape from the generator, "
    "times sigma, added to a detached x; a leaf of your own; the gradient of the sum of the "
    "chosen logits by torch.autograd.grad. Keep the sum of the gradients with their signs.",
    "leaf = (clean + sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype))"
    ".requires_grad_(); total += torch.autograd.grad(model(leaf).gather(1, chosen).sum(), "
    "leaf)[0]; in the end (total / n).abs().amax(1). Use torch.enable_grad(), and put the modes "
    "back in a finally.",
]


def _slopes(model, x, target, n, sigma, generator, *, noise=None, score=None, choose=None,
            within=_in_eval, copies=None):  # fmt: skip
    """The signed slopes of all copies, (n, N, C, H, W), with one part exchanged."""
    if n < 1 or sigma < 0:
        raise ValueError("n or sigma")
    clean, slopes = x.detach(), []
    draw = noise or (lambda: sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype))
    with within(model), torch.enable_grad():
        chosen = _targets(model(clean), target)
        for _ in range(n if copies is None else copies):
            leaf = (clean + draw()).requires_grad_()
            logits = model(leaf)
            picked = choose(logits, chosen) if choose else chosen
            value = score(logits, picked) if score else logits.gather(1, picked)
            slopes.append(torch.autograd.grad(value.sum(), leaf)[0])
    return torch.stack(slopes)


def _map(slopes):
    return slopes.mean(0).abs().amax(1)


@right(smooth_grad)
def all_copies_at_once(model, x, target, n, sigma, generator):
    """One large batch of n * N noisy images."""
    if not (n >= 1 and sigma >= 0):
        raise ValueError(f"n {n}, sigma {sigma}")
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            logits = model(x.detach())
        chosen = logits.argmax(1) if target is None else torch.as_tensor(target).reshape(-1)
        if ((chosen < 0) | (chosen >= logits.shape[1])).any():
            raise ValueError(f"target {target}")
        chosen = chosen.expand(len(x)).repeat(n)
        many = x.detach().repeat(n, 1, 1, 1)
        many = many + torch.empty_like(many).normal_(0, 1, generator=generator) * sigma
        with torch.enable_grad():
            out = model(many.requires_grad_())
            grad = torch.autograd.grad(out[torch.arange(len(many)), chosen].sum(), many)[0]
    finally:
        for module, mode in modes.items():
            module.training = mode
    return grad.view(n, *x.shape).sum(0).div(n).abs().max(1).values


@right(smooth_grad)
def image_by_image(model, x, target, n, sigma, generator):
    """Single noisy images through a deep copy, whose .grad may be filled; a running mean."""
    import copy

    if n <= 0 or sigma < 0.0:
        raise ValueError("n or sigma")
    twin, maps = copy.deepcopy(model).eval(), []
    with torch.enable_grad():
        for place, image in enumerate(x.detach()):
            logits = twin(image[None])[0]
            chosen = logits.argmax() if target is None else torch.as_tensor(target).reshape(-1)
            if target is not None:
                chosen = chosen[place % len(chosen)]
            if not 0 <= int(chosen) < len(logits):
                raise ValueError(f"no class {int(chosen)}")
            mean = torch.zeros_like(image)
            for k in range(n):
                noise = torch.randn(image.shape, generator=generator).to(image)
                leaf = (image + sigma * noise)[None].requires_grad_()
                twin(leaf)[0, int(chosen)].backward()
                mean = mean + (leaf.grad[0] - mean) / (k + 1)
            maps.append(torch.maximum(mean, -mean).amax(0))
    return torch.stack(maps).detach()


@right(smooth_grad)
def in_float64(model, x, target, n, sigma, generator):
    import copy

    twin = copy.deepcopy(model).double()
    return _map(_slopes(twin, x.double(), target, n, sigma, generator)).to(x.dtype)


@wrong(smooth_grad)
def abs_before_the_mean(model, x, target, n, sigma, generator):
    """abs comes before the mean: slopes that contradict each other do not cancel"""
    return _slopes(model, x, target, n, sigma, generator).abs().mean(0).amax(1)


@wrong(smooth_grad)
def maps_averaged(model, x, target, n, sigma, generator):
    """finished saliency maps are averaged (abs and max first), not the signed slopes"""
    return _slopes(model, x, target, n, sigma, generator).abs().amax(2).mean(0)


@wrong(smooth_grad)
def squares_averaged(model, x, target, n, sigma, generator):
    """the slopes are squared before they are averaged"""
    return _slopes(model, x, target, n, sigma, generator).square().mean(0).amax(1)


@wrong(smooth_grad)
def added_up(model, x, target, n, sigma, generator):
    """the slopes are added up and not divided by n: more copies, larger maps"""
    return _slopes(model, x, target, n, sigma, generator).sum(0).abs().amax(1)


@wrong(smooth_grad)
def divided_by_one_less(model, x, target, n, sigma, generator):
    """the sum is divided by n - 1, not by n"""
    return _slopes(model, x, target, n, sigma, generator).sum(0).abs().amax(1) / max(n - 1, 1)


@wrong(smooth_grad)
def last_copy(model, x, target, n, sigma, generator):
    """only the last copy's slopes are kept"""
    return _map(_slopes(model, x, target, n, sigma, generator)[-1:])


@wrong(smooth_grad)
def median(model, x, target, n, sigma, generator):
    """the median of the copies is taken, not their mean"""
    return _slopes(model, x, target, n, sigma, generator).median(0).values.abs().amax(1)


@wrong(smooth_grad)
def one_copy(model, x, target, n, sigma, generator):
    """there is one noisy copy only, whatever n says"""
    return _map(_slopes(model, x, target, n, sigma, generator, copies=1))


@wrong(smooth_grad)
def one_copy_more(model, x, target, n, sigma, generator):
    """there is one copy too many"""
    return _map(_slopes(model, x, target, n, sigma, generator, copies=n + 1))


@wrong(smooth_grad)
def no_abs(model, x, target, n, sigma, generator):
    """the sign is left in (no abs): pixels that would lower the score do not count"""
    return _slopes(model, x, target, n, sigma, generator).mean(0).amax(1)


@wrong(smooth_grad)
def mean_over_channels(model, x, target, n, sigma, generator):
    """the channels are averaged: the largest in size should speak for the pixel"""
    return _slopes(model, x, target, n, sigma, generator).mean(0).abs().mean(1)


@wrong(smooth_grad)
def sum_over_channels(model, x, target, n, sigma, generator):
    """the channels are added up: the largest in size should speak for the pixel"""
    return _slopes(model, x, target, n, sigma, generator).mean(0).abs().sum(1)


@wrong(smooth_grad)
def channels_kept(model, x, target, n, sigma, generator):
    """the channels are still there: (N, C, H, W) instead of one number a pixel"""
    return _slopes(model, x, target, n, sigma, generator).mean(0).abs()


@wrong(smooth_grad)
def batch_axis_lost(model, x, target, n, sigma, generator):
    """of one image the batch axis is squeezed away"""
    return _map(_slopes(model, x, target, n, sigma, generator)).squeeze(0)


def _noisy(model, x, target, n, sigma, generator, noise):
    return _map(_slopes(model, x, target, n, sigma, generator, noise=noise))


@wrong(smooth_grad)
def no_noise(model, x, target, n, sigma, generator):
    """no noise is added: all copies are the image itself"""
    return _noisy(model, x, target, n, sigma, generator, lambda: torch.zeros_like(x))


@wrong(smooth_grad)
def noise_drawn_once(model, x, target, n, sigma, generator):
    """the noise is drawn once, before the loop: all copies get the same"""
    noise = sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return _noisy(model, x, target, n, sigma, generator, lambda: noise)


@wrong(smooth_grad)
def same_noise_for_all_images(model, x, target, n, sigma, generator):
    """all images of the batch get the same noise"""
    return _noisy(
        model, x, target, n, sigma, generator,
        lambda: sigma * torch.randn(x[:1].shape, generator=generator, dtype=x.dtype),
    )  # fmt: skip


@wrong(smooth_grad)
def same_noise_for_all_channels(model, x, target, n, sigma, generator):
    """all channels of an image get the same noise"""
    return _noisy(
        model, x, target, n, sigma, generator,
        lambda: sigma * torch.randn(x[:, :1].shape, generator=generator, dtype=x.dtype),
    )  # fmt: skip


@wrong(smooth_grad)
def one_number_an_image(model, x, target, n, sigma, generator):
    """one number is drawn for a whole image: all its pixels move together"""
    shape = (len(x), 1, 1, 1)
    return _noisy(
        model, x, target, n, sigma, generator,
        lambda: sigma * torch.randn(shape, generator=generator, dtype=x.dtype),
    )  # fmt: skip


@wrong(smooth_grad)
def noise_adds_up(model, x, target, n, sigma, generator):
    """each copy is made from the copy before: the noise adds up"""
    walk = torch.zeros_like(x.detach())
    return _noisy(
        model, x, target, n, sigma, generator,
        lambda: walk.add_(sigma * torch.randn(x.shape, generator=generator)).clone(),
    )  # fmt: skip


@wrong(smooth_grad)
def sigma_as_variance(model, x, target, n, sigma, generator):
    """sigma is taken for the variance: the noise has a deviation of its root"""
    return smooth_grad(model, x, target, n, sigma**0.5 if sigma > 0 else sigma, generator)


@wrong(smooth_grad)
def sigma_squared(model, x, target, n, sigma, generator):
    """the noise is multiplied by sigma twice"""
    return smooth_grad(model, x, target, n, sigma * abs(sigma), generator)


@wrong(smooth_grad)
def share_of_the_range(model, x, target, n, sigma, generator):
    """sigma is taken as a share of the range of x (max - min), not in its units"""
    spread = (x.max() - x.min()).item()
    return smooth_grad(model, x, target, n, sigma * (spread or 1.0), generator)


@wrong(smooth_grad)
def uniform_noise(model, x, target, n, sigma, generator):
    """the noise is uniform, not normal"""
    return _noisy(
        model, x, target, n, sigma, generator,
        lambda: sigma * 12**0.5 * (torch.rand(x.shape, generator=generator, dtype=x.dtype) - 0.5),
    )  # fmt: skip


@wrong(smooth_grad)
def one_sided_noise(model, x, target, n, sigma, generator):
    """the noise is never below 0: copies are only brighter"""
    return _noisy(
        model, x, target, n, sigma, generator,
        lambda: sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype).abs(),
    )  # fmt: skip


@wrong(smooth_grad)
def cut_to_the_images_range(model, x, target, n, sigma, generator):
    """the noisy copies are cut to the range 0 to 1"""
    clean = x.detach()
    return _noisy(
        model, x, target, n, sigma, generator,
        lambda: (clean + sigma * torch.randn(x.shape, generator=generator)).clamp(0, 1) - clean,
    )  # fmt: skip


@wrong(smooth_grad)
def noise_on_the_slopes(model, x, target, n, sigma, generator):
    """the noise is added to the slopes, not to the image"""
    slopes = _slopes(model, x, target, n, sigma, generator, noise=lambda: torch.zeros_like(x))
    return _map(slopes + sigma * torch.randn(slopes.shape, generator=generator))


@wrong(smooth_grad)
def global_generator(model, x, target, n, sigma, generator):
    """the noise comes from torch's global generator, not from the one handed in"""
    return _noisy(
        model, x, target, n, sigma, generator, lambda: sigma * torch.randn(x.shape, dtype=x.dtype)
    )


@wrong(smooth_grad)
def seeded_anew(model, x, target, n, sigma, generator):
    """the generator is seeded anew inside: every call draws the same noise"""
    return smooth_grad(model, x, target, n, sigma, generator.manual_seed(0))


@wrong(smooth_grad)
def predicted_anew(model, x, target, n, sigma, generator):
    """without a target each noisy copy is given its own prediction, not that of the clean image"""
    choose = (lambda logits, chosen: logits.argmax(1, keepdim=True)) if target is None else None
    return _map(_slopes(model, x, target, n, sigma, generator, choose=choose))


@wrong(smooth_grad)
def target_not_used(model, x, target, n, sigma, generator):
    """the target is not used: the predicted class is explained"""
    if isinstance(target, int) or target is not None:
        smooth_grad(model, x, target, 1, 0.0, generator)
    return smooth_grad(model, x, None, n, sigma, generator)


@wrong(smooth_grad)
def zero_is_no_target(model, x, target, n, sigma, generator):
    """target 0 is taken for no target (0 is false): the predicted class is explained"""
    target = None if isinstance(target, int) and not target else target
    return smooth_grad(model, x, target, n, sigma, generator)


@wrong(smooth_grad)
def class_zero_without_a_target(model, x, target, n, sigma, generator):
    """without a target class 0 is explained, not the predicted one"""
    return smooth_grad(model, x, 0 if target is None else target, n, sigma, generator)


@wrong(smooth_grad)
def first_target_for_all(model, x, target, n, sigma, generator):
    """the first image's target is used for all images"""
    choose = lambda logits, chosen: chosen[:1].expand_as(chosen)  # noqa: E731
    return _map(_slopes(model, x, target, n, sigma, generator, choose=choose))


@wrong(smooth_grad)
def probability(model, x, target, n, sigma, generator):
    """the slopes are those of the probability (after softmax), not of the logit"""
    score = lambda logits, chosen: logits.softmax(1).gather(1, chosen)  # noqa: E731
    return _map(_slopes(model, x, target, n, sigma, generator, score=score))


@wrong(smooth_grad)
def loss(model, x, target, n, sigma, generator):
    """the slopes are those of the loss (or log-probability), not of the logit"""
    score = lambda logits, chosen: logits.log_softmax(1).gather(1, chosen)  # noqa: E731
    return _map(_slopes(model, x, target, n, sigma, generator, score=score))


@contextmanager
def _as_it_is(model):
    yield


@wrong(smooth_grad)
def mode_as_it_is(model, x, target, n, sigma, generator):
    """the model is not put into eval: dropout drops, and batch norm mixes the images"""
    return _map(_slopes(model, x, target, n, sigma, generator, within=_as_it_is))


@wrong(smooth_grad)
def left_in_eval(model, x, target, n, sigma, generator):
    """the model is left in eval"""
    got = smooth_grad(model, x, target, n, sigma, generator)
    model.eval()
    return got


@wrong(smooth_grad)
def mode_of_the_root(model, x, target, n, sigma, generator):
    """only the root's mode is remembered: train(mode) gives it to every submodule"""
    mode = model.training
    try:
        return smooth_grad(model, x, target, n, sigma, generator)
    finally:
        model.train(mode)


@wrong(smooth_grad)
def modes_not_back_after_an_exception(model, x, target, n, sigma, generator):
    """the modes come back only if all goes well: after an exception the model is left in eval"""
    try:
        return smooth_grad(model, x, target, n, sigma, generator)
    except ArithmeticError:
        model.eval()
        raise


@wrong(smooth_grad)
def backward_into_the_model(model, x, target, n, sigma, generator):
    """backward() fills the .grad of the model's parameters, which belong to the caller"""
    got = smooth_grad(model, x, target, n, sigma, generator)
    for parameter in model.parameters():
        if parameter.requires_grad:
            ones = torch.ones_like(parameter)
            parameter.grad = ones if parameter.grad is None else parameter.grad + ones
    return got


@wrong(smooth_grad)
def x_marked(model, x, target, n, sigma, generator):
    """x itself is marked with requires_grad_() and stays so"""
    got = smooth_grad(model, x, target, n, sigma, generator)
    x.requires_grad_()
    return got


@wrong(smooth_grad)
def noise_written_into_x(model, x, target, n, sigma, generator):
    """the noise is added to x itself, in place"""
    got = smooth_grad(model, x, target, n, sigma, generator)
    x.data.add_(sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype))
    return got


@wrong(smooth_grad)
def graph_kept(model, x, target, n, sigma, generator):
    """the map still hangs on a graph: it is not detached"""
    return smooth_grad(model, x, target, n, sigma, generator).requires_grad_()


@wrong(smooth_grad)
def gradients_must_be_on(model, x, target, n, sigma, generator):
    """where the caller has gradients off (no_grad), there is nothing to differentiate"""
    if not torch.is_grad_enabled():
        raise RuntimeError("element 0 of tensors does not require grad")
    return smooth_grad(model, x, target, n, sigma, generator)


@wrong(smooth_grad)
def gradients_left_on(model, x, target, n, sigma, generator):
    """torch's gradients are on after the call, also where the caller had them off"""
    got = smooth_grad(model, x, target, n, sigma, generator)
    torch.set_grad_enabled(True)
    return got


@wrong(smooth_grad)
def always_float32(model, x, target, n, sigma, generator):
    """the map is float32 whatever dtype x has"""
    return smooth_grad(model, x, target, n, sigma, generator).float()


@wrong(smooth_grad)
def no_look_at_n(model, x, target, n, sigma, generator):
    """n below 1 is not refused: there is nothing to average"""
    if n < 1:
        return torch.full_like(x.detach()[:, 0], float("nan"))
    return smooth_grad(model, x, target, n, sigma, generator)


@wrong(smooth_grad)
def at_least_one_copy(model, x, target, n, sigma, generator):
    """n below 1 is taken for 1 instead of being refused"""
    return smooth_grad(model, x, target, max(n, 1), sigma, generator)


@wrong(smooth_grad)
def only_zero_copies_refused(model, x, target, n, sigma, generator):
    """n of 0 is refused, but not one below it"""
    return smooth_grad(model, x, target, abs(n), sigma, generator)


@wrong(smooth_grad)
def no_look_at_sigma(model, x, target, n, sigma, generator):
    """a sigma below 0 is not refused"""
    return smooth_grad(model, x, target, n, abs(sigma), generator)


@wrong(smooth_grad)
def sigma_of_zero_refused(model, x, target, n, sigma, generator):
    """a sigma of 0 is refused, though it is legal: no noise"""
    if sigma == 0:
        raise ValueError("sigma must be positive")
    return smooth_grad(model, x, target, n, sigma, generator)


@wrong(smooth_grad)
def from_the_end(model, x, target, n, sigma, generator):
    """a target of -1 counts from the end instead of being refused"""
    if target is not None:
        with _in_eval(model), torch.no_grad():
            classes = model(x).shape[1]
        target = torch.as_tensor(target)
        target = torch.where((target < 0) & (target >= -classes), target + classes, target)
    return smooth_grad(model, x, target, n, sigma, generator)


@wrong(smooth_grad)
def torchs_error(model, x, target, n, sigma, generator):
    """the target's range is not looked at: torch's own error comes out, no ValueError"""
    try:
        return smooth_grad(model, x, target, n, sigma, generator)
    except ValueError as error:
        raise (IndexError if "target" in str(error) else ValueError)(str(error)) from None


@wrong(smooth_grad)
def only_an_int_is_checked(model, x, target, n, sigma, generator):
    """an int is looked at, a tensor of targets is not: it comes out as IndexError"""
    try:
        return smooth_grad(model, x, target, n, sigma, generator)
    except ValueError as error:
        kind = IndexError if "target" in str(error) and isinstance(target, Tensor) else ValueError
        raise kind(str(error)) from None


@wrong(smooth_grad)
def at_most_fifty_copies(model, x, target, n, sigma, generator):
    """of more than 50 copies the rest is never made"""
    return smooth_grad(model, x, target, min(n, 50), sigma, generator)


@wrong(smooth_grad)
def mean_of_the_chunks_means(model, x, target, n, sigma, generator):
    """copies go in chunks of 8 whose means are averaged, as if the last chunk were full too"""
    slopes = _slopes(model, x, target, n, sigma, generator)
    return _map(torch.stack([chunk.mean(0) for chunk in slopes.split(8)]))


@wrong(smooth_grad)
def noise_mirrored(model, x, target, n, sigma, generator):
    """every second copy gets the noise of the copy before with its sign turned, no fresh one"""
    drawn = []

    def draw():
        fresh = sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        drawn.append(-drawn[-1] if len(drawn) % 2 else fresh)
        return drawn[-1]

    return _noisy(model, x, target, n, sigma, generator, draw)


@wrong(smooth_grad)
def noise_cut_at_three_sigma(model, x, target, n, sigma, generator):
    """noise beyond 3 sigma is cut off"""
    return _noisy(
        model, x, target, n, sigma, generator,
        lambda: sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype).clamp(-3, 3),
    )  # fmt: skip


@wrong(smooth_grad)
def float32_inside(model, x, target, n, sigma, generator):
    """the slopes are kept in float32, also of a float64 image: half of the digits are lost"""
    return smooth_grad(model, x, target, n, sigma, generator).float().to(x.dtype)


@wrong(smooth_grad)
def predicted_from_the_copies(model, x, target, n, sigma, generator):
    """without a target the class is predicted from a noisy copy, not from the clean image"""
    if target is None:
        noise = sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        with _in_eval(model), torch.no_grad():
            target = model(x + noise).argmax(1)
    return smooth_grad(model, x, target, n, sigma, generator)


@wrong(smooth_grad)
def predicted_before_eval(model, x, target, n, sigma, generator):
    """without a target the class is predicted before the model is put into eval"""
    if target is None:
        with torch.no_grad():
            target = model(x).argmax(1)
    return smooth_grad(model, x, target, n, sigma, generator)


@wrong(smooth_grad)
def largest_logit_in_size(model, x, target, n, sigma, generator):
    """without a target the class whose logit is largest in size is explained, be it far below 0"""
    if target is None:
        with _in_eval(model), torch.no_grad():
            target = model(x).abs().argmax(1)
    return smooth_grad(model, x, target, n, sigma, generator)


@wrong(smooth_grad)
def eval_if_the_root_trains(model, x, target, n, sigma, generator):
    """a model whose root is in eval is left as it is, though a part of it may be in train"""
    within = _in_eval if model.training else _as_it_is
    return _map(_slopes(model, x, target, n, sigma, generator, within=within))


@contextmanager
def _known_layers_in_eval(model):
    with _in_eval(model):
        model.train()
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.Dropout)):
                module.eval()
        yield


@wrong(smooth_grad)
def only_known_layers_in_eval(model, x, target, n, sigma, generator):
    """only batch norm and dropout are put into eval, no other layer that minds its mode"""
    return _map(_slopes(model, x, target, n, sigma, generator, within=_known_layers_in_eval))


@wrong(smooth_grad)
def modes_not_back_after_a_copy_fails(model, x, target, n, sigma, generator):
    """only the prediction is made in a try: where a noisy copy fails the model is left in eval"""
    with _in_eval(model), torch.no_grad():
        model(x)
    try:
        return smooth_grad(model, x, target, n, sigma, generator)
    except ArithmeticError:
        model.eval()
        raise


@wrong(smooth_grad)
def eval_before_the_refusals(model, x, target, n, sigma, generator):
    """an n or sigma that is refused leaves the model in eval"""
    if n < 1 or sigma < 0:
        model.eval()
    return smooth_grad(model, x, target, n, sigma, generator)


@wrong(smooth_grad)
def requires_grad_of_the_first(model, x, target, n, sigma, generator):
    """all parameters get the requires_grad of the first one back, not each its own"""
    first = next(model.parameters()).requires_grad
    got = smooth_grad(model, x, target, n, sigma, generator)
    model.requires_grad_(first)
    return got


@wrong(smooth_grad)
def noise_needs_gradients_on(model, x, target, n, sigma, generator):
    """where the caller has gradients off, only a sigma of 0 works"""
    if sigma > 0 and not torch.is_grad_enabled():
        raise RuntimeError("element 0 of tensors does not require grad")
    return smooth_grad(model, x, target, n, sigma, generator)


@wrong(smooth_grad)
def no_look_at_n_without_noise(model, x, target, n, sigma, generator):
    """where sigma is 0 the number of copies is not looked at: n below 1 is not refused"""
    return smooth_grad(model, x, target, n if sigma else 1, sigma, generator)


@wrong(smooth_grad)
def only_the_last_target_is_checked(model, x, target, n, sigma, generator):
    """of several targets only the last is looked at for being below 0"""
    if isinstance(target, Tensor) and target.dim() and target[-1] >= 0 > target.min():
        raise IndexError("index -1 is out of bounds")
    return smooth_grad(model, x, target, n, sigma, generator)


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
    """The same shapes without noise, and averaged over 40 noisy copies."""
    from data.shapes import few_shot_images
    from dojo.pictures import signed_maps

    images, labels, names = few_shot_images()
    model = _classifier(images, labels)
    chosen = torch.tensor([2, 75, 184])
    kinds = [names[label] for label in labels[chosen]]
    sources = dict(zip(kinds, images[chosen].mean(1), strict=True))
    maps = {}
    for n, sigma in ((1, 0.0), (40, 0.1)):
        generator = torch.Generator().manual_seed(0)
        each = answer.smooth_grad(model, images[chosen], labels[chosen], n, sigma, generator)
        each = each / each.amax((1, 2), keepdim=True).clamp(min=1e-12)
        maps |= {f"{k}: n = {n}, sigma = {sigma}": m for k, m in zip(kinds, each, strict=True)}
    return signed_maps(sources, maps)
