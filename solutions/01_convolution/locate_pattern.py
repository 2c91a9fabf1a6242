"""Find a pattern by correlation: the kernel says what to look for, the map says where it is."""

import numpy as np

from dojo import right, wrong


def locate_pattern(image: np.ndarray, template: np.ndarray) -> tuple[int, int]:
    """Say at which place of `image` the `template` fits best.

    The template slides over the image like a kernel, and the place with the highest response
    wins. A plain kernel would be fooled by brightness: on a flat white area every bright cell
    of the template meets a bright cell. So the template's mean is taken off the template
    first. Then its dark cells count against a window that is bright there, and every flat
    area scores 0, however bright. Where several places score the same, the first one in
    reading order wins: the upper one, and in one row the left one.

    Shapes:
        image: (H, W), cells 0 and 1, signed integers or floats
        template: (KH, KW), cells 0 and 1, not larger than the image and not all equal
        returns: (row, column), two ints: the top-left cell of the best window

    Example:
        >>> image = np.array([[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]])
        >>> row, column = locate_pattern(image, np.array([[1, 0], [1, 1]]))
        >>> print(row, column)
        1 2

    Raises:
        ValueError: the template is larger than the image in either direction, or all its
            cells are equal, so that there is nothing to recognise.

    Source: J. P. Lewis, Fast Template Matching, Vision Interface 1995, pp. 120-123.
    """
    (height, width), (template_height, template_width) = image.shape, template.shape
    rows, columns = height - template_height + 1, width - template_width + 1
    if rows < 1 or columns < 1:
        raise ValueError(f"template {template.shape} does not fit into image {image.shape}")
    if template.min() == template.max():
        raise ValueError(f"all cells of the template are {template.flat[0]}: no pattern")
    kernel = template - template.mean()
    best, place = -np.inf, (0, 0)
    for row in range(rows):
        for column in range(columns):
            window = image[row : row + template_height, column : column + template_width]
            score = (window * kernel).sum()
            if score > best:
                best, place = score, (row, column)
    return place


HINTS = [
    "Correlate [[1, 0], [1, 1]] with a window that holds just this pattern, and with a window "
    "of four ones. Which of the two scores higher? What would you have to change in the "
    "template so that the window of ones scores 0?",
    "Subtract the template's mean from the template. Then slide it over the image as in "
    "correlate2d, and remember the best score so far and the place where you saw it.",
    "Start with best = -np.inf, because scores can be negative. For every row and column take "
    "the slice image[row : row + KH, column : column + KW], multiply it with the template "
    "minus its mean, add up, and keep (row, column) only if the sum is larger than best.",
]


def _checked(image, template):
    if template.shape[0] > image.shape[0] or template.shape[1] > image.shape[1]:
        raise ValueError(f"template {template.shape} does not fit into image {image.shape}")
    if template.min() == template.max():
        raise ValueError("all cells of the template are equal")


def _windows(image, template):
    """Every window of the image: (rows, columns, KH, KW)."""
    _checked(image, template)
    return np.lib.stride_tricks.sliding_window_view(image, template.shape)


def _scores(image, template):
    kernel = template - template.mean()
    return (_windows(image, template) * kernel).sum((2, 3))


def _first(scores):
    row, column = divmod(int(np.argmax(scores)), scores.shape[1])
    return row, column


@right(locate_pattern)
def by_einsum(image, template):
    kernel = template - template.mean()
    scores = np.einsum("ijkl,kl->ij", _windows(image, template), kernel)
    return np.unravel_index(np.argmax(scores), scores.shape)


@right(locate_pattern)
def normalised_correlation(image, template):
    """Each window is centred and scaled to length 1 as well; a flat window scores 0."""
    windows = _windows(image, template)
    windows = windows - windows.mean((2, 3), keepdims=True)
    lengths = np.sqrt((windows**2).sum((2, 3)))
    scores = (windows * (template - template.mean())).sum((2, 3))
    return _first(np.divide(scores, lengths, out=np.zeros_like(lengths), where=lengths > 1e-9))


@right(locate_pattern)
def in_integers(image, template):
    """Times the number of cells everything stays whole: no rounding can break a tie."""
    windows, pattern = _windows(image, template).astype(int), template.astype(int)
    hits = (windows * pattern).sum((2, 3)) * pattern.size
    scores = hits - windows.sum((2, 3)) * pattern.sum()
    best = np.argwhere(scores == scores.max())[0]
    return int(best[0]), int(best[1])


