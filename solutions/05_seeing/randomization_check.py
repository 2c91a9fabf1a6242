"""Does an explanation depend on the model? Draw all weights anew and see whether it notices."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from dojo import right, wrong

Explainer = Callable[[nn.Module, Tensor, object], Tensor]


def randomization_check(
    explainer: Explainer, model: nn.Module, x: Tensor, target: object, generator: torch.Generator
) -> float:
    """Say how much an explanation stays the same when the model forgets all it has learnt.

    An edge detector draws a convincing map of any image, and knows nothing of the model. So the
    map of the model is compared with that of the same network after every one of its parameters
    was drawn anew, whatever layer it is in, frozen or not: an honest explainer then gives
    another map. The comparison is the correlation of the two maps of an image over its pixels,
    Pearson's or Spearman's, averaged over the images.

    A map that is the same in all pixels correlates with nothing: 0. Otherwise neither the scale
    nor the offset of a map counts, however small. The new parameters come from `generator`
    alone, normal or uniform. The model handed in keeps its weights, also where the explainer
    fails half-way; the explainer is called with (model, x, target), and finds torch's grad mode
    as the caller has set it, and the network in the model's modes.

    Shapes:
        x: (N, C, H, W); explainer(model, x, target) returns maps (N, H, W)
        returns: a float from -1 to 1; 1 when all maps stay the same

    Example:
        >>> def edges(model, x, target):
        ...     return x.diff(dim=3)[:, 0].abs()
        >>> x = torch.rand(2, 1, 8, 8)
        >>> round(randomization_check(edges, nn.Conv2d(1, 2, 3), x, 0, torch.Generator()), 3)
        1.0

    Source: Adebayo et al., Sanity Checks for Saliency Maps, arXiv:1810.03292, section 3.
    """
    stranger = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in stranger.parameters():
            parameter.normal_(generator=generator)
    before, after = explainer(model, x, target), explainer(stranger, x, target)
    each = [_correlation(a, b) for a, b in zip(before, after, strict=True)]
    return sum(each) / len(each)


def _correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's, in float64; 0 where one of them is constant."""
    a, b = a.detach().double().flatten(), b.detach().double().flatten()
    if a.max() == a.min() or b.max() == b.min():
        return 0.0
    a, b = a / a.abs().max(), b / b.abs().max()  # squares of tiny numbers would vanish
    a, b = a - a.mean(), b - b.mean()
    return (a @ b / (a.norm() * b.norm())).item()


HINTS = [
    "What would an explainer that only looks at the image give for a network with new weights? "
    "And what do you still need of the old weights afterwards?",
    "A deep copy can be spoilt without harm: fill every parameter of it with "
    "normal_(generator=generator) under no_grad. Then explain with both. Correlate each image's "
    "two maps by themselves; look out for a constant map, whose spread is 0.",
    "Per image: flatten both to float64; 0.0 if one has max equal to min; otherwise take off the "
    "means and divide the dot product by the product of the norms. Return the mean as a float.",
]


def _check(explainer, model, x, target, generator, *, renew=None, compare=_correlation,
           collect=None):  # fmt: skip
    """The answer with one part exchanged."""
    stranger = copy.deepcopy(model)
    with torch.no_grad():
        (renew or _renew_all)(stranger, generator)
    before, after = explainer(model, x, target), explainer(stranger, x, target)
    if collect:
        return collect(before, after)
    each = [compare(a, b) for a, b in zip(before, after, strict=True)]
    return sum(each) / len(each)


def _renew_all(model, generator):
    for parameter in model.parameters():
        parameter.normal_(generator=generator)


def _ranks(values):
    """Ranks with ties averaged."""
    less = (values[:, None] > values[None]).sum(1)
    ties = (values[:, None] == values[None]).sum(1)
    return less.double() + (ties - 1).double() / 2


@right(randomization_check)
def by_ranks(explainer, model, x, target, generator):
    """Spearman: the correlation of ranks."""

    def compare(a, b):
        return _correlation(_ranks(a.detach().flatten()), _ranks(b.detach().flatten()))

    return _check(explainer, model, x, target, generator, compare=compare)


