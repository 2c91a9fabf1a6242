"""Shift the image: does the answer shift along, stay as it is, or change?"""

from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dojo import right, wrong


def equivariance_gap(fn: Callable[[Tensor], Tensor], x: Tensor, shift: tuple[int, int]) -> float:
    """Measure how far `fn` is from commuting with a shift of the image.

    Two ways lead to the same place if fn is equivariant: shift the image and apply fn, or apply
    fn and shift what comes out. The gap is the largest absolute difference between the two.

    The image moves by `shift` (rows, columns), down and to the right where positive, and zeros
    come in. Maps that fn shrinks move by less: by the shift over their stride, which on each
    axis is the input's size over the output's, rounded to the nearest whole number, at least 1.
    The border of a map is no fair judge, as it sees zeros that were not there before: on both
    axes only the cells i with ceil(n / 4) <= i < n - ceil(n / 4) count, and only those whose
    source lies inside the map. If no cell is left the gap is 0.

    Outputs without places, (N, F) or maps of 1x1, are compared as they are: there the gap says
    whether fn is invariant. A module runs in eval and comes back in its modes.

    Shapes:
        x: (N, C, H, W), not changed; fn(x): (N, F) or (N, C', H', W')
        returns: a float, at least 0

    Example:
        >>> equivariance_gap(nn.MaxPool2d(2), torch.rand(1, 1, 16, 16), (2, -4))
        0.0

    Raises:
        ValueError: the shift is no multiple of a map's stride.

    Source: Goodfellow, Bengio & Courville, Deep Learning, 2016, section 9.2.
    """
    with _in_eval(fn), torch.no_grad():
        before, after = fn(x.clone()), fn(_shifted(x, shift))  # fn may write into it
    if before.dim() == 2 or before.shape[2:] == (1, 1):
        return (after - before).abs().max().item()
    ranges = []
    for axis, step in zip((2, 3), shift, strict=True):
        size = before.shape[axis]
        stride = max(1, round(x.shape[axis] / size))
        if step % stride:
            raise ValueError(f"a shift of {step} is no multiple of the stride {stride}")
        moved, edge = step // stride, -(-size // 4)
        ranges.append([
            (i, i - moved) for i in range(edge, size - edge) if 0 <= i - moved < size
        ])  # fmt: skip
    rows, columns = (torch.tensor(pairs, dtype=torch.long).reshape(-1, 2) for pairs in ranges)
    here = after[:, :, rows[:, :1], columns[:, 0]]
    there = before[:, :, rows[:, 1:], columns[:, 1]]
    return (here - there).abs().max().item() if here.numel() else 0.0


def _shifted(x: Tensor, shift: tuple[int, int]) -> Tensor:
    """x moved down and to the right, zeros coming in."""
    (down, across), (height, width) = shift, x.shape[2:]
    result = torch.zeros_like(x)
    if abs(down) < height and abs(across) < width:
        to_rows, to_columns = (
            slice(max(down, 0), height + min(down, 0)),
            slice(max(across, 0), width + min(across, 0)),
        )
        rows, columns = (
            slice(max(-down, 0), height + min(-down, 0)),
            slice(max(-across, 0), width + min(-across, 0)),
        )
        result[:, :, to_rows, to_columns] = x[:, :, rows, columns]
    return result


@contextmanager
def _in_eval(fn: object):
    modes = [(m, m.training) for m in fn.modules()] if isinstance(fn, nn.Module) else []
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode


HINTS = [
    "If the image moves two rows down, where must a map of half the size have moved to? And what "
    "does torch.roll do with the rows that fall out below?",
    "Apply fn to x and to the shifted x. For each cell i of the second map that counts, its "
    "source in the first is i - shift / stride. Take the largest absolute difference, not the "
    "mean; without places just compare.",
    "Per axis: stride = max(1, round(size of x / size of map)), refuse shift % stride, moved = "
    "shift // stride, edge = -(-n // 4), cells = [i for i in range(edge, n - edge) if 0 <= i - "
    "moved < n].",
]


