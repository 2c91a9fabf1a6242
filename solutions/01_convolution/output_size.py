"""How large is the output? One number for each axis, known before anything is computed."""

from dojo import right, wrong


def output_size(n: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    """Count the places that a kernel takes along one axis of an image.

    The axis has `n` cells, and `padding` more are put at each of its two ends. The kernel
    begins flush with the first cell and moves on by `stride` cells for as long as all of it
    stays on the axis. Cells left over at the far end, too few for another place, are not used.
    Kernel, stride and padding may be of any size beside each other, if one place is there.

    Shapes:
        n: cells along the axis, at least 1
        kernel_size: cells that the kernel covers, at least 1
        stride: cells from one place to the next, at least 1
        padding: cells added at each end, at least 0
        returns: the number of places, an int, at least 1

    Example:
        >>> output_size(8, 3)
        6
        >>> output_size(8, 3, stride=2)
        3

    Raises:
        ValueError: an argument is below its least value or is not an int (3.0 is none), or
            the kernel is longer than the axis with its padding.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, section 2.4.
    """
    _at_least(1, n=n, kernel_size=kernel_size, stride=stride)
    _at_least(0, padding=padding)
    free = n + 2 * padding - kernel_size
    if free < 0:
        raise ValueError(
            f"kernel_size {kernel_size} is more than n + 2 * padding = {n} + 2 * {padding}"
        )
    return free // stride + 1


def same_padding(kernel_size: int) -> int:
    """Find the padding that makes the output as long as the input, at stride 1.

    Every kernel longer than one cell costs some places; the padding gives them back, the same
    number of cells at each end. A kernel of even size would need one cell more at one end
    than at the other, so it is refused.

    Shapes:
        kernel_size: cells that the kernel covers, odd, at least 1
        returns: cells to add at each end, an int

    Example:
        >>> same_padding(3)
        1

    Raises:
        ValueError: `kernel_size` is even, below 1 or not an int (3.0 is none).

    Source: Dumoulin & Visin, arXiv:1603.07285, section 2.2.
    """
    _at_least(1, kernel_size=kernel_size)
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size {kernel_size} is even: only odd sizes pad both ends alike")
    return kernel_size // 2


def _at_least(least, **sizes):
    for name, value in sizes.items():
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name} is {value!r}, it must be an int of at least {least}")


HINTS = [
    "Draw eight cells and slide a pencil mark three cells wide over them, one cell at a time. "
    "How many cells can it still move after the first place? And if it jumps two at a time?",
    "Count the free cells: what the axis has, padding at both ends included, less what the "
    "kernel covers at its first place. Every whole stride that goes into them is one more place.",
    "The free cells are n + 2 * padding - kernel_size, whole strides are `free // stride`, and the "
    "first place itself is the + 1 outside of the division. For same_padding: which padding "
    "makes the free cells n - 1? Refuse bad arguments first, with isinstance(value, int).",
]


def _checked(n, kernel_size, stride, padding):
    """The free cells, after all refusals."""
    output_size(n, kernel_size, stride, padding)
    return n + 2 * padding - kernel_size


@right(output_size)
def by_walking(n, kernel_size, stride=1, padding=0):
    _at_least(1, n=n, kernel_size=kernel_size, stride=stride)
    _at_least(0, padding=padding)
    place, start = 0, -padding
    while start + kernel_size <= n + padding:
        place, start = place + 1, start + stride
    if place == 0:
        raise ValueError("no place")
    return place


@right(output_size)
def by_range(n, kernel_size, stride=1, padding=0):
    _checked(n, kernel_size, stride, padding)
    return len(range(0, n + 2 * padding - kernel_size + 1, stride))


