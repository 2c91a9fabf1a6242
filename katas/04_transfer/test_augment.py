"""Flip, crop, jitter: what each must do to an image, and how chance must enter, easiest first.

Chance is judged by what many draws have in common, never by a single one: the bounds lie six
standard deviations away.
"""

import itertools
import random

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import same_gradients

random_horizontal_flip = answer("random_horizontal_flip")
random_resized_crop = answer("random_resized_crop")
color_jitter = answer("color_jitter")

MANY = 600
GREY = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)


def seeded(rng):
    """A generator in a fresh state."""
    return torch.Generator().manual_seed(int(rng.integers(2**40)))


def uniform(rng, *shape, dtype=torch.float32, low=0.0, high=1.0):
    return torch.from_numpy(rng.uniform(low, high, shape)).to(dtype)


def about(what, hits, share):
    """The share of hits, True or False for each draw, is what it should be, by chance apart."""
    count = len(hits)
    got = float(torch.as_tensor(hits).double().mean())
    far = 6 * (share * (1 - share) / count) ** 0.5
    seen = f"{what}: {got:.1%} of {count} draws, expected about {share:.1%} (+- {far:.1%})"
    side = "all" if got == 1 else "none" if got == 0 else "too many" if got > share else "too few"
    expect(abs(got - share) <= far, seen, (what, side))


def evenly(what, values, low, high):
    """Each quarter of low..high holds a quarter of the values."""
    for quarter in range(4):
        a, b = (low + (high - low) * (quarter + step) / 4 for step in (0, 1))
        about(f"{what} from {a:.3g} to {b:.3g}", (values >= a) & (values < b), 0.25)


def unrelated(what, a, b):
    r = float(torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1])
    message = f"{what} hang together: their correlation over {len(a)} images is {r:.2f}, not near 0"
    expect(abs(r) < 6 / len(a) ** 0.5, message, what)


# --- flip


def test_p_1_mirrors_every_image_left_to_right(rng):
    """The columns are turned around, W: rows and channels stay where they are."""
    generator = seeded(rng)
    x = uniform(rng, 6, 3, 4, 5)
    same(random_horizontal_flip(x, 1.0, generator), x.flip(3))


def test_p_0_mirrors_none(rng):
    """At p = 0 every image comes out as it went in."""
    generator = seeded(rng)
    x = uniform(rng, 6, 3, 4, 5)
    same(random_horizontal_flip(x, 0.0, generator), x)


def mirrored(result, x):
    """Which images are mirrored; all others must be as they were."""
    same(torch.tensor(result.shape), torch.tensor(x.shape), what="the result's shape")
    flipped, kept = (((result == v).flatten(1).all(1)) for v in (x.flip(3), x))
    odd = (~(flipped | kept)).nonzero().flatten().tolist()
    expect(not odd, f"image {odd[:1]} is neither mirrored nor as it was", "neither")
    return flipped


@pytest.mark.parametrize("p", [0.3, 0.5, 0.8])
def test_each_image_has_a_coin_of_its_own(rng, p):
    """Of a large batch about a share p is mirrored, not all and not none."""
    generator = seeded(rng)
    x = uniform(rng, MANY, 3, 2, 3)
    about(f"mirrored at p = {p}", mirrored(random_horizontal_flip(x, p, generator), x), p)


@pytest.mark.parametrize("n", [1, 2])
def test_small_batches_are_mirrored_as_often(rng, n):
    """Alone or as one of two, first or last, an image is mirrored with probability p."""
    generator = seeded(rng)
    x = uniform(rng, n, 3, 2, 3)
    coins = [mirrored(random_horizontal_flip(x, 0.3, generator), x) for _ in range(300)]
    for place, column in enumerate(torch.stack(coins).T):
        about(f"image {place} of {n}, mirrored at p = 0.3", column, 0.3)
    for one, other in itertools.combinations(torch.stack(coins).T, 2):
        both = float((one & other).double().mean())
        expect(both < 0.22, f"in {both:.0%} of 300 draws both of two images are mirrored at p = "
               "0.3, expected about 9%: is it one coin?", "both")  # fmt: skip


