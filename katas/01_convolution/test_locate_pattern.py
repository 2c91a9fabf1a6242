"""Find a pattern by correlation: what `locate_pattern` must do, easiest first.

Where an exact copy of a template of 0 and 1 stands in a picture of 0 and 1, it scores highest
by plain and by normalised correlation alike: nothing on which the two part is judged.
"""

import numpy as np
import pytest

from dojo.checks import answer, expect, refuses

locate_pattern = answer("locate_pattern")

SIGN = np.array([[1, 0, 0, 1, 0], [1, 1, 0, 0, 0], [0, 1, 0, 1, 1]])
# of 8 cells the mean is exact in binary: equal windows score equally in any order of sums
EIGHT = np.array([[1, 0, 0, 1], [0, 0, 1, 0]])


def picture(shape, *patterns, ground=0):
    """`ground` everywhere, and each (pattern, (row, column)) laid into it."""
    image = np.full(shape, ground)
    for pattern, (row, column) in patterns:
        image[row : row + pattern.shape[0], column : column + pattern.shape[1]] = pattern
    return image


def random_template(rng, shape):
    """Cells 0 and 1, at least one of each."""
    template = rng.integers(0, 2, shape)
    template.flat[rng.permutation(template.size)[:2]] = 0, 1
    return template


def finds(image, template, place):
    """The answer is `place`, as a tuple of two ints."""
    got = locate_pattern(image, template)
    pair = isinstance(got, tuple) and all(isinstance(v, (int, np.integer)) for v in got)
    expect(pair, f"returned {got!r}, expected the two ints {place}", ("kind", repr(got)))
    chosen = tuple(int(v) for v in got)
    expect(chosen == place, f"the place {chosen} is chosen, expected {place}", ("place", chosen))


def test_the_top_left_cell_of_the_pattern_is_returned():
    """The result is (row, column) of the top-left cell, not (column, row) and not the centre."""
    finds(picture((6, 9), (SIGN, (1, 3))), SIGN, (1, 3))


@pytest.mark.parametrize("place", [(0, 0), (2, 6), (4, 1), (5, 9)])
def test_a_flat_area_as_bright_as_the_pattern_does_not_win(place):
    """A flat bright area scores 0: the template's mean is removed before it slides."""
    for corner in [(0, 0), (0, 9), (5, 0), (5, 9)]:
        block = (np.ones((3, 5), int), corner)
        finds(picture((8, 14), block, (EIGHT, place)), EIGHT, place)
    finds(picture((8, 14), (EIGHT, place), ground=1), EIGHT, place)


@pytest.mark.parametrize("place", [(0, 0), (0, 8), (5, 1), (5, 8)])
def test_the_inverted_pattern_is_not_chosen(place):
    """Dark where the template is bright and bright where it is dark is the lowest score of all."""
    finds(picture((8, 13), (1 - EIGHT, place), (EIGHT, (3, 4))), EIGHT, (3, 4))


@pytest.mark.parametrize(
    "places", [[(1, 6), (1, 1)], [(4, 0), (0, 8)], [(0, 3), (5, 3)], [(5, 8), (2, 5), (2, 0)]]
)
def test_the_first_in_reading_order_wins_a_tie(places):
    """Of equal places the upper one wins, and in one row the left one."""
    finds(picture((7, 12), *((EIGHT, place) for place in places)), EIGHT, min(places))


def test_every_cell_of_the_template_counts():
    """One mean, of all cells, is removed: a line of equal cells in the template still counts."""
    template, decoy = np.array([[1, 0, 1], [1, 0, 0]]), np.array([[0, 1, 1], [0, 1, 0]])
    image = picture((5, 9), (decoy, (0, 1)), (template, (2, 5)))
    finds(image, template, (2, 5))
    finds(image.T, template.T, (5, 2))
    for cell in np.ndindex(SIGN.shape):  # all but one cell are right, and it stands first
        decoy = SIGN.copy()
        decoy[cell] = 1 - decoy[cell]
        finds(picture((8, 14), (decoy, (1, 1)), (SIGN, (4, 7))), SIGN, (4, 7))


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (1, 4), (4, 1), (4, 5)])
def test_it_is_found_at_every_place_where_it_fits(rng, shape):
    """The pattern is found wherever it stands: corners, borders, the last row and column too."""
    template = random_template(rng, shape)
    for place in np.ndindex(6 - shape[0] + 1, 8 - shape[1] + 1):
        finds(picture((6, 8), (template, place)), template, place)


