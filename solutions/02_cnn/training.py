"""Training: one epoch of steps, and how often the network is right afterwards."""

import copy
import itertools
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dojo import right, wrong


def train_epoch(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
) -> float:
    """Take one step of the optimizer for every batch, and say how large the loss was.

    Each step follows the gradient of its own batch's loss and of nothing before, not even of
    what .grad held when the epoch began. The model trains in train mode, all of it, and is
    asked once a batch. What comes back is the mean loss over all examples of the epoch, each
    batch's loss taken before its step: a small last batch counts for no more examples than it
    has.

    Afterwards every submodule has the mode it had before, also when the model, the loss or
    the batches raise an exception. The batches can be gone through once only: a generator is
    used up after that, and has no length.

    Shapes:
        batches: pairs of inputs (B, ...) and targets (B, ...), B of its own in every batch
        loss_fn: (outputs, targets) to the mean loss of the batch, a tensor without axes
        returns: a float

    Example:
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.ones_(layer.weight)
        >>> batches = [(torch.tensor([[2.0]]), torch.tensor([[5.0]]))]
        >>> optimizer = torch.optim.SGD(layer.parameters(), lr=0.25)
        >>> train_epoch(layer, batches, nn.MSELoss(), optimizer), layer.weight.item()
        (9.0, 4.0)

    Raises:
        ValueError: there is no batch at all; and whatever model, loss or batches raise.

    Source: Goodfellow, Bengio & Courville, Deep Learning, MIT Press 2016, section 8.1.3.
    """
    modes = {module: module.training for module in model.modules()}
    model.train()
    total, examples = 0.0, 0
    try:
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(targets)
            examples += len(targets)
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not examples:
        raise ValueError("batches holds no batch: at least one is needed")
    return total / examples


def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Say which share of the examples the model gets right, and change nothing in it.

    The class with the largest logit is what the model says. It is asked in eval, so that an
    answer hangs neither on chance nor on the other examples of its batch, and with autograd
    off while it runs. Afterwards each submodule is in the mode it had, and autograd is as the
    caller had it, also when the model or the batches raise an exception.

    Shapes:
        model: inputs (B, ...) to logits (B, C)
        batches: pairs of inputs (B, ...) and labels (B,) int64, to be gone through once
        returns: a float, 0 to 1

    Example:
        >>> logits = torch.tensor([[0.1, 0.9], [2.0, 1.0], [-1.0, 3.0]])
        >>> evaluate(nn.Identity(), [(logits, torch.tensor([1, 1, 1]))])
        0.6666666666666666

    Raises:
        ValueError: there is no batch at all; and whatever model or batches raise.

    Source: PyTorch documentation, Autograd mechanics, section "Evaluation Mode".
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    hits, examples = 0, 0
    try:
        with torch.no_grad():
            for inputs, labels in batches:
                hits += (model(inputs).argmax(1) == labels).sum().item()
                examples += len(labels)
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not examples:
        raise ValueError("batches holds no batch: at least one is needed")
    return hits / examples


HINTS = [
    "What stands in .grad after two calls of backward()? Three batches of 4, 4 and 1 examples: if "
    "you average their three losses, how much does the single example count, and how much should "
    "it? What does model.train() do to a submodule that was in eval?",
    "Note module.training of every module before you switch, and put it back in a finally. In the "
    "loop: clear, forward, loss, backward, step. Beside it run two sums, of losses times batch "
    "size and of batch sizes; for the accuracy, of hits and of labels.",
    "optimizer.zero_grad(); loss = loss_fn(model(inputs), targets); loss.backward(); "
    "optimizer.step(); total += loss.item() * len(targets). For the accuracy, in eval and under "
    "torch.no_grad(): hits += (model(inputs).argmax(1) == labels).sum().item(). Nothing counted "
    "after the loop: ValueError.",
]


class _Modes:
    """Puts every submodule's mode back."""

    def __init__(self, model, training):
        self.model, self.training = model, training

    def __enter__(self):
        self.before = [(module, module.training) for module in self.model.modules()]
        self.model.train(self.training)

    def __exit__(self, *error):
        for module, mode in self.before:  # parents come first: children have the last word
            module.train(mode)


