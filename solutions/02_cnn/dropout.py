"""Switch units off at random, so that no unit can rely on another one."""

import torch
from torch import Tensor

from dojo import right, wrong


def dropout(
    x: Tensor, p: float, training: bool, generator: torch.Generator | None = None
) -> Tensor:
    """Set each number of `x` to 0 with probability `p` while training; else hand `x` through.

    Every number has a coin of its own, whatever image, channel or place it belongs to. What
    survives is enlarged, so that the mean over many draws is x again: evaluation then needs
    neither coins nor scaling. At p = 0 all survive, at p = 1 none does. The gradient goes back
    through the survivors only, by the same coins, enlarged alike. Torch functions may be used.

    Shapes:
        x: any shape, float32 or float64
        p: the probability to be dropped, from 0 to 1, both legal
        training: with False the result equals x, whatever p is
        generator: the coins come from it, and no other random state is touched; with None
            they come from torch's default generator
        returns: x's shape and dtype, differentiable in x

    Example:
        >>> dropout(torch.tensor([[3.0, -1.0]]), 0.5, training=False)
        tensor([[ 3., -1.]])

    Raises:
        ValueError: p is below 0 or above 1, in training or not.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, Dropout, JMLR 15 (2014),
        section 4; there the numbers shrink in evaluation instead of growing in training.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}, it must be from 0 to 1")
    if not training:
        return x
    if p == 1:
        return x * 0
    kept = torch.rand(x.shape, generator=generator) >= p
    return x * kept / (1 - p)


HINTS = [
    "If a number survives in only 1 of 4 draws, by how much must it grow in that one, so that "
    "the mean over all draws is the number itself? And what does that ask for at p = 1?",
    "One random number between 0 and 1 for every cell of x decides: torch.rand takes a shape and "
    "a generator. Compare with p which cells survive; multiplying by a mask of 0 and 1 carries "
    "the gradient for you. Look at p first, at the mode second.",
    "if not 0 <= p <= 1: raise ValueError. if not training: return x. if p == 1: return x * 0. "
    "kept = torch.rand(x.shape, generator=generator) >= p, and the result is x * kept / (1 - p).",
]


def _checked(p):
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}, it must be from 0 to 1")


def _with_mask(mask, scale=lambda p: 1 / (1 - p)):
    """An answer that differs from dropout in how the mask is drawn, or in the scale."""

    def variant(x, p, training, generator=None):
        _checked(p)
        if not training:
            return x
        if p == 1:
            return x * 0
        return x * mask(x, p, generator).to(x.dtype) * scale(p)

    return variant


def _coins(x, p, generator):
    return torch.rand(x.shape, generator=generator) >= p


def _shared(*axes):
    """Coins that are the same all along these axes of (N, C, H, W)."""

    def mask(x, p, generator):
        axes_here = [axis for axis in axes if axis < x.dim()]
        shape = [1 if axis in axes_here else size for axis, size in enumerate(x.shape)]
        return (torch.rand(shape, generator=generator) >= p).expand(x.shape)

    return mask


@right(dropout)
def by_bernoulli(x, p, training, generator=None):
    if p < 0 or p > 1:
        raise ValueError("p must be a probability")
    if not training or p == 0:
        return x.clone()
    if p == 1:
        return torch.zeros_like(x)
    kept = torch.bernoulli(torch.full_like(x, 1 - p, requires_grad=False), generator=generator)
    return x.mul(kept).div(1 - p)


@right(dropout)
def by_where(x, p, training, generator=None):
    _checked(p)
    if not training:
        return x + 0
    dropped = torch.rand(x.shape, generator=generator, dtype=torch.float64) < p
    return torch.where(dropped, torch.zeros_like(x), x / max(1 - p, 1e-30))


@right(dropout)
def by_filling_a_copy(x, p, training, generator=None):
    _checked(p)
    result = x.clone()
    if training:
        scale = 1.0 if p == 1 else 1 - p
        coins = torch.empty(x.numel()).uniform_(generator=generator).view(x.shape)
        result = result.masked_fill(coins < p, 0) / scale
    return result


@right(dropout)
def by_loops(x, p, training, generator=None):
    _checked(p)
    if not training:
        return x
    factors = [
        0.0 if torch.rand((), generator=generator).item() < p else 1 / (1 - p)
        for _ in range(x.numel())
    ]
    return x * torch.tensor(factors, dtype=x.dtype).reshape(x.shape)


@right(dropout)
def by_torchs_dropout(x, p, training, generator=None):
    """Torch's own takes no generator: where one is given, it seeds a fork of the default one."""
    _checked(p)
    if generator is None:
        return torch.nn.functional.dropout(x, p, training)
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return torch.nn.functional.dropout(x, p, training)


