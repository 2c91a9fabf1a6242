"""Cover a part of the image and watch the score: what was it worth?"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import torch
from torch import Tensor, nn

from dojo import right, wrong

Pair = int | tuple[int, int]


def occlusion_map(
    model: nn.Module, x: Tensor, target: int | Tensor | None, window: Pair, stride: Pair,
    fill: float = 0.0,
) -> Tensor:  # fmt: skip
    """Measure how far the target's logit falls when a window of the image is covered.

    A window moves over the image. It begins at row and column 0, then at every multiple of the
    stride that still lies inside; where it hangs over the border it is cut. Each time all
    channels below it are set to `fill`, everything else stays, and the logit is compared with
    the one of the whole image. A cell of the map holds the mean of these drops over all windows
    that covered it, and 0 where none did. A drop below 0 says that covering helped.

    The target is one class for all images, one for each, or None for the class that the model
    predicts for the whole image; it is not chosen anew when a part is covered. The model runs
    in eval and comes back as it was, also after an exception.

    Shapes:
        x: (N, C, H, W), float32 or float64; target: int, (N,) int64, or None
        window, stride: an int or a pair (vertical, horizontal), from 1 on
        returns: (N, H, W) of x's dtype, detached, in units of the logits

    Example:
        >>> model = nn.Sequential(nn.AvgPool2d(4), nn.Flatten())
        >>> occlusion_map(model, torch.ones(1, 1, 4, 4), 0, window=2, stride=2)[0, 0]
        tensor([0.2500, 0.2500, 0.2500, 0.2500])

    Raises:
        ValueError: a target that is no class of the model (-1 is none); window or stride below
            1.

    Source: Zeiler & Fergus, Visualizing and Understanding Convolutional Networks,
        arXiv:1311.2901, section 4.2.
    """
    (height, width), (down, across) = _pair(window, "window"), _pair(stride, "stride")
    with _in_eval(model), torch.no_grad():
        logits = model(x)
        chosen = _targets(logits, target)
        score = logits.gather(1, chosen)[:, 0]
        drops, covered = x.new_zeros(len(x), *x.shape[2:]), x.new_zeros(x.shape[2:])
        for top, left in product(range(0, x.shape[2], down), range(0, x.shape[3], across)):
            place = (..., slice(top, top + height), slice(left, left + width))
            hidden = x.clone()
            hidden[place] = fill
            drop = score - model(hidden).gather(1, chosen)[:, 0]
            drops[place] += drop[:, None, None]
            covered[place] += 1
    return drops / covered.clamp(min=1)


def _pair(value: Pair, name: str) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if min(pair) < 1:
        raise ValueError(f"{name} is {value}, it must be at least 1")
    return pair


def _targets(logits: Tensor, target: int | Tensor | None) -> Tensor:
    """One class index an image, (N, 1)."""
    if target is None:
        return logits.argmax(1, keepdim=True)
    chosen = torch.as_tensor(target).expand(len(logits))[:, None]
    if chosen.min() < 0 or chosen.max() >= logits.shape[1]:
        raise ValueError(f"target is {target}, the model has classes 0 to {logits.shape[1] - 1}")
    return chosen


@contextmanager
def _in_eval(model: nn.Module) -> Iterator[None]:
    """Eval for a while; afterwards each submodule is in its own mode again."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


HINTS = [
    "The class is chosen once, from the whole image. Which places does the window take, and what "
    "does a slice do that reaches beyond the end?",
    "Two sheets: one collects the drops of all windows that cover a cell, the other counts them. "
    "Cover a copy of x each time, in all channels. Divide at the end, and mind the cells that no "
    "window covered.",
    "for top in range(0, H, down), for left in range(0, W, across): hidden = x.clone(), "
    "hidden[..., top:top + height, left:left + width] = fill, drop = score - model(hidden)'s "
    "logit of the chosen class; add drop to the same cells of the one sheet and 1 to the other.",
]


def _map(model, x, target, window, stride, fill, *, tops=None, score_of=None, cover=None,
         finish=None, choose=_targets, mode=_in_eval):  # fmt: skip
    """The answer with one part exchanged."""
    (height, width), (down, across) = _pair(window, "window"), _pair(stride, "stride")
    score_of = score_of or (lambda logits, chosen: logits.gather(1, chosen)[:, 0])
    tops = tops or (lambda size, step, window: range(0, size, step))
    with mode(model), torch.no_grad():
        logits = model(x)
        chosen = choose(logits, target)
        score = score_of(logits, chosen)
        drops, covered = x.new_zeros(len(x), *x.shape[2:]), x.new_zeros(x.shape[2:])
        for top, left in product(tops(x.shape[2], down, height), tops(x.shape[3], across, width)):
            place = (..., slice(top, top + height), slice(left, left + width))
            hidden = x.clone()
            if cover:
                cover(hidden, place)
            else:
                hidden[place] = fill
            drop = score - score_of(model(hidden), chosen)
            drops[place] += drop[:, None, None]
            covered[place] += 1
    return finish(drops, covered) if finish else drops / covered.clamp(min=1)