def _some(batches):
    """An iterator that holds something."""
    batches = iter(batches)
    try:
        first = next(batches)
    except StopIteration:
        raise ValueError("no batch") from None
    return itertools.chain([first], batches)


@right(train_epoch)
def gradients_cleared_on_the_model(model, batches, loss_fn, optimizer):
    """The first batch is taken before the loop; the model clears its gradients itself."""
    with _Modes(model, True):
        losses, sizes = [], []
        for inputs, targets in _some(batches):
            model.zero_grad()
            losses.append(loss_fn(model(inputs), targets))
            losses[-1].backward()
            optimizer.step()
            sizes.append(float(targets.shape[0]))
    weights = torch.tensor(sizes, dtype=torch.float64)
    return float(torch.stack(losses).detach().double() @ weights / weights.sum())


@right(train_epoch)
def with_a_closure(model, batches, loss_fn, optimizer):
    """The optimizer calls for the loss itself."""
    seen, summed = 0, torch.zeros((), dtype=torch.float64)
    with _Modes(model, True):
        for inputs, targets in batches:

            def closure(inputs=inputs, targets=targets):
                optimizer.zero_grad(set_to_none=False)
                loss = loss_fn(model(inputs), targets)
                loss.backward()
                return loss

            summed += optimizer.step(closure).detach() * len(inputs)
            seen += len(inputs)
    if seen == 0:
        raise ValueError("an epoch without batches")
    return summed.item() / seen


@right(train_epoch)
def by_autograd_grad(model, batches, loss_fn, optimizer):
    """Gradients are asked for and laid into .grad; a running mean takes the place of two sums."""
    modes, mean, seen = {m: m.training for m in model.modules()}, 0.0, 0
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    try:
        for inputs, targets in batches:
            model.train()
            loss = loss_fn(model(inputs), targets)
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            optimizer.step()
            seen += len(targets)
            mean += (loss.item() - mean) * len(targets) / seen
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not seen:
        raise ValueError("no batch came")
    return mean


@right(evaluate)
def of_a_copy(model, batches):
    """A deep copy is asked; all answers are kept and compared at the end."""
    asked = copy.deepcopy(model).eval()
    with torch.inference_mode():
        hits = [asked(inputs).max(1).indices.eq(labels) for inputs, labels in batches]
    if not hits:
        raise ValueError("nothing to evaluate")
    return torch.cat(hits).double().mean().item()


@right(evaluate)
def one_by_one(model, batches):
    """Every example alone, autograd switched by hand."""
    enabled, right_ones = torch.is_grad_enabled(), []
    torch.set_grad_enabled(False)
    try:
        with _Modes(model, False):
            for inputs, labels in batches:
                for each, label in zip(inputs, labels.tolist(), strict=True):
                    right_ones.append(int(model(each[None])[0].topk(1).indices) == label)
    finally:
        torch.set_grad_enabled(enabled)
    if not right_ones:
        raise ValueError("no example")
    return sum(right_ones) / len(right_ones)


def _epoch(model, batches, loss_fn, optimizer, step=None, mean=None):
    """The reference, with another step or another mean; step gives the loss of its batch."""

    def own(inputs, targets):
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    with _Modes(model, True):
        pairs = [((step or own)(x, y), len(y)) for x, y in _some(batches)]
    losses, sizes = zip(*pairs, strict=True)
    products = [loss * size for loss, size in pairs]
    return (mean or (lambda p, s, _: sum(p) / sum(s)))(products, sizes, losses)


@wrong(train_epoch)
def never_cleared(model, batches, loss_fn, optimizer):
    """the gradients are never cleared: each step follows those of all batches before as well"""

    def step(inputs, targets):
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    return _epoch(model, batches, loss_fn, optimizer, step)


@wrong(train_epoch)
def cleared_once(model, batches, loss_fn, optimizer):
    """the gradients are cleared once, before the loop: from the second batch on they pile up"""
    optimizer.zero_grad()
    return never_cleared(model, batches, loss_fn, optimizer)


@wrong(train_epoch)
def cleared_after_the_step(model, batches, loss_fn, optimizer):
    """the gradients are cleared after each step only: what .grad held before joins the first"""

    def step(inputs, targets):
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return _epoch(model, batches, loss_fn, optimizer, step)