@wrong(dropout)
def no_rescale(x, p, training, generator=None):
    """what survives is not enlarged: the numbers are smaller in training than in evaluation"""
    return _with_mask(_coins, lambda p: 1)(x, p, training, generator)


@wrong(dropout)
def shrunk(x, p, training, generator=None):
    """what survives is made smaller, multiplied by 1 - p, not larger"""
    return _with_mask(_coins, lambda p: 1 - p)(x, p, training, generator)


@wrong(dropout)
def scaled_by_p(x, p, training, generator=None):
    """what survives is divided by p, the share that is dropped"""
    return _with_mask(_coins, lambda p: 1 / p if p else 1)(x, p, training, generator)


@wrong(dropout)
def grown_by_p(x, p, training, generator=None):
    """what survives is multiplied by 1 + p: too little to keep the mean"""
    return _with_mask(_coins, lambda p: 1 + p)(x, p, training, generator)


@wrong(dropout)
def keeps_the_norm(x, p, training, generator=None):
    """what survives grows by the square root: that keeps the mean square, not the mean"""
    return _with_mask(_coins, lambda p: (1 - p) ** -0.5)(x, p, training, generator)


@wrong(dropout)
def keep_probability(x, p, training, generator=None):
    """p is taken for the probability to survive: too much is dropped where p is small"""
    _checked(p)
    return dropout(x, 1 - p, training, generator)


@wrong(dropout)
def comparison_turned(x, p, training, generator=None):
    """the comparison with p is turned around: a share of 1 - p is dropped, scaled for p"""
    return _with_mask(lambda x, p, g: ~_coins(x, p, g))(x, p, training, generator)


@wrong(dropout)
def active_in_eval(x, p, training, generator=None):
    """training is ignored: units are dropped in evaluation too"""
    return dropout(x, p, True, generator)


@wrong(dropout)
def modes_exchanged(x, p, training, generator=None):
    """the modes are exchanged: units are dropped in evaluation, not in training"""
    return dropout(x, p, not training, generator)


@wrong(dropout)
def scaled_in_eval(x, p, training, generator=None):
    """nothing grows in training, all is multiplied by 1 - p in evaluation, as in the paper"""
    _checked(p)
    return no_rescale(x, p, True, generator) if training else x * (1 - p)


@wrong(dropout)
def grown_in_eval(x, p, training, generator=None):
    """evaluation enlarges too: only the coins depend on the mode"""
    _checked(p)
    return dropout(x, p, training, generator) if training or p == 1 else x / (1 - p)


@wrong(dropout)
def one_coin_for_all(x, p, training, generator=None):
    """one coin decides for all numbers together: all survive or none"""
    return _with_mask(_shared(*range(9)))(x, p, training, generator)


@wrong(dropout)
def mask_per_image(x, p, training, generator=None):
    """one coin an image: whole images are dropped, not single numbers (mask per image)"""
    return _with_mask(_shared(*range(1, 9)))(x, p, training, generator)


@wrong(dropout)
def mask_per_channel(x, p, training, generator=None):
    """one coin for each channel of an image: that is nn.Dropout2d"""
    return _with_mask(_shared(2, 3))(x, p, training, generator)


@wrong(dropout)
def channels_of_the_batch(x, p, training, generator=None):
    """one coin for each channel, the same for all images and places"""
    return _with_mask(_shared(0, 2, 3))(x, p, training, generator)


@wrong(dropout)
def mask_per_place(x, p, training, generator=None):
    """one coin for each place of an image, shared by its channels"""
    return _with_mask(_shared(1))(x, p, training, generator)


@wrong(dropout)
def mask_per_batch(x, p, training, generator=None):
    """one mask for the whole batch: every image loses the same numbers"""
    return _with_mask(_shared(0))(x, p, training, generator)


@wrong(dropout)
def mask_per_row(x, p, training, generator=None):
    """one coin for each row: its columns share it"""
    return _with_mask(_shared(3))(x, p, training, generator)


@wrong(dropout)
def mask_per_column(x, p, training, generator=None):
    """one coin for each column: its rows share it"""
    return _with_mask(_shared(2))(x, p, training, generator)


@wrong(dropout)
def exact_share(x, p, training, generator=None):
    """exactly the share p of the cells is dropped each time: the coins are not independent"""

    def mask(x, p, generator):
        order = torch.randperm(x.numel(), generator=generator).reshape(x.shape)
        return order >= round(p * x.numel())

    return _with_mask(mask)(x, p, training, generator)


