"""Flip, crop, jitter: new images out of old ones, with one draw for each image."""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from dojo import right, wrong


def random_horizontal_flip(x: Tensor, p: float, generator: Generator) -> Tensor:
    """Mirror images left to right, each one with probability p, by a coin of its own.

    Most things stay what they are in a mirror, so a mirrored image is a new example for free.

    Shapes:
        x: (N, 3, H, W), float32 or float64, in 0..1
        p: from 0 (no image) to 1 (every image)
        generator: the only source of chance, here and below. Its state decides the result and
            moves on; torch's global generator, numpy's and Python's are neither used nor moved
        returns: like x

    Example:
        >>> random_horizontal_flip(torch.tensor([[[[0.0, 1.0]]]]), 1.0, torch.Generator())
        tensor([[[[1., 0.]]]])

    Raises:
        ValueError: p is below 0 or above 1.

    Source: torchvision documentation, transforms.v2.RandomHorizontalFlip.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}, it must be from 0 to 1")
    heads = torch.rand(len(x), generator=generator) < p
    return torch.where(heads.to(x.device)[:, None, None, None], x.flip(3), x)


def random_resized_crop(
    x: Tensor,
    size: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: Generator,
) -> Tensor:
    """Cut a window out of each image, each one of its own, and make all of them equally large.

    A window's area is a share of the image's that is uniform in `scale`; its shape, width to
    height, is uniform or log-uniform in `ratio`, as you like; both sides are then rounded to
    whole pixels. A window larger than the image, in either direction, is drawn anew, as often
    as it takes. The place is uniform among all places inside the image. No draw hangs on
    another. The window becomes size x size as F.interpolate(mode="bilinear") does it: no
    antialias, and the corners of the outermost pixels, not their centres, fall together.

    Shapes:
        x: (N, 3, H, W), float32 or float64
        scale, ratio: (least, most), as (0.08, 1.0) and (3 / 4, 4 / 3); scale may end above 1
        returns: (N, 3, size, size), x's dtype, differentiable

    Raises:
        ValueError: size is below 1, or no window that scale and ratio allow fits into the image.

    Source: Szegedy et al., Going deeper with convolutions, arXiv:1409.4842, section 6;
        torchvision documentation, transforms.v2.RandomResizedCrop.
    """
    if size < 1:
        raise ValueError(f"size is {size}, at least 1 is needed")
    crops = []
    for image in x:
        top, left, height, width = _window(*image.shape[1:], scale, ratio, generator)
        window = image[:, top : top + height, left : left + width]
        crops.append(F.interpolate(window[None], (size, size), mode="bilinear"))
    return torch.cat(crops)


def _window(height, width, scale, ratio, generator):
    """Top, left, height, width of a window that fits."""
    for _ in range(2000):
        area, shape, down, along = torch.rand(4, generator=generator).tolist()
        area = height * width * (scale[0] + area * (scale[1] - scale[0]))
        shape = ratio[0] * (ratio[1] / ratio[0]) ** shape
        h, w = round(math.sqrt(area / shape)), round(math.sqrt(area * shape))
        if 1 <= h <= height and 1 <= w <= width:
            return int(down * (height - h + 1)), int(along * (width - w + 1)), h, w
    raise ValueError(f"no window of scale {scale} and ratio {ratio} fits into {height}x{width}")


def color_jitter(
    x: Tensor, brightness: float, contrast: float, saturation: float, generator: Generator
) -> Tensor:
    """Make each image darker or brighter, flatter or harsher, paler or more colourful.

    Each image draws three factors, none of which hangs on another. For a strength v a factor is
    uniform from 1 - v, but never below 0, to 1 + v. First brightness: all values times the
    factor. Then contrast and saturation, each a blend of the image with something duller, in
    which the factor is the image's share: 1 leaves it as it is, 0 leaves only the dull one,
    and beyond 1 it moves away from it. For contrast that is the image's mean grey, one number;
    for saturation it is the image in grey. Grey is 0.299 R + 0.587 G + 0.114 B. Each of the
    three steps works on what the step before made, and clamps what it made to 0..1.

    Shapes:
        x: (N, 3, H, W), float32 or float64, in 0..1
        brightness, contrast, saturation: strengths from 0 (leaves the image as it is)
        returns: like x, differentiable

    Raises:
        ValueError: a strength is negative.

    Source: torchvision documentation, transforms.v2.ColorJitter.
    """
    strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
    for name, strength in strengths.items():
        if strength < 0:
            raise ValueError(f"{name} is {strength}, it must be at least 0")
    x = (x * _factors(x, brightness, generator)).clamp(0, 1)
    x = _blend(x, _grey(x).mean((2, 3), keepdim=True), _factors(x, contrast, generator))
    return _blend(x, _grey(x), _factors(x, saturation, generator))


def _factors(x, strength, generator):
    low, high = max(0.0, 1 - strength), 1 + strength
    draws = torch.rand(len(x), 1, 1, 1, generator=generator, dtype=x.dtype)
    return low + (high - low) * draws.to(x.device)


def _blend(x, dull, factor):
    return (dull + factor * (x - dull)).clamp(0, 1)


def _grey(x):
    weights = x.new_tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)
    return (x * weights).sum(1, keepdim=True)  # (N, 1, H, W)


HINTS = [
    "How many coins does a batch of 8 need, and what shape must they have so that each decides "
    "about one whole image? An area A and a shape r = width / height: what are the two sides? "
    "How many places has a window of height h in an image of height H?",
    "torch.rand(..., generator=generator) is all the chance you need. Crop: a loop over the "
    "images, in it a loop that draws until the window fits, and gives up with a ValueError after "
    "thousands of vain draws. Jitter: factors of shape (N, 1, 1, 1), three such sets.",
    "height = round(sqrt(A / r)), width = round(sqrt(A * r)); top is one of H - height + 1 whole "
    "numbers from 0 on. F.interpolate wants a batch: window[None]. A blend is dull + factor * "
    "(x - dull), then .clamp(0, 1); the mean grey for contrast is that of the already brightened "
    "image, .mean((2, 3), keepdim=True).",
]


def _check_p(p):
    if not 0 <= p <= 1:
        raise ValueError(f"p {p} is no probability")


@right(random_horizontal_flip)
def one_coin_after_the_other(x, p, generator):
    _check_p(p)
    images = []
    for image in x:
        heads = torch.bernoulli(torch.tensor(float(p)), generator=generator).item() == 1
        images.append(torch.fliplr(image.movedim(0, 2)).movedim(2, 0) if heads else image.clone())
    return torch.stack(images)


@right(random_horizontal_flip)
def by_gathered_columns(x, p, generator):
    if p < 0 or p > 1:
        raise ValueError("no probability")
    columns = torch.arange(x.shape[3]).expand(x.shape).clone()
    coins = torch.empty(len(x), dtype=torch.float64).uniform_(generator=generator)
    columns[coins < p] = x.shape[3] - 1 - columns[coins < p]
    return x.gather(3, columns)


@right(random_horizontal_flip)
def by_mixing(x, p, generator):
    _check_p(p)
    coins = (torch.rand(len(x), 1, 1, 1, generator=generator) >= 1 - p).to(x.dtype)
    return coins * x.flip(-1) + (1 - coins) * x


@wrong(random_horizontal_flip)
def one_coin_for_all(x, p, generator):
    """one coin is thrown for the whole batch: all images are mirrored or none is"""
    _check_p(p)
    return x.flip(3) if torch.rand((), generator=generator) < p else x


@wrong(random_horizontal_flip)
def upside_down(x, p, generator):
    """the images are turned upside down (H), not mirrored left to right (W)"""
    return random_horizontal_flip(x.transpose(2, 3), p, generator).transpose(2, 3)


@wrong(random_horizontal_flip)
def half_a_turn(x, p, generator):
    """the images are turned by half: rows and columns are both turned around"""
    _check_p(p)
    heads = torch.rand(len(x), 1, 1, 1, generator=generator) < p
    return torch.where(heads, x.flip((2, 3)), x)


@wrong(random_horizontal_flip)
def a_coin_for_each_channel(x, p, generator):
    """every channel has a coin of its own: red may be mirrored and green not"""
    _check_p(p)
    heads = torch.rand(*x.shape[:2], 1, 1, generator=generator) < p
    return torch.where(heads, x.flip(3), x)


@wrong(random_horizontal_flip)
def p_of_staying(x, p, generator):
    """p is taken for the probability that an image stays as it is"""
    _check_p(p)
    heads = torch.rand(len(x), 1, 1, 1, generator=generator) >= p
    return torch.where(heads, x.flip(3), x)


@wrong(random_horizontal_flip)
def p_ignored(x, p, generator):
    """p is ignored: every coin is fair"""
    _check_p(p)
    return random_horizontal_flip(x, 0.5, generator)


@wrong(random_horizontal_flip)
def a_fixed_number(x, p, generator):
    """exactly the share p of each batch is mirrored: these are no coins"""
    _check_p(p)
    chosen = torch.randperm(len(x), generator=generator)[: round(p * len(x))]
    heads = torch.zeros(len(x), dtype=torch.bool)
    heads[chosen] = True
    return torch.where(heads[:, None, None, None], x.flip(3), x)


@wrong(random_horizontal_flip)
def any_p(x, p, generator):
    """a p below 0 or above 1 is not refused"""
    return random_horizontal_flip(x, min(max(p, 0), 1), generator)


@wrong(random_horizontal_flip)
def written_into_x(x, p, generator):
    """the mirrored images are written into x"""
    x.copy_(random_horizontal_flip(x, p, generator))
    return x


@wrong(random_horizontal_flip)
def flip_by_the_global_generator(x, p, generator):
    """the coins come from torch's global generator, not from the one that is given"""
    _check_p(p)
    return torch.where(torch.rand(len(x), 1, 1, 1) < p, x.flip(3), x)