def _gap(fn, x, shift, *, move=_shifted, edge_of=None, moved_of=None, reduce=None, mode=_in_eval,
         stride_of=None, source=True, refuse=True, flat=True):  # fmt: skip
    """The answer with one part exchanged."""
    reduce = reduce or (lambda difference: difference.abs().max().item())
    with mode(fn), torch.no_grad():
        before, after = fn(x.clone()), fn(move(x, shift))
    if before.dim() == 2 or (flat and before.shape[2:] == (1, 1)):
        return reduce(after - before)
    ranges = []
    for axis, step in zip((2, 3), shift, strict=True):
        size = before.shape[axis]
        stride = (stride_of or (lambda n, m: max(1, round(n / m))))(x.shape[axis], size)
        if refuse and step % stride:
            raise ValueError("shift")
        moved = moved_of(step, stride) if moved_of else step // stride
        edge = edge_of(size) if edge_of else -(-size // 4)
        inside = range(edge, size - edge)
        ranges.append([(i, (i - moved) % size) for i in inside
                       if not source or 0 <= i - moved < size])  # fmt: skip
    rows, columns = (torch.tensor(pairs, dtype=torch.long).reshape(-1, 2) for pairs in ranges)
    here = after[:, :, rows[:, :1], columns[:, 0]]
    there = before[:, :, rows[:, 1:], columns[:, 1]]
    return reduce(here - there) if here.numel() else 0.0


@right(equivariance_gap)
def by_loops(fn, x, shift):
    padded = nn.functional.pad(x, (abs(shift[1]),) * 2 + (abs(shift[0]),) * 2)
    top, left = abs(shift[0]) - shift[0], abs(shift[1]) - shift[1]
    moved = padded[:, :, top : top + x.shape[2], left : left + x.shape[3]].clone()
    with _in_eval(fn), torch.no_grad():
        y, z = fn(x).double(), fn(moved).double()
    if y.dim() < 4 or y.shape[2] * y.shape[3] == 1:
        return float(abs(z - y).max())
    steps = []
    for n, m, s in zip(x.shape[2:], y.shape[2:], shift, strict=True):
        stride = max(1, int(n / m + 0.5))
        if s % stride != 0:
            raise ValueError(f"{s} / {stride}")
        steps.append(s // stride)
    most, (height, width) = 0.0, y.shape[2:]
    for i in range((height + 3) // 4, height - (height + 3) // 4):
        for j in range((width + 3) // 4, width - (width + 3) // 4):
            a, b = i - steps[0], j - steps[1]
            if 0 <= a < height and 0 <= b < width:
                most = max(most, float((z[:, :, i, j] - y[:, :, a, b]).abs().max()))
    return most


@right(equivariance_gap)
def by_a_mask(fn, x, shift):
    """Everything is moved, and a map of ones is moved along to say what came from inside."""
    import copy

    fn = copy.deepcopy(fn).eval() if isinstance(fn, nn.Module) else fn
    with torch.no_grad():
        y, z = fn(x), fn(_shifted(x, shift))
    if y.dim() == 2 or tuple(y.shape[2:]) == (1, 1):
        return torch.dist(y, z, float("inf")).item()
    stride = [max(1, round(n / m)) for n, m in zip(x.shape[2:], y.shape[2:], strict=True)]
    if any(s % t for s, t in zip(shift, stride, strict=True)):
        raise ValueError(f"{shift} over {stride}")
    step = [s // t for s, t in zip(shift, stride, strict=True)]
    counts = _shifted(torch.ones_like(y), step) > 0
    for axis in (2, 3):
        edge = -(-y.shape[axis] // 4)
        place = torch.arange(y.shape[axis])
        inside = (place >= edge) & (place < y.shape[axis] - edge)
        counts = counts & inside.reshape([-1 if a == axis else 1 for a in range(4)])
    difference = (z - _shifted(y, step)).abs()[counts]
    return max(difference.tolist(), default=0.0)


@right(equivariance_gap)
def by_keyword_parts(fn, x, shift):
    return _gap(fn, x, shift)


@wrong(equivariance_gap)
def rolled(fn, x, shift):
    """what falls out of the image comes in on the other side (roll), instead of zeros"""
    return _gap(fn, x, shift, move=lambda x, shift: x.roll(tuple(shift), (2, 3)))


@wrong(equivariance_gap)
def mean_difference(fn, x, shift):
    """the mean difference is taken: one bad place is hidden by all the others"""
    return _gap(fn, x, shift, reduce=lambda difference: difference.abs().mean().item())


@wrong(equivariance_gap)
def mean_of_maps(fn, x, shift):
    """of maps the mean difference is taken: one bad place is hidden by all the others"""
    with _in_eval(fn), torch.no_grad():
        places = tuple(fn(x.clone()).shape[2:])
    return (equivariance_gap if places in ((), (1, 1)) else mean_difference)(fn, x, shift)


@wrong(equivariance_gap)
def largest_signed(fn, x, shift):
    """the largest signed difference is taken: differences below 0 do not count"""
    return _gap(fn, x, shift, reduce=lambda d: max(d.max().item(), 0.0))


@wrong(equivariance_gap)
def root_mean_square(fn, x, shift):
    """the root of the mean square is taken, not the largest difference"""
    return _gap(fn, x, shift, reduce=lambda d: d.square().mean().sqrt().item())


@wrong(equivariance_gap)
def axes_exchanged(fn, x, shift):
    """the image is shifted by (columns, rows)"""
    return _gap(fn, x, shift, move=lambda x, shift: _shifted(x, shift[::-1]))


@wrong(equivariance_gap)
def both_exchanged(fn, x, shift):
    """shift is taken for (columns, rows), for image and output alike"""
    return _gap(fn, x, shift[::-1])


@wrong(equivariance_gap)
def output_not_moved(fn, x, shift):
    """the output is not moved along: maps are compared where they are"""
    return _gap(fn, x, shift, moved_of=lambda step, stride: 0)


@wrong(equivariance_gap)
def stride_0(fn, x, shift):
    """the stride of an enlarged map is rounded to 0: it is at least 1"""
    return _gap(fn, x, shift, stride_of=lambda n, m: round(n / m))


@wrong(equivariance_gap)
def moved_the_other_way(fn, x, shift):
    """the output is moved the other way"""
    return _gap(fn, x, shift, moved_of=lambda step, stride: -step // stride)


@wrong(equivariance_gap)
def image_moved_the_other_way(fn, x, shift):
    """the image is moved up and to the left where the shift is positive"""
    return _gap(fn, x, shift, move=lambda x, shift: _shifted(x, (-shift[0], -shift[1])))


@wrong(equivariance_gap)
def stride_forgotten(fn, x, shift):
    """the output is moved by the whole shift: its stride is forgotten"""
    return _gap(fn, x, shift, moved_of=lambda step, stride: step)


@wrong(equivariance_gap)
def whole_map(fn, x, shift):
    """the border of the map counts too"""
    return _gap(fn, x, shift, edge_of=lambda size: 0)


@wrong(equivariance_gap)
def edge_rounded_down(fn, x, shift):
    """the border is rounded down: floor(n / 4) cells are left out, not ceil"""
    return _gap(fn, x, shift, edge_of=lambda size: size // 4)


@wrong(equivariance_gap)
def one_cell_less(fn, x, shift):
    """the border is one cell too wide"""
    return _gap(fn, x, shift, edge_of=lambda size: -(-size // 4) + 1)


@wrong(equivariance_gap)
def sources_wrapped(fn, x, shift):
    """cells whose source lies outside are compared with the other side"""
    return _gap(fn, x, shift, source=False)


@wrong(equivariance_gap)
def stride_rounded_down(fn, x, shift):
    """the stride is rounded down, not to the nearest"""
    return _gap(fn, x, shift, stride_of=lambda n, m: max(1, n // m))


@wrong(equivariance_gap)
def stride_rounded_up(fn, x, shift):
    """the stride is rounded up, not to the nearest"""
    return _gap(fn, x, shift, stride_of=lambda n, m: max(1, -(-n // m)))


@wrong(equivariance_gap)
def one_stride_for_both(fn, x, shift):
    """the stride of the rows is used for the columns too"""
    with _in_eval(fn), torch.no_grad():
        rows = fn(x)
    stride = max(1, round(x.shape[2] / rows.shape[2])) if rows.dim() == 4 else 1
    return _gap(fn, x, shift, stride_of=lambda n, m: stride)


@wrong(equivariance_gap)
def odd_shifts_rounded(fn, x, shift):
    """a shift that is no multiple of the stride is rounded instead of being refused"""
    return _gap(fn, x, shift, refuse=False)


@wrong(equivariance_gap)
def only_the_rows_looked_at(fn, x, shift):
    """only the shift of the rows is held against the stride"""
    with _in_eval(fn), torch.no_grad():
        maps = fn(x)
    placed = maps.dim() == 4 and maps.shape[2:] != (1, 1)
    if placed and shift[0] % max(1, round(x.shape[2] / maps.shape[2])):
        raise ValueError("rows")
    return _gap(fn, x, shift, refuse=False)


@wrong(equivariance_gap)
def one_by_one_maps_have_no_cell(fn, x, shift):
    """maps of 1x1 are not compared: all of their one cell is border"""
    return _gap(fn, x, shift, flat=False, refuse=False)


@wrong(equivariance_gap)
def first_image_only(fn, x, shift):
    """only the first image is compared"""
    return _gap(fn, x, shift, reduce=lambda difference: difference[:1].abs().max().item())


@wrong(equivariance_gap)
def first_channel_only(fn, x, shift):
    """only the first channel of the output is compared"""
    return _gap(fn, x, shift, reduce=lambda difference: difference[:, :1].abs().max().item())


@contextmanager
def _as_it_is(fn):
    yield


@wrong(equivariance_gap)
def mode_as_it_is(fn, x, shift):
    """a module is not put into eval: its dropout makes a gap"""
    return _gap(fn, x, shift, mode=_as_it_is)


@wrong(equivariance_gap)
def left_in_eval(fn, x, shift):
    """a module is left in eval"""
    gap = equivariance_gap(fn, x, shift)
    if isinstance(fn, nn.Module):
        fn.eval()
    return gap


@wrong(equivariance_gap)
def not_after_an_exception(fn, x, shift):
    """after an exception the module's modes are not put back (no finally)"""
    try:
        return equivariance_gap(fn, x, shift)
    except ArithmeticError:
        fn.eval()
        raise


@wrong(equivariance_gap)
def modules_only(fn, x, shift):
    """only modules are taken: a plain function has no eval()"""
    if not isinstance(fn, nn.Module):
        raise AttributeError("'function' object has no attribute 'eval'")
    return equivariance_gap(fn, x, shift)


@wrong(equivariance_gap)
def as_a_tensor(fn, x, shift):
    """the gap is a tensor, not a float"""
    return torch.tensor(equivariance_gap(fn, x, shift))


@wrong(equivariance_gap)
def written_into(fn, x, shift):
    """x itself is shifted"""
    gap = equivariance_gap(fn, x, shift)
    x.copy_(_shifted(x, shift))
    return gap


@wrong(equivariance_gap)
def one_row_has_no_places(fn, x, shift):
    """maps of one row or one column are compared as they are: all of them is border"""

    def flat(image):
        maps = fn(image)
        return maps.flatten(1) if maps.dim() == 4 and 1 in maps.shape[2:] else maps

    with _in_eval(fn):
        return equivariance_gap(flat, x, shift)


def show(answer):
    """Gaps of a few operations for shifts of a photo by 0 to 4 columns."""
    from matplotlib.figure import Figure

    from data import photo

    x = torch.from_numpy(photo()).float()[None, None, :128, :192]
    torch.default_generator.manual_seed(0)
    conv = nn.Conv2d(1, 1, 5, padding=2)
    ramp = torch.linspace(0, 1, 192)
    operations = {
        "5x5 convolution": conv, "2x2 max pooling": nn.MaxPool2d(2),
        "global average": lambda x: x.mean((2, 3)), "times a ramp": lambda x: x * ramp,
        "one dense unit": lambda x: (x * ramp).flatten(1).sum(1, keepdim=True) / 1000,
    }  # fmt: skip
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for name, fn in operations.items():
        gaps = [answer.equivariance_gap(fn, x, (0, step)) for step in range(0, 9, 2)]
        axis.plot(range(0, 9, 2), gaps, marker="o", label=name)
    axis.set(xlabel="shift in columns", ylabel="gap", yscale="symlog")
    axis.set_yscale("symlog", linthresh=1e-3)
    axis.legend(fontsize=8)
    axis.set_title("what commutes with a shift has no gap", fontsize=10)
    return figure