@right(occlusion_map)
def by_one_large_batch(model, x, target, window, stride, fill=0.0):
    """All covered copies go through the model together, masked by multiplication."""
    (height, width), (down, across) = _pair(window, "window"), _pair(stride, "stride")
    masks = []
    for top, left in product(range(0, x.shape[2], down), range(0, x.shape[3], across)):
        mask = torch.zeros(x.shape[2:], dtype=x.dtype)
        mask[top : top + height, left : left + width] = 1
        masks.append(mask)
    masks = torch.stack(masks)
    with _in_eval(model), torch.no_grad():
        logits = model(x)
        chosen = _targets(logits, target)
        copies = torch.where(masks[:, None, None] > 0, torch.as_tensor(fill, dtype=x.dtype), x)
        covered = model(copies.flatten(0, 1)).unflatten(0, copies.shape[:2])
        drops = logits.gather(1, chosen)[:, 0] - torch.stack(
            [each.gather(1, chosen)[:, 0] for each in covered]
        )
    count = masks.sum(0)
    total = torch.einsum("pn,phw->nhw", drops, masks)
    return torch.where(count > 0, total / count.clamp(min=1), 0.0)


@right(occlusion_map)
def image_by_image(model, x, target, window, stride, fill=0.0):
    """Each image by itself, each cell from the list of its windows; sums in float64."""
    (height, width), (down, across) = _pair(window, "window"), _pair(stride, "stride")
    with _in_eval(model), torch.no_grad():
        chosen = _targets(model(x), target)[:, 0].tolist()
        result = torch.zeros(len(x), *x.shape[2:], dtype=torch.float64)
        for n, k in enumerate(chosen):
            image, lists = x[n : n + 1], {}
            whole = model(image)[0, k].item()
            for top in range(0, x.shape[2], down):
                for left in range(0, x.shape[3], across):
                    hidden = image.clone()
                    hidden[:, :, top : top + height, left : left + width] = fill
                    drop = whole - model(hidden)[0, k].item()
                    rows = range(top, min(top + height, x.shape[2]))
                    for cell in product(rows, range(left, min(left + width, x.shape[3]))):
                        lists.setdefault(cell, []).append(drop)
            for (row, column), drops in lists.items():
                result[n, row, column] = sum(drops) / len(drops)
    return result.to(x.dtype)


@right(occlusion_map)
def on_a_copy_of_the_model(model, x, target, window, stride, fill=0.0):
    import copy

    twin = copy.deepcopy(model).eval()
    return occlusion_map(twin, x.detach(), target, window, stride, fill=fill)


@wrong(occlusion_map)
def sign_turned(model, x, target, window, stride, fill=0.0):
    """it is the rise of the logit, not its drop: the sign is turned around"""
    return -occlusion_map(model, x, target, window, stride, fill)


@wrong(occlusion_map)
def magnitude(model, x, target, window, stride, fill=0.0):
    """the drop's sign is lost (abs)"""
    return _map(
        model, x, target, window, stride, fill,
        finish=lambda drops, covered: (drops / covered.clamp(min=1)).abs(),
    )  # fmt: skip


@wrong(occlusion_map)
def never_below_zero(model, x, target, window, stride, fill=0.0):
    """drops below 0 are cut off"""
    return occlusion_map(model, x, target, window, stride, fill).clamp(min=0)


@wrong(occlusion_map)
def summed(model, x, target, window, stride, fill=0.0):
    """the drops of all windows over a cell are added up, not averaged"""
    return _map(model, x, target, window, stride, fill, finish=lambda drops, covered: drops)


@wrong(occlusion_map)
def last_window(model, x, target, window, stride, fill=0.0):
    """a cell holds the drop of the last window over it, not the mean of all"""
    (height, width), (down, across) = _pair(window, "window"), _pair(stride, "stride")
    with _in_eval(model), torch.no_grad():
        logits = model(x)
        chosen = _targets(logits, target)
        score, result = logits.gather(1, chosen)[:, 0], x.new_zeros(len(x), *x.shape[2:])
        for top, left in product(range(0, x.shape[2], down), range(0, x.shape[3], across)):
            place = (..., slice(top, top + height), slice(left, left + width))
            hidden = x.clone()
            hidden[place] = fill
            result[place] = (score - model(hidden).gather(1, chosen)[:, 0])[:, None, None]
    return result