@wrong(random_horizontal_flip)
def flip_by_a_global_seed(x, p, generator):
    """torch's global generator is seeded anew (manual_seed): that changes it for everybody"""
    _check_p(p)
    torch.manual_seed(int(torch.randint(2**40, (1,), generator=generator)))
    return torch.where(torch.rand(len(x), 1, 1, 1) < p, x.flip(3), x)


@wrong(random_horizontal_flip)
def flip_by_its_seed(x, p, generator):
    """the generator is seeded anew in every call: every call draws the same"""
    return random_horizontal_flip(x, p, generator.manual_seed(generator.initial_seed()))


def _uniform(low, high, generator):
    return low + (high - low) * torch.rand((), generator=generator, dtype=torch.float64).item()


class _Crop:
    """random_resized_crop in steps; variants change one of them."""

    tries = 2000

    def __call__(self, x, size, scale, ratio, generator):
        if size < 1:
            raise ValueError("size is below 1")
        return torch.cat([self.one(image, size, scale, ratio, generator) for image in x])

    def one(self, image, size, scale, ratio, generator):
        return self.resized(self.cut(image, *self.window(image, scale, ratio, generator)), size)

    def cut(self, image, top, left, h, w):
        return image[:, top : top + h, left : left + w]

    def window(self, image, scale, ratio, generator):
        height, width = image.shape[1:]
        for _ in range(self.tries):
            h, w = self.sides(height, width, scale, ratio, generator)
            if self.fits(h, w, height, width):
                return (*self.place(height, width, h, w, generator), h, w)
        return self.fallback(height, width, ratio)

    def fallback(self, height, width, ratio):
        raise ValueError("nothing fits")

    def sides(self, height, width, scale, ratio, generator):
        area = self.area(height, width, scale, generator)
        shape = self.shape(ratio, generator)
        return round(math.sqrt(area / shape)), round(math.sqrt(area * shape))

    def area(self, height, width, scale, generator):
        return height * width * _uniform(*scale, generator)

    def shape(self, ratio, generator):
        return math.exp(_uniform(math.log(ratio[0]), math.log(ratio[1]), generator))

    def fits(self, h, w, height, width):
        return 1 <= h <= height and 1 <= w <= width

    def place(self, height, width, h, w, generator):
        return self.start(height - h, generator), self.start(width - w, generator)

    def start(self, last, generator):
        return int(torch.randint(last + 1, (1,), generator=generator))

    def resized(self, window, size):
        return F.interpolate(window[None], (size, size), mode="bilinear")


