"""Two pipelines from raw images to what a network takes, one to train on and one to evaluate."""

import pytest
import torch

from dojo import vision  # without it torchvision cannot be imported everywhere
from dojo.checks import answer, expect, same

# isort: split
from torchvision.transforms import v2

train_transform = answer("train_transform")
eval_transform = answer("eval_transform")

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
BOTH = {"train_transform": train_transform, "eval_transform": eval_transform}


def fresh(rng, height, width):
    """An image of noise, no two pixels alike."""
    return torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype="uint8"))


def plain(height, width, *colour):
    return torch.tensor(colour, dtype=torch.uint8)[:, None, None].repeat(1, height, width)


def used(name, pipeline, x):
    """What the pipeline makes of x, which it must leave alone."""
    kept = x.clone()
    result = pipeline(x)
    expect(torch.equal(x, kept), f"the pipeline of {name} wrote into the image", "written")
    return result


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(("height", "width", "size"), [(48, 48, 24), (50, 90, 32), (91, 40, 21),
                                                       (20, 30, 28), (64, 65, 7)])  # fmt: skip
def test_every_image_becomes_a_square_of_floats(rng, name, height, width, size):
    """uint8 (3, H, W) becomes float32 (3, size, size): wide, tall, and smaller than size too."""
    result = used(name, BOTH[name](size), fresh(rng, height, width))
    seen = f"{name}({size}) turned ({3}, {height}, {width}) into {tuple(result.shape)}"
    expect(tuple(result.shape) == (3, size, size), seen, tuple(result.shape))
    dtype = str(result.dtype).removeprefix("torch.")
    expect(dtype == "float32", f"{name}({size}) gives {dtype}, expected float32", dtype)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
def test_evaluation_normalises_each_channel(colour):
    """A plain colour comes out as (colour / 255 - MEAN) / STD, everywhere."""
    result = used("eval_transform", eval_transform(16), plain(20, 30, *colour))
    wanted = (torch.tensor(colour)[:, None, None] / 255 - MEAN) / STD
    same(result, wanted.repeat(1, 16, 16), tolerance=1e-5)


def test_training_keeps_black_black():
    """No jitter makes black brighter: it comes out as (0 - MEAN) / STD, the least there is.

    What is normalised first is no image any more, and a jitter after that cuts off all below 0.
    """
    for _ in range(5):
        result = used("train_transform", train_transform(16), plain(20, 30, 0, 0, 0))
        same(result, (-MEAN / STD).repeat(1, 16, 16), tolerance=1e-5)


def evaluated(x, size):
    steps = [
        v2.Resize(round(size * 256 / 224), antialias=True),
        v2.CenterCrop(size),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN.flatten(), STD.flatten()),
    ]
    for step in steps:
        x = step(x)
    return x


@pytest.mark.parametrize(
    ("height", "width", "size"),
    # what is cut off is even on each axis: an odd rest has two middles
    [(64, 96, 28), (96, 64, 28), (70, 90, 31), (64, 64, 56), (20, 30, 28), (90, 70, 31),
     (58, 62, 25), (62, 58, 25), (70, 60, 308)],
)  # fmt: skip
def test_evaluation_shows_the_middle_of_the_resized_image(rng, height, width, size):
    """Shorter edge to round(size * 256 / 224), bilinear, antialias; then the middle is cut out."""
    x = fresh(rng, height, width)
    result = used("eval_transform", eval_transform(size), x)
    off = ((result - evaluated(x, size)) * STD * 255).abs()
    message = f"eval_transform({size}) of ({height}, {width}) is off by up to {off.max():.0f} of "
    message += f"255 levels, {off.mean():.1f} on average; 2 are allowed"
    expect(off.max() <= 2.01, message, result)