@wrong(train_epoch)
def cleared_before_the_step(model, batches, loss_fn, optimizer):
    """the gradients are cleared between backward and step: no weight moves"""

    def step(inputs, targets):
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
        return loss.item()

    return _epoch(model, batches, loss_fn, optimizer, step)


@wrong(train_epoch)
def step_before_backward(model, batches, loss_fn, optimizer):
    """the step comes before backward: it follows the gradient of the batch before"""

    def step(inputs, targets):
        loss = loss_fn(model(inputs), targets)
        optimizer.step()
        optimizer.zero_grad()
        loss.backward()
        return loss.item()

    optimizer.zero_grad()
    return _epoch(model, batches, loss_fn, optimizer, step)


@wrong(train_epoch)
def no_step(model, batches, loss_fn, optimizer):
    """the optimizer takes no step: nothing is learnt"""

    def step(inputs, targets):
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        return loss.item()

    return _epoch(model, batches, loss_fn, optimizer, step)


@wrong(train_epoch)
def no_backward(model, batches, loss_fn, optimizer):
    """backward is missing: the step has no gradient to follow"""

    def step(inputs, targets):
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        optimizer.step()
        return loss.item()

    return _epoch(model, batches, loss_fn, optimizer, step)


@wrong(train_epoch)
def one_step_an_epoch(model, batches, loss_fn, optimizer):
    """one step for the whole epoch: gradients are gathered over all batches"""

    def step(inputs, targets):
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        return loss.item()

    optimizer.zero_grad()
    mean = _epoch(model, batches, loss_fn, optimizer, step)
    optimizer.step()
    return mean


@wrong(train_epoch)
def two_steps_a_batch(model, batches, loss_fn, optimizer):
    """two steps are taken for each batch"""

    def step(inputs, targets):
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.step()
        return loss.item()

    return _epoch(model, batches, loss_fn, optimizer, step)


def _as_float(batches):
    return ((inputs.float(), targets) for inputs, targets in batches)


@wrong(train_epoch)
def trained_on_floats(model, batches, loss_fn, optimizer):
    """inputs are turned into float32 before the model trains on them: they go in as they are"""
    return train_epoch(model, _as_float(batches), loss_fn, optimizer)


@wrong(train_epoch)
def summed_gradients(model, batches, loss_fn, optimizer):
    """backward goes through loss times batch size: the step grows with the batch"""

    def step(inputs, targets):
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        (loss * len(targets)).backward()
        optimizer.step()
        return loss.item()

    return _epoch(model, batches, loss_fn, optimizer, step)


@wrong(train_epoch)
def loss_after_the_step(model, batches, loss_fn, optimizer):
    """the loss is measured again after the step"""

    def step(inputs, targets):
        optimizer.zero_grad()
        loss_fn(model(inputs), targets).backward()
        optimizer.step()
        return loss_fn(model(inputs), targets).item()

    return _epoch(model, batches, loss_fn, optimizer, step)


@wrong(train_epoch)
def arguments_exchanged(model, batches, loss_fn, optimizer):
    """loss_fn gets the targets first, then the outputs"""
    return _epoch(model, batches, lambda outputs, targets: loss_fn(targets, outputs), optimizer)


@wrong(train_epoch)
def softmax_before_the_loss(model, batches, loss_fn, optimizer):
    """loss_fn gets probabilities: a softmax runs before it"""
    return _epoch(model, batches, lambda out, targets: loss_fn(out.softmax(1), targets), optimizer)


@wrong(train_epoch)
def own_loss(model, batches, loss_fn, optimizer):
    """the loss is always cross-entropy: loss_fn is not used"""
    return _epoch(model, batches, F.cross_entropy, optimizer)


@wrong(train_epoch)
def mean_of_means(model, batches, loss_fn, optimizer):
    """the mean of the batches' losses: a small last batch counts as much as a full one"""

    def mean(products, sizes, losses):
        return sum(losses) / len(losses)

    return _epoch(model, batches, loss_fn, optimizer, mean=mean)


