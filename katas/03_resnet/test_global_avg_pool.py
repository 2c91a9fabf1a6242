"""One number a channel: what `global_avg_pool` and `gap_head` must do, easiest first."""

import pytest
import torch

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal, same_gradients

global_avg_pool, gap_head = answer("global_avg_pool"), answer("gap_head")

MAPS = torch.tensor([
    [[[1, 2, 9], [0, 4, 2]], [[-3, 6, 0], [5, -2, 6]]],
    [[[7, 7, 1], [3, 0, 0]], [[1, -8, 4], [-2, 0, -1]]],
], dtype=torch.float32)  # fmt: skip


def test_every_map_becomes_its_mean():
    """Two images of two maps of 2x3 places: each map becomes its sum divided by 6."""
    sums = [[1 + 2 + 9 + 0 + 4 + 2, -3 + 6 + 0 + 5 - 2 + 6],
            [7 + 7 + 1 + 3 + 0 + 0, 1 - 8 + 4 - 2 + 0 - 1]]  # fmt: skip
    same(global_avg_pool(MAPS), torch.tensor(sums) / 6)


@pytest.mark.parametrize(
    "shape",
    [(3, 4, 5, 2), (2, 5, 3, 8), (1, 4, 3, 5), (3, 1, 2, 7), (1, 1, 4, 3), (2, 3, 1, 1),
     (1, 1, 1, 1), (4, 2, 1, 6), (2, 3, 5, 1), (2, 3, 7, 7), (2, 3, 14, 9)],
)  # fmt: skip
def test_any_sizes_and_both_axes_are_kept(rng, shape):
    """The result is (N, C) for maps of any size, also for one image, one channel, one place."""
    x = 3 + 2 * normal(rng, *shape)  # a mean near 0 would be judged by its rounding errors
    same(global_avg_pool(x), x.mean((2, 3)))


def test_a_batch_is_the_stack_of_its_images(rng):
    """Each image is pooled by itself: alone it gives what it gives in a batch."""
    x = normal(rng, 3, 4, 5, 6)
    same(global_avg_pool(x), torch.cat([global_avg_pool(image) for image in x.split(1)]))


def test_zeros_and_negative_numbers_count(rng):
    """After a ReLU most of a map is 0; these places count as much as all others."""
    x = normal(rng, 2, 3, 6, 5)
    same(global_avg_pool(x.relu()), x.relu().mean((2, 3)))
    same(global_avg_pool(-x.abs()), -x.abs().mean((2, 3)))


def test_float64_stays_float64(rng):
    """The result has the dtype of x, with all its digits."""
    x = normal(rng, 2, 3, 4, 5, dtype=torch.float64)
    same(global_avg_pool(x), x.mean((2, 3)))


def test_any_memory_layout(rng):
    """Maps may lie in memory channels last, or be a part of larger ones."""
    x = normal(rng, 2, 3, 5, 8)
    for view in (x.to(memory_format=torch.channels_last), x[:, :, 1:, ::2], x.transpose(2, 3)):
        same(global_avg_pool(view), view.mean((2, 3)))


def test_the_gradient_is_shared_by_all_places(rng):
    """Every place of a map gets the same share of its gradient."""
    inputs = {"x": normal(rng, 2, 3, 4, 5)}
    same_gradients(lambda x: global_avg_pool(x), lambda x: x.mean((2, 3)), inputs)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5, 6), (4, 5), (6,), ()])
def test_other_than_four_axes_are_refused(shape):
    """x must be (N, C, H, W): any other number of axes is refused with a ValueError."""
    because = f"x of shape {shape}, which has {len(shape)} axes"
    refuses(global_avg_pool, torch.ones(shape), because=because)


def test_two_heads_share_nothing():
    """Every call builds a new head: training one leaves the others alone."""
    one, two = gap_head(4, 3), gap_head(4, 3)
    shared = {id(p) for p in one.parameters()} & {id(p) for p in two.parameters()}
    expect(not shared, f"two heads share {len(shared)} parameters: each needs its own", len(shared))