@right(locate_pattern)
def by_fft(image, template):
    """In the frequency domain; its noise is rounded away, as it would break ties."""
    rows, columns = _windows(image, template).shape[:2]
    kernel = template - template.mean()
    spectrum = np.fft.rfft2(image) * np.conj(np.fft.rfft2(kernel, image.shape))
    return _first(np.fft.irfft2(spectrum, image.shape)[:rows, :columns].round(9))


@wrong(locate_pattern)
def mean_kept(image, template):
    """the template's mean is not removed: a flat bright area scores as high as the pattern"""
    return _first((_windows(image, template) * template).sum((2, 3)))


@wrong(locate_pattern)
def half_removed(image, template):
    """0.5 is removed from the template instead of its own mean: bright windows score too low"""
    return _first((_windows(image, template) * (template - 0.5)).sum((2, 3)))


@wrong(locate_pattern)
def brightness_counts_against(image, template):
    """a window's brightness is taken off its score once more: a darker window wins"""
    windows = _windows(image, template)
    return _first((windows * (template - template.mean() - 0.1)).sum((2, 3)))


@wrong(locate_pattern)
def scaled_only(image, template):
    """windows are scaled to length 1 and no mean is removed: a flat area still scores above 0"""
    windows = _windows(image, template)
    lengths = np.sqrt((windows**2).sum((2, 3)))
    return _first((windows * template).sum((2, 3)) / np.maximum(lengths, 1e-9))


@wrong(locate_pattern)
def mean_of_columns(image, template):
    """each column's own mean is removed from the template, not the mean of all its cells"""
    return _first((_windows(image, template) * (template - template.mean(axis=0))).sum((2, 3)))


@wrong(locate_pattern)
def mean_of_rows(image, template):
    """each row's own mean is removed from the template, not the mean of all its cells"""
    kernel = template - template.mean(axis=1, keepdims=True)
    return _first((_windows(image, template) * kernel).sum((2, 3)))


@wrong(locate_pattern)
def mean_cut_off(image, template):
    """the template minus its mean is cut to whole numbers: all its cells become 0"""
    kernel = (template - template.mean()).astype(int)
    return _first((_windows(image, template) * kernel).sum((2, 3)))


@wrong(locate_pattern)
def column_row(image, template):
    """the result is (column, row) instead of (row, column)"""
    row, column = _first(_scores(image, template))
    return column, row


@wrong(locate_pattern)
def centre(image, template):
    """the centre of the window is returned instead of its top-left corner"""
    row, column = _first(_scores(image, template))
    return row + template.shape[0] // 2, column + template.shape[1] // 2


@wrong(locate_pattern)
def last_cell(image, template):
    """the bottom-right cell of the window is returned instead of its top-left corner"""
    row, column = _first(_scores(image, template))
    return row + template.shape[0] - 1, column + template.shape[1] - 1


@wrong(locate_pattern)
def counted_from_one(image, template):
    """rows and columns are counted from 1 instead of 0"""
    row, column = _first(_scores(image, template))
    return row + 1, column + 1


@wrong(locate_pattern)
def flat_index(image, template):
    """the index into the flattened map is returned, not yet split into row and column"""
    return int(np.argmax(_scores(image, template)))


@wrong(locate_pattern)
def image_width_divides(image, template):
    """the flat index is divided by the image's width instead of the map's"""
    row, column = divmod(int(np.argmax(_scores(image, template))), image.shape[1])
    return row, column


@wrong(locate_pattern)
def absolute(image, template):
    """the absolute response decides: the inverted pattern wins as well as the pattern"""
    return _first(np.abs(_scores(image, template)).round(9))


@wrong(locate_pattern)
def lowest(image, template):
    """the place with the lowest score is returned instead of the highest"""
    return _first(-_scores(image, template))


@wrong(locate_pattern)
def last_wins(image, template):
    """the last one of equal places wins: >= lets a later place replace an equal one"""
    scores = _scores(image, template)
    row, column = _first(scores[::-1, ::-1])
    return scores.shape[0] - 1 - row, scores.shape[1] - 1 - column