@wrong(train_epoch)
def sum_of_means(model, batches, loss_fn, optimizer):
    """the batches' losses are added up, not averaged"""
    return _epoch(
        model, batches, loss_fn, optimizer, mean=lambda products, sizes, losses: sum(losses)
    )


@wrong(train_epoch)
def sum_over_examples(model, batches, loss_fn, optimizer):
    """the sum over all examples: it is not divided by their number"""
    return _epoch(model, batches, loss_fn, optimizer, mean=lambda products, *_: sum(products))


@wrong(train_epoch)
def batch_sums_by_batches(model, batches, loss_fn, optimizer):
    """the sum over all examples is divided by the number of batches"""

    def mean(products, *_):
        return sum(products) / len(products)

    return _epoch(model, batches, loss_fn, optimizer, mean=mean)


@wrong(train_epoch)
def batch_means_by_examples(model, batches, loss_fn, optimizer):
    """the sum of the batches' means is divided by the number of examples"""

    def mean(products, sizes, losses):
        return sum(losses) / sum(sizes)

    return _epoch(model, batches, loss_fn, optimizer, mean=mean)


@wrong(train_epoch)
def size_of_the_first_batch(model, batches, loss_fn, optimizer):
    """every batch is counted as large as the first"""

    def mean(products, sizes, losses):
        return sum(losses) * sizes[0] / sum(sizes)

    return _epoch(model, batches, loss_fn, optimizer, mean=mean)


@wrong(train_epoch)
def last_loss(model, batches, loss_fn, optimizer):
    """only the last batch's loss comes back"""
    return _epoch(model, batches, loss_fn, optimizer, mean=lambda p, s, losses: losses[-1])


@wrong(train_epoch)
def tensor_with_its_graph(model, batches, loss_fn, optimizer):
    """a tensor comes back, not a float: losses are added up without item()"""

    def step(inputs, targets):
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss

    return _epoch(model, batches, loss_fn, optimizer, step)


@wrong(train_epoch)
def in_the_mode_it_has(model, batches, loss_fn, optimizer):
    """the model trains in the mode it has, without train(): dropout and batch norm may sleep"""
    total = examples = 0
    for inputs, targets in _some(batches):
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total, examples = total + loss.item() * len(targets), examples + len(targets)
    return total / examples


@wrong(train_epoch)
def trains_in_eval(model, batches, loss_fn, optimizer):
    """the model trains in eval: dropout and batch norm sleep"""
    with _Modes(model, False):
        return in_the_mode_it_has(model, batches, loss_fn, optimizer)


@wrong(train_epoch)
def only_the_root_trains(model, batches, loss_fn, optimizer):
    """only the root is put into train mode (training = True): its submodules are not"""
    mode, model.training = model.training, True
    try:
        return in_the_mode_it_has(model, batches, loss_fn, optimizer)
    finally:
        model.training = mode


@wrong(train_epoch)
def left_in_train(model, batches, loss_fn, optimizer):
    """the model is left in train mode"""
    return in_the_mode_it_has(model.train(), batches, loss_fn, optimizer)


@wrong(train_epoch)
def eval_afterwards(model, batches, loss_fn, optimizer):
    """model.eval() afterwards: what was in train is in eval now"""
    try:
        return in_the_mode_it_has(model.train(), batches, loss_fn, optimizer)
    finally:
        model.eval()


@wrong(train_epoch)
def roots_mode_for_all(model, batches, loss_fn, optimizer):
    """only the root's mode is remembered: train(mode) gives it to every submodule"""
    mode = model.training
    try:
        return in_the_mode_it_has(model.train(), batches, loss_fn, optimizer)
    finally:
        model.train(mode)


@wrong(train_epoch)
def modes_without_finally(model, batches, loss_fn, optimizer):
    """the modes come back only if all goes well: after an exception all is left in train"""
    modes = {module: module.training for module in model.modules()}
    batches = _some(batches)
    mean = in_the_mode_it_has(model.train(), batches, loss_fn, optimizer)
    for module, mode in modes.items():
        module.training = mode
    return mean


