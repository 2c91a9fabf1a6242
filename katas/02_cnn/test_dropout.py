"""Units switched off at random: what `dropout` must do, easiest first."""

import random

import numpy as np
import pytest
import torch

from dojo.checks import answer, expect, refuses, same
from dojo.explain import apart
from dojo.tensors import normal

dropout = answer("dropout")

SHAPES = [(4, 3, 8, 5), (1, 2, 9, 7), (300, 1), (1, 350), (400,)]


def seeded(rng):
    """A generator of coins, with a fresh seed."""
    return torch.Generator().manual_seed(int(rng.integers(2**31)))


def away_from_zero(rng, *shape, dtype=torch.float32):
    """Numbers of both signs, none near 0: a 0 in the result was dropped."""
    numbers = normal(rng, *shape, dtype=dtype)
    return numbers.sign() * (numbers.abs() + 0.5)


def factors(result, x):
    """By what the numbers were multiplied: sorted, each once; "many" if there are many."""
    found = sorted({round(f, 4) for f in (result / x).flatten().tolist()})
    return tuple(found) if len(found) < 4 else "many"


def share(result):
    """How much of the result is 0."""
    return float((result == 0).double().mean())


def coins(rng, *shape, p=0.5, generator=None, dtype=torch.float32):
    """Which cells of one draw were dropped."""
    return dropout(away_from_zero(rng, *shape, dtype=dtype), p, True, generator) == 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("p", [0.2, 0.75, 0.0, 1.0])