def test_evaluation_leaves_nothing_to_chance(rng):
    """The same image always gives the same numbers, wherever torch's generator stands."""
    x, pipeline = fresh(rng, 30, 45), eval_transform(16)
    first, start = pipeline(x), torch.get_rng_state()
    for _ in range(12):
        torch.rand(1)
        again = bool((pipeline(x) == first).all())
        expect(again, "eval_transform gives two results for one image", "random")
    torch.set_rng_state(start)
    pipeline(x)
    moved = not torch.equal(torch.get_rng_state(), start)
    expect(not moved, "eval_transform draws from torch's generator", "draws")


def test_training_follows_torchs_generator(rng):
    """After torch.manual_seed the same again, and without it something new every time."""
    x = fresh(rng, 30, 45)
    torch.manual_seed(1)
    pipeline = train_transform(16)
    seed = torch.initial_seed()
    expect(seed == 1, "building the pipeline sets torch's seed: it is another one", "built")
    torch.manual_seed(1)
    first = [pipeline(x) for _ in range(20)]
    differs = not bool((first[0] == first[1]).all())
    expect(differs, "train_transform gave one image twice the same: nothing is random", "constant")
    seed = torch.initial_seed()
    expect(seed == 1, "torch.manual_seed is called inside: the seed is another one", "seeded")
    torch.manual_seed(1)
    repeated = all(bool((pipeline(x) == one).all()) for one in first)
    expect(repeated, "after the same torch.manual_seed came another result", "not by torch")
    torch.manual_seed(2)
    other = not bool((pipeline(x) == first[0]).all())
    expect(other, "after another torch.manual_seed came the same result", "not by torch")


DRAWS, HEIGHT, WIDTH, SIZE = 100, 64, 192, 64


