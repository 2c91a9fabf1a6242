"""Two pipelines from raw images to what a network takes: one to train on, one to evaluate with."""

import random
from collections.abc import Callable

from dojo import right, vision, wrong  # noqa: F401 - vision: torchvision needs it in places

# isort: split
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def train_transform(size: int) -> Callable[[Tensor], Tensor]:
    """Build the pipeline for training: every time an image comes by, it looks different.

    The window of a random resized crop (torchvision's defaults for area and shape), mirrored
    left to right every other time, with brightness and contrast jittered by 0.2, each by a
    factor of its own, and no other colour changed. Then the numbers are made such as a
    pretrained network wants them: from 0..255 to 0..1, less MEAN, divided by STD, channel by
    channel. Jitter clamps to the range of an image, so it must work on an image. All chance is
    torch's own: after torch.manual_seed the same image gives the same result. The pipeline sets
    no seed.

    Shapes:
        size: side of the result
        of the pipeline: uint8 (3, H, W), of any H and W -> float32 (3, size, size)

    Example:
        >>> train_transform(32)(torch.zeros(3, 40, 60, dtype=torch.uint8)).shape
        torch.Size([3, 32, 32])

    Source: torchvision documentation, "Transforming images, videos, boxes and more" (v2).
    """
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.2, contrast=0.2),
            *_to_network(),
        ]
    )


def eval_transform(size: int) -> Callable[[Tensor], Tensor]:
    """Build the pipeline for evaluation: the same image always gives the same numbers.

    The whole image is resized, bilinear and with antialias, so that its shorter edge becomes as
    much larger than `size` as 256 is larger than 224, rounded to a whole number; the longer
    edge keeps in proportion. Out of the middle of that the square of `size` is cut. The numbers
    end as in training. Nothing is left to chance.

    Shapes:
        size: side of the result
        of the pipeline: uint8 (3, H, W), of any H and W -> float32 (3, size, size)

    Example:
        >>> image = torch.full((3, 40, 60), 255, dtype=torch.uint8)
        >>> eval_transform(32)(image)[:, 0, 0]
        tensor([2.2489, 2.4286, 2.6400])

    Source: He, Zhang, Ren & Sun, Deep Residual Learning for Image Recognition,
        arXiv:1512.03385, section 3.4; torchvision documentation, ResNet18_Weights.
    """
    resize = v2.Resize(round(size * 256 / 224), antialias=True)
    return v2.Compose([resize, v2.CenterCrop(size), *_to_network()])


def _to_network() -> list[Callable[[Tensor], Tensor]]:
    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]


HINTS = [
    "Which steps change what is in the picture, and which only how it is written down in numbers? "
    "Which of them may be left to chance when you measure how good a network is?",
    "v2.Compose takes a list of steps. Pictures first: v2.RandomResizedCrop, "
    "v2.RandomHorizontalFlip, v2.ColorJitter, or v2.Resize with one number and v2.CenterCrop. "
    "Numbers last: v2.ToDtype, v2.Normalize.",
    "v2.Resize(round(size * 256 / 224)) takes the shorter edge as long as it is given an int; a "
    "pair would squash the image. v2.ToDtype(torch.float32, scale=True) divides by 255, without "
    "scale=True it does not.",
]


class _Steps(torch.nn.Module):
    """Steps one after the other, kept as a list."""

    def __init__(self, *steps):
        super().__init__()
        self.steps = steps

    def forward(self, image):
        for step in self.steps:
            image = step(image)
        return image


def _normalised(x):
    """Floats in 0..1 as the network wants them."""
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


@right(train_transform)
def train_by_functions(size):
    """The same by torchvision's functions, with draws of its own from torch's generator."""

    def draw(low, high):
        return low + (high - low) * torch.rand(()).item()

    def transform(image):
        window = v2.RandomResizedCrop.make_params(v2.RandomResizedCrop(size), [image])
        image = v2.functional.resized_crop(image, **window, size=[size, size])
        if draw(0, 1) < 0.5:
            image = v2.functional.horizontal_flip(image)
        image = v2.functional.to_dtype(image, torch.float32, scale=True)
        image = v2.functional.adjust_brightness(image, draw(0.8, 1.2))
        return _normalised(v2.functional.adjust_contrast(image, draw(0.8, 1.2)))

    return transform


@right(train_transform)
def train_as_modules(size):
    """Floats first: jitter on 0..1 says the same."""
    return torch.nn.Sequential(
        v2.ToDtype(torch.float32, scale=True),
        v2.RandomResizedCrop((size, size)),
        v2.ColorJitter(0.2, 0.2),
        v2.RandomHorizontalFlip(0.5),
        v2.Normalize(list(MEAN), list(STD)),
    )