@wrong(train_epoch)
def left_in_train_without_batches(model, batches, loss_fn, optimizer):
    """where there is no batch the model is left in train mode"""
    modes = {module: module.training for module in model.modules()}
    model.train()
    batches = _some(batches)
    for module, mode in modes.items():
        module.training = mode
    return _epoch(model, batches, loss_fn, optimizer)


@wrong(train_epoch)
def unfreezes(model, batches, loss_fn, optimizer):
    """requires_grad is switched on everywhere: frozen weights thaw"""
    model.requires_grad_(True)
    return _epoch(model, batches, loss_fn, optimizer)


@wrong(train_epoch)
def seeds(model, batches, loss_fn, optimizer):
    """torch's seed is set inside: dropout drops the same units in every epoch"""
    torch.default_generator.manual_seed(0)
    return _epoch(model, batches, loss_fn, optimizer)


@wrong(train_epoch)
def past_the_hooks(model, batches, loss_fn, optimizer):
    """model.forward is called, not the model: its hooks do not run"""

    def step(inputs, targets):
        optimizer.zero_grad()
        loss = loss_fn(model.forward(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    return _epoch(model, batches, loss_fn, optimizer, step)


@wrong(train_epoch)
def first_batch_only(model, batches, loss_fn, optimizer):
    """only the first batch is trained on: return stands inside the loop"""
    return _epoch(model, itertools.islice(batches, 1), loss_fn, optimizer)


@wrong(train_epoch)
def first_batch_missing(model, batches, loss_fn, optimizer):
    """the first batch is used up by a look whether there is one, and not trained on"""
    batches = list(_some(batches))
    return _epoch(model, batches[1:] or batches, loss_fn, optimizer)


@wrong(train_epoch)
def last_batch_dropped(model, batches, loss_fn, optimizer):
    """a batch smaller than the first is dropped"""
    batches = list(_some(batches))
    kept = [pair for pair in batches if len(pair[1]) >= len(batches[0][1])]
    return _epoch(model, kept, loss_fn, optimizer)


@wrong(train_epoch)
def asks_for_the_length(model, batches, loss_fn, optimizer):
    """train_epoch asks for len(batches): a generator has none"""
    if len(batches) == 0:
        raise ValueError("no batch")
    return _epoch(model, batches, loss_fn, optimizer)


@wrong(train_epoch)
def gone_through_twice(model, batches, loss_fn, optimizer):
    """train_epoch goes through the batches twice: a generator is used up by then"""
    if not sum(1 for _ in batches):
        raise ValueError("no batch")
    return _epoch(model, batches, loss_fn, optimizer)


@wrong(train_epoch)
def no_batch_is_zero(model, batches, loss_fn, optimizer):
    """train_epoch returns 0 where there is no batch"""
    batches = list(batches)
    return _epoch(model, batches, loss_fn, optimizer) if batches else 0.0


@wrong(train_epoch)
def no_batch_divides_by_zero(model, batches, loss_fn, optimizer):
    """train_epoch divides by zero where there is no batch"""
    batches = list(batches)
    return _epoch(model, batches, loss_fn, optimizer) if batches else 0.0 / len(batches)


def _asked(model, batches, said=lambda logits: logits.argmax(1), share=None):
    """The reference, with another way to read the logits or to count."""
    with _Modes(model, False), torch.no_grad():
        pairs = [(said(model(x)) == y, len(y)) for x, y in _some(batches)]
    hits = [hit.sum().item() for hit, _ in pairs]
    sizes = [size for _, size in pairs]
    return share(hits, sizes) if share else sum(hits) / sum(sizes)


def _plain(model, batches):
    """In the mode the model has, autograd as it is."""
    hits = [model(inputs).argmax(1) == labels for inputs, labels in _some(batches)]
    return torch.cat(hits).double().mean().item()


@wrong(evaluate)
def asked_with_floats(model, batches):
    """evaluate turns inputs into float32 before the model is asked: they go in as they are"""
    return evaluate(model, _as_float(batches))


@wrong(evaluate)
def asked_in_train(model, batches):
    """the model is asked in the mode it has, without eval"""
    with torch.no_grad():
        return _plain(model, batches)


@wrong(evaluate)
def copy_in_train(model, batches):
    """a copy is asked, but in the mode that the model has"""
    with torch.no_grad():
        return _plain(copy.deepcopy(model), batches)


@wrong(evaluate)
def asked_after_train(model, batches):
    """the model is put into train mode to be asked"""
    with _Modes(model, True), torch.no_grad():
        return _plain(model, batches)


@wrong(evaluate)
def only_the_root_in_eval(model, batches):
    """only the root is put into eval (training = False): its submodules train on"""
    mode, model.training = model.training, False
    try:
        with torch.no_grad():
            return _plain(model, batches)
    finally:
        model.training = mode


@wrong(evaluate)
def with_a_graph(model, batches):
    """autograd is on while the model is asked: a graph is recorded for nothing"""
    with _Modes(model, False):
        return _plain(model, batches)


@wrong(evaluate)
def left_in_eval(model, batches):
    """the model is left in eval"""
    with torch.no_grad():
        return _plain(model.eval(), batches)


@wrong(evaluate)
def train_afterwards(model, batches):
    """model.train() afterwards: what was in eval is in train now"""
    try:
        with torch.no_grad():
            return _plain(model.eval(), batches)
    finally:
        model.train()


@wrong(evaluate)
def the_roots_mode_for_all(model, batches):
    """evaluate remembers only the root's mode and gives it to every submodule"""
    mode = model.training
    try:
        with torch.no_grad():
            return _plain(model.eval(), batches)
    finally:
        model.train(mode)


@wrong(evaluate)
def restored_without_finally(model, batches):
    """the modes come back only if all goes well: after an exception all is left in eval"""
    modes = {module: module.training for module in model.modules()}
    batches = _some(batches)
    with torch.no_grad():
        share = _plain(model.eval(), batches)
    for module, mode in modes.items():
        module.training = mode
    return share


@wrong(evaluate)
def left_in_eval_without_batches(model, batches):
    """where there is no batch the model is left in eval"""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    batches = _some(batches)
    for module, mode in modes.items():
        module.training = mode
    return _asked(model, batches)


@wrong(evaluate)
def autograd_left_off(model, batches):
    """autograd is switched off and not on again: the next epoch cannot train"""
    torch.set_grad_enabled(False)
    with _Modes(model, False):
        return _plain(model, batches)


@wrong(evaluate)
def autograd_switched_on(model, batches):
    """autograd is switched on afterwards, though the caller had it off"""
    try:
        return _asked(model, batches)
    finally:
        torch.set_grad_enabled(True)


@wrong(evaluate)
def mean_of_shares(model, batches):
    """the mean of the batches' accuracies: a small last batch counts as much as a full one"""

    def share(hits, sizes):
        return sum(hit / size for hit, size in zip(hits, sizes, strict=True)) / len(sizes)

    return _asked(model, batches, share=share)


@wrong(evaluate)
def last_share(model, batches):
    """only the last batch's accuracy comes back"""
    return _asked(model, batches, share=lambda hits, sizes: hits[-1] / sizes[-1])


@wrong(evaluate)
def percent(model, batches):
    """the accuracy is in percent, not from 0 to 1"""
    return 100 * _asked(model, batches)


@wrong(evaluate)
def rounded(model, batches):
    """the accuracy is rounded to two places"""
    return round(_asked(model, batches), 2)


@wrong(evaluate)
def errors(model, batches):
    """the share of errors, not of right answers"""
    return 1 - _asked(model, batches)


@wrong(evaluate)
def counted(model, batches):
    """the number of right answers as a float, not their share"""
    return _asked(model, batches, share=lambda hits, sizes: float(sum(hits)))


@wrong(evaluate)
def by_number_of_batches(model, batches):
    """the right answers are divided by the number of batches, not of examples"""
    return _asked(model, batches, share=lambda hits, sizes: sum(hits) / len(sizes))


@wrong(evaluate)
def as_a_tensor(model, batches):
    """a tensor comes back, not a float"""
    return torch.tensor(_asked(model, batches))


@wrong(evaluate)
def whole_batches(model, batches):
    """a batch counts as right only where all of it is"""

    def share(hits, sizes):
        return sum(map(int.__eq__, hits, sizes)) / len(sizes)

    return _asked(model, batches, share=share)


@wrong(evaluate)
def along_the_batch(model, batches):
    """the largest logit is sought along the batch, not along the classes"""

    def said(logits):
        return logits.argmax(0).repeat(len(logits))[: len(logits)]

    return _asked(model, batches, said)


@wrong(evaluate)
def smallest_logit(model, batches):
    """the class with the smallest logit counts as what the model says"""
    return _asked(model, batches, lambda logits: logits.argmin(1))


@wrong(evaluate)
def largest_magnitude(model, batches):
    """the logit with the largest magnitude wins, also if it is negative"""
    return _asked(model, batches, lambda logits: logits.abs().argmax(1))


@wrong(evaluate)
def keeps_the_axis(model, batches):
    """(N, 1) is compared with (N,): every answer meets every label"""
    return _asked(model, batches, lambda logits: logits.argmax(1, keepdim=True))


@wrong(evaluate)
def clears_gradients(model, batches):
    """the gradients are cleared"""
    model.zero_grad()
    return _asked(model, batches)


@wrong(evaluate)
def freezes(model, batches):
    """requires_grad is switched off for good: the next epoch cannot train"""
    model.requires_grad_(False)
    return _asked(model, batches)


@wrong(evaluate)
def first_batch(model, batches):
    """only the first batch is asked: return stands inside the loop"""
    return _asked(model, itertools.islice(batches, 1))


@wrong(evaluate)
def first_batch_used_up(model, batches):
    """the first batch is used up by a look whether there is one, and not counted"""
    batches = list(_some(batches))
    return _asked(model, batches[1:] or batches)


@wrong(evaluate)
def smaller_batch_dropped(model, batches):
    """a batch smaller than the first is not counted"""
    batches = list(_some(batches))
    return _asked(model, [pair for pair in batches if len(pair[1]) >= len(batches[0][1])])


@wrong(evaluate)
def needs_a_length(model, batches):
    """evaluate asks for len(batches): a generator has none"""
    if len(batches) == 0:
        raise ValueError("no batch")
    return _asked(model, batches)


@wrong(evaluate)
def twice_through(model, batches):
    """evaluate goes through the batches twice: a generator is used up by then"""
    examples = sum(len(labels) for _, labels in batches)
    return _asked(model, batches, share=lambda hits, sizes: sum(hits) / examples)


@wrong(evaluate)
def none_is_zero(model, batches):
    """evaluate returns 0 where there is no batch"""
    batches = list(batches)
    return _asked(model, batches) if batches else 0.0


@wrong(evaluate)
def none_divides_by_zero(model, batches):
    """evaluate divides by zero where there is no batch"""
    batches = list(batches)
    return _asked(model, batches) if batches else 0.0 / len(batches)


@wrong(evaluate)
def hooks_skipped(model, batches):
    """evaluate calls model.forward, not the model: its hooks do not run"""
    with _Modes(model, False), torch.no_grad():
        hits = [model.forward(inputs).argmax(1) == labels for inputs, labels in _some(batches)]
    return torch.cat(hits).double().mean().item()


def show(answer):
    """Ten epochs on the digits: the loss falls, the accuracy on other digits rises."""
    from matplotlib.figure import Figure

    from data import digits

    images, labels = (torch.from_numpy(array) for array in digits())
    images = images[:, :, 2:26:3, 2:26:3].flatten(1)  # as they were before they were enlarged
    torch.default_generator.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    held_out = list(zip(images[1000:].split(200), labels[1000:].split(200), strict=True))
    losses, shares = [], [answer.evaluate(model, held_out)]
    for _ in range(10):
        order = torch.randperm(1000)
        batches = [(images[part], labels[part]) for part in order.split(64)]
        losses.append(answer.train_epoch(model, batches, F.cross_entropy, optimizer))
        shares.append(answer.evaluate(model, held_out))
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    left, right_side = figure.subplots(1, 2)
    left.plot(range(1, 11), losses, "o-", color="tab:red")
    left.set(xlabel="epoch", ylabel="mean loss", ylim=(0, None), title="while training")
    right_side.plot(range(11), shares, "o-", color="tab:blue")
    right_side.set(
        xlabel="epochs so far", ylabel="accuracy", ylim=(0, 1), title="on digits held out"
    )
    return figure
