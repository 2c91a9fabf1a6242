"""How large is the output? What `output_size` and `same_padding` must do, easiest first."""

import pytest

from dojo.checks import answer, expect, refuses, same_value

output_size = answer("output_size")
same_padding = answer("same_padding")

NOT_INTS = [2.5, 3.0, "7", (3, 5), None]


def places(n, kernel_size, stride, padding):
    """The windows that lie on the padded axis, found by trying every start."""
    end = n + padding
    return sum(start + kernel_size <= end for start in range(-padding, end, stride))


@pytest.mark.parametrize(("n", "kernel_size", "size"), [(6, 3, 4), (5, 1, 5), (9, 4, 6)])
def test_the_kernel_moves_one_cell_at_a_time(n, kernel_size, size):
    """One place at the start, and one more for every cell that the kernel can still move."""
    same_value(output_size(n, kernel_size), size)


@pytest.mark.parametrize(
    ("n", "kernel_size", "padding", "size"),
    [(7, 3, 1, 7), (9, 4, 2, 10), (2, 7, 3, 2)],
)
def test_padding_is_added_at_both_ends(n, kernel_size, padding, size):
    """The axis is longer by the padding at each of its two ends, so counted twice."""
    same_value(output_size(n, kernel_size, padding=padding), size)


@pytest.mark.parametrize(
    ("n", "kernel_size", "stride", "padding", "size"),
    [(7, 3, 2, 0, 3), (11, 5, 3, 0, 3), (8, 4, 2, 1, 4)],
)
def test_the_stride_is_the_step_from_place_to_place(n, kernel_size, stride, padding, size):
    """With free cells that the stride divides, the last window ends flush with the axis."""
    same_value(output_size(n, kernel_size, stride, padding), size)


# free cells over stride: 3/2 and 5/2 part ceil and round from floor, 4/3 and 5/3 the two roundings
@pytest.mark.parametrize(
    ("n", "kernel_size", "stride", "padding", "size"),
    [(6, 3, 2, 0, 2), (8, 3, 2, 0, 3), (7, 3, 3, 0, 2), (7, 2, 3, 0, 2), (28, 3, 2, 1, 14),
     (224, 11, 4, 2, 55)],
)  # fmt: skip
def test_a_window_that_would_hang_over_is_not_counted(n, kernel_size, stride, padding, size):
    """Cells left over at the end are dropped: the division is floored, no ceil, no round."""
    same_value(output_size(n, kernel_size, stride, padding), size)


@pytest.mark.parametrize(
    ("n", "kernel_size", "stride", "padding"),
    [(5, 5, 1, 0), (1, 1, 3, 0), (4, 10, 2, 3)],
)
def test_a_kernel_as_long_as_the_padded_axis_has_one_place(n, kernel_size, stride, padding):
    """An exact fit is one place, whatever the stride; padding makes room for the kernel."""
    same_value(output_size(n, kernel_size, stride, padding), 1)


@pytest.mark.parametrize(
    ("n", "kernel_size", "stride", "padding", "size"),
    [(7, 2, 5, 0, 2), (6, 3, 50, 0, 1), (4, 1, 1, 6, 16)],
)
def test_stride_and_padding_may_be_larger_than_the_kernel(n, kernel_size, stride, padding, size):
    """A stride may skip cells, and a window may lie on nothing but padding."""
    same_value(output_size(n, kernel_size, stride, padding), size)


def test_every_size_is_the_number_of_windows_that_fit(rng):
    """Trying every start of a window gives the size, for many small sizes and some large ones."""
    grid = [(n, k, s, p) for n in (1, 4, 7) for k in (1, 2, 5) for s in (1, 2, 3)
            for p in (0, 2) if k <= n + 2 * p]  # fmt: skip
    grid += [(n, int(rng.integers(1, n + 1)), *rng.integers(1, 9, 2).tolist())
             for n in rng.integers(11, 400, 30).tolist()]  # fmt: skip
    grid += [(50, 1, 49, 0), (104, 1, 103, 0)]  # 49 * (1 / 49) is a little less than 1
    got = [output_size(*sizes) for sizes in grid]
    fit = [places(*sizes) for sizes in grid]
    off = [i for i in range(len(grid)) if got[i] != fit[i]]
    calls = [f"output_size{grid[i]} is {got[i]}, but {fit[i]} windows fit" for i in off[:1]]
    expect(not off, f"{len(off)} of {len(grid)} sizes are wrong; {''.join(calls)}", got)


@pytest.mark.parametrize("stride", [1, 3])
def test_a_kernel_longer_than_the_padded_axis_is_refused(stride):
    """Where the kernel fits nowhere there is no size, not 0 and not a negative one either."""
    for n, kernel_size, padding in [(7, 9, 0), (7, 8, 0), (5, 10, 2), (3, 40, 1)]:
        because = f"a kernel of {kernel_size} on {n} + 2 * {padding} cells"
        refuses(output_size, n, kernel_size, stride, padding, because=because)


@pytest.mark.parametrize(
    ("name", "values"),
    [("n", (0, -1)), ("kernel_size", (0, -1)), ("stride", (0, -1)), ("padding", (-1, -2))],
)
def test_a_size_below_its_least_value_is_refused(name, values):
    """n, kernel_size and stride are at least 1, padding at least 0."""
    for value in values:
        sizes = {"n": 9, "kernel_size": 3, "stride": 1, "padding": 2} | {name: value}
        refuses(output_size, **sizes, because=f"{name}={value}")


@pytest.mark.parametrize("name", ["n", "kernel_size", "stride", "padding"])
def test_what_is_not_an_int_is_refused(name):
    """Sizes are ints: 3.0 is none, and neither is a pair or a text."""
    for value in NOT_INTS:
        sizes = {"n": 9, "kernel_size": 3, "stride": 2, "padding": 1} | {name: value}
        refuses(output_size, **sizes, because=f"{name}={value!r}, which is not an int")


@pytest.mark.parametrize(("kernel_size", "padding"), [(3, 1), (5, 2), (1, 0), (101, 50)])
def test_same_padding_keeps_the_size(kernel_size, padding):
    """With this padding at each end, n cells in give n cells out at stride 1."""
    same_value(same_padding(kernel_size), padding)


@pytest.mark.parametrize("sizes", [[2, 4, 100], [0, -1, -3, -2], NOT_INTS])
def test_same_padding_refuses_even_and_senseless_kernels(sizes):
    """An even kernel cannot be padded alike at both ends; 0, -1 and 3.0 are no sizes."""
    for kernel_size in sizes:
        refuses(same_padding, kernel_size, because=f"kernel_size={kernel_size!r}")