@right(eval_transform)
def eval_by_interpolation(size):
    """Floats all the way, resized by torch itself."""

    def transform(image):
        height, width = image.shape[1:]
        short = int(size * 8 / 7 + 0.5)
        whole = (short, int(short * width / height))
        if height > width:
            whole = (int(short * height / width), short)
        image = image[None].float() / 255
        image = F.interpolate(image, whole, mode="bilinear", antialias=True)[0]
        top, left = (whole[0] - size) // 2, (whole[1] - size) // 2
        return _normalised(image[:, top : top + size, left : left + size])

    return transform


@right(eval_transform)
def eval_as_module(size):
    resize = v2.Resize(
        [round(size / 0.875)], interpolation=v2.InterpolationMode.BILINEAR, antialias=True
    )
    return _Steps(resize, v2.ToDtype(torch.float32, True), v2.Normalize(MEAN, STD),
                  v2.CenterCrop([size]))  # fmt: skip


def _train(size, *, crop=None, flip=None, jitter=None, numbers=None):
    """The pipeline for training with some of its steps replaced."""
    crop = v2.RandomResizedCrop(size) if crop is None else crop
    flip = v2.RandomHorizontalFlip() if flip is None else flip
    jitter = v2.ColorJitter(0.2, 0.2) if jitter is None else jitter
    return v2.Compose([crop, flip, jitter, *(_to_network() if numbers is None else numbers)])


def _evaluate(size, *, resize=None, crop=None, numbers=None):
    """The pipeline for evaluation with some of its steps replaced."""
    resize = v2.Resize(round(size * 256 / 224)) if resize is None else resize
    crop = v2.CenterCrop(size) if crop is None else crop
    return v2.Compose([resize, crop, *(_to_network() if numbers is None else numbers)])


@wrong(train_transform)
def jitter_after_normalising(size):
    """colours are jittered after normalising: what is below 0 by then is cut off"""
    steps = [v2.RandomResizedCrop(size), v2.RandomHorizontalFlip(), *_to_network()]
    return v2.Compose([*steps, v2.ColorJitter(0.2, 0.2)])


@wrong(train_transform)
def training_like_evaluation(size):
    """training gets the pipeline for evaluation: nothing is random"""
    return eval_transform(size)


@wrong(train_transform)
def never_mirrored(size):
    """images are never mirrored"""
    return _train(size, flip=v2.Identity())


@wrong(train_transform)
def always_mirrored(size):
    """all images are mirrored"""
    return _train(size, flip=v2.RandomHorizontalFlip(1.0))


@wrong(train_transform)
def upside_down(size):
    """images are turned upside down, not mirrored left to right"""
    return _train(size, flip=v2.RandomVerticalFlip())


@wrong(train_transform)
def squashed(size):
    """the whole image is squashed into a square (Resize with a pair): there is no random crop"""
    return _train(size, crop=v2.Resize((size, size)))


@wrong(train_transform)
def middle_only(size):
    """the crop is always the middle: nothing moves and nothing grows"""
    return _train(size, crop=v2.Compose([v2.Resize(size), v2.CenterCrop(size)]))


@wrong(train_transform)
def moved_only(size):
    """the window moves, but has one size: RandomCrop after Resize neither grows nor shrinks"""
    return _train(size, crop=v2.Compose([v2.Resize(size), v2.RandomCrop(size)]))


@wrong(train_transform)
def no_small_windows(size):
    """small windows are never drawn: scale begins at 0.2, not at torchvision's default of 0.08"""
    return _train(size, crop=v2.RandomResizedCrop(size, scale=(0.2, 1.0)))


@wrong(train_transform)
def square_windows(size):
    """all windows are square (ratio=(1, 1)): nothing is ever stretched a little"""
    return _train(size, crop=v2.RandomResizedCrop(size, ratio=(1.0, 1.0)))


@wrong(train_transform)
def mirrored_too_seldom(size):
    """fewer than half of the images are mirrored"""
    return _train(size, flip=v2.RandomHorizontalFlip(0.3))


@wrong(train_transform)
def mirrored_too_often(size):
    """more than half of the images are mirrored"""
    return _train(size, flip=v2.RandomHorizontalFlip(0.7))


@wrong(train_transform)
def one_factor_for_both(size):
    """brightness and contrast have one factor in common, where each has its own"""

    def jitter(image):
        factor = 0.8 + 0.4 * torch.rand(()).item()
        image = v2.functional.adjust_brightness(image, factor)
        return v2.functional.adjust_contrast(image, factor)

    return _train(size, jitter=jitter)