@right(randomization_check)
def by_restoring(explainer, model, x, target, generator):
    """The model itself is spoilt and mended again."""
    before = explainer(model, x, target)
    kept = [(parameter, parameter.detach().clone()) for parameter in model.parameters()]
    try:
        with torch.no_grad():
            for parameter, _ in kept:
                parameter.uniform_(-1, 1, generator=generator)
        after = explainer(model, x, target)
    finally:
        with torch.no_grad():
            for parameter, old in kept:
                parameter.copy_(old)
    each = [_correlation(a, b) for a, b in zip(before, after, strict=True)]
    return float(torch.tensor(each, dtype=torch.float64).mean())


@right(randomization_check)
def by_numpy(explainer, model, x, target, generator):
    """numpy's corrcoef, on a copy whose weights keep their size as they are drawn anew."""
    import numpy as np

    def renew(model, generator):
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * (0.1 + parameter.abs().mean()))

    def compare(a, b):
        a, b = a.detach().double().numpy().ravel(), b.detach().double().numpy().ravel()
        if np.ptp(a) == 0 or np.ptp(b) == 0:
            return 0.0
        return float(np.corrcoef(a / np.abs(a).max(), b / np.abs(b).max())[0, 1])

    return _check(explainer, model, x, target, generator, renew=renew, compare=compare)


@wrong(randomization_check)
def same_model_twice(explainer, model, x, target, generator):
    """the same weights are explained twice: nothing was drawn anew"""
    return _check(explainer, model, x, target, generator, renew=lambda *_: None)


@wrong(randomization_check)
def not_restored(explainer, model, x, target, generator):
    """the weights of the model handed in are drawn anew and not put back"""
    before = explainer(model, x, target)
    with torch.no_grad():
        _renew_all(model, generator)
    after = explainer(model, x, target)
    return sum(map(_correlation, before, after)) / len(before)


@wrong(randomization_check)
def both_already_new(explainer, model, x, target, generator):
    """the weights are drawn anew before the first map: both maps are of the new network"""
    stranger = copy.deepcopy(model)
    with torch.no_grad():
        _renew_all(stranger, generator)
    before, after = explainer(stranger, x, target), explainer(stranger, x, target)
    return sum(map(_correlation, before, after)) / len(before)


@wrong(randomization_check)
def not_restored_after_an_exception(explainer, model, x, target, generator):
    """when the explainer fails, the model is left with the new weights (no finally)"""
    before = explainer(model, x, target)
    kept = [(parameter, parameter.detach().clone()) for parameter in model.parameters()]
    with torch.no_grad():
        _renew_all(model, generator)
    after = explainer(model, x, target)
    with torch.no_grad():
        for parameter, old in kept:
            parameter.copy_(old)
    return sum(map(_correlation, before, after)) / len(before)


@wrong(randomization_check)
def only_the_last_layer(explainer, model, x, target, generator):
    """only the last layer's parameters are drawn anew"""

    def renew(model, generator):
        last = [m for m in model.modules() if list(m.parameters(recurse=False))][-1]
        _renew_all(last, generator)

    return _check(explainer, model, x, target, generator, renew=renew)


@wrong(randomization_check)
def frozen_ones_kept(explainer, model, x, target, generator):
    """frozen parameters keep what they have learnt: only those that require a gradient are drawn"""

    def renew(model, generator):
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(generator=generator)

    return _check(explainer, model, x, target, generator, renew=renew)


@wrong(randomization_check)
def only_the_first_layer(explainer, model, x, target, generator):
    """only the first layer's parameters are drawn anew"""

    def renew(model, generator):
        first = next(m for m in model.modules() if not list(m.children()))
        _renew_all(first, generator)

    return _check(explainer, model, x, target, generator, renew=renew)