@right(output_size)
def by_ceil_of_one_more(n, kernel_size, stride=1, padding=0):
    """Rounding up is right when the first place counts as one of the free cells."""
    return -(-(_checked(n, kernel_size, stride, padding) + 1) // stride)


@right(output_size)
def refuses_by_the_result(n, kernel_size, stride=1, padding=0):
    for value in (n, kernel_size, stride, padding):
        if type(value) is not int:
            raise ValueError(value)
    if min(n, kernel_size, stride) < 1 or padding < 0:
        raise ValueError("too small")
    size = int((n + 2 * padding - kernel_size + stride) // stride)
    if size <= 0:
        raise ValueError(size)
    return size


@right(same_padding)
def by_trying(kernel_size):
    _at_least(1, kernel_size=kernel_size)
    for padding in range(kernel_size):
        if output_size(kernel_size, kernel_size, 1, padding) == kernel_size:
            return padding
    raise ValueError(f"no padding keeps the size for a kernel of {kernel_size}")


@wrong(output_size)
def rounded_up(n, kernel_size, stride=1, padding=0):
    """the division is rounded up (ceil): a window that hangs over the end is counted"""
    return -(-_checked(n, kernel_size, stride, padding) // stride) + 1


@wrong(output_size)
def rounded(n, kernel_size, stride=1, padding=0):
    """the division is rounded to the nearest (round): some windows hang over the end"""
    return round(_checked(n, kernel_size, stride, padding) / stride) + 1


@wrong(output_size)
def rounded_with_the_one(n, kernel_size, stride=1, padding=0):
    """the size is rounded to the nearest (round), the + 1 included, instead of down"""
    return round(_checked(n, kernel_size, stride, padding) / stride + 1)


@wrong(output_size)
def rounded_half_up(n, kernel_size, stride=1, padding=0):
    """the division is rounded, half a stride up: some windows hang over the end"""
    return int(_checked(n, kernel_size, stride, padding) / stride + 0.5) + 1


@wrong(output_size)
def not_rounded(n, kernel_size, stride=1, padding=0):
    """the division is not rounded down: parts of a window are counted, in a float result"""
    return _checked(n, kernel_size, stride, padding) / stride + 1


@wrong(output_size)
def float_result(n, kernel_size, stride=1, padding=0):
    """the number is right, but it is a float: / makes one, // of ints does not"""
    return float(_checked(n, kernel_size, stride, padding) // stride + 1)


@wrong(output_size)
def tuple_result(n, kernel_size, stride=1, padding=0):
    """the result is a tuple with the size in it, not the size"""
    return (output_size(n, kernel_size, stride, padding),)


@wrong(output_size)
def padding_counted_once(n, kernel_size, stride=1, padding=0):
    """padding is counted once: it stands at both ends"""
    _checked(n, kernel_size, stride, padding)
    return (n + padding - kernel_size) // stride + 1


@wrong(output_size)
def one_inside_the_floor(n, kernel_size, stride=1, padding=0):
    """the + 1 stands inside the floor: the first place is divided by the stride too"""
    return (_checked(n, kernel_size, stride, padding) + 1) // stride


@wrong(output_size)
def one_forgotten(n, kernel_size, stride=1, padding=0):
    """the + 1 is missing: moves are counted, and the first place is left out"""
    return _checked(n, kernel_size, stride, padding) // stride


@wrong(output_size)
def stride_ignored(n, kernel_size, stride=1, padding=0):
    """the stride is ignored: every place is counted"""
    return _checked(n, kernel_size, stride, padding) + 1


@wrong(output_size)
def padding_ignored(n, kernel_size, stride=1, padding=0):
    """the padding is ignored"""
    _checked(n, kernel_size, stride, padding)
    return (n - kernel_size) // stride + 1


@wrong(output_size)
def kernel_ignored(n, kernel_size, stride=1, padding=0):
    """the kernel's size is ignored: only the stride makes the output smaller"""
    _checked(n, kernel_size, stride, padding)
    return (n + 2 * padding - 1) // stride + 1


@wrong(output_size)
def padding_not_divided(n, kernel_size, stride=1, padding=0):
    """the padding is added after the division: the stride does not go over it"""
    _checked(n, kernel_size, stride, padding)
    return (n - kernel_size) // stride + 1 + 2 * padding


@wrong(output_size)
def only_the_input_divided(n, kernel_size, stride=1, padding=0):
    """the stride divides the axis alone, before the kernel is taken off"""
    _checked(n, kernel_size, stride, padding)
    return (n + 2 * padding) // stride - kernel_size + 1


@wrong(output_size)
def zero_or_negative(n, kernel_size, stride=1, padding=0):
    """a zero or negative size is returned where the kernel fits nowhere"""
    _at_least(1, n=n, kernel_size=kernel_size, stride=stride)
    _at_least(0, padding=padding)
    return (n + 2 * padding - kernel_size) // stride + 1


@wrong(output_size)
def clamped(n, kernel_size, stride=1, padding=0):
    """0 is returned for every kernel that fits nowhere, as if that were a size"""
    return max(zero_or_negative(n, kernel_size, stride, padding), 0)


@wrong(output_size)
def clamped_to_one(n, kernel_size, stride=1, padding=0):
    """1 is returned for every kernel that fits nowhere"""
    return max(zero_or_negative(n, kernel_size, stride, padding), 1)


@wrong(output_size)
def cut_towards_zero(n, kernel_size, stride=1, padding=0):
    """int() cuts towards zero: a kernel a little too long gets a place at stride 2 and more"""
    _at_least(1, n=n, kernel_size=kernel_size, stride=stride)
    _at_least(0, padding=padding)
    size = int((n + 2 * padding - kernel_size) / stride) + 1
    if size < 1:
        raise ValueError(size)
    return size


@wrong(output_size)
def padding_makes_no_room(n, kernel_size, stride=1, padding=0):
    """a kernel longer than n is refused although the padding makes room for it"""
    if kernel_size > n:
        raise ValueError("kernel is longer than n")
    return output_size(n, kernel_size, stride, padding)


@wrong(output_size)
def exact_fit_refused(n, kernel_size, stride=1, padding=0):
    """a kernel exactly as long as the padded axis is refused: it has one place"""
    if _checked(n, kernel_size, stride, padding) == 0:
        raise ValueError("kernel does not fit")
    return output_size(n, kernel_size, stride, padding)


@wrong(output_size)
def remainder_refused(n, kernel_size, stride=1, padding=0):
    """cells left over at the end are refused instead of left unused"""
    if _checked(n, kernel_size, stride, padding) % stride:
        raise ValueError("the stride does not divide the free cells")
    return output_size(n, kernel_size, stride, padding)


@wrong(output_size)
def long_stride_refused(n, kernel_size, stride=1, padding=0):
    """a stride longer than the kernel is refused: it only skips cells"""
    if _checked(n, kernel_size, stride, padding) >= 0 and stride > kernel_size:
        raise ValueError("stride is longer than the kernel")
    return output_size(n, kernel_size, stride, padding)


@wrong(output_size)
def wide_padding_refused(n, kernel_size, stride=1, padding=0):
    """padding of more than half the kernel is refused: that is pooling's rule"""
    if _checked(n, kernel_size, stride, padding) >= 0 and padding > kernel_size // 2:
        raise ValueError("padding is more than half the kernel")
    return output_size(n, kernel_size, stride, padding)


@wrong(output_size)
def whole_floats_accepted(n, kernel_size, stride=1, padding=0):
    """a float that is a whole number, like 3.0, passes for an int"""
    sizes = (n, kernel_size, stride, padding)
    whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in sizes]
    return output_size(*whole)


@wrong(output_size)
def no_type_check(n, kernel_size, stride=1, padding=0):
    """that the arguments are ints is not checked"""
    if n < 1 or kernel_size < 1 or stride < 1 or padding < 0 or kernel_size > n + 2 * padding:
        raise ValueError("too small or too large")
    return (n + 2 * padding - kernel_size) // stride + 1


@wrong(output_size)
def cut_to_ints(n, kernel_size, stride=1, padding=0):
    """arguments that are no ints are turned into ints instead of refused"""
    return output_size(int(n), int(kernel_size), int(stride), int(padding))


@wrong(output_size)
def empty_axis_accepted(n, kernel_size, stride=1, padding=0):
    """n below 1 is not refused: an axis without cells passes when it is padded"""
    _at_least(1, kernel_size=kernel_size, stride=stride)
    _at_least(0, padding=padding)
    if not isinstance(n, int) or kernel_size > n + 2 * padding:
        raise ValueError("kernel does not fit")
    return (n + 2 * padding - kernel_size) // stride + 1


@wrong(output_size)
def empty_kernel_accepted(n, kernel_size, stride=1, padding=0):
    """kernel_size below 1 is not refused"""
    _at_least(1, n=n, stride=stride)
    _at_least(0, padding=padding)
    if not isinstance(kernel_size, int) or kernel_size > n + 2 * padding:
        raise ValueError("kernel does not fit")
    return (n + 2 * padding - kernel_size) // stride + 1


@wrong(output_size)
def stride_unchecked(n, kernel_size, stride=1, padding=0):
    """stride below 1 is not refused"""
    free = _checked(n, kernel_size, 1, padding)
    if not isinstance(stride, int):
        raise ValueError("stride is no int")
    return free // stride + 1


@wrong(output_size)
def negative_stride_accepted(n, kernel_size, stride=1, padding=0):
    """only a stride of 0 is refused, a negative one is not"""
    if stride == 0:
        raise ValueError("stride is 0")
    return stride_unchecked(n, kernel_size, stride, padding)


@wrong(output_size)
def negative_padding_accepted(n, kernel_size, stride=1, padding=0):
    """negative padding is not refused"""
    _at_least(1, n=n, kernel_size=kernel_size, stride=stride)
    if not isinstance(padding, int) or kernel_size > n + 2 * padding:
        raise ValueError("kernel does not fit")
    return (n + 2 * padding - kernel_size) // stride + 1


@wrong(same_padding)
def even_accepted(kernel_size):
    """an even kernel is not refused: this padding makes the output one cell longer"""
    _at_least(1, kernel_size=kernel_size)
    return kernel_size // 2


@wrong(same_padding)
def even_rounded_down(kernel_size):
    """an even kernel is not refused: this padding leaves the output one cell short"""
    _at_least(1, kernel_size=kernel_size)
    return (kernel_size - 1) // 2


@wrong(same_padding)
def both_ends_together(kernel_size):
    """the padding of both ends together is returned, not that of each end"""
    return 2 * same_padding(kernel_size)


@wrong(same_padding)
def one_too_many(kernel_size):
    """half the kernel is rounded up: one cell too many at each end"""
    return same_padding(kernel_size) + 1


@wrong(same_padding)
def always_one(kernel_size):
    """the padding is 1 whatever the kernel: that is right for a kernel of 3"""
    same_padding(kernel_size)
    return 1


@wrong(same_padding)
def float_padding(kernel_size):
    """the padding is a float: / makes one, // of ints does not"""
    return float(same_padding(kernel_size))


@wrong(same_padding)
def half_cells(kernel_size):
    """half the kernel is not rounded down: half a cell of padding does not exist"""
    same_padding(kernel_size)
    return kernel_size / 2


@wrong(same_padding)
def single_cell_refused(kernel_size):
    """a kernel of one cell is refused: it needs no padding, that is 0"""
    if kernel_size == 1:
        raise ValueError("too small")
    return same_padding(kernel_size)


@wrong(same_padding)
def negative_accepted(kernel_size):
    """a negative kernel_size is not refused as long as it is odd"""
    if not isinstance(kernel_size, int) or kernel_size % 2 == 0:
        raise ValueError("kernel_size is not odd")
    return (kernel_size - 1) // 2


@wrong(same_padding)
def float_kernel_accepted(kernel_size):
    """a float kernel_size, like 3.0, is not refused"""
    if isinstance(kernel_size, float) and kernel_size % 2 == 1:
        kernel_size = int(kernel_size)
    return same_padding(kernel_size)