@wrong(train_transform)
def no_jitter(size):
    """colours are not jittered"""
    return _train(size, jitter=v2.Identity())


@wrong(train_transform)
def brightness_only(size):
    """only brightness is jittered, not contrast"""
    return _train(size, jitter=v2.ColorJitter(brightness=0.2))


@wrong(train_transform)
def jittered_now_and_then(size):
    """only some images are jittered (RandomApply), where every one gets factors of its own"""
    jitter = v2.RandomApply([v2.ColorJitter(0.2, 0.2)], p=0.5)
    return _train(size, jitter=jitter)


@wrong(train_transform)
def stronger_jitter(size):
    """brightness and contrast are jittered by more than 0.2"""
    return _train(size, jitter=v2.ColorJitter(0.5, 0.5))


@wrong(train_transform)
def weaker_jitter(size):
    """brightness and contrast are jittered by less than 0.2"""
    return _train(size, jitter=v2.ColorJitter(0.05, 0.05))


@wrong(train_transform)
def saturation_too(size):
    """saturation is jittered too"""
    return _train(size, jitter=v2.ColorJitter(0.2, 0.2, 0.4))


@wrong(train_transform)
def hue_too(size):
    """hue is jittered too: colours turn into others"""
    return _train(size, jitter=v2.ColorJitter(0.2, 0.2, hue=0.2))


@wrong(train_transform)
def training_not_normalised(size):
    """training leaves the numbers in 0..1: they are not normalised"""
    return _train(size, numbers=[v2.ToDtype(torch.float32, scale=True)])


@wrong(train_transform)
def training_not_scaled(size):
    """training normalises numbers from 0 to 255: ToDtype without scale=True does not divide"""
    return _train(size, numbers=[v2.ToDtype(torch.float32), v2.Normalize(MEAN, STD)])


