"""Cross-entropy: one number that says how surprised a network is by the right answers."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dojo import right, wrong


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Measure how surprised the logits are by the classes that were right, on average.

    Softmax turns each image's logits into probabilities. The loss of an image is how
    improbable its right class was, on a scale of natural logarithms: 0 where it was certain,
    the larger the less it was expected. The loss of a batch is the mean over its images.

    It takes logits, not probabilities, so that it can stay exact where a probability is too
    small for a float: logits of 10,000 give a loss that is right to 0.001, never inf or nan.
    None of torch's losses and log-softmaxes may run inside; all else of torch may, softmax
    and logsumexp too.

    Shapes:
        logits: (N, C), float32 or float64; N and C from 1 on
        targets: (N,) int64, the right classes, each from 0 to C - 1
        returns: a tensor without axes, of the logits' dtype, differentiable in the logits

    Example:
        >>> round(cross_entropy(torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([0])).item(), 4)
        0.417

    Raises:
        ValueError: a target is below 0 (-1 too) or not below C.

    Source: Goodfellow, Bengio & Courville, Deep Learning, MIT Press 2016, sections 4.1 and
        6.2.2.3.
    """
    classes = logits.shape[1]
    outside = targets[(targets < 0) | (targets >= classes)]
    if len(outside):
        raise ValueError(f"a target is {outside[0].item()}, allowed are 0 to {classes - 1}")
    chosen = logits.gather(1, targets[:, None]).squeeze(1)  # (N,)
    return (logits.logsumexp(1) - chosen).mean()


HINTS = [
    "A network that knows nothing gives all C classes the same logit. How probable is each class "
    "then, and what is minus the logarithm of that? And what does exp(10000) give in float32?",
    "Write the logarithm of the softmax out before you compute anything: the logarithm of a "
    "quotient is a difference, and the exponential of the right class goes away. Only the "
    "logarithm of a sum of exponentials is left, which is finite once the largest logit has been "
    "taken out.",
    "The loss of an image is logits.logsumexp(1) minus the logit of its target, which "
    "logits.gather(1, targets[:, None]) picks out as (N, 1). Take its axis 1 away before you "
    "subtract, or (N,) and (N, 1) become (N, N). Then the mean. Targets are compared with 0 and C "
    "before all that.",
]


def _check(logits, targets):
    if targets.min() < 0 or targets.max() >= logits.shape[1]:
        raise ValueError(
            f"targets from {targets.min()} to {targets.max()}, {logits.shape[1]} classes"
        )


@right(cross_entropy)
def shifted_by_hand(logits, targets):
    """The largest logit of each row goes out first; the row's sum is at least 1 then."""
    _check(logits, targets)
    low = logits - logits.max(1, keepdim=True).values.detach()
    rows = torch.arange(len(logits))
    return -(low - low.exp().sum(1, keepdim=True).log())[rows, targets].sum() / len(logits)


@right(cross_entropy)
def image_by_image(logits, targets):
    """Two loops and a one-hot row for each image."""
    losses = []
    for row, target in zip(logits, targets.tolist(), strict=True):
        if target not in range(len(row)):
            raise ValueError(f"no class {target}")
        most = row.max()
        total = sum((logit - most).exp() for logit in row)
        losses.append(total.log() + most - row[target])
    return torch.stack(losses).mean()


@right(cross_entropy)
def by_one_hot(logits, targets):
    """One-hot rows in float64, whatever came in."""
    _check(logits, targets)
    wide = logits.double()
    picked = (wide * F.one_hot(targets, logits.shape[1])).sum(1)
    return (torch.logsumexp(wide, -1) - picked).mean().to(logits.dtype)


@right(cross_entropy)
def by_softplus_of_odds(logits, targets):
    """The loss is softplus of how far the other classes together are above the right one."""
    _check(logits, targets)
    mask = F.one_hot(targets, logits.shape[1]).bool()
    others = logits.masked_fill(mask, -torch.inf)
    if logits.shape[1] == 1:
        return 0.0 * logits.sum()
    odds = others.logsumexp(1) - logits[mask]
    return odds.clamp(min=0).add(odds.abs().neg().exp().log1p()).mean()