def test_evaluation_hands_everything_through(rng, shape, p):
    """With training False the result is x, whatever p is: nothing dropped, nothing scaled."""
    x = away_from_zero(rng, *shape)
    result = dropout(x, p, False, seeded(rng))
    same(torch.zeros_like(result), torch.zeros_like(x))
    found = factors(result, x)
    expect(found == (1.0,), f"in evaluation x was multiplied by {found}, expected x itself", found)
    same(dropout(x, p, training=False), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_is_not_dropped_grows_so_that_the_mean_is_kept(rng, shape, dtype):
    """Of 5 numbers 4 survive at p = 0.2: each must then count for 5/4."""
    for p, scale in [(0.2, 5 / 4), (0.3, 10 / 7), (0.9, 10.0)]:
        x = away_from_zero(rng, *shape[::-1], dtype=dtype).permute(*range(len(shape))[::-1])
        result = dropout(x, p, True, seeded(rng))
        same(torch.zeros_like(result), torch.zeros_like(x))
        close = (result - scale * x).abs() <= {torch.float32: 1e-5, torch.float64: 1e-9}[dtype]
        odd = (result / x)[~close & (result != 0)].tolist()
        got, wanted = apart(odd[0] if odd else scale, scale)
        seen = f"{len(odd)} of {x.numel()} cells are neither 0 nor {wanted} times x"
        seen = f"{seen}; the first is {got} times x"
        expect(not odd, f"at p = {p}, {seen}", (factors(result, x), round(share(result), 1)))


@pytest.mark.parametrize("p", [0.0, 0])
def test_at_p_0_all_survive(rng, p):
    """Nothing is dropped and nothing grows: in training too the result is x, a transposed one."""
    x = normal(rng, 3, 2, 5, 4).transpose(1, 3).requires_grad_()
    result, upstream = dropout(x, p, True, seeded(rng)), normal(rng, 3, 4, 5, 2)
    same(result, x)
    expect(result.requires_grad, "the result has no gradient: the graph is cut", "cut")
    same(torch.autograd.grad((result * upstream).sum(), x)[0], upstream, what="gradient of x")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("p", [1.0, 1])
def test_at_p_1_nothing_survives(rng, p, dtype):
    """All is 0: neither NaN nor a stop, though 1 - p is 0; the gradient is 0 too."""
    x = normal(rng, 3, 2, 5, 4, dtype=dtype).transpose(1, 3).requires_grad_()
    result = dropout(x, p, True, seeded(rng))
    same(result, torch.zeros(3, 4, 5, 2, dtype=dtype))
    (gradient,) = torch.autograd.grad((result + 0 * x).sum(), x)
    same(gradient, torch.zeros(3, 4, 5, 2, dtype=dtype), what="gradient of x")


def test_some_are_dropped_and_some_survive(rng):
    """In one call of 800 cells some are dropped and some are not: 20 calls at p = 0.5."""
    generator = seeded(rng)
    shares = {share(dropout(away_from_zero(rng, 4, 5, 10, 4), 0.5, True, generator))
              for _ in range(20)}  # fmt: skip
    seen = f"every call dropped all or nothing of its 800 cells: the shares are {sorted(shares)}"
    expect(not shares <= {0.0, 1.0}, seen, sorted(shares))


@pytest.mark.parametrize("shape", [(16, 9, 12, 10), (15, 12, 14), (60, 40)], ids=str)
def test_every_cell_has_a_coin_of_its_own(rng, shape):
    """No two images, channels, rows or columns lose the same cells, nor just the others."""
    signs = 1.0 - 2 * coins(rng, *shape, generator=seeded(rng)).double()
    shared = {}
    for axis, name in enumerate(["images", "channels", "rows", "columns"][: len(shape)]):
        slices = signs.movedim(axis, 0).flatten(1)
        alike = (slices @ slices.T / slices.shape[1]).fill_diagonal_(0)  # 1: the same cells
        shared[name] = float(alike.abs().max()) > 0.8, float(alike.fill_diagonal_(1).min()) > 0.98
    told = [name for name, (some, _) in shared.items() if some]
    seen = f"{' and '.join(told)} share their coins: what one loses tells what another one loses"
    expect(not told, seen, [name for name, (_, whole) in shared.items() if whole])


@pytest.mark.parametrize("p", [0.05, 0.25, 0.37, 0.6, 0.9])
def test_the_share_that_is_dropped_is_p(rng, p):
    """Of 12,000 numbers p times 12,000 are dropped, within 6 standard deviations."""
    got = share(dropout(away_from_zero(rng, 60, 200), p, True, seeded(rng)))
    bound = 6 * (p * (1 - p) / 12_000) ** 0.5
    seen = f"{got:.1%} of 12,000 cells are dropped, expected {p:.0%}, at most {bound:.1%} off"
    expect(abs(got - p) <= bound, seen, round(got, 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_coins_come_from_the_generator(rng, dtype):
    """The same state of the generator gives the same coins, another state gives others."""
    seed = int(rng.integers(2**31))
    one, two, later = (torch.Generator().manual_seed(seed) for _ in range(3))
    torch.rand(3, generator=later)
    first, second, third = (
        coins(rng, 2, 3, 9, 7, generator=g, dtype=dtype) for g in (one, two, later)
    )
    differ = f"two generators in the same state differ in {int((first != second).sum())} of 378"
    expect(bool((first == second).all()), f"{differ} coins", "same state, other coins")
    moved = bool((first != third).any())
    expect(moved, "a generator in another state gives the same coins", "other state, same coins")


def test_two_calls_with_one_generator_have_other_coins(rng):
    """A generator moves on with each draw: the next call throws new coins."""
    generator = seeded(rng)
    first, second = (coins(rng, 2, 3, 9, 7, generator=generator) for _ in range(2))
    moved = bool((first != second).any())
    expect(moved, "two calls in a row dropped the same cells of 378", "same coins")
    x = away_from_zero(rng, 2, 3, 9, 7)
    result = dropout(x, 0.5, True, generator)
    kept = result.clone()
    dropout(x, 0.5, True, generator)
    same(result, kept, what="the first result after a second call")


def test_without_a_generator_torchs_default_one_is_used(rng):
    """torch.manual_seed repeats the coins; without it the next call throws new ones."""
    seed = int(rng.integers(2**31))
    draws = []
    for restart in (True, False, True):
        if restart:
            torch.default_generator.manual_seed(seed)
        draws.append(coins(rng, 2, 3, 9, 7))
    first, second, third = draws
    expect(bool((first == third).all()), "torch.manual_seed does not repeat the coins", "others")
    expect(bool((first != second).any()), "two calls in a row dropped the same cells", "the same")


def test_no_other_random_state_is_touched(rng):
    """With a generator the global states of torch, numpy and Python stay as they are."""
    generator = seeded(rng)
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()
    seed = torch.initial_seed()
    for p in (0.3, 0.0, 1.0):
        dropout(normal(rng, 2, 3, 4, 5), p, True, generator)
        dropout(normal(rng, 2, 3, 4, 5), p, False, generator)
    how = "used up" if torch.initial_seed() == seed else "seeded anew"
    still = torch.equal(torch.get_rng_state(), before[0])
    expect(still, f"torch's global random state was {how}, though a generator was given", how)
    after = np.random.get_state()[1].tobytes(), random.getstate()
    expect(after == before[1:], "the global random state of numpy or Python was touched")


def test_each_cell_decides_for_itself(rng):
    """4 cells at p = 0.5: in 400 calls it happens that none is dropped, or all, or 1, 2, 3."""
    x, generator = away_from_zero(rng, 1, 4), seeded(rng)
    counts = {int((dropout(x, 0.5, True, generator) == 0).sum()) for _ in range(400)}
    seen = f"in 400 calls the number of dropped cells of 4 was always one of {sorted(counts)}"
    expect(len(counts) == 5, seen, sorted(counts))


@pytest.mark.parametrize("p", [0.3, 0.6])
@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 90)], ids=str)
def test_the_gradient_goes_back_by_the_same_coins(rng, shape, p):
    """What was dropped gets no gradient, what survived gets it enlarged as its value was."""
    x = away_from_zero(rng, *shape, dtype=torch.float64).requires_grad_()
    result, upstream = dropout(x, p, True, seeded(rng)), away_from_zero(rng, *shape).double()
    expect(result.requires_grad, "the result has no gradient: the graph is cut", "cut")
    (gradient,) = torch.autograd.grad((result * upstream).sum(), x)
    dropped = result.detach() == 0
    lost = int((gradient[dropped] != 0).sum())
    seen = f"{lost} of {int(dropped.sum())} dropped cells get a gradient"
    missed = bool((gradient[~dropped] == 0).any())
    expect(lost == 0, seen, ("dropped", lost == int(dropped.sum()), missed))
    wanted = torch.where(dropped, 0.0, upstream / (1 - p))
    same(gradient, wanted, what="gradient of x")


def test_in_evaluation_the_gradient_passes_unchanged(rng):
    """Evaluation hands the gradient through as it hands x through."""
    x, upstream = normal(rng, 2, 3, 5, 4).requires_grad_(), normal(rng, 2, 3, 5, 4)
    result = dropout(x, 0.4, False)
    expect(result.requires_grad, "the result has no gradient: the graph is cut", "cut")
    (gradient,) = torch.autograd.grad((result * upstream).sum(), x)
    same(gradient, upstream, what="gradient of x")


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("shape", [(), (0, 3, 2)], ids=["one number", "no images"])
def test_any_shape_is_taken(rng, shape, training):
    """A single number without axes and an empty batch keep their shapes."""
    for p in (0.0, 0.5, 1.0):
        result = dropout(torch.ones(shape), p, training, seeded(rng))
        same(torch.zeros_like(result), torch.zeros(shape))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("p", [-0.1, 1.1, -3, 2])
def test_a_p_that_is_no_probability_is_refused(p, training):
    """p below 0 or above 1 is refused with a ValueError, in training or not."""
    refuses(dropout, torch.ones(2, 3), p, training, because=f"p = {p}")