@wrong(occlusion_map)
def not_a_number(model, x, target, window, stride, fill=0.0):
    """cells that no window covers are NaN: 0 divided by 0"""
    return _map(
        model, x, target, window, stride, fill, finish=lambda drops, covered: drops / covered
    )


@wrong(occlusion_map)
def whole_windows_only(model, x, target, window, stride, fill=0.0):
    """windows that hang over the border are left out: the edges are missed"""
    return _map(
        model, x, target, window, stride, fill,
        tops=lambda size, step, window: range(0, max(size - window, 0) + 1, step),
    )  # fmt: skip


@wrong(occlusion_map)
def pushed_back(model, x, target, window, stride, fill=0.0):
    """windows at the border are pushed back inside, not cut"""

    def tops(size, step, window):
        return [max(0, min(top, size - window)) for top in range(0, size, step)]

    return _map(model, x, target, window, stride, fill, tops=tops)


@wrong(occlusion_map)
def stride_of_the_window(model, x, target, window, stride, fill=0.0):
    """stride is not used: the window moves by its own size"""
    _pair(stride, "stride")
    return occlusion_map(model, x, target, window, window, fill)


@wrong(occlusion_map)
def pairs_turned(model, x, target, window, stride, fill=0.0):
    """pairs are taken for (horizontal, vertical)"""
    turned = [value if isinstance(value, int) else value[::-1] for value in (window, stride)]
    return occlusion_map(model, x, target, *turned, fill)


@wrong(occlusion_map)
def first_of_the_pair(model, x, target, window, stride, fill=0.0):
    """only the first number of a pair is used"""
    for value, name in ((window, "window"), (stride, "stride")):
        _pair(value, name)
    first = [value if isinstance(value, int) else value[0] for value in (window, stride)]
    return occlusion_map(model, x, target, *first, fill)


@wrong(occlusion_map)
def always_zero(model, x, target, window, stride, fill=0.0):
    """fill is not used: the window is always 0"""
    return occlusion_map(model, x, target, window, stride, 0.0)


@wrong(occlusion_map)
def fill_added(model, x, target, window, stride, fill=0.0):
    """fill is added to the covered pixels instead of taking their place"""

    def cover(hidden, place):
        hidden[place] += fill

    return _map(model, x, target, window, stride, fill, cover=cover)


@wrong(occlusion_map)
def first_channel_only(model, x, target, window, stride, fill=0.0):
    """only the first channel is covered"""

    def cover(hidden, place):
        hidden[:, 0][place] = fill

    return _map(model, x, target, window, stride, fill, cover=cover)


@wrong(occlusion_map)
def written_into_x(model, x, target, window, stride, fill=0.0):
    """x itself is covered, and stays covered"""
    result = occlusion_map(model, x, target, window, stride, fill)
    x.detach()[..., :1, :1] = fill + 1
    return result


@wrong(occlusion_map)
def covered_ever_more(model, x, target, window, stride, fill=0.0):
    """windows are never uncovered: each one is laid over all those before"""
    before = []

    def cover(hidden, place):
        before.append(place)
        for each in before:
            hidden[each] = fill

    return _map(model, x, target, window, stride, fill, cover=cover)


@wrong(occlusion_map)
def of_probabilities(model, x, target, window, stride, fill=0.0):
    """the probability's drop is measured (softmax), not the logit's"""
    return _map(
        model, x, target, window, stride, fill,
        score_of=lambda logits, chosen: logits.softmax(1).gather(1, chosen)[:, 0],
    )  # fmt: skip


@wrong(occlusion_map)
def relative(model, x, target, window, stride, fill=0.0):
    """the drop is divided by the logit of the whole image"""
    with _in_eval(model), torch.no_grad():
        logits = model(x)
        score = logits.gather(1, _targets(logits, target))[:, :, None]
    return occlusion_map(model, x, target, window, stride, fill) / score


@wrong(occlusion_map)
def chosen_anew(model, x, target, window, stride, fill=0.0):
    """with target None the class is chosen anew for every covered image"""

    def score_of(logits, chosen):
        return logits.amax(1) if target is None else logits.gather(1, chosen)[:, 0]

    return _map(model, x, target, window, stride, fill, score_of=score_of)