def _losses(logits, targets):
    """The loss of each image."""
    _check(logits, targets)
    return logits.logsumexp(1) - logits.gather(1, targets[:, None])[:, 0]


@wrong(cross_entropy)
def softmax_twice(logits, targets):
    """softmax is taken twice: probabilities are treated as logits"""
    return _losses(logits.softmax(1), targets).mean()


@wrong(cross_entropy)
def softmax_then_log(logits, targets):
    """the logarithm of a probability that has become 0 in float is taken"""
    _check(logits, targets)
    return -logits.softmax(1).log().gather(1, targets[:, None]).mean()


@wrong(cross_entropy)
def overflows(logits, targets):
    """the exponentials overflow: the largest logit is not taken out before"""
    _check(logits, targets)
    return (logits.exp().sum(1).log() - logits.gather(1, targets[:, None])[:, 0]).mean()


@wrong(cross_entropy)
def one_maximum_for_all(logits, targets):
    """the largest logit of the whole batch is taken out, not that of each row"""
    _check(logits, targets)
    low = logits - logits.max().detach()
    return (low.exp().sum(1).log() - low.gather(1, targets[:, None])[:, 0]).mean()


@wrong(cross_entropy)
def mean_taken_out(logits, targets):
    """the mean of each row is taken out, not its maximum: exponentials still overflow"""
    _check(logits, targets)
    low = logits - logits.mean(1, keepdim=True)
    return (low.exp().sum(1).log() - low.gather(1, targets[:, None])[:, 0]).mean()


@wrong(cross_entropy)
def clamped(logits, targets):
    """the probability is clamped from below before its logarithm: the loss never exceeds a limit"""
    _check(logits, targets)
    return -logits.softmax(1).clamp(min=1e-12).log().gather(1, targets[:, None]).mean()


@wrong(cross_entropy)
def epsilon_added(logits, targets):
    """a small number is added to the probability before its logarithm"""
    _check(logits, targets)
    return -(logits.softmax(1) + 1e-8).log().gather(1, targets[:, None]).mean()


@wrong(cross_entropy)
def infinities_replaced(logits, targets):
    """infinite losses are replaced by the largest float"""
    _check(logits, targets)
    return -logits.softmax(1).log().nan_to_num().gather(1, targets[:, None]).mean()


@wrong(cross_entropy)
def logits_clamped(logits, targets):
    """the logits are clamped to -80 to 80 so that no exponential overflows"""
    return _losses(logits.clamp(-80, 80), targets).mean()


@wrong(cross_entropy)
def along_the_batch(logits, targets):
    """softmax runs along the batch, not along the classes"""
    _check(logits, targets)
    return (logits.logsumexp(0)[targets] - logits.gather(1, targets[:, None])[:, 0]).mean()


@wrong(cross_entropy)
def over_all_logits(logits, targets):
    """softmax runs over all logits of the batch together"""
    _check(logits, targets)
    return (logits.flatten().logsumexp(0) - logits.gather(1, targets[:, None])).mean()


@wrong(cross_entropy)
def summed(logits, targets):
    """the losses of the images are added up, not averaged"""
    return _losses(logits, targets).sum()


@wrong(cross_entropy)
def divided_by_classes_too(logits, targets):
    """the sum is divided by N * C, not by N"""
    return _losses(logits, targets).mean() / logits.shape[1]


@wrong(cross_entropy)
def divided_by_classes(logits, targets):
    """the sum is divided by the number of classes, not of images"""
    return _losses(logits, targets).sum() / logits.shape[1]


@wrong(cross_entropy)
def one_by_one(logits, targets):
    """the loss of each image comes back, not their mean"""
    return _losses(logits, targets)


@wrong(cross_entropy)
def with_an_axis(logits, targets):
    """the result has an axis of one: (1,), not a scalar"""
    return _losses(logits, targets).mean(0, keepdim=True)