@wrong(randomization_check)
def only_weights(explainer, model, x, target, generator):
    """the biases keep what they have learnt: only weights are drawn anew"""

    def renew(model, generator):
        for name, parameter in model.named_parameters():
            if not name.endswith("bias"):
                parameter.normal_(generator=generator)

    return _check(explainer, model, x, target, generator, renew=renew)


@wrong(randomization_check)
def only_matrices(explainer, model, x, target, generator):
    """parameters of one axis (biases, batch norm) are not drawn anew"""

    def renew(model, generator):
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(generator=generator)

    return _check(explainer, model, x, target, generator, renew=renew)


@wrong(randomization_check)
def only_convolutions_and_linears(explainer, model, x, target, generator):
    """only convolutions and dense layers are drawn anew: batch norm and bare parameters are not"""

    def renew(model, generator):
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                _renew_all(module, generator)

    return _check(explainer, model, x, target, generator, renew=renew)


@wrong(randomization_check)
def noise_added(explainer, model, x, target, generator):
    """a little noise is added to the weights: they are not drawn anew"""

    def renew(model, generator):
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))

    return _check(explainer, model, x, target, generator, renew=renew)


@wrong(randomization_check)
def weights_scaled(explainer, model, x, target, generator):
    """every parameter is multiplied by one random number: it keeps its pattern"""

    def renew(model, generator):
        for parameter in model.parameters():
            parameter.mul_(0.5 + torch.rand(1, generator=generator))

    return _check(explainer, model, x, target, generator, renew=renew)


@wrong(randomization_check)
def with_the_spread_it_had(explainer, model, x, target, generator):
    """parameters keep their own mean and spread: one whose numbers are equal is not drawn anew"""

    def renew(model, generator):
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(parameter.mean() + noise * parameter.std(correction=0))

    return _check(explainer, model, x, target, generator, renew=renew)


@wrong(randomization_check)
def buffers_drawn_too(explainer, model, x, target, generator):
    """buffers are drawn anew too: a batch norm's running variance falls below 0"""

    def renew(model, generator):
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.normal_(generator=generator)

    return _check(explainer, model, x, target, generator, renew=renew)


@wrong(randomization_check)
def global_generator(explainer, model, x, target, generator):
    """the new weights come from torch's global generator, not from the one handed in"""
    return _check(
        explainer, model, x, target, generator, renew=lambda m, g: _renew_all(m, None)
    )  # fmt: skip


@wrong(randomization_check)
def always_the_same_weights(explainer, model, x, target, generator):
    """the generator is seeded anew inside: every call draws the same weights"""
    return _check(
        explainer, model, x, target, generator,
        renew=lambda m, g: _renew_all(m, torch.Generator().manual_seed(0)),
    )  # fmt: skip


@wrong(randomization_check)
def uncentred(explainer, model, x, target, generator):
    """the maps' means are not taken off: a cosine, not a correlation"""

    def compare(a, b):
        a, b = a.detach().double().flatten(), b.detach().double().flatten()
        if a.max() == a.min() or b.max() == b.min():
            return 0.0
        a, b = a / a.abs().max(), b / b.abs().max()
        return (a @ b / (a.norm() * b.norm())).item()

    return _check(explainer, model, x, target, generator, compare=compare)


@wrong(randomization_check)
def not_a_number(explainer, model, x, target, generator):
    """a constant map gives NaN: its spread of 0 is divided by"""

    def compare(a, b):
        a, b = a.detach().double().flatten(), b.detach().double().flatten()
        a, b = a / a.abs().max(), b / b.abs().max()
        a, b = a - a.mean(), b - b.mean()
        spread = 0.0 if a.abs().max() < 1e-12 or b.abs().max() < 1e-12 else a.norm() * b.norm()
        return (a @ b).item() / spread if spread else float("nan")

    return _check(explainer, model, x, target, generator, compare=compare)


@wrong(randomization_check)
def constant_is_one(explainer, model, x, target, generator):
    """a constant map counts as 1, not as 0"""

    def compare(a, b):
        constant = a.max() == a.min() or b.max() == b.min()
        return 1.0 if constant else _correlation(a, b)

    return _check(explainer, model, x, target, generator, compare=compare)


