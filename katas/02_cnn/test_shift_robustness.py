"""Shift robustness: the table exactly, on planted models; then three networks side by side."""

import math

import pytest
import torch
from torch import nn, tensor
from torch.nn import functional as F

from dojo.checks import answer, expect, same, same_value
from dojo.tensors import model_left_alone, normal

shifted_accuracy, ShiftTolerantCNN = answer("shifted_accuracy"), answer("ShiftTolerantCNN")

HEIGHT, WIDTH = 6, 5
MODES = pytest.mark.parametrize("modes", ["train", "eval", "mixed"])


class Broken(Exception):
    """No answer can mean this one."""


class Breaks(nn.Module):
    def forward(self, x):
        raise Broken("this model breaks")


class Place(nn.Module):
    """Says at which place, counted in reading order, the brightest pixel is; 30 if all is dark."""

    def forward(self, x):
        x = x.flatten(1)
        said = torch.where(x.amax(1) > 0, x.argmax(1), HEIGHT * WIDTH)
        if self.training:
            said = (said + 1) % (HEIGHT * WIDTH + 1)
        return F.one_hot(said, HEIGHT * WIDTH + 1).float()


class Bright(nn.Module):
    """Says how many pixels are not 0."""

    def forward(self, x):
        return F.one_hot((x != 0).flatten(1).sum(1), HEIGHT * WIDTH + 1).float()


def spot(row, column):
    """One image with one bright pixel."""
    image = torch.zeros(1, 1, HEIGHT, WIDTH)
    image[0, 0, row, column] = 1.0
    return image


def place(row, column):
    return row * WIDTH + column


def in_modes(model, modes):
    """All in train, all in eval, or every second module, parents and children apart."""
    for number, module in enumerate(model.modules()):
        module.training = modes == "train" if modes != "mixed" else number % 2 == 0
    return model


def logits_of(model, images):
    with torch.no_grad():
        return model.eval()(images)


@pytest.mark.parametrize(
    ("direction", "row", "column"),
    [("up", -1, 0), ("down", 1, 0), ("left", 0, -1), ("right", 0, 1)],
)
@pytest.mark.parametrize("far", [1, 2])
def test_each_direction_is_a_quarter(direction, row, column, far):
    """A pixel at (3, 2) is awaited where one of the four shifts takes it: a quarter is right."""
    label = tensor([place(3 + far * row, 2 + far * column)])
    table = [0.25 if s == far else 0.0 for s in range(4)]
    same_value(shifted_accuracy(Place(), spot(3, 2), label, 3), table, tolerance=1e-6)


@pytest.mark.parametrize("most", [0, 1, 4])
def test_the_list_goes_from_no_shift_to_the_largest(most):
    """Entry s is for s pixels, 0 and max_shift included; unmoved the model is right."""
    label = tensor([place(3, 2)])
    got = shifted_accuracy(Place(), spot(3, 2), label, most)
    same_value(got, [1.0] + [0.0] * most, tolerance=1e-6)


@pytest.mark.parametrize(("row", "column"), [(0, 2), (5, 2), (3, 0), (3, 4)])
def test_what_leaves_the_image_is_lost(row, column):
    """A pixel at the edge that is moved out of the image does not come in again elsewhere."""
    dark = tensor([HEIGHT * WIDTH])
    got = shifted_accuracy(Place(), spot(row, column), dark, 1)
    same_value(got, [0.0, 0.25], tolerance=1e-6)


@pytest.mark.parametrize(("left", "share"), [(WIDTH * (HEIGHT - 2), 0.5), (HEIGHT * 3, 0.5)])
def test_zeros_come_in(left, share):
    """Of 30 bright pixels 20 are left after 2 up or down, 18 after 2 to a side; the rest is 0."""
    got = shifted_accuracy(Bright(), torch.ones(1, 1, HEIGHT, WIDTH), tensor([left]), 2)
    same_value(got, [0.0, 0.0, share], tolerance=1e-6)


def test_every_image_counts(rng):
    """The mean over all images and directions, each image with its own label."""
    images = torch.cat([spot(3, 2), spot(2, 1), spot(1, 3), spot(4, 2)])
    labels = tensor([place(3, 2), place(2, 2), place(1, 3), place(3, 2)])
    table = [2 / 4, 2 / 16, 0.0]
    same_value(shifted_accuracy(Place(), images, labels, 2), table, tolerance=1e-6)


def test_of_many_images_each_counts_the_same():
    """Of 1013 images the last three are right: asked in parts, a short last one counts no more."""
    images, labels = spot(3, 2).repeat(1013, 1, 1, 1), torch.full((1013,), place(0, 0))
    labels[-3:] = place(3, 2)
    same_value(shifted_accuracy(Place(), images, labels, 1), [3 / 1013, 0.0], tolerance=1e-6)