@wrong(dropout)
def weakest_dropped(x, p, training, generator=None):
    """the smallest numbers are dropped: nothing is left to chance"""

    def mask(x, p, generator):
        size = x.detach().abs().flatten()
        return (size.argsort().argsort() >= p * x.numel()).reshape(x.shape)

    return _with_mask(mask)(x, p, training, generator)


@wrong(dropout)
def nothing_dropped(x, p, training, generator=None):
    """nothing is dropped, all numbers are enlarged"""
    return _with_mask(lambda x, p, g: torch.ones_like(x))(x, p, training, generator)


@wrong(dropout)
def does_nothing(x, p, training, generator=None):
    """x is handed through in training too"""
    return _with_mask(lambda x, p, g: torch.ones_like(x), lambda p: 1)(x, p, training, generator)


@wrong(dropout)
def noise(x, p, training, generator=None):
    """each number is multiplied by the random number itself: nothing was compared with p"""
    return _with_mask(lambda x, p, g: torch.rand(x.shape, generator=g))(x, p, training, generator)


@wrong(dropout)
def normal_coins(x, p, training, generator=None):
    """the coins are drawn with randn: a normal number lies above p far less often than 1 - p"""
    return _with_mask(lambda x, p, g: torch.randn(x.shape, generator=g) >= p)(
        x, p, training, generator
    )


@wrong(dropout)
def whole_tenths(x, p, training, generator=None):
    """p is cut off to tenths: the coins are whole numbers from 0 to 9"""

    def mask(x, p, generator):
        return torch.randint(10, x.shape, generator=generator) >= int(p * 10)

    return _with_mask(mask)(x, p, training, generator)


@wrong(dropout)
def divided_by_nothing(x, p, training, generator=None):
    """at p = 1 nothing is divided by 0: the result is NaN"""
    _checked(p)
    return x * _coins(x, p, generator) / (1 - p) if training else x


@wrong(dropout)
def stops_at_one(x, p, training, generator=None):
    """at p = 1 the scale is 1 / 0: Python stops there"""
    _checked(p)
    return x * _coins(x, p, generator) * (1 / (1 - p)) if training else x


@wrong(dropout)
def one_refused(x, p, training, generator=None):
    """p = 1 is refused, though it is legal"""
    if not 0 <= p < 1:
        raise ValueError(f"p is {p}, it must be from 0 to below 1")
    return dropout(x, p, training, generator)


@wrong(dropout)
def zero_refused(x, p, training, generator=None):
    """p = 0 is refused, though it is legal"""
    if not 0 < p <= 1:
        raise ValueError(f"p is {p}, it must be above 0 and at most 1")
    return dropout(x, p, training, generator)


@wrong(dropout)
def nan_through_zero(x, p, training, generator=None):
    """at p = 1 zeros come out, but the gradient is NaN: x / 0 is computed and then hidden"""
    _checked(p)
    if not training:
        return x
    return torch.where(_coins(x, p, generator), x / (1 - p), torch.zeros_like(x))


@wrong(dropout)
def generator_ignored(x, p, training, generator=None):
    """the generator is not used: the coins come from the global random state"""
    return dropout(x, p, training)


@wrong(dropout)
def global_seed_set(x, p, training, generator=None):
    """the global random state is set from the generator"""
    if generator is not None and training:
        torch.default_generator.set_state(generator.get_state())
        result = dropout(x, p, training)
        generator.set_state(torch.default_generator.get_state())
        return result
    return dropout(x, p, training)


@wrong(dropout)
def both_advance(x, p, training, generator=None):
    """the coins come from the generator, but the global random state is used up as well"""
    torch.rand_like(x)
    return dropout(x, p, training, generator)


@wrong(dropout)
def restarted(x, p, training, generator=None):
    """the generator is set back to its seed: every call has the same coins"""
    if generator is not None:
        generator.manual_seed(generator.initial_seed())
    return dropout(x, p, training, generator)


@wrong(dropout)
def never_advanced(x, p, training, generator=None):
    """a copy of the generator is used: the next call has the same coins"""
    if generator is not None:
        generator = generator.clone_state()
    return dropout(x, p, training, generator)


@wrong(dropout)
def fresh_generator(x, p, training, generator=None):
    """without a generator a new one is made, with the same seed each time"""
    return dropout(x, p, training, generator or torch.Generator())


@wrong(dropout)
def unseeded_generator(x, p, training, generator=None):
    """without a generator the coins cannot be repeated: torch's default one is not used"""
    if generator is None:
        generator = torch.Generator()
        generator.seed()
    return dropout(x, p, training, generator)