@pytest.mark.parametrize("p", [-0.1, 1.1, 50])
def test_a_p_that_is_no_probability_is_refused(rng, p):
    """p is a probability: below 0 or above 1 is a ValueError."""
    generator = seeded(rng)
    refuses(random_horizontal_flip, uniform(rng, 2, 3, 4, 5), p, generator, because=f"p = {p}")


# --- crop


def coded(rng, count, height, width):
    """Images whose red says the column, whose green says the row, and whose blue is fresh."""
    rows, columns = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
    ramps = [v.expand(count, height, width) for v in (columns, rows)]
    return torch.stack([*ramps, uniform(rng, count, height, width)], 1)


def windows(result, height, width):
    """Top, left, height, width of each crop of a coded image, (4, N), in whole pixels."""
    size = result.shape[-1]
    first, last = size // 4, size - 1 - size // 4
    sides = []
    for values, whole in ((result[:, 1, :, 0], height), (result[:, 0, 0, :], width)):
        near, far = (values.double()[:, place] * (whole - 1) for place in (first, last))
        step = (far - near) / (last - first)
        sides.append((near + 0.5 - (first + 0.5) * step, step * size))
    (top, h), (left, w) = sides
    for what, found in (("top", top), ("left", left), ("height", h), ("width", w)):
        off = (found - found.round()).abs()
        odd = found[off.argmax()]
        message = f"a window has {what} {odd:.3f}: windows are whole pixels"
        expect(off.max() < 0.05, message, "no whole pixels")
    return torch.stack([top, left, h, w]).round()


def inside(found, height, width):
    """The windows, if they lie within the image."""
    top, left, h, w = found
    bad = (top < 0) | (left < 0) | (h < 1) | (w < 1) | (top + h > height) | (left + w > width)
    values = [int(v) for v in found[:, bad.nonzero()[:1].flatten()].flatten()]
    message = f"a window (top, left, height, width) = {values} is not inside {height}x{width}"
    expect(not bad.any(), message, "outside")
    return found


@pytest.mark.parametrize(("side", "size"), [(12, 5), (12, 20), (9, 1), (7, 7)])
def test_the_whole_image_as_its_only_window_is_just_resized(rng, side, size):
    """Where scale and ratio are (1, 1) a square image is resized by F.interpolate, bilinear."""
    generator = seeded(rng)
    x = uniform(rng, 3, 3, side, side, low=-1.0, high=2.0)
    got = random_resized_crop(x, size, (1.0, 1.0), (1.0, 1.0), generator)
    same(got, F.interpolate(x, (size, size), mode="bilinear"), tolerance=1e-4)


