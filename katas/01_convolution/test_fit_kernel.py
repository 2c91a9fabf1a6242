"""Learn a filter from examples: what `fit_kernel` must do, easiest first."""

import contextlib
import itertools

import pytest
import torch
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal

fit_kernel = answer("fit_kernel")

pytestmark = [
    # an answer that uses torch.optim waits seconds for its import
    pytest.mark.timeout(60),
    # what torch warns of here is refused here, and told as that
    pytest.mark.filterwarnings("ignore:Using a target size:UserWarning"),
]

HIDDEN = {
    "sobel": torch.tensor([[[[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]]]),
    "blur": torch.full((1, 1, 3, 3), 1 / 9),
    "uneven": torch.tensor([[[[1.0, -3], [0.5, 2]]]]),
}


def examples(rng, shape, kernel_size, dtype=torch.float32):
    """Images with a mean of their own, and targets that no kernel gives exactly."""
    images = normal(rng, *shape) + 0.5
    targets = normal(rng, shape[0], 1, shape[2] - kernel_size + 1, shape[3] - kernel_size + 1)
    return images.to(dtype), targets.to(dtype)


def after(images, targets, kernel_size, steps, lr):
    """Where that many steps lead. The error is a parabola, so each one is the same matrix."""
    windows = images.double().unfold(2, kernel_size, 1).unfold(3, kernel_size, 1)
    windows = windows.reshape(targets.numel(), kernel_size**2)
    rate = 2 * lr / len(windows)
    shrink = torch.eye(kernel_size**2) - rate * windows.T @ windows
    powers = sum(torch.linalg.matrix_power(shrink, step) for step in range(steps))
    kernel = powers @ (rate * windows.T @ targets.double().flatten())
    return kernel.reshape(1, 1, kernel_size, kernel_size).to(images.dtype)


def test_no_step_leaves_the_zeros(rng):
    """With 0 steps the kernel is as it began: all zeros."""
    images, targets = examples(rng, (2, 1, 5, 6), 3)
    same(fit_kernel(images, targets, 3, 0, 0.1), torch.zeros(1, 1, 3, 3))


def test_one_step_goes_against_the_gradient():
    """One cell: the error's gradient at 0 is -2 times the mean of image cell times target cell."""
    images = torch.tensor([[[[1.0, 2, 4]]], [[[3, 0, 2]]]])
    targets = torch.tensor([[[[3.0, 5, -1]]], [[[2, 7, 1]]]])
    expected = 0.1 * 2 * (1 * 3 + 2 * 5 + 4 * -1 + 3 * 2 + 0 * 7 + 2 * 1) / 6
    same(fit_kernel(images, targets, 1, 1, 0.1), torch.tensor([[[[expected]]]]))


def test_each_cell_of_the_kernel_has_its_own_gradient():
    """Cell [i, j] meets the image cells that lie under it: two places, two products."""
    images, targets = torch.tensor([[[[1.0, 2, 0], [4, 1, 3]]]]), torch.tensor([[[[1.0, -2]]]])
    sums = [[1 * 1 + 2 * -2, 2 * 1 + 0 * -2], [4 * 1 + 1 * -2, 1 * 1 + 3 * -2]]
    same(fit_kernel(images, targets, 2, 1, 0.5), 0.5 * 2 * torch.tensor([[sums]]) / 2)


def test_the_second_step_starts_where_the_first_one_ended():
    """One cell, image 1, target 4, lr 0.25: 0 becomes 0.5 * 4, then half of what is missing."""
    images, targets = torch.tensor([[[[1.0]]]]), torch.tensor([[[[4.0]]]])
    same(fit_kernel(images, targets, 1, 2, 0.25), torch.tensor([[[[2.0 + 0.5 * (4 - 2)]]]]))


@pytest.mark.parametrize(
    ("shape", "kernel_size", "lr"),
    [((1, 1, 6, 9), 2, 0.1), ((3, 1, 7, 5), 3, 0.05), ((4, 1, 4, 8), 4, 0.03),
     ((5, 1, 2, 3), 1, 0.2), ((6, 1, 3, 3), 3, 0.1)],
)  # fmt: skip
def test_every_step_is_lr_times_the_gradient(rng, shape, kernel_size, lr):
    """The mean squared error counts all cells of all images alike, at each step anew."""
    images, targets = examples(rng, shape, kernel_size)
    for steps in (1, 2, 5):
        expected = after(images, targets, kernel_size, steps, lr)
        same(fit_kernel(images, targets, kernel_size, steps, lr), expected)


def test_images_and_targets_may_be_views(rng):
    """Rows and columns exchanged, or a part of larger images: what counts are the cells."""
    images, targets = examples(rng, (3, 1, 5, 8), 2)
    for view in ((images.mT, targets.mT), (images[1:, :, :, ::2], targets[1:, :, :, ::2][..., :3])):
        same(fit_kernel(*view, 2, 3, 0.1), after(*view, 2, 3, 0.1))


@pytest.mark.parametrize("name", HIDDEN)
def test_the_filter_behind_the_targets_is_found(rng, name):
    """From noise and its filtered maps alone the filter comes out, as it was written."""
    hidden = HIDDEN[name]
    for _ in range(3):
        images, new = normal(rng, 6, 1, 9, 11), normal(rng, 1, 1, 12, 7)
        found = fit_kernel(images, F.conv2d(images, hidden), hidden.shape[2], 80, 0.2)
        same(found, hidden, tolerance=1e-3)
        same(F.conv2d(new, found), F.conv2d(new, hidden), tolerance=1e-3, what="map of a new image")


def test_more_steps_leave_a_smaller_error(rng):
    """Every further step brings the maps nearer to the targets."""
    images, counts = normal(rng, 4, 1, 8, 10), (0, 1, 2, 5, 10, 30)
    targets = F.conv2d(images, normal(rng, 1, 1, 3, 3))
    kernels = [fit_kernel(images, targets, 3, steps, 0.05) for steps in counts]
    errors = [F.mse_loss(F.conv2d(images, kernel), targets).item() for kernel in kernels]
    falls = all(more < less for less, more in itertools.pairwise(errors))
    seen = ", ".join(f"{error:.3g}" for error in errors)
    expect(falls, f"after {counts} steps the error is {seen}: each must be smaller", errors)


def test_float64_stays_float64(rng):
    """The kernel has the dtype of the images, with all its digits."""
    images, targets = examples(rng, (2, 1, 6, 7), 3, torch.float64)
    same(fit_kernel(images, targets, 3, 6, 0.1), after(images, targets, 3, 6, 0.1))


def test_every_call_begins_anew(rng):
    """A second call knows nothing of the first, and leaves the first one's kernel alone."""
    images, targets = examples(rng, (2, 1, 5, 8), 2)
    first = fit_kernel(images, targets, 2, 3, 0.1)
    kept = first.clone()
    same(fit_kernel(images, targets, 2, 3, 0.1), kept, what="second call")
    fit_kernel(images, -targets, 2, 1, 0.1)
    same(first, kept, what="first kernel after a later call")


def test_the_kernel_is_detached(rng):
    """The result requires no gradient, and autograd is on or off as it was before."""
    images, targets = examples(rng, (2, 1, 5, 8), 2)
    with torch.enable_grad():
        kernel = fit_kernel(images, targets, 2, 2, 0.1)
        still_on = torch.is_grad_enabled()
    with torch.no_grad():
        with contextlib.suppress(RuntimeError):  # whether it can work without autograd is free
            fit_kernel(images, targets, 2, 2, 0.1)
        still_off = not torch.is_grad_enabled()
    expect(not kernel.requires_grad, "the kernel still requires a gradient: return it detached")
    expect(still_on, "autograd was switched on before the call and is off after it")
    expect(still_off, "autograd was switched off before the call and is on after it")


@pytest.mark.parametrize(
    "shape",
    [(3, 1, 5, 7), (3, 1, 3, 6), (3, 1, 4, 7), (3, 1, 6, 4), (2, 1, 4, 6), (4, 1, 4, 6),
     (1, 1, 4, 6), (3, 1, 1, 1), (3, 1, 4, 1), (3, 1, 1, 6), (3, 2, 4, 6), (1, 3, 4, 6),
     (3, 4, 6), (4, 6), (),
     (3, 1, 24), (3, 1, 4, 6, 1), (1, 3, 1, 4, 6)],
)  # fmt: skip
def test_targets_of_another_shape_are_refused(shape):
    """Targets must have a cell for each place of the kernel: ValueError, nothing is repeated."""
    because = f"targets {shape} for 2x2 on images (3, 1, 5, 7)"
    refuses(fit_kernel, torch.ones(3, 1, 5, 7), torch.ones(shape), 2, 2, 0.1, because=because)