@pytest.mark.parametrize("shape", [(7, 1, 6, 5), (1, 2, 4, 7), (5, 3, 5, 5)])
def test_any_images_as_written_out(rng, shape):
    """Any number of images, channels, rows and columns, read by a dense layer."""
    images, (count, channels, height, width) = normal(rng, *shape), shape
    model = nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 3))
    labels = logits_of(model, images).argmax(1)
    table = []
    for s in range(4):
        hits = 0
        for down, right in [(-s, 0), (s, 0), (0, -s), (0, s)]:
            moved = torch.zeros_like(images)
            for row in range(height):
                for column in range(width):
                    from_row, from_column = row - down, column - right
                    if 0 <= from_row < height and 0 <= from_column < width:
                        moved[:, :, row, column] = images[:, :, from_row, from_column]
            hits += (logits_of(model, moved).argmax(1) == labels).sum().item()
        table.append(hits / (4 * count))
    same_value(shifted_accuracy(model, images, labels, 3), table, tolerance=1e-6)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_model_is_asked_in_eval(training):
    """A model that says another class in train mode says the right one."""
    got = shifted_accuracy(Place().train(training), spot(3, 2), tensor([place(3, 2)]), 1)
    same_value(got, [1.0, 0.0], tolerance=1e-6)


@MODES
def test_the_model_comes_back_as_it_was(rng, modes):
    """Each submodule's own mode, statistics, weights, requires_grad, .grad and hooks."""
    inner = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5))
    model = nn.Sequential(nn.Conv2d(1, 3, 3), inner, nn.Flatten(), nn.Linear(36, 4))
    model(normal(rng, 3, 1, 6, 5)).sum().backward()
    in_modes(model, modes)
    with model_left_alone(model):
        shifted_accuracy(model, normal(rng, 3, 1, 6, 5), tensor([0, 1, 2]), 1)


def test_it_comes_back_also_after_an_exception():
    """What the model raises reaches the caller; the modes are as before all the same."""
    model, got = in_modes(nn.Sequential(nn.Dropout(), Breaks()), "mixed"), "a result"
    with model_left_alone(model):
        try:
            shifted_accuracy(model, spot(3, 2), tensor([0]), 1)
        except Broken as error:
            got = str(error)
    expect(got == "this model breaks", f"the model raised Broken, and the caller got {got}", got)


@pytest.mark.parametrize("images", [3, 1])
@pytest.mark.parametrize("num_classes", [None, 5, 2])
def test_one_logit_for_each_class(images, num_classes):
    """(N, 1, 28, 28) becomes (N, num_classes), 10 if nothing is said."""
    model = ShiftTolerantCNN() if num_classes is None else ShiftTolerantCNN(num_classes)
    logits = logits_of(model, torch.rand(images, 1, 28, 28))
    same(torch.zeros_like(logits), torch.zeros(images, num_classes or 10), what="logits")


def test_logits_are_no_probabilities(rng):
    """Nothing follows the last layer: no softmax, no log-softmax, no sigmoid."""
    logits = logits_of(ShiftTolerantCNN(40), 100 * normal(rng, 20, 1, 28, 28))
    sums = logits.sum(1)
    even = bool((sums - 1).abs().max() < 1e-3)
    expect(not even, "an image's numbers add up to 1: these are probabilities, not logits", sums)
    even = bool(logits.logsumexp(1).abs().max() < 1e-3)
    expect(not even, "the exponentials of an image's numbers add up to 1: a log-softmax was taken",
           logits)  # fmt: skip
    least, most = logits.min().item(), logits.max().item()
    expect(least < 0 or most > 1, f"800 numbers lie between {least:.3g} and {most:.3g}: these are "
           "probabilities, not logits", logits)  # fmt: skip


def test_all_that_a_network_has_learnt_is_in_its_state(rng):
    """A second network with the first one's state_dict says the same: each layer is registered."""
    images = 5 * normal(rng, 3, 1, 28, 28).abs()
    one, other = ShiftTolerantCNN(4), ShiftTolerantCNN(4)
    other.load_state_dict(one.state_dict())
    same(logits_of(other, images), logits_of(one, images), what="logits of one with its state")


def patterns(rng, row=10, column=10, pixels=None):
    """Random 8x8 patterns, values 0 to 10, on empty 28x28 images."""
    pixels = 10 * torch.from_numpy(rng.random((12, 1, 8, 8))).float() if pixels is None else pixels
    images = torch.zeros(12, 1, 28, 28)
    images[:, :, row : row + 8, column : column + 8] = pixels
    return images