@pytest.mark.parametrize("size", [8, 60])
def test_a_crop_is_what_stands_in_its_window(rng, size):
    """All three channels show the same window, each image its own, bilinear, without antialias."""
    generator = seeded(rng)
    x = coded(rng, 12, 40, 50)
    result = random_resized_crop(x, size, (0.2, 0.6), (0.8, 1.5), generator)
    found = inside(windows(result, 40, 50), 40, 50).int().T.tolist()
    for image, crop, (top, left, h, w) in zip(x, result, found, strict=True):
        window = image[None, :, top : top + h, left : left + w]
        expected = F.interpolate(window, (size, size), mode="bilinear")[0]
        edge = -(-size // (2 * min(h, w)))  # how far a window's edge may reach when it is enlarged
        off = (crop - expected).abs()[:, edge : size - edge, edge : size - edge].max().item()
        message = f"a crop differs by {off:.3f} from its window enlarged or reduced with bilinear"
        expect(off < 1e-3, message, "content")


@pytest.mark.parametrize(("scale", "ratio"), [((0.1, 0.4), (0.5, 2.0)), ((0.2, 0.3), (2.0, 3.0)),
                                              ((0.3, 1.2), (1.2, 1.9))])  # fmt: skip
@pytest.mark.parametrize("size", [9, 70])
def test_windows_have_the_area_and_shape_they_may_have(rng, size, scale, ratio):
    """Area a share of H x W in scale, width / height in ratio, up to the rounding of the sides."""
    generator = seeded(rng)
    height, width = 30, 60
    result = random_resized_crop(coded(rng, 60, height, width), size, scale, ratio, generator)
    _, _, h, w = inside(windows(result, height, width), height, width)
    for what, least, most, low, high in (
        ("area / (H * W)", (h - 1) * (w - 1), (h + 1) * (w + 1), *(1800 * v for v in scale)),
        ("width / height", (w - 1) / (h + 1), (w + 1) / (h - 1), *ratio),
    ):
        for side, bad in (("below", most < low), ("above", least > high)):
            examples = [f"{int(a)}x{int(b)}" for a, b in zip(h[bad], w[bad], strict=True)]
            message = f"{len(examples)} of 60 windows have {what} {side} what scale {scale} and "
            message += f"ratio {ratio} allow, as (height x width) {', '.join(examples[:2])}"
            expect(not examples, message, (what, side, len(examples) > 30))


def draws(rng, generator, height, width, scale, ratio, count=MANY):
    """The windows of many crops, all of which must not be the same."""
    x = coded(rng, count, height, width)
    result = random_resized_crop(x, 8, scale, ratio, generator)
    found = inside(windows(result, height, width), height, width)
    one = found.T[0].int().tolist()
    message = f"all {count} images got the same window (top, left, height, width) = {one}"
    corner, middle = one[:2] == [0, 0], one[0] == (height - one[2]) // 2
    expect(len(torch.unique(found, dim=1).T) > 1, message, ("one window", corner, middle))
    return found


def test_every_place_is_as_likely_as_any_other(rng):
    """From touching the top or left border to touching the bottom or right one, evenly."""
    generator = seeded(rng)
    found = draws(rng, generator, 12, 17, (0.495, 0.495), (1.0, 1.0), count=900)
    sides = sorted({int(side) for side in found[2:].flatten()})
    told = f"windows with sides of 10.05 pixels, rounded, have sides of {sides}, expected 10"
    expect(sides == [10], told, ("sides", sides))
    for what, starts, places in (("top", found[0], 3), ("left", found[1], 8)):
        never = [place for place in range(places) if not (starts == place).any()]
        told = f"{what} is never {' or '.join(map(str, never))} of the places 0 to {places - 1}"
        expect(not never, told, (what, never))
        for place in reversed(range(places)):
            hits = starts == place
            about(f"{what} at {place}, one of {places} places", hits, 1 / places)


def test_the_area_is_uniform(rng):
    """The share of the area is drawn evenly: not the side, and not one end of the scale."""
    generator = seeded(rng)
    _, _, h, w = draws(rng, generator, 30, 45, (0.005, 0.6), (1.0, 1.0))
    evenly("area / (H * W)", h * w / 1350, 0.005, 0.6)


def test_wide_and_tall_windows_are_both_drawn(rng):
    """Uniform or log-uniform, both ends of the ratio and its middle are met."""
    generator = seeded(rng)
    _, _, h, w = draws(rng, generator, 40, 40, (0.2, 0.4), (0.5, 2.0))
    for low, high in ((0.45, 0.75), (0.75, 1.4), (1.4, 2.2)):
        share = float(((w / h >= low) & (w / h < high)).double().mean())
        message = f"{share:.1%} of {MANY} windows have width / height from {low} to {high}"
        expect(share > 0.08, f"{message} with ratio (0.5, 2.0), expected more", (low, "too few"))
    _, _, h, w = draws(rng, generator, 40, 40, (0.05, 0.1), (0.25, 4.0))
    wide, tall = (float(hits.double().mean()) for hits in (w > h, w < h))
    message = f"{wide:.1%} of {MANY} windows are wider than high, {tall:.1%} higher than wide, with"
    expect(wide > 0.32, f"{message} ratio (0.25, 4.0): expected as many wide ones, or more", "wide")


def test_area_shape_row_and_column_are_drawn_apart(rng):
    """None of a window's four draws says anything about another."""
    generator = seeded(rng)
    top, left, h, w = draws(rng, generator, 40, 60, (0.05, 0.25), (0.5, 2.0))
    named = {"top": (top + 0.5) / (40 - h + 1), "left": (left + 0.5) / (60 - w + 1),
             "area": h * w, "ratio": (w / h).log()}  # fmt: skip
    for (one, a), (other, b) in itertools.combinations(named.items(), 2):
        unrelated(f"{one} and {other}", a, b)


def test_what_does_not_fit_is_drawn_anew(rng):
    """Windows too wide or too tall are not cut, squeezed or replaced: other ones are drawn.

    As often as it takes: of the last windows here only one in thirty fits.
    """
    generator = seeded(rng)
    _, _, h, w = draws(rng, generator, 30, 60, (0.4, 0.5), (0.05, 25.0))
    share = h * w / 1800
    odd = (share < 0.35) | (share > 0.55)
    examples = ", ".join(f"{int(a)}x{int(b)}" for a, b in zip(h[odd], w[odd], strict=True))
    message = f"{int(odd.sum())} of {MANY} windows have an area outside of scale (0.4, 0.5)"
    whole = bool(((h == 30) & (w == 60)).any())
    expect(not odd.any(), f"{message}, as {examples[:19]}", ("area", whole))
    wide = float((w > 30).double().mean())
    expect(wide > 0.5, f"{wide:.0%} of {MANY} windows are wider than 30, with scale (0.4, 0.5) and "
           "ratio (0.05, 25) in an image of 30x60, expected more than half", "wide")  # fmt: skip
    _, _, h, w = draws(rng, generator, 30, 60, (0.2, 10.8), (1.0, 1.0), count=300)
    odd = (h - w).abs() > 1
    message = f"{int(odd.sum())} of 300 windows are not square, though ratio is (1, 1)"
    expect(not odd.any(), message, "shape")
    about("windows as high as the image, 29 or 30 pixels", h >= 29, 0.2)


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    ("height", "width", "scale", "ratio"),
    [(30, 40, (0.9, 1.0), (3.0, 4.0)), (30, 40, (0.8, 1.0), (0.1, 0.2)),
     (20, 60, (0.6, 0.9), (1.0, 1.0)), (30, 40, (1.5, 2.0), (0.5, 2.0))],
)  # fmt: skip
def test_where_no_window_fits_it_is_refused(rng, height, width, scale, ratio):
    """No draw could ever succeed: that is a ValueError, not an endless loop or another window."""
    generator = seeded(rng)
    because = f"scale {scale} and ratio {ratio}, of which nothing fits into {height}x{width}"
    x = uniform(rng, 2, 3, height, width)
    refuses(random_resized_crop, x, 8, scale, ratio, generator, because=because)


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_below_one_is_refused(rng, size):
    """A crop of no pixels is a ValueError."""
    generator = seeded(rng)
    x = uniform(rng, 2, 3, 9, 8)
    args = (x, size, (0.5, 1.0), (0.8, 1.2), generator)
    refuses(random_resized_crop, *args, because=f"size {size}")