def coded():
    """Red says the column, green the row, from 0.2 to 0.6 each; blue has stripes of 0.2 and 0.6."""
    x = torch.full((3, HEIGHT, WIDTH), 0.2)
    x[0] += 0.4 * torch.linspace(0, 1, WIDTH)
    x[1] += 0.4 * torch.linspace(0, 1, HEIGHT)[:, None]
    x[2] += 0.4 * (torch.arange(HEIGHT) // 8 % 2)[:, None]
    return (x * 255).round().to(torch.uint8)


def seen_in(result):
    """What was done to a coded image: where the window is, and how it was jittered."""
    u = (result * STD + MEAN).double()
    blue = u[2].mean(1).sort().values
    low, high = blue[2:6].mean(), blue[-6:-2].mean()
    gain = (high - low) / 0.4
    shift = low - 0.2 * gain
    place = torch.linspace(-1, 1, SIZE, dtype=torch.float64) / 2 * (SIZE - 1) / SIZE

    def slope(values):  # how much of the image's width or height the window sees
        return (values * place).sum() / place.square().sum() / (0.4 * gain)

    wide, tall = slope(u[0].mean(0)), slope(u[1].mean(1))
    mean = (u.mean((1, 2)) - shift) / gain
    grey = (mean * torch.tensor([0.299, 0.587, 0.114])).sum()
    bright = gain + shift / grey
    return {"wide": wide, "tall": tall, "column": (mean[0] - 0.2) / 0.4,
            "row": (mean[1] - 0.2) / 0.4, "brightness": bright, "contrast": gain / bright,
            "mixed": slope(u[0].mean(1)).abs() + slope(u[1].mean(0)).abs()}  # fmt: skip


def many():
    """The same for many draws, as one tensor each, if each channel says what it should."""
    x, pipeline = coded(), train_transform(SIZE)
    draws = [seen_in(pipeline(x)) for _ in range(DRAWS)]
    found = {name: torch.stack([one[name] for one in draws]) for name in draws[0]}
    mixed = float(found["mixed"].max())
    seen = f"the channels are mixed, by up to {mixed:.0%}: saturation or hue was changed"
    expect(mixed < 0.05, seen, ("mixed", mixed > 0.5))
    return found


def spread(values, of="{:.2f}"):
    return f"from {of.format(float(values.min()))} to {of.format(float(values.max()))}"


def test_training_sees_another_window_every_time():
    """The crop differs in size, shape and place, and keeps its proportions but for a little.

    By chance a right answer fails here, and in the two tests below, less than once in a million.
    """
    found = many()
    down = int((found["tall"] < 0).sum())
    expect(not down, f"{down} of {DRAWS} images were turned upside down", "upside down")
    wide, tall = found["wide"].abs() * WIDTH, found["tall"].abs() * HEIGHT
    ratio, area = wide / tall, wide * tall / (WIDTH * HEIGHT)
    seen = f"width / height of the windows is {spread(ratio)}"
    expect(ratio.min() > 0.6 and ratio.max() < 1.7, f"{seen}: the image is squashed", "squashed")
    moves = {n: float(found[n].max() - found[n].min()) > 0.08 for n in ("column", "row")}
    size = f"the windows of {DRAWS} draws hold {spread(area)} of the image"
    size += ", expected small ones and large ones"
    expect(area.max() / area.min() > 1.8, size, ("one size", moves["column"]))
    expect(area.min() < 0.13, f"{size} as torchvision draws them, from 0.08 on", "no small ones")
    varied = ratio.min() < 0.85 and ratio.max() > 1.2
    expect(varied, f"{seen} in {DRAWS} draws, expected from 0.75 to 1.33", "one shape")
    for name, moved in moves.items():
        seen = f"the middle of the windows lies at {spread(found[name])} of the {name}s: one place"
        expect(moved, seen, (name, "one place"))


def test_training_mirrors_every_other_image():
    """About half of the images are mirrored left to right, by chance."""
    x = (torch.arange(16, dtype=torch.uint8) * 16).repeat(3, 16, 1)  # brighter to the right
    pipeline, count = train_transform(8), 640
    ends = torch.stack([pipeline(x)[..., [0, -1]].mean((0, 1)) for _ in range(count)])
    share = float((ends[:, 0] > ends[:, 1]).double().mean())
    seen = f"{share:.0%} of {count} images were mirrored left to right, expected about half"
    side = "none" if share == 0 else "all" if share == 1 else "few" if share < 0.5 else "many"
    expect(abs(share - 0.5) < 0.1, seen, side)


def test_training_jitters_brightness_and_contrast_and_nothing_else():
    """Factors from 0.8 to 1.2, others for every image; saturation and hue stay as they are."""
    found = many()
    for kind in ("brightness", "contrast"):
        factors = found[kind]
        seen = f"{kind} is multiplied by factors {spread(factors)} in {DRAWS} draws"
        near = "none" if factors.max() - factors.min() < 0.06 else "too little"
        enough = bool(factors.min() < 0.87 and factors.max() > 1.13)
        expect(enough, f"{seen}, expected 0.8 to 1.2", (kind, near))
        wide = bool(factors.min() < 0.75 or factors.max() > 1.27)
        expect(not wide, f"{seen}, expected 0.8 to 1.2", (kind, "too much"))
    still = int(((found["brightness"] - 1).abs() + (found["contrast"] - 1).abs() < 0.03).sum())
    seen = f"{still} of {DRAWS} images kept their brightness and their contrast"
    expect(still < 20, f"{seen}, expected hardly any", "now and then")
    both = torch.corrcoef(torch.stack([found["brightness"], found["contrast"]]))[0, 1]
    seen = f"the factors of brightness and contrast hang together: their correlation is {both:.2f}"
    expect(abs(both) < 0.5, f"{seen} in {DRAWS} draws, not near 0", ("together", bool(both > 0)))


def test_training_ends_in_the_range_of_normalised_images(rng):
    """From (0 - MEAN) / STD to (1 - MEAN) / STD, and most of it is used."""
    x, pipeline = fresh(rng, 30, 45), train_transform(24)
    values = torch.stack([pipeline(x) for _ in range(10)]) * STD + MEAN
    low, high = float(values.min()), float(values.max())
    seen = f"less MEAN and divided by STD would be an image of values from {low:.2f} to {high:.2f}"
    expect(low > -0.01 and high < 1.01, f"{seen}, expected 0 to 1", "outside")
    expect(low < 0.3 and high > 0.7, f"{seen}, expected most of 0 to 1", "narrow")