@wrong(dropout)
def cached_mask(x, p, training, generator=None):
    """the mask is kept and used again for the next x of the same shape"""
    _checked(p)
    if not training or p == 1:
        return dropout(x, p, training, generator)
    seed = (generator or torch.default_generator).initial_seed()
    kept = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) >= p
    return x * kept / (1 - p)


@wrong(dropout)
def graph_cut(x, p, training, generator=None):
    """the graph is cut (detach, or a round trip through numpy): no gradient reaches x"""
    return dropout(x.detach(), p, training, generator)


class _Backward(torch.autograd.Function):
    """The forward of dropout with a backward of one's own."""

    @staticmethod
    def forward(ctx, x, factors, back):
        ctx.save_for_backward(back)
        return x * factors

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None, None


def _with_backward(back):
    def variant(x, p, training, generator=None):
        _checked(p)
        if not training or p == 1:
            return dropout(x, p, training, generator)
        kept = _coins(x, p, generator)
        factors = kept.to(x.dtype) / (1 - p)
        return _Backward.apply(x, factors, back(kept, p, generator).to(x.dtype))

    return variant


@wrong(dropout)
def gradient_through_all(x, p, training, generator=None):
    """the gradient goes back through the dropped numbers too"""
    return _with_backward(lambda kept, p, g: torch.ones(kept.shape) / (1 - p))(
        x, p, training, generator
    )


@wrong(dropout)
def gradient_not_scaled(x, p, training, generator=None):
    """the gradient of the survivors is not enlarged: the scale is no part of the graph"""
    return _with_backward(lambda kept, p, g: kept)(x, p, training, generator)


@wrong(dropout)
def other_mask_in_the_gradient(x, p, training, generator=None):
    """the gradient is masked by new coins, not by those of the forward pass"""
    return _with_backward(lambda kept, p, g: (torch.rand(kept.shape, generator=g) >= p) / (1 - p))(
        x, p, training, generator
    )


@wrong(dropout)
def in_place(x, p, training, generator=None):
    """the zeros are written into x itself"""
    result = dropout(x, p, training, generator)
    with torch.no_grad():
        x.copy_(result)
    return x


@wrong(dropout)
def always_float32(x, p, training, generator=None):
    """the result is float32 whatever came in"""
    return dropout(x, p, training, generator).float()


@wrong(dropout)
def float32_scale(x, p, training, generator=None):
    """the scale is a float32 tensor: float64 numbers lose half of their digits"""
    return _with_mask(_coins, lambda p: torch.tensor(1 / (1 - p)).item())(x, p, training, generator)


@wrong(dropout)
def only_images(x, p, training, generator=None):
    """only (N, C, H, W) is taken: after Flatten there is no dropout"""
    if x.dim() != 4:
        raise ValueError(f"x has shape {tuple(x.shape)}, it must be (N, C, H, W)")
    return dropout(x, p, training, generator)


@wrong(dropout)
def flattened(x, p, training, generator=None):
    """the result is flat: the shape of x is lost"""
    return dropout(x, p, training, generator).flatten()


@wrong(dropout)
def p_not_checked(x, p, training, generator=None):
    """p is not checked: below 0 all survive, above 1 none"""
    return dropout(x, min(max(p, 0.0), 1.0), training, generator)


@wrong(dropout)
def above_one_accepted(x, p, training, generator=None):
    """p above 1 is not refused, only p below 0"""
    return dropout(x, min(p, 1.0), training, generator)


@wrong(dropout)
def below_zero_accepted(x, p, training, generator=None):
    """p below 0 is not refused, only p above 1"""
    return dropout(x, max(p, 0.0), training, generator)


@wrong(dropout)
def checked_in_training_only(x, p, training, generator=None):
    """p is looked at in training only: in evaluation any p is accepted"""
    return dropout(x, p, training, generator) if training else x


@wrong(dropout)
def one_row_in_memory(x, p, training, generator=None):
    """view(-1) runs the numbers into one row: of a transposed tensor torch gives no such view"""
    row = x.view(-1) if training else x
    return dropout(row, p, training, generator).view(x.shape)


def show(answer):
    """A digit under three coins, and the mean over many draws: the digit again."""
    from data import digits
    from dojo.pictures import signed_maps

    digit = torch.from_numpy(digits()[0][5:6])
    coins = torch.Generator().manual_seed(0)
    drawn = {f"p = {p}": answer.dropout(digit, p, True, coins) for p in (0.2, 0.5, 0.8)}
    many = answer.dropout(digit.expand(1000, -1, -1, -1), 0.8, True, coins)
    drawn["p = 0.8, mean of 1000 draws"] = many.mean(0)
    drawn["p = 0.8, evaluation"] = answer.dropout(digit, 0.8, False)
    return signed_maps({"a digit": digit}, drawn)