# --- jitter

KINDS = ["brightness", "contrast", "saturation"]


def strengths(kind, strength):
    return [strength if name == kind else 0.0 for name in KINDS]


def test_no_jitter_leaves_the_image(rng):
    """With strengths 0 every factor is 1; black stays 0, and white stays 1."""
    generator = seeded(rng)
    x = uniform(rng, 4, 3, 5, 6)
    x[0, :, 0, 0], x[1, :, 2, 3] = 0.0, 1.0
    same(color_jitter(x, 0.0, 0.0, 0.0, generator), x)


@pytest.mark.parametrize("kind", KINDS)
def test_each_image_has_a_factor_of_its_own(rng, kind):
    """Forty copies of one image come out in forty ways."""
    generator = seeded(rng)
    x = uniform(rng, 1, 3, 4, 5, low=0.3, high=0.6).expand(40, 3, 4, 5)
    result = color_jitter(x, *strengths(kind, 0.5), generator)
    same(torch.tensor(result.shape), torch.tensor(x.shape), what="the result's shape")
    ways = len(torch.unique(result.flatten(1), dim=0))
    changed = int(((result - x).abs().flatten(1).amax(1) > 1e-5).sum())
    expect(changed > 30, f"{kind} 0.5 changed {changed} of 40 copies", (kind, "unchanged"))
    seen = f"{kind} 0.5 turned 40 copies of an image into {ways} different ones"
    expect(ways > 35, seen, (kind, "ways"))