@wrong(train_transform)
def other_numbers(size):
    """training normalises with 0.5 and 0.5, not with MEAN and STD"""
    numbers = [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    return _train(size, numbers=numbers)


@wrong(train_transform)
def seeded_in_every_call(size):
    """every image gets the same draws: torch is seeded in every call"""
    pipeline = train_transform(size)

    def transform(image):
        torch.manual_seed(0)
        return pipeline(image)

    return transform


@wrong(train_transform)
def seeded_when_built(size):
    """torch's seed is set when the pipeline is built"""
    torch.manual_seed(0)
    return train_transform(size)


@wrong(train_transform)
def mirrored_by_python(size):
    """whether an image is mirrored is drawn from Python's random, not from torch's generator"""
    mirror = v2.Lambda(lambda x: x.flip(-1) if random.random() < 0.5 else x)
    return _train(size, flip=mirror)


@wrong(train_transform)
def seeded_by_a_draw(size):
    """torch's seed is set in every call, to another number each time"""
    pipeline = train_transform(size)

    def transform(image):
        torch.manual_seed(int(torch.randint(1 << 30, ())))
        return pipeline(image)

    return transform


@wrong(train_transform)
def training_in_float64(size):
    """training gives float64"""
    numbers = [v2.ToDtype(torch.float64, scale=True), v2.Normalize(MEAN, STD)]
    return _train(size, numbers=numbers)


@wrong(train_transform)
def writes_into_the_image(size):
    """the pipeline writes into the image that it is given"""
    pipeline = train_transform(size)

    def transform(image):
        return pipeline(image.copy_(v2.functional.horizontal_flip(image)))

    return transform


@wrong(eval_transform)
def evaluation_mirrors(size):
    """evaluation mirrors images at random: augmentation belongs to training"""
    return v2.Compose([v2.RandomHorizontalFlip(), _evaluate(size)])


@wrong(eval_transform)
def evaluation_like_training(size):
    """evaluation gets the pipeline for training: it is augmented"""
    return train_transform(size)


@wrong(eval_transform)
def evaluation_jitters(size):
    """evaluation jitters colours: augmentation belongs to training"""
    return v2.Compose([v2.ColorJitter(0.2, 0.2), _evaluate(size)])


@wrong(eval_transform)
def random_place(size):
    """evaluation cuts out a random place, not the middle"""
    return _evaluate(size, crop=v2.RandomCrop(size))


@wrong(eval_transform)
def squashed_in_evaluation(size):
    """evaluation resizes to a square (Resize with a pair): what is not square is squashed"""
    side = round(size * 256 / 224)
    return _evaluate(size, resize=v2.Resize((side, side)))


@wrong(eval_transform)
def resized_to_size(size):
    """the shorter edge becomes size at once: nothing is cut off around it"""
    return _evaluate(size, resize=v2.Resize(size))


@wrong(eval_transform)
def squashed_to_size(size):
    """the whole image is squashed into size x size: no crop, and no proportions"""
    return _evaluate(size, resize=v2.Resize((size, size)))


@wrong(eval_transform)
def always_256(size):
    """the shorter edge always becomes 256, whatever size is"""
    return _evaluate(size, resize=v2.Resize(256))


@wrong(eval_transform)
def thirty_two_more(size):
    """the shorter edge becomes size + 32: that is 256 for 224 only"""
    return _evaluate(size, resize=v2.Resize(size + 32))


@wrong(eval_transform)
def rounded_down(size):
    """size * 256 / 224 is cut off, not rounded"""
    return _evaluate(size, resize=v2.Resize(size * 256 // 224))


@wrong(eval_transform)
def longer_edge(size):
    """the longer edge, not the shorter one, is resized: the crop runs over the shorter one"""
    side = round(size * 256 / 224)
    return _evaluate(size, resize=v2.Resize(None, max_size=side))


@wrong(eval_transform)
def cut_first(size):
    """the middle is cut out first and nothing is resized: large images show next to nothing"""
    return _evaluate(size, resize=v2.Identity())


@wrong(eval_transform)
def top_left(size):
    """the top-left corner is cut out, not the middle"""
    return _evaluate(size, crop=lambda image: image[:, :size, :size])


@wrong(eval_transform)
def not_cut(size):
    """nothing is cut out: what is not square does not become square"""
    return _evaluate(size, crop=v2.Identity())


@wrong(eval_transform)
def without_antialias(size):
    """evaluation resizes without antialias"""
    resize = v2.Resize(round(size * 256 / 224), antialias=False)
    return _evaluate(size, resize=resize)


@wrong(eval_transform)
def nearest(size):
    """evaluation resizes by the nearest pixel, not bilinear"""
    how = v2.InterpolationMode.NEAREST
    return _evaluate(size, resize=v2.Resize(round(size * 256 / 224), interpolation=how))


@wrong(eval_transform)
def bicubic(size):
    """evaluation resizes bicubic, not bilinear"""
    how = v2.InterpolationMode.BICUBIC
    return _evaluate(size, resize=v2.Resize(round(size * 256 / 224), interpolation=how))


@wrong(eval_transform)
def evaluation_not_normalised(size):
    """evaluation leaves the numbers in 0..1: they are not normalised"""
    return _evaluate(size, numbers=[v2.ToDtype(torch.float32, scale=True)])


@wrong(eval_transform)
def evaluation_not_scaled(size):
    """evaluation normalises numbers from 0 to 255: ToDtype without scale=True does not divide"""
    return _evaluate(size, numbers=[v2.ToDtype(torch.float32), v2.Normalize(MEAN, STD)])


@wrong(eval_transform)
def evaluation_only_scaled_to_floats(size):
    """evaluation gives floats from 0 to 255"""
    return _evaluate(size, numbers=[v2.ToDtype(torch.float32)])


@wrong(eval_transform)
def channels_reversed(size):
    """MEAN and STD are given to the channels the other way round: red gets those of blue"""
    numbers = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN[::-1], STD[::-1])]
    return _evaluate(size, numbers=numbers)


@wrong(eval_transform)
def only_centred(size):
    """evaluation subtracts MEAN, but does not divide by STD"""
    numbers = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, (1.0, 1.0, 1.0))]
    return _evaluate(size, numbers=numbers)


@wrong(eval_transform)
def normalised_by_itself(size):
    """each image is normalised by its own mean and deviation, not by MEAN and STD"""

    def own(x):
        return (x - x.mean((1, 2), keepdim=True)) / x.std((1, 2), keepdim=True).clamp_min(1e-6)

    return _evaluate(size, numbers=[v2.ToDtype(torch.float32, scale=True), own])


def show(answer):
    """Twelve draws of the pipeline for training, and what evaluation makes of the same image."""
    from matplotlib.figure import Figure

    from data.shapes import few_shot_images

    images = few_shot_images()[0][:3]
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots(3, 8)
    train, evaluate = answer.train_transform(64), answer.eval_transform(64)
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    for number, image in enumerate(images):
        raw = (image * 255).round().to(torch.uint8)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            made = [evaluate(raw), *(train(raw) for _ in range(6))]
        pictures = [raw / 255, *(x * std + mean for x in made)]
        titles = ["as it is", "evaluation", *["training"] * 6]
        for axis, picture, title in zip(axes[number], pictures, titles, strict=True):
            axis.imshow(picture.permute(1, 2, 0).clamp(0, 1))
            axis.set(xticks=[], yticks=[])
            axis.set_title("" if number else title, fontsize=9)
    return figure