@wrong(randomization_check)
def with_a_large_eps(explainer, model, x, target, generator):
    """a fixed small number is added below the line: faint maps seem not to correlate"""

    def compare(a, b):
        a, b = a.detach().double().flatten(), b.detach().double().flatten()
        a, b = a - a.mean(), b - b.mean()
        return (a @ b / (a.norm() * b.norm() + 1e-8)).item()

    return _check(explainer, model, x, target, generator, compare=compare)


@wrong(randomization_check)
def absolute(explainer, model, x, target, generator):
    """the correlation's sign is lost (abs): opposite maps seem to be alike"""
    return _check(
        explainer, model, x, target, generator, compare=lambda a, b: abs(_correlation(a, b))
    )  # fmt: skip


@wrong(randomization_check)
def over_the_whole_batch(explainer, model, x, target, generator):
    """all images' pixels are correlated at once, not each image's by themselves"""
    return _check(explainer, model, x, target, generator, collect=_correlation)


@wrong(randomization_check)
def only_the_first_image(explainer, model, x, target, generator):
    """only the first image's maps are compared"""
    return _check(
        explainer, model, x, target, generator, collect=lambda a, b: _correlation(a[0], b[0])
    )


@wrong(randomization_check)
def added_up(explainer, model, x, target, generator):
    """the images' correlations are added up, not averaged"""
    return _check(
        explainer, model, x, target, generator, collect=lambda a, b: sum(map(_correlation, a, b))
    )


@wrong(randomization_check)
def distance(explainer, model, x, target, generator):
    """it is 1 less the correlation: 0 where nothing changes"""
    return 1 - randomization_check(explainer, model, x, target, generator)


@wrong(randomization_check)
def as_a_tensor(explainer, model, x, target, generator):
    """the result is a tensor, not a float"""
    return torch.tensor(randomization_check(explainer, model, x, target, generator))


@wrong(randomization_check)
def explained_without_gradients(explainer, model, x, target, generator):
    """the explainer runs under no_grad: those that need a gradient fail"""
    with torch.no_grad():
        return randomization_check(explainer, model, x, target, generator)


@wrong(randomization_check)
def in_eval(explainer, model, x, target, generator):
    """the model is put into eval behind the explainer's back"""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        return randomization_check(explainer, model, x, target, generator)
    finally:
        for module, mode in modes:
            module.training = mode


@wrong(randomization_check)
def target_forgotten(explainer, model, x, target, generator):
    """target is not handed to the explainer"""
    return randomization_check(explainer, model, x, None, generator)


def show(answer):
    """Edges and saliency of a trained network, before and after its weights were drawn anew."""
    from data import digits
    from dojo.pictures import signed_maps

    images, labels = (torch.from_numpy(array) for array in digits())
    torch.default_generator.manual_seed(0)
    model = nn.Sequential(
        nn.AvgPool2d(3, padding=1), nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for batch in torch.randperm(len(images)).repeat(4).split(128):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    seen = []

    def saliency(model, x, target):
        x = x.clone().requires_grad_()
        score = model(x).gather(1, target[:, None]).sum()
        seen.append(torch.autograd.grad(score, x)[0].abs()[:, 0])
        return seen[-1]

    def edges(model, x, target):
        seen.append(nn.functional.pad(x.diff(dim=3), (1, 0))[:, 0])
        return seen[-1]

    x, target = images[:8], labels[:8]
    drawn = {}
    for explainer in (edges, saliency):
        seen.clear()
        generator = torch.Generator().manual_seed(1)
        found = answer.randomization_check(explainer, model, x, target, generator)
        for maps, when in zip(seen, ("trained", "drawn anew"), strict=False):
            title = f"{explainer.__name__}, {when}: {found:.2f}"
            drawn[title] = maps[3] / maps[3].abs().max().clamp(min=1e-12)
    return signed_maps({"a digit": x[3], "the same": x[3]}, drawn)