@wrong(cross_entropy)
def number_not_tensor(logits, targets):
    """item() makes a Python number of the loss: nothing can be trained on it"""
    return _losses(logits, targets).mean().item()


@wrong(cross_entropy)
def negative(logits, targets):
    """the sign is wrong: the better the network, the larger the loss"""
    return -_losses(logits, targets).mean()


@wrong(cross_entropy)
def binary_logarithm(logits, targets):
    """the logarithm is that to the base 2: bits, not natural units"""
    return _losses(logits, targets).mean() / torch.tensor(2.0).log().item()


@wrong(cross_entropy)
def probability_without_logarithm(logits, targets):
    """the logarithm is missing: it is 1 minus the mean probability of the right class"""
    _check(logits, targets)
    return 1 - logits.softmax(1).gather(1, targets[:, None]).mean()


@wrong(cross_entropy)
def minus_probability(logits, targets):
    """the logarithm is missing: it is minus the mean probability of the right class"""
    _check(logits, targets)
    return -logits.softmax(1).gather(1, targets[:, None]).mean()


@wrong(cross_entropy)
def mean_before_logarithm(logits, targets):
    """the probabilities are averaged before the logarithm, not the losses after it"""
    return _losses(logits, targets).neg().logsumexp(0).neg() + torch.tensor(len(logits)).log()


@wrong(cross_entropy)
def picked_crosswise(logits, targets):
    """every image meets the targets of all: (N, 1) minus (N,) became (N, N)"""
    _check(logits, targets)
    return (logits.logsumexp(1, keepdim=True) - logits[:, targets]).mean()


@wrong(cross_entropy)
def without_normalising(logits, targets):
    """the logits of the right classes are averaged as they are: no softmax at all"""
    _check(logits, targets)
    return -logits.gather(1, targets[:, None]).mean()


@wrong(cross_entropy)
def largest_for_logsumexp(logits, targets):
    """the largest logit stands in for the logarithm of the sum of exponentials"""
    _check(logits, targets)
    return (logits.amax(1) - logits.gather(1, targets[:, None])[:, 0]).mean()


@wrong(cross_entropy)
def predicted_class(logits, targets):
    """the loss is that of the predicted class: the targets are not looked at"""
    _check(logits, targets)
    return _losses(logits, logits.argmax(1)).mean()


@wrong(cross_entropy)
def first_image_only(logits, targets):
    """only the first image counts"""
    return _losses(logits, targets)[0]


@wrong(cross_entropy)
def one_class_against_the_rest(logits, targets):
    """each class has a sigmoid of its own: the classes do not share one probability of 1"""
    _check(logits, targets)
    signs = 1 - 2 * F.one_hot(targets, logits.shape[1]).to(logits.dtype)
    return F.softplus(logits * signs).sum(1).mean()


@wrong(cross_entropy)
def smoothed(logits, targets):
    """the targets are smoothed: a tenth of the weight goes to all classes"""
    _check(logits, targets)
    rest = logits.logsumexp(1) - logits.mean(1)
    return (0.9 * _losses(logits, targets) + 0.1 * rest).mean()


@wrong(cross_entropy)
def squared(logits, targets):
    """the squared distance of probabilities and one-hot targets"""
    _check(logits, targets)
    return (logits.softmax(1) - F.one_hot(targets, logits.shape[1])).square().sum(1).mean()


@wrong(cross_entropy)
def by_torch(logits, targets):
    """torch's own cross_entropy does the work"""
    _check(logits, targets)
    return F.cross_entropy(logits, targets)


@wrong(cross_entropy)
def by_torchs_log_softmax(logits, targets):
    """torch's own log_softmax does the work"""
    _check(logits, targets)
    return -logits.log_softmax(1).gather(1, targets[:, None]).mean()


@wrong(cross_entropy)
def always_float32(logits, targets):
    """the loss is computed in float32: float64 loses half of its digits"""
    return _losses(logits.float(), targets).mean().to(logits.dtype)


@wrong(cross_entropy)
def always_float64(logits, targets):
    """the loss is float64, whatever the logits are"""
    return _losses(logits.double(), targets).mean()