@right(random_resized_crop)
def crop_with_uniform_ratio(x, size, scale, ratio, generator):
    class Uniform(_Crop):
        def shape(self, ratio, generator):
            return _uniform(*ratio, generator)

    return Uniform()(x, size, scale, ratio, generator)


@right(random_resized_crop)
def crop_rounded_down(x, size, scale, ratio, generator):
    class Down(_Crop):
        def sides(self, height, width, scale, ratio, generator):
            area = self.area(height, width, scale, generator)
            shape = self.shape(ratio, generator)
            return int((area / shape) ** 0.5), int((area * shape) ** 0.5)

    return Down()(x, size, scale, ratio, generator)


@right(random_resized_crop)
def crop_by_sampling(x, size, scale, ratio, generator):
    """All windows are sampled at once from the whole images by grid_sample."""
    count, _, height, width = x.shape
    if size < 1:
        raise ValueError("size is below 1")
    h, w = torch.zeros(2, count, dtype=torch.float64)
    open_, tries = torch.ones(count, dtype=torch.bool), 0
    while open_.any():
        if tries == 2000:
            raise ValueError("nothing fits")
        tries += 1
        a, b = torch.rand(2, count, generator=generator, dtype=torch.float64)
        area = height * width * torch.lerp(*torch.tensor(scale, dtype=torch.float64), a)
        shape = torch.lerp(*torch.tensor(ratio, dtype=torch.float64).log(), b).exp()
        tall, wide = (area / shape).sqrt().round(), (area * shape).sqrt().round()
        good = open_ & (tall <= height) & (wide <= width) & (tall > 0) & (wide > 0)
        h, w, open_ = torch.where(good, tall, h), torch.where(good, wide, w), open_ & ~good
    down, along = torch.rand(2, count, generator=generator, dtype=torch.float64)
    top, left = (down * (height - h + 1)).floor(), (along * (width - w + 1)).floor()
    cells = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    rows = 2 * (top[:, None] + cells * h[:, None]) / height - 1
    columns = 2 * (left[:, None] + cells * w[:, None]) / width - 1
    grid = torch.stack(
        [columns[:, None].expand(-1, size, -1), rows[:, :, None].expand(-1, -1, size)], -1
    )
    settings = {"padding_mode": "border", "align_corners": False}
    return F.grid_sample(x, grid.to(x.dtype), mode="bilinear", **settings)