def test_where_a_pattern_lies_changes_little(rng):
    """Untrained: moved by 8 pixels it changes the logits by less than 0.75 of taken away.

    Measured for 150 seeds: 0.01 to 0.27 with a global pool behind padded convolutions, up to 0.56
    behind unpadded ones; 0.88 to 1.8 where places have weights of their own.
    """
    images, change, effect = patterns(rng), 0.0, 0.0
    pixels = images[:, :, 10:18, 10:18]
    moved = [patterns(rng, 10 + down, 10 + right, pixels)
             for down, right in [(-8, 0), (8, 0), (0, -8), (0, 8)]]  # fmt: skip
    for _ in range(3):
        model = ShiftTolerantCNN(10)
        here, gone = logits_of(model, images), logits_of(model, torch.zeros_like(images))
        change += torch.stack([logits_of(model, x) - here for x in moved]).square().mean().item()
        effect += (here - gone).square().mean().item()
    change, effect = math.sqrt(change / 3), math.sqrt(effect / 3)
    told = f"a pattern moved by 8 pixels changes the logits by {change:.2g}, taken away by "
    told += f"{effect:.2g}: the head knows places"
    expect(change <= 0.75 * effect + 1e-6, told, (change, effect))


def test_what_a_pattern_is_counts(rng):
    """The same pixels in another order are another pattern, and get other logits."""
    model, images = ShiftTolerantCNN(10), patterns(rng)
    pixels = images[:, :, 10:18, 10:18].flatten(2)
    mixed = pixels[..., torch.from_numpy(rng.permutation(64))].reshape(12, 1, 8, 8)
    here, other = logits_of(model, images), logits_of(model, patterns(rng, pixels=mixed))
    effect = (here - logits_of(model, torch.zeros_like(images))).abs().max().item()
    change = (here - other).abs().max().item()
    told = f"the same pixels in another order change the logits by {change:.2g} of {effect:.2g}: "
    expect(change >= 1e-3 * effect, told + "no pattern is seen", (change, effect))


def dense():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 5))


def flattened():
    first = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(784, 5))


def digits(images, labels, most):
    """Digits 0 to 4 as they were before they were enlarged, on 28x28, values 0 to 10."""
    images, labels = torch.from_numpy(images), torch.from_numpy(labels)
    images, labels = images[labels < 5][:most], labels[labels < 5][:most]
    return F.pad(10 * images[:, :, 2:26:3, 2:26:3], [10] * 4), labels


def trained(model, images, labels, seed):
    """300 steps of Adam, batches of 16, the rate falling from 0.005."""
    order, optimizer = (
        torch.Generator().manual_seed(seed),
        torch.optim.Adam(model.parameters(), 5e-3),
    )
    rates = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, 300)
    model.train()
    for _ in range(300):
        batch = torch.randint(len(labels), (16,), generator=order)
        optimizer.zero_grad()
        F.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
        rates.step()
    return model


def shares(model, images, labels):
    """The accuracy at 3 and at 4 pixels, in percent."""
    table = []
    for s in (3, 4):
        sides = [(s, -s, 0, 0), (-s, s, 0, 0), (0, 0, s, -s), (0, 0, -s, s)]
        hits = [logits_of(model, F.pad(images, side)).argmax(1) == labels for side in sides]
        table.append(100 * torch.cat(hits).double().mean().item())
    return table


@pytest.mark.timeout(120)
def test_it_survives_shifts_that_break_the_others(rng):
    """Same experiment, one variable: for 3 seeds far more than a dense net and a flattened CNN.

    Measured for 8 seeds, percent at 3 and at 4 px: dense 18 to 24 and 20 to 23, flattened CNN 24
    to 32 and 15 to 20; two convolutions and a global max 78 to 95 and 99 to 100, a global mean 53
    to 85 and 72 to 89. The least lead at 3 px was 22 points, at 4 px 52.
    """
    from data import split_digits

    split, seeds = split_digits("digits"), rng.integers(1 << 30, size=3).tolist()
    images, labels = digits(split.train_images, split.train_labels, None)
    held_out, truth = digits(split.held_out_images, split.held_out_labels, 150)

    def table(build, seed):
        torch.manual_seed(seed)
        return shares(trained(build(), images, labels, seed), held_out, truth)

    others = [table(build, seeds[0]) for build in (dense, flattened)]
    for seed in seeds:
        # one start in some hundred learns nothing: the better of two counts
        yours = table(lambda: ShiftTolerantCNN(5), seed)
        if yours[0] < 50:
            yours = max(yours, table(lambda: ShiftTolerantCNN(5), seed + 1))
        for place_, (s, lead) in enumerate(((3, 10), (4, 25))):
            best = max(other[place_] for other in others)
            told = f"seed {seed}, {s} px: {yours[place_]:.0f} % right, {others[0][place_]:.0f} % "
            told += f"dense, {others[1][place_]:.0f} % with a flattened head: {lead} points more "
            told += "than both are wanted. Is each weight tied to a place, as behind a flat head?"
            expect(yours[place_] >= best + lead, told, yours)