def test_brightness_multiplies(rng):
    """Every value of an image is multiplied by one factor."""
    generator = seeded(rng)
    x = uniform(rng, 40, 3, 4, 5, dtype=torch.float64, low=0.1, high=0.6)
    result = color_jitter(x, 0.5, 0.0, 0.0, generator)
    factor = result / x
    spread = (factor.flatten(1).amax(1) - factor.flatten(1).amin(1)).max().item()
    message = f"brightness: new / old varies by {spread:.3f} within one image, not by 0"
    added = bool(((result - x).flatten(1).std(1) < 1e-6).all())
    channels = bool((factor.flatten(2).std(2) < 1e-6).all())
    expect(spread < 1e-4, message, ("added", added, "by channel", channels))


def twins(rng):
    """Two images of mid values, twenty times each, in turn: no step of 0.5 leaves 0..1."""
    pair = uniform(rng, 2, 3, 4, 5, dtype=torch.float64, low=0.35, high=0.6)
    pair[1] -= torch.tensor([0.0, 0.1, 0.05], dtype=torch.float64)[:, None, None]
    return pair, pair.repeat(20, 1, 1, 1)


def test_contrast_blends_with_the_mean_grey(rng):
    """All values move towards, or away from, one number: the mean of the image in grey."""
    generator = seeded(rng)
    pair, x = twins(rng)
    result = color_jitter(x, 0.0, 0.5, 0.0, generator).flatten(2)
    old, towards = x.flatten(2), []
    deviations = [values - values.mean(2, keepdim=True) for values in (result, old)]
    factor = (deviations[0] * deviations[1]).sum((1, 2)) / deviations[1].square().sum((1, 2))
    for which, image in enumerate(pair):
        strongest = which + 2 * int((factor[which::2] - 1).abs().argmax())
        f = factor[strongest]
        fixed = (result[strongest].mean(1) - f * old[strongest].mean(1)) / (1 - f)  # (3,)
        towards.append(fixed.tolist())
        grey = float((image.mean((1, 2)) * GREY).sum())
        around = ", ".join(f"{v:.4f}" for v in fixed)
        message = f"contrast moves R, G and B around {around}; the image's mean grey is {grey:.4f}"
        expect((fixed - grey).abs().max() < 1e-3, message, towards)


def test_saturation_blends_with_the_grey_of_each_pixel(rng):
    """The channels of a pixel move towards, or away from, its own grey, which stays."""
    generator = seeded(rng)
    _, x = twins(rng)
    result = color_jitter(x, 0.0, 0.0, 0.5, generator)
    new, old = (values[:, 0] - values[:, 2] for values in (result, x))
    factor = (new * old).flatten(1).sum(1) / old.square().flatten(1).sum(1)
    strongest = 2 * int((factor[::2] - 1).abs().argmax())  # of the copies of the first image
    f, image = factor[strongest], x[strongest].flatten(1)
    fixed = (result[strongest].flatten(1) - f * image) / (1 - f)  # (3, 20)
    weights = torch.linalg.lstsq(image.T, fixed.mean(0)[:, None]).solution.flatten()
    around = " + ".join(f"{w:.3f} {c}" for w, c in zip(weights, "RGB", strict=True))
    message = f"saturation moves the channels of a pixel around {around}, which is not its grey"
    expect((fixed - GREY @ image).abs().max() < 1e-3, message, weights)


@pytest.mark.parametrize("kind", KINDS)
def test_values_stay_between_black_and_white(rng, kind):
    """What a step makes brighter than 1 becomes 1, what it makes darker than 0 becomes 0."""
    generator = seeded(rng)
    x = uniform(rng, 30, 3, 4, 5)
    result = color_jitter(x, *strengths(kind, 0.9), generator)
    low, high = float(result.min()), float(result.max())
    message = f"{kind} 0.9 gives values from {low:.3f} to {high:.3f}, expected within 0..1"
    expect(low >= 0 and high <= 1, message, (kind, low < 0, high > 1))