@wrong(locate_pattern)
def column_by_column(image, template):
    """equal places are searched column by column: the leftmost wins, not the uppermost"""
    column, row = _first(_scores(image, template).T)
    return row, column


@wrong(locate_pattern)
def starts_at_zero(image, template):
    """the best score starts at 0: where all scores are negative no place is ever kept"""
    scores = _scores(image, template)
    return _first(scores) if scores.max() > 0 else (0, 0)


@wrong(locate_pattern)
def one_short(image, template):
    """the last row and column of places are missing: N - F of them instead of N - F + 1"""
    scores = _scores(image, template)
    return _first(scores[: max(len(scores) - 1, 1), : max(scores.shape[1] - 1, 1)])


@wrong(locate_pattern)
def one_column_short(image, template):
    """the last column of places is missing: W - KW of them instead of W - KW + 1"""
    scores = _scores(image, template)
    return _first(scores[:, : max(scores.shape[1] - 1, 1)])


@wrong(locate_pattern)
def one_row_short(image, template):
    """the last row of places is missing: H - KH of them instead of H - KH + 1"""
    scores = _scores(image, template)
    return _first(scores[: max(len(scores) - 1, 1)])


@wrong(locate_pattern)
def last_template_column(image, template):
    """the template's last column is ignored"""
    _scores(image, template)
    if template.shape[1] < 2 or np.ptp(template[:, :-1]) == 0:
        return _first(_scores(image, template))
    return _first(_scores(image[:, :-1], template[:, :-1]))


@wrong(locate_pattern)
def too_large_on_both_sides_only(image, template):
    """a template is refused only where it is too tall and too wide: one of them is enough"""
    if template.min() == template.max():
        raise ValueError("all cells of the template are equal")
    if template.shape[0] > image.shape[0] and template.shape[1] > image.shape[1]:
        raise ValueError("too large")
    return too_large_accepted(image, template)


@wrong(locate_pattern)
def flipped(image, template):
    """the template is turned around before it slides: a pattern is looked for upside down"""
    return _first(_scores(image, template[::-1, ::-1]))


@wrong(locate_pattern)
def steps_of_the_template(image, template):
    """the windows do not overlap: the template jumps by its own size"""
    height, width = template.shape
    row, column = _first(_scores(image, template)[::height, ::width])
    return row * height, column * width


@wrong(locate_pattern)
def exact_only(image, template):
    """only windows equal to the template in every cell are found: there is no score at all"""
    return _first((_windows(image, template) == template).all((2, 3)))


@wrong(locate_pattern)
def divided_by_nothing(image, template):
    """flat windows divide 0 by 0: nan beats every score in np.argmax"""
    windows = _windows(image, template)
    windows = windows - windows.mean((2, 3), keepdims=True)
    scores = (windows * template).sum((2, 3))
    with np.errstate(invalid="ignore"):
        return _first(scores / np.sqrt((windows**2).sum((2, 3))))


@wrong(locate_pattern)
def in_place(image, template):
    """the mean is subtracted in place: the caller's own template is changed"""
    _checked(image, template)
    template -= template.mean()
    return _first((_windows(image, template) * template).sum((2, 3)))


@wrong(locate_pattern)
def floats(image, template):
    """row and column are floats instead of ints"""
    row, column = _first(_scores(image, template))
    return float(row), float(column)


@wrong(locate_pattern)
def constant_accepted(image, template):
    """a template of equal cells is not refused although it has no pattern to find"""
    if template.min() != template.max():
        return _first(_scores(image, template))
    if template.shape[0] > image.shape[0] or template.shape[1] > image.shape[1]:
        raise ValueError("the template is too large")
    return 0, 0


@wrong(locate_pattern)
def only_dark_refused(image, template):
    """only a template of zeros is refused, not one of any other equal cells"""
    return (constant_accepted if template.any() else locate_pattern)(image, template)


@wrong(locate_pattern)
def too_large_accepted(image, template):
    """a template larger than the image is not refused: no place is left where it fits"""
    if template.min() == template.max():
        raise ValueError("all cells of the template are equal")
    if template.shape[0] > image.shape[0] or template.shape[1] > image.shape[1]:
        return 0, 0
    return _first(_scores(image, template))