@wrong(cross_entropy)
def graph_cut(logits, targets):
    """the logits are detached: no gradient goes back"""
    return _losses(logits.detach(), targets).mean()


@wrong(cross_entropy)
def normaliser_detached(logits, targets):
    """the logarithm of the sum is detached: only the right class's logit gets a gradient"""
    _check(logits, targets)
    return (logits.logsumexp(1).detach() - logits.gather(1, targets[:, None])[:, 0]).mean()


@wrong(cross_entropy)
def in_place(logits, targets):
    """the largest logit is taken out in place: the caller's logits change"""
    _check(logits, targets)
    with torch.no_grad():
        logits -= logits.max(1, keepdim=True).values
    return _losses(logits, targets).mean()


@wrong(cross_entropy)
def negative_accepted(logits, targets):
    """a negative target is not refused: -1 picks the last class"""
    if targets.max() >= logits.shape[1]:
        raise ValueError("there is no such class")
    return _losses(logits, targets % logits.shape[1]).mean()


@wrong(cross_entropy)
def minus_hundred_ignored(logits, targets):
    """images with target -100 are left out, as torch's ignore_index does"""
    kept = targets != -100
    return _losses(logits[kept], targets[kept]).mean() if kept.any() else 0 * logits.sum()


@wrong(cross_entropy)
def class_c_accepted(logits, targets):
    """target C is not refused: classes are counted from 0, the last one is C - 1"""
    if targets.min() < 0 or targets.max() > logits.shape[1]:
        raise ValueError("there is no such class")
    return _losses(logits, targets.clamp(max=logits.shape[1] - 1)).mean()


@wrong(cross_entropy)
def refused_by_torch(logits, targets):
    """targets are not looked at: some error of torch's own comes, not a ValueError"""
    if targets.min() < 0:
        raise ValueError("a negative target")
    return (logits.logsumexp(1) - logits[torch.arange(len(logits)), targets]).mean()


@wrong(cross_entropy)
def wrapped_around(logits, targets):
    """no target is refused: they are taken modulo C"""
    return _losses(logits, targets % logits.shape[1]).mean()


@wrong(cross_entropy)
def only_first_target_checked(logits, targets):
    """only the first target is checked: one outside further down passes"""
    _check(logits, targets[:1])
    return _losses(logits, targets % logits.shape[1]).mean()


@wrong(cross_entropy)
def two_classes_at_least(logits, targets):
    """a single class is refused: it is legal, and its loss is 0"""
    if logits.shape[1] < 2:
        raise ValueError("one class is no choice")
    return _losses(logits, targets).mean()


@wrong(cross_entropy)
def one_row_in_memory(logits, targets):
    """view(-1) runs the logits into one row: of a transposed tensor torch gives no such view"""
    _check(logits, targets)
    chosen = logits.view(-1)[torch.arange(len(targets)) * logits.shape[1] + targets]
    return (logits.logsumexp(1) - chosen).mean()


def show(answer):
    """The loss of one image against its margin, and what two common slips make of it."""
    from matplotlib.figure import Figure

    margins = torch.linspace(-120, 20, 281)
    target, curves = torch.tensor([0]), {}
    rows = torch.stack([margins, torch.zeros_like(margins)], 1)
    curves["yours"] = [answer.cross_entropy(row[None], target) for row in rows]
    curves["softmax, then log: inf below -103"] = [-row.softmax(0).log()[0] for row in rows]
    curves["softmax twice"] = [answer.cross_entropy(row.softmax(0)[None], target) for row in rows]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    styles = zip(curves.items(), ["tab:blue", "tab:orange", "tab:red"], [4, 1.5, 1.5], strict=True)
    for (name, losses), colour, width in styles:
        axis.plot(margins, torch.stack(losses), color=colour, linewidth=width, label=name)
    axis.set(xlabel="logit of the right class minus logit of the other", ylabel="loss")
    axis.set_title("Two classes: the farther off, the louder; a softmax too many mutes it",
                   fontsize=10)  # fmt: skip
    axis.legend()
    return figure