def settled(rng, channels, num_classes):
    """A head with fresh numbers in it, and what it must compute."""
    head = gap_head(channels, num_classes)
    with torch.no_grad():
        for parameter in sorted(head.parameters(), key=lambda p: p.dim()):
            parameter.copy_(normal(rng, *parameter.shape))
    bias, weight = (p.detach() for p in sorted(head.parameters(), key=lambda p: p.dim()))
    matrix = weight.flatten(1) if len(weight) == num_classes else weight.T
    return head, lambda x: x.mean((2, 3)) @ matrix.to(x).T + bias.to(x)


@pytest.mark.parametrize(
    ("channels", "num_classes"), [(5, 3), (3, 7), (1, 4), (6, 1), (1, 1), (512, 1000)]
)
def test_the_head_has_a_weight_for_every_channel_and_class_and_a_bias(channels, num_classes):
    """C * K weights and K biases: 513,000 of 512 channels, where flat 7x7 maps need 25,089,000."""
    head = gap_head(channels, num_classes)
    shapes = sorted((tuple(p.shape) for p in head.parameters()), key=str)
    count = sum(p.numel() for p in head.parameters())
    wanted = channels * num_classes + num_classes
    seen = f"the head of {channels} channels and {num_classes} classes has {count} parameters"
    listed = ", ".join(map(str, shapes))
    expect(count == wanted, f"{seen} ({listed}), expected C * K + K = {wanted}", shapes)
    expect(len(shapes) == 2, f"its parameters are {listed}, expected a weight and a bias", shapes)
    free = all(p.requires_grad for p in head.parameters())
    expect(free, "the head's parameters are frozen: requires_grad is off", "frozen")


@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(
    ("shape", "num_classes"),
    [((3, 5, 4, 6), 2), ((2, 3, 1, 1), 4), ((1, 4, 5, 2), 3), ((2, 1, 3, 4), 5),
     ((4, 6, 8, 9), 1), ((1, 2, 3, 5), 1), ((2, 3, 7, 7), 5)],
)  # fmt: skip
def test_a_logit_is_a_weighted_sum_of_the_means(rng, shape, num_classes, mode):
    """Class k gets bias[k] + sum of weight[k, c] * mean of channel c, in both modes."""
    head, logits = settled(rng, shape[1], num_classes)
    x, head = normal(rng, *shape, dtype=torch.float64) + 0.5, head.double().train(mode)
    kept = x.clone()
    same(head(x), logits(x), what="logits")
    same(x, kept, what="the maps after the call")


def test_one_head_takes_maps_of_all_sizes(rng):
    """The same weights serve every size of map, and where in a map something lies is forgotten."""
    head, logits = settled(rng, 4, 3)
    for size in ((7, 7), (2, 9), (13, 1)):
        x = normal(rng, 2, 4, *size)
        same(head(x), logits(x), what="logits")
        moved = x.flatten(2)[:, :, torch.from_numpy(rng.permutation(size[0] * size[1]))]
        same(head(moved.reshape(x.shape)), logits(x), what="logits of maps with pixels shuffled")


def test_the_head_is_trained_and_lets_the_gradient_through(rng):
    """The gradient reaches the maps and every parameter; a float64 head gives float64."""
    head, logits = settled(rng, 4, 3)
    head.double()
    same_gradients(lambda x: head(x), logits, {"x": normal(rng, 2, 4, 3, 5)})
    without = sum(p.grad is None for p in head.parameters())
    expect(not without, f"no gradient reaches {without} of the head's parameters")


@pytest.mark.parametrize(("channels", "num_classes"), [(0, 3), (4, 0), (-1, 3), (4, -2)])
def test_sizes_below_one_are_refused(channels, num_classes):
    """A head of no channels or no classes is refused with a ValueError when it is built."""
    because = f"{channels} channels and {num_classes} classes"
    refuses(gap_head, channels, num_classes, because=because)