@pytest.mark.parametrize("shape", [(2, 4), (4, 2), (3, 5)])
def test_it_is_found_in_a_crowd(rng, shape):
    """Random dots all around, similar patterns among them, do not hide it."""
    template = random_template(rng, shape)
    place = rng.integers(0, 12 - shape[0]), rng.integers(0, 18 - shape[1])
    crowd = picture((11, 17), (rng.integers(0, 2, (11, 17)), (0, 0)), (template, place))
    windows = np.lib.stride_tricks.sliding_window_view(crowd, shape)
    copies = np.argwhere((windows == template).all((2, 3)))
    finds(crowd, template, tuple(int(i) for i in copies[0]))


def test_a_template_as_large_as_the_image_has_one_place():
    """Where the template just fits, there is one place in that direction, whatever its score."""
    finds(1 - SIGN, SIGN, (0, 0))
    finds(np.array([[1, 1, 0, 1, 0]]), np.array([[0, 1]]), (0, 2))
    finds(np.array([[1], [1], [0], [1]]), np.array([[0], [1]]), (2, 0))


def test_it_is_the_mean_that_is_removed_not_a_fixed_number():
    """A bright window that holds the pattern's dot beats a dark one without it."""
    template = np.array([[0, 1, 0, 0], [0, 0, 0, 0]])
    image = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]])
    finds(image, template, (1, 0))
    finds(image.T, template.T, (0, 1))


def test_a_part_of_the_pattern_beats_a_flat_area():
    """A flat area scores 0, however bright: a window that holds a part of the pattern wins."""
    template, image = np.array([[1, 0], [1, 1]]), np.array([[1, 1, 0], [1, 1, 0]])
    finds(image, template, (0, 1))
    finds(image.T, template.T, (1, 0))


def test_neither_bright_nor_dark_surroundings_count():
    """Dark left, bright right: where more cells say so wins, be its window bright or dark."""
    step = np.array([[0] * 4 + [1] * 4] * 8)
    bright, dark = [1, 1, 1, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 0, 0, 0]  # 1/2 a row, flat rows 0
    for rows, row in (([bright] * 8 + [[0] * 8] + [dark] * 7, 0),
                      ([bright] * 7 + [[1] * 8] + [dark] * 8, 8)):  # fmt: skip
        finds(np.array(rows), step, (row, 0))
        finds(np.array(rows).T, step.T, (0, row))


def test_a_place_with_a_negative_score_beats_a_worse_one():
    """The highest score wins, also where all are negative: here the inverted pattern is lowest."""
    image = np.array([[0, 1, 1, 0], [1, 1, 0, 1], [1, 1, 0, 1]])
    finds(image, EIGHT, (1, 0))
    finds(image.T, EIGHT.T, (0, 1))
    step = np.array([[0] * 4 + [1] * 4] * 8)  # turned around it scores -16
    finds(np.vstack([1 - step, step[:1]]), step, (1, 0))


@pytest.mark.parametrize("dtypes", [("float64", "float64"), ("float32", "int64"),
                                    ("int64", "float32"), ("int32", "int32")])  # fmt: skip
def test_integers_and_floats_are_taken(dtypes):
    """Image and template may be integers or floats, each of its own kind."""
    image = picture((7, 12), (np.ones((3, 5), int), (0, 0)), (EIGHT, (5, 7)))
    finds(image.astype(dtypes[0]), EIGHT.astype(dtypes[1]), (5, 7))


@pytest.mark.parametrize("shape", [(4, 2), (2, 6), (4, 6), (8, 9)])
def test_a_template_larger_than_the_image_is_refused(rng, shape):
    """A template that fits nowhere, too tall or too wide, is refused with a ValueError."""
    image, template = rng.integers(0, 2, (3, 5)), random_template(rng, shape)
    refuses(locate_pattern, image, template, because=f"a template {shape} on an image (3, 5)")


@pytest.mark.parametrize("cell", [0, 1])
@pytest.mark.parametrize("shape", [(2, 3), (1, 1), (4, 1)])
def test_a_template_of_equal_cells_is_refused(shape, cell):
    """Where all cells are equal nothing is left without the mean: there is no pattern to find."""
    image = picture((5, 7), (EIGHT, (1, 2)))
    refuses(locate_pattern, image, np.full(shape, cell), because=f"a template of {cell} alone")