@wrong(occlusion_map)
def one_class_for_the_batch(model, x, target, window, stride, fill=0.0):
    """all images get the first one's target"""

    def choose(logits, target):
        return _targets(logits, target)[:1].expand(len(logits), 1)

    return _map(model, x, target, window, stride, fill, choose=choose)


@wrong(occlusion_map)
def mean_over_the_batch(model, x, target, window, stride, fill=0.0):
    """every image gets the mean map of the batch"""
    result = occlusion_map(model, x, target, window, stride, fill)
    return result.mean(0, keepdim=True).expand_as(result).clone()


@wrong(occlusion_map)
def target_from_the_end(model, x, target, window, stride, fill=0.0):
    """a target below 0 counts from the end instead of being refused"""

    def choose(logits, target):
        if target is not None:
            target = torch.as_tensor(target)
            target = torch.where(target < 0, target + logits.shape[1], target)
        return _targets(logits, target)

    return _map(model, x, target, window, stride, fill, choose=choose)


@wrong(occlusion_map)
def torchs_errors(model, x, target, window, stride, fill=0.0):
    """target, window and stride are not looked at: other errors than ValueError come out"""
    try:
        return occlusion_map(model, x, target, window, stride, fill)
    except ValueError as error:
        raise IndexError(str(error)) from None


@contextmanager
def _as_it_is(model):
    yield


@wrong(occlusion_map)
def mode_as_it_is(model, x, target, window, stride, fill=0.0):
    """the model is not put into eval"""
    return _map(model, x, target, window, stride, fill, mode=_as_it_is)


@wrong(occlusion_map)
def eval_only_if_the_root_trains(model, x, target, window, stride, fill=0.0):
    """only the root's mode is looked at: a part in train inside a model in eval stays in train"""
    if model.training:
        return occlusion_map(model, x, target, window, stride, fill)
    return mode_as_it_is(model, x, target, window, stride, fill)


@wrong(occlusion_map)
def predicted_as_it_is(model, x, target, window, stride, fill=0.0):
    """without a target the class is predicted before the model is put into eval"""
    if target is None:
        with torch.no_grad():
            target = model(x).argmax(1)
    return occlusion_map(model, x, target, window, stride, fill)


@wrong(occlusion_map)
def left_in_eval_when_refused(model, x, target, window, stride, fill=0.0):
    """when the target is refused, the model is left in eval"""
    return _in_eval_after(ValueError, model, x, target, window, stride, fill)


def _in_eval_after(error, model, *more):
    try:
        return occlusion_map(model, *more)
    except error:
        model.eval()
        raise


@wrong(occlusion_map)
def left_in_eval(model, x, target, window, stride, fill=0.0):
    """the model is left in eval"""
    result = occlusion_map(model, x, target, window, stride, fill)
    model.eval()
    return result


@wrong(occlusion_map)
def all_back_to_train(model, x, target, window, stride, fill=0.0):
    """the root's mode is given to every submodule: those in another mode lose theirs"""
    mode = model.training
    result = occlusion_map(model, x, target, window, stride, fill)
    model.train(mode)
    return result


@wrong(occlusion_map)
def not_after_an_exception(model, x, target, window, stride, fill=0.0):
    """after an exception in the model its modes are not put back (no finally)"""
    return _in_eval_after(ArithmeticError, model, x, target, window, stride, fill)


@wrong(occlusion_map)
def graph_kept(model, x, target, window, stride, fill=0.0):
    """the map hangs on the model's graph: it is not detached"""
    result = occlusion_map(model, x, target, window, stride, fill)
    first = next(model.parameters())
    return result + 0 * first.sum() if first.requires_grad else result


def show(answer):
    """A digit, and what covering each part of it costs, for a network that reads digits."""
    from data import digits
    from dojo.pictures import signed_maps

    images, labels = (torch.from_numpy(array) for array in digits())
    torch.default_generator.manual_seed(0)
    model = nn.Sequential(
        nn.AvgPool2d(3, padding=1), nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(16 * 64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for batch in torch.randperm(len(images)).repeat(4).split(128):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    x = images[[0, 3, 8]]
    maps = answer.occlusion_map(model, x, labels[[0, 3, 8]], window=6, stride=2)
    sources = {f"a {int(label)}": image for image, label in zip(x, labels[[0, 3, 8]], strict=True)}
    return signed_maps(
        sources, {f"its drop, {name}": m for name, m in zip(sources, maps, strict=True)}
    )