def factors(generator, count, *wanted, dim=1.0):
    """The three factors of each of `count` copies of three dull pixels: nothing is clamped."""
    pixels = torch.tensor([[0.40] * 3, [0.55] * 3, [0.60, 0.45, 0.50]], dtype=torch.float64) * dim
    mean = float((pixels @ GREY).mean())
    x = pixels.T.reshape(1, 3, 1, 3).repeat(count, 1, 1, 1)
    out = color_jitter(x, *wanted, generator)[:, :, 0]  # (N, 3, 3): channel, pixel
    product = (out[:, 0, 1] - out[:, 0, 0]) / (0.15 * dim)  # brightness times contrast
    bright = (out[:, 0, 0] - product * (0.40 * dim - mean)) / mean
    return bright, product / bright, (out[:, 0, 2] - out[:, 1, 2]) / (0.15 * dim * product)


@pytest.mark.parametrize(("strength", "low", "high"), [(0.4, 0.6, 1.4), (1.5, 0.0, 2.5)])
@pytest.mark.parametrize("kind", KINDS)
def test_factors_are_uniform_around_one(rng, kind, strength, low, high):
    """From 1 - v, but from 0 where that is negative, to 1 + v, all equally likely."""
    generator = seeded(rng)
    found = factors(generator, MANY, *strengths(kind, strength), dim=0.3)[KINDS.index(kind)]
    seen = f"{kind} {strength} drew factors from {found.min():.3f} to {found.max():.3f}"
    within = found.min() > low - 1e-4 and found.max() < high + 1e-4
    sides = (kind, bool(found.min() <= low - 1e-4), bool(found.max() >= high + 1e-4))
    expect(within, f"{seen}, allowed are {low} to {high}", sides)
    evenly(f"{kind} {strength}: factor", found, low, high)


def test_the_three_factors_are_drawn_apart(rng):
    """Brightness, contrast and saturation of an image say nothing about each other."""
    generator = seeded(rng)
    named = dict(zip(KINDS, factors(generator, MANY, 0.3, 0.3, 0.3), strict=True))
    for (one, a), (other, b) in itertools.combinations(named.items(), 2):
        unrelated(f"the factors of {one} and {other}", a, b)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", [-0.1, -2.0])
def test_a_negative_strength_is_refused(rng, kind, strength):
    """Strengths are from 0 on: a ValueError."""
    generator = seeded(rng)
    args = (uniform(rng, 2, 3, 4, 5), *strengths(kind, strength), generator)
    refuses(color_jitter, *args, because=f"{kind} {strength}")


# --- all three

CALLS = {
    "random_horizontal_flip": lambda x, g: random_horizontal_flip(x, 0.5, g),
    "random_resized_crop": lambda x, g: random_resized_crop(x, 7, (0.2, 0.9), (0.7, 1.4), g),
    "color_jitter": lambda x, g: color_jitter(x, 0.4, 0.4, 0.4, g),
}
EACH = pytest.mark.parametrize("name", CALLS)


@EACH
def test_the_generators_state_decides(rng, name):
    """The same state gives the same result, whatever has been drawn elsewhere in between."""
    generator = seeded(rng)
    call, x, state = CALLS[name], uniform(rng, 60, 3, 9, 8), generator.get_state()
    first = call(x, generator)
    torch.rand(3), np.random.random(3), random.random()  # others draw too
    generator.set_state(state)
    again = bool((call(x, generator) == first).all())
    expect(again, f"{name} gave two results for one state of the generator", "another result")


@EACH
def test_the_order_in_memory_does_not_matter(rng, name):
    """Channels-last images, which are no contiguous block, give the same result."""
    generator = seeded(rng)
    call, x, state = CALLS[name], uniform(rng, 6, 3, 9, 8), generator.get_state()
    expected = call(x, generator)
    generator.set_state(state)
    same(call(x.contiguous(memory_format=torch.channels_last), generator), expected, tolerance=1e-4)


@EACH
def test_the_generator_moves_on(rng, name):
    """The next call draws anew, and so does one with another generator."""
    generator = seeded(rng)
    call, x = CALLS[name], uniform(rng, 60, 3, 9, 8)
    first, second = call(x, generator), call(x, generator)
    other = call(x, torch.Generator().manual_seed(generator.initial_seed() + 1))
    moved = not bool((first == second).all())
    expect(moved, f"{name} gave the same result twice: its generator stands still", "stands still")
    differs = not bool((first == other).all())
    expect(differs, f"{name} gave the same result with another generator", "generator not used")