@right(random_resized_crop)
def crop_by_hand(x, size, scale, ratio, generator):
    """Bilinear weights as a matrix for the rows and one for the columns."""

    class ByHand(_Crop):
        def matrix(self, inside, size, dtype):
            at = ((torch.arange(size, dtype=dtype) + 0.5) * inside / size - 0.5).clamp(
                0, inside - 1
            )
            return (1 - (at[:, None] - torch.arange(inside, dtype=dtype)).abs()).clamp_min(0)

        def resized(self, window, size):
            rows = self.matrix(window.shape[1], size, window.dtype)
            columns = self.matrix(window.shape[2], size, window.dtype)
            return torch.einsum("ih,chw,jw->cij", rows, window, columns)[None]

    return ByHand()(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def one_window_for_all(x, size, scale, ratio, generator):
    """one window is drawn for the whole batch"""
    if size < 1:
        raise ValueError("size is below 1")
    top, left, h, w = _window(*x.shape[2:], scale, ratio, generator)
    window = x[:, :, top : top + h, left : left + w]
    return F.interpolate(window, (size, size), mode="bilinear")


def _changed(**steps):
    """A crop with these steps in place of those of _Crop."""
    return type("Changed", (_Crop,), steps)()


@wrong(random_resized_crop)
def always_top_left(x, size, scale, ratio, generator):
    """every window begins in the top-left corner of its image"""
    place = lambda self, height, width, h, w, generator: (0, 0)  # noqa: E731
    return _changed(place=place)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def always_in_the_middle(x, size, scale, ratio, generator):
    """every window lies in the middle of its image"""
    start = lambda self, last, generator: last // 2  # noqa: E731
    return _changed(start=start)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def last_place_never_taken(x, size, scale, ratio, generator):
    """the last row and column of places are never taken: H - h instead of H - h + 1 places"""
    start = lambda self, last, generator: int(  # noqa: E731
        torch.randint(max(last, 1), (1,), generator=generator)
    )
    return _changed(start=start)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def places_rounded(x, size, scale, ratio, generator):
    """the place is a rounded number: the first and the last come half as often as the others"""
    start = lambda self, last, generator: round(_uniform(0, last, generator))  # noqa: E731
    return _changed(start=start)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def row_and_column_from_one_draw(x, size, scale, ratio, generator):
    """one draw decides about row and column: all windows lie on the diagonal"""

    def place(self, height, width, h, w, generator):
        draw = _uniform(0, 1, generator)
        return int(draw * (height - h + 1)), int(draw * (width - w + 1))

    return _changed(place=place)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def area_and_shape_from_one_draw(x, size, scale, ratio, generator):
    """one draw decides about area and shape: the small windows are the tall ones"""

    def sides(self, height, width, scale, ratio, generator):
        draw = _uniform(0, 1, generator)
        area = height * width * (scale[0] + draw * (scale[1] - scale[0]))
        shape = ratio[0] * (ratio[1] / ratio[0]) ** draw
        return round(math.sqrt(area / shape)), round(math.sqrt(area * shape))

    return _changed(sides=sides)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def clipped_at_the_border(x, size, scale, ratio, generator):
    """a window may begin anywhere, and what hangs over the border is cut off (clipped)"""

    def place(self, height, width, h, w, generator):
        return self.start(height - 1, generator), self.start(width - 1, generator)

    return _changed(place=place)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def pushed_back_inside(x, size, scale, ratio, generator):
    """a window may begin anywhere, and one that hangs over is pushed back to the border"""

    def place(self, height, width, h, w, generator):
        rows, columns = self.start(height - 1, generator), self.start(width - 1, generator)
        return min(rows, height - h), min(columns, width - w)

    return _changed(place=place)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def cut_to_the_image(x, size, scale, ratio, generator):
    """a window larger than the image is cut to its size (min), not drawn anew"""

    def sides(self, height, width, scale, ratio, generator):
        h, w = _Crop.sides(self, height, width, scale, ratio, generator)
        return min(h, height), min(w, width)

    return _changed(sides=sides)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def whole_image_after_ten(x, size, scale, ratio, generator):
    """after ten vain draws the whole image is taken: that is not one of the windows"""
    fallback = lambda self, height, width, ratio: (0, 0, height, width)  # noqa: E731
    return _changed(tries=10, fallback=fallback)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def given_up_after_a_hundred(x, size, scale, ratio, generator):
    """after a hundred vain draws it gives up, though windows that fit are only rare"""
    return _changed(tries=100)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def scale_above_one_refused(x, size, scale, ratio, generator):
    """a scale that ends above 1 is refused, though windows of it fit"""
    if scale[1] > 1:
        raise ValueError("the scale ends above 1")
    return random_resized_crop(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def both_sides_below_the_shorter(x, size, scale, ratio, generator):
    """no side may be longer than the image's shorter one: a wide image gives no wide window"""

    def fits(self, h, w, height, width):
        return min(h, w) >= 1 and max(h, w) <= min(height, width)

    return _changed(fits=fits)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def whole_image_where_nothing_fits(x, size, scale, ratio, generator):
    """where no window fits the whole image is taken instead of refused"""
    fallback = lambda self, height, width, ratio: (0, 0, height, width)  # noqa: E731
    return _changed(fallback=fallback)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def ratio_upside_down(x, size, scale, ratio, generator):
    """the ratio is read as height to width"""

    def sides(self, height, width, scale, ratio, generator):
        return _Crop.sides(self, height, width, scale, ratio, generator)[::-1]

    return _changed(sides=sides)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def ratio_not_rooted(x, size, scale, ratio, generator):
    """height and width are off by the ratio itself, not by its root: the shape is its square"""

    def sides(self, height, width, scale, ratio, generator):
        side = math.sqrt(self.area(height, width, scale, generator))
        shape = self.shape(ratio, generator)
        return round(side / shape), round(side * shape)

    return _changed(sides=sides)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def always_square(x, size, scale, ratio, generator):
    """the ratio is ignored: all windows are square"""
    return _changed(shape=lambda self, ratio, generator: 1.0)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def shaped_like_the_image(x, size, scale, ratio, generator):
    """the ratio counts relative to the image's own: a wide image gets wide windows"""

    def sides(self, height, width, scale, ratio, generator):
        area = self.area(height, width, scale, generator)
        shape = self.shape(ratio, generator) * width / height
        return round(math.sqrt(area / shape)), round(math.sqrt(area * shape))

    return _changed(sides=sides)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def height_to_width_drawn(x, size, scale, ratio, generator):
    """height to width is uniform, not width to height: tall windows come too often"""

    def shape(self, ratio, generator):
        return 1 / _uniform(1 / ratio[1], 1 / ratio[0], generator)

    return _changed(shape=shape)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def one_end_of_the_ratio(x, size, scale, ratio, generator):
    """the ratio is one of the two ends, never between them"""

    def shape(self, ratio, generator):
        return ratio[int(torch.randint(2, (1,), generator=generator))]

    return _changed(shape=shape)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def middle_of_the_ratio(x, size, scale, ratio, generator):
    """the ratio is not drawn: the middle of the two ends is taken"""
    shape = lambda self, ratio, generator: sum(ratio) / 2  # noqa: E731
    return _changed(shape=shape)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def scale_of_the_side(x, size, scale, ratio, generator):
    """scale is taken for a share of the side, not of the area"""

    def area(self, height, width, scale, generator):
        return height * width * _uniform(*scale, generator) ** 2

    return _changed(area=area)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def side_drawn_evenly(x, size, scale, ratio, generator):
    """the root of the area is uniform, not the area: small windows come too often"""

    def area(self, height, width, scale, generator):
        return height * width * _uniform(scale[0] ** 0.5, scale[1] ** 0.5, generator) ** 2

    return _changed(area=area)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def area_of_the_shorter_side(x, size, scale, ratio, generator):
    """the area is a share of the shorter side's square, not of H x W"""

    def area(self, height, width, scale, generator):
        return min(height, width) ** 2 * _uniform(*scale, generator)

    return _changed(area=area)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def least_area_only(x, size, scale, ratio, generator):
    """the area is not drawn: the least of scale is taken"""

    def area(self, height, width, scale, generator):
        return height * width * scale[0]

    return _changed(area=area)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def height_and_width_exchanged(x, size, scale, ratio, generator):
    """height and width of the image are exchanged: windows hang over where it is not square"""

    def window(self, image, scale, ratio, generator):
        return _Crop.window(self, image.transpose(1, 2), scale, ratio, generator)

    return _changed(window=window)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def a_window_for_each_channel(x, size, scale, ratio, generator):
    """every channel has a window of its own"""
    single = x.flatten(0, 1)[:, None]
    return random_resized_crop(single, size, scale, ratio, generator).reshape(
        *x.shape[:2], size, -1
    )


@wrong(random_resized_crop)
def between_the_pixels(x, size, scale, ratio, generator):
    """windows begin and end between pixels, where whole pixels are wanted"""
    if size < 1:
        raise ValueError("size is below 1")
    height, width = x.shape[2:]
    grids = []
    for _ in x:
        for _ in range(2000):
            area = height * width * _uniform(*scale, generator)
            shape = math.exp(_uniform(*map(math.log, ratio), generator))
            h, w = math.sqrt(area / shape), math.sqrt(area * shape)
            if h <= height and w <= width:
                break
        else:
            raise ValueError("nothing fits")
        down, along = _uniform(0, height - h, generator), _uniform(0, width - w, generator)
        matrix = [[w / width, 0, (2 * along + w) / width - 1],
                  [0, h / height, (2 * down + h) / height - 1]]  # fmt: skip
        grids.append(torch.tensor(matrix, dtype=x.dtype))
    grid = F.affine_grid(torch.stack(grids), [len(x), 3, size, size], align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _resized_by(**settings):
    return _changed(
        resized=lambda self, window, size: F.interpolate(window[None], (size, size), **settings)
    )


@wrong(random_resized_crop)
def nearest(x, size, scale, ratio, generator):
    """windows are resized by the nearest pixel, not bilinear"""
    return _resized_by(mode="nearest")(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def antialiased(x, size, scale, ratio, generator):
    """windows are resized with antialias"""
    return _resized_by(mode="bilinear", antialias=True)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def corners_aligned(x, size, scale, ratio, generator):
    """the centres of the outermost pixels fall together (align_corners=True), not their corners"""
    return _resized_by(mode="bilinear", align_corners=True)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def shape_kept(x, size, scale, ratio, generator):
    """a window keeps its shape and is cut square: its longer side loses both ends"""

    def resized(self, window, size):
        side = min(window.shape[1:])
        top, left = ((whole - side) // 2 for whole in window.shape[1:])
        square = window[:, top : top + side, left : left + side]
        return _Crop.resized(self, square, size)

    return _changed(resized=resized)(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def not_cut(x, size, scale, ratio, generator):
    """nothing is cut out: the whole image is resized"""
    _window(*x.shape[2:], scale, ratio, generator)
    return F.interpolate(x, (max(size, 0), max(size, 0)), mode="bilinear")


@wrong(random_resized_crop)
def size_left_to_torch(x, size, scale, ratio, generator):
    """a size below 1 is left to torch, which raises a RuntimeError"""
    if size < 1:
        raise RuntimeError("Input and output sizes should be greater than 0")
    return random_resized_crop(x, size, scale, ratio, generator)


@wrong(random_resized_crop)
def crop_by_the_global_generator(x, size, scale, ratio, generator):
    """the windows come from torch's global generator, not from the one that is given"""
    return random_resized_crop(x, size, scale, ratio, torch.default_generator)


@wrong(random_resized_crop)
def crop_by_its_seed(x, size, scale, ratio, generator):
    """the generator is seeded anew in each call: every call draws the same windows"""
    seeded = generator.manual_seed(generator.initial_seed())
    return random_resized_crop(x, size, scale, ratio, seeded)


@wrong(random_resized_crop)
def crop_in_float32(x, size, scale, ratio, generator):
    """the crops are float32 whatever came in"""
    return random_resized_crop(x, size, scale, ratio, generator).float()


class _Jitter:
    """color_jitter in steps; variants change one of them."""

    order = "brightness", "contrast", "saturation"
    weights = (0.299, 0.587, 0.114)
    least = 0.0  # strengths below it are refused

    def __call__(self, x, brightness, contrast, saturation, generator):
        strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
        if min(strengths.values()) < self.least:
            raise ValueError("a strength is negative")
        factors = {n: self.factors(x, v, generator) for n, v in strengths.items()}
        for name in self.order:
            x = self.clamped(getattr(self, name)(x, factors[name]))
        return x

    def clamped(self, x):
        return x.clamp(0, 1)

    def factors(self, x, strength, generator):
        draws = torch.rand(self.shape(x), generator=generator, dtype=torch.float64).to(x.dtype)
        return self.between(*self.bounds(strength), draws)

    def shape(self, x):
        return len(x), 1, 1, 1

    def bounds(self, strength):
        return max(0.0, 1 - strength), 1 + strength

    def between(self, low, high, draws):
        return low + (high - low) * draws

    def grey(self, x):
        return torch.einsum("nchw,c->nhw", x, x.new_tensor(self.weights))[:, None]

    def brightness(self, x, factor):
        return x * factor

    def contrast(self, x, factor):
        return self.blend(x, self.grey(x).mean((1, 2, 3), keepdim=True), factor)

    def saturation(self, x, factor):
        return self.blend(x, self.grey(x), factor)

    def blend(self, x, dull, factor):
        return factor * x + (1 - factor) * dull


def _jitter(**steps):
    return type("Changed", (_Jitter,), steps)()


@right(color_jitter)
def jitter_at_once(x, brightness, contrast, saturation, generator):
    """All factors in one draw; numbers of another order of operations."""
    if any(not v >= 0 for v in (brightness, contrast, saturation)):
        raise ValueError("a strength is negative")
    v = x.new_tensor([brightness, contrast, saturation])
    low = (1 - v).clamp_min(0)
    factors = torch.lerp(low, 1 + v, torch.rand(len(x), 3, generator=generator).to(x.dtype))
    b, c, s = factors.T[..., None, None, None]
    weights = x.new_tensor([299, 587, 114]) / 1000
    x = torch.minimum((x * b).relu(), x.new_ones(()))
    x = torch.lerp((x.mean((2, 3)) @ weights)[:, None, None, None], x, c).clamp(0, 1)
    return torch.lerp(torch.tensordot(x, weights, ([1], [0]))[:, None], x, s).clamp(0, 1)


@right(color_jitter)
def jitter_one_by_one(x, brightness, contrast, saturation, generator):
    """A loop over the images, in float64; factors of strength 0 are not drawn."""
    images = []
    for image in x.double():
        factors = []
        for v in (brightness, contrast, saturation):
            if v < 0:
                raise ValueError(f"strength {v} is negative")
            low = 1 - v if v < 1 else 0.0
            factors.append(_uniform(low, 1 + v, generator) if v else 1.0)
        image = (factors[0] * image).clip(0, 1)
        grey = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
        image = (factors[1] * (image - grey.mean()) + grey.mean()).clip(0, 1)
        grey = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
        images.append((factors[2] * (image - grey) + grey).clip(0, 1))
    return torch.stack(images).to(x.dtype)


@right(color_jitter)
def jitter_in_steps(x, brightness, contrast, saturation, generator):
    return _Jitter()(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def one_factor_for_all(x, brightness, contrast, saturation, generator):
    """one factor is drawn for the whole batch"""
    jitter = _jitter(shape=lambda self, x: (1, 1, 1, 1))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def a_factor_for_each_channel(x, brightness, contrast, saturation, generator):
    """every channel has a factor of its own: that shifts the colours"""
    jitter = _jitter(shape=lambda self, x: (*x.shape[:2], 1, 1))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def one_draw_for_three_factors(x, brightness, contrast, saturation, generator):
    """one draw makes all three factors: what is bright is also harsh and colourful"""
    state = generator.get_state()

    def factors(self, x, strength, generator):
        generator.set_state(state)
        return _Jitter.factors(self, x, strength, generator)

    return _jitter(factors=factors)(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def negative_factors(x, brightness, contrast, saturation, generator):
    """strengths above 1 give negative factors: the image turns into its negative"""
    jitter = _jitter(bounds=lambda self, strength: (1 - strength, 1 + strength))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def only_upwards(x, brightness, contrast, saturation, generator):
    """factors are drawn from 1 to 1 + v: no image becomes darker, flatter or paler"""
    jitter = _jitter(bounds=lambda self, strength: (1.0, 1 + strength))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def half_as_strong(x, brightness, contrast, saturation, generator):
    """factors stay within v / 2 of 1: the width of the range is v, not 2 v"""
    jitter = _jitter(bounds=lambda self, v: (max(0.0, 1 - v / 2), 1 + v / 2))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def added(x, brightness, contrast, saturation, generator):
    """brightness adds a number to all values; it must multiply them"""
    jitter = _jitter(brightness=lambda self, x, factor: x + (factor - 1))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def contrast_with_mid_grey(x, brightness, contrast, saturation, generator):
    """contrast blends with 0.5, not with the image's own mean grey"""
    jitter = _jitter(contrast=lambda self, x, f: self.blend(x, x.new_tensor(0.5), f))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def contrast_with_the_plain_mean(x, brightness, contrast, saturation, generator):
    """contrast blends with the plain mean of all values, in which R, G and B count alike"""

    def contrast_(self, x, factor):
        return self.blend(x, x.mean((1, 2, 3), keepdim=True), factor)

    return _jitter(contrast=contrast_)(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def contrast_by_channel(x, brightness, contrast, saturation, generator):
    """contrast blends each channel with its own mean, not with one grey"""

    def contrast_(self, x, factor):
        return self.blend(x, x.mean((2, 3), keepdim=True), factor)

    return _jitter(contrast=contrast_)(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def contrast_with_the_batchs_mean(x, brightness, contrast, saturation, generator):
    """contrast blends with the mean grey of the whole batch, not of each image"""
    jitter = _jitter(contrast=lambda self, x, f: self.blend(x, self.grey(x).mean(), f))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def contrast_with_grey_pixels(x, brightness, contrast, saturation, generator):
    """contrast blends with each pixel's grey: that is saturation"""
    jitter = _jitter(contrast=lambda self, x, f: self.blend(x, self.grey(x), f))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def contrast_of_the_unbrightened(x, brightness, contrast, saturation, generator):
    """the mean grey is that of the image before its brightness was changed"""
    before = x

    def contrast_(self, x, factor):
        return self.blend(x, self.grey(before).mean((1, 2, 3), keepdim=True), factor)

    return _jitter(contrast=contrast_)(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def saturation_with_the_plain_mean(x, brightness, contrast, saturation, generator):
    """saturation blends with (R + G + B) / 3, in which the channels count alike"""

    def saturation_(self, x, factor):
        return self.blend(x, x.mean(1, keepdim=True), factor)

    return _jitter(saturation=saturation_)(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def saturation_with_the_mean_grey(x, brightness, contrast, saturation, generator):
    """saturation blends with the image's mean grey: that is contrast"""

    def saturation_(self, x, factor):
        return self.blend(x, self.grey(x).mean((1, 2, 3), keepdim=True), factor)

    return _jitter(saturation=saturation_)(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def saturation_of_the_input(x, brightness, contrast, saturation, generator):
    """saturation blends with the grey of the image that came in, not of the jittered one"""
    before = x

    def saturation_(self, x, factor):
        return self.blend(x, self.grey(before), factor)

    return _jitter(saturation=saturation_)(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def blue_for_red(x, brightness, contrast, saturation, generator):
    """the weights of grey are the wrong way round: red gets 0.114, blue gets 0.299"""
    jitter = _jitter(weights=(0.114, 0.587, 0.299))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def greys_of_another_norm(x, brightness, contrast, saturation, generator):
    """grey is weighted .2126, .7152, .0722: those are the weights of another standard"""
    jitter = _jitter(weights=(0.2126, 0.7152, 0.0722))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def factors_upside_down(x, brightness, contrast, saturation, generator):
    """the factor is the dull image's share: 0 should leave only that, and 1 none of it"""
    jitter = _jitter(blend=lambda self, x, dull, f: (1 - f) * x + f * dull)
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def not_clamped(x, brightness, contrast, saturation, generator):
    """nothing is clamped: values leave 0..1"""
    return _jitter(clamped=lambda self, x: x)(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def clamped_at_the_end(x, brightness, contrast, saturation, generator):
    """values are clamped once, at the end, not after each step"""
    jitter = _jitter(clamped=lambda self, x: x)
    return jitter(x, brightness, contrast, saturation, generator).clamp(0, 1)


@wrong(color_jitter)
def clamped_above_only(x, brightness, contrast, saturation, generator):
    """values are clamped at 1, but not at 0"""
    jitter = _jitter(clamped=lambda self, x: x.clamp_max(1))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def contrast_first(x, brightness, contrast, saturation, generator):
    """contrast comes first, before brightness"""
    jitter = _jitter(order=("contrast", "brightness", "saturation"))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def saturation_before_contrast(x, brightness, contrast, saturation, generator):
    """saturation comes before contrast"""
    jitter = _jitter(order=("brightness", "saturation", "contrast"))
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def grey_without_a_gradient(x, brightness, contrast, saturation, generator):
    """the grey is taken for a constant (detach, item): its part of the gradient is lost"""
    jitter = _jitter(grey=lambda self, x: _grey(x).detach())
    return jitter(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def any_strength(x, brightness, contrast, saturation, generator):
    """a negative strength is not refused"""
    return _jitter(least=-math.inf)(x, brightness, contrast, saturation, generator)


@wrong(color_jitter)
def jitter_by_the_global_generator(x, brightness, contrast, saturation, generator):
    """the factors come from torch's global generator, not from the one that is given"""
    return color_jitter(x, brightness, contrast, saturation, torch.default_generator)


@wrong(color_jitter)
def jitter_by_a_copy(x, brightness, contrast, saturation, generator):
    """the factors are drawn from a copy of the generator: its own state stands still"""
    return color_jitter(x, brightness, contrast, saturation, generator.clone_state())


@wrong(color_jitter)
def jitter_in_float32(x, brightness, contrast, saturation, generator):
    """the jittered images are float32 whatever came in"""
    return color_jitter(x, brightness, contrast, saturation, generator).float()


def show(answer):
    """A contact sheet: each change by itself, six draws of it, and all three in a row."""
    from matplotlib.figure import Figure

    from data.shapes import few_shot_images

    image = few_shot_images()[0][40:41].float()
    x, generator = image.repeat(7, 1, 1, 1), Generator().manual_seed(0)
    window = (48, (0.2, 0.8), (3 / 4, 4 / 3), generator)
    rows = {
        "flip": answer.random_horizontal_flip(x, 0.5, generator),
        "crop": answer.random_resized_crop(x, *window),
        "jitter": answer.color_jitter(x, 0.5, 0.5, 0.5, generator),
    }
    flipped = answer.random_horizontal_flip(x, 0.5, generator)
    cropped = answer.random_resized_crop(flipped, *window)
    rows["all three"] = answer.color_jitter(cropped, 0.2, 0.2, 0.2, generator)
    figure = Figure(figsize=(9, 4.9), layout="constrained")
    for line, (title, made) in zip(figure.subplots(4, 8), rows.items(), strict=True):
        for axis, picture in zip(line, [image[0], *made], strict=True):
            axis.imshow(picture.permute(1, 2, 0).clamp(0, 1))
            axis.set(xticks=[], yticks=[])
        line[0].set_title("as it is", fontsize=8)
        line[1].set_title(title, fontsize=8)
    return figure