@EACH
def test_no_other_generator_is_moved(rng, name):
    """torch's global generator, numpy's and Python's stand where they stood."""
    generator = seeded(rng)

    def states():
        return torch.get_rng_state().tolist(), str(np.random.get_state()), str(random.getstate())

    before = states()
    CALLS[name](uniform(rng, 8, 3, 9, 8), generator)
    names = ["torch's global generator", "numpy's global generator", "Python's random"]
    moved = [n for n, a, b in zip(names, before, states(), strict=True) if a != b]
    expect(not moved, f"{name} moved {' and '.join(moved)}", moved)


@EACH
@pytest.mark.parametrize("n", [1, 5])
def test_float64_stays_float64_and_a_gradient_comes_through(rng, name, n):
    """The dtype is x's, also for a batch of one, and x gets a gradient."""
    generator = seeded(rng)
    x = uniform(rng, n, 3, 9, 8, dtype=torch.float64, low=0.3, high=0.6).requires_grad_()
    result = CALLS[name](x, generator)
    dtype = str(result.dtype)
    expect(result.dtype == x.dtype, f"{name} turned float64 into {dtype}", dtype)
    expect(result.requires_grad, f"{name} cut the graph: the result has no gradient", "cut")
    result.sum().backward()
    reached = [bool(g.any()) for g in x.grad]
    expect(all(reached), f"{name} hands a gradient to {sum(reached)} of {n} images", reached)


def test_the_gradient_of_a_known_change(rng):
    """Mirrored, resized or unchanged, x gets the gradient of just that."""
    generator = seeded(rng)
    x = {"x": uniform(rng, 2, 3, 8, 8)}
    same_gradients(lambda x: random_horizontal_flip(x, 1.0, generator), lambda x: x.flip(3), x)
    whole = ((1.0, 1.0), (1.0, 1.0), generator)
    same_gradients(lambda x: random_resized_crop(x, 5, *whole),
                   lambda x: F.interpolate(x, (5, 5), mode="bilinear"), x)  # fmt: skip
    same_gradients(lambda x: color_jitter(x, 0.0, 0.0, 0.0, generator), lambda x: 1.0 * x, x)


def pipeline(x, steps, clamp_each=True):
    """The steps, (kind, factor), in this order."""
    for kind, factor in steps:
        grey = (x * GREY[:, None, None]).sum(1, keepdim=True)
        dull = {"brightness": 0 * grey, "contrast": grey.mean((2, 3), keepdim=True)}.get(kind, grey)
        x = dull + factor[:, None, None, None] * (x - dull)
        x = x.clamp(0, 1) if clamp_each else x
    return x.clamp(0, 1)


@pytest.mark.parametrize(
    "wanted", [(0.35, 0.35, 0.0), (0.35, 0.0, 0.35), (0.0, 0.35, 0.35), (0.35, 0.35, 0.35)]
)
def test_brightness_then_contrast_then_saturation_each_clamped(rng, wanted):
    """Where values are clamped the order shows, and that every step clamps."""
    generator = seeded(rng)
    state = generator.get_state()
    found = factors(generator, 60, *wanted)
    generator.set_state(state)
    x = uniform(rng, 60, 3, 4, 5, dtype=torch.float64).sqrt()
    result = color_jitter(x, *wanted, generator)
    named = list(zip(KINDS, found, strict=True))
    fits = [", ".join(name for name, _ in steps) + ("" if each else ", clamped once, at the end")
            for steps in itertools.permutations(named) for each in (True, False)
            if (pipeline(x, steps, each) - result).abs().max() < 1e-4]  # fmt: skip
    seen = f"the result is that of {fits[0]}" if fits else "the result is that of no order"
    right = ", ".join(KINDS)
    expect(right in fits, f"{seen}; expected {right}, each clamped", fits)
    leaf, twin = x.clone().requires_grad_(), x.clone().requires_grad_()
    generator.set_state(state)
    weights = uniform(rng, *x.shape, dtype=torch.float64)
    (color_jitter(leaf, *wanted, generator) * weights).sum().backward()
    (pipeline(twin, named) * weights).sum().backward()
    same(leaf.grad, twin.grad, tolerance=1e-3, what="gradient of x")
